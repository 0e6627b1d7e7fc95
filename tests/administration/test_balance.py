from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allport.administration.balance import balanced_fraction


@st.composite
def fractions(draw: st.DrawFn) -> tuple[list[int], int, int]:
    levels = draw(st.lists(st.integers(1, 5), min_size=1, max_size=5))
    count = draw(st.integers(1, math.prod(levels)))
    return levels, count, draw(st.integers(0, 2**32 - 1))


@given(fractions())
@settings(max_examples=60, deadline=None)
def test_levels_are_used_equally_often_and_no_cell_twice(case: tuple[list[int], int, int]) -> None:
    levels, count, seed = case
    cells = balanced_fraction(levels, count, seed)
    assert cells.shape == (count, len(levels))
    assert len(np.unique(cells, axis=0)) == count
    for column, size in zip(cells.T, levels, strict=True):
        used = np.bincount(column, minlength=size)
        assert used.size == size
        assert used.max() - used.min() <= 1


@given(fractions())
@settings(max_examples=15, deadline=None)
def test_a_seed_names_one_fraction(case: tuple[list[int], int, int]) -> None:
    levels, count, seed = case
    once, again = (balanced_fraction(levels, count, seed) for _ in range(2))
    np.testing.assert_array_equal(once, again)


@pytest.mark.parametrize(
    ("levels", "count"),
    [((2, 2, 2), 4), ((2, 2, 2, 2, 2), 8), ((4, 2, 2, 2), 8), ((3, 3, 3, 3), 9), ((5, 5, 5), 25)],
)
@pytest.mark.parametrize("seed", range(3))
def test_pairs_are_perfectly_even_where_an_orthogonal_array_exists(
    levels: tuple[int, ...], count: int, seed: int
) -> None:
    cells = balanced_fraction(levels, count, seed)
    for f, g in itertools.combinations(range(len(levels)), 2):
        pairs = cells[:, f] * levels[g] + cells[:, g]
        used = np.bincount(pairs, minlength=levels[f] * levels[g])
        assert set(used) == {count // (levels[f] * levels[g])}


def test_seeds_choose_different_fractions() -> None:
    chosen = {balanced_fraction((4, 3, 2), 12, seed).tobytes() for seed in range(5)}
    assert len(chosen) > 1


@pytest.mark.parametrize("count", [0, 9])
def test_a_count_outside_the_factorial_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="count must be 1 to 8"):
        balanced_fraction((2, 2, 2), count)
