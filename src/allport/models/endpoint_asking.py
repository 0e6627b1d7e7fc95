"""One question to a service: asked in ever plainer ways until the service takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from allport.errors import EndpointError
from allport.models.endpoint_answers import by_logprobs, by_samples, nothing_usable
from allport.models.endpoint_connection import Connection
from allport.models.endpoint_errors import ContentRefused, ParameterRefused
from allport.models.endpoint_replies import Said, Unusable, labels_begin_apart
from allport.models.endpoint_requests import Method, Offers
from allport.models.respondent import Question, Response

__all__ = ["Answers", "Asking", "Settings"]

Answers = Literal["auto", "logprobs", "samples", "structured"]
"""How distributions are read: "auto" from log-probabilities where labels and service allow it, else
from samples; the others as named ("structured" falls back to samples where it is not offered)."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What decides how a service's model answers."""

    name: str
    base_url: str
    answers: Answers
    samples: int
    temperature: float
    answer_tokens: int
    extra: Mapping[str, Any]


@dataclass(slots=True)
class Asking:
    """Asks questions as a service's offers allow, and remembers what it does not take."""

    settings: Settings
    offers: Offers = field(default_factory=Offers)
    served_by: dict[str, str] = field(default_factory=dict)
    """What the service says of itself."""

    def method(self, question: Question) -> Method:
        """How a question is asked, as far as the service's offers are known.

        Raises:
            EndpointError: The way that was chosen is not offered.
        """
        answers = self.settings.answers
        if question.reading == "generation":
            return "generation"
        if answers == "structured" and self.offers.structured:
            return "structured"
        if answers in ("auto", "logprobs") and labels_begin_apart(question.labels):
            if self.offers.top_logprobs:
                return "logprobs"
            if answers == "logprobs":
                raise EndpointError(
                    f"{self.settings.name} at {self.settings.base_url} gives no log-probabilities; "
                    "choose answers 'auto' or 'samples'."
                )
        return "samples"

    def completions(self, method: Method) -> int:
        """How many answers a question takes."""
        return self.settings.samples if method in ("samples", "structured") else 1

    def body(
        self, question: Question, method: Method, samples: int = 1, repeat: int = 0
    ) -> dict[str, Any]:
        """The request for `samples` answers to one question, without `extra`."""
        return self.offers.body(
            self.settings.name,
            question,
            method,
            samples=samples,
            temperature=self.settings.temperature,
            answer_tokens=self.settings.answer_tokens,
            repeat=repeat,
        )

    async def respond(self, connection: Connection, question: Question) -> Response:
        """Put a question.

        Raises:
            Unusable: No reply to it could be used.
            EndpointError: The service refuses, cannot be reached, or is too slow.
        """
        while True:
            method = self.method(question)
            try:
                if method != "logprobs":
                    return await self._sampled(connection, question, method)
                response = await self._from_logprobs(connection, question)
            except ParameterRefused as refused:
                if not self.offers.give_up(refused.parameter, refused.sent):
                    raise
            except ContentRefused:
                return replace(nothing_usable(question), refused=True, unparsable=False)
            else:
                if response is not None:
                    return response

    async def _from_logprobs(self, connection: Connection, question: Question) -> Response | None:
        """None where the question is to be asked in another way."""
        body = self.body(question, "logprobs")
        try:
            reply = await connection.ask(body)
        except Unusable as unusable:
            # A model that thinks first says nothing within one token; its samples may still do.
            if not unusable.may_pass and self.offers.give_up("logprobs", body):
                return None
            raise
        self.served_by.update(reply.served_by)
        said = reply.said[0]
        if not said.positions and not said.refused:
            if self.offers.give_up("logprobs", body):
                return None
            raise Unusable("the reply has no log-probabilities")
        self.offers.logprobs_seen |= bool(said.positions)
        answer = by_logprobs(question, reply)
        if answer.begins_blank and self.offers.expect_leading_blanks():
            return None
        return answer.response

    async def _sampled(
        self, connection: Connection, question: Question, method: Method
    ) -> Response:
        wanted = self.completions(method)
        said: list[Said | None] = []
        prompt = completion = 0
        why = Unusable("the replies are empty")
        while len(said) < wanted:
            several = wanted - len(said) if self.offers.several else 1
            body = self.body(question, method, several, repeat=len(said))
            try:
                reply = await connection.ask(body)
            except Unusable as unusable:
                said += [None] * several
                why = unusable
                continue
            self.served_by.update(reply.served_by)
            if len(reply.said) < several:
                # It lets `n` pass and gives one answer all the same.
                self.offers.several = False
            said += reply.said[:several]
            prompt += reply.prompt_tokens or 0
            completion += reply.completion_tokens or 0
        if not any(said):
            raise why
        response = by_samples(question, said, method)
        return replace(response, prompt_tokens=prompt, completion_tokens=completion)

    def limits(self) -> list[str]:
        """What the service was found not to take, by parameter."""
        return self.offers.limits()

    def distributions(self) -> str:
        """How distributions are read, as far as the service's offers are known."""
        answers = self.settings.answers
        if answers == "auto":
            return "logprobs" if self.offers.top_logprobs else "samples"
        return "samples" if answers == "structured" and not self.offers.structured else answers
