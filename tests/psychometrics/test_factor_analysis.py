from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ncx2, ortho_group

from allport.psychometrics.covariance import item_covariance
from allport.psychometrics.factor_analysis import (
    exploratory_factor_analysis,
    minimum_residual_loadings,
    noncentrality_interval,
)
from allport.psychometrics.rotation import rotate_loadings, target_rotation

# Two correlated factors of four items each.
PATTERN = np.array([[0.8, 0], [0.7, 0], [0.6, 0], [0.5, 0], [0, 0.8], [0, 0.7], [0, 0.6], [0, 0.5]])
PHI = np.array([[1.0, 0.4], [0.4, 1.0]])


def planted(pattern=PATTERN, phi=PHI):
    correlation = pattern @ phi @ pattern.T
    np.fill_diagonal(correlation, 1.0)
    return correlation


@pytest.fixture(scope="module")
def complete(bfi):
    return item_covariance(bfi.keyed, "listwise")


@pytest.mark.parametrize("stopping", ["exact", "psych"])
def test_five_factors_of_bfi_fit_as_in_psych(complete, stopping):
    solution = exploratory_factor_analysis(
        complete.correlation, 5, n_respondents=complete.rows, rotation="none", stopping=stopping
    )
    fit = solution.fit
    assert complete.rows == 2436
    assert round(fit.chi_square, 2) == 1538.52
    assert fit.df == 185
    assert [round(v, 4) for v in fit.rmsea[:3]] == [0.0548, 0.0523, 0.0574]
    assert round(fit.tli, 4) == 0.8768
    assert round(fit.bic, 2) == 95.87
    assert round(fit.rms, 4) == 0.0278
    assert fit.p_value < 1e-200
    assert solution.improper == ()
    expected = [5.13431, 2.75189, 2.14270, 1.85233, 1.54816, 1.07358]
    assert solution.eigenvalues[:6].round(5).tolist() == expected


def test_varimax_of_bfi_explains_as_in_psych(complete):
    compared = exploratory_factor_analysis(
        complete.correlation, 5, rotation="varimax", stopping="psych"
    )
    assert compared.ss_loadings.round(4).tolist() == [2.7096, 2.4731, 2.0411, 1.8445, 1.5222]
    # R's varimax with eps = 1e-12 instead of its default 1e-5.
    optimum = exploratory_factor_analysis(complete.correlation, 5, rotation="varimax")
    assert optimum.ss_loadings == pytest.approx(
        [2.709490509, 2.470111299, 2.041020545, 1.847353351, 1.522502324], abs=3e-5
    )


def test_oblimin_of_bfi_is_that_of_psych(complete):
    solution = exploratory_factor_analysis(complete.correlation, 5, rotation="oblimin")
    assert solution.ss_loadings == pytest.approx(
        [2.57626, 2.20733, 2.09689, 2.07278, 1.63723], abs=1e-4
    )
    assert solution.factor_correlations[0, 1] == pytest.approx(-0.216943, abs=1e-5)
    assert solution.factor_correlations[1, 3] == pytest.approx(0.329700, abs=1e-5)


def test_planted_factors_are_found_exactly():
    solution = exploratory_factor_analysis(planted(), 2, n_respondents=500)
    assert solution.uniquenesses == pytest.approx(1 - (PATTERN**2).sum(axis=1), abs=1e-6)
    order = [0, 1] if abs(solution.loadings[0, 0]) > 0.5 else [1, 0]
    assert solution.loadings[:, order] == pytest.approx(PATTERN, abs=1e-4)
    assert solution.factor_correlations[0, 1] == pytest.approx(0.4, abs=1e-4)
    assert solution.structure == pytest.approx(solution.loadings @ solution.factor_correlations)
    assert solution.communalities == pytest.approx((PATTERN**2).sum(axis=1), abs=1e-6)
    assert solution.fit.chi_square == pytest.approx(0.0, abs=1e-6)
    assert solution.fit.rmsea.value == solution.fit.rmsea.low == 0.0


def test_more_starts_never_do_worse():
    rng = np.random.default_rng(3)
    loadings = rng.uniform(-0.6, 0.6, (12, 4))

    def complexity(solution):
        squared = solution.loadings**2
        return float((squared.sum(axis=1) ** 2).sum() - (squared**2).sum())

    one = rotate_loadings(loadings, "oblimin")
    ten = rotate_loadings(loadings, "oblimin", starts=10, seed=1)
    again = rotate_loadings(loadings, "oblimin", starts=10, seed=1)
    assert complexity(ten) <= complexity(one) + 1e-9
    assert np.array_equal(ten.loadings, again.loadings)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(1, 4),
    st.sampled_from(["none", "varimax", "oblimin"]),
)
def test_rotation_preserves_communalities(seed, factors, method):
    loadings = np.random.default_rng(seed).uniform(-0.5, 0.5, (9, factors))
    rotated = rotate_loadings(loadings, method)
    reproduced = rotated.loadings @ rotated.factor_correlations @ rotated.loadings.T
    assert reproduced == pytest.approx(loadings @ loadings.T, abs=1e-8)
    assert np.diag(rotated.factor_correlations) == pytest.approx(np.ones(factors))
    assert (np.diff(rotated.ss_loadings) <= 1e-12).all()
    assert (rotated.loadings.sum(axis=0) >= -1e-12).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5))
