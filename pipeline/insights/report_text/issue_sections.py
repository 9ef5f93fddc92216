"""The parts of the report about issues: what to prevent, what is hot, and what became of the last list."""

from pipeline.insights.report.issues import Issue
from pipeline.insights.report.previous import FollowUp, Outcome, Result
from pipeline.insights.report.settings import ReportSettings
from pipeline.insights.report.week import BASE_WEEKS
from pipeline.insights.report.weekly import WeeklyReport
from pipeline.insights.report_text.document import Card, Section, Table
from pipeline.insights.report_text.wording import Wording

_CARDS = 4  # issues told at length that are not told above
_NAMES = 5  # columns that are named as looked at
_TONES = {Result.FEWER: "good", Result.MORE: "bad", Result.HIGH: "bad"}


def issue_title(issue: Issue, say: Wording) -> str:
    """Its first key phrases."""
    return say.listed(issue.named) or say("issue.untitled")


def prevent_section(report: WeeklyReport, settings: ReportSettings, say: Wording) -> Section:
    """What must not go on for another 48 hours."""
    lead = [say("prevent.lead")]
    cards = [_card(issue, report, settings, say) for issue in report.prevent]
    if report.grave is None:
        lead = [say("prevent.no_urgency")]
    elif not cards:
        lead = [say("prevent.none")]
    elif not report.growth.comparable:
        lead = [say("prevent.no_base")]
    after = [say("prevent.alone", n=f"{report.alone:,}")] if report.alone else []
    return Section("prevent", say("prevent"), tuple(lead), tuple(cards), tuple(after))


def hot_section(report: WeeklyReport, settings: ReportSettings, say: Wording) -> Section:
    """All hot issues in a table; those that are not told above already with their cause and a quote."""
    if not report.issues:
        return Section("hot", say("hot"), (say("hot.none"),))
    above = {id(issue) for issue in report.prevent}
    head = (
        say("hot.issue"), say("issue.count"), say(_before_name(report)), say("hot.grave"), say("hot.place"),
        say("hot.state"),
    )  # fmt: skip
    rows, tones = [], []
    for issue in report.issues:
        title, (badge, tone) = issue_title(issue, say), _badge(issue, say)
        rows.append(
            (
                say("followed.48", title=title) if id(issue) in above else title,
                f"{len(issue.rows):,}",
                _before(issue, report, say),
                f"{issue.grave:,}" if report.grave is not None else say("none"),
                _place(issue, say),
                badge,
            )
        )
        tones.append(tone)
    left = [issue for issue in report.issues if id(issue) not in above][:_CARDS]
    lead = (say("hot.lead"), say("hot.cards", n=len(left)) if left and above else "")
    cards = [_card(issue, report, settings, say) for issue in left]
    return Section("hot", say("hot"), lead, (Table(head, tuple(rows), tuple(tones)), *cards))


def _before_name(report: WeeklyReport) -> str:
    return "hot.before" if report.growth.base_days == 7 * BASE_WEEKS else "hot.before.mean"


def _before(issue: Issue, report: WeeklyReport, say: Wording) -> str:
    """Of each week before, where there are all of them."""
    if issue.weekly is None or issue.usual is None:
        return say("none")
    if report.growth.base_days < 7 * BASE_WEEKS:
        return say.mean(issue.usual)
    return say.listed(f"{count:,}" for count in issue.weekly)


def _place(issue: Issue, say: Wording) -> str:
    place = issue.place
    if place is None:
        return say("none")
    return say("share.part", name=say.series(place.series), share=say.percent(place.share))


