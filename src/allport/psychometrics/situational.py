"""Scores of situational items: which side of its trait a respondent leans to.

Every item has options of the high side (value 1) and of the low side (value 0), asked in several
option orders. Three scores: `argmax`, the released rule of TRAIT (arXiv 2406.14703, code of
June 2024), which counts the one option chosen most; `mass`, the probability of the high side; and
`logit`, its log odds, which has no floor or ceiling where no share is zero.

For `mass` and `logit` the orders are put together by the geometric mean. Whatever a label or a
place adds to an option's log-probability is then the same for all options of an item whose orders
show each option once in each place, and cancels, as in a Williams square; the arithmetic mean of
the released rule leaves some of it. So does a square of which an order was not answered.

A share of exactly zero, as generated and sampled answers have, says that an option was not chosen
and not how unlikely it is. An item with one takes the arithmetic mean instead.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allport.errors import ResponsesError

__all__ = [
    "LabelPrior",
    "SituationalScores",
    "estimate_label_prior",
    "remove_label_prior",
    "situational_scores",
]

Floats = NDArray[np.float64]

_FLOOR = 1e-9
"""Probability below which logarithms are not taken further."""


class SituationalScores(NamedTuple):
    """Scores of items, each shape (..., items); NaN where an item has no usable answer."""

    argmax: Floats
    """1 where the option chosen most over the orders is of the high side, else 0."""
    mass: Floats
    """Probability of the high side, 0 to 1."""
    logit: Floats
    """Log odds of the high side; within ±20.7, the log odds of 1 to 1e-9, where a share is zero."""
    orders_answered: NDArray[np.intp]
    """How many orders had a usable answer; 0 where the scores are NaN. Where they are fewer than
    were asked, part of what labels and places add is left in the scores."""


class LabelPrior(NamedTuple):
    """What labels get whatever stands behind them."""

    probabilities: Floats
    """By shown position, shape (positions,), summing to 1."""
    items: int
    """Items it was estimated from."""


def situational_scores(probabilities: ArrayLike, values: ArrayLike) -> SituationalScores:
    """Score items from their label probabilities in several orders.

    `mass` and `logit` put the orders together by the geometric mean, or by the arithmetic mean on
    items where an option has a share of exactly zero in an order that was answered.

    Args:
        probabilities: In content order, shape (..., items, orders, options): options that a ragged
            item has not are NaN in every order, and so is every option of a missing answer. They
            need not sum to 1: each order is normalised over its labels. An order of zeros alone
            counts as missing.
        values: 1 for the high side and 0 for the low side, shape (items, options), NaN where the
            item has no such option.

    Returns:
        The scores. Of options that tie in `argmax`, the first in content order is chosen, as the
        released rule does.

    Raises:
        ResponsesError: Shapes do not fit, or a probability is below zero.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    sides = np.asarray(values, dtype=np.float64)
    if p.ndim < 3 or p.shape[-3::2] != sides.shape:
        raise ResponsesError(
            f"Probabilities of shape {p.shape} do not fit values of shape {sides.shape}; the axes "
            "are (..., items, orders, options) and (items, options)."
        )
    if (p < 0).any():
        raise ResponsesError("A probability is below zero.")
    has = ~np.isnan(sides)  # (items, options)
    totals = np.where(has[:, None], p, 0.0).sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        p = np.where(totals > 0, p / totals, np.nan)
    p = np.where(has[:, None], p, 0.0)
    answered = np.asarray(np.isfinite(p).all(axis=-1))  # (..., items, orders)
    count = answered.sum(axis=-1)
    usable = count > 0
    weight = answered[..., None] / np.maximum(count, 1)[..., None, None]
    mean = (np.nan_to_num(p) * weight).sum(axis=-2)
    chosen = np.where(has, mean, -1.0).argmax(axis=-1)
    high = np.where(has, sides, 0.0)
    argmax = np.take_along_axis(np.broadcast_to(high, mean.shape), chosen[..., None], -1)[..., 0]
    logs = (np.log(np.maximum(np.nan_to_num(p), _FLOOR)) * weight).sum(axis=-2)
    zeros = (answered[..., None] & has[:, None] & (p == 0)).any(axis=(-2, -1))  # (..., items)
    share = np.where(has, np.where(zeros[..., None], mean, np.exp(logs)), 0.0)
    mass_high, mass_low = (share * high).sum(axis=-1), (share * (1 - high)).sum(axis=-1)
    least = np.where(zeros, _FLOOR, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mass = mass_high / (mass_high + mass_low)
        logit = np.log(np.maximum(mass_high, least)) - np.log(np.maximum(mass_low, least))
    argmax, mass, logit = (np.where(usable, score, np.nan) for score in (argmax, mass, logit))
    return SituationalScores(argmax, mass, logit, count)


def estimate_label_prior(shown: ArrayLike) -> LabelPrior:
    """What labels get by themselves, from a few items asked in balanced orders.

    The geometric mean over items and orders of the probabilities at each shown position: where each
    content stands equally often at each position, content cancels out of it (PriDe; Zheng et al.,
    2024, arXiv 2309.03882, there with an arithmetic mean).

    Args:
        shown: Probabilities by shown position, shape (items, orders, positions); missing answers
            are NaN, or zero at every position.

    Raises:
        ResponsesError: No item has all of its orders answered.
    """
    p = np.asarray(shown, dtype=np.float64)
    whole = (p.sum(axis=-1) > 0).all(axis=1)
    if not whole.any():
        raise ResponsesError(
            "No item was answered in every order, from which the prior of the labels is estimated."
        )
    prior = np.exp(np.log(np.maximum(p[whole], _FLOOR)).mean(axis=(0, 1)))
    return LabelPrior(prior / prior.sum(), int(whole.sum()))


def remove_label_prior(shown: ArrayLike, prior: LabelPrior) -> Floats:
    """Probabilities by shown position with the labels' own share divided out, summing to 1.

    Args:
        shown: Shape (..., positions).
        prior: Of as many positions.

    Returns:
        The same shape; NaN where an answer is missing, or zero at every position.
    """
    p = np.asarray(shown, dtype=np.float64) / prior.probabilities
    totals = p.sum(axis=-1, keepdims=True)
    return np.asarray(p / np.where(totals > 0, totals, np.nan))
