"""PAS finds the heads that carry traits, their direction, and a strength that helps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.alignment.planted import PLANTED, SIZE, Planted

from allport.alignment import (
    FACET_STRENGTHS,
    LEVEL_STRENGTHS,
    STRENGTHS,
    Alignment,
    AskedAnswers,
    fit_pas,
    fit_pas_published,
    model_sites,
    plan_steering,
    random_direction,
    sign_flipped,
)
from allport.alignment.displacements import Displacements
from allport.errors import ResponsesError, UsageError
from allport.inventories import Inventory
from allport.models.transformers_model import TransformersModel
from allport.personas import Person, TraitLevels

LEVELS = np.array([-0.6, 0.8, 0.3, -0.2, 0.5])
OPTIONS: dict[str, Any] = {"contrasts": ("yes-no",), "templates": ("words",), "heads": 3}


@pytest.fixture(scope="module")
def fitted(planted: Planted) -> Alignment:
    # The last fifteen items are not fitted on: three of each trait.
    return fit_pas(
        planted.model, planted.person(LEVELS), items=range(1, 46), cache=False, **OPTIONS
    )


def test_the_planted_heads_are_selected(fitted: Alignment) -> None:
    assert sorted(map(tuple, fitted.fit["heads"])) == sorted(PLANTED)
    assert fitted.fit["skill"] > 0.95


def test_the_planted_direction_is_found(planted: Planted, fitted: Alignment) -> None:
    for (layer, head), to_head in planted.maps.items():
        vector = fitted.parts[0].vectors[layer][head * SIZE : (head + 1) * SIZE]
        true = to_head @ LEVELS
        cosine = vector @ true / np.linalg.norm(vector) / np.linalg.norm(true)
        assert cosine >= 0.95


def test_nothing_else_is_displaced(fitted: Alignment) -> None:
    for layer, vector in fitted.parts[0].vectors.items():
        moved = np.flatnonzero(vector.reshape(-1, SIZE).any(axis=1))
        assert moved.tolist() == [head for at, head in sorted(PLANTED) if at == layer]


def test_unseen_answers_come_nearer(planted: Planted, fitted: Alignment) -> None:
    person = planted.person(LEVELS)
    sites = model_sites(planted.model.model)
    unseen = planted.inventory.numbers[45:]
    asked = AskedAnswers(planted.model, sites, planted.inventory, unseen, templates=("words",))
    true = np.array([person.literal_answers[number] for number in unseen])
    randoms = [random_direction(fitted, seed) for seed in range(10)]
    rows = [None, fitted.row(sites), sign_flipped(fitted).row(sites)]
    rows += [random.row(sites) for random in randoms]
    errors = np.abs(asked.ask(rows).expected - true).mean(axis=1)
    plain, steered, flipped, *random = errors
    assert fitted.strength is not None
    assert fitted.strength > 0
    assert steered < 0.8 * plain
    assert flipped > plain
    assert steered < np.mean(random) - np.std(random)


def test_strengths_are_asked_one_by_one_and_zero_is_the_model_itself(planted: Planted) -> None:
    sites = model_sites(planted.model.model)
    asked = AskedAnswers(
        planted.model, sites, planted.inventory, range(1, 11), templates=("words",)
    )
    count = len(sites.layers) * sites.heads
    vectors = torch.randn(2, count, SIZE, generator=torch.Generator().manual_seed(0))
    moved = Displacements(torch.arange(count).expand(2, -1), vectors)
    items = torch.tensor([3, 0, 7])
    found = asked(moved, torch.tensor([-1.0, 0.0, 2.0]), items)
    for person, vector in enumerate(vectors):
        rows = [asked.row(-vector.flatten()), None, asked.row(2 * vector.flatten())]
        each = asked.ask(rows, items.tolist()).expected
        assert found[:, person].numpy() == pytest.approx(each, abs=1e-5)
        assert np.abs(np.diff(each, axis=0)).max() > 1e-2
    # Nobody is asked where nothing is added.
    assert asked(moved, torch.zeros(1), items)[0].equal(found[1])


def test_a_person_and_the_opposite_are_displaced_oppositely(
    planted: Planted, fitted: Alignment
) -> None:
    other = fit_pas(
        planted.model,
        planted.person(-LEVELS),
        items=range(1, 46),
        strengths=(1.0,),
        cache=False,
        **OPTIONS,
    )
    for layer, vector in fitted.parts[0].vectors.items():
        opposite = other.parts[0].vectors[layer]
        cosine = vector @ opposite / np.linalg.norm(vector) / np.linalg.norm(opposite)
        assert cosine < -0.99


def test_missing_answers_are_masked(planted: Planted, fitted: Alignment) -> None:
    whole = planted.person(LEVELS)
    some = {n: v for n, v in whole.literal_answers.items() if n % 7 and n < 46}
    gaps = fit_pas(
        planted.model,
        Person("ann", planted.inventory, some),
        items=range(1, 46),
        strengths=(1.0,),
        cache=False,
        **OPTIONS,
    )
    assert gaps.fit["answers"] == len(some) == 39
    for layer, vector in fitted.parts[0].vectors.items():
        found = gaps.parts[0].vectors[layer]
        assert vector @ found / np.linalg.norm(vector) / np.linalg.norm(found) > 0.95


def test_a_model_that_does_not_respond_is_left_alone(
    tiny_model: Any, tokenizer: Any, person: Person
) -> None:
    import copy

    inner = copy.deepcopy(tiny_model("llama"))
    for layer in inner.model.layers:
        layer.self_attn.o_proj.weight.data[:] = 0  # what heads say reaches nobody
    model = TransformersModel(inner, tokenizer)
    some = person.inventory.numbers[:40]
    found = fit_pas(model, person, items=some, heads=2, cache=False, contrasts=("yes-no",))
    assert found.strength == 0
    assert found.row(model_sites(inner)) is None


def test_the_fit_is_on_record_and_repeatable(planted: Planted, fitted: Alignment) -> None:
    again = fit_pas(
        planted.model, planted.person(LEVELS), items=range(1, 46), cache=False, **OPTIONS
    )
    assert again.inspect() == fitted.inspect()
    assert fitted.fit["items"] == list(range(1, 46))
    assert fitted.fit["contrasts"] == ["yes-no 1", "yes-no 2"]
    assert fitted.fit["strengths_tried"] == list(STRENGTHS)
    assert fitted.fit["inventory_hash"] == planted.inventory.content_hash
    assert fitted.name == "ann"


def test_descriptions_go_with_all_heads_and_all_tokens() -> None:
    from allport.models import load_model

    model = load_model("embedded")
    assert isinstance(model, TransformersModel)
    sites = model_sites(model.model)
    every = len(sites.layers) * sites.heads
    assert plan_steering(model, sites) == (("facets",), every, "all", FACET_STRENGTHS)
    levels = plan_steering(model, sites, contrasts=("levels",))
    assert levels == (("levels",), every, "all", LEVEL_STRENGTHS)
    some = plan_steering(model, sites, heads=3, tokens="answer", strengths=[1.0])
    assert some == (("facets",), 3, "answer", (1.0,))
    items = plan_steering(model, sites, contrasts=("options",))
    assert items == (("options",), None, "answer", STRENGTHS)


def test_where_no_system_text_shows_items_are_contrasted(
    planted: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        planted.model.tokenizer,
        "chat_template",
        "{% for m in messages %}{% if m['role'] == 'user' %}{{ m['content'] }}{% endif %}"
        "{% endfor %}",
        raising=False,
    )
    sites = model_sites(planted.model.model)
    assert plan_steering(planted.model, sites).contrasts == ("options", "yes-no")


def test_a_prompt_may_go_with_it(planted: Planted) -> None:
    found = fit_pas(
        planted.model,
        planted.person(LEVELS),
        strengths=(2.0,),
        prompt="often",
        cache=False,
        **OPTIONS,
    )
    assert (found.prompt, found.method, found.strength) == ("often", "prompt + pas", 2.0)


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ({n: 4.0 for n in range(1, 30)}, r"too few usable answers \(29 answers to the 60 items"),
        ({n: 4.0 for n in range(1, 61)}, "the same answer to every item"),
    ],
)
def test_people_who_say_too_little_are_refused(
    answers: dict[int, float], why: str, planted: Planted
) -> None:
    with pytest.raises(ResponsesError, match=why):
        fit_pas(planted.model, Person("bob", planted.inventory, answers), **OPTIONS)


def test_bad_options_are_sentences(planted: Planted) -> None:
    person = planted.person(LEVELS)
    with pytest.raises(UsageError, match="13 heads were asked for, and the model has 1 to 12"):
        fit_pas(planted.model, person, **{**OPTIONS, "heads": 13}, cache=False)
    with pytest.raises(UsageError, match="has no item 61 to fit on"):
        fit_pas(planted.model, person, items=(1, 61), **OPTIONS)


def test_as_published(planted: Planted) -> None:
    person = planted.person(LEVELS)
    found = fit_pas_published(
        planted.model, person, items=range(1, 46), heads=3, template="words", cache=False
    )
    assert found.strength in (0, 1, 2, 4, 6, 8)
    assert found.parts[0].tokens == "all"
    assert found.fit["contrasts"] == ["options words reversed"]
    # The system text holds keyed answers, so that items of key -1 say the opposite.
    reversed_item = next(i for i in planted.inventory.items if i.key == -1 and i.number < 46)
    said = person.literal_answers[reversed_item.number]
    lines = dict(line.split(": ") for line in found.prompt.splitlines()[1:])
    options = [option.text for option in planted.inventory.scale]
    assert lines[str(reversed_item.text)] == options[int(6 - said) - 1]
    with pytest.raises(UsageError, match="no answers but those to fit on"):
        fit_pas_published(planted.model, person, template="words", cache=False)
    alone = fit_pas_published(
        planted.model, person, strength=4.0, few_shot=False, template="words", cache=False
    )
    assert (alone.strength, alone.prompt, alone.method) == (4.0, "", "pas-published")


def test_as_published_trait_levels_need_a_strength(tiny_model: Any, tokenizer: Any) -> None:
    model = TransformersModel(tiny_model("llama"), tokenizer)
    levels = TraitLevels({"E": 1.0})
    with pytest.raises(UsageError, match=r"no answers but those to fit on.*--strength"):
        fit_pas_published(model, levels, cache=False)
    found = fit_pas_published(
        model, levels, items=range(1, 41), strength=2.0, few_shot=False, heads=2, cache=False
    )
    assert (found.name, found.strength) == (levels.name, 2.0)


def test_as_published_other_scales_are_refused(planted: Planted) -> None:
    content = planted.inventory.model_dump()
    content["scale"] = [{"text": text, "value": value} for value, text in enumerate("abcdefg", 1)]
    seven = Inventory.model_validate(content)
    person = Person("ann", seven, {n: float(1 + n % 7) for n in seven.numbers})
    with pytest.raises(UsageError, match="scale of 1 to 5, and that of planted is another"):
        fit_pas_published(planted.model, person, strength=1.0, cache=False)
