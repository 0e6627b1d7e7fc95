"""`allport align`, and measuring with what it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.models.conftest import tiny_model, tokenizer

from allport.alignment import fit, load_alignment, open_population
from allport.cli.align import _said
from allport.cli.model_options import ModelOptions
from allport.corpora import simulate_people, write_people
from allport.inventories import load_inventory
from allport.models.transformers_model import TransformersModel
from allport.personas import Person, read_person, write_person

__all__ = ["tiny_model", "tokenizer"]

SHORT = load_inventory("ipip-neo-120")


@pytest.fixture
def local(tiny_model: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> TransformersModel:
    """A tiny model that every name stands for."""
    model = TransformersModel(tiny_model("llama"), tokenizer, "tiny")
    monkeypatch.setattr(ModelOptions, "load", lambda options, name: model)
    return model


@pytest.fixture
def ann(tmp_path: Path) -> Path:
    """Somebody's answers to the first forty items."""
    answers = {number: float(1 + number % 5) for number in SHORT.numbers[:40]}
    return write_person(Person("ann", SHORT, answers), tmp_path / "ann.json")


def test_a_person_becomes_a_folder_to_measure_with(
    allport: Any, local: TransformersModel, ann: Path
) -> None:
    said = allport("align", "tiny", "--to", ann, "--strength", 2, "--heads", 3)
    assert said.code == 0, said.err
    assert "tiny in the place of ann, by pas." in said.out
    assert "Strength 2 on all tokens" in said.out
    assert "allport measure tiny --alignment alignments/tiny-ann-pas" in said.out
    folder = Path("alignments/tiny-ann-pas")
    alignment = load_alignment(folder)
    assert (alignment.name, alignment.strength, len(alignment.fit["heads"])) == ("ann", 2.0, 3)
    asked = ("measure", "tiny", "--inventory", "mini-ipip-20", "--limit", 2, "--json")
    plain, steered, nothing, opposite = (
        allport(*asked, "--out", f"run-{n}", *more)
        for n, more in enumerate(
            (
                (),
                ("--alignment", folder),
                ("--alignment", folder, "--scale", 0),
                ("--alignment", folder, "--scale", -1),
            )
        )
    )
    scores = [each.json["subjects"][0] for each in (plain, steered, nothing, opposite)]
    refused = allport(*asked, "--alignment", folder, "--scale", 0.5, "--out", "run-1")
    assert "respondent.steering.strengths was [2.0] and is now [1.0]" in refused.err
    assert "tiny as ann" in json.dumps(scores[1])
    values = [json.dumps([t["score"] for t in s["traits"]]) for s in scores]
    assert values[0] == values[2]
    assert len(set(values)) == 3


def test_a_person_becomes_coefficients_by_trait(
    allport: Any, local: TransformersModel, ann: Path
) -> None:
    said = allport(
        "align", "tiny", "--to", ann, "--method", "pas-traits", "--directions", 5, "--strength", 2
    )
    assert said.code == 0, said.err
    assert "tiny in the place of ann, by pas-traits." in said.out
    assert "Farthest from the model by itself, in SDs between people: " in said.out
    alignment = load_alignment("alignments/tiny-ann-pas-traits")
    assert (alignment.strength, list(alignment.fit["coefficients"])) == (2.0, list("NEOAC"))
    facets = allport(
        "align", "tiny", "--to", ann, "--method", "pas-traits", "--seed", 1, "--json", "--replace"
    ).json
    assert len(facets["fit"]["coefficients"]) == 30
    assert facets["fit"]["seed"] == 1


