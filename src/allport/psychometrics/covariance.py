"""Covariances of items, complete or with missing answers, without a second copy of the data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allport.errors import ResponsesError

__all__ = ["Covariance", "MissingPairs", "as_answers", "has_missing", "item_covariance"]

Floats: TypeAlias = NDArray[np.float64]
MissingPairs: TypeAlias = Literal["pairwise", "listwise", "refuse"]

# Rows per block. Products of two int8 answers summed over 1,024 rows stay below 2**24, so a float32
# Gram matrix of a block is exact; blocks of this size also stay in the processor's cache.
BLOCK_ROWS = 1024


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


def blocks(answers: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Blocks of rows as floats: float32 where that is exact (int8), else float64."""
    dtype = np.float32 if answers.dtype in (np.int8, np.bool_) else np.float64
    for start in range(0, answers.shape[0], BLOCK_ROWS):
        yield answers[start : start + BLOCK_ROWS].astype(dtype)


def has_missing(answers: NDArray[Any]) -> bool:
    """Whether any answer is NaN, looked at in blocks."""
    if answers.dtype.kind != "f":
        return False
    return any(
        bool(np.isnan(answers[start : start + BLOCK_ROWS]).any())
        for start in range(0, answers.shape[0], BLOCK_ROWS)
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
    if missing == "refuse":
        refuse_missing(answers, "pairwise or listwise")
    items = answers.shape[1]
    # Covariance does not depend on an item's origin. Counting floats from each item's first answer
    # keeps precision, and makes an item that does not vary exactly zero. Integers are exact as is.
    origin = np.zeros(items)
    if answers.dtype.kind == "f" and answers.shape[0]:
        first = np.argmax(~np.isnan(answers), axis=0)
        origin = np.nan_to_num(answers[first, np.arange(items)].astype(np.float64))
    products, sums, squares, counts = (np.zeros((items, items)) for _ in range(4))
    complete_sums, complete_squares, complete_rows, partial_rows = (
        np.zeros(items),
        np.zeros(items),
        0,
        0,
    )
    for block in blocks(answers):
        if answers.dtype.kind == "f":
            block -= origin
            absent = np.isnan(block)
            partial = absent.any(axis=1)
            if partial.any():
                if missing == "pairwise":
                    present = (~absent[partial]).astype(np.float64)
                    values = np.nan_to_num(block[partial])
                    products += values.T @ values
                    sums += values.T @ present
                    squares += (values * values).T @ present
                    counts += present.T @ present
                    partial_rows += int(present.any(axis=1).sum())
                block = block[~partial]
        products += block.T @ block
        complete_sums += block.sum(axis=0, dtype=np.float64)
        complete_squares += np.einsum("ij,ij->j", block, block)
        complete_rows += block.shape[0]
    # On complete rows the sum of item i over the rows that have j is the same for every j.
    sums += complete_sums[:, None]
    squares += complete_squares[:, None]
    counts += complete_rows
    with np.errstate(divide="ignore", invalid="ignore"):
        degrees = np.where(counts > 1, counts - 1, np.nan)
        covariance = (products - sums * sums.T / counts) / degrees
        variances = (squares - sums * sums / counts) / degrees
        variances = np.where(variances > 0, variances, np.nan)
        correlation = covariance / np.sqrt(variances * variances.T)
        means = np.diagonal(sums) / np.diagonal(counts) + origin
    varying = ~np.isnan(np.diagonal(correlation))
    correlation[varying, varying] = 1.0
    return Covariance(covariance, correlation, means, complete_rows + partial_rows)