def followed_section(report: WeeklyReport, say: Wording, *, file: str) -> Section:
    """`file`: how this report's JSON is called."""
    found = report.follow_up
    if found is None:
        return Section("followed", say("followed"), (say("followed.lacking", file=file),))
    week = say.week(found.week)
    if not found.outcomes:
        return Section("followed", say("followed"), (say("followed.empty", week=week),))
    order = (Result.FEWER, Result.MORE, Result.HIGH, Result.USUAL, Result.SAME, Result.UNKNOWN)
    counts = [say(f"followed.lead.{kind}", n=found.count(kind)) for kind in order if found.count(kind)]
    lead = [say("followed.lead", week=week, n=len(found.outcomes), counts=say("comma").join(counts))]
    if any(outcome.joined for outcome in found.outcomes):
        lead.append(say("followed.joined"))
    if not found.recounted:
        lead.append(say("followed.not_recounted"))
    head = (
        say("followed.item"), say("followed.usual"), say("followed.then", week=week), say("followed.now"),
        say("followed.verdict"),
    )  # fmt: skip
    table = Table(
        head,
        tuple(_outcome(outcome, say) for outcome in found.outcomes),
        tuple(_TONES.get(outcome.result, "") for outcome in found.outcomes),
    )
    return Section("followed", say("followed"), tuple(lead), (table,), (_caution(found, say),))


def _caution(found: FollowUp, say: Wording) -> str:
    return say("followed.caution") if found.count(Result.FEWER) else ""


def _outcome(outcome: Outcome, say: Wording) -> tuple[str, ...]:
    item = outcome.item
    title = say("followed.48", title=item.title) if item.within_48h else item.title
    cells = [
        say("followed.of", count=f"{share.count:,}", rate=say.number(1000 * share.value) if share.of else say("none"))
        for share in (outcome.then, outcome.now)
    ]
    usual = say("none") if outcome.usual is None else say.mean(outcome.usual)
    return title, usual, *cells, say(f"followed.result.{outcome.result}")


def _card(issue: Issue, report: WeeklyReport, settings: ReportSettings, say: Wording) -> Card:
    badge, tone = _badge(issue, say)
    facts = [(say("issue.count"), _count(issue, report, say))]
    if report.grave is not None:
        some = say("issue.grave.some", n=f"{issue.grave:,}") if issue.grave else say("issue.grave.none")
        facts.append((say("issue.grave"), some))
    look = settings.otherwise if issue.bone is None else settings.look_at.get(issue.bone.key, settings.otherwise)
    facts += [
        (say("issue.cause"), _cause(issue, report, say)),
        (say("issue.desk"), _desk(issue, say)),
        (say("issue.look"), look.in_(say.language)),
    ]
    return Card(issue_title(issue, say), badge, tone, tuple(facts), issue.quotes[:1], issue.daily, say("issue.spark"))


def _badge(issue: Issue, say: Wording) -> tuple[str, str]:
    if issue.usual is None:
        return say("issue.unknown"), ""
    if not issue.growing:
        return say("issue.steady"), ""
    return (say("issue.new") if issue.new else say("issue.growing")), "bad"


def _count(issue: Issue, report: WeeklyReport, say: Wording) -> str:
    count = f"{len(issue.rows):,}"
    if issue.usual is None:
        return say("issue.count.alone", n=count)
    if issue.new:
        return say("issue.count.new", n=count)
    if report.growth.base_days < 7 * BASE_WEEKS:
        return say("issue.count.mean", n=count, usual=say.mean(issue.usual))
    return say("issue.count.weeks", n=count, weeks=_before(issue, report, say), usual=say.mean(issue.usual))


def _cause(issue: Issue, report: WeeklyReport, say: Wording) -> str:
    place = issue.place
    told = say("issue.cause.no_attributes")
    if report.attributes:
        told = say("issue.cause.wide", names=say.listed(map(say.attribute, report.attributes[:_NAMES])))
    if place is not None:
        told = say(
            "issue.cause.where",
            share=say.percent(place.share), where=say.series(place.series), rest=say.percent(place.rest_share),
        )  # fmt: skip
    if issue.bone is None:
        return told
    bone = say.known(f"bone.{issue.bone.key}", issue.bone.zh)
    if not issue.bone.words:
        return told + say("issue.bone.plain", bone=bone)
    return told + say("issue.bone", bone=bone, words=say.listed(issue.bone.words[:3]))


def _desk(issue: Issue, say: Wording) -> str:
    if issue.desk is not None:
        return say.desk(issue.desk)
    if issue.category is None:
        return say("issue.desk.nothing")
    return say("issue.desk.none", category=say.label("category", issue.category))
