from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtri

from allport.psychometrics.cfa import confirmatory_factor_analysis
from allport.psychometrics.covariance import item_covariance

Z = ndtri(0.975)


def standard_error(estimate):
    return (estimate.high - estimate.low) / (2 * Z)


@pytest.fixture(scope="module")
def five_factors(bfi):
    moments = item_covariance(bfi.keyed, "listwise")
    scales = [name[0] for name in bfi.items]
    return confirmatory_factor_analysis(moments.covariance, scales, moments.rows)


def test_five_factors_of_bfi_fit_as_in_lavaan(five_factors):
    fit = five_factors.fit
    assert round(fit.chi_square, 3) == 4165.467
    assert fit.df == 265
    assert round(fit.cfi, 3) == 0.782
    assert round(fit.tli, 3) == 0.754
    assert [round(v, 3) for v in fit.rmsea[:3]] == [0.078, 0.076, 0.080]
    assert round(fit.srmr, 3) == 0.075
    assert fit.p_value < 1e-200
    assert five_factors.caution == five_factors.reason == ""


def test_factors_of_bfi_correlate_as_in_lavaan(five_factors):
    assert five_factors.factors == ("A", "C", "E", "N", "O")
    # lavInspect(fit, "cor.lv"), below the diagonal.
    expected = [
        [],
        [0.33392322],
        [0.68253792, 0.35748875],
        [-0.22335897, -0.28285981, -0.24379191],
        [0.30347050, 0.30100172, 0.45281860, -0.11206415],
    ]
    for row, correlations in enumerate(expected):
        for column, value in enumerate(correlations):
            cell = five_factors.factor_correlations[row][column]
            assert cell.value == pytest.approx(value, abs=2e-5)
            assert cell == five_factors.factor_correlations[column][row]
    assert standard_error(five_factors.factor_correlations[2][0]) == pytest.approx(
        0.0173666, abs=1e-6
    )
    assert standard_error(five_factors.factor_correlations[1][0]) == pytest.approx(
        0.0244963, abs=1e-6
    )


def test_loadings_and_their_errors_are_those_of_lavaan(five_factors):
    # standardizedSolution(fit), A1 to A3: est.std and se.
    expected = [(0.3440969, 0.02036049), (0.6480625, 0.01490114), (0.7494317, 0.01287152)]
    for loading, (value, error) in zip(five_factors.loadings, expected, strict=False):
        assert loading.value == pytest.approx(value, abs=1e-5)
        assert standard_error(loading) == pytest.approx(error, abs=1e-6)


def test_one_factor_of_neuroticism_fits_as_in_lavaan(bfi):
    moments = item_covariance(bfi.scale("N")[bfi.complete])
    solution = confirmatory_factor_analysis(moments.covariance, "NNNNN", moments.rows)
    fit = solution.fit
    assert (fit.chi_square, fit.df) == (pytest.approx(343.236384, abs=1e-5), 5)
    assert fit.cfi == pytest.approx(0.9232762634, abs=1e-8)
    assert fit.tli == pytest.approx(0.8465525268, abs=1e-8)
    assert fit.rmsea.value == pytest.approx(0.1666427858, abs=1e-8)
    assert fit.srmr == pytest.approx(0.0579203, abs=1e-5)


PATTERN = np.array([[0.8, 0.7, 0.6, 0, 0, 0, 0], [0, 0, 0, 0.9, 0.5, 0.6, -0.4]]).T
PHI = np.array([[1.0, -0.5], [-0.5, 1.0]])
DEVIATIONS = np.array([1.0, 2.0, 0.5, 1.0, 1.0, 3.0, 1.0])
SCALES = list("aaabbbb")


def planted():
    correlation = PATTERN @ PHI @ PATTERN.T
    np.fill_diagonal(correlation, 1.0)
    return correlation * np.outer(DEVIATIONS, DEVIATIONS)


