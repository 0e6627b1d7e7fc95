"""What a model answers under displacements, found by asking it.

Where only the answer is steered, everything before the answer position is computed once for all
people and strengths, so that one more strength costs one more token an item.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from allport.administration.design import Design
from allport.administration.planning import plan
from allport.alignment.displacements import Displacements
from allport.alignment.projections import ModelSites
from allport.alignment.steering import RowDisplacement, SteeredTokens, Steerer
from allport.errors import ModelError
from allport.inventories.inventory import Inventory

if TYPE_CHECKING:
    from allport.models.respondent import Question
    from allport.models.transformers_model import TransformersModel

__all__ = ["AskedAnswers", "AskedDistributions"]

_ROWS_AT_ONCE = 20_000


class AskedDistributions(NamedTuple):
    """Answers of some rows to some items."""

    probabilities: NDArray[np.float64]
    """Mean over the ways of asking, (rows, items, options)."""
    expected: NDArray[np.float64]
    """Expected literal answers, (rows, items)."""


class AskedAnswers:
    """Asks a model the items of an inventory under displacements.

    It is called as `strength.ExpectedLiteral`: it gives expected literal answers.
    """

    def __init__(
        self,
        model: TransformersModel,
        sites: ModelSites,
        inventory: Inventory,
        numbers: Sequence[int],
        *,
        tokens: SteeredTokens = "answer",
        prompt: str = "",
        templates: Sequence[str] = ("letters",),
        orders: Sequence[str] = ("forward", "reversed"),
        report: Callable[[int], None] | None = None,
    ) -> None:
        """Ask a model.

        Args:
            model: Not aligned.
            sites: Of the model.
            inventory: With its texts, all items on its response scale.
            numbers: Items that can be asked, in the order of item positions.
            tokens: Which are steered.
            prompt: System text before every question.
            templates: Question templates; answers are averaged over them and over the orders.
            orders: Option orders.
            report: Takes the number of answers so far, whenever one has come.

        Raises:
            UsageError: There is no such template or order.
            InventoryError: The texts are not imported.
        """
        design = Design(templates=tuple(templates), orders=tuple(orders), items=tuple(numbers))
        self._questions: dict[int, list[Question]] = {number: [] for number in numbers}
        for question in plan(inventory, design):
            self._questions[question.item].append(question)
        self._model = model
        self._sites = sites
        self._numbers = tuple(numbers)
        self._values = np.array([option.value for option in inventory.scale])
        self._tokens = tokens
        self._prompt = prompt
        self._report = report
        self._answered = 0

    def __call__(self, displacements: Displacements, strengths: Tensor, items: Tensor) -> Tensor:
        """Expected literal answers, (strengths, people, items); see `ExpectedLiteral`."""
        layers = len(self._sites.layers)
        dense = displacements.dense(layers * self._sites.heads).float()
        moved = strengths != 0
        scaled = strengths[moved].float()[:, None, None] * dense
        rows = [self.row(vector) for vector in scaled.flatten(0, 1)]
        alone = torch.from_numpy(self.unaligned.expected[0]).float()[items]
        found = alone.expand(len(strengths), len(dense), len(items)).clone()
        if rows:
            asked = torch.from_numpy(self.ask(rows, items.tolist()).expected).float()
            found[moved] = asked.view(-1, len(dense), len(items))
        return found

    @cached_property
    def unaligned(self) -> AskedDistributions:
        """What the model answers by itself, one row of all items; asked for once."""
        return self.ask([None])

    def ask(
        self, rows: Sequence[RowDisplacement | None], items: Sequence[int] | None = None
    ) -> AskedDistributions:
        """Ask every row every item.

        Args:
            rows: Displacements, strength included; None for none.
            items: Positions of items; all by default.

        Raises:
            ModelError: An answer holds no usable distribution.
        """
        numbers = [
            self._numbers[i] for i in (range(len(self._numbers)) if items is None else items)
        ]
        by_name: dict[str, RowDisplacement | None] = {str(i): row for i, row in enumerate(rows)}
        aligned = self._model.aligned(_Rows(self._sites, by_name, self._prompt))
        place = {number: i for i, number in enumerate(numbers)}
        sums = np.zeros((len(rows), len(numbers), len(self._values)))
        asked = [q for number in numbers for q in self._questions[number]]
        at_once = max(1, _ROWS_AT_ONCE // max(1, len(rows)))
        for start in range(0, len(asked), at_once):
            questions = [
                dataclasses.replace(
                    question, condition=dataclasses.replace(question.condition, persona=name)
                )
                for question in asked[start : start + at_once]
                for name in by_name
            ]
            for response in aligned.answer(questions):
                if response.probabilities is None:
                    raise ModelError(
                        f"{self._model.name} gives item {response.item} no usable answer while it "
                        "is steered; use smaller strengths or another template."
                    )
                cell = int(response.condition.persona), place[response.item]
                sums[cell] += response.probabilities
                self._answered += 1
                if self._report is not None:
                    self._report(self._answered)
        probabilities = sums / sums.sum(axis=2, keepdims=True)
        return AskedDistributions(probabilities, probabilities @ self._values)

    def row(self, vector: Tensor) -> RowDisplacement | None:
        """The row of one displacement over all heads, (heads * head_dim,), strength included."""
        by_layer = vector.view(len(self._sites.layers), -1)
        vectors = dict(zip(self._sites.layers, by_layer, strict=True))
        return RowDisplacement.of(self._sites, [("heads", self._tokens, vectors)])


class _Rows:
    """Rows by name, as something to align a model by."""

    def __init__(
        self, sites: ModelSites, rows: Mapping[str, RowDisplacement | None], prompt: str
    ) -> None:
        self._sites, self._rows, self._prompt = sites, rows, prompt

    def steering(self, model: TransformersModel) -> Steerer:
        def prompt(persona: str) -> str:
            return self._prompt

        return Steerer(self._sites, self._rows.__getitem__, prompt, {}, kept=len(self._rows) + 1)
