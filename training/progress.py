"""How a training tells where it is: on a terminal, or not at all."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars


class Advance(Protocol):
    """Moves a bar to `done` units, with a few words beside it."""

    def __call__(self, done: int, note: str = "") -> None: ...


class Progress(Protocol):
    """What a training reports to."""

    def say(self, message: str) -> None:
        """One fact on a line of its own."""
        ...

    def bar(self, title: str, total: int) -> AbstractContextManager[Advance]:
        """A bar of `total` units, as long as the context lasts."""
        ...


class Silent:
    """Reports nothing."""

    def say(self, message: str) -> None:
        """Nothing."""

    @contextmanager
    def bar(self, title: str, total: int) -> Iterator[Advance]:  # noqa: ARG002
        yield lambda done, note="": None  # noqa: ARG005


class Terminal:
    """Reports on standard error, so that standard output stays free for results."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)

    def say(self, message: str) -> None:
        self._console.print(escape(message))

    @contextmanager
    def bar(self, title: str, total: int) -> Iterator[Advance]:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[note]}"),
        )
        with Bars(*columns, console=self._console) as bars:
            task = bars.add_task(escape(title), total=total, note="")

            def advance(done: int, note: str = "") -> None:
                bars.update(task, completed=done, note=escape(note))

            yield advance
