"""Populations: everyone fitted alike, cost linear in people, and nobody dropped unseen."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from allport.alignment import (
    Displacements,
    TiltedResponse,
    calibrate_response,
    fit_population,
    population,
    probe_displacements,
    stratified_folds,
)
from allport.alignment.exclusions import Exclusion
from allport.alignment.population import PopulationFit, prepare_population
from allport.errors import ModelError, ResponsesError, UsageError
from allport.inventories import load_inventory
from benchmarks.planted_people import PlantedModel, planted_model, planted_people

MODEL = planted_model()
INVENTORY = load_inventory("ipip-neo-120")
FOLDS = stratified_folds([item.facet or "" for item in INVENTORY.items], INVENTORY.keys)

LITTLE = 4 * 256 * 120 * 24 + 32 * 42_048
"""Bytes in which 32 people are fitted at a time."""


def response_of(model: PlantedModel, sign: float = 1.0) -> TiltedResponse:
    return TiltedResponse(
        torch.tensor(model.probabilities, dtype=torch.float32),
        torch.arange(1.0, 6.0),
        sign * torch.tensor(model.slopes),
    )


def fitted(literal: np.ndarray, **options: object) -> PopulationFit:
    chosen = {"folds": FOLDS, "response": response_of(MODEL)} | options
    return fit_population(MODEL.differences, literal, **chosen)  # type: ignore[arg-type]  # by name


def chunks_of(people: int, memory: int) -> float:
    plan = prepare_population(
        MODEL.differences, np.eye(120), folds=FOLDS, response=response_of(MODEL), memory=memory
    )
    return people / plan.chunk


def test_planted_heads_and_strengths_that_help_are_found() -> None:
    literal, traits = planted_people(300)
    people = fitted(literal, heads=4).people
    assert np.isin(people.heads, MODEL.planted).mean() >= 0.95
    distinct = np.linalg.norm(traits, axis=1) > 1.5
    assert (people.strengths[distinct] > 0).mean() >= 0.97
    assert (people.strengths >= 0).mean() >= 0.97
    assert people.skill[distinct].mean() > 0.2
    assert (people.exclusions == 0).all()


def test_a_model_that_answers_the_other_way_gets_negative_strengths() -> None:
    literal, traits = planted_people(200)
    people = fitted(literal, response=response_of(MODEL, sign=-1.0)).people
    distinct = np.linalg.norm(traits, axis=1) > 1.5
    assert (people.strengths[distinct] < 0).mean() >= 0.97


def test_a_model_that_does_not_follow_is_not_steered() -> None:
    literal, _ = planted_people(100)
    assert (fitted(literal, response=response_of(MODEL, sign=0.0)).people.strengths == 0).all()


def test_people_without_a_personality_are_hardly_steered() -> None:
    rng = np.random.default_rng(0)
    nobody = rng.integers(1, 6, (200, 120)).astype(np.float32)
    somebody, _ = planted_people(200)
    at_random = np.abs(fitted(nobody).people.strengths)
    assert (at_random <= 0.5).mean() > 0.8
    assert at_random.mean() < 0.25 * np.abs(fitted(somebody).people.strengths).mean()


def test_chunks_do_not_change_what_is_found() -> None:
    literal, _ = planted_people(150, missing=0.003)
    whole = fitted(literal)
    small = fitted(literal, memory=LITTLE)
    assert chunks_of(160, LITTLE) == 5
    np.testing.assert_array_equal(whole.people.heads, small.people.heads)
    np.testing.assert_array_equal(whole.people.strengths, small.people.strengths)
    np.testing.assert_allclose(whole.people.skill, small.people.skill, atol=1e-5)


def test_cost_is_linear_in_people() -> None:
    literal, _ = planted_people(512, missing=0)
    assert chunks_of(128, LITTLE) == 4
    counts = []
    for people in (128, 256, 512):
        with FlopCounterMode(display=False) as counter:
            fitted(literal[:people], memory=LITTLE)
        counts.append(counter.get_total_flops())
    assert counts[0] > 0
    assert counts[2] - counts[1] == 2 * (counts[1] - counts[0])


def test_penalties_are_chosen_by_people_spread_over_all(monkeypatch: pytest.MonkeyPatch) -> None:
    literal, _ = planted_people(90)
    literal[1::3] = np.nan
    literal[2::3] = 1
    monkeypatch.setattr(population, "_SAMPLE", 30)
    spread = fit_population(MODEL.differences, literal, strengths=(1.0,))
    few = np.linspace(0, 89, 30).round().astype(int)
    monkeypatch.undo()
    alone = fit_population(MODEL.differences, literal[few], strengths=(1.0,))
    np.testing.assert_allclose(spread.penalties, alone.penalties)
    assert len(spread.people.heads) == 90


def test_a_single_strength_is_everyones() -> None:
    literal, _ = planted_people(5)
    people = fit_population(MODEL.differences, literal, strengths=(1.5,)).people
    assert people.strengths.tolist() == [1.5] * 5


def test_integer_answers_and_other_scales_are_taken() -> None:
    literal, _ = planted_people(60, missing=0)
    people = fitted(literal).people
    for other in (literal.astype(np.int8), literal.astype(np.float64)):
        np.testing.assert_array_equal(fitted(other).people.heads, people.heads)
    wider = fit_population(MODEL.differences, literal * 2, strengths=(1.0,), scale=(2.0, 10.0))
    np.testing.assert_array_equal(wider.people.heads, people.heads)


def test_people_who_cannot_be_fitted_are_counted_and_told_apart() -> None:
    literal, _ = planted_people(8, missing=0)
    literal[1, :91] = np.nan  # 29 left
    literal[2] = 4
    literal[3, 7] = 6
    literal[4] = np.nan
    literal[5, :90] = np.nan  # 30 left
    literal[6, 0] = np.inf
    fit = fitted(literal)
    assert fit.people.exclusions.tolist() == [
        Exclusion.NONE,
        Exclusion.TOO_FEW_ANSWERS,
        Exclusion.CONSTANT_ANSWERS,
        Exclusion.OUT_OF_RANGE,
        Exclusion.TOO_FEW_ANSWERS,
        Exclusion.NONE,
        Exclusion.OUT_OF_RANGE,
        Exclusion.NONE,
    ]
    assert fit.excluded() == {
        "too few usable answers": 2,
        "the same answer to every item": 1,
        "an answer outside the scale": 2,
    }
    usable = [0, 5, 7]
    alone = fitted(literal[usable])
    np.testing.assert_array_equal(fit.people.heads[usable], alone.people.heads)
    np.testing.assert_allclose(fit.penalties, alone.penalties)
    fit.require(0)
    with pytest.raises(ResponsesError, match="Person 3 cannot be aligned to: the same answer"):
        fit.require(2)


def test_when_nobody_can_be_fitted_the_reasons_are_given() -> None:
    literal = np.full((3, 120), 4.0)
    literal[0] = np.nan
    with pytest.raises(
        ResponsesError,
        match="Nobody of 3 can be aligned to: 1 with too few usable answers, 2 with the same",
    ):
        fitted(literal)


def test_bad_requests_are_one_sentence() -> None:
    literal, _ = planted_people(3)
    with pytest.raises(ResponsesError, match=r"shape \(3, 60\); 120 items were asked"):
        fitted(literal[:, :60])
    with pytest.raises(UsageError, match="25 heads were asked for, and the model has 1 to 24"):
        fitted(literal, heads=25)
    with pytest.raises(UsageError, match="needs a fold for each item and the model's response"):
        fit_population(MODEL.differences, literal)
    broken = MODEL.differences.copy()
    broken[0, 0, 0] = np.nan
    with pytest.raises(ModelError, match="not finite"):
        fit_population(broken, literal, strengths=(1.0,))


def test_a_model_asked_at_probes_gives_the_strengths_of_the_model_itself() -> None:
    literal, _ = planted_people(200)
    truth = response_of(MODEL)
    probes = probe_displacements(MODEL.differences, literal, count=96)
    assert probes.shape == (96, 24, 48)
    everywhere = torch.arange(24).expand(96, -1)
    asked = Displacements(everywhere, torch.from_numpy(probes))
    measured = truth(asked, torch.ones(1), torch.arange(120))[0]
    calibration = calibrate_response(probes, measured.numpy(), MODEL.probabilities)
    assert calibration.r_squared > 0.8
    by_model = fitted(literal).people.strengths
    by_stand_in = fitted(literal, response=calibration.response).people.strengths
    assert (np.abs(by_model - by_stand_in) <= 1).mean() > 0.9
    assert np.corrcoef(by_model, by_stand_in)[0, 1] > 0.6


def test_probes_take_the_strengths_in_turn_even_of_one_person() -> None:
    literal, _ = planted_people(1)
    probes = probe_displacements(MODEL.differences, literal, count=4, strengths=(-1.0, 0.0, 2.0))
    np.testing.assert_allclose(probes[1], -2 * probes[0], rtol=1e-5)
    np.testing.assert_array_equal(probes[:2], probes[2:])
    with pytest.raises(ResponsesError, match="Nobody of 1 can be a probe"):
        probe_displacements(MODEL.differences, np.full((1, 120), 3.0))
