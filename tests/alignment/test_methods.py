"""Prompts, ITI and CAA: what they say and add, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.alignment.planted import PLANTED, SIZE, Planted

from allport.alignment import METHODS, capture_contrasts, fit, fit_caa, fit_iti, fit_prompt
from allport.corpora import PeopleCorpus
from allport.errors import ModelError, ResponsesError, UsageError
from allport.inventories import Inventory, load_inventory
from allport.models.respondent import Question
from allport.models.scripted import ScriptedRespondent
from allport.models.transformers_model import TransformersModel
from allport.personas import Person, TraitLevels

LEVELS = np.array([-0.6, 0.8, 0.3, -0.2, 0.5])


def test_few_shot_tells_the_answers_to_the_fitting_items_alone(person: Person) -> None:
    found = fit_prompt(person)
    assert found.prompt == person.system_prompt()
    assert not found.parts
    some = fit_prompt(person, items=person.inventory.numbers[:40])
    assert len(some.prompt.splitlines()) == 41
    assert some.fit["items"] == list(person.inventory.numbers[:40])


def test_what_fitting_took_is_on_record(planted: Planted) -> None:
    somebody = planted.person(LEVELS)
    settings: dict[str, Any] = {"contrasts": ("yes-no",), "templates": ("words",), "cache": False}
    found = fit(planted.model, somebody, "iti", heads=3, **settings)
    assert found.fit["seconds"] > fit(planted.model, somebody, "prompt").fit["seconds"] > 0


def test_of_the_long_form_only_the_short_form_is_told() -> None:
    inventory = load_inventory("ipip-neo-300")
    answers = {number: float(1 + number % 5) for number in inventory.numbers}
    found = fit_prompt(Person("ann", inventory, answers))
    assert len(found.prompt.splitlines()) == 121
    assert len(found.fit["items"]) == 120


def test_a_description_by_rule_is_in_the_second_person(person: Person) -> None:
    text = fit_prompt(person, kind="description").prompt
    lines = dict(line.split(" of you: ") for line in text.splitlines()[1:-1])
    assert list(lines) == [
        "Very Accurate",
        "Moderately Accurate",
        "Moderately Inaccurate",
        "Very Inaccurate",
    ]
    said = {number for number, value in person.literal_answers.items() if value == 5}
    assert lines["Very Accurate"].count("You ") >= 0.8 * len(said)
    assert " I " not in text


def test_a_description_by_a_respondent(person: Person) -> None:
    asked: list[Question] = []

    class Writer(ScriptedRespondent):
        def answer(self, questions: Any) -> Any:
            asked.extend(questions)
            for response in super().answer(questions):
                yield type(response)(
                    response.item, response.condition, None, None, 0.0, text="You are calm. "
                )

    found = fit_prompt(person, kind="description", writer=Writer(lambda q: [0.5, 0.5], "scribe"))
    assert found.prompt.strip() == "You are calm."
    assert found.fit["writer"] == "scribe"
    [question] = asked
    worry = person.inventory.items[0]
    said = person.literal_answers[worry.number]
    option = next(o.text for o in person.inventory.scale if o.value == said)
    assert f"I worry about things. {option}." in question.messages[0].content


def test_a_writer_that_writes_nothing_is_refused(person: Person) -> None:
    silent = ScriptedRespondent(lambda q: [0.5, 0.5], "silent")
    with pytest.raises(ModelError, match="silent writes no text"):
        fit_prompt(person, kind="description", writer=silent)


def test_a_local_writer(tiny_model: Any, tokenizer: Any, person: Person) -> None:
    model = TransformersModel(tiny_model("llama"), tokenizer, "tiny")
    model.model.config.max_position_embeddings, before = 8192, 1024
    try:
        some = person.inventory.numbers[:30]
        found = fit_prompt(person, kind="description", writer=model, items=some, max_new_tokens=5)
    except ModelError as error:
        assert "tiny wrote no description" in str(error)  # noqa: PT017
    else:
        assert found.fit["writer"] == "tiny"
    finally:
        model.model.config.max_position_embeddings = before


def test_adjectives_go_by_the_norms(person: Person) -> None:
    text = fit_prompt(person, kind="adjectives").prompt
    # Levels of the fixture: neuroticism far below, extraversion far above the middle.
    assert "calm" in text or "relaxed" in text
    assert "outgoing" in text
    levels = fit_prompt(TraitLevels({"E": 1.0}), kind="adjectives").prompt
    assert levels == TraitLevels({"E": 1.0}).system_prompt()


def test_adjectives_without_norms_go_by_the_scale(planted: Planted) -> None:
    text = fit_prompt(planted.person(LEVELS), kind="adjectives").prompt
    assert "outgoing" in text


def test_adjectives_leave_out_domains_without_an_answer(person: Person) -> None:
    some = {
        number: value
        for number, value in person.literal_answers.items()
        if person.inventory.item(number).trait in "NE"
    }
    found = fit_prompt(Person("ann", person.inventory, some), kind="adjectives").prompt
    both = fit_prompt(person, kind="adjectives", items=list(some)).prompt
    assert found == both
    assert "outgoing" in found


def test_adjectives_need_the_big_five(planted: Planted) -> None:
    content = planted.inventory.model_dump()
    content["traits"] = [
        {"code": f"X{trait.code}", "name": "x"} for trait in planted.inventory.traits
    ]
    for item in content["items"]:
        item["trait"] = f"X{item['trait']}"
    dark = Inventory.model_validate(content)
    person = Person("ann", dark, planted.person(LEVELS).literal_answers)
    with pytest.raises(UsageError, match="ann answered no item of planted on the Big Five"):
        fit_prompt(person, kind="adjectives")


def test_unknown_prompts_are_refused(person: Person) -> None:
    with pytest.raises(UsageError, match="Unknown prompt 'poem'; known: few-shot, description"):
        fit_prompt(person, kind="poem")  # type: ignore[arg-type]


def test_iti_takes_the_planted_heads_and_its_own_strength(planted: Planted) -> None:
    found = fit_iti(
        planted.model, planted.person(LEVELS), contrasts=("yes-no",), heads=3, cache=False
    )
    assert sorted(map(tuple, found.fit["heads"])) == sorted(PLANTED)
    assert (found.strength, found.parts[0].tokens) == (15.0, "answer")
    for (layer, head), to_head in planted.maps.items():
        vector = found.parts[0].vectors[layer][head * SIZE : (head + 1) * SIZE]
        true = to_head @ LEVELS
        assert vector @ true / np.linalg.norm(vector) / np.linalg.norm(true) > 0.8


def test_iti_accuracy_is_that_of_leaving_items_out(planted: Planted) -> None:
    from allport.alignment.iti import _accuracies

    rng = np.random.default_rng(0)
    differences = rng.normal(size=(40, 3, 6))
    signs = rng.choice([-1.0, 0.0, 1.0], 40).astype(np.float32)
    differences[:, 1, 0] += 2 * signs
    used = np.flatnonzero(signs)
    expected = np.zeros(3)
    for head in range(3):
        for left_out in used:
            others = used[used != left_out]
            direction = (signs[others, None] * differences[others, head]).sum(axis=0)
            expected[head] += signs[left_out] * (differences[left_out, head] @ direction) > 0
    np.testing.assert_allclose(_accuracies(differences, signs), expected / len(used))


def test_caa_is_the_mean_difference_at_one_block(planted: Planted) -> None:
    person = planted.person(LEVELS)
    found = fit_caa(planted.model, person, contrasts=("yes-no",), layer=2, cache=False)
    captured = capture_contrasts(
        planted.model, planted.inventory, kinds=("yes-no",), cache=False
    ).residual
    signs = np.sign([value - 3 for value in person.literal_answers.values()])
    differences = (captured[:, :, 0] - captured[:, :, 1]).mean(axis=1)[:, 2]
    expected = (signs[:, None] * differences).sum(axis=0) / np.abs(signs).sum()
    np.testing.assert_allclose(found.parts[0].vectors[2], expected, atol=1e-5)
    assert found.parts[0].site == "residual"
    assert list(fit_caa(planted.model, person, cache=False).parts[0].vectors) == [1]
    with pytest.raises(UsageError, match="no layer 7 to steer in planted; it has 0 to 2"):
        fit_caa(planted.model, person, layer=7, cache=False)


@pytest.mark.parametrize("fitter", [fit_caa, fit_iti])
def test_answers_on_one_side_of_the_middle_are_refused(fitter: Any, planted: Planted) -> None:
    answers = {number: float(3 + number % 3) for number in planted.inventory.numbers}
    agreeing = Person("ann", planted.inventory, answers)
    with pytest.raises(ResponsesError, match="ann cannot be aligned to by this method: no two"):
        fitter(planted.model, agreeing, contrasts=("yes-no",), cache=False)
    other = Person("ann", planted.inventory, {**answers, 1: 2.0})
    assert fitter(planted.model, other, contrasts=("yes-no",), cache=False).parts


@pytest.mark.parametrize("method", METHODS)
def test_one_interface(method: Any, planted: Planted) -> None:
    options: dict[str, Any] = {"strength": 1.0}
    if method == "pas":
        options = {"strengths": (1.0,)}
    elif method == "pas-traits":
        options = {"strengths": (1.0,), "directions": 5, "people": _some_people(planted)}
    elif method == "prompt":
        options = {}
    found = fit(planted.model, planted.person(LEVELS), method, items=range(1, 46), **options)
    assert found.name == "ann"
    assert found.fit["items"] == list(range(1, 46))
    assert planted.model.aligned(found).steering is not None


def _some_people(planted: Planted) -> PeopleCorpus:
    rng = np.random.default_rng(2)
    codes = rng.integers(1, 6, (50, len(planted.inventory.items)), np.int8)
    about = pl.DataFrame({"id": [str(number) for number in range(50)]})
    return PeopleCorpus("some", planted.inventory, about, codes)


def test_unknown_methods_are_refused(planted: Planted) -> None:
    with pytest.raises(UsageError, match="Unknown method 'magic'; known: pas, pas-traits"):
        fit(planted.model, planted.person(LEVELS), "magic")  # type: ignore[arg-type]


@pytest.fixture
def mamba(tiny_model: Callable[[str], Any], tokenizer: Any) -> TransformersModel:
    return TransformersModel(tiny_model("mamba"), tokenizer)


@pytest.mark.parametrize("method", ["pas", "pas-published", "iti", "caa"])
def test_a_model_that_cannot_be_steered_is_refused(
    method: Any, mamba: TransformersModel, planted: Planted
) -> None:
    with pytest.raises(ModelError, match="no attention output projection"):
        fit(mamba, planted.person(LEVELS), method)


def test_a_model_that_cannot_be_steered_takes_words(
    mamba: TransformersModel, ask: Any, person: Person
) -> None:
    found = fit(mamba, person, "prompt", kind="adjectives")
    questions = ask(items=1, personas=("",))
    plain = {r.condition: r.probabilities for r in mamba.answer(questions)}
    told = {r.condition: r.probabilities for r in mamba.aligned(found).answer(questions)}
    assert plain.keys() == told.keys()
    assert plain != told


def test_someone_of_no_known_kind_is_refused(planted: Planted) -> None:
    class Somebody:
        name = "somebody"

        def system_prompt(self) -> str:
            return "You are somebody."

    with pytest.raises(UsageError, match="neither a person nor trait levels"):
        fit(planted.model, Somebody())
