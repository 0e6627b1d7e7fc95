from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from allport.corpora import PeopleCorpus, simulate_people, write_people
from allport.errors import ModelError
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
    assert lines.index("ridge 120 to 20") < lines.index("unaligned*") < lines.index("constant A")
    assert "What has a * is asked, the rest needs no model." in said.out
    assert "Bold" not in said.out
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


@pytest.mark.parametrize(
    ("model", "judges", "loads"),
    [
        (
            "./m",
            ("openai:x",),
            [("x", {"samples": 4}), ("./m", {"batch_size": 8, "temperature": 0.5})],
        ),
        (
            "openai:m",
            ("./x", "openai:y"),
            [
                ("./x", {"batch_size": 8}),
                ("y", {"samples": 4}),
                ("m", {"samples": 4, "temperature": 0.5}),
            ],
        ),
    ],
)
def test_judges_take_the_options_of_their_kind(
    allport: Any, loaded: list[Any], model: str, judges: tuple[str, ...], loads: list[Any]
) -> None:
    # Nothing is asked, as the folder is none.
    Path("taken").touch()
    named = [word for judge in judges for word in ("--judge", judge)]
    options = ("--batch-size", 8, "--samples", 4, "--temperature", 0.5)
    said = allport(
        *("evaluate", "person", model, "--simulate", 3, "--out", "taken", *named, *options)
    )
    assert "taken is a file" in said.err
    assert loaded == loads


@pytest.mark.parametrize(
    ("model", "judge", "option"),
    [
        ("./m", "./x", "samples"),
        ("openai:m", "openai:x", "batch-size"),
        ("openai:m", "./x", "revision"),
    ],
)
def test_options_that_nobody_takes_are_refused(
    allport: Any, loaded: list[Any], sentence: Any, model: str, judge: str, option: str
) -> None:
    words = ("evaluate", "person", model, "--simulate", 3, "--judge", judge)
    said = allport(*words, f"--{option}", 4)
    sentence(said, 2)
    assert f"--{option} is for" in said.err


def test_what_cannot_be_done_at_the_end_is_said_at_the_beginning(
    allport: Any, neutral: ScriptedRespondent, sentence: Any
) -> None:
    nobody = allport(*PERSON, "--simulate", "3", *QUICK, "--judge", "x", "--open-people", "0")
    sentence(nobody, 2)
    assert "--open-people 0 asks for nobody" in nobody.err
    service = ("evaluate", "person", "openai:any", "--simulate", "3")
    said = allport(*service, *QUICK[:2], "--side-effects", "5")
    sentence(said, 2)
    assert "--side-effects takes probabilities of whole sentences" in said.err
    assert not neutral.asked


@pytest.mark.parametrize("error", [KeyboardInterrupt, ModelError])
@pytest.mark.parametrize("after", [50, 90])
def test_where_it_stops_it_names_the_folder_that_goes_on(
    allport: Any,
    model: Callable[[ScriptedRespondent], None],
    error: type[BaseException],
    after: int,
) -> None:
    count = 0

    def stopping(question: Question) -> int:
        nonlocal count
        count += 1
        if count > after:
            raise error("It fell over.")
        return 0

    model(ScriptedRespondent(stopping, "neutral"))
    # 40 questions of nobody, 40 in a person's place, and then neutral sentences.
    words = (*PERSON, "--simulate", "1", "--test-items", "20", "--side-effects", "1")
    said = allport(*words)
    assert said.code == 1
    [folder] = Path("runs").iterdir()
    first = "Interrupted." if error is KeyboardInterrupt else "It fell over.\n"
    assert said.err.replace(first, "").strip() == (
        f"What was done is kept in {folder}; the same command with --out {folder} goes on there."
    )
    rest = ScriptedRespondent(lambda question: 0, "neutral")
    model(rest)
    allport(*words[:-2], "--side-effects", "0", "--out", folder)
    assert rest.asked.total() == max(0, 80 - after)


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


def test_populations_are_told_apart_by_their_folders(
    allport: Any, monkeypatch: pytest.MonkeyPatch, sentence: Any
) -> None:
    from allport.alignment import fit_population, model_sites, write_population
    from allport.alignment.alignment import model_identity
    from allport.cli.model_options import ModelOptions
    from allport.evaluation import benchmark_people
    from allport.models import TransformersModel, load_model

    loaded = load_model("embedded")
    assert isinstance(loaded, TransformersModel)
    monkeypatch.setattr(ModelOptions, "load", lambda options, name: loaded)
    people = benchmark_people(simulate_people(2, load_inventory("ipip-neo-300"), seed=0).corpus)
    sites = model_sites(loaded.model)
    shape = (120, len(sites.layers) * sites.heads, sites.width // sites.heads)
    differences = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    places = ("one/people", "two/people", "south")
    for strength, place in enumerate(places, start=1):
        fit = fit_population(
            differences, people.literal[:, people.fit], heads=3, strengths=(float(strength),)
        )
        about = {"model": model_identity(loaded), "tokens": "answer"}
        write_population(Path(place), fit, identifiers=people.ids, about=about)
    words = (*PERSON, "--simulate", "2", "--test-items", "5", "--orders", "reversed")
    chosen = ("--prompts", "none", "--side-effects", "0", "--limit-people", "1", "--json")
    given = [word for place in places for word in ("--alignments", place)]
    content = allport(*words, *chosen, *given).json
    cells = {each["name"]: each["control_of"] for each in content["systems"][:10]}
    expected: dict[str, str | None] = {"unaligned": None}
    for place in places:
        own = expected.fromkeys(("sign-flipped", "random direction"), f"steering ({place})")
        for what, of in {"steering": None, **own}.items():
            expected[f"{what} ({place})"] = of
    assert cells == expected
    twice = allport(*words, *chosen, "--alignments", "south", "--alignments", "./one/../south")
    sentence(twice, 2)
    assert "--alignments names" in twice.err


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
    # 20 test items are one of each of 20 facets; of the other 10 nothing is known to judge by.
    assert (content["open_ended"]["unjudged"], content["open_ended"]["pairs"]) == (20, 60)
    assert "! 20 of 60 pairs of a person and a facet were not judged" in " ".join(
        allport(*words, "--out", "run").out.split()
    )
    assert len(Path("run", "open_answers.jsonl").read_text().splitlines()) == 2 * 2 * 30
    assert "## Open answers, judged" in Path("run", "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "--people FILE, or --simulate"),
        (("--simulate", "3", "--people", "x.csv"), 2, "--people FILE, or --simulate"),
        (("--simulate", "0"), 2, "give 1 or more"),
        (("--simulate", "3", "--stored", "keyed"), 2, "--stored is for --people"),
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
    assert sum(neutral.asked.values()) == (20 + 50) * (12 + 40 + 1)


def test_no_inventory_is_one_sentence(allport: Any, sentence: Any) -> None:
    sentence(allport("evaluate", "items", "any", "--inventory", ","), 2)
    sentence(allport("evaluate", "items", "any", "--inventory", "no-such"), 2)
