from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allport.errors import ResponsesError
from allport.psychometrics.sensitivity import (
    contrasting_pairs,
    flips_by_factor,
    one_hot,
    position_effect,
)

LEVELS = {
    "template": ["letters", "letters", "digits", "digits"],
    "order": ["forward", "reversed", "forward", "reversed"],
    "persona": ["", "", "", ""],
}
FORWARD, REVERSED = range(5), range(4, -1, -1)


def test_pairs_differ_in_the_factor_and_in_nothing_else():
    assert contrasting_pairs(LEVELS, "order").tolist() == [[0, 1], [2, 3]]
    assert contrasting_pairs(LEVELS, "template").tolist() == [[0, 2], [1, 3]]
    assert contrasting_pairs(LEVELS, "persona").shape == (0, 2)


def test_pairs_within_a_group_of_equal_levels_are_left_out():
    levels = {"order": ["a", "a", "b", "c"]}
    assert contrasting_pairs(levels, "order").tolist() == [[0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]


def test_unknown_or_uneven_factors_are_refused():
    with pytest.raises(ResponsesError, match="No condition says its form; known: template, order"):
        contrasting_pairs(LEVELS, "form")
    with pytest.raises(ResponsesError, match="different numbers of conditions"):
        contrasting_pairs({"order": ["a", "b"], "form": ["x"]}, "order")
    with pytest.raises(ResponsesError, match="given for 4 conditions, but there are 2"):
        flips_by_factor([[0, 1], [1, 1]], 2, LEVELS)


def test_each_factor_gets_the_flips_it_causes():
    rng = np.random.default_rng(0)
    content = rng.integers(0, 5, size=200)
    # The order moves every fifth answer, the template none.
    moved = np.where(np.arange(200) % 5 == 0, (content + 1) % 5, content)
    result = flips_by_factor(np.stack([content, moved, content, moved]), 5, LEVELS, resamples=500)
    assert list(result) == ["template", "order"]
    assert result["template"].raw.value == 0.0
    assert result["order"].raw.value == pytest.approx(0.2)
    assert result["order"].pairs == 2
    assert result["order"].raw.low < 0.2 < result["order"].raw.high
    assert result["order"].corrected.value == pytest.approx(0.25, abs=0.01)
    assert result["order"].by_item[:6].tolist() == [1, 0, 0, 0, 0, 1]


def test_a_factor_that_never_varies_alone_says_so():
    levels = {"order": ["forward", "reversed"], "template": ["letters", "digits"]}
    result = flips_by_factor([[0, 1], [1, 1]], 2, levels)
    assert math.isnan(result["order"].raw.value)
    assert "two conditions that can be compared" in result["order"].raw.reason


def test_one_hot_keeps_what_is_missing():
    table = one_hot([[0, np.nan], [2, 1]], 3)
    assert table[0, 0].tolist() == [1, 0, 0]
    assert np.isnan(table[0, 1]).all()
    assert table[1].tolist() == [[0, 0, 1], [0, 1, 0]]


def answer(rng, content, pulls, items=300):
    """Distributions over five options whose logits are content and a pull by shown position."""
    logits = content(rng, items)
    shown = np.stack([np.asarray(order) for order in (FORWARD, REVERSED)])
    weight = np.exp(logits[None] + np.asarray(pulls)[shown][:, None, :])
    return weight / weight.sum(axis=2, keepdims=True), shown


def any_content(rng, items):
    return rng.normal(size=(items, 5))


def test_answers_by_content_have_no_position_effect():
    rng = np.random.default_rng(0)
    result = position_effect(*answer(rng, any_content, [0, 0, 0, 0, 0]))
    assert result.coefficient.value == pytest.approx(0, abs=1e-12)
    assert result.displacement.value == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(result.excess, 0, atol=1e-12)


@pytest.mark.parametrize(("last", "displacement"), [(4, 1.0), (0, -1.0)])
def test_always_the_same_place_is_the_whole_displacement(last, displacement):
    shown = np.stack([np.asarray(FORWARD), np.asarray(REVERSED)])
    choices = np.stack([np.full(20, last), np.full(20, 4 - last)])
    result = position_effect(one_hot(choices, 5), shown)
    assert result.displacement.value == pytest.approx(displacement)
    # Five options forward and reversed: positions spread by .625 around their means.
    assert result.coefficient.value == pytest.approx(displacement * 0.5 / 0.625)
    assert result.excess.argmax() == last
    assert result.excess.sum() == pytest.approx(0, abs=1e-12)


WILLIAMS = [[0, 1, 3, 2], [1, 2, 0, 3], [2, 3, 1, 0], [3, 0, 2, 1]]
"""Options in the order shown, in four conditions."""


@pytest.mark.parametrize("orders", [[FORWARD, FORWARD, REVERSED, REVERSED], WILLIAMS])
@pytest.mark.parametrize(("at", "displacement"), [(0, -1.0), (-1, 1.0)])
def test_missing_answers_leave_the_whole_displacement_whole(orders, at, displacement):
    orders = np.array(orders)
    places = orders.argsort(axis=1)
    answers = one_hot(np.tile(orders[:, at, None], (1, 300)), orders.shape[1])
    complete = position_effect(answers, places)
    answers[np.random.default_rng(0).random(answers.shape[:2]) < 0.5] = np.nan
    result = position_effect(answers, places)
    assert complete.displacement.value == pytest.approx(displacement)
    assert result.displacement.value == pytest.approx(displacement)
    np.testing.assert_allclose(result.excess, complete.excess, atol=0.03)


def test_missing_answers_leave_part_of_the_displacement_where_it_is():
    rng = np.random.default_rng(0)
    orders = np.array([FORWARD, FORWARD, REVERSED, REVERSED])
    content = np.tile(rng.integers(0, 5, size=2000), (4, 1))
    choices = np.where(rng.random(content.shape) < 0.4, orders[:, :1], content).astype(float)
    choices[rng.random(choices.shape) < 0.5] = np.nan
    result = position_effect(one_hot(choices, 5), orders.argsort(axis=1))
    assert result.displacement.low < -0.4 < result.displacement.high
    assert result.excess[0] == pytest.approx(0.4 * 0.5, abs=0.03)


def test_items_seen_in_one_order_only_do_not_count():
    places = np.array([FORWARD, REVERSED])
    answers = np.random.default_rng(0).dirichlet(np.ones(5), size=(2, 20))
    half = np.stack([answers[0], np.full((20, 5), np.nan)])
    both = position_effect(np.concatenate([answers, half], axis=1), places, resamples=0)
    alone = position_effect(answers, places, resamples=0)
    assert both.displacement.value == pytest.approx(alone.displacement.value)
    assert both.excess == pytest.approx(alone.excess)


def test_orders_that_only_move_the_middle_tell_no_displacement():
    answers = np.random.default_rng(0).dirichlet(np.ones(4), size=(2, 20))
    result = position_effect(answers, [[0, 1, 2, 3], [0, 2, 1, 3]])
    assert not math.isnan(result.coefficient.value)
    assert "first and last was shown nowhere else" in result.displacement.reason
    assert np.isnan(result.excess).all()


def test_a_pull_toward_late_options_is_found_through_content():
    rng = np.random.default_rng(0)
    result = position_effect(*answer(rng, any_content, [0, 0.2, 0.4, 0.6, 0.8]))
    assert 0 < result.coefficient.low < result.coefficient.value < result.coefficient.high
    assert result.displacement.value > 0
    assert (np.diff(result.excess) > 0).all()


def test_coefficient_is_that_of_least_squares_with_a_constant_for_each_option_of_each_item():
    rng = np.random.default_rng(3)
    p = rng.dirichlet(np.ones(4), size=(3, 6))
    shown = np.stack([rng.permutation(4) for _ in range(3)])
    p[0, 2] = np.nan
    constants = np.zeros((3, 6, 4, 24))
    for item in range(6):
        for option in range(4):
            constants[:, item, option, item * 4 + option] = 1
    place = np.broadcast_to(shown[:, None, :, None] / 3, (3, 6, 4, 1))
    design = np.concatenate([constants, place], axis=3).reshape(-1, 25)
    known = ~np.isnan(p.ravel())
    slope = np.linalg.lstsq(design[known], p.ravel()[known])[0][-1]
    result = position_effect(p, shown, resamples=0)
    assert result.coefficient.value == pytest.approx(slope)


def test_items_with_fewer_options_are_padded():
    # Two options shown in both orders, the last always chosen; the third column does not exist.
    p = np.array([[[0, 1, np.nan]] * 5, [[1, 0, np.nan]] * 5], dtype=float)
    shown = np.array([[[0, 1, 9]] * 5, [[1, 0, 9]] * 5], dtype=float)
    result = position_effect(p, shown)
    assert result.coefficient.value == pytest.approx(1.0)
    assert result.displacement.value == pytest.approx(1.0)
    assert result.excess.tolist() == [-0.5, 0.5]


def test_one_order_tells_nothing_of_position():
    p = np.random.default_rng(0).dirichlet(np.ones(5), size=(2, 10))
    result = position_effect(p, [list(FORWARD)] * 2)
    assert math.isnan(result.coefficient.value)
    assert "position and content are one" in result.displacement.reason
    nothing = position_effect(np.full((2, 3, 5), np.nan), [list(FORWARD), list(REVERSED)])
    assert math.isnan(nothing.coefficient.value)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ResponsesError, match=r"\(2, 10\) and positions of shape \(2, 5\)"):
        position_effect(np.ones((2, 10)), [list(FORWARD)] * 2)
    with pytest.raises(ResponsesError, match=r"positions of shape \(3, 5\)"):
        position_effect(np.ones((2, 10, 5)), [list(FORWARD)] * 3)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), options=st.integers(2, 5), items=st.integers(1, 6))
def test_displacement_keeps_its_bounds_and_turns_with_the_list(seed, options, items):
    rng = np.random.default_rng(seed)
    shown = np.stack([np.arange(options), np.arange(options)[::-1]])
    choices = rng.integers(0, options, size=(2, items))
    result = position_effect(one_hot(choices, options), shown, resamples=0)
    mirrored = position_effect(one_hot(choices, options), options - 1 - shown, resamples=0)
    assert -1 - 1e-12 <= result.displacement.value <= 1 + 1e-12
    assert mirrored.displacement.value == pytest.approx(-result.displacement.value)
    assert mirrored.excess == pytest.approx(result.excess[::-1])
