"""Profiles: what one respondent is like, and how far that can be trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import polars as pl

from allport.inventories.norms import NormGroup, NormScore
from allport.models.respondent import Condition
from allport.psychometrics.agreement import Flips
from allport.psychometrics.estimate import Estimate
from allport.psychometrics.sensitivity import PositionEffect

__all__ = ["Profile", "ProfileRow", "Sides", "Styles", "Usability"]


class Usability(NamedTuple):
    """What became of the questions put."""

    questions: int
    refused: int
    unparsable: int
    missing: int
    """Neither refused nor unparsable, and still without a choice."""
    label_mass: float
    """Mean share of the respondent's probability on the answers offered, 0 to 1; NaN if unknown."""
    label_mass_lowest: float

    @property
    def unusable(self) -> int:
        """Questions without a choice."""
        return self.refused + self.unparsable + self.missing


class Styles(NamedTuple):
    """How the response scale is used, whatever the items say."""

    acquiescence: Estimate
    """Mean literal answer with both keys weighing the same; the midpoint of the scale is none."""
    midpoint: float
    """Of the scale, in its units."""
    extreme: float
    """Share of choices at either end of the scale."""
    middle: float
    """Share of choices at the midpoint."""


class Sides(NamedTuple):
    """Three scores of situations, from the side of its trait that each was answered on."""

    mass: Estimate
    """Mean probability of the high side, 0 to 1: the score of the row."""
    argmax: Estimate
    """Share of items whose option chosen most over the orders of a template is of the high side, 0
    to 1, mean over templates and forms: the rule of TRAIT."""
    logit: Estimate
    """Mean log odds of the high side, which has no floor or ceiling."""


@dataclass(frozen=True)
class ProfileRow:
    """One trait or facet."""

    code: str
    name: str
    trait: str
    """Code of the trait that a facet belongs to; a trait's own code."""
    kind: Literal["trait", "facet"]
    items: int
    """Items of the scale that were asked."""
    score: Estimate
    """Mean keyed answer, in the units of the response scale; of situations the mean probability of
    the high side, 0 to 1."""
    standard_error: float
    """Of the score, over items or clusters of items; NaN where it cannot be told."""
    raw: Estimate
    """Sum over the items; NaN unless every item of the scale was answered at least once."""
    norm: NormScore | None
    """T score and percentile with their intervals; None where there is no norm group."""
    alpha: Estimate
    """Cronbach's alpha over administrations; the reason says why there is none."""
    order_flips: Flips
    """How often another option order changes the choice; see `Flips` for chance."""
    template_flips: Flips
    usability: Usability
    sides: Sides | None = None
    """Of situations whose options speak for either end of the trait; else None."""


@dataclass(frozen=True)
class Profile:
    """The traits and facets of one respondent over a set of administrations."""

    respondent: str
    inventory: str
    persona: str | None
    """The persona that scores speak of; None where they are averaged over several."""
    conditions: tuple[Condition, ...]
    """The administrations that scores and flips rest on."""
    administrations: int
    """The administrations that alpha rests on: every condition and persona of the frame."""
    items: int
    traits: tuple[ProfileRow, ...]
    facets: tuple[ProfileRow, ...]
    flips: Mapping[str, Flips]
    """Over all items, by factor: order, template, form, repeat; those with two levels or more."""
    position: PositionEffect
    """What being shown early or late does to an option, whatever it says."""
    styles: Styles | None
    """None where items carry options of their own."""
    usability: Usability
    norm_group: NormGroup | None
    norm_reason: str
    """Why there are no norm scores; empty where there are."""
    cautions: tuple[str, ...]
    """In plain words, where the measurement does not hold."""

    @property
    def rows(self) -> tuple[ProfileRow, ...]:
        """Each trait followed by its facets."""
        return tuple(
            row
            for trait in self.traits
            for row in (trait, *(facet for facet in self.facets if facet.trait == trait.code))
        )

    def to_frame(self) -> pl.DataFrame:
        """The figures as a frame, one row a trait or facet; null where there is no figure."""
        return pl.DataFrame([_flat(row) for row in self.rows]).fill_nan(None)


def _flat(row: ProfileRow) -> dict[str, Any]:
    norm, used = row.norm, row.usability
    figures: dict[str, Any] = {
        "code": row.code,
        "name": row.name,
        "trait": row.trait,
        "kind": row.kind,
        "items": row.items,
        "score": row.score.value,
        "score_low": row.score.low,
        "score_high": row.score.high,
        "standard_error": row.standard_error,
        "raw": row.raw.value,
        "t": norm.t if norm else math.nan,
        "t_low": norm.t_low if norm else math.nan,
        "t_high": norm.t_high if norm else math.nan,
        "percentile": norm.percentile if norm else math.nan,
        "percentile_low": norm.percentile_low if norm else math.nan,
        "percentile_high": norm.percentile_high if norm else math.nan,
        "level": norm.level if norm else None,
        "alpha": row.alpha.value,
        "alpha_low": row.alpha.low,
        "alpha_high": row.alpha.high,
        "alpha_reason": row.alpha.reason,
    }
    for name in ("argmax", "logit"):
        side: Estimate | None = getattr(row.sides, name, None)
        figures |= {
            f"score_{name}": side.value if side else math.nan,
            f"score_{name}_low": side.low if side else math.nan,
            f"score_{name}_high": side.high if side else math.nan,
        }
    for name, found in (("order", row.order_flips), ("template", row.template_flips)):
        figures |= {
            f"{name}_flips": found.raw.value,
            f"{name}_flips_low": found.raw.low,
            f"{name}_flips_high": found.raw.high,
            f"{name}_flips_of_chance": found.corrected.value,
        }
    return figures | {
        "questions": used.questions,
        "refused": used.refused,
        "unparsable": used.unparsable,
        "missing": used.missing,
        "label_mass": used.label_mass,
        "label_mass_lowest": used.label_mass_lowest,
    }
