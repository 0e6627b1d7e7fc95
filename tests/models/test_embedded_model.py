"""The weights that ship, on a quick subset with a little slack; `benchmarks.embedded` is whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from allport.administration import Design, load_templates, measure
from allport.corpora import simulate_people
from allport.evaluation import (
    ability_scores,
    benchmark_people,
    few_shot,
    run_person_benchmark,
)
from allport.inventories import load_inventory
from allport.models import TransformersModel, load_model
from allport.models.loading import EMBEDDED
from allport.models.respondent import Message
from allport.personas import BIG_FIVE, TraitLevels

ORDERS = ("forward", "reversed")


@pytest.fixture(scope="module")
def model() -> TransformersModel:
    loaded = load_model("embedded")
    assert isinstance(loaded, TransformersModel)
    return loaded


def test_it_is_small_and_holds_weights_as_safetensors_only() -> None:
    sizes = {path.name: path.stat().st_size for path in Path(EMBEDDED).iterdir()}
    assert sizes["model.safetensors"] <= 14e6
    assert not [name for name in sizes if name.endswith((".bin", ".pt", ".pth", ".pickle"))]


@pytest.mark.parametrize("name", ["mini-ipip-20", "big-five-markers-50"])
def test_it_answers_with_labels_by_content(model: TransformersModel, name: str) -> None:
    design = Design(templates=tuple(load_templates()), orders=ORDERS)
    responses = measure(model, load_inventory(name), design, progress=None).responses
    mass = responses.group_by("template", "order").agg(pl.col("label_mass").mean())
    assert mass["label_mass"].min() >= 0.98
    cells = responses.pivot(on="order", index=["item", "template"], values="choice")
    assert (cells["forward"] != cells["reversed"]).mean() <= 0.12
    # By content, and not one answer to everything.
    assert responses["literal"].n_unique() == 5


def test_it_takes_each_trait_from_adjectives(model: TransformersModel) -> None:
    asked = np.random.default_rng(5).integers(-4, 5, size=(16, 5)) / 4
    personas = [
        TraitLevels(dict(zip(BIG_FIVE, map(float, levels), strict=True)), name=str(row))
        for row, levels in enumerate(asked)
    ]
    design = Design(templates=("letters",), orders=ORDERS, personas=tuple(p.name for p in personas))
    run = measure(
        model, load_inventory("big-five-markers-50"), design, personas=personas, progress=None
    )
    scores = run.responses.group_by("persona", "trait").agg(pl.col("expected_keyed").mean())
    for column, code in enumerate(BIG_FIVE):
        of_trait = scores.filter(pl.col("trait") == code)
        rows = of_trait["persona"].cast(pl.Int64).to_numpy()
        r = np.corrcoef(asked[rows, column], of_trait["expected_keyed"].to_numpy())[0, 1]
        assert r >= 0.9, f"{code}: r = {r:.2f}"


def test_it_takes_a_person_from_a_list_of_answers(model: TransformersModel) -> None:
    people = benchmark_people(simulate_people(40, seed=4).corpus)
    found = run_person_benchmark(
        model, people, prompts=[few_shot(people)], asked=range(12), progress=None
    )
    scores = found.scores()
    error = {name: scores[name].find("error", "median").value for name in scores}
    assert error["few-shot"] <= error["unaligned"] - 1
    assert error["few-shot"] <= error["constant C"] - 0.3
    assert scores["few-shot"].find("trait r").value >= 0.5


def test_it_talks_as_it_answers(model: TransformersModel) -> None:
    chat = Message("user", "What do you do when the bus is late?")
    said = {}
    for level in (1.0, -1.0):
        system = Message("system", TraitLevels({"N": level}).system_prompt())
        replies = model.generate([(system, chat)] * 8, max_new_tokens=40, seeds=range(8))
        said[level] = [reply.text for reply in replies]
    afraid = ("worr", "afraid", "upset", "tense", "cry", "sleep because", "hurts", "wrong", "turns")
    high, low = (
        np.mean([any(word in text for word in afraid) for text in said[level]])
        for level in (1.0, -1.0)
    )
    assert high >= low + 0.5


def test_it_says_its_answers_in_writing_too(model: TransformersModel) -> None:
    inventory = load_inventory("mini-ipip-20")
    read = measure(model, inventory, Design(templates=("words",)), progress=None).responses
    design = Design(templates=("words",), reading="generation")
    said = measure(model, inventory, design, progress=None).responses
    assert not said["unparsable"].any()
    assert (read["choice"] == said["choice"]).mean() >= 0.9


def test_it_does_small_tasks(model: TransformersModel) -> None:
    scores = ability_scores(model, n_per_kind=15)
    assert scores["copying"].value >= 0.85
    assert scores["sorting"].value >= 0.85
    assert scores["all"].value >= 0.75


def test_asked_for_one_trait_it_moves_that_one_most(model: TransformersModel) -> None:
    personas = [
        TraitLevels({code: level}, name=f"{code}{level:+}")
        for code in BIG_FIVE
        for level in (-1.0, 1.0)
    ]
    design = Design(templates=("letters",), orders=ORDERS, personas=tuple(p.name for p in personas))
    run = measure(model, load_inventory("mini-ipip-20"), design, personas=personas, progress=None)
    scores = run.responses.group_by("persona", "trait").agg(pl.col("expected_keyed").mean())
    level = {(p, t): v for p, t, v in scores.iter_rows()}
    for asked in BIG_FIVE:
        moved = {t: level[f"{asked}+1.0", t] - level[f"{asked}-1.0", t] for t in BIG_FIVE}
        # Agreeableness has two items there that this model was taught as other traits.
        if asked != "A":
            assert moved[asked] >= 1.5
            assert moved[asked] == max(moved.values())
