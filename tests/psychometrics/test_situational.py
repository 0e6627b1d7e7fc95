from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from allport.errors import ResponsesError
from allport.psychometrics import (
    estimate_label_prior,
    remove_label_prior,
    situational_scores,
)

HIGH_LOW = [[1, 1, 0, 0]]
WILLIAMS = ((0, 1, 3, 2), (1, 2, 0, 3), (2, 3, 1, 0), (3, 0, 2, 1))
FIXED = ((0, 2, 1, 3),)


def test_the_released_rule_on_probabilities_made_by_hand() -> None:
    def chosen(*orders: list[float]) -> float:
        return float(situational_scores([orders], HIGH_LOW).argmax[0])

    # The high side has the greater mass, and yet the single best option is low.
    assert chosen([0.30, 0.30, 0.40, 0.00]) == 0
    assert situational_scores([[[0.30, 0.30, 0.40, 0.00]]], HIGH_LOW).mass[0] == pytest.approx(0.6)
    # Ties go to the high side, which stands first.
    assert chosen([0.25, 0.25, 0.25, 0.25]) == 1
    assert chosen([0.2, 0.3, 0.3, 0.2]) == 1
    # Orders are normalised before they are averaged, however little mass the labels carry.
    assert chosen([0.06, 0.0, 0.04, 0.0], [0.1, 0.0, 0.9, 0.0]) == 0
    assert chosen([0.06, 0.0, 0.04, 0.0], [0.45, 0.0, 0.55, 0.0]) == 1
    # A label that was not reported is zero, not nearly one.
    assert chosen([0.5, 0.0, 0.3, 0.2]) == 1
    assert chosen([0.0, 0.3, 0.5, 0.0]) == 0


def test_a_missing_order_is_left_out_and_a_missing_item_has_no_score() -> None:
    nan = [np.nan] * 4
    one = [0.5, 0.1, 0.3, 0.1]
    scores = situational_scores([[one, nan], [nan, nan]], HIGH_LOW * 2)
    alone = situational_scores([[one]], HIGH_LOW)
    for found, expected in zip(scores[:3], alone[:3], strict=True):
        assert found[0] == pytest.approx(expected[0])
        assert np.isnan(found[1])
    assert scores.orders_answered.tolist() == [1, 0]


def biased(
    content: np.ndarray, bias: np.ndarray, orders: tuple[tuple[int, ...], ...]
) -> np.ndarray:
    """Probabilities in content order of logits plus a bias of the place: (items, orders, 4)."""
    p = np.empty((len(content), len(orders), 4))
    for o, shown in enumerate(orders):
        logits = content.copy()
        logits[:, list(shown)] += bias
        e = np.exp(logits)
        p[:, o] = e / e.sum(1, keepdims=True)
    return p


def test_a_bias_of_labels_moves_a_fixed_layout_and_not_the_square() -> None:
    rng = np.random.default_rng(0)
    content = rng.normal(0, 1, (200, 4))
    values = HIGH_LOW * 200
    none, bias = np.zeros(4), np.array([1.5, 0, 0.5, -1.0])

    def score(bias: np.ndarray, orders: tuple[tuple[int, ...], ...]) -> float:
        return 100 * float(situational_scores(biased(content, bias, orders), values).mass.mean())

    assert abs(score(bias, FIXED) - score(none, FIXED)) > 10
    assert abs(score(bias, WILLIAMS) - score(none, WILLIAMS)) < 0.1
    assert score(none, WILLIAMS) == pytest.approx(score(none, FIXED))


def test_an_order_that_is_missing_is_counted() -> None:
    bias = np.array([1.5, 0, 0.5, -1.0])
    p = biased(np.random.default_rng(2).normal(0, 1, (50, 4)), bias, WILLIAMS)
    p[:20, 1] = np.nan
    p[10:20, 2] = 0
    scores = situational_scores(p, HIGH_LOW * 50)
    assert scores.orders_answered.tolist() == [3] * 10 + [2] * 10 + [4] * 30


