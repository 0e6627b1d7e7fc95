from __future__ import annotations

import csv
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr

from allport.psychometrics.estimate import Estimate
from allport.psychometrics.scoring import scale_scores
from allport.psychometrics.validity import correlate, correlation_table, disattenuated_correlation


def test_domains_of_papi_correlate_as_published(shared):
    with (shared / "data" / "papi" / "item_key.csv").open(newline="") as file:
        domain = {int(row["number"]): row["facet_code"][0] for row in csv.DictReader(file)}
    with (shared / "data" / "papi" / "people.csv").open(newline="") as file:
        people = list(csv.DictReader(file))
    keyed = np.array([[float(row[f"i{number}"]) for number in range(1, 301)] for row in people])
    keyed[keyed == 0] = np.nan  # stored already keyed; 0 is missing
    scales = {d: [n - 1 for n in range(1, 301) if domain[n] == d] for d in "NEOAC"}
    scores = scale_scores(keyed, scales).scores
    table = np.array([[cell.value for cell in row] for row in correlation_table(scores)])
    assert table.round(3).tolist() == [
        [1.000, -0.508, -0.096, -0.254, -0.584],
        [-0.508, 1.000, 0.365, 0.154, 0.254],
        [-0.096, 0.365, 1.000, 0.215, -0.059],
        [-0.254, 0.154, 0.215, 1.000, 0.438],
        [-0.584, 0.254, -0.059, 0.438, 1.000],
    ]
    assert np.linalg.eigvalsh(table)[::-1].round(2).tolist() == [2.19, 1.17, 0.90, 0.42, 0.32]


def test_scale_correlations_of_bfi_are_those_of_psych(bfi):
    # scoreItems fills missing answers with medians.
    filled = np.where(np.isnan(bfi.keyed), np.nanmedian(bfi.keyed, axis=0), bfi.keyed)
    scores = filled.reshape(len(filled), 5, 5).mean(axis=2)  # A C E N O
    table = correlation_table(scores)
    expected = {
        (0, 1): 0.257980, (0, 2): 0.461789, (0, 3): -0.184642, (0, 4): 0.147188, (1, 2): 0.262051,
        (1, 3): -0.233645, (1, 4): 0.194143, (2, 3): -0.222819, (2, 4): 0.215387, (3, 4): -0.085733,
    }  # fmt: skip
    assert {pair: round(table[pair[0]][pair[1]].value, 6) for pair in expected} == expected
    assert table[0][1] == table[1][0]
    assert table[2][2] == Estimate(1.0, 1.0, 1.0)


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
@pytest.mark.parametrize("sign", [1, -1])
def test_perfect_correlations_have_no_interval_but_that_with_oneself(kind, sign):
    x = np.array([0.1, 0.7, 0.3, 0.9, 0.4, 0.25])
    found = correlate(x, 0.3 * sign * x + 0.1, kind=kind)
    assert found.value == pytest.approx(sign)
    assert np.isnan([found.low, found.high]).all()
    assert "tells nothing of its error" in found.reason
    table = correlation_table(np.column_stack([x, sign * x]), kind=kind)
    assert table[0][0] == Estimate(1.0, 1.0, 1.0)
    assert math.isnan(table[0][1].low)


@pytest.mark.parametrize(("kind", "oracle"), [("pearson", pearsonr), ("spearman", spearmanr)])
def test_correlations_equal_scipys(kind, oracle):
    rng = np.random.default_rng(0)
    x = rng.integers(1, 6, 40).astype(float)
    y = x + rng.integers(0, 4, 40)
    estimate = correlate(x, y, kind=kind)
    assert estimate.value == pytest.approx(oracle(x, y).statistic)
    if kind == "pearson":
        interval = pearsonr(x, y).confidence_interval()
        assert estimate[1:3] == pytest.approx((interval.low, interval.high))
    else:
        narrow = correlate(x, y).high - correlate(x, y).low
        assert estimate.high - estimate.low > narrow
    bare = correlate(x, y, kind=kind, interval="none")
    assert bare.value == estimate.value
    assert math.isnan(bare.low)


