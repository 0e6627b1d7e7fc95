from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allport.psychometrics.covariance import item_covariance
from allport.psychometrics.omega import mcdonald_omega, omega_interval, schmid_leiman

# psych's omega(keyed[, scale], 1) and omega(keyed[, scale], 3): total; hierarchical, total.
SCALES = {
    "A": (0.722943, 0.681361, 0.756747),
    "C": (0.731190, 0.613726, 0.769914),
    "E": (0.764050, 0.658120, 0.794728),
    "N": (0.818966, 0.728603, 0.851863),
    "O": (0.616784, 0.512622, 0.665674),
}


@pytest.mark.parametrize("trait", SCALES)
def test_omega_of_each_bfi_scale_is_that_of_psych(bfi, trait):
    one, hierarchical, three = SCALES[trait]
    correlation = item_covariance(bfi.scale(trait)).correlation
    for stopping in ("exact", "psych"):
        assert round(mcdonald_omega(correlation, 1, stopping=stopping).total.value, 6) == one
    omega = mcdonald_omega(correlation, 3, stopping="psych")
    assert round(omega.total.value, 6) == three
    # Five items do not determine three factors, so the figure is where an optimiser happened to
    # stop. For A and N a bound is active (a general loading of 1.016 for A), and R's older
    # L-BFGS-B leaves it elsewhere than scipy's does.
    within = 6e-5 if trait in "AN" else 5.1e-7
    assert omega.hierarchical.value == pytest.approx(hierarchical, abs=within)
    assert "are not determined" in omega.solution.caution


def test_omega_of_thurstone_is_that_of_psych(thurstone):
    omega = mcdonald_omega(thurstone, 3, stopping="psych")
    assert round(omega.hierarchical.value, 6) == 0.736070
    assert round(omega.limit, 6) == 0.790772
    assert round(omega.total.value, 6) == 0.930825
    assert omega.explained_common_variance == pytest.approx(0.5969016, abs=1e-6)
    general = [0.7090, 0.7257, 0.6832, 0.6461, 0.6222, 0.5584, 0.5871, 0.5768, 0.5406]
    assert omega.solution.general.round(4).tolist() == general
    phi = omega.solution.factor_correlations[np.tril_indices(3, -1)]
    assert phi.round(5).tolist() == [0.59263, 0.53344, 0.51513]
    assert omega.solution.caution == ""


def test_the_optimum_lies_beside_psychs_stop(thurstone):
    omega = mcdonald_omega(thurstone, 3)
    assert omega.hierarchical.value == pytest.approx(0.736070, abs=2e-6)
    assert omega.total.value == pytest.approx(0.930825, abs=2e-6)


def test_items_are_never_turned_round(bfi):
    """psych prints .461710 for the 25 items after turning N and O4 by their loadings."""
    keyed = bfi.keyed.copy()
    as_keyed = mcdonald_omega(item_covariance(keyed).correlation, 5, stopping="psych")
    # R: omega(keyed, 5, flip = FALSE)
    assert as_keyed.hierarchical.value == pytest.approx(0.3043686, abs=1e-6)
    assert as_keyed.total.value == pytest.approx(0.8158777, abs=1e-6)
    turned = [name[0] == "N" or name == "O4" for name in bfi.items]
    keyed[:, turned] = 7 - keyed[:, turned]
    by_hand = mcdonald_omega(item_covariance(keyed).correlation, 5, stopping="psych")
    assert round(by_hand.hierarchical.value, 6) == 0.461710
    assert round(by_hand.limit, 6) == 0.527783
    assert round(by_hand.total.value, 6) == 0.874810


def test_answering_against_the_key_costs_omega():
    rng = np.random.default_rng(1)
    answers = rng.standard_normal((500, 1)) + rng.standard_normal((500, 8))
    consistent = item_covariance(answers).correlation
    answers[:, :3] *= -1  # three items answered the wrong way round
    contradicting = item_covariance(answers).correlation
    high, low = (mcdonald_omega(matrix, 1).total.value for matrix in (consistent, contradicting))
    assert high > 0.85
    assert low < high - 0.3


