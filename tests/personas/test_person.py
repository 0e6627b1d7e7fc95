from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from allport.errors import InventoryError, ResponsesError, UsageError
from allport.inventories import Inventory, load_inventory
from allport.personas import Person, Persona, read_person, write_person


@pytest.fixture(scope="module")
def inventory() -> Inventory:
    return load_inventory("mini-ipip-20")


@pytest.fixture
def ann(inventory: Inventory) -> Person:
    answers = {1: 5.0, 6: 2.0, 20: 3.0}
    return Person("Ann", inventory, answers, simulated=True, sex="female", age=34)


def test_a_person_is_a_persona_of_literal_answers(inventory: Inventory, ann: Person) -> None:
    persona: Persona = ann
    first, second, third = (str(inventory.item(n).text).rstrip(".") for n in (1, 6, 20))
    assert inventory.item(6).key == -1  # said as it was answered, not reversed
    assert persona.system_prompt() == (
        "You are a person who described yourself like this.\n"
        f"{first}: Very Accurate\n{second}: Moderately Inaccurate\n"
        f"{third}: Neither Accurate nor Inaccurate"
    )


def test_a_person_is_written_and_read_back(tmp_path: Path, ann: Person) -> None:
    path = write_person(ann, tmp_path / "people" / "ann.json")
    assert read_person(path) == ann
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["stored"] == "literal"
    assert content["answers"] == {"1": 5.0, "6": 2.0, "20": 3.0}
    assert content["items_hash"] == ann.inventory.items_hash


def test_a_person_of_an_inventory_that_has_no_name_here(tmp_path: Path, ann: Person) -> None:
    own = ann.inventory.model_copy(update={"name": "nobody-has-it"})
    path = write_person(Person("Ann", own, ann.literal_answers), tmp_path / "ann.json")
    assert read_person(path, own).inventory == own
    with pytest.raises(UsageError, match="nobody-has-it"):
        read_person(path)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({}, "Person 'Ann' has no answers"),
        ({1: 6.0}, "answer 6 to item 1 is none of 1, 2, 3, 4, 5 of mini-ipip-20"),
        ({1: 2.5}, "answer 2.5 to item 1 is none of"),
        ({1: float("nan")}, "answer nan to item 1 is none of"),
    ],
)
def test_answers_off_the_scale_are_refused(
    inventory: Inventory, answers: dict[int, float], message: str
) -> None:
    with pytest.raises(ResponsesError, match=message):
        Person("Ann", inventory, answers)


def test_an_answer_to_no_item_is_refused(inventory: Inventory) -> None:
    with pytest.raises(InventoryError, match="mini-ipip-20 has no item 21"):
        Person("Ann", inventory, {21: 3.0})


def changed(**fields: Any) -> dict[str, Any]:
    content = {
        "format": "allport-person-1",
        "name": "Ann",
        "inventory": "mini-ipip-20",
        "stored": "literal",
        "answers": {"1": 5},
    }
    return {name: value for name, value in (content | fields).items() if value is not None}


def test_only_what_is_needed_has_to_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "ann.json"
    file.write_text(json.dumps(changed()), encoding="utf-8")
    person = read_person(file)
    assert (person.literal_answers, person.simulated) == ({1: 5.0}, False)
    assert (person.sex, person.age) == (None, None)


@pytest.mark.parametrize(
    "content",
    [
        "not JSON",
        "[]",
        json.dumps(changed(format="allport-run-1")),
        json.dumps(changed(stored="keyed")),
        json.dumps(changed(stored=None)),
        json.dumps(changed(name=None)),
        json.dumps(changed(inventory=None)),
        json.dumps(changed(answers=None)),
        json.dumps(changed(answers=[5, 4])),
        json.dumps(changed(answers={"one": 5})),
        json.dumps(changed(answers={"1": "often"})),
        json.dumps(changed(answers={"1": None})),
        json.dumps(changed(age="46")),
        json.dumps(changed(age=46.5)),
        json.dumps(changed(age=True)),
        json.dumps(changed(age=0)),
        json.dumps(changed(age=121)),
        json.dumps(changed(sex="F")),
        json.dumps(changed(sex=["female"])),
        b"\xff\xfe",
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: str | bytes) -> None:
    file = tmp_path / "ann.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ResponsesError, match=r"ann\.json cannot be read as a person file"):
        read_person(file)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty; `allport survey` writes a person file."),
        (b" \n", "it is empty; `allport survey` writes a person file."),
        (b"Ann says", "it is no JSON; `allport survey` writes a person file."),
        (b"\xff\xfe", "it is no JSON; `allport survey` writes a person file."),
        (b"5", "it holds no person; `allport survey` writes one."),
    ],
)
def test_what_is_wrong_is_said_in_plain_words(tmp_path: Path, content: bytes, why: str) -> None:
    file = tmp_path / "ann.json"
    file.write_bytes(content)
    with pytest.raises(ResponsesError) as caught:
        read_person(file)
    assert str(caught.value) == f"{file} cannot be read as a person file: {why}"
    with pytest.raises(ResponsesError, match=r"cannot be read \(Is a directory\)"):
        read_person(tmp_path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ResponsesError, match=r"There is no person file .*nobody\.json"):
        read_person(tmp_path / "nobody.json")


def test_a_file_of_many_people_is_told_where_it_goes(tmp_path: Path) -> None:
    file = tmp_path / "people.json"
    file.write_text('[{"case": 1, "i1": 5}]', encoding="utf-8")
    with pytest.raises(ResponsesError, match=r"as files of many people do \(--people\)\.$"):
        read_person(file)


def test_answers_to_other_items_of_the_same_name_are_refused(ann: Person, tmp_path: Path) -> None:
    path = write_person(ann, tmp_path / "ann.json")
    content = json.loads(path.read_text("utf-8"))
    assert read_person(path).literal_answers == ann.literal_answers
    path.write_text(json.dumps(content | {"items_hash": "0" * 64}), "utf-8")
    for inventory in (None, ann.inventory):
        with pytest.raises(ResponsesError, match="with other items than mini-ipip-20 at hand has"):
            read_person(path, inventory)


def test_a_key_without_texts_takes_answers_to_the_whole_inventory(
    ann: Person, tmp_path: Path
) -> None:
    path = write_person(ann, tmp_path / "ann.json")
    items = tuple(item.model_copy(update={"text": None}) for item in ann.inventory.items)
    key = ann.inventory.model_copy(update={"items": items})
    assert key.items_hash != ann.inventory.items_hash
    assert read_person(path, key).literal_answers == ann.literal_answers
