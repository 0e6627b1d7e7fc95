"""The weights that ship, on a quick subset with a little slack; `benchmarks.embedded` is whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from allport.administration import Design, load_templates, measure
from allport.inventories import load_inventory
from allport.models import TransformersModel, load_model
from allport.models.loading import EMBEDDED
from allport.personas import BIG_FIVE, TraitLevels

ORDERS = ("forward", "reversed")


@pytest.fixture(scope="module")
def model() -> TransformersModel:
    loaded = load_model("embedded")
    assert isinstance(loaded, TransformersModel)
    return loaded


def test_it_is_small_and_holds_weights_as_safetensors_only() -> None:
    sizes = {path.name: path.stat().st_size for path in Path(EMBEDDED).iterdir()}
    assert sizes["model.safetensors"] <= 12e6
    assert not [name for name in sizes if name.endswith((".bin", ".pt", ".pth", ".pickle"))]


@pytest.mark.parametrize("name", ["mini-ipip-20", "big-five-markers-50"])
def test_it_answers_with_labels_by_content(model: TransformersModel, name: str) -> None:
    design = Design(templates=tuple(load_templates()), orders=ORDERS)
    responses = measure(model, load_inventory(name), design, progress=None).responses
    mass = responses.group_by("template", "order").agg(pl.col("label_mass").mean())
    assert mass["label_mass"].min() >= 0.93
    cells = responses.pivot(on="order", index=["item", "template"], values="choice")
    assert (cells["forward"] != cells["reversed"]).mean() <= 0.25
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
        assert r >= 0.6, f"{code}: r = {r:.2f}"


def test_it_says_its_answers_in_writing_too(model: TransformersModel) -> None:
    inventory = load_inventory("mini-ipip-20")
    read = measure(model, inventory, Design(templates=("words",)), progress=None).responses
    design = Design(templates=("words",), reading="generation")
    said = measure(model, inventory, design, progress=None).responses
    assert not said["unparsable"].any()
    assert (read["choice"] == said["choice"]).mean() >= 0.9
