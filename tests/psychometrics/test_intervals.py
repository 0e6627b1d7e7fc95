from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from allport.errors import UsageError
from allport.psychometrics.intervals import (
    bca_interval,
    bootstrap,
    fisher_interval,
    mean_interval,
    percentile_interval,
    ratio_interval,
    weighted_bootstrap,
)


@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_bootstrap_gives_the_intervals_of_scipy(method):
    sample = np.random.default_rng(0).gamma(2, size=60)
    ours = bootstrap(np.std, sample, method=method, resamples=8000)
    # SciPy draws other resamples, so the intervals agree as far as their Monte Carlo error allows.
    oracle = stats.bootstrap(
        (sample,), np.std, method=method, n_resamples=8000, rng=np.random.default_rng(1)
    ).confidence_interval
    width = oracle.high - oracle.low
    assert ours.value == pytest.approx(np.std(sample))
    assert ours.low == pytest.approx(oracle.low, abs=0.05 * width)
    assert ours.high == pytest.approx(oracle.high, abs=0.05 * width)


def test_weights_and_resampled_arrays_are_the_same_bootstrap():
    sample = np.random.default_rng(0).gamma(2, size=40)
    slow = bootstrap(np.mean, sample, resamples=500, seed=5)
    fast = mean_interval(sample, resamples=500, seed=5)
    assert fast[:3] == pytest.approx(slow[:3])


def test_samples_are_resampled_together():
    x = np.arange(30.0)
    estimate = bootstrap(lambda a, b: float(np.abs(a - 2 * b).max()), 2 * x, x, resamples=50)
    assert estimate.value == 0.0
    assert "the same on every resample" in estimate.reason


@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_intervals_cover_a_planted_mean(method):
    rng = np.random.default_rng(8)
    covered = 0
    for trial in range(300):
        sample = rng.exponential(size=40)
        estimate = mean_interval(sample, method=method, resamples=600, seed=trial)
        covered += estimate.low <= 1 <= estimate.high
    # Both fall a little short on skewed samples this small; neither far.
    assert 0.89 <= covered / 300 <= 0.97


def test_bca_leans_toward_the_long_tail():
    sample = np.random.default_rng(8).exponential(size=40)
    bca = mean_interval(sample)
    percentile = mean_interval(sample, method="percentile")
    assert bca.low > percentile.low
    assert bca.high > percentile.high


def test_clusters_widen_the_interval_to_what_the_clusters_say():
    rng = np.random.default_rng(2)
    effect = np.repeat(rng.normal(size=30), 10)
    values = effect + 0.1 * rng.normal(size=300)
    clusters = np.repeat([f"c{index:02}" for index in range(30)], 10)
    naive = mean_interval(values)
    honest = mean_interval(values, clusters=clusters)
    of_means = mean_interval(values.reshape(30, 10).mean(axis=1))
    assert honest.value == pytest.approx(naive.value)
    assert honest.high - honest.low > 2.5 * (naive.high - naive.low)
    # With clusters of one size, the same draws make the same means.
    assert honest[:3] == pytest.approx(of_means[:3])


def test_clusters_of_unequal_size_are_drawn_whole():
    values = np.array([1.0, 1.0, 1.0, 5.0, 9.0])
    clusters = np.array([7, 7, 7, 3, 5])
    seen = set()

    def record(sample):
        seen.add(tuple(sorted(sample)))
        return float(sample.mean())

    slow = bootstrap(record, values, clusters=clusters, resamples=200, seed=1)
    assert all(sample.count(1.0) % 3 == 0 for sample in seen)
    fast = ratio_interval(values, np.ones(5), clusters=clusters, resamples=200, seed=1)
    assert slow[:3] == pytest.approx(fast[:3])


def test_the_same_seed_gives_the_same_interval():
    sample = np.random.default_rng(0).normal(size=25)
    assert mean_interval(sample, seed=4) == mean_interval(sample, seed=4)
    assert mean_interval(sample, seed=4).low != mean_interval(sample, seed=5).low


def test_batches_make_no_difference(monkeypatch):
    sample = np.random.default_rng(0).normal(size=25)
    whole = mean_interval(sample, resamples=300)
    monkeypatch.setattr("allport.psychometrics.intervals.BATCH_NUMBERS", 25 * 7)
    assert mean_interval(sample, resamples=300)[:3] == pytest.approx(whole[:3])


def test_grouped_jackknife_leaves_the_acceleration_as_it_is(monkeypatch):
    sample = np.random.default_rng(0).exponential(size=4000)
    grouped = mean_interval(sample, resamples=1000)
    monkeypatch.setattr("allport.psychometrics.intervals.MOST_JACKKNIFE_GROUPS", 4000)
    single = mean_interval(sample, resamples=1000)
    width = single.high - single.low
    assert grouped.low == pytest.approx(single.low, abs=0.03 * width)
    assert grouped.high == pytest.approx(single.high, abs=0.03 * width)


