"""Who a model should become."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Persona"]


class Persona(Protocol):
    """A personality that can be asked for in a system prompt."""

    @property
    def name(self) -> str:
        """Short name, unique within a design."""
        ...

    def system_prompt(self) -> str:
        """The system text that asks for this personality."""
        ...
