"""Response styles, and telling whether stored answers are keyed or literal."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allport.errors import ResponsesError
from allport.psychometrics.covariance import as_answers, item_covariance
from allport.psychometrics.estimate import Estimate, undefined

__all__ = [
    "KeyingCheck",
    "acquiescence",
    "check_keying",
    "extreme_responding",
    "midpoint_responding",
]

Floats: TypeAlias = NDArray[np.float64]

# Below this a correlation between two items says next to nothing of its sign.
FEWEST_ROWS = 10
# This many decide the sign beyond doubt; a whole population would only cost memory.
MOST_ROWS = 20_000


class KeyingCheck(NamedTuple):
    """Whether stored answers are keyed or literal, and the figures that say so."""

    verdict: Literal["keyed", "literal", "undecided"]
    cross_key: Estimate
    """Mean correlation of two items of one facet with opposite keys: positive where answers are
    keyed, negative where they are literal."""
    same_key: Estimate
    """Mean correlation of two items of one facet with the same key: positive either way."""
    cross_pairs: int
    same_pairs: int
    reason: str
    """Why the verdict is what it is, in words for a message."""


def acquiescence(literal: ArrayLike, keys: ArrayLike) -> Floats:
    """Agreeing whatever the item says: mean literal answer with both keys weighing the same.

    Half the sum of the mean over items keyed +1 and the mean over items keyed -1. What a respondent
    is like raises one as it lowers the other, so what is left is agreement itself; no bias gives
    the midpoint of the scale. (Soto, John, Gosling and Potter, 2008, J Pers Soc Psychol 94, take
    the same balance from pairs of opposite items.)

    Args:
        literal: Literal answers, shape (respondents or administrations, items), NaN where missing.
        keys: +1 or -1, shape (items,).

    Returns:
        In the units of the scale, shape (rows,); NaN where no item of one of the keys was answered.

    Raises:
        ResponsesError: The keys do not fit the items.
    """
    answers = np.asarray(as_answers(literal), dtype=np.float64)
    sign = _keys(keys, answers.shape[1])
    return np.asarray((_row_means(answers[:, sign > 0]) + _row_means(answers[:, sign < 0])) / 2)


def extreme_responding(literal: ArrayLike, scale: ArrayLike) -> Floats:
    """Share of answers at either end of the scale, shape (rows,); NaN where nothing was answered.

    Args:
        literal: Answers chosen, shape (rows, items), NaN where missing; keyed ones do as well.
        scale: Values of all options, shape (options,), whether anybody chose them or not.
    """
    values = np.asarray(scale, dtype=np.float64)
    return _share(literal, [values.min(), values.max()])


def midpoint_responding(literal: ArrayLike, scale: ArrayLike) -> Floats:
    """Share of answers at the middle of the scale, shape (rows,); NaN where nothing was answered.

    A scale with an even number of options has no middle, and all shares are then NaN.

    Args:
        literal: Answers chosen, shape (rows, items), NaN where missing; keyed ones do as well.
        scale: Values of all options, shape (options,), whether anybody chose them or not.
    """
    values = np.sort(np.asarray(scale, dtype=np.float64))
    if values.size % 2 == 0:
        return np.full(as_answers(literal).shape[0], np.nan)
    return _share(literal, [values[values.size // 2]])


def check_keying(
    answers: ArrayLike,
    keys: ArrayLike,
    facets: Sequence[Hashable],
    *,
    confidence: float = 0.99,
) -> KeyingCheck:
    """Tell from the answers alone whether they are stored keyed or literal.

    Two items of one facet with opposite keys say opposite things. Literal answers to them correlate
    negatively; once reversed toward the facet, positively. The verdict is the sign of the mean
    correlation of all such pairs, given when its interval excludes zero; otherwise it is undecided.
    The interval takes the spread over respondents of their contributions to the mean, the products
    of their standard scores. Of more than 20,000 rows every so-manyth is taken, so that no more are
    left.

    Args:
        answers: Shape (respondents or administrations, items), NaN where missing.
        keys: +1 or -1, shape (items,).
        facets: Code of each item's facet (or trait, where there are no facets), length items.
        confidence: That the interval must have to exclude zero.

    Raises:
        ResponsesError: Keys or facets do not fit the items.
    """
    table = as_answers(answers)
    table = table[:: max(1, math.ceil(len(table) / MOST_ROWS))]
    rows, items = table.shape
    sign = _keys(keys, items)
    if len(facets) != items:
        raise ResponsesError(f"{len(facets)} facet codes do not fit {items} items.")
    codes = {facet: index for index, facet in enumerate(dict.fromkeys(facets))}
    facet = np.array([codes[code] for code in facets])
    together = np.triu(facet[:, None] == facet[None, :], 1)
    moments = item_covariance(table)
    together &= ~np.isnan(moments.correlation)
    opposite = sign[:, None] != sign[None, :]
    cross, same = together & opposite, together & ~opposite
    none = undefined("no two items of one facet can be compared")
    if rows < FEWEST_ROWS:
        none = undefined(f"{rows} rows are too few for correlations; {FEWEST_ROWS} are needed")
    if rows < FEWEST_ROWS or not cross.any():
        reason = none.reason
        if rows >= FEWEST_ROWS:
            reason = "no facet has varying items of both keys"
        return KeyingCheck("undecided", none, none, int(cross.sum()), int(same.sum()), reason)
    scores = _standard_scores(table, moments.means)
    cross_key = _mean_correlation(moments.correlation, cross, scores, confidence)
    same_key = (
        _mean_correlation(moments.correlation, same, scores, confidence) if same.any() else none
    )
    figure = f"items of one facet with opposite keys correlate {cross_key.value:+.2f} on average"
    verdict: Literal["keyed", "literal", "undecided"]
    if cross_key.low > 0:
        verdict, meaning = "keyed", "as keyed answers do"
    elif cross_key.high < 0:
        verdict, meaning = "literal", "as literal answers do"
    else:
        verdict, meaning = "undecided", f"too near zero for {rows} rows to tell"
    return KeyingCheck(
        verdict, cross_key, same_key, int(cross.sum()), int(same.sum()), f"{figure}, {meaning}"
    )


def _keys(keys: ArrayLike, items: int) -> NDArray[Any]:
    sign = np.asarray(keys)
    if sign.shape != (items,) or not np.isin(sign, (-1, 1)).all():
        raise ResponsesError(f"Keys must be +1 or -1, one for each of {items} items.")
    return sign


def _share(answers: ArrayLike, values: list[float]) -> Floats:
    table = np.asarray(as_answers(answers), dtype=np.float64)
    among = np.isin(table, values).astype(np.float64)
    return _row_means(np.where(np.isnan(table), np.nan, among))


def _row_means(answers: Floats) -> Floats:
    answered = (~np.isnan(answers)).sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.nansum(answers, axis=1) / np.where(answered > 0, answered, np.nan))


def _standard_scores(answers: NDArray[Any], means: Floats) -> Floats:
    """Standard scores of the items, 0 where an answer is missing or the item does not vary."""
    centred = np.nan_to_num(answers - means)
    deviations = np.sqrt(np.square(centred).sum(axis=0) / max(len(centred) - 1, 1))
    return np.asarray(centred / np.where(deviations > 0, deviations, 1.0))


def _mean_correlation(
    correlation: Floats, pairs: NDArray[np.bool_], scores: Floats, confidence: float
) -> Estimate:
    """Mean of the marked correlations, with an interval from respondents' contributions to it."""
    from scipy.special import stdtrit

    value = float(correlation[pairs].mean())
    # Respondent r adds sum over pairs of z_ri z_rj, which is z_r' P z_r.
    contributions = np.einsum("ri,ri->r", scores @ pairs.astype(np.float64), scores) / pairs.sum()
    rows = len(contributions)
    error = float(contributions.std(ddof=1)) / math.sqrt(rows)
    width = float(stdtrit(rows - 1, (1 + confidence) / 2)) * error
    return Estimate(value, max(-1.0, value - width), min(1.0, value + width))
