"""How strongly to steer: a signed grid, nested cross-validation, one standard error toward zero.

Items are cut into folds that balance facets and keys. For each fold everything (penalties, heads,
directions) is fitted on the other folds' items, and the answers expected at each strength are
compared with the person's on the fold's. So the strength is chosen on items that nothing was fitted
on, and the items that results are reported on are not touched at all.

What answers to expect at a strength comes from a function; `expected_answers.TiltedResponse` is the
cheap one, which asks no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from allport.alignment.displacements import Displacements
from allport.errors import UsageError

__all__ = [
    "FACET_STRENGTHS",
    "LEVEL_STRENGTHS",
    "STRENGTHS",
    "ExpectedLiteral",
    "choose_strength",
    "held_out_losses",
    "stratified_folds",
]

STRENGTHS = (-8.0, -4.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Strengths tried, in standard deviations of a head's differences along the person's direction."""
LEVEL_STRENGTHS = (-0.5, -0.25, -0.125, 0.0, 0.125, 0.25, 0.5)
"""The same where differences are between the far ends of traits, which nearly nobody is at, and all
heads are steered: more than this bends answers in ways that no longer turn with the sign."""
FACET_STRENGTHS = (-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0)
"""The same between the far ends of facets, of which a person adds thirty and not five."""


class ExpectedLiteral(Protocol):
    """What a model is expected to answer under displacements; supplied by the caller."""

    def __call__(self, displacements: Displacements, strengths: Tensor, items: Tensor) -> Tensor:
        """Expected literal answers, (strengths, people, items).

        Args:
            displacements: What strength one adds for each person.
            strengths: Factors on it, (strengths,).
            items: Positions of the items asked, (items,), int64.
        """
        ...


def stratified_folds(
    facets: Sequence[str], keys: Sequence[int] | NDArray[np.integer], folds: int = 4, seed: int = 0
) -> NDArray[np.int64]:
    """Cut items into folds of equal size that hold facets and keys in equal shares.

    Items are dealt facet by facet, each to the fold that has fewest of its facet, then fewest of
    its key, then fewest items.

    Args:
        facets: Facet (or trait, where there are no facets) of each item.
        keys: Key of each item, +1 or -1.
        folds: How many; four puts one item of each IPIP-NEO-120 facet into each fold.
        seed: Decides between folds that are equal in all these.

    Returns:
        Fold number of each item, (items,).

    Raises:
        UsageError: Fewer than two folds, or more folds than items.
    """
    if not 2 <= folds <= len(facets):
        raise UsageError(f"{folds} folds of {len(facets)} items cannot be made; give 2 or more.")
    rng = np.random.default_rng(seed)
    result = np.full(len(facets), -1, dtype=np.int64)
    by_facet: dict[tuple[str, int], int] = {}
    by_key: dict[tuple[int, int], int] = {}
    sizes = [0] * folds
    order = sorted(range(len(facets)), key=lambda i: (facets[i], keys[i], rng.random()))
    for item in order:
        key = int(keys[item])
        fold = min(
            rng.permutation(folds).tolist(),
            key=lambda f: (by_facet.get((facets[item], f), 0), by_key.get((key, f), 0), sizes[f]),
        )
        result[item] = fold
        by_facet[facets[item], fold] = by_facet.get((facets[item], fold), 0) + 1
        by_key[key, fold] = by_key.get((key, fold), 0) + 1
        sizes[fold] += 1
    return result


def held_out_losses(
    expected_literal: ExpectedLiteral,
    displacements: Displacements,
    strengths: Tensor,
    items: Tensor,
    literal: Tensor,
) -> Tensor:
    """Distance of expected from given answers on held-out items, (strengths, people, items).

    Args:
        expected_literal: The model's answers, or what stands in for them.
        displacements: Fitted without `items`.
        strengths: The grid, (strengths,).
        items: Positions of the held-out items, (held_out,).
        literal: The people's literal answers to those, (people, held_out); NaN for missing.

    Returns:
        Absolute distances on the scale of the answers; NaN where the answer is missing.
    """
    return expected_literal(displacements, strengths, items).sub_(literal).abs_()


def choose_strength(losses: Tensor, strengths: Tensor) -> Tensor:
    """The strength nearest zero that is within one standard error of the best one, by person.

    The standard error is that of the mean difference, over items, between a strength's losses and
    the best strength's: both are taken on the same items, so what makes an item hard for
    either drops out. Of two strengths equally far from zero the one with the smaller loss is taken.

    A strength can win only if the opposite one, where it is on the grid, loses more than it by over
    a standard error. What helps in either direction (flattening all answers toward the middle, say)
    is nothing that the model was told of the person.

    Args:
        losses: Held-out losses, (strengths, people, items); NaN for missing answers.
        strengths: The grid, (strengths,), in any order.

    Returns:
        Index of the chosen strength of each person, (people,), int64.
    """
    answered = ~losses[0].isnan()
    count = answered.sum(dim=1).clamp(min=1)
    known = losses.nan_to_num(nan=0.0)
    means = known.sum(dim=2) / count
    allowed = _beats_its_opposite(known, means, count, strengths)
    best = means.where(allowed, torch.inf).argmin(dim=0)
    best_losses = known.gather(0, best[None, :, None].expand(1, *known.shape[1:]))
    behind = means - means.gather(0, best[None])
    close = allowed & (behind <= _standard_error(known - best_losses, behind, count))
    distance = strengths.abs()[:, None].expand_as(means)
    nearest = distance.where(close, torch.inf).amin(dim=0)
    return means.where(close & (distance == nearest), torch.inf).argmin(dim=0)


def _beats_its_opposite(known: Tensor, means: Tensor, count: Tensor, strengths: Tensor) -> Tensor:
    """Which strengths do better than their opposites, (strengths, people); zero always does."""
    allowed = torch.ones_like(means, dtype=torch.bool)
    places = {round(float(s), 9): place for place, s in enumerate(strengths)}
    for strength, place in places.items():
        opposite = places.get(-strength)
        if strength <= 0 or opposite is None:
            continue
        ahead = means[opposite] - means[place]
        error = _standard_error(known[opposite] - known[place], ahead, count)
        allowed[place] = ahead > error
        allowed[opposite] = -ahead > error
    # Without zero on the grid something has to be taken all the same.
    return allowed | ~allowed.any(dim=0)


def _standard_error(differences: Tensor, means: Tensor, count: Tensor) -> Tensor:
    """Of mean differences over items, (..., people), missing answers being 0 in `differences`."""
    squares = differences.square().sum(dim=-1)
    variance = (squares - count * means.square()).clamp(min=0) / (count - 1).clamp(min=1)
    return (variance / count).sqrt()
