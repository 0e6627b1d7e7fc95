"""Statement sets in the layout of Anthropic's persona evaluations: yes/no items, one a line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from allport.errors import InventoryError
from allport.inventories.reading import decode, parse_json, slug
from allport.inventories.traits import named_trait

__all__ = ["parse_statements"]

_SOURCE = (
    "Persona statements in the layout of Perez et al. (2022), Discovering Language Model Behaviors "
    "with Model-Written Evaluations"
)


def parse_statements(paths: Sequence[Path]) -> dict[str, Any]:
    """Make one yes/no inventory of one or more files of statements.

    Each file speaks for one trait, named after the file; files of one name share their trait. Items
    are numbered through, in the order of files and lines. A statement that the trait's owner would
    affirm has key 1, any other -1.

    Args:
        paths: JSON-lines files whose objects have `statement` and `answer_matching_behavior`.

    Returns:
        Fields by name, ready for `build_inventory`.

    Raises:
        InventoryError: A line does not hold; the message names file and line.
    """
    traits: dict[str, str] = {}
    items: list[dict[str, Any]] = []
    for path in paths:
        trait = named_trait(path.stem)
        traits[trait.code] = trait.name
        # Split at line feeds alone: statements may hold other characters that end lines.
        for at, line in enumerate(decode(path).split("\n"), start=1):
            if line.strip():
                row = parse_json(line, f"{path}, line {at}")
                items.append(
                    {"number": len(items) + 1, "trait": trait.code}
                    | _item(row, f"{path}: line {at}")
                )
    if not items:
        raise InventoryError(f"{paths[0]}: the file has no statements.")
    return {
        "name": slug(paths[0].stem) if len(paths) == 1 else "persona-statements",
        "title": "Persona statements: " + ", ".join(traits.values()),
        "version": "1",
        "scale": [{"text": "No", "value": 0}, {"text": "Yes", "value": 1}],
        "traits": [{"code": code, "name": name} for code, name in traits.items()],
        "items": items,
        "scoring": "mean",
        "licence": "CC BY 4.0 where the statements are Anthropic's own",
        "source": _SOURCE,
    }


def _item(row: Any, where: str) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise InventoryError(f"{where} is not an object with a statement.")
    text, answer = row.get("statement"), row.get("answer_matching_behavior")
    if not isinstance(text, str) or not text.strip():
        raise InventoryError(f"{where}: the statement is missing or empty.")
    said = answer.strip().lower() if isinstance(answer, str) else None
    if said not in ("yes", "no"):
        raise InventoryError(
            f"{where}: answer_matching_behavior must be Yes or No, not {answer!r}."
        )
    return {"text": text, "key": 1 if said == "yes" else -1}
