"""What is asked of a chat-completions service, and what it turned out not to take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from allport.models.respondent import Question

__all__ = ["Method", "Offers"]

Method = Literal["logprobs", "samples", "structured", "generation"]
"""How one question is read: top log-probabilities at the answer; k sampled answers, parsed; k
sampled answers in JSON that allows labels only; one answer, parsed."""

_SEEDS = 2**31
"""Services keep seeds in 32 bits, some of them signed."""
_LEADING_BLANKS = 3
"""Tokens asked for where answers begin with white space."""


@dataclass(slots=True)
class Offers:
    """What a service takes, as far as is known; it is given up one parameter at a time."""

    top_logprobs: int = 20
    """How many log-probabilities it gives at each position; 0 for none."""
    logprobs_seen: bool = False
    """Whether it has given any, so that a reply without them is a fault and not a limit."""
    several: bool = True
    """Whether one request may ask for several completions (`n`)."""
    structured: bool = True
    limit: str | None = "max_tokens"
    """Name of the token limit; None where it takes none."""
    temperature: bool = True
    top_p: bool = True
    seed: bool = True
    answer_positions: int = 1
    """Tokens asked for when the answer is read from log-probabilities."""

    def body(
        self,
        model: str,
        question: Question,
        method: Method,
        *,
        samples: int,
        temperature: float,
        answer_tokens: int,
        repeat: int = 0,
    ) -> dict[str, Any]:
        """The request for one question.

        Args:
            model: The model's name.
            question: The question.
            method: How it is read.
            samples: How many completions are wanted from this request.
            temperature: Of sampled answers. Log-probabilities are asked for at 1, where it does not
                matter whether a service gives them before or after it applies the temperature.
            answer_tokens: Limit of a sampled answer.
            repeat: Which request for the same question this is; each has its own seed.
        """
        messages = [{"role": role, "content": content} for role, content in question.messages]
        body: dict[str, Any] = {"model": model, "messages": messages}
        if self.temperature:
            body["temperature"] = 1.0 if method == "logprobs" else temperature
        if self.seed:
            body["seed"] = (question.seed + repeat) % _SEEDS
        if self.limit is not None:
            body[self.limit] = self.answer_positions if method == "logprobs" else answer_tokens
        if method == "logprobs":
            body |= {"logprobs": True, "top_logprobs": self.top_logprobs}
        elif method in ("samples", "structured"):
            if samples > 1:
                body["n"] = samples
            if self.top_p:
                # Some services cut the tail of the distribution unless told not to.
                body["top_p"] = 1.0
            if method == "structured":
                body["response_format"] = _only_labels(question.labels)
        return body

    def give_up(self, parameter: str | None, sent: Mapping[str, Any]) -> bool:
        """Ask for less after a refusal.

        Args:
            parameter: The parameter that was refused; None where the service did not say, which is
                taken for the most demanding one that has not been seen to work.
            sent: The request that was refused. Where less is asked by now, nothing is given up.

        Returns:
            Whether the question can be asked in another way.
        """
        if parameter is None:
            if "logprobs" in sent and not self.logprobs_seen:
                parameter = "logprobs"
            elif "response_format" in sent:
                parameter = "response_format"
        if parameter == "top_logprobs" and not self.logprobs_seen:
            if sent[parameter] == self.top_logprobs:
                # Several hosted services stop at 5.
                self.top_logprobs = 5 if self.top_logprobs > 5 else 0
        elif parameter == "logprobs" and not self.logprobs_seen:
            self.top_logprobs = 0
        elif parameter == "response_format":
            self.structured = False
        elif parameter == "n":
            self.several = False
        elif parameter in ("max_tokens", "max_completion_tokens"):
            if parameter == self.limit:
                self.limit = "max_completion_tokens" if parameter == "max_tokens" else None
        elif parameter == "temperature":
            self.temperature = False
        elif parameter == "top_p":
            self.top_p = False
        elif parameter == "seed":
            self.seed = False
        else:
            return False
        return True

    def expect_leading_blanks(self) -> bool:
        """Ask for a few tokens from now on; False where that is done already."""
        if self.answer_positions >= _LEADING_BLANKS or self.limit is None:
            return False
        self.answer_positions = _LEADING_BLANKS
        return True

    def limits(self) -> list[str]:
        """What the service was found not to take, by parameter, for descriptions."""
        found = {
            "logprobs": self.top_logprobs == 0,
            "top_logprobs above 5": self.top_logprobs == 5,
            "n": not self.several,
            "response_format": not self.structured,
            "max_tokens": self.limit != "max_tokens",
            "max_completion_tokens": self.limit is None,
            "temperature": not self.temperature,
            "top_p": not self.top_p,
            "seed": not self.seed,
        }
        return [parameter for parameter, is_limit in found.items() if is_limit]


def _only_labels(labels: tuple[str, ...]) -> dict[str, Any]:
    """A response format that allows one label.

    The labels are sorted, so that the schema, which the model may see, does not tell one order of
    the options from another.
    """
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "string", "enum": sorted(labels)}},
        "required": ["answer"],
        "additionalProperties": False,
    }
    return {
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": True, "schema": schema},
    }
