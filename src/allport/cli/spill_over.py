"""What `allport align` tells of the traits beside those that were asked for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from allport.evaluation import SpillOver

__all__ = ["print_spill_over"]


def print_spill_over(out: Console, found: SpillOver) -> None:
    """Print how every trait changed, those asked for first."""
    from allport.reporting.palette import number
    from allport.reporting.terminal import plain_table

    heads = ("Before", "After", "Change", "95% interval")
    table = plain_table("Trait", *heads, "", right=heads)
    for row in found.traits:
        change = row.difference
        sure = change.low > 0 or change.high < 0
        table.add_row(
            row.name,
            number(row.first),
            number(row.second),
            number(change.value, signed=True) + (" *" if sure else "  "),
            "–"
            if math.isnan(change.low)
            else f"{number(change.low, signed=True)} to {number(change.high, signed=True)}",
            "asked for" if row.code in found.asked_for else "",
        )
    out.print()
    out.print(table)
    out.print(
        f"\n* the interval leaves out zero. On {len(found.items)} items of {found.inventory} that "
        "were not fitted on.",
        style="dim",
    )
