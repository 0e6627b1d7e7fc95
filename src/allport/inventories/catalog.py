"""The inventories that can be asked for by name: the shipped ones, and those a person imported."""

from __future__ import annotations

import difflib
import os
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal, NamedTuple

from allport.errors import InventoryError, UsageError
from allport.inventories.inventory import Inventory
from allport.inventories.reading import build_inventory, parse_json, read_inventory

__all__ = [
    "InventorySummary",
    "available_inventories",
    "load_inventory",
    "shipped_inventory",
    "shipped_names",
    "user_folder",
]

_FILES = (".json", ".toml", ".csv", ".jsonl")


class InventorySummary(NamedTuple):
    """One line of the list of inventories."""

    name: str
    title: str
    items: int
    traits: tuple[str, ...]
    """Trait codes."""
    language: str
    licence: str
    has_text: bool
    """False where the text is under copyright and has not been imported."""
    norms: str | None
    origin: Literal["shipped", "imported"]
    problem: str = ""
    """Why an imported file cannot be used; empty where it can. The fields above are empty then."""


def load_inventory(name_or_path: str | Path, *, with_text: bool = True) -> Inventory:
    """Load an inventory by its name, or read one from a file.

    Args:
        name_or_path: A shipped name such as "ipip-neo-120", the name of an imported inventory, or
            the path of a `.json`, `.toml`, `.csv` or `.jsonl` file. A name goes before a file.
        with_text: Whether the texts of the items are needed. Scoring answers that people have
            given does without them.

    Returns:
        The inventory.

    Raises:
        UsageError: Nothing has that name.
        InventoryError: The file does not hold; or the texts are needed and are not there, and the
            message tells how to import them.
    """
    inventory = _find(name_or_path)
    return inventory.require_text() if with_text else inventory


def available_inventories() -> tuple[InventorySummary, ...]:
    """Every inventory that has a name: shipped ones first, then imported ones by name.

    A file that has gone bad in the user's folder is listed with its problem, not passed over.
    """
    rows = []
    for name in shipped_names():
        try:
            rows.append(_summary(_named(name), "shipped"))
        except InventoryError as error:
            rows.append(_summary(shipped_inventory(name), "shipped")._replace(problem=str(error)))
    for name in _imported_names():
        if name not in shipped_names():
            try:
                rows.append(_summary(_named(name), "imported"))
            except InventoryError as error:
                rows.append(
                    InventorySummary(
                        name, "", 0, (), "", "", False, None, "imported", problem=str(error)
                    )
                )
    return tuple(rows)


def user_folder() -> Path:
    """Where imported inventories are kept.

    `$ALLPORT_HOME/inventories` where that variable is set, else the folder this system keeps a
    person's data in.
    """
    home = os.environ.get("ALLPORT_HOME")
    if home:
        return Path(home).expanduser() / "inventories"
    from platformdirs import user_data_path

    return user_data_path("allport", appauthor=False) / "inventories"


@cache
def shipped_names() -> tuple[str, ...]:
    """Names of the inventories in the package, longest inventory first within each family."""
    folder = resources.files("allport.inventories") / "data"
    found = {
        entry.name.removesuffix(".json")
        for entry in folder.iterdir()
        if entry.name.endswith(".json")
    }
    first = ("ipip-neo-300", "ipip-neo-120", "big-five-markers-50", "mini-ipip-20")
    return (*(name for name in first if name in found), *sorted(found.difference(first)))


@cache
def shipped_inventory(name: str) -> Inventory:
    """An inventory as the package holds it; texts under copyright are not in it.

    Args:
        name: One of `shipped_names()`.
    """
    file = resources.files("allport.inventories") / "data" / f"{name}.json"
    return build_inventory(parse_json(file.read_text("utf-8"), file.name), file.name)


def _find(name_or_path: str | Path) -> Inventory:
    if isinstance(name_or_path, Path):
        return read_inventory(name_or_path)
    name = name_or_path
    if name in shipped_names() or name in _imported_names():
        return _named(name)
    if name.lower().endswith(_FILES) or "/" in name or os.sep in name or Path(name).is_file():
        return read_inventory(name)
    known = sorted({*shipped_names(), *_imported_names()})
    close = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known are {', '.join(known)}."
    raise UsageError(
        f"There is no inventory named {name!r}; {hint} A file of your own is given by its path."
    )


def _named(name: str) -> Inventory:
    if name not in shipped_names():
        return read_inventory(user_folder() / f"{name}.json", name=name)
    shipped = shipped_inventory(name)
    imported = user_folder() / f"{name}.json"
    if shipped.has_text or not imported.is_file():
        return shipped
    # The key is ours and may be mended in a later version; only the texts are the user's.
    items = read_inventory(imported).items
    texts = {item.number: item.text for item in items if item.text is not None}
    try:
        return shipped.with_texts(texts)
    except InventoryError as error:
        raise InventoryError(f"{imported}: {error} Import the text again.") from None


def _imported_names() -> tuple[str, ...]:
    try:
        return tuple(sorted(path.stem for path in user_folder().glob("*.json")))
    except OSError:
        return ()


def _summary(inventory: Inventory, origin: Literal["shipped", "imported"]) -> InventorySummary:
    return InventorySummary(
        name=inventory.name,
        title=inventory.title,
        items=len(inventory.items),
        traits=tuple(trait.code for trait in inventory.traits),
        language=inventory.language,
        licence=inventory.licence,
        has_text=inventory.has_text,
        norms=inventory.norms,
        origin=origin,
    )
