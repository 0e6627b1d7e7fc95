"""Scores of situational items from the responses to them."""

from __future__ import annotations

import numpy as np
import polars as pl

from allport.administration.responses import administrations, option_probabilities
from allport.errors import UsageError
from allport.inventories.inventory import Inventory
from allport.psychometrics.situational import SituationalScores, situational_scores

__all__ = ["situation_scores"]


def situation_scores(responses: pl.DataFrame, inventory: Inventory) -> dict[str, SituationalScores]:
    """Which side every item was answered on, by persona.

    For `mass` and `logit` all conditions of a persona, templates and forms as well as option
    orders, are put together as `situational_scores` puts orders together. `argmax` counts the one
    option chosen most over the orders of each template and form, and is the mean of these counts,
    as TRAIT (arXiv 2406.14703) averages the scores of its three templates.

    Args:
        responses: Of one respondent; see `SCHEMA`.
        inventory: Situational: every option of value 1 (high side) or 0 (low side).

    Returns:
        Scores by name of persona, each of shape (items,) in the order of the inventory, from 0 to 1
        but for `logit`; NaN where an item has no usable answer. `orders_answered` counts
        conditions.

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
    found = {}
    for persona in responses["persona"].unique(maintain_order=True):
        own = responses.filter(pl.col("persona") == persona)
        shares = option_probabilities(own, inventory)
        asked: dict[tuple[str, str], list[int]] = {}
        for row, condition in enumerate(administrations(own)):
            asked.setdefault((condition.template, condition.form), []).append(row)
        counts = np.array(
            [
                situational_scores(shares[rows].transpose(1, 0, 2), sides).argmax
                for rows in asked.values()
            ]
        )
        known = ~np.isnan(counts)
        with np.errstate(invalid="ignore"):
            argmax = np.where(known, counts, 0.0).sum(axis=0) / known.sum(axis=0)
        whole = situational_scores(shares.transpose(1, 0, 2), sides)
        found[persona] = whole._replace(argmax=argmax)
    return found
