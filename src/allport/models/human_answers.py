"""People as respondents."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from allport.errors import ModelError, ResponsesError
from allport.files import sha256_of
from allport.inventories.inventory import Inventory
from allport.models.respondent import Question, Response

if TYPE_CHECKING:
    import polars as pl

__all__ = ["HumanAnswers", "OffScale", "choice_values", "first_off_scale", "has_own_options"]


@dataclass(frozen=True, eq=False)
class HumanAnswers:
    """What people answered to an inventory, as a respondent.

    The persona of a question's condition names the person who is asked. Answers are always literal
    here, however the file stored them.
    """

    name: str
    inventory: Inventory
    people: pl.DataFrame
    """One row a person: `id` as text, then whatever else the file says of people."""
    literal: NDArray[np.float64]
    """What was answered, shape (people, items), items in the inventory's order; NaN where nothing
    was."""
    note: str = ""
    """What could not be checked about the file, in a sentence; empty where nothing is left open."""
    chosen: NDArray[np.float64] | None = None
    """Which option was chosen, as its index in content order, shape (people, items); NaN where that
    is not known. It is needed where options of an item share a value, as those of situations do."""

    def __post_init__(self) -> None:
        """Check the answers against the inventory, and seal them."""
        shape = (len(self.people), len(self.inventory.items))
        if self.literal.shape != shape:
            raise ResponsesError(
                f"{self.name}: answers of shape {self.literal.shape} do not fit {shape[0]} people "
                f"and {shape[1]} items of {self.inventory.name}."
            )
        if len(self._rows) < shape[0]:
            raise ResponsesError(f"{self.name}: two people have the same id.")
        wrong = first_off_scale(self.literal, self.inventory)
        if wrong is not None:
            raise ResponsesError(
                f"{self.name}, person {self.ids[wrong.row]}: {wrong.value:g} to item "
                f"{self.inventory.numbers[wrong.column]} is not on its scale ({wrong.scale})."
            )
        self.literal.flags.writeable = False
        if self.chosen is not None:
            self._check_chosen(self.chosen)
            self.chosen.flags.writeable = False

    def _check_chosen(self, chosen: NDArray[np.float64]) -> None:
        if chosen.shape != self.literal.shape:
            raise ResponsesError(
                f"{self.name}: choices of shape {chosen.shape} do not fit answers of shape "
                f"{self.literal.shape}."
            )
        there = ~np.isnan(chosen)
        wrong = np.argwhere(there & (choice_values(chosen, self.inventory) != self.literal))
        if len(wrong):
            row, column = (int(index) for index in wrong[0])
            raise ResponsesError(
                f"{self.name}, person {self.ids[row]}: the option of index "
                f"{chosen[row, column]:g} of item {self.inventory.numbers[column]} does not stand "
                f"for the answer {self.literal[row, column]:g}."
            )

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Who they are, in the order of the rows."""
        return tuple(self.people["id"].to_list())

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {person: row for row, person in enumerate(self.ids)}

    @cached_property
    def keyed(self) -> NDArray[np.float64]:
        """Answers with items of key -1 reversed, shape (people, items); NaN where missing."""
        return self.inventory.keyed(self.literal)

    @cached_property
    def choices(self) -> NDArray[np.float64]:
        """Index of the option chosen, in content order, shape (people, items); NaN where nothing
        was answered, or where several options have the value answered and nothing says which.
        """
        found = np.full(self.literal.shape, np.nan) if self.chosen is None else self.chosen.copy()
        for column, item in enumerate(self.inventory.items):
            values = self.inventory.option_values(item)
            for index, value in enumerate(values):
                if (values == value).sum() == 1:
                    found[self.literal[:, column] == value, column] = index
        found.flags.writeable = False
        return found

    def describe(self) -> dict[str, Any]:
        """What identifies these answers: the inventory, who answered, and what."""
        told = "\0".join(self.ids).encode() + self.literal.tobytes()
        if self.chosen is not None and has_own_options(self.inventory).any():
            told += self.choices.tobytes()
        return {
            "kind": "people",
            "name": self.name,
            "people": len(self.people),
            "inventory": self.inventory.name,
            "inventory_hash": self.inventory.content_hash,
            "answers_hash": sha256_of(told),
        }

    def answer(self, questions: Sequence[Question]) -> Iterator[Response]:
        """Give each question the answer of the person that its condition's persona names.

        A person's answer is certain: probability 1 on the option answered, label mass 1. Where
        only the value answered is known and several options have it, they share the probability,
        and there is no choice. A missing answer has no probabilities, no choice, and label mass
        NaN.

        Raises:
            ModelError: A question is about somebody else, or another inventory; before any answer.
        """
        places = [self._place(question) for question in questions]
        for question, (row, column) in zip(questions, places, strict=True):
            value = self.literal[row, column]
            shares: tuple[float, ...] | None = None
            choice = None
            if not math.isnan(value):
                same = self.inventory.option_values(self.inventory.items[column]) == value
                if self.chosen is not None and not math.isnan(self.chosen[row, column]):
                    same = np.arange(len(same)) == self.chosen[row, column]
                shares = tuple(float(share) for share in same / same.sum())
                choice = int(same.argmax()) if same.sum() == 1 else None
            mass = math.nan if shares is None else 1.0
            yield Response(question.item, question.condition, shares, choice, mass)

    def _place(self, question: Question) -> tuple[int, int]:
        person = question.condition.persona
        row = self._rows.get(person)
        if row is None:
            raise ModelError(
                f"{self.name} has no person {person!r}; the persona of each question must be "
                f"the id of one of its {len(self.people)} people."
            )
        column = self._columns.get(question.item)
        if column is None:
            raise ModelError(
                f"{self.name} holds answers to {self.inventory.name}, which has no item "
                f"{question.item}."
            )
        options = self.inventory.options(self.inventory.items[column])
        if len(question.options) != len(options):
            raise ModelError(
                f"{self.name}: item {question.item} was answered on {len(options)} options and is "
                f"asked with {len(question.options)}."
            )
        return row, column

    @cached_property
    def _columns(self) -> dict[int, int]:
        return {number: column for column, number in enumerate(self.inventory.numbers)}


