"""Importing texts and inventories, on made-up files and on the real ones people have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from allport.errors import InventoryError, UsageError
from allport.inventories import (
    available_inventories,
    import_inventory,
    load_inventory,
    read_inventory,
    user_folder,
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ALLPORT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def bfi_csv(path: Path, **texts: str) -> Path:
    rows = {str(i): f"Statement {i}." for i in range(1, 45)} | texts
    path.write_text("number,text\n" + "".join(f'{i},"{text}"\n' for i, text in rows.items()))
    return path


def questionnaire(**changes: Any) -> dict[str, Any]:
    """A made-up questionnaire in PsychoBench's layout."""
    return {
        "name": "HUG",
        "questions": {"1": "I hug.", "2": "I keep away.", "3": "I run.", "4": "I like tea."},
        "inner_setting": "You can only reply numbers from 1 to 3.",
        "prompt": "1 denotes 'no', 2 denotes 'perhaps', 3 denotes 'yes'. Here they are:",
        "scale": 4,
        "compute_mode": "SUM",
        "reverse": [2],
        "categories": [
            {"cat_name": "Warmth", "cat_questions": [1, 2]},
            {"cat_name": "Extraversion", "cat_questions": [3], "crowd": []},
        ],
    } | changes


def as_file(path: Path, *entries: dict[str, Any]) -> Path:
    path.write_text(json.dumps(list(entries)))
    return path


def bfi_like(**changes: Any) -> dict[str, Any]:
    key = load_inventory("bfi-44", with_text=False)
    names = {trait.code: trait.name for trait in key.traits}
    content: dict[str, Any] = {
        "name": "BFI",
        "questions": {str(n): f"Statement {n}." for n in key.numbers},
        "scale": 6,
        "reverse": [item.number for item in key.items if item.key == -1],
        "categories": [
            {
                "cat_name": name,
                "cat_questions": [item.number for item in key.items if item.trait == code],
            }
            for code, name in names.items()
        ],
    }
    return content | changes


def test_texts_of_a_csv_complete_the_shipped_key(tmp_path: Path, home: Path) -> None:
    imported = import_inventory("bfi-44", bfi_csv(tmp_path / "bfi.csv"))
    assert imported.has_text
    assert imported.keys[1] == -1
    assert load_inventory("bfi-44") == imported
    assert (home / "inventories/bfi-44.json").is_file()
    row = next(row for row in available_inventories() if row.name == "bfi-44")
    assert (row.has_text, row.origin) == (True, "shipped")


def test_a_second_import_has_to_be_meant(tmp_path: Path) -> None:
    import_inventory("bfi-44", bfi_csv(tmp_path / "a.csv"))
    other = bfi_csv(tmp_path / "b.csv", **{"7": "Other."})
    with pytest.raises(UsageError, match=r"bfi-44 is imported already; write over it with"):
        import_inventory("bfi-44", other)
    assert load_inventory("bfi-44").item(7).text == "Statement 7."
    import_inventory("bfi-44", other, replace=True)
    assert load_inventory("bfi-44").item(7).text == "Other."


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("1,a\n", "bfi-44 has 44 items, and the file lacks items 2, 3, 4,"),
        ("45,a\n", "line 2: bfi-44 has no item '45'; its items are 1 to 44."),
        ("one,a\n", "line 2: bfi-44 has no item 'one'"),
        ("1,a\n1,b\n", "line 3 gives the text of item 1 again."),
        ("1, \n", "line 2: the text is empty."),
        ("1,a,b\n", "line 2 has 3 cells where the header has 2;"),
    ],
)
def test_text_files_that_do_not_hold(tmp_path: Path, home: Path, lines: str, message: str) -> None:
    path = tmp_path / "text.csv"
    path.write_text("number,text\n" + lines)
    with pytest.raises(InventoryError) as caught:
        import_inventory("bfi-44", path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert not home.exists()


def test_a_file_that_agrees_with_the_key_is_taken(tmp_path: Path) -> None:
    path = as_file(tmp_path / "all.json", questionnaire(), bfi_like(name="Big-Five Inventory"))
    assert import_inventory("bfi-44", path).item(44).text == "Statement 44."


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"reverse": [1, 2, 6, 8, 9, 12, 18, 21, 23, 24, 27, 31, 34, 35, 37, 41]},
            "it reverses 1, which the key does not; it does not reverse 43, which the key does",
        ),
        (
            {"categories": [{"cat_name": "Extraversion", "cat_questions": [1, 2]}]},
            "it scores 1, 2 on Extraversion, to which the key gives 1, 6, 11, 16, 21, 26, 31, 36",
        ),
        (
            {"categories": [*bfi_like()["categories"], {"cat_name": "Wit", "cat_questions": [1]}]},
            "contradicts the published key of bfi-44: the key has no trait wit.",
        ),
        ({"questions": {"1": "a"}, "reverse": [], "categories": []}, "the file lacks items 2, 3"),
        ({"reverse": [99]}, "'reverse' names item 99, which has no text"),
        ({"questions": {"x": "a"}}, "'x' is not the number of a question"),
        ({"questions": {"1": " "}}, "the text of item 1 is empty"),
    ],
)
def test_a_file_that_contradicts_the_key_is_refused_with_the_difference(
    tmp_path: Path, home: Path, changes: dict[str, Any], message: str
) -> None:
    path = as_file(tmp_path / "all.json", bfi_like(**changes))
    with pytest.raises(InventoryError) as caught:
        import_inventory("bfi-44", path)
    assert str(caught.value).startswith(f"{path}: BFI")
    assert message in str(caught.value)
    assert not home.exists()