def test_items_with_a_share_of_zero_take_the_arithmetic_mean() -> None:
    high, low = [1.0, 0, 0, 0], [0, 0, 1.0, 0]
    scores = situational_scores([[high, high, low, high], [high] * 4, [low] * 4], HIGH_LOW * 3)
    assert scores.mass.tolist() == [0.75, 1, 0]
    assert scores.logit == pytest.approx([np.log(3), np.log(1e9), -np.log(1e9)])
    # Shares of eight samples an order are right on average; logarithms of their zeros are not.
    rng = np.random.default_rng(0)
    truth = [0.5, 0.25, 0.15, 0.1]
    sampled = rng.multinomial(8, truth, size=(500, 4)) / 8
    rare = (sampled == 0).any(axis=(1, 2))
    assert rare.mean() > 0.5
    mass = situational_scores(sampled, HIGH_LOW * 500).mass
    assert mass[rare] == pytest.approx(sampled[rare, :, :2].sum(axis=-1).mean(axis=-1))
    assert mass.mean() == pytest.approx(0.75, abs=0.01)


def test_items_without_zeros_keep_their_mean_beside_items_with_some() -> None:
    usual, holed = (
        [[0.4, 0.3, 0.2, 0.1], [0.7, 0.1, 0.1, 0.1]],
        [[0.5, 0.5, 0, 0], [0.1, 0, 0.9, 0]],
    )
    scores = situational_scores([usual, holed], HIGH_LOW * 2)
    geometric = np.sqrt(np.prod(usual, axis=0))
    assert scores.mass[0] == pytest.approx(geometric[:2].sum() / geometric.sum())
    assert scores.mass[1] == pytest.approx(0.55)
    # An option that an item has not, and an order without an answer, hold no zeros.
    three = [[*row, np.nan] for row in ([0.4, 0.3, 0.3], [0.6, 0.3, 0.1])]
    values = [[1, 0, 0, np.nan]]
    with_gap = situational_scores([[*three, [0, 0, 0, np.nan]]], values)
    geometric = np.sqrt(np.prod([row[:3] for row in three], axis=0))
    assert with_gap.mass[0] == pytest.approx(geometric[0] / geometric.sum())


def test_the_prior_of_labels_is_found_and_divided_out() -> None:
    rng = np.random.default_rng(1)
    content = rng.normal(0, 1, (60, 4))
    bias = np.array([0.8, -0.2, 0.4, -1.0])
    by_content = biased(content, bias, WILLIAMS)
    shown = np.stack([by_content[:, o, list(s)] for o, s in enumerate(WILLIAMS)], axis=1)
    prior = estimate_label_prior(shown[:6])
    # On items that were asked in one order alone, what is left is the content.
    cleared = remove_label_prior(shown[6:, 0], prior)
    e = np.exp(content[6:])
    truth = (e / e.sum(1, keepdims=True))[:, list(WILLIAMS[0])]
    before = np.abs(shown[6:, 0] - truth).mean()
    assert np.abs(cleared - truth).mean() < 0.01 * before + 1e-6
    assert prior.items == 6
    np.testing.assert_allclose(prior.probabilities, np.exp(bias) / np.exp(bias).sum(), atol=1e-6)


def test_labels_of_no_mass_are_no_answer() -> None:
    nothing = [[0.0, 0.0], [0.0, 0.0]]
    prior = estimate_label_prior([[[0.8, 0.2], [0.8, 0.2]], nothing])
    assert prior.items == 1
    assert prior.probabilities == pytest.approx([0.8, 0.2])
    cleared = remove_label_prior([[0.8, 0.2], [0.0, 0.0]], prior)
    np.testing.assert_allclose(cleared, [[0.5, 0.5], [np.nan, np.nan]])


@given(
    arrays.arrays(np.float64, (3, 2, 4), elements=st.floats(0.001, 1)),
    st.permutations(range(2)),
)
def test_the_order_of_orders_does_not_matter_and_sides_are_opposites(
    p: np.ndarray, order: list[int]
) -> None:
    values = np.array(HIGH_LOW * 3, dtype=float)
    scores = situational_scores(p, values)
    again = situational_scores(p[:, order], values)
    np.testing.assert_allclose(scores.mass, again.mass, atol=1e-12)
    turned = situational_scores(p, 1 - values)
    np.testing.assert_allclose(turned.mass, 1 - scores.mass, atol=1e-12)
    np.testing.assert_allclose(turned.logit, -scores.logit, atol=1e-9)
    np.testing.assert_allclose(scores.logit, np.log(scores.mass / (1 - scores.mass)), atol=1e-6)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ResponsesError, match="do not fit values"):
        situational_scores(np.ones((2, 4, 4)), HIGH_LOW)
    with pytest.raises(ResponsesError, match="below zero"):
        situational_scores([[[0.5, 0.7, -0.2, 0]]], HIGH_LOW)
    with pytest.raises(ResponsesError, match="No item was answered in every order"):
        estimate_label_prior([[[np.nan, 0.5], [0.5, 0.5]]])
