from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from allport.errors import ModelError, RunError, UsageError
from allport.evaluation import (
    BenchmarkPeople,
    PerPersonRespondent,
    PersonBenchmark,
    PersonMethod,
    PersonPrompts,
    answers_from_responses,
    few_shot,
    in_words,
    run_person_benchmark,
)
from allport.models import Question, Respondent, Response, ScriptedRespondent
from allport.models.scripted import Script


def choice_of(people: BenchmarkPeople, person: str, item: int) -> int:
    """Index of the option that the person chose."""
    row = people.ids.index(person)
    column = people.inventory.numbers.index(item)
    return int(people.literal[row, column]) - 1


def the_person(people: BenchmarkPeople) -> Script:
    """Answers as the person that the persona names; neutrally for nobody."""

    def script(question: Question) -> int:
        person = question.condition.persona
        return choice_of(people, person, question.item) if person else 2

    return script


class Alignable(ScriptedRespondent):
    """A planted model: aligned to a person, it answers as that person."""

    def __init__(self, people: BenchmarkPeople) -> None:
        super().__init__(lambda question: 2, "planted")
        self.people = people
        self.made: list[str] = []

    def aligned(self, alignment: Any) -> Respondent:
        self.made.append(alignment.person)
        return ScriptedRespondent(
            lambda question: choice_of(self.people, alignment.person, question.item), "aligned"
        )


def alignments(people: BenchmarkPeople, shift: int = 0) -> dict[str, Any]:
    """One for each person; with a shift, that of the person so many places on."""
    count = len(people.ids)
    return {
        person: SimpleNamespace(
            person=people.ids[(row + shift) % count], content_hash=f"{row + shift}"
        )
        for row, person in enumerate(people.ids)
    }


def run(model: Respondent, people: BenchmarkPeople, *args: Any, **settings: Any) -> PersonBenchmark:
    return run_person_benchmark(model, people, *args, progress=None, **settings)


def test_a_model_that_is_the_person_has_no_error(few_people: BenchmarkPeople) -> None:
    found = run(ScriptedRespondent(the_person(few_people)), few_people)
    assert [cell.name for cell in found.cells] == ["unaligned", "few-shot"]
    scores = found.scores(resamples=200)
    right = scores["few-shot"]
    assert right.find("error", "median").value == 0
    assert right.find("error", "arg-max").value == 0
    assert right.find("trait r").value == pytest.approx(1)
    unaligned = scores["unaligned"]
    neutral = scores["constant C"]
    assert unaligned.find("error", "median") == neutral.find("error", "median")
    assert unaligned.find("published").value == neutral.find("published").value
    difference = right.difference(neutral, "error", "median")
    assert difference.high < 0


def test_always_neutral_is_constant_c_on_papi(papi: BenchmarkPeople) -> None:
    found = run(ScriptedRespondent(lambda question: 2), papi, prompts=())
    (cell,) = found.cells
    assert cell.responses == 360  # once for everybody, in two orders
    scores = found.scores(resamples=0)["unaligned"]
    assert scores.find("published").value == pytest.approx(3.80, abs=0.0051)
    assert 3.785 < scores.find("error", "median").value < 3.805


def test_saying_the_first_letter_shows_in_published_and_cancels_in_corrected(
    few_people: BenchmarkPeople,
) -> None:
    first = ScriptedRespondent(lambda question: question.labels.index("A"))
    scores = run(first, few_people, prompts=()).scores(resamples=0)
    both = (scores["constant A"], scores["constant E"])
    published = np.mean([each.find("published").value for each in both])
    assert scores["unaligned"].find("published").value == pytest.approx(published)
    assert scores["unaligned"].find("error", "median").value == pytest.approx(
        scores["constant C"].find("error", "median").value
    )


