"""The row format of every benchmark and evaluation, its files, and the tables made from them."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from allport.files import write_atomically
from allport.psychometrics.share_intervals import wilson_interval

Layout = Literal["list", "side by side"]
"""How rows are shown: one below the other with targets, or a column for each of several things."""

RESULTS = Path(__file__).parent / "results"
DOCS = Path(__file__).parent.parent / "docs"


@dataclass(frozen=True)
class Row:
    """One measured figure beside its target."""

    id: str
    metric: str
    value: float
    low: float
    high: float
    unit: str
    target: float
    better: Literal["higher", "lower"]

    @property
    def reached(self) -> bool:
        """Whether the value is at or beyond the target."""
        return self.value >= self.target if self.better == "higher" else self.value <= self.target


def summarised(
    id: str,
    metric: str,
    values: Sequence[float],
    unit: str,
    target: float,
    better: Literal["higher", "lower"],
) -> Row:
    """A row of the median over repeats; low and high are the smallest and largest repeat."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return Row(id, metric, median, ordered[0], ordered[-1], unit, target, better)


def share_row(
    id: str,
    metric: str,
    right: NDArray[np.bool_],
    target: float,
    better: Literal["higher", "lower"] = "higher",
) -> Row:
    """A row of the share that is right, with Wilson's interval, 95 %."""
    return Row(id, metric, *wilson_interval(int(right.sum()), right.size)[:3], "", target, better)


def machine() -> dict[str, object]:
    """What the figures were taken on."""
    model = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else ""
    return {
        "processor": model or platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("allport", "torch", "transformers", "numpy")},
    }


def write_results(name: str, rows: Iterable[Row], notes: str = "", layout: Layout = "list") -> Path:
    """Write results/NAME.json: rows, machine and versions."""
    content = {
        "name": name,
        "notes": notes,
        "layout": layout,
        "machine": machine(),
        "rows": [{k: _plain(v) for k, v in asdict(row).items()} for row in rows],
    }
    return write_atomically(RESULTS / f"{name}.json", json.dumps(content, indent=1) + "\n")


def _plain(value: object) -> object:
    # JSON has no NaN; a figure that was not to be had is null.
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    return value


def read_results(name: str) -> list[Row]:
    """The rows of results/NAME.json."""
    return [_row(fields) for fields in _content(name)["rows"]]


def read_layout(name: str) -> Layout:
    """How the rows of results/NAME.json are shown."""
    layout: Layout = _content(name).get("layout", "list")
    return layout


def _content(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return content


def _row(fields: dict[str, Any]) -> Row:
    known: dict[str, Any] = {k: math.nan if v is None else v for k, v in fields.items()}
    return Row(**known)


def table(rows: Iterable[Row], layout: Layout = "list") -> str:
    """A Markdown table of rows.

    Side by side, what stands after the last comma of a row's metric is the head of its column, and
    there are intervals in place of targets.
    """
    return _side_by_side(rows) if layout == "side by side" else _listed(rows)


def _side_by_side(rows: Iterable[Row]) -> str:
    cells: dict[str, dict[str, str]] = {}
    for row in rows:
        metric, _, of = row.metric.rpartition(", ")
        cell = f"{_shown(row.value)}{row.unit}"
        if math.isfinite(row.low) and math.isfinite(row.high):
            cell += f" ({_shown(row.low)} to {_shown(row.high)})"
        cells.setdefault(metric, {})[of] = cell
    columns = list(dict.fromkeys(of for line in cells.values() for of in line))
    return "\n".join(
        [
            f"| | {' | '.join(columns)} |",
            "|---" * (len(columns) + 1) + "|",
            *(
                f"| {metric} | {' | '.join(line.get(of, '–') for of in columns)} |"
                for metric, line in cells.items()
            ),
        ]
    )


def _listed(rows: Iterable[Row]) -> str:
    lines = ["| what | measured | low to high | target | reached |", "|---|---|---|---|---|"]
    for row in rows:
        sign = "≥" if row.better == "higher" else "≤"
        lines.append(
            f"| {row.metric} | {f'{_shown(row.value)} {row.unit}'.rstrip()} | "
            f"{_shown(row.low)} to {_shown(row.high)} | {sign} {_shown(row.target)} | "
            f"{'yes' if row.reached else 'no'} |"
        )
    return "\n".join(lines)


def _shown(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def update_tables() -> list[Path]:
    """Rewrite the tables in docs between `<!-- results: NAME -->` and `<!-- end -->`."""
    changed = []
    for page in sorted(DOCS.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        parts = text.split("<!-- results: ")
        for i, part in enumerate(parts[1:], start=1):
            name, _, rest = part.partition(" -->")
            if (RESULTS / f"{name}.json").exists():
                _, end, after = rest.partition("<!-- end -->")
                if not end:
                    raise ValueError(f"{page}: no <!-- end --> follows the results of {name}")
                shown = table(read_results(name), read_layout(name))
                parts[i] = f"{name} -->\n{shown}\n<!-- end -->{after}"
        updated = "<!-- results: ".join(parts)
        if updated != text:
            write_atomically(page, updated)
            changed.append(page)
    return changed
