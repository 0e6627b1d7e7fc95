"""`allport compare`: paired differences of two runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from allport.cli.output import Flag, Json, console, print_json

if TYPE_CHECKING:
    from allport.administration.comparing import Difference

__all__ = ["compare"]


def compare(first: Path, second: Path, /, *, facets: Flag = False, json: Json = False) -> None:
    """Compare two runs of one inventory: paired differences with intervals.

    Items are paired, under the ways of asking that both runs share. Differences are the second run
    minus the first.

    Args:
        first: A run folder.
        second: Another run folder.
        facets: Show facets under their traits.
        json: Print JSON for machines.
    """
    from allport.administration import compare as compare_runs
    from allport.administration import read_run
    from allport.reporting.content import to_json
    from allport.reporting.palette import number, percent
    from allport.reporting.plain_text import printable
    from allport.reporting.terminal import plain_table

    found = compare_runs(read_run(first), read_run(second))
    if json:
        print_json(to_json(found))
        return
    out = console()
    names = f"{printable(found.first, 80)} → {printable(found.second, 80)}"
    out.print(f"{names} · {found.inventory}\n", style="bold")
    heads = ("First", "Second", "Difference", "95% interval", "Items")
    table = plain_table("Trait", *heads, right=heads)

    def add(row: Difference, indent: str, style: str) -> None:
        low, high = row.difference.low, row.difference.high
        table.add_row(
            indent + row.name,
            number(row.first),
            number(row.second),
            number(row.difference.value, signed=True) + (" *" if low > 0 or high < 0 else "  "),
            "–" if low != low else f"{number(low, signed=True)} to {number(high, signed=True)}",
            str(row.items),
            style=style,
        )

    for trait in found.traits:
        add(trait, "", "")
        for facet in found.facets if facets else ():
            if facet.trait == trait.code:
                add(facet, "  ", "dim")
    out.print(table)
    same = found.agreement
    left_out = found.unmatched_first + found.unmatched_second
    out.print(
        f"\n* the interval leaves out zero. {found.matched:,} pairs of responses to one item under "
        f"one condition, {percent(same.value)} with the same choice"
        + (f"; {left_out:,} responses have no partner." if left_out else "."),
        style="dim",
    )
