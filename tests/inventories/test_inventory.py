"""Inventories as objects: what is derived from items follows the items."""

from __future__ import annotations

from allport.inventories import load_inventory


def test_a_changed_copy_keeps_nothing_derived_from_the_old_one() -> None:
    whole = load_inventory("mini-ipip-20")
    assert whole.keys.shape == (20,)
    half = whole.model_copy(update={"items": whole.items[:10]})
    assert half.keys.shape == (10,)
    assert half.content_hash != whole.content_hash
