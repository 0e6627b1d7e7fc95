"""The cells of the person benchmark: methods of aligning times prompts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from allport.errors import ModelError, UsageError
from allport.evaluation.person_targets import BenchmarkPeople
from allport.files import sha256_of
from allport.models.respondent import Respondent
from allport.personas.persona import Persona

if TYPE_CHECKING:
    from allport.alignment.prompting import PromptKind

__all__ = ["CellPlan", "PersonMethod", "PersonPrompts", "few_shot", "in_words", "plan_cells"]

FEW_SHOT: Final = "few-shot"
UNALIGNED: Final = "unaligned"
IN_WORDS: Final = ("description", "adjectives")


@dataclass(frozen=True)
class PersonMethod:
    """A way of aligning that gives a respondent for each person, such as steering."""

    name: str
    """Shown in tables: "steering", "random direction"."""
    respondent_for: Callable[[str], Respondent]
    """The respondent that answers in the place of a person, by id. The same object for several
    people is asked about them together."""
    identity: Mapping[str, Any]
    """What tells these alignments from others, JSON-ready: hashes, how they were fitted."""
    with_prompts: bool = True
    """Whether it is also asked together with each prompt; controls need not be."""
    fit_seconds: float | None = None
    """What fitting took for all people together, where that is known."""
    control_of: str | None = None
    """Name of the method that this is a control of, and that is compared with it."""

    @classmethod
    def of_respondent(cls, name: str, respondent: Respondent, **settings: Any) -> PersonMethod:
        """One respondent for everybody, which goes by the persona of each question.

        A model aligned to many people at once is one: its batches mix them.

        Args:
            name: Shown in tables.
            respondent: Answers in the place of whoever a question's persona names.
            settings: Other fields.
        """
        return cls(
            name, lambda person: respondent, {"respondent": respondent.describe()}, **settings
        )

    @classmethod
    def of_alignments(
        cls, name: str, model: Any, alignments: Mapping[str, Any], **settings: Any
    ) -> PersonMethod:
        """Steering of one model by an alignment for each person.

        Args:
            name: Shown in tables.
            model: Has `aligned(alignment)`, which gives a respondent.
            alignments: By person id; each has a `content_hash`.
            settings: Other fields.
        """
        hashes = {person: alignment.content_hash for person, alignment in alignments.items()}

        def aligned(person: str) -> Respondent:
            if person not in alignments:
                raise ModelError(f"There is no alignment for person {person!r} in {name}.")
            respondent: Respondent = model.aligned(alignments[person])
            return respondent

        return cls(
            name=name,
            respondent_for=aligned,
            identity={
                "model": model.describe(),
                "alignments_hash": sha256_of(json.dumps(hashes, sort_keys=True)),
            },
            **settings,
        )


@dataclass(frozen=True)
class PersonPrompts:
    """A way of saying in a system prompt who to be, for each person."""

    name: str
    """Shown in tables: "few-shot", "description"."""
    persona_for: Callable[[str], Persona]
    """The persona of a person, by id."""


def few_shot(people: BenchmarkPeople, shots: int | None = None) -> PersonPrompts:
    """The person's literal answers to the items to fit on, as a list in the system prompt.

    Args:
        people: The benchmark.
        shots: Give only so many answers, for models of short context.
    """
    if shots is not None and shots < 1:
        raise UsageError(f"A few-shot prompt of {shots} answers says nothing; give 1 or more.")
    name = FEW_SHOT if shots is None else f"{FEW_SHOT} of {shots}"
    return PersonPrompts(name, lambda person: people.person(person, shots))


class _Words(NamedTuple):
    name: str
    text: str

    def system_prompt(self) -> str:
        return self.text


def in_words(people: BenchmarkPeople, kind: str) -> PersonPrompts:
    """What the person's answers to the items to fit on say of them, in the system prompt.

    Args:
        people: The benchmark.
        kind: "description", in the second person and by rule, or "adjectives", the traits with
            degrees against the norms; see `allport.alignment.fit_prompt`.

    Raises:
        UsageError: There is no such kind.
    """
    from allport.alignment.prompting import fit_prompt

    if kind not in IN_WORDS:
        known = ", ".join((FEW_SHOT, *IN_WORDS))
        raise UsageError(f"There is no prompt {kind!r}; known: {known}.")
    wording = cast("PromptKind", kind)

    @cache
    def persona(person: str) -> Persona:
        told = fit_prompt(people.person(person), kind=wording, items=people.split.fit)
        return _Words(person, told.prompt)

    return PersonPrompts(kind, persona)


class CellPlan(NamedTuple):
    """One way of asking in the place of people."""

    name: str
    """Shown in tables: "unaligned", "few-shot", "steering", "few-shot + steering"."""
    method: PersonMethod | None
    """None where the model itself is asked."""
    prompts: PersonPrompts | None
    """None where no word is said of the person."""

    def respondent_for(self, model: Respondent, person: str) -> Respondent:
        """Who answers in the place of a person."""
        return model if self.method is None else self.method.respondent_for(person)

    def system_prompt(self, person: str) -> str:
        """What is said of the person; empty for nothing."""
        return "" if self.prompts is None else self.prompts.persona_for(person).system_prompt()

    @property
    def differs_by_person(self) -> bool:
        """Whether anything of this cell depends on the person."""
        return self.method is not None or self.prompts is not None


def plan_cells(
    methods: Sequence[PersonMethod], prompts: Sequence[PersonPrompts]
) -> tuple[CellPlan, ...]:
    """Every cell: nothing, each prompt, each method, and each prompt with each method.

    Raises:
        UsageError: Two cells have one name.
    """
    cells = [CellPlan(UNALIGNED, None, None)]
    cells += [CellPlan(prompt.name, None, prompt) for prompt in prompts]
    for method in methods:
        cells.append(CellPlan(method.name, method, None))
        if method.with_prompts:
            cells += [CellPlan(f"{p.name} + {method.name}", method, p) for p in prompts]
    names = [cell.name for cell in cells]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"Two cells of the benchmark are called {twice!r}; rename one.")
    return tuple(cells)
