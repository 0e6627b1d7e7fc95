"""Rotations of factor loadings: varimax, oblimin, and to a target."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["RotatedLoadings", "Rotation", "Stopping", "rotate_loadings", "target_rotation"]

Rotation: TypeAlias = Literal["none", "varimax", "oblimin"]
Stopping: TypeAlias = Literal["exact", "psych"]
"""Search to the optimum, or stop where R's psych and its rotations stop, some thousandths of a
loading short of it at times. The second is for comparing with published figures."""

Floats: TypeAlias = NDArray[np.float64]


class RotatedLoadings(NamedTuple):
    """Loadings after rotation, factors ordered by the variance they explain.

    Attributes:
        loadings: Pattern, shape (items, factors); each column sums to at least zero.
        factor_correlations: Shape (factors, factors); the identity for orthogonal rotations.
        ss_loadings: Variance explained by each factor, shape (factors,).
    """

    loadings: Floats
    factor_correlations: Floats
    ss_loadings: Floats


def rotate_loadings(
    loadings: ArrayLike,
    method: Rotation = "oblimin",
    *,
    starts: int = 3,
    seed: int = 0,
    stopping: Stopping = "exact",
) -> RotatedLoadings:
    """Rotate orthogonal loadings to simple structure.

    `varimax` maximises the variance of squared loadings within factors, with Kaiser's
    normalisation of rows (Kaiser 1958); `oblimin` is direct oblimin with gamma 0, that is
    quartimin, without normalisation (Jennrich & Sampson 1966), found by gradient projection
    (Jennrich 2002). The communality of each item is left as it was.

    Args:
        loadings: Unrotated, shape (items, factors), finite.
        method: `none`, `varimax` or `oblimin`.
        starts: How many starting points: the unrotated loadings, and random turns of them. The
            lowest criterion wins. One alone can stick where it stands, at worst with two alike
            groups of items, whose unrotated factors balance on a saddle. psych has one.
        seed: Of the random starting points.
        stopping: Where to stop, see `Stopping`.
    """
    if method not in ("none", "varimax", "oblimin"):
        raise ValueError(f"unknown rotation {method!r}: none, varimax or oblimin")
    unrotated = np.asarray(loadings, dtype=np.float64)
    factors = unrotated.shape[1]
    if factors == 1 or method == "none" or not unrotated.any():
        return _ordered(unrotated, np.eye(factors))
    rng = np.random.default_rng(seed)
    best, lowest = (unrotated, np.eye(factors)), np.inf
    for start in range(max(starts, 1) if stopping == "exact" else 1):
        turn = np.eye(factors)
        if start:
            turn = np.linalg.qr(rng.standard_normal((factors, factors)))[0]
        solution, criterion = _simple_structure(unrotated @ turn, method, stopping)
        if criterion < lowest - 1e-10:
            best, lowest = solution, criterion
    return _ordered(*best)


def target_rotation(loadings: ArrayLike, target: ArrayLike) -> tuple[Floats, Floats]:
    """Orthogonal Procrustes rotation: the turn T that brings `loadings` closest to `target`.

    T = U V' from the singular value decomposition U S V' of loadings' target minimises the sum of
    squared differences between loadings T and target over orthogonal T (Schönemann 1966).
    Reflections are allowed, so factors of the wrong sign are turned over.

    Args:
        loadings: Shape (items, factors).
        target: The same shape: another group's loadings, or an ideal pattern of -1, 0 and 1.

    Returns:
        The rotated loadings and T; both NaN where an input is not finite.

    Raises:
        ValueError: The shapes differ.
    """
    moved = np.asarray(loadings, dtype=np.float64)
    fixed = np.asarray(target, dtype=np.float64)
    if moved.shape != fixed.shape or moved.ndim != 2:
        raise ValueError(
            f"loadings of shape {moved.shape} cannot be turned to a target of shape {fixed.shape}"
        )
    if not (np.isfinite(moved).all() and np.isfinite(fixed).all()):
        factors = moved.shape[1]
        return np.full_like(moved, np.nan), np.full((factors, factors), np.nan)
    left, _, right = np.linalg.svd(moved.T @ fixed)
    turn = left @ right
    return moved @ turn, turn


def _simple_structure(
    loadings: Floats, method: Literal["varimax", "oblimin"], stopping: Stopping
) -> tuple[tuple[Floats, Floats], float]:
    """Rotated loadings with factor correlations, and the criterion reached (lower is better)."""
    if method == "varimax":
        rotated, criterion = _varimax(loadings, 1e-12 if stopping == "exact" else 1e-5)
        return (rotated, np.eye(loadings.shape[1])), criterion
    # Imported here: statsmodels takes about a second, and scoring does not need it.
    from statsmodels.multivariate.factor_rotation import rotate_factors

    if stopping == "exact":  # varimax is quick, and most of the way
        loadings = _varimax(loadings, 1e-6)[0]
    # A gradient below 1e-7 is lost in rounding; R's GPArotation stops at 1e-5.
    tolerance, most = (1e-7, 500) if stopping == "exact" else (1e-5, 1001)
    try:
        # It records the logarithm of the gradient, which can be zero at the start.
        with np.errstate(divide="ignore"):
            rotated, turn = rotate_factors(loadings, "quartimin", tol=tolerance, max_tries=most)
    except np.linalg.LinAlgError:  # two factors collapsed into one on the way
        return (loadings, np.eye(loadings.shape[1])), np.inf
    squared = rotated**2
    criterion = float(((squared.sum(axis=1)) ** 2).sum() - (squared**2).sum())
    return (rotated, turn.T @ turn), criterion


def _varimax(loadings: Floats, tolerance: float) -> tuple[Floats, float]:
    """Varimax by repeated polar decomposition of the criterion's gradient (Sherin 1966)."""
    lengths = np.sqrt((loadings**2).sum(axis=1, keepdims=True))
    lengths[lengths == 0] = 1.0
    rows = loadings / lengths
    rotated, reached = rows, 0.0
    for _ in range(5000):
        gradient = rows.T @ (rotated**3 - rotated * (rotated**2).mean(axis=0))
        left, singular, right = np.linalg.svd(gradient)
        rotated = rows @ (left @ right)
        before, reached = reached, float(singular.sum())
        if reached <= before * (1 + tolerance):
            break
    return rotated * lengths, -float((rotated**2).var(axis=0).sum())


def _ordered(loadings: Floats, factor_correlations: Floats) -> RotatedLoadings:
    """Largest factor first, each turned so that its loadings sum to at least zero."""
    explained = np.diag(factor_correlations @ loadings.T @ loadings)
    order = np.argsort(-explained, kind="stable")
    signs = np.where(loadings[:, order].sum(axis=0) < 0, -1.0, 1.0)
    return RotatedLoadings(
        loadings[:, order] * signs,
        factor_correlations[np.ix_(order, order)] * np.outer(signs, signs),
        explained[order],
    )