@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_fine_tuning_becomes_a_folder_to_measure_with(
    method: str, allport: Any, local: TransformersModel, ann: Path
) -> None:
    said = allport("align", "tiny", "--to", ann, "--method", method, "--epochs", 0.25)
    assert said.code == 0, said.err
    assert f"tiny in the place of ann, by {method}." in said.out
    assert "Strength 1 of an adapter of rank 8" in said.out
    steps = {"sft": 3, "dpo": 10}[method]
    assert f"40 answers in 80 questions, {steps} steps, loss from" in said.out
    folder = Path(f"alignments/tiny-ann-{method}")
    assert (folder / "adapter_model.safetensors").is_file()
    asked = ("measure", "tiny", "--inventory", "mini-ipip-20", "--limit", 2, "--json")
    scores = [
        json.dumps(allport(*asked, "--out", f"run-{n}", *more).json["subjects"][0]["traits"])
        for n, more in enumerate(
            ((), ("--alignment", folder), ("--alignment", folder, "--scale", 0))
        )
    ]
    assert scores[0] == scores[2] != scores[1]


def test_lists_may_have_spaces(allport: Any, local: TransformersModel, ann: Path) -> None:
    lists = ("--templates", "letters, digits", "--contrasts", "levels, options")
    said = allport("align", "tiny", "--to", ann, "--strength", 2, "--heads", 3, *lists)
    assert said.code == 0, said.err
    fitted = load_alignment(Path("alignments/tiny-ann-pas")).fit
    assert list(fitted["templates"]) == ["letters", "digits"]
    assert {contrast.split()[0] for contrast in fitted["contrasts"]} == {"levels", "options"}


def test_alignments_are_added_up(allport: Any, local: TransformersModel, ann: Path) -> None:
    allport("align", "tiny", "--to", ann, "--strength", 2, "--out", "steering")
    said = allport(
        "align",
        "tiny",
        "--to",
        "E=high",
        "--method",
        "prompt",
        "--prompt",
        "adjectives",
        "--out",
        "words",
    )
    assert said.code == 0, said.err
    assert "words of system text" in said.out
    run = allport(
        "measure",
        "tiny",
        "--inventory",
        "mini-ipip-20",
        "--limit",
        2,
        "--json",
        "--alignment",
        "steering",
        "--alignment",
        "words",
    )
    assert "tiny as ann + E=high" in run.out


def test_json(allport: Any, local: TransformersModel, ann: Path) -> None:
    said = allport("align", "tiny", "--to", ann, "--method", "caa", "--json", "--out", "a")
    assert said.json["folder"] == "a"
    assert said.json["method"] == "caa"
    assert said.json["parts"][0]["site"] == "residual"
    assert len(said.json["content_hash"]) == 64


WORDS = ("align", "tiny", "--method", "prompt", "--prompt", "adjectives")


def test_trait_levels_come_with_what_they_do_to_every_trait(
    allport: Any, local: TransformersModel, ann: Path
) -> None:
    said = allport(*WORDS, "--to", "A=low,E=high", "--out", "words")
    assert said.code == 0, said.err
    rows = [line for line in said.out.splitlines() if " to " in line or "–" in line]
    shown = [line.split()[0] for line in rows[:5]]
    assert shown == [
        "Extraversion",
        "Agreeableness",
        "Neuroticism",
        "Openness",
        "Conscientiousness",
    ]
    assert [line.rstrip().endswith("asked for") for line in rows[:5]] == [True] * 2 + [False] * 3
    assert "On 180 items of ipip-neo-300 that were not fitted on." in said.out
    kept = json.loads(Path("words/spill_over.json").read_text())
    assert kept["asked_for"] == {"A": -0.5, "E": 0.5}
    assert [row["code"] for row in kept["traits"]] == ["E", "A", "N", "O", "C"]
    assert kept["alignment"] == load_alignment("words").content_hash
    assert {"value", "low", "high"} <= set(kept["traits"][0]["difference"])
    again = allport(*WORDS, "--to", "A=low,E=high", "--out", "words", "--json", "--replace")
    assert again.json["spill_over"] == kept
    # Figures of another alignment are not left in the folder.
    without = allport(*WORDS, "--to", "E=low", "--out", "words", "--no-spill-over", "--replace")
    assert "asked for" not in without.out
    assert not Path("words/spill_over.json").exists()
    person = allport("align", "tiny", "--to", ann, "--method", "prompt", "--json", "--out", "ann")
    assert "spill_over" not in person.json
    assert not Path("ann/spill_over.json").exists()


