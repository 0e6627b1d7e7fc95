"""Who answers: questions, responses and the one way to ask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

__all__ = ["Condition", "Message", "Question", "Reading", "Respondent", "Response"]

Reading = Literal["distribution", "generation", "likelihood"]
"""Read from the distribution over labels, from what is written, or from the likelihood of each
option's text."""


class Message(NamedTuple):
    """One turn of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Condition:
    """The circumstances under which an item is asked: one cell of a design."""

    template: str
    """Name of the question template."""
    order: str
    """Name of the option order: "forward", "reversed", or digits such as "0132"."""
    form: str = "original"
    """Which wording of the item."""
    persona: str = ""
    """Name of the persona asked for; empty for none."""
    repeat: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """One item as it is put to a respondent under one condition."""

    item: int
    """Number of the item in its inventory."""
    condition: Condition
    messages: tuple[Message, ...]
    """The chat, ending with the user's turn."""
    cue: str
    """Beginning of the answer, written for the respondent, such as "Answer:"; may be empty."""
    labels: tuple[str, ...]
    """What the respondent says to choose each option, in content order (not in shown order)."""
    options: tuple[str, ...]
    """Text of each option, in content order."""
    reading: Reading = "distribution"
    seed: int = 0
    """Seed of sampling, where the reading samples."""
    neutral: tuple[Message, ...] = field(default=(), repr=False)
    """The chat with nothing in particular asked, where a likelihood is set against the one after
    it; empty for none."""


@dataclass(frozen=True, slots=True)
class Response:
    """What came back for one question.

    `probabilities` and `choice` are in content order: index 0 is the first option of the item in
    its inventory, wherever it was shown.
    """

    item: int
    condition: Condition
    probabilities: tuple[float, ...] | None
    """Over the options, summing to 1; None where nothing usable was said."""
    choice: int | None
    """Index of the chosen option; None where refused or unparsable. Ties go to the lowest index."""
    label_mass: float
    """Share of the respondent's probability that fell on labels, 0 to 1; NaN where unknown."""
    refused: bool = False
    unparsable: bool = False
    text: str | None = None
    """What was generated, where something was."""
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Respondent(Protocol):
    """Whoever answers: a local model, an endpoint, a file of human answers."""

    @property
    def name(self) -> str:
        """Short name shown in tables, such as "embedded" or "gpt-4o"."""
        ...

    def describe(self) -> dict[str, Any]:
        """Everything that identifies this respondent, JSON-ready, without secrets.

        Two respondents with equal descriptions answer alike, so a run resumes only when they match.
        """
        ...

    def answer(self, questions: Sequence[Question]) -> Iterator[Response]:
        """Answer every question, each once, in any order, as the answers come.

        Raises:
            ModelError: A question cannot be asked (too long, say); raised before any work is done.
        """
        ...
