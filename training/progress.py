"""How a training tells where it is: on a terminal, in a log, or not at all."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Column
from rich.text import Text

_LINE_SECONDS = 30.0  # between two lines of a log


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
    """Reports on standard error, so that standard output stays free for results.

    Where that is a file or a pipe, a bar is a line now and then.
    """

    def __init__(self, console: Console | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._clock = clock

    def say(self, message: str) -> None:
        # In a log a line is a line, however long.
        self._console.print(escape(message), soft_wrap=not self._console.is_terminal)

    @contextmanager
    def bar(self, title: str, total: int) -> Iterator[Advance]:
        moving = self._console.is_terminal or self._console.is_jupyter
        with self._drawn(title, total) if moving else self._lines(title, total) as advance:
            yield advance

    @contextmanager
    def _drawn(self, title: str, total: int) -> Iterator[Advance]:
        with Bars(*_columns(), console=self._console) as bars:
            task = bars.add_task(escape(title), total=total, note="")

            def advance(done: int, note: str = "") -> None:
                bars.update(task, completed=done, note=note)

            yield advance

    @contextmanager
    def _lines(self, title: str, total: int) -> Iterator[Advance]:
        """At most one line every half minute: share, note, time spent and left; and one at the end, if any was."""
        began = told = self._clock()
        first: int | None = None  # a training that goes on from a checkpoint did those before in another time

        def advance(done: int, note: str = "") -> None:
            nonlocal told, first
            now = self._clock()
            first = done if first is None else first
            if now - told < _LINE_SECONDS:
                return
            told = now
            pace = (done - first) / (now - began)
            left = (total - done) / pace if pace else None
            # A note that tells a pace of its own has better units.
            units = "" if "/s" in note else f"{done:,} of {total:,} ({pace:.2g}/s)"
            parts = (f"{100 * done / max(total, 1):.0f} %", units, note, _spent(now - began, left))
            self._plain(f"{title}: {', '.join(part for part in parts if part)}")

        yield advance
        if told > began:
            self._plain(f"{title}: done in {_duration(self._clock() - began)}")

    def _plain(self, line: str) -> None:
        self._console.print(line, markup=False, soft_wrap=True)


class _Note(ProgressColumn):
    """The words beside the bar; cut where the line ends."""

    def render(self, task: Task) -> Text:
        return Text(str(task.fields["note"]), no_wrap=True, overflow="ellipsis")


def _columns() -> tuple[ProgressColumn, ...]:
    """Columns for 80 characters. Only the note may be cut: rich would else shorten the figures first."""

    def whole() -> Column:
        return Column(no_wrap=True)

    return (
        TextColumn("{task.description}"),
        BarColumn(bar_width=8, table_column=whole()),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(table_column=whole()),
        TimeRemainingColumn(compact=True, table_column=whole()),
        _Note(table_column=Column(no_wrap=False)),
    )


def _spent(spent: float, left: float | None) -> str:
    return f"{_duration(spent)} gone" + (f", about {_duration(left)} left" if left is not None else "")


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
