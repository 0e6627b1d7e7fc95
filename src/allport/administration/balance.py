"""Balanced fractions of a full factorial."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["balanced_fraction"]

# Enough for every fraction up to some hundred cells to settle; larger ones are good, not perfect.
_PROPOSALS = 6_000
_RESTARTS = 4

Cells = NDArray[np.intp]


def balanced_fraction(levels: Sequence[int], count: int, seed: int = 0) -> Cells:
    """Choose cells of a full factorial so that no level and no pair of levels is favoured.

    Levels of each factor are used equally often, or differ by one where the count does not divide.
    Pairs of levels of two factors are then made as even as a seeded search can: cells exchange
    levels for as long as the sum of squared pair counts does not grow.

    Args:
        levels: Number of levels of each factor.
        count: How many cells to choose, 1 to the product of `levels`.
        seed: Which of the many equally balanced fractions.

    Returns:
        Level of each factor in each chosen cell, shape (count, factors), cells distinct and in
        lexicographic order.

    Raises:
        ValueError: The count is outside 1 to the number of cells.
    """
    total = math.prod(levels)
    if not 1 <= count <= total:
        raise ValueError(f"count must be 1 to {total}, not {count}")
    grid = np.array(list(itertools.product(*map(range, levels))), dtype=np.intp)
    if count == total:
        return grid
    # What a set leaves out is as balanced as the set itself, so the smaller one is searched for.
    smaller = min(count, total - count)
    rng = np.random.default_rng(seed)
    searches = (_search(levels, smaller, rng) for _ in range(_RESTARTS))
    best = next(searches)
    for cells in searches:
        if _excess(best, levels) == 0:
            break
        best = min(best, cells, key=lambda c: _excess(c, levels))
    chosen = {tuple(cell) for cell in best.tolist()}
    inside = np.array([tuple(cell) in chosen for cell in grid.tolist()])
    kept: Cells = grid[inside if smaller == count else ~inside]
    return kept


def _search(levels: Sequence[int], count: int, rng: np.random.Generator) -> Cells:
    cells = _diagonals(levels, count, rng)
    factors = len(levels)
    if count < 2 or factors < 2:
        return cells
    taken = {tuple(cell) for cell in cells.tolist()}
    pairs = {
        (f, g): _pair_counts(cells, levels, f, g)
        for f in range(factors)
        for g in range(factors)
        if f != g
    }
    excess = _excess(cells, levels)
    for a, b, f in zip(
        rng.integers(count, size=_PROPOSALS).tolist(),
        rng.integers(count, size=_PROPOSALS).tolist(),
        rng.integers(factors, size=_PROPOSALS).tolist(),
        strict=True,
    ):
        if excess == 0:
            break
        one, other = cells[a].tolist(), cells[b].tolist()
        x, y = one[f], other[f]
        if x == y:
            continue
        new_one, new_other = one.copy(), other.copy()
        new_one[f], new_other[f] = y, x
        if tuple(new_one) in taken or tuple(new_other) in taken:
            continue
        change = 0
        for g in range(factors):
            p, q = one[g], other[g]
            if g != f and p != q:
                n = pairs[f, g]
                # Two pairs lose a cell, two gain one: (c-1)^2 - c^2 and (c+1)^2 - c^2.
                change += 4 + 2 * int(n[y, p] + n[x, q] - n[x, p] - n[y, q])
        if change > 0:
            continue
        taken -= {tuple(one), tuple(other)}
        taken |= {tuple(new_one), tuple(new_other)}
        cells[a], cells[b] = new_one, new_other
        excess += change
        for g in range(factors):
            p, q = one[g], other[g]
            if g != f and p != q:
                for table, index in ((pairs[f, g], 1), (pairs[g, f], -1)):
                    table[(x, p)[::index]] -= 1
                    table[(y, q)[::index]] -= 1
                    table[(y, p)[::index]] += 1
                    table[(x, q)[::index]] += 1
    return cells


def _diagonals(levels: Sequence[int], count: int, rng: np.random.Generator) -> Cells:
    """Distinct cells with levels of every factor equally often, give or take one.

    Stepping all factors at once walks a diagonal that meets each of its cells once and each level
    equally often; the grid is a union of such diagonals, so any run through them is balanced.
    """
    length = math.lcm(*levels)
    starts: list[tuple[int, ...]] = []
    met: set[tuple[int, ...]] = set()
    shuffled = [rng.permutation(n) for n in levels]
    grid = list(itertools.product(*map(range, levels)))
    for index in rng.permutation(len(grid)).tolist():
        if len(starts) * length >= count:
            break
        start = grid[index]
        if start in met:
            continue
        starts.append(start)
        met |= {
            tuple((s + t) % n for s, n in zip(start, levels, strict=True)) for t in range(length)
        }
    walk = [
        [(s + t) % n for s, n in zip(start, levels, strict=True)]
        for start in starts
        for t in range(length)
    ][:count]
    cells = np.array(walk, dtype=np.intp)
    return np.stack(
        [order[column] for order, column in zip(shuffled, cells.T, strict=True)], axis=1
    )


def _pair_counts(cells: Cells, levels: Sequence[int], f: int, g: int) -> NDArray[np.int64]:
    counts = np.zeros((levels[f], levels[g]), dtype=np.int64)
    np.add.at(counts, (cells[:, f], cells[:, g]), 1)
    return counts


def _excess(cells: Cells, levels: Sequence[int]) -> int:
    """Sum of squared pair counts above the least that could be: 0 means perfectly even pairs."""
    excess = 0
    for f, g in itertools.combinations(range(len(levels)), 2):
        size = levels[f] * levels[g]
        each, over = divmod(len(cells), size)
        least = (size - over) * each**2 + over * (each + 1) ** 2
        excess += int((_pair_counts(cells, levels, f, g) ** 2).sum()) - least
    return excess
