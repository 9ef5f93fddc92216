"""`fankui insights topics|trends|causes|alerts|similar|report`: what comments say together. Never loads what trains."""

import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.errors import DataError, UsageError

if TYPE_CHECKING:
    from models.insight_session import Opened, Source

insights_app = typer.Typer(
    help="Topics, trends, causes, alerts and the weekly report out of scored files.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

_Files = Annotated[list[Path], typer.Argument(metavar="FILE…", help="Files written by `fankui score`, or exports.")]
_Text = Annotated[str, typer.Option("--text-column", help="Column that holds the comment.")]
_Id = Annotated[str, typer.Option("--id-column", help="Column that holds its id.")]
_Time = Annotated[str, typer.Option("--created-at-column", help="Column that holds its time.")]
_Schema = Annotated[Path | None, typer.Option("--schema", help="Label schema. [default: the shipped one]")]
_Zone = Annotated[str, typer.Option("--timezone", help="Whose days count, and that of times without a zone.")]
_Prefix = Annotated[str, typer.Option("--prefix", help="That scoring put before its columns, such as pred_.")]
_Attributes = Annotated[
    list[str] | None, typer.Option("--attribute", help="Column to compare by. [default: all that look like it]")
]
_Filter = Annotated[
    list[str] | None,
    typer.Option("--filter", metavar="NAME=VALUE", help="Only these comments, such as category=refund."),
]
_Model = Annotated[
    str | None, typer.Option("--model", help="Model for embeddings that are lacking. [default: the champion]")
]
_NoEmbeddings = Annotated[bool, typer.Option("--no-embeddings", help="Words alone, where embeddings are lacking.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@insights_app.command("topics")
def topics(  # noqa: PLR0917  (typer reads the options off the signature)
    files: _Files,
    count: Annotated[int | None, typer.Option(min=2, max=200, help="How many topics. [default: by size]")] = None,
    issues: Annotated[int, typer.Option(min=0, help="How many hot issues to list.")] = 10,
    least: Annotated[int, typer.Option(min=2, help="Messages that an issue needs.")] = 3,
    memory: Annotated[
        Path | None, typer.Option("--memory", help="File that remembers topics, so that they keep their ids.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of what is left to chance.")] = 0,
    text_column: _Text = "text",
    id_column: _Id = "id",
    created_at_column: _Time = "created_at",
    schema: _Schema = None,
    timezone: _Zone = "Asia/Shanghai",
    prefix: _Prefix = "",
    attribute: _Attributes = None,
    filters: _Filter = None,
    model: _Model = None,
    no_embeddings: _NoEmbeddings = False,
    as_json: _Json = False,
) -> None:
    """What the comments are about, the hottest issues among them, and the words that are frequent.

    Example: `fankui insights topics scored.parquet --memory topics.json`
    """
    from models.insight_display import show_topics
    from models.insight_session import with_embeddings
    from pipeline.insights.frequent import frequent_phrases
    from pipeline.insights.groups import find_groups
    from pipeline.insights.hot_issues import hot_issues
    from pipeline.insights.topic_identity import read_memory, write_memory
    from pipeline.insights.topics import NO_TOPICS, find_topics

    opened = _open(locals())
    if not no_embeddings:
        opened = with_embeddings(opened, model, quiet=as_json)
    remembered = None if memory is None else read_memory(memory)
    table = opened.table
    terms = opened.read_terms(quiet=as_json)
    found = find_topics(table, terms, count=count, seed=seed, memory=remembered)
    hot = hot_issues(table, terms, find_groups(table, terms), least=least)[:issues] if issues else []
    if memory is not None:
        write_memory(memory, found.memory)
    body = {
        "topics": [topic.to_dict(table) for topic in found.topics],
        "why_no_topics": None if found.topics else NO_TOPICS,
        "hot_issues": [issue.to_dict(table) for issue in hot],
        "frequent": frequent_phrases(table, terms),
    }
    _tell(opened, body, as_json, show_topics)


@insights_app.command("trends")
def trends(  # noqa: PLR0917
    files: _Files,
    days: Annotated[int, typer.Option(min=1, max=366, help="Days compared with as many before them.")] = 7,
    ahead: Annotated[int, typer.Option(min=1, max=60, help="Days to forecast.")] = 14,
    level: Annotated[float, typer.Option(min=0.5, max=0.99, help="Probability that an interval holds.")] = 0.9,
    text_column: _Text = "text",
    id_column: _Id = "id",
    created_at_column: _Time = "created_at",
    schema: _Schema = None,
    timezone: _Zone = "Asia/Shanghai",
    prefix: _Prefix = "",
    attribute: _Attributes = None,
    filters: _Filter = None,
    as_json: _Json = False,
) -> None:
    """What grew or fell against the days before, what burst on the last day, and how many comments to expect.

    Example: `fankui insights trends scored.parquet --days 7 --filter shop=S07`
    """
    from models.insight_display import show_trends
    from pipeline.insights.forecasts import forecast
    from pipeline.insights.incidents import find_incidents
    from pipeline.insights.seasons import daily_counts
    from pipeline.insights.series import membership
    from pipeline.insights.trends import changes, last_periods, told_once

    opened = _open(locals())
    table = opened.table
    counts = daily_counts(table.days)
    members = membership(table, opened.read_terms(quiet=as_json))
    before, now = last_periods(table, days)
    found = [
        change for change in changes(table, members, before, now) if change.certain or change.series.family != "term"
    ]
    body: dict[str, Any] = {
        "before": {"first": str(before.first), "last": str(before.last)},
        "now": {"first": str(now.first), "last": str(now.last)},
        "changes": [change.to_dict() for change in told_once(found, table, members, before, now)],
        "daily": {"first": str(counts.first), "counts": [int(count) for count in counts.counts]},
    }
    for name, make in (
        ("incidents", lambda: [one.to_dict(table) for one in find_incidents(table, members, now.last)]),
        ("forecast", lambda: forecast(counts, ahead=ahead, level=level).to_dict()),
    ):
        try:
            body[name] = make()
        except DataError as error:  # too few days: the rest can be told all the same
            body[name] = {"error": {"code": error.code, "message": error.message}}
    _tell(opened, body, as_json, show_trends)


@insights_app.command("causes")
def causes(  # noqa: PLR0917
    files: _Files,
    filters: Annotated[
        list[str],
        typer.Option("--filter", metavar="NAME=VALUE", help="The comments to explain, such as category=refund."),
    ],
    against: Annotated[
        list[str] | None, typer.Option("--against", metavar="NAME=VALUE", help="Compared with. [default: all others]")
    ] = None,
    text_column: _Text = "text",
    id_column: _Id = "id",
    created_at_column: _Time = "created_at",
    schema: _Schema = None,
    timezone: _Zone = "Asia/Shanghai",
    prefix: _Prefix = "",
    attribute: _Attributes = None,
    lexicon: Annotated[Path | None, typer.Option(help="Lexicon of the fishbone. [default: the shipped one]")] = None,
    as_json: _Json = False,
) -> None:
    """What some comments have in common against the others: shops, products, pairs of these, labels, words; fishbone.

    Example: `fankui insights causes scored.parquet --filter category=refund --filter from=2026-09-01`
    """
    import numpy as np

    from models.insight_display import show_causes
    from pipeline.insights.causes import find_causes
    from pipeline.insights.dependencies import determined_by
    from pipeline.insights.fishbone import fishbone
    from pipeline.insights.lexicon import load_lexicon
    from pipeline.insights.quotes import examples
    from pipeline.insights.selection import parse_filters, selected
    from pipeline.insights.series import membership

    known = None if lexicon is None else load_lexicon(lexicon)
    asked = parse_filters(filters)
    opened = _open(locals() | {"filters": None})
    table = opened.table
    target = np.flatnonzero(selected(table, asked))
    others = np.arange(len(table)) if not against else np.flatnonzero(selected(table, parse_filters(against)))
    rest = np.setdiff1d(others, target)
    if not len(target) or not len(rest):
        what = "no comment passes --filter" if not len(target) else "nothing is left to compare with"
        raise UsageError("nothing_selected", f"{what}; loosen or tighten the filters")
    members = membership(table, opened.read_terms(quiet=as_json))
    found = find_causes(members, target, rest, without=(*asked, *determined_by(table, tuple(asked))))
    body = {
        "messages": len(target),
        "compared_with": len(rest),
        "causes": found.to_dict(),
        "fishbone": [bone.to_dict() for bone in fishbone(table, target, rest, lexicon=known)],
        "examples": examples(table, target),
    }
    _tell(opened, body, as_json, show_causes)


@insights_app.command("alerts")
def alerts(  # noqa: PLR0917
    files: _Files,
    rules: Annotated[Path | None, typer.Option(help="Alert rules. [default: the shipped ones]")] = None,
    first: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="First day. [default: the last one]")
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", metavar="DAY", help="Last day. [default: the file's last]")
    ] = None,
    text_column: _Text = "text",
    id_column: _Id = "id",
    created_at_column: _Time = "created_at",
    schema: _Schema = None,
    timezone: _Zone = "Asia/Shanghai",
    prefix: _Prefix = "",
    attribute: _Attributes = None,
    filters: _Filter = None,
    as_json: _Json = False,
) -> None:
    """Rules evaluated day by day: thresholds, base lines, incidents that nobody named beforehand; each with its causes.

    Example: `fankui insights alerts scored.parquet --rules my-alerts.toml --from 2026-09-01`
    """
    from models.insight_display import show_alerts
    from pipeline.insights.alert_rules import check_labels, load_rules
    from pipeline.insights.alerts import find_alerts, fitting, too_early
    from pipeline.insights.series import membership
    from pipeline.resources import shipped
    from pipeline.schema import load_schema

    wanted = load_rules(rules or shipped("data", "alerts.toml"))
    if rules is not None:
        check_labels(wanted, load_schema(schema))
    begin, end = _day(first, "--from"), _day(last, "--to")
    opened = _open(locals())
    table = opened.table
    members = membership(table, opened.read_terms(quiet=as_json))
    # The shipped rules are nobody's promise about this file; one's own are, and then a missing column is a mistake.
    usable, lacking = fitting(table, wanted) if rules is None else (wanted, {})
    found = find_alerts(table, members, usable, first=begin, last=end)
    lacking |= too_early(table, usable, last=end)
    body = {"alerts": [alert.to_dict(table) for alert in found], "rules_left_out": lacking}
    _tell(opened, body, as_json, show_alerts)


@insights_app.command("similar")
def similar(  # noqa: PLR0917
    files: _Files,
    id: Annotated[str | None, typer.Option("--id", help="Comment of the file to find the like of.")] = None,  # noqa: A002
    text: Annotated[str | None, typer.Option("--text", help="A new comment to find the like of.")] = None,
    most: Annotated[int, typer.Option("-k", "--most", min=1, max=100, help="How many.")] = 5,
    text_column: _Text = "text",
    id_column: _Id = "id",
    created_at_column: _Time = "created_at",
    schema: _Schema = None,
    timezone: _Zone = "Asia/Shanghai",
    prefix: _Prefix = "",
    among: Annotated[
        list[str] | None, typer.Option("--among", metavar="NAME=VALUE", help="Only these, such as status=resolved.")
    ] = None,
    answered: Annotated[bool, typer.Option("--answered", help="Only those that were answered.")] = False,
    answer_column: Annotated[str, typer.Option(help="Column with what was answered, shown where it is.")] = "answer",
    model: _Model = None,
    no_embeddings: _NoEmbeddings = False,
    as_json: _Json = False,
) -> None:
    """The comments most like one of them, or like a new one, and what was answered.

    Example: `fankui insights similar export.parquet --text "退款半个月没到账" --answered`
    """
    from models.insight_display import show_similar
    from models.insight_similar import Wanted, similar_cases

    wanted = Wanted(
        id=id, text=text, most=most, among=tuple(among or ()), answered=answered, answer_column=answer_column
    )
    opened, body = similar_cases(_source(locals()), wanted, model=model, embeddings=not no_embeddings)
    _tell(opened, body, as_json, show_similar)


@insights_app.command("report")
def report(  # noqa: PLR0917
    files: _Files,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder, or a file that ends in .html. [default: report-WEEK.html here]"),
    ] = None,
    week: Annotated[
        str | None, typer.Option(metavar="2026-W47", help="Week to report on. [default: the last whole one]")
    ] = None,
    previous: Annotated[
        Path | None, typer.Option(help="JSON of an earlier report: says what became of its list.")
    ] = None,
    lang: Annotated[str, typer.Option(help="zh or en.")] = "zh",
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    rules: Annotated[Path | None, typer.Option(help="Alert rules. [default: the shipped ones]")] = None,
    settings: Annotated[
        Path | None, typer.Option(help="SERVQUAL's dimensions and what to look at. [default: the shipped ones]")
    ] = None,
    text_column: _Text = "text",
    id_column: _Id = "id",
    created_at_column: _Time = "created_at",
    schema: _Schema = None,
    timezone: _Zone = "Asia/Shanghai",
    prefix: _Prefix = "",
    attribute: _Attributes = None,
    filters: _Filter = None,
    model: _Model = None,
    no_embeddings: _NoEmbeddings = False,
    as_json: _Json = False,
) -> None:
    """The weekly report as one HTML file that asks for nothing elsewhere, as Markdown and as JSON: what to prevent
    within 48 hours, what grew, hot issues with causes, the worst desks, satisfaction, and whether the last list helped.

    Example: `fankui insights report scored.parquet -o reports/ --previous reports/report-2026-W46.json --open`
    """
    from models.insight_report import Wanted, make_report, open_in_browser

    wanted = Wanted(
        week=week, previous=previous, language=lang, settings=settings, rules=rules, schema=schema, output=output
    )
    made = make_report(_open(locals()), wanted, model=model, embeddings=not no_embeddings, quiet=as_json)
    if show:
        open_in_browser(made.page)
    body = {**made.body, "files": [str(path) for path in made.paths]}
    _tell(made.opened, body, as_json, lambda told: typer.echo("\n".join(told["files"])))


def _open(options: dict[str, Any]) -> "Opened":
    from models.insight_session import open_table

    return open_table(_source(options))


def _source(options: dict[str, Any]) -> "Source":
    from models.insight_session import Source

    names = ("files", "text_column", "id_column", "created_at_column", "schema", "timezone", "prefix")
    given: dict[str, Any] = {name: options[name] for name in names}
    given |= {"attributes": options.get("attribute"), "filters": options.get("filters") or ()}
    return Source(**given, quiet=options["as_json"])


def _tell(opened: "Opened", body: dict[str, Any], as_json: bool, show: Any) -> None:
    if as_json:
        typer.echo(json.dumps({**opened.to_dict(), **body}, ensure_ascii=False, indent=2))
        return
    show(body)
    for note in opened.notes():
        typer.echo(f"note: {note}", err=True)


def _day(given: str | None, option: str) -> date | None:
    try:
        return None if given is None else date.fromisoformat(given)
    except ValueError:
        raise UsageError("day_invalid", f"{option} is a day such as 2026-09-30; found {given!r}") from None
