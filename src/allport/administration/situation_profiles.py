"""What a profile takes as the scores of situational items."""

from __future__ import annotations

import numpy as np
import polars as pl

from allport.administration.situation_scoring import situation_scores
from allport.inventories.inventory import Inventory
from allport.psychometrics.situational import SituationalScores

__all__ = ["has_sides", "item_sides"]


def has_sides(inventory: Inventory) -> bool:
    """Whether every item is a situation whose options speak for one end of its trait each."""
    return all(
        item.options and np.isin(inventory.option_values(item), (0, 1)).all()
        for item in inventory.items
    )


def item_sides(responses: pl.DataFrame, inventory: Inventory) -> SituationalScores:
    """Scores of every item over all conditions, averaged over personas.

    Conditions are put together as `situational_scores` puts orders together.

    Args:
        responses: Of one respondent; see `SCHEMA`.
        inventory: One that `has_sides`.

    Returns:
        Each of shape (items,); NaN where an item has no usable answer. `orders_answered` counts
        conditions of all personas.
    """
    found = list(situation_scores(responses, inventory).values())
    known = [~np.isnan(scores.mass) for scores in found]
    count = np.sum(known, axis=0)

    def mean(field: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        total = sum(np.where(k, s[field], 0.0) for k, s in zip(known, found, strict=True))
        with np.errstate(invalid="ignore"):
            return np.asarray(total / count)

    argmax, mass, logit = (mean(field) for field in range(3))
    answered = np.sum([scores.orders_answered for scores in found], axis=0)
    return SituationalScores(argmax, mass, logit, answered)
