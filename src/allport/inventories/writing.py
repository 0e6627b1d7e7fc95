"""Writing an inventory as JSON or TOML, each of which holds everything an inventory can say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from allport.errors import InventoryError
from allport.files import write_atomically
from allport.inventories.inventory import Inventory

__all__ = ["inventory_json", "inventory_toml", "write_inventory"]

_LISTS = ("scale", "traits", "facets", "items")


def write_inventory(inventory: Inventory, path: Path | str) -> Path:
    """Write an inventory to a file that `read_inventory` reads back equal.

    Args:
        inventory: What to write.
        path: The file; its ending says the format: `.json`, `.toml` or `.csv`.

    Returns:
        The path written.

    Raises:
        InventoryError: The ending is another, the file cannot be written, or the inventory holds
            what CSV has no place for (options, wordings, a question or a cluster of single items).
    """
    path = Path(path).expanduser()
    match path.suffix.lower():
        case ".json":
            text = inventory_json(inventory)
        case ".toml":
            text = inventory_toml(inventory)
        case ".csv":
            # Here, as the CSV layout builds on this module's sister that reads.
            from allport.inventories.tabular import inventory_csv

            text = inventory_csv(inventory)
        case _:
            raise InventoryError(
                f"{path}: an inventory is written as .json, .toml or .csv; choose one of these."
            )
    try:
        return write_atomically(path, text)
    except OSError as error:
        reason = error.strerror or error
        raise InventoryError(
            f"{path}: the inventory cannot be written ({reason}); choose another place."
        ) from error


def inventory_json(inventory: Inventory) -> str:
    """An inventory as JSON text with one item a line, so that two versions compare line by line.

    Values that say nothing (an empty note, an item without facet) are left out. `n_items` is
    written beside the fields of `Inventory`; a reader checks it against the items that follow.
    """
    head, lists = _content(inventory)
    rows = [f"  {_string(field)}: {_json(value)}" for field, value in head.items()]
    for field, entries in lists.items():
        body = ",\n".join(f"    {_json(entry)}" for entry in entries)
        rows.append(f"  {_string(field)}: [\n{body}\n  ]")
    return "{\n" + ",\n".join(rows) + "\n}\n"


def inventory_toml(inventory: Inventory) -> str:
    """An inventory as TOML text with one item a line; otherwise as `inventory_json`."""
    head, lists = _content(inventory)
    rows = [f"{field} = {_toml(value)}" for field, value in head.items()]
    for field, entries in lists.items():
        rows += [f"{field} = [", *(f"  {_toml(entry)}," for entry in entries), "]"]
    return "\n".join(rows) + "\n"


def _content(inventory: Inventory) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Fields worth writing: those of the inventory itself, and its lists."""
    content = _whole(inventory.model_dump(mode="json", exclude_defaults=True))
    head = {field: value for field, value in content.items() if field not in _LISTS}
    head["n_items"] = len(inventory.items)
    return head, {field: content[field] for field in _LISTS if field in content}


def _whole(value: Any) -> Any:
    """The same content with 1.0 written as 1, as people write scale values."""
    match value:
        case dict():
            return {key: _whole(entry) for key, entry in value.items()}
        case list():
            return [_whole(entry) for entry in value]
        case float() if value.is_integer() and abs(value) < 2**53:
            return int(value)
        case _:
            return value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _string(text: str) -> str:
    # A JSON string is a TOML string but for DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _toml(value: Any) -> str:
    match value:
        case str():
            return _string(value)
        case dict():
            pairs = ", ".join(f"{_string(key)} = {_toml(entry)}" for key, entry in value.items())
            return "{" + pairs + "}"
        case list():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case float():
            return repr(value)
        case _:
            return str(value)