def test_planted_parameters_are_recovered_in_any_units():
    solution = confirmatory_factor_analysis(planted(), SCALES, 300)
    assert [e.value for e in solution.loadings] == pytest.approx(PATTERN.sum(axis=1), abs=1e-6)
    assert solution.factor_correlations[0][1].value == pytest.approx(-0.5, abs=1e-6)
    assert solution.factor_correlations[0][0].value == 1.0
    fit = solution.fit
    assert fit.chi_square == pytest.approx(0.0, abs=1e-6)
    assert (fit.df, fit.cfi, fit.rmsea.value) == (13, 1.0, 0.0)
    assert fit.srmr == pytest.approx(0.0, abs=1e-6)
    # Omega of the sums of answers, each item in its own units.
    for factor, omega in enumerate(solution.omega):
        inside = PATTERN[:, factor] != 0
        shared = (DEVIATIONS[inside] * PATTERN[inside, factor]).sum() ** 2
        whole = planted()[np.ix_(inside, inside)].sum()
        assert omega.value == pytest.approx(shared / whole, abs=1e-6)
        assert omega.low < omega.value < omega.high


def test_intervals_cover_planted_parameters_as_often_as_they_say():
    rng = np.random.default_rng(21)
    population = planted()
    truth_omega = 0.8 + 1.4 + 0.3
    truth_omega = truth_omega**2 / population[:3, :3].sum()
    hits = np.zeros(3)
    for _ in range(100):
        answers = rng.multivariate_normal(np.zeros(7), population, 250)
        solution = confirmatory_factor_analysis(item_covariance(answers).covariance, SCALES, 250)
        checked = (
            (solution.loadings[1], 0.7),
            (solution.factor_correlations[0][1], -0.5),
            (solution.omega[0], truth_omega),
        )
        hits += [estimate.low < truth < estimate.high for estimate, truth in checked]
    assert (hits >= 88).all()


def test_a_factor_is_turned_toward_its_items():
    turned = np.where(np.array(SCALES) == "a", -1.0, 1.0)
    solution = confirmatory_factor_analysis(planted() * np.outer(turned, turned), SCALES, 300)
    assert solution.loadings[0].value == pytest.approx(0.8, abs=1e-6)
    assert solution.factor_correlations[0][1].value == pytest.approx(0.5, abs=1e-6)


def test_a_heywood_case_is_a_caution():
    correlation = np.array([[1.0, 0.9, 0.8], [0.9, 1.0, 0.5], [0.8, 0.5, 1.0]])
    solution = confirmatory_factor_analysis(correlation, "aaa", 100)
    assert "Heywood" in solution.caution
    assert solution.loadings[0].value == pytest.approx(1.0, abs=1e-3)
    assert solution.fit.df == 0
    assert "saturated" in solution.fit.reason
    assert math.isnan(solution.fit.cfi)


def test_what_cannot_be_fitted_says_why():
    doubled = np.ones((4, 4)) * 0.5 + 0.5 * np.eye(4)
    doubled[0, 1] = doubled[1, 0] = 1.0
    constant = planted()
    constant[2] = constant[:, 2] = 0.0
    for covariance, scales, rows, reason in (
        (doubled, "aabb", 50, "singular"),
        (constant, SCALES, 50, "column 3"),
        (planted(), SCALES, 7, "too few for 7 items"),
        (planted(), list("abbbbbb"), 50, "scale a has 1 items"),
        (np.eye(2), "aa", 50, "scale a has 2 items where 3"),
    ):
        solution = confirmatory_factor_analysis(covariance, scales, rows)
        assert reason in solution.reason
        assert solution.fit.reason == solution.reason
        assert math.isnan(solution.fit.chi_square)
        assert math.isnan(solution.loadings[0].value)
        assert solution.omega[0].reason == solution.reason
    with pytest.raises(ValueError, match="3 scale names"):
        confirmatory_factor_analysis(planted(), "abc", 50)


def test_noise_ends_in_a_caution_or_a_reason_never_in_an_error():
    rng = np.random.default_rng(0)
    for rows in (10, 30, 100):
        for _ in range(4):
            noise = item_covariance(rng.standard_normal((rows, 9))).covariance
            solution = confirmatory_factor_analysis(noise, "aaabbbccc", rows)
            assert solution.reason == "" or math.isnan(solution.omega[0].value)
            if not solution.reason:
                assert solution.fit.chi_square >= 0
