from __future__ import annotations

import math

import numpy as np
import pytest

from allport.errors import UsageError
from allport.psychometrics.covariance import item_covariance
from allport.psychometrics.dimensionality import (
    bartlett_sphericity,
    minimum_average_partial,
    parallel_analysis,
    sampling_adequacy,
)


@pytest.fixture(scope="module")
def complete(bfi):
    return item_covariance(bfi.keyed, "listwise")


def test_bfi_is_worth_factoring_as_psych_says(complete):
    adequacy = sampling_adequacy(complete.correlation)
    assert round(adequacy.overall, 6) == 0.848645
    assert adequacy.items.shape == (25,)
    assert ((adequacy.items > 0.6) & (adequacy.items < 0.95)).all()
    sphericity = bartlett_sphericity(complete.correlation, complete.rows)
    assert (round(sphericity.chi_square, 3), sphericity.df) == (18146.066, 300)
    assert sphericity.p_value == 0.0


def test_average_partial_of_bfi_is_least_at_five(complete):
    partial = minimum_average_partial(complete.correlation)
    assert partial.n_components == 5
    # R's vss(bfi)$map, from one component on.
    expected = [0.02492, 0.01894, 0.01752, 0.01569, 0.01464, 0.01598, 0.01937, 0.02222]
    assert partial.averages[1:9].round(5).tolist() == expected


def test_parallel_analysis_of_bfi_keeps_six_factors_and_five_components(bfi):
    result = parallel_analysis(bfi.keyed, iterations=20, missing="listwise")
    assert (result.n_factors, result.n_components) == (6, 5)
    # R's fa.parallel(bfi)$fa.values.
    expected = [4.364138, 1.921594, 1.305203, 0.970727, 0.724643, 0.222698, 0.000958]
    assert result.factor_values[:7] == pytest.approx(expected, abs=1e-6)
    again = parallel_analysis(bfi.keyed, iterations=20, missing="listwise")
    assert np.array_equal(result.factor_chance, again.factor_chance)


@pytest.mark.parametrize("unrelated", ["normal", "permuted"])
def test_three_planted_factors_are_counted(unrelated):
    rng = np.random.default_rng(11)
    pattern = np.kron(np.eye(3), np.full((5, 1), 0.7))
    answers = rng.standard_normal((400, 3)) @ pattern.T + 0.7 * rng.standard_normal((400, 15))
    answers[rng.random(answers.shape) < 0.02] = np.nan
    result = parallel_analysis(answers, unrelated=unrelated, seed=5)
    assert (result.n_factors, result.n_components) == (3, 3)
    assert minimum_average_partial(item_covariance(answers).correlation).n_components == 3


def test_unrelated_answers_have_no_components():
    noise = np.random.default_rng(2).standard_normal((500, 8))
    assert parallel_analysis(noise, quantile=0.99).n_components == 0
    assert minimum_average_partial(item_covariance(noise).correlation).n_components == 0


def test_sphericity_of_uncorrelated_items_is_zero():
    result = bartlett_sphericity(np.eye(4), 50)
    assert result[:3] == (0.0, 6, 1.0)
    assert sampling_adequacy(np.eye(4)).reason == "no two items correlate"


def test_singular_and_constant_items_are_reported():
    rng = np.random.default_rng(0)
    answers = rng.standard_normal((20, 4))
    doubled = item_covariance(np.hstack([answers, answers[:, :1]])).correlation
    assert "singular" in sampling_adequacy(doubled).reason
    assert "singular" in bartlett_sphericity(doubled, 20).reason
    # Components can be taken from a singular matrix; one that empties an item ends the search.
    assert minimum_average_partial(doubled).reason == ""
    answers[:, 1] = 4.0
    constant = item_covariance(answers).correlation
    for result in (
        sampling_adequacy(constant),
        bartlett_sphericity(constant, 20),
        minimum_average_partial(constant),
        parallel_analysis(answers),
    ):
        assert result.reason == "1 of 4 items do not vary (column 2)"
    assert math.isnan(bartlett_sphericity(constant, 20).chi_square)


def test_too_little_is_said_to_be_too_little():
    assert "too few" in bartlett_sphericity(np.eye(10), 4).reason
    assert "one item" in bartlett_sphericity([[1.0]], 40).reason
    assert "three items" in minimum_average_partial(np.eye(2)).reason
    assert "three items" in parallel_analysis(np.random.default_rng(0).random((9, 2))).reason
    with pytest.raises(UsageError, match="in 0 iterations"):
        parallel_analysis(np.eye(4), iterations=0)
    with pytest.raises(UsageError, match="'shuffled' are unknown"):
        parallel_analysis(np.eye(4), unrelated="shuffled")
    with pytest.raises(UsageError, match="At most -1 components"):
        minimum_average_partial(np.eye(4), max_components=-1)
    assert minimum_average_partial(np.eye(4), max_components=0).averages.size == 1


def test_few_shuffled_answers_may_leave_nothing_to_compare_with():
    answers = np.full((6, 3), np.nan)
    answers[:3] = [[1.0, 2.0, 5.0], [2.0, 3.0, 4.0], [4.0, 1.0, 4.5]]
    result = parallel_analysis(answers, unrelated="permuted", iterations=3, seed=0)
    assert result.n_factors == 0
    assert "too few answers" in result.reason
