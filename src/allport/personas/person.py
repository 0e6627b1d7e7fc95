"""A personality given by one person's answers to an inventory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from allport.errors import ResponsesError
from allport.files import write_atomically
from allport.inventories.inventory import Inventory

__all__ = ["Person", "read_person", "write_person"]

_FORMAT = "allport-person-1"


@dataclass(frozen=True)
class Person:
    """One person's answers to an inventory.

    Answers are literal: what the person said, before items with key -1 are reversed.
    """

    name: str
    inventory: Inventory
    literal_answers: Mapping[int, float]
    """Literal value by item number; items without an answer are absent."""
    simulated: bool = False
    """Whether these answers were made by a program and not given by a human."""
    sex: str | None = None
    """"male" or "female", where known; chooses the norm group."""
    age: int | None = None
    choices: Mapping[int, int] = field(default_factory=dict)
    """Which option was chosen, as its index in content order, by item number. It is needed where
    options of an item share a value, as those of situations do."""

    def __post_init__(self) -> None:
        """Check every answer against its item's options."""
        if not self.literal_answers:
            raise ResponsesError(f"Person {self.name!r} has no answers.")
        for number, value in self.literal_answers.items():
            values = self.inventory.option_values(self.inventory.item(number))
            if value not in values:
                raise ResponsesError(
                    f"Person {self.name!r}: answer {value:g} to item {number} is none of "
                    f"{', '.join(f'{v:g}' for v in values)} of {self.inventory.name}."
                )
        for number, choice in self.choices.items():
            values = self.inventory.option_values(self.inventory.item(number))
            said = self.literal_answers.get(number)
            if not 0 <= choice < len(values) or values[choice] != said:
                raise ResponsesError(
                    f"Person {self.name!r}: option {choice + 1} of item {number} is not of the "
                    f"value that was answered ({'nothing' if said is None else f'{said:g}'})."
                )

    def system_prompt(self) -> str:
        """The answers as a list of items with what the person said of each.

        Raises:
            ResponsesError: It is not known which of several options of one value was chosen.
        """
        lines = []
        for number, value in self.literal_answers.items():
            item = self.inventory.item(number)
            said = [o.text for o in self.inventory.options(item) if o.value == value]
            if number in self.choices:
                said = [self.inventory.options(item)[self.choices[number]].text]
            if len(said) > 1:
                raise ResponsesError(
                    f"Which option {self.name!r} chose of item {number} is not known, and "
                    f"{len(said)} have the value {value:g}; let it be answered anew."
                )
            lines.append(f"{(item.text or '').rstrip('.')}: {said[0]}")
        return "You are a person who described yourself like this.\n" + "\n".join(lines)


def write_person(person: Person, path: Path | str) -> Path:
    """Write a person file (JSON); the inventory is kept by name and hash of its items."""
    content = {
        "format": _FORMAT,
        "name": person.name,
        "simulated": person.simulated,
        "sex": person.sex,
        "age": person.age,
        "inventory": person.inventory.name,
        "items_hash": person.inventory.items_hash,
        "stored": "literal",
        "answers": {str(number): value for number, value in person.literal_answers.items()},
        "choices": {str(number): choice for number, choice in person.choices.items()},
    }
    return write_atomically(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_person(path: Path | str, inventory: Inventory | None = None) -> Person:
    """Read a person file.

    Args:
        path: A file that `write_person` wrote.
        inventory: The inventory answered, where it is not one that the file's name finds. One
            without texts is taken by its number of items and scale alone.

    Raises:
        ResponsesError: The file is no person file, or answers other items than the inventory's.
        InventoryError: The inventory it names is not known.
    """
    from allport.inventories import load_inventory

    path = Path(path)
    if not path.exists():
        raise ResponsesError(f"There is no person file {path}; `allport survey` writes one.")
    try:
        content = _json(path)
        if isinstance(content, list):
            raise ValueError("it holds a list, as files of many people do (--people)")
        if not isinstance(content, dict):
            raise ValueError("it holds no person; `allport survey` writes one")
        if content.get("format") != _FORMAT:
            raise ValueError(f"format is {content.get('format')!r}, not {_FORMAT!r}")
        if content["stored"] != "literal":
            raise ValueError("answers must be stored literal")
        answers = {int(number): float(value) for number, value in content["answers"].items()}
        choices = {int(n): int(choice) for n, choice in content.get("choices", {}).items()}
        name, inventory_name = str(content["name"]), str(content["inventory"])
        sex, age = _sex(content), _age(content)
    except OSError as error:
        raise ResponsesError(f"{path} cannot be read ({error.strerror or error}).") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else error
        raise ResponsesError(f"{path} cannot be read as a person file: {reason}.") from None
    answered = inventory or load_inventory(inventory_name)
    # The hash is of texts too, which a key under copyright leaves out and scoring does without.
    told = answered.has_text and content.get("items_hash") is not None
    if told and content["items_hash"] != answered.items_hash:
        raise ResponsesError(
            f"{path} answers {inventory_name} with other items than {answered.name} at hand has; "
            "give the inventory that was answered, or let it be answered anew with `allport "
            "survey`."
        )
    return Person(
        name=name,
        inventory=answered,
        literal_answers=answers,
        simulated=bool(content.get("simulated", False)),
        sex=sex,
        age=age,
        choices=choices,
    )


def _json(path: Path) -> Any:
    """What a file says; `ValueError` says in plain words why it says nothing."""
    content = path.read_bytes()
    if not content.strip():
        raise ValueError("it is empty; `allport survey` writes a person file")
    try:
        return json.loads(content.decode("utf-8"))
    except ValueError:
        raise ValueError("it is no JSON; `allport survey` writes a person file") from None


def _sex(content: dict[str, Any]) -> str | None:
    sex = content.get("sex")
    if sex is not None and sex not in ("female", "male"):
        raise ValueError(f"sex is {sex!r}; it is female, male or left out")
    return sex


def _age(content: dict[str, Any]) -> int | None:
    age = content.get("age")
    if age is None:
        return None
    # True is an int too.
    if type(age) is not int or not 1 <= age <= 120:
        raise ValueError(f"age is {age!r}; it is a whole number of years from 1 to 120 or left out")
    return age
