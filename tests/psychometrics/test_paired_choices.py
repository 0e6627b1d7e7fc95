from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from allport.errors import ResponsesError
from allport.psychometrics import adjust_for_many, mcnemar


def test_only_items_that_differ_count() -> None:
    first = [1] * 9 + [0] * 2 + [1] * 50 + [0] * 30 + [np.nan, 1]
    second = [0] * 9 + [1] * 2 + [1] * 50 + [0] * 30 + [1, np.nan]
    found = mcnemar(first, second)
    assert found[:2] == (9, 2)
    assert found.p == pytest.approx(2 * binom.cdf(2, 11, 0.5))
    assert mcnemar(second, first).p == found.p
    assert mcnemar([1, 0, 1], [1, 0, 1]).p == 1


def test_false_discoveries_are_controlled() -> None:
    # Benjamini & Hochberg, 1995: p * n / rank, made monotone from the largest down.
    p = {"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.5}
    found = adjust_for_many(p)
    assert found == pytest.approx({"a": 0.04, "b": 0.16 / 3, "c": 0.16 / 3, "d": 0.5})
    assert adjust_for_many({}) == {}


def test_what_cannot_be_paired_is_refused() -> None:
    with pytest.raises(ResponsesError, match="cannot be paired"):
        mcnemar([1, 0], [1])
    with pytest.raises(ResponsesError, match="must be 1 or 0"):
        mcnemar([1, 0.5], [1, 0])
