"""The texts of the public sets that may have been labelled: every string of every `datasets/SET/SPLIT.parquet`.

Mostly a labelled text is a whole cell. Of a dialogue it is one turn or two, of a review with a title also both; and
where a set writes line breaks out as `\\n`, it was labelled with blanks instead (33 of asap's 99 rows).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.annotations import PublicRow
from pipeline.readers import RowFile, open_file
from pipeline.rows import BAD_ROW

DIALOGUES = {"jddc_sample": ","}
"""Sets whose cells hold several turns -> what stands between them. Commas inside a turn are full-width."""

TITLED = {"appstore_reviews": ("title", "text")}
"""Sets whose reviews have a title: it may have been labelled with the text, a full stop between them."""

_TURNS = 2  # of the 348 dialogue rows 139 are one turn and 209 two
_BREAK = "\\n"


def text_files(data: Path) -> list[RowFile]:
    """Every parquet file of every set, by name. Raises DataError as the readers do."""
    return [open_file(path) for path in sorted((data / "datasets").glob("*/*.parquet"))]


def public_rows(files: Sequence[RowFile], *, progress: Callable[[int], None] | None = None) -> Iterator[PublicRow]:
    """All rows of the files, in order; `progress` is told how many. Raises DataError as the readers do."""
    done = 0
    for file in files:
        dataset, split = file.path.parent.name, file.path.stem
        between = DIALOGUES.get(dataset)
        for batch in file.batches():
            for number, row in enumerate(batch.rows, start=batch.first_row):
                cells = [cell for name, cell in row.items() if isinstance(cell, str) and name != BAD_ROW]
                texts = [*_texts(cells, between), *row_texts(dataset, row)]
                yield PublicRow(dataset, split, number, tuple(texts))
            done += len(batch.rows)
            if progress:
                progress(done)


def cell_texts(dataset: str, cell: str) -> Iterator[str]:
    """The texts that may have been labelled of one cell: the cell first."""
    yield from _texts([cell], DIALOGUES.get(dataset))


def row_texts(dataset: str, row: Mapping[str, Any]) -> Iterator[str]:
    """Those that may have been labelled of several cells of a row."""
    yield from _whole(row, TITLED.get(dataset, ()))


def _texts(cells: Sequence[str], between: str | None) -> Iterator[str]:
    for cell in cells:
        yield cell
        if _BREAK in cell:
            yield cell.replace(_BREAK, " ")
        if between:
            yield from _runs(cell.split(between))


def _whole(row: Mapping[str, Any], columns: Sequence[str]) -> Iterator[str]:
    parts = [str(row[name]).strip() for name in columns if row.get(name)]
    if len(parts) > 1:
        yield "。".join(parts)


def _runs(turns: Sequence[str]) -> Iterator[str]:
    """Every turn, and every two in a row as they were labelled: with a comma between them."""
    for length in range(1, _TURNS + 1):
        for start in range(len(turns) - length + 1):
            yield "，".join(turns[start : start + length])
