"""Covariance and correlation matrices of answers, with missing answers treated as asked."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allport.errors import ResponsesError

__all__ = [
    "Missing",
    "correlation_matrix",
    "covariance_matrix",
    "pairwise_counts",
    "why_unusable",
]

Missing = Literal["pairwise", "listwise", "refuse"]
"""What to do with missing (NaN) answers: use every pair, complete rows only, or refuse them."""

Matrix = NDArray[np.float64]


def covariance_matrix(answers: ArrayLike, missing: Missing = "pairwise") -> Matrix:
    """Covariances between the columns of `answers`, with denominator n - 1.

    Args:
        answers: shape (respondents, items); NaN where an answer is missing.
        missing: `pairwise` takes, for each pair of items, the respondents who answered both, and
            centres on their means (R's `cov(use = "pairwise")`); `listwise` takes complete rows.

    Returns:
        Shape (items, items). NaN for a pair that fewer than two respondents answered.

    Raises:
        ResponsesError: `answers` is not a table, or has missing answers that were to be refused.
    """
    counts, products, sums, _ = _pairwise_moments(_prepared(answers, missing))
    with np.errstate(divide="ignore", invalid="ignore"):
        covariance = (products - sums * sums.T / counts) / (counts - 1)
    covariance[counts < 2] = np.nan
    return covariance


def correlation_matrix(answers: ArrayLike, missing: Missing = "pairwise") -> Matrix:
    """Product-moment correlations between the columns of `answers`.

    Under `pairwise` the standard deviations, too, are those of the respondents who answered both
    items (R's `cor(use = "pairwise")`), so the matrix need not be positive definite.

    Args:
        answers: shape (respondents, items); NaN where an answer is missing.
        missing: see `covariance_matrix`.

    Returns:
        Shape (items, items), diagonal 1. NaN wherever an item does not vary, its own diagonal
        included, or where fewer than two respondents answered both.

    Raises:
        ResponsesError: `answers` is not a table, or has missing answers that were to be refused.
    """
    counts, products, sums, squares = _pairwise_moments(_prepared(answers, missing))
    with np.errstate(divide="ignore", invalid="ignore"):
        # Entry (i, j): spread of item i among those who answered both i and j.
        spread = squares - sums**2 / counts
        # Rounding leaves a constant item a spread of about eps times its sum of squares.
        spread[spread <= 1e-12 * squares] = np.nan
        correlation = (products - sums * sums.T / counts) / np.sqrt(spread * spread.T)
    correlation[counts < 2] = np.nan
    correlation = np.clip((correlation + correlation.T) / 2, -1.0, 1.0)
    varies = np.isfinite(np.diag(correlation))
    correlation[varies, varies] = 1.0
    return correlation


def pairwise_counts(answers: ArrayLike) -> NDArray[np.int64]:
    """Number of respondents who answered both items, shape (items, items)."""
    answered = np.isfinite(_table(answers)).astype(np.float64)
    return np.rint(answered.T @ answered).astype(np.int64)


def why_unusable(correlation: ArrayLike) -> str:
    """Why a correlation matrix cannot be factored, or "" where it can.

    A singular matrix can: only what needs its inverse is then undefined.

    Args:
        correlation: shape (items, items).

    Raises:
        ResponsesError: it is not a square table.
    """
    matrix = _table(correlation)
    if matrix.shape[0] != matrix.shape[1]:
        raise ResponsesError(
            f"A correlation matrix has as many rows as columns, but this one is "
            f"{matrix.shape[0]} x {matrix.shape[1]}."
        )
    broken = ~np.isfinite(np.diag(matrix))
    if broken.any():
        listed = ", ".join(str(i) for i in np.flatnonzero(broken)[:5])
        return f"{int(broken.sum())} item(s) do not vary (column {listed})"
    if not np.isfinite(matrix).all():
        return "some pairs of items have no correlation: too few respondents answered both"
    if not np.allclose(np.diag(matrix), 1.0, atol=1e-8):
        return "the diagonal is not 1: this is not a correlation matrix"
    if not np.allclose(matrix, matrix.T, atol=1e-8):
        return "the matrix is not symmetric"
    if (np.abs(matrix) > 1 + 1e-8).any():
        return "a correlation lies outside -1 to 1"
    return ""


def _table(values: ArrayLike) -> Matrix:
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or table.size == 0:
        raise ResponsesError(
            f"Expected a table with rows and columns, but got an array of shape {table.shape}."
        )
    return table


def _prepared(answers: ArrayLike, missing: Missing) -> Matrix:
    table = _table(answers)
    complete = np.isfinite(table)
    if complete.all():
        return table
    if missing == "refuse":
        raise ResponsesError(
            f"{int((~complete).sum())} answers are missing; "
            "ask for `pairwise` or `listwise` to go on without them."
        )
    return table[complete.all(axis=1)] if missing == "listwise" else table


def _pairwise_moments(table: Matrix) -> tuple[Matrix, Matrix, Matrix, Matrix]:
    """Counts, cross-products, sums and squares of item i among those who answered i and j."""
    answered = np.isfinite(table)
    counts_of_item = np.maximum(answered.sum(axis=0), 1)
    filled = np.where(answered, table, 0.0)
    # Moments about the column mean: sums of squares about zero would lose digits.
    filled = np.where(answered, filled - filled.sum(axis=0) / counts_of_item, 0.0)
    present = answered.astype(np.float64)
    return present.T @ present, filled.T @ filled, filled.T @ present, (filled**2).T @ present
