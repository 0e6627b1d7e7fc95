"""What is wrong with a correlation matrix, before anything is made of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["eigenvalues", "square_matrix", "why_singular", "why_unusable"]


def square_matrix(values: ArrayLike) -> NDArray[np.float64]:
    """The values as a square table of floats.

    Raises:
        ValueError: They are not one.
    """
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.size == 0:
        raise ValueError(f"a correlation matrix is square, but this has shape {matrix.shape}")
    return matrix


def eigenvalues(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Eigenvalues of a symmetric matrix, largest first, shape (items,)."""
    return np.asarray(np.linalg.eigvalsh(matrix)[::-1], dtype=np.float64)


def why_unusable(correlation: NDArray[np.float64]) -> str:
    """Why a correlation matrix cannot be factored, or "" where it can.

    A singular matrix can be: only what needs its inverse is undefined then (see `why_singular`).

    Args:
        correlation: Shape (items, items).
    """
    constant = np.flatnonzero(~np.isfinite(np.diag(correlation)))
    if constant.size:
        listed = ", ".join(str(item + 1) for item in constant[:5])
        more = ", ..." if constant.size > 5 else ""
        return f"{constant.size} of {len(correlation)} items do not vary (column {listed}{more})"
    if not np.isfinite(correlation).all():
        return "some items have no correlation: too few answered both, or all alike"
    if not np.allclose(np.diag(correlation), 1.0, rtol=0.0, atol=1e-8):
        return "the diagonal is not 1, so this is not a correlation matrix"
    if not np.allclose(correlation, correlation.T, rtol=0.0, atol=1e-8):
        return "the matrix is not symmetric"
    if np.abs(correlation).max() > 1.0 + 1e-8:
        return "a correlation lies outside -1 to 1"
    return ""


def why_singular(correlation: NDArray[np.float64]) -> str:
    """Why a usable correlation matrix has no inverse or is no matrix of correlations, or "".

    Pairwise correlations of incomplete answers may contradict one another, which shows as a
    negative eigenvalue.

    Args:
        correlation: Shape (items, items), finite and symmetric.
    """
    smallest = eigenvalues(correlation)[-1]
    if smallest < -1e-10:
        return "the correlations contradict one another: an eigenvalue is negative"
    if smallest < 1e-10:
        return "the correlation matrix is singular: some items follow from others"
    return ""
