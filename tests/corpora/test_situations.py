from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from allport.corpora import TRAIT_HUB_ID, read_situations, write_situations
from allport.errors import InventoryError
from allport.inventories import load_inventory


def raw(n: int, **changes: Any) -> dict[str, Any]:
    return {
        "idx": 5000 + n,
        "split": "good",
        "personality": "Machiavellianism" if n < 10 else "Openness",
        "statement": f"Statement {n // 5}.",
        "situation": f"Situation {n} happens.",
        "query": "What should I do?",
        **{
            f"response_{side}{i}": f"Do {side} {i} in {n}."
            for side in ("high", "low")
            for i in (1, 2)
        },
        **changes,
    }


def test_the_raw_layout_keeps_statements_and_forms(tmp_path: Path) -> None:
    rows = [
        raw(n, paraphrased_situation="It happens.", paraphrased_query="Now?") for n in range(15)
    ]
    (tmp_path / "TRAIT.json").write_text(json.dumps(rows), "utf-8")
    found = read_situations(tmp_path / "TRAIT.json")
    assert [trait.code for trait in found.traits] == ["Mach", "O"]
    item = found.items[7]
    assert item.text == "Situation 7 happens. What should I do?"
    assert (item.question, item.cluster) == ("What should I do?", "Statement 1.")
    assert [(o.text, o.value) for o in item.options] == [
        ("Do high 1 in 7.", 1),
        ("Do high 2 in 7.", 1),
        ("Do low 1 in 7.", 0),
        ("Do low 2 in 7.", 0),
    ]
    assert item.forms == {"paraphrase": "It happens. Now?"}
    assert "Statements are not given" not in found.notes


def test_the_hub_export_has_one_split_a_trait_and_no_statements(tmp_path: Path) -> None:
    row = {k: v for k, v in raw(0).items() if k.startswith("response")}
    splits = {
        trait: [{**row, "question": f"Situation {n}. What now?"} for n in range(7)]
        for trait in ("Openness", "Psychopathy")
    }
    (tmp_path / "hub.json").write_text(json.dumps(splits), "utf-8")
    found = read_situations(tmp_path / "hub.json")
    assert [item.trait for item in found.items] == ["O"] * 7 + ["Psych"] * 7
    clusters = [item.cluster for item in found.items]
    assert clusters[:7] == ["Openness statement 1"] * 5 + ["Openness statement 2"] * 2
    assert clusters[7] == "Psychopathy statement 1"
    assert found.items[0].question is None
    assert "Statements are not given" in found.notes


@pytest.mark.parametrize("ending", [".json", ".jsonl", ".parquet"])
def test_what_is_written_is_read_back(tmp_path: Path, ending: str) -> None:
    rows = [raw(n, paraphrased_situation=f"So {n}. What?") for n in range(15)]
    (tmp_path / "a.json").write_text(json.dumps(rows), "utf-8")
    first = read_situations(tmp_path / "a.json")
    again = read_situations(write_situations(first, tmp_path / f"b{ending}"))
    assert again.items == first.items


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"response_low2": ""}, "item 2 has no 'response_low2'"),
        ({"response_low2": "Do low 1 in 1."}, "item 2 has two equal options"),
        ({"personality": None}, "item 2 has no 'personality' or 'trait'"),
        ({"situation": " ", "query": "x"}, "item 2 has no 'question'"),
    ],
)
def test_an_item_that_does_not_hold_is_named(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    path = tmp_path / "bad.jsonl"
    rows = [raw(n, **(change if n == 1 else {})) for n in range(3)]
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    with pytest.raises(InventoryError, match=said):
        read_situations(path)


@pytest.mark.parametrize("text", ["", "[]", "[1, 2]", "{", '{"Openness": 3}'])
def test_what_is_no_list_of_items_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text, "utf-8")
    with pytest.raises(InventoryError, match=r"x\.json"):
        read_situations(tmp_path / "x.json")
    (tmp_path / "x.parquet").write_text(text, "utf-8")
    with pytest.raises(InventoryError, match="cannot be read as situations"):
        read_situations(tmp_path / "x.parquet")


def test_the_gated_set_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InventoryError, match="accept its terms on its page, and set HF_TOKEN"):
        read_situations(TRAIT_HUB_ID)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InventoryError, match="needs the datasets library"):
        read_situations(TRAIT_HUB_ID)


def test_likert_items_have_no_sides_to_write(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="has not two options of either side"):
        write_situations(load_inventory("mini-ipip-20"), tmp_path / "x.json")
