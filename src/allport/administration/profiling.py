"""From responses to a profile."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from allport.administration.cautions import cautions_of
from allport.administration.item_means import (
    item_clusters,
    mean_of_items,
    score_limits,
    share_of_items,
)
from allport.administration.profiles import Profile, ProfileRow, Sides, Styles, Usability
from allport.administration.responses import answers, option_places, option_probabilities
from allport.administration.situation_profiles import has_sides, item_sides
from allport.errors import ResponsesError
from allport.inventories.inventory import Inventory
from allport.inventories.norms import NormGroup, PercentileMethod, default_group, norm_scores
from allport.models.respondent import Condition
from allport.psychometrics.agreement import Flips, flips
from allport.psychometrics.estimate import Estimate, undefined
from allport.psychometrics.intervals import weighted_bootstrap
from allport.psychometrics.reliability import cronbach_alpha
from allport.psychometrics.sensitivity import PositionEffect, contrasting_pairs, position_effect
from allport.psychometrics.situational import SituationalScores
from allport.psychometrics.styles import extreme_responding, midpoint_responding

__all__ = ["profile"]

Floats = NDArray[np.float64]
_RESAMPLES = 1000


def profile(
    responses: pl.DataFrame,
    inventory: Inventory,
    *,
    persona: str | None = None,
    scores: Literal["expected", "chosen"] = "expected",
    norm: NormGroup | str | None = "default",
    percentile: PercentileMethod = "normal",
    confidence: float = 0.95,
    resamples: int = _RESAMPLES,
    seed: int = 0,
) -> Profile:
    """Score the responses of one respondent, with errors, reliability and sensitivity.

    A score is the mean over items of each item's mean over conditions. Of situations with a high
    and a low side, conditions are put together by the geometric mean, so that what labels and
    places add to all options alike cancels; two more scores stand beside it, see `Sides`. Its
    standard error is sd(item means) / sqrt(items), and its interval Student's with items - 1
    degrees of freedom, cut at the ends of the scale. The unit of sampling is thus the item, with
    all its conditions: another draw of items of the same trait would give another score. Items of
    one cluster, such as situations written from one statement, are one unit together, in every
    interval; see `error_of_mean`. Where all units score alike, nothing tells the error, and there
    is no interval; but the share of items on the high side then has Wilson's, for as many draws as
    there are units. Conditions are those asked and no sample; what they change is reported as flips
    and position effect.

    Alpha is computed over administrations, that is over every condition and persona in the frame,
    also where scores are of one persona. Three are needed. Over the conditions of a single persona
    it tells whether what differs between them differs alike in all items, no more.

    Flips compare the options chosen between administrations that differ in one factor alone; their
    intervals are bootstraps over items, or clusters of items.

    Args:
        responses: Of one respondent to this inventory.
        inventory: Gives items, keys and norms.
        persona: Whose scores; by default those of the only persona, or averaged over several.
        scores: Take the mean value under each distribution, or the value of the option chosen.
        norm: Norm group to set raw scores against, or its name; "default" is the yardstick for
            respondents without sex and age; None for none.
        percentile: See `allport.inventories.norm_scores`.
        confidence: Of every interval.
        resamples: Of each bootstrap; 0 leaves those intervals out.
        seed: The same seed gives the same intervals.

    Raises:
        ResponsesError: The frame is empty, of several respondents or of another inventory, or does
            not hold the persona.
        UsageError: The norm group is unknown.
    """
    _check(responses, inventory, persona)
    own = responses if persona is None else responses.filter(pl.col("persona") == persona)
    column = "expected_keyed" if scores == "expected" else "keyed"
    everywhere = answers(responses, inventory, column).values
    conditions, keyed = answers(own, inventory, column)
    measured = _Measured(
        inventory=inventory,
        responses=own,
        conditions=conditions,
        keyed=keyed,
        everywhere=everywhere,
        choices=answers(own, inventory, "choice").values,
        sides=item_sides(own, inventory) if scores == "expected" and has_sides(inventory) else None,
        clusters=item_clusters(inventory),
        confidence=confidence,
        resamples=resamples,
        seed=seed,
    )
    group = default_group(inventory) if norm == "default" else norm
    traits = [_row(measured, t.code, t.name, t.code, "trait") for t in inventory.traits]
    facets = [_row(measured, f.code, f.name, f.trait, "facet") for f in inventory.facets]
    rows = [row for row in (*traits, *facets) if row is not None]
    rows, norm_group, norm_reason = _with_norms(inventory, rows, group, percentile)
    personas = own["persona"].unique().to_list()
    unfinished = Profile(
        respondent=own["respondent"][0],
        inventory=inventory.name,
        persona=personas[0] if len(personas) == 1 else None,
        conditions=conditions,
        administrations=len(everywhere),
        items=own["item"].n_unique(),
        traits=tuple(row for row in rows if row.kind == "trait"),
        facets=tuple(row for row in rows if row.kind == "facet"),
        flips=measured.all_flips(),
        position=measured.position(),
        styles=measured.styles(),
        usability=_usability(own),
        norm_group=norm_group,
        norm_reason=norm_reason,
        cautions=(),
    )
    return dataclasses.replace(unfinished, cautions=cautions_of(unfinished, inventory))


@dataclass(frozen=True)
class _Measured:
    """The arrays that every row is computed from."""

    inventory: Inventory
    responses: pl.DataFrame
    conditions: tuple[Condition, ...]
    keyed: Floats
    """Shape (conditions, items)."""
    everywhere: Floats
    """Like `keyed`, over the conditions of every persona."""
    choices: Floats
    sides: SituationalScores | None
    """Of each item; None where there are none, or the options chosen are scored."""
    clusters: NDArray[np.intp] | None
    """Of each item; None where every item is a unit of its own."""
    confidence: float
    resamples: int
    seed: int

    def clusters_of(self, items: NDArray[np.intp] | NDArray[np.bool_]) -> NDArray[np.intp] | None:
        """Clusters of some of the items."""
        return None if self.clusters is None else self.clusters[items]

    def mean(
        self, means: Floats, columns: NDArray[np.intp], limits: tuple[float, float]
    ) -> tuple[Estimate, float]:
        """Mean over the items of a scale with its interval, and its standard error."""
        return mean_of_items(
            means, self.clusters_of(columns), confidence=self.confidence, limits=limits
        )

    def levels(self) -> dict[str, Sequence[Hashable]]:
        """What each condition is on each factor."""
        factors = ("order", "template", "form", "persona", "repeat")
        return {name: [getattr(c, name) for c in self.conditions] for name in factors}

    def flips(self, factor: str, columns: NDArray[np.intp], resamples: int) -> Flips:
        """Flips between conditions that differ in one factor, on some of the items."""
        options = [len(self.inventory.options(self.inventory.items[c])) for c in columns]
        return flips(
            self.choices[:, columns],
            options,
            contrasting_pairs(self.levels(), factor),
            clusters=self.clusters_of(columns),
            confidence=self.confidence,
            resamples=resamples,
            seed=self.seed,
        )

    def all_flips(self) -> dict[str, Flips]:
        """Flips over all items of each factor that varies, but for the persona, which should."""
        every = np.arange(len(self.inventory.items))
        return {
            factor: self.flips(factor, every, self.resamples)
            for factor, levels in self.levels().items()
            if factor != "persona" and len(set(levels)) > 1
        }

    def position(self) -> PositionEffect:
        """The effect of the place at which options were shown."""
        return position_effect(
            option_probabilities(self.responses, self.inventory),
            option_places(self.responses, self.inventory),
            clusters=self.clusters,
            confidence=self.confidence,
            resamples=self.resamples,
            seed=self.seed,
        )

    def styles(self) -> Styles | None:
        """Use of the response scale; None where items carry options of their own."""
        if not self.inventory.scale or any(item.options for item in self.inventory.items):
            return None
        values = [option.value for option in self.inventory.scale]
        ends = (values[0], values[-1])
        chosen = answers(self.responses, self.inventory, "literal").values
        return Styles(
            acquiescence=self._acquiescence(),
            midpoint=sum(ends) / 2,
            extreme=_mean(extreme_responding(chosen, ends)),
            middle=_mean(midpoint_responding(chosen, ends)),
        )

    def _acquiescence(self) -> Estimate:
        means = _item_means(self.inventory.literal(self.keyed))
        answered = ~np.isnan(means)
        values, keys = means[answered], self.inventory.keys[answered]
        if not (keys > 0).any() or not (keys < 0).any():
            return undefined("acquiescence needs answered items of both keys")
        agree, disagree = (keys > 0).astype(np.float64), (keys < 0).astype(np.float64)

        def balanced(weights: Floats) -> Floats:
            with np.errstate(divide="ignore", invalid="ignore"):
                up = weights @ (values * agree) / (weights @ agree)
                down = weights @ (values * disagree) / (weights @ disagree)
            return np.asarray((up + down) / 2)

        return weighted_bootstrap(
            balanced,
            values.size,
            clusters=self.clusters_of(answered),
            confidence=self.confidence,
            resamples=self.resamples,
            seed=self.seed,
        )


def _check(responses: pl.DataFrame, inventory: Inventory, persona: str | None) -> None:
    if responses.is_empty():
        raise ResponsesError("There are no responses to make a profile of.")
    for column, what in (("respondent", "respondents"), ("inventory", "inventories")):
        found = responses[column].unique().sort().to_list()
        if len(found) > 1:
            raise ResponsesError(
                f"The responses are of {len(found)} {what} ({', '.join(found)}); choose one."
            )
    if responses["inventory"][0] != inventory.name:
        raise ResponsesError(
            f"The responses are to {responses['inventory'][0]}, not to {inventory.name}."
        )
    personas = responses["persona"].unique().sort().to_list()
    if persona is not None and persona not in personas:
        known = ", ".join(repr(name) for name in personas)
        raise ResponsesError(f"No response is of persona {persona!r}; there are {known}.")


def _row(
    measured: _Measured, code: str, name: str, trait: str, kind: Literal["trait", "facet"]
) -> ProfileRow | None:
    """The row of a scale; None where none of its items was asked."""
    inventory = measured.inventory
    own = measured.responses.filter(pl.col("trait" if kind == "trait" else "facet") == code)
    if own.is_empty():
        return None
    columns = inventory.columns(code)
    sides = measured.sides
    means = _item_means(measured.keyed[:, columns]) if sides is None else sides.mass[columns]
    score, error = measured.mean(means, columns, score_limits(inventory, columns[~np.isnan(means)]))
    asked = np.isin(np.array(inventory.numbers)[columns], own["item"].to_numpy())
    return ProfileRow(
        code=code,
        name=name,
        trait=trait,
        kind=kind,
        items=int(asked.sum()),
        score=score,
        standard_error=error,
        raw=_raw(score, means, int(asked.sum())),
        norm=None,
        alpha=cronbach_alpha(
            measured.everywhere[:, columns[asked]], confidence=measured.confidence
        ).raw,
        order_flips=measured.flips("order", columns, measured.resamples),
        template_flips=measured.flips("template", columns, measured.resamples),
        usability=_usability(own),
        sides=None
        if sides is None
        else Sides(
            mass=score,
            argmax=share_of_items(
                sides.argmax[columns],
                measured.clusters_of(columns),
                confidence=measured.confidence,
            ),
            logit=measured.mean(sides.logit[columns], columns, (-math.inf, math.inf))[0],
        ),
    )


def _item_means(values: Floats) -> Floats:
    """Mean over conditions of each item, shape (items,); NaN where it was never answered."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, values, 0.0).sum(axis=0) / known.sum(axis=0))


