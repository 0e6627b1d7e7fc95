"""The person benchmark: every way of aligning asked the test items in the place of every person.

    methods:  none | steering | random direction | sign-flipped | …      (who is asked)
        x
    prompts:  none | few-shot | …                                        (what stands before)
        =
    cells:    unaligned | few-shot | steering | few-shot + steering | …

Each cell is a run of its own: asked through `measure`, kept in a folder, resumed where it stopped.
"""

from __future__ import annotations

import dataclasses
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from allport.administration.design import Design
from allport.administration.progress import ProgressCallback
from allport.errors import AllportError, RunError, UsageError
from allport.evaluation.people_bootstrap import PeopleBootstrap
from allport.evaluation.person_answers import PersonAnswers, answers_from_responses
from allport.evaluation.person_baselines import Baseline, baselines
from allport.evaluation.person_cells import (
    CellPlan,
    PersonMethod,
    PersonPrompts,
    few_shot,
    plan_cells,
)
from allport.evaluation.person_scores import PersonScores, score_person_answers
from allport.evaluation.person_targets import BenchmarkPeople
from allport.files import write_atomically
from allport.models.respondent import Question, Reading, Respondent, Response
from allport.personas.persona import Persona

__all__ = [
    "Cell",
    "PerPersonRespondent",
    "PersonBenchmark",
    "run_person_benchmark",
]

_RECORD: Final = "benchmark.json"
_FORMAT: Final = "allport-person-benchmark-1"
_QUESTIONS_AT_ONCE: Final = 4096


class PerPersonRespondent:
    """Asks in the place of each person the respondent that stands for that person.

    The persona of a question's condition names the person. Respondents are made when their turn
    comes and let go afterwards, so that thousands of people need not be held at once.
    """

    def __init__(
        self,
        name: str,
        respondent_for: Callable[[str], Respondent],
        identity: Mapping[str, Any],
        questions_at_once: int = _QUESTIONS_AT_ONCE,
    ) -> None:
        """Ask a respondent for each person.

        Args:
            name: Shown in tables.
            respondent_for: Gives the respondent of a person, by id.
            identity: What identifies all of them together, JSON-ready.
            questions_at_once: Most questions that a respondent shared by several people gets in one
                call, which bounds memory.
        """
        self._name = name
        self._respondent_for = respondent_for
        self._identity = dict(identity)
        self._questions_at_once = questions_at_once

    @property
    def name(self) -> str:
        """Shown in tables."""
        return self._name

    def describe(self) -> dict[str, Any]:
        """Name and identity."""
        return {"kind": "per person", "name": self._name, **self._identity}

    def answer(self, questions: Sequence[Question]) -> Iterator[Response]:
        """Answer every question by the respondent of its person, person after person.

        Raises:
            ModelError: A respondent cannot be asked; what came before it is kept.
        """
        waiting: list[Question] = []
        asking: Respondent | None = None
        for person, group in groupby(questions, key=lambda q: q.condition.persona):
            respondent = self._respondent_for(person)
            own = list(group)
            full = len(waiting) + len(own) > self._questions_at_once
            if asking is not None and (respondent is not asking or full):
                yield from asking.answer(waiting)
                waiting = []
            asking = respondent
            waiting += own
        if asking is not None:
            yield from asking.answer(waiting)


class Cell(NamedTuple):
    """One way of aligning, asked."""

    plan: CellPlan
    answers: PersonAnswers
    responses: int
    """How many there are; an unaligned model answers once for everybody."""
    prompt_tokens: int
    seconds: float
    """Spent on asking, over all sessions."""

    @property
    def name(self) -> str:
        """Shown in tables."""
        return self.plan.name

    @property
    def fit_seconds(self) -> float | None:
        """What fitting took for all people together, where that is known."""
        return None if self.plan.method is None else self.plan.method.fit_seconds


