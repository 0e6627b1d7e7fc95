"""From keyed answers to scale scores, with their standard errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allport.errors import ResponsesError
from allport.psychometrics.covariance import (
    BLOCK_ROWS,
    as_answers,
    blocks,
    has_missing,
    refuse_missing,
)

__all__ = ["MissingAnswers", "ScaleScores", "raw_sums", "scale_membership", "scale_scores"]

Floats: TypeAlias = NDArray[np.float64]
MissingAnswers: TypeAlias = Literal["available", "listwise", "median", "refuse"]


class ScaleScores(NamedTuple):
    """Scores of respondents or administrations on scales. Arrays have shape (rows, scales)."""

    scales: tuple[str, ...]
    """Names, in the order of the last axis."""
    scores: Floats
    """NaN where too few of the scale's items were answered."""
    standard_errors: Floats
    """Standard error of each score over the sampling of items; NaN below two answered items."""
    answered: NDArray[np.int64]
    """How many of the scale's items were answered."""

    def by_name(self) -> dict[str, Floats]:
        """Scores of each scale, shape (rows,), by its name."""
        return {name: self.scores[:, index] for index, name in enumerate(self.scales)}


def scale_membership(scales: Mapping[str, ArrayLike], items: int) -> NDArray[np.bool_]:
    """Which item belongs to which scale, shape (items, scales).

    Args:
        scales: Positions on the item axis of each scale's items, by the scale's name.
        items: How many items there are.

    Raises:
        ResponsesError: A scale is empty, names an item twice, or names one that is not there.
    """
    membership = np.zeros((items, len(scales)), dtype=np.bool_)
    for index, (name, positions) in enumerate(scales.items()):
        columns = np.asarray(positions, dtype=np.intp).ravel()
        if columns.size == 0:
            raise ResponsesError(f"Scale {name} has no items.")
        if columns.min() < 0 or columns.max() >= items:
            raise ResponsesError(
                f"Scale {name} names an item column outside 0 to {items - 1}: the answers have "
                f"{items} items."
            )
        membership[columns, index] = True
        if membership[:, index].sum() < columns.size:
            raise ResponsesError(f"Scale {name} names an item column twice.")
    return membership


def scale_scores(
    keyed: ArrayLike,
    scales: Mapping[str, ArrayLike],
    *,
    missing: MissingAnswers = "available",
    minimum_answered: float = 0.8,
) -> ScaleScores:
    """Mean of the keyed answers of each scale.

    The standard error is the one over items, sqrt(sum (x - mean)^2 / (m (m - 1))) over the m items
    answered: the absolute error of one administration, its items taken as a sample of those that
    could have been asked (Brennan, 2001, Generalizability Theory, section 5.4). It needs neither
    other respondents nor a second administration.

    Args:
        keyed: Keyed answers, shape (respondents or administrations, items), NaN where missing.
        scales: Positions on the item axis of each scale's items, by the scale's name.
        missing: "available" takes the mean of what was answered where that is at least
            `minimum_answered` of the scale; "listwise" gives no score where any item of the scale
            is missing; "median" fills in the item's median over the rows, and its standard errors
            take the filled answers at face value; "refuse" raises if anything is missing.
        minimum_answered: Share of a scale, 0 to 1.

    Returns:
        Scores in the units of the answers.

    Raises:
        ResponsesError: Answers are missing and `missing` is "refuse", or a scale does not fit.
    """
    answers = as_answers(keyed)
    membership = scale_membership(scales, answers.shape[1])
    gaps = has_missing(answers)
    if missing == "refuse":
        refuse_missing(answers, "available, listwise or median")
    lengths = membership.sum(axis=0)
    # Half an item's tolerance is not needed, only that of floats: 0.8 of 5 items is 4 items.
    floor = minimum_answered * lengths - 1e-9 if missing == "available" else lengths
    fill = _medians(answers) if gaps and missing == "median" else None

    shape = (answers.shape[0], len(scales))
    scores, errors = np.empty(shape), np.empty(shape)
    answered = np.broadcast_to(lengths.astype(np.int64), shape).copy()
    for number, values in enumerate(blocks(answers)):
        rows = slice(number * BLOCK_ROWS, number * BLOCK_ROWS + values.shape[0])
        columns = membership.astype(values.dtype)
        used: Any = lengths
        if gaps:
            absent = np.isnan(values)
            answered[rows] = used = (~absent).astype(np.float64) @ columns
            if fill is not None:
                values = np.where(absent, fill, values)
                # A median is missing only where nobody answered the item.
                absent = np.isnan(values)
                used = (~absent).astype(np.float64) @ columns
            values = np.where(absent, 0.0, values)
        with np.errstate(divide="ignore", invalid="ignore"):
            means = np.asarray(values @ columns, dtype=np.float64) / used
            # int8 squares are exact in float32; floats are float64 already.
            squares = np.asarray((values * values) @ columns, dtype=np.float64)
            spread = np.maximum(squares - used * means * means, 0.0)
            errors[rows] = np.sqrt(spread / (used * np.where(used > 1, used - 1, np.nan)))
        means[np.broadcast_to(used < np.maximum(floor, 1), means.shape)] = np.nan
        scores[rows] = means
    errors[np.isnan(scores)] = np.nan
    return ScaleScores(tuple(scales), scores, errors, answered)


def raw_sums(
    keyed: ArrayLike,
    scales: Mapping[str, ArrayLike],
    *,
    missing: MissingAnswers = "available",
    minimum_answered: float = 0.8,
) -> ScaleScores:
    """Sum of the keyed answers of each scale, the score that norm tables are made of.

    Missing answers are treated as in `scale_scores`; under "available" the sum is prorated: the
    mean of what was answered times the number of items, the plain sum where nothing is missing.
    """
    means = scale_scores(keyed, scales, missing=missing, minimum_answered=minimum_answered)
    lengths = np.array([np.size(positions) for positions in scales.values()])
    return means._replace(
        scores=means.scores * lengths, standard_errors=means.standard_errors * lengths
    )


def _medians(answers: NDArray[Any]) -> Floats:
    """Median of each item over those who answered it; NaN where nobody did. Shape (items,)."""
    medians = np.full(answers.shape[1], np.nan)
    for item in range(answers.shape[1]):
        column = answers[:, item]
        column = column[~np.isnan(column)]
        if column.size:
            medians[item] = np.median(column)
    return medians