def test_steering_is_asked_person_by_person_without_a_word_of_who(
    few_people: BenchmarkPeople,
) -> None:
    model = Alignable(few_people)
    wrong = alignments(few_people, shift=1)
    found = run(
        model,
        few_people,
        [
            PersonMethod.of_alignments("steering", model, alignments(few_people), fit_seconds=0.6),
            PersonMethod.of_alignments("sign-flipped", model, wrong, with_prompts=False),
        ],
    )
    assert [cell.name for cell in found.cells] == [
        "unaligned",
        "few-shot",
        "steering",
        "few-shot + steering",
        "sign-flipped",
    ]
    scores = found.scores(resamples=0)
    assert scores["steering"].find("error", "median").value == 0
    assert scores["few-shot + steering"].find("error", "median").value == 0
    assert scores["sign-flipped"].find("error", "median").value > 1
    assert model.made[:12] == list(few_people.ids)
    # The plain model was only asked in the place of nobody, and with the few-shot prompt.
    systems = {len(question.messages) for question in model.asked}
    assert systems == {1, 2}
    assert found.cells[2].fit_seconds == 0.6


def test_few_shot_prompts_hold_what_the_person_said_literally(
    few_people: BenchmarkPeople,
) -> None:
    model = ScriptedRespondent(lambda question: 2)
    run(model, few_people, asked=[4], orders=("forward",))
    prompts = {q.messages[0].content for q in model.asked if q.condition.persona == "p4"}
    (prompt,) = prompts
    row = few_people.ids.index("p4")
    texts = [option.text for option in few_people.inventory.scale]
    for number in few_people.split.fit:
        item = few_people.inventory.item(number)
        value = few_people.literal[row, few_people.inventory.numbers.index(number)]
        assert f"{item.text.rstrip('.')}: {texts[int(value) - 1]}" in prompt.split("\n")
    assert not any(item.text.rstrip(".") + ":" in prompt for item in few_people.test_items)


def test_people_can_be_put_in_words_of_items_to_fit_on_alone(few_people: BenchmarkPeople) -> None:
    from allport.alignment import fit_prompt

    model = ScriptedRespondent(lambda question: 2)
    kinds = ("description", "adjectives")
    prompts = [in_words(few_people, kind) for kind in kinds]
    found = run(model, few_people, prompts=prompts, asked=[4], orders=("forward",))
    assert [cell.name for cell in found.cells] == ["unaligned", *kinds]
    person = few_people.person("p4")
    said = {q.messages[0].content for q in model.asked if q.condition.persona == "p4"}
    assert said == {fit_prompt(person, kind=kind).prompt for kind in ("description", "adjectives")}
    assert not any(item.text.rstrip(".") in text for item in few_people.test_items for text in said)
    with pytest.raises(UsageError, match="no prompt 'rhymes'; known: few-shot, description"):
        in_words(few_people, "rhymes")


class Dying(ScriptedRespondent):
    """Fails after so many answers, once."""

    def __init__(self, script: Script, answers: int) -> None:
        super().__init__(script)
        self.left = answers

    def answer(self, questions: Sequence[Question]) -> Iterator[Response]:
        for response in super().answer(questions):
            if self.left == 0:
                self.left = -1
                raise ModelError("The machine went down.")
            self.left -= 1
            yield response


def test_a_benchmark_that_died_goes_on_where_it_was(
    few_people: BenchmarkPeople, tmp_path: Path
) -> None:
    people = few_people.with_test_items(30)
    model = Dying(the_person(people), 200)
    with pytest.raises(ModelError, match="went down"):
        run(model, people, folder=tmp_path / "run")
    found = run(model, people, folder=tmp_path / "run")
    # One question was being answered when it died.
    assert max(model.asked.values()) <= 2
    assert sum(count == 2 for count in model.asked.values()) == 1
    assert found.scores(resamples=0)["few-shot"].find("error", "median").value == 0
    asked = model.asked.total()
    again = run(model, people, folder=tmp_path / "run")
    assert model.asked.total() == asked
    assert [c.seconds for c in again.cells] == [c.seconds for c in found.cells]
    record = json.loads((tmp_path / "run" / "benchmark.json").read_text())
    assert set(record["seconds"]) == {"unaligned", "few-shot"}


