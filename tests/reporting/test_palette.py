from __future__ import annotations

import math

import pytest

from allport.reporting.palette import (
    DARK,
    INK,
    MUTED,
    PAPER,
    SUBJECTS,
    answer_colours,
    number,
    ordinal,
    percent,
    reliability,
)


def luminance(colour: str) -> float:
    """Relative luminance of an sRGB colour (WCAG 2.1)."""
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colour", [INK, MUTED])
def test_text_can_be_read_on_both_pages(colour: str) -> None:
    assert contrast(colour, PAPER) >= 4.5
    assert contrast(DARK[colour], DARK[PAPER]) >= 4.5


@pytest.mark.parametrize("colour", SUBJECTS)
def test_marks_stand_out_on_both_pages(colour: str) -> None:
    assert contrast(colour, PAPER) >= 3
    assert contrast(DARK[colour], DARK[PAPER]) >= 3


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1.00"), (-0.001, "0.00"), (-1.236, "−1.24"), (math.nan, "–"), (math.inf, "–")],
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


def test_signed_numbers() -> None:
    assert [number(v, 1, signed=True) for v in (0.25, -0.25, 0.0)] == ["+0.2", "−0.2", "0.0"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1st"),
        (2.4, "2nd"),
        (3, "3rd"),
        (4, "4th"),
        (11, "11th"),
        (12, "12th"),
        (13, "13th"),
        (21, "21st"),
        (92.5, "92nd"),
        (0.2, "<1st"),
        (99.8, ">99th"),
        (math.nan, "–"),
    ],
)
def test_ordinals(value: float, text: str) -> None:
    assert ordinal(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0%"), (0.001, "<1%"), (0.126, "13%"), (0.999, ">99%"), (1.0, "100%"), (math.nan, "–")],
)
def test_shares_never_round_to_none_or_all(share: float, text: str) -> None:
    assert percent(share) == text


def test_senseless_reliabilities_are_not_spelt_out() -> None:
    assert reliability(-155.1) == "<−1"
    assert reliability(0.715) == "0.71"
    assert reliability(math.nan) == "–"


@pytest.mark.parametrize("options", [2, 3, 4, 5])
def test_answers_have_colours_of_their_own_with_the_ends_apart(options: int) -> None:
    colours = answer_colours(options)
    assert len(set(colours)) == options
    assert (colours[0], colours[-1]) == (answer_colours(5)[0], answer_colours(5)[-1])
