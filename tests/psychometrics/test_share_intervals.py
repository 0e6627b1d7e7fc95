from __future__ import annotations

import numpy as np
import pytest

from allport.psychometrics.intervals import mean_interval
from allport.psychometrics.share_intervals import share_interval, wilson_interval


def test_shares_that_vary_are_bootstrapped_over_clusters() -> None:
    shares = np.array([0.0, 0.0, 0.5, 0.5, 1.0, 1.0])
    clusters = ["a", "a", "b", "b", "c", "c"]
    assert share_interval(shares) == mean_interval(shares, limits=(0, 1))
    many, drawn = np.tile(shares, 6), [f"{c}{n}" for n in range(6) for c in clusters]
    assert share_interval(many, drawn, 3) == mean_interval(many, clusters=drawn, seed=3)
    # Three clusters are few: Student's interval would pass 1, which no share does.
    assert share_interval(shares, clusters).high == 1


@pytest.mark.parametrize("value", [0, 1])
def test_shares_all_alike_at_an_end_are_as_uncertain_as_their_number(value: int) -> None:
    # Wilson's limits at 0 of n are 0 and z^2 / (n + z^2).
    z2 = 1.959964**2
    for n, clusters in ((8, None), (4, [0, 0, 1, 1, 2, 2, 3, 3])):
        found = share_interval([float(value)] * 8, clusters)
        assert found == wilson_interval(value * n, n)
        ends = sorted([float(value), abs(value - z2 / (n + z2))])
        assert found[:3] == pytest.approx((value, *ends), abs=1e-6)


def test_missing_shares_and_their_clusters_do_not_count() -> None:
    clusters = [0, 0, 1, 1, 2]
    found = share_interval([1.0, 1.0, np.nan, 1.0, np.nan], clusters, confidence=0.9)
    assert found == wilson_interval(2, 2, 0.9)
    assert found.low == pytest.approx(2 / (2 + 1.644854**2))
    assert share_interval([0.0, 1.0, np.nan]) == share_interval([0.0, 1.0])
    nothing = share_interval([np.nan])
    assert np.isnan(nothing.value)
    assert nothing.reason


def test_shares_alike_in_between_have_no_interval() -> None:
    found = share_interval([0.5] * 6)
    assert found.value == 0.5
    assert np.isnan(found.low)
    assert found.reason.startswith("no interval")
