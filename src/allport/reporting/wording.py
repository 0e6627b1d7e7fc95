"""What a report says in sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from allport.inventories.norms import Level, level
from allport.personas.trait_levels import BIG_FIVE, trait_adjectives
from allport.reporting.content import ReportContent, Subject, t_of
from allport.reporting.palette import number, percent

if TYPE_CHECKING:
    from allport.administration.profiles import ProfileRow

__all__ = ["adjectives", "counted", "lead", "listed", "long_date", "sensitivity_sentence"]

# Written out, as the calendar module would follow the reader's locale and the page is in English.
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def listed(words: Sequence[str], joiner: str = "and") -> str:
    """Words as a list in a sentence: "a, b and c"."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {joiner} {words[-1]}"


def counted(count: int, noun: str, plural: str = "") -> str:
    """A count with its noun: "1 condition", "1,200 items"."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def long_date(timestamp: str) -> str:
    """The day of an ISO 8601 time in words: "20 November 2026"."""
    day = datetime.fromisoformat(timestamp)
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def adjectives(row: ProfileRow) -> str:
    """Everyday words for where a Big Five score lies; empty for an average or another trait."""
    side = level(t_of(row).value)
    if side is None or side == "average":
        return ""
    if BIG_FIVE.get(row.code) != row.name.split(" ")[0].lower():
        return ""
    return ", ".join(trait_adjectives()[row.code][side][:3])


def lead(content: ReportContent) -> list[str]:
    """The sentences that a report opens with, one paragraph each."""
    first = content.subjects[0]
    conditions = counted(max(1, _administrations(content, first)), "condition")
    asked = content.inventory_title
    if content.n_items < content.inventory_items:
        asked = f"{content.n_items} of the {content.inventory_items} items of {asked}"
    opening = f"Asked {asked} under {conditions}, "
    paragraphs = [opening + _described(content, first)]
    paragraphs += [_described(content, other) for other in content.subjects[1:4]]
    if len(content.subjects) > 4:
        paragraphs.append(f"{len(content.subjects) - 4} more are in the tables.")
    return paragraphs


def sensitivity_sentence(content: ReportContent) -> str:
    """How far the first subject's answers depend on the way of asking, in one or two sentences."""
    rows = content.subjects[0].traits
    parts = []
    for what, changes in (
        ("the order of the answers was turned round", [row.order_flips.raw.value for row in rows]),
        (
            "the question was worded by another template",
            [row.template_flips.raw.value for row in rows],
        ),
    ):
        weights = [row.items for row in rows]
        pairs = [(c, w) for c, w in zip(changes, weights, strict=True) if math.isfinite(c)]
        if pairs:
            share = sum(c * w for c, w in pairs) / sum(w for _, w in pairs)
            parts.append(f"{percent(share)} of the chosen answers changed when {what}")
    if not parts:
        return (
            "Every item was asked in one way only, so this run cannot tell how far the answers "
            "depend on the way of asking."
        )
    return _capitalised(listed(parts)) + "."


def _administrations(content: ReportContent, subject: Subject) -> int:
    return sum(row.subject == subject.name for row in content.conditions)


def _described(content: ReportContent, subject: Subject) -> str:
    who = f"{subject.name} ({subject.note})" if subject.note else subject.name
    itself = "itself" if subject.kind == "model" else "themselves"
    rated = [row for row in subject.traits if math.isfinite(t_of(row).value)]
    if rated:
        by_level: dict[Level | None, list[str]] = {"high": [], "average": [], "low": []}
        for row in sorted(rated, key=lambda row: -t_of(row).value):
            by_level[level(t_of(row).value)].append(row.name)
        phrases = [
            f"{'about average' if side == 'average' else side} in {listed(names)}"
            for side, names in by_level.items()
            if names
        ]
        found = "; ".join(phrases)
        return f"{who} described {itself} as {found} (compared with {subject.norm_group})."
    scored = [row for row in subject.traits if math.isfinite(row.score.value)]
    if not scored:
        return f"{who} gave no answer that could be used."
    highest = max(scored, key=lambda row: row.score.value)
    lowest = min(scored, key=lambda row: row.score.value)
    apart = highest.score.value - lowest.score.value
    # Where no error is known, only scores that differ by no more than rounding are the same.
    errors = (row.standard_error for row in (highest, lowest))
    width = 2 * math.hypot(*(0.0 if math.isnan(error) else error for error in errors))
    if len(scored) > 1 and apart <= max(width, 1e-9):
        return (
            f"{who} scored about the same on every trait, from {number(lowest.score.value)} on "
            f"{lowest.name} to {number(highest.score.value)} on {highest.name}{_range(content)}: "
            "too close together to tell its traits apart."
        )
    if len(scored) == 1:
        return f"{who} scored {number(highest.score.value)} on {highest.name}{_range(content)}."
    return (
        f"{who} leaned most toward {highest.name} ({number(highest.score.value)}) and least toward "
        f"{lowest.name} ({number(lowest.score.value)}){_range(content)}."
    )


def _range(content: ReportContent) -> str:
    if not content.scale:
        return ""
    values = [value for _, value in content.scale]
    return f", on a scale from {min(values):g} to {max(values):g}"


def _capitalised(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
