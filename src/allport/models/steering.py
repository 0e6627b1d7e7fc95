"""What the asking engine knows of steering: rows, told apart by keys, that compute otherwise."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from allport.models.respondent import Message

if TYPE_CHECKING:
    from allport.models.transformers_model import TransformersModel

__all__ = ["Aligning", "RowKey", "Steering"]

RowKey = Hashable
"""Tells which change a row gets; None for a row that gets none."""


class Steering(Protocol):
    """Changes what a model computes for rows of a pass, each row by its own key.

    One pass may hold rows of many keys. A key that `changes_prompt` changes every token of its
    rows, so that a cached prefix is shared among rows of that key only. Any other key changes
    nothing before the answer position, the last token of the prompt, and shares every prefix.
    """

    def describe(self) -> dict[str, Any]:
        """What tells this steering from others, JSON-ready."""
        ...

    def key(self, persona: str) -> RowKey:
        """The key of rows asked in the place of a persona.

        Raises:
            ModelError: There is no such persona.
        """
        ...

    def messages(self, persona: str, messages: Sequence[Message]) -> Sequence[Message]:
        """A chat with what this persona is told before it."""
        ...

    def changes_prompt(self, key: RowKey) -> bool:
        """Whether tokens before the answer position are changed as well."""
        ...

    def applied(
        self, keys: Sequence[RowKey], answer_at: Sequence[int] | None
    ) -> AbstractContextManager[None]:
        """Change the passes that are run meanwhile.

        Args:
            keys: Of each row of the passes.
            answer_at: Index of the first token of each row that is at the answer position or after
                it; None where that is the last token of every pass, as in writing.
        """
        ...


class Aligning(Protocol):
    """What a model can be aligned by; see `TransformersModel.aligned`."""

    def steering(self, model: TransformersModel) -> Steering:
        """The steering of this model.

        Raises:
            AlignmentError: It was made for another model.
        """
        ...
