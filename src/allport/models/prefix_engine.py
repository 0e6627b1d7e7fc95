"""The asking engine: what a causal language model gives to labels, each shared token run once.

    prompts ── with what is run after them to read the labels ──> sequences
    sequences ── plan_prefixes ──> trie of prefixes     run level by level, many prefixes a pass
                                     └─ rest of each      length-sorted batches over many prefixes

Rows are padded on the right only: a causal model's real tokens never see what comes after them, so
no padding mask is needed. The language-model head is applied where labels are read only.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.cache_utils import Cache

from allport.errors import ModelError
from allport.models.forward_pass import ForwardPass
from allport.models.label_reading import LabelReader, LabelReading, Prompt
from allport.models.prefix_plan import Prefix, batch_sizes, plan_prefixes
from allport.models.shared_prefix import Chain, segment
from allport.models.steering import RowKey, Steering

__all__ = ["LabelReading", "PrefixEngine", "Prompt"]

_LOGITS_AT_ONCE = 1 << 26


class _Row(NamedTuple):
    """Tokens of one row of a pass."""

    tokens: NDArray[np.int32]
    chain: Chain
    """What stands before them."""
    key: RowKey
    answer_at: int
    """Index of the first token at or after the answer position."""
    read_at: list[int]
    """Indices of the tokens whose logits are wanted."""
    kept: bool = False
    """Whether the keys and values of its tokens are wanted."""


_Planned = tuple[Prefix, Chain]
"""A prefix, and the chain that it stands on or ends."""
_Waiting = tuple[int, Chain]
"""Index of a run, and the chain that the rest of it stands on."""


class _Limits(NamedTuple):
    """How much is run at once."""

    tokens: int
    """In a batch: where bigger ones are no faster."""
    overhead: int
    """Tokens that could be run in the time that a prefix costs by itself."""
    pass_overhead: int
    """Tokens that could be run in the time that a pass costs by itself."""
    cache_bytes: int
    """For prefixes that are kept at a time, and for copies of one, where it has to be copied."""


_CPU = _Limits(1024, 24, 96, 1 << 28)
_ACCELERATOR = _Limits(16384, 64, 512, 1 << 31)


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
                numbers[self._sharing_key(prompt.key)],
                prompt.tokens.astype(">i4").tobytes(),
                id(prompt.labels),
                numbers[prompt.key],
            )
            for prompt in prompts
        ]
        distinct: list[Prompt] = []
        asked: list[list[int]] = []
        order = sorted(range(len(prompts)), key=keys.__getitem__)
        for _, group in groupby(order, key=keys.__getitem__):
            asked.append(list(group))
            distinct.append(prompts[asked[-1][0]])
        for batch in self._read_distinct(distinct):
            yield [reading._replace(prompt=i) for reading in batch for i in asked[reading.prompt]]

    def _sharing_key(self, key: RowKey) -> RowKey:
        """What rows must have in common to share a prefix of equal tokens."""
        if self._steering is None or key is None:
            return None
        return key if self._steering.changes_prompt(key) else None

    def _read_distinct(self, prompts: list[Prompt]) -> Iterator[list[LabelReading]]:
        """Read prompts that are sorted by their sharing key; those that share nothing may mix."""
        reader = LabelReader(prompts)
        alone: list[_Waiting] = []
        groups = groupby(
            range(len(reader.runs)), key=lambda i: self._sharing_key(reader.runs[i].key)
        )
        for key, group in groups:
            members = list(group)
            runs = [reader.runs[i] for i in members]
            root = plan_prefixes(
                [run.tokens for run in runs],
                self._limits.overhead,
                [len(run.tokens) - run.answer_at for run in runs],
            )
            if root.children and self._passes.sharing(runs[0].tokens) == "whole":
                root = Prefix(root.tokens, 0, 0, rest=list(range(len(members))))
            alone += [(members[i], ()) for i in root.rest]
            for prefix in root.all():
                prefix.rest = [members[i] for i in prefix.rest]
            yield from self._read_level(reader, [(child, ()) for child in root.children], [], key)
        yield from self._read_rest(reader, alone)

    def _read_level(
        self, reader: LabelReader, level: list[_Planned], waiting: list[_Waiting], key: RowKey
    ) -> Iterator[list[LabelReading]]:
        """Read all that stands on some prefixes, and what waits to be read with it."""
        while level:
            groups = self._fitting(level)
            if len(groups) > 1:
                for group in groups:
                    yield from self._read_level(reader, group, waiting, key)
                    waiting = []
                return
            below: list[_Planned] = []
            for prefix, chain in self._run_prefixes(level, key):
                waiting += [(i, chain) for i in prefix.rest]
                below += [(child, chain) for child in prefix.children]
            level = below
        yield from self._read_rest(reader, waiting)

    def _fitting(self, level: list[_Planned]) -> list[list[_Planned]]:
        """Cut a level where what is kept of it and of all under it becomes too much."""
        groups: list[list[_Planned]] = []
        kept = math.inf
        for prefix, chain in level:
            size = sum(each.stop - each.start for each in prefix.all())
            size *= self._passes.bytes_per_token
            if kept + size > self._limits.cache_bytes:
                groups.append([])
                kept = 0
            groups[-1].append((prefix, chain))
            kept += size
        return groups

    def _run_prefixes(self, level: list[_Planned], key: RowKey) -> Iterator[_Planned]:
        """Run prefixes, all before the answer position, and give each with the chain it ends."""
        rows = [
            _Row(prefix.tokens[prefix.start : prefix.stop], chain, key, prefix.stop, [], True)
            for prefix, chain in level
        ]
        for batch, _, cache in self._run(rows):
            assert cache is not None
            tokens = max(len(rows[i].tokens) for i in batch)
            for place, i in enumerate(batch):
                prefix, chain = level[i]
                yield prefix, (*chain, segment(cache, place, tokens, prefix.start, prefix.stop))

    def _read_rest(
        self, reader: LabelReader, waiting: list[_Waiting]
    ) -> Iterator[list[LabelReading]]:
        """Run what is left of prompts on their chains, and read their labels."""
        waiting = sorted(waiting, key=lambda one: one[0])  # those with one prefix side by side
        rows = []
        for i, chain in waiting:
            run, start = reader.runs[i], chain[-1].stop if chain else 0
            read_at = [at - start for at in run.read_at]
            rows.append(_Row(run.tokens[start:], chain, run.key, run.answer_at - start, read_at))
        for batch, logits, _ in self._run(rows):
            yield reader.read([waiting[i][0] for i in batch], logits)

    def _run(self, rows: list[_Row]) -> Iterator[tuple[list[int], torch.Tensor, Cache | None]]:
        """Run rows in batches.

        Returns:
            Indices of the rows of each batch, ascending, their logits and their cache.

        Raises:
            ModelError: One row alone takes more memory than there is.
        """
        pending = deque(self._batches(rows))
        while pending:
            batch = pending.popleft()
            found = None
            try:
                found = self._run_batch([rows[i] for i in batch])
            except torch.OutOfMemoryError as error:
                if len(batch) == 1:
                    [row] = (rows[i] for i in batch)
                    before = row.chain[-1].stop if row.chain else 0
                    raise ModelError(
                        f"A prompt of {before + len(row.tokens):,} tokens takes more memory than "
                        f"{self._passes.device} has; use a smaller model or dtype, or shorter "
                        "prompts."
                    ) from error
            if found is None:  # out of the handler, so that its frames let go of tensors
                half = math.ceil(len(batch) / 2)
                self._batch_size = max(1, len(batch) // 2)
                if self._passes.device.type == "cuda":
                    torch.cuda.empty_cache()
                pending.extendleft([batch[half:], batch[:half]])
            else:
                yield batch, *found

    def _batches(self, rows: list[_Row]) -> Iterator[list[int]]:
        """Rows of like length together, the longest first, so that what is too much shows early."""
        together: dict[int, list[int]] = {}
        copying = any(row.chain for row in rows) and not self._passes.mixes_chains
        for i, row in enumerate(rows):
            together.setdefault(id(row.chain) if copying else 0, []).append(i)
        for members in together.values():
            members.sort(key=lambda i: -len(rows[i].tokens))
            if self._batch_size:
                sizes = [self._batch_size] * math.ceil(len(members) / self._batch_size)
            else:
                lengths = np.array([len(rows[i].tokens) for i in members])
                places = max(len(rows[i].read_at) for i in members)
                most = _LOGITS_AT_ONCE // (max(1, places) * self._passes.vocabulary)
                if copying:
                    copied = sum(part.nbytes for part in rows[members[0]].chain)
                    most = min(most, self._limits.cache_bytes // max(1, copied))
                limits = self._limits
                sizes = batch_sizes(lengths, limits.tokens, limits.pass_overhead, max(1, most))
            start = 0
            for size in sizes:
                yield sorted(members[start : start + size])
                start += size

    def _run_batch(self, rows: list[_Row]) -> tuple[torch.Tensor, Cache | None]:
        ids = np.zeros((len(rows), max(len(row.tokens) for row in rows)), np.int64)
        wanted = np.zeros(ids.shape, bool)
        for i, row in enumerate(rows):
            ids[i, : len(row.tokens)] = row.tokens
            wanted[i, row.read_at] = True
        past = None
        if any(row.kept or row.chain for row in rows):
            past = self._passes.past([row.chain for row in rows])
        steered: AbstractContextManager[None] | None = None
        if self._steering is not None and any(row.key is not None for row in rows):
            steered = self._steering.applied(
                [row.key for row in rows], [row.answer_at for row in rows]
            )
        logits = self._passes.run(torch.from_numpy(ids), past, torch.from_numpy(wanted), steered)
        return logits, past
