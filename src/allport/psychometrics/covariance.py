"""Covariances of items, complete or with missing answers, without a second copy of the data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allport.errors import ResponsesError

__all__ = ["Covariance", "MissingPairs", "item_covariance"]

Floats: TypeAlias = NDArray[np.float64]
MissingPairs: TypeAlias = Literal["pairwise", "listwise", "refuse"]

# Numbers per block, 16 MB of float64. Larger blocks make fewer calls into linear algebra, each of
# which waits for its slowest thread; smaller ones hold less beside the data.
BLOCK_NUMBERS = 2**21
# Whole numbers up to here are exact in float32.
EXACT = 2**24
# Share of a sum of squares that may be left by rounding alone.
ROUNDING = 1e-13


class Covariance(NamedTuple):
    """Second moments of items, k of them."""

    covariance: Floats
    """Shape (k, k), divisor n - 1. NaN where fewer than two rows have both items."""
    correlation: Floats
    """Shape (k, k). NaN in the row and column of an item that does not vary."""
    means: Floats
    """Shape (k,)."""
    rows: int
    """Rows with at least one answer (pairwise), or with all of them (listwise)."""
    counts: NDArray[np.int64]
    """Rows that have both items, which each covariance is computed over. Shape (k, k)."""


def as_answers(answers: ArrayLike) -> NDArray[Any]:
    """Answers as an array of shape (respondents or administrations, items), NaN where missing.

    Numbers keep their type, so that nothing large is copied; integers have no missing answers.

    Raises:
        ResponsesError: The array is not two-dimensional.
    """
    array = np.asarray(answers)
    if array.dtype.kind not in "biuf":
        array = np.asarray(answers, dtype=np.float64)
    if array.ndim != 2:
        raise ResponsesError(
            f"Answers of shape {array.shape} do not form a table; two axes are needed: "
            "respondents or administrations, then items."
        )
    return array


def blocks(answers: NDArray[Any]) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Rows of a block, and their answers as floats: float32 where sums of squares are exact in it
    (int8), else float64.

    The array given is used again for the next block.
    """
    rows, items = answers.shape
    most = max(1, BLOCK_NUMBERS // max(items, 1))
    dtype: Any = np.float64
    if answers.dtype in (np.int8, np.bool_) and answers.size:
        dtype = np.float32
        largest = max(int(answers.max()), -int(answers.min()), 1)
        most = min(most, EXACT // largest**2)
    buffer = np.empty((min(most, rows), items), dtype)
    for start in range(0, rows, most):
        span = slice(start, min(start + most, rows))
        block = buffer[: span.stop - start]
        np.copyto(block, answers[span])
        yield span, block


def has_missing(answers: NDArray[Any]) -> bool:
    """Whether any answer is NaN, found by sums: they cost a fraction of looking at each."""
    if answers.dtype.kind != "f" or not answers.size:
        return False
    rows = max(1, BLOCK_NUMBERS // answers.shape[1])
    with np.errstate(invalid="ignore", over="ignore"):
        return any(
            bool(np.isnan(answers[start : start + rows].sum()))
            for start in range(0, answers.shape[0], rows)
        )


def refuse_missing(answers: NDArray[Any], policies: str) -> None:
    """Raise if any answer is missing.

    Args:
        answers: Shape (rows, items).
        policies: The other policies that can be asked for, named in the message.

    Raises:
        ResponsesError: Some answer is missing.
    """
    if not has_missing(answers):
        return
    missing = np.isnan(answers)
    if not missing.any():
        return
    row, column = np.argwhere(missing)[0]
    raise ResponsesError(
        f"{int(missing.sum())} of {missing.size} answers are missing, the first in row {row + 1}, "
        f"item column {column + 1}; complete them, or choose how to treat them: {policies}."
    )


def item_covariance(answers: ArrayLike, missing: MissingPairs = "pairwise") -> Covariance:
    """Covariance and correlation matrices of items.

    With n rows that have both items i and j, and means over those rows,
    cov(i, j) = sum (x_i - m_i)(x_j - m_j) / (n - 1); a pairwise correlation divides by the standard
    deviations over those same rows, as R's `cor(use = "pairwise")` does.

    Args:
        answers: Shape (respondents or administrations, items), NaN where missing. int8 and float32
            are read in blocks and never copied whole.
        missing: "pairwise" uses every row that has both items; "listwise" only rows that have all;
            "refuse" raises if anything is missing.

    Returns:
        The matrices, shape (items, items), with NaN where they cannot be computed.

    Raises:
        ResponsesError: Answers are missing and `missing` is "refuse".
    """
    answers = as_answers(answers)
    everything = np.ones((answers.shape[1], 1), dtype=np.bool_)
    return covariance_of_scales(answers, everything, missing)[0]


def covariance_of_scales(
    answers: NDArray[Any], membership: NDArray[np.bool_], missing: MissingPairs
) -> tuple[Covariance, NDArray[np.int64]]:
    """`item_covariance`, and how many rows answered any item of each scale, shape (scales,).

    Args:
        answers: Shape (rows, items).
        membership: Which item belongs to which scale, shape (items, scales).
        missing: As for `item_covariance`.
    """
    if missing == "refuse":
        refuse_missing(answers, "pairwise or listwise")
    items = answers.shape[1]
    floating = answers.dtype.kind == "f"
    # Covariance does not depend on an item's origin. Counting floats from each item's first answer
    # keeps precision, and makes an item that does not vary exactly zero. Integers are exact as is.
    origin = np.zeros(items)
    if floating and answers.size:
        first = np.argmax(~np.isnan(answers[:1]), axis=0)
        if np.isnan(answers[:1]).any():
            first = np.argmax(~np.isnan(answers), axis=0)
        origin = np.nan_to_num(answers[first, np.arange(items)].astype(np.float64))
    complete = np.zeros((items, items))
    complete_sums, complete_rows = np.zeros(items), 0
    products, sums, squares, counts = (np.zeros((items, items)) for _ in range(4))
    scale_rows = np.zeros(membership.shape[1], dtype=np.int64)
    for _, block in blocks(answers):
        if floating:
            block -= origin
        block_sums = np.ones(len(block), dtype=block.dtype) @ block
        # A missing answer makes its column's sum NaN, so complete blocks are not searched.
        if floating and np.isnan(block_sums).any():
            absent = np.isnan(block)
            partial = absent.any(axis=1)
            if missing == "pairwise":
                present = (~absent[partial]).astype(np.float64)
                values = np.nan_to_num(block[partial])
                products += values.T @ values
                sums += values.T @ present
                squares += (values * values).T @ present
                counts += present.T @ present
                scale_rows += (present @ membership > 0).sum(axis=0)
            block = block[~partial]
            block_sums = block.sum(axis=0)
        complete += block.T @ block
        complete_sums += block_sums
        complete_rows += len(block)
    products += complete
    # On complete rows the sum of item i over the rows that have j is the same for every j.
    sums += complete_sums[:, None]
    squares += np.diagonal(complete)[:, None]
    counts += complete_rows
    scale_rows += complete_rows
    with np.errstate(divide="ignore", invalid="ignore"):
        degrees = np.where(counts > 1, counts - 1, np.nan)
        covariance = (products - sums * sums.T / counts) / degrees
        variances = (squares - sums * sums / counts) / degrees
        # What rounding leaves of an item that does not vary over a pair's rows is no variance.
        negligible = ROUNDING * squares / degrees
        variances = np.where(variances > negligible, variances, np.nan)
        correlation = covariance / np.sqrt(variances * variances.T)
        means = np.diagonal(sums) / np.diagonal(counts) + origin
    varying = ~np.isnan(np.diagonal(correlation))
    correlation[varying, varying] = 1.0
    rows = int(scale_rows.max(initial=0))
    return Covariance(covariance, correlation, means, rows, counts.astype(np.int64)), scale_rows