def test_measuring_on_what_was_fitted_on_is_said(
    allport: Any, local: TransformersModel, ann: Path
) -> None:
    said = allport("align", "tiny", "--to", ann, "--strength", 2, "--heads", 3, "--out", "ann")
    # Ann answered forty items of the short form, of which the markers have some.
    assert "--alignment ann --inventory big-five-markers-50` (42 of its 50 items" in said.out
    asked = ("measure", "tiny", "--orders", "forward", "--templates", "words", "--json")
    steered = (*asked, "--alignment", "ann", "--inventory")
    fitted = "items asked are items that the alignment was fitted on"
    cautions = allport(*steered, "ipip-neo-120", "--out", "run").json["cautions"]
    assert any(caution.startswith(f"40 of 120 {fitted}") for caution in cautions)
    recorded = json.loads(Path("run/run.json").read_text())["respondent"]["steering"]
    assert recorded["fitted_on"] == [{"inventory": SHORT.name, "items": list(SHORT.numbers[:40])}]
    # So it is where the same is said elsewhere, and where alignments are added up.
    more = (*steered, "big-five-markers-50", "--alignment", "ann")
    for words in (more, more[:-2]):
        cautions = allport(*words).json["cautions"]
        assert any(caution.startswith(f"8 of 50 {fitted}") for caution in cautions)
    plain = allport(*asked, "--inventory", "ipip-neo-120").json["cautions"]
    assert not any("fitted on" in caution for caution in plain)


def test_nothing_is_added_where_nothing_helps(
    allport: Any, local: TransformersModel, ann: Path
) -> None:
    alignment = fit(local, read_person(ann), "pas", strengths=(0.0, 0.0))
    assert "so nothing is added" in _said(alignment)[-1]
    # A strength that was given is not one that was searched for.
    for method in ("pas", "iti"):
        said = allport("align", "tiny", "--to", ann, "--strength", 0, "--method", method)
        assert "At strength 0 nothing is added" in said.out
        assert "No strength" not in said.out


def test_few_people_are_aligned_to_with_a_notice(
    allport: Any, local: TransformersModel, ann: Path
) -> None:
    few = simulate_people(3, load_inventory("ipip-neo-300"), seed=3).corpus
    write_people(few, "people.csv", stored="literal")
    pl.read_csv("people.csv").rename({"id": "case"}).write_csv("papi.csv")
    words = ("align", "tiny", "--people", "papi.csv", "--strength", 1, "--heads", 1)
    said = allport(*words, "--out", "store")
    assert "! papi.csv is taken as keyed, which could not be checked: 3 rows" in said.out
    # Of a file that is none of PAPI the inventory goes without saying, and the keying does not.
    declared = ("--stored", "literal")
    notes = allport(*words, *declared, "--out", "other", "--json").json["notes"]
    assert len(notes) == 1
    assert "papi.csv is taken as literal" in notes[0]
    assert notes[0].endswith("if its answers are keyed, say so (--stored keyed).")


def test_a_file_that_is_none_of_papi_says_what_is_missing(
    allport: Any, local: TransformersModel, sentence: Any
) -> None:
    few = simulate_people(3, load_inventory("ipip-neo-300"), seed=3).corpus
    write_people(few, "people.csv", stored="literal")
    for words in (("align", "tiny"), ("evaluate", "person", "tiny")):
        said = allport(*words, "--people", "people.csv")
        sentence(said, 1)
        assert "people.csv has no column 'case' and is no file of PAPI" in said.err
        assert "(--stored)" in said.err


