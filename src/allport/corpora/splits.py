"""Which items a persona is fitted on, and which it is measured on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from allport.errors import InventoryError
from allport.inventories import load_inventory
from allport.inventories.inventory import Inventory
from allport.personas.person import Person

__all__ = ["ItemSplit", "short_form_numbers", "short_form_person", "short_form_split"]

LONG_FORM, SHORT_FORM = "ipip-neo-300", "ipip-neo-120"


@dataclass(frozen=True)
class ItemSplit:
    """An inventory's items in two parts that share none: to fit on, and to measure on."""

    inventory: Inventory
    fit: tuple[int, ...]
    """Numbers of the items that a persona may be fitted on, in the inventory's order."""
    held_out: tuple[int, ...]
    """Numbers of the items that results are reported on, in the inventory's order."""

    def __post_init__(self) -> None:
        """Check that the two parts are parts, and put them into the inventory's order."""
        fit, held_out = set(self.fit), set(self.held_out)
        unknown = sorted((fit | held_out).difference(self.inventory.numbers))
        if unknown:
            raise InventoryError(f"{self.inventory.name} has no item {unknown[0]} to split by.")
        if fit & held_out:
            raise InventoryError(
                f"Item {min(fit & held_out)} of {self.inventory.name} is both to be fitted on and "
                "held out; an item can be in one part only."
            )
        if not fit or not held_out:
            raise InventoryError("A split needs items to fit on and items to hold out.")
        for name, part in (("fit", fit), ("held_out", held_out)):
            ordered = tuple(number for number in self.inventory.numbers if number in part)
            object.__setattr__(self, name, ordered)

    @cached_property
    def fit_columns(self) -> NDArray[np.intp]:
        """Positions of the fitting items on the inventory's item axis, shape (fitting items,)."""
        return self._columns(self.fit)

    @cached_property
    def held_out_columns(self) -> NDArray[np.intp]:
        """Positions of the held-out items on the item axis, shape (held-out items,)."""
        return self._columns(self.held_out)

    def _columns(self, numbers: tuple[int, ...]) -> NDArray[np.intp]:
        place = {number: column for column, number in enumerate(self.inventory.numbers)}
        return np.array([place[number] for number in numbers], dtype=np.intp)


def short_form_numbers(
    inventory: Inventory | None = None, short: Inventory | None = None
) -> dict[int, int]:
    """Where the items of a short form stand in the long one.

    Items are matched by what they say: the two forms number them apart.

    Args:
        inventory: The long form; the IPIP-NEO-300 by default.
        short: The short form; the IPIP-NEO-120 by default.

    Returns:
        Number in the long form by number in the short form, for every item of the short form.

    Raises:
        InventoryError: An item of the short form is not in the long one, or has another key.
    """
    inventory = inventory or load_inventory(LONG_FORM)
    short = short or load_inventory(SHORT_FORM)
    by_text = {item.text: item for item in inventory.items}
    numbers = {}
    for item in short.items:
        same = by_text.get(item.text)
        if same is None or (same.facet, same.key) != (item.facet, item.key):
            raise InventoryError(
                f"Item {item.number} of {short.name} is not an item of {inventory.name} with the "
                "same facet and key, so it is no short form of it."
            )
        numbers[item.number] = same.number
    return numbers


def short_form_person(person: Person) -> Person:
    """A person's answers to the long form, as answers to the short form that is part of it.

    Raises:
        InventoryError: What the person answered has no short form.
    """
    short = load_inventory(SHORT_FORM)
    numbers = short_form_numbers(person.inventory, short)
    given = person.literal_answers
    answers = {n: given[long] for n, long in numbers.items() if long in given}
    return replace(person, inventory=short, literal_answers=answers)


def short_form_split(
    inventory: Inventory | None = None, short: Inventory | None = None
) -> ItemSplit:
    """The split of the PAPI benchmark: fit on the short form's items, measure on all others.

    For the IPIP-NEO-300 these are the 120 items of the IPIP-NEO-120, four to a facet, and the other
    180, six to a facet (Zhu et al., arXiv 2408.11779).

    Args:
        inventory: The long form; the IPIP-NEO-300 by default.
        short: The short form; the IPIP-NEO-120 by default.

    Raises:
        InventoryError: The one is no short form of the other.
    """
    inventory = inventory or load_inventory(LONG_FORM)
    fit = set(short_form_numbers(inventory, short).values())
    held_out = tuple(number for number in inventory.numbers if number not in fit)
    return ItemSplit(inventory, tuple(fit), held_out)
