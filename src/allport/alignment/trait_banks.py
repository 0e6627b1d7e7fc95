"""Banks of trait directions: a few directions of a population, of which people are combinations.

Between-person variation says how each item moves with each trait: the loadings. Their ridge on a
head's contrast differences is the direction of that trait, and a person's is the sum of these,
weighted by how far the person's trait scores are from the model's own. So a person is five or
thirty numbers in place of a hundred answers, and each direction rests on a whole population.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from allport.alignment.displacements import Displacements
from allport.alignment.head_ranking import default_head_count, rank_heads
from allport.alignment.ridge_directions import (
    held_out_errors,
    person_directions,
    prepare_ridge,
)
from allport.errors import ResponsesError

__all__ = ["TraitBank", "fit_trait_bank", "trait_loadings", "trait_scores"]

_PART = 8192


def trait_scores(targets: NDArray[np.floating], key: ArrayLike) -> NDArray[np.float64]:
    """Mean over a trait's items of target times key, (people, traits), NaN where none is answered.

    Args:
        targets: From `graded_targets`, (people, items), NaN for missing.
        key: +1, -1, or 0 where an item is not of the trait, (traits, items).
    """
    keys = np.asarray(key, dtype=np.float64)
    known = ~np.isnan(targets)
    sums = np.where(known, targets, 0.0) @ keys.T
    count = known.astype(np.float64) @ np.abs(keys).T
    return np.asarray(np.where(count > 0, sums / np.maximum(count, 1), np.nan))


def trait_loadings(targets: NDArray[np.floating], scores: ArrayLike) -> NDArray[np.float64]:
    """How the answer to each item moves with each trait, all traits at once, (traits, items).

    Ordinary least squares over people, an intercept included: traits are correlated, so each
    loading is what its trait adds when the others stay. Missing answers are left out of their item.

    Args:
        targets: Graded answers, (people, items), NaN for missing.
        scores: Trait scores, (people, traits), in standard units if loadings are to be.

    Raises:
        ResponsesError: Scores and answers differ in people, or an item has too few answers.
    """
    traits = np.asarray(scores, dtype=np.float64)
    if len(traits) != len(targets):
        raise ResponsesError(f"{len(traits)} people have scores and {len(targets)} have answers.")
    width, items = traits.shape[1] + 1, targets.shape[1]
    gram, products = np.zeros((items, width, width)), np.zeros((items, width))
    for start in range(0, len(targets), _PART):
        part = np.asarray(targets[start : start + _PART], dtype=np.float64)
        known = ~np.isnan(part)
        design = np.column_stack([np.ones(len(part)), traits[start : start + _PART]])
        squares = (design[:, :, None] * design[:, None, :]).reshape(len(part), -1)
        gram += (known.T.astype(np.float64) @ squares).reshape(items, width, width)
        products += np.where(known, part, 0).T @ design
    if (np.linalg.matrix_rank(gram) < width).any():
        raise ResponsesError(
            f"Loadings on {width - 1} traits need more people, with scores that differ."
        )
    return np.linalg.solve(gram, products[:, :, None])[:, 1:, 0].T


@dataclass(frozen=True, eq=False)
class TraitBank:
    """Directions of traits in heads that everyone shares."""

    codes: tuple[str, ...]
    """Traits or facets, such as N E O A C."""
    key: NDArray[np.float64]
    """By which they are scored, (traits, items)."""
    spreads: NDArray[np.float64]
    """SD between people of each `trait_scores`, (traits,)."""
    heads: NDArray[np.int64]
    """Heads, best first, (selected,)."""
    vectors: NDArray[np.float32]
    """What a coefficient of one adds at strength one, (traits, selected, head_dim)."""
    errors: NDArray[np.float32]
    """Mean squared leave-one-item-out error of each trait's loadings on every head, in units of
    their mean square, (traits, heads)."""

    def coefficients(self, targets: NDArray[np.floating]) -> NDArray[np.float64]:
        """How far people are from the model on each trait, in SDs between people, (people, traits).

        A trait of which nothing was answered gets 0: there the model stays what it is.

        Args:
            targets: From `graded_targets`, (people, items) over the items of the bank.
        """
        return np.nan_to_num(trait_scores(targets, self.key) / self.spreads, nan=0.0)

    def displacements(self, coefficients: ArrayLike) -> Displacements:
        """What is added for people given by their coefficients; linear in them.

        Args:
            coefficients: (people, traits).
        """
        weights = torch.as_tensor(np.asarray(coefficients, dtype=np.float32))
        vectors = torch.einsum("pt,tsd->psd", weights, torch.as_tensor(self.vectors))
        heads = torch.as_tensor(self.heads).expand(len(weights), -1)
        return Displacements(heads, vectors)


def fit_trait_bank(
    differences: NDArray[np.floating],
    targets: NDArray[np.floating],
    key: ArrayLike,
    codes: Sequence[str],
    *,
    heads: int | None = None,
) -> TraitBank:
    """Fit the direction of each trait in the heads that carry all traits best.

    Strength one is what it is in `person_displacements`, for the people all together and not for
    each: somebody twice as far from the model is displaced twice as far.

    Args:
        differences: Contrast differences, (items, heads, head_dim).
        targets: Of the population, from `graded_targets`, (people, items), NaN for missing; people
            without a score on every trait are passed over.
        key: +1, -1, or 0 where an item is not of the trait, (traits, items).
        codes: Name of each trait.
        heads: How many heads; `default_head_count` where it is not given.

    Raises:
        ResponsesError: Key and answers do not fit items and traits, a trait has no items or its
            loadings no spread, or the people are too few.
        UsageError: The head count does not fit.
    """
    keys = np.asarray(key, dtype=np.float64)
    items = differences.shape[0]
    if keys.shape != (len(codes), items) or targets.shape[1:] != (items,):
        raise ResponsesError(
            f"The key has the shape {keys.shape} and the answers {targets.shape}; {len(codes)} "
            f"traits and {items} items need ({len(codes)}, {items}) and (people, {items})."
        )
    if not keys.any(axis=1).all():
        code = codes[int(np.argmin(keys.any(axis=1)))]
        raise ResponsesError(
            f"No item of {code} is among the {items} that directions are found by; fit on two or "
            "more of each, or on fewer directions."
        )
    scores = trait_scores(targets, keys)
    known = ~np.isnan(scores).any(axis=1)
    scores = scores[known]
    spreads = scores.std(axis=0) if len(scores) else np.zeros(len(codes))
    coefficients = scores / np.where(spreads > 0, spreads, 1.0)
    loadings = trait_loadings(targets[known], coefficients)
    centred = loadings - loadings.mean(axis=1, keepdims=True)
    spread = np.sqrt(np.square(centred).mean(axis=1, keepdims=True))
    if not (spread > 1e-6 * np.abs(loadings).max()).all():
        trait = codes[int(np.argmin(spread))]
        raise ResponsesError(f"The loadings of {trait} are the same on every item.")
    # In units of their own spread, so that no trait outvotes another when heads are chosen.
    patterns = centred / spread
    ridge = prepare_ridge(differences, patterns.T @ patterns)
    errors = held_out_errors(ridge, torch.as_tensor(patterns, dtype=torch.float32))
    count = default_head_count(errors.shape[1]) if heads is None else heads
    chosen = rank_heads(errors.mean(dim=0, keepdim=True), count)
    directions = person_directions(
        ridge, torch.as_tensor(loadings, dtype=torch.float32), chosen.expand(len(codes), -1)
    ).double()
    # Second moment of the people's directions in each head, and from it the scale of strength one.
    moment = torch.as_tensor(coefficients.T @ coefficients / len(coefficients))
    between = torch.einsum("tsd,tu,use->sde", directions, moment, directions)
    length = between.diagonal(dim1=1, dim2=2).sum(dim=1)
    variance = (between * ridge.covariance[chosen[0]]).sum(dim=(1, 2)).clamp(min=0)
    scale = (variance.sqrt() / length).where(length > 0, 0.0)
    return TraitBank(
        codes=tuple(codes),
        key=keys,
        spreads=spreads,
        heads=chosen[0].numpy(),
        vectors=(directions * scale[:, None]).float().numpy(),
        errors=errors.numpy(),
    )