def test_an_alignment_is_not_written_over_unless_it_may_be(
    allport: Any, local: TransformersModel, ann: Path, sentence: Any
) -> None:
    bob = write_person(Person("bob", SHORT, read_person(ann).literal_answers), "bob.json")
    words = ("align", "tiny", "--strength", 1, "--heads", 1, "--out", "one", "--to")
    assert allport(*words, ann).code == 0
    for again in (ann, bob):
        said = allport(*words, again)
        sentence(said, 2)
        assert "one holds an alignment already; name another folder" in said.err
    assert load_alignment("one").name == "ann"
    assert allport(*words, bob, "--replace").code == 0
    assert load_alignment("one").name == "bob"
    few = simulate_people(3, load_inventory("ipip-neo-300"), seed=3).corpus
    write_people(few, "people.csv", stored="literal")
    many = ("align", "tiny", "--people", "people.csv", "--stored", "literal", "--strength", 1)
    assert allport(*many, "--out", "many").code == 0
    sentence(allport(*many, "--out", "many"), 2)
    assert allport(*many, "--out", "many", "--replace").code == 0


def test_a_name_that_is_not_the_folders_own_is_refused(
    allport: Any, local: TransformersModel, ann: Path, sentence: Any
) -> None:
    allport("align", "tiny", "--to", ann, "--strength", 1, "--heads", 1, "--out", "al1")
    for words in (("measure", "tiny", "--inventory", "mini-ipip-20"), ("export", "tiny", "x")):
        said = allport(*words, "--alignment", "al1", "--as", "bob")
        sentence(said, 2)
        assert "--as bob names nobody here: the alignment is to ann alone" in said.err
    measured = ("measure", "tiny", "--inventory", "mini-ipip-20", "--limit", 1)
    assert allport(*measured, "--alignment", "al1", "--as", "ann").code == 0


def test_many_people_become_one_folder(
    allport: Any, local: TransformersModel, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    rows = [",".join(["id", *(f"i{n}" for n in SHORT.numbers)])]
    for name in ("a1", "a2", "a3"):
        rows.append(",".join([name, *map(str, rng.integers(1, 6, len(SHORT.numbers)))]))
    rows.append(",".join(["a4", *["3"] * len(SHORT.numbers)]))
    file = tmp_path / "people.csv"
    file.write_text("\n".join(rows) + "\n")
    said = allport(
        "align",
        "tiny",
        "--people",
        file,
        "--inventory",
        "ipip-neo-120",
        "--stored",
        "literal",
        "--strength",
        1,
        "--out",
        "store",
    )
    assert said.code == 0, said.err
    assert "tiny in the place of 3 people" in said.out
    assert "Excluded: 1 with the same answer to every item." in said.out
    assert len(open_population("store")) == 4
    run = allport(
        "measure",
        "tiny",
        "--inventory",
        "mini-ipip-20",
        "--limit",
        2,
        "--json",
        "--alignment",
        "store",
        "--as",
        "a2",
    )
    assert "tiny as a2" in run.out
    asked = ("measure", "tiny", "--inventory", "mini-ipip-20", "--alignment", "store")
    excluded = allport(*asked, "--as", "a4")
    assert "Person a4 of store was excluded" in excluded.err
    nobody = allport(*asked)
    assert nobody.code == 2
    assert "store holds many people; say whose with --as ID." in nobody.err


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        ((), 2, "Say whom to align to"),
        (("--to", "E=high", "--people", "x.csv"), 2, "Say whom to align to"),
        (("--to", "nowhere.json"), 1, "There is no person file nowhere.json"),
        (("--to", "E=sky"), 2, "Level 'sky'"),
        (("--to", "E=high", "--method", "magic"), 2, "magic"),
        (("--to", "E=high", "--method", "prompt", "--heads", "3"), 2, "--heads does not go with"),
        (("--to", "E=high", "--method", "caa", "--heads", "3"), 2, "--heads does not go with"),
        (("--to", "E=high", "--contrasts", "levels,moods"), 2, "Unknown contrast 'moods'"),
        (("--to", "E=high", "--method", "sft", "--contrasts", "levels"), 2, "--contrasts does"),
        (("--to", "E=high", "--method", "pas-traits", "--directions", "7"), 2, "7"),
        (("--to", "E=high", "--directions", "5"), 2, "--directions does not go with --method pas"),
        (("--to", "E=high", "--writer", "x"), 2, "--writer does not go with --method pas"),
        (("--to", "E=high", "--method", "prompt", "--writer", "x"), 2, "--writer writes a"),
        (("--to", "E=high", "--heads", "0"), 2, "0 heads were asked for"),
        (("--to", "E=high", "--stored", "keyed"), 2, "--stored is for --people"),
        (("--people", "nobody.csv"), 1, "There is no file nobody.csv"),
        (("--people", "x.csv", "--inventory", "bfi-44"), 2, "--inventory needs --stored: literal"),
        (("--people", "x.csv", "--method", "iti"), 2, "Many people are aligned to by --method pas"),
        (("--people", "x.csv", "--method", "dpo"), 2, "Many people are aligned to by --method pas"),
        (("--to", "E=high", "--method", "sft", "--heads", "3"), 2, "--heads does not go with"),
        (("--to", "E=high", "--learning-rate", "1"), 2, "--learning-rate does not go with"),
        (("--to", "E=high", "--templates", "rhyme"), 2, "Unknown template 'rhyme'"),
    ],
)
def test_mistakes_are_sentences(
    words: tuple[str, ...],
    code: int,
    why: str,
    allport: Any,
    local: TransformersModel,
    sentence: Any,
) -> None:
    said = allport("align", "tiny", *words)
    sentence(said, code)
    assert why in said.err