def test_another_benchmark_in_the_folder_is_not_mixed_with(
    few_people: BenchmarkPeople, tmp_path: Path
) -> None:
    model = ScriptedRespondent(lambda question: 2)
    people = few_people.with_test_items(20)
    run(model, people, prompts=(), folder=tmp_path)
    with pytest.raises(RunError, match="another people"):
        run(model, people.take(range(4)), prompts=(), folder=tmp_path)
    with pytest.raises(RunError, match="another model"):
        run(ScriptedRespondent(lambda q: 2, "other"), people, prompts=(), folder=tmp_path)
    (tmp_path / "benchmark.json").write_text("[]")
    with pytest.raises(RunError, match="cannot be read"):
        run(model, people, prompts=(), folder=tmp_path)


def test_people_themselves_can_answer(few_people: BenchmarkPeople) -> None:
    people = few_people.corpus.answers()
    method = PersonMethod("people", lambda person: people, people.describe(), with_prompts=False)
    found = run(ScriptedRespondent(lambda question: 2), few_people, [method], prompts=())
    scores = found.scores(resamples=0)
    assert scores["people"].find("error", "median").value == 0
    # Said literally and compared with keyed answers, a person seems far from themselves.
    wanted = scores["the person's own answers"].find("published").value
    assert scores["people"].find("published").value == pytest.approx(wanted)


def test_refusals_are_counted(few_people: BenchmarkPeople) -> None:
    def script(question: Question) -> int | None:
        return None if question.item % 3 == 0 else 2

    scores = run(ScriptedRespondent(script), few_people, prompts=()).scores(resamples=0)
    share = np.mean([number % 3 == 0 for number in few_people.split.held_out])
    refusing = scores["unaligned"]
    assert refusing.find("unusable").value == pytest.approx(share)
    assert (
        refusing.find("error", "median").value > scores["constant C"].find("error", "median").value
    )


def test_questions_are_put_in_calls_of_bounded_size() -> None:
    calls: list[int] = []

    class Counting(ScriptedRespondent):
        def answer(self, questions: Sequence[Question]) -> Iterator[Response]:
            calls.append(len(questions))
            return super().answer(questions)

    from allport.models import Condition, Message

    questions = [
        Question(
            item=1,
            condition=Condition("letters", "forward", persona=f"p{row // 3}"),
            messages=(Message("user", str(row)),),
            cue="",
            labels=("A", "B"),
            options=("a", "b"),
        )
        for row in range(12)
    ]
    model = Counting(lambda question: 0)
    together = PerPersonRespondent("all", lambda person: model, {}, questions_at_once=6)
    assert len(list(together.answer(questions))) == 12
    assert calls == [6, 6]
    calls.clear()
    apart = PerPersonRespondent("each", lambda person: Counting(lambda question: 0), {})
    assert len(list(apart.answer(questions))) == 12
    assert calls == [3, 3, 3, 3]
    assert together.describe()["kind"] == "per person"


def test_what_cannot_be_asked_is_said_in_a_sentence(few_people: BenchmarkPeople) -> None:
    model = Alignable(few_people)
    some = dict(list(alignments(few_people).items())[:5])
    with pytest.raises(ModelError, match="no alignment for person 'p5' in steering"):
        run(model, few_people, [PersonMethod.of_alignments("steering", model, some)], prompts=())
    method = PersonMethod("unaligned", lambda person: model, {})
    with pytest.raises(UsageError, match=r"Two cells .* 'unaligned'"):
        run(model, few_people, [method])
    with pytest.raises(UsageError, match="give 1 or more"):
        few_shot(few_people, 0)
    misnamed = PersonPrompts("all as one", lambda person: few_people.person("p0"))
    with pytest.raises(UsageError, match="named by the people's ids"):
        run(model, few_people, prompts=[misnamed])


def test_responses_must_fit_the_people(few_people: BenchmarkPeople) -> None:
    from allport.administration import Design, measure

    people = few_people.take(range(3))
    design = Design(("letters",), personas=few_people.ids[:4], items=people.split.held_out)
    frame = measure(
        few_people.corpus.answers(),
        people.inventory,
        design,
        personas=[few_people.person(person) for person in few_people.ids[:4]],
        progress=None,
    ).responses
    from allport.errors import ResponsesError

    with pytest.raises(ResponsesError, match="some are in the place of somebody who takes no part"):
        answers_from_responses("people", frame, people)
    with pytest.raises(ResponsesError, match="none is in the place of person p4"):
        answers_from_responses("people", frame, few_people.take(range(5)))
