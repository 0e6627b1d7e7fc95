"""Text written by a local model, many prompts at a time, each with a seed of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from allport.errors import ModelError
from allport.models.forward_pass import ForwardPass
from allport.models.steering import RowKey, Steering

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Written", "write"]

_TOKENS_AT_ONCE = {"cpu": 2048}
_TOKENS_ELSEWHERE = 32768


class Written(NamedTuple):
    """What a model wrote after one prompt."""

    prompt: int
    """Index of the prompt."""
    tokens: tuple[int, ...]
    """What was written, without the token that ended it."""
    first: NDArray[np.float32]
    """Log-probabilities of the first token, shape (vocabulary,)."""
    ended: bool
    """It ended by itself, not by the limit."""

    @property
    def length(self) -> int:
        """Tokens written, the one that ended it included."""
        return len(self.tokens) + self.ended


def write(
    passes: ForwardPass,
    prompts: Sequence[NDArray[np.int32]],
    *,
    max_new_tokens: int,
    temperature: float,
    seeds: Sequence[int],
    ends: Sequence[int],
    batch_size: int | None = None,
    steering: Steering | None = None,
    keys: Sequence[RowKey] | None = None,
) -> Iterator[list[Written]]:
    """Write after every prompt, batch by batch, in any order.

    A sampled text depends on its prompt and seed alone, not on the batch that it is written in:
    each row adds Gumbel noise of its own generator to the scaled logits and takes the highest,
    which is a draw from the softmax.

    Args:
        passes: Runs the model.
        prompts: Token ids, each shape (length,).
        max_new_tokens: Limit of each text.
        temperature: 0 takes the most probable token each time.
        seeds: One for each prompt.
        ends: Tokens that end a text.
        batch_size: Rows in a batch; by default as many as a budget of tokens allows.
        steering: Changes what is computed for prompts that have a key.
        keys: Of each prompt; none by default.

    Raises:
        ModelError: One prompt alone takes more memory than there is.
    """
    budget = _TOKENS_AT_ONCE.get(passes.device.type, _TOKENS_ELSEWHERE)
    waiting = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
    while waiting:
        length = len(prompts[waiting[0]]) + max_new_tokens
        size = batch_size or max(1, budget // length)
        batch, rest = waiting[:size], waiting[size:]
        written = None
        try:
            noise = _Noise(temperature, [seeds[i] for i in batch])
            some = [None if keys is None else keys[i] for i in batch]
            steered: AbstractContextManager[None] = nullcontext()
            if steering is not None and any(key is not None for key in some):
                steered = steering.applied(some, None)
            with passes.lock, steered:
                written = _write_batch(
                    passes, batch, [prompts[i] for i in batch], max_new_tokens, noise, ends
                )
        except torch.OutOfMemoryError as error:
            if len(batch) == 1:
                raise ModelError(
                    f"A prompt of {length - max_new_tokens:,} tokens takes more memory than "
                    f"{passes.device} has; use a smaller model or dtype, or shorter prompts."
                ) from error
        if written is None:
            batch_size = len(batch) // 2
            if passes.device.type == "cuda":
                torch.cuda.empty_cache()
            continue
        waiting = rest
        yield written


def _write_batch(
    passes: ForwardPass,
    batch: list[int],
    prompts: list[NDArray[np.int32]],
    max_new_tokens: int,
    noise: _Noise,
    ends: Sequence[int],
) -> list[Written]:
    longest = max(map(len, prompts))
    pad = ends[0] if ends else 0
    ids = np.full((len(prompts), longest), pad, np.int64)
    mask = np.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = prompt
        mask[row, longest - len(prompt) :] = 1
    config = GenerationConfig(  # type: ignore[no-untyped-call]  # untyped in transformers
        max_new_tokens=max_new_tokens,
        do_sample=False,
        eos_token_id=list(ends) or None,
        pad_token_id=pad,
    )
    with torch.inference_mode(), _bare(passes.model):
        output = passes.model.generate(  # type: ignore[operator]  # typed as a tensor or module
            torch.from_numpy(ids).to(passes.device),
            attention_mask=torch.from_numpy(mask).to(passes.device),
            generation_config=config,
            logits_processor=LogitsProcessorList([noise]),
        )
    first = noise.first.cpu().numpy()
    rows = output[:, longest:].cpu().tolist()
    found = []
    for i, row, scores in zip(batch, rows, first, strict=True):
        end = next((k for k, token in enumerate(row) if token in ends), None)
        found.append(Written(i, tuple(row[:end]), scores, end is not None))
    return found


@contextmanager
def _bare(model: PreTrainedModel) -> Iterator[None]:
    """Take a checkpoint's own generation settings away meanwhile.

    `generate` fills in from them whatever it is not told, and some of it, such as suppressed
    tokens, cannot be told to be nothing.
    """
    get_base = getattr(model, "get_base_model", None)
    inner = model if get_base is None else get_base()
    own = inner.generation_config
    inner.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]  # transformers
    try:
        yield
    finally:
        inner.generation_config = own


class _Noise(LogitsProcessor):
    """Turns the greedy choice into a draw with a seed for each row; keeps the first scores."""

    def __init__(self, temperature: float, seeds: Sequence[int]) -> None:
        self._temperature = temperature
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.first: torch.Tensor = torch.empty(0)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if not self.first.numel():
            self.first = scores.float().log_softmax(-1)
        if self._temperature <= 0:
            return scores
        rows = [torch.empty(scores.shape[-1]).exponential_(generator=g) for g in self._generators]
        gumbel = -torch.stack(rows).log()
        return scores.float() / self._temperature + gumbel.to(scores.device)
