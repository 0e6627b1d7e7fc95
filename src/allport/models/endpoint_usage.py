"""What asking an endpoint takes: requests, tokens, money."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, NamedTuple

from allport.models.endpoint_errors import BudgetReached

__all__ = ["Budget", "Prices", "Usage", "estimated_prompt_tokens"]

_PER_MESSAGE = 4
"""Tokens that chat formats put around each message, about."""


class Prices(NamedTuple):
    """What a service charges, in its currency per million tokens."""

    prompt: float
    completion: float

    def of(self, prompt_tokens: float, completion_tokens: float) -> float:
        """Cost of so many tokens."""
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1e6


@dataclass(slots=True)
class Usage:
    """Counts over an endpoint's life."""

    requests: int = 0
    """Requests sent, retries included."""
    retries: int = 0
    """How many of them repeated one that failed."""
    unusable: int = 0
    """Replies that were no chat completion, or an empty one."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None
    """None where no prices are known. A reply that was lost on the way counts as estimated, since
    the service may charge for it."""


def estimated_prompt_tokens(
    messages: Sequence[Mapping[str, Any]], bytes_per_token: float = 4.0
) -> int:
    """About how many tokens a chat has, without the model's tokenizer.

    Args:
        messages: Chat messages with `content`.
        bytes_per_token: UTF-8 bytes that one token stands for; English text has 4 to 5.
    """
    size = sum(len(str(message["content"]).encode()) for message in messages)
    return ceil(size / bytes_per_token) + _PER_MESSAGE * (len(messages) + 1)


class Budget:
    """A cap on cost that holds while many requests are on their way at once.

    Before a request goes out, more than its likely cost is set aside; the reply's own figures then
    take its place. A request waits while what others have set aside might come back, and is refused
    when nothing can come back any more.
    """

    # Most texts have 3 to 5 bytes a token; at 2 the sum set aside is seldom too small.
    _CAUTIOUS_BYTES_PER_TOKEN = 2.0

    def __init__(self, usage: Usage, prices: Prices | None, cap: float | None) -> None:
        """Watch over `usage.cost`; without a cap, only add it up."""
        self._usage = usage
        self._prices = prices
        self._cap = cap
        self._set_aside = 0.0
        self._on_their_way = 0
        self._returned = asyncio.Condition()

    async def set_aside(
        self, messages: Sequence[Mapping[str, Any]], completion_tokens: int
    ) -> float:
        """Set aside the cost of one request, waiting for others where it must.

        Raises:
            BudgetReached: It does not fit into what is left.
        """
        if self._prices is None:
            return 0.0
        prompt = estimated_prompt_tokens(messages, self._CAUTIOUS_BYTES_PER_TOKEN)
        amount = self._prices.of(prompt, completion_tokens)
        async with self._returned:
            while self._cap is not None and self._spent + self._set_aside + amount > self._cap:
                if self._on_their_way == 0:
                    raise BudgetReached(
                        f"The budget of {self._cap:g} stops the run: {self._spent:.4g} is spent "
                        "and the next request does not fit; raise it and run again to go on."
                    )
                await self._returned.wait()
            self._set_aside += amount
            self._on_their_way += 1
        return amount

    async def settle(self, amount: float, cost: float) -> None:
        """Put the real cost in place of the `amount` that was set aside."""
        if self._prices is None:
            return
        async with self._returned:
            self._set_aside -= amount
            self._on_their_way -= 1
            self._usage.cost = self._spent + cost
            self._returned.notify_all()

    @property
    def _spent(self) -> float:
        return self._usage.cost or 0.0
