"""What a profile takes as the scores of situational items."""

from __future__ import annotations

import numpy as np
import polars as pl

from allport.administration.responses import option_probabilities
from allport.administration.situation_scoring import situation_scores
from allport.inventories.inventory import Inventory
from allport.psychometrics.situational import SituationalScores

__all__ = ["has_sides", "item_sides"]

_FLOOR = 1e-9


def has_sides(inventory: Inventory) -> bool:
    """Whether every item is a situation whose options speak for one end of its trait each."""
    return all(
        item.options and np.isin(inventory.option_values(item), (0, 1)).all()
        for item in inventory.items
    )


def item_sides(responses: pl.DataFrame, inventory: Inventory) -> SituationalScores:
    """Scores of every item over all conditions, averaged over personas.

    Conditions are put together by the geometric mean, in which what places and labels add to all
    options of an item alike cancels. Where an option of an item has a share of exactly zero, as
    generated and sampled answers do, there is no logarithm and the arithmetic mean is taken.

    Args:
        responses: Of one respondent; see `SCHEMA`.
        inventory: One that `has_sides`.

    Returns:
        Each of shape (items,); NaN where an item has no usable answer.
    """
    found = [
        _with_zeros(responses.filter(pl.col("persona") == persona), inventory, scores)
        for persona, scores in situation_scores(responses, inventory).items()
    ]
    known = [~np.isnan(scores.mass) for scores in found]
    count = np.sum(known, axis=0)

    def mean(field: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        total = sum(np.where(k, s[field], 0.0) for k, s in zip(known, found, strict=True))
        with np.errstate(invalid="ignore"):
            return np.asarray(total / count)

    return SituationalScores(*(mean(field) for field in range(3)))


def _with_zeros(
    responses: pl.DataFrame, inventory: Inventory, scores: SituationalScores
) -> SituationalScores:
    """The scores of one persona, with items that hold zeros averaged as they are."""
    probabilities = option_probabilities(responses, inventory)
    mass, logit = scores.mass.copy(), scores.logit.copy()
    for column in np.flatnonzero((probabilities == 0).any(axis=(0, 2))):
        values = inventory.option_values(inventory.items[column])
        given = probabilities[:, column, : len(values)]
        high = float((given[~np.isnan(given).any(axis=1)] @ values).mean())
        bounded = min(max(high, _FLOOR), 1 - _FLOOR)
        mass[column], logit[column] = high, np.log(bounded / (1 - bounded))
    return SituationalScores(scores.argmax, mass, logit)
