"""The answers that a method is fitted on, whoever they are of.

A person gave them. Trait levels say what a person of these levels would answer to the items of the
domains that they name; on the other domains the model is to stay as it is, so there its own answers
are fitted on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from allport.models.respondent import Respondent

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
    asked_for: Mapping[str, float] = field(default_factory=dict)
    """Level of each domain that was asked for, by code; empty for a person."""
    own_answers: tuple[str, ...] = ()
    """Codes of the domains on which the answers are the model's own."""

    @property
    def record(self) -> dict[str, Any]:
        """What a method was fitted on, JSON-ready, for `Alignment.fit`."""
        answered = ~np.isnan(self.literal)
        found: dict[str, Any] = {
            "inventory": self.inventory.name,
            "inventory_hash": self.inventory.content_hash,
            "items": [n for n, given in zip(self.numbers, answered, strict=True) if given],
            "answers": int(answered.sum()),
        }
        if self.asked_for:
            found["asked_for"] = dict(self.asked_for)
            found["own_answers"] = list(self.own_answers)
        return found

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
    persona: Persona,
    items: Sequence[int] = (),
    fewest: int = FEWEST_ANSWERS,
    *,
    model: Respondent | None = None,
    templates: Sequence[str] = ("letters",),
    orders: Sequence[str] = ("forward", "reversed"),
    whole: bool = True,
) -> FittingAnswers:
    """A persona's answers to the items to fit on.

    Args:
        persona: A person; or trait levels, for which the answers are those expected of a person
            with these levels on the domains that are named, and the model's own on all others.
        items: Numbers of the items to fit on. By default those of the short form where the IPIP-NEO
            with 300 items was answered, so that the other 180 stay unseen; else all.
        fewest: Usable answers that are needed.
        model: Whose own answers are taken, by itself; needed for trait levels that leave out a
            domain.
        templates: Question templates in which it is asked for them; answers are averaged.
        orders: Option orders.
        whole: Whether its answers are rounded to the scale, such that the sum over each facet is
            kept; else they are expected values.

    Raises:
        ResponsesError: There are too few answers, or they are all the same.
        UsageError: The persona is of another kind, or the items have options of their own; or a
            model, a template or an order is missing.
    """
    if isinstance(persona, TraitLevels):
        return _answers_to_levels(persona, items, fewest, model, templates, orders, whole)
    if not isinstance(persona, Person):
        raise UsageError(f"{persona.name!r} is neither a person nor trait levels; give one.")
    inventory = persona.inventory
    numbers = fitting_numbers(inventory, items)
    literal = np.array([persona.literal_answers.get(number, np.nan) for number in numbers])
    return _usable(FittingAnswers(persona.name, inventory, numbers, literal), fewest)


def _answers_to_levels(
    levels: TraitLevels,
    items: Sequence[int],
    fewest: int,
    model: Respondent | None,
    templates: Sequence[str],
    orders: Sequence[str],
    whole: bool,
) -> FittingAnswers:
    """Answers expected of the domains that are named, and the model's own to all others."""
    from allport.corpora import person_from_levels

    person = person_from_levels(levels, name=levels.name)
    inventory = person.inventory
    numbers = fitting_numbers(inventory, items)
    answers = dict(person.literal_answers)
    others = tuple(n for n in numbers if inventory.item(n).trait not in levels.levels)
    if others:
        if model is None:
            raise UsageError(
                f"{levels.name}: domains that are not named stay as the model answers them, so the "
                'model is needed; give it (model=...), or ask in words (kind="adjectives").'
            )
        answers |= _own_answers(model, inventory, others, templates, orders, whole)
    literal = np.array([answers[number] for number in numbers])
    kept = dict.fromkeys(inventory.item(number).trait for number in others)
    found = FittingAnswers(
        levels.name, inventory, numbers, literal, dict(levels.levels), tuple(kept)
    )
    return _usable(found, fewest)


def _own_answers(
    model: Respondent,
    inventory: Inventory,
    numbers: tuple[int, ...],
    templates: Sequence[str],
    orders: Sequence[str],
    whole: bool,
) -> dict[int, float]:
    """Literal answers that a model gives by itself, by item; NaN where none can be used."""
    import polars as pl

    from allport.administration import Design, measure

    design = Design(templates=tuple(templates), orders=tuple(orders), items=numbers)
    run = measure(model, inventory, design, progress=None)
    expected = run.responses.group_by("item").agg(pl.col("expected_keyed").mean())
    by_item = dict(expected.drop_nulls().iter_rows())
    keyed = np.array([by_item.get(number, np.nan) for number in inventory.numbers])
    if whole:
        for facet in dict.fromkeys((item.trait, item.facet) for item in inventory.items):
            of_facet = [(item.trait, item.facet) == facet for item in inventory.items]
            asked = np.flatnonzero(of_facet & ~np.isnan(keyed))
            # Rounding what has been summed so far gives each item its floor or its ceiling.
            keyed[asked] = np.diff(np.round(np.cumsum(keyed[asked])), prepend=0.0)
    literal = dict(zip(inventory.numbers, inventory.literal(keyed).tolist(), strict=True))
    return {number: literal[number] for number in numbers}


def _usable(found: FittingAnswers, fewest: int) -> FittingAnswers:
    """The same answers, where there are enough and they are not all the same."""
    literal = found.literal
    excluded = Exclusion(int(find_exclusions(literal[None], found.scale, fewest)[0]))
    if excluded:
        usable = int((~np.isnan(literal)).sum())
        raise ResponsesError(
            f"{found.name} cannot be aligned to: {excluded.reason} ({usable} answers to the "
            f"{len(found.numbers)} items to fit on; {fewest} are needed, spread over the scale)."
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
