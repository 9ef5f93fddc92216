"""What bursts on a day, what it is about, and where it comes from."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.insights.alert_rules import rules_from_dict
from pipeline.insights.alerts import find_alerts, too_early
from pipeline.insights.bursts import baseline, find_bursts
from pipeline.insights.causes import find_causes
from pipeline.insights.dependencies import determined_by
from pipeline.insights.incidents import find_incidents, find_slow_incidents
from pipeline.insights.series import Membership, membership
from pipeline.insights.table import Categories, FeedbackTable
from pipeline.insights.terms import read_terms
from tests.pipeline.insights.comments import FIRST, quiet_table, with_incident

LAST = FIRST + timedelta(days=39)


@pytest.fixture(scope="module")
def quiet() -> tuple[FeedbackTable, Membership]:
    table = quiet_table()
    return table, membership(table, read_terms(table.texts))


@pytest.fixture(scope="module")
def told() -> tuple[FeedbackTable, Membership]:
    table = with_incident(quiet_table())
    return table, membership(table, read_terms(table.texts))


def test_an_incident_is_one_with_its_comments_and_its_shop(told: tuple[FeedbackTable, Membership]) -> None:
    table, members = told
    (incident,) = find_incidents(table, members, LAST)
    ids = {table.ids[i] for i in incident.rows}
    assert ids >= {f"x{i}" for i in range(12)}
    assert len(ids) <= 14  # the shop's other complaint of the day may be taken along
    assert incident.causes.first is not None
    assert incident.causes.first.series.name == "shop=S03"
    assert "火花" in "".join(cause.series.name for cause in incident.causes.what)


def spread_out(table: FeedbackTable, days: int) -> FeedbackTable:
    """The incident's comments over so many days up to the last."""
    rows = np.array([i for i, name in enumerate(table.ids) if name.startswith("x")])
    times = table.times.copy()
    times[rows] -= (np.arange(len(rows)) % days).astype("timedelta64[D]")
    return replace(table, times=times)


def test_what_comes_in_slowly_is_told_by_the_week(quiet: tuple[FeedbackTable, Membership]) -> None:
    table = spread_out(with_incident(quiet[0], count=14), 7)
    members = membership(table, read_terms(table.texts))
    assert [find_incidents(table, members, LAST - timedelta(days=i)) for i in range(7)] == [[]] * 7
    (incident,) = find_slow_incidents(table, members, LAST, days=7)
    assert {table.ids[i] for i in incident.rows} >= {f"x{i}" for i in range(14)}
    assert len(incident.rows) <= 16
    assert incident.causes.first is not None
    assert incident.causes.first.series.name == "shop=S03"
    rules = rules_from_dict({"rules": [{"name": "slow", "metric": "incident", "days": 7, "cool_down": 7}]})
    assert [alert.day for alert in find_alerts(table, members, rules, first=LAST - timedelta(days=9))] == [LAST]
    assert find_alerts(table, members, rules, last=LAST - timedelta(days=7)) == []
    assert too_early(table, rules, last=FIRST + timedelta(days=34)) == {}
    (why,) = too_early(table, rules, last=FIRST + timedelta(days=33)).values()
    assert why.startswith("its base line takes 28 days before the 7 days up to ")


def test_what_a_day_shows_by_itself_is_no_slow_incident(told: tuple[FeedbackTable, Membership]) -> None:
    table, members = told
    assert find_incidents(table, members, LAST, days=7) != []
    assert find_slow_incidents(table, members, LAST, days=7) == []


def test_quiet_weeks_have_no_slow_incident(quiet: tuple[FeedbackTable, Membership]) -> None:
    table, members = quiet
    found = [find_slow_incidents(table, members, LAST - timedelta(days=i), days=7) for i in range(5)]
    assert sum(map(len, found)) == 0
    with pytest.raises(DataError, match="expected 28 days before"):
        find_slow_incidents(table, members, LAST - timedelta(days=6), days=7)


def test_quiet_days_have_no_incident(quiet: tuple[FeedbackTable, Membership]) -> None:
    table, members = quiet
    found = [find_incidents(table, members, LAST - timedelta(days=i)) for i in range(15)]
    assert sum(map(len, found)) == 0


def test_a_busy_day_alone_is_no_burst(quiet: tuple[FeedbackTable, Membership]) -> None:
    table, _ = quiet
    more = np.concatenate(
        [np.arange(len(table)), np.flatnonzero(table.days < np.datetime64(FIRST + timedelta(days=3)))]
    )
    times = table.times[more].copy()
    times[len(table) :] = np.datetime64(LAST, "s") + np.timedelta64(4, "h")
    busy = replace(table.take(more), times=times)
    assert find_bursts(membership(busy, read_terms(busy.texts)), busy.days, LAST) == []


