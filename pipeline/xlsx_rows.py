"""Rows of one sheet of an xlsx workbook, streamed, after a look at what its parts unpack to."""

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.errors import DataError
from pipeline.rows import ReadLimits, Row, bad_row, limit_exceeded, unreadable

_EXCEL_ROWS = 1_048_576
_MAX_STRINGS_BYTES = 128 << 20  # openpyxl holds all shared strings in memory
_MAX_PART_BYTES = 2 << 30
_SUSPICIOUS_BYTES = 8 << 20
_SUSPICIOUS_RATIO = 200  # sheets of ordinary text unpack 5 to 30 times
_CHUNK = 1 << 20
_DOCTYPE = re.compile(rb"<!(DOCTYPE|ENTITY)", re.IGNORECASE)


class XlsxSource:
    """One sheet of a workbook; its first row names the columns. Formulas give their last computed value.

    Without `sheet` the first one is read, and DataError `several_sheets` raised when another one holds rows too.
    """

    def __init__(self, path: Path, limits: ReadLimits, *, sheet: str | None = None) -> None:
        self._path = path
        self._limits = limits
        self._name = sheet
        _inspect(path, limits)
        # Each look at the workbook unpacks its strings, so everything but the rows is found out in one.
        with self._book() as book:
            if sheet is None:
                self._refuse_other_rows(book)
            chosen = self._chosen(book)
            # What the sheet claims; it may be absent or wrong.
            self._count = max(0, chosen.max_row - 1) if chosen.max_row else None
            self._names = self._header(chosen)

    def columns(self) -> list[str]:
        return self._names

    def count(self) -> int | None:
        return self._count

    def rows(self) -> Iterator[Row]:
        with self._book() as book:
            sheet = self._chosen(book)
            names = self._names
            sheet.reset_dimensions()
            width = len(names)
            # One column more than the header has, so that a stray cell is seen; never the 16,384 a row may claim.
            for cells in sheet.iter_rows(min_row=2, max_row=_EXCEL_ROWS, max_col=width + 1, values_only=True):
                if all(cell is None or cell == "" for cell in cells):
                    continue
                row = dict(zip(names, cells, strict=False))
                if len(cells) > width and cells[width] is not None:
                    yield bad_row(f"a cell beyond the last named column ({width})", row)
                else:
                    yield row

    def _header(self, sheet: Any) -> list[str]:
        sheet.reset_dimensions()
        first = next(sheet.iter_rows(max_row=1, max_col=self._limits.max_columns + 1, values_only=True), ())
        cells = ["" if cell is None else str(cell).strip() for cell in first]
        while cells and not cells[-1]:
            cells.pop()
        if not cells:
            raise unreadable(self._path, "its first row is empty; it must name the columns")
        if len(cells) > self._limits.max_columns:
            raise limit_exceeded(self._path, f"over {self._limits.max_columns:,} columns", "remove those not needed")
        names = [cell or f"column_{i + 1}" for i, cell in enumerate(cells)]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise unreadable(self._path, f"its first row names column {twice[:40]!r} twice")
        return names

    @contextmanager
    def _book(self) -> Iterator[Any]:
        import openpyxl

        try:
            book = openpyxl.load_workbook(self._path, read_only=True, data_only=True, keep_links=False)
        # openpyxl tells a damaged workbook by whatever its parser stumbles over.
        except Exception as error:
            raise unreadable(self._path, f"it is no valid workbook ({type(error).__name__})") from None
        try:
            if not book.worksheets:
                raise unreadable(self._path, "it has no worksheet")
            with _damage_told(self._path):
                yield book
        finally:
            book.close()

    def _chosen(self, book: Any) -> Any:
        if self._name is None:
            return book.worksheets[0]
        found = next((sheet for sheet in book.worksheets if sheet.title == self._name), None)
        if found is None:
            names = _listed([sheet.title for sheet in book.worksheets])
            raise DataError("sheet_missing", f"{self._path} has no sheet {self._name[:40]!r}; its sheets are: {names}")
        return found

    def _refuse_other_rows(self, book: Any) -> None:
        others = [sheet.title for sheet in book.worksheets[1:] if self._holds_rows(sheet)]
        if others:
            first = book.worksheets[0].title
            message = (
                f"{self._path} has rows beyond its first sheet {first!r}, in {_listed(others)}; "
                "name the sheet to read with --sheet, or save it as a file of its own"
            )
            raise DataError("several_sheets", message)

    def _holds_rows(self, sheet: Any) -> bool:
        """Whether two rows hold something; a lone one is a title or a note."""
        sheet.reset_dimensions()
        cells = sheet.iter_rows(max_row=_EXCEL_ROWS, max_col=self._limits.max_columns, values_only=True)
        filled = (row for row in cells if any(cell is not None and cell != "" for cell in row))
        return len(list(islice(filled, 2))) > 1


def _listed(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names[:20]) + (", …" if len(names) > 20 else "")


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    from xml.etree.ElementTree import ParseError

    try:
        yield
    except (ParseError, zipfile.BadZipFile, EOFError, KeyError, ValueError, TypeError, IndexError) as error:
        raise unreadable(path, f"its sheet is damaged ({type(error).__name__})") from None


def _inspect(path: Path, limits: ReadLimits) -> None:
    """Refuse a ZIP bomb, an XML entity bomb and a giant cell before openpyxl, which knows no limits, sees them."""
    try:
        with zipfile.ZipFile(path) as archive:
            for part in archive.infolist():
                ratio = part.file_size / max(1, part.compress_size)
                limit = _MAX_STRINGS_BYTES if "sharedstrings" in part.filename.lower() else _MAX_PART_BYTES
                if part.file_size > limit or (part.file_size > _SUSPICIOUS_BYTES and ratio > _SUSPICIOUS_RATIO):
                    found = f"a part that unpacks from {part.compress_size:,} to {part.file_size:,} bytes"
                    raise limit_exceeded(path, found, "save the data as csv or parquet")
                if part.filename.endswith(".xml"):
                    _inspect_part(archive, part, path=path, limits=limits)
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise unreadable(path, f"it is no valid workbook ({type(error).__name__})") from None


def _inspect_part(archive: zipfile.ZipFile, part: zipfile.ZipInfo, *, path: Path, limits: ReadLimits) -> None:
    """Read a part once in chunks: no DOCTYPE, and no text longer than a cell may be."""
    text_bytes = 0
    tail = b""
    with archive.open(part) as stream:
        while chunk := stream.read(_CHUNK):
            if _DOCTYPE.search(tail + chunk):
                raise unreadable(path, "its XML has a DOCTYPE, which no workbook needs")
            tail = chunk[-16:]
            cut = chunk.find(b"<")
            if text_bytes + (len(chunk) if cut < 0 else cut) > 4 * limits.max_cell_chars:
                raise limit_exceeded(path, f"a cell of more than {limits.max_cell_chars:,} characters", "shorten it")
            text_bytes = text_bytes + len(chunk) if cut < 0 else len(chunk) - chunk.rfind(b"<")
