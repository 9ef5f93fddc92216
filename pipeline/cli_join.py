"""`fankui data join`: labels that are shipped without their texts, put to the texts that the user has."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.errors import DataError, UsageError

if TYPE_CHECKING:
    from pipeline.annotations import Joined

LEAST_SHARE = 0.97
_LISTED = 20


def join(
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the labelled files; or a .jsonl for a single one.")
    ],
    data: Annotated[Path | None, typer.Option(help="Folder with datasets/; default: $FANKUI_DATA.")] = None,
    annotations: Annotated[
        list[Path] | None, typer.Option(help="Annotation file, or a folder of them; by default the shipped ones.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")] = False,
) -> None:
    """Find the texts of shipped labels in the public sets and write labelled rows to train on.

    Exits with 1 when under 97 % of a file's texts are found; what was found is written all the same.

    Example: `fankui data join --data ../shared -o labelled`
    """
    from pipeline.annotation_texts import public_rows, text_files
    from pipeline.annotations import join_texts, match_texts, read_annotations
    from pipeline.data_folder import data_folder
    from pipeline.row_bar import row_bar

    targets = _targets(_annotation_files(annotations), output)
    folder = data_folder(data)
    labels = {path: read_annotations(path) for path in targets}
    keys = frozenset(one.key for found in labels.values() for one in found)
    files = text_files(folder)
    with row_bar(files, "looking for texts", shown=not json_) as advance:
        matches = match_texts(keys, public_rows(files, progress=advance))
    results = {path: join_texts(found, matches) for path, found in labels.items()}
    for path, target in targets.items():
        _write(results[path], target)
    absent = _absent_sets(folder)
    if json_:
        shown = {path.name: {"output": str(targets[path]), **one.to_dict()} for path, one in results.items()}
        typer.echo(json.dumps({"files": shown, "absent_sets": absent}, ensure_ascii=False, indent=2))
    else:
        _show(results, targets)
    _refuse_few(results, absent, folder)


def _annotation_files(named: Sequence[Path] | None) -> list[Path]:
    """Raises UsageError `annotations_missing`, `annotations_twice`."""
    from pipeline.resources import shipped

    files: list[Path] = []
    for path in named or [shipped("data", "annotations")]:
        found = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
        if not found:
            raise UsageError("annotations_missing", f"expected annotation files (.jsonl) in {path}; found none")
        files += found
    twice = next((path.name for i, path in enumerate(files) if path.name in {one.name for one in files[:i]}), None)
    if twice:
        message = f"two annotation files are named {twice}; join them one after the other, into two folders"
        raise UsageError("annotations_twice", message)
    return files


def _targets(files: Sequence[Path], output: Path) -> dict[Path, Path]:
    """Annotation file -> the file to write. Raises UsageError `output_is_one_file`, `output_exists`."""
    one_file = output.suffix.lower() == ".jsonl" and not output.is_dir()
    if one_file and len(files) > 1:
        message = f"{len(files)} annotation files do not go into {output}; name a folder with --output"
        raise UsageError("output_is_one_file", message)
    targets = {file: output if one_file else output / file.name for file in files}
    there = next((target for target in targets.values() if target.exists()), None)
    if there:
        raise UsageError("output_exists", f"{there} exists already; name another place with --output")
    return targets


def _absent_sets(folder: Path) -> list[str]:
    """Sets of data/public_sets.toml without a file."""
    import tomllib

    from pipeline.resources import shipped

    listed = tomllib.loads(shipped("data", "public_sets.toml").read_text(encoding="utf-8"))
    return [name for name in listed if not any((folder / "datasets" / name).glob("*.parquet"))]


def _write(result: "Joined", target: Path) -> None:
    from pipeline.writers import Column, open_writer

    names = ("id", "source", "draw", "text")
    with open_writer(target, columns=[Column(name) for name in names]) as writer:
        writer.write(result.rows)


def _refuse_few(results: Mapping[Path, "Joined"], absent: Sequence[str], folder: Path) -> None:
    """Raises DataError `texts_missing`."""
    few = {path: result for path, result in results.items() if result.share < LEAST_SHARE}
    if not few:
        return
    found = "; ".join(f"{path.name}: {_told(result)}" for path, result in few.items())
    where = folder / "datasets"
    if absent:
        advice = f"{where} lacks {', '.join(absent)}; data/annotations/README.md says which source is in which set"
    else:
        advice = f"{where} has every listed set, so look for files that are incomplete or of another version"
    raise DataError("texts_missing", f"expected at least {LEAST_SHARE:.0%} of the texts; found {found}. {advice}")


def _told(result: "Joined") -> str:
    """Such as `70 of 80, missing 10 (bank 7, gov 3)`."""
    sources = [f"{source} {counts['missing']:,}" for source, counts in result.sources.items() if counts["missing"]]
    return f"{len(result.rows):,} of {result.total:,}, missing {len(result.missing):,} ({', '.join(sources)})"


def _show(results: Mapping[Path, "Joined"], targets: Mapping[Path, Path]) -> None:
    counts = ("rows", "matched", "missing", "ambiguous")
    for path, result in results.items():
        total = (len(result.rows), len(result.missing), len(result.ambiguous))
        rows = [[source, *(f"{found[name]:,}" for name in counts)] for source, found in result.sources.items()]
        all_ = ["all", *(f"{count:,}" for count in (result.total, *total))]
        title = f"{path.name}: {result.share:.2%} matched, written to {targets[path]}"
        _print_table(title, ["source", *counts], [*rows, all_])
        listed = list(result.ambiguous.items())
        if listed:
            title = "Ambiguous: texts that begin alike; the first is taken" + (
                f" (the first {_LISTED} of {len(listed):,})" if len(listed) > _LISTED else ""
            )
            places = [[name, match.place, ", ".join(match.others)] for name, match in listed[:_LISTED]]
            _print_table(title, ["id", "taken", "like it"], places)


def _print_table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table: Any = Table(title=title, title_justify="left", min_width=len(title))
    for name in head:
        table.add_column(name, justify="right" if name in ("rows", "matched", "missing", "ambiguous") else "left")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