def test_two_weeks_are_needed(told: tuple[FeedbackTable, Membership]) -> None:
    table, members = told
    with pytest.raises(DataError, match=r"expected 14 days before 2025-03-16; found 13"):
        find_bursts(members, table.days, date(2025, 3, 16))


def test_a_pair_is_named_where_neither_value_says_it_alone(quiet: tuple[FeedbackTable, Membership]) -> None:
    table, _ = quiet
    members = membership(table, None)
    both = table.attributes["shop"].is_value("S05") & table.attributes["channel"].is_value("电话")
    rows = np.flatnonzero(both)
    causes = find_causes(members, rows, np.setdiff1d(np.arange(len(table)), rows))
    assert causes.first is not None
    assert dict(causes.first.series.parts) == {"shop": "S05", "channel": "电话"}
    shop = np.flatnonzero(table.attributes["shop"].is_value("S05"))
    alone = find_causes(members, shop, np.setdiff1d(np.arange(len(table)), shop))
    assert alone.first is not None
    assert alone.first.series.name == "shop=S05"


def test_what_is_chance_is_no_cause(quiet: tuple[FeedbackTable, Membership]) -> None:
    table, members = quiet
    rng = np.random.default_rng(5)
    for _ in range(10):
        rows = rng.choice(len(table), size=200, replace=False)
        causes = find_causes(members, rows, np.setdiff1d(np.arange(len(table)), rows))
        assert causes.where == causes.what == ()


RULES = {
    "rules": [
        {"name": "incident", "metric": "incident"},
        {"name": "shop", "metric": "count", "filter": {"shop": "S03"}, "chance": 0.001},
        {"name": "angry", "metric": "negative_share", "filter": {"shop": "S03"}, "above": 0.65, "windows": 2},
        {"name": "many", "metric": "count", "above": 50, "windows": 3, "cool_down": 4},
    ]
}


def test_rules_fire_with_their_causes(told: tuple[FeedbackTable, Membership]) -> None:
    table, members = told
    found = find_alerts(table, members, rules_from_dict(RULES))
    by_rule = {alert.rule: alert for alert in found}
    assert by_rule.keys() == {"incident", "shop", "many"}
    assert by_rule["shop"].expected is not None
    assert by_rule["shop"].expected < by_rule["shop"].value / 2
    said = by_rule["shop"].causes
    assert "火花" in "".join(cause.series.name for cause in said.what)
    # The filter chose by shop, so that the shop explains nothing.
    assert all("shop" not in dict(cause.series.parts) for cause in said.where)


def test_cool_down_and_windows_in_a_row(told: tuple[FeedbackTable, Membership]) -> None:
    table, members = told
    rules = rules_from_dict({"rules": [RULES["rules"][3]]})
    found = find_alerts(table, members, rules, first=FIRST + timedelta(days=1), last=FIRST + timedelta(days=14))
    assert [(alert.day - FIRST).days for alert in found] == [2, 7, 12]


def test_an_incident_raises_one_alert_while_it_lasts(told: tuple[FeedbackTable, Membership]) -> None:
    table, members = told
    days = table.days.copy()
    rows = np.array([i for i, name in enumerate(table.ids) if name.startswith("x")])
    times = table.times.copy()
    times[rows[:6]] -= np.timedelta64(1, "D")
    spread = replace(table, times=times)
    assert (days != spread.days).sum() == 6
    found = find_alerts(
        spread, members, rules_from_dict({"rules": [RULES["rules"][0]]}), first=LAST - timedelta(days=2)
    )
    assert [alert.day for alert in found] == [LAST - timedelta(days=1)]


def test_derived_attributes_explain_nothing(told: tuple[FeedbackTable, Membership]) -> None:
    table, _ = told
    queue = replace(table, attributes=table.attributes | {"queue": Categories(("a",), np.zeros(len(table), np.int64))})
    assert all("queue" not in dict(series.parts) for series in membership(queue, None).series)


@pytest.mark.parametrize("limit", [{"chance": 0.001}, {"above": 5}])
def test_an_incident_that_runs_for_days_still_has_its_cause(
    quiet: tuple[FeedbackTable, Membership], limit: dict[str, float]
) -> None:
    table = with_incident(quiet[0], count=60)
    rows = np.array([i for i, name in enumerate(table.ids) if name.startswith("x")])
    times = table.times.copy()
    times[rows] -= (np.arange(60) % 5).astype("timedelta64[D]")
    table = replace(table, times=times)
    rules = rules_from_dict({"rules": [{"name": "sparks", "metric": "count", "filter": {"text": "冒火花"}} | limit]})
    (alert,) = find_alerts(table, membership(table, read_terms(table.texts)), rules)
    # All that was ever said of it is of this incident: against its own earlier days nothing stands out.
    assert alert.causes.first is not None
    assert alert.causes.first.series.name == "shop=S03"


