from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from allport.psychometrics.congruence import (
    congruence_matrix,
    congruence_of_answers,
    factor_congruence,
    tucker_phi,
)
from allport.psychometrics.covariance import item_covariance
from allport.psychometrics.factor_analysis import exploratory_factor_analysis

loadings = arrays(np.float64, 6, elements=st.floats(-1, 1, allow_subnormal=False))


def varimax_of(bfi, gender, stopping):
    rows = bfi.keyed[bfi.complete & (bfi.gender == gender)]
    correlation = item_covariance(rows).correlation
    solution = exploratory_factor_analysis(correlation, 5, rotation="varimax", stopping=stopping)
    return len(rows), solution.loadings


def test_men_and_women_share_factors_as_psych_says(bfi):
    men, of_men = varimax_of(bfi, 1, "psych")
    women, of_women = varimax_of(bfi, 2, "psych")
    assert (men, women) == (805, 1631)
    congruence = factor_congruence(of_men, of_women, rotate=False)
    # Which factor of the women is which trait: the one its items load on.
    traits = [bfi.items[item][0] for item in np.abs(of_women).argmax(axis=0)]
    phi = dict(zip(traits, (round(c.value, 5) for c in congruence.coefficients), strict=True))
    assert phi == {"N": 0.99319, "E": 0.95442, "C": 0.98547, "A": 0.94743, "O": 0.98453}
    turned = factor_congruence(of_men, of_women)
    assert turned.overall.value > congruence.overall.value
    assert turned.matches.tolist() == [0, 1, 2, 3, 4]


def test_phi_by_hand():
    # 2 * 1 + 1 * 2 = 4 over sqrt(5) * sqrt(5); centred, the correlation would be -1.
    assert tucker_phi([2.0, 1.0], [1.0, 2.0]).value == pytest.approx(0.8)


@settings(max_examples=60, deadline=None)
@given(loadings, loadings, st.floats(0.01, 100), st.sampled_from([-1.0, 1.0]))
def test_phi_is_blind_to_length_and_turns_with_sign(a, b, scale, sign):
    assume(min(np.linalg.norm(a), np.linalg.norm(b)) > 1e-3)
    phi = tucker_phi(a, b)
    scaled = tucker_phi(sign * scale * a, b)
    assert scaled.value == pytest.approx(sign * phi.value, abs=1e-9)
    assert -1 <= phi.value <= 1
    assert phi.value == tucker_phi(b, a).value
    assert tucker_phi(a, a).value == pytest.approx(1.0)


def test_matching_finds_shuffled_and_reflected_factors():
    rng = np.random.default_rng(7)
    target = rng.standard_normal((12, 4))
    congruence = factor_congruence(-target[:, [2, 0, 3, 1]], target, rotate=False)
    assert congruence.matches.tolist() == [1, 3, 0, 2]
    assert congruence.signs.tolist() == [-1.0] * 4
    assert [c.value for c in congruence.coefficients] == pytest.approx([1.0] * 4)
    assert congruence.overall.value == pytest.approx(1.0)
    assert congruence.table.shape == (4, 4)


def test_the_matching_is_the_best_in_sum_not_the_greedy_one():
    # Greedy would pair (0, 0) at .9 and leave (1, 1) at 0; together (0, 1) and (1, 0) are better.
    target = np.eye(3)[:, :2]
    moved = np.array([[0.9, 0.8], [math.sqrt(0.19), 0.0], [0.0, 0.6]])
    congruence = factor_congruence(moved, target, rotate=False)
    assert congruence.table == pytest.approx(np.array([[0.9, math.sqrt(0.19)], [0.8, 0.0]]))
    assert congruence.matches.tolist() == [1, 0]


def test_a_factor_too_few_is_reported_and_the_rest_matched():
    target = np.eye(4)[:, :3]
    congruence = factor_congruence(target[:, [2, 0]], target, rotate=False)
    assert congruence.matches.tolist() == [1, -1, 0]
    assert "fewer factors" in congruence.coefficients[1].reason
    assert congruence.overall.value == pytest.approx(1.0)


def test_rotation_to_an_ideal_pattern_recovers_it():
    ideal = np.kron(np.eye(3), np.array([[1.0], [1.0], [-1.0]]))
    angle = 0.7
    turn = np.eye(3)
    turn[:2, :2] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    assert factor_congruence(0.6 * ideal @ turn, ideal).overall.value == pytest.approx(1.0)


def test_answers_are_compared_with_a_target():
    rng = np.random.default_rng(9)
    target = np.kron(np.eye(2), np.ones((4, 1)))
    keyed = rng.standard_normal((300, 2)) @ target.T + 0.8 * rng.standard_normal((300, 8))
    estimates = congruence_of_answers(keyed, target, resamples=40, seed=1)
    assert len(estimates) == 3
    for estimate in estimates:
        assert 0.9 < estimate.low < estimate.value < estimate.high < 1.0
    assert estimates == congruence_of_answers(keyed, target, resamples=40, seed=1)
    # Items that belong elsewhere are found out.
    wrong = congruence_of_answers(keyed[:, [0, 4, 1, 5, 2, 6, 3, 7]], target, resamples=0)
    assert wrong[2].value < 0.85
    assert math.isnan(wrong[2].low)


def test_what_cannot_be_compared_says_why():
    assert "zero" in tucker_phi([0.0, 0.0], [1.0, 2.0]).reason
    assert "missing" in tucker_phi([np.nan, 0.0], [1.0, 2.0]).reason
    missing = factor_congruence(np.full((4, 2), np.nan), np.eye(4)[:, :2])
    assert math.isnan(missing.coefficients[0].value)
    assert "missing" in missing.overall.reason
    constant = congruence_of_answers(np.ones((9, 4)), np.eye(4)[:, :2], resamples=5)
    assert "do not vary" in constant[0].reason
    with pytest.raises(ValueError, match="share items"):
        congruence_matrix(np.eye(3), np.eye(4))
    with pytest.raises(ValueError, match="does not fit 3 items"):
        congruence_of_answers(np.eye(3), np.eye(4))
    with pytest.raises(ValueError, match="compared"):
        tucker_phi([1.0], [1.0, 2.0])
