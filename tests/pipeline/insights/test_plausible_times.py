"""Times that nothing is counted over: to come, or years from all others."""

from datetime import UTC, datetime

import numpy as np

from pipeline.insights.plausible_times import far_away, in_the_future

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)


def times(*days: str) -> np.ndarray:
    return np.array(days, dtype="datetime64[s]")


def test_a_day_ahead_is_a_clock_and_more_the_future() -> None:
    given = times("2025-06-01", "2025-06-02T11", "2025-06-02T13", "2036-05-01", "NaT")
    assert in_the_future(given, NOW).tolist() == [False, False, True, True, False]


def test_a_few_that_a_year_parts_from_the_others_are_far_away() -> None:
    most = np.datetime64("2025-01-01", "s") + np.arange(997) * np.timedelta64(3, "h")
    given = np.concatenate([times("1970-01-01", "0202-11-20", "NaT"), most])
    assert far_away(given).tolist() == [True, True, False] + [False] * 997


def test_a_gap_of_a_year_parts_nothing_where_many_lie_behind_it() -> None:
    old = np.datetime64("2023-01-01", "s") + np.arange(50) * np.timedelta64(1, "D")
    new = np.datetime64("2025-01-01", "s") + np.arange(50) * np.timedelta64(1, "D")
    assert not far_away(np.concatenate([old, new])).any()


def test_a_series_is_ten_years_at_most() -> None:
    assert far_away(times("1970-01-01", "2024-12-31", "2025-01-01")).tolist() == [True, False, False]
    assert not far_away(times("NaT")).any()
