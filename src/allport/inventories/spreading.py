"""Some of the items in the place of all: few of them, and of every kind that there is."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from allport.inventories.inventory import Item

__all__ = ["spread_items"]


class _Kind(NamedTuple):
    """What items share that can stand for one another."""

    trait: str
    facet: str | None
    cluster: str | None
    key: int


def spread_items(items: Iterable[Item]) -> Iterator[Item]:
    """Yield items in an order whose every beginning is spread over all of them.

    As long as there are enough, numbers of items differ by one at most between traits, between the
    facets of a trait, and between the clusters of a facet. Among facets and clusters with equally
    few, the next item is of the key that is farthest behind its share of the trait's items, then of
    all items: the first item of a facet often is one of key +1, and those alone would tell a trait
    from agreeing with everything no more.

    Args:
        items: In the order that decides among items of one kind, and among kinds alike in all this.
    """
    given = tuple(items)
    waiting: defaultdict[str, defaultdict[_Kind, deque[Item]]]
    waiting = defaultdict(lambda: defaultdict(deque))
    for item in given:
        waiting[item.trait][_Kind(item.trait, item.facet, item.cluster, item.key)].append(item)
    total: Counter[tuple[object, ...]] = Counter()
    for item in given:
        total.update([(item.trait, item.key), (item.key,)])
    # Of traits, facets, clusters and keys at once: codes are texts, and keys are numbers.
    taken: Counter[tuple[object, ...]] = Counter()

    def turn(kind: _Kind) -> tuple[float, ...]:
        of_keys = ((kind.trait, kind.key), (kind.key,))
        return (
            taken[kind[:2]],
            taken[kind[:3]],
            *((taken[group] + 0.5) / total[group] for group in of_keys),
        )

    while waiting:
        trait = min(waiting, key=lambda code: taken[code,])
        kinds = waiting[trait]
        kind = min(kinds, key=turn)
        yield kinds[kind].popleft()
        taken.update([(trait,), kind[:2], kind[:3], (trait, kind.key), (kind.key,)])
        if not kinds[kind]:
            del kinds[kind]
        if not kinds:
            del waiting[trait]