def test_target_rotation_undoes_any_turn(seed, factors):
    target = np.random.default_rng(seed).standard_normal((12, factors))
    turn = ortho_group.rvs(factors, random_state=seed)
    rotated, undone = target_rotation(target @ turn, target)
    assert rotated == pytest.approx(target, abs=1e-9)
    assert undone == pytest.approx(turn.T, abs=1e-9)


def test_target_rotation_of_missing_loadings_is_missing():
    rotated, turn = target_rotation([[np.nan, 1.0], [0.0, 1.0]], np.eye(2))
    assert np.isnan(rotated).all()
    assert np.isnan(turn).all()
    with pytest.raises(ValueError, match=r"\(2, 2\)"):
        target_rotation(np.eye(2), np.ones((3, 2)))


def test_noncentrality_limits_leave_five_per_cent_on_each_side():
    low, high = noncentrality_interval(60.0, 20)
    assert ncx2.cdf(60.0, 20, low) == pytest.approx(0.95)
    assert ncx2.cdf(60.0, 20, high) == pytest.approx(0.05)
    assert noncentrality_interval(3.0, 20) == (0.0, 0.0)


def test_fit_says_why_it_is_missing():
    nobody = exploratory_factor_analysis(planted(), 2).fit
    assert math.isnan(nobody.chi_square)
    assert "number of respondents" in nobody.reason
    assert nobody.rms == pytest.approx(0.0, abs=1e-6)
    few = exploratory_factor_analysis(planted(), 2, n_respondents=4).fit
    assert "too few" in few.rmsea.reason
    saturated = exploratory_factor_analysis(planted()[:4, :4], 2, n_respondents=100).fit
    assert saturated.df == -1
    assert math.isnan(saturated.p_value)
    assert "degrees of freedom" in saturated.rmsea.reason


def test_an_item_that_does_not_vary_leaves_no_solution():
    answers = np.random.default_rng(0).integers(1, 6, (30, 5)).astype(float)
    answers[:, 2] = 3.0
    solution = exploratory_factor_analysis(item_covariance(answers).correlation, 2)
    assert solution.reason == "1 of 5 items do not vary (column 3)"
    assert np.isnan(solution.loadings).all()
    assert solution.loadings.shape == (5, 2)
    assert solution.fit.reason == solution.reason


def test_a_doubled_item_is_factored_but_has_no_likelihood():
    correlation = planted()
    doubled = np.insert(np.insert(correlation, 0, correlation[0], axis=0), 0, 0.0, axis=1)
    doubled[:, 0] = doubled[:, 1]
    doubled[0, 0] = 1.0
    solution = exploratory_factor_analysis(doubled, 2, n_respondents=200)
    assert np.isfinite(solution.loadings).all()
    assert math.isnan(solution.fit.chi_square)
    assert "singular" in solution.fit.reason


def test_a_heywood_case_is_named():
    # The first correlation is larger than two others allow a single factor to have: 0.9 > ...
    correlation = np.array([[1.0, 0.9, 0.8], [0.9, 1.0, 0.5], [0.8, 0.5, 1.0]])
    _, improper = minimum_residual_loadings(correlation, 1)
    assert improper == (0,)


@pytest.mark.parametrize("factors", [0, 8, 9])
def test_impossible_numbers_of_factors_are_refused(factors):
    with pytest.raises(ValueError, match="8 items have 1 to 7 factors"):
        exploratory_factor_analysis(planted(), factors)


def test_unknown_rotations_and_tables_are_refused():
    with pytest.raises(ValueError, match="promax"):
        rotate_loadings(PATTERN, "promax")
    with pytest.raises(ValueError, match="square"):
        exploratory_factor_analysis(np.ones((3, 4)), 1)


@pytest.mark.parametrize("stopping", ["exact", "psych"])
def test_items_that_are_all_the_same_are_one_factor(stopping):
    # The second factor is empty, and the gradient of its rotation zero from the start.
    solution = exploratory_factor_analysis(np.ones((5, 5)), 2, stopping=stopping)
    assert np.abs(solution.loadings[:, 0]) == pytest.approx(np.ones(5), abs=6e-3)
    assert solution.loadings[:, 1] == pytest.approx(np.zeros(5), abs=6e-3)
