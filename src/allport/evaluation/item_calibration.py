"""Calibrating a bank: item parameters from the answers of one model as many personas."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from allport.administration.bank_calibration import (
    BankCalibration,
    CalibratedTrait,
    asking_of,
    item_shares,
)
from allport.administration.design import Design
from allport.administration.measuring import measure
from allport.administration.progress import ProgressCallback
from allport.administration.templates import standard_templates
from allport.errors import ResponsesError, UsageError
from allport.inventories.inventory import Inventory
from allport.personas.trait_levels import BIG_FIVE, DARK_TRIAD, TraitLevels
from allport.psychometrics.item_response import fit_two_parameter

if TYPE_CHECKING:
    from allport.models.respondent import Respondent
    from allport.personas.persona import Persona

__all__ = ["calibrate_items", "calibration_personas", "spread_levels"]

_PERSONAS = 60
_ALONE = "{trait} has one item, and nothing that it could be set against"
_STEPS = 8
"""Steps of .25 from the lowest level to the highest: the degrees that adjectives can say."""


def calibrate_items(
    respondent: Respondent,
    inventory: Inventory,
    personas: Sequence[Persona] | None = None,
    design: Design | None = None,
    *,
    folder: Path | None = None,
    seed: int = 0,
    progress: ProgressCallback | Literal["bar"] | None = None,
) -> BankCalibration:
    """Ask a respondent every item as many personas, and fit the items of each trait.

    The share of the high side chosen, mean over the conditions of the design, is fitted by the
    two-parameter logistic model with items nested in statements; see `fit_two_parameter`. Levels
    are in standard deviations of these personas. A trait of one item is left out, as nothing tells
    how well that item measures it.

    Args:
        respondent: Who is asked.
        inventory: The bank, situational or Likert.
        personas: As whom; 60 of `calibration_personas` by default.
        design: Under which conditions; standard templates and orders by default. Its personas are
            not used.
        folder: Where the run is kept and resumed; nowhere by default.
        seed: Of the personas.
        progress: See `measure`.

    Raises:
        ResponsesError: Personas are too few or answer alike, an item has no usable answer, or there
            are no personas for a trait.
        UsageError: The design does not ask every item under every condition.
    """
    if personas is None:
        personas = calibration_personas(inventory, seed=seed)
    design = Design(templates=standard_templates(inventory)) if design is None else design
    if design.items or design.fraction < 1:
        raise UsageError(
            "A calibration asks every item under every condition; leave the limit of items and the "
            "fraction of conditions out."
        )
    design = dataclasses.replace(design, personas=tuple(persona.name for persona in personas))
    run = measure(respondent, inventory, design, folder, personas=personas, progress=progress)
    shares = item_shares(run.responses, inventory)
    traits: dict[str, CalibratedTrait] = {}
    left_out: dict[str, str] = {}
    for trait in inventory.traits:
        items = [inventory.items[i] for i in inventory.columns(trait.code)]
        if not items:
            continue
        table = np.array([[shares[p.name, i.number] for i in items] for p in personas])
        silent = np.isnan(table).all(axis=0)
        if silent.any():
            number = items[int(np.flatnonzero(silent)[0])].number
            raise ResponsesError(
                f"{respondent.name} gave no usable answer to item {number} of {inventory.name} as "
                "any persona, so the bank cannot be calibrated on it."
            )
        if len(items) == 1:
            left_out[trait.code] = _ALONE.format(trait=trait.name)
            continue
        grouped = [item.cluster for item in items]
        try:
            parameters = fit_two_parameter(table, None if None in grouped else grouped)
        except ResponsesError as error:
            raise ResponsesError(f"Trait {trait.code} of {inventory.name}: {error}") from None
        traits[trait.code] = CalibratedTrait(tuple(item.number for item in items), parameters)
    return BankCalibration(
        inventory.name,
        inventory.content_hash,
        respondent.name,
        run.record.description,
        asking_of(design, inventory),
        len(personas),
        traits,
        left_out,
    )


def calibration_personas(
    inventory: Inventory, count: int = _PERSONAS, *, seed: int = 0
) -> list[TraitLevels]:
    """Personas whose levels of each trait of an inventory cover -1 to 1 evenly, in random company.

    Raises:
        ResponsesError: The inventory measures a trait that there are no personas for.
    """
    codes = [trait.code for trait in inventory.traits]
    unknown = [code for code in codes if code not in BIG_FIVE and code not in DARK_TRIAD]
    if unknown:
        raise ResponsesError(
            f"{inventory.name} measures {unknown[0]}, which is none of the Big Five or the dark "
            "triad under their codes, so no personas can be made to calibrate it."
        )
    levels = spread_levels(len(codes), count, np.random.default_rng(seed))
    return [
        TraitLevels(
            dict(zip(codes, row.tolist(), strict=True)), name=f"calibration-{seed}-{number}"
        )
        for number, row in enumerate(levels)
    ]


def spread_levels(traits: int, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Levels that cover -1 to 1 evenly on every trait, in random company, shape (count, traits)."""
    # Each ninth of the personas has one of the nine levels, whatever the levels of other traits.
    ladder = -1 + 2 * (np.arange(count) % (_STEPS + 1)) / _STEPS
    return np.array([rng.permutation(ladder) for _ in range(traits)]).T
