"""The published method: its labels, split, ranking, directions and spreads, as released."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from allport.alignment import best_on_reported, fit_published
from allport.alignment.published import PUBLISHED_HEADS, PUBLISHED_STRENGTHS
from allport.errors import AlignmentError, ResponsesError, UsageError

ITEMS, HEADS, SIZE = 60, 8, 6


@pytest.fixture(scope="module")
def answers() -> np.ndarray:
    """Stored keyed answers with neutral and missing ones."""
    return np.random.default_rng(2).choice([0, 1, 2, 3, 4, 5], ITEMS).astype(float)


@pytest.fixture(scope="module")
def activations(answers: np.ndarray) -> np.ndarray:
    """Head 3 tells the answers apart, head 5 only which option was said."""
    rng = np.random.default_rng(0)
    made = rng.normal(size=(ITEMS, 2, HEADS, SIZE))
    sign = np.sign(answers - 3) * (answers > 0)
    made[:, 0, 3] += 3 * sign[:, None]
    made[:, 1, 3] -= 3 * sign[:, None]
    made[:, 0, 5] += 3
    made[:, 1, 5] -= 3
    return made


def test_the_head_that_tells_answers_apart_comes_first(
    activations: np.ndarray, answers: np.ndarray
) -> None:
    fit = fit_published(activations, answers, heads=3)
    assert fit.heads[0] == 3
    assert fit.accuracies[3] > 0.97
    assert len(fit.heads) == 3


def test_directions_are_signed_means_of_contrast_differences(
    activations: np.ndarray, answers: np.ndarray
) -> None:
    """Each item has one row in each class, so the means differ by (1/n) sum of s_i D_i."""
    fit = fit_published(activations, answers, heads=HEADS)
    usable = np.isin(answers, [1, 2, 4, 5])
    signs = np.where(answers > 3, 1, -1)[usable]
    rows = activations[usable]
    for place, head in enumerate(fit.heads):
        mean = (signs[:, None] * (rows[:, 0, head] - rows[:, 1, head])).mean(axis=0)
        unit = mean / np.linalg.norm(mean)
        np.testing.assert_allclose(fit.directions[place], unit)
        spread = (rows[:, :, head].reshape(-1, SIZE) @ unit).std()
        assert fit.spreads[place] == pytest.approx(spread)
        np.testing.assert_allclose(fit.displacements(6)[place], 6 * spread * unit)


def test_neutral_and_missing_answers_are_dropped(
    activations: np.ndarray, answers: np.ndarray
) -> None:
    other = activations.copy()
    other[(answers == 3) | (answers == 0)] = 1e6
    as_nan = np.where(answers == 0, np.nan, answers)
    first, second = (
        fit_published(activations, answers, heads=HEADS),
        fit_published(other, as_nan, heads=HEADS),
    )
    np.testing.assert_array_equal(first.heads, second.heads)
    np.testing.assert_allclose(first.directions, second.directions)


def test_equal_accuracies_go_to_the_later_head(answers: np.ndarray) -> None:
    same = np.random.default_rng(1).normal(size=(ITEMS, 2, 1, SIZE)).repeat(HEADS, axis=2)
    assert fit_published(same, answers, heads=4).heads.tolist() == [7, 6, 5, 4]


def accuracies(activations: np.ndarray, answers: np.ndarray, seed: int) -> np.ndarray:
    return fit_published(activations, answers, heads=1, seed=seed).accuracies


def test_the_split_follows_the_seed(activations: np.ndarray, answers: np.ndarray) -> None:
    first = accuracies(activations, answers, 4)
    np.testing.assert_array_equal(first, accuracies(activations, answers, 4))
    assert (first != accuracies(activations, answers, 5)).any()


def test_strength_is_the_best_on_the_reported_items() -> None:
    errors = np.ones((len(PUBLISHED_STRENGTHS), 5))
    errors[3] = [0.5, 0.9, 1.2, 1, 1]
    assert PUBLISHED_STRENGTHS[best_on_reported(errors)] == 4
    assert PUBLISHED_STRENGTHS[best_on_reported(np.ones((6, 5)))] == 0


def test_what_cannot_be_fitted_is_one_sentence(
    activations: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert PUBLISHED_HEADS == 24
    with pytest.raises(AlignmentError, match="Only 0 answers are neither missing nor neutral"):
        fit_published(activations, np.full(ITEMS, 3), heads=1)
    with pytest.raises(ResponsesError, match="5 answers were given to 60 items"):
        fit_published(activations, np.full(5, 4), heads=1)
    with pytest.raises(UsageError, match="24 heads were asked for, and the model has 1 to 8"):
        fit_published(activations, np.full(ITEMS, 4), heads=24)
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(UsageError, match="pip install scikit-learn"):
        fit_published(activations, np.full(ITEMS, 4), heads=1)
