"""What commands print: tables for people, JSON for machines."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Flag", "Json", "console", "notice", "print_json"]

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]
"""An option that is off unless it is given."""
Json = Annotated[bool, Parameter(name="--json", negative=(), show_default=False)]
"""The option that every command has: print JSON for machines and nothing else."""

_PLAIN_WIDTH = 160


def console() -> Console:
    """The console that results are printed to; plain text and wide where it is no terminal."""
    from rich.console import Console

    terminal = sys.stdout.isatty()
    return Console(
        file=sys.stdout,
        highlight=False,
        emoji=False,
        markup=False,
        width=None if terminal else _PLAIN_WIDTH,
        no_color=None if terminal else True,
    )


def print_json(content: Any) -> None:
    """Print JSON-ready content as one document."""
    # ASCII, so that it survives every pipe and every encoding.
    print(json.dumps(content, indent=1, ensure_ascii=True, allow_nan=False))


def notice(text: str) -> None:
    """Say something while working, where somebody is looking on."""
    if sys.stderr.isatty():
        print(text, file=sys.stderr)
