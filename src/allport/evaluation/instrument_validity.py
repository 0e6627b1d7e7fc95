"""Do inventories measure the same traits, and tell them apart: one respondent as many personas.

The personas are the respondents. Their levels of one trait have nothing to do with those of
another, so two inventories that measure a trait should agree on it, and traits should be unrelated
within and between inventories. What relates them nonetheless comes from the respondent or from the
inventory.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from allport.administration.bank_calibration import item_shares
from allport.administration.design import Design
from allport.administration.measuring import measure
from allport.administration.progress import ProgressCallback
from allport.administration.templates import standard_templates
from allport.errors import ResponsesError, UsageError
from allport.evaluation.item_calibration import spread_levels
from allport.inventories.inventory import Inventory
from allport.personas.trait_levels import BIG_FIVE, DARK_TRIAD, TraitLevels
from allport.psychometrics.estimate import Estimate, undefined
from allport.psychometrics.multitrait import MultitraitMultimethod, multitrait_multimethod
from allport.psychometrics.relations import ScaleRelations, scale_relations
from allport.psychometrics.reliability import cronbach_alpha

if TYPE_CHECKING:
    from allport.models.respondent import Respondent

__all__ = [
    "ComparisonsWon",
    "InstrumentValidity",
    "Measure",
    "MeasurePair",
    "TraitAgreement",
    "compare_inventories",
    "shared_traits",
    "validity_personas",
]

Floats = NDArray[np.float64]

FEWEST_PERSONAS = 10
"""Fewer personas tell nothing about how measures go together."""
_PERSONAS = 40
_DRAWS = 200
"""Draws of levels, of which the one whose traits are least related is taken."""


class Measure(NamedTuple):
    """One trait as one inventory measures it."""

    inventory: str
    trait: str
    items: int
    alpha: Estimate
    """Cronbach's alpha over personas, with Feldt's interval."""
    followed: Estimate
    """Correlation of the score with the level that was asked for."""


class MeasurePair(NamedTuple):
    """How two measures go together over personas, with bootstrap intervals over them."""

    inventories: tuple[str, str]
    traits: tuple[str, str]
    correlation: Estimate
    disattenuated: Estimate
    """The correlation over the geometric mean of the alphas, drawn anew with it."""
    htmt: Estimate
    """Heterotrait-monotrait ratio; near 1 where both measure the same."""


class ComparisonsWon(NamedTuple):
    """How often a convergent correlation is above those that it should be above."""

    won: int
    of: int
    largest: float
    """Absolute value of the largest of those; NaN where there is none."""


class TraitAgreement(NamedTuple):
    """Campbell and Fiske's checks of one trait in two inventories."""

    trait: str
    inventories: tuple[str, str]
    convergent: Estimate
    """Correlation of the two measures of the trait, with Fisher's interval."""
    is_convergent: bool
    """Its interval lies above zero."""
    other_inventory: ComparisonsWon
    """Against other traits, measured by the other inventory."""
    same_inventory: ComparisonsWon
    """Against other traits, measured by the same inventory."""


@dataclass(frozen=True)
class InstrumentValidity:
    """What several inventories make of the same personas."""

    respondent: str
    personas: int
    """How many were scored by every measure."""
    inventories: tuple[str, ...]
    traits: tuple[str, ...]
    """Those that two inventories or more measure; of one inventory, all that it measures."""
    left_out: Mapping[str, str]
    """By trait that was not asked about, why."""
    missing: float
    """Share of items without a usable answer, filled in from the persona's and the item's mean."""
    measures: tuple[Measure, ...]
    matrix: Floats
    """Multitrait-multimethod matrix in the order of `measures`; alphas are on its diagonal."""
    agreements: tuple[TraitAgreement, ...]
    """For every trait, each two inventories that measure it."""
    pattern: Estimate
    """Kendall's concordance between the trait correlations in all blocks of the matrix."""
    pairs: tuple[MeasurePair, ...]
    """Every two measures."""

    def pair(self, first: tuple[str, str], second: tuple[str, str]) -> MeasurePair:
        """The pair of two measures, each given as (inventory, trait).

        Raises:
            UsageError: They were not both measured.
        """
        wanted = {first, second}
        for found in self.pairs:
            if set(zip(found.inventories, found.traits, strict=True)) == wanted:
                return found
        raise UsageError(f"{' of '.join(first[::-1])} and {' of '.join(second[::-1])} are no pair.")


