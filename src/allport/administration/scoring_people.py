"""People's answers scored: raw, T and percentile for each, and the sample's reliability."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, cast

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from allport.inventories.inventory import Inventory
from allport.inventories.norms import (
    NormGroup,
    PercentileMethod,
    Sex,
    norm_group,
    norm_groups,
    norm_scores,
)
from allport.models.human_answers import HumanAnswers
from allport.models.human_table import about_column, ages_of, is_missing, sexes_of
from allport.psychometrics.covariance import MissingPairs
from allport.psychometrics.reliability import scale_alphas, standard_error_of_measurement
from allport.psychometrics.scoring import MissingAnswers, ScaleScores, raw_sums, scale_scores
from allport.psychometrics.unit_means import student_width

__all__ = ["PeopleScores", "error_widths", "score"]

Floats = NDArray[np.float64]

_ENOUGH_FOR_SEM = 30
"""With fewer people behind it alpha is too unsteady to say how exact one score is."""
_NORM_COLUMNS: Final = ("t", "t_low", "t_high", "percentile", "percentile_low", "percentile_high")


class _Scale(NamedTuple):
    name: str
    kind: Literal["trait", "facet"]


@dataclass(frozen=True)
class PeopleScores:
    """Scores of people on the traits and facets of an inventory."""

    name: str
    """Of the answers scored."""
    inventory: str
    scores: pl.DataFrame
    """One row a person and scale: id, code, name, kind, items, answered, score (mean keyed answer),
    raw (sum), standard_error (of the sum), t, percentile, each with _low and _high, level and
    norm_group; null where there is no figure."""
    reliability: pl.DataFrame
    """One row a scale: code, name, kind, items, people scored, alpha_people, mean and sd of the
    sum, alpha with alpha_low, alpha_high and alpha_reason, sem, error_from, mean_correlation.
    `error_from` tells what standard errors on the scale come from: "sample", its reliability, SD
    sqrt(1 - alpha); or, where alpha rests on fewer than 30 people, "items", the spread of each
    person's own answers over the items of the scale, which tells nothing where all are alike.
    Intervals are `error_widths` times as wide to either side."""
    notes: tuple[str, ...]
    """What a reader has to know: what could not be checked, and why norms are missing."""

    def wide(self, figure: str = "raw") -> pl.DataFrame:
        """One row a person, one column a scale, of one of the figures in `scores`."""
        return self.scores.pivot(on="code", index="id", values=figure)


def score(
    people: HumanAnswers,
    *,
    sex: Sex | None = None,
    age: int | None = None,
    norm: NormGroup | str | None = None,
    percentile: PercentileMethod = "normal",
    missing: MissingAnswers = "available",
    pairs: MissingPairs = "listwise",
    confidence: float = 0.95,
) -> PeopleScores:
    """Score people's answers against human norms, with the reliability of the sample.

    T scores and percentiles need a norm group: the one named, else the group of each person by the
    columns `sex` (female, F, woman or 2; male, M, man or 1) and `age` of the file, else by the sex
    and age given. Where nothing tells the group there are none, and a note says for how many. Ages
    that are none from 1 to 120 years are missing, which a note says too.

    Args:
        people: Whose answers; see `allport.models.read_human_answers`.
        sex: Of everybody the file does not tell it of.
        age: In years, likewise.
        norm: One norm group for everybody, or its name.
        percentile: See `allport.inventories.norm_scores`.
        missing: What becomes of people with missing answers; see
            `allport.psychometrics.scale_scores`. A sum is prorated where at least 80 % of a scale
            was answered.
        pairs: Whom reliability rests on: "listwise" takes people who answered the whole scale,
            "pairwise" takes everybody, each pair of items over those who answered both.
        confidence: Of the intervals.

    Raises:
        ResponsesError: Answers are missing and `missing` is "refuse".
        UsageError: The norm group is unknown.
    """
    inventory = people.inventory
    named = _scales(inventory)
    scales = {code: inventory.columns(code) for code in named}
    keyed = people.keyed
    means = scale_scores(keyed, scales, missing=missing)
    sums = raw_sums(keyed, scales, missing=missing)
    reliability = _reliability(named, keyed, scales, sums, pairs, confidence)
    from_sample = (reliability["error_from"] == "sample").to_numpy()
    sem = np.where(np.isnan(sums.scores), np.nan, reliability["sem"].to_numpy())
    errors = np.where(from_sample, sem, sums.standard_errors)
    groups, notes = _groups(people, norm, sex, age)
    widths = error_widths(reliability["error_from"].to_numpy(), means.answered, confidence)
    count = len(people.ids)
    frames = [
        pl.DataFrame(
            {
                "row": np.arange(count),
                "id": people.ids,
                "code": [code] * count,
                "name": [named[code].name] * count,
                "kind": [named[code].kind] * count,
                "items": np.full(count, len(columns)),
                "answered": means.answered[:, place],
                "score": means.scores[:, place],
                "raw": sums.scores[:, place],
                "standard_error": errors[:, place],
                **_norms(
                    inventory,
                    code,
                    sums.scores[:, place],
                    errors[:, place],
                    widths[:, place],
                    groups,
                    percentile,
                ),
            }
        )
        for place, (code, columns) in enumerate(scales.items())
    ]
    return PeopleScores(
        name=people.name,
        inventory=inventory.name,
        scores=pl.concat(frames).sort("row", maintain_order=True).drop("row").fill_nan(None),
        reliability=reliability,
        notes=tuple(note for note in (people.note, *notes) if note),
    )


def error_widths(error_from: ArrayLike, answered: ArrayLike, confidence: float = 0.95) -> Floats:
    """How many standard errors the interval of a person's score reaches to either side.

    Args:
        error_from: What the error comes from, "sample" or "items"; see `PeopleScores.reliability`.
        answered: Items of the scale that the person answered; the two broadcast.
        confidence: Of the interval, 0 to 1.

    Returns:
        The normal quantile for errors from the sample; for errors from a person's own answers the
        quantile of Student's t with answered - 1 degrees of freedom, NaN below two answers.
    """
    from scipy.special import ndtri

    normal = float(ndtri((1 + confidence) / 2))
    from_sample = np.asarray(error_from) == "sample"
    return np.where(from_sample, normal, student_width(answered, confidence))


def _scales(inventory: Inventory) -> dict[str, _Scale]:
    """Traits and facets that items speak for, by code."""
    found = {trait.code: _Scale(trait.name, "trait") for trait in inventory.traits}
    found |= {facet.code: _Scale(facet.name, "facet") for facet in inventory.facets}
    return {code: scale for code, scale in found.items() if len(inventory.columns(code))}


def _reliability(
    named: Mapping[str, _Scale],
    keyed: Floats,
    scales: Mapping[str, NDArray[np.intp]],
    sums: ScaleScores,
    pairs: MissingPairs,
    confidence: float,
) -> pl.DataFrame:
    rows = []
    alphas = scale_alphas(keyed, scales, missing=pairs, confidence=confidence)
    for place, (code, alpha) in enumerate(alphas.items()):
        scored = sums.scores[:, place]
        scored = scored[~np.isnan(scored)]
        deviation = float(scored.std(ddof=1)) if scored.size > 1 else math.nan
        rows.append(
            {
                "code": code,
                "name": named[code].name,
                "kind": named[code].kind,
                "items": alpha.items,
                "people": int(scored.size),
                "alpha_people": alpha.rows,
                "mean": float(scored.mean()) if scored.size else math.nan,
                "sd": deviation,
                "alpha": alpha.raw.value,
                "alpha_low": alpha.raw.low,
                "alpha_high": alpha.raw.high,
                "alpha_reason": alpha.raw.reason,
                "sem": float(standard_error_of_measurement(deviation, alpha.raw.value)),
                "error_from": "sample" if alpha.rows >= _ENOUGH_FOR_SEM else "items",
                "mean_correlation": alpha.mean_correlation,
            }
        )
    return pl.DataFrame(rows).fill_nan(None)


def _groups(
    people: HumanAnswers, norm: NormGroup | str | None, sex: Sex | None, age: int | None
) -> tuple[list[NormGroup | None], tuple[str, ...]]:
    """The norm group of each person, and notes on ages that are none and people without a group."""
    inventory, count = people.inventory, len(people.ids)
    known = norm_groups(inventory)
    if not known:
        return [None] * count, (f"There are no human norms for {inventory.name}.",)
    if norm is not None:
        # `norm_scores` knows how to refuse an unknown name.
        group = norm_scores(inventory, {}, group=norm).group
        return [group] * count, ()
    told = _told(people.people, "sex")
    # Whoever says to be neither has no norms, and not those of the sex given for the others.
    sexes = sexes_of(told).set(is_missing(told), sex)
    ages = ages_of(_told(people.people, "age"))
    years = ages.years if age is None else ages.years.fill_null(age)
    found: list[NormGroup | None] = [
        None
        if own_sex is None or own_age is None
        else norm_group(inventory, cast(Sex, own_sex), own_age)
        for own_sex, own_age in zip(sexes, years, strict=True)
    ]
    without = found.count(None)
    if not without:
        return found, (ages.note,)
    return found, (
        ages.note,
        f"{without} of {count} people have no norm scores: norms go by sex (female or male) and "
        "age, and the file does not tell them; name a norm group to use it for everybody.",
    )


def _told(people: pl.DataFrame, kind: str) -> pl.Series:
    """What the file tells of people as text without spaces around it; null where it does not."""
    column = about_column(people.columns, kind)
    if column is None:
        return pl.Series([None] * len(people), dtype=pl.String)
    return people[column].cast(pl.String).str.strip_chars()


def _norms(
    inventory: Inventory,
    code: str,
    raw: Floats,
    errors: Floats,
    widths: Floats,
    groups: list[NormGroup | None],
    percentile: PercentileMethod,
) -> dict[str, object]:
    """Norm scores of everybody on one scale, each different raw score looked up once a group."""
    table = {name: np.full(raw.size, np.nan) for name in _NORM_COLUMNS}
    levels: list[str | None] = [None] * raw.size
    names = np.array([group.name if group else "" for group in groups])
    for group in {group.name: group for group in groups if group is not None}.values():
        rows = np.flatnonzero((names == group.name) & ~np.isnan(raw))
        scored = np.stack([raw[rows], errors[rows], widths[rows]], axis=1)
        different, which = np.unique(scored, axis=0, return_inverse=True, equal_nan=True)
        found = [
            norm_scores(
                inventory,
                {code: value},
                percentile=percentile,
                group=group,
                sem={code: error},
                z=width,
            ).scores[code]
            for value, error, width in different.tolist()
        ]
        for name in _NORM_COLUMNS:
            table[name][rows] = np.array([getattr(each, name) for each in found])[which.ravel()]
        for row, index in zip(rows.tolist(), which.ravel().tolist(), strict=True):
            levels[row] = found[index].level
    return {
        **table,
        "level": pl.Series(levels, dtype=pl.String),
        "norm_group": pl.Series([g.name if g else None for g in groups], dtype=pl.String),
    }