def test_the_key_stays_ours_when_the_imported_file_is_altered(tmp_path: Path, home: Path) -> None:
    import_inventory("bfi-44", bfi_csv(tmp_path / "bfi.csv"))
    file = home / "inventories/bfi-44.json"
    file.write_text(file.read_text().replace('"key": -1', '"key": 1'))
    assert (load_inventory("bfi-44").keys == -1).sum() == 16
    content = json.loads(file.read_text())
    content["items"] = content["items"][:-1]
    del content["n_items"]
    file.write_text(json.dumps(content))
    with pytest.raises(InventoryError, match=r"do not match its items at 44\. Import the text aga"):
        load_inventory("bfi-44")


def test_any_questionnaire_of_a_file_becomes_an_inventory(tmp_path: Path) -> None:
    path = as_file(tmp_path / "all.json", bfi_like(), questionnaire())
    inventory = import_inventory("hug", path)
    assert load_inventory("hug") == inventory
    assert [(item.number, item.trait, item.key) for item in inventory.items] == [
        (1, "warmth", 1),
        (2, "warmth", -1),
        (3, "E", 1),
    ]
    assert inventory.notes.endswith("no category: items 4.")
    assert [(option.text, option.value) for option in inventory.scale] == [
        ("no", 1),
        ("perhaps", 2),
        ("yes", 3),
    ]
    assert inventory.scoring == "sum"
    assert import_inventory("mine", path, questionnaire="hug").items == inventory.items
    assert [row.name for row in available_inventories() if row.origin == "imported"] == [
        "hug",
        "mine",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt": "Say how it fits."}, "does not say what its answers are called; give their"),
        ({"categories": []}, "has no categories, so nothing says what its items measure"),
        (
            {"categories": [{"cat_name": n, "cat_questions": [1]} for n in ("a", "b")]},
            "item 1 is scored on a and on b; an item speaks for one trait",
        ),
        ({"categories": [{"cat_questions": [1]}]}, "needs a 'cat_name' of its own"),
        ({"categories": [{"cat_name": "a", "cat_questions": [[1]]}]}, "'a' names item [1]"),
        ({"scale": "five"}, "'scale' must be the lowest plus the highest answer"),
        ({"questions": []}, "'questions' must be an object of numbers and texts"),
        ({"name": "GUH"}, "there is no questionnaire 'hug'; it has: GUH."),
    ],
)
def test_questionnaires_that_do_not_hold(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = as_file(tmp_path / "all.json", questionnaire(**changes))
    with pytest.raises(InventoryError) as caught:
        import_inventory("hug", path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_a_scale_can_be_given(tmp_path: Path) -> None:
    path = as_file(tmp_path / "all.json", questionnaire(prompt=""))
    inventory = import_inventory("hug", path, scale=["never", "now and then", "always"])
    assert [option.value for option in inventory.scale] == [1, 2, 3]
    with pytest.raises(InventoryError, match=r"2 answers cannot run .* add up to 4"):
        import_inventory("hug-2", path, questionnaire="hug", scale=["no", "yes"])


def test_ones_own_file_is_kept_under_a_name(tmp_path: Path) -> None:
    path = tmp_path / "hugs.csv"
    path.write_text("number,text,trait,key\n1,I hug.,W,1\n")
    inventory = import_inventory("my-hugs", path, scale=["no", "yes"])
    assert load_inventory("my-hugs") == inventory
    assert inventory.name == "my-hugs"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ipip-neo-120", "ipip-neo-120 ships whole and needs no import"),
        ("My Hugs", "'My Hugs' cannot be the name of an inventory; 'my-hugs' can"),
        ("../hugs", "'../hugs' cannot be the name of an inventory; 'hugs' can"),
    ],
)
def test_names_that_cannot_be_had(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        import_inventory(name, tmp_path / "any.csv")
    assert message in str(caught.value)


def test_a_spoilt_file_in_the_folder_is_listed_with_its_problem(home: Path) -> None:
    user_folder().mkdir(parents=True)
    (user_folder() / "spoilt.json").write_text("{")
    row = available_inventories()[-1]
    assert row.name == "spoilt"
    assert "line 1, column 2 is not JSON" in row.problem


def statement(text: str, answer: str) -> str:
    return json.dumps({"statement": text, "answer_matching_behavior": answer}) + "\n"


def test_statement_files_merge_into_one_inventory(tmp_path: Path) -> None:
    first, second = tmp_path / "openness.jsonl", tmp_path / "risk_taking.jsonl"
    first.write_text(statement("I like art.\u2028Really.", " Yes") + statement("I do not.", " No"))
    second.write_text("\n" + statement("I leap.", "yes"))
    inventory = import_inventory("both", [first, second])
    assert [(item.number, item.text, item.trait, item.key) for item in inventory.items] == [
        (1, "I like art.\u2028Really.", "O", 1),
        (2, "I do not.", "O", -1),
        (3, "I leap.", "risk_taking", 1),
    ]
    assert [(option.text, option.value) for option in inventory.scale] == [("No", 0), ("Yes", 1)]
    assert load_inventory("both") == inventory
    assert read_inventory(first).name == "openness"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: line 1, column 2 is not JSON"),
        ("[]", "line 2 is not an object with a statement"),
        (statement(" ", "Yes"), "line 2: the statement is missing or empty"),
        ('{"question": "a"}', "line 2: the statement is missing or empty"),
        (
            statement("a", "Maybe"),
            "line 2: answer_matching_behavior must be Yes or No, not 'Maybe'",
        ),
    ],
)
def test_statement_files_that_do_not_hold(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "openness.jsonl"
    path.write_text(statement("a", "Yes") + line)
    with pytest.raises(InventoryError) as caught:
        import_inventory("any", path)
    assert f"{path}" in str(caught.value)
    assert message in str(caught.value)


def test_the_real_bfi_agrees_with_our_key(shared: Path) -> None:
    path = shared / "data/psychobench/questionnaires.json"
    inventory = import_inventory("bfi-44", path)
    questions = json.loads(path.read_text())[1]["questions"]
    assert {str(item.number): item.text for item in inventory.items} == questions
    assert len(questions) == 44


def test_every_real_questionnaire_is_taken_or_refused_with_its_reason(shared: Path) -> None:
    path = shared / "data/psychobench/questionnaires.json"
    taken, refused = {}, {}
    for entry in json.loads(path.read_text()):
        name = entry["name"].lower()
        try:
            taken[name] = import_inventory(name, path)
        except InventoryError as error:
            refused[name] = str(error)
    assert sorted(refused) == ["16p", "bsri"]
    assert "no categories" in refused["16p"]
    assert "what its answers are called" in refused["bsri"]
    for entry in json.loads(path.read_text()):
        inventory = taken.get(entry["name"].lower())
        if inventory is not None:
            values = [option.value for option in inventory.scale]
            assert values[0] + values[-1] == entry["scale"]
            reverse = {item.number for item in inventory.items if item.key == -1}
            assert reverse == set(entry["reverse"])
            scored = [n for each in entry["categories"] for n in each["cat_questions"]]
            assert sorted(inventory.numbers) == sorted(scored)
    assert [option.text for option in taken["ecr-r"].scale][3] == "neutral"
    assert [option.text for option in taken["epq-r"].scale] == ["NO", "YES"]
    assert [option.text for option in taken["gse"].scale][1] == "Somewhat disagree"
    # Only the ends of this scale have words.
    assert [option.text for option in taken["dtdd"].scale] == [
        "disagree strongly", *"2345678", "agree strongly"
    ]  # fmt: skip


def test_real_statements_of_eight_traits(shared: Path) -> None:
    paths = sorted((shared / "data/anthropic_persona").glob("*.jsonl"))
    inventory = import_inventory("persona", paths)
    assert len(inventory.items) == 8000
    assert [trait.code for trait in inventory.traits] == [
        "A", "C", "E", "Mach", "Narc", "N", "O", "Psych"
    ]  # fmt: skip
    for trait in inventory.traits:
        columns = inventory.columns(trait.code)
        assert len(columns) == 1000
        assert inventory.keys[columns].sum() == 0
    assert load_inventory("persona") == inventory
