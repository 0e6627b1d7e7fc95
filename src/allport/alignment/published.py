"""Personality Activation Search as its authors' code does it, for comparison with their figures.

Zhu, Weng, Yang and Zhang, "Personality Alignment of Large Language Models", arXiv 2408.11779. It
follows the released code where that differs from the paper, with its weaknesses:

- labels come from stored answers, which are keyed: half of the items carry the opposite of what
  the person said; neutral and missing answers are dropped
- heads are ranked by the mean of training and validation accuracy of one random split of rows, in
  which the two rows of an item may be torn apart
- the direction and its spread come from all rows, fitted and validated alike, and hold the letter
  axis: saying one option rather than another, whatever the item
- the strength is the one with the smallest error on the very items that are then reported

One person costs one logistic regression a head. `ridge_directions` is what replaces it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allport.errors import AlignmentError, ResponsesError, UsageError

__all__ = [
    "PUBLISHED_HEADS",
    "PUBLISHED_STRENGTHS",
    "PublishedFit",
    "best_on_reported",
    "fit_published",
]

PUBLISHED_STRENGTHS = (0.0, 1.0, 2.0, 4.0, 6.0, 8.0)
"""Strengths tried by the released code."""

PUBLISHED_HEADS = 24
"""Heads steered by the released code."""

_TRAINING_SHARE = 0.6


class PublishedFit(NamedTuple):
    """One person by the released method."""

    heads: NDArray[np.intp]
    """Chosen heads, layer * heads + head, best first, (selected,)."""
    directions: NDArray[np.float64]
    """Unit difference of class means of each, (selected, head_dim)."""
    spreads: NDArray[np.float64]
    """Standard deviation of the rows along it, (selected,)."""
    accuracies: NDArray[np.float64]
    """Mean of training and validation accuracy of every head, (heads,)."""

    def displacements(self, strength: float = 1.0) -> NDArray[np.float64]:
        """What is added to the chosen heads, (selected, head_dim)."""
        vectors: NDArray[np.float64] = strength * self.spreads[:, None] * self.directions
        return vectors


def fit_published(
    activations: NDArray[np.floating],
    stored_keyed: ArrayLike,
    *,
    heads: int = PUBLISHED_HEADS,
    seed: int = 0,
) -> PublishedFit:
    """Fit one person as released.

    Equal accuracies go to the higher head number: the released code reverses an ascending order.
    That order was not a stable one, so its ties cannot be reproduced exactly; nor can its split,
    which had no seed.

    Args:
        activations: Of every head after the agreeing and after the disagreeing answer to each
            item, (items, 2, heads, head_dim).
        stored_keyed: The person's answers as the corpus stores them (keyed), 1 to 5; 0 or NaN is
            missing.
        heads: How many to choose.
        seed: Of the random split of rows.

    Raises:
        UsageError: More heads are wanted than there are, or scikit-learn is not installed.
        ResponsesError: The answers do not fit the items.
        AlignmentError: All usable answers lie on one row or less, so that nothing can be split.
    """
    logistic_regression = _logistic_regression()
    answers = np.nan_to_num(np.asarray(stored_keyed, dtype=np.float64))
    items, _, total, _ = activations.shape
    if answers.shape != (items,):
        raise ResponsesError(f"{answers.size} answers were given to {items} items.")
    if not 1 <= heads <= total:
        raise UsageError(f"{heads} heads were asked for, and the model has 1 to {total} to give.")
    usable = (answers != 3) & (answers != 0)
    agrees = answers[usable] > 3
    labels = np.column_stack([agrees, ~agrees]).ravel()
    rows = activations[usable].reshape(-1, *activations.shape[2:])
    order = np.random.default_rng(seed).permutation(len(labels))
    training, validation = np.split(order, [int(_TRAINING_SHARE * len(labels))])
    if len(np.unique(labels[training])) < 2 or not len(validation):
        raise AlignmentError(
            f"Only {int(usable.sum())} answers are neither missing nor neutral; the published "
            "method needs more."
        )
    accuracies = np.empty(total)
    for head in range(total):
        probe = logistic_regression(C=1.0, max_iter=1000)
        probe.fit(rows[training, head], labels[training])
        accuracies[head] = (
            probe.score(rows[training, head], labels[training])
            + probe.score(rows[validation, head], labels[validation])
        ) / 2
    chosen = np.argsort(accuracies, kind="stable")[::-1][:heads]
    directions = np.empty((heads, activations.shape[3]))
    spreads = np.empty(heads)
    for place, head in enumerate(chosen):
        difference = rows[labels, head].mean(axis=0) - rows[~labels, head].mean(axis=0)
        directions[place] = difference / (np.linalg.norm(difference) or 1.0)
        spreads[place] = np.std(rows[:, head] @ directions[place])
    return PublishedFit(chosen, directions, spreads, accuracies)


def best_on_reported(trait_errors: ArrayLike) -> int:
    """Index of the strength with the smallest sum of trait errors, as released.

    Args:
        trait_errors: Mean error of each trait at each strength on the reported items, (strengths,
            traits). That is what makes it unfit for conclusions: see `strength` for the remedy.
    """
    return int(np.asarray(trait_errors, dtype=np.float64).sum(axis=1).argmin())


def _logistic_regression() -> type:
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError:
        raise UsageError(
            "The published method needs scikit-learn, which is not installed: "
            "pip install scikit-learn."
        ) from None
    found: type = LogisticRegression
    return found
