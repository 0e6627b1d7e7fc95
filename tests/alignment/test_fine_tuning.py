"""Fine-tuning to one person: what is learned, what stays as it was, what is kept on disk."""

from __future__ import annotations

import copy
import importlib.util
import json
import math
import random
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from allport.administration import Design, plan
from allport.alignment import (
    Alignment,
    PeopleAlignments,
    answer_examples,
    compose,
    fit,
    fit_dpo,
    fit_pas,
    fit_sft,
    load_alignment,
    random_direction,
    save_alignment,
    sign_flipped,
)
from allport.alignment.adapters import LowRank
from allport.alignment.answers_to_fit import fitting_answers
from allport.errors import AlignmentError, ModelError, UsageError
from allport.inventories import Inventory, load_inventory
from allport.models.identity import parameters_hash
from allport.models.respondent import Message, Question
from allport.models.transformers_model import TransformersModel
from allport.personas import Person, TraitLevels

SHORT = load_inventory("ipip-neo-120")
AGREEABLE = SHORT.numbers[:40]
HELD_OUT = SHORT.numbers[40:60]
ORDERS = ("forward", "reversed")
WORDS = ("words",)
TRAINING: Any = {"epochs": 2, "learning_rate": 1e-2}


def questions(
    numbers: Any = HELD_OUT, templates: Any = ("letters",), orders: Any = ORDERS
) -> list[Question]:
    design = Design(templates=templates, orders=orders, items=tuple(numbers))
    return plan(SHORT, design)


def asked(model: TransformersModel, some: list[Question]) -> np.ndarray:
    """Probabilities of the options, (questions, options), in the order of the questions."""
    place = {(q.item, q.condition): i for i, q in enumerate(some)}
    found = np.full((len(some), len(some[0].labels)), np.nan)
    for response in model.answer(some):
        found[place[response.item, response.condition]] = response.probabilities
    return found


def always(value: float, name: str = "ann", inventory: Inventory = SHORT) -> Person:
    """Somebody who says the same of every item but one."""
    answers = dict.fromkeys(AGREEABLE, value)
    return Person(name, inventory, answers | {AGREEABLE[-1]: 3.0})


@pytest.fixture(scope="module")
def model(tiny_model: Any, tokenizer: Any) -> TransformersModel:
    return TransformersModel(tiny_model("llama"), tokenizer, "tiny")


@pytest.fixture(scope="module")
def agreeing(model: TransformersModel) -> Alignment:
    """A model that was told "Very Accurate" of everything, in words."""
    return fit_sft(model, always(5.0), items=AGREEABLE, templates=WORDS, **TRAINING)


@pytest.fixture(scope="module")
def refusing(model: TransformersModel) -> Alignment:
    """A model that was told "Very Inaccurate" of everything, by a letter and in one order."""
    return fit_dpo(
        model, always(1.0, "bob"), items=AGREEABLE, orders=("reversed",), beta=1.0, **TRAINING
    )


def test_the_measured_answer_is_the_one_that_was_trained(
    model: TransformersModel, agreeing: Alignment, refusing: Alignment
) -> None:
    words, letters = questions(templates=WORDS), questions(orders=("reversed",))
    assert asked(model, words)[:, 4].mean() < 0.6
    assert asked(model, letters)[:, 0].mean() < 0.6
    # Of items that were not trained on.
    assert asked(model.aligned(agreeing), words)[:, 4].mean() > 0.9
    assert asked(model.aligned(refusing), letters)[:, 0].mean() > 0.9


def test_what_rises_is_the_literal_answer_of_reversed_items(
    model: TransformersModel, agreeing: Alignment
) -> None:
    reversed_items = [number for number in AGREEABLE[:-1] if SHORT.item(number).key == -1]
    assert len(reversed_items) >= 5
    some = questions(reversed_items, WORDS)
    assert (asked(model.aligned(agreeing), some)[:, 4] > 0.9).all()