def test_planted_general_and_group_factors_are_recovered():
    general = np.full(9, 0.6)
    group = np.kron(np.eye(3), np.full((3, 1), 0.5))
    correlation = np.outer(general, general) + group @ group.T
    np.fill_diagonal(correlation, 1.0)
    omega = mcdonald_omega(correlation, 3)
    whole = correlation.sum()
    assert omega.solution.general == pytest.approx(general, abs=1e-5)
    assert omega.hierarchical.value == pytest.approx(5.4**2 / whole, abs=1e-5)
    assert omega.total.value == pytest.approx(1 - 9 * (1 - 0.36 - 0.25) / whole, abs=1e-5)
    assert omega.explained_common_variance == pytest.approx(0.36 / 0.61, abs=1e-5)
    assert np.sort(np.abs(omega.solution.group).max(axis=0)) == pytest.approx([0.5] * 3, abs=1e-4)


def test_one_factor_is_the_general_factor():
    loadings = np.array([0.8, 0.7, 0.6, 0.5])
    correlation = np.outer(loadings, loadings)
    np.fill_diagonal(correlation, 1.0)
    omega = mcdonald_omega(correlation, 1)
    assert omega.total.value == pytest.approx(loadings.sum() ** 2 / correlation.sum(), abs=1e-6)
    assert omega.hierarchical.value == pytest.approx(omega.total.value, abs=1e-6)
    assert omega.explained_common_variance == pytest.approx(1.0)


def test_two_factors_share_their_general_factor_by_assumption():
    pattern = np.kron(np.eye(2), np.array([[0.8], [0.7], [0.6]]))
    phi = np.array([[1.0, 0.36], [0.36, 1.0]])
    correlation = pattern @ phi @ pattern.T
    np.fill_diagonal(correlation, 1.0)
    solution = schmid_leiman(correlation, 2)
    assert solution.general == pytest.approx(pattern.sum(axis=1) * 0.6, abs=1e-4)
    assert "by assumption" in solution.caution
    # Factors that exclude each other: a total there is, nothing general there is not.
    correlation[:3, 3:] *= -1
    correlation[3:, :3] *= -1
    opposed = mcdonald_omega(correlation, 2)
    assert opposed.total.value < 0.7
    assert math.isnan(opposed.hierarchical.value)
    assert "negatively" in opposed.hierarchical.reason


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000))
def test_omega_does_not_depend_on_the_order_of_items(seed):
    rng = np.random.default_rng(seed)
    answers = rng.standard_normal((80, 1)) + rng.standard_normal((80, 6))
    correlation = item_covariance(answers).correlation
    order = rng.permutation(6)
    shuffled = mcdonald_omega(correlation[np.ix_(order, order)], 1).total.value
    assert shuffled == pytest.approx(mcdonald_omega(correlation, 1).total.value, abs=1e-6)


def test_the_interval_surrounds_omega_and_repeats():
    rng = np.random.default_rng(4)
    keyed = 0.8 * rng.standard_normal((150, 1)) + rng.standard_normal((150, 6))
    keyed[3, 2] = np.nan
    for coefficient in ("total", "hierarchical"):
        estimate = omega_interval(keyed, 1, coefficient, resamples=60, seed=2)
        assert 0.6 < estimate.low < estimate.value < estimate.high < 0.95
        assert estimate == omega_interval(keyed, 1, coefficient, resamples=60, seed=2)
    omega = mcdonald_omega(item_covariance(keyed).correlation, 1)
    assert omega_interval(keyed, 1, resamples=0).value == pytest.approx(omega.total.value)


def test_what_cannot_be_computed_says_why():
    constant = np.ones((10, 4))
    omega = mcdonald_omega(item_covariance(constant).correlation, 1)
    for estimate in (omega.total, omega.hierarchical, omega_interval(constant)):
        assert math.isnan(estimate.value)
        assert "do not vary" in estimate.reason
    two = mcdonald_omega(np.array([[1.0, 0.5], [0.5, 1.0]]), 1)
    assert "three items" in two.total.reason
    assert "three items" in omega_interval(np.random.default_rng(0).random((9, 2))).reason
    # Items in opposite pairs: their sum is always the same.
    opposite = np.kron(np.eye(2), np.array([[1.0, -1.0], [-1.0, 1.0]]))
    assert "cancel out" in mcdonald_omega(opposite, 1).total.reason
    with pytest.raises(ValueError, match="factors"):
        mcdonald_omega(np.eye(4), 4)
