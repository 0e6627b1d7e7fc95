"""Means over few units and their errors, against SciPy and draws by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from allport.psychometrics.intervals import mean_interval, weighted_bootstrap
from allport.psychometrics.unit_means import (
    error_of_mean,
    student_interval,
    student_width,
)


def test_the_error_is_the_spread_of_means_over_draws_of_uneven_clusters() -> None:
    rng = np.random.default_rng(2)
    clusters = np.repeat(np.arange(40), np.tile([1, 2, 5, 8], 10))
    means, errors = [], []
    for _ in range(500):
        values = rng.normal(size=40)[clusters] + 0.3 * rng.normal(size=clusters.size)
        means.append(values.mean())
        errors.append(error_of_mean(values, clusters))
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.08)
    assert error_of_mean(values) < 0.7 * np.mean(errors)


def test_width_and_interval_are_those_of_scipy() -> None:
    sample = np.random.default_rng(3).normal(size=6)
    oracle = stats.ttest_1samp(sample, 0).confidence_interval(0.9)
    ends = student_interval(sample.mean(), error_of_mean(sample), 6, confidence=0.9)
    assert ends == pytest.approx((oracle.low, oracle.high))
    cut = student_interval(0.5, 0.4, 6, limits=(0, 1))
    assert cut == (0, 1)
    widths = student_width([0, 1, 2, 11])
    assert np.isnan(widths[:2]).all()
    assert widths[2:] == pytest.approx([12.706, 2.228], abs=5e-4)


@pytest.mark.parametrize("units", [2, 3, 5, 14])
def test_means_of_few_units_have_the_interval_of_student(units: int) -> None:
    sample = np.random.default_rng(units).normal(3, 1, units)
    oracle = stats.ttest_1samp(sample, 0).confidence_interval()
    gappy = np.append(sample, np.nan)
    for found in (mean_interval(gappy), mean_interval(gappy, method="percentile", seed=4)):
        assert found == pytest.approx((sample.mean(), oracle.low, oracle.high, ""))
    # Alike within clusters, so that nothing but their means can count.
    clusters = np.repeat(np.arange(units), 4)
    found = mean_interval(np.repeat(sample, 4), clusters=clusters)
    assert found == pytest.approx((sample.mean(), oracle.low, oracle.high, ""))


@pytest.mark.parametrize(("units", "size"), [(15, 1), (15, 3), (40, 2)])
def test_means_of_more_units_or_clusters_are_drawn_anew(units: int, size: int) -> None:
    rng = np.random.default_rng(4)
    values, clusters = rng.exponential(size=units * size), np.repeat(np.arange(units), size)

    def mean(weights: np.ndarray) -> np.ndarray:
        return np.asarray(weights @ values / weights.sum(axis=1))

    drawn = weighted_bootstrap(mean, values.size, clusters=clusters, resamples=300, seed=2)
    found = mean_interval(values, clusters=clusters, resamples=300, seed=2)
    assert found[:3] == pytest.approx(drawn[:3])


@pytest.mark.parametrize("units", [3, 5, 10])
def test_intervals_of_few_units_cover_the_mean_as_often_as_they_say(units: int) -> None:
    samples = np.random.default_rng(5).normal(size=(1000, units))
    found = [mean_interval(sample) for sample in samples]
    # 99.9 % bounds of a binomial; drawn anew, 74, 83 and 90 % hold it.
    assert 0.925 <= np.mean([each.low <= 0 <= each.high for each in found]) <= 0.972


def test_intervals_of_few_uneven_clusters_cover_the_mean() -> None:
    rng = np.random.default_rng(6)
    clusters = np.repeat(np.arange(8), [1, 2, 3, 4, 4, 5, 6, 7])
    inside, of_items = 0, 0
    for _ in range(1000):
        values = rng.normal(size=8)[clusters] + 0.5 * rng.normal(size=clusters.size)
        found, naive = mean_interval(values, clusters=clusters), mean_interval(values, resamples=99)
        inside += found.low <= 0 <= found.high
        of_items += naive.low <= 0 <= naive.high
    # Unevenness costs a little: fewer clusters carry the mean than there are.
    assert 0.91 <= inside / 1000 <= 0.972
    assert of_items / 1000 < 0.8


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.floats(0, 1), min_size=2, max_size=14),
    shift=st.floats(-1e3, 1e3),
)
def test_intervals_of_few_shift_with_the_values_and_stay_within_limits(
    values: list[float], shift: float
) -> None:
    found = mean_interval(values)
    moved = mean_interval(np.array(values) + shift)
    cut = mean_interval(values, limits=(0, 1))
    assert cut.value == found.value
    if not math.isnan(found.low + moved.low):
        assert moved[:3] == pytest.approx(np.array(found[:3]) + shift, abs=1e-6)
        assert (cut.low, cut.high) == (max(0, found.low), min(1, found.high))


def test_units_all_alike_tell_nothing_of_their_error() -> None:
    found = mean_interval([0.1 + 0.2, 0.3, 0.3])
    assert found.value == pytest.approx(0.3)
    assert np.isnan([found.low, found.high]).all()
    assert found.reason == (
        "no interval: every unit has the same value, which tells nothing of its error"
    )
