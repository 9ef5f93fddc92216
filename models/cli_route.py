"""`fankui route lint|explain|backtest`: a routing policy looked at before it decides. Never loads what trains."""

import json
import math
from collections.abc import Callable
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.errors import FeedbackError, UsageError

if TYPE_CHECKING:
    from models.predictor import BundlePredictor
    from pipeline.columns import ColumnMap
    from pipeline.readers import RowFile
    from pipeline.routing import RoutingPolicy
    from pipeline.routing_backtest import Routed
    from pipeline.schema import LabelSchema

_CHUNK = 512  # comments scored at once

route_app = typer.Typer(
    help="Check, explain and try a routing policy.", no_args_is_help=True, rich_markup_mode="markdown"
)

_Model = Annotated[
    str | None, typer.Option("--model", help="Bundle folder, 'default', or models:/NAME@ALIAS. [default: the champion]")
]
_Routing = Annotated[Path | None, typer.Option("--routing", help="Routing policy. [default: the shipped one]")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@route_app.command("lint")
def lint(
    file: Annotated[Path | None, typer.Argument(help="Routing policy. [default: the shipped one]")] = None,
    *,
    schema: Annotated[
        Path | None, typer.Option("--schema", help="Label schema that it is for; by default the shipped one.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="Model whose labels it is for, instead.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail too.")] = False,
    as_json: _Json = False,
) -> None:
    """Look for mistakes: bad rules, rules that never apply, labels without a route, bad hours, queues without calendar.

    Exits with 1 where there is an error (with --strict: or a warning).

    Example: `fankui route lint my-routing.toml`
    """
    from models.route_display import show_findings
    from pipeline.routing_lint import ERROR, WARNING, lint_file

    found = lint_file(file, _schema(schema, model), today=datetime.now().astimezone().date())
    if as_json:
        _print_json({"findings": [finding.to_dict() for finding in found]})
    else:
        show_findings(found)
    failing = {ERROR, WARNING} if strict else {ERROR}
    if any(finding.severity in failing for finding in found):
        raise typer.Exit(1)


@route_app.command("explain")
def explain(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="A comment.")],
    *,
    channel: Annotated[str | None, typer.Option(help="Where it came in.")] = None,
    tier: Annotated[str | None, typer.Option(help="The customer's tier.")] = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="When it came in. [default: now]")] = None,
    repeat_contacts: Annotated[int, typer.Option(min=0, help="Earlier comments of the customer.")] = 0,
    near_duplicates: Annotated[int, typer.Option(min=0, help="Earlier comments that say much the same.")] = 0,
    model: _Model = None,
    routing: _Routing = None,
    as_json: _Json = False,
) -> None:
    """Tell where a comment goes and why: labels, flags, every rule with what it asks and finds, due time, zone.

    Example: `fankui route explain "再不退款我就打12315" --tier vip --at "2026-09-30 17:00"`
    """
    from models.answer import item
    from models.route_display import show_explanation
    from models.routed import load_routed
    from pipeline.columns import parse_time
    from pipeline.feedback import Feedback, Signals
    from pipeline.routing_explain import explain_decision

    _, predictor, policy = load_routed(model, routing)
    now = datetime.now().astimezone()
    if at is not None:
        given = parse_time(at)
        if given is None:
            raise UsageError("time_invalid", f"--at is a time such as '2026-09-30 17:00'; found {at!r}")
        now = policy.local(given)
    signals = Signals(repeat_contacts=repeat_contacts, near_duplicates=near_duplicates, customer_tier=tier)
    feedback = Feedback(text=text, channel=channel, signals=signals)
    (answer,) = predictor.predict_each([text])
    if isinstance(answer, FeedbackError):
        raise answer
    thresholds = predictor.calibration.thresholds()
    found = explain_decision(policy, answer, feedback, thresholds=thresholds, now=now)
    if as_json:
        told = {"policy": policy.source, "policy_version": policy.version, "model_version": predictor.model_version}
        _print_json({**told, "result": item(answer, decision=found.decision), "explanation": found.to_dict()})
    else:
        show_explanation(predictor.schema, text, answer, found)


