"""Training sequences: a shared prefix and branches that each see the prefix and themselves only.

Positions of a branch count on from the prefix: exactly what the model meets when an inventory is
asked one item at a time. The loss is the cross-entropy to the *distribution* of answers the
simulated person would give, not to one drawn answer, which is many draws' worth of signal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from people import N_LEVELS, Array
from tokenizers import Encoding, Tokenizer

SYSTEM, USER, ASSISTANT, END = "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"
MOST_OPTIONS = 8
SITUATION_OPTIONS = 4
THINGS, PLACES = 20, 12
"""How many there are in exercises of recall."""

KNOWN = {
    **dict.fromkeys(("statement", "option", "line", "list", "person", "speaker"), N_LEVELS),
    "agreed": 1,
    "taken": 1,
    "place": SITUATION_OPTIONS,
    "thing": THINGS,
    "whereabouts": PLACES,
}
"""Kinds of places where something is to be read, and how many figures; see
`TrainingSequence.known`."""


@dataclass
class TrainingSequence:
    """One training sequence.

    `branch` is 0 on the prefix and 1, 2, ... on the branches; `targets` holds, for each supervised
    position, the token ids that may follow and their probabilities.
    """

    seed: int = 0
    """What it was drawn with, and what is drawn of it later, as which prefix tokens to predict."""
    tokens: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    branch: list[int] = field(default_factory=list)
    targets: list[tuple[int, list[int], list[float]]] = field(default_factory=list)
    summary: int = 0
    """Index of the last token of the system text, where what follows must do with that token and
    cannot see the text before it; 0 where it can."""
    known: dict[str, list[tuple[int, Array]]] = field(
        default_factory=lambda: {kind: [] for kind in KNOWN}, compare=False
    )
    """Positions, and what is to be read there. Mostly levels (see `speakers.Speaker.levels`): of a
    statement, those of somebody who agrees; of an option, those of somebody who takes it; of an
    answer, and of all answers up to it, those that they speak for; of a person otherwise described,
    their own; and where somebody is about to answer, theirs. Also "agreed", how far whoever answers
    agrees with a statement that is asked, scale points from the middle; of an option
    "taken", how likely they take it, as natural logarithm over even odds; and its "place", one of
    four. In exercises of recall, of a place that is told, the "thing" that is there; and of the
    thing that is asked for, its "whereabouts"."""
    speaker: Array | None = field(default=None, compare=False)
    """Levels of whoever answers, as far as they can be known; None where they do not matter."""

    def extend(self, tokens: Sequence[int], branch: int = 0, start: int | None = None) -> None:
        """Add tokens to a branch, from a position on; by default to the end of the prefix."""
        start = len(self.tokens) if start is None else start
        self.tokens += tokens
        self.positions += range(start, start + len(tokens))
        self.branch += [branch] * len(tokens)

    def supervise(self, answers: list[list[int]], probabilities: Array, drawn: int) -> None:
        """Targets of an answer about to be written after the last token: at each of its tokens,
        the distribution over next tokens among the answers that agree so far.
        """
        position = len(self.tokens) - 1
        for step in range(len(answers[drawn])):
            agreeing = [
                (answer[step], p)
                for answer, p in zip(answers, probabilities, strict=True)
                if len(answer) > step and answer[:step] == answers[drawn][:step]
            ]
            total = sum(p for _, p in agreeing)
            merged: dict[int, float] = {}
            for token, p in agreeing:
                merged[token] = merged.get(token, 0.0) + p / total
            self.targets.append((position + step, list(merged), list(merged.values())))

    def knows(self, kind: str, levels: Array) -> None:
        """Note levels that are to be read from the last token."""
        self.known[kind].append((len(self.tokens) - 1, levels))

    def say(self, tokens: list[int], branch: int = 0, start: int | None = None) -> None:
        """Add tokens that are the model's own turn: each is a target."""
        if self.speaker is not None:
            self.knows("speaker", self.speaker)
        self.supervise([tokens], np.ones(1), 0)
        self.extend(tokens, branch, start)

    def branch_off(
        self,
        questions: list[list[int]],
        answers: list[tuple[list[list[int]], Array, int]],
        known: list[list[tuple[str, int, Array]]],
    ) -> None:
        """Add questions that start alike as branches, each with its answers, their probabilities
        and the one drawn, and the kinds, places in it and levels that are to be read.
        """
        shared = _common_prefix(questions)
        prefix = start = len(self.tokens)
        self.extend(questions[0][:shared])
        start += shared
        for branch, (question, (options, p, drawn)) in enumerate(
            zip(questions, answers, strict=True), start=1
        ):
            for kind, at, levels in known[branch - 1]:
                place = prefix + at if at < shared else len(self.tokens) + at - shared
                self.known[kind].append((place, levels))
            self.extend(question[shared:], branch, start)
            if self.speaker is not None:
                self.knows("speaker", self.speaker)
            self.supervise(options, p, drawn)
            # The end token is a target too, but nothing follows it.
            self.extend(options[drawn][:-1], branch, start + len(question) - shared)


def last_tokens(encoded: Encoding, text: str, parts: Sequence[str]) -> list[int]:
    """Where in an encoded text the last letter of each part of it is."""
    ends = [text.index(part) + len(part.rstrip('.!?"')) - 1 for part in parts]
    return [encoded.char_to_token(end) for end in ends]


class Ids:
    """Token ids of texts, remembered."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self._known: dict[str, list[int]] = {}

    def __call__(self, text: str) -> list[int]:
        if text not in self._known:
            if len(self._known) > 100_000:
                self._known.clear()
            self._known[text] = self.tokenizer.encode(text).ids
        return self._known[text]


def _common_prefix(sequences: list[list[int]]) -> int:
    # One token is left to every branch, so that each has a position of its own to answer from.
    shortest = min(map(len, sequences)) - 1
    first = sequences[0]
    for position in range(shortest):
        if any(s[position] != first[position] for s in sequences):
            return position
    return shortest