def test_bca_without_bias_or_skew_is_the_percentile_interval():
    distribution = np.linspace(-1, 1, 2001)
    symmetric = np.array([-1.0, 0.0, 1.0])
    assert bca_interval(distribution, 0.0, symmetric) == pytest.approx(
        percentile_interval(distribution), abs=2e-3
    )


def test_ratio_of_sums_leaves_out_what_is_unknown():
    estimate = ratio_interval([1.0, 2.0, np.nan, 3.0], [2.0, 4.0, 5.0, 4.0], resamples=200)
    assert estimate.value == pytest.approx(6 / 10)
    assert estimate.low <= 0.6 <= estimate.high


@pytest.mark.parametrize(
    ("estimate", "reason"),
    [
        (lambda: mean_interval([]), "nothing to compute"),
        (lambda: mean_interval([math.nan]), "nothing to compute"),
        (lambda: ratio_interval([1.0, 2.0], [0.0, 0.0]), "has no value"),
    ],
)
def test_a_statistic_without_a_value_says_why(estimate, reason):
    result = estimate()
    assert math.isnan(result.value)
    assert reason in result.reason


@pytest.mark.parametrize(
    ("estimate", "reason"),
    [
        (lambda: mean_interval([4.0]), "single unit"),
        (lambda: mean_interval([4.0] * 8), "every unit has the same value"),
        (lambda: mean_interval([4.0] * 20), "same on every resample"),
        (lambda: mean_interval([3.0, 5.0], clusters=[1, 1]), "single unit"),
        (lambda: ratio_interval([4.0, 0.0], [1.0, 0.0], resamples=100), "of 100 resamples have no"),
    ],
)
def test_a_value_without_an_interval_says_why(estimate, reason):
    result = estimate()
    assert result.value == 4.0
    assert math.isnan(result.low)
    assert math.isnan(result.high)
    assert reason in result.reason


def test_no_resamples_no_interval():
    assert str(mean_interval([1.0, 3.0], resamples=0)) == str(
        weighted_bootstrap(lambda weights: np.full(len(weights), 2.0), 2, resamples=0)
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap(np.mean, [1.0, 2.0], [1.0]), "same units on their first axis"),
        (lambda: mean_interval([1.0, 2.0], confidence=95), "95 is not between 0 and 1"),
        (lambda: mean_interval([1.0, 2.0], method="t"), "'t'"),
        (lambda: mean_interval([1.0, 2.0], clusters=[1]), "do not label 2 units"),
        (lambda: mean_interval([[1.0, 2.0]]), r"shape \(1, 2\) are not one for each unit"),
        (lambda: ratio_interval([1.0, 2.0], [1.0]), "not over the same units"),
    ],
)
def test_a_request_that_does_not_fit_is_refused(call, message):
    with pytest.raises(UsageError, match=message):
        call()


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.floats(-1e3, 1e3), min_size=15, max_size=30),
    shift=st.floats(-1e3, 1e3),
    method=st.sampled_from(["bca", "percentile"]),
)
def test_intervals_of_means_shift_with_the_values_and_stay_within_them(values, shift, method):
    sample = np.array(values)
    estimate = mean_interval(sample, method=method, resamples=60)
    moved = mean_interval(sample + shift, method=method, resamples=60)
    assert moved.value == pytest.approx(estimate.value + shift, abs=1e-6)
    if not math.isnan(estimate.low):
        assert sample.min() - 1e-9 <= estimate.low <= estimate.high <= sample.max() + 1e-9


def test_fisher_interval_is_that_of_scipy():
    x, y = np.random.default_rng(0).multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], size=30).T
    oracle = stats.pearsonr(x, y)
    interval = oracle.confidence_interval(0.9)
    ours = fisher_interval(float(oracle.statistic), 30, confidence=0.9)
    assert ours[1:3] == pytest.approx((interval.low, interval.high))


def test_fisher_interval_at_its_limits():
    for perfect in (1.0, -1.0, 1 - 1e-15):
        found = fisher_interval(perfect, 20)
        assert found.value == perfect
        assert np.isnan([found.low, found.high]).all()
        assert found.reason == "no interval: a correlation of 1 or -1 tells nothing of its error"
    assert math.isfinite(fisher_interval(0.999999, 20).low)
    assert "at least 4" in fisher_interval(0.5, 3).reason
    assert fisher_interval(0.5, 3).value == 0.5
    assert "vary" in fisher_interval(math.nan, 30).reason
