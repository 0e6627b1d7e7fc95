"""Which leading tokens of many prompts are worth running once for all of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Prefix", "batch_sizes", "common_length", "plan_prefixes"]

Tokens = NDArray[np.int32]


@dataclass(slots=True)
class Prefix:
    """The first `stop` tokens of some prompts; what comes before `start` is its parent's."""

    tokens: Tokens
    """Of one of the prompts, whole."""
    start: int
    stop: int
    rest: list[int] = field(default_factory=list)
    """Indices of prompts whose remaining tokens are run directly on this prefix."""
    children: list[Prefix] = field(default_factory=list)

    def all(self) -> Iterator[Prefix]:
        """This prefix and every one that stands on it."""
        pending = [self]
        while pending:
            prefix = pending.pop()
            yield prefix
            pending += prefix.children


def plan_prefixes(
    prompts: Sequence[Tokens], overhead: int, kept: Sequence[int] | None = None
) -> Prefix:
    """Plan prefix sharing over a token trie.

    A prefix of k prompts that is n tokens longer than what they share already saves (k - 1) n
    tokens, and costs something to have beside others; it is planned where it saves more than
    `overhead`, and left out again where what stands on it shares so much further on that it does
    not.

    Args:
        prompts: Token sequences, none empty, in an order where those with a common prefix stand
            together (sorted ones do).
        overhead: What a prefix costs, in tokens.
        kept: How many last tokens each prompt keeps for itself, as answers are read there; 1 by
            default.

    Returns:
        The root, an empty prefix; every index is in exactly one `rest`.
    """
    root = Prefix(np.empty(0, np.int32), 0, 0)
    if not prompts:
        return root
    keeps = [1] * len(prompts) if kept is None else kept
    shareable = [len(prompt) - own for prompt, own in zip(prompts, keeps, strict=True)]
    # common[i]: tokens that prompt i can share with the one before.
    common = np.zeros(len(prompts), np.int64)
    for i in range(1, len(prompts)):
        most = min(shareable[i - 1], shareable[i])
        common[i] = common_length(prompts[i - 1][:most], prompts[i][:most])
    planned = [root]
    pending = [(root, 0, len(prompts))]
    while pending:
        parent, first, last = pending.pop()
        if last - first == 1:
            parent.rest.append(first)
            continue
        length = int(common[first + 1 : last].min())
        if (last - first - 1) * (length - parent.stop) > overhead:
            parent.children.append(Prefix(prompts[first], parent.stop, length))
            parent = parent.children[-1]
            planned.append(parent)
        cuts = first + 1 + np.flatnonzero(common[first + 1 : last] == length)
        bounds = [first, *cuts.tolist(), last]
        pending.extend((parent, a, b) for a, b in itertools.pairwise(bounds))
    for prefix in reversed(planned):
        _dissolve_children(prefix, overhead)
    return root


def _dissolve_children(prefix: Prefix, overhead: int) -> None:
    """Let children that save too little go, and have what stands on them directly."""
    children, prefix.children = prefix.children, []
    for child in children:
        on_it = len(child.rest) + len(child.children)
        if (on_it - 1) * (child.stop - child.start) > overhead:
            prefix.children.append(child)
            continue
        prefix.rest += child.rest
        for grandchild in child.children:
            grandchild.start = prefix.stop
            prefix.children.append(grandchild)


def common_length(one: Tokens, other: Tokens) -> int:
    """How many leading tokens two sequences share."""
    shortest = min(len(one), len(other))
    differs = one[:shortest] != other[:shortest]
    return int(differs.argmax()) if differs.any() else shortest


def batch_sizes(lengths: NDArray[np.int64], budget: int, overhead: int, most: int) -> list[int]:
    """Cut rows of descending length into batches, so that little is padded and few are run.

    A batch of n rows, the longest l tokens, costs n l + overhead; the cuts that cost least in all
    are found from the last row backwards.

    Args:
        lengths: Tokens of each row, descending, each at least 1.
        budget: Tokens of a batch at most, padding included; a longer row makes a batch by itself.
        overhead: What a batch costs by itself, in tokens.
        most: Rows of a batch at most, at least 1.

    Returns:
        Rows of each batch, in order; their sum is the number of rows.
    """
    rows = len(lengths)
    cheapest = np.zeros(rows + 1)
    sizes = np.zeros(rows, np.int64)
    counts = np.arange(1, rows + 1)
    for i in range(rows - 1, -1, -1):
        length = lengths[i]
        allowed = max(1, min(most, int(budget // length), rows - i))
        costs = counts[:allowed] * length + cheapest[i + 1 : i + 1 + allowed]
        sizes[i] = 1 + int(costs.argmin())
        cheapest[i] = costs[sizes[i] - 1] + overhead
    found = []
    start = 0
    while start < rows:
        found.append(int(sizes[start]))
        start += found[-1]
    return found
