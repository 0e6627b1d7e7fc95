"""Asking a writer stage by stage: prompts, replies in JSON, and what becomes of unusable ones."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from allport.administration.progress import reporting
from allport.corpora.building_store import CallStore, call_key
from allport.corpora.building_writers import Writer, WriterCall
from allport.files import sha256_of
from allport.models.respondent import Message

__all__ = ["Job", "Made", "StageYield", "ask_writer", "parse_reply", "prompt_version", "seed_of"]

_Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class _Reply(BaseModel):
    # Models like to add a remark of their own; it does no harm.
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Statements(_Reply):
    statements: tuple[_Line, ...]


class _Events(_Reply):
    events: tuple[_Line, ...]


class _Situation(_Reply):
    situation: _Line
    question: _Line


class _Options(_Reply):
    high: tuple[_Line, _Line]
    low: tuple[_Line, _Line]


_FORMS: Mapping[str, type[_Reply]] = {
    "statements": _Statements,
    "events": _Events,
    "situation": _Situation,
    "options": _Options,
    "paraphrase": _Situation,
}


@dataclass(frozen=True)
class Job:
    """One thing that a stage has to write."""

    stage: str
    given: Mapping[str, Any]
    """Fields of the prompt; `count`, where several things are wanted in a list."""


class Made(NamedTuple):
    """A usable reply and where it came from."""

    content: Mapping[str, Any]
    call: str
    """Key of the call in the store."""
    seed: int


@dataclass
class StageYield:
    """What went into a stage, what came out, and why the rest did not."""

    stage: str
    given: int = 0
    kept: int = 0
    replies: int = 0
    """Replies that were looked at, repeated askings among them."""
    invalid: Counter[str] = field(default_factory=Counter)
    """Replies that could not be used, by what was wrong with them."""
    dropped: Counter[str] = field(default_factory=Counter)
    """What did not come out, by reason."""

    def as_json(self) -> dict[str, Any]:
        """The same, JSON-ready."""
        return {**vars(self), "invalid": dict(self.invalid), "dropped": dict(self.dropped)}


@cache
def _prompts() -> dict[str, str]:
    text = files("allport.corpora").joinpath("building_prompts.toml").read_text("utf-8")
    return tomllib.loads(text)


def prompt_version() -> str:
    """Version of the prompts, with the beginning of a hash of their texts."""
    prompts = _prompts()
    return f"{prompts['version']}-{sha256_of(json.dumps(prompts, sort_keys=True))[:8]}"


def seed_of(*parts: object) -> int:
    """A seed of 31 bits for a call, from whatever tells it from others."""
    return int(sha256_of(json.dumps(parts, default=str))[:8], 16) >> 1


def parse_reply(stage: str, text: str, count: int = 1) -> Mapping[str, Any]:
    """Read the JSON object in a writer's reply, whatever stands around it.

    Args:
        stage: Name of the stage, which says the form.
        text: The reply.
        count: How many entries its list must have, where the form is a list; more are cut off.

    Raises:
        ValueError: It holds none, or one of another form; the message says which.
    """
    if not text.strip():
        raise ValueError("nothing was written")
    content = _object(text)
    if content is None:
        raise ValueError("it holds no JSON object")
    try:
        reply = _FORMS[stage].model_validate(content)
    except ValidationError:
        raise ValueError("the JSON has another form") from None
    fields = {
        name: list(value) if isinstance(value, tuple) else " ".join(value.split())
        for name, value in dict(reply).items()
    }
    for name, value in fields.items():
        if not isinstance(value, list):
            continue
        lines = [" ".join(line.split()) for line in value]
        if stage == "options":
            fields[name] = lines
            continue
        different = list(dict.fromkeys(lines))
        if len(different) < count:
            raise ValueError("the list has too few different entries")
        fields[name] = different[:count]
    return fields


def _object(text: str) -> Any:
    decoder = json.JSONDecoder()
    start = text.find("{")
    while start >= 0:
        try:
            return decoder.raw_decode(text, start)[0]
        except (ValueError, RecursionError):
            start = text.find("{", start + 1)
    return None


def ask_writer(
    writer: Writer,
    store: CallStore,
    jobs: Sequence[Job],
    tally: StageYield,
    *,
    seed: int,
    retries: int,
    progress: Literal["bar"] | None = None,
) -> list[Made | None]:
    """Have every job written, each as often as `retries` allows beyond the first.

    What the store has is not asked again. A reply that cannot be used is asked for anew under
    another seed, and the writer is told what was wrong.

    Returns:
        In the order of the jobs; None where no reply could be used.
    """
    made: list[Made | None] = [None] * len(jobs)
    why = [""] * len(jobs)
    waiting = list(range(len(jobs)))
    title = f"{tally.stage} by {writer.name}"
    with reporting(progress, title, 0, len(jobs)) as told:
        for attempt in range(retries + 1):
            calls = [_call(jobs[place], seed, attempt, why[place]) for place in waiting]
            keys = [
                call_key([c.stage, [list(m) for m in c.messages]], writer.identity, c.seed)
                for c in calls
            ]
            replies = {key: kept for key in keys if (kept := store.reply(key)) is not None}
            # By key, so that two jobs that come to the same words are one call.
            missing = {k: c for k, c in zip(keys, calls, strict=True) if k not in replies}
            names = list(missing)
            for place, text in writer.write([*missing.values()]):
                call = missing[names[place]]
                store.add(
                    names[place],
                    text,
                    stage=call.stage,
                    asked_of=writer.name,
                    seed=call.seed,
                    prompt=call.messages[-1].content,
                )
                replies[names[place]] = text
                told(len(jobs) - len(waiting) + len(replies))
            failed = []
            for n, place in enumerate(waiting):
                tally.replies += 1
                try:
                    content = parse_reply(
                        jobs[place].stage, replies.get(keys[n], ""), _count(jobs[place])
                    )
                except ValueError as error:
                    why[place] = str(error)
                    tally.invalid[str(error)] += 1
                    failed.append(place)
                else:
                    made[place] = Made(content, keys[n], calls[n].seed)
            waiting = failed
            if not waiting:
                break
    for place in waiting:
        tally.dropped[f"no usable reply: {why[place]}"] += _count(jobs[place])
    return made


def _count(job: Job) -> int:
    return int(job.given.get("count", 1))


def _call(job: Job, seed: int, attempt: int, why: str) -> WriterCall:
    prompts = _prompts()
    text = prompts[job.stage].strip().format(**job.given)
    if attempt:
        text = f"{text}\n\n{prompts['again'].format(why=why)}"
    return WriterCall(
        job.stage,
        (Message("system", prompts["system"]), Message("user", text)),
        seed_of(seed, text, attempt),
        job.given,
    )
