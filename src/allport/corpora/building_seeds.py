"""What situations are built from: items of a questionnaire, or statements in a file."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from allport.administration.statements import statement
from allport.corpora.building_stages import SeedItem, Statement
from allport.errors import InventoryError, UsageError
from allport.inventories.catalog import load_inventory
from allport.inventories.inventory import Inventory, Trait
from allport.inventories.traits import BIG_FIVE, DARK_TRIAD, named_trait

__all__ = ["read_statements", "seed_items"]


def seed_items(inventory: Inventory | str, traits: Sequence[str] = ()) -> list[SeedItem]:
    """Items of a Likert inventory that statements are made from.

    Args:
        inventory: Or its name or path.
        traits: Codes or names; all where none is given.

    Raises:
        UsageError: The inventory has no such trait, or situations instead of statements.
        InventoryError: Its texts have not been imported.
    """
    bank = load_inventory(inventory) if isinstance(inventory, str) else inventory
    bank = bank.require_text()
    if any(item.options for item in bank.items):
        raise UsageError(f"{bank.name} has situations itself; name an inventory of statements.")
    wanted = _chosen(traits, bank.traits, bank.name)
    return [
        SeedItem(
            trait,
            f"{bank.name} item {item.number}",
            statement(item.text or "", bank.stem, "first"),
            item.key,
        )
        for trait in wanted
        for item in bank.items
        if item.trait == trait.code
    ]


def read_statements(path: Path | str, traits: Sequence[str] = ()) -> list[Statement]:
    """Statements about the high end of traits, from a file.

    Args:
        path: A .csv with the columns trait and statement, or .json or .jsonl with objects of these
            two fields; traits by code or by name.
        traits: Codes or names of those to take; all where none is given.

    Raises:
        InventoryError: The file cannot be read, or a row lacks one of the two.
        UsageError: The file has no statement of a trait.
    """
    path = Path(path)
    found: list[Statement] = []
    for number, row in enumerate(_rows(path), start=1):
        code, text = (
            str(row.get(name) or "").strip() if isinstance(row, Mapping) else ""
            for name in ("trait", "statement")
        )
        if not code or not text:
            raise InventoryError(f"{path}: row {number} needs a trait and a statement.")
        found.append(Statement(_trait(code), text, f"{path.name} row {number}", {}, {}))
    if not found:
        raise InventoryError(f"{path} holds no statements.")
    wanted = _chosen(traits, tuple(dict.fromkeys(s.trait for s in found)), str(path))
    return [statement for statement in found if statement.trait in wanted]


def _rows(path: Path) -> list[Any]:
    try:
        text = path.read_text("utf-8-sig")
        match path.suffix.lower():
            case ".json":
                rows = json.loads(text)
            case ".jsonl":
                rows = [json.loads(line) for line in text.split("\n") if line.strip()]
            case ".csv":
                rows = list(csv.DictReader(text.splitlines()))
            case _:
                raise InventoryError(f"{path}: statements are read from .csv, .json or .jsonl.")
    except (OSError, ValueError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InventoryError(f"{path} cannot be read as statements ({reason}).") from None
    if not isinstance(rows, list):
        raise InventoryError(f"{path} holds no list of statements.")
    return rows


def _trait(code: str) -> Trait:
    for trait in (*BIG_FIVE, *DARK_TRIAD):
        if code.lower() == trait.code.lower():
            return trait
    return named_trait(code)


def _chosen(asked: Sequence[str], known: Sequence[Trait], where: str) -> list[Trait]:
    names = {trait.code.lower(): trait for trait in known}
    names |= {trait.name.lower(): trait for trait in known}
    for name in asked:
        if name.lower() not in names:
            codes = ", ".join(trait.code for trait in known)
            raise UsageError(f"{where} has no trait {name!r}; it has {codes}.")
    return list(dict.fromkeys(names[name.lower()] for name in asked)) if asked else list(known)
