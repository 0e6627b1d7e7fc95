"""One word at a time from whoever is at the keyboard, or from a stream."""

from __future__ import annotations

import os
import sys
from typing import Protocol, Self

__all__ = ["Answering", "by_key", "by_line"]

_ESCAPE, _END = "\x1b", "\x04"
_ESCAPED = {"[D": "b", "OD": "b", "[3~": "b"}
_PATIENCE = 0.05
"""Seconds within which the rest of what an arrow key sends must follow."""


class Answering(Protocol):
    """Where answers come from; to be used as a context."""

    def read(self) -> str | None:
        """The next word, in lower case and without blanks around it; None when there is no more."""
        ...

    def __enter__(self) -> Self:
        """Begin to listen."""
        ...

    def __exit__(self, *raised: object) -> None:
        """Leave the source as it was."""
        ...


def by_key() -> Answering | None:
    """Answers by single keys, without Enter; None where the terminal cannot do so."""
    try:
        import termios
    except ImportError:  # not a POSIX system
        return None
    try:
        descriptor = sys.stdin.fileno()
        termios.tcgetattr(descriptor)
    except (OSError, ValueError, termios.error):
        return None
    return _Keys(descriptor)


def by_line() -> Answering:
    """Answers by lines."""
    return _Lines()


class _Keys:
    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __enter__(self) -> Self:
        import termios

        self.before = termios.tcgetattr(self.descriptor)
        self._listen()
        return self

    def __exit__(self, *raised: object) -> None:
        import termios

        termios.tcsetattr(self.descriptor, termios.TCSADRAIN, self.before)

    def read(self) -> str | None:
        self._listen()  # again: the process may have been stopped and sent to the foreground
        while True:
            key = _key(self.descriptor)
            if key is None or key == _END:
                return None
            if key.strip():  # Enter and blanks are neither answers nor mistakes
                return key.lower()

    def _listen(self) -> None:
        import termios
        import tty

        # cbreak leaves Ctrl-C as it is: it interrupts. What was typed ahead is not thrown away.
        tty.setcbreak(self.descriptor, termios.TCSADRAIN)


class _Lines:
    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        pass

    def read(self) -> str | None:
        line = sys.stdin.readline() if sys.stdin else ""
        return line.strip().lower() if line else None


def _key(descriptor: int) -> str | None:
    """One key; the left arrow, Backspace and Delete are "b". None at the end of the input."""
    import select

    try:
        first = os.read(descriptor, 1)
    except OSError:  # the terminal is gone
        return None
    if not first:
        return None
    # What a UTF-8 character of several bytes begins with, and how many follow.
    for lead, count in {0b110: 1, 0b1110: 2, 0b11110: 3}.items():
        if first[0] >> (8 - lead.bit_length()) == lead:
            first += os.read(descriptor, count)
    key = first.decode(errors="replace")
    if key in ("\x7f", "\x08"):
        return "b"
    if key != _ESCAPE:
        return key
    rest = ""
    while len(rest) < 4 and select.select([descriptor], [], [], _PATIENCE)[0]:
        rest += os.read(descriptor, 1).decode(errors="replace")
        if rest in _ESCAPED or (len(rest) > 1 and rest[-1] not in "0123456789;["):
            break
    return _ESCAPED.get(rest, " ")
