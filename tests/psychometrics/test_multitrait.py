from __future__ import annotations

import math

import numpy as np
import pytest

from allport.psychometrics.multitrait import multitrait_multimethod

TRAITS = ("N", "E", "O")
METHODS = ("inventory", "text")


def answers_with(correlation, rows=60, seed=0):
    """Scores whose sample correlations are exactly these."""
    noise = np.random.default_rng(seed).standard_normal((rows, len(correlation)))
    noise -= noise.mean(axis=0)
    white = noise @ np.linalg.inv(np.linalg.cholesky(noise.T @ noise / (rows - 1))).T
    return white @ np.linalg.cholesky(correlation).T


def planted(trait_share, method_share, between=0.0, rows=60):
    """Scores (rows, 2 methods, 3 traits): trait + method + error, traits correlated `between`."""
    trait = np.kron(np.ones((2, 2)), between + (1 - between) * np.eye(3)) * trait_share
    method = np.kron(np.eye(2), np.ones((3, 3))) * method_share
    correlation = trait + method
    np.fill_diagonal(correlation, 1.0)
    return answers_with(correlation, rows).reshape(rows, 2, 3)


def test_valid_measures_pass_all_checks():
    result = multitrait_multimethod(planted(0.6, 0.1, between=0.2), TRAITS, METHODS)
    assert len(result.checks) == 3
    for check, trait in zip(result.checks, TRAITS, strict=True):
        assert check.trait == trait
        assert check.methods == METHODS
        assert check.convergent.value == pytest.approx(0.6)
        assert check.heteromethod_margins == pytest.approx([0.48] * 4)  # .60 - .12
        assert check.monomethod_margins == pytest.approx([0.38] * 4)  # .60 - (.12 + .10)
        assert check.discriminant == pytest.approx(0.48)
        assert check.is_convergent
        assert check.exceeds_heteromethod
        assert check.exceeds_monomethod
    assert result.convergent_mean == pytest.approx(0.6)
    assert result.discriminant_mean == pytest.approx(0.48)


def test_method_variance_fails_the_third_check_only():
    result = multitrait_multimethod(planted(0.4, 0.5), TRAITS, METHODS)
    for check in result.checks:
        assert check.is_convergent
        assert check.exceeds_heteromethod
        assert not check.exceeds_monomethod
        assert check.monomethod_margins == pytest.approx([-0.1] * 4)


def test_one_trait_under_three_names_fails_the_second_check():
    result = multitrait_multimethod(planted(0.6, 0.0, between=1.0), TRAITS, METHODS)
    assert all(abs(check.discriminant) < 1e-9 for check in result.checks)
    unrelated = multitrait_multimethod(planted(0.05, 0.3), TRAITS, METHODS)
    assert not any(check.is_convergent for check in unrelated.checks)


def test_the_matrix_is_laid_out_by_method_and_shows_reliabilities():
    scores = planted(0.6, 0.1, between=0.2)
    reliabilities = np.array([[0.9, 0.8, 0.7], [0.6, 0.5, 0.4]])
    result = multitrait_multimethod(scores, TRAITS, METHODS, reliabilities=reliabilities)
    assert np.diag(result.matrix).tolist() == [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    assert result.matrix[0, 1] == pytest.approx(0.22)  # N and E, both by inventory
    assert result.matrix[0, 3] == pytest.approx(0.60)  # N by inventory and by text
    assert result.matrix[0, 4] == pytest.approx(0.12)  # N by inventory and E by text
    assert result.checks[0].convergent.value == pytest.approx(0.6)


def test_margins_are_over_absolute_values():
    correlation = np.eye(4)
    correlation[0, 2] = correlation[1, 3] = 0.5  # methods 0 and 1, traits 0 and 1
    correlation[0, 3] = -0.4
    correlation[1, 2] = 0.1
    correlation[0, 1] = -0.2
    correlation = correlation + np.triu(correlation, 1).T
    result = multitrait_multimethod(answers_with(correlation).reshape(60, 2, 2), "NE", "ab")
    assert result.checks[0].heteromethod_margins == pytest.approx([0.1, 0.4])
    assert result.checks[0].monomethod_margins == pytest.approx([0.3, 0.5])
    assert "fewer than three traits" in result.pattern.reason


def test_the_pattern_of_traits_is_compared_over_blocks():
    trait = np.array([[1.0, 0.6, 0.4], [0.6, 1.0, 0.2], [0.4, 0.2, 1.0]])
    alike = np.kron(np.ones((2, 2)), trait * 0.7)
    np.fill_diagonal(alike, 1.0)
    scores = answers_with(alike).reshape(60, 2, 3)
    assert multitrait_multimethod(scores, TRAITS, METHODS).pattern.value == pytest.approx(1.0)
    equal = multitrait_multimethod(planted(0.6, 0.0, between=0.3), TRAITS, METHODS)
    assert "alike" in equal.pattern.reason
    noise = np.random.default_rng(8).standard_normal((40, 2, 3))
    assert 0 <= multitrait_multimethod(noise, TRAITS, METHODS).pattern.value < 0.9


def test_a_constant_measure_leaves_its_checks_undefined():
    scores = np.random.default_rng(0).standard_normal((20, 2, 3))
    scores[:, 1, 2] = 4.0
    scores[0, 0, 0] = np.nan
    result = multitrait_multimethod(scores, TRAITS, METHODS)
    assert math.isnan(result.checks[2].convergent.value)
    assert "does not vary" in result.checks[2].convergent.reason
    assert not result.checks[2].exceeds_heteromethod
    assert "does not vary" in result.pattern.reason
    assert math.isfinite(result.convergent_mean)
    alone = multitrait_multimethod(scores[:, :, :1], ("N",), METHODS)
    assert math.isnan(alone.discriminant_mean)
    assert not alone.checks[0].exceeds_monomethod


def test_wrong_shapes_are_refused():
    scores = np.zeros((5, 2, 3))
    with pytest.raises(ValueError, match="two methods or more"):
        multitrait_multimethod(scores[:, :1], TRAITS, METHODS[:1])
    with pytest.raises(ValueError, match="3 traits"):
        multitrait_multimethod(scores[:, :, :2], TRAITS, METHODS)
    with pytest.raises(ValueError, match="reliabilities"):
        multitrait_multimethod(scores, TRAITS, METHODS, reliabilities=[0.9])
