"""Importing an inventory, or the texts of one, so that it can be asked for by name ever after."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from allport.errors import InventoryError, UsageError
from allport.inventories.catalog import (
    shipped_inventory,
    shipped_names,
    user_folder,
)
from allport.inventories.inventory import Inventory
from allport.inventories.persona_statements import parse_statements
from allport.inventories.psychobench import (
    Questionnaire,
    find_questionnaire,
    questionnaire_fields,
)
from allport.inventories.reading import (
    build_inventory,
    decode,
    parse_json,
    read_inventory,
    slug,
)
from allport.inventories.situations import holds_situations, read_situations
from allport.inventories.tabular import read_table
from allport.inventories.traits import named_trait
from allport.inventories.writing import write_inventory

__all__ = ["import_inventory"]

_ALIASES = {
    "bfi-44": ("bfi-44", "BFI", "Big Five Inventory"),
    "sd-3": ("sd-3", "Short Dark Triad"),
}


def import_inventory(
    name: str,
    sources: Path | str | Sequence[Path | str],
    *,
    questionnaire: str | None = None,
    scale: Sequence[str] = (),
    replace: bool = False,
) -> Inventory:
    """Import an inventory from files and keep it in the user's folder under a name.

    What the files are is told from what they hold:

    - For a name that ships without texts ("bfi-44", "sd-3"): a CSV with the columns number and
      text, or a JSON list of questionnaires in PsychoBench's layout that has it. What such a file
      says about keys and traits has to agree with the published key.
    - A JSON list of questionnaires in PsychoBench's layout: the one called `questionnaire`,
      or `name`.
    - `.jsonl` files of yes/no statements in the layout of Anthropic's persona evaluations: all of
      them together, one trait a file.
    - A `.json`, `.jsonl` or `.parquet` file of situations in a layout of TRAIT; or "mirlab/TRAIT",
      which is taken from the hub.
    - Any inventory of one's own as JSON, TOML or CSV.

    Args:
        name: The name it is to have.
        sources: The file, or several files of statements; or the hub's name of TRAIT.
        questionnaire: What a file of many questionnaires calls this one, where that is not `name`.
        scale: Texts of the response scale, lowest answer first, where the file does not tell.
        replace: Whether an inventory imported earlier under this name may be written over.

    Returns:
        The inventory, as `load_inventory(name)` returns it from now on.

    Raises:
        UsageError: The name is taken, cannot be a name, or no file is given.
        InventoryError: A file does not hold or contradicts the published key; nothing is kept.
    """
    given = [sources] if isinstance(sources, Path | str) else list(sources)
    paths = [Path(source).expanduser() for source in given]
    if not paths:
        raise UsageError("Give the file to import from.")
    if name != slug(name):
        raise UsageError(
            f"{name!r} cannot be the name of an inventory; {slug(name)!r} can: small letters, "
            "digits, dots, dashes and underscores."
        )
    if len(paths) > 1 and any(path.suffix.lower() != ".jsonl" for path in paths):
        raise UsageError("Several files can be imported together only where all are .jsonl.")
    shipped = shipped_inventory(name) if name in shipped_names() else None
    if shipped is not None and shipped.has_text:
        raise UsageError(f"{name} ships whole and needs no import; choose another name.")
    target = user_folder() / f"{name}.json"
    if target.exists() and not replace:
        raise UsageError(
            f"{name} is imported already; write over it with --replace (replace=True in Python)."
        )
    if shipped is not None:
        names = (questionnaire,) if questionnaire else _ALIASES.get(name, (name,))
        inventory = _with_imported_text(shipped, paths[0], names)
    else:
        inventory = _whole(name, paths, questionnaire or name, scale)
    write_inventory(inventory, target)
    return inventory


def _whole(name: str, paths: Sequence[Path], questionnaire: str, scale: Sequence[str]) -> Inventory:
    path, about = paths[0], {"name": name}
    if holds_situations(path):
        if scale:
            raise UsageError("Situations have options of their own and take no scale.")
        if len(paths) > 1:
            raise UsageError("Situations are imported from one file; put all their rows into one.")
        return read_situations(path, name=name)
    if path.suffix.lower() == ".jsonl":
        if scale:
            raise UsageError("Statements are answered yes or no and take no other scale.")
        return build_inventory(parse_statements(paths) | about, str(path))
    if path.suffix.lower() != ".json" or isinstance(parse_json(decode(path), str(path)), dict):
        return read_inventory(path, **about, **({"scale": list(scale)} if scale else {}))
    found = find_questionnaire(path, [questionnaire])
    fields = questionnaire_fields(found) | about
    if scale:
        # Answers run from low to high, and the file tells low + high.
        low, rest = divmod(found.scale - (len(scale) - 1), 2)
        if rest:
            raise InventoryError(
                f"{found.where}: {len(scale)} answers cannot run from a lowest to a highest that "
                f"add up to {found.scale}."
            )
        fields["scale"] = [{"text": text, "value": low + i} for i, text in enumerate(scale)]
    if "scale" not in fields:
        raise InventoryError(
            f"{found.where} does not say what its answers are called; give their texts, lowest "
            "first, with --scale."
        )
    return build_inventory(fields, found.where)


def _with_imported_text(key: Inventory, path: Path, names: Sequence[str]) -> Inventory:
    """The inventory of a published key, with the texts of a file that agrees with the key."""
    if path.suffix.lower() == ".csv":
        texts = _texts_of_table(key, path)
        _same_numbers(key, texts, str(path))
    elif path.suffix.lower() == ".json":
        found = find_questionnaire(path, names)
        texts = found.texts
        _same_numbers(key, texts, found.where)
        _same_key(key, found)
    else:
        raise InventoryError(
            f"{path}: the text of {key.name} is read from a .csv with the columns number,text or "
            "from a .json list of questionnaires."
        )
    return key.with_texts(texts)


def _texts_of_table(key: Inventory, path: Path) -> dict[int, str]:
    table = read_table(decode(path), str(path), ("number", "text"), ("number", "text"))
    texts: dict[int, str] = {}
    for line, cells in table.rows:
        cell, text = cells["number"].strip(), cells["text"].strip()
        number = int(cell) if cell.isascii() and cell.isdigit() and len(cell) < 7 else 0
        if number not in key.numbers:
            raise InventoryError(
                f"{path}: line {line}: {key.name} has no item {cell!r}; its items are "
                f"{key.numbers[0]} to {key.numbers[-1]}."
            )
        if number in texts:
            raise InventoryError(f"{path}: line {line} gives the text of item {number} again.")
        if not text:
            raise InventoryError(f"{path}: line {line}: the text is empty.")
        texts[number] = text
    return texts


def _same_numbers(key: Inventory, texts: dict[int, str], where: str) -> None:
    missing = sorted(set(key.numbers) - set(texts))
    alien = sorted(set(texts) - set(key.numbers))
    if missing or alien:
        told = [f"lacks items {_listed(missing)}"] if missing else []
        told += [f"has items {_listed(alien)}, which are none of its"] if alien else []
        raise InventoryError(
            f"{where}: {key.name} has {len(key.items)} items, and the file {' and '.join(told)}."
        )


def _same_key(key: Inventory, found: Questionnaire) -> None:
    """Refuse a file whose reversed items or categories are not those of the published key."""
    differences: list[str] = []
    ours = {item.number for item in key.items if item.key == -1}
    if more := found.reverse - ours:
        differences.append(f"it reverses {_listed(more)}, which the key does not")
    if fewer := ours - found.reverse:
        differences.append(f"it does not reverse {_listed(fewer)}, which the key does")
    theirs: dict[str, set[int]] = {}
    for category, numbers in found.categories.items():
        theirs.setdefault(named_trait(category).code, set()).update(numbers)
    for trait in key.traits:
        wanted = {item.number for item in key.items if item.trait == trait.code}
        given = theirs.pop(trait.code, set())
        if wanted != given:
            differences.append(
                f"it scores {_listed(given) or 'no items'} on {trait.name}, to which the key gives "
                f"{_listed(wanted)}"
            )
    differences += [f"the key has no trait {code}" for code in theirs]
    if differences:
        raise InventoryError(
            f"{found.where} contradicts the published key of {key.name}: {'; '.join(differences)}."
        )


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))
