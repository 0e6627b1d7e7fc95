from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from allport.errors import UsageError
from allport.evaluation import PeopleBootstrap
from allport.psychometrics.intervals import bootstrap, mean_interval


def test_intervals_of_a_mean_cover_it_as_often_as_they_say() -> None:
    rng = np.random.default_rng(7)
    inside = 0
    rounds = 300
    for seed in range(rounds):
        # Skewed on purpose: errors are.
        sample = rng.exponential(1.0, size=60)
        found = PeopleBootstrap(60, resamples=400, seed=seed).means(sample[:, None]).estimate()
        inside += found.low <= 1.0 <= found.high
    # 95 % less what 60 skewed values and 400 resamples cost; 99 % bounds of a binomial.
    assert 0.89 <= inside / rounds <= 0.98


@pytest.mark.parametrize("people", [3, 5, 10])
def test_intervals_over_few_people_cover_the_mean_as_often_as_they_say(people: int) -> None:
    # Each column is a sample of its own, and so are sums of ten of them.
    samples = np.random.default_rng(people).normal(size=(people, 1000))
    means = PeopleBootstrap(people, resamples=20).means(samples)
    found = means.estimates()
    sums = [
        PeopleBootstrap(people, resamples=20).means(samples[:, n : n + 10]).total().estimate()
        for n in range(0, 1000, 10)
    ]
    # 99.9 % bounds of a binomial; drawn anew, 74, 83 and 90 % hold it.
    assert 0.925 <= np.mean([each.low <= 0 <= each.high for each in found]) <= 0.972
    assert 0.87 <= np.mean([each.low <= 0 <= each.high for each in sums]) <= 1


def test_means_over_few_people_have_the_interval_of_student() -> None:
    rng = np.random.default_rng(12)
    first, second = rng.normal(size=(20, 3)), rng.normal(size=(20, 3))
    # Of the last column 14 people have a value, which is few; of the others 20.
    first[14:, 2] = second[14:, 2] = np.nan
    boot = PeopleBootstrap(20, resamples=200)
    one, other = boot.means(first), boot.means(second)
    own, both = first[:14, 2], (first - second)[:14, 2]
    for found, sample in ((one, own), (one.minus(other), both)):
        oracle = stats.ttest_1samp(sample, 0).confidence_interval()
        assert found.estimates()[2][:3] == pytest.approx((sample.mean(), oracle.low, oracle.high))
    whole = PeopleBootstrap(14, resamples=200).means(first[:14])
    for found, sample in ((whole.total(), first[:14].sum(1)), (whole.mean(), first[:14].mean(1))):
        oracle = stats.ttest_1samp(sample, 0).confidence_interval(0.9)
        ends = (sample.mean(), oracle.low, oracle.high)
        assert found.estimate(confidence=0.9)[:3] == pytest.approx(ends)
    cut = whole.estimates(limits=(-0.1, 0.1))
    assert all(each.low >= -0.1 and each.high <= 0.1 for each in cut)


def test_from_fifteen_people_on_they_are_drawn_anew() -> None:
    values = np.random.default_rng(13).exponential(size=(15, 1))
    boot = PeopleBootstrap(15, resamples=500, seed=3)
    found = boot.means(values).estimate()
    drawn = mean_interval(values[:, 0], resamples=500, seed=3)
    assert found[:3] == pytest.approx(drawn[:3])
    ends = stats.ttest_1samp(values[:, 0], 0).confidence_interval()
    assert found.high != pytest.approx(ends.high, abs=1e-3)


def test_few_people_who_are_alike_tell_nothing_of_the_error() -> None:
    found = PeopleBootstrap(4, resamples=50).means(np.full((4, 1), 0.3)).estimate()
    assert found.value == pytest.approx(0.3)
    assert np.isnan([found.low, found.high]).all()
    assert "the same for everybody" in found.reason


def test_what_is_no_mean_is_drawn_anew_however_few_people_there_are() -> None:
    rng = np.random.default_rng(14)
    x = rng.normal(size=(12, 1))
    boot = PeopleBootstrap(12, resamples=1000)
    correlation = boot.correlations(x, x + rng.normal(size=(12, 1)))
    assert np.isnan(correlation.people).all()
    wide = correlation.estimate()
    assert wide.value - wide.low > wide.high - wide.value
    mixed = correlation.minus(boot.means(x))
    assert np.isfinite([mixed.estimate().low, mixed.estimate().high]).all()


