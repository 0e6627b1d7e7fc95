from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest

from allport.errors import ResponsesError
from allport.psychometrics import adjust_for_many, intraclass_correlations, sign_flip_test

STATEMENTS = np.repeat(np.arange(40), 5)


def planted(rng: np.random.Generator, effect: float) -> NDArray[np.float64]:
    """How two respondents differ on the sides of 40 statements of five items, -1 to 1.

    Each leans on each statement by chance as far as an item of it strays, and the second leans
    further to the high side by the effect.
    """
    item = rng.normal(size=200)
    first, second = rng.normal(size=(2, 40))[:, STATEMENTS] + rng.normal(size=(2, 200))
    sides = np.array([first + item > 0, second + item + effect > 0], dtype=np.float64)
    return np.asarray(sides[1] - sides[0])


def mcnemar(differences: NDArray[np.float64]) -> float:
    """McNemar's exact p-value, which takes every item for independent."""
    more, less = int((differences > 0).sum()), int((differences < 0).sum())
    return float(binomtest(more, more + less).pvalue)


def test_small_cases_by_hand() -> None:
    # Of 8 choices of signs of 3, 2 and 1, only both extremes are as far from zero as 6.
    assert sign_flip_test([3.0, 2.0, 1.0]) == pytest.approx(2 / 8)
    # As far as 3 + 2 - 1 are 6, 4, -4 and -6.
    assert sign_flip_test([3.0, 2.0, -1.0]) == pytest.approx(4 / 8)
    # Clusters sum to 2, -1 and 0, of which the last changes nothing: totals are 1, -1, 3 and -3.
    clusters = ["a", "b", "a", "c", "c", "b"]
    assert sign_flip_test([1, -1, 1, 1, -1, np.nan], clusters) == 1
    assert sign_flip_test([1, 1, 1, 1, -1, np.nan], clusters) == pytest.approx(2 / 4)
    # Tenths do not sum exactly, and are as far from zero all the same.
    assert sign_flip_test([0.1, 0.2, -0.3]) == 1
    assert sign_flip_test([0.1] * 12) == pytest.approx(2 / 2**12)


def test_who_never_differs_does_not_differ() -> None:
    assert sign_flip_test([0.0] * 30) == 1
    assert sign_flip_test([np.nan, 0.0]) == 1
    assert sign_flip_test([]) == 1


def test_drawn_signs_come_near_all_of_them_and_never_to_zero() -> None:
    rng = np.random.default_rng(1)
    few = rng.normal(0.5, 1.0, 12)
    # Two halves of a statement are one statement; 13 apart are drawn.
    clusters = [*range(12), 11]
    halves = np.append(few, few[-1] / 2)
    halves[11] /= 2
    assert sign_flip_test(halves, clusters) == sign_flip_test(few)
    many = np.append(few, 1e-6)
    assert sign_flip_test(many) == pytest.approx(sign_flip_test(few), abs=0.015)
    assert sign_flip_test(many, seed=3) == sign_flip_test(many, seed=3)
    assert sign_flip_test(-many) == pytest.approx(sign_flip_test(many), abs=1e-12)
    assert sign_flip_test(np.ones(40)) == 1 / 10_001


def test_the_level_holds_where_statements_share_noise_and_an_effect_is_found() -> None:
    rng = np.random.default_rng(7)
    null = [planted(rng, 0.0) for _ in range(300)]
    level = np.mean([sign_flip_test(d, STATEMENTS) < 0.05 for d in null])
    assert 0.02 < level < 0.08
    # Items of one statement correlate, and McNemar's test does not know.
    together = intraclass_correlations(np.reshape(null, (-1, 5))).icc1.estimate
    assert together.value == pytest.approx(0.28, abs=0.02)
    assert np.mean([mcnemar(d) < 0.05 for d in null]) > 0.1
    moved = [planted(rng, 1.2) for _ in range(50)]
    assert np.mean([sign_flip_test(d, STATEMENTS) < 0.05 for d in moved]) > 0.9


def test_false_discoveries_are_controlled() -> None:
    # Benjamini & Hochberg, 1995: p * n / rank, made monotone from the largest down.
    p = {"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.5}
    found = adjust_for_many(p)
    assert found == pytest.approx({"a": 0.04, "b": 0.16 / 3, "c": 0.16 / 3, "d": 0.5})
    assert adjust_for_many({}) == {}


def test_clusters_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ResponsesError, match=r"shape \(1,\) do not label differences"):
        sign_flip_test([1, 0], ["a"])
    with pytest.raises(ResponsesError, match="do not label"):
        sign_flip_test([[1.0, 0.0]])
