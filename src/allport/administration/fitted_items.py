"""Which of the items asked something was fitted on: answers to these tell what was trained."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from allport.administration.run import Run
from allport.errors import AllportError
from allport.inventories.catalog import load_inventory
from allport.inventories.inventory import Inventory

__all__ = ["fitted_among", "fitted_items_asked"]


def fitted_among(fitted_on: Sequence[Mapping[str, Any]], inventory: Inventory) -> tuple[int, ...]:
    """Numbers of the items of an inventory that were fitted on, in its order.

    Items of another inventory are the same where they say the same.

    Args:
        fitted_on: Names of inventories and numbers of their items, such as
            {"inventory": "ipip-neo-300", "items": [1, 2]}. Texts of an inventory that is neither
            the one given nor known by its name cannot be compared, and none is found of it.
        inventory: What is asked.
    """
    numbers: set[int] = set()
    texts: set[str] = set()
    for fitted in fitted_on:
        if fitted["inventory"] == inventory.name:
            numbers.update(fitted["items"])
            continue
        with contextlib.suppress(AllportError):
            other = load_inventory(fitted["inventory"])
            wanted = set(fitted["items"])
            texts.update(_plain(item.text) for item in other.items if item.number in wanted)
    return tuple(
        item.number
        for item in inventory.items
        if item.number in numbers or (item.text and _plain(item.text) in texts)
    )


def fitted_items_asked(run: Run) -> tuple[int, ...]:
    """Numbers of the items answered in a run that its respondent's alignment was fitted on.

    None where there is no alignment, or the run does not say what it was fitted on.
    """
    steering = run.record.description.get("steering", {})
    asked = set(run.responses["item"].unique().to_list())
    fitted = fitted_among(steering.get("fitted_on", ()), run.inventory)
    return tuple(number for number in fitted if number in asked)


def _plain(text: str | None) -> str:
    return (text or "").casefold().strip(" .")
