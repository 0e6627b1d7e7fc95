"""TRAIT and its kind: situational items from files or from the gated hub set, as an inventory.

TRAIT (Lee et al., arXiv 2406.14703) comes in two layouts. The raw one has `statement`, `situation`,
`query` and four `response_*` fields, and for the parallel form `paraphrased_situation` and
`paraphrased_query`; the hub export has one split a trait and `question` in place of situation and
query. Its text is under terms of its own: bring a file, or your own token for the hub.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from allport.errors import InventoryError
from allport.files import write_atomically
from allport.inventories.inventory import Inventory, Item, Option, Trait
from allport.inventories.traits import named_trait

__all__ = ["TRAIT_HUB_ID", "TRAIT_SPLITS", "read_situations", "write_situations"]

TRAIT_HUB_ID = "mirlab/TRAIT"
TRAIT_SPLITS = (
    "Openness",
    "Conscientiousness",
    "Extraversion",
    "Agreeableness",
    "Neuroticism",
    "Machiavellianism",
    "Narcissism",
    "Psychopathy",
)
"""Splits of the hub export, one a trait, 1,000 items each."""
_RESPONSES = ("response_high1", "response_high2", "response_low1", "response_low2")
_CLUSTER = 5
"""Items that TRAIT wrote from each statement, one after the other."""


def read_situations(source: Path | str, *, name: str = "trait") -> Inventory:
    """Read situational items in a layout of TRAIT.

    Args:
        source: A .json (list of objects), .jsonl or .parquet file; or "mirlab/TRAIT", for which the
            `datasets` library and a token with the terms accepted are needed.
        name: What the inventory is to be called.

    Returns:
        Items with options in content order high, high, low, low, and their statement as cluster.
        Where a layout does not say the statement, five consecutive items of a trait are taken for
        one, and the notes say so.

    Raises:
        InventoryError: The source cannot be had, or an item does not hold; the message names it.
    """
    path = Path(source)
    if str(source) == TRAIT_HUB_ID and not path.exists():
        rows, where = _from_hub(), TRAIT_HUB_ID
    else:
        rows, where = _from_file(path), str(path)
    return _inventory(rows, where, name)


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


def _from_file(path: Path) -> list[Mapping[str, Any]]:
    try:
        match path.suffix.lower():
            case ".jsonl":
                lines = path.read_text("utf-8").split("\n")
                rows = [json.loads(line) for line in lines if line.strip()]
            case ".parquet":
                import polars as pl

                rows = pl.read_parquet(path).to_dicts()
            case _:
                rows = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InventoryError(f"{path} cannot be read as situations ({reason}).") from None
    except Exception as error:  # polars has errors of its own for files that are no Parquet
        raise InventoryError(f"{path} cannot be read as situations ({error}).") from None
    if isinstance(rows, Mapping):
        # One list a trait, as splits are saved together.
        rows = [
            {"personality": trait, **row}
            for trait, each in rows.items()
            if isinstance(each, list)
            for row in each
        ]
    if not isinstance(rows, list) or not rows or not all(isinstance(r, Mapping) for r in rows):
        raise InventoryError(f"{path} holds no list of situational items.")
    return rows


def _from_hub() -> list[Mapping[str, Any]]:
    try:
        load_dataset = import_module("datasets").load_dataset
    except ImportError:
        raise InventoryError(
            f"Reading {TRAIT_HUB_ID} from the hub needs the datasets library: pip install "
            "'allport[hub]'; a file of it can be read without: give its path."
        ) from None
    try:
        return [
            {"personality": split, **row}
            for split in TRAIT_SPLITS
            for row in load_dataset(TRAIT_HUB_ID, split=split)
        ]
    except Exception as error:  # whatever the hub's client raises
        raise InventoryError(
            f"{TRAIT_HUB_ID} cannot be had from the hub ({type(error).__name__}): accept its terms "
            "on its page, and set HF_TOKEN to a token that may read it; or give the path of a file."
        ) from None


def _inventory(rows: Sequence[Mapping[str, Any]], where: str, name: str) -> Inventory:
    traits: dict[str, Trait] = {}
    items: list[Item] = []
    seen: dict[str, int] = {}
    guessed = False
    for number, row in enumerate(rows, start=1):
        place = f"{where}: item {number}"
        trait = named_trait(_text(row, ("personality", "trait"), place))
        traits[trait.code] = trait
        seen[trait.code] = seen.get(trait.code, 0) + 1
        question = _optional(row, "query")
        text = _joined(row, "situation", "query") or _text(row, ("question",), place)
        statement = _optional(row, "statement")
        if statement is None:
            guessed = True
            statement = f"{trait.name} statement {(seen[trait.code] - 1) // _CLUSTER + 1}"
        options = [_text(row, (field,), place) for field in _RESPONSES]
        if len(set(options)) < len(options):
            raise InventoryError(f"{place} has two equal options; mend it or leave it out.")
        paraphrase = _joined(row, "paraphrased_situation", "paraphrased_query")
        items.append(
            Item(
                number=number,
                text=text,
                trait=trait.code,
                cluster=statement,
                question=question,
                options=tuple(
                    Option(text=option, value=float("high" in field))
                    for field, option in zip(_RESPONSES, options, strict=True)
                ),
                forms={} if paraphrase is None else {"paraphrase": paraphrase},
            )
        )
    notes = "Options stand in content order: two of the high end (value 1), two of the low (0)."
    if guessed:
        notes += " Statements are not given: five consecutive items of a trait count as one."
    return Inventory(
        name=name,
        title=f"Situational items of {where}",
        version="1",
        traits=tuple(traits.values()),
        items=tuple(items),
        licence="As its source states",
        source="Lee et al., TRAIT (arXiv 2406.14703), or items in its layout",
        notes=notes,
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
    names = {trait.code: trait.name for trait in inventory.traits}
    question = item.question or ""
    text = item.text or ""
    row = {
        "idx": item.number,
        "personality": names[item.trait],
        "statement": item.cluster,
        "situation": text.removesuffix(question).strip(),
        "query": question,
    }
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
