"""Which items of a bank are weak, and why: item analysis of the answers that calibrated it.

Limits are those that item analysts use, and say where to look rather than what to delete.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from allport.administration.bank_calibration import BankCalibration, item_shares
from allport.errors import ResponsesError
from allport.inventories.inventory import Inventory
from allport.psychometrics.estimate import Estimate, undefined
from allport.psychometrics.intervals import fisher_interval
from allport.psychometrics.item_response import item_fit, trait_estimates
from allport.psychometrics.validity import correlate

if TYPE_CHECKING:
    import polars as pl

    from allport.personas.trait_levels import TraitLevels

__all__ = [
    "BankReport",
    "ItemReport",
    "OptionTrace",
    "Weakness",
    "WeaknessKind",
    "bank_report",
    "option_traces",
]

Floats = NDArray[np.float64]
WeaknessKind = Literal[
    "no variance", "key against", "low discrimination", "misfit", "floor", "ceiling"
]

LEAST_REST = 0.2
"""Item-rest correlation below which an item hardly measures what the others do (Kline, 1986, A
Handbook of Test Construction)."""
LEAST_OF_MEDIAN = 0.5
"""Share of the median discrimination of the trait. Information goes with its square, so that four
such items tell as much as one in the middle."""
MOST_MISFIT = 1.5
"""Mean square beyond which answers are noisier than is of use (Linacre, 2002, Rasch Measurement
Transactions 16)."""
ENDS = (0.1, 0.9)
"""Mean shares of the high side beyond which an item is at its floor or its ceiling."""
_TRACED = 12
_POINTS = 41
_CONSTANT = "answers to the item do not differ between personas"


class Weakness(NamedTuple):
    """One reason to look at an item."""

    kind: WeaknessKind
    said: str
    """The same with its figures."""


@dataclass(frozen=True)
class ItemReport:
    """How one item does among those of its trait. What cannot be computed says why."""

    number: int
    trait: str
    statement: str
    """What the item was written from; empty where that is not said."""
    text: str
    mean: float
    """Mean share of the high side over personas, 0 to 1."""
    discrimination: Estimate
    difficulty: Estimate
    """In standard deviations of the personas."""
    item_rest: Estimate
    """Correlation with the persona's mean over the other items, with Fisher's interval."""
    infit: Estimate
    """Mean square of residuals, weighted by information; 1 is as expected, more is noise."""
    outfit: Estimate
    """The same unweighted, which a few unexpected answers move."""
    asked: Estimate
    """Correlation with the level of the trait that was asked for, with Fisher's interval."""
    weaknesses: tuple[Weakness, ...]


@dataclass(frozen=True)
class OptionTrace:
    """Expected probability of each option of an item over levels of its trait."""

    number: int
    trait: str
    levels: tuple[float, ...]
    """In standard deviations of the personas, from the lowest persona to the highest."""
    options: tuple[str, ...]
    """In content order."""
    values: tuple[float, ...]
    """Of the options toward the trait."""
    probabilities: tuple[tuple[float, ...], ...]
    """By option, at each level."""


@dataclass(frozen=True)
class BankReport:
    """Every item of a bank, and the weakest of them option by option."""

    inventory: str
    respondent: str
    personas: int
    items: tuple[ItemReport, ...]
    """In the order of the inventory."""
    traces: tuple[OptionTrace, ...]
    """Of the weakest items, the weakest first."""
    not_traced: str
    """Why there are no traces of some items; empty where nothing stands in the way."""

    @property
    def weak(self) -> tuple[ItemReport, ...]:
        """Items with a weakness, the weakest first."""
        return tuple(item for item in sorted(self.items, key=_order) if item.weaknesses)


