from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from allport.errors import ModelError, RunError, UsageError
from allport.evaluation import (
    FIT_RUBRIC,
    BenchmarkPeople,
    JsonLines,
    OpenAnswer,
    PersonMethod,
    Rating,
    evaluate_open_ended,
    few_shot,
    open_questions,
    plan_cells,
    prefer,
    rate_fit,
    rate_level,
    score_open_ended,
    write_answers,
    writer_of,
)
from allport.models import Message, Question, Response, ScriptedRespondent
from allport.psychometrics.estimate import Estimate

QUESTIONS = [each for each in open_questions() if each.number == 1]


def test_every_facet_has_questions_of_its_own(few_people: BenchmarkPeople) -> None:
    questions = open_questions()
    facets = {facet.code for facet in few_people.inventory.facets}
    assert {each.facet for each in questions} == facets
    assert len(questions) >= 30
    assert len({each.text for each in questions}) == len(questions)


class Telling:
    """A writer that says how high its person is on the facet asked about, in a number."""

    def __init__(self, people: BenchmarkPeople, person: str, flipped: bool = False) -> None:
        self.people, self.person, self.flipped = people, person, flipped
        self.calls = 0

    def __call__(self, chats: Sequence[Sequence[Message]], seeds: Sequence[int]) -> list[str]:
        self.calls += 1
        by_text = {each.text: each.facet for each in QUESTIONS}
        row = self.people.ids.index(self.person)
        keyed = self.people.reversed_by_key(self.people.targets)[row]
        replies = []
        for chat in chats:
            level = keyed[self.people.facets[by_text[chat[-1].content]]].mean()
            replies.append(f"My level is {6 - level if self.flipped else level:.3f}")
        return replies


def told(people: BenchmarkPeople, system: str, flipped: bool = False) -> list[OpenAnswer]:
    return write_answers(
        system, lambda person: Telling(people, person, flipped), people.ids, QUESTIONS
    )


def level_in(text: str) -> float:
    return float(re.findall(r"My level is ([0-9.]+)", text)[-1])


def judge_of_fit(people: BenchmarkPeople, name: str = "fair") -> ScriptedRespondent:
    """Finds the person described by the statements, and compares levels."""
    by_lines = {}
    keyed = people.reversed_by_key(people.targets)
    texts = {option.value: option.text for option in people.inventory.scale}
    for row in range(len(people.ids)):
        for columns in people.facets.values():
            lines = "\n".join(
                f"{people.test_items[c].text.rstrip('.')}: {texts[people.targets[row, c]]}"
                for c in columns
            )
            by_lines[lines] = keyed[row, columns].mean()

    def script(question: Question) -> Response:
        content = question.messages[-1].content
        if question.condition.template == "level":
            heard = min(max(round(level_in(content)), 1), 5) - 1
            return Response(
                question.item,
                question.condition,
                tuple(float(i == heard) for i in range(5)),
                heard,
                1.0,
            )
        described = content.split("statements:\n")[1].split("\n\n")[0]
        true = by_lines[described]
        if question.condition.template == "prefer":
            off = [abs(level_in(option) - true) for option in question.options]
            choice = int(np.argmin(off))
        else:
            choice = max(0, 5 - round(2 * abs(level_in(content) - true)))
        shares = tuple(float(i == choice) for i in range(len(question.options)))
        return Response(question.item, question.condition, shares, choice, 1.0)

    return ScriptedRespondent(script, name)


def test_judges_find_who_answers_like_the_person(few_people: BenchmarkPeople) -> None:
    answers = [*told(few_people, "like"), *told(few_people, "unlike", flipped=True)]
    judges = [judge_of_fit(few_people), judge_of_fit(few_people, "fair too")]
    fit = [rating for judge in judges for rating in rate_fit(judge, answers, QUESTIONS, few_people)]
    preferences = [
        choice for judge in judges for choice in prefer(judge, answers, QUESTIONS, few_people)
    ]
    found = score_open_ended(few_people, fit, preferences=preferences, resamples=200)
    assert found.fit["like"].value == len(FIT_RUBRIC)
    assert found.fit["unlike"].high < found.fit["like"].value
    assert found.preferred["like"].value > 0.9
    assert sum(each.value for each in found.preferred.values()) == pytest.approx(1)
    assert found.fit_agreement.value == pytest.approx(1)
    assert found.unusable == {"fair": 0, "fair too": 0}


