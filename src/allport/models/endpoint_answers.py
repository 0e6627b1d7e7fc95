"""From what a service said to responses over an item's options."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from allport.models.endpoint_replies import Reply, Said, label_masses
from allport.models.endpoint_requests import Method
from allport.models.parsing import ParsedAnswer, parse_choice
from allport.models.respondent import Question, Response

__all__ = ["FromLogprobs", "by_logprobs", "by_samples", "nothing_usable"]

_BEGINS_BLANK = 0.5
"""Above this share of white space, the label stands at a later token."""


class FromLogprobs(NamedTuple):
    """A response, and whether the answer's first token was mostly white space."""

    response: Response
    begins_blank: bool


def nothing_usable(question: Question) -> Response:
    """The response to a question that got no usable reply: unparsable, and nothing else."""
    return Response(question.item, question.condition, None, None, math.nan, unparsable=True)


def by_logprobs(question: Question, reply: Reply) -> FromLogprobs:
    """Read a distribution off the log-probabilities of a reply's first completion.

    A label that the service did not report takes the most that its probability can be, since it is
    unlikely and not impossible; but never more than the likeliest label that was reported, which is
    the choice. Label mass is of what was reported alone.
    """
    said = reply.said[0]
    found = label_masses(said.positions or (), question.labels)
    probabilities = None
    choice = None
    if found.total > 0:
        choice = int(found.masses.argmax())
        most = min(found.unlisted, float(found.masses[choice]))
        masses = np.where(found.masses > 0, found.masses, most)
        probabilities = tuple((masses / masses.sum()).tolist())
    response = Response(
        question.item,
        question.condition,
        probabilities,
        choice,
        found.total if said.positions else math.nan,
        refused=said.refused and choice is None,
        unparsable=not said.refused and choice is None,
        text=said.text,
        prompt_tokens=reply.prompt_tokens or 0,
        completion_tokens=reply.completion_tokens or 0,
    )
    return FromLogprobs(response, found.blank > _BEGINS_BLANK)


def by_samples(question: Question, said: Sequence[Said | None], method: Method) -> Response:
    """Read a distribution off the shares of sampled answers, or a choice off a single one.

    Args:
        question: The question.
        said: What was said; None for a reply that could not be used.
        method: How it was asked: "samples", "structured" or "generation".
    """
    parsed = [_parsed(question, one, method) for one in said]
    counts = [sum(p.choice == i for p in parsed) for i in range(len(question.options))]
    valid = sum(counts)
    refusals = sum(p.refused and p.choice is None for p in parsed)
    refused = valid == 0 and 2 * refusals >= len(parsed)
    texts = [one.text if one is not None else None for one in said]
    return Response(
        question.item,
        question.condition,
        tuple(count / valid for count in counts) if valid else None,
        counts.index(max(counts)) if valid else None,
        # One answer, and answers that could be nothing but labels, tell nothing about label mass.
        valid / len(parsed) if method == "samples" else math.nan,
        refused=refused,
        unparsable=valid == 0 and not refused,
        text=texts[0] if len(texts) == 1 else json.dumps(texts, ensure_ascii=False),
    )


def _parsed(question: Question, said: Said | None, method: Method) -> ParsedAnswer:
    if said is None or not said.text or said.refused:
        refused = said is not None and said.refused
        return ParsedAnswer(None, refused, not refused)
    if method == "structured":
        try:
            answer = json.loads(said.text)
        except (ValueError, RecursionError):
            answer = None
        label = answer.get("answer") if isinstance(answer, dict) else None
        if label in question.labels:
            return ParsedAnswer(question.labels.index(label), False, False)
    return parse_choice(said.text, question.labels, question.options)
