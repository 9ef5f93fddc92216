"""What a rule's counts are compared with while something is going on, and when nothing is."""

from datetime import date, timedelta

import numpy as np
import pytest

from pipeline.insights.base_line import BaseLine
from pipeline.insights.seasons import DailyCounts, expected_counts

FIRST = date(2025, 3, 3)
DAYS = 56
EPIDEMIC = np.array([6, 9, 12, 14, 13])


def line(counts: np.ndarray, *, whole: np.ndarray | None = None) -> BaseLine:
    series = DailyCounts(FIRST, counts.astype(np.float64))
    return BaseLine(series, series if whole is None else DailyCounts(FIRST, whole), share=whole is not None)


def p_values(base: BaseLine, places: range) -> list[float]:
    return [base.against(FIRST + timedelta(days=at))[1] or 0.0 for at in places]


def test_an_epidemic_is_not_taken_for_usual_while_it_runs() -> None:
    """Of its last three days' alerts, a base line that learns from the first ones missed over half."""
    rng = np.random.default_rng(1)
    fired = []
    for _ in range(20):
        counts = rng.poisson(2.3, DAYS)
        counts[-5:] += EPIDEMIC
        fired += [p <= 0.001 for p in p_values(line(counts), range(DAYS - 3, DAYS))]
    assert sum(fired) >= 0.85 * len(fired)


def test_the_last_day_asked_for_alone_knows_what_came_before() -> None:
    counts = np.full(DAYS, 3) + np.arange(DAYS) % 2
    counts[-5:] += EPIDEMIC
    base = line(counts)
    expected, p_value = base.against(FIRST + timedelta(days=DAYS - 1))
    assert expected is not None
    assert expected < 5
    assert p_value is not None
    assert p_value < 1e-4
    assert np.flatnonzero(base.outbreaks(FIRST + timedelta(days=DAYS - 1))).tolist() == list(range(DAYS - 5, DAYS - 1))


def test_quiet_days_are_as_seldom_far_outside_as_promised() -> None:
    rng = np.random.default_rng(2)
    found = [p for _ in range(40) for p in p_values(line(rng.poisson(8, 70)), range(50, 70))]
    assert sum(p <= 0.01 for p in found) <= 0.02 * len(found)


def test_what_lasts_for_weeks_is_usual() -> None:
    counts = np.concatenate([np.full(50, 5), np.full(45, 25)])
    found = p_values(line(counts), range(50, 95))
    assert max(found[:10]) <= 0.001
    assert min(found[-7:]) > 0.001


def test_a_share_grows_no_more_than_the_whole() -> None:
    counts, whole = np.full(DAYS, 10), np.full(DAYS, 100.0)
    counts[-1], whole[-1] = 40, 400.0
    expected, p_value = line(counts, whole=whole).against(FIRST + timedelta(days=DAYS - 1))
    assert expected is not None
    assert abs(expected - 40) < 1
    assert p_value is not None
    assert p_value > 0.3


def test_two_weeks_come_first() -> None:
    assert line(np.full(20, 5)).against(FIRST + timedelta(days=13)) == (None, None)
    assert line(np.full(20, 5)).against(FIRST + timedelta(days=20)) == (None, None)


def test_a_kind_of_day_that_did_not_occur_is_no_mistake(recwarn: pytest.WarningsRecorder) -> None:
    """statsmodels shows its own whatever filter holds."""
    for first in (date(2025, 3, 3), date(2026, 9, 21)):
        for count in (14, 20, 55):
            expected, _ = expected_counts(DailyCounts(first, np.full(count, 60.0)), ahead=1)
            assert np.isfinite(expected).all()
    assert [str(one.message) for one in recwarn] == []