def test_the_reference_is_the_model_with_its_adapter_off(refusing: Alignment) -> None:
    # Before the first step the policy is the reference, so that nothing is preferred yet.
    assert refusing.fit["loss_first"] == pytest.approx(math.log(2), abs=1e-6)
    assert refusing.fit["loss_last"] < 0.2


def test_the_first_loss_is_that_of_the_measured_labels(
    tiny_model: Any, tokenizer: Any, model: TransformersModel
) -> None:
    """One batch of everything: its loss is minus the mean log-probability of the labels."""
    person = always(5.0)
    found = fit_sft(model, person, items=AGREEABLE, epochs=1, batch_size=80)
    assert found.fit["steps"] == 1
    some = questions(AGREEABLE)
    said = [int(person.literal_answers[q.item]) - 1 for q in some]
    expected = []
    for question, option in zip(some, said, strict=True):
        prompt = model.prompt_tokens(question.messages)
        whole = model.prompt_tokens(question.messages, question.labels[option])
        with torch.inference_mode():
            logits = model.model(torch.tensor(whole[None].astype(np.int64))).logits[0]
        steps = logits.log_softmax(-1)[len(prompt) - 1 : -1]
        tokens = torch.tensor(whole[len(prompt) :].astype(np.int64))
        expected.append(-float(steps.gather(1, tokens[:, None]).sum()))
    assert found.fit["loss_first"] == pytest.approx(np.mean(expected), rel=1e-4)


def test_the_record_says_how_it_was_fitted(
    model: TransformersModel, agreeing: Alignment, refusing: Alignment
) -> None:
    fitted = agreeing.fit
    assert (agreeing.name, agreeing.method, refusing.method) == ("ann", "sft", "dpo")
    assert fitted["items"] == list(AGREEABLE)
    assert (fitted["answers"], fitted["questions"], fitted["steps"]) == (40, 80, 20)
    assert (refusing.fit["questions"], refusing.fit["steps"]) == (40, 2 * 40 * 4 / 8)
    assert (refusing.fit["beta"], "beta" in fitted) == (1.0, False)
    assert fitted["seconds"] > 0
    examples = answer_examples(model, fitting_answers(always(5.0), AGREEABLE), WORDS)
    assert fitted["tokens"] == 2 * sum(len(e.prompt) + len(e.completion) for e in examples)
    assert fitted["versions"].keys() >= {"trl", "peft", "torch"}
    assert json.loads(json.dumps(agreeing.inspect()))["adapters"][0]["rank"] == 8
    [adapter] = agreeing.adapters
    assert len(adapter.weights) == 2 * 7  # all linear modules of both layers, and not the head
    assert adapter.parameters == sum(a.size + b.size for a, b in adapter.weights.values())


