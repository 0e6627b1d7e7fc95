"""The inventory model: what holds together, and the way between literal and keyed answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError

from allport.errors import InventoryError
from allport.inventories import Inventory, load_inventory


def small(**changes: Any) -> Inventory:
    content: dict[str, Any] = {
        "name": "small",
        "title": "Small",
        "version": "1",
        "scale": [
            {"text": "No", "value": 1},
            {"text": "Maybe", "value": 2},
            {"text": "Yes", "value": 4},
        ],
        "traits": [{"code": "W", "name": "Warmth"}, {"code": "D", "name": "Drive"}],
        "facets": [{"code": "W1", "name": "Hugs", "trait": "W"}],
        "items": [
            {"number": 1, "text": "Hug.", "trait": "W", "facet": "W1"},
            {"number": 2, "text": "Keep away.", "trait": "W", "key": -1},
            {"number": 7, "text": "Run.", "trait": "D"},
        ],
        "licence": "CC0",
        "source": "made up",
    }  # fmt: skip
    return Inventory.model_validate(content | changes)


def test_reversal_uses_the_limits_of_the_scale_and_not_the_answers() -> None:
    literal = np.array([[1.0, 2.0, 4.0], [4.0, np.nan, 1.0]])
    keyed = small().keyed(literal)
    np.testing.assert_array_equal(keyed, [[1.0, 3.0, 4.0], [4.0, np.nan, 1.0]])


@given(arrays(np.float64, (3, 120), elements=st.sampled_from([1.0, 2.0, 3.0, 4.0, 5.0, np.nan])))
def test_keyed_and_literal_undo_each_other(literal: np.ndarray) -> None:
    inventory = load_inventory("ipip-neo-120")
    np.testing.assert_array_equal(inventory.literal(inventory.keyed(literal)), literal)
    flipped = inventory.keyed(literal) != literal
    assert not flipped[:, inventory.keys == 1][~np.isnan(literal[:, inventory.keys == 1])].any()


def test_situational_items_score_by_their_own_options() -> None:
    options = [{"text": "Stay", "value": -1}, {"text": "Go", "value": 3}]
    inventory = small(
        scale=[],
        facets=[],
        items=[{"number": 1, "text": "A fire.", "trait": "D", "options": options}],
    )
    np.testing.assert_array_equal(inventory.option_values(inventory.items[0]), [-1, 3])
    np.testing.assert_array_equal(inventory.keyed(np.array([[3.0]])), [[3.0]])


def test_columns_follow_traits_and_facets() -> None:
    inventory = small()
    assert inventory.columns("W").tolist() == [0, 1]
    assert inventory.columns("W1").tolist() == [0]
    assert inventory.item(7).trait == "D"
    with pytest.raises(InventoryError, match="small has no item 3"):
        inventory.item(3)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"items": []}, "no items"),
        ({"scale": [{"text": "a", "value": 2}, {"text": "b", "value": 1}]}, "ascending"),
        ({"scale": [{"text": "a", "value": 1}, {"text": "a", "value": 2}]}, "same text"),
        ({"scale": [{"text": "a", "value": float("inf")}]}, "finite"),
        ({"traits": [{"code": "W", "name": "x"}, {"code": "W", "name": "y"}]}, "given twice"),
        ({"facets": [{"code": "W", "name": "x", "trait": "W"}]}, "a trait has the same code"),
        ({"facets": [{"code": "W1", "name": "x", "trait": "Q"}]}, "unknown trait 'Q'"),
        ({"facets": [{"code": "W1", "name": "x", "trait": "W"}] * 2}, "facet code is given twice"),
        ({"items": [{"number": 1, "text": "a", "trait": "W", "key": True}]}, "1 or -1"),
        ({"items": [{"number": 1, "text": "a", "trait": "D", "facet": "W1"}]}, "does not belong"),
        ({"items": [{"number": 1, "text": "a", "trait": "W", "facet": "Z"}]}, "unknown facet 'Z'"),
        (
            {"items": [{"number": 1, "text": "a", "trait": "W"}, {"number": 2, "trait": "W"}]},
            "item 2: the text is missing",
        ),
        (
            {"scale": [], "items": [{"number": 1, "text": "a", "trait": "W"}]},
            "item 1: no options",
        ),
        ({"name": "Not a name"}, "match pattern"),
    ],
)  # fmt: skip
def test_what_does_not_hold_together_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        small(**changes)


def test_the_hash_is_of_the_content() -> None:
    assert small().content_hash == small().content_hash
    assert small().content_hash != small(notes="other").content_hash


def test_texts_are_put_in_by_number() -> None:
    inventory = small().with_texts({1: "one", 2: "two", 7: "seven"})
    assert [item.text for item in inventory.items] == ["one", "two", "seven"]
    assert inventory.items[1].key == -1
    with pytest.raises(InventoryError, match="do not match its items at 3, 7"):
        small().with_texts({1: "one", 2: "two", 3: "three"})
