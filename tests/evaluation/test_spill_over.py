from __future__ import annotations

from typing import Any

import pytest
from tests.models.conftest import tiny_model, tokenizer

from allport.administration import Design, Run, measure
from allport.alignment import Alignment
from allport.corpora import short_form_split
from allport.errors import UsageError
from allport.evaluation import measure_spill_over, spill_over_between
from allport.inventories import load_inventory
from allport.models.respondent import Question
from allport.models.scripted import ScriptedRespondent
from allport.models.transformers_model import TransformersModel

__all__ = ["tiny_model", "tokenizer"]

INVENTORY = load_inventory("ipip-neo-300")
HELD_OUT = short_form_split().held_out


def run_with(levels: dict[str, float]) -> Run:
    """Keyed answers of 3 plus a level and a little that hangs on the item."""

    def script(question: Question) -> list[float]:
        item = INVENTORY.item(question.item)
        level = levels.get(item.trait, 0.0)
        keyed = 3 + level * (1 + question.item % 7 / 20)
        high = ((keyed if item.key == 1 else 6 - keyed) - 1) / 4
        return [1 - high, 0, 0, 0, high]

    design = Design(templates=("letters",), items=HELD_OUT)
    return measure(ScriptedRespondent(script), INVENTORY, design, progress=None)


def test_all_traits_are_reported_and_those_asked_for_come_first() -> None:
    found = spill_over_between(run_with({}), run_with({"E": 1.0, "C": -0.5}), {"E": 1.0})
    assert [row.code for row in found.traits] == ["E", "N", "O", "A", "C"]
    changes = {row.code: row.difference for row in found.traits}
    assert 1 < changes["E"].low < changes["E"].value < changes["E"].high
    assert changes["C"].high < -0.5
    assert changes["N"].value == pytest.approx(0)
    assert found.items == HELD_OUT
    assert all(row.items == 36 for row in found.traits)


def test_it_is_measured_on_items_that_were_not_fitted_on(tiny_model: Any, tokenizer: Any) -> None:
    model = TransformersModel(tiny_model("llama"), tokenizer, "tiny")
    words = Alignment("bold", "prompt", prompt="You are a person who is extremely outgoing.")
    found = measure_spill_over(model, words, {"E": 1.0})
    assert (found.inventory, found.items) == ("ipip-neo-300", HELD_OUT)
    assert (found.templates, found.orders) == (("letters",), ("forward", "reversed"))
    assert all(row.cells == 2 * row.items == 72 for row in found.traits)
    assert any(row.difference.value for row in found.traits)
    # What was fitted on after all is not asked.
    some = {"inventory": "ipip-neo-300", "items": list(HELD_OUT[:100])}
    fitted = Alignment("bold", "prompt", prompt=words.prompt, fit=some)
    assert measure_spill_over(model, fitted, {"E": 1.0}).items == HELD_OUT[100:]
    every = {"inventory": "ipip-neo-300", "items": list(INVENTORY.numbers)}
    with pytest.raises(UsageError, match="none is left to measure on"):
        measure_spill_over(model, Alignment("bold", "prompt", prompt="x", fit=every), {"E": 1.0})
