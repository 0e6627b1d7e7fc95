"""TRAIT and its kind: situational items from files or from the gated hub set, as an inventory.

TRAIT (Lee et al., arXiv 2406.14703) comes in two layouts. The raw one has `statement`, `situation`,
`query` and four `response_*` fields, and for the parallel form `paraphrased_situation` and
`paraphrased_query`; the hub export has one split a trait and `question` in place of situation and
query. Its text is under terms of its own: bring a file, or your own token for the hub.
"""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from allport.errors import InventoryError
from allport.files import write_atomically
from allport.inventories.inventory import Inventory, Trait
from allport.inventories.reading import build_inventory, decode, parse_json, slug
from allport.inventories.situations_hub import TRAIT_HUB_ID, TRAIT_SPLITS, hub_splits
from allport.inventories.traits import BIG_FIVE, DARK_TRIAD

__all__ = ["are_situations", "holds_situations", "read_situations", "write_situations"]

_TRAITS = {
    slug(name): trait for trait in (*BIG_FIVE, *DARK_TRIAD) for name in (trait.name, trait.code)
}
"""The eight traits of TRAIT, by name and by code."""
_RESPONSES = ("response_high1", "response_high2", "response_low1", "response_low2")
_CLUSTER = 5
"""Items that TRAIT wrote from each statement, one after the other."""
_Row = tuple[str, Mapping[str, Any]]
"""What to call a row in messages, and the row."""


def read_situations(source: Path | str, *, name: str = "trait") -> Inventory:
    """Read situational items in a layout of TRAIT.

    Args:
        source: A .json file (a list of objects, or such a list by split), a .jsonl or .parquet
            file; or "mirlab/TRAIT", for which the `datasets` library and a token with the terms
            accepted are needed.
        name: What the inventory is to be called.

    Returns:
        Items with options in content order high, high, low, low, and their statement as cluster.
        Items have the number that their row gives in `idx`, where every row gives another, 1 or
        more, and else their place from 1. Where a layout does not say the statement, five
        consecutive items of a trait are taken for one, and the notes say so. They also count the
        statements that have not five items.

    Raises:
        InventoryError: The source cannot be had, or an item does not hold; the message names it.
    """
    path = Path(source)
    if _is_hub_id(path):
        return _inventory(_by_split(hub_splits(), TRAIT_HUB_ID), TRAIT_HUB_ID, name)
    return _inventory(_from_file(path), str(path), name)


def holds_situations(path: Path) -> bool:
    """Whether a source is in a layout of TRAIT, going by its name and what it holds.

    Raises:
        InventoryError: The file cannot be read.
    """
    if _is_hub_id(path):
        return True
    match path.suffix.lower():
        case ".json":
            return are_situations(parse_json(decode(path), str(path)))
        case ".jsonl":
            lines = enumerate(decode(path).split("\n"), start=1)
            at, line = next(((at, line) for at, line in lines if line.strip()), (1, "[]"))
            return are_situations([parse_json(line, f"{path}, line {at}")])
        case ".parquet":
            return are_situations(_from_parquet(path, rows=1))
    return False


def are_situations(content: Any) -> bool:
    """Whether the content of a JSON file is in a layout of TRAIT: rows, or rows by split."""
    lists = content.values() if isinstance(content, Mapping) else [content]
    return any(
        isinstance(row, Mapping) and not row.keys().isdisjoint(_RESPONSES)
        for rows in lists
        if isinstance(rows, list)
        for row in rows
    )


