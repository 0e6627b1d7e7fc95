"""Banks of trait directions: a few directions of a population, of which people are combinations.

Between-person variation says how each item moves with each trait: the loadings. Their ridge on a
head's contrast differences is the direction of that trait, and a person's is the sum of these
weighted by the person's trait scores. That is five or thirty numbers a person in place of a hundred
answers; each direction rests on a whole population, so that it is less noisy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from allport.alignment.displacements import Displacements
from allport.alignment.head_ranking import default_head_count, rank_heads
from allport.alignment.ridge_directions import (
    held_out_errors,
    person_displacements,
    prepare_ridge,
)
from allport.errors import ResponsesError

__all__ = ["TraitBank", "fit_trait_bank", "trait_loadings"]

_PART = 8192


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


@dataclass(frozen=True)
class TraitBank:
    """Directions of traits in heads that everyone shares."""

    codes: tuple[str, ...]
    """Traits or facets, such as N E O A C."""
    heads: NDArray[np.int64]
    """Heads, best first, (selected,)."""
    vectors: NDArray[np.float32]
    """What one standard unit of each trait adds at strength one, (traits, selected, head_dim)."""
    errors: NDArray[np.float32]
    """Mean squared leave-one-item-out error of each trait's loadings on every head, in units of
    their mean square, (traits, heads)."""

    def displacements(self, coefficients: ArrayLike) -> Displacements:
        """What is added for people given by their trait scores; linear in them.

        Args:
            coefficients: (people, traits), in standard units; 0 is the average person.
        """
        scores = torch.as_tensor(np.asarray(coefficients, dtype=np.float32))
        vectors = torch.einsum("pt,tsd->psd", scores, torch.as_tensor(self.vectors))
        heads = torch.as_tensor(self.heads).expand(len(scores), -1)
        return Displacements(heads, vectors)


def fit_trait_bank(
    differences: NDArray[np.floating],
    loadings: NDArray[np.floating],
    codes: Sequence[str],
    *,
    heads: int | None = None,
    device: str | torch.device = "cpu",
) -> TraitBank:
    """Fit the direction of each trait in the heads that carry all traits best.

    Args:
        differences: Contrast differences, (items, heads, head_dim).
        loadings: From `trait_loadings`, (traits, items); or the scoring key itself, +1, -1 and 0.
        codes: Name of each trait.
        heads: How many heads; `default_head_count` where it is not given.
        device: Where the arrays are worked on.

    Raises:
        ResponsesError: The loadings do not fit items and traits, or one of them has no spread.
        UsageError: The head count does not fit.
    """
    if loadings.shape != (len(codes), differences.shape[0]):
        raise ResponsesError(
            f"Loadings have the shape {loadings.shape}; {len(codes)} traits and "
            f"{differences.shape[0]} items need ({len(codes)}, {differences.shape[0]})."
        )
    centred = loadings - loadings.mean(axis=1, keepdims=True)
    spread = np.sqrt(np.square(centred).mean(axis=1, keepdims=True))
    if not (spread > 1e-6 * np.abs(loadings).max()).all():
        trait = codes[int(np.argmin(spread))]
        raise ResponsesError(f"The loadings of {trait} are the same on every item.")
    # In units of their own spread, so that no trait outvotes another when heads are chosen.
    patterns = centred / spread
    ridge = prepare_ridge(differences, patterns.T @ patterns, device=device)
    targets = torch.as_tensor(patterns, dtype=torch.float32, device=device)
    errors = held_out_errors(ridge, targets)
    count = default_head_count(errors.shape[1]) if heads is None else heads
    chosen: Tensor = rank_heads(errors.mean(dim=0, keepdim=True), count)
    vectors = person_displacements(ridge, targets, chosen.expand(len(codes), -1)).vectors
    return TraitBank(
        codes=tuple(codes),
        heads=chosen[0].cpu().numpy(),
        vectors=vectors.cpu().numpy(),
        errors=errors.cpu().numpy(),
    )
