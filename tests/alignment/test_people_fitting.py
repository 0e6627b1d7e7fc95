"""Many people: one store, and one respondent that serves each of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.alignment.planted import Planted

from allport.administration import Design, plan
from allport.alignment import (
    PopulationStore,
    StoredAlignments,
    align_people,
    compose,
    fit_pas,
    model_sites,
    open_population,
)
from allport.corpora import PeopleCorpus
from allport.errors import AlignmentError, ResponsesError, UsageError
from allport.models.transformers_model import TransformersModel

PEOPLE = 40


@pytest.fixture(scope="module")
def levels() -> np.ndarray:
    return np.random.default_rng(5).uniform(-0.9, 0.9, (PEOPLE, 5))


@pytest.fixture(scope="module")
def corpus(planted: Planted, levels: np.ndarray) -> PeopleCorpus:
    codes = np.array(
        [list(planted.person(level).literal_answers.values()) for level in levels], np.int8
    )
    codes[3, 10:] = 0  # somebody who gave up
    ids = [f"p{number}" for number in range(PEOPLE)]
    return PeopleCorpus("people", planted.inventory, pl.DataFrame({"id": ids}), codes)


@pytest.fixture(scope="module")
def store(
    planted: Planted, corpus: PeopleCorpus, tmp_path_factory: pytest.TempPathFactory
) -> PopulationStore:
    return align_people(
        planted.model,
        corpus,
        tmp_path_factory.mktemp("people"),
        items=range(1, 46),
        contrasts=("yes-no",),
        templates=("words",),
        heads=3,
        cache=False,
    )


def test_who_said_too_little_is_counted(store: PopulationStore) -> None:
    assert store.excluded == {"too few usable answers": 1}
    with pytest.raises(ResponsesError, match="too few usable answers"):
        StoredAlignments(store).alignment("p3")


def test_directions_are_those_of_each_alone(
    store: PopulationStore, planted: Planted, corpus: PeopleCorpus
) -> None:
    everyone = StoredAlignments(store)
    for name in ("p0", "p17"):
        one = fit_pas(
            planted.model,
            corpus.person(name),
            items=range(1, 46),
            contrasts=("yes-no",),
            templates=("words",),
            heads=3,
            strengths=(1.0,),
            cache=False,
        )
        found = everyone.alignment(name)
        assert found.parts[0].vectors.keys() == one.parts[0].vectors.keys()
        for layer, vector in one.parts[0].vectors.items():
            other = found.parts[0].vectors[layer]
            cosine = vector @ other / np.linalg.norm(vector) / np.linalg.norm(other)
            assert cosine > 0.98


def test_everyone_is_served_by_one_respondent(
    store: PopulationStore, planted: Planted, corpus: PeopleCorpus
) -> None:
    names = [name for name in corpus.ids if name != "p3"]
    unseen = planted.inventory.numbers[45:]
    design = Design(templates=("words",), orders=("forward", "reversed"), items=unseen)
    questions = [
        replace(q, condition=replace(q.condition, persona=name))
        for name in ("", *names)
        for q in plan(planted.inventory, design)
    ]
    together = planted.model.aligned(StoredAlignments(store))
    expected = {name: np.zeros(len(unseen)) for name in ("", *names)}
    for response in together.answer(questions):
        assert response.probabilities is not None
        mean = np.dot(response.probabilities, np.arange(1, 6)) / 2
        expected[response.condition.persona][unseen.index(response.item)] += mean
    true = corpus.literal([corpus.row(name) for name in names])[:, 45:]
    steered = np.stack([expected[name] for name in names])
    plain = np.abs(expected[""] - true).mean()
    assert np.abs(steered - true).mean() < 0.9 * plain
    # Between people: steered scores order people as their answers do.
    traits = planted.traits[45:]
    for trait in range(5):
        r = np.corrcoef((steered @ traits)[:, trait], (true @ traits)[:, trait])[0, 1]
        assert r > 0.6
    alone = planted.model.aligned(StoredAlignments(store).alignment("p0"))
    first = [q for q in questions if q.condition.persona == "p0"][:4]
    for one, other in zip(
        sorted(alone.answer(first), key=lambda r: (r.item, r.condition.order)),
        sorted(together.answer(first), key=lambda r: (r.item, r.condition.order)),
        strict=True,
    ):
        assert one.probabilities is not None
        assert other.probabilities is not None
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-6)


def test_the_record_says_what_it_was_fitted_on(store: PopulationStore, planted: Planted) -> None:
    again = open_population(store.folder)
    assert again.about["model"]["weights_sha256"] == planted.model.describe()["weights_sha256"]
    assert again.about["tokens"] == "answer"
    assert again.about["items"] == list(range(1, 46))
    alone = StoredAlignments(again).alignment("p0")
    [fitted_on] = alone.fitted_on
    assert fitted_on == {"inventory": planted.inventory.name, "items": list(range(1, 46))}
    # It stays known whatever the alignment is added to.
    assert compose(compose(alone, name="a"), compose(alone, name="b")).fitted_on == (fitted_on,) * 2
    assert again.about["answers_foretold"] is None
    assert again.about["fit_seconds"] > 0


def test_answers_are_foretold_where_they_follow_displacements(
    planted: Planted, corpus: PeopleCorpus, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    found = align_people(
        planted.model,
        corpus,
        tmp_path,
        items=range(1, 46),
        contrasts=("yes-no",),
        templates=("words",),
        heads=3,
        strengths=(-0.5, 0.0, 0.5),
        foretell=True,
        probes=24,
        cache=False,
        progress=lambda answered, total: seen.append((answered, total)),
    )
    # The model by itself and 24 probes, 45 items in two orders.
    assert [answered for answered, _ in seen] == list(range(25 * 45 * 2 + 1))
    assert {total for _, total in seen} == {25 * 45 * 2}
    assert found.about["answers_foretold"] > 0.5
    everyone = [row for row in range(PEOPLE) if row != 3]
    assert (found.strengths(everyone) == 0.5).float().mean() > 0.9


def test_what_is_asked_of_each_person_is_counted(
    planted: Planted, corpus: PeopleCorpus, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    few = PeopleCorpus(
        "few", corpus.inventory, pl.DataFrame({"id": ["a", "b"]}), corpus.literal_codes[:2]
    )
    align_people(
        planted.model,
        few,
        tmp_path,
        items=range(1, 46),
        contrasts=("yes-no",),
        templates=("words",),
        heads=3,
        strengths=(-0.5, 0.0, 0.5),
        cache=False,
        progress=lambda answered, total: seen.append((answered, total)),
    )
    # The model by itself, and two people at two strengths.
    assert seen[-1] == (5 * 45 * 2, 5 * 45 * 2)


def test_flipping_everyone(store: PopulationStore, planted: Planted) -> None:
    sites = model_sites(planted.model.model)
    own, flipped = (StoredAlignments(store, factor=f).alignment("p0").row(sites) for f in (1, -1))
    assert own is not None
    assert flipped is not None
    for place, vector in own.vectors.items():
        np.testing.assert_allclose(flipped.vectors[place], -vector)
    assert StoredAlignments(store).content_hash != StoredAlignments(store, factor=-1).content_hash


def test_another_model_is_refused(
    store: PopulationStore, tiny_model: object, tokenizer: object
) -> None:
    other = TransformersModel(tiny_model("llama"), tokenizer, "other")  # type: ignore[operator,arg-type]
    with pytest.raises(AlignmentError, match="The population was made for planted"):
        other.aligned(StoredAlignments(store))


def test_nobody_unknown_is_answered_for(store: PopulationStore, planted: Planted) -> None:
    together = planted.model.aligned(StoredAlignments(store))
    design = Design(templates=("words",), orders=("forward",), items=(1,))
    [question] = plan(planted.inventory, design)
    asked = replace(question, condition=replace(question.condition, persona="eve"))
    with pytest.raises(ResponsesError, match="holds no person eve"):
        together.answer([asked])


def test_too_few_probes_are_refused(planted: Planted, corpus: PeopleCorpus, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="2 probes tell nothing"):
        align_people(planted.model, corpus, tmp_path, foretell=True, probes=2, cache=False)
