"""What aligning to trait levels does to every trait, on items that were not fitted on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from allport.administration.comparing import Difference, compare
from allport.administration.design import Design
from allport.administration.fitted_items import fitted_among
from allport.administration.measuring import measure
from allport.administration.run import Run
from allport.corpora.splits import short_form_split
from allport.errors import UsageError

if TYPE_CHECKING:
    from allport.alignment.alignment import Alignment
    from allport.models.transformers_model import TransformersModel

__all__ = ["SpillOver", "measure_spill_over", "spill_over_between"]


@dataclass(frozen=True)
class SpillOver:
    """How a model's traits differ before and after it was aligned to some of them."""

    asked_for: Mapping[str, float]
    """Level of each trait that was asked for, by code."""
    inventory: str
    items: tuple[int, ...]
    """Numbers of the items asked."""
    templates: tuple[str, ...]
    orders: tuple[str, ...]
    traits: tuple[Difference, ...]
    """After less before, of every trait; those asked for come first."""


def measure_spill_over(
    model: TransformersModel,
    alignment: Alignment,
    asked_for: Mapping[str, float],
    *,
    progress: Callable[[int, int], None] | Literal["bar"] | None = None,
) -> SpillOver:
    """Measure the Big Five before and after on items that an alignment was not fitted on.

    These are the 180 items of the IPIP-NEO-300 that its short form leaves out, asked in one
    template and both orders, less those of them that were fitted on.

    Args:
        model: Not aligned.
        alignment: Made for it, or in words.
        asked_for: Level of each trait that was asked for, by code.
        progress: See `measure`.

    Raises:
        UsageError: All the items were fitted on.
        AlignmentError: The alignment was made for another model.
        ModelError: The model cannot be asked.
    """
    split = short_form_split()
    fitted = set(fitted_among(alignment.fitted_on, split.inventory))
    items = tuple(number for number in split.held_out if number not in fitted)
    if not items:
        raise UsageError(
            f"The alignment to {alignment.name} was fitted on every item that the short form of "
            f"{split.inventory.name} leaves out, so none is left to measure on."
        )
    design = Design(templates=("letters",), orders=("forward", "reversed"), items=items)
    before = measure(model, split.inventory, design, progress=progress)
    after = measure(model.aligned(alignment), split.inventory, design, progress=progress)
    return spill_over_between(before, after, asked_for)


def spill_over_between(before: Run, after: Run, asked_for: Mapping[str, float]) -> SpillOver:
    """Changes of every trait between two runs, those asked for first.

    Args:
        before: Of the model by itself.
        after: Of the aligned model; the same questions.
        asked_for: Level of each trait that was asked for, by code.

    Raises:
        UsageError: The runs share no question.
    """
    traits = compare(before, after).traits
    design = after.design
    return SpillOver(
        asked_for=dict(asked_for),
        inventory=after.inventory.name,
        items=design.items or after.inventory.numbers,
        templates=design.templates,
        orders=design.orders,
        traits=tuple(sorted(traits, key=lambda row: row.code not in asked_for)),
    )
