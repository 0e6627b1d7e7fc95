from __future__ import annotations

import numpy as np
import pytest

from allport.evaluation import PeopleBootstrap, calibration


def drawn(shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What people drawn from the distributions would choose, as hits."""
    cut = rng.random((*shares.shape[:2], 1))
    choice = (cut > np.cumsum(shares, axis=2)).sum(axis=2)
    return (choice[..., None] == np.arange(shares.shape[2])).astype(float)


def test_a_calibrated_forecaster_has_almost_no_error() -> None:
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(5), size=(200, 100))
    found = calibration(shares, drawn(shares, rng), PeopleBootstrap(200, resamples=200))
    assert found.error.value < 0.01
    for each in found.bins:
        assert each.low <= each.mean_probability <= each.high
        assert each.share.value == pytest.approx(each.mean_probability, abs=0.05)
    assert sum(each.forecasts for each in found.bins) == shares.size


def test_an_overconfident_one_is_off_by_what_it_claims_too_much() -> None:
    rng = np.random.default_rng(1)
    truth = np.broadcast_to([0.6, 0.1, 0.1, 0.1, 0.1], (100, 60, 5))
    claimed = np.broadcast_to([0.96, 0.01, 0.01, 0.01, 0.01], (100, 60, 5))
    found = calibration(claimed, drawn(truth, rng), PeopleBootstrap(100, resamples=200))
    # One forecast in five claims .36 too much, four in five .09 too little.
    assert found.error.value == pytest.approx(0.2 * 0.36 + 0.8 * 0.09, abs=0.005)
    assert found.error.low < found.error.value < found.error.high


def test_what_is_missing_is_no_forecast() -> None:
    shares = np.full((3, 4, 5), 0.2)
    shares[0] = np.nan
    hits = np.zeros((3, 4, 5))
    hits[..., 0] = 1
    hits[1, 0] = np.nan
    found = calibration(shares, hits, PeopleBootstrap(3, resamples=0))
    assert sum(each.forecasts for each in found.bins) == (2 * 4 - 1) * 5
    assert found.error.value == pytest.approx(0)
    assert [each.share.reason for each in found.bins if not each.forecasts] == (
        ["no forecast fell here"] * 9
    )
