"""Questionnaires in PsychoBench's layout: one JSON list of many.

Each entry has `name`, `questions` {number: text}, `reverse` [numbers], `categories` [{cat_name,
cat_questions}], `scale` (lowest plus highest answer) and a `prompt`, which is where the texts of
the response scale are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from allport.errors import InventoryError
from allport.inventories.reading import decode, parse_json, slug
from allport.inventories.traits import named_trait

__all__ = ["Questionnaire", "find_questionnaire", "questionnaire_fields"]


class Questionnaire(NamedTuple):
    """One questionnaire of a file, checked for being whole."""

    name: str
    texts: dict[int, str]
    """Item texts by number, in the file's order."""
    reverse: frozenset[int]
    categories: dict[str, frozenset[int]]
    """Item numbers by name of the category they are scored on."""
    scale: int
    """Lowest plus highest answer."""
    instructions: str
    scoring: str
    where: str
    """File and questionnaire, for messages."""


def find_questionnaire(path: Path, names: Sequence[str]) -> Questionnaire:
    """Find a questionnaire in a file by any of its names.

    Args:
        path: A JSON file in PsychoBench's layout.
        names: Names to look for; case, spaces and dashes do not matter.

    Returns:
        The questionnaire.

    Raises:
        InventoryError: The file has none of that name, or the one it has is not whole.
    """
    data = parse_json(decode(path), str(path))
    entries = data if isinstance(data, list) else [data]
    if not all(isinstance(entry, dict) and isinstance(entry.get("name"), str) for entry in entries):
        raise InventoryError(f"{path}: this is not a list of questionnaires with names.")
    wanted = {_bare(name) for name in names}
    for entry in entries:
        if _bare(entry["name"]) in wanted:
            return _questionnaire(entry, f"{path}: {entry['name']}")
    known = ", ".join(entry["name"] for entry in entries)
    raise InventoryError(f"{path}: there is no questionnaire {names[0]!r}; it has: {known}.")


def questionnaire_fields(found: Questionnaire) -> dict[str, Any]:
    """The fields of a new inventory.

    Items that the file scores on no category are left out, and the notes say which.

    Args:
        found: The questionnaire.

    Returns:
        Fields by name, ready for `build_inventory`; `scale` is missing where the file does not say
        what its answers are called.

    Raises:
        InventoryError: It has no categories, or an item is scored on two.
    """
    if not found.categories:
        raise InventoryError(
            f"{found.where} has no categories, so nothing says what its items measure."
        )
    owner: dict[int, str] = {}
    for name, numbers in found.categories.items():
        for number in sorted(numbers):
            if number in owner:
                raise InventoryError(
                    f"{found.where}: item {number} is scored on {owner[number]} and on {name}; "
                    "an item speaks for one trait."
                )
            owner[number] = name
    traits = {name: named_trait(name) for name in found.categories}
    unscored = [number for number in found.texts if number not in owner]
    fields: dict[str, Any] = {
        "name": slug(found.name),
        "title": found.name,
        "version": "1",
        "traits": [{"code": trait.code, "name": trait.name} for trait in traits.values()],
        "items": [
            {
                "number": number,
                "text": text,
                "trait": traits[owner[number]].code,
                "key": -1 if number in found.reverse else 1,
            }
            for number, text in found.texts.items()
            if number in owner
        ],
        "scoring": found.scoring,
        "licence": "The texts belong to their authors; check that you may use them",
        "source": f"{found.name} as laid out in PsychoBench",
    }
    if unscored:
        listed = ", ".join(map(str, unscored))
        fields["notes"] = f"Left out, as the file scores them on no category: items {listed}."
    options = _options(found)
    if options:
        fields["scale"] = options
    return fields


def _questionnaire(entry: dict[str, Any], where: str) -> Questionnaire:
    questions = entry.get("questions")
    if not isinstance(questions, dict) or not questions:
        raise InventoryError(f"{where}: 'questions' must be an object of numbers and texts.")
    texts: dict[int, str] = {}
    for number, text in questions.items():
        if not re.fullmatch(r"[1-9][0-9]{0,5}", number):
            raise InventoryError(f"{where}: {number!r} is not the number of a question.")
        if not isinstance(text, str) or not text.strip():
            raise InventoryError(f"{where}: the text of item {number} is empty.")
        texts[int(number)] = text
    categories: dict[str, frozenset[int]] = {}
    given = entry.get("categories", [])
    for category in given if isinstance(given, list) else [None]:
        content = category if isinstance(category, dict) else {}
        name = content.get("cat_name")
        if not isinstance(name, str) or not name.strip() or name in categories:
            raise InventoryError(f"{where}: each of 'categories' needs a 'cat_name' of its own.")
        categories[name] = _numbers(content.get("cat_questions"), texts, where, name)
    scale = entry.get("scale")
    if not isinstance(scale, int) or isinstance(scale, bool):
        raise InventoryError(f"{where}: 'scale' must be the lowest plus the highest answer.")
    return Questionnaire(
        name=entry["name"],
        texts=texts,
        reverse=_numbers(entry.get("reverse", []), texts, where, "reverse"),
        categories=categories,
        scale=scale,
        instructions=f"{entry.get('inner_setting', '')} {entry.get('prompt', '')}",
        scoring="sum" if entry.get("compute_mode") == "SUM" else "mean",
        where=where,
    )


def _numbers(given: Any, texts: dict[int, str], where: str, what: str) -> frozenset[int]:
    if not isinstance(given, list):
        raise InventoryError(f"{where}: {what!r} must have a list of item numbers.")
    for number in given:
        if type(number) is not int or number not in texts:
            raise InventoryError(f"{where}: {what!r} names item {number!r}, which has no text.")
    return frozenset(given)


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _options(found: Questionnaire) -> list[dict[str, Any]]:
    """The response scale as the instructions tell it; empty where they do not.

    PsychoBench writes it in prose: "1 denotes 'disagree'", "2 (agree)", "3 = 'not sure'". Where
    only the ends have words, the steps between are called by their numbers.
    """
    limits = re.search(r"from (\d+) to (\d+)", found.instructions)
    if not limits:
        return []
    low, high = int(limits[1]), int(limits[2])
    if low >= high or high - low > 20 or low + high != found.scale:
        return []
    said: dict[int, str] = {}
    for value in range(low, high + 1):
        for wording in (
            rf"\b{value} (?:denotes|means|=|indicates) ?(['\"])(.+?)\1",
            rf"\b{value}: ?(['\"])(.+?)\1",
            rf"\b{value} (?:denotes|means|=) (\b)([^,.;'\"]+)",
            rf"\b{value} (\()([^)]+)\)",
            rf"'{value}' to indicate (['\"])(.+?)\1",
        ):
            match = re.search(wording, found.instructions)
            if match:
                said[value] = match[2].strip()
                break
    if low not in said or high not in said:
        return []
    return [{"text": said.get(value, str(value)), "value": value} for value in range(low, high + 1)]
