"""Asking on a cluster: the same answers, kept in the same place, or one sentence why not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from allport.errors import AlignmentError, UsageError
from allport.evaluation import (
    BenchmarkPeople,
    alignment_methods,
    run_person_benchmark,
    steering_methods,
)
from allport.models import ScriptedRespondent, TransformersModel, load_model


@pytest.fixture(scope="module")
def embedded() -> TransformersModel:
    model = load_model("embedded")
    assert isinstance(model, TransformersModel)
    return model


@pytest.fixture
def people(few_people: BenchmarkPeople) -> BenchmarkPeople:
    return few_people.take(range(10)).with_test_items(5)


def store(model: TransformersModel, people: BenchmarkPeople, folder: Path) -> Any:
    """A population fitted on differences of no meaning: what is tested is the asking."""
    from allport.alignment import fit_population, model_sites, open_population, write_population
    from allport.alignment.alignment import model_identity

    sites = model_sites(model.model)
    shape = (120, len(sites.layers) * sites.heads, sites.width // sites.heads)
    differences = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    fit = fit_population(differences, people.literal[:, people.fit], heads=3, strengths=(4.0,))
    about = {"model": model_identity(model), "tokens": "answer"}
    write_population(folder, fit, identifiers=people.ids, about=about)
    return open_population(folder)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # Ray's own, at start and shutdown
def test_a_cluster_answers_as_one_process_does(
    cluster: Any,
    embedded: TransformersModel,
    people: BenchmarkPeople,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fitted = store(embedded, people, tmp_path / "people")
    methods = steering_methods(embedded, fitted, people.ids)
    settings: dict[str, Any] = {"orders": ("forward",), "progress": None}
    here = run_person_benchmark(embedded, people, methods, **settings)
    folder = tmp_path / "run"
    asking = TransformersModel.answer
    # Nothing is asked in this process.
    monkeypatch.setattr(TransformersModel, "answer", None)
    spread = run_person_benchmark(
        embedded, people, methods, engine="ray", folder=folder, **settings
    )
    assert [cell.name for cell in spread.cells] == [cell.name for cell in here.cells]
    for alone, together in zip(here.cells, spread.cells, strict=True):
        assert together.responses == alone.responses
        assert together.prompt_tokens == alone.prompt_tokens
        np.testing.assert_allclose(
            together.answers.expected, alone.answers.expected, rtol=0, atol=1e-4
        )
    assert np.abs(spread.cells[2].answers.expected - spread.cells[0].answers.expected).max() > 1e-2
    # What a cluster asked, one process takes for asked.
    again = run_person_benchmark(embedded, people, methods, folder=folder, **settings)
    assert [cell.seconds for cell in again.cells] == [cell.seconds for cell in spread.cells]
    # An error over there is said here as it would be without a cluster.
    monkeypatch.setattr(TransformersModel, "answer", asking)
    few = steering_methods(embedded, fitted, people.ids[:2])[2:]
    with pytest.raises(AlignmentError) as said:
        run_person_benchmark(embedded, people, few, prompts=(), engine="ray", **settings)
    assert str(said.value) == "There is no alignment to 'p2' among those given."


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # Ray's own, at start and shutdown
def test_a_machine_gets_the_alignments_of_the_people_it_is_asked_for(
    cluster: Any, embedded: TransformersModel, people: BenchmarkPeople, tmp_path: Path
) -> None:
    from allport.alignment import Alignment, AlignmentPart, model_sites
    from allport.alignment.alignment import model_identity

    noted = tmp_path / "noted"

    # Made here, so that it travels whole and the machines need not import this file.
    class Noted(Alignment):
        """Notes whenever it is held to a model."""

        def check(self, *arguments: Any) -> None:
            with noted.open("a", encoding="utf-8") as file:
                file.write(f"{self.name}\n")
            super().check(*arguments)

    vector = np.ones(model_sites(embedded.model).hidden_size, np.float32)
    part = AlignmentPart("residual", {1: vector}, 2.0, "answer")
    made = {who: Noted(who, "caa", model_identity(embedded), (part,)) for who in people.ids}
    methods = alignment_methods(embedded, made, people.ids, controls=False)
    noted.unlink()
    found = run_person_benchmark(
        *(embedded, people, methods),
        prompts=(),
        orders=("forward",),
        engine="ray",
        progress=None,
    )
    assert found.cells[1].responses == 10 * 5
    # Ten people are two tasks: everybody is held to the model in one of them, and only there.
    assert sorted(noted.read_text("utf-8").split()) == sorted(people.ids)


def test_what_a_cluster_cannot_load_is_said(
    embedded: TransformersModel, people: BenchmarkPeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray", reason="ray is not installed (extra: scale)")
    scripted = ScriptedRespondent(lambda question: 2)
    with pytest.raises(UsageError, match="so a cluster cannot take it over"):
        run_person_benchmark(scripted, people, engine="ray", progress=None)
    by_hand = TransformersModel(embedded.model, embedded.tokenizer, "mine")
    with pytest.raises(UsageError, match="mine was not loaded by name"):
        run_person_benchmark(by_hand, people, engine="ray", progress=None)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'allport\[scale\]'"):
        run_person_benchmark(embedded, people, engine="ray", progress=None)
