"""Broken files are refused, each with file, line or item, and reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from allport.errors import AllportError, InventoryError, UsageError
from allport.inventories import load_inventory, read_inventory, write_inventory

Content = dict[str, Any]


def whole() -> Content:
    return {
        "name": "warmth",
        "title": "Warmth",
        "version": "1",
        "licence": "CC0",
        "source": "made up",
        "scale": [{"text": "No", "value": 1}, {"text": "Yes", "value": 2}],
        "traits": [{"code": "W", "name": "Warmth"}],
        "items": [
            {"number": 1, "text": "Hug people.", "trait": "W", "key": 1},
            {"number": 2, "text": "Keep away.", "trait": "W", "key": -1},
        ],
    }


def put(key: str, value: Any, item: int | None = None) -> Callable[[Content], None]:
    def change(content: Content) -> None:
        (content if item is None else content["items"][item])[key] = value

    return change


def drop(key: str, item: int | None = None) -> Callable[[Content], None]:
    def change(content: Content) -> None:
        del (content if item is None else content["items"][item])[key]

    return change


BROKEN: list[tuple[Callable[[Content], None], str]] = [
    (put("number", 1, item=1), "item 1: the number is given twice."),
    (put("number", 0, item=1), "item 0: the number must be 1 or more, not 0."),
    (put("number", "2", item=1), 'item at position 2: the number must be a whole number, not "2".'),
    (put("trait", "Q", item=1), "item 2: unknown trait 'Q'; known: W."),
    (put("key", 2, item=1), "item 2: the key must be 1 or -1, not 2."),
    (put("key", 0, item=1), "item 2: the key must be 1 or -1, not 0."),
    (put("key", "-1", item=1), 'item 2: the key must be 1 or -1, not "-1".'),
    (put("key", True, item=1), "item 2: the key must be 1 or -1."),
    (put("text", "  ", item=1), "item 2: the text is empty."),
    (drop("text", item=1), "item 2: the text is missing."),
    (drop("number", item=1), "item at position 2: the field 'number' is missing."),
    (put("keyed", -1, item=1), "item 2: unknown field 'keyed' (did you mean 'key')."),
    (put("colour", "red"), "unknown field 'colour' (known: name, title,"),
    (put("itmes", []), "unknown field 'itmes' (did you mean 'items')."),
    (put("n_items", 3), "it declares n_items = 3 and has 2."),
    (put("n_items", "2"), "it declares n_items = '2' and has 2."),
    (drop("items"), "the field 'items' is missing."),
    (put("items", []), "it has no items."),
    (put("items", {"1": "a"}), 'items must be array, not {"1": "a"}.'),
    (put("items", ["a"]), 'item at position 1: the entry must be an object, not "a".'),
    (drop("scale"), "there is no response scale; give one, lowest agreement first:"),
    (put("scale", ["No", "No"]), "two options of the scale have the same text."),
    (put("scale", [{"text": "No", "value": "1"}]), "option at position 1: value must be number"),
    (put("scoring", "median"), "the scoring must be 'sum' or 'mean', not \"median\"."),
    (put("norms", "mine"), "there is no norm table 'mine'; known: johnson."),
    (put("name", "My Test"), 'the name "My Test" must be small letters, digits, dots,'),
    (put("text", "half \ud800", item=0), "a text holds half of a surrogate pair"),
]


@pytest.mark.parametrize(("change", "message"), BROKEN, ids=[message[:40] for _, message in BROKEN])
def test_json_that_does_not_hold(
    tmp_path: Path, change: Callable[[Content], None], message: str
) -> None:
    content = whole()
    change(content)
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InventoryError) as caught:
        read_inventory(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_whole_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "whole.json"
    path.write_text(json.dumps(whole() | {"n_items": 2}))
    assert read_inventory(path).keys.tolist() == [1, -1]


def test_further_faults_are_counted(tmp_path: Path) -> None:
    content = whole()
    put("key", 3, item=0)(content)
    put("key", 4, item=1)(content)
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(content))
    with pytest.raises(
        InventoryError, match=r"item 1: the key must be 1 or -1, not 3 \(and 1 more\)"
    ):
        read_inventory(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"name": "a",\n "items": [}', "line 2, column 12 is not JSON"),
        ('{"name": "a", "name": "b"}', "the field 'name' is given twice in one object"),
        ('{"scale": [{"text": "a", "value": NaN}]}', "NaN is not a number"),
        ("[" * 100_000, "nested too deeply"),
        ("9" * 5000, "the JSON cannot be used"),
        ("[]", "this is a list of questionnaires, not one inventory"),
        ('"text"', "an inventory is an object with fields, not a bare value"),
        ("", "line 1, column 1 is not JSON"),
    ],
)
def test_text_that_is_not_json(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(InventoryError) as caught:
        read_inventory(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_text_that_is_not_toml(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text('name = "a"\ntitle = \n')
    with pytest.raises(InventoryError, match=r"broken.toml: it is not TOML: .*line 2, column 9"):
        read_inventory(path)


@pytest.mark.parametrize("ending", ["json", "toml", "csv", "jsonl"])
def test_files_that_are_not_utf8(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"broken.{ending}"
    path.write_bytes(b"number,text\n1,caf\xe9\n")
    with pytest.raises(InventoryError, match=rf"broken.{ending}: line 2 is not UTF-8 text; save"):
        read_inventory(path)


@pytest.mark.parametrize("ending", ["json", "toml", "csv"])
def test_a_byte_order_mark_is_no_fault(tmp_path: Path, ending: str) -> None:
    plain, marked = tmp_path / f"plain.{ending}", tmp_path / f"marked.{ending}"
    inventory = load_inventory("mini-ipip-20")
    write_inventory(inventory, plain)
    marked.write_bytes(b"\xef\xbb\xbf" + plain.read_bytes())
    assert read_inventory(marked) == inventory


def test_files_that_are_not_there_or_of_no_known_kind(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match=r"none\.json: there is no such file"):
        load_inventory(tmp_path / "none.json")
    (tmp_path / "notes.docx").write_text("x")
    with pytest.raises(InventoryError, match=r"a .json, .toml, .csv or .jsonl file"):
        load_inventory(str(tmp_path / "notes.docx"))
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(InventoryError, match=r"folder.json: the file cannot be read \(Is a dir"):
        load_inventory(tmp_path / "folder.json")
    with pytest.raises(InventoryError, match=r"written as .json, .toml or .csv"):
        write_inventory(load_inventory("mini-ipip-20"), tmp_path / "mini.xlsx")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ipip-neo-12", "did you mean ipip-neo-120"),
        ("IPIP-NEO-300", "did you mean ipip-neo-300"),
        ("bfi", "did you mean bfi-44"),
        ("zzz", "known are bfi-44, big-five-markers-50"),
    ],
)
def test_unknown_names_get_a_hint(name: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_inventory(name)
    assert repr(name) in str(caught.value)
    assert hint in str(caught.value)
    assert isinstance(caught.value, AllportError)
    assert caught.value.exit_code == 2


HEADER = "number,text,trait,key\n"
SCALE = "# option: 1 = No\n# option: 2 = Yes\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no header line such as number,trait,key."),
        (SCALE, "there is no header line such as number,trait,key."),
        (SCALE + "number,text,trait\n1,a,W\n", "line 3 lacks the column 'key'"),
        (SCALE + "number,text,trait,key,mood\n", "line 3 has an unknown column 'mood'; known:"),
        (SCALE + "number,text,text,trait,key\n", "line 3 has the column 'text' twice."),
        (SCALE + HEADER + "1,Hug, and hold,W,1\n", "line 4 has 5 cells where the header has 4;"),
        (
            SCALE + HEADER + "1,a,W,1\n\n1,b,W,1\n",
            "line 6 gives the number 1 again; it is on line 4",
        ),
        (SCALE + HEADER + "1,a,W,1\none,b,W,1\n", "line 5: 'one' is not a whole number."),
        (SCALE + HEADER + "1, ,W,1\n", "line 4: the text is empty."),
        (SCALE + HEADER + "1,a,,1\n", "line 4: the trait is empty."),
        (SCALE + HEADER + "1,a,W,R\n", "line 4: the key must be 1 or -1, not 'R'."),
        (SCALE + HEADER + "1,a,W,0\n", "line 4: the key must be 1 or -1, not '0'."),
        (SCALE + "# n_items: 3\n" + HEADER + "1,a,W,1\n", "it declares n_items = 3 and has 1."),
        (SCALE + "# n_items: x\n" + HEADER + "1,a,W,1\n", "line 3: 'x' is not a whole number."),
        (SCALE + "# colour: red\n" + HEADER, "line 3 begins with # and is none of: name, title"),
        (SCALE + "# title: a\n# title: b\n" + HEADER, "line 4 gives 'title' again."),
        (SCALE + "# trait: W\n" + HEADER, "line 3 should read '# trait: CODE = TEXT'."),
        (SCALE + "# trait: W = a\n# trait: W = b\n" + HEADER, "line 4 names the trait W again."),
        (SCALE + "# trait: W = a\n" + HEADER + "1,a,Q,1\n", "item 1: unknown trait 'Q'; known: W."),
        (SCALE + "# facet: W1 = a\n" + HEADER + "1,a,W,1\n", "no item belongs to the facet W1."),
        ("# option: low = No\n" + HEADER, "line 1: 'low' is not a number."),
        (HEADER + "1,a,W,1\n", "there is no response scale; give one"),
        (SCALE + HEADER + '1,"a,W,1\n', "line 4 is not CSV"),
    ],
)
def test_csv_that_does_not_hold(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "broken.csv"
    path.write_text(text)
    with pytest.raises(InventoryError) as caught:
        read_inventory(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
