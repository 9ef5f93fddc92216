"""The parts of the report about figures: what grew, desks, overdue, satisfaction, SERVQUAL."""

from pipeline.insights.report.desks import Desks, Rate
from pipeline.insights.report.growth import Growth, Tally, Volume
from pipeline.insights.report.satisfaction import Compared, Quality, Satisfaction, Survey
from pipeline.insights.report.shares import Share, Verdict
from pipeline.insights.report.week import BASE_WEEKS
from pipeline.insights.report.weekly import WeeklyReport
from pipeline.insights.report_text.document import Bar, Bars, Block, Chart, Section, Split, Splits, Table
from pipeline.insights.report_text.wording import Wording

_TWICE = 2.0  # from which a change is told in times …
_TENFOLD = 10.0  # … and in whole ones
_HIGH, _SOME = 0.6, 0.3  # rank correlation


def grew_section(report: WeeklyReport, say: Wording) -> Section:
    """What grew and fell against the base line."""
    growth = report.growth
    volume = growth.volume
    caption = say("grew.daily" if volume.expected else "grew.daily.plain")
    ends = (say.day(volume.first), say.day(report.week.last))
    blocks: list[Block] = [
        Chart(caption, _daily(volume, say), tuple(map(float, volume.daily)), ends, 7, volume.expected)
    ]
    after = []
    if not report.messages:
        lead = [say("grew.no_week")]
    elif not growth.comparable:
        lead = [say("grew.no_base")]
    else:
        lead = [say("grew.lead" if growth.base_days == 7 * BASE_WEEKS else "grew.some", n=growth.base_days)]
        lead.append(volume_text(report, say))
        if not growth.grew:
            lead.append(say("grew.none"))
        blocks += [
            _bars(tallies, say(caption), growth, say)
            for tallies, caption in ((growth.grew, "grew.bars"), (growth.fell, "grew.fell"))
            if tallies
        ]
        if growth.words:
            after.append(say("grew.words", words=say.listed(_word(tally, say) for tally in growth.words)))
    return Section("grew", say("grew"), tuple(lead), tuple(blocks), tuple(after))


def _daily(volume: Volume, say: Wording) -> str:
    days = say.listed(f"{count:,}" for count in volume.daily[-7:])
    if not volume.expected:
        return say("grew.daily.told", days=days)
    return say("grew.daily.told.usual", days=days, usual=say.listed(f"{count:,.0f}" for count in volume.expected))


def volume_text(report: WeeklyReport, say: Wording) -> str:
    """All comments against the plain mean of the weeks before; "" where there is none."""
    usual = report.growth.usual
    if usual is None:
        return ""
    change = change_text(report.messages, usual, say)
    return say("grew.volume", now=f"{report.messages:,}", usual=say.mean(usual), change=change)


def _bars(tallies: tuple[Tally, ...], caption: str, growth: Growth, say: Wording) -> Bars:
    usual = say("grew.usual" if growth.base_days == 7 * BASE_WEEKS else "grew.usual.some")
    head = (say("grew.what"), say("grew.now"), usual, say("grew.change"))
    return Bars(caption, head, tuple(_bar(tally, say) for tally in tallies))


def _bar(tally: Tally, say: Wording) -> Bar:
    return Bar(
        say.series(tally.series),
        tally.now,
        tally.usual,
        f"{tally.now:,}",
        say.mean(tally.usual),
        change_text(tally.now, tally.usual, say),
        "bad" if tally.grew and tally.series.parts != (("sentiment", "positive"),) else "",
    )


def change_text(now: float, usual: float, say: Wording) -> str:
    """How much more or less, as people say it."""
    if not usual:
        return say("change.new")
    ratio = now / usual
    if ratio >= _TWICE:
        return say("change.times", n=f"{ratio:.0f}" if ratio >= _TENFOLD else f"{ratio:.1f}")
    if f"{abs(ratio - 1):.0%}" == "0%":
        return say("change.same")
    return say("change.more" if ratio >= 1 else "change.fewer", n=f"{abs(ratio - 1):.0%}")