@route_app.command("backtest")
def backtest(  # noqa: PLR0917  (typer reads the options off the signature)
    file: Annotated[Path, typer.Argument(help="A csv, tsv, jsonl, parquet or xlsx file of comments of the past.")],
    capacity: Annotated[
        list[str] | None,
        typer.Option("--capacity", metavar="[QUEUE=]N", help="Comments that a desk finishes in an hour of work."),
    ] = None,
    transfer_minutes: Annotated[
        float, typer.Option(min=0, help="Minutes of handling that a comment in the wrong queue costs.")
    ] = 15.0,
    model: _Model = None,
    routing: _Routing = None,
    text_column: Annotated[str, typer.Option(help="Column that holds the comment.")] = "text",
    channel_column: Annotated[str, typer.Option(help="Column that holds where it came in.")] = "channel",
    created_at_column: Annotated[str, typer.Option(help="Column that holds its time.")] = "created_at",
    label_column: Annotated[
        list[str] | None, typer.Option("--label-column", help="TASK=COLUMN, where a column is not named like its task.")
    ] = None,
    sheet: Annotated[str | None, typer.Option("--sheet", help="Sheet of a workbook.")] = None,
    as_json: _Json = False,
) -> None:
    """Try a policy on comments of the past: volume by queue and hour, missed due times, cost of wrong queues.

    Missed due times need a column created_at and the desks' --capacity; wrong queues need gold labels (category, and
    urgency for due times that would have been too late).

    Example: `fankui route backtest august.csv --routing my-routing.toml --capacity 20 --capacity risk=6`
    """
    from dataclasses import replace

    from models.route_display import show_backtest
    from models.routed import load_routed
    from pipeline.columns import column_map
    from pipeline.readers import open_file
    from pipeline.routing_backtest import backtest as run_backtest
    from pipeline.row_bar import row_bar

    columns = replace(column_map(text_column, label_column), channel=channel_column, created_at=created_at_column)
    _, predictor, policy = load_routed(model, routing)
    capacities = _capacities(capacity or [], policy)
    if not math.isfinite(transfer_minutes):
        raise UsageError("transfer_minutes_invalid", f"--transfer-minutes is a number; found {transfer_minutes}")
    opened = open_file(file, sheet=sheet)
    with row_bar([opened], "routing", shown=not as_json) as advance:
        comments, failed = _route(opened, predictor, policy, columns=columns, advance=advance)
    found = run_backtest(comments, policy, capacities=capacities, transfer_minutes=transfer_minutes)
    if as_json:
        told = {"policy": policy.source, "policy_version": policy.version, "model_version": predictor.model_version}
        _print_json({"file": str(file), **told, "failed": failed, **found.to_dict()})
    else:
        show_backtest(found, failed=failed)


def _schema(path: Path | None, model: str | None) -> "LabelSchema":
    from pipeline.schema import load_schema

    if model is None:
        return load_schema(path)
    if path is not None:
        raise UsageError("schema_or_model", "--schema and --model both say whose labels it is for; leave one out")
    from models.loading import open_model
    from models.resolving import resolve_model

    return open_model(resolve_model(model)).schema


def _capacities(given: list[str], policy: "RoutingPolicy") -> dict[str, float]:
    """Queue -> comments an hour. Raises UsageError `capacity_invalid`."""
    queues = policy.queue_names()
    found: dict[str, float] = {}
    for entry in sorted(given, key=lambda entry: "=" in entry):  # a queue's own comes before the one for all
        queue, _, number = entry.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not 0 < value < math.inf:
            raise UsageError(
                "capacity_invalid", f"--capacity is N or QUEUE=N, comments an hour above 0; found {entry!r}"
            )
        if queue and queue not in queues:
            raise UsageError("capacity_invalid", f"--capacity: no queue {queue!r}; there are: {', '.join(queues)}")
        found |= dict.fromkeys([queue] if queue else queues, value)
    return found


def _route(
    file: "RowFile",
    predictor: "BundlePredictor",
    policy: "RoutingPolicy",
    *,
    columns: "ColumnMap",
    advance: Callable[[int], None],
) -> "tuple[list[Routed], int]":
    """Every usable comment, decided; and how many rows were not usable."""
    from pipeline.columns import scan_examples
    from pipeline.feedback import Example
    from pipeline.routing_backtest import routed

    now = datetime.now().astimezone()
    thresholds = predictor.calibration.thresholds()
    rows = scan_examples(file, predictor.schema, columns=columns)
    comments: list[Routed] = []
    failed = done = 0
    while chunk := list(islice(rows, _CHUNK)):
        done += len(chunk)
        examples = [found for _, found in chunk if isinstance(found, Example)]
        answers = predictor.answer_each([example.text for example in examples])
        for example, answer in zip(examples, answers, strict=True):
            if not isinstance(answer, FeedbackError):
                comments.append(
                    routed(policy, answer.prediction, example, thresholds=thresholds, now=now, text=answer.text)
                )
        failed = done - len(comments)
        advance(done)
    return comments, failed


def _print_json(document: dict[str, Any]) -> None:
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2))
