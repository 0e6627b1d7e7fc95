"""Open questions on the facets, answered in writing in the place of people.

Answers are kept as they come, one line each, so that a run that stops goes on where it was.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from allport.errors import ModelError, RunError
from allport.files import sha256_of
from allport.models.respondent import Condition, Message, Question, Respondent

__all__ = [
    "JsonLines",
    "OpenAnswer",
    "OpenQuestion",
    "Writer",
    "open_questions",
    "write_answers",
    "writer_of",
]

Writer = Callable[[Sequence[Sequence[Message]], Sequence[int]], list[str]]
"""Writes the next turn of each chat, given the chats and a seed for each."""


class OpenQuestion(NamedTuple):
    """A question that is answered in one's own words."""

    facet: str
    """Code of the facet that answers tell about."""
    number: int
    """Among the questions of the facet, from 1."""
    text: str
    low: str
    """What marks somebody low on the facet."""
    high: str
    """What marks somebody high on it."""


@dataclass(frozen=True, slots=True)
class OpenAnswer:
    """What was written in the place of a person."""

    system: str
    """Who wrote it: a cell of the benchmark."""
    person: str
    """In whose place."""
    facet: str
    number: int
    """Of the question within the facet."""
    text: str

    @property
    def key(self) -> tuple[str, ...]:
        """What tells this answer from every other."""
        return self.system, self.person, self.facet, str(self.number)


@cache
def open_questions() -> tuple[OpenQuestion, ...]:
    """The questions that ship: two on each of the thirty facets of the IPIP-NEO."""
    text = files("allport.evaluation").joinpath("data/open_questions.toml").read_text("utf-8")
    return tuple(
        OpenQuestion(facet, number, question, content["low"], content["high"])
        for facet, content in tomllib.loads(text).items()
        for number, question in enumerate(content["questions"], start=1)
    )


@runtime_checkable
class _Generates(Protocol):
    def generate(
        self,
        chats: Sequence[Sequence[Message]],
        *,
        max_new_tokens: int | None = None,
        seeds: Sequence[int] | None = None,
        personas: Sequence[str] | None = None,
    ) -> Sequence[Any]: ...


def writer_of(respondent: Respondent, person: str = "", max_new_tokens: int = 80) -> Writer:
    """A writer that lets a respondent answer in its own words.

    Local models write through `generate`. Of others, such as endpoints, the text of a generated
    answer is taken, whose length they limit by themselves.

    Args:
        respondent: Who writes.
        person: In whose place, by id, where the respondent is aligned to many.
        max_new_tokens: Limit of each answer of a local model.
    """

    def generated(chats: Sequence[Sequence[Message]], seeds: Sequence[int]) -> list[str]:
        assert isinstance(respondent, _Generates)
        replies = respondent.generate(
            chats, max_new_tokens=max_new_tokens, seeds=seeds, personas=[person] * len(chats)
        )
        return [str(reply.text) for reply in replies]

    def answered(chats: Sequence[Sequence[Message]], seeds: Sequence[int]) -> list[str]:
        asked = [
            Question(
                item=number,
                condition=Condition("open-ended", "forward", persona=person),
                messages=tuple(chat),
                cue="",
                # Nothing is chosen; the labels are there because every question has some.
                labels=("A", "B"),
                options=("A", "B"),
                reading="generation",
                seed=seed,
            )
            for number, (chat, seed) in enumerate(zip(chats, seeds, strict=True), start=1)
        ]
        texts = {response.item: response.text for response in respondent.answer(asked)}
        missing = [number for number in range(1, len(asked) + 1) if texts.get(number) is None]
        if missing:
            raise ModelError(f"{respondent.name} writes no text, so it has no open answers.")
        return [str(texts[number]) for number in range(1, len(asked) + 1)]

    return generated if isinstance(respondent, _Generates) else answered


def write_answers(
    system: str,
    writer_for: Callable[[str], Writer],
    people: Iterable[str],
    questions: Sequence[OpenQuestion] | None = None,
    *,
    prompt_for: Callable[[str], str] | None = None,
    seed: int = 0,
    kept: JsonLines | None = None,
) -> list[OpenAnswer]:
    """Let a system answer open questions in the place of people.

    Args:
        system: What the system is called.
        writer_for: Gives the writer that stands for a person, by id.
        people: Their ids.
        questions: What is asked; the questions that ship by default.
        prompt_for: System text that says whom to be, by id; none by default.
        seed: Of sampled texts.
        kept: Where answers are kept; what is there already is not asked again.

    Returns:
        Answers, person after person.

    Raises:
        ModelError: A model cannot write them.
        RunError: They cannot be kept.
    """
    asked = open_questions() if questions is None else questions
    before = {} if kept is None else {_answer(line).key: _answer(line) for line in kept.read()}
    found = []
    for person in people:
        keys = [(system, person, each.facet, str(each.number)) for each in asked]
        missing = [each for each, key in zip(asked, keys, strict=True) if key not in before]
        if missing:
            prompt = "" if prompt_for is None else prompt_for(person)
            lead = (Message("system", prompt),) if prompt else ()
            chats = [(*lead, Message("user", each.text)) for each in missing]
            # One seed a question and person, whichever others are asked.
            seeds = [
                int(sha256_of(repr((seed, person, each.facet, each.number)))[:8], 16)
                for each in missing
            ]
            texts = [_storable(text) for text in writer_for(person)(chats, seeds)]
            new = [
                OpenAnswer(system, person, each.facet, each.number, text)
                for each, text in zip(missing, texts, strict=True)
            ]
            if kept is not None:
                kept.add([asdict(answer) for answer in new])
            before |= {answer.key: answer for answer in new}
        found += [before[key] for key in keys]
    return found


def _storable(text: str) -> str:
    """A text that every file can hold; a service can send half a surrogate pair."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _answer(line: Mapping[str, Any]) -> OpenAnswer:
    try:
        return OpenAnswer(**line)
    except TypeError as error:
        raise RunError(f"A line of the open answers is none ({error}).") from None


class JsonLines:
    """A file of JSON objects, one a line, that only ever grows."""

    def __init__(self, path: Path | str) -> None:
        """Keep lines in this file; it is made with the first."""
        self.path = Path(path)
        self._whole = False

    def read(self) -> list[dict[str, Any]]:
        """Every whole line; a last one that was cut off by a kill is passed over.

        Raises:
            RunError: Another line is no JSON object.
        """
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8", errors="replace").split("\n")
        found = []
        for number, line in enumerate(lines[:-1], start=1):
            try:
                content = json.loads(line)
            except ValueError:
                content = None
            if not isinstance(content, dict):
                raise RunError(f"{self.path}, line {number}, is no JSON object; remove it.")
            found.append(content)
        return found

    def add(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Append lines.

        Raises:
            RunError: The file cannot be written.
        """
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab+") as handle:
                if not self._whole:
                    handle.seek(0)
                    # A line that a kill has cut off would swallow the next one.
                    handle.truncate(handle.read().rfind(b"\n") + 1)
                    self._whole = True
                handle.write(text.encode())
        except OSError as error:
            raise RunError(
                f"{self.path} cannot be written ({error.strerror or error}); what came before is "
                "kept."
            ) from None
