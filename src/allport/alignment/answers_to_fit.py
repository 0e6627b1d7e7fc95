"""The answers that a method is fitted on, whoever they are of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allport.alignment.exclusions import Exclusion, find_exclusions
from allport.corpora import short_form_split
from allport.corpora.splits import LONG_FORM
from allport.errors import ResponsesError, UsageError
from allport.inventories.inventory import Inventory
from allport.personas.person import Person
from allport.personas.persona import Persona
from allport.personas.trait_levels import TraitLevels

__all__ = ["FEWEST_ANSWERS", "FittingAnswers", "fitting_answers", "fitting_numbers"]

FEWEST_ANSWERS = 30
"""A person with fewer usable answers cannot be aligned to."""


@dataclass(frozen=True, eq=False)
class FittingAnswers:
    """One person's answers to the items of an inventory that may be fitted on."""

    name: str
    inventory: Inventory
    numbers: tuple[int, ...]
    """Items, in the inventory's order."""
    literal: NDArray[np.float64]
    """Literal answers, (items,), NaN for missing."""

    @property
    def scale(self) -> tuple[float, float]:
        """Smallest and largest literal answer."""
        values = [option.value for option in self.inventory.scale]
        return min(values), max(values)

    @property
    def targets(self) -> NDArray[np.float32]:
        """From -1 to 1, (items,), NaN for missing."""
        # Whether somebody can be fitted is told without torch.
        from allport.alignment.ridge_directions import graded_targets

        return graded_targets(self.literal, *self.scale)

    def sides(self) -> NDArray[np.float32]:
        """Which side of the middle each answer is on: -1, 1, or 0 for neither, (items,).

        Raises:
            ResponsesError: All are on one side, so that they tell agreeing from disagreeing, and
                nothing of the person.
        """
        signs: NDArray[np.float32] = np.sign(np.nan_to_num(self.targets))
        if not ((signs > 0).any() and (signs < 0).any()):
            raise ResponsesError(
                f"{self.name} cannot be aligned to by this method: no two answers to the "
                f"{len(self.numbers)} items to fit on are on different sides of the middle. Use "
                "another method, such as pas."
            )
        return signs

    @property
    def facets(self) -> tuple[str, ...]:
        """Facet of each item, or its trait where the inventory has no facets."""
        items = [self.inventory.item(number) for number in self.numbers]
        return tuple(item.facet or item.trait for item in items)

    @property
    def keys(self) -> NDArray[np.int8]:
        """Key of each item, (items,)."""
        return np.array([self.inventory.item(number).key for number in self.numbers], np.int8)

    def as_person(self) -> Person:
        """The same answers as a persona, who knows of no other item."""
        given = zip(self.numbers, self.literal.tolist(), strict=True)
        answers = {number: value for number, value in given if not np.isnan(value)}
        return Person(self.name, self.inventory, answers)


def fitting_answers(
    persona: Persona, items: Sequence[int] = (), fewest: int = FEWEST_ANSWERS
) -> FittingAnswers:
    """A persona's answers to the items to fit on.

    Args:
        persona: A person, or trait levels, for which the answers are those expected of them.
        items: Numbers of the items to fit on. By default those of the short form where the IPIP-NEO
            with 300 items was answered, so that the other 180 stay unseen; else all.
        fewest: Usable answers that are needed.

    Raises:
        ResponsesError: There are too few answers, or they are all the same.
        UsageError: The persona is of another kind, or the items have options of their own.
    """
    if isinstance(persona, TraitLevels):
        from allport.corpora import person_from_levels

        persona = person_from_levels(persona, name=persona.name)
    if not isinstance(persona, Person):
        raise UsageError(f"{persona.name!r} is neither a person nor trait levels; give one.")
    inventory = persona.inventory
    numbers = fitting_numbers(inventory, items)
    literal = np.array([persona.literal_answers.get(number, np.nan) for number in numbers])
    found = FittingAnswers(persona.name, inventory, numbers, literal)
    excluded = Exclusion(int(find_exclusions(literal[None], found.scale, fewest)[0]))
    if excluded:
        usable = int((~np.isnan(literal)).sum())
        raise ResponsesError(
            f"{persona.name} cannot be aligned to: {excluded.reason} ({usable} answers to the "
            f"{len(numbers)} items to fit on; {fewest} are needed, spread over the scale)."
        )
    return found


def fitting_numbers(inventory: Inventory, items: Sequence[int] = ()) -> tuple[int, ...]:
    """Numbers of the items to fit on, in the inventory's order; see `fitting_answers`.

    Raises:
        UsageError: There is no such item, or items have options of their own.
    """
    if not inventory.scale:
        raise UsageError(
            f"The items of {inventory.name} have options of their own; answers on one response "
            "scale are needed."
        )
    wanted = set(items)
    if not wanted:
        long = inventory.name == LONG_FORM
        wanted = set(short_form_split(inventory).fit if long else inventory.numbers)
    unknown = sorted(wanted.difference(inventory.numbers))
    if unknown:
        raise UsageError(f"{inventory.name} has no item {unknown[0]} to fit on.")
    return tuple(number for number in inventory.numbers if number in wanted)