def _word(tally: Tally, say: Wording) -> str:
    word = tally.series.parts[0][1]
    return say("grew.word", word=word, before=say.mean(tally.usual), now=f"{tally.now:,}")


def desks_section(report: WeeklyReport, say: Wording) -> Section:
    """The three worst."""
    desks = report.desks
    if desks.by is None:
        which = "queue" if "queue" in desks.lacking else "other"
        return Section("desks", say("desks"), (say(f"desks.lacking.{which}"),))
    overall = say.percent(desks.overall.value)
    lead = say(f"desks.{desks.by}", n=desks.count, overall=overall)
    if not desks.worst:
        few = say("desks.few", n=f"{desks.overall.count:,}") if desks.overall.count else say("desks.none")
        return Section("desks", say("desks"), (lead, few))
    return Section("desks", say("desks"), (lead,), (_desk_table(desks, say),))


def _desk_table(desks: Desks, say: Wording) -> Table:
    head = (
        say("desks.name"), say("desks.messages"), say(f"desks.share.{desks.by}"), say("desks.before"),
        say("desks.category"),
        say("desks.against"),
    )  # fmt: skip
    rows = []
    for desk in desks.worst:
        category = say("none")
        if desk.category is not None:
            name = say.label("category", desk.category)
            category = say("share.part", name=name, share=say.percent(desk.category_share))
        share, before = say.share(desk.share), say.percent(desk.before.value)
        rows.append(
            (say.desk(desk.name), f"{desk.messages:,}", share, before, category, say(f"desks.against.{desk.against}"))
        )
    tones = tuple("bad" if desk.against is Verdict.MORE else "" for desk in desks.worst)
    return Table(head, tuple(rows), tones)


def handling_section(report: WeeklyReport, say: Wording) -> Section:
    """Overdue and repeated complaints: a sentence each."""
    told = []
    for name in ("overdue", "repeated"):
        rate: Rate | None = getattr(report.handling, name)
        told.append(say(f"handling.{name}.lacking") if rate is None else _rate(name, rate, say))
    return Section("handling", say("handling"), tuple(told))


def _rate(name: str, rate: Rate, say: Wording) -> str:
    now: Share = rate.now
    if not now.of:
        return say(f"handling.{name}.none")
    change = say(f"handling.change.{rate.verdict}", before=say.percent(rate.before.value), weeks=rate.weeks)
    if not rate.weeks:
        change = say("handling.change.too_early")
    return say(
        f"handling.{name}", of=f"{now.of:,}", count=f"{now.count:,}", share=say.percent(now.value), change=change
    )


def satisfaction_section(found: Satisfaction, say: Wording) -> Section:
    """The estimate beside surveys."""
    if found.by is None and not found.surveys:
        lead = [say("satisfaction.lacking"), say("satisfaction.no_survey")]
        return Section("satisfaction", say("satisfaction"), tuple(lead))
    lead = [say("satisfaction.lacking")] if found.by is None else [_estimate(found.estimate, say)]
    if found.by is not None:
        lead.append(say(f"satisfaction.lead.{found.by}"))
    blocks: list[Block] = []
    if len(found.weekly) > 1:
        means = tuple(mean for _, mean in found.weekly)
        ends = tuple(first[5:].replace("-", "/") for first in (found.weekly[0][0], found.weekly[-1][0]))
        told = say("satisfaction.weekly.told", means=say.listed(f"{mean:.0f}" for mean in means))
        blocks.append(Chart(say("satisfaction.weekly"), told, means, ends, 1, line=True, top=100.0))
    if not found.surveys:
        return Section(
            "satisfaction", say("satisfaction"), tuple(lead), tuple(blocks), (say("satisfaction.no_survey"),)
        )
    blocks.append(_survey_table(found, say))
    return Section("satisfaction", say("satisfaction"), tuple(lead), tuple(blocks), tuple(_mapping(found, say)))


