"""Where a measurement does not hold, in plain words."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from allport.administration.profiles import Profile, ProfileRow
from allport.administration.templates import asks_openly
from allport.inventories.inventory import Facet, Inventory, Trait

__all__ = ["cautions_of"]

LOWEST_LABEL_MASS = 0.8
"""Below this share of probability on the answers offered, what is read is not what is said."""
LOWEST_ALPHA = 0.6
HIGHEST_UNUSABLE = 0.05
"""Share of questions without a choice above which scores rest on a selection of items."""
NOTABLE_FLIPS = 0.5
"""Flips over those that chance would make, from which single answers say little."""
NOTABLE_DISPLACEMENT = 0.1
"""A tenth of the way from choosing by content to always choosing the first or the last shown."""


def cautions_of(profile: Profile, inventory: Inventory) -> tuple[str, ...]:
    """Sentences for people on everything that the figures of a profile cannot carry.

    Args:
        profile: Without its cautions.
        inventory: What could have been asked.
    """
    return tuple(
        sentence
        for sentence in (
            _pooled(profile),
            *_unasked(profile, inventory),
            _label_mass(profile),
            _unusable(profile),
            _unscored(profile),
            _one_answer(profile),
            *_alpha(profile),
            *_flips(profile),
            _orders(profile),
            _position(profile),
            _repeats(profile),
        )
        if sentence
    )


def _pooled(profile: Profile) -> str:
    if profile.persona is not None:
        return ""
    personas = len({condition.persona for condition in profile.conditions})
    return (
        f"These scores are averages over {personas} personas and describe none of them; ask for "
        "one persona."
    )


def _unasked(profile: Profile, inventory: Inventory) -> Iterable[str]:
    asked = {row.code for row in profile.rows}
    traits = [trait for trait in inventory.traits if trait.code not in asked]
    if traits:
        yield f"Not asked at all: {_names(traits)}."
    facets = [f for f in inventory.facets if f.trait in asked and f.code not in asked]
    if facets:
        yield f"Facets not asked at all: {_names(facets)}; their traits are scored without them."


def _label_mass(profile: Profile) -> str:
    mass = profile.usability.label_mass
    if math.isnan(mass) or _asked_openly(profile):
        return ""
    low = [row for row in profile.traits if row.usability.label_mass < LOWEST_LABEL_MASS]
    if mass >= LOWEST_LABEL_MASS and not low:
        return ""
    where = "" if mass < LOWEST_LABEL_MASS else f" on {_names(low)}"
    share = mass if mass < LOWEST_LABEL_MASS else min(row.usability.label_mass for row in low)
    return (
        f"Only {share:.0%} of the probability fell on the answers offered{where}: left to itself, "
        "the respondent would mostly say something else."
    )


def _asked_openly(profile: Profile) -> bool:
    """Whether no options were listed: there is no place then, and any text is an unlikely one."""
    return all(asks_openly(condition.template) for condition in profile.conditions)


def _unusable(profile: Profile) -> str:
    used = profile.usability
    if used.unusable <= HIGHEST_UNUSABLE * used.questions:
        return ""
    parts = [
        f"{count} {what}"
        for count, what in (
            (used.refused, "refused"),
            (used.unparsable, "unreadable"),
            (used.missing, "missing"),
        )
        if count
    ]
    return (
        f"{used.unusable} of {used.questions} answers cannot be used ({', '.join(parts)}); scores "
        "rest on the others."
    )


def _unscored(profile: Profile) -> str:
    rows = [row for row in profile.rows if math.isnan(row.score.value)]
    return f"No score for {_names(rows)}: {rows[0].score.reason}." if rows else ""


def _one_answer(profile: Profile) -> str:
    orders = profile.flips.get("order") or profile.flips.get("template")
    if orders is None or orders.chance > 1e-12 or math.isnan(orders.chance):
        return ""
    return "Every question got the same answer, whatever it said; the scores describe that answer."


def _alpha(profile: Profile) -> Iterable[str]:
    low = [row for row in profile.traits if row.alpha.value < LOWEST_ALPHA]
    if low:
        yield (
            f"Alpha is under {_short(LOWEST_ALPHA)} for {_names(low)}: over the "
            f"{profile.administrations} administrations, their items do not rise and fall together."
        )
    unknown: defaultdict[str, list[ProfileRow]] = defaultdict(list)
    for row in profile.traits:
        if math.isnan(row.alpha.value):
            unknown[row.alpha.reason].append(row)
    for reason, rows in unknown.items():
        yield f"Reliability of {_names(rows)} is not known: {reason}."


def _flips(profile: Profile) -> Iterable[str]:
    for factor, what in (("order", "option order"), ("template", "question template")):
        found = profile.flips.get(factor)
        if found is not None and found.corrected.value >= 1:
            yield (
                f"Another {what} changes {found.raw.value:.0%} of the choices, as many as chance "
                "alone would: single answers mean nothing."
            )
            continue
        if found is not None and found.corrected.value >= NOTABLE_FLIPS:
            yield (
                f"Another {what} changes {found.raw.value:.0%} of the choices, "
                f"{found.corrected.value:.0%} of what chance alone would change: single answers "
                "say little."
            )
        rows = [
            row
            for row in profile.traits
            if (row.order_flips if factor == "order" else row.template_flips).corrected.value >= 1
        ]
        if rows:
            yield (
                f"On {_names(rows)}, another {what} changes as many choices as chance alone would."
            )


def _orders(profile: Profile) -> str:
    if "order" in profile.flips or _asked_openly(profile):
        return ""
    return (
        "Options were shown in one order only, so a liking for a place in the list cannot be told "
        "from a liking for what stands there."
    )


def _position(profile: Profile) -> str:
    displacement = profile.position.displacement
    doubtful = displacement.low <= 0 <= displacement.high  # False where there is no interval
    if doubtful or not abs(displacement.value) >= NOTABLE_DISPLACEMENT:
        return ""
    end = "last" if displacement.value > 0 else "first"
    return (
        f"Choices lean toward the options shown {end} ({abs(displacement.value):.0%} of the way "
        "from content to position alone)."
    )


def _repeats(profile: Profile) -> str:
    found = profile.flips.get("repeat")
    if found is None or found.raw.value > 0 or profile.administrations < 2:
        return ""
    return "Repeats gave the same answers throughout, so they add nothing to reliability."


def _names(rows: Sequence[ProfileRow | Trait | Facet]) -> str:
    names = [row.name for row in rows]
    if len(names) > 6:
        return f"{', '.join(names[:5])} and {len(names) - 5} more"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _short(share: float) -> str:
    return f"{share:.1f}".lstrip("0")
