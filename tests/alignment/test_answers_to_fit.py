"""What is fitted on where trait levels name only some domains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from allport.alignment import METHODS, fit, fit_prompt
from allport.alignment.answers_to_fit import fitting_answers
from allport.alignment.methods import Method
from allport.alignment.pas import plan_steering
from allport.alignment.projections import model_sites
from allport.alignment.strength import FACET_STRENGTHS
from allport.corpora import person_from_levels
from allport.errors import UsageError
from allport.inventories import load_inventory
from allport.models.respondent import Question
from allport.models.scripted import ScriptedRespondent
from allport.models.transformers_model import TransformersModel
from allport.personas import TraitLevels

INVENTORY = load_inventory("ipip-neo-300")
HIGH = TraitLevels({"E": 1.0})


def own_answer(number: int) -> float:
    """The literal answer that the scripted model expects to give to an item, 2 to 4."""
    return 3 + float(np.sin(number))


def by_itself() -> ScriptedRespondent:
    """A model whose expected answers are `own_answer`, spread over both ends of the scale."""

    def script(question: Question) -> list[float]:
        agree = (own_answer(question.item) - 1) / 4
        # Options stand in content order, whatever the order shown.
        return [1 - agree, 0, 0, 0, agree]

    return ScriptedRespondent(script, "itself")


def test_domains_that_are_not_named_are_answered_by_the_model() -> None:
    model = by_itself()
    found = fitting_answers(HIGH, model=model, whole=False)
    human = person_from_levels(HIGH).literal_answers
    for number, literal in zip(found.numbers, found.literal.tolist(), strict=True):
        named = INVENTORY.item(number).trait == "E"
        assert literal == pytest.approx(human[number] if named else own_answer(number))
    assert found.record["asked_for"] == {"E": 1.0}
    assert found.record["own_answers"] == ["N", "O", "A", "C"]
    assert found.record["answers"] == len(found.numbers) == 120
    # One pass over these 96 items in both orders, and nothing of the items held out.
    assert len(model.asked) == 96 * 2
    assert {question.item for question in model.asked} < set(found.numbers)


def test_whole_answers_are_options_and_keep_the_sum_over_each_facet() -> None:
    exact = fitting_answers(HIGH, model=by_itself(), whole=False)
    whole = fitting_answers(HIGH, model=by_itself())
    assert set(whole.literal.tolist()) <= {1.0, 2.0, 3.0, 4.0, 5.0}
    assert np.abs(whole.literal - exact.literal).max() < 1
    moved = (whole.literal - exact.literal) * whole.keys
    for facet in dict.fromkeys(whole.facets):
        of_facet = [each == facet for each in whole.facets]
        assert abs(moved[of_facet].sum()) <= 0.5 + 1e-9


def test_answers_that_cannot_be_used_are_missing() -> None:
    def script(question: Question) -> list[float] | None:
        return None if INVENTORY.item(question.item).trait == "N" else [0.2] * 5

    found = fitting_answers(HIGH, model=ScriptedRespondent(script))
    traits = np.array([INVENTORY.item(number).trait for number in found.numbers])
    assert np.isnan(found.literal[traits == "N"]).all()
    assert not np.isnan(found.literal[traits != "N"]).any()
    assert found.record["answers"] == 96


def test_a_model_is_needed_only_where_a_domain_is_left_out() -> None:
    with pytest.raises(UsageError, match=r"stay as the model answers them.*model=\.\.\."):
        fitting_answers(HIGH)
    with pytest.raises(UsageError, match="stay as the model answers them"):
        fit_prompt(HIGH)
    everything = TraitLevels(dict.fromkeys("NEOAC", 0.0))
    found = fitting_answers(everything)
    human = person_from_levels(everything).literal_answers
    assert found.literal.tolist() == [human[number] for number in found.numbers]
    assert found.record["own_answers"] == []


@pytest.mark.parametrize("method", METHODS)
def test_every_method_fits_the_models_own_answers(
    method: Method, tiny_model: Any, tokenizer: Any
) -> None:
    model = TransformersModel(tiny_model("llama"), tokenizer, "tiny")
    by_trait = {t: [n for n in INVENTORY.numbers if INVENTORY.item(n).trait == t] for t in "NEOAC"}
    few = [number for numbers in by_trait.values() for number in numbers[:12]]
    training = {"epochs": 0.02}
    options: dict[str, dict[str, Any]] = {
        "pas": {"strengths": (1.0,), "cache": False},
        "pas-traits": {"strengths": (1.0,), "directions": 5, "cache": False},
        "pas-published": {"strength": 1.0, "few_shot": False, "cache": False},
        "iti": {"cache": False},
        "caa": {"cache": False},
        "sft": training,
        "dpo": training,
        "prompt": {"kind": "few-shot"},
    }
    # A low level, so that some answers are below the middle, where this model's own are.
    low = TraitLevels({"E": -1.0, "C": 1.0})
    record = fit(model, low, method, items=few, **options[method]).fit
    assert record["asked_for"] == {"E": -1.0, "C": 1.0}
    assert record["own_answers"] == ["N", "O", "A"]
    assert set(record["items"]) == set(few)


def test_a_prompt_tells_the_models_own_answers_of_other_domains() -> None:
    wanted = fitting_answers(HIGH, model=by_itself())
    said = fit_prompt(HIGH, model=by_itself()).prompt
    assert said == wanted.as_person().system_prompt()
    assert said != person_from_levels(HIGH).system_prompt()


def test_smaller_strengths_are_tried_where_few_facets_add_up(
    tiny_model: Any, tokenizer: Any
) -> None:
    model = TransformersModel(tiny_model("llama"), tokenizer, "tiny")
    grid = plan_steering(model, model_sites(model.model), few_facets=True).strengths
    assert set(grid) == {*FACET_STRENGTHS, -0.125, 0.125}
    assert list(grid) == sorted(grid)
    given = plan_steering(model, model_sites(model.model), strengths=(2.0,), few_facets=True)
    assert given.strengths == (2.0,)
