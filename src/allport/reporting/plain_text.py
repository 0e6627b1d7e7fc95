"""Text from models and files, made safe to show."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["printable"]

# Control characters move cursors and end documents; direction overrides make text read as another.
_UNPRINTABLE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff\ud800-\udfff]"
)


def printable(text: str, limit: int | None = None) -> str:
    """A text without characters that could act on whatever shows it.

    Control characters become their pictures (␛ for escape), direction overrides and what no
    document may hold become the replacement character. Tabs and line feeds stay.

    Args:
        text: Any text.
        limit: Most characters to keep; a longer text ends in "…" and says how long it was.
    """
    length = len(text)
    if limit is not None and length > limit:
        text = text[:limit]
    text = _UNPRINTABLE.sub(_picture, text)
    return text if limit is None or length <= limit else f"{text}… ({length:,} characters)"


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"