def test_it_agrees_with_the_bootstrap_of_psychometrics() -> None:
    values = np.random.default_rng(8).normal(size=80) ** 2
    own = PeopleBootstrap(80, resamples=4000, seed=1).means(values[:, None]).estimate()
    other = mean_interval(values, resamples=4000, seed=2)
    assert own.value == pytest.approx(other.value)
    assert own.low == pytest.approx(other.low, abs=0.03)
    assert own.high == pytest.approx(other.high, abs=0.03)


def test_correlations_are_those_of_numpy_with_people_left_out() -> None:
    rng = np.random.default_rng(9)
    x = rng.normal(size=(50, 2))
    y = x + rng.normal(size=(50, 2))
    x[3, 0] = np.nan
    y[4, 0] = np.nan
    found = PeopleBootstrap(50, resamples=3000).correlations(x, y).estimates()
    kept = [row for row in range(50) if row not in (3, 4)]
    assert found[0].value == pytest.approx(np.corrcoef(x[kept, 0], y[kept, 0])[0, 1])
    assert found[1].value == pytest.approx(np.corrcoef(x[:, 1], y[:, 1])[0, 1])
    wanted = bootstrap(lambda a, b: np.corrcoef(a, b)[0, 1], x[:, 1], y[:, 1], resamples=3000)
    assert found[1].low == pytest.approx(wanted.low, abs=0.03)
    assert found[1].high == pytest.approx(wanted.high, abs=0.03)


def test_what_does_not_vary_has_no_correlation() -> None:
    found = PeopleBootstrap(20).correlations(np.full((20, 1), 0.1), np.arange(20.0)[:, None])
    assert found.estimate("nothing varies") == (
        pytest.approx(np.nan, nan_ok=True),
        pytest.approx(np.nan, nan_ok=True),
        pytest.approx(np.nan, nan_ok=True),
        "nothing varies",
    )


def test_two_people_have_no_correlation() -> None:
    first = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, np.nan]])
    found = PeopleBootstrap(3, resamples=0).correlations(first, first[::-1] ** 2).estimates("few")
    assert found[0].value < 0
    assert found[1].reason == "few"


def test_people_without_a_value_are_left_out() -> None:
    values = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]])
    first, second = PeopleBootstrap(3, resamples=50).means(values).estimates("nobody")
    assert first.value == 2
    assert second.reason == "nobody"


def test_differences_are_narrower_than_what_they_are_made_of() -> None:
    rng = np.random.default_rng(10)
    base = rng.normal(size=(100, 1))
    boot = PeopleBootstrap(100, resamples=1000)
    one, other = boot.means(base + 1), boot.means(base + 0.1 * rng.normal(size=(100, 1)))
    difference = one.minus(other).estimate()
    assert difference.high - difference.low < 0.3 * (one.estimate().high - one.estimate().low)


def test_one_person_and_no_resamples_have_no_interval() -> None:
    single = PeopleBootstrap(1).means([[2.0]]).estimate()
    assert (single.value, single.reason) == (2.0, "no interval from a single person")
    assert np.isnan(PeopleBootstrap(5, resamples=0).means(np.ones((5, 1))).estimate().low)


def test_many_people_are_drawn_in_batches_with_the_same_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = np.random.default_rng(11).normal(size=(40, 1))
    kept = PeopleBootstrap(40, resamples=300, seed=3).means(values).estimate()
    monkeypatch.setattr("allport.evaluation.people_bootstrap._MOST_KEPT", 0)
    assert PeopleBootstrap(40, resamples=300, seed=3).means(values).estimate() == kept


def test_nobody_cannot_be_resampled() -> None:
    with pytest.raises(UsageError, match="cannot be resampled"):
        PeopleBootstrap(0)
    with pytest.raises(UsageError, match="3 rows"):
        PeopleBootstrap(4).means(np.ones((3, 1)))