def has_own_options(inventory: Inventory) -> NDArray[np.bool_]:
    """Which items have options of their own, whose answers name the option, shape (items,)."""
    return np.array([bool(item.options) for item in inventory.items])


def choice_values(choices: NDArray[np.float64], inventory: Inventory) -> NDArray[np.float64]:
    """Literal values of options, given by their index in content order, shape (people, items).

    NaN where there is no index, or no option of that index.
    """
    found = np.full(choices.shape, np.nan)
    for column, item in enumerate(inventory.items):
        for index, value in enumerate(inventory.option_values(item)):
            found[choices[:, column] == index, column] = value
    return found


class OffScale(NamedTuple):
    """An answer that is none of its item's values."""

    row: int
    column: int
    value: float
    scale: str
    """The values that it could have."""


def first_off_scale(literal: NDArray[np.float64], inventory: Inventory) -> OffScale | None:
    """The first answer, of shape (people, items), that is none of its item's values."""
    alike: dict[tuple[float, ...], list[int]] = {}
    for column, item in enumerate(inventory.items):
        alike.setdefault(tuple(inventory.option_values(item)), []).append(column)
    for values, columns in alike.items():
        answers = literal[:, columns]
        wrong = np.argwhere(~np.isnan(answers) & ~np.isin(answers, values))
        if len(wrong):
            row, place = (int(index) for index in wrong[0])
            scale = ", ".join(f"{value:g}" for value in sorted(set(values)))
            return OffScale(row, columns[place], float(answers[row, place]), scale)
    return None
