"""All orders of an item's options, read on shared prefixes, are what separate passes give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from allport.administration import Design, plan
from allport.inventories import Inventory, Item, Option, Trait
from allport.models.transformers_model import TransformersModel

ADVICE = ("Call them now.", "Ask a friend along.", "Wait a day.", "Leave it, and stay at home.")


@pytest.fixture(scope="module")
def situations() -> Inventory:
    """Two situations with four pieces of advice each."""
    options = tuple(
        Option(text=text, value=value) for text, value in zip(ADVICE, (1, 1, 0, 0), strict=True)
    )
    return Inventory(
        name="two",
        title="Two",
        version="1",
        traits=(Trait(code="E", name="Extraversion"),),
        items=tuple(
            Item(number=number, text=f"{text} What now?", trait="E", options=options)
            for number, text in enumerate(
                ("I am asked to a party by people whom I hardly know.", "My neighbour has moved."),
                start=1,
            )
        ),
        licence="test",
        source="test",
    )


@pytest.mark.parametrize("template", ["advice-after", "advice-before"])
def test_all_orders_equal_separate_passes(
    template: str, situations: Inventory, tiny_model: Any, tokenizer: Any
) -> None:
    questions = plan(situations, Design(templates=(template,), orders=("all",)))
    assert len(questions) == 2 * 24
    assert len({question.messages for question in questions}) == 48
    together = TransformersModel(tiny_model("llama"), tokenizer)
    alone = TransformersModel(tiny_model("llama"), tokenizer, batch_size=1)
    alone.passes._sharing = "whole"
    shared = {(r.item, r.condition): r for r in together.answer(questions)}
    assert together.passes.sharing(np.arange(9)) == "shared"
    separate = {(r.item, r.condition): r for r in alone.answer(questions)}
    assert shared.keys() == separate.keys()
    for key, response in separate.items():
        found = shared[key]
        np.testing.assert_allclose(
            np.log(found.probabilities), np.log(response.probabilities), rtol=0, atol=1e-4
        )
        assert np.log(found.label_mass) == pytest.approx(np.log(response.label_mass), abs=1e-4)
        assert found.choice == response.choice
    # The orders matter to this model, so that equal figures are not equal for nothing.
    of_one = np.array([r.probabilities for (item, _), r in separate.items() if item == 1])
    assert of_one.std(axis=0).max() > 1e-3
