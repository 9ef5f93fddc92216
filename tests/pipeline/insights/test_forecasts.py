"""Counts by day: seasons, forecasts and how often their intervals hold."""

import warnings
from datetime import date, timedelta

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.insights.forecasts import forecast
from pipeline.insights.seasons import DailyCounts, daily_counts, expected_counts, is_off

FIRST = date(2025, 4, 7)


def counts(days: int, *, seed: int, level: float = 200, dispersion: float = 3.0) -> DailyCounts:
    """Overdispersed, weekends at 0.6, public holidays and the weekends around them at twice that."""
    rng = np.random.default_rng(seed)
    means = np.array([level * (0.6 if is_off(FIRST + timedelta(days=i)) else 1.0) for i in range(days)])
    drawn = rng.negative_binomial(means / (dispersion - 1), 1 / dispersion)
    return DailyCounts(FIRST, drawn.astype(float))


def test_gaps_are_days_without_comments() -> None:
    days = np.array(["2025-03-01", "2025-03-04", "NaT", "2025-03-04"], dtype="datetime64[D]")
    found = daily_counts(days)
    assert found.first == date(2025, 3, 1)
    assert found.counts.tolist() == [1, 0, 0, 2]


def test_no_times_at_all() -> None:
    with pytest.raises(DataError, match="no row has a time"):
        daily_counts(np.array(["NaT"], dtype="datetime64[D]"))


def test_weekends_make_up_days_and_holidays() -> None:
    assert is_off(date(2025, 5, 3))
    assert not is_off(date(2025, 4, 27))  # a Sunday that makes up for the holidays of May
    assert is_off(date(2025, 5, 1))


def test_the_weekly_pattern_is_expected() -> None:
    expected, dispersion = expected_counts(counts(70, seed=0), ahead=7)
    ahead = dict(zip([FIRST + timedelta(days=70 + i) for i in range(7)], expected[70:], strict=True))
    monday, saturday = ahead[date(2025, 6, 16)], ahead[date(2025, 6, 21)]
    assert saturday / monday == pytest.approx(0.6, abs=0.08)
    assert 1.5 < dispersion < 5


def test_too_few_days_are_told() -> None:
    with pytest.raises(DataError, match="expected at least 22 days of comments to forecast from; found 15"):
        forecast(counts(15, seed=0))


def test_nothing_ever_came() -> None:
    found = forecast(DailyCounts(FIRST, np.zeros(40)), ahead=3)
    assert [day.expected for day in found.days] == [0.0, 0.0, 0.0]


def test_intervals_hold_what_they_promise() -> None:
    hits, tried = [], []
    for seed in range(8):
        whole = counts(94, seed=seed)
        found = forecast(DailyCounts(FIRST, whole.counts[:80]), ahead=14, level=0.8)
        hits += [day.lower <= seen <= day.upper for day, seen in zip(found.days, whole.counts[80:], strict=True)]
        assert found.backtest.covered is not None
        tried.append(found.backtest.covered)
    assert np.mean(hits) == pytest.approx(0.8, abs=0.1)
    assert np.mean(tried) == pytest.approx(0.8, abs=0.08)


def test_better_than_the_same_day_of_last_week() -> None:
    test = forecast(counts(90, seed=4)).backtest
    assert test.error is not None
    assert test.naive_error is not None
    assert test.error < test.naive_error


def test_days_left_out_teach_nothing() -> None:
    seen = np.array([20.0 + i % 3 for i in range(40)])
    plain, _ = expected_counts(DailyCounts(FIRST, seen), ahead=1)
    seen[-5:] = 90
    left_out = np.arange(40) >= 35
    expected, dispersion = expected_counts(DailyCounts(FIRST, seen), ahead=1, without=left_out)
    assert expected[-1] == pytest.approx(plain[-1], rel=0.05)
    assert dispersion == 1.0
    with pytest.raises(DataError, match="expected at least 14 days of comments; found 5"):
        expected_counts(DailyCounts(FIRST, seen), ahead=1, without=~left_out)


def test_a_series_of_decades_is_fitted_on_its_last_years() -> None:
    seen = np.concatenate([np.full(20_000, 500.0), np.full(800, 20.0)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected, _ = expected_counts(DailyCounts(date(1968, 1, 1), seen), ahead=7)
    assert expected[-7:] == pytest.approx(np.full(7, 20.0), rel=0.01)
