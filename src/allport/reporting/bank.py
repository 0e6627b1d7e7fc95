"""A bank's item analysis on disk: everything as JSON, and the weakest items drawn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from allport.errors import RunError
from allport.files import write_atomically
from allport.reporting.content import to_json
from allport.reporting.figures import styled
from allport.reporting.palette import GRID, INK, MUTED, answer_colours

if TYPE_CHECKING:
    import altair as alt

    from allport.evaluation.weak_items import BankReport, ItemReport, OptionTrace
    from allport.inventories.inventory import Inventory

__all__ = ["BankFiles", "traces_figure", "write_bank_report"]

_FORMAT = "allport-bank-1"
_COLUMNS = 3


class BankFiles(NamedTuple):
    """Where the parts of an item analysis are."""

    data: Path
    """Every item with its figures and weaknesses."""
    figure: Path | None
    """Option traces of the weakest items as SVG; None where there are none."""


def write_bank_report(report: BankReport, inventory: Inventory, folder: Path | str) -> BankFiles:
    """Write an item analysis; files of an earlier one there are written over.

    Args:
        report: The analysis.
        inventory: The bank.
        folder: Where to; `bank.json` and `bank.svg` are made in it.

    Raises:
        RunError: The folder cannot be written.
    """
    from allport.reporting.rendering import chart_svg

    folder = Path(folder)
    content = {
        "format": _FORMAT,
        **to_json(report),
        "weak": [item.number for item in report.weak],
    }
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        data = write_atomically(folder / "bank.json", text)
        if not report.traces:
            return BankFiles(data, None)
        drawing = chart_svg(traces_figure(report, inventory))
        return BankFiles(data, write_atomically(folder / "bank.svg", drawing))
    except OSError as error:
        raise RunError(
            f"The item analysis cannot be written to {folder} ({error.strerror or error}); name "
            "another folder with --out."
        ) from None


def traces_figure(report: BankReport, inventory: Inventory) -> alt.FacetChart:
    """Expected probability of each option over the level of the trait, one panel an item.

    Options are coloured from the low end of the trait to its high end, whatever the key of the
    item; on a response scale whose items are keyed both ways, names of the answers would change
    their places from panel to panel.
    """
    import altair as alt

    items = {item.number: item for item in report.items}
    rows: list[dict[str, Any]] = []
    panels, ends = [], []
    for trace in report.traces:
        title = _title(items[trace.number])
        panels.append(title)
        names = _ends(trace)
        ends += [name for name in names if name not in ends]
        for name, shares in zip(names, trace.probabilities, strict=True):
            rows += [
                {"item": title, "option": name, "level": level, "share": share}
                for level, share in zip(trace.levels, shares, strict=True)
            ]
    ends.sort(key=_place)
    chart = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_line(strokeWidth=2.2)
        .encode(
            x=alt.X(
                "level:Q",
                title="Level, in SD of the personas",
                axis=alt.Axis(tickCount=5),
            ),
            y=alt.Y(
                "share:Q",
                title="Probability",
                scale=alt.Scale(domain=[0, 1], nice=False),
                axis=alt.Axis(format="%", tickCount=3, grid=True, gridColor=GRID),
            ),
            color=alt.Color(
                "option:N",
                sort=ends,
                scale=alt.Scale(domain=ends, range=list(answer_colours(len(ends)))),
                legend=alt.Legend(
                    title=f"Options of {inventory.name}, from the low end of the trait to the high",
                    titleLimit=600,
                    symbolType="stroke",
                ),
            ),
            detail="option:N",
        )
        .properties(width=190, height=120)
        .facet(
            facet=alt.Facet(
                "item:N",
                sort=panels,
                title=None,
                header=alt.Header(
                    labelFontSize=12,
                    labelFontWeight=600,
                    labelColor=INK,
                    titleColor=MUTED,
                    labelLimit=230,
                    labelAnchor="start",
                ),
            ),
            columns=_COLUMNS,
        )
    )
    figure: alt.FacetChart = styled(chart)
    return figure


def _title(item: ItemReport) -> str:
    why = ", ".join(weakness.kind for weakness in item.weaknesses)
    return f"{item.number} · {item.trait}" + (f" · {why}" if why else "")


def _ends(trace: OptionTrace) -> list[str]:
    """What each option stands for, in content order: "low", "high", or a step between them."""
    steps = sorted(set(trace.values))
    if len(steps) == len(trace.values):
        return [_step(steps.index(value), len(steps)) for value in trace.values]
    names = []
    for place, value in enumerate(trace.values):
        nth = trace.values[:place].count(value) + 1
        names.append(f"{_step(steps.index(value), len(steps))} {nth}")
    return names


def _step(place: int, steps: int) -> str:
    if place in (0, steps - 1):
        return "high" if place else "low"
    return f"step {place + 1}"


def _place(name: str) -> tuple[int, ...]:
    """Where an option stands between the low end and the high one."""
    side, *numbers = name.split()
    return ({"low": 0, "step": 1, "high": 2}[side], *map(int, numbers))
