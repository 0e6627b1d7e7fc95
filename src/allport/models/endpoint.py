"""Language models behind an OpenAI-compatible service: vLLM, llama.cpp, Ollama, hosted models."""

from __future__ import annotations

import asyncio
import json
import os
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import urlsplit

from allport.errors import EndpointError, UsageError
from allport.models.background import stream
from allport.models.endpoint_answers import nothing_usable
from allport.models.endpoint_asking import Answers, Asking, Settings
from allport.models.endpoint_connection import Connection, Patience
from allport.models.endpoint_errors import BudgetReached, hide_key, public_url
from allport.models.endpoint_replies import Unusable, labels_begin_apart
from allport.models.endpoint_usage import Budget, Prices, Usage, estimated_prompt_tokens
from allport.models.respondent import Question, Response
from allport.models.retry import Backoff

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = ["Answers", "DryRun", "Endpoint"]

_OPENAI = "https://api.openai.com/v1"
_SHOWN = 3
_UNUSABLE_AT_FIRST = 5
"""So many questions without any usable reply mean that this is no chat service."""


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a run would send, found without sending anything."""

    url: str
    first_requests: tuple[dict[str, Any], ...]
    """Bodies of the first requests, as they would be sent."""
    requests: int
    """How many requests there would be, where none has to be repeated."""
    prompt_tokens: int
    """About; the service's own tokenizer decides."""
    completion_tokens: int
    """At most."""
    cost: float | None
    """About, from above; None without prices."""

    def as_json(self) -> str:
        """The whole as indented JSON."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return json.dumps(fields, indent=2, ensure_ascii=False)


class Endpoint:
    """A respondent behind an OpenAI-compatible chat-completions service.

    The key is taken from OPENAI_API_KEY when questions are asked, is kept nowhere, and is cut out
    of everything that the service sends back. A service without keys needs none.

    Answers are read in one of four ways, and a service that turns out not to take one of the
    parameters is asked without it for the rest of the endpoint's life (see `observed`):

    - log-probabilities of the first token, summed over the tokens that say a label; label mass is
      their sum, a lower bound where the service gives only a few of them;
    - k sampled answers, parsed; probabilities are shares among those that name an option, and label
      mass is the share of the k that do;
    - k sampled answers in JSON that can only hold a label; label mass is NaN, as nothing
      else could be said;
    - one answer, parsed, for questions whose reading is "generation".

    A reply that is no chat completion, or an empty one, is asked for up to `max_unusable` more
    times and then counted as an unparsable response. Such responses are kept back until the service
    has given one usable reply, so that a wrong address never fills a run with them: if the first
    five questions, or all, get no usable reply, it is an EndpointError.

    Example:
        >>> endpoint = Endpoint("qwen3-8b", base_url="http://localhost:8000/v1")
        >>> endpoint.name
        'qwen3-8b'
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str | None = None,
        answers: Answers = "auto",
        samples: int = 8,
        temperature: float = 1.0,
        answer_tokens: int = 64,
        concurrency: int = 8,
        timeout: float = 60.0,
        connect_timeout: float = 10.0,
        max_retries: int = 6,
        max_unusable: int = 2,
        backoff: float = 0.5,
        longest_wait: float = 120.0,
        prices: Prices | tuple[float, float] | None = None,
        max_cost: float | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        """Describe a service; nothing is sent yet.

        Args:
            name: The model's name at the service.
            base_url: Where the service is, usually ending in /v1; by default what OPENAI_BASE_URL
                says, else OpenAI's own.
            answers: How distributions are read.
            samples: Answers per question where distributions are sampled, at least 1.
            temperature: Of sampled and generated answers; 0 and above.
            answer_tokens: Limit of a sampled or generated answer. Models that think before they
                answer need hundreds.
            concurrency: Requests on their way at once, at least 1.
            timeout: Seconds for a reply.
            connect_timeout: Seconds for a connection.
            max_retries: Retries after 408, 409, 425, 429, 5xx, lost connections and timeouts.
            max_unusable: Retries after a reply that is no chat completion.
            backoff: Seconds before the first retry, doubling from there up to 30.
            longest_wait: Seconds of Retry-After that are waited for; a longer one stops the run.
            prices: Prompt and completion price per million tokens.
            max_cost: Cost at which no further request is sent; needs `prices`.
            extra: Further parameters for every request, such as
                `{"chat_template_kwargs": {"enable_thinking": False}}`.

        Raises:
            UsageError: An argument does not fit.
        """
        url = _checked_url(base_url or os.environ.get("OPENAI_BASE_URL") or _OPENAI)
        if answers not in get_args(Answers):
            raise UsageError(f"Answers {answers!r} is none of {', '.join(get_args(Answers))}.")
        for what, number, least in (
            ("samples", samples, 1),
            ("answer_tokens", answer_tokens, 1),
            ("concurrency", concurrency, 1),
            ("max_retries", max_retries, 0),
            ("max_unusable", max_unusable, 0),
            ("temperature", temperature, 0),
        ):
            if number < least:
                raise UsageError(f"{what} is {number:g}, but must be at least {least}.")
        if max_cost is not None and prices is None:
            raise UsageError("A budget needs the service's prices per million tokens.")
        self._settings = Settings(
            name, url, answers, samples, temperature, answer_tokens, dict(extra or {})
        )
        self._concurrency = concurrency
        self._patience = Patience(
            timeout, connect_timeout, max_retries, max_unusable, Backoff(backoff), longest_wait
        )
        self._prices = None if prices is None else Prices(*prices)
        self._max_cost = max_cost
        self._asking = Asking(self._settings)
        self._usage = Usage(cost=None if prices is None else 0.0)
        self._usable = False

    def __repr__(self) -> str:
        return f"Endpoint({self._settings.name!r}, base_url={self._settings.base_url!r})"

    @property
    def name(self) -> str:
        """The model's name at the service."""
        return self._settings.name

    @property
    def usage(self) -> Usage:
        """Requests, tokens and cost so far (a copy)."""
        return replace(self._usage)

    def describe(self) -> dict[str, Any]:
        """What identifies this respondent, without the key.

        It is the same before and after asking, so that a run resumes; what asking found out is in
        `observed`.
        """
        return self._shown(
            {"kind": "endpoint", **asdict(self._settings), "unreported_labels": "at most"}
        )

    def observed(self) -> dict[str, Any]:
        """What asking has found out, JSON-ready, without the key; empty before the first answer.

        `not_taken` lists the parameters that the service does not take and is no longer sent;
        `distributions` says how they are read therefore; `model` and `system_fingerprint` are what
        the service says of itself, where it does.
        """
        if not self._usable:
            return {}
        return self._shown(
            {
                "distributions": self._asking.distributions(),
                "not_taken": self._asking.limits(),
                **self._asking.served_by,
            }
        )

    def _shown(self, content: Mapping[str, Any]) -> dict[str, Any]:
        key = os.environ.get("OPENAI_API_KEY", "").strip()
        shown: dict[str, Any] = json.loads(hide_key(json.dumps(content), key))
        return shown

    def dry_run(self, questions: Sequence[Question], shown: int = _SHOWN) -> DryRun:
        """What asking these questions would send, without a network and without a key.

        Args:
            questions: The questions.
            shown: How many of the first requests to give in full.

        Raises:
            UsageError: The questions cannot be asked in the way that was chosen.
        """
        self._check(questions)
        first: list[dict[str, Any]] = []
        requests = prompt = completion = 0
        offers = self._asking.offers
        for question in questions:
            method = self._asking.method(question)
            wanted = self._asking.completions(method)
            calls, each = (1, wanted) if offers.several else (wanted, 1)
            for repeat in range(calls):
                body = self._asking.body(question, method, each, repeat)
                if len(first) < shown:
                    first.append({**body, **self._settings.extra})
                limit = self._settings.answer_tokens if offers.limit is None else body[offers.limit]
                requests += 1
                prompt += estimated_prompt_tokens(body["messages"])
                completion += each * limit
        cost = None if self._prices is None else self._prices.of(prompt, completion)
        return DryRun(
            f"{self._settings.base_url}/chat/completions",
            tuple(first),
            requests,
            prompt,
            completion,
            cost,
        )

    def answer(self, questions: Sequence[Question]) -> Iterator[Response]:
        """Answer every question once, in the order in which answers come back.

        Closing the iterator stops everything that is on its way. What was answered before an error
        is yielded before it is raised.

        Raises:
            EndpointError: The service refuses, cannot be reached, or is too slow, after retries.
            BudgetReached: The budget is spent; what was on its way has been yielded.
            UsageError: The questions cannot be asked in the way that was chosen.
        """
        questions = list(questions)
        self._check(questions)
        if not questions:
            return

        async def produce(emit: Callable[[Response], Awaitable[None]]) -> None:
            await self._answer_all(questions, emit)

        try:
            yield from stream(produce, ahead=2 * self._concurrency)
        except EndpointError as error:
            # The frames it came through hold the client, and the client holds the key.
            raise error.with_traceback(None) from None

    def _check(self, questions: Sequence[Question]) -> None:
        if any(question.reading == "likelihood" for question in questions):
            raise UsageError(
                f"{self.name} is behind a chat service, which does not tell how likely a given "
                "text is; read distributions or generated answers, or use a local model."
            )
        if any(question.cue for question in questions):
            raise UsageError(
                f"{self.name} is behind a chat service, which writes every answer from its "
                "beginning; ask without a cue, or use a local model."
            )
        if self._settings.answers != "logprobs":
            return
        for question in questions:
            if question.reading == "distribution" and not labels_begin_apart(question.labels):
                raise UsageError(
                    f"Template {question.condition.template!r} has labels that begin alike "
                    f"({', '.join(question.labels)}), which first-token log-probabilities cannot "
                    "tell apart; choose answers 'auto' or another template."
                )

    async def _answer_all(
        self, questions: Sequence[Question], emit: Callable[[Response], Awaitable[None]]
    ) -> None:
        waiting = deque(questions)
        kept_back: list[Response] = []
        stopped: list[BudgetReached] = []

        async def next_one(connection: Connection) -> None:
            question = waiting.popleft()
            try:
                response = await self._asking.respond(connection, question)
            except BudgetReached as reached:
                waiting.clear()
                stopped.append(reached)
                return
            except Unusable as reply:
                kept_back.append(nothing_usable(question))
                if not self._usable and (
                    len(kept_back) >= _UNUSABLE_AT_FIRST or len(kept_back) == len(questions)
                ):
                    raise EndpointError(self._useless(len(kept_back), str(reply))) from None
            else:
                self._usable = True
                await emit(response)
            if self._usable:
                while kept_back:
                    await emit(kept_back.pop())

        async def work(connection: Connection) -> None:
            while waiting:
                await next_one(connection)

        async with self._client() as client:
            connection = self._connection(client)
            if not self._usable:
                # One question alone finds out what the service takes, before many would.
                await next_one(connection)
            workers = [
                asyncio.create_task(work(connection))
                for _ in range(min(self._concurrency, len(waiting)))
            ]
            try:
                await asyncio.gather(*workers)
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)
        if stopped:
            raise stopped[0]

    def _client(self) -> AsyncOpenAI:
        import openai

        key = os.environ.get("OPENAI_API_KEY", "").strip()
        if not key and self._settings.base_url == _OPENAI:
            raise EndpointError(
                f"{self._settings.name} at {self._settings.base_url} needs a key: set "
                "OPENAI_API_KEY, or set OPENAI_BASE_URL to a service of your own."
            )
        if not (key.isascii() and key.isprintable()):
            raise EndpointError("OPENAI_API_KEY holds characters that no key has; set it again.")
        patience = self._patience
        return openai.AsyncOpenAI(
            api_key=key or "none",
            base_url=self._settings.base_url,
            timeout=openai.Timeout(patience.timeout, connect=patience.connect_timeout),
            max_retries=0,
        )

    def _connection(self, client: AsyncOpenAI) -> Connection:
        return Connection(
            client,
            name=self._settings.name,
            url=self._settings.base_url,
            key=client.api_key,
            extra=self._settings.extra,
            patience=self._patience,
            usage=self._usage,
            budget=Budget(self._usage, self._prices, self._max_cost),
            prices=self._prices,
        )

    def _useless(self, questions: int, why: str) -> str:
        hint = "check that the base URL usually ends in /v1 and that it serves chat completions"
        if "token limit" in why:
            hint = "raise answer_tokens, or switch the model's thinking off with `extra`"
        asked = "The first question" if questions == 1 else f"{questions} questions"
        where = f"{self._settings.name} at {self._settings.base_url}"
        return f"{asked} got no usable answer from {where} ({why}); {hint}."


def _checked_url(url: str) -> str:
    """The URL, if it is one that requests can go to and that holds no secret."""
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname)
        shown = public_url(url)
    except ValueError:
        is_url, shown = False, "given"
    if not is_url:
        raise UsageError(f"The base URL {shown!r} is none; one is http://localhost:8000/v1.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UsageError(
            f"The base URL {shown} must come without user, password and query; a key belongs in "
            "OPENAI_API_KEY."
        )
    return shown
