"""Lists as options take them."""

from __future__ import annotations

__all__ = ["listed"]


def listed(text: str) -> tuple[str, ...]:
    """What stands between the commas of a text, without space around it; nothing is left out."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
