"""From keyed answers to scale scores, with their standard errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allport.errors import ResponsesError
from allport.psychometrics.covariance import ROUNDING, as_answers, blocks, refuse_missing

__all__ = ["MissingAnswers", "ScaleScores", "raw_sums", "scale_scores"]

Floats: TypeAlias = NDArray[np.float64]
MissingAnswers: TypeAlias = Literal["available", "listwise", "median", "refuse"]


class ScaleScores(NamedTuple):
    """Scores of respondents or administrations on scales. Arrays have shape (rows, scales)."""

    scales: tuple[str, ...]
    """Names, in the order of the last axis."""
    scores: Floats
    """NaN where too few of the scale's items were answered."""
    standard_errors: Floats
    """Standard error of each score over the sampling of items; NaN below two answered items, and
    where all have the same answer, which tells nothing of other items."""
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
    other respondents nor a second administration. Where all have the same answer it would be 0,
    though they tell nothing of other items; it is NaN there.

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
    if missing == "refuse":
        refuse_missing(answers, "available, listwise or median")
    lengths = membership.sum(axis=0, dtype=np.int64)
    # A tolerance for floats only: 0.8 of 5 items is 4 items.
    floor = minimum_answered * lengths - 1e-9 if missing == "available" else lengths
    medians: Floats | None = None
    shape = (answers.shape[0], len(scales))
    scores, errors = np.empty(shape), np.empty(shape)
    # Takes no memory of its own until somebody has left something out.
    answered = np.broadcast_to(lengths, shape)
    columns: NDArray[Any] = membership.astype(np.float64)
    for span, block in blocks(answers):
        columns = columns.astype(block.dtype, copy=False)
        sums, squares = scores[span], errors[span]
        sums[:] = block @ columns
        # A missing answer makes the sums it is in NaN, so complete blocks are not searched.
        partial = np.empty(0, dtype=np.intp)
        if np.isnan(sums.sum()):
            partial = np.flatnonzero(np.isnan(sums).any(axis=1))
        gaps = block[partial]
        np.multiply(block, block, out=block)
        squares[:] = block @ columns
        _to_means_and_errors(sums, squares, lengths)
        if partial.size:
            if missing == "median" and medians is None:
                medians = _medians(answers)
            absent = np.isnan(gaps)
            if not answered.flags.writeable:
                answered = answered.copy()
            answered[span.start + partial] = (~absent).astype(np.float64) @ columns
            if medians is not None:
                gaps = np.where(absent, medians, gaps)
                # A median is missing only where nobody answered the item.
                absent = np.isnan(gaps)
            used = (~absent).astype(np.float64) @ columns
            gaps = np.where(absent, 0.0, gaps)
            means, spread = gaps @ columns, gaps**2 @ columns
            _to_means_and_errors(means, spread, used)
            too_few = used < np.maximum(floor, 1)
            sums[partial] = np.where(too_few, np.nan, means)
            squares[partial] = np.where(too_few, np.nan, spread)
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


def _to_means_and_errors(sums: Floats, squares: Floats, used: NDArray[Any]) -> None:
    """Turn sums into means, and sums of squares into standard errors, in place."""
    with np.errstate(divide="ignore", invalid="ignore"):
        sums /= used
        left_by_rounding = ROUNDING * squares
        squares -= used * sums * sums
        squares[squares <= left_by_rounding] = np.nan
        squares /= used * np.where(used > 1, used - 1.0, np.nan)
        np.sqrt(squares, out=squares)
