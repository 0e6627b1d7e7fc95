from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from allport.inventories import available_inventories, load_inventory, write_inventory

OWN = {
    "name": "own",
    "title": "My own",
    "version": "1",
    "licence": "mine",
    "source": "me",
    "scale": [{"text": "no", "value": 1}, {"text": "yes", "value": 2}],
    "traits": [{"code": "X", "name": "Xness"}],
    "items": [
        {"number": 1, "text": "I am x.", "trait": "X"},
        {"number": 2, "text": "I am not x.", "trait": "X", "key": -1},
    ],
}


def own(**changes: Any) -> Path:
    path = Path("own.json")
    path.write_text(json.dumps(OWN | changes))
    return path


def test_list_shows_every_inventory(allport: Any) -> None:
    said = allport("inventories", "list")
    rows = allport("inventories", "list", "--json").json
    assert [row["name"] for row in rows] == [row.name for row in available_inventories()]
    for row in rows:
        assert row["name"] in said.out
    assert "allport inventories import bfi-44 --from FILE" in " ".join(said.out.split())


def test_show_gives_scale_items_and_norms(allport: Any) -> None:
    said = allport("inventories", "show", "ipip-neo-120")
    for text in ("Very Inaccurate = 1", "Worry about things.", "women-21-40", "Public domain"):
        assert text in said.out
    content = allport("inventories", "show", "ipip-neo-120", "--json").json
    assert len(content["items"]) == 120
    assert "both-21-40" in content["norm_groups"]


def test_show_of_an_inventory_without_texts_says_where_they_go(allport: Any) -> None:
    said = allport("inventories", "show", "bfi-44")
    assert said.code == 0
    assert "(text not imported)" in said.out
    assert "allport inventories import bfi-44 --from FILE" in said.out


def test_own_inventory_is_checked_imported_and_known(allport: Any) -> None:
    checked = allport("inventories", "check", own())
    assert (checked.code, checked.err) == (0, "")
    assert "2 items; X 2 (1 reversed)" in checked.out
    said = allport("inventories", "import", "mine", "--from", "own.json")
    assert "allport measure MODEL --inventory mine" in said.out
    assert load_inventory("mine").numbers == (1, 2)
    assert "mine" in allport("inventories", "list").out
    again = allport("inventories", "import", "mine", "--from", "own.json")
    assert (again.code, "--replace" in again.err) == (2, True)
    replaced = allport("inventories", "import", "mine", "--from", "own.json", "--replace", "--json")
    assert replaced.json["traits"] == {"X": {"name": "Xness", "items": 2, "reversed": 1}}


def test_texts_of_a_shipped_key_come_from_a_table(allport: Any) -> None:
    with Path("texts.csv").open("w", newline="") as handle:
        rows = csv.writer(handle)
        rows.writerow(["number", "text"])
        rows.writerows([number, f"Statement {number}"] for number in range(1, 28))
    assert allport("inventories", "import", "sd-3", "--from", "texts.csv").code == 0
    assert load_inventory("sd-3").has_text
    assert "Statement 27" in allport("inventories", "show", "sd-3").out


def test_several_files_of_statements_make_one_inventory(allport: Any) -> None:
    for trait in ("openness", "neuroticism"):
        rows = [
            {
                "question": f'Is the following statement something you would say?\n"{trait} {n}"',
                "statement": f"{trait} {n}",
                "label_confidence": 0.9,
                "answer_matching_behavior": " Yes" if n % 2 else " No",
                "answer_not_matching_behavior": " No" if n % 2 else " Yes",
            }
            for n in range(4)
        ]
        Path(f"{trait}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    said = allport(
        *("inventories", "import", "statements", "--from", "openness.jsonl", "neuroticism.jsonl"),
        "--json",
    )
    assert said.code == 0, said.err
    assert said.json["items"] == 8


def test_built_situations_are_imported_from_the_layout_of_trait(
    allport: Any, sentence: Any
) -> None:
    built = allport(
        *("build", "situations", "bank", "--inventory", "mini-ipip-20", "--traits", "E"),
        *("--statements", "2"),
    )
    assert built.code == 0, built.err
    said = allport("inventories", "import", "trait", "--from", "bank/trait.json")
    assert said.code == 0, said.err
    assert "allport measure MODEL --inventory trait" in said.out
    assert "Options stand in content order" in said.out
    bank = load_inventory("bank/inventory.json")
    assert load_inventory("trait").items == bank.items
    measured = allport("measure", "embedded", "--inventory", "bank/trait.json")
    sentence(measured, 1)
    assert "allport inventories import trait --from bank/trait.json." in measured.err


def test_uneven_statements_of_situations_are_told_with_the_import(allport: Any) -> None:
    rows = [
        {
            "personality": "Openness",
            "statement": "People like art.",
            "situation": f"Situation {n}.",
            "query": "What now?",
            **{f"response_{side}": f"{side} {n}" for side in ("high1", "high2", "low1", "low2")},
        }
        for n in range(4)
    ]
    Path("TRAIT.jsonl").write_text("\n".join(map(json.dumps, rows)))
    said = allport("inventories", "import", "trait", "--from", "TRAIT.jsonl")
    assert "Statements that have not five items: 1 of 1, with 4." in " ".join(said.out.split())
    again = allport(
        "inventories", "import", "trait", "--from", "TRAIT.jsonl", "--replace", "--json"
    )
    assert "Statements that have not five items" in again.json["notes"]


def test_the_gated_set_is_asked_of_the_hub_by_its_name(allport: Any, sentence: Any) -> None:
    pytest.importorskip("datasets")
    said = allport("inventories", "import", "trait", "--from", "mirlab/TRAIT")
    sentence(said, 1)
    assert "HF_HUB_OFFLINE forbids asking the hub" in " ".join(said.err.split())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"items": [OWN["items"][0], OWN["items"][0]]}, "given twice"),
        ({"items": [OWN["items"][0] | {"trait": "Y"}]}, "unknown trait"),
        ({"items": [OWN["items"][0] | {"key": 2}]}, "key"),
        ({"items": [OWN["items"][0] | {"text": " "}]}, "text"),
        ({"colour": "blue"}, "colour"),
        ({"n_items": 3}, "3"),
    ],
)
def test_a_broken_file_is_one_sentence(
    allport: Any, sentence: Any, changes: dict[str, Any], said: str
) -> None:
    path = own(**changes)
    for words in (("check", path), ("import", "mine", "--from", path)):
        answer = allport("inventories", *words)
        sentence(answer, 1)
        assert "own.json" in answer.err
        assert said in answer.err
    assert not list(Path("home").rglob("*.json"))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("show", "nothing"), 2),
        (("check", "nothing.json"), 1),
        (("check", "."), 1),
        (("import", "mine"), 2),
        (("import", "mine", "--from", "nothing.json"), 1),
        (("import", "ipip-neo-120", "--from", "own.json"), 2),
        (("import", "Not A Name", "--from", "own.json"), 2),
    ],
)
def test_wrong_input_is_one_sentence(
    allport: Any, sentence: Any, words: tuple[str, ...], code: int
) -> None:
    own()
    sentence(allport("inventories", *words), code)


def test_not_utf8_is_one_sentence(allport: Any, sentence: Any) -> None:
    Path("own.json").write_bytes(b'{"name": "\xff\xfe"}')
    sentence(allport("inventories", "check", "own.json"), 1)


def test_what_ships_passes_its_own_check(allport: Any) -> None:
    for name in ("ipip-neo-300", "mini-ipip-20"):
        write_inventory(load_inventory(name), f"{name}.json")
        assert allport("inventories", "check", f"{name}.json").code == 0