def write_situations(inventory: Inventory, path: Path | str) -> Path:
    """Write situational items in TRAIT's raw layout, as .json, .jsonl or .parquet.

    Raises:
        InventoryError: An item has not two options of either side, or the ending is another.
    """
    path = Path(path)
    rows = [_row(inventory, place) for place in range(len(inventory.items))]
    match path.suffix.lower():
        case ".json":
            return write_atomically(path, json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
        case ".jsonl":
            lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            return write_atomically(path, "".join(lines))
        case ".parquet":
            import io

            import polars as pl

            buffer = io.BytesIO()
            pl.DataFrame(rows).write_parquet(buffer)
            return write_atomically(path, buffer.getvalue())
    raise InventoryError(f"{path}: situations are written as .json, .jsonl or .parquet.")


def _is_hub_id(path: Path) -> bool:
    return path.as_posix() == TRAIT_HUB_ID and not path.exists()


def _from_file(path: Path) -> list[_Row]:
    content: Any
    match path.suffix.lower():
        case ".jsonl":
            lines = enumerate(decode(path).split("\n"), start=1)
            content = [parse_json(text, f"{path}, line {at}") for at, text in lines if text.strip()]
        case ".parquet":
            content = _from_parquet(path)
        case _:
            content = parse_json(decode(path), str(path))
    if isinstance(content, Mapping):
        return _by_split(content, str(path))
    rows = content if isinstance(content, list) else []
    if not rows or not all(isinstance(row, Mapping) for row in rows):
        raise InventoryError(f"{path} holds no list of situational items.")
    return [(f"{path}: item {number}", row) for number, row in enumerate(rows, start=1)]


def _from_parquet(path: Path, rows: int | None = None) -> list[dict[str, Any]]:
    import polars as pl

    try:
        return pl.read_parquet(path, n_rows=rows).to_dicts()
    except Exception as error:  # polars has errors of its own for files that are no Parquet
        said = getattr(error, "strerror", None) or (str(error).splitlines() or [""])[0]
        raise InventoryError(
            f"{path} cannot be read as situations ({said.rstrip('. ')})."
        ) from None


def _by_split(splits: Mapping[str, Any], where: str) -> list[_Row]:
    """Rows of one list a trait, as the hub's export has them."""
    found: list[_Row] = []
    for split, rows in splits.items():
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
            raise InventoryError(f"{where}: {split!r} holds no list of situational items.")
        for number, row in enumerate(rows, start=1):
            found.append((f"{where}: {split}, item {number}", {"personality": split, **row}))
    if not found:
        raise InventoryError(f"{where} holds no list of situational items.")
    return found


def _inventory(rows: Sequence[_Row], where: str, name: str) -> Inventory:
    statements = _statements(rows, where)
    traits: dict[str, Trait] = {}
    items: list[dict[str, Any]] = []
    for number, (place, row), statement in zip(_numbers(rows), rows, statements, strict=True):
        trait = _trait(row, place)
        if traits.setdefault(trait.code, trait) != trait:
            raise InventoryError(
                f"{place} gives {trait.name} the code {trait.code}, which is that of "
                f"{traits[trait.code].name}; give each trait a code of its own."
            )
        told = _joined(row, "situation", "query")
        options = [_text(row, (field,), place) for field in _RESPONSES]
        if len(set(options)) < len(options):
            raise InventoryError(f"{place} has two equal options; mend it or leave it out.")
        paraphrase = _joined(row, "paraphrased_situation", "paraphrased_query")
        items.append(
            {
                "number": number,
                "text": told or _text(row, ("question",), place),
                "trait": trait.code,
                "cluster": statement,
                "question": _optional(row, "query") if told else None,
                "options": [
                    {"text": option, "value": float("high" in field)}
                    for field, option in zip(_RESPONSES, options, strict=True)
                ],
                "forms": {} if paraphrase is None else {"paraphrase": paraphrase},
            }
        )
    notes = "Options stand in content order: two of the high end (value 1), two of the low (0)."
    if not _stated(rows):
        notes += " Statements are not given: five consecutive items of a trait count as one."
    sizes = Counter((item["trait"], item["cluster"]) for item in items)
    uneven = [size for size in sizes.values() if size != _CLUSTER]
    if uneven:
        many = " to ".join(str(size) for size in sorted({min(uneven), max(uneven)}))
        notes += (
            f" Statements that have not five items: {len(uneven)} of {len(sizes)}, with {many}."
        )
    fields = {
        "name": name,
        "title": f"Situational items of {where if where == TRAIT_HUB_ID else Path(where).name}",
        "traits": [trait.model_dump() for trait in traits.values()],
        "items": items,
        "licence": "As its source states",
        "source": "Lee et al., TRAIT (arXiv 2406.14703), or items in its layout",
        "notes": notes,
    }
    return build_inventory(fields, where)


def _numbers(rows: Sequence[_Row]) -> list[int]:
    """The number of each item: `idx` where it can be one in every row, else its place from 1."""
    given: list[Any] = [row.get("idx") for _, row in rows]
    # Files of tables write whole numbers as 7.0, and True is an int.
    found = [int(n) for n in given if type(n) in (int, float) and n >= 1 and n == n // 1]
    return found if len(set(found)) == len(rows) else list(range(1, len(rows) + 1))


def _stated(rows: Sequence[_Row]) -> bool:
    return any(_optional(row, "statement") is not None for _, row in rows)


def _statements(rows: Sequence[_Row], where: str) -> list[str]:
    """The statement of each row: as given, or counted through where none is given."""
    if _stated(rows):
        for place, row in rows:
            if _optional(row, "statement") is None:
                raise InventoryError(
                    f"{place} has no 'statement', though others have; give it to all or to none."
                )
        return [_text(row, ("statement",), place) for place, row in rows]
    seen: Counter[str] = Counter()
    found = []
    for place, row in rows:
        trait = _trait(row, place).name
        found.append(f"{trait} statement {seen[trait] // _CLUSTER + 1}")
        seen[trait] += 1
    for trait, count in seen.items():
        if count % _CLUSTER:
            raise InventoryError(
                f"{where}: {trait} has {count} items without a 'statement', which is no multiple "
                "of five, so the five of each statement cannot be told apart by their order; "
                "give all items of the split, or the statement of each."
            )
    return found


def _trait(row: Mapping[str, Any], place: str) -> Trait:
    """The trait of a row: one of TRAIT's, or one of one's own that has a code in `trait`."""
    name = _text(row, ("personality", "trait"), place)
    known = _TRAITS.get(slug(name))
    if known is not None:
        return known
    code = _optional(row, "trait") if _optional(row, "personality") else None
    if code is not None and not difflib.get_close_matches(slug(name), _TRAITS, n=1, cutoff=0.8):
        return Trait(code=code, name=name)
    raise InventoryError(
        f"{place} is of the personality {name!r}, which is none of TRAIT's: "
        f"{', '.join(TRAIT_SPLITS)}."
    )


def _row(inventory: Inventory, place: int) -> dict[str, Any]:
    item = inventory.items[place]
    sides = {
        side: [o.text for o in item.options if (o.value > 0) == (side == "high")]
        for side in ("high", "low")
    }
    if any(len(texts) != 2 for texts in sides.values()):
        raise InventoryError(
            f"Item {item.number} of {inventory.name} has not two options of either side, which the "
            "layout of TRAIT needs."
        )
    (trait,) = (trait for trait in inventory.traits if trait.code == item.trait)
    question = item.question or ""
    text = item.text or ""
    row = {
        "idx": item.number,
        "personality": trait.name,
        "statement": item.cluster,
        "situation": text.removesuffix(question).strip(),
        "query": question,
    }
    if _TRAITS.get(slug(trait.name)) != trait:
        row["trait"] = trait.code
    for side, texts in sides.items():
        row |= {f"response_{side}{n}": option for n, option in enumerate(texts, start=1)}
    if "paraphrase" in item.forms:
        row |= {"paraphrased_situation": item.forms["paraphrase"], "paraphrased_query": ""}
    return row


def _text(row: Mapping[str, Any], fields: Iterable[str], place: str) -> str:
    for field in fields:
        found = _optional(row, field)
        if found is not None:
            return found
    wanted = " or ".join(repr(field) for field in fields)
    raise InventoryError(f"{place} has no {wanted}.")


def _optional(row: Mapping[str, Any], field: str) -> str | None:
    value = row.get(field)
    return value.strip() or None if isinstance(value, str) else None


def _joined(row: Mapping[str, Any], *fields: str) -> str | None:
    parts = [_optional(row, field) for field in fields]
    return None if parts[0] is None else " ".join(part for part in parts if part)
