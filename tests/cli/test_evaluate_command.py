from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from allport.corpora import PeopleCorpus, simulate_people, write_people
from allport.inventories import load_inventory
from allport.models.respondent import Question
from allport.models.scripted import ScriptedRespondent

PERSON = ("evaluate", "person", "any")
QUICK = ("--test-items", "20", "--side-effects", "0")


@pytest.fixture
def neutral(model: Callable[[ScriptedRespondent], None]) -> ScriptedRespondent:
    """Every model is one that answers neutrally."""
    respondent = ScriptedRespondent(lambda question: 2, "neutral")
    model(respondent)
    return respondent


def corpus(people: int = 40) -> PeopleCorpus:
    return simulate_people(people, load_inventory("ipip-neo-300"), seed=3).corpus


def test_a_model_stands_among_the_baselines(allport: Any, neutral: ScriptedRespondent) -> None:
    said = allport(*PERSON, "--simulate", "40", *QUICK, "--out", "run")
    assert (said.code, said.err) == (0, "")
    lines = [line.split("  ")[0].strip() for line in said.out.splitlines()]
    assert lines.index("ridge 120 to 20") < lines.index("unaligned") < lines.index("constant A")
    assert "40 people (simulated)" in said.out
    content = allport(*PERSON, "--simulate", "40", *QUICK, "--out", "run", "--json").json
    assert [s["name"] for s in content["systems"]][:2] == ["unaligned", "few-shot"]
    assert Path("run", "report.md").exists()
    assert Path("run", "scores.json").exists()


def test_the_same_command_goes_on_and_asks_nothing_twice(
    allport: Any, neutral: ScriptedRespondent
) -> None:
    words = (*PERSON, "--simulate", "5", *QUICK, "--out", "run")
    assert allport(*words).code == 0
    asked = neutral.asked.total()
    assert asked == 2 * 20 + 2 * 5 * 20
    assert allport(*words).code == 0
    assert neutral.asked.total() == asked


def test_people_come_from_files_with_their_keying_checked(
    allport: Any, neutral: ScriptedRespondent, sentence: Any
) -> None:
    people = corpus()
    write_people(people, "literal.csv", stored="literal")
    said = allport(*PERSON, "--people", "literal.csv", "--stored", "literal", *QUICK)
    assert said.code == 0
    # The other way round it is refused, with the figure.
    wrong = allport(*PERSON, "--people", "literal.csv", "--stored", "keyed", *QUICK)
    sentence(wrong, 1)
    assert "opposite keys" in wrong.err
    write_people(people, "keyed.csv", stored="keyed")
    pl.read_csv("keyed.csv").rename({"id": "case"}).write_csv("papi.csv")
    assert allport(*PERSON, "--people", "papi.csv", *QUICK).code == 0


def test_people_too_few_to_check_the_keying_are_named_on_screen_and_in_the_report(
    allport: Any, neutral: ScriptedRespondent
) -> None:
    write_people(corpus(3), "people.csv", stored="literal")
    pl.read_csv("people.csv").rename({"id": "case"}).write_csv("papi.csv")
    words = (*PERSON, "--people", "papi.csv", *QUICK, "--out", "run")
    said = "papi.csv is taken as keyed, which could not be checked"
    assert f"! {said}" in allport(*words).out
    page = Path("run", "report.md").read_text(encoding="utf-8")
    assert f"**Not checked:** {said}" in page
    [note] = allport(*words, "--json").json["notes"]
    assert said in note
    assert "(--stored literal)" in note
    assert allport(*PERSON, "--simulate", "3", *QUICK, "--json").json["notes"] == []


def test_judges_of_one_name_are_refused_before_anything_is_asked(
    allport: Any, neutral: ScriptedRespondent, sentence: Any
) -> None:
    said = allport(*PERSON, "--simulate", "3", *QUICK, "--judge", "x", "--judge", "x")
    sentence(said, 2)
    assert "Two judges are called 'neutral'" in said.err
    assert not neutral.asked


def test_people_who_cannot_take_part_are_named(allport: Any, neutral: ScriptedRespondent) -> None:
    frame_of = corpus()
    codes = np.array(frame_of.literal_codes)
    codes[0] = 3
    codes[1] = 0
    changed = PeopleCorpus("some", frame_of.inventory, frame_of.about, codes)
    write_people(changed, "people.csv", stored="literal")
    said = allport(*PERSON, "--people", "people.csv", "--stored", "literal", *QUICK)
    assert said.code == 0
    assert "2 people were left out" in said.out
    assert "the same answer to every item" in said.out


def test_few_people_and_short_prompts(allport: Any, neutral: ScriptedRespondent) -> None:
    words = ("--simulate", "40", "--limit-people", "3", "--shots", "10", "--orders", "reversed")
    content = allport(*PERSON, *words, *QUICK, "--json").json
    assert content["people"]["people"] == 3
    assert content["systems"][1]["name"] == "few-shot of 10"
    prompts = {q.messages[0].content for q in neutral.asked if len(q.messages) == 2}
    assert {prompt.count("\n") for prompt in prompts} == {10}
    # Baselines still know all forty.
    assert "ridge 120 to 20" in [s["name"] for s in content["systems"]]


