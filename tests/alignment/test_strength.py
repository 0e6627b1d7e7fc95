"""Strength: balanced folds, nothing held out leaks, and one standard error toward zero."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from torch import Tensor

from allport.alignment import STRENGTHS, Displacements, choose_strength, stratified_folds
from allport.alignment.population import fit_population
from allport.errors import UsageError
from allport.inventories import load_inventory
from benchmarks.planted_people import planted_model, planted_people

INVENTORY = load_inventory("ipip-neo-120")
FACETS = [item.facet or item.trait for item in INVENTORY.items]


@pytest.mark.parametrize("folds", [2, 3, 4, 5])
def test_folds_hold_facets_keys_and_sizes_in_equal_shares(folds: int) -> None:
    fold = stratified_folds(FACETS, INVENTORY.keys, folds)
    assert set(fold) == set(range(folds))
    for facet in set(FACETS):
        shares = Counter(fold[np.array(FACETS) == facet].tolist())
        assert max(shares.values()) - min(shares[f] for f in range(folds)) <= 1
    positive = Counter(fold[INVENTORY.keys == 1].tolist())
    assert max(positive.values()) - min(positive.values()) <= 3
    sizes = Counter(fold.tolist())
    assert max(sizes.values()) - min(sizes.values()) <= 2


def test_folds_are_the_same_for_the_same_seed() -> None:
    first = stratified_folds(FACETS, INVENTORY.keys, 4, seed=1)
    np.testing.assert_array_equal(first, stratified_folds(FACETS, INVENTORY.keys, 4, seed=1))
    assert (first != stratified_folds(FACETS, INVENTORY.keys, 4, seed=2)).any()


@pytest.mark.parametrize("folds", [1, 121])
def test_folds_that_cannot_be_made_are_refused(folds: int) -> None:
    with pytest.raises(UsageError, match=f"{folds} folds of 120 items cannot be made"):
        stratified_folds(FACETS, INVENTORY.keys, folds)


def losses_around(best: list[float], noise: float, seed: int = 0) -> Tensor:
    """Losses (strengths, people, 100) that are smallest at each person's best strength."""
    rng = np.random.default_rng(seed)
    away = np.abs(np.array(STRENGTHS)[:, None] - np.array(best))[:, :, None]
    own = rng.normal(1, 0.5, (1, len(best), 100))
    return torch.tensor(own + 0.2 * away + rng.normal(0, noise, (len(STRENGTHS), len(best), 100)))


def test_a_clear_best_strength_is_taken_on_either_side_of_zero() -> None:
    grid = torch.tensor(STRENGTHS)
    chosen = grid[choose_strength(losses_around([4.0, -2.0, 0.0, 8.0], noise=0.01), grid)]
    assert chosen.tolist() == [4.0, -2.0, 0.0, 8.0]


def test_a_difference_within_its_standard_error_goes_toward_zero() -> None:
    grid = torch.tensor([-1.0, 0.0, 1.0])
    gain = torch.full((100,), 0.01)
    noisy = gain + torch.tensor([0.5, -0.5]).repeat(50)  # standard error .05 of a gain of .01
    steady = gain + torch.tensor([0.05, -0.05]).repeat(50)  # standard error .005
    zero = torch.ones(2, 100)
    losses = torch.stack([zero + 1, zero, zero - torch.stack([noisy, steady])])
    assert grid[choose_strength(losses, grid)].tolist() == [0.0, 1.0]


def test_of_two_strengths_equally_far_from_zero_the_better_is_taken() -> None:
    grid = torch.tensor([-2.0, 2.0])
    losses = torch.ones(2, 1, 10)
    losses[1, 0, :] += torch.tensor([1.0, -0.5]).repeat(5)
    assert grid[choose_strength(losses, grid)].tolist() == [-2.0]
    assert grid[choose_strength(losses.flip(0), grid)].tolist() == [2.0]


def test_missing_answers_do_not_count() -> None:
    grid = torch.tensor(STRENGTHS)
    losses = losses_around([2.0, 2.0], noise=0.01)
    losses[:, 0, ::3] = torch.nan
    shorter = torch.cat([losses[:, :1, 1::3], losses[:, :1, 2::3]], dim=2)
    assert choose_strength(losses, grid)[0] == choose_strength(shorter, grid)[0]
    assert grid[choose_strength(losses, grid)].tolist() == [2.0, 2.0]


class Recorder:
    """Answers 3 to everything and remembers what it was asked under."""

    def __init__(self) -> None:
        self.asked: list[tuple[Displacements, list[int]]] = []

    def __call__(self, displacements: Displacements, strengths: Tensor, items: Tensor) -> Tensor:
        self.asked.append((displacements, items.tolist()))
        return torch.full((len(strengths), len(displacements.heads), len(items)), 3.0)


def test_held_out_answers_touch_neither_heads_nor_directions_of_their_fold() -> None:
    model = planted_model()
    folds = stratified_folds(FACETS, INVENTORY.keys)
    literal, _ = planted_people(20)
    changed = literal.copy()
    changed[:, folds == 0] = 6 - changed[:, folds == 0]
    recorders = Recorder(), Recorder()
    for answers, recorder in zip((literal, changed), recorders, strict=True):
        fit_population(model.differences, answers, folds=folds, response=recorder)
    for (before, items), (after, _) in zip(*(r.asked for r in recorders), strict=True):
        same = torch.equal(before.heads, after.heads) and torch.allclose(
            before.vectors, after.vectors, atol=1e-6
        )
        assert same == (items == np.flatnonzero(folds == 0).tolist())
    assert sorted(i for _, items in recorders[0].asked for i in items) == list(range(120))


def test_what_helps_in_either_direction_is_not_taken() -> None:
    """Flattening all answers helps as much with the sign turned; following the person does not."""
    generator = torch.Generator().manual_seed(0)
    strengths = torch.tensor([-8.0, -1.0, 0.0, 1.0, 8.0])
    noise = 0.05 * torch.randn(5, 1, 80, generator=generator)
    flattening = torch.tensor([0.5, 0.9, 1.0, 0.9, 0.5])[:, None, None] + noise
    # Each direction does better on other items, and neither does better on all of them together.
    flattening[3:] = flattening[:2].flip(0, 2)
    assert strengths[choose_strength(flattening, strengths)].tolist() == [0.0]
    following = torch.tensor([1.4, 1.1, 1.0, 0.8, 0.5])[:, None, None] + noise
    assert strengths[choose_strength(following, strengths)].tolist() == [8.0]
    # Without its opposite on the grid a strength is taken as it is.
    assert strengths[2:][choose_strength(flattening[2:], strengths[2:])].tolist() == [8.0]
    # With nothing but opposites one of them has to be taken.
    both = choose_strength(flattening[[0, 4]], strengths[[0, 4]])
    assert both.tolist() in ([0], [1])
