from __future__ import annotations

import math

import numpy as np
import pytest

from allport.errors import ResponsesError
from allport.psychometrics import (
    correlate,
    cronbach_alpha,
    disattenuated_correlation,
    heterotrait_monotrait,
    scale_relations,
)

RNG = np.random.default_rng(3)
TRAITS = RNG.normal(size=(80, 2))
FIRST, SECOND, OTHER = (
    TRAITS[:, [trait]] + RNG.normal(size=(80, items)) for trait, items in ((0, 5), (0, 8), (1, 4))
)


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
        ratio = heterotrait_monotrait(tables[a], tables[b], resamples=300)
        assert found.htmt[a, b].value == pytest.approx(ratio.value)
        assert found.htmt[a, b].low == pytest.approx(ratio.low, abs=0.06)
    assert found.criterion[2].value == pytest.approx(
        correlate(OTHER.sum(axis=1), TRAITS[:, 1]).value
    )


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
    holed = FIRST.copy()
    holed[0, 0] = math.nan
    with pytest.raises(ResponsesError, match="missing answers cannot be related"):
        scale_relations([holed, SECOND])
    with pytest.raises(ValueError, match="tables of the same rows"):
        scale_relations([FIRST, SECOND[:10]])