def test_what_is_said_of_people_can_be_chosen(allport: Any, neutral: ScriptedRespondent) -> None:
    words = (*PERSON, "--simulate", "3", *QUICK, "--prompts")
    content = allport(*words, "few-shot,description,adjectives", "--json").json
    named = [s["name"] for s in content["systems"]]
    assert named[:4] == ["unaligned", "few-shot", "description", "adjectives"]
    content = allport(*words, "none", "--json").json
    assert not {"few-shot", "none"} & {s["name"] for s in content["systems"]}


def test_saved_alignments_stand_beside_each_other(
    allport: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from allport.alignment import fit, save_alignment
    from allport.cli.model_options import ModelOptions
    from allport.evaluation import benchmark_people
    from allport.models import TransformersModel, load_model

    loaded = load_model("embedded")
    assert isinstance(loaded, TransformersModel)
    monkeypatch.setattr(ModelOptions, "load", lambda options, name: loaded)
    people = benchmark_people(simulate_people(2, load_inventory("ipip-neo-300"), seed=0).corpus)
    for method in ("caa", "iti"):
        person = people.person(people.ids[0])
        save_alignment(fit(loaded, person, method, strength=1.0), Path(method, person.name))
    words = (*PERSON, "--simulate", "2", "--test-items", "5", "--orders", "reversed")
    chosen = ("--prompts", "none", "--side-effects", "1", "--limit-people", "1")
    both = ("--alignments", "caa", "--alignments", "iti")
    content = allport(*words, *chosen, *both, "--json").json
    cells = {each["name"]: each for each in content["systems"] if each["kind"] == "cell"}
    assert list(cells) == [
        "unaligned",
        "caa",
        "caa, sign-flipped",
        "caa, random direction",
        "iti",
        "iti, sign-flipped",
        "iti, random direction",
    ]
    for method in ("caa", "iti"):
        assert cells[method]["fit_seconds"] > 0
        assert cells[method]["seconds"] > 0
        assert cells[method]["side_effects"]["perplexity ratio"]["value"] != 1


def test_open_answers_are_judged_where_judges_are_named(
    allport: Any, model: Callable[[ScriptedRespondent], None]
) -> None:
    from allport.models import Response

    def script(question: Question) -> Any:
        if question.reading == "generation":
            said = "I would wait and see."
            return Response(question.item, question.condition, None, None, float("nan"), text=said)
        return [1 / len(question.options)] * len(question.options)

    model(ScriptedRespondent(script, "both"))
    words = (*PERSON, "--simulate", "4", *QUICK, "--judge", "x", "--open-people", "2")
    content = allport(*words, "--out", "run", "--json").json
    assert content["open_ended"]["fit"]["few-shot"]["value"] == pytest.approx(3.5)
    assert content["open_ended"]["fit_agreement"]["reason"]
    assert len(Path("run", "open_answers.jsonl").read_text().splitlines()) == 2 * 2 * 30
    assert "## Open answers, judged" in Path("run", "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "--people FILE, or --simulate"),
        (("--simulate", "3", "--people", "x.csv"), 2, "--people FILE, or --simulate"),
        (("--simulate", "0"), 2, "give 1 or more"),
        (("--people", "nowhere.csv"), 1, "nowhere.csv"),
        (("--simulate", "5", "--test-items", "500"), 2, "there are 180"),
        (("--simulate", "5", "--test-items", "4"), 2, "give 5, one a trait, or more"),
        (("--simulate", "5", "--limit-people", "0"), 2, "asks for nobody"),
        (("--simulate", "5", "--shots", "0"), 2, "give 1 or more"),
        (("--simulate", "5", "--shots", "5", "--prompts", "adjectives"), 2, "leaves out"),
        (("--simulate", "5", "--prompts", "rhymes"), 2, "There is no prompt 'rhymes'"),
        (("--simulate", "5", "--engine", "ray"), 2, "a cluster cannot take it over"),
        (("--simulate", "5", "--alignments", "here"), 2, "cannot be steered from here"),
        (("--simulate", "5", "--templates", "rhymes"), 2, "Unknown template 'rhymes'"),
        (("--simulate", "5", "--orders", "sideways"), 2, "no option order"),
    ],
)
def test_mistakes_are_said_in_a_sentence(
    allport: Any,
    neutral: ScriptedRespondent,
    sentence: Any,
    words: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    found = allport(*PERSON, *words)
    sentence(found, code)
    assert said in found.err


def test_inventories_are_judged_side_by_side(allport: Any, neutral: ScriptedRespondent) -> None:
    words = ("evaluate", "items", "any", "--inventory", "mini-ipip-20,big-five-markers-50")
    said = allport(*words, "--out", "judged")
    assert (said.code, said.err) == (0, "")
    assert "order sensitivity" in said.out
    content = allport(*words, "--out", "judged", "--json").json
    assert [each["inventory"] for each in content["inventories"]] == [
        "mini-ipip-20",
        "big-five-markers-50",
    ]
    first = content["inventories"][0]
    assert first["columns"]["order sensitivity"]["value"] == 0
    assert first["columns"]["score difference"]["value"] == 0
    variances = first["reliability"]["E"]["components"]["variances"]
    assert set(variances) >= {"item", "item x order"}
    assert Path("judged", "items.json").is_file()
    # 12 plain conditions, 10 personas x 2 orders, one generated; the second command asks nothing.
    assert sum(neutral.asked.values()) == (20 + 50) * (12 + 20 + 1)


def test_no_inventory_is_one_sentence(allport: Any, sentence: Any) -> None:
    sentence(allport("evaluate", "items", "any", "--inventory", ","), 2)
    sentence(allport("evaluate", "items", "any", "--inventory", "no-such"), 2)
