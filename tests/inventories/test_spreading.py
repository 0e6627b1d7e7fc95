"""Few items stand for all: every trait and facet, and keys as mixed as in the whole."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allport.inventories import Inventory, Item, load_inventory, spread_items

BANKS = ("ipip-neo-300", "ipip-neo-120", "mini-ipip-20", "big-five-markers-50", "situations-320")


def first(inventory: Inventory, count: int) -> list[Item]:
    return list(islice(spread_items(inventory.items), count))


def spans(counts: list[int]) -> int:
    return max(counts) - min(counts)


@pytest.mark.parametrize("name", BANKS)
def test_every_beginning_is_spread_over_traits_and_what_is_in_them(name: str) -> None:
    bank = load_inventory(name)
    within = {(item.trait, item.facet, item.cluster) for item in bank.items}
    for count in (1, 2, 4, 5, 7, 12, 19, min(24, len(bank.items)), min(30, len(bank.items))):
        chosen = first(bank, count)
        assert len({item.number for item in chosen}) == count
        traits = Counter(item.trait for item in chosen)
        assert len(traits) == min(count, len(bank.traits))
        assert spans([traits[trait.code] for trait in bank.traits]) <= 1
        for trait in traits:
            parts = Counter((i.trait, i.facet, i.cluster) for i in chosen if i.trait == trait)
            sizes = [parts[part] for part in within if part[0] == trait]
            if len(sizes) > 1:
                assert spans(sizes) <= 1


@pytest.mark.parametrize("name", ["ipip-neo-300", "ipip-neo-120", "mini-ipip-20"])
def test_keys_are_mixed_as_in_the_whole(name: str) -> None:
    """The first item of each facet of the IPIP-NEO-300 is of key +1, all thirty of them."""
    bank = load_inventory(name)
    share = (bank.keys == 1).mean()
    for count in range(1, len(bank.items) + 1):
        positive = sum(item.key == 1 for item in first(bank, count))
        assert abs(positive - share * count) < 2


def test_situations_of_one_statement_come_one_after_the_other_had_its_turn() -> None:
    bank = load_inventory("situations-320")
    assert len({item.cluster for item in first(bank, 64)}) == 64


@given(st.lists(st.tuples(*(st.sampled_from(kinds) for kinds in ("NE", "12", "ab", (1, -1))))))
def test_all_items_come_once_and_always_in_the_same_order(
    kinds: list[tuple[str, str, str, int]],
) -> None:
    items = [
        Item.model_validate(
            {"number": n, "trait": trait, "facet": trait + facet, "cluster": cluster, "key": key}
        )
        for n, (trait, facet, cluster, key) in enumerate(kinds, start=1)
    ]
    found = [item.number for item in spread_items(items)]
    assert sorted(found) == [item.number for item in items]
    assert found == [item.number for item in spread_items(iter(items))]
