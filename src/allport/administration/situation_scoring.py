"""Scores of situational items from the responses to them."""

from __future__ import annotations

import numpy as np
import polars as pl

from allport.administration.responses import option_probabilities
from allport.errors import UsageError
from allport.inventories.inventory import Inventory
from allport.psychometrics.situational import SituationalScores, situational_scores

__all__ = ["situation_scores"]


def situation_scores(responses: pl.DataFrame, inventory: Inventory) -> dict[str, SituationalScores]:
    """Which side every item was answered on, by persona.

    All conditions of a persona, templates and forms as well as option orders, are put together as
    `situational_scores` puts orders together.

    Args:
        responses: Of one respondent; see `SCHEMA`.
        inventory: Situational: every option of value 1 (high side) or 0 (low side).

    Returns:
        Scores by name of persona, each of shape (items,) in the order of the inventory; NaN where
        an item has no usable answer. `orders_answered` counts conditions.

    Raises:
        UsageError: The items have a response scale, or options with other values.
    """
    most = max(len(inventory.options(item)) for item in inventory.items)
    sides = np.full((len(inventory.items), most), np.nan)
    for row, item in enumerate(inventory.items):
        values = inventory.option_values(item)
        if not item.options or not np.isin(values, (0, 1)).all():
            raise UsageError(
                f"Item {item.number} of {inventory.name} has no high and low side; situational "
                "scores need options of value 1 and 0."
            )
        sides[row, : len(values)] = values
    return {
        persona: situational_scores(
            option_probabilities(
                responses.filter(pl.col("persona") == persona), inventory
            ).transpose(1, 0, 2),
            sides,
        )
        for persona in responses["persona"].unique(maintain_order=True)
    }
