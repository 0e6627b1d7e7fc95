from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from allport.errors import AlignmentError, ResponsesError, UsageError
from allport.evaluation import (
    BenchmarkPeople,
    alignment_methods,
    few_shot,
    measure_side_effects,
    plan_cells,
    run_person_benchmark,
    steering_methods,
)


@pytest.fixture(scope="module")
def tiny() -> Any:
    """A random Llama whose words are whole, and which was never trained."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    from allport.inventories import load_inventory
    from allport.models import TransformersModel

    inventory = load_inventory("ipip-neo-300")
    said = " ".join([*(item.text or "" for item in inventory.items), "Answer: A B C D E"])
    words = ["<end>", *dict.fromkeys(said.split())]
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<end>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>")
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        eos_token_id=0,
        pad_token_id=0,
        bos_token_id=None,
        initializer_range=0.3,
    )
    return TransformersModel(LlamaForCausalLM(config), tokenizer, "tiny")


@pytest.fixture(scope="module")
def people(few_people: BenchmarkPeople) -> BenchmarkPeople:
    return few_people.take(range(3)).with_test_items(20)


@pytest.fixture(scope="module")
def store(tiny: Any, people: BenchmarkPeople, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A population fitted on differences of no meaning: what is tested is the asking."""
    from allport.alignment import fit_population, open_population, write_population
    from allport.alignment.alignment import model_identity

    literal = people.literal[:, people.fit]
    differences = np.random.default_rng(0).normal(size=(120, 8, 8)).astype(np.float32)
    fit = fit_population(differences, literal, heads=3, strengths=(4.0,))
    folder: Path = tmp_path_factory.mktemp("store") / "people"
    about = {"model": model_identity(tiny), "tokens": "answer", "fit_seconds": 6.0}
    write_population(folder, fit, identifiers=people.ids, about=about)
    return open_population(folder)


def test_the_time_of_fitting_is_shared_by_those_who_were_fitted(
    tiny: Any, people: BenchmarkPeople, tmp_path: Path
) -> None:
    from allport.alignment import fit_population, open_population, write_population
    from allport.alignment.alignment import model_identity

    literal = np.array(people.literal[:, people.fit])
    literal[2] = 3.0
    differences = np.random.default_rng(0).normal(size=(120, 8, 8)).astype(np.float32)
    fit = fit_population(differences, literal, heads=3, strengths=(4.0,))
    about = {"model": model_identity(tiny), "fit_seconds": 6.0}
    write_population(tmp_path, fit, identifiers=people.ids, about=about)
    methods = steering_methods(tiny, open_population(tmp_path), people.ids[:1], controls=False)
    assert methods[0].fit_seconds == pytest.approx(3.0)


def test_steered_cells_are_asked_with_everybody_mixed(
    tiny: Any, people: BenchmarkPeople, store: Any
) -> None:
    methods = steering_methods(tiny, store, people.ids)
    controls = {method.name: method.control_of for method in methods}
    assert controls == {
        "steering": None,
        "sign-flipped": "steering",
        "random direction": "steering",
    }
    # In one order: to this model, options are unknown words, and both orders look alike.
    settings: dict[str, Any] = {"prompts": (), "orders": ("forward",), "progress": None}
    found = run_person_benchmark(tiny, people, methods, **settings)
    assert [cell.name for cell in found.cells] == [
        "unaligned",
        "steering",
        "sign-flipped",
        "random direction",
    ]
    plain, *steered = (cell.answers.expected for cell in found.cells)
    assert np.ptp(plain, axis=0).max() == 0
    for answers in steered:
        assert np.abs(answers - plain).max() > 1e-3
        assert np.ptp(answers, axis=0).max() > 1e-3
    # One person alone gets the same answers as in a mixed batch.
    alone = run_person_benchmark(tiny, people, methods[:1], asked=[1], **settings)
    assert alone.cells[1].answers.expected == pytest.approx(steered[0][1:2], abs=1e-5)
    assert found.cells[1].fit_seconds == pytest.approx(6.0)
    assert alone.cells[1].fit_seconds == pytest.approx(6.0)