def test_judges_see_no_name_and_the_answers_in_shuffled_order(
    few_people: BenchmarkPeople,
) -> None:
    systems = ["steering-method-x", "baseline-method-y", "third-method-z"]
    answers = [
        OpenAnswer(system, "p0", each.facet, 1, f"My level is {place}.5 {'?' * place}")
        for place, system in enumerate(systems, start=1)
        for each in QUESTIONS
    ]
    judge = judge_of_fit(few_people)
    rate_fit(judge, answers, QUESTIONS, few_people, seed=3)
    prefer(judge, answers, QUESTIONS, few_people, seed=3)
    put = list(judge.asked)
    for question in put:
        content = question.messages[-1].content
        assert not any(system in content for system in systems)
        assert "p0" not in content
    # The scale is shown both ways, and so is every list of answers.
    assert sum(q.condition.order == "reversed" for q in put) == len(put) / 2
    first = {}
    for question in put:
        if question.condition.template == "prefer":
            shown_first = question.labels.index("A")
            first.setdefault(question.item, []).append((question.labels.index("C"), shown_first))
    assert all(a == b[::-1] for a, b in first.values())
    # Whose answer stands first differs from question to question.
    assert len({pair[0][1] for pair in first.values()}) == 3
    # Answers to be rated come mixed: the judge cannot tell systems by blocks.
    rated = [q.messages[-1].content.count("?" * 3) for q in put if q.condition.template == "fit"]
    assert rated != sorted(rated)
    assert rated != sorted(rated, reverse=True)


def test_what_nothing_is_known_of_is_not_judged_and_counted(few_people: BenchmarkPeople) -> None:
    # One test item of each of five traits, so that five of thirty facets can be judged; and the
    # second person left one of the five out.
    people = few_people.take([0, 1]).with_test_items(5)
    codes = np.array(people.corpus.literal_codes)
    codes[1, people.test[0]] = 0
    people = replace(people, corpus=replace(people.corpus, literal_codes=codes))
    known = {("p0", facet) for facet in people.facets}
    known |= {("p1", facet) for facet in people.facets if facet != people.test_items[0].facet}
    assert len(known) == 9
    answers = [
        OpenAnswer(system, person, each.facet, 1, "Well.")
        for system in ("one", "two")
        for person in people.ids
        for each in QUESTIONS
    ]
    judge = ScriptedRespondent(lambda q: [1 / len(q.options)] * len(q.options), "even")
    fit = rate_fit(judge, answers, QUESTIONS, people)
    assert {(r.answer.person, r.answer.facet) for r in fit} == known
    assert len(fit) == 2 * len(known)
    preferences = prefer(judge, answers, QUESTIONS, people)
    assert {(choice.person, choice.facet) for choice in preferences} == known
    assert not any("nothing is known" in q.messages[-1].content for q in judge.asked)
    level = rate_level(judge, answers, QUESTIONS)
    assert len(level) == len(answers)
    found = score_open_ended(people, fit, level, preferences, resamples=0)
    assert (found.pairs, found.unjudged) == (60, 51)
    # Where nothing at all can be judged, systems still stand there with the reason.
    alone = score_open_ended(people, level=level, resamples=0)
    assert {name: each.reason for name, each in alone.fit.items()} == dict.fromkeys(
        ("one", "two"), "nothing was judged"
    )


def test_the_agreement_of_judges_is_uncertain_by_people(few_people: BenchmarkPeople) -> None:
    rng = np.random.default_rng(4)
    heard = {person: rng.normal(3, 1) + rng.normal(0, 0.7, 2) for person in few_people.ids}

    def agreement(times: int) -> Estimate:
        ratings = [
            Rating(judge, OpenAnswer("one", person, "N1", number, ""), value)
            for person, values in heard.items()
            for number in range(times)
            for judge, value in zip("ab", values.tolist(), strict=True)
        ]
        return score_open_ended(few_people, ratings, resamples=1000).fit_agreement

    # Answers that say what others of the same person said add nothing.
    once, often = agreement(1), agreement(16)
    assert often.value == pytest.approx(once.value, abs=0.05)
    assert often.high - often.low == pytest.approx(once.high - once.low, rel=0.1)