def _raw(score: Estimate, means: Floats, asked: int) -> Estimate:
    answered = int((~np.isnan(means)).sum())
    if answered < means.size:
        what = "answered" if asked == means.size else "asked"
        count = answered if asked == means.size else asked
        return undefined(f"a sum needs all {means.size} items, and {count} were {what}")
    value, low, high, reason = score
    return Estimate(value * means.size, low * means.size, high * means.size, reason)


def _with_norms(
    inventory: Inventory,
    rows: list[ProfileRow],
    group: NormGroup | str | None,
    percentile: PercentileMethod,
) -> tuple[list[ProfileRow], NormGroup | None, str]:
    if group is None:
        reason = "no norm group was asked for"
        return rows, None, reason if inventory.norms else f"{inventory.name} has no human norms"
    found = norm_scores(
        inventory,
        {row.code: row.raw.value for row in rows},
        percentile=percentile,
        group=group,
        intervals={row.code: (row.raw.low, row.raw.high) for row in rows},
    )
    normed = [dataclasses.replace(row, norm=found.scores.get(row.code)) for row in rows]
    return normed, found.group, found.reason


def _usability(responses: pl.DataFrame) -> Usability:
    mass = responses["label_mass"].drop_nulls().to_numpy()
    flagged = responses["refused"] | responses["unparsable"]
    return Usability(
        questions=responses.height,
        refused=int(responses["refused"].sum()),
        unparsable=int((responses["unparsable"] & ~responses["refused"]).sum()),
        missing=int((responses["choice"].is_null() & ~flagged).sum()),
        label_mass=float(mass.mean()) if mass.size else math.nan,
        label_mass_lowest=float(mass.min()) if mass.size else math.nan,
    )


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan
