"""What steering adds for each person: vectors at the inputs of attention output projections."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Displacements", "HeadGroups", "by_head"]


class Displacements(NamedTuple):
    """What is added at strength one to the input of attention output projections, for some people.

    Heads are numbered layer * heads_per_layer + head.
    """

    heads: Tensor
    """Heads of each person, (people, selected), int64."""
    vectors: Tensor
    """What each receives, (people, selected, head_dim), float32."""

    def dense(self, heads: int) -> Tensor:
        """The same over all `heads` of the model, zero elsewhere, (people, heads * head_dim)."""
        people, _, size = self.vectors.shape
        whole = self.vectors.new_zeros((people, heads, size))
        whole.scatter_(1, self.heads[:, :, None].expand_as(self.vectors), self.vectors)
        return whole.reshape(people, heads * size)


class HeadGroups(NamedTuple):
    """Pairs of person and head, those of one head together."""

    order: Tensor
    """Positions in the flattened (people, selected), sorted by head."""
    people: Tensor
    """Person of each pair in that order."""
    parts: list[tuple[int, slice]]
    """Each head that occurs, and where its pairs lie in that order."""


def by_head(heads: Tensor) -> HeadGroups:
    """Group the pairs of person and head in `heads`, (people, selected), by head.

    Work that differs from head to head is then one product a head, whoever selected it.
    """
    flat = heads.flatten()
    order = flat.argsort(stable=True)
    ends = torch.bincount(flat).cumsum(0).tolist()
    starts = [0, *ends[:-1]]
    parts = [
        (head, slice(start, end))
        for head, (start, end) in enumerate(zip(starts, ends, strict=True))
        if end > start
    ]
    return HeadGroups(order, order // heads.shape[1], parts)
