"""`allport inventories list|show|import|check`: the questionnaires that can be asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from allport.cli.output import Flag, Json, console, print_json

if TYPE_CHECKING:
    from rich.table import Table

    from allport.inventories import Inventory, Item

__all__ = ["check_", "import_", "list_", "show_"]


def list_(*, json: Json = False) -> None:
    """List every inventory that can be asked for by name.

    Args:
        json: Print JSON for machines.
    """
    from allport.inventories import available_inventories

    rows = available_inventories()
    if json:
        print_json([row._asdict() for row in rows])
        return
    table = _table("Name", "Title", "Items", "Traits", "Norms", "Ready")
    for row in rows:
        ready = "yes"
        if row.problem:
            ready = f"no: {row.problem}"
        elif not row.has_text:
            ready = f"no: bring the texts with `allport inventories import {row.name} --from FILE`"
        traits = " ".join(row.traits)
        table.add_row(row.name, row.title, str(row.items), traits, row.norms or "none", ready)
    console().print(table)


def show_(name: str, /, *, json: Json = False) -> None:
    """Show one inventory: scale, traits, items, norms, licence, source.

    Args:
        name: The name of an inventory, or the path of a file.
        json: Print JSON for machines.
    """
    from allport.inventories import load_inventory, norm_groups
    from allport.reporting.plain_text import printable

    inventory = load_inventory(name, with_text=False)
    groups = norm_groups(inventory)
    if json:
        print_json({**inventory.model_dump(mode="json"), "norm_groups": list(groups)})
        return
    out = console()
    out.print(f"{inventory.title} ({inventory.name}, version {inventory.version})\n", style="bold")
    facts = {
        "Items": str(len(inventory.items)),
        "Answers": ", ".join(f"{o.text} = {o.value:g}" for o in inventory.scale)
        or "each item has its own",
        "Traits": ", ".join(f"{trait.name} ({trait.code})" for trait in inventory.traits),
        "Facets": ", ".join(f"{facet.name} ({facet.code})" for facet in inventory.facets) or "none",
        "Norm groups": ", ".join(groups) or "none",
        "Licence": inventory.licence,
        "Source": inventory.source,
        "Notes": inventory.notes,
    }
    table = _table("", "", heads=False)
    for fact, value in facts.items():
        if value:
            table.add_row(fact, printable(value))
    out.print(table)
    out.print()
    out.print(_item_table(inventory))
    if not inventory.has_text:
        out.print(
            f"The texts are under copyright; bring your own with `allport inventories import "
            f"{inventory.name} --from FILE`."
        )


def import_(
    name: str,
    /,
    *,
    files: Annotated[list[Path], Parameter(name="--from", consume_multiple=True)],
    questionnaire: str | None = None,
    scale: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    replace: Flag = False,
    json: Json = False,
) -> None:
    """Import the texts of bfi-44 or sd-3, the situations of TRAIT, or an inventory of your own.

    Args:
        name: The name it is to have; bfi-44 and sd-3 take texts for the keys that ship.
        files: A .json, .toml or .csv file, or several .jsonl files of yes/no statements; TRAIT as a
            .json, .jsonl or .parquet file, or mirlab/TRAIT from the hub.
        questionnaire: What a file of many questionnaires calls this one.
        scale: Texts of the answers, lowest first, where the file does not say.
        replace: Write over what was imported earlier under this name.
        json: Print JSON for machines.
    """
    from allport.inventories import import_inventory
    from allport.reporting.plain_text import printable

    inventory = import_inventory(
        name, files, questionnaire=questionnaire, scale=scale or (), replace=replace
    )
    if json:
        print_json(_summary(inventory))
        return
    console().print(
        f"Imported {inventory.title} as {inventory.name}: {len(inventory.items)} items. "
        f"Ask it with `allport measure MODEL --inventory {inventory.name}`."
    )
    if inventory.notes:
        console().print(printable(inventory.notes))


def check_(file: Path, /, *, json: Json = False) -> None:
    """Check an inventory file without importing it.

    Args:
        file: A .json, .toml, .csv or .jsonl file.
        json: Print JSON for machines.
    """
    from allport.inventories import norm_groups, read_inventory

    inventory = read_inventory(file)
    norm_groups(inventory)
    if json:
        print_json(_summary(inventory))
        return
    summary = _summary(inventory)
    per_trait = ", ".join(
        f"{trait} {counts['items']} ({counts['reversed']} reversed)"
        for trait, counts in summary["traits"].items()
    )
    text = "" if inventory.has_text else " Some items have no text, so it cannot be asked yet."
    console().print(
        f"{file} holds: {inventory.title}, {len(inventory.items)} items; {per_trait}.{text}"
    )


def _summary(inventory: Inventory) -> dict[str, Any]:
    return {
        "name": inventory.name,
        "title": inventory.title,
        "items": len(inventory.items),
        "has_text": inventory.has_text,
        "traits": {
            trait.code: {
                "name": trait.name,
                "items": len(inventory.columns(trait.code)),
                "reversed": int((inventory.keys[inventory.columns(trait.code)] < 0).sum()),
            }
            for trait in inventory.traits
        },
        "notes": inventory.notes,
        "hash": inventory.content_hash,
    }


def _item_table(inventory: Inventory) -> Table:
    from allport.reporting.plain_text import printable

    table = _table("No.", "Item", "Trait", "Facet", "Key")
    for item in inventory.items:
        text = "(text not imported)" if item.text is None else printable(item.text, 200)
        table.add_row(str(item.number), text, item.trait, item.facet or "", _key(item))
    return table


def _key(item: Item) -> str:
    return "own" if item.options else "+" if item.key > 0 else "-"


def _table(*columns: str, heads: bool = True) -> Table:
    from allport.reporting.terminal import plain_table

    return plain_table(*columns, heads=heads)
