"""The report's pictures: how people felt day by day, categories by day, what is to be expected, and the alerts."""

from pipeline.insights.report.pictures import Daily, Fired, Pictures
from pipeline.insights.report.weekly import WeeklyReport
from pipeline.insights.report_text.document import Band, Block, Heat, HeatRow, Layer, Section, Stacked, Table
from pipeline.insights.report_text.wording import Wording

_SHOWN = 7  # days that stand out: the week's
_TONES = {"negative": "bad", "positive": "good", "critical": "bad", "high": "warn", "medium": "mild"}


def pictures_section(report: WeeklyReport, say: Wording) -> Section:
    """Volume with its parts, and what the next two weeks may bring."""
    found = report.pictures
    if not report.messages:
        return Section("pictures", say("pictures"), (say("pictures.none"),))
    blocks: list[Block] = [_stacked(task, found, say) for task in ("sentiment", "urgency") if task in found.daily]
    if "category" in found.daily:
        blocks.append(_heat(found, found.daily["category"], say))
    lead = [say("pictures.lead", first=say.day(found.days[0]), last=say.day(found.days[-1]))]
    if found.ahead:
        blocks.append(_band(found, say))
    else:
        lead.append(say("pictures.no_forecast"))
    return Section("pictures", say("pictures"), tuple(lead), tuple(blocks))


def alerts_section(report: WeeklyReport, say: Wording) -> Section:
    """Rules that fired in the week."""
    fired = report.pictures.alerts
    if not fired:
        return Section("alerts", say("alerts"), (say("alerts.none"),))
    head = tuple(say(f"alerts.{name}") for name in ("day", "rule", "messages", "usual", "cause"))
    rows = tuple(_alert(one, say) for one in fired)
    return Section("alerts", say("alerts"), (say("alerts.lead"),), (Table(head, rows),))


def _alert(fired: Fired, say: Wording) -> tuple[str, ...]:
    counted = fired.expected is not None and fired.value == fired.messages  # no share, no mean
    usual = say.number(fired.expected) if counted and fired.expected is not None else say("none")
    cause = say("alerts.no_cause") if fired.cause is None else say.series(fired.cause)
    return say.day(fired.day), say.known(f"rule.{fired.rule}", fired.rule), f"{fired.messages:,}", usual, cause


def _stacked(task: str, found: Pictures, say: Wording) -> Stacked:
    daily = found.daily[task]
    order = _graver_first(task, daily)
    layers = tuple(
        Layer(say.label(task, daily.labels[i]), _TONES.get(daily.labels[i], "pale"), daily.counts[i]) for i in order
    )
    sums = say.listed(f"{layer.name} {sum(layer.values[-_SHOWN:]):,}" for layer in layers)
    return Stacked(
        caption=say("pictures.by", task=say.task(task)),
        told=say("pictures.by.told", task=say.task(task), sums=sums),
        layers=layers,
        labels=(say.day(found.days[0]), say.day(found.days[-1])),
        marked=min(_SHOWN, len(found.days)),
    )


def _graver_first(task: str, daily: Daily) -> list[int]:
    """From the axis up: what is bad is compared best where all columns begin at one height."""
    known = {"sentiment": ("negative", "neutral", "positive"), "urgency": ("critical", "high", "medium", "low")}[task]
    rank = {label: i for i, label in enumerate(known)}
    return sorted(range(len(daily.labels)), key=lambda i: rank.get(daily.labels[i], len(rank)))


def _heat(found: Pictures, daily: Daily, say: Wording) -> Heat:
    most = max(max(row) for row in daily.counts)
    rows = tuple(
        HeatRow(
            say.label("category", label),
            tuple((f"{say.day(day)}: {count:,}", count / most) for day, count in zip(found.days, counts, strict=True)),
            f"{sum(counts[-_SHOWN:]):,}",
        )
        for label, counts in zip(daily.labels, daily.counts, strict=True)
    )
    ends = (say.day(found.days[0]), say.day(found.days[-1]))
    return Heat(say("pictures.heat"), (say.task("category"), say("pictures.heat.week")), rows, ends)


def _band(found: Pictures, say: Wording) -> Band:
    total = sum(day.expected for day in found.ahead[:_SHOWN])
    low = min(day.lower for day in found.ahead)
    high = max(day.upper for day in found.ahead)
    return Band(
        caption=say("pictures.ahead"),
        told=say("pictures.ahead.told", total=f"{total:,.0f}", low=f"{low:,.0f}", high=f"{high:,.0f}"),
        past=tuple(map(float, found.totals)),
        expected=tuple(day.expected for day in found.ahead),
        lower=tuple(day.lower for day in found.ahead),
        upper=tuple(day.upper for day in found.ahead),
        labels=(say.day(found.days[0]), say.day(found.days[-1]), say.day(found.ahead[-1].day)),
    )
