"""How long to wait before asking a service again."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["Backoff", "retry_after"]


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds that a service asks to wait, from its answer's headers.

    Understands `retry-after-ms` (milliseconds) and `Retry-After` in both forms of RFC 9110,
    section 10.2.3: a number of seconds, or a date.

    Args:
        headers: Headers of the answer; lower-case names, or a mapping that ignores case.
        now: The present, with a time zone; the clock's where None.

    Returns:
        Seconds, never negative; None where nothing readable is asked.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    asked = headers.get("retry-after")
    if asked is None:
        return None
    seconds = _number(asked)
    if seconds is not None:
        return max(0.0, seconds)
    try:
        when = parsedate_to_datetime(asked)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - (now or datetime.now(UTC))).total_seconds())


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that double from retry to retry, with jitter, so that askers do not march in step."""

    first: float = 0.5
    """Seconds before the first retry, at most."""
    longest: float = 30.0
    """Seconds that no wait of ours exceeds."""
    chance: random.Random = field(default_factory=random.Random)

    def wait(self, retries: int) -> float:
        """Seconds to wait after so many retries: half to all of the full wait."""
        full = min(self.longest, self.first * 2.0 ** min(retries, 60))
        return full * self.chance.uniform(0.5, 1.0)
