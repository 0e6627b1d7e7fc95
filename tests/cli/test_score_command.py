from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.planted_situations import situation_bank

from allport.inventories import load_inventory, write_inventory
from allport.personas import example_person, write_person

NEO = ("--inventory", "ipip-neo-120")


@pytest.fixture(scope="module")
def literal() -> np.ndarray[Any, Any]:
    """Literal answers of 60 people with traits of their own, shape (people, items)."""
    inventory = load_inventory("ipip-neo-120")
    rng = np.random.default_rng(1)
    traits = {trait.code: rng.normal(size=60) for trait in inventory.traits}
    columns = [
        item.key * traits[item.trait] + rng.normal(scale=0.8, size=60) for item in inventory.items
    ]
    return np.clip(np.round(3 + 0.9 * np.stack(columns, axis=1)), 1, 5)


def people(path: str, values: np.ndarray[Any, Any], **columns: Any) -> Path:
    frame = pl.DataFrame({**columns, **{f"i{n + 1}": values[:, n] for n in range(values.shape[1])}})
    frame.write_csv(path)
    return Path(path)


def test_a_person_file_is_a_profile_that_says_it_is_simulated(allport: Any) -> None:
    write_person(example_person(), "me.json")
    said = allport("score", "me.json")
    assert said.code == 0
    assert "Example person (simulated)" in said.out
    assert "Percentile" in said.out
    assert "Anxiety" in allport("score", "me.json", "--facets").out
    content = allport("score", "me.json", "--json").json
    assert content["simulated"] is True
    assert len(content["scores"]) == 35


def test_many_people_are_means_and_reliabilities(allport: Any, literal: Any) -> None:
    people("p.csv", literal)
    said = allport("score", "p.csv", *NEO, "--stored", "literal", "--json").json
    assert said["people"] == 60
    text = allport("score", "p.csv", *NEO, "--stored", "literal").out
    for row in said["reliability"]:
        if row["kind"] == "trait":
            line = next(line for line in text.splitlines() if row["name"] in line)
            assert f"{row['alpha']:.2f}" in line
            assert f"{row['mean']:.1f}" in line
    assert "Anxiety" in allport("score", "p.csv", *NEO, "--stored", "literal", "--facets").out


def test_a_few_people_are_profiles_with_their_own_norms(allport: Any, literal: Any) -> None:
    people("p.csv", literal[:2], id=["ann", "bob"], sex=["female", "male"], age=[30, 70])
    text = allport("score", "p.csv", *NEO, "--stored", "literal").out
    assert "women aged 21 to 40" in text
    assert "men over 60" in text


def test_options_of_situations_are_scored_and_sides_refused(allport: Any, sentence: Any) -> None:
    bank = situation_bank({"A": 4, "E": 2})
    write_inventory(bank, "cases.json")
    words = ("--inventory", "cases.json", "--stored", "literal")
    people("p.csv", np.array([[1, 2, 3, 4, 1, 3], [2, 2, 1, 2, 4, 4]]), id=["ann", "bob"])
    said = allport("score", "p.csv", *words, "--json").json
    assert [row["raw"] for row in said["scores"]] == [2, 1, 4, 0]
    # The interval ends where the values of the options do.
    assert "0.00 to 1.00" in allport("score", "p.csv", *words).out
    people("sides.csv", np.array([[1, 1, 0, 0, 1, 0]]))
    refused = allport("score", "sides.csv", *words)
    sentence(refused, 1)
    assert "0 is no option of item 3" in refused.err


def test_keyed_and_literal_files_give_the_same_scores(allport: Any, literal: Any) -> None:
    people("literal.csv", literal)
    people("keyed.csv", load_inventory("ipip-neo-120").keyed(literal))
    one, other = (
        allport("score", f"{stored}.csv", *NEO, "--stored", stored, "--json").json
        for stored in ("literal", "keyed")
    )
    assert one["scores"] == other["scores"]


def test_a_file_that_contradicts_its_declaration_is_refused(
    allport: Any, literal: Any, sentence: Any
) -> None:
    people("p.csv", literal)
    said = allport("score", "p.csv", *NEO, "--stored", "keyed")
    sentence(said, 1)
    assert any(character.isdigit() for character in said.err)


@pytest.mark.parametrize("ending", ["csv", "parquet", "json"])
def test_every_score_can_be_written(allport: Any, literal: Any, ending: str) -> None:
    people("p.csv", literal)
    said = allport("score", "p.csv", *NEO, "--stored", "literal", "--out", f"s.{ending}")
    assert f"Scores: s.{ending}" in said.out
    read = {"csv": pl.read_csv, "parquet": pl.read_parquet, "json": pl.read_json}[ending]
    assert read(f"s.{ending}").height == 60 * 35


def test_norms_for_everybody(allport: Any, literal: Any) -> None:
    people("p.csv", literal[:1])
    words = ("score", "p.csv", *NEO, "--stored", "literal")
    assert "Percentile" not in allport(*words).out
    assert "women aged 41 to 60" in allport(*words, "--sex", "female", "--age", 50).out
    assert "men under 21" in allport(*words, "--norms", "men-under-21").out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("p.csv",), 2, "--inventory"),
        (("p.csv", *NEO), 2, "--stored"),
        (("p.csv", *NEO, "--stored", "backwards"), 2, "backwards"),
        (("p.csv", "--inventory", "x", "--stored", "literal"), 2, "'x'"),
        (("no.csv", *NEO, "--stored", "literal"), 1, "no.csv"),
        (("broken.csv", *NEO, "--stored", "literal"), 1, "broken.csv"),
        (("off.csv", *NEO, "--stored", "literal"), 1, "off.csv"),
        (("no.json",), 1, "no.json"),
        (("no.json", "--stored", "literal"), 2, "--stored is for tables"),
        (("no.json", "--id-column", "who"), 2, "--id-column is for tables"),
        (("broken.json",), 1, "broken.json"),
        (("p.csv", *NEO, "--stored", "literal", "--norms", "martians"), 2, "martians"),
        (("p.csv", *NEO, "--stored", "literal", "--out", "s.xls"), 2, "s.xls"),
        (("p.csv", *NEO, "--stored", "literal", "--out", "p.csv/s.csv"), 1, "p.csv/s.csv"),
        (("p.csv", *NEO, "--stored", "literal", "--id-column", "who"), 1, "who"),
    ],
)
def test_wrong_input_is_one_sentence(
    allport: Any, literal: Any, sentence: Any, words: tuple[str, ...], code: int, said: str
) -> None:
    people("p.csv", literal[:3])
    off = literal[:3].copy()
    off[0, 0] = 9
    people("off.csv", off)
    Path("broken.csv").write_text('i1,i2\n1,"2\n3')
    Path("broken.json").write_text(json.dumps({"format": "something else"}))
    answer = allport("score", *words)
    sentence(answer, code)
    assert said in answer.err
