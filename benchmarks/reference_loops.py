"""How released code of the field asks a model: one prompt at a time, the whole prompt each time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from allport.models import Question, TransformersModel

NEW_TOKENS = 15


def prompt_text(model: TransformersModel, question: Question) -> str:
    """A question as the text that the model is given."""
    return model.chat.render(question.messages, question.cue)


def ask_by_generation(model: TransformersModel, questions: Sequence[Question]) -> list[str]:
    """Batch 1, greedy generation of 15 tokens, the answer read from the text."""
    tokenizer = model.tokenizer
    texts = []
    for question in questions:
        inputs = tokenizer(
            prompt_text(model, question), return_tensors="pt", add_special_tokens=False
        )
        with torch.no_grad():
            # transformers gives the mixin's method a type that hides its arguments.
            generate: Callable[..., torch.Tensor] = model.model.generate  # type: ignore[assignment]
            output = generate(
                **inputs,
                max_new_tokens=NEW_TOKENS,
                min_new_tokens=NEW_TOKENS,
                do_sample=False,
                pad_token_id=tokenizer.pad_token_id,
            )
        written = output[0, inputs["input_ids"].shape[1] :]
        texts.append(str(tokenizer.decode(written, skip_special_tokens=True)))
    return texts


def ask_by_logits(model: TransformersModel, questions: Sequence[Question]) -> list[list[float]]:
    """Batch 1, one pass, softmax at the last position, the labels' first tokens picked out."""
    tokenizer = model.tokenizer
    found = []
    for question in questions:
        inputs = tokenizer(
            prompt_text(model, question), return_tensors="pt", add_special_tokens=False
        )
        with torch.no_grad():
            logits = model.model(**inputs).logits[0, -1]
        probabilities = logits.softmax(-1)
        ids = [tokenizer.encode(label, add_special_tokens=False)[0] for label in question.labels]
        found.append(probabilities[ids].tolist())
    return found
