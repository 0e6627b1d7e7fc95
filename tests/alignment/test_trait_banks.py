"""Trait banks: loadings by least squares, planted directions found, people linear in scores."""

from __future__ import annotations

import numpy as np
import pytest

from allport.alignment import fit_trait_bank, graded_targets, trait_loadings
from allport.errors import ResponsesError, UsageError
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


@pytest.fixture(scope="module")
def loadings() -> np.ndarray:
    literal, traits = planted_people(2000, missing=0)
    return trait_loadings(graded_targets(literal), traits)


def test_planted_heads_and_directions_are_found(loadings: np.ndarray) -> None:
    model = planted_model()
    bank = fit_trait_bank(model.differences, loadings, CODES, heads=4)
    assert sorted(bank.heads) == sorted(model.planted)
    for place, head in enumerate(bank.heads):
        planted = model.directions[model.planted.index(head)]
        found = bank.vectors[:, place]
        cosines = (found * planted).sum(axis=1) / np.linalg.norm(found, axis=1)
        assert (cosines >= 0.9).all()
        assert np.mean(cosines) >= 0.93


def test_a_person_is_the_sum_of_traits_by_score(loadings: np.ndarray) -> None:
    model = planted_model()
    bank = fit_trait_bank(model.differences, loadings, CODES)
    assert len(bank.heads) == 6
    scores = np.array([[1.0, -0.5, 0, 2, 0], [0, 0, 0, 0, 0]])
    heads, vectors = bank.displacements(scores)
    np.testing.assert_array_equal(heads[0], bank.heads)
    expected = bank.vectors[0] - 0.5 * bank.vectors[1] + 2 * bank.vectors[3]
    np.testing.assert_allclose(vectors[0], expected, rtol=1e-4, atol=1e-5)
    assert vectors[1].abs().max() == 0


def test_the_scoring_key_alone_makes_a_bank() -> None:
    model = planted_model(noise=0.5)
    key = np.zeros((5, 120))
    key[trait_numbers(), np.arange(120)] = planted_keys()
    bank = fit_trait_bank(model.differences, key, CODES, heads=4)
    assert sorted(bank.heads) == sorted(model.planted)


def planted_keys() -> np.ndarray:
    from allport.inventories import load_inventory

    return load_inventory("ipip-neo-120").keys


def test_what_cannot_be_fitted_is_refused(loadings: np.ndarray) -> None:
    differences = planted_model().differences
    with pytest.raises(ResponsesError, match=r"need \(4, 120\)"):
        fit_trait_bank(differences, loadings, "NEOA")
    flat = loadings.copy()
    flat[2] = 0.3
    with pytest.raises(ResponsesError, match="loadings of O are the same on every item"):
        fit_trait_bank(differences, flat, CODES)
    with pytest.raises(UsageError, match="25 heads"):
        fit_trait_bank(differences, loadings, CODES, heads=25)
    literal, traits = planted_people(4, missing=0)
    with pytest.raises(ResponsesError, match="more people"):
        trait_loadings(graded_targets(literal), traits)
    with pytest.raises(ResponsesError, match="3 people have scores and 4 have answers"):
        trait_loadings(graded_targets(literal), traits[:3])
