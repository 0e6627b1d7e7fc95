from __future__ import annotations

import numpy as np
import pytest

from allport.psychometrics.correlation import (
    eigenvalues,
    square_matrix,
    why_singular,
    why_unusable,
)

GOOD = np.array([[1.0, 0.5, 0.2], [0.5, 1.0, 0.3], [0.2, 0.3, 1.0]])


def changed(*cells):
    matrix = GOOD.copy()
    for row, column, value in cells:
        matrix[row, column] = value
    return matrix


def test_a_good_matrix_has_nothing_wrong():
    assert why_unusable(GOOD) == ""
    assert why_singular(GOOD) == ""
    assert eigenvalues(GOOD).sum() == pytest.approx(3.0)
    assert (np.diff(eigenvalues(GOOD)) < 0).all()


@pytest.mark.parametrize(
    ("matrix", "reason"),
    [
        (changed((1, 1, np.nan)), "1 of 3 items do not vary (column 2)"),
        (np.full((7, 7), np.nan), "7 of 7 items do not vary (column 1, 2, 3, 4, 5, ...)"),
        (changed((0, 1, np.nan), (1, 0, np.nan)), "too few"),
        (changed((0, 0, 2.0)), "diagonal"),
        (changed((0, 1, 0.4)), "not symmetric"),
        (changed((0, 1, 1.4), (1, 0, 1.4)), "outside -1 to 1"),
    ],
)
def test_defects_are_named(matrix, reason):
    assert reason in why_unusable(matrix)


def test_singular_and_contradictory_matrices_are_told_apart():
    assert "singular" in why_singular(np.ones((2, 2)))
    contradiction = np.array([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]])
    assert "negative" in why_singular(contradiction)


@pytest.mark.parametrize("values", [1.0, [1.0, 2.0], np.ones((2, 3)), np.ones((0, 0))])
def test_only_square_tables_pass(values):
    with pytest.raises(ValueError, match="square"):
        square_matrix(values)
