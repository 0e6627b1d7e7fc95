"""Reading what a chat-completions service sends back, however odd it is."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LabelMasses",
    "Position",
    "Reply",
    "Said",
    "Unusable",
    "label_masses",
    "labels_begin_apart",
    "read_reply",
]

# Services round: by so much a probability, or a sum of them, may pass 1.
_ROUNDING = 1e-6
# How SentencePiece and byte-level vocabularies write spaces and line ends, where a service sends
# vocabulary entries instead of text.
_WRITTEN_BLANKS = str.maketrans({"▁": " ", "Ġ": " ", "Ċ": "\n"})


class Unusable(Exception):
    """A reply that is no chat completion, or an empty one; the text says why."""

    def __init__(self, why: str, *, may_pass: bool = True) -> None:
        """Keep why, and whether asking again could help."""
        super().__init__(why)
        self.may_pass = may_pass


class Position(NamedTuple):
    """One token of an answer, and what could have stood there."""

    token: str
    """The token that was sampled."""
    candidates: Mapping[str, float]
    """Probabilities by token, the sampled one included; not the whole vocabulary."""
    least: float
    """Least probability among the likeliest tokens that the service listed, which no token that it
    left out passes; 1 where it listed none."""


class Said(NamedTuple):
    """One completion."""

    text: str | None
    """None where the service sent no content."""
    refused: bool
    """Whether the service itself marks it as a refusal or as filtered."""
    cut_off: bool
    """Whether it stopped at the token limit."""
    positions: tuple[Position, ...] | None
    """None where the service sent no log-probabilities."""


class Reply(NamedTuple):
    """A chat completion."""

    said: tuple[Said, ...]
    """At least one."""
    prompt_tokens: int | None
    """None where the service does not count."""
    completion_tokens: int | None
    served_by: Mapping[str, str]
    """What the service says of itself: its model's full name, its configuration's fingerprint."""


class LabelMasses(NamedTuple):
    """How an answer's probability falls on labels."""

    masses: NDArray[np.float64]
    """Probability of each label, shape (options,); sums to `total`."""
    total: float
    """Label mass, 0 to 1."""
    blank: float
    """Probability that the first token is white space alone."""
    unlisted: float
    """The most that the probability of a token that the service did not list can be, above 0."""


def read_reply(raw: str) -> Reply:
    """Read the body of a chat completion.

    Raises:
        Unusable: It is not JSON, has no choices, or says nothing.
    """
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        raise Unusable("the reply is not JSON") from None
    choices = data.get("choices") if isinstance(data, dict) else None
    if not isinstance(choices, list) or not choices:
        raise Unusable("the reply has no choices")
    said = tuple(_said(choice) for choice in choices if isinstance(choice, dict))
    if not said:
        raise Unusable("the reply's choices are not objects")
    if not any(one.text or one.positions or one.refused for one in said):
        if all(one.cut_off for one in said):
            raise Unusable("the reply met its token limit before it said anything", may_pass=False)
        raise Unusable("the reply is empty")
    usage = data.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return Reply(
        said,
        _count(usage.get("prompt_tokens")),
        _count(usage.get("completion_tokens")),
        {
            key: data[key]
            for key in ("model", "system_fingerprint")
            if isinstance(data.get(key), str) and data[key]
        },
    )


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _said(choice: Mapping[str, Any]) -> Said:
    message = choice.get("message")
    message = message if isinstance(message, dict) else {}
    content, finish = message.get("content"), choice.get("finish_reason")
    return Said(
        text=content if isinstance(content, str) else None,
        refused=bool(message.get("refusal")) or finish == "content_filter",
        cut_off=finish == "length",
        positions=_positions(choice.get("logprobs")),
    )


def _positions(logprobs: object) -> tuple[Position, ...] | None:
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(content, list):
        return None
    positions = []
    for entry in content:
        if not isinstance(entry, dict) or not isinstance(entry.get("token"), str):
            return None
        candidates: dict[str, float] = {}
        least = 1.0
        tops = entry.get("top_logprobs")
        for candidate in [entry, *(tops if isinstance(tops, list) else ())]:
            token = candidate.get("token") if isinstance(candidate, dict) else None
            logprob = candidate.get("logprob") if isinstance(candidate, dict) else None
            if isinstance(token, str) and isinstance(logprob, int | float) and logprob <= _ROUNDING:
                # Several vocabulary entries may share a text; the sampled one is listed twice.
                again = candidate is not entry and token != entry["token"]
                earlier = candidates.get(token, 0.0) if again else 0.0
                probability = math.exp(min(logprob, 0.0))
                candidates[token] = earlier + probability
                if candidate is not entry and probability > 0:
                    least = min(least, probability)
        positions.append(Position(entry["token"], candidates, least))
    return tuple(positions)


def labels_begin_apart(labels: Sequence[str]) -> bool:
    """Whether one token tells the labels apart: no two begin with the same character."""
    return len({label[:1] for label in labels}) == len(labels) and all(labels)


def label_masses(positions: Sequence[Position], labels: Sequence[str]) -> LabelMasses:
    """Sum the probability of every token that says a label, with or without white space around it.

    Where the answer begins with a token of white space alone, the labels at the next position count
    with the probability of getting there.

    A token that the service did not list at a position is at most as likely as the least likely one
    of its list, and as what the list leaves of 1, up to rounding.

    Args:
        positions: The answer's tokens from its beginning.
        labels: Labels that begin apart (see `labels_begin_apart`). A token says a label when it is
            the label, or a beginning of it of at least two characters.
    """
    masses = np.zeros(len(labels))
    reach, first_blank, unlisted = 1.0, 0.0, 0.0
    for index, position in enumerate(positions):
        blank = 0.0
        for token, probability in position.candidates.items():
            bare = token.translate(_WRITTEN_BLANKS).strip()
            if not bare:
                blank += probability
                continue
            for i, label in enumerate(labels):
                if bare == label or (len(bare) > 1 and label.startswith(bare)):
                    masses[i] += reach * probability
        left = max(1.0 - sum(position.candidates.values()), _ROUNDING)
        unlisted += reach * min(position.least, left)
        if index == 0:
            first_blank = blank
        if position.token.translate(_WRITTEN_BLANKS).strip():
            break
        reach *= blank
    total = float(masses.sum())
    if total > 1.0:  # rounding of the service
        masses, total = masses / total, 1.0
    return LabelMasses(masses, total, min(first_blank, 1.0), unlisted)