def bank_report(
    calibration: BankCalibration,
    inventory: Inventory,
    responses: pl.DataFrame,
    personas: Sequence[TraitLevels] = (),
) -> BankReport:
    """Analyse the items of a bank on the answers that it was calibrated with.

    Args:
        calibration: What `calibrate_items` gave.
        inventory: The bank.
        responses: Those of the calibration.
        personas: As whom they were given, for the correlation with the level asked for.

    Raises:
        UsageError: The calibration is of another inventory.
        ResponsesError: The responses lack items of the calibration.
    """
    calibration.require(inventory)
    shares = item_shares(responses, inventory)
    names = list(responses["persona"].unique(maintain_order=True))
    asked_as = {persona.name: persona.levels for persona in personas}
    found: dict[int, ItemReport] = {}
    for code in (trait.code for trait in inventory.traits):
        numbers = [inventory.numbers[column] for column in inventory.columns(code)]
        if not numbers:
            continue
        try:
            table = np.array([[shares[name, n] for n in numbers] for name in names])
        except KeyError as error:
            raise ResponsesError(
                f"The responses have no answer to item {error.args[0][1]} of {inventory.name}; "
                "give those that it was calibrated with."
            ) from None
        levels = np.array([asked_as.get(name, {}).get(code, math.nan) for name in names])
        found_of, median = _figures(calibration, code, table)
        for place, number in enumerate(numbers):
            own = table[:, place]
            answered = own[~np.isnan(own)]
            constant = float(np.ptp(answered)) <= 1e-9 if answered.size else True
            why = _CONSTANT if constant else ""
            if not why and code in calibration.left_out:
                why = calibration.left_out[code]
            figures = {
                name: undefined(why) if why or math.isnan(value) else Estimate(value)
                for name, value in ((name, float(each[place])) for name, each in found_of.items())
            }
            rest = figures.pop("rest")
            if not why:
                rest = fisher_interval(rest.value, answered.size)
            asked = (
                correlate(own, levels)
                if not np.isnan(levels).all()
                else undefined("it is not known as whom the items were asked")
            )
            mean = float(answered.mean()) if answered.size else math.nan
            item = inventory.item(number)
            found[number] = ItemReport(
                number,
                code,
                item.cluster or "",
                item.text or "",
                mean,
                figures["discrimination"],
                figures["difficulty"],
                rest,
                figures["infit"],
                figures["outfit"],
                asked,
                _weaknesses(constant, mean, median, rest, asked, figures),
            )
    items = tuple(found[number] for number in inventory.numbers if number in found)
    alone = calibration.left_out
    known = set(responses.filter(responses["choice"].is_not_null())["item"])
    ordered = [i.number for i in sorted(items, key=_order) if i.trait not in alone]
    weakest = [number for number in ordered if number in known][:_TRACED]
    not_traced = []
    if alone:
        not_traced.append(f"{', '.join(alone)}: one item says no level to draw options over")
    if len(unknown := [str(number) for number in ordered if number not in known]):
        not_traced.append(f"which option was chosen is not known of item {', '.join(unknown)}")
    return BankReport(
        inventory.name,
        calibration.respondent,
        len(names),
        items,
        option_traces(calibration, inventory, responses, weakest),
        "; ".join(not_traced),
    )


def _figures(
    calibration: BankCalibration, code: str, table: Floats
) -> tuple[dict[str, Floats], float]:
    """Figures of a trait's items by name, each of shape (items,), and the median discrimination;
    NaN where the trait was left out.
    """
    if code in calibration.left_out:
        none = np.full(table.shape[1], np.nan)
        names = ("discrimination", "difficulty", "infit", "outfit", "rest")
        return dict.fromkeys(names, none), math.nan
    known = calibration.traits[code].parameters
    fit = item_fit(known, table)
    return {
        "discrimination": known.discriminations,
        "difficulty": known.difficulties,
        "infit": fit.infit,
        "outfit": fit.outfit,
        "rest": fit.rest_correlations,
    }, float(np.median(known.discriminations))


