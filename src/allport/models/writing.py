"""Text written by any respondent, local or behind an endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from allport.errors import ModelError
from allport.models.respondent import Condition, Message, Question, Respondent

__all__ = ["write_texts"]


@runtime_checkable
class _Generates(Protocol):
    def generate(
        self,
        chats: Sequence[Sequence[Message]],
        *,
        max_new_tokens: int | None = None,
        seeds: Sequence[int] | None = None,
    ) -> Sequence[Any]: ...


def write_texts(
    respondent: Respondent,
    chats: Sequence[Sequence[Message]],
    *,
    max_new_tokens: int = 400,
    seed: int = 0,
) -> list[str]:
    """Let a respondent write the next turn of every chat.

    Local models write through `generate`. Of others, such as endpoints, the text of a generated
    answer is taken, whose length they limit by themselves.

    Args:
        respondent: Who writes.
        chats: Each ending with the user's turn.
        max_new_tokens: Limit of each text of a local model.
        seed: Of sampled texts; each chat has its own after it.

    Raises:
        ModelError: The respondent writes no text.
    """
    seeds = range(seed, seed + len(chats))
    if isinstance(respondent, _Generates):
        replies = respondent.generate(chats, max_new_tokens=max_new_tokens, seeds=seeds)
        return [str(reply.text) for reply in replies]
    asked = [
        Question(
            item=number,
            condition=Condition("writing", "forward"),
            messages=tuple(chat),
            cue="",
            # Nothing is chosen; the labels are there because every question has some.
            labels=("A", "B"),
            options=("A", "B"),
            reading="generation",
            seed=each,
        )
        for number, (chat, each) in enumerate(zip(chats, seeds, strict=True), start=1)
    ]
    texts = {response.item: response.text for response in respondent.answer(asked)}
    if any(texts.get(question.item) is None for question in asked):
        raise ModelError(f"{respondent.name} writes no text; name a model that does.")
    return [str(texts[question.item]) for question in asked]
