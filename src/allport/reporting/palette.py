"""Colours, typefaces and number formats that figures, page and terminal share."""

from __future__ import annotations

import math
from typing import Final

__all__ = [
    "BAND",
    "DARK",
    "FONT",
    "GRID",
    "INK",
    "MUTED",
    "ORDERS",
    "PAPER",
    "SUBJECTS",
    "answer_colours",
    "number",
    "ordinal",
    "percent",
    "reliability",
]

FONT: Final = "'Helvetica Neue', Arial, 'Liberation Sans', sans-serif"

INK: Final = "#1e2733"
MUTED: Final = "#5f6b7a"
GRID: Final = "#dcdad4"
BAND: Final = "#eeefe9"
PAPER: Final = "#fdfcf9"

SUBJECTS: Final = ("#1f5f8b", "#c4662b", "#3f7d58", "#7a4f9c", "#9a7b1f", "#a1435f")
"""One colour a subject. Blue and orange, the first two, are told apart in every common form of
colour blindness; figures give subjects different shapes as well."""

ORDERS: Final = ("#2c7a74", "#8a4f92", "#8a7a2c", "#5f6b7a")
"""One colour an option order; none of them stands for a subject."""

_ANSWERS: Final = ("#b5541c", "#e3a878", "#d3d5d6", "#84b0cf", "#1f5f8b")

DARK: Final = {
    INK: "#e8e9ea",
    MUTED: "#a3adb8",
    GRID: "#3a424d",
    BAND: "#232a33",
    PAPER: "#161b21",
    "#1f5f8b": "#6db1de",
    "#c4662b": "#eb9a62",
    "#3f7d58": "#7cc39a",
    "#7a4f9c": "#bf9be0",
    "#9a7b1f": "#d9bd63",
    "#a1435f": "#e58fa8",
    "#2c7a74": "#6cc5bc",
    "#8a4f92": "#c795cf",
    "#8a7a2c": "#cfc06c",
    "#b5541c": "#d97a43",
    "#e3a878": "#9c6f4e",
    "#d3d5d6": "#4c545e",
    "#84b0cf": "#4d7d9f",
}
"""What each colour of the light page becomes on the dark one."""


def answer_colours(options: int) -> tuple[str, ...]:
    """A colour for each answer of a response scale, from one end over grey to the other."""
    if options == 2:
        return _ANSWERS[0], _ANSWERS[-1]
    last = len(_ANSWERS) - 1
    return tuple(_ANSWERS[round(place * last / max(options - 1, 1))] for place in range(options))


def number(value: float, digits: int = 2, *, signed: bool = False) -> str:
    """A number for people; a dash where there is none.

    Args:
        value: The number.
        digits: After the point.
        signed: Whether a positive number shows its sign.
    """
    if not math.isfinite(value):
        return "–"
    text = f"{value:.{digits}f}"
    # "-0.00" is a rounded zero, and a minus sign is easier to see than a hyphen.
    if float(text) == 0:
        return text.lstrip("-")
    return "+" * (signed and value > 0) + text.replace("-", "−")


def reliability(value: float) -> str:
    """A reliability; "<−1" for the meaningless depths that alpha of few rows can reach."""
    return "<−1" if value < -1 else number(value)


def percent(share: float) -> str:
    """A share from 0 to 1 in per cent; a dash where there is none."""
    if not math.isfinite(share):
        return "–"
    if 0 < share < 0.005:
        return "<1%"
    if 0.995 <= share < 1:
        return ">99%"
    return f"{100 * share:.0f}%"


def ordinal(percentile: float) -> str:
    """A percentile as people say it: "86th"; a dash where there is none."""
    if not math.isfinite(percentile):
        return "–"
    if percentile < 1:
        return "<1st"
    if percentile > 99:
        return ">99th"
    whole = round(percentile)
    ending = "th" if 10 < whole < 20 else {1: "st", 2: "nd", 3: "rd"}.get(whole % 10, "th")
    return f"{whole}{ending}"