def test_columns_of_thousands_of_values_do_not_drown_a_cause(quiet: tuple[FeedbackTable, Membership]) -> None:
    table = with_incident(quiet[0], count=10)
    rng = np.random.default_rng(7)
    many = {
        name: Categories(tuple(f"{name}{i}" for i in range(800)), rng.integers(800, size=len(table)))
        for name in ("estate", "device")
    }
    sixes = rng.integers(6, size=len(table))
    rows = np.array([i for i, name in enumerate(table.ids) if name.startswith("x")])
    sixes[rows[:6]] = 0  # six of ten against a sixth: sure among six values, chance among thousands
    batch = {"batch": Categories(tuple("ABCDEF"), sixes)}
    table = replace(table, attributes=many | batch)
    causes = find_causes(membership(table, None), rows, np.setdiff1d(np.arange(len(table)), rows))
    assert [cause.series.name for cause in causes.where] == ["batch=A"]


def test_what_follows_from_the_filter_is_no_cause(quiet: tuple[FeedbackTable, Membership]) -> None:
    table, _ = quiet
    region = Categories(("north", "south"), (table.attributes["shop"].codes >= 6).astype(np.int64))
    table = replace(table, attributes=table.attributes | {"region": region})
    assert determined_by(table, ["shop", "from"]) == ["region"]
    assert determined_by(table, ["region", "category"]) == []
    slips = region.codes.copy()
    slips[:10] = 1 - slips[:10]
    assert determined_by(
        replace(table, attributes=table.attributes | {"region": Categories(region.values, slips)}), ["shop"]
    ) == ["region"]


def test_nothing_follows_from_values_that_come_once(quiet: tuple[FeedbackTable, Membership]) -> None:
    table = quiet[0].take(np.arange(60))
    order = Categories(tuple(map(str, range(60))), np.arange(60))
    assert determined_by(replace(table, attributes=table.attributes | {"order": order}), ["order"]) == []


def test_aspects_that_the_filter_chose_by_are_no_cause(quiet: tuple[FeedbackTable, Membership]) -> None:
    table, members = quiet
    assert table.aspects is not None
    rows = np.flatnonzero(table.aspects.is_polarity("service", -1))
    causes = find_causes(members, rows, np.setdiff1d(np.arange(len(table)), rows), without=("aspect.service",))
    assert causes.what
    assert "aspect service" not in {name for cause in causes.what for name, _ in cause.series.parts}


def test_an_incident_is_one_on_its_fifth_day_too(quiet: tuple[FeedbackTable, Membership]) -> None:
    table = with_incident(quiet[0], count=60)
    rows = np.array([i for i, name in enumerate(table.ids) if name.startswith("x")])
    times = table.times.copy()
    times[rows] -= (np.arange(60) % 5).astype("timedelta64[D]")
    table = replace(table, times=times)
    members = membership(table, read_terms(table.texts))
    base = baseline(members, table.days, LAST)
    spark = next(i for i, series in enumerate(members.series) if series.name == "火花")
    # Four days of 12 each are left out of what is usual.
    assert base.mean[spark] < 0.1
    (incident,) = find_incidents(table, members, LAST)
    assert {table.ids[i] for i in incident.rows} >= {table.ids[i] for i in rows[::5]}


def test_what_bursts_for_two_weeks_is_usual(quiet: tuple[FeedbackTable, Membership]) -> None:
    table = with_incident(quiet[0], count=240)
    rows = np.array([i for i, name in enumerate(table.ids) if name.startswith("x")])
    times = table.times.copy()
    times[rows] -= (np.arange(240) % 20).astype("timedelta64[D]")
    table = replace(table, times=times)
    members = membership(table, read_terms(table.texts))
    spark = next(i for i, series in enumerate(members.series) if series.name == "火花")
    assert baseline(members, table.days, LAST).mean[spark] > 4


def test_one_broad_sign_joins_nothing_to_an_incident(quiet: tuple[FeedbackTable, Membership]) -> None:
    table = with_incident(quiet[0], count=14)
    of_day = np.flatnonzero(table.days == np.datetime64(LAST))
    others = [i for i in of_day if not table.ids[i].startswith("x")][:5]
    shop, negative = table.attributes["shop"].codes.copy(), table.labels["sentiment"].codes.copy()
    shop[others] = 3
    negative[others] = 0  # the incident's shop and negative as it is, and about something else
    column = table.attributes["shop"]
    labels = table.labels | {"sentiment": Categories(table.labels["sentiment"].values, negative)}
    attributes = table.attributes | {"shop": Categories(column.values, shop)}
    table = replace(table, labels=labels, attributes=attributes)
    (incident,) = find_incidents(table, membership(table, read_terms(table.texts)), LAST)
    assert {table.ids[i] for i in incident.rows} == {f"x{i}" for i in range(14)}
