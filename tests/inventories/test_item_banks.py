"""The shipped item banks against the published keys."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from allport.errors import InventoryError
from allport.inventories import Inventory, available_inventories, load_inventory

IPIP = ["ipip-neo-300", "ipip-neo-120", "big-five-markers-50", "mini-ipip-20"]
SCALE = [
    ("Very Inaccurate", 1),
    ("Moderately Inaccurate", 2),
    ("Neither Accurate nor Inaccurate", 3),
    ("Moderately Accurate", 4),
    ("Very Accurate", 5),
]


def published(shared: Path) -> list[dict[str, str]]:
    with (shared / "data/papi/item_key.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def facts(inventory: Inventory) -> list[tuple[int, str | None, str, str | None, int]]:
    return [(item.number, item.text, item.trait, item.facet, item.key) for item in inventory.items]


def test_300_of_300_items_are_as_published(shared: Path) -> None:
    expected = [
        (
            int(row["number"]),
            row["text"],
            row["facet_code"][0],
            row["facet_code"],
            1 if row["sign"] == "+" else -1,
        )
        for row in published(shared)
    ]
    assert len(expected) == 300
    assert facts(load_inventory("ipip-neo-300")) == expected


def test_120_of_120_items_are_as_published(shared: Path) -> None:
    expected = sorted(
        (
            int(float(row["short_number"])),
            row["text"],
            row["facet_code"][0],
            row["facet_code"],
            1 if row["sign"] == "+" else -1,
        )
        for row in published(shared)
        if row["short_number"]
    )
    assert [row[0] for row in expected] == list(range(1, 121))
    assert facts(load_inventory("ipip-neo-120")) == expected


def test_facets_are_named_as_published(shared: Path) -> None:
    names = {row["facet_code"]: row["facet"] for row in published(shared)}
    for name in ("ipip-neo-300", "ipip-neo-120"):
        inventory = load_inventory(name)
        assert {facet.code: facet.name for facet in inventory.facets} == names
        assert [facet.code for facet in inventory.facets] == [
            f"{trait}{i}" for trait in "NEOAC" for i in range(1, 7)
        ]


@pytest.mark.parametrize("name", IPIP)
def test_ipip_inventories_share_traits_scale_and_terms(name: str) -> None:
    inventory = load_inventory(name)
    assert [trait.code for trait in inventory.traits] == list("NEOAC")
    assert [(option.text, option.value) for option in inventory.scale] == SCALE
    assert inventory.stem == "I"
    assert inventory.licence.startswith("Public domain")
    assert [item.number for item in inventory.items] == list(range(1, len(inventory.items) + 1))
    for item in inventory.items:
        assert item.text is not None
        assert item.text[0].isupper()
        assert item.text.endswith((".", '."'))


def test_reversed_items_are_as_many_as_published() -> None:
    reversals = {name: int((load_inventory(name).keys == -1).sum()) for name in IPIP}
    assert reversals["ipip-neo-300"] == 148
    assert reversals["ipip-neo-120"] == 55
    assert reversals["mini-ipip-20"] == 11


def test_short_forms_are_in_published_order() -> None:
    markers, mini = load_inventory("big-five-markers-50"), load_inventory("mini-ipip-20")
    assert "".join(item.trait for item in markers.items) == "EACNO" * 10
    assert "".join(item.trait for item in mini.items) == "EACNO" * 4
    # The Mini-IPIP was made from the markers but for one item of the wider pool.
    texts = {item.text: (item.trait, item.key) for item in markers.items}
    assert all(texts[item.text] == (item.trait, item.key) for item in mini.items)


def test_neuroticism_is_emotional_stability_turned_over() -> None:
    items = {item.text: item for item in load_inventory("big-five-markers-50").items}
    assert items["Get stressed out easily."].key == 1
    assert items["Am relaxed most of the time."].key == -1
    # Of the ten, two speak for stability.
    assert Counter(item.key for item in items.values() if item.trait == "N") == {1: 8, -1: 2}


def test_bfi_and_dark_triad_ship_keys_without_texts() -> None:
    bfi = load_inventory("bfi-44", with_text=False)
    reverse = {2, 6, 8, 9, 12, 18, 21, 23, 24, 27, 31, 34, 35, 37, 41, 43}
    assert {item.number for item in bfi.items if item.key == -1} == reverse
    assert Counter(item.trait for item in bfi.items) == {"O": 10, "A": 9, "C": 9, "E": 8, "N": 8}
    dark = load_inventory("sd-3", with_text=False)
    assert {item.number for item in dark.items if item.key == -1} == {11, 15, 17, 20, 25}
    assert [item.trait for item in dark.items] == ["Mach"] * 9 + ["Narc"] * 9 + ["Psych"] * 9
    assert not any(item.text for item in (*bfi.items, *dark.items))


def test_a_missing_text_says_how_to_import_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLPORT_HOME", str(tmp_path))
    with pytest.raises(InventoryError, match="allport inventories import bfi-44 --from FILE"):
        load_inventory("bfi-44")
    listed = {row.name: row for row in available_inventories()}
    assert list(listed) == [*IPIP, "bfi-44", "sd-3", "situations-320"]
    assert [name for name, row in listed.items() if not row.has_text] == ["bfi-44", "sd-3"]
