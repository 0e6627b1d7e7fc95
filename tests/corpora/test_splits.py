"""The items to fit on and the items to measure on."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from allport.corpora import ItemSplit, short_form_numbers, short_form_split
from allport.errors import InventoryError
from allport.inventories import load_inventory


def test_the_120_items_of_the_short_form_are_fitted_on_and_180_held_out() -> None:
    split = short_form_split()
    assert (len(split.fit), len(split.held_out)) == (120, 180)
    assert sorted(split.fit + split.held_out) == list(range(1, 301))
    facets = Counter(split.inventory.items[column].facet for column in split.fit_columns)
    assert set(facets.values()) == {4}
    assert len(facets) == 30


def test_keys_of_the_parts_are_as_published() -> None:
    split = short_form_split()

    def keys(columns: list[int]) -> dict[str, tuple[int, int]]:
        items = [split.inventory.items[column] for column in columns]
        return {
            trait: tuple(sum(i.trait == trait and i.key == key for i in items) for key in (1, -1))
            for trait in "ACENO"
        }  # type: ignore[return-value]  # two keys, two counts

    assert keys(split.fit_columns.tolist()) == {
        "A": (7, 17),
        "C": (11, 13),
        "E": (18, 6),
        "N": (17, 7),
        "O": (12, 12),
    }
    assert keys(split.held_out_columns.tolist()) == {
        "A": (17, 19),
        "C": (20, 16),
        "E": (18, 18),
        "N": (16, 20),
        "O": (16, 20),
    }


def test_the_split_is_the_one_of_the_benchmark(shared: Path) -> None:
    with (shared / "data/papi/item_key.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    split = short_form_split()
    assert split.fit == tuple(int(row["number"]) for row in rows if row["papi_split"] == "train")
    numbers = {int(float(r["short_number"])): int(r["number"]) for r in rows if r["short_number"]}
    assert short_form_numbers() == numbers


def test_parts_stand_in_the_order_of_the_inventory() -> None:
    inventory = load_inventory("mini-ipip-20")
    split = ItemSplit(inventory, (3, 1), (2, 20, 7))
    assert split.fit == (1, 3)
    assert split.held_out == (2, 7, 20)
    assert split.fit_columns.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("fit", "held_out", "reason"),
    [
        ((1, 2), (2, 3), "both to be fitted on and held out"),
        ((1, 99), (2,), "no item 99"),
        ((), (2,), "needs items to fit on"),
        ((1,), (), "items to hold out"),
    ],
)
def test_parts_that_are_none_are_refused(
    fit: tuple[int, ...], held_out: tuple[int, ...], reason: str
) -> None:
    with pytest.raises(InventoryError, match=reason):
        ItemSplit(load_inventory("mini-ipip-20"), fit, held_out)


def test_an_inventory_that_is_no_short_form_is_refused() -> None:
    with pytest.raises(InventoryError, match="no short form"):
        short_form_split(load_inventory("ipip-neo-300"), load_inventory("mini-ipip-20"))