def test_a_model_elsewhere_is_refused(allport: Any, model: Any, sentence: Any) -> None:
    said = allport("align", "by-rule", "--to", "E=high")
    sentence(said, 1)
    assert "is not on this machine, so it cannot be steered" in said.err


def test_an_alignment_for_another_model_is_refused(
    allport: Any,
    local: TransformersModel,
    ann: Path,
    tiny_model: Any,
    tokenizer: Any,
    sentence: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    allport("align", "tiny", "--to", ann, "--strength", 1, "--out", "a")
    other = TransformersModel(tiny_model("qwen2"), tokenizer, "other")
    monkeypatch.setattr(ModelOptions, "load", lambda options, name: other)
    said = allport("measure", "other", "--inventory", "mini-ipip-20", "--alignment", "a")
    sentence(said, 1)
    assert "made for tiny with weights" in said.err
    missing = allport("measure", "other", "--inventory", "mini-ipip-20", "--alignment", "nowhere")
    sentence(missing, 1)
    assert "There is no folder nowhere; `allport align` writes one." in missing.err
    alone = allport("measure", "other", "--inventory", "mini-ipip-20", "--as", "ann")
    sentence(alone, 2)


def test_an_alignment_is_written_for_other_programs(
    allport: Any, local: TransformersModel, ann: Path
) -> None:
    some = ("--strength", 2, "--heads", 3, "--tokens", "answer")
    allport("align", "tiny", "--to", ann, *some, "--out", "ann")
    said = allport("export", "tiny", "whole", "--alignment", "ann")
    assert said.code == 0, said.err
    assert "tiny as ann: a checkpoint of LlamaForCausalLM." in said.out
    assert "It was fitted to displace from the answer on" in said.out
    assert "Written: whole" in said.out
    found = allport(
        "export", "tiny", "ann.gguf", "--alignment", "ann", "--format", "gguf", "--json"
    )
    assert found.json["path"] == "ann.gguf"
    assert found.json["effect"][0] > 0
    assert Path("ann.gguf").is_file()
    allport("align", "tiny", "--to", ann, "--strength", 0, "--heads", 3, "--out", "none")
    said = allport("export", "tiny", "still", "--alignment", "none")
    assert "moves the model's answers by 0.0000 (no interval: " in said.out
    assert "nan" not in said.out
    found = allport("export", "tiny", "again", "--alignment", "none", "--json")
    assert found.json["effect"][:3] == [0, None, None]
    for words, why in (
        (("export", "tiny", "x"), "Say what to export"),
        (("export", "tiny", "x", "--alignment", "nowhere"), "There is no folder nowhere;"),
        (
            ("export", "tiny", "x", "--alignment", "ann", "--format", "value-bias"),
            "heads that share their values",
        ),
    ):
        refused = allport(*words)
        assert refused.code in (1, 2)
        assert why in " ".join(refused.err.split())
        assert not Path("x").exists()
