"""PAS by directions of a population: planted ones are found, and people are moved along them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.alignment.planted import PLANTED, SIZE, Planted

from allport.alignment import (
    Alignment,
    AskedAnswers,
    compose,
    fit,
    fit_pas_traits,
    load_alignment,
    model_sites,
    save_alignment,
    sign_flipped,
)
from allport.corpora import PeopleCorpus, person_from_levels, simulate_people
from allport.errors import AlignmentError, ResponsesError, UsageError
from allport.inventories import load_inventory
from allport.models import load_model
from allport.models.transformers_model import TransformersModel
from allport.personas import Person, TraitLevels

LEVELS = np.array([-0.6, 0.8, 0.3, -0.2, 0.5])
OPTIONS: dict[str, Any] = {
    "directions": 5,
    "contrasts": ("yes-no",),
    "templates": ("words",),
    "heads": 3,
    "cache": False,
}


@pytest.fixture(scope="module")
def people(planted: Planted) -> PeopleCorpus:
    """People who answer the planted inventory by its traits, and by chance a little."""
    rng = np.random.default_rng(1)
    levels = rng.normal(0, 0.5, (300, 5))
    answers = 3 + 2 * levels @ planted.traits.T + rng.normal(0, 0.4, (300, len(planted.traits)))
    codes = np.clip(np.rint(answers), 1, 5).astype(np.int8)
    about = pl.DataFrame({"id": [f"p{number}" for number in range(300)]})
    return PeopleCorpus("planted-people", planted.inventory, about, codes, simulated=True)


@pytest.fixture(scope="module")
def fitted(planted: Planted, people: PeopleCorpus) -> Alignment:
    # The last fifteen items are not fitted on: three of each trait.
    return fit_pas_traits(
        planted.model, planted.person(LEVELS), people=people, items=range(1, 46), **OPTIONS
    )


def test_planted_heads_and_direction_are_found(planted: Planted, fitted: Alignment) -> None:
    assert sorted(map(tuple, fitted.fit["heads"])) == sorted(PLANTED)
    for (layer, head), to_head in planted.maps.items():
        vector = fitted.parts[0].vectors[layer][head * SIZE : (head + 1) * SIZE]
        true = to_head @ LEVELS
        assert vector @ true / np.linalg.norm(vector) / np.linalg.norm(true) >= 0.9


def test_a_person_is_coefficients_by_trait(
    planted: Planted, people: PeopleCorpus, fitted: Alignment
) -> None:
    found = fitted.inspect()["fit"]
    sites, numbers = model_sites(planted.model.model), planted.inventory.numbers[:45]
    asked = AskedAnswers(planted.model, sites, planted.inventory, numbers, templates=("words",))
    own = np.array([planted.person(LEVELS).literal_answers[number] for number in numbers])
    key = planted.traits[:45] / np.abs(planted.traits[:45]).sum(axis=0)
    spread = (people.literal()[:, :45] @ key).std(axis=0)
    expected = (own - asked.unaligned.expected[0]) @ key / spread
    assert list(found["coefficients"]) == list("NEOAC")
    np.testing.assert_allclose(list(found["coefficients"].values()), expected, atol=1e-5)
    assert (found["directions"], found["people"]) == (5, "planted-people")
    assert found["items"] == list(range(1, 46))


def test_unseen_answers_come_nearer(planted: Planted, fitted: Alignment) -> None:
    person, sites = planted.person(LEVELS), model_sites(planted.model.model)
    unseen = planted.inventory.numbers[45:]
    asked = AskedAnswers(planted.model, sites, planted.inventory, unseen, templates=("words",))
    true = np.array([person.literal_answers[number] for number in unseen])
    rows = [None, fitted.row(sites), sign_flipped(fitted).row(sites)]
    plain, steered, flipped = np.abs(asked.ask(rows).expected - true).mean(axis=1)
    assert fitted.strength is not None
    assert fitted.strength > 0
    assert steered < 0.8 * plain
    assert flipped > plain


def test_twice_as_far_is_displaced_twice(planted: Planted, people: PeopleCorpus) -> None:
    some = {**OPTIONS, "people": people, "strengths": (1.0,)}
    near, far = (
        fit_pas_traits(planted.model, planted.person(size * np.eye(5)[1]), **some)
        for size in (0.5, 1.0)
    )
    lengths = [np.linalg.norm(list(each.parts[0].vectors.values())) for each in (near, far)]
    assert lengths[1] / lengths[0] == pytest.approx(2, rel=0.15)


def test_it_is_an_alignment_like_others(
    planted: Planted, fitted: Alignment, tiny_model: Any, tokenizer: Any, tmp_path: Path
) -> None:
    save_alignment(fitted, tmp_path / "ann")
    loaded = load_alignment(tmp_path / "ann")
    assert loaded.inspect() == fitted.inspect()
    assert compose(loaded, loaded.scale(-1)).row(model_sites(planted.model.model)) is None
    with pytest.raises(AlignmentError, match="ann"):
        TransformersModel(tiny_model("llama"), tokenizer, "tiny").aligned(loaded)


@pytest.fixture(scope="module")
def embedded() -> TransformersModel:
    model = load_model("embedded")
    assert isinstance(model, TransformersModel)
    return model


@pytest.mark.parametrize("directions", [5, 30])
def test_a_person_of_strong_traits_is_moved_toward(
    directions: Any, embedded: TransformersModel
) -> None:
    inventory = load_inventory("ipip-neo-120")
    person = person_from_levels(TraitLevels({"E": -1.0, "N": 1.0, "C": -1.0}), inventory, seed=3)
    facets: dict[str | None, list[int]] = {}
    for item in inventory.items:
        facets.setdefault(item.facet, []).append(item.number)
    fitted_on = [number for numbers in facets.values() for number in numbers[:2]]
    unseen = [number for numbers in facets.values() for number in numbers[2:3]]
    # The folder of activations is each test's own.
    found = fit(
        embedded,
        person,
        "pas-traits",
        directions=directions,
        items=fitted_on,
        strengths=(-0.5, 0.0, 0.5),
    )
    assert found.strength == 0.5
    coefficients = found.fit["coefficients"]
    assert len(coefficients) == directions
    assert found.fit["people"] == "simulated-4096"
    for trait, sign in (("E", -1), ("N", 1), ("C", -1)):
        assert np.mean([sign * v for code, v in coefficients.items() if code[0] == trait]) > 0.5
    sites = model_sites(embedded.model)
    asked = AskedAnswers(embedded, sites, inventory, unseen, tokens="all")
    true = np.array([person.literal_answers[number] for number in unseen])
    rows = [None, found.row(sites), sign_flipped(found).row(sites)]
    plain, steered, flipped = np.abs(asked.ask(rows).expected - true).mean(axis=1)
    assert steered < plain < flipped


def test_what_does_not_fit_is_refused(planted: Planted, people: PeopleCorpus) -> None:
    ann = planted.person(LEVELS)

    def refused(why: str, person: Person = ann, **options: Any) -> None:
        with pytest.raises(UsageError, match=why):
            fit_pas_traits(planted.model, person, **{**OPTIONS, "people": people, **options})

    refused("There are no 7 directions; take 5, of traits, or 30, of facets", directions=7)
    refused("planted has 5 traits and 0 facets, so not 30 directions", directions=30)
    refused("planted has no norms by which to simulate people", people=None)
    others = simulate_people(5, load_inventory("ipip-neo-120")).corpus
    refused("The people answered ipip-neo-120 and ann planted", people=others)
    without_openness = [item.number for item in planted.inventory.items if item.trait != "O"]
    with pytest.raises(ResponsesError, match="No item of O is among the 48"):
        fit_pas_traits(planted.model, ann, **{**OPTIONS, "people": people}, items=without_openness)
