"""Tables of `allport evaluate items`: what inventories agree on, and which items are weak."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from allport.cli.output import console

if TYPE_CHECKING:
    from allport.evaluation import BankReport, ComparisonsWon, InstrumentValidity, MeasurePair
    from allport.psychometrics import Estimate
    from allport.reporting import BankFiles

__all__ = ["print_validity", "print_weak_items"]

_MOST_ROWS = 20


def print_validity(found: InstrumentValidity) -> None:
    """Print whether inventories agree on traits and tell them apart."""
    from allport.reporting.palette import number, percent
    from allport.reporting.plain_text import printable
    from allport.reporting.terminal import plain_table

    screen = console()
    screen.print(
        f"\n{found.personas} personas of {printable(found.respondent, 60)} under "
        f"{printable(', '.join(found.inventories), 120)}\n",
        style="bold",
    )
    heads = ("r", "95% interval", "Without error", "HTMT", "Other trait, other", "same inventory")
    table = plain_table("Trait", "Measured by", *heads, right=heads)
    for each in found.agreements:
        first, second = each.inventories
        pair = found.pair((first, each.trait), (second, each.trait))
        table.add_row(
            each.trait,
            f"{printable(first, 30)} + {printable(second, 30)}",
            number(each.convergent.value),
            _interval(each.convergent),
            number(pair.disattenuated.value),
            _with_interval(pair.htmt),
            _won(each.other_inventory),
            _won(each.same_inventory),
        )
    if found.agreements:
        screen.print(table)
    heads = ("Alpha", "r with level asked", "r", "95% interval", "Without error", "HTMT")
    table = plain_table("Inventory", "Trait", *heads[:2], "Nearest other", *heads[2:], right=heads)
    for measure in found.measures:
        nearest = _nearest(found, measure.inventory, measure.trait)
        cells = ["–"] * 5
        if nearest is not None:
            others = [trait for trait in nearest.traits if trait != measure.trait]
            cells = [
                others[0],
                number(nearest.correlation.value, signed=True),
                _interval(nearest.correlation),
                number(nearest.disattenuated.value, signed=True),
                number(nearest.htmt.value, signed=True),
            ]
        table.add_row(
            printable(measure.inventory, 30),
            measure.trait,
            number(measure.alpha.value),
            number(measure.followed.value, signed=True),
            *cells,
        )
    screen.print()
    screen.print(table)
    screen.print(
        "\nEach persona has a level of every trait, unrelated between traits. r is over personas; "
        "without error is r over the geometric mean of the alphas. HTMT: near 1 for one trait, "
        "below .85 for two. Nearest other: the trait of the same inventory that goes most with it."
        + (
            " Other trait: the largest |r| with another trait, and how many of those r is above "
            "(Campbell & Fiske)."
            if found.agreements
            else ""
        ),
        style="dim",
    )
    for code, why in found.left_out.items():
        screen.print(
            f"! {printable(code, 30)} was left out: {printable(why, 120)}.", style="yellow"
        )
    if found.missing > 0:
        screen.print(
            f"! {percent(found.missing)} of the items had no usable answer and were filled in.",
            style="yellow",
        )


def print_weak_items(report: BankReport, files: BankFiles) -> None:
    """Print which items are weak and why, the weakest first."""
    from allport.reporting.palette import number
    from allport.reporting.terminal import plain_table

    screen = console()
    weak = report.weak
    screen.print(f"\nWeak items: {len(weak)} of {len(report.items)}", style="bold")
    if weak:
        heads = ("Discrimination", "Difficulty", "Item-rest r", "Infit", "Outfit")
        table = plain_table("Item", "Trait", *heads, "Why", right=heads)
        for item in weak[:_MOST_ROWS]:
            figures = (
                item.discrimination,
                item.difficulty,
                item.item_rest,
                item.infit,
                item.outfit,
            )
            table.add_row(
                str(item.number),
                item.trait,
                *(number(figure.value) for figure in figures),
                "; ".join(f"{reason.kind}: {reason.said}" for reason in item.weaknesses),
            )
        screen.print(table)
    if len(weak) > _MOST_ROWS:
        screen.print(f"{len(weak) - _MOST_ROWS} more are in {files.data}.")
    reasons = dict.fromkeys(
        figure.reason
        for item in report.items
        for figure in (item.discrimination, item.item_rest)
        if figure.reason and math.isnan(figure.value)
    )
    for reason in [*reasons, *([report.not_traced] if report.not_traced else [])]:
        screen.print(f"! Not computed: {reason}.", style="yellow")
    drawn = "" if files.figure is None else f"; options of the weakest drawn in {files.figure}"
    screen.print(f"All items: {files.data}{drawn}\n")


def _nearest(found: InstrumentValidity, inventory: str, trait: str) -> MeasurePair | None:
    own = [
        pair
        for pair in found.pairs
        if pair.inventories == (inventory, inventory)
        and trait in pair.traits
        and math.isfinite(pair.correlation.value)
    ]
    return max(own, key=lambda pair: abs(pair.correlation.value), default=None)


def _won(found: ComparisonsWon) -> str:
    from allport.reporting.palette import number

    return f"{number(found.largest)} ({found.won} of {found.of})" if found.of else "–"


def _interval(estimate: Estimate) -> str:
    from allport.reporting.palette import number

    if not math.isfinite(estimate.low):
        return "–"
    return f"{number(estimate.low)} to {number(estimate.high)}"


def _with_interval(estimate: Estimate) -> str:
    from allport.reporting.palette import number

    text = number(estimate.value)
    return f"{text} ({_interval(estimate)})" if math.isfinite(estimate.low) else text
