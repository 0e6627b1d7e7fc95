"""Closed-form ridge: everything equals refitting by hand, missing answers included."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from allport.alignment import (
    graded_targets,
    heads_of,
    held_out_errors,
    person_directions,
    person_displacements,
    prepare_ridge,
    second_moment,
)
from allport.alignment.ridge_directions import BLOCK
from allport.errors import ModelError, ResponsesError
from benchmarks.planted_people import planted_model, planted_people

Array = NDArray[np.float64]


def refit(rows: Array, answers: Array, penalty: float) -> tuple[Array, float]:
    """Weights and intercept of a ridge, by the normal equations."""
    mean = rows.mean(axis=0)
    centred = rows - mean
    weights = np.linalg.solve(
        centred.T @ centred + penalty * np.eye(rows.shape[1]),
        centred.T @ (answers - answers.mean()),
    )
    return weights, float(answers.mean() - mean @ weights)


def left_out_error(rows: Array, answers: Array, penalty: float) -> float:
    """Mean squared error of refitting without each item in turn."""
    squares = []
    for item in range(len(answers)):
        others = np.arange(len(answers)) != item
        weights, intercept = refit(rows[others], answers[others], penalty)
        squares.append((answers[item] - intercept - rows[item] @ weights) ** 2)
    return float(np.mean(squares))


@st.composite
def small_cases(draw: st.DrawFn) -> tuple[Array, NDArray[np.float32]]:
    """Differences (items, heads, head_dim) and targets (people, items) with missing answers."""
    items, size = draw(st.integers(8, 14)), draw(st.integers(2, 20))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    differences = rng.normal(size=(items, 2, size)) * rng.choice([0.01, 1, 100])
    targets = rng.choice([-1, -0.5, 0, 0.5, 1], size=(4, items)).astype(np.float32)
    for person, count in enumerate((0, 1, draw(st.integers(1, items - 4)), 2)):
        targets[person, rng.choice(items, count, replace=False)] = np.nan
    return differences, targets


@settings(max_examples=30, deadline=None)
@given(small_cases())
def test_held_out_errors_and_directions_equal_refitting_on_the_answered_items(
    case: tuple[Array, NDArray[np.float32]],
) -> None:
    differences, targets = case
    ridge = prepare_ridge(differences, second_moment(targets))
    errors = held_out_errors(ridge, torch.from_numpy(targets)).numpy()
    everyone = torch.tensor([[1, 0]]).expand(len(targets), -1)
    directions = person_directions(ridge, torch.from_numpy(targets), everyone).numpy()
    for person, answers in enumerate(targets):
        known = ~np.isnan(answers)
        given_answers = answers[known].astype(np.float64)
        for head in range(2):
            rows, penalty = differences[:, head], float(ridge.penalties[head])
            expected = left_out_error(rows[known], given_answers, penalty)
            assert errors[person, head] == pytest.approx(expected, rel=2e-3, abs=1e-6)
            weights, _ = refit(rows[known], given_answers, penalty)
            centred = rows - rows.mean(axis=0)
            pattern = centred.T @ (centred @ weights)
            found = directions[person, 1 - head]
            scale = np.abs(centred).max() * len(rows)
            np.testing.assert_allclose(found / scale, pattern / scale, atol=2e-5)


def test_the_penalty_is_the_one_with_the_smallest_left_out_error() -> None:
    rng = np.random.default_rng(3)
    differences = rng.normal(size=(20, 3, 6))
    targets = np.clip(differences[:, 1] @ rng.normal(size=(6, 5)), -1, 1).T.astype(np.float32)
    targets += rng.normal(0, 0.2, targets.shape).astype(np.float32)
    candidates = (100.0, 10.0, 1.0, 0.1)
    ridge = prepare_ridge(differences, second_moment(targets), penalties=candidates)
    for head in range(3):
        rows = differences[:, head]
        unit = np.square(rows - rows.mean(axis=0)).sum() / len(rows)
        errors = [
            sum(left_out_error(rows, person.astype(np.float64), c * unit) for person in targets)
            for c in candidates
        ]
        assert float(ridge.penalties[head]) == pytest.approx(candidates[np.argmin(errors)] * unit)
    assert ridge.penalties[1] < ridge.penalties[0]


def test_penalties_over_part_of_the_items_know_nothing_of_the_others() -> None:
    rng = np.random.default_rng(4)
    differences = rng.normal(size=(30, 4, 6))
    targets = np.clip(differences[:, 1] @ rng.normal(size=(6, 9)), -1, 1).T.astype(np.float32)
    part = np.arange(20)
    whole = second_moment(targets)[np.ix_(part, part)]
    alone = second_moment(targets[:, part])
    found = prepare_ridge(differences[part], whole).penalties
    torch.testing.assert_close(found, prepare_ridge(differences[part], alone).penalties)


def test_equal_candidates_go_to_the_first_which_is_the_larger() -> None:
    differences = np.random.default_rng(0).normal(size=(10, 1, 4))
    nothing_to_fit = np.zeros((10, 10))
    ridge = prepare_ridge(differences, nothing_to_fit, penalties=(7.0, 1.0))
    unit = np.square(differences - differences.mean(axis=0)).sum() / 10
    assert float(ridge.penalties[0]) == pytest.approx(7 * unit)


def test_readiness_to_agree_moves_no_direction() -> None:
    rng = np.random.default_rng(1)
    differences = rng.normal(size=(12, 2, 5)) + 10
    targets = rng.uniform(-0.5, 0.5, (3, 12)).astype(np.float32)
    heads = torch.tensor([[0, 1]] * 3)
    plain = prepare_ridge(differences, second_moment(targets))
    moved = prepare_ridge(differences - 25, second_moment(targets + np.float32(0.25)))
    np.testing.assert_allclose(
        person_directions(plain, torch.from_numpy(targets), heads),
        person_directions(moved, torch.from_numpy(targets + np.float32(0.25)), heads),
        atol=1e-4,
    )


def test_people_do_not_depend_on_who_is_fitted_beside_them() -> None:
    model = planted_model()
    literal, _ = planted_people(BLOCK + 44, missing=0.002)
    targets = torch.from_numpy(graded_targets(literal))
    ridge = prepare_ridge(model.differences, second_moment(targets.numpy()))
    together = held_out_errors(ridge, targets)
    for person in (0, BLOCK - 1, BLOCK, len(targets) - 1):
        alone = held_out_errors(ridge, targets[person : person + 1])
        torch.testing.assert_close(alone[0], together[person], rtol=1e-4, atol=1e-6)


def test_one_unit_of_strength_is_one_standard_deviation_along_the_direction() -> None:
    model = planted_model()
    literal, _ = planted_people(3, missing=0)
    targets = torch.from_numpy(graded_targets(literal))
    ridge = prepare_ridge(model.differences, second_moment(targets.numpy()))
    heads = torch.tensor([[7, 2]] * 3)
    vectors = person_displacements(ridge, targets, heads).vectors.numpy()
    directions = person_directions(ridge, targets, heads).numpy()
    for person in range(3):
        for slot, head in enumerate((7, 2)):
            vector = vectors[person, slot]
            unit = directions[person, slot] / np.linalg.norm(directions[person, slot])
            spread = (model.differences[:, head] @ unit).std()
            np.testing.assert_allclose(vector, spread * unit, rtol=1e-3, atol=1e-6)


def test_answers_without_spread_displace_nothing() -> None:
    model = planted_model()
    literal, _ = planted_people(40, missing=0)
    ridge = prepare_ridge(model.differences, second_moment(graded_targets(literal)))
    constant = torch.full((1, 120), 0.5)
    constant[0, 3] = torch.nan
    assert person_displacements(ridge, constant, torch.tensor([[7]])).vectors.abs().max() == 0


def test_a_head_without_differences_is_no_better_than_the_mean_and_displaces_nothing() -> None:
    differences = np.zeros((10, 1, 4))
    targets = torch.tensor([[-1.0, -0.5, 0, 0.5, 1, -1, -0.5, 0, 0.5, 1]])
    ridge = prepare_ridge(differences, second_moment(targets.numpy()))
    expected = np.square(targets.numpy() * 10 / 9).mean()
    assert held_out_errors(ridge, targets).item() == pytest.approx(expected, rel=1e-5)
    moved = person_displacements(ridge, targets, torch.tensor([[0]])).vectors
    assert moved.abs().max() == 0


def test_planted_directions_are_found() -> None:
    model = planted_model(noise=0.5)
    literal, traits = planted_people(200, missing=0)
    targets = torch.from_numpy(graded_targets(literal))
    ridge = prepare_ridge(model.differences, second_moment(targets.numpy()))
    heads = torch.tensor(model.planted).expand(200, -1)
    found = person_directions(ridge, targets, heads).numpy()
    planted = np.einsum("pt,htd->phd", traits, model.directions)
    lengths = np.linalg.norm(found, axis=2) * np.linalg.norm(planted, axis=2)
    cosines = (found * planted).sum(axis=2) / lengths
    assert np.median(cosines) >= 0.95
    # People near the middle of every trait have little direction to find.
    distinct = np.linalg.norm(traits, axis=1) > 1.5
    assert np.median(cosines[distinct]) >= 0.96
    assert np.quantile(cosines[distinct], 0.1) >= 0.9


def test_second_moments_of_parts_add_up() -> None:
    targets = graded_targets(planted_people(50, missing=0.01)[0])
    parts = second_moment(targets[:20]) + second_moment(targets[20:])
    np.testing.assert_allclose(parts, second_moment(targets), rtol=1e-5, atol=1e-4)


def test_targets_run_from_minus_one_to_one() -> None:
    np.testing.assert_array_equal(
        graded_targets([[1, 2, 3, 4, 5, np.nan]]), [[-1, -0.5, 0, 0.5, 1, np.nan]]
    )
    np.testing.assert_array_equal(graded_targets([0, 3, 6], low=0, high=6), [-1, 0, 1])


def test_targets_are_what_the_model_is_off_by() -> None:
    found = graded_targets([[1, 5, 3], [2, np.nan, 4]], unaligned=[1.5, 4.0, 3.0])
    np.testing.assert_array_equal(found, [[-0.25, 0.5, 0], [0.25, np.nan, 0.5]])


@pytest.mark.parametrize("answer", [0, 6, 5.5, -1])
def test_answers_outside_the_scale_are_refused(answer: float) -> None:
    with pytest.raises(ResponsesError, match=rf"An answer is {answer:g}, outside 1 to 5"):
        graded_targets([3, answer])


def test_heads_are_numbered_layer_by_layer() -> None:
    differences = np.arange(2 * 3 * 8, dtype=np.float64).reshape(2, 3, 8)
    heads = heads_of(differences, 4)
    assert heads.shape == (2, 12, 2)
    np.testing.assert_array_equal(heads[1, 2 * 4 + 3], differences[1, 2, 6:8])


def test_heads_that_do_not_fit_and_broken_activations_are_refused() -> None:
    with pytest.raises(ModelError, match="width 8 do not divide into 3 heads"):
        heads_of(np.zeros((2, 1, 8)), 3)
    broken = np.zeros((2, 3, 8))
    broken[0, 1, 4] = np.nan
    with pytest.raises(ModelError, match="layer 1 are not finite"):
        heads_of(broken, 4)
    with pytest.raises(ModelError, match="not finite"):
        prepare_ridge(broken, np.eye(2))
