"""One request to a service: sent, retried, paid for, and read."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from allport.errors import EndpointError
from allport.models.endpoint_errors import hide_key, public_url, status_error
from allport.models.endpoint_replies import Reply, Said, Unusable, read_reply
from allport.models.endpoint_usage import Budget, Prices, Usage, estimated_prompt_tokens
from allport.models.retry import Backoff, retry_after

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

__all__ = ["Connection", "Patience"]

_WORTH_A_RETRY = frozenset({408, 409, 425, 429})
_NO_CONNECTION = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout"})
_QUOTA = frozenset({"insufficient_quota", "billing_hard_limit_reached"})


class Patience(NamedTuple):
    """How long and how often a service is asked."""

    timeout: float = 60.0
    """Seconds for one reply, from sending to its last byte."""
    connect_timeout: float = 10.0
    max_retries: int = 6
    """After 408, 409, 425, 429, 5xx, a lost connection or a timeout."""
    max_unusable: int = 2
    """Further tries after a reply that is no chat completion."""
    backoff: Backoff = Backoff()
    longest_wait: float = 120.0
    """Seconds; a service that asks to wait longer (Retry-After) stops the run, which resumes."""


class _Again(NamedTuple):
    """A failure that may pass."""

    why: str
    wait: float | None
    """Seconds that the service asks to wait."""
    may_be_charged: bool


class Connection:
    """Sends requests with one client, inside one event loop.

    The key lives in the client and here, and is hidden wherever the service repeats it.
    """

    def __init__(
        self,
        client: AsyncOpenAI,
        *,
        name: str,
        url: str,
        key: str,
        extra: Mapping[str, Any],
        patience: Patience,
        usage: Usage,
        budget: Budget,
        prices: Prices | None,
    ) -> None:
        """Take a client whose own retries are off."""
        self._client = client
        self._name = name
        self._url = public_url(url)
        self._key = key
        self._extra = extra
        self._patience = patience
        self._usage = usage
        self._budget = budget
        self._prices = prices
        self._not_before = 0.0
        """Loop time until which the service asked everybody to wait."""

    async def ask(self, body: Mapping[str, Any]) -> Reply:
        """Send one request until there is a chat completion.

        Raises:
            Unusable: Every reply was something else, up to the limit of tries.
            EndpointError: The service refuses, or cannot be reached, or is too slow.
            BudgetReached: The request does not fit into the budget.
        """
        for unusable in range(self._patience.max_unusable + 1):
            if unusable:
                self._usage.retries += 1
            try:
                return await self._reply(body)
            except Unusable as reply:
                self._usage.unusable += 1
                if unusable == self._patience.max_unusable or not reply.may_pass:
                    raise
            await asyncio.sleep(self._patience.backoff.wait(unusable))
        raise AssertionError("unreachable: the last try returns or raises")

    async def _reply(self, body: Mapping[str, Any]) -> Reply:
        retries = 0
        while True:
            sent = await self._send(body)
            if not isinstance(sent, _Again):
                return sent
            where = f"{self._name} at {self._url}"
            if retries >= self._patience.max_retries:
                raise EndpointError(
                    f"{where} {sent.why} {retries + 1} times in a row; check that it runs, then "
                    "run again to go on where this stopped."
                )
            if sent.wait is not None and sent.wait > self._patience.longest_wait:
                raise EndpointError(
                    f"{where} {sent.why} and asks to wait {sent.wait:.0f} seconds; run again then "
                    "to go on where this stopped."
                )
            wait = max(sent.wait or 0.0, self._patience.backoff.wait(retries))
            if sent.wait is not None:
                now = asyncio.get_running_loop().time()
                self._not_before = max(self._not_before, now + sent.wait)
            await asyncio.sleep(wait)
            retries += 1
            self._usage.retries += 1

    async def _send(self, body: Mapping[str, Any]) -> Reply | _Again:
        """Send once, and settle what it cost."""
        pause = self._not_before - asyncio.get_running_loop().time()
        if pause > 0:
            await asyncio.sleep(pause)
        limit = body.get("max_tokens") or body.get("max_completion_tokens") or 1
        amount = await self._budget.set_aside(body["messages"], limit * body.get("n", 1))
        cost = 0.0
        try:
            self._usage.requests += 1
            raw = await self._post(body)
            if isinstance(raw, _Again):
                if raw.may_be_charged:
                    cost = amount
                return raw
            if isinstance(raw, EndpointError):
                raise raw
            cost = amount  # until the reply says what it took
            reply = self._counted(read_reply(raw), body)
            cost = self._cost(reply)
            return self._without_key(reply)
        finally:
            await self._budget.settle(amount, cost)

    def _counted(self, reply: Reply, body: Mapping[str, Any]) -> Reply:
        """The reply with its tokens counted, about, where the service does not count them."""
        prompt, completion = reply.prompt_tokens, reply.completion_tokens
        if prompt is None:
            prompt = estimated_prompt_tokens(body["messages"])
        if completion is None:
            completion = sum(1 + len((said.text or "").encode()) // 4 for said in reply.said)
        self._usage.prompt_tokens += prompt
        self._usage.completion_tokens += completion
        return reply._replace(prompt_tokens=prompt, completion_tokens=completion)

    def _cost(self, reply: Reply) -> float:
        if self._prices is None:
            return 0.0
        return self._prices.of(reply.prompt_tokens or 0, reply.completion_tokens or 0)

    def _without_key(self, reply: Reply) -> Reply:
        def clean(said: Said) -> Said:
            return said._replace(text=said.text and hide_key(said.text, self._key))

        return reply._replace(
            said=tuple(clean(said) for said in reply.said),
            served_by={k: hide_key(v, self._key) for k, v in reply.served_by.items()},
        )

    async def _post(self, body: Mapping[str, Any]) -> str | _Again | EndpointError:
        """One HTTP exchange.

        Errors are returned, not raised, where the client's own exception is at hand: raised there,
        they would carry it along, and with it the request and its key.
        """
        import openai

        patience = self._patience
        try:
            # The client's timeout is for each read; a service that sends a byte now and then would
            # never meet it.
            async with asyncio.timeout(patience.timeout + patience.connect_timeout):
                raw = await self._client.chat.completions.with_raw_response.create(
                    **body, extra_body=dict(self._extra) or None
                )
                text: str = raw.text
                return text
        except openai.APIStatusError as error:
            return self._status(error, body)
        except (openai.APITimeoutError, TimeoutError) as error:
            unconnected = type(error.__cause__).__name__ in _NO_CONNECTION
            return _Again(f"did not answer within {patience.timeout:g} s", None, not unconnected)
        except openai.APIConnectionError as error:
            unconnected = type(error.__cause__).__name__ in _NO_CONNECTION
            why = "could not be reached" if unconnected else "dropped the connection"
            return _Again(why, None, not unconnected)
        except openai.OpenAIError as error:
            said = hide_key(str(error), self._key)
            return EndpointError(f"{self._name} at {self._url} cannot be asked: {said}.")

    def _status(self, error: APIStatusError, body: Mapping[str, Any]) -> _Again | EndpointError:
        status, code = error.status_code, error.code or error.type
        if (status in _WORTH_A_RETRY and code not in _QUOTA) or status >= 500:
            wait = retry_after(error.response.headers, datetime.now(UTC))
            return _Again(f"answered with status {status}", wait, may_be_charged=False)
        return status_error(
            status, error.body, name=self._name, url=self._url, sent=body, key=self._key
        )
