"""Writing an inventory as JSON, TOML or CSV."""

from __future__ import annotations

import json
from typing import Any

from allport.inventories.inventory import Inventory

__all__ = ["inventory_json"]

_HEAD = (
    "name",
    "title",
    "version",
    "language",
    "licence",
    "source",
    "notes",
    "stem",
    "scoring",
    "norms",
)


def inventory_json(inventory: Inventory) -> str:
    """An inventory as JSON text with one item a line, so that two versions compare line by line.

    Values that say nothing (an empty text, an item without facet) are left out. `n_items` is
    written beside the fields of `Inventory`; a reader checks it against the items that follow.
    """
    content = inventory.model_dump(mode="json", exclude_defaults=True)
    rows: list[str] = [
        f"  {_line(field)}: {_line(content[field])}" for field in _HEAD if field in content
    ]
    rows.append(f'  "n_items": {len(inventory.items)}')
    for field in ("scale", "traits", "facets", "items"):
        if field in content:
            entries = ",\n".join(f"    {_line(entry)}" for entry in content[field])
            rows.append(f"  {_line(field)}: [\n{entries}\n  ]")
    return "{\n" + ",\n".join(rows) + "\n}\n"


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
