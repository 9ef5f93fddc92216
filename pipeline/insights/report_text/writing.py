"""A report into words: the sections in the order in which they are read, with what somebody in a hurry needs on top."""

from pipeline.insights.report.settings import ReportSettings
from pipeline.insights.report.shares import Verdict
from pipeline.insights.report.weekly import WeeklyReport
from pipeline.insights.report_text.document import Document, Section, Tile
from pipeline.insights.report_text.figure_sections import (
    desks_section,
    grew_section,
    handling_section,
    satisfaction_section,
    servqual_section,
)
from pipeline.insights.report_text.issue_sections import followed_section, hot_section, issue_title, prevent_section
from pipeline.insights.report_text.picture_sections import alerts_section, pictures_section
from pipeline.insights.report_text.wording import Wording

_NAMED = 3  # issues in the summary


def write_report(
    report: WeeklyReport, settings: ReportSettings, say: Wording, *, file: str, left_out: int = 0
) -> Document:
    """`file`: how the report's JSON is called; `left_out`: rows of the data that could not be used."""
    sections = (
        prevent_section(report, settings, say),
        alerts_section(report, say),
        grew_section(report, say),
        pictures_section(report, say),
        hot_section(report, settings, say),
        desks_section(report, say),
        handling_section(report, say),
        satisfaction_section(report.satisfaction, say),
        servqual_section(report.satisfaction, say),
        followed_section(report, say, file=file),
        _notes(report, say, left_out),
    )
    return Document(
        language=say.language,
        title=say("title"),
        subtitle=f"{say.week(report.week)} · {say.range(report.week)}",
        summary=_summary(report, say),
        tiles=_tiles(report, say),
        sections=sections,
        footer=say("made"),
    )


def _summary(report: WeeklyReport, say: Wording) -> tuple[str, ...]:
    if not report.messages:
        return (say("summary.none", range=say.range(report.week)),)
    volume = report.growth.volume
    told = [say(f"summary.{volume.verdict}", n=f"{report.messages:,}", **_usual(report, say))]
    if report.prevent:
        titles = [say("quoted", text=issue_title(issue, say)) for issue in report.prevent[:_NAMED]]
        told.append(say("summary.prevent", n=len(report.prevent), titles=say.listed(titles)))
    elif report.grave is not None:
        told.append(say("summary.calm"))
    if report.growth.grew:
        most = report.growth.grew[0]
        name = "summary.grew" if most.before else "summary.grew.new"
        told.append(say(name, what=say.series(most.series), now=f"{most.now:,}", usual=say.mean(most.usual)))
    return tuple(told)


def _usual(report: WeeklyReport, say: Wording) -> dict[str, str]:
    """`mean`: comments a week before; `usual`: what weekday and holiday lead to expect; "" where unknown."""
    mean, usual = report.growth.usual, report.growth.volume.usual
    return {
        "mean": "" if mean is None else say.mean(mean),
        "usual": "" if usual is None else f"{usual:,.0f}",
    }


def _tiles(report: WeeklyReport, say: Wording) -> tuple[Tile, ...]:
    usual = report.growth.usual
    note = "" if usual is None else say("tile.messages.note", mean=say.mean(usual))
    tiles = [Tile(say("tile.messages"), f"{report.messages:,}", note)]
    for name in ("negative", "grave"):
        share = getattr(report, name)
        if share is not None and share.of:
            note = say(f"tile.{name}.note", n=f"{share.count:,}")
            tiles.append(Tile(say(f"tile.{name}"), say.percent(share.value), note))
    overdue = report.handling.overdue
    if overdue is not None and overdue.now.of:
        tone = {Verdict.MORE: "bad", Verdict.FEWER: "good"}.get(overdue.verdict, "")
        note = say("tile.overdue.note", before=say.percent(overdue.before.value))
        tiles.append(Tile(say("tile.overdue"), say.percent(overdue.now.value), note, tone))
    estimate = report.satisfaction.estimate
    if estimate.now is not None and estimate.now.enough:
        tone = {Verdict.MORE: "good", Verdict.FEWER: "bad"}.get(estimate.verdict, "")
        note = say("tile.satisfaction.alone")
        if estimate.before is not None and estimate.before.enough:
            note = say("tile.satisfaction.note", before=f"{estimate.before.mean:.0f}")
        tiles.append(Tile(say("tile.satisfaction"), f"{estimate.now.mean:.0f}", note, tone))
    return tuple(tiles)


def _notes(report: WeeklyReport, say: Wording, left_out: int) -> Section:
    told = [say(f"notes.{name}") for name in ("base", "certain", "cause", "labels")]
    if report.messages and report.covered < len(report.week.period.days()):
        told.insert(0, say("notes.covered", n=report.covered))
    if report.outside:
        days = say.listed(str(day) for day in sorted({report.outside[0], report.outside[-1]}))
        told.insert(0, say("notes.outside", n=f"{len(report.outside):,}", days=days))
    if report.untimed:
        told.append(say("notes.untimed", n=f"{report.untimed:,}"))
    if left_out:
        told.append(say("notes.left_out", n=f"{left_out:,}"))
    return Section("notes", say("notes"), tuple(told))
