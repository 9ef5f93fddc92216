"""A bar of rows for commands that read files."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.readers import RowFile


@contextmanager
def row_bar(files: Sequence["RowFile"], what: str, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """On stderr, where that is a terminal; it vanishes at the end. Gives what takes the number of rows done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    shown = shown and console.is_terminal
    parts = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*parts, console=console, transient=True, disable=not shown) as bar:
        task = bar.add_task("", total=sum(file.count() or 0 for file in files) or None if shown else None)
        yield lambda done: bar.update(task, completed=done)
