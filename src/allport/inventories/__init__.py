"""What is asked: item banks, keys, scales, norms and importers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from allport.inventories.catalog import (
        InventorySummary,
        available_inventories,
        load_inventory,
        user_folder,
    )
    from allport.inventories.importing import import_inventory
    from allport.inventories.inventory import Facet, Inventory, Item, Option, Trait
    from allport.inventories.norms import (
        NormGroup,
        NormScore,
        NormScores,
        default_group,
        norm_group,
        norm_groups,
        norm_scores,
    )
    from allport.inventories.reading import read_inventory
    from allport.inventories.situations import read_situations, write_situations
    from allport.inventories.situations_hub import TRAIT_HUB_ID, TRAIT_SPLITS
    from allport.inventories.spreading import spread_items
    from allport.inventories.traits import BIG_FIVE, DARK_TRIAD, named_trait
    from allport.inventories.writing import write_inventory

__all__ = [
    "BIG_FIVE",
    "DARK_TRIAD",
    "TRAIT_HUB_ID",
    "TRAIT_SPLITS",
    "Facet",
    "Inventory",
    "InventorySummary",
    "Item",
    "NormGroup",
    "NormScore",
    "NormScores",
    "Option",
    "Trait",
    "available_inventories",
    "default_group",
    "import_inventory",
    "load_inventory",
    "named_trait",
    "norm_group",
    "norm_groups",
    "norm_scores",
    "read_inventory",
    "read_situations",
    "spread_items",
    "user_folder",
    "write_inventory",
    "write_situations",
]

_HOMES = {
    "catalog": ("InventorySummary", "available_inventories", "load_inventory", "user_folder"),
    "importing": ("import_inventory",),
    "inventory": ("Facet", "Inventory", "Item", "Option", "Trait"),
    "norms": (
        "NormGroup",
        "NormScore",
        "NormScores",
        "default_group",
        "norm_group",
        "norm_groups",
        "norm_scores",
    ),
    "reading": ("read_inventory",),
    "situations": ("read_situations", "write_situations"),
    "situations_hub": ("TRAIT_HUB_ID", "TRAIT_SPLITS"),
    "spreading": ("spread_items",),
    "traits": ("BIG_FIVE", "DARK_TRIAD", "named_trait"),
    "writing": ("write_inventory",),
}


def __getattr__(name: str) -> Any:
    # The command line imports this room to show its help, for which numpy and pydantic are slow.
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