def test_two_people_have_no_interview_and_the_reason_is_their_number(
    few_people: BenchmarkPeople,
) -> None:
    people = few_people.take([0, 1])
    judge = judge_of_fit(few_people)
    ratings = rate_level(judge, told(people, "like"), QUESTIONS)
    found = score_open_ended(people, level=ratings, resamples=0).interview["like"]
    for each in (found.mean, *found.by_trait.values()):
        assert each.reason == "answers of fewer than 3 people were rated"
    same = [
        rating._replace(value=3.0)
        for rating in rate_level(judge, told(few_people, "like"), QUESTIONS)
    ]
    found = score_open_ended(few_people, level=same, resamples=0).interview["like"]
    assert found.mean.reason.startswith("answers were rated alike for everybody")


def test_the_interview_gives_trait_scores_back(few_people: BenchmarkPeople) -> None:
    def script(question: Question) -> Response:
        level = level_in(question.messages[-1].content)
        below = min(max(int(level), 1), 4)
        shares = [0.0] * 5
        shares[below - 1], shares[below] = below + 1 - level, level - below
        return Response(question.item, question.condition, tuple(shares), below - 1, 1.0)

    judge = ScriptedRespondent(script, "listener")
    like = told(few_people, "like")
    unlike = told(few_people, "unlike", flipped=True)
    ratings = rate_level(judge, [*like, *unlike], QUESTIONS)
    found = score_open_ended(few_people, level=ratings, resamples=100)
    assert found.interview["like"].mean.value == pytest.approx(1, abs=1e-4)
    assert found.interview["unlike"].mean.value == pytest.approx(-1, abs=1e-4)
    assert set(found.interview["like"].by_trait) == set("NEOAC")
    assert found.level_agreement.reason == "agreement takes two judges or more"


def test_judgements_that_are_unusable_are_counted(few_people: BenchmarkPeople) -> None:
    answers = told(few_people.take([0]), "one")
    silent = ScriptedRespondent(lambda question: None, "silent")
    ratings = rate_fit(silent, answers, QUESTIONS, few_people)
    found = score_open_ended(few_people, ratings, resamples=0)
    assert found.unusable == {"silent": len(QUESTIONS)}
    assert np.isnan(found.fit["one"].value)
    assert found.fit["one"].reason == "nothing was judged"


def test_answers_and_ratings_are_kept_and_not_asked_for_again(
    few_people: BenchmarkPeople, tmp_path: Path
) -> None:
    people = few_people.take([0, 1])
    writers: dict[str, Telling] = {}

    def writer_for(person: str) -> Telling:
        return writers.setdefault(person, Telling(people, person))

    kept = JsonLines(tmp_path / "answers.jsonl")
    first = write_answers("one", writer_for, people.ids, QUESTIONS, kept=kept)
    # A kill cut the last line off: its answer is written again, the others are not.
    whole = kept.path.read_bytes()
    kept.path.write_bytes(whole[:-20])
    kept = JsonLines(tmp_path / "answers.jsonl")
    assert write_answers("one", writer_for, people.ids, QUESTIONS, kept=kept) == first
    assert [writer.calls for writer in writers.values()] == [1, 2]
    assert len(kept.read()) == len(first)

    ratings = JsonLines(tmp_path / "ratings.jsonl")
    judge = judge_of_fit(people)
    once = rate_fit(judge, first, QUESTIONS, people, kept=ratings)
    asked = judge.asked.total()
    assert rate_fit(judge, first, QUESTIONS, people, kept=ratings) == once
    assert judge.asked.total() == asked
    # Another judge is another judge.
    rate_fit(judge_of_fit(people, "other"), first, QUESTIONS, people, kept=ratings)
    assert len(ratings.read()) == 2 * len(first)
    both = [*first, *told(people, "two", flipped=True)]
    chosen = prefer(judge, both, QUESTIONS, people, kept=ratings)
    asked = judge.asked.total()
    assert prefer(judge, both, QUESTIONS, people, kept=ratings) == chosen
    assert judge.asked.total() == asked
    # With a third system beside them, it is another choice.
    prefer(judge, [*both, *told(people, "three")], QUESTIONS, people, kept=ratings)
    assert judge.asked.total() > asked
    kept.path.write_text("no\n")
    with pytest.raises(RunError, match=r"answers.jsonl, line 1, is no JSON object"):
        kept.read()


