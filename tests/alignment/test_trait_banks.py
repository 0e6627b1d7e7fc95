"""Trait banks: loadings by least squares, planted directions found, people linear."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from allport.alignment import (
    fit_trait_bank,
    graded_targets,
    person_displacements,
    prepare_ridge,
    second_moment,
    trait_loadings,
    trait_scores,
)
from allport.errors import ResponsesError, UsageError
from allport.inventories import load_inventory
from benchmarks.planted_people import planted_model, planted_people, trait_numbers

CODES = tuple("NEOAC")


def test_loadings_are_least_squares_on_the_answered() -> None:
    literal, traits = planted_people(300, missing=0.02)
    targets = graded_targets(literal)
    found = trait_loadings(targets, traits)
    for item in (0, 57, 119):
        known = ~np.isnan(targets[:, item])
        design = np.column_stack([np.ones(known.sum()), traits[known]])
        expected = np.linalg.lstsq(design, targets[known, item].astype(np.float64))[0][1:]
        np.testing.assert_allclose(found[:, item], expected, rtol=1e-6)


def test_scores_are_keyed_means_of_the_answered() -> None:
    targets = np.array([[1.0, 0.5, -1.0, np.nan], [np.nan, np.nan, 0.5, 1.0]])
    key = [[1, -1, 0, 0], [0, 0, 1, -1]]
    expected = [[0.25, -1.0], [np.nan, -0.25]]
    np.testing.assert_allclose(trait_scores(targets, key), expected)


@pytest.fixture(scope="module")
def targets() -> np.ndarray:
    return graded_targets(planted_people(2000, missing=0)[0])


@pytest.fixture(scope="module")
def key() -> np.ndarray:
    keys: np.ndarray = load_inventory("ipip-neo-120").keys * np.eye(5)[:, trait_numbers()]
    return keys


def test_planted_heads_and_directions_are_found(targets: np.ndarray, key: np.ndarray) -> None:
    model = planted_model()
    bank = fit_trait_bank(model.differences, targets, key, CODES, heads=4)
    assert sorted(bank.heads) == sorted(model.planted)
    for place, head in enumerate(bank.heads):
        planted = model.directions[model.planted.index(head)]
        found = bank.vectors[:, place]
        cosines = (found * planted).sum(axis=1) / np.linalg.norm(found, axis=1)
        assert (cosines >= 0.9).all()
        assert np.mean(cosines) >= 0.93


def test_a_person_is_the_sum_of_traits_by_coefficient(targets: np.ndarray, key: np.ndarray) -> None:
    bank = fit_trait_bank(planted_model().differences, targets, key, CODES)
    assert len(bank.heads) == 6
    coefficients = np.array([[1.0, -0.5, 0, 2, 0], [0, 0, 0, 0, 0]])
    heads, vectors = bank.displacements(coefficients)
    np.testing.assert_array_equal(heads[0], bank.heads)
    expected = bank.vectors[0] - 0.5 * bank.vectors[1] + 2 * bank.vectors[3]
    np.testing.assert_allclose(vectors[0], expected, rtol=1e-4, atol=1e-5)
    assert vectors[1].abs().max() == 0


def test_coefficients_are_distances_from_the_model_in_sds(
    targets: np.ndarray, key: np.ndarray
) -> None:
    bank = fit_trait_bank(planted_model().differences, targets, key, CODES)
    found = bank.coefficients(targets)
    np.testing.assert_allclose(found.std(axis=0), 1, atol=1e-6)
    _, traits = planted_people(2000, missing=0)
    for trait in range(5):
        assert np.corrcoef(found[:, trait], traits[:, trait])[0, 1] > 0.9
    # Nothing is known of a trait without answers, so that it is not moved.
    silent = targets[:1].copy()
    silent[:, key[2] != 0] = np.nan
    assert bank.coefficients(silent)[0, 2] == 0
    assert bank.coefficients(silent)[0, 1] == found[0, 1]


def test_strength_one_is_that_of_people_fitted_one_by_one(
    targets: np.ndarray, key: np.ndarray
) -> None:
    model = planted_model()
    bank = fit_trait_bank(model.differences, targets, key, CODES, heads=4)
    heads, moved = bank.displacements(bank.coefficients(targets))
    ridge = prepare_ridge(model.differences, second_moment(targets))
    alone = person_displacements(ridge, torch.from_numpy(targets), heads).vectors
    ratio = moved.norm(dim=2).square().mean().sqrt() / alone.norm(dim=2).square().mean().sqrt()
    assert 0.8 < float(ratio) < 1.25


def test_what_cannot_be_fitted_is_refused(targets: np.ndarray, key: np.ndarray) -> None:
    differences = planted_model().differences
    with pytest.raises(ResponsesError, match=r"need \(4, 120\)"):
        fit_trait_bank(differences, targets, key, "NEOA")
    with pytest.raises(ResponsesError, match="No item of O is among the 120"):
        fit_trait_bank(differences, targets, key * np.array([1, 1, 0, 1, 1])[:, None], CODES)
    with pytest.raises(UsageError, match="25 heads"):
        fit_trait_bank(differences, targets, key, CODES, heads=25)
    for people in (0, 4):
        with pytest.raises(ResponsesError, match="more people"):
            fit_trait_bank(differences, targets[:people], key, CODES)
    literal, traits = planted_people(4, missing=0)
    with pytest.raises(ResponsesError, match="3 people have scores and 4 have answers"):
        trait_loadings(graded_targets(literal), traits[:3])
