"""Heads are ranked by items left out, and ties go to earlier layers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from allport.alignment import (
    default_head_count,
    graded_targets,
    held_out_errors,
    prepare_ridge,
    rank_heads,
    second_moment,
)
from allport.errors import UsageError
from benchmarks.planted_people import planted_model, planted_people


def test_smallest_error_first_and_ties_to_the_earlier_head() -> None:
    errors = torch.tensor([[0.5, 0.2, 0.2, 0.9], [0.1, 0.1, 0.1, 0.1]])
    assert rank_heads(errors, 3).tolist() == [[1, 2, 0], [0, 1, 2]]


@pytest.mark.parametrize("count", [0, 5])
def test_more_heads_than_there_are_is_refused(count: int) -> None:
    with pytest.raises(UsageError, match=f"{count} heads were asked for, and the model has 1 to 4"):
        rank_heads(torch.zeros(1, 4), count)


@pytest.mark.parametrize(("heads", "count"), [(1, 1), (24, 6), (1024, 24)])
def test_a_quarter_of_the_heads_but_no_more_than_published(heads: int, count: int) -> None:
    assert default_head_count(heads) == count


@pytest.mark.parametrize("planted", [(0, 5), (3, 9, 14, 22)])
def test_planted_heads_are_selected(planted: tuple[int, ...]) -> None:
    model = planted_model(planted=planted, noise=0.5, seed=len(planted))
    literal, _ = planted_people(100, missing=0.001, seed=5)
    targets = graded_targets(literal)
    ridge = prepare_ridge(model.differences, second_moment(targets))
    chosen = rank_heads(held_out_errors(ridge, torch.from_numpy(targets)), len(planted)).numpy()
    assert np.isin(chosen, planted).mean() >= 0.95


def test_planted_heads_are_selected_for_one_person_alone() -> None:
    model = planted_model(noise=0.5)
    literal, traits = planted_people(50, missing=0)
    distinct = np.flatnonzero(np.linalg.norm(traits, axis=1) > 2)[:5]
    for person in distinct:
        targets = graded_targets(literal[person : person + 1])
        ridge = prepare_ridge(model.differences, second_moment(targets))
        chosen = rank_heads(held_out_errors(ridge, torch.from_numpy(targets)), 4)
        assert sorted(chosen[0].tolist()) == sorted(model.planted)