def test_a_judge_that_dies_has_not_judged_in_vain(
    few_people: BenchmarkPeople, tmp_path: Path
) -> None:
    answers = told(few_people, "one")
    fair = judge_of_fit(few_people)
    left = 2 * 200

    def script(question: Question) -> Response:
        nonlocal left
        left -= 1
        if left == 0:
            raise ModelError("The judge is out.")
        return next(iter(fair.answer([question])))

    judge = ScriptedRespondent(script, "mortal")
    kept = JsonLines(tmp_path / "ratings.jsonl")
    with pytest.raises(ModelError, match="out"):
        rate_fit(judge, answers, QUESTIONS, few_people, kept=kept)
    assert len(kept.read()) == 192
    assert len(rate_fit(judge, answers, QUESTIONS, few_people, kept=kept)) == len(answers)
    assert judge.asked.total() == 2 * 200 + 2 * (len(answers) - 192)


def test_whoever_writes_no_text_has_no_open_answers() -> None:
    def script(question: Question) -> Response:
        return Response(question.item, question.condition, None, None, float("nan"), text="Well.")

    chat = [(Message("user", "How are you?"),)]
    assert writer_of(ScriptedRespondent(script))(chat, [0]) == ["Well."]

    def broken(chats: Sequence[Sequence[Message]], seeds: Sequence[int]) -> list[str]:
        return ["half \ud83d"] * len(chats)

    (answer,) = write_answers("one", lambda person: broken, ["p"], QUESTIONS[:1])
    assert answer.text == "half \ufffd"
    with pytest.raises(ModelError, match="writes no text"):
        writer_of(ScriptedRespondent(lambda question: 0))(chat, [0])


def test_what_an_answer_says_is_never_filled_in(few_people: BenchmarkPeople) -> None:
    tricky = OpenAnswer("one", "p0", "N1", 1, "{person} {options} %s My level is 3")
    judge = judge_of_fit(few_people)
    rate_fit(judge, [tricky], QUESTIONS, few_people)
    content = next(iter(judge.asked)).messages[-1].content
    assert '"{person} {options} %s My level is 3"' in content
    assert content.count(FIT_RUBRIC[0]) == 1


def test_answers_must_fit_questions_and_people(few_people: BenchmarkPeople) -> None:
    judge = judge_of_fit(few_people)
    with pytest.raises(UsageError, match="not among the questions"):
        rate_fit(judge, [OpenAnswer("one", "p0", "N1", 9, "x")], QUESTIONS, few_people)
    with pytest.raises(UsageError, match="no person 'nobody'"):
        rate_fit(judge, [OpenAnswer("one", "nobody", "N1", 1, "x")], QUESTIONS, few_people)
    with pytest.raises(UsageError, match="1 systems cannot be shown side by side"):
        prefer(judge, told(few_people.take([0]), "one"), QUESTIONS, few_people)


def test_the_whole_part_runs_over_cells_and_judges(
    few_people: BenchmarkPeople, tmp_path: Path
) -> None:
    people = few_people.take([0, 1, 2])
    model = _Told(people, knows=False)
    cells = plan_cells(
        [PersonMethod.of_respondent("steering", _Told(people), with_prompts=False)],
        [few_shot(people)],
    )
    judges = [judge_of_fit(people), judge_of_fit(people, "second")]
    found = evaluate_open_ended(model, cells, people, judges, folder=tmp_path, resamples=50)
    assert set(found.fit) == {"unaligned", "few-shot", "steering"}
    assert found.fit["steering"].value == len(FIT_RUBRIC)
    assert found.fit["unaligned"].value < found.fit["steering"].value
    assert found.preferred["steering"].value > 0.9
    with pytest.raises(UsageError, match="Two judges are called"):
        evaluate_open_ended(model, cells, people, [judges[0], judges[0]])


class _Told(ScriptedRespondent):
    """Writes in the place of its persona, or the same to everything."""

    def __init__(self, people: BenchmarkPeople, knows: bool = True) -> None:
        super().__init__(self._written, "told")
        self._people, self._knows = people, knows

    def _written(self, question: Question) -> Response:
        text = "My level is 1"
        if self._knows:
            (text,) = Telling(self._people, question.condition.persona)([question.messages], [0])
        return Response(question.item, question.condition, None, None, float("nan"), text=text)
