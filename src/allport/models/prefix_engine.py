"""The asking engine: what a causal language model gives to labels, each shared token run once.

    prompts ── plan_prefixes ──> trie of prefixes          run once each, as one row
                                   └─ rest of each prompt    length-sorted batches on that prefix
                                        └─ label tails         where a label has several tokens

Rows are padded on the right only: a causal model's real tokens never see what comes after them, so
no padding mask is needed. The language-model head is applied at answer positions only.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache
from transformers.cache_utils import Cache

from allport.errors import ModelError
from allport.models.forward_pass import ForwardPass
from allport.models.label_tokens import LabelTokens
from allport.models.prefix_plan import Prefix, batch_sizes, plan_prefixes
from allport.models.shared_prefix import copied_bytes, expanded, selected, shared
from allport.models.steering import RowKey, Steering

__all__ = ["LabelReading", "PrefixEngine", "Prompt"]

_LOGITS_AT_ONCE = 1 << 26


class Prompt(NamedTuple):
    """A prompt in tokens, and the labels whose probabilities are read after it."""

    tokens: NDArray[np.int32]
    labels: LabelTokens
    key: RowKey = None
    """How its row is steered; None for not at all."""


class LabelReading(NamedTuple):
    """What the labels got after one prompt."""

    prompt: int
    """Index of the prompt."""
    log_probabilities: NDArray[np.float64]
    """Of each label in full, shape (labels,)."""
    mass: float
    """Probability that any label is written."""


class _Limits(NamedTuple):
    """How much is run at once."""

    tokens: int
    """In a batch: where bigger ones are no faster."""
    overhead: int
    """Tokens that could be run in the time that a pass costs by itself."""
    cache_bytes: int
    """For copies of a prefix, where it has to be copied."""


_CPU = _Limits(768, 64, 1 << 28)
_ACCELERATOR = _Limits(16384, 512, 1 << 31)


class PrefixEngine:
    """Reads label probabilities from one model, with prefixes shared between prompts.

    Whether prefixes can be shared is found out on first need: architectures whose state is not keys
    and values get every prompt whole.
    """

    def __init__(
        self,
        passes: ForwardPass,
        batch_size: int | None = None,
        steering: Steering | None = None,
    ) -> None:
        """Wrap a model.

        Args:
            passes: Runs the model.
            batch_size: Rows in a batch; by default as many as a budget of tokens allows. Halved
                where an accelerator's memory does not hold them.
            steering: Needed where prompts have keys.
        """
        self._passes = passes
        self._steering = steering
        self._limits = _CPU if passes.device.type == "cpu" else _ACCELERATOR
        self._batch_size = batch_size

    def read(self, prompts: Sequence[Prompt]) -> Iterator[list[LabelReading]]:
        """Read the labels' probabilities after every prompt, batch by batch, in any order.

        Equal prompts with the same labels and key are run once.

        Raises:
            ModelError: One prompt alone takes more memory than there is.
        """
        numbers: dict[RowKey, int] = {None: 0}
        for prompt in prompts:
            numbers.setdefault(prompt.key, len(numbers))
        keys = [
            (
                numbers[self._sharing_key(prompt)],
                prompt.tokens.astype(">i4").tobytes(),
                id(prompt.labels),
                numbers[prompt.key],
            )
            for prompt in prompts
        ]
        rows: list[Prompt] = []
        asked: list[list[int]] = []
        for before, i in _with_previous(sorted(range(len(prompts)), key=keys.__getitem__)):
            if before is None or keys[before] != keys[i]:
                rows.append(prompts[i])
                asked.append([])
            asked[-1].append(i)
        for batch in self._read_distinct(rows):
            yield [reading._replace(prompt=i) for reading in batch for i in asked[reading.prompt]]

    def _sharing_key(self, prompt: Prompt) -> RowKey:
        """What rows must have in common to share a prefix of equal tokens."""
        if self._steering is None or prompt.key is None:
            return None
        return prompt.key if self._steering.changes_prompt(prompt.key) else None

    def _plan(self, rows: list[Prompt]) -> Prefix:
        """Prefixes of rows that are sorted by their sharing key; rows left at the root may mix."""
        whole = Prefix(np.empty(0, np.int32), 0, 0)
        groups = groupby(range(len(rows)), key=lambda row: self._sharing_key(rows[row]))
        for _, group in groups:
            members = list(group)
            root = plan_prefixes([rows[row].tokens for row in members], self._limits.overhead)
            pending = [root]
            while pending:
                prefix = pending.pop()
                prefix.rest = [members[row] for row in prefix.rest]
                pending += prefix.children
            whole.rest += root.rest
            whole.children += root.children
        if whole.children and self._passes.sharing(rows[0].tokens) == "whole":
            return Prefix(whole.tokens, 0, 0, rest=list(range(len(rows))))
        return whole

    def _read_distinct(self, rows: list[Prompt]) -> Iterator[list[LabelReading]]:
        pending: list[tuple[Prefix, Cache | None]] = [(self._plan(rows), None)]
        while pending:
            prefix, past = pending.pop()
            if prefix.stop:
                try:
                    past = self._extended(prefix, past, self._sharing_key(rows[_a_row(prefix)]))
                except torch.OutOfMemoryError as error:
                    raise _too_big(prefix.stop, self._passes.device) from error
            pending.extend((child, past) for child in reversed(prefix.children))
            waiting = deque(self._batches(rows, prefix, past))
            while waiting:
                batch = waiting.popleft()
                readings = None
                try:
                    readings = self._read_batch(rows, batch, prefix.stop, past)
                except torch.OutOfMemoryError as error:
                    if len(batch) == 1:
                        raise _too_big(len(rows[batch[0]].tokens), self._passes.device) from error
                if readings is None:  # out of the handler, so that its frames let go of tensors
                    self._halve(len(batch))
                    half = math.ceil(len(batch) / 2)
                    waiting.extendleft([batch[half:], batch[:half]])
                else:
                    yield readings

    def _halve(self, rows: int) -> None:
        self._batch_size = max(1, rows // 2)
        if self._passes.device.type == "cuda":
            torch.cuda.empty_cache()

    def _extended(self, prefix: Prefix, past: Cache | None, key: RowKey) -> Cache:
        """Run a prefix on top of its parent's cache; all of it is before the answer position."""
        cache = DynamicCache() if past is None else expanded(past, 1)
        ids = torch.from_numpy(prefix.tokens[None, prefix.start : prefix.stop].astype(np.int64))
        last = torch.tensor([[ids.shape[1] - 1]])
        self._passes.run(ids, cache, last, self._steered([key], [ids.shape[1]]))
        return cache

    def _steered(
        self, keys: list[RowKey], answer_at: list[int]
    ) -> AbstractContextManager[None] | None:
        if self._steering is None or all(key is None for key in keys):
            return None
        return self._steering.applied(keys, answer_at)

    def _batches(
        self, rows: list[Prompt], prefix: Prefix, past: Cache | None
    ) -> Iterator[list[int]]:
        """Rows of like length together, the longest first, so that what is too much shows early."""
        rest = sorted(prefix.rest, key=lambda row: -len(rows[row].tokens))
        lengths = np.array([len(rows[row].tokens) - prefix.stop for row in rest])
        if self._batch_size:
            sizes = [self._batch_size] * math.ceil(len(rest) / self._batch_size)
        else:
            most = len(rest)
            if past is not None and self._passes.sharing(rows[0].tokens) == "expanded":
                most = max(1, self._limits.cache_bytes // copied_bytes(past))
            sizes = batch_sizes(lengths, self._limits.tokens, self._limits.overhead, most)
        start = 0
        for size in sizes:
            yield rest[start : start + size]
            start += size

    def _read_batch(
        self, rows: list[Prompt], batch: list[int], start: int, past: Cache | None
    ) -> list[LabelReading]:
        """Run the tokens from `start` on of some rows, and score their labels."""
        lengths = np.array([len(rows[row].tokens) - start for row in batch])
        ids = np.zeros((len(batch), lengths.max()), np.int64)
        for i, row in enumerate(batch):
            ids[i, : lengths[i]] = rows[row].tokens[start:]
        by_labels: dict[int, list[int]] = {}
        for i, row in enumerate(batch):
            by_labels.setdefault(id(rows[row].labels), []).append(i)
        with_tails = any(rows[batch[members[0]]].labels.tails for members in by_labels.values())
        cache = self._fork(rows[batch[0]].tokens, past, len(batch), with_tails)
        last = lengths - 1
        steered = self._steered([rows[row].key for row in batch], last.tolist())
        logits = self._passes.run(
            torch.from_numpy(ids), cache, torch.from_numpy(last[:, None]), steered
        )
        logits = logits[:, 0]
        normalizer = torch.logsumexp(logits, dim=-1, keepdim=True)
        readings = []
        for members in by_labels.values():
            labels = rows[batch[members[0]]].labels
            first = [step.tokens[0] for step in labels.steps if not step.context]
            which = torch.tensor(members, device=logits.device)
            found = logits[which][:, first] - normalizer[which]
            steps = found.double().cpu().numpy()
            if labels.tails:
                chosen = [rows[batch[i]] for i in members]
                tails = self._read_tails(chosen, labels, members, lengths[members], start, cache)
                steps = np.concatenate([steps, tails], axis=1)
            scores = labels.score(steps)
            readings += [
                LabelReading(batch[i], scores.log_probabilities[k], float(scores.mass[k]))
                for k, i in enumerate(members)
            ]
        return readings

    def _fork(
        self, tokens: NDArray[np.int32], past: Cache | None, rows: int, kept: bool
    ) -> Cache | None:
        """The past of a batch; None where there is none and none is needed afterwards."""
        if past is None:
            return DynamicCache() if kept and self._passes.sharing(tokens) != "whole" else None
        if self._passes.sharing(tokens) == "shared":
            return shared(past)
        return expanded(past, rows)

    def _read_tails(
        self,
        prompts: list[Prompt],
        labels: LabelTokens,
        members: list[int],
        lengths: NDArray[np.int64],
        start: int,
        cache: Cache | None,
    ) -> NDArray[np.float64]:
        """Log-probabilities of the steps inside labels, shape (prompts, such steps).

        Tails run on the cache that the prompts have just filled, prompts of equal length together,
        so that no padding stands between a prompt and its tail.
        """
        tails, longest = labels.tails, labels.longest_tail
        steps = [step for step in labels.steps if step.context]
        places = [_place(step.context, tails) for step in steps]
        result = np.empty((len(prompts), len(steps)))
        padded = np.zeros((len(tails), longest), np.int64)
        for row, tail in zip(padded, tails, strict=True):
            row[: len(tail)] = tail
        per_row = len(tails) * longest
        logits_per_row = per_row * self._passes.vocabulary
        at_once = max(1, min(self._limits.tokens // per_row, _LOGITS_AT_ONCE // logits_per_row))
        for length in np.unique(lengths):
            same = np.flatnonzero(lengths == length)
            for some in np.array_split(same, math.ceil(len(same) / at_once)):
                ids = np.tile(padded, (len(some), 1))
                if cache is None:
                    whole = np.stack([prompts[i].tokens[start:] for i in some])
                    ids = np.concatenate([whole.repeat(len(tails), axis=0), ids], axis=1)
                    past = None
                else:
                    which = torch.tensor([members[i] for i in some])
                    past = selected(cache, which.repeat_interleave(len(tails)), start + int(length))
                positions = torch.arange(ids.shape[1] - longest, ids.shape[1])
                keys = [prompts[i].key for i in some for _ in tails]
                # Where the cache holds the prompt, everything run here is the answer.
                answer_at = 0 if cache is not None else int(length) - 1
                logits = self._passes.run(
                    torch.from_numpy(ids),
                    past,
                    positions.expand(len(ids), -1),
                    self._steered(keys, [answer_at] * len(keys)),
                ).unflatten(0, (len(some), len(tails)))  # type: ignore[no-untyped-call]  # torch
                normalizer = torch.logsumexp(logits, dim=-1)
                found = [
                    torch.logsumexp(logits[:, tail, at, list(step.tokens)], dim=-1)
                    - normalizer[:, tail, at]
                    for step, (tail, at) in zip(steps, places, strict=True)
                ]
                result[some] = torch.stack(found, dim=1).double().cpu().numpy()
        return result


def _place(context: tuple[int, ...], tails: Iterable[tuple[int, ...]]) -> tuple[int, int]:
    """Where a context ends: (tail, position in it)."""
    for i, tail in enumerate(tails):
        if tail[: len(context)] == context:
            return i, len(context) - 1
    raise AssertionError("every context begins a tail")


def _a_row(prefix: Prefix) -> int:
    """Any row that begins with a prefix."""
    while not prefix.rest:
        prefix = prefix.children[0]
    return prefix.rest[0]


def _too_big(tokens: int, device: torch.device) -> ModelError:
    return ModelError(
        f"A prompt of {tokens:,} tokens takes more memory than {device} has; use a "
        "smaller model or dtype, or shorter prompts."
    )


def _with_previous(indices: Sequence[int]) -> Iterator[tuple[int | None, int]]:
    before = None
    for i in indices:
        yield before, i
        before = i