def option_traces(
    calibration: BankCalibration,
    inventory: Inventory,
    responses: pl.DataFrame,
    numbers: Sequence[int],
) -> tuple[OptionTrace, ...]:
    """Expected probabilities of the options of some items over the levels of their traits.

    Probabilities of personas, means over the conditions asked, are smoothed over their levels by a
    normal kernel of width 1.1 n^(-1/5) standard deviations of the levels (Ramsay, 1991,
    Psychometrika 56), so that no model of the options is assumed.

    Args:
        calibration: What `calibrate_items` gave.
        inventory: The bank.
        responses: Those of the calibration.
        numbers: Of the items.

    Raises:
        InventoryError: There is no such item.
        ResponsesError: The trait of an item was left out of the calibration, or it is not known
            which options of it were chosen.
    """
    shares = item_shares(responses, inventory)
    names = list(responses["persona"].unique(maintain_order=True))
    levels = {
        code: trait_estimates(
            trait.parameters, [[shares[name, n] for n in trait.items] for name in names]
        ).levels
        for code, trait in calibration.traits.items()
    }
    traces = []
    for number in numbers:
        item = inventory.item(number)
        if item.trait not in levels:
            raise ResponsesError(
                f"Item {number} of {inventory.name} has no levels to draw its options over: "
                f"{calibration.left_out[item.trait]}."
            )
        options = inventory.options(item)
        given = _probabilities(responses, number, names, len(options))
        there = ~np.isnan(given).any(axis=1)
        if not there.any():
            raise ResponsesError(
                f"Which option of item {number} of {inventory.name} was chosen is not known, so "
                "there is nothing to draw."
            )
        own = levels[item.trait][there]
        grid = np.linspace(own.min(), own.max(), _POINTS)
        width = 1.1 * len(own) ** -0.2 * max(float(own.std()), 1e-6)
        weights = np.exp(-(((grid[:, None] - own) / width) ** 2) / 2)
        smooth = weights @ given[there] / weights.sum(axis=1, keepdims=True)
        toward = [item.key * option.value for option in options]
        traces.append(
            OptionTrace(
                number,
                item.trait,
                tuple(grid.tolist()),
                tuple(option.text for option in options),
                tuple(toward),
                tuple(tuple(column) for column in smooth.T.tolist()),
            )
        )
    return tuple(traces)


def _order(item: ItemReport) -> tuple[float, ...]:
    """The weakest first: by how many weaknesses, then by how little it goes with the others."""
    rest = item.item_rest.value
    return -len(item.weaknesses), -math.inf if math.isnan(rest) else rest, item.number


def _weaknesses(
    constant: bool,
    mean: float,
    median: float,
    rest: Estimate,
    asked: Estimate,
    figures: dict[str, Estimate],
) -> tuple[Weakness, ...]:
    found: list[Weakness] = []
    a = figures["discrimination"].value
    if constant:
        found.append(Weakness("no variance", _CONSTANT))
    elif rest.high < 0 or asked.high < 0:
        against, r = (
            ("the other items", rest.value)
            if rest.high < 0
            else ("the level asked for", asked.value)
        )
        found.append(
            Weakness("key against", f"goes against {against} (r {r:.2f}): is its key right?")
        )
    elif rest.value < LEAST_REST:
        found.append(
            Weakness("low discrimination", f"hardly goes with the other items (r {rest.value:.2f})")
        )
    elif a < LEAST_OF_MEDIAN * median:
        found.append(
            Weakness(
                "low discrimination",
                f"discrimination {a:.2f}, less than half of the trait's median {median:.2f}",
            )
        )
    worst = max(("infit", "outfit"), key=lambda name: np.nan_to_num(figures[name].value))
    if figures[worst].value > MOST_MISFIT:
        found.append(
            Weakness(
                "misfit", f"noisier than the model expects ({worst} {figures[worst].value:.1f})"
            )
        )
    if mean <= ENDS[0]:
        found.append(Weakness("floor", f"hardly anyone chooses the high side ({100 * mean:.0f}%)"))
    elif mean >= ENDS[1]:
        found.append(
            Weakness("ceiling", f"nearly everyone chooses the high side ({100 * mean:.0f}%)")
        )
    return tuple(found)


def _probabilities(
    responses: pl.DataFrame, number: int, names: Sequence[str], options: int
) -> Floats:
    """Mean probability of each option, shape (personas, options); a choice counts as certain."""
    import polars as pl

    place = {name: row for row, name in enumerate(names)}
    sums, counts = np.zeros((len(names), options)), np.zeros((len(names), 1))
    rows = responses.filter(pl.col("item") == number)
    for name, probabilities, choice in rows.select(
        "persona", "probabilities", "choice"
    ).iter_rows():
        # Without a choice, options that share a value share the probability, which says nothing.
        if choice is None:
            continue
        sums[place[name]] += np.eye(options)[choice] if probabilities is None else probabilities
        counts[place[name]] += 1
    with np.errstate(invalid="ignore"):
        means: Floats = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return means
