from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from allport.errors import ResponsesError
from allport.psychometrics import (
    correlate,
    cronbach_alpha,
    disattenuated_correlation,
    scale_relations,
)

RNG = np.random.default_rng(3)
TRAITS = RNG.normal(size=(80, 2))
FIRST, SECOND, OTHER = (
    TRAITS[:, [trait]] + RNG.normal(size=(80, items)) for trait, items in ((0, 5), (0, 8), (1, 4))
)


def ratio_item_by_item(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Heterotrait-monotrait ratio, correlation by correlation."""

    def mean(pairs: list[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> float:
        return float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in pairs]))

    between = mean([(a, b) for a in x.T for b in y.T])
    return between / math.sqrt(mean([*combinations(x.T, 2)]) * mean([*combinations(y.T, 2)]))


def test_every_figure_is_that_of_its_own_function() -> None:
    found = scale_relations([FIRST, SECOND, OTHER], TRAITS[:, [0, 0, 1]])
    tables = (FIRST, SECOND, OTHER)
    for (a, b), r in found.correlation.items():
        expected = correlate(tables[a].mean(axis=1), tables[b].mean(axis=1))
        assert r.value == pytest.approx(expected.value)
        # Bootstrap and Fisher's interval agree on normal scores.
        assert (r.low, r.high) == pytest.approx((expected.low, expected.high), abs=0.06)
        alphas = [cronbach_alpha(tables[n]).raw.value for n in (a, b)]
        corrected = disattenuated_correlation(expected, *alphas)
        assert found.disattenuated[a, b].value == pytest.approx(corrected.value)
        ratio = found.htmt[a, b]
        assert ratio.value == pytest.approx(ratio_item_by_item(tables[a], tables[b]))
        assert ratio.low < ratio.value < ratio.high
    assert found.criterion[2].value == pytest.approx(
        correlate(OTHER.sum(axis=1), TRAITS[:, 1]).value
    )


def test_the_ratio_estimates_the_correlation_of_what_is_measured() -> None:
    rng = np.random.default_rng(3)
    true = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], 5000)
    x = true[:, :1] + rng.standard_normal((5000, 5))
    y = true[:, 1:] + 0.7 * rng.standard_normal((5000, 3))
    assert scale_relations([x, y], resamples=0).htmt[0, 1].value == pytest.approx(0.5, abs=0.03)


def test_the_interval_of_a_ratio_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    held = 0
    for seed in range(60):
        true = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], 60)
        x, y = (true[:, [n]] + rng.standard_normal((60, 4)) for n in range(2))
        ratio = scale_relations([x, y], resamples=150, seed=seed).htmt[0, 1]
        held += ratio.low < 0.5 < ratio.high
    assert held >= 52


def test_traits_of_bfi_are_told_apart(bfi: Any) -> None:
    whole = bfi.keyed[~np.isnan(bfi.keyed).any(axis=1)]
    names = sorted({name[0] for name in bfi.items})
    scales = [whole[:, [item[0] == name for item in bfi.items]] for name in names]
    ratios = scale_relations(scales, resamples=0).htmt
    assert len(ratios) == 10
    a, b = max(ratios, key=lambda pair: ratios[pair].value)
    assert (names[a], names[b]) == ("A", "E")
    assert ratios[a, b].value < 0.85


def test_items_that_do_not_vary_count_in_no_ratio() -> None:
    padded = np.hstack([FIRST, np.full((80, 2), 0.1)])
    with_constant = scale_relations([padded, SECOND], resamples=0)
    without = scale_relations([FIRST, SECOND], resamples=0)
    assert with_constant.htmt[0, 1].value == pytest.approx(without.htmt[0, 1].value)
    assert math.isnan(without.htmt[0, 1].low)
    assert without.criterion == ()


def test_what_has_no_value_says_why() -> None:
    found = scale_relations([FIRST, OTHER[:, :1], np.ones((80, 3)), FIRST * [1, -1, 1, -1, 1]])
    assert found.correlation[0, 1].reason == ""
    assert "one item has no correlations within" in found.htmt[0, 1].reason
    assert "one item has no internal consistency" in found.disattenuated[0, 1].reason
    assert "does not vary" in found.correlation[0, 2].reason
    assert "do not correlate positively" in found.htmt[0, 3].reason
    assert "alpha" in found.disattenuated[0, 3].reason
    for figures in (found.htmt[0, 1], found.correlation[0, 2]):
        assert math.isnan(figures.value)
    one_varies = np.hstack([FIRST[:, :1], np.full((80, 2), 0.1)])
    assert "fewer than two items" in scale_relations([SECOND, one_varies]).htmt[0, 1].reason
    with pytest.raises(ValueError, match="no scales to relate"):
        scale_relations([])
    unknown = TRAITS.copy()
    unknown[3, 1] = math.nan
    with pytest.raises(ResponsesError, match="criterion is missing in some rows"):
        scale_relations([FIRST, SECOND], unknown)
    holed = FIRST.copy()
    holed[0, 0] = math.nan
    with pytest.raises(ResponsesError, match="missing answers cannot be related"):
        scale_relations([holed, SECOND])
    with pytest.raises(ValueError, match="tables of the same rows"):
        scale_relations([FIRST, SECOND[:10]])
