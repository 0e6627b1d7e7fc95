"""A respondent that answers by rule: for tests, and for trying out an analysis on known truth."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from allport.errors import ModelError
from allport.models.respondent import Question, Response

__all__ = ["Script", "ScriptedRespondent"]

Script = Callable[[Question], "Sequence[float] | int | Response | None"]
"""What is answered to a question: probabilities over its options in content order, the index of the
option chosen, a whole response, or None to refuse. It must depend on nothing but the question."""


class ScriptedRespondent:
    """Answers each question with what a function of the question says, and counts the asking.

    Example:
        >>> agreeable = ScriptedRespondent(lambda question: len(question.options) - 1)
        >>> agreeable.describe()["kind"]
        'scripted'
    """

    def __init__(
        self, script: Script, name: str = "scripted", parameters: Mapping[str, Any] | None = None
    ) -> None:
        """Answer by a script.

        Args:
            script: What is answered to a question.
            name: Shown in tables.
            parameters: What tells this script from others, JSON-ready; goes into the description.
        """
        self._script = script
        self._name = name
        self._parameters = dict(parameters or {})
        self.asked: Counter[Question] = Counter()
        """How often each question was asked."""

    @property
    def name(self) -> str:
        """Short name shown in tables."""
        return self._name

    def describe(self) -> dict[str, Any]:
        """Name and parameters."""
        return {"kind": "scripted", "name": self._name, "parameters": self._parameters}

    def answer(self, questions: Sequence[Question]) -> Iterator[Response]:
        """Answer the questions one after the other, in the order given.

        Raises:
            ModelError: The script gives no probabilities, or an option that is not there.
        """
        for question in questions:
            self.asked[question] += 1
            yield _response(question, self._script(question))


def _response(question: Question, answer: Sequence[float] | int | Response | None) -> Response:
    if isinstance(answer, Response):
        return answer
    item, condition = question.item, question.condition
    if answer is None:
        return Response(item, condition, None, None, math.nan, refused=True)
    count = len(question.options)
    if isinstance(answer, int):
        if not 0 <= answer < count:
            raise ModelError(f"The script chose option {answer} of {count} on item {item}.")
        certain = tuple(float(index == answer) for index in range(count))
        return Response(item, condition, certain, answer, 1.0)
    weights = [float(weight) for weight in answer]
    mass = math.fsum(weights)
    if len(weights) != count or min(weights) < 0 or not 0 < mass <= 1 + 1e-9:
        raise ModelError(
            f"The script gave {weights} on item {item}; it takes {count} shares, 1 in all or less."
        )
    probabilities = tuple(weight / mass for weight in weights)
    choice = probabilities.index(max(probabilities))
    return Response(item, condition, probabilities, choice, min(mass, 1.0))