def _estimate(estimate: Compared, say: Wording) -> str:
    now, before = estimate.now, estimate.before
    if now is None:
        return say("satisfaction.none")
    if not now.enough:
        return say("satisfaction.few", n=now.count)
    told = {"now": f"{now.mean:.0f}", "margin": f"{max(now.margin, 0.5):.0f}"}
    if before is None or not before.enough:
        return say("satisfaction.alone", **told)
    change = say(f"satisfaction.change.{estimate.verdict}")
    return say("satisfaction.now", **told, before=f"{before.mean:.0f}", change=change)


def _survey_table(found: Satisfaction, say: Wording) -> Table:
    head = tuple(say(f"survey.{name}") for name in ("name", "now", "before", "answers", "agreement"))
    rows: list[tuple[str, ...]] = []
    if found.by is not None:
        rows.append((say("survey.estimate"), *_means(found.estimate, say), say("none")))
    rows += [_survey(survey, say) for survey in found.surveys]
    return Table(head, tuple(rows))


def _means(score: Compared, say: Wording) -> tuple[str, str, str]:
    now, before = (
        say("none")
        if part is None
        else say("survey.score", mean=f"{part.mean:.0f}")
        if part.enough
        else say("survey.few")
        for part in (score.now, score.before)
    )
    return now, before, "0" if score.now is None else f"{score.now.count:,}"


def _survey(survey: Survey, say: Wording) -> tuple[str, ...]:
    now, before, count = _means(survey.score, say)
    if survey.net is not None and survey.score.now is not None and survey.score.now.enough:
        now = say("survey.net", mean=f"{survey.score.now.mean:.0f}", net=f"{survey.net:+.0f}")
    found = survey.agreement
    if found is None:
        return survey.name.upper(), now, before, count, say("agreement.unknown")
    level = "high" if found >= _HIGH else "some" if found >= _SOME else "low"
    return survey.name.upper(), now, before, count, say(f"agreement.{level}", n=f"{found:.2f}")


def _mapping(found: Satisfaction, say: Wording) -> list[str]:
    maps = [
        say("survey.scale", name=survey.name.upper(), low=f"{survey.scale[0]:.0f}", high=f"{survey.scale[1]:.0f}")
        for survey in found.surveys
    ]
    told = [say("survey.mapped", maps=say.listed(maps))]
    told += [say(f"survey.mapped.{survey.name}") for survey in found.surveys if survey.name in ("nps", "ces")]
    return told + [
        say("survey.left_out", name=survey.name.upper(), n=f"{survey.left_out:,}")
        for survey in found.surveys
        if survey.left_out
    ]


def servqual_section(found: Satisfaction, say: Wording) -> Section:
    """Five dimensions, praised and blamed."""
    if found.by_aspects is None:
        return Section("servqual", say("servqual"), (say("servqual.lacking"),))
    lead = [say("servqual.lead")] if found.by_aspects else [say("servqual.lead"), say("servqual.by_category")]
    head = (
        say("servqual.dimension"), say("servqual.praised"), say("servqual.blamed"), say("servqual.count"),
        say("servqual.change"),
    )  # fmt: skip
    splits = Splits(head, tuple(_split(quality, say) for quality in found.qualities))
    return Section("servqual", say("servqual"), tuple(lead), (splits,))


def _split(quality: Quality, say: Wording) -> Split:
    name, means = (text.in_(say.language) for text in (quality.dimension.name, quality.dimension.means))
    verdict = quality.score.verdict
    tone = {Verdict.MORE: "good", Verdict.FEWER: "bad"}.get(verdict, "")
    change = say(f"servqual.change.{verdict}")
    if not quality.praised.of:
        nobody = say("servqual.none")
        return Split(name, means, None, None, say("none"), say("none"), nobody, change, tone)
    praised, blamed = quality.praised, quality.blamed
    return Split(
        name, means, praised.value, blamed.value, say.percent(praised.value), say.percent(blamed.value),
        f"{praised.of:,}", change, tone,
    )  # fmt: skip
