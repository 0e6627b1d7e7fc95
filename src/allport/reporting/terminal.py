"""Results on a terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from allport.psychometrics.estimate import Estimate
from allport.reporting.content import ReportContent, Subject, percentile_of, t_of, unusable_share
from allport.reporting.palette import SUBJECTS, number, ordinal, percent, reliability
from allport.reporting.plain_text import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from allport.administration.profiles import ProfileRow

__all__ = ["plain_table", "print_profile", "print_subject"]


MOST_SUBJECTS = len(SUBJECTS)
"""So many profiles are printed; more are left to the report."""


def plain_table(*columns: str, heads: bool = True, right: tuple[str, ...] = ()) -> Table:
    """A table of the house: no frame, a rule under the heads, figures to the right.

    Args:
        columns: Heads of the columns.
        heads: Whether to show them.
        right: Those of the columns that hold figures.
    """
    from rich import box
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD,
        show_header=heads,
        pad_edge=False,
        show_edge=False,
        collapse_padding=True,
        header_style="dim",
    )
    for column in columns:
        table.add_column(
            column,
            justify="right" if column in right else "left",
            # Names stay whole; what is long in our tables is prose in the last column.
            no_wrap=column in right,
        )
    return table


def print_profile(console: Console, content: ReportContent, *, facets: bool = False) -> None:
    """Print the profile of every subject and, under it, why it may not hold.

    Args:
        console: Where to.
        content: What was found.
        facets: Whether to show facets under their traits.
    """
    for subject in content.subjects[:MOST_SUBJECTS]:
        print_subject(console, subject, content.inventory_title, facets=facets)
    if len(content.subjects) > MOST_SUBJECTS:
        console.print(f"{len(content.subjects) - MOST_SUBJECTS} more are in the report.")
    for caution in content.cautions:
        console.print(f"! {printable(caution)}", style="yellow")


def print_subject(
    console: Console, subject: Subject, inventory_title: str, *, facets: bool = False
) -> None:
    """Print one profile.

    Args:
        console: Where to.
        subject: Whose.
        inventory_title: What was asked.
        facets: Whether to show facets under their traits.
    """
    name = printable(subject.name, 80)
    note = f" ({subject.note})" if subject.note else ""
    console.print(f"{name}{note} · {inventory_title}\n", style="bold")
    norms = any(math.isfinite(t_of(row).value) for row in subject.traits)
    heads = ["Score", "95% interval"]
    heads += ["Percentile"] if norms else []
    person = subject.kind == "person"
    heads += ["Unanswered"] if person else ["Alpha", "Order flips", "Refused"]
    table = plain_table("Trait", *heads, right=tuple(heads))
    for trait in subject.traits:
        table.add_row(*_cells(trait, norms, person))
        if facets:
            for facet in subject.facets:
                if facet.trait == trait.code:
                    table.add_row(*_cells(facet, norms, person, indent="  "), style="dim")
    console.print(table)
    console.print()
    if norms:
        console.print(f"Percentiles are among {subject.norm_group}.\n", style="dim")


def _cells(row: ProfileRow, norms: bool, person: bool, indent: str = "") -> list[str]:
    cells = [indent + printable(row.name, 40), number(row.score.value), _interval(row.score)]
    if norms:
        cells.append(ordinal(percentile_of(row).value))
    if person:
        return [*cells, percent(unusable_share(row))]
    return [
        *cells,
        reliability(row.alpha.value),
        percent(row.order_flips.raw.value),
        percent(unusable_share(row)),
    ]


def _interval(estimate: Estimate) -> str:
    if not math.isfinite(estimate.low):
        return "–"
    return f"{number(estimate.low)} to {number(estimate.high)}"
