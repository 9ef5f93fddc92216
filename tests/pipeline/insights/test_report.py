"""The weekly report as data: planted figures are found and counted over by hand; what is unknown is not told."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import ConfigError, DataError, UsageError
from pipeline.insights.alert_rules import load_rules
from pipeline.insights.read_table import ReadOptions, read_table
from pipeline.insights.report.desks import Handling
from pipeline.insights.report.previous import Earlier, Result, read_earlier
from pipeline.insights.report.settings import load_settings, settings_from_dict, shipped_settings
from pipeline.insights.report.shares import Share, Verdict, difference, verdict
from pipeline.insights.report.signs import Signs, signs_of
from pipeline.insights.report.week import Week, choose_week, data_span, parse_week, recent_part
from pipeline.insights.report.weekly import WeeklyReport, weekly_report
from pipeline.insights.table import FeedbackTable
from pipeline.insights.terms import read_terms
from pipeline.readers import open_file
from pipeline.resources import shipped
from pipeline.schema import LabelSchema, load_schema
from tests.pipeline.insights.comments import ZONE
from tests.pipeline.insights.report_rows import FIRST, LAST_MONDAY, planted_rows, write_rows

WEEK, WEEK_BEFORE = Week(LAST_MONDAY), Week(LAST_MONDAY - timedelta(days=7))
RULES = load_rules(shipped("data", "alerts.toml"))
Rows = list[dict[str, Any]]


def read(path: Path, rows: Rows, schema: LabelSchema | None = None) -> FeedbackTable:
    options = ReadOptions(schema or load_schema(), ZONE)
    return read_table([open_file(write_rows(path, rows))], options)[0]


def report_on(table: FeedbackTable, week: Week, earlier: Earlier | None = None) -> WeeklyReport:
    recent = recent_part(table, week)
    return weekly_report(
        table, recent, read_terms(recent.texts), week, settings=shipped_settings(), rules=RULES, earlier=earlier
    )


@pytest.fixture(scope="module")
def rows() -> Rows:
    return planted_rows()


@pytest.fixture(scope="module")
def table(rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> FeedbackTable:
    return read(tmp_path_factory.mktemp("report") / "scored.jsonl", rows)


@pytest.fixture(scope="module")
def before(table: FeedbackTable) -> WeeklyReport:
    return report_on(table, WEEK_BEFORE)


@pytest.fixture(scope="module")
def earlier(before: WeeklyReport, tmp_path_factory: pytest.TempPathFactory) -> Earlier:
    path = tmp_path_factory.mktemp("earlier") / "report.json"
    path.write_text(json.dumps(before.to_dict()), encoding="utf-8")
    return read_earlier(path)


@pytest.fixture(scope="module")
def report(table: FeedbackTable, earlier: Earlier) -> WeeklyReport:
    return report_on(table, WEEK, earlier)


def of_week(rows: Rows, week: Week = WEEK) -> Rows:
    days = {str(day) for day in week.period.days()}
    return [row for row in rows if str(datetime.fromisoformat(row["created_at"]).astimezone(ZONE).date()) in days]


def test_the_week_is_counted(rows: Rows, report: WeeklyReport) -> None:
    found = of_week(rows)
    assert report.messages == len(found) == report.growth.volume.now
    assert report.negative == Share(sum(row["sentiment"] == "negative" for row in found), len(found))
    assert report.grave == Share(sum(row["urgency"] in ("high", "critical") for row in found), len(found))
    assert report.covered == 7
    assert report.growth.base_days == 28
    assert report.growth.volume.verdict is Verdict.MORE
    assert report.growth.volume.usual == pytest.approx(7 * 40, rel=0.1)


def test_the_kettle_is_what_to_prevent(rows: Rows, report: WeeklyReport) -> None:
    planted = {row["id"] for row in rows if "底座" in row["text"] and row["shop"] == "S03" and "火花" in row["text"]}
    assert len(planted) >= 24
    (issue,) = report.prevent
    assert planted <= set(issue.ids)
    assert len(set(issue.ids) - planted) <= 3
    assert issue.growing
    assert issue.grave >= 24
    assert issue.desk == "safety"
    assert issue.category == "safety"
    assert issue.place is not None
    assert issue.place.series.parts == (("shop", "S03"),)
    assert issue.signs is not None
    assert len(issue.rows) == pytest.approx(24, abs=3)
    assert any("火花" in phrase for phrase in issue.named)
    assert report.issues[0].growing
    assert any("驿站" in phrase for issue in report.issues if issue.growing for phrase in issue.phrases)


def test_what_grew_is_told_once(report: WeeklyReport) -> None:
    grew = {change.series.parts[0] for change in report.growth.grew}
    assert ("shop", "S03") in grew
    assert len(grew & {("category", "logistics"), ("aspect logistics", "negative")}) == 1
    assert all(tally.low > 1 for tally in report.growth.grew)
    assert all(tally.high < 1 for tally in report.growth.fell)
    words = [change.series.name for change in report.growth.words]
    assert "驿站" in words
    assert all(len(word) > 1 for word in words)


def _stream(weeks: Sequence[Mapping[str, int]], *, aside: Mapping[str, Any] | None = None) -> Rows:
    """Weeks up to W15, so many comments of each text in each, spread over its days."""
    rows = []
    for back, texts in enumerate(reversed(weeks)):
        first = datetime.combine(LAST_MONDAY, datetime.min.time(), ZONE) - timedelta(days=7 * back)
        told = [text for text, count in texts.items() for _ in range(count)]
        for i, text in enumerate(told):
            at = first + timedelta(days=i % 7, hours=9)
            rows.append({"text": text, "created_at": at.isoformat()} | dict((aside or {}).get(text, {})))
    return rows


def test_a_usual_week_is_the_plain_mean_and_what_rose_is_not_called_fallen(tmp_path: Path) -> None:
    # All comments by half more, 好 a little more but a smaller share, 坏 twice, 批 from nothing, 慢 by a half less.
    calm = {"好用": 300, "坏了": 60, "太慢": 60, "还行": 180}
    week = {"好用": 320, "坏了": 120, "太慢": 25, "还行": 400, "漏液": 40}
    told = {
        "好用": {"sentiment": "positive", "batch": "A"},
        "坏了": {"sentiment": "negative", "batch": "B"},
        "太慢": {"sentiment": "negative", "batch": "C"},
        "还行": {"sentiment": "neutral", "batch": "D"},
        "漏液": {"sentiment": "negative", "batch": "E"},
    }
    before = [calm, calm, calm | {"好用": 290}, calm | {"好用": 300}]
    growth = report_on(read(tmp_path / "a.jsonl", _stream([*before, week], aside=told)), WEEK).growth
    grew = {tally.series.parts[0][1]: tally for tally in growth.grew}
    fell = {tally.series.parts[0][1]: tally for tally in growth.fell}
    assert growth.usual == growth.base_messages / 4 == 597.5
    assert (grew["B"].now, grew["B"].before, grew["B"].usual) == (120, 240, 60.0)
    assert not {"positive", "A"} & (set(grew) | set(fell))  # more of them, a smaller share: neither grew nor fell
    assert growth.grew[0].series.parts == (("batch", "E"),)
    assert growth.grew[0].usual == 0
    assert set(fell) == {"C"}
    assert (fell["C"].now, fell["C"].usual) == (25, 60.0)
    assert [tally.low for tally in growth.grew] == sorted((tally.low for tally in growth.grew), reverse=True)


def test_half_a_base_line_counts_by_the_week(tmp_path: Path) -> None:
    rows = _stream([{"好用": 70, "漏液": 7}, {"好用": 70, "漏液": 7}, {"好用": 70, "漏液": 30}])
    growth = report_on(read(tmp_path / "a.jsonl", rows), WEEK).growth
    assert (growth.base_days, growth.usual) == (14, 77.0)
    assert [(word.series.name, word.now, word.before, word.usual) for word in growth.words] == [("漏液", 30, 14, 7.0)]


def test_the_worst_desk_is_the_late_one(rows: Rows, report: WeeklyReport) -> None:
    found = of_week(rows)
    assert report.desks.by == "overdue"
    assert report.desks.count == len({row["queue"] for row in found})
    first = report.desks.worst[0]
    late = [row["responded_at"] > row["due_at"] for row in found if row["queue"] == "logistics"]
    assert (first.name, first.share) == ("logistics", Share(sum(late), len(late)))
    assert first.against is Verdict.MORE
    assert len(report.desks.worst) <= 3
    assert all(desk.against is not Verdict.FEWER for desk in report.desks.worst)
    assert report.handling.overdue is not None
    assert report.handling.overdue.now == Share(sum(row["responded_at"] > row["due_at"] for row in found), len(found))
    assert report.handling.overdue.verdict is Verdict.MORE


def test_repeated_complaints_are_those_of_the_same_customer_and_category(rows: Rows, report: WeeklyReport) -> None:
    complaints = [row for row in rows if row["sentiment"] == "negative"]
    week = {row["id"] for row in of_week(rows)}
    again = set()
    last: dict[tuple[str, str], datetime] = {}
    for row in complaints:  # in order of time
        key, at = (row["customer_ref"], row["category"]), datetime.fromisoformat(row["created_at"])
        if key in last and at - last[key] <= timedelta(days=30):
            again.add(row["id"])
        last[key] = at
    count = sum(row["id"] in week for row in complaints)
    assert report.handling.repeated is not None
    assert report.handling.repeated.now == Share(len(again & week), count)
    assert again & week


def test_satisfaction_and_surveys_by_hand(rows: Rows, report: WeeklyReport) -> None:
    found = of_week(rows)
    satisfaction = report.satisfaction
    assert satisfaction.by == "satisfaction"
    assert satisfaction.estimate.now is not None
    assert satisfaction.estimate.now.mean == pytest.approx(np.mean([(row["satisfaction"] - 1) * 25 for row in found]))
    surveys = {survey.name: survey for survey in satisfaction.surveys}
    assert set(surveys) == {"nps", "csat"}
    nps = [row["nps"] for row in found if "nps" in row]
    net = 100 * (sum(answer >= 9 for answer in nps) - sum(answer <= 6 for answer in nps)) / len(nps)
    assert surveys["nps"].net == pytest.approx(net)
    csat = [(row["csat"] - 1) * 25 for row in found if "csat" in row]
    assert surveys["csat"].score.now is not None
    assert surveys["csat"].score.now.mean == pytest.approx(np.mean(csat))
    assert surveys["csat"].agreement is not None
    assert surveys["csat"].agreement > 0.6
    assert len(satisfaction.weekly) == 7


def test_servqual_by_hand(rows: Rows, report: WeeklyReport) -> None:
    found = {quality.dimension.key: quality for quality in report.satisfaction.qualities}
    assert list(found) == ["tangibles", "reliability", "responsiveness", "assurance", "empathy"]
    spoken = [row["aspects"] for row in of_week(rows) if {"safety", "account"} & set(row["aspects"])]
    blamed = sum(-1 in (aspects.get("safety"), aspects.get("account")) for aspects in spoken)
    assert found["assurance"].blamed == Share(blamed, len(spoken))


def test_the_last_list_is_looked_back_on(before: WeeklyReport, report: WeeklyReport) -> None:
    assert before.items[0].title == "、".join(before.issues[0].named)
    assert report.follow_up is not None
    assert report.follow_up.recounted
    crash = next(outcome for outcome in report.follow_up.outcomes if "闪退" in outcome.item.title)
    assert crash.then.count >= 30
    assert crash.now.count < crash.then.count / 3
    assert crash.result is Result.FEWER


def test_without_the_earlier_week_its_own_figures_count(
    rows: Rows, earlier: Earlier, report: WeeklyReport, tmp_path: Path
) -> None:
    alone = report_on(read(tmp_path / "a.jsonl", of_week(rows)), WEEK, earlier)
    assert alone.follow_up is not None
    assert not alone.follow_up.recounted
    then = [outcome.then for outcome in alone.follow_up.outcomes]
    assert then == [item.share for item in earlier.items]
    assert not alone.growth.comparable
    assert alone.growth.volume.verdict is Verdict.UNKNOWN
    assert not alone.growth.grew
    assert [issue.desk for issue in alone.prevent][:1] == ["safety"]  # by gravity alone


def test_the_same_data_make_the_same_report(table: FeedbackTable, earlier: Earlier, report: WeeklyReport) -> None:
    assert report_on(table, WEEK, earlier).to_dict() == report.to_dict()


def test_an_empty_week_and_one_row(rows: Rows, tmp_path: Path) -> None:
    week = {row["id"] for row in of_week(rows)}
    later = rows[-1] | {"created_at": "2025-04-20T10:00:00+08:00", "id": "later"}
    empty = report_on(read(tmp_path / "a.jsonl", [row for row in rows if row["id"] not in week] + [later]), WEEK)
    assert (empty.messages, empty.issues, empty.prevent, empty.items) == (0, (), (), ())
    assert empty.growth.volume.verdict is Verdict.FEWER
    assert empty.handling.overdue is not None
    assert empty.handling.overdue.now == Share(0, 0)
    one = read(tmp_path / "b.jsonl", [{"text": "灯不亮了", "created_at": "2025-04-09"}])
    found = report_on(one, choose_week(one.days))
    assert found.week == WEEK
    assert (found.messages, found.covered, found.negative, found.grave) == (1, 1, None, None)
    assert found.desks.lacking == ("queue",)
    assert found.satisfaction.by is None
    assert found.satisfaction.by_aspects is None
    far = read(tmp_path / "c.jsonl", [{"text": "灯不亮", "created_at": day} for day in ("2025-01-06", "2025-06-01")])
    nothing = report_on(far, WEEK)
    assert (nothing.messages, nothing.growth.base_messages, nothing.growth.comparable) == (0, 0, False)


def test_what_is_due_and_open_counts_from_the_last_moment_of_the_file(tmp_path: Path) -> None:
    def row(hour: int, due: str | None, **more: Any) -> dict[str, Any]:
        created = f"2025-04-13T{hour:02}:00:00+08:00"
        return {"text": f"第{hour}次来问", "created_at": created, "queue": "general", "due_at": due} | more

    made = [
        row(1, "2025-04-13T05:00:00+08:00", status="new"),  # late: open, and due before the last moment
        row(2, "2025-04-13T23:30:00+08:00", status="new"),  # not due yet
        row(3, "2025-04-13T05:00:00+08:00", status="resolved", status_at="2025-04-13T06:00:00+08:00"),  # late
        row(4, "2025-04-13T05:00:00+08:00", status="resolved", status_at="2025-04-13T04:30:00+08:00"),  # in time
        row(5, None, status="new"),  # no due time
        row(6, "2025-04-13T05:00:00+08:00", status="resolved"),  # nobody knows when
        row(20, "2025-04-14T05:00:00+08:00", status="new", overdue_at="2025-04-13T21:00:00+08:00"),  # noted
    ]
    found = report_on(read(tmp_path / "a.jsonl", made), WEEK)
    assert found.handling.overdue is not None
    assert found.handling.overdue.now == Share(3, 4)
    assert found.desks.by == "overdue"
    assert found.desks.worst == ()  # four comments are too few to rank a desk by


def test_without_times_of_answers_desks_go_by_gravity(rows: Rows, tmp_path: Path) -> None:
    gone = ("due_at", "responded_at", "status", "customer_ref", "satisfaction", "aspects")
    kept = [{name: cell for name, cell in row.items() if name not in gone} for row in rows]
    found = report_on(read(tmp_path / "a.jsonl", kept), WEEK)
    assert found.desks.by == "grave"
    assert found.desks.worst[0].name == "safety"
    assert found.handling.overdue is None
    assert found.handling.repeated is None
    assert found.satisfaction.by == "sentiment"
    assert found.satisfaction.by_aspects is False
    assert found.satisfaction.qualities[0].praised.of > 0


def test_repeats_are_compared_with_weeks_that_can_look_back(tmp_path: Path) -> None:
    # 40 customers who complain every week: all of it is repeated, save what the beginning of the file cuts off.
    def told(weeks: int) -> Handling:
        rows = [
            {
                "text": f"{name}号又来投诉",
                "sentiment": "negative",
                "customer_ref": f"k{name}",
                "created_at": datetime.combine(LAST_MONDAY, datetime.min.time(), ZONE)
                + timedelta(days=name % 7 - 7 * back, hours=9),
            }
            for back in range(weeks)
            for name in range(40)
        ]
        table = read(tmp_path / f"{weeks}.jsonl", [row | {"created_at": str(row["created_at"])} for row in rows])
        return report_on(table, WEEK).handling

    late, long = told(4).repeated, told(10).repeated
    assert late is not None
    assert (late.now, late.before, late.weeks, late.verdict) == (Share(40, 40), Share(0, 0), 0, Verdict.UNKNOWN)
    assert long is not None
    assert (long.before, long.weeks, long.verdict) == (Share(160, 160), 4, Verdict.SAME)
    half = told(7).repeated  # the data begin 42 days before the week: one week before it can look back 30
    assert half is not None
    assert (half.before, half.weeks) == (Share(40, 40), 1)


def test_a_date_far_away_makes_no_week(rows: Rows, tmp_path: Path) -> None:
    odd = ("2036-05-01T10:00:00+08:00", "1970-01-01T10:00:00+08:00", "2025-06-20T10:00:00+08:00")
    made = [*rows, *(rows[0] | {"created_at": day, "id": f"odd{i}"} for i, day in enumerate(odd))]
    found = read(tmp_path / "a.jsonl", made)
    today = datetime(2025, 4, 20).date()
    # Those years away are left out when the file is read; whoever makes a table otherwise may bring them.
    days = np.append(found.days, np.array(["1970-01-01", "2036-05-01"], dtype="datetime64[D]"))
    assert choose_week(days, today=today) == choose_week(found.days, today=today) == WEEK
    span = data_span(days, today)
    assert [str(day) for day in span.outside] == ["1970-01-01", "2025-06-20", "2036-05-01"]
    assert span.period.first == FIRST
    later = datetime(2026, 1, 1).date()  # the one in June is late, but not far: no usual week all the same
    assert choose_week(found.days, today=later) == WEEK
    report = report_on(found, WEEK)
    assert report.untimed == 2
    assert report.covered == 7
    assert report.growth.base_days == 28
    to_come = np.array(["2099-03-02", "2099-03-08"], dtype="datetime64[D]")
    assert str(choose_week(to_come, today=today)) == "2099-W10"  # all of them are: taken as they are


@pytest.mark.parametrize(
    ("days", "week"),
    [
        (["2025-04-01", "2025-04-13"], "2025-W15"),  # a Sunday ends its week
        (["2025-04-01", "2025-04-12"], "2025-W14"),
        (["2025-04-08", "2025-04-12"], "2025-W15"),  # none is over: that of the last day
        (["2024-12-20", "2025-01-05"], "2025-W01"),
    ],
)
def test_the_last_whole_week(days: list[str], week: str) -> None:
    assert str(choose_week(np.array(days, dtype="datetime64[D]"))) == week


def test_weeks_that_cannot_be_reported_on(table: FeedbackTable, earlier: Earlier) -> None:
    assert parse_week("2025W07") == Week.of(datetime(2025, 2, 16).date())
    for text in ("2025-W54", "last", "2025-W1x", "0000-W01"):
        with pytest.raises(UsageError, match="a week is written as 2026-W47"):
            parse_week(text)
    with pytest.raises(UsageError, match=r"no comment is of 2024-W01 .* 2025-W09 to 2025-W15"):
        choose_week(table.days, parse_week("2024-W01"))
    with pytest.raises(DataError, match="give a column created_at"):
        choose_week(np.array(["NaT"], dtype="datetime64[D]"))
    with pytest.raises(UsageError, match="is of 2025-W14, which is not before 2025-W14"):
        report_on(table, WEEK_BEFORE, earlier)


@pytest.mark.parametrize(
    "body",
    [
        "no json",
        "[]",
        '{"kind": "other"}',
        '{"kind": "fankui weekly report", "version": 2, "week": "2025-W14", "list": []}',
        '{"kind": "fankui weekly report", "version": 1, "week": "soon", "list": []}',
        '{"kind": "fankui weekly report", "version": 1, "week": "2025-W14", "list": [{"title": "x"}]}',
        '{"kind": "fankui weekly report", "version": 1, "week": "2025-W14", "list": [{"title": "x", "within_48h": true,'
        '"desk": null, "usual": null, "signs": {"phrases": ["a"], "least": 1}, "share": {"count": 3, "of": 2}}]}',
    ],
)
def test_other_files_are_no_earlier_report(tmp_path: Path, body: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(body, encoding="utf-8")
    with pytest.raises(DataError, match="is no JSON that `fankui insights report` left"):
        read_earlier(path)
    with pytest.raises(DataError, match="does not exist"):
        read_earlier(tmp_path / "none.json")


def test_signs_tell_an_issue_from_the_rest() -> None:
    texts = ["壶底座冒火花", "底座打火花", "底座有点松", "火花四溅的烟花", "很好用"]
    belongs = np.array([True, True, False, False, False])
    signs = signs_of(["底座", "火花"], texts, belongs)
    assert signs == Signs(("底座", "火花"), 2)
    assert signs.found(texts).tolist() == belongs.tolist()
    assert signs_of([], texts, belongs) is None
    assert Signs.from_dict(signs.to_dict()) == signs


def test_verdicts_say_nothing_about_few() -> None:
    def of(now: Share, then: Share) -> Verdict:
        return verdict(now, then, difference(now, then))

    assert of(Share(0, 300), Share(4, 300)) is Verdict.UNKNOWN
    assert of(Share(0, 0), Share(40, 300)) is Verdict.UNKNOWN
    assert of(Share(10, 300), Share(12, 300)) is Verdict.SAME
    assert of(Share(10, 300), Share(40, 300)) is Verdict.FEWER
    assert of(Share(40, 300), Share(10, 300)) is Verdict.MORE
    assert Share(1, 1).surely < Share(50, 80).surely


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda body: body.update(extra=1), "unknown key 'extra'"),
        (lambda body: body["look_at"].pop("otherwise"), "otherwise: expected a text for causes"),
        (
            lambda body: body["look_at"].update(people="看人"),
            "[look_at] people: expected a text in Chinese and in English",
        ),
        (lambda body: body["servqual"]["empathy"].pop("aspects"), "[servqual.empathy] aspects: expected a list"),
        (lambda body: body["servqual"].update(empathy=3), "[servqual.empathy]: expected a table"),
    ],
)
def test_mistakes_in_the_settings_are_told(change: Callable[[dict[str, Any]], object], message: str) -> None:
    import tomllib

    from pipeline.resources import shipped

    body = tomllib.loads(shipped("data", "report.toml").read_text(encoding="utf-8"))
    change(body)
    with pytest.raises(ConfigError) as caught:
        settings_from_dict(body)
    assert message in caught.value.message
    assert caught.value.code == "report_invalid"


def test_the_settings_name_what_the_schema_and_the_fishbone_have(schema: LabelSchema) -> None:
    from pipeline.insights.lexicon import shipped_lexicon
    from pipeline.resources import shipped

    settings = load_settings(shipped("data", "report.toml"))
    assert {key for dimension in settings.dimensions for key in dimension.aspects} <= set(schema.task("category").keys)
    assert set(settings.look_at) == {bone.key for bone in shipped_lexicon().bones}


def test_customers_are_numbers_and_moments_are_kept(table: FeedbackTable) -> None:
    assert table.customers is not None
    assert table.customers.dtype == np.int64
    assert set(table.moments) == {"due_at", "responded_at"}
    assert "customer_ref" not in table.attributes
    assert table.attributes["status"].values == ("resolved",)
    some = table.take(np.array([3, 1]))
    assert some.customers is not None
    assert some.customers.tolist() == [table.customers[3], table.customers[1]]
    assert some.moments["due_at"][0] == table.moments["due_at"][3]
    assert replace(some, customers=None).customers is None