def shared_traits(
    inventories: Sequence[Inventory],
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Codes of the traits that can be compared, and why others cannot.

    Of one inventory these are all its traits of which there are personas.

    Raises:
        UsageError: An inventory is named twice, there is nothing to compare, or no trait is shared.
    """
    names = [inventory.name for inventory in inventories]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{twice} is named twice; validity compares different inventories.")
    owners: dict[str, list[str]] = {}
    for inventory in inventories:
        for trait in inventory.traits:
            if len(inventory.columns(trait.code)):
                owners.setdefault(trait.code, []).append(inventory.name)
    left_out = {}
    for code, own in owners.items():
        if code not in BIG_FIVE and code not in DARK_TRIAD:
            left_out[code] = "there are no personas of it"
        elif len(own) < min(2, len(names)):
            left_out[code] = f"only {own[0]} measures it"
    shared = tuple(code for code in owners if code not in left_out)
    if len(names) < 2 and len(shared) < 2:
        raise UsageError(
            f"{names[0]} measures {shared[0] if shared else 'no trait that there are personas for'}"
            " and nothing else to relate it to; name another inventory, or one of several traits."
        )
    if not shared:
        raise UsageError(
            f"No two of {', '.join(names)} share a trait of the Big Five or the dark triad under "
            "its code, so there is nothing to compare."
        )
    # In the order of the Big Five and the dark triad, whatever inventory comes first.
    return tuple(c for c in (*BIG_FIVE, *DARK_TRIAD) if c in shared), left_out


def compare_inventories(
    respondent: Respondent,
    inventories: Sequence[Inventory],
    *,
    personas: int = _PERSONAS,
    folder: Path | None = None,
    seed: int = 0,
    resamples: int = 1000,
    progress: ProgressCallback | Literal["bar"] | None = None,
) -> InstrumentValidity:
    """Ask several inventories of a respondent as many personas, and relate their scores.

    Every inventory is asked in its first standard template and its standard option orders, only
    items of traits that two or more measure. Scores are means of items over those orders. Of one
    inventory, all its traits are related to each other, and nothing is convergent.

    Args:
        respondent: Who is asked.
        inventories: Likert or situational.
        personas: As how many personas; each has a level of every shared trait.
        folder: Where runs are kept and resumed, one folder an inventory; nowhere by default.
        seed: Of the levels and of resampling.
        resamples: Of the personas, for intervals.
        progress: See `measure`.

    Raises:
        UsageError: Personas are too few, or the inventories share no trait.
        ResponsesError: Fewer than ten personas have a usable answer for every measure.
    """
    if personas < FEWEST_PERSONAS:
        raise UsageError(
            f"{personas} personas are too few to relate inventories; ask as {FEWEST_PERSONAS} or "
            f"more, better {_PERSONAS}."
        )
    traits, left_out = shared_traits(inventories)
    asked_as = validity_personas(traits, personas, seed=seed)
    answers: dict[tuple[str, str], Floats] = {}
    for inventory in inventories:
        own = [code for code in traits if len(inventory.columns(code))]
        if not own:
            continue
        numbers = {code: [inventory.numbers[i] for i in inventory.columns(code)] for code in own}
        design = Design(
            templates=standard_templates(inventory)[:1],
            personas=tuple(persona.name for persona in asked_as),
            items=tuple(number for code in own for number in numbers[code]),
            seed=seed,
        )
        run = measure(
            *(respondent, inventory, design, None if folder is None else folder / inventory.name),
            personas=asked_as,
            progress=progress,
        )
        shares = item_shares(run.responses, inventory)
        for code in own:
            answers[inventory.name, code] = np.array(
                [[shares[persona.name, number] for number in numbers[code]] for persona in asked_as]
            )
    levels = np.array([[persona.levels[code] for code in traits] for persona in asked_as])
    return _judged(respondent.name, answers, levels, traits, left_out, seed, resamples)


def validity_personas(
    traits: Sequence[str], count: int = _PERSONAS, *, seed: int = 0
) -> list[TraitLevels]:
    """Personas whose levels of each trait cover -1 to 1 evenly, traits unrelated.

    Of many random draws, the one whose traits are least related by chance is taken.
    """
    rng = np.random.default_rng(seed)
    draws = [spread_levels(len(traits), count, rng) for _ in range(_DRAWS)]
    above = np.triu_indices(len(traits), 1)

    def related(levels: Floats) -> float:
        return float(np.abs(np.asarray(np.corrcoef(levels.T))[above]).max())

    levels = min(draws, key=related) if len(traits) > 1 else draws[0]
    return [
        TraitLevels(dict(zip(traits, row.tolist(), strict=True)), name=f"validity-{seed}-{number}")
        for number, row in enumerate(levels)
    ]


def _judged(
    respondent: str,
    answers: Mapping[tuple[str, str], Floats],
    levels: Floats,
    traits: tuple[str, ...],
    left_out: Mapping[str, str],
    seed: int,
    resamples: int,
) -> InstrumentValidity:
    usable = np.all([~np.isnan(table).all(axis=1) for table in answers.values()], axis=0)
    if usable.sum() < FEWEST_PERSONAS:
        raise ResponsesError(
            f"{respondent} gave usable answers for every trait and inventory as {usable.sum()} of "
            f"{len(usable)} personas; {FEWEST_PERSONAS} are needed to relate inventories."
        )
    given = {name: table[usable] for name, table in answers.items()}
    missing = float(np.mean(np.isnan(np.hstack(list(given.values())))))
    filled = {name: _filled(table) for name, table in given.items()}
    asked = levels[usable][:, [traits.index(code) for _, code in filled]]
    relations = scale_relations(list(filled.values()), asked, resamples=resamples, seed=seed)
    alphas = [cronbach_alpha(table).raw for table in filled.values()]
    names = list(filled)
    agreements: tuple[TraitAgreement, ...] = ()
    if len({inventory for inventory, _ in names}) > 1:
        multitrait, matrix = _multitrait(filled, [alpha.value for alpha in alphas], traits)
        agreements, pattern = _agreements(multitrait), multitrait.pattern
    else:
        matrix = np.corrcoef([table.mean(axis=1) for table in filled.values()])
        np.fill_diagonal(matrix, [alpha.value for alpha in alphas])
        pattern = undefined("one inventory measures each trait once")
    return InstrumentValidity(
        respondent,
        int(usable.sum()),
        tuple(dict.fromkeys(inventory for inventory, _ in names)),
        traits,
        left_out,
        missing,
        tuple(
            Measure(*name, table.shape[1], alpha, followed)
            for (name, table), alpha, followed in zip(
                filled.items(), alphas, relations.criterion, strict=True
            )
        ),
        matrix,
        agreements,
        pattern,
        _pairs(names, relations),
    )


def _filled(table: Floats) -> Floats:
    """Shares with missing ones at persona's mean + item's mean - mean of all, kept in 0 to 1.

    Two-way imputation (Bernaards & Sijtsma, 2000, Multivariate Behavioral Research 35), without its
    random error, as few are missing. An item without any answer is left out.
    """
    if not np.isnan(table).any():
        return table
    known = table[:, ~np.isnan(table).all(axis=0)]
    of_persona = np.asarray(np.nanmean(known, axis=1))[:, None]
    guess = of_persona + np.nanmean(known, axis=0) - np.nanmean(known)
    filled: Floats = np.where(np.isnan(known), np.clip(guess, 0, 1), known)
    return filled


def _multitrait(
    answers: Mapping[tuple[str, str], Floats], alphas: Sequence[float], traits: tuple[str, ...]
) -> tuple[MultitraitMultimethod, Floats]:
    """The checks over all traits, and the matrix of what was measured."""
    methods = tuple(dict.fromkeys(inventory for inventory, _ in answers))
    personas = len(next(iter(answers.values())))
    cube = np.full((personas, len(methods), len(traits)), np.nan)
    reliabilities = np.full((len(methods), len(traits)), np.nan)
    for ((inventory, trait), table), alpha in zip(answers.items(), alphas, strict=True):
        place = methods.index(inventory), traits.index(trait)
        cube[:, *place] = table.mean(axis=1)
        reliabilities[place] = alpha
    found = multitrait_multimethod(cube, traits, methods, reliabilities=reliabilities)
    if len(answers) < len(methods) * len(traits):
        pattern = undefined("not every inventory measures every trait")
        found = dataclasses.replace(found, pattern=pattern)
    there = [methods.index(i) * len(traits) + traits.index(t) for i, t in answers]
    return found, found.matrix[np.ix_(there, there)]


def _agreements(multitrait: MultitraitMultimethod) -> tuple[TraitAgreement, ...]:
    found = []
    for check in multitrait.checks:
        r = check.convergent.value
        # A trait that one of the two inventories does not measure.
        if math.isnan(r) and check.convergent.reason.startswith("0 pairs"):
            continue
        comparisons = []
        for margins in (check.heteromethod_margins, check.monomethod_margins):
            known = margins[~np.isnan(margins)]
            largest = r - float(known.min()) if known.size else math.nan
            comparisons.append(ComparisonsWon(int((known > 0).sum()), known.size, largest))
        found.append(
            TraitAgreement(
                check.trait, check.methods, check.convergent, check.is_convergent, *comparisons
            )
        )
    return tuple(sorted(found, key=lambda each: multitrait.traits.index(each.trait)))


def _pairs(names: Sequence[tuple[str, str]], relations: ScaleRelations) -> tuple[MeasurePair, ...]:
    return tuple(
        MeasurePair(
            (names[a][0], names[b][0]),
            (names[a][1], names[b][1]),
            relations.correlation[a, b],
            relations.disattenuated[a, b],
            relations.htmt[a, b],
        )
        for a in range(len(names))
        for b in range(a + 1, len(names))
    )
