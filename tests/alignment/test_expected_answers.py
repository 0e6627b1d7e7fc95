"""The stand-in for a model: exact at zero, on the scale, and recovered from a few probes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from allport.alignment import Displacements, TiltedResponse, calibrate_response
from allport.errors import ModelError, UsageError
from benchmarks.planted_people import PlantedModel, planted_model

EVERY = torch.arange(120)


@pytest.fixture(scope="module")
def model() -> PlantedModel:
    return planted_model()


@pytest.fixture(scope="module")
def truth(model: PlantedModel) -> TiltedResponse:
    return TiltedResponse(
        torch.tensor(model.probabilities, dtype=torch.float32),
        torch.arange(1.0, 6.0),
        torch.tensor(model.slopes),
    )


def displaced(count: int, seed: int = 0) -> Displacements:
    generator = torch.Generator().manual_seed(seed)
    heads = torch.stack([torch.randperm(24, generator=generator)[:6] for _ in range(count)])
    return Displacements(heads, torch.randn(count, 6, 48, generator=generator) / 3)


def test_answers_are_those_of_the_tilted_distribution(truth: TiltedResponse) -> None:
    moved = displaced(5)
    strengths = torch.tensor([-2.0, 0.0, 1.0])
    found = truth(moved, strengths, EVERY)
    tilt = moved.dense(24) @ truth.slopes.flatten(1).T
    for number, strength in enumerate(strengths):
        weights = truth.probabilities * (strength * tilt[:, :, None] * truth.values).exp()
        expected = (weights @ truth.values) / weights.sum(dim=2)
        torch.testing.assert_close(found[number], expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        found[1], (truth.probabilities @ truth.values).expand(5, -1), rtol=1e-5, atol=1e-5
    )


def test_answers_never_leave_the_scale_and_rise_with_strength(truth: TiltedResponse) -> None:
    strengths = torch.tensor([-1e4, -3.0, 0.0, 3.0, 1e4])
    found = truth(displaced(8), strengths, EVERY)
    assert found.isfinite().all()
    assert (found >= 1).all()
    assert (found <= 5).all()
    steps = found.diff(dim=0)
    assert ((steps >= -1e-5).all(dim=0) | (steps <= 1e-5).all(dim=0)).all()


def test_only_the_items_asked_are_answered(truth: TiltedResponse) -> None:
    moved, one = displaced(3), torch.ones(1)
    some = torch.tensor([5, 99, 7])
    torch.testing.assert_close(truth(moved, one, some), truth(moved, one, EVERY)[:, :, some])


def test_probes_give_the_response_back(model: PlantedModel, truth: TiltedResponse) -> None:
    rng = np.random.default_rng(0)
    basis = rng.normal(size=(12, 24, 48)) / 5  # people's displacements span few dimensions
    probes = np.einsum("pb,bhd->phd", rng.normal(size=(60, 12)), basis).astype(np.float32)
    everywhere = torch.arange(24).expand(60, -1)
    measured = truth(Displacements(everywhere, torch.tensor(probes)), torch.ones(1), EVERY)[0]
    calibration = calibrate_response(probes, measured.numpy(), model.probabilities)
    assert calibration.r_squared > 0.99
    fresh = torch.tensor(
        np.einsum("pb,bhd->phd", rng.normal(size=(9, 12)), basis), dtype=torch.float32
    )
    unseen = Displacements(everywhere[:9], fresh)
    foretold = calibration.response(unseen, torch.tensor([0.5, 1.0]), EVERY)
    torch.testing.assert_close(
        foretold, truth(unseen, torch.tensor([0.5, 1.0]), EVERY), rtol=0, atol=0.05
    )


def tilted(probabilities: np.ndarray, tilts: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Expected answers under tilts (..., items), in double precision, one exponential an option."""
    exponents = np.log(probabilities) + tilts[..., None] * values
    weights = np.exp(exponents - exponents.max(axis=-1, keepdims=True))
    return np.asarray(weights @ values / weights.sum(axis=-1))


@pytest.mark.parametrize("options", [2, 5, 7, 11])
def test_peaked_items_are_tilted_to_the_end_on_scales_of_any_length(options: int) -> None:
    values = np.arange(options) * 0.5 - 1
    shares = np.full((options, options), 1e-6)
    np.fill_diagonal(shares, 1 - 1e-6 * (options - 1))
    response = TiltedResponse(
        torch.tensor(shares, dtype=torch.float32),
        torch.tensor(values, dtype=torch.float32),
        torch.zeros(options, 1, 1),
    )
    tilts = np.linspace(-40, 40, 81)[:, None].repeat(options, axis=1)
    found = response.expected(torch.tensor(tilts, dtype=torch.float32), torch.arange(options))
    np.testing.assert_allclose(found, tilted(shares, tilts, values), atol=1e-4)
    far = torch.tensor([[-500.0], [500.0]]).expand(-1, options)
    low, high = response.expected(far, torch.arange(options))
    assert (low < values[0] + 0.005).all()
    assert (high > values[-1] - 0.005).all()


def test_probes_give_the_response_of_peaked_items_back() -> None:
    shares = np.array([[1e-4, 1e-4, 1e-4, 0.9996, 1e-4], [0.2, 0.2, 0.2, 0.2, 0.2]])
    values, slopes = np.arange(1.0, 6.0), np.array([1.0, 0.3])
    probes = np.linspace(-4, 12, 33)
    measured = tilted(shares, probes[:, None] * slopes, values)
    assert measured[-1, 0] > 4.9
    response = calibrate_response(probes[:, None, None], measured, shares).response
    np.testing.assert_allclose(response.slopes[:, 0, 0], slopes, rtol=0.02)
    foretold = response(
        Displacements(
            torch.zeros(33, 1, dtype=torch.long), torch.tensor(probes)[:, None, None].float()
        ),
        torch.ones(1),
        torch.arange(2),
    )
    np.testing.assert_allclose(foretold[0], measured, atol=0.02)


def test_answers_at_the_end_weigh_no_more_than_those_near_it(model: PlantedModel) -> None:
    probes = np.random.default_rng(0).normal(size=(6, 24, 48))
    near = np.full((6, 120), 3.0)
    near[0], near[1] = 4.995, 1.005
    at = near.round()
    slopes = [
        calibrate_response(probes, answers, model.probabilities).response.slopes
        for answers in (near, at)
    ]
    assert slopes[0].any()
    torch.testing.assert_close(*slopes)


def test_answers_that_follow_nothing_are_not_foretold(model: PlantedModel) -> None:
    rng = np.random.default_rng(1)
    calibration = calibrate_response(
        rng.normal(size=(40, 24, 48)), rng.uniform(2, 4, (40, 120)), model.probabilities
    )
    assert calibration.r_squared < 0.1


def test_bad_probes_are_refused(model: PlantedModel) -> None:
    probes, answers = np.zeros((4, 24, 48)), np.full((4, 120), 3.0)
    with pytest.raises(ModelError, match="three or more probes"):
        calibrate_response(probes[:2], answers[:2], model.probabilities)
    answers[0, 0] = np.nan
    with pytest.raises(ModelError, match="finite answers"):
        calibrate_response(probes, answers, model.probabilities)
    with pytest.raises(UsageError, match="equal steps"):
        calibrate_response(probes, answers, model.probabilities, values=(1, 2, 4, 5, 6))