def test_bootstrap_agrees_with_fisher_where_scores_are_normal():
    rng = np.random.default_rng(1)
    x = rng.standard_normal(400)
    y = 0.6 * x + 0.8 * rng.standard_normal(400)
    fisher = correlate(x, y)
    drawn = correlate(x, y, interval="bootstrap", resamples=800, seed=3)
    assert drawn.value == fisher.value
    assert drawn.low == pytest.approx(fisher.low, abs=0.03)
    assert drawn.high == pytest.approx(fisher.high, abs=0.03)


def test_clusters_widen_the_interval():
    rng = np.random.default_rng(2)
    people = np.repeat(np.arange(30), 10)
    x = rng.standard_normal(30)[people]  # ten copies of thirty people
    y = 0.5 * x + rng.standard_normal(30)[people]
    rows = correlate(x, y, interval="bootstrap", resamples=400)
    whole = correlate(x, y, interval="bootstrap", clusters=people, resamples=400)
    assert whole.high - whole.low > 2 * (rows.high - rows.low)
    with pytest.raises(ValueError, match="independent"):
        correlate(x, y, clusters=people)


def test_missing_scores_leave_their_pairs_out():
    x = np.array([1.0, 2.0, np.nan, 4.0, 5.0, 9.0])
    y = np.array([2.0, 1.0, 7.0, np.nan, 6.0, 8.0])
    both = [0, 1, 4, 5]
    assert correlate(x, y) == correlate(x[both], y[both])
    assert correlate(x, y).high < 1.0
    assert "at least 4" in correlate([1.0, 2.0, 4.0], [2.0, 1.0, 9.0]).reason


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-5, 5), min_size=4, max_size=12), st.integers(0, 99))
def test_correlations_stay_in_range_and_inside_their_interval(values, seed):
    x = np.array(values, dtype=float) / 3
    y = x + np.random.default_rng(seed).integers(-2, 3, x.size) / 7
    estimate = correlate(x, y)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert "does not vary" in estimate.reason
        return
    assert -1 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert correlate(2 * x + 3, -y).value == pytest.approx(-estimate.value)


def test_undefined_correlations_say_why():
    assert "2 pairs" in correlate([1, 2, np.nan], [1, 2, 3]).reason
    # A third has no exact float: the mean of copies differs from them by rounding.
    assert "first measure does not vary" in correlate([1 / 3] * 5, [1, 2, 3, 4, 5]).reason
    assert "second measure does not vary" in correlate([1, 2, 3], [0, 0, 0]).reason
    with pytest.raises(ValueError, match="pair up"):
        correlate([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="kendall"):
        correlate([1, 2, 3], [1, 2, 4], kind="kendall")
    with pytest.raises(ValueError, match="measures"):
        correlation_table([1.0, 2.0])


def test_disattenuation_undoes_planted_error():
    rng = np.random.default_rng(5)
    n, error = 20_000, 0.5
    true_x = rng.standard_normal(n)
    true_y = 0.6 * true_x + 0.8 * rng.standard_normal(n)
    reliability = 1 / (1 + error**2)
    observed = correlate(
        true_x + error * rng.standard_normal(n), true_y + error * rng.standard_normal(n)
    )
    assert observed.value == pytest.approx(0.6 * reliability, abs=0.02)
    corrected = disattenuated_correlation(observed, reliability, reliability)
    assert corrected.low < 0.6 < corrected.high
    assert corrected.value == pytest.approx(observed.value / reliability)


def test_disattenuation_by_hand_and_its_limits():
    assert disattenuated_correlation(0.3, 0.9, 0.4).value == pytest.approx(0.5)
    estimate = disattenuated_correlation(Estimate(0.6, 0.3, 0.8), 0.36, 1.0)
    assert estimate[:3] == pytest.approx((1.0, 0.5, 0.8 / 0.6))
    assert "not above 0" in disattenuated_correlation(0.3, -0.1, 0.9).reason
    assert "not above 0" in disattenuated_correlation(0.3, 0.5, 1.2).reason
    assert "missing" in disattenuated_correlation(0.3, math.nan, 0.9).reason
    assert disattenuated_correlation(correlate([1, 2], [3, 4]), 0.9, 0.9).reason.startswith("2")
