"""Situations in the layouts of TRAIT: read, refused with the reason, written and read again."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest

from allport.errors import InventoryError, UsageError
from allport.inventories import (
    TRAIT_HUB_ID,
    TRAIT_SPLITS,
    Trait,
    import_inventory,
    load_inventory,
    read_inventory,
    read_situations,
    write_situations,
)


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


def of_hub(n: int) -> dict[str, Any]:
    options = {field: text for field, text in raw(n).items() if field.startswith("response")}
    return {**options, "question": f"Situation {n}. What now?"}


def saved(path: Path, content: Any) -> Path:
    """A file of rows, or of rows by split, in the format of its ending."""
    match path.suffix:
        case ".jsonl":
            path.write_text("\n".join(map(json.dumps, content)), "utf-8")
        case ".parquet":
            pl.DataFrame(content).write_parquet(path)
        case _:
            path.write_text(json.dumps(content), "utf-8")
    return path


def test_the_raw_layout_keeps_statements_and_forms(tmp_path: Path) -> None:
    rows = [
        raw(n, paraphrased_situation="It happens.", paraphrased_query="Now?") for n in range(15)
    ]
    found = read_situations(saved(tmp_path / "TRAIT.json", rows))
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
    assert found.title == "Situational items of TRAIT.json"
    assert found.notes.endswith("two of the low (0).")


def test_items_keep_the_numbers_of_their_rows(tmp_path: Path) -> None:
    rows = [raw(n) for n in (3, 1, 12)]
    found = read_situations(saved(tmp_path / "TRAIT.json", rows))
    assert found.numbers == (5003, 5001, 5012)
    assert found.item(5012).text == "Situation 12 happens. What should I do?"
    tables = [{**row, "idx": float(row["idx"])} for row in rows]
    assert read_situations(saved(tmp_path / "TRAIT.parquet", tables)).numbers == found.numbers


@pytest.mark.parametrize("idx", [0, -1, 5001, 5003.5, "5003", True, None])
def test_items_are_counted_where_a_row_has_no_number_of_its_own(
    tmp_path: Path, idx: object
) -> None:
    rows = [raw(1), raw(2), raw(3, idx=idx)]
    assert read_situations(saved(tmp_path / "TRAIT.json", rows)).numbers == (1, 2, 3)
    del rows[2]["idx"]
    assert read_situations(saved(tmp_path / "TRAIT.json", rows)).numbers == (1, 2, 3)


@pytest.mark.parametrize("idx", [math.nan, math.inf, None])
def test_numbers_that_are_none_in_a_table_count_as_missing(
    tmp_path: Path, idx: float | None
) -> None:
    rows = [{**raw(n), "idx": idx if n == 2 else 7.0 + n} for n in range(4)]
    assert read_situations(saved(tmp_path / "TRAIT.parquet", rows)).numbers == (1, 2, 3, 4)


def test_statements_without_five_items_are_counted_in_the_notes(tmp_path: Path) -> None:
    rows = [raw(n) for n in range(15) if n not in (3, 7, 8)]
    found = read_situations(saved(tmp_path / "TRAIT.json", rows))
    clusters = [item.cluster for item in found.items]
    assert [clusters.count(f"Statement {n}.") for n in range(3)] == [4, 3, 5]
    assert found.notes.endswith("Statements that have not five items: 2 of 3, with 3 to 4.")


def test_the_hub_export_has_one_split_a_trait_and_no_statements(tmp_path: Path) -> None:
    splits = {trait: [of_hub(n) for n in range(10)] for trait in ("Openness", "Psychopathy")}
    found = read_situations(saved(tmp_path / "hub.json", splits))
    assert [item.trait for item in found.items] == ["O"] * 10 + ["Psych"] * 10
    clusters = [item.cluster for item in found.items]
    assert clusters[:10] == ["Openness statement 1"] * 5 + ["Openness statement 2"] * 5
    assert clusters[10] == "Psychopathy statement 1"
    assert found.items[0].question is None
    assert "Statements are not given" in found.notes


@pytest.mark.parametrize("count", [4, 7, 11])
def test_a_split_that_is_not_whole_is_not_shifted(tmp_path: Path, count: int) -> None:
    splits = {"Openness": [of_hub(n) for n in range(5)]}
    splits["Narcissism"] = [of_hub(n) for n in range(count)]
    said = f"Narcissism has {count} items without a 'statement', which is no multiple of five"
    with pytest.raises(InventoryError, match=said):
        read_situations(saved(tmp_path / "hub.json", splits))
    rows = [{"personality": trait, **row} for trait, each in splits.items() for row in each]
    with pytest.raises(InventoryError, match=said):
        read_situations(saved(tmp_path / "hub.jsonl", rows))


@pytest.mark.parametrize("ending", [".json", ".jsonl", ".parquet"])
def test_what_is_written_is_read_back(tmp_path: Path, ending: str) -> None:
    rows = [raw(n, paraphrased_situation=f"So {n}. What?") for n in range(15)]
    first = read_situations(saved(tmp_path / "a.json", rows))
    path = write_situations(first, tmp_path / f"b{ending}")
    again = read_situations(path)
    assert again.items == first.items
    assert "trait" not in json.loads((tmp_path / "a.json").read_text())[0]


def test_a_trait_of_ones_own_is_written_with_its_code_and_read_back(tmp_path: Path) -> None:
    content = read_situations(saved(tmp_path / "a.json", [raw(n) for n in range(10)]))
    items = [item.model_copy(update={"trait": "W"}) for item in content.items]
    own = content.model_copy(
        update={"traits": (Trait(code="W", name="Warmth"),), "items": tuple(items)}
    )
    again = read_situations(write_situations(own, tmp_path / "own.json"))
    assert (again.traits, again.items) == (own.traits, own.items)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"response_low2": ""}, "item 2 has no 'response_low2'"),
        ({"response_low2": "Do low 1 in 1."}, "item 2 has two equal options"),
        ({"personality": None}, "item 2 has no 'personality' or 'trait'"),
        ({"situation": " ", "query": "x"}, "item 2 has no 'question'"),
        ({"statement": None}, "item 2 has no 'statement', though others have"),
        (
            {"personality": "Opennes"},
            "item 2 is of the personality 'Opennes', which is none of TRAIT's: Openness, Consc",
        ),
        ({"personality": "Grit"}, "'Grit', which is none of TRAIT's: .*, Psychopathy."),
        ({"personality": "Opennes", "trait": "Op"}, "'Opennes', which is none of TRAIT's"),
        (
            {"personality": "Warmth", "trait": "Mach"},
            "item 2 gives Warmth the code Mach, which is that of Machiavellianism",
        ),
    ],
)
def test_an_item_that_does_not_hold_is_named(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    rows = [raw(n, **(change if n == 1 else {})) for n in range(3)]
    with pytest.raises(InventoryError, match=said):
        read_situations(saved(tmp_path / "bad.jsonl", rows))


def test_an_unknown_split_is_refused_with_its_row(tmp_path: Path) -> None:
    splits = {trait: [of_hub(n) for n in range(5)] for trait in ("Openness", "Opennes")}
    with pytest.raises(InventoryError, match="Opennes, item 1 is of the personality 'Opennes'"):
        read_situations(saved(tmp_path / "hub.json", splits))


@pytest.mark.parametrize("text", ["", "[]", "[1, 2]", "{", '{"Openness": 3}', '{"Openness": []}'])
def test_what_is_no_list_of_items_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text, "utf-8")
    with pytest.raises(InventoryError, match=r"x\.json"):
        read_situations(tmp_path / "x.json")
    (tmp_path / "x.parquet").write_text(text, "utf-8")
    with pytest.raises(InventoryError, match="cannot be read as situations"):
        read_situations(tmp_path / "x.parquet")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ALLPORT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("ending", [".json", ".jsonl", ".parquet"])
def test_a_file_is_imported_under_a_name(home: Path, ending: str) -> None:
    path = saved(home / f"TRAIT{ending}", [raw(n) for n in range(15)])
    imported = import_inventory("trait", path)
    assert load_inventory("trait") == imported
    assert imported.items == read_situations(path).items


def test_splits_are_imported_under_a_name(home: Path) -> None:
    splits = {trait: [of_hub(n) for n in range(5)] for trait in TRAIT_SPLITS}
    imported = import_inventory("trait", saved(home / "hub.json", splits))
    assert [trait.name for trait in imported.traits] == list(TRAIT_SPLITS)
    assert load_inventory("trait") == imported


def test_the_hub_is_imported_by_its_name(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(name: str, *, split: str) -> list[dict[str, Any]]:
        assert name == TRAIT_HUB_ID
        return [of_hub(n) for n in range(5 + 5 * (split == "Openness"))]

    module = ModuleType("datasets")
    module.load_dataset = load_dataset  # type: ignore[attr-defined]  # it is made here
    monkeypatch.setitem(sys.modules, "datasets", module)
    imported = import_inventory("trait", TRAIT_HUB_ID)
    assert [item.trait for item in imported.items].count("O") == 10
    assert len(imported.items) == 45
    assert imported.title == "Situational items of mirlab/TRAIT"


def test_what_situations_do_not_take_is_said(home: Path) -> None:
    paths = [saved(home / f"{n}.jsonl", [raw(n) for n in range(5)]) for n in "ab"]
    with pytest.raises(UsageError, match="take no scale"):
        import_inventory("trait", paths[0], scale=["no", "yes"])
    with pytest.raises(UsageError, match="imported from one file"):
        import_inventory("trait", paths)


@pytest.mark.parametrize("ending", [".json", ".jsonl", ".parquet"])
def test_a_file_that_is_asked_as_it_is_names_the_import(home: Path, ending: str) -> None:
    path = saved(home / f"TRAIT{ending}", [raw(n) for n in range(5)])
    with pytest.raises(InventoryError, match="allport inventories import trait --from") as caught:
        load_inventory(str(path))
    assert str(caught.value).endswith(f"--from {path}.")


def test_splits_and_the_hub_name_name_the_import_too(home: Path) -> None:
    path = saved(home / "hub.json", {"Openness": [of_hub(n) for n in range(5)]})
    for source in (str(path), TRAIT_HUB_ID):
        with pytest.raises(InventoryError, match=f"import trait --from {source}"):
            load_inventory(source)


def test_a_parquet_of_something_else_is_no_inventory(home: Path) -> None:
    pl.DataFrame({"i1": [1, 2]}).write_parquet(home / "people.parquet")
    with pytest.raises(InventoryError, match=r"an inventory is a \.json, \.toml"):
        read_inventory(home / "people.parquet")


def test_likert_items_have_no_sides_to_write(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="has not two options of either side"):
        write_situations(load_inventory("mini-ipip-20"), tmp_path / "x.json")