def test_whoever_is_not_in_the_store_is_named_before_anything_is_asked(
    tiny: Any, store: Any
) -> None:
    with pytest.raises(ResponsesError, match="no person p99"):
        steering_methods(tiny, store, ["p0", "p99"])


def test_fluency_is_measured_under_every_alignment(
    tiny: Any, people: BenchmarkPeople, store: Any
) -> None:
    methods = steering_methods(tiny, store, people.ids, controls=False)
    found = measure_side_effects(tiny, plan_cells(methods, ()), people.ids)
    assert found["unaligned"]["perplexity ratio"].value == pytest.approx(1)
    assert abs(found["steering"]["perplexity ratio"].value - 1) > 1e-3


@pytest.fixture(scope="module")
def folders(tiny: Any, people: BenchmarkPeople, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of alignments of no meaning, one folder for each person."""
    from allport.alignment import Alignment, AlignmentPart, model_sites, save_alignment
    from allport.alignment.alignment import model_identity

    sites = model_sites(tiny.model)
    rng = np.random.default_rng(0)
    place = tmp_path_factory.mktemp("saved") / "caa"
    for person in people.ids:
        vector = rng.normal(size=sites.hidden_size).astype(np.float32)
        part = AlignmentPart("residual", {1: vector}, 2.0, "answer")
        about = model_identity(tiny, sites)
        save_alignment(
            Alignment(person, "caa", about, (part,), fit={"seconds": 1.5}), place / person
        )
    return place


def test_saved_alignments_are_a_method_with_controls_fit_time_and_side_effects(
    tiny: Any, people: BenchmarkPeople, folders: Path
) -> None:
    from allport.alignment import load_alignments

    saved = load_alignments(folders, people.ids)
    methods = alignment_methods(tiny, saved, people.ids)
    settings: dict[str, Any] = {"orders": ("forward",), "progress": None}
    prompts = [few_shot(people)]
    found = run_person_benchmark(tiny, people, methods, prompts=prompts, **settings)
    assert [cell.name for cell in found.cells] == [
        "unaligned",
        "few-shot",
        "caa",
        "few-shot + caa",
        "caa, sign-flipped",
        "caa, random direction",
    ]
    controls = {method.name: method.control_of for method in methods}
    assert controls == {"caa": None, "caa, sign-flipped": "caa", "caa, random direction": "caa"}
    plain, _, own, *_ = (cell.answers.expected for cell in found.cells)
    assert np.ptp(plain, axis=0).max() == 0
    assert np.abs(own - plain).max() > 1e-3
    # Each is asked by their own alignment, as that alignment alone answers.
    one = people.ids[1]
    alone = alignment_methods(tiny, {one: saved[one]}, [one], controls=False)
    again = run_person_benchmark(tiny, people, alone, prompts=(), asked=[1], **settings)
    assert again.cells[1].answers.expected == pytest.approx(own[1:2], abs=1e-5)
    assert found.cells[2].fit_seconds == pytest.approx(1.5 * len(people.ids))
    effects = measure_side_effects(tiny, plan_cells(methods[:1], ()), people.ids, tasks=0)
    assert abs(effects["caa"]["perplexity ratio"].value - 1) > 1e-3


def test_words_are_not_said_twice_and_have_no_direction(tiny: Any, people: BenchmarkPeople) -> None:
    from allport.alignment import fit

    told = {person: fit(tiny, people.person(person), "prompt") for person in people.ids}
    [method] = alignment_methods(tiny, told, people.ids)
    assert (method.name, method.with_prompts) == ("prompt", False)


def test_what_is_no_method_of_these_people_is_said(
    tiny: Any, people: BenchmarkPeople, folders: Path
) -> None:
    from allport.alignment import fit, load_alignments

    with pytest.raises(
        AlignmentError, match=r"no alignment to 1 of 4 people, .* them p99; it must"
    ):
        load_alignments(folders, [*people.ids, "p99"])
    saved = load_alignments(folders, people.ids)
    with pytest.raises(UsageError, match="no alignment to person p99"):
        alignment_methods(tiny, saved, ["p99"])
    mixed = {**saved, "p0": fit(tiny, people.person("p0"), "prompt")}
    with pytest.raises(UsageError, match="made by caa and prompt; a cell is one method"):
        alignment_methods(tiny, mixed, people.ids)
