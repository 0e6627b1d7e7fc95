"""A person's literal answers as what a model is trained to say.

    question as it is measured, in tokens ──> the label of what the person said      (SFT)
                                          ──> that label rather than another one     (DPO)

Questions are those of `allport.administration.plan`: the same templates, option orders and chat
template that a model is measured with. Answers are literal, what the person said before items of
key -1 are reversed, since that is what the words of the question mean. With the options in both
orders, no letter stands for agreement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from allport.administration.design import Design
from allport.administration.planning import plan
from allport.alignment.answers_to_fit import FittingAnswers
from allport.errors import ModelError

if TYPE_CHECKING:
    from allport.models.respondent import Question
    from allport.models.transformers_model import TransformersModel

__all__ = ["AnswerExample", "answer_examples", "preference_rows", "supervised_rows"]

_IGNORED = -100
"""Label of a token without loss, for transformers and TRL."""


@dataclass(frozen=True)
class AnswerExample:
    """One question, every answer to it in tokens, and the answer the person gave."""

    question: Question
    prompt: tuple[int, ...]
    """Tokens up to where the answer is due."""
    answers: tuple[tuple[int, ...], ...]
    """Tokens of each option's label, in content order."""
    said: int
    """Content index of what the person said."""

    @property
    def completion(self) -> tuple[int, ...]:
        """Tokens of the label of what the person said."""
        return self.answers[self.said]

    @property
    def others(self) -> tuple[tuple[int, ...], ...]:
        """Tokens of every other label."""
        return self.answers[: self.said] + self.answers[self.said + 1 :]


def answer_examples(
    model: TransformersModel,
    answers: FittingAnswers,
    templates: Sequence[str] = ("letters",),
    orders: Sequence[str] = ("forward", "reversed"),
) -> list[AnswerExample]:
    """Every question of a person's answers, in tokens; missing answers make none.

    Args:
        model: Whose tokens.
        answers: Literal.
        templates: Question templates.
        orders: Option orders.

    Raises:
        UsageError: There is no such template or order.
        InventoryError: The texts are not imported.
        ModelError: A question does not fit into the model's context, or a label has no tokens.
    """
    given = zip(answers.numbers, answers.literal.tolist(), strict=True)
    literal = {number: value for number, value in given if not np.isnan(value)}
    values = [option.value for option in answers.inventory.scale]
    design = Design(templates=tuple(templates), orders=tuple(orders), items=tuple(literal))
    examples = []
    for question in plan(answers.inventory, design):
        prompt = _tokens(model, question)
        whole = [_tokens(model, question, label) for label in question.labels]
        if any(tokens[: len(prompt)] != prompt for tokens in whole):
            raise ModelError(
                f"{model.name}'s tokenizer joins an answer to the question before it, so no answer "
                f"can be trained apart (item {question.item}); use another template."
            )
        examples.append(
            AnswerExample(
                question=question,
                prompt=prompt,
                answers=tuple(tokens[len(prompt) :] for tokens in whole),
                said=values.index(literal[question.item]),
            )
        )
    return examples


def supervised_rows(examples: Sequence[AnswerExample]) -> list[dict[str, list[int]]]:
    """Rows for TRL's SFT trainer, with loss on the tokens of the label and on no other."""
    return [
        {
            "input_ids": [*example.prompt, *example.completion],
            "labels": [_IGNORED] * len(example.prompt) + [*example.completion],
        }
        for example in examples
    ]


def preference_rows(examples: Sequence[AnswerExample]) -> list[dict[str, list[int]]]:
    """Rows for TRL's DPO trainer: what the person said rather than each other option.

    Every other option is refused once. Where only some are, what is taken from them may go to an
    option that no pair speaks of.
    """
    return [
        {
            "prompt_ids": [*example.prompt],
            "chosen_ids": [*example.completion],
            "rejected_ids": [*other],
        }
        for example in examples
        for other in example.others
    ]


def _tokens(model: TransformersModel, question: Question, answer: str = "") -> tuple[int, ...]:
    return tuple(model.prompt_tokens(question.messages, answer, question.cue).tolist())
