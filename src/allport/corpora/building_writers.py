"""Who writes situations: any respondent that writes text, or sentences of our own put together."""

from __future__ import annotations

import json
import random
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Protocol, runtime_checkable

from allport.errors import ModelError, UsageError
from allport.files import sha256_of
from allport.models.respondent import Condition, Message, Question, Respondent

__all__ = [
    "OfflineWriter",
    "RespondentWriter",
    "Writer",
    "WriterCall",
    "identity_of",
    "seed_events",
]

_AT_ONCE = 8
"""Texts that a local model writes before they are kept."""
_LONGEST_REPLY = 700
"""Tokens that a local model may write."""


@dataclass(frozen=True)
class WriterCall:
    """One thing to be written."""

    stage: str
    """Name of the stage: statements, events, situation, options, paraphrase."""
    messages: tuple[Message, ...]
    seed: int
    given: Mapping[str, Any]
    """What the messages were made of, for writers that do not read."""


class Writer(Protocol):
    """Whoever writes: what it is called, what tells it from others, and its replies."""

    @property
    def name(self) -> str:
        """Shown in tables and cards."""
        ...

    @property
    def identity(self) -> str:
        """Hash of everything that decides what is written."""
        ...

    def write(self, calls: Sequence[WriterCall]) -> Iterator[tuple[int, str]]:
        """Positions and replies as they come, each call once.

        Raises:
            ModelError: It cannot be asked.
        """
        ...


def identity_of(respondent: Respondent) -> str:
    """SHA-256 of a respondent's description."""
    return sha256_of(json.dumps(respondent.describe(), sort_keys=True, default=str))


@runtime_checkable
class _Generates(Protocol):
    def generate(
        self,
        chats: Sequence[Sequence[Message]],
        *,
        max_new_tokens: int | None = None,
        seeds: Sequence[int] | None = None,
    ) -> Sequence[Any]: ...


class RespondentWriter:
    """Lets a local model or an endpoint write."""

    def __init__(self, respondent: Respondent) -> None:
        """Write with this respondent."""
        self._respondent = respondent
        self._identity = identity_of(respondent)

    @property
    def name(self) -> str:
        """The respondent's name."""
        return self._respondent.name

    @property
    def identity(self) -> str:
        """Hash of the respondent's description."""
        return self._identity

    def write(self, calls: Sequence[WriterCall]) -> Iterator[tuple[int, str]]:
        """Replies as they come; a refusal is an empty one."""
        if isinstance(self._respondent, _Generates):
            for start in range(0, len(calls), _AT_ONCE):
                some = calls[start : start + _AT_ONCE]
                replies = self._respondent.generate(
                    [call.messages for call in some],
                    max_new_tokens=_LONGEST_REPLY,
                    seeds=[call.seed for call in some],
                )
                yield from enumerate((str(reply.text) for reply in replies), start=start)
            return
        questions = [
            Question(
                item=place,
                condition=Condition("writing", "forward", call.stage),
                messages=call.messages,
                cue="",
                # Nothing is chosen; the labels are there because every question has some.
                labels=("A", "B"),
                options=("A", "B"),
                reading="generation",
                seed=call.seed,
            )
            for place, call in enumerate(calls)
        ]
        for response in self._respondent.answer(questions):
            if response.text is None and not (response.refused or response.unparsable):
                raise ModelError(f"{self.name} writes no text; name a writer that does.")
            # A service can send half of a character, which no file takes.
            yield response.item, (response.text or "").encode(errors="replace").decode()


class OfflineWriter:
    """Puts sentences of `building_offline.toml` together; the same call gives the same text.

    It is there for trying the pipeline out and for tests. Its acts come back from situation to
    situation, so that a bank of it tells nothing about how good situations are made.
    """

    name = "offline"

    @property
    def identity(self) -> str:
        """Hash of the sentences."""
        return sha256_of(json.dumps(["offline", 1, _sentences()], sort_keys=True))

    def write(self, calls: Sequence[WriterCall]) -> Iterator[tuple[int, str]]:
        """Replies in the order of the calls."""
        stages: Mapping[str, Callable[[Mapping[str, Any], random.Random], dict[str, Any]]] = {
            "statements": _statements,
            "events": _events,
            "situation": _situation,
            "options": _options,
            "paraphrase": _paraphrase,
        }
        for place, call in enumerate(calls):
            written = stages[call.stage](call.given, random.Random(call.seed))
            yield place, json.dumps(written, ensure_ascii=False)


@cache
def _sentences() -> dict[str, Any]:
    text = files("allport.corpora").joinpath("building_offline.toml").read_text("utf-8")
    return tomllib.loads(text)


def seed_events() -> tuple[str, ...]:
    """Everyday events that writers choose from."""
    return tuple(event["text"] for event in _sentences()["event"])


def _event(text: str) -> dict[str, str]:
    for event in _sentences()["event"]:
        if event["text"] == text:
            return dict(event)
    raise UsageError(f"The offline writer knows no event {text!r}; name a writer with --writer.")


def _statements(given: Mapping[str, Any], chance: random.Random) -> dict[str, Any]:
    frames = _sentences()["statement_frames"]["agree" if given["key"] > 0 else "deny"]
    first = chance.randrange(len(frames))
    return {
        "statements": [
            frames[(first + n) % len(frames)].format(item=given["seed_item"].rstrip("."))
            for n in range(given["count"])
        ]
    }


def _events(given: Mapping[str, Any], chance: random.Random) -> dict[str, Any]:
    return {"events": chance.sample(list(given["candidates"]), given["count"])}


def _situation(given: Mapping[str, Any], chance: random.Random) -> dict[str, Any]:
    event = _event(given["event"])
    sentences = _sentences()
    when = chance.choice(sentences["when"])
    more = chance.choice(sentences["more"])
    return {"situation": f"{event['situation']} {when} {more}", "question": event["question"]}


def _options(given: Mapping[str, Any], chance: random.Random) -> dict[str, Any]:
    acts = _sentences()["acts"].get(given["trait"])
    if acts is None:
        raise UsageError(
            f"The offline writer has no acts for {given['trait']}; name a writer with --writer."
        )
    topic = _event(given["event"])["topic"]
    return {
        end: [act.format(topic=topic) for act in chance.sample(acts[end], 2)]
        for end in ("high", "low")
    }


def _paraphrase(given: Mapping[str, Any], chance: random.Random) -> dict[str, Any]:
    event = _event(given["event"])
    return {
        "situation": f"{chance.choice(_sentences()['again'])} {event['again']}",
        "question": event["question_again"],
    }