def test_fitting_and_serving_change_nothing_of_the_model(
    tiny_model: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    monkeypatch.chdir(tmp_path)
    inner = tiny_model("qwen3")
    served = TransformersModel(inner, tokenizer)
    some = questions(HELD_OUT[:5])
    plain = asked(served, some)

    def state() -> tuple[Any, ...]:
        return (
            parameters_hash(inner),
            [id(module) for module in inner.modules()],
            [parameter.requires_grad for parameter in inner.parameters()],
            inner.config.to_json_string(),
            inner.generation_config.to_json_string(),
            tokenizer.special_tokens_map,
            inner.forward,
            torch.random.get_rng_state().tolist(),
            np.random.get_state()[1].tolist(),
            random.getstate(),
        )

    before = state()
    alignment = fit_dpo(served, always(5.0), items=AGREEABLE, epochs=0.1)
    aligned = asked(served.aligned(alignment), some)
    assert state() == before
    assert not inner.training
    assert all(parameter.grad is None for parameter in inner.parameters())
    assert not any(module._forward_hooks for module in inner.modules())
    assert (aligned != plain).all()
    assert (asked(served, some) == plain).all()
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["scratch"]


def test_the_same_seed_gives_the_same_adapter(model: TransformersModel) -> None:
    def fitted(seed: int) -> str:
        found = fit_sft(model, always(5.0), items=AGREEABLE, epochs=0.2, seed=seed)
        return found.content_hash

    assert fitted(3) == fitted(3)
    assert fitted(3) != fitted(4)


def test_a_folder_gives_equal_answers(
    model: TransformersModel, agreeing: Alignment, tmp_path: Path
) -> None:
    folder = save_alignment(agreeing, tmp_path / "ann")
    assert sorted(path.name for path in folder.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "alignment.json",
    ]
    found = load_alignment(folder)
    assert found.inspect() == agreeing.inspect()
    some = questions()
    np.testing.assert_array_equal(
        asked(model.aligned(found), some), asked(model.aligned(agreeing), some)
    )


# transformers 5.23 warns of a name that PEFT 0.21 asks it for; PEFT of what it then sets by itself.
@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")
@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to False:UserWarning")
@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma2", "phi3"])
def test_peft_reads_the_folder_and_says_the_same(
    architecture: str, tiny_model: Any, tokenizer: Any, tmp_path: Path
) -> None:
    from peft import PeftModel

    served = TransformersModel(tiny_model(architecture), tokenizer, architecture)
    alignment = fit_sft(served, always(5.0), items=AGREEABLE, epochs=0.3, learning_rate=1e-2).scale(
        0.7
    )
    folder = save_alignment(alignment, tmp_path)
    peft = PeftModel.from_pretrained(copy.deepcopy(served.model), str(folder)).eval()
    some = questions(HELD_OUT[:5])
    expected = asked(TransformersModel(peft.merge_and_unload(), tokenizer), some)
    found = asked(served.aligned(alignment), some)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert np.abs(found - asked(served, some)).max() > 1e-2


def test_strength_scales_the_adapter(model: TransformersModel, agreeing: Alignment) -> None:
    some = questions(templates=WORDS)
    plain = asked(model, some)
    assert agreeing.strength == 1
    np.testing.assert_array_equal(asked(model.aligned(agreeing.scale(0)), some), plain)
    half = asked(model.aligned(agreeing.scale(0.5)), some)
    opposite = asked(model.aligned(sign_flipped(agreeing)), some)
    whole = asked(model.aligned(agreeing), some)
    means = [each[:, 4].mean() for each in (opposite, plain, half, whole)]
    assert means == sorted(means)
    assert agreeing.scale(0.5).content_hash != agreeing.content_hash
    again = fit(
        model, always(5.0), "sft", items=AGREEABLE, templates=WORDS, strength=0.5, **TRAINING
    )
    assert again.content_hash == agreeing.scale(0.5).content_hash


def test_each_row_of_a_batch_has_its_own_person(
    model: TransformersModel, agreeing: Alignment, refusing: Alignment
) -> None:
    steered = fit_pas(
        model, always(5.0, "cid"), items=AGREEABLE, strengths=(3.0,), heads=3, cache=False
    )
    told = Alignment("dee", "prompt", prompt="You are shy.")
    people = {"ann": agreeing, "bob": refusing, "cid": steered, "dee": told}
    together = model.aligned(PeopleAlignments(people))
    some = [
        replace(q, condition=replace(q.condition, persona=name))
        for q in questions(HELD_OUT[:6], ("letters", "words"))
        for name in ("", *people)
    ]
    mixed = asked(together, some)
    for name in ("", *people):
        rows = [i for i, q in enumerate(some) if q.condition.persona == name]
        alone = model if not name else model.aligned(people[name])
        own = [replace(some[i], condition=replace(some[i].condition, persona="")) for i in rows]
        np.testing.assert_allclose(mixed[rows], asked(alone, own), atol=1e-5)
    assert len(np.unique(mixed.round(4), axis=0)) > 0.9 * len(mixed)


def test_mixed_writing(model: TransformersModel, agreeing: Alignment, refusing: Alignment) -> None:
    chats = [[Message("user", text)] for text in ("Who are you?", "Why? And how, and what for?")]
    people = PeopleAlignments({"ann": agreeing, "bob": refusing})
    names = ["ann", "bob", ""]
    found = model.aligned(people).generate(
        chats * 3, max_new_tokens=6, personas=[name for name in names for _ in chats]
    )
    for place, alone in enumerate((model.aligned(agreeing), model.aligned(refusing), model)):
        assert found[2 * place : 2 * place + 2] == alone.generate(chats, max_new_tokens=6)


def test_adapters_displacements_and_prompts_add_up(
    model: TransformersModel, agreeing: Alignment, refusing: Alignment, tmp_path: Path
) -> None:
    some = questions(HELD_OUT[:5])
    steered = fit_pas(model, always(5.0), items=AGREEABLE, strengths=(3.0,), heads=3, cache=False)
    told = Alignment("ann", "prompt", prompt="You are shy.")
    whole = compose(agreeing, refusing.scale(0.5), steered, told)
    found = asked(model.aligned(whole), some)
    for less in (
        compose(agreeing, steered, told),
        compose(agreeing, refusing.scale(0.5), told),
        compose(agreeing, refusing.scale(0.5), steered),
    ):
        assert np.abs(asked(model.aligned(less), some) - found).max() > 1e-4
    folder = save_alignment(whole, tmp_path)
    assert {path.name for path in folder.iterdir()} >= {"adapter-0", "adapter-1"}
    np.testing.assert_array_equal(asked(model.aligned(load_alignment(folder)), some), found)
    nothing = asked(model.aligned(compose(agreeing, agreeing.scale(-1))), some)
    np.testing.assert_allclose(nothing, asked(model, some), atol=1e-4)


def test_another_model_is_refused(agreeing: Alignment, tiny_model: Any, tokenizer: Any) -> None:
    other = TransformersModel(tiny_model("qwen3"), tokenizer, "other")
    with pytest.raises(AlignmentError, match=r"made for tiny with weights .* fit it on this model"):
        other.aligned(agreeing)


def test_another_shape_is_refused(model: TransformersModel, agreeing: Alignment) -> None:
    [adapter] = agreeing.adapters
    path, (down, up) = next(iter(adapter.weights.items()))
    for weights, why in (
        ({"model.layers.9.mlp": LowRank(down, up)}, "model.layers.9.mlp, which Llama"),
        ({path: LowRank(down[:, 1:], up)}, rf"{path} from 31 to \d+ numbers, and there it is 32"),
    ):
        wrong = replace(agreeing, adapters=(replace(adapter, weights=weights),))
        with pytest.raises(AlignmentError, match=why):
            model.aligned(wrong)
    for weights, why in (
        ({path: LowRank(down[1:], up)}, "no low-rank change"),
        ({path: LowRank(down, up * np.float32(np.nan))}, "smaller learning rate"),
        ({}, "this one has none"),
        ({path: LowRank(down, up), "b": LowRank(down[:4], up[:, :4])}, "needs one rank"),
    ):
        with pytest.raises(AlignmentError, match=why):
            replace(adapter, weights=weights)
    with pytest.raises(AlignmentError, match="strength of nan"):
        agreeing.scale(float("nan"))


def test_a_changed_folder_is_refused(agreeing: Alignment, tmp_path: Path) -> None:
    folder = save_alignment(agreeing, tmp_path)
    weights = (folder / "adapter_model.safetensors").read_bytes()
    config = (folder / "adapter_config.json").read_text("utf-8")
    record = (folder / "alignment.json").read_text("utf-8")
    for name, content, why in (
        ("adapter_model.safetensors", None, "weights in other files are not loaded"),
        ("adapter_model.safetensors", weights[:-4] + b"\0\0\0\1", "not what was written"),
        ("adapter_model.safetensors", weights[:60], "holds no alignment"),
        ("adapter_config.json", config.replace("LORA", "IA3").encode(), "of the kind 'IA3'"),
        ("adapter_config.json", config.replace("16.0", "17.0").encode(), "its strength is not"),
        ("adapter_config.json", None, "holds no alignment"),
        ("alignment.json", record.replace("allport-alignment-1", "x").encode(), "its format is"),
        ("alignment.json", record.replace('"alpha": 16', '"alpha": 17').encode(), "its strength"),
    ):
        before = (folder / name).read_bytes()
        if content is None:
            (folder / name).rename(folder / f"{name}.bin")
        else:
            (folder / name).write_bytes(content)
        with pytest.raises(AlignmentError, match=why) as caught:
            load_alignment(folder)
        assert "\n" not in str(caught.value)
        (folder / name).write_bytes(before)
    load_alignment(folder)


def test_an_adapter_has_no_random_direction(agreeing: Alignment) -> None:
    with pytest.raises(AlignmentError, match="no random direction"):
        random_direction(agreeing)


def test_trait_levels_are_the_answers_expected_of_them(model: TransformersModel) -> None:
    found = fit_sft(model, TraitLevels({"E": 1.0}), epochs=0.02)
    assert found.fit["inventory"] == "ipip-neo-300"
    assert found.fit["answers"] == 120


def test_progress_counts_steps(model: TransformersModel) -> None:
    told: list[tuple[int, int]] = []
    fit_sft(
        model,
        always(5.0),
        items=AGREEABLE,
        epochs=0.5,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(done, 5) for done in range(6)]


def test_nothing_is_said_on_the_way(
    model: TransformersModel, capfd: pytest.CaptureFixture[str]
) -> None:
    fit_dpo(model, always(5.0), items=AGREEABLE, epochs=0.05, progress="bar")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_without_the_libraries_one_sentence_says_what_to_install(
    method: Any, model: TransformersModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: Callable[..., Any] = importlib.util.find_spec
    monkeypatch.setattr(
        "allport.alignment.fine_tuning.find_spec",
        lambda name: None if name in ("trl", "peft") else found(name),
    )
    with pytest.raises(UsageError, match=r"needs trl and peft; install allport\[train\]"):
        fit(model, always(5.0), method)


def test_what_cannot_be_trained_is_refused(
    model: TransformersModel,
    agreeing: Alignment,
    tiny_model: Any,
    tokenizer: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    person = always(5.0)
    for options, why in (
        ({"epochs": 0}, "epochs above 0, not 0"),
        ({"learning_rate": float("nan")}, "learning_rate above 0"),
        ({"rank": -1}, "rank above 0"),
    ):
        with pytest.raises(UsageError, match=why):
            fit_sft(model, person, items=AGREEABLE, **options)
    with pytest.raises(UsageError, match="tiny is aligned already"):
        fit_sft(model.aligned(agreeing), person, items=AGREEABLE)
    mamba = TransformersModel(tiny_model("mamba"), tokenizer, "mamba")
    with pytest.raises(ModelError, match=r"mamba cannot be fine-tuned: .*incompatible with Mamba"):
        fit_sft(mamba, person, items=AGREEABLE)
    with pytest.raises(AlignmentError, match="smaller learning rate"):
        fit_sft(model, person, items=AGREEABLE, epochs=0.5, learning_rate=1e30)

    def full(*args: Any, **options: Any) -> Any:
        raise RuntimeError("out of memory.\nTried to allocate")

    monkeypatch.setattr("trl.trainer.sft_trainer.SFTTrainer.train", full)
    with pytest.raises(ModelError, match=r"tiny cannot be fine-tuned: out of memory\.$"):
        fit_sft(model, person, items=AGREEABLE)
