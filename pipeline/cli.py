"""`fankui data check|split|stats`: look at labelled files before a model does. `join` is in pipeline/cli_join.py."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli_join import join
from pipeline.errors import UsageError

if TYPE_CHECKING:
    from pipeline.check import CheckReport
    from pipeline.stats import Stats

data_app = typer.Typer(help="Check, split and count labelled files.", no_args_is_help=True, rich_markup_mode="markdown")

File = Annotated[Path, typer.Argument(help="A csv, tsv, jsonl, parquet or xlsx file.")]
Schema = Annotated[Path | None, typer.Option("--schema", help="Label schema; by default the shipped one.")]
TextColumn = Annotated[str, typer.Option("--text-column", help="Column that holds the comment.")]
LabelColumn = Annotated[
    list[str] | None, typer.Option("--label-column", help="TASK=COLUMN, where a column is not named like its task.")
]
Sheet = Annotated[str | None, typer.Option("--sheet", help="Sheet of a workbook; by default its only one with rows.")]
_NUMBERS = {"count", "rows", "groups", "share", "characters"}

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]


@data_app.command()
def check(
    file: File,
    *,
    schema: Schema = None,
    text_column: TextColumn = "text",
    label_column: LabelColumn = None,
    sheet: Sheet = None,
    json_: Json = False,
) -> None:
    """Report what is wrong with a labelled file: bad rows, unknown labels, duplicates, conflicts, mojibake, PII.

    Exits with 1 when rows cannot be used as they are.

    Example: `fankui data check reviews.csv --text-column 评论 --label-column sentiment=情感`
    """
    from pipeline.check import check_file
    from pipeline.columns import column_map
    from pipeline.readers import open_file
    from pipeline.row_bar import row_bar
    from pipeline.schema import load_schema

    columns = column_map(text_column, label_column)
    opened = open_file(file, sheet=sheet)
    with row_bar([opened], "checking", shown=not json_) as advance:
        report = check_file(opened, load_schema(schema), columns=columns, progress=advance)
    if json_:
        _print_json(report.to_dict())
    else:
        _show_report(report)
    if report.errors:
        raise typer.Exit(1)


@data_app.command()
def split(
    file: File,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to create; it must not exist yet.")],
    fractions: Annotated[str, typer.Option(help="Shares of train, dev and test.")] = "0.8,0.1,0.1",
    seed: Annotated[int, typer.Option(help="The same seed gives the same files, byte for byte.")] = 0,
    stratify: Annotated[
        list[str] | None, typer.Option(help="Task whose labels keep their shares; by default all.")
    ] = None,
    schema: Schema = None,
    text_column: TextColumn = "text",
    label_column: LabelColumn = None,
    group_column: Annotated[
        str, typer.Option("--group-column", help="Column whose equal values, such as an order's, stay on one side.")
    ] = "group",
    sheet: Sheet = None,
    json_: Json = False,
) -> None:
    """Split a labelled file into train, dev and test so that no near-duplicate is on two sides.

    Writes jsonl files and a manifest.json with their sha256.

    Example: `fankui data split reviews.xlsx -o parts --fractions 0.7,0.15,0.15 --seed 7`
    """
    from pipeline.columns import column_map, read_examples
    from pipeline.readers import open_file
    from pipeline.schema import load_schema
    from pipeline.split import split_examples, write_split

    loaded = load_schema(schema)
    for task in stratify or ():
        loaded.task(task)
    shares = _fractions(fractions)
    if output.exists():
        raise UsageError("output_exists", f"{output} exists already; name a new folder with --output")
    columns = column_map(text_column, label_column, group=group_column)
    examples = read_examples(open_file(file, sheet=sheet), loaded, columns=columns)
    parts = split_examples(examples, fractions=shares, seed=seed, stratify=stratify or None)
    manifest = write_split(parts, output, inputs=[file])
    if json_:
        _print_json(manifest)
        return
    rows = [[name, f"{part['rows']:,}", f"{part['groups']:,}"] for name, part in manifest["files"].items()]
    _print_table(f"Written to {output}", ["file", "rows", "groups"], rows)


@data_app.command()
def stats(
    file: File,
    *,
    schema: Schema = None,
    text_column: TextColumn = "text",
    label_column: LabelColumn = None,
    sheet: Sheet = None,
    json_: Json = False,
) -> None:
    """Count labels, lengths, sources and channels of a labelled file.

    Example: `fankui data stats reviews.parquet --json`
    """
    from pipeline.columns import column_map, read_examples
    from pipeline.readers import open_file
    from pipeline.schema import load_schema
    from pipeline.stats import stats as count

    loaded = load_schema(schema)
    columns = column_map(text_column, label_column)
    found = count(read_examples(open_file(file, sheet=sheet), loaded, columns=columns), loaded)
    if json_:
        _print_json(found.to_dict())
    else:
        _show_stats(found)


data_app.command()(join)


def _fractions(text: str) -> tuple[float, float, float]:
    try:
        train, dev, test = (float(part) for part in text.split(","))
    except ValueError:
        message = f"--fractions is three numbers such as 0.8,0.1,0.1; found {text!r}"
        raise UsageError("fractions_invalid", message) from None
    return train, dev, test


def _print_json(document: dict[str, Any]) -> None:
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2))


def _print_table(title: str, head: list[str], rows: list[list[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", min_width=len(title))
    for name in head:
        table.add_column(name, justify="right" if name in _NUMBERS else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _show_report(report: "CheckReport") -> None:
    problems = [[f"{p.row:,}", p.task or "", p.message] for p in report.problems[:20]]
    if problems:
        _print_table(f"{len(report.problems):,} mistakes (the first 20)", ["row", "task", "mistake"], problems)
    conflicts = [
        [conflict.task, ", ".join(map(str, conflict.rows[:6])), " / ".join(dict.fromkeys(conflict.labels))]
        for conflict in report.conflicts[:10]
    ]
    if conflicts:
        title = f"{len(report.conflicts):,} conflicts: like comments, unlike labels (the first 10)"
        _print_table(title, ["task", "in rows", "labels"], conflicts)
    findings = [
        ["rows checked", f"{report.stats.rows:,}", ""],
        ["duplicates", f"{report.duplicates:,}", ""],
        ["near-duplicates", f"{report.near_duplicates:,}", ""],
        ["mojibake", f"{len(report.garbled):,}", _some(report.garbled)],
        ["no usable text", f"{len(report.untextual):,}", _some(report.untextual)],
        ["longer than a model reads", f"{report.truncated:,}", ""],
        ["unusual characters", f"{report.unknown_rate:.4%}", ", ".join(report.unknown_characters)],
        ["personal data", f"{sum(report.pii.values()):,}", ", ".join(f"{k} {n}" for k, n in report.pii.items())],
    ]
    _print_table("Findings", ["finding", "count", "where or what"], findings)
    _show_stats(report.stats)


def _some(rows: tuple[int, ...]) -> str:
    return "rows " + ", ".join(map(str, rows[:10])) + (", …" if len(rows) > 10 else "") if rows else ""


def _show_stats(found: "Stats") -> None:
    for task, counts in found.labels.items():
        total = sum(counts.values())
        rows = [[name, f"{count:,}", f"{count / max(1, total):.1%}"] for name, count in counts.items()]
        if total:
            _print_table(
                f"{task}: {found.labelled[task]:,} of {found.rows:,} rows labelled", ["label", "rows", "share"], rows
            )
    lengths = [[f"p{percentile}", f"{length:,}"] for percentile, length in found.lengths.items()]
    _print_table("Characters a comment", ["percentile", "characters"], lengths)
    for title, counts in (("Sources", found.sources), ("Channels", found.channels)):
        if counts:
            _print_table(title, ["name", "rows"], [[name, f"{count:,}"] for name, count in counts.items()])
