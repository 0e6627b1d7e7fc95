from __future__ import annotations

import numpy as np
import pytest

from allport.inventories import Inventory, load_inventory
from allport.models import TransformersModel, load_model
from benchmarks.results import Row
from benchmarks.situations import (
    CASES,
    all_orders,
    label_bias,
    official_rule,
    person_of_tokens,
    planted_answers,
    recovery,
    rows,
)


@pytest.fixture(scope="module")
def model() -> TransformersModel:
    loaded = load_model("embedded")
    assert isinstance(loaded, TransformersModel)
    return loaded


@pytest.fixture(scope="module")
def bank() -> Inventory:
    """Six items of three traits."""
    whole = load_inventory("situations-320")
    return whole.model_copy(update={"items": whole.items[::60]})


def by_id(found: list[Row]) -> dict[str, Row]:
    return {row.id.removeprefix("situations."): row for row in found}


def test_the_released_rule_agrees_with_every_hand_made_case() -> None:
    row = official_rule()
    assert (row.value, row.target) == (1.0, 1.0)
    assert row.reached
    assert {case.high for case in CASES.values()} == {True, False}


def test_a_label_bias_moves_the_fixed_layout_only() -> None:
    found = by_id(label_bias(load_inventory("situations-320")))
    assert found["bias.fixed"].low > 10
    assert found["bias.williams"].high < 1e-6
    assert found["bias.fixed"].reached
    assert found["bias.williams"].reached


def test_planted_parameters_are_what_answers_come_from() -> None:
    said, statements, discriminations, difficulties = planted_answers(4000, 0)
    assert said.shape == (4000, 40)
    assert [statements.count(n) for n in range(8)] == [5] * 8
    assert (discriminations > 0).all()
    assert np.corrcoef(said.mean(axis=0), difficulties)[0, 1] < -0.9
    found = by_id(recovery(1, respondents=200))
    assert found["irt.difficulty"].value > 0.9
    assert 0.5 < found["irt.discrimination"].value < 1


def test_a_persona_is_as_long_as_asked_for(model: TransformersModel) -> None:
    lengths = [
        len(model.tokenizer(person_of_tokens(model, n).system_prompt()).input_ids)
        for n in (60, 200)
    ]
    assert 60 <= lengths[0] < 90
    assert 200 <= lengths[1] < 230


def test_orders_read_together_are_those_read_apart(
    model: TransformersModel, bank: Inventory
) -> None:
    found = by_id(all_orders(model, bank, rounds=1, items=2))
    assert found["all_orders.difference"].reached
    assert "24 orders of 2 items" in found["all_orders.speed"].metric
    unique, total = (
        int(word.replace(",", ""))
        for word in found["all_orders.speed"].metric.split()
        if word.replace(",", "").isdigit() and int(word.replace(",", "")) > 100
    )
    assert unique < total / 2
    assert model.passes.mixes_chains  # sharing is off for the other model only


def test_every_row_is_there_at_small_size(model: TransformersModel, bank: Inventory) -> None:
    found = rows(model, bank, rounds=1, sample=2, all_orders_of=1, seeds=1)
    assert [row.id for row in found] == [
        "situations.official_rule",
        "situations.bias.fixed",
        "situations.bias.williams",
        "situations.irt.difficulty",
        "situations.irt.discrimination",
        "situations.speed.plain",
        "situations.rate.plain",
        "situations.speed.persona",
        "situations.rate.persona",
        "situations.all_orders.speed",
        "situations.all_orders.difference",
    ]
    assert all(row.low <= row.value <= row.high for row in found)
    assert all(row.value > 0 for row in found if "speed" in row.id or "rate" in row.id)
