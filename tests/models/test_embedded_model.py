"""The weights that ship, on quick subsets with a little slack.

`benchmarks.embedded` and `benchmarks.embedded_strength` are whole, and record what bounds are near.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
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
from benchmarks.embedded_strength import conversation_rows, persona_rows, probe_rows
from benchmarks.embedded_talk import told_rows, written
from benchmarks.results import Row

import conversations  # isort: skip  # of the recipe, found once the benchmark is imported

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
    by_template = responses.pivot(on="template", index=["item", "order"], values="choice")
    choices = by_template.select(*load_templates()).to_numpy()
    pairs = itertools.combinations(choices.T, 2)
    assert np.mean([(one != other).mean() for one, other in pairs]) <= 0.12
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


def test_it_does_small_tasks_of_each_kind(model: TransformersModel) -> None:
    scores = ability_scores(model, n_per_kind=30)
    least = {
        "sums": 0.6,
        "copying": 0.85,
        "spelling": 0.7,
        "sorting": 0.85,
        "recall": 0.6,
        "facts": 0.8,
        "yes-no": 0.7,
        "all": 0.8,
    }
    assert set(scores) == set(least)
    for kind, score in scores.items():
        assert score.value >= least[kind], f"{kind}: {score.value:.2f}"


def test_answers_of_a_persona_hang_together_and_are_at_the_level_asked(
    model: TransformersModel,
) -> None:
    found = values(persona_rows(model, 20))
    for code in BIG_FIVE:
        assert found[f"alpha.{code}"] >= 0.97
        assert found[f"asked.{code}"] >= 0.95


def test_a_probe_reads_the_levels_of_a_persona(model: TransformersModel) -> None:
    # From 60 personas less is learned than from the 300 of the benchmark.
    assert values(probe_rows(model, 60))["probe"] >= 0.9


def test_replies_of_both_ends_of_each_trait_are_told_apart(model: TransformersModel) -> None:
    scenes = [scene for scene in conversations.scenes() if scene.held_out]
    found = values(told_rows(written(model, scenes[::4])))
    for code in BIG_FIVE:
        assert found[f"replies.{code}"] >= 0.9


def test_its_levels_stay_through_talk(model: TransformersModel) -> None:
    found = values(conversation_rows(model, 10, turns=3))
    for code in BIG_FIVE:
        assert found[f"consistency.{code}"] >= 0.95


def values(rows: Iterable[Row]) -> dict[str, float]:
    return {row.id.removeprefix("strength."): row.value for row in rows}


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
