from __future__ import annotations

import numpy as np
import pytest

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