@dataclass(frozen=True, eq=False)
class PersonBenchmark:
    """Cells and baselines over the same people and items."""

    model: str
    people: BenchmarkPeople
    cells: tuple[Cell, ...]
    baselines: tuple[Baseline, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Templates, orders, reading: how it was asked."""
    folder: Path | None = None

    def scores(self, *, resamples: int = 2000, seed: int = 0) -> dict[str, PersonScores]:
        """Every cell and baseline scored, by name, all on the same resamples of people."""
        boot = PeopleBootstrap(len(self.people.ids), resamples=resamples, seed=seed)
        answers = [cell.answers for cell in self.cells]
        answers += [baseline.answers for baseline in self.baselines]
        return {each.name: score_person_answers(each, self.people, boot) for each in answers}


class _Unspoken(NamedTuple):
    """A persona that is asked for in no word: the respondent itself stands for the person."""

    name: str

    def system_prompt(self) -> str:
        return ""


def run_person_benchmark(
    model: Respondent,
    people: BenchmarkPeople,
    methods: Sequence[PersonMethod] = (),
    *,
    prompts: Sequence[PersonPrompts] | None = None,
    asked: Sequence[int] | None = None,
    folder: Path | str | None = None,
    templates: Sequence[str] = ("letters",),
    orders: Sequence[str] = ("forward", "reversed"),
    reading: Reading = "distribution",
    engine: Literal["local", "ray"] = "local",
    seed: int = 0,
    progress: ProgressCallback | Literal["bar"] | None = "bar",
) -> PersonBenchmark:
    """Ask the test items in the place of every person, in every cell, and make the baselines.

    Args:
        model: Asked as it is, and with each prompt.
        people: Who answered what; baselines are made of all of them.
        methods: Steering and its controls.
        prompts: Few-shot over all items to fit on, by default.
        asked: Positions of the people to ask in the place of; all by default.
        folder: Where runs are kept, one folder a cell; the same call goes on where it stopped. In
            memory only by default.
        templates: Question templates.
        orders: Option orders; both by default, so that a liking for the first option cancels.
        reading: Whether distributions are read, or answers generated and parsed.
        engine: "local", or "ray" to spread the people over a cluster whose machines load the model
            by name. Answers are the same to rounding and are kept here, so either engine goes on
            where the other stopped.
        seed: Of sampled answers and of the folds of baselines.
        progress: As for `measure`.

    Raises:
        UsageError: Two cells have one name, a person cannot be asked for, or the engine is ray and
            is not installed or cannot load the model.
        ModelError: A respondent cannot be asked.
        RunError: The folder holds another benchmark, or cannot be written.
    """
    prompts = (few_shot(people),) if prompts is None else tuple(prompts)
    rows = range(len(people.ids)) if asked is None else asked
    chosen = people.take(rows)
    design = Design(
        templates=tuple(templates),
        orders=tuple(orders),
        reading=reading,
        seed=seed,
        items=people.split.held_out,
    )
    place = _place(engine, model)
    record = _Record(None if folder is None else Path(folder), model, chosen, design)
    cells = []
    for planned in plan_cells(methods, prompts):
        cells.append(_ask(planned, model, chosen, design, record, place, progress))
    rules = [
        Baseline(name, uses, answers.take(list(rows)))
        for name, uses, answers in baselines(people, seed=seed)
    ]
    return PersonBenchmark(
        model=model.name,
        people=chosen,
        cells=tuple(cells),
        baselines=tuple(rules),
        settings=design.to_json(),
        folder=record.folder,
    )


def _place(
    engine: Literal["local", "ray"], model: Respondent
) -> Callable[[Respondent], Respondent]:
    """Where respondents are asked."""
    if engine == "local":
        return lambda respondent: respondent
    from allport.alignment.ray_engine import import_ray
    from allport.evaluation.cluster_asking import ClusterRespondent, check_loadable

    import_ray()
    loadable = check_loadable(model)
    return lambda respondent: ClusterRespondent(respondent, loadable)


def _ask(
    planned: CellPlan,
    model: Respondent,
    people: BenchmarkPeople,
    design: Design,
    record: _Record,
    place: Callable[[Respondent], Respondent],
    progress: ProgressCallback | Literal["bar"] | None,
) -> Cell:
    """Ask one cell, or go on asking it."""
    from allport.administration.measuring import measure

    name, method, prompts = planned
    personas: list[Persona] = []
    respondent = model
    if prompts is not None:
        personas = [prompts.persona_for(person) for person in people.ids]
        said = [persona.name for persona in personas]
        if said != list(people.ids):
            raise UsageError(f"Personas of {prompts.name!r} must be named by the people's ids.")
    elif method is not None:
        personas = [_Unspoken(person) for person in people.ids]
    if personas:
        design = dataclasses.replace(design, personas=people.ids)
        if method is None:
            # The model itself, in calls of bounded size: few-shot prompts are long.
            respondent = PerPersonRespondent(
                model.name, lambda person: model, {"model": model.describe()}
            )
        else:
            respondent = PerPersonRespondent(
                f"{model.name}, {method.name}", method.respondent_for, method.identity
            )
    start = time.perf_counter()
    try:
        run = measure(
            place(respondent),
            people.inventory,
            design,
            record.cell_folder(name),
            personas=personas,
            progress=progress,
        )
    except AllportError:
        record.spent(name, time.perf_counter() - start)
        raise
    seconds = record.spent(name, time.perf_counter() - start if run.asked else 0.0)
    return Cell(
        plan=planned,
        answers=answers_from_responses(name, run.responses, people),
        responses=run.responses.height,
        prompt_tokens=run.summary.prompt_tokens,
        seconds=seconds,
    )


class _Record:
    """The file of a benchmark folder that says what it is, and what asking took."""

    def __init__(
        self, folder: Path | None, model: Respondent, people: BenchmarkPeople, design: Design
    ) -> None:
        self.folder = folder
        self._seconds: dict[str, float] = {}
        self._content = {
            "format": _FORMAT,
            "model": json.loads(json.dumps(model.describe(), default=str)),
            "people": people.describe(),
            "design": design.to_json(),
        }
        if folder is None:
            return
        path = folder / _RECORD
        if not path.exists():
            self._write()
            return
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            seconds = {str(k): float(v) for k, v in stored.pop("seconds").items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise RunError(f"{path} cannot be read as a record of a benchmark ({error}).") from None
        current = json.loads(json.dumps(self._content))
        differs = [key for key in current if stored.get(key) != current[key]]
        if differs:
            raise RunError(
                f"{folder} holds a benchmark with another {' and another '.join(differs)}; name "
                "another folder."
            )
        self._seconds = seconds

    def cell_folder(self, name: str) -> Path | None:
        """Where a cell's run is kept."""
        if self.folder is None:
            return None
        return self.folder / "cells" / re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")

    def spent(self, name: str, seconds: float) -> float:
        """Add what a session took, and tell what all took together."""
        self._seconds[name] = self._seconds.get(name, 0.0) + seconds
        if self.folder is not None:
            self._write()
        return self._seconds[name]

    def _write(self) -> None:
        assert self.folder is not None
        text = json.dumps({**self._content, "seconds": self._seconds}, indent=1) + "\n"
        try:
            write_atomically(self.folder / _RECORD, text)
        except OSError as error:
            raise RunError(
                f"{self.folder} cannot be written ({error.strerror or error}); name another folder."
            ) from None
