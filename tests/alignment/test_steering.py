"""Steering adds what it says to the rows it says, whatever way the rows are run."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from allport.alignment import (
    Alignment,
    AlignmentPart,
    PeopleAlignments,
    compose,
    model_sites,
)
from allport.errors import AlignmentError, ModelError, UsageError
from allport.models import prefix_engine
from allport.models.respondent import Condition, Message, Question, Response
from allport.models.transformers_model import TransformersModel

ARCHITECTURES = (
    "llama",
    "mistral",
    "qwen2-sliding",
    "qwen3",
    "gemma2",
    "gemma3",
    "phi3",
    "olmo2",
    "gpt_neox",
    "gpt2",
)
Key = tuple[int, Condition]


def answers(model: TransformersModel, questions: list[Question]) -> dict[Key, Response]:
    return {(r.item, r.condition): r for r in model.answer(questions)}


def spread(one: dict[Key, Response], other: dict[Key, Response]) -> float:
    """Largest difference between the probabilities of equal questions."""
    assert one.keys() == other.keys()
    return max(
        float(np.abs(np.subtract(one[key].probabilities, other[key].probabilities)).max())
        for key in one
    )


def in_place_of(questions: list[Question], *personas: str) -> list[Question]:
    return [
        replace(q, condition=replace(q.condition, persona=p)) for p in personas for q in questions
    ]


def input_weight(module: nn.Module) -> Tensor:
    """Weight as (out, in), of GPT-2's transposed kind as well."""
    weight = module.weight
    assert isinstance(weight, Tensor)
    return weight.T if hasattr(module, "nx") else weight


def with_bias(model: Any, alignment: Alignment) -> Any:
    """A copy of a model with W d in the bias of every output projection."""
    other = copy.deepcopy(model)
    for projection in model_sites(other).projections:
        part = alignment.parts[0]
        vector = torch.from_numpy(part.vectors[projection.layer] * part.strength)
        bias = input_weight(projection.module) @ vector
        old = projection.module.bias
        projection.module.bias = nn.Parameter(bias if old is None else old + bias)
    return other


# 1: the hook is the bias that papers write into weights, W d and not d.
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_steering_every_token_is_a_bias_of_the_projection(
    architecture: str, tiny_model: Any, tokenizer: Any, aligned_to: Any, ask: Any
) -> None:
    model = TransformersModel(tiny_model(architecture), tokenizer)
    alignment = aligned_to(model)
    questions = ask(items=3)
    biased = TransformersModel(with_bias(model.model, alignment), tokenizer)
    plain, expected = answers(model, questions), answers(biased, questions)
    found = answers(model.aligned(alignment), questions)
    assert spread(expected, plain) > 1e-3
    assert spread(expected, found) < 1e-5


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_steering_every_token_is_a_bias_while_writing(
    architecture: str, tiny_model: Any, tokenizer: Any, aligned_to: Any
) -> None:
    model = TransformersModel(tiny_model(architecture), tokenizer)
    alignment = aligned_to(model)
    biased = TransformersModel(with_bias(model.model, alignment), tokenizer)
    chats = [[Message("user", text)] for text in ("Who are you?", "Why? And how, and what for?")]
    expected = biased.generate(chats, max_new_tokens=6)
    assert model.aligned(alignment).generate(chats, max_new_tokens=6) == expected
    assert model.generate(chats, max_new_tokens=6) != expected


# 2: the cache of keys and values changes nothing.
@pytest.mark.parametrize("tokens", ["all", "answer"])
@pytest.mark.parametrize("site", ["heads", "residual"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_shared_prefixes_give_what_whole_prompts_give(
    architecture: str,
    site: str,
    tokens: str,
    tiny_model: Any,
    tokenizer: Any,
    aligned_to: Any,
    ask: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Little overhead: prefixes are nested as deep as they can be.
    monkeypatch.setattr(prefix_engine, "_CPU", prefix_engine._CPU._replace(overhead=2))
    model = TransformersModel(tiny_model(architecture), tokenizer)
    alignment = aligned_to(model, tokens=tokens, site=site)
    questions = ask(items=3)
    found = answers(model.aligned(alignment), questions)
    whole = TransformersModel(model.model, tokenizer, batch_size=1)
    whole.passes._sharing = "whole"
    assert spread(answers(whole.aligned(alignment), questions), found) < 1e-5
    assert spread(answers(model, questions), found) > 1e-3


@pytest.mark.parametrize("tokens", ["all", "answer"])
def test_writing_with_a_cache_is_writing_without(
    tokens: Any, tiny_model: Any, tokenizer: Any, aligned_to: Any
) -> None:
    model = TransformersModel(tiny_model("llama"), tokenizer)
    alignment = aligned_to(model, tokens=tokens)
    chat = [Message("user", "Who are you?")]
    [reply] = model.aligned(alignment).generate([chat], max_new_tokens=5)
    ids = model.prompt_tokens(chat).tolist()
    start = len(ids)
    row = alignment.row(model_sites(model.model))
    for _ in range(5):
        with row_added(model.model, row, 0 if tokens == "all" else start - 1), torch.no_grad():
            ids.append(
                int(model.model(torch.tensor([ids]), use_cache=False).logits[0, -1].argmax())
            )
    assert tokenizer.decode(ids[start:]).strip() == reply.text
    assert model.generate([chat], max_new_tokens=5) != [reply]


@contextmanager
def row_added(model: Any, row: Any, start: int) -> Iterator[None]:
    """Add to the projections' inputs by hand, from a token on."""
    handles = []
    for projection in model_sites(model).projections:
        found = [v for place, v in row.vectors.items() if place.layer == projection.layer]

        def add(module: Any, args: Any, vector: Tensor = found[0]) -> Any:
            states = args[0].clone()
            states[:, start:] += vector
            return (states,)

        handles.append(projection.module.register_forward_pre_hook(add))
    yield
    for handle in handles:
        handle.remove()


# 3, 4, 11: every row of one batch its own, rows that ask for the plain model included.
@pytest.mark.parametrize("tokens", ["all", "answer"])
@pytest.mark.parametrize("architecture", ["llama", "gemma3", "gpt2", "bloom", "jamba"])
def test_each_row_gets_its_own(
    architecture: str, tokens: str, tiny_model: Any, tokenizer: Any, aligned_to: Any, ask: Any
) -> None:
    model = TransformersModel(tiny_model(architecture), tokenizer)
    people = {name: aligned_to(model, i, tokens) for i, name in enumerate(("ann", "bob", "cy"))}
    people["dee"] = people["cy"].scale(-0.5)
    questions = ask(items=2, personas=("",))
    together = model.aligned(PeopleAlignments(people))
    found = answers(together, in_place_of(questions, "", *people))
    for name in ("", *people):
        alone = model if not name else model.aligned(people[name])
        expected = answers(alone, in_place_of(questions, name))
        assert spread(expected, {key: found[key] for key in expected}) < 1e-5
        if name:
            assert spread(answers(model, in_place_of(questions, name)), expected) > 1e-4


def test_people_are_mixed_in_one_pass(
    tiny_model: Any, tokenizer: Any, aligned_to: Any, ask: Any
) -> None:
    model = TransformersModel(tiny_model("llama"), tokenizer)
    people = {str(i): aligned_to(model, i, "answer") for i in range(6)}
    questions = in_place_of(ask(items=1, templates=("letters",), personas=("",)), *people, "")
    model.passes.sharing(np.arange(9))
    run = []
    handle = model.model.register_forward_pre_hook(
        lambda module, args, kwargs: run.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    with handle:
        list(model.aligned(PeopleAlignments(people)).answer(questions))
    # 9: the prompt once, and one token a person.
    assert run[1:] == [(7, 1)]
    assert run[0][0] == 1


def test_each_row_is_written_in_its_own_place(
    tiny_model: Any, tokenizer: Any, aligned_to: Any
) -> None:
    model = TransformersModel(tiny_model("llama"), tokenizer)
    people = {name: aligned_to(model, i) for i, name in enumerate(("ann", "bob"))}
    chats = [[Message("user", "Who?")], [Message("user", "Why, and what for?")]] * 2
    names = ["ann", "bob", "bob", ""]
    together = model.aligned(PeopleAlignments(people))
    found = together.generate(chats, max_new_tokens=5, personas=names, seeds=range(4))
    # Padded on the left beside longer prompts, a row is written as alone.
    for chat, name, reply in zip(chats, names, found, strict=True):
        alone = model.aligned(people[name]) if name else model
        assert alone.generate([chat], max_new_tokens=5) == [reply]
    assert len({reply.text for reply in found}) > 2


# Strength zero is the plain model, bit by bit, without a hook.
def test_strength_zero_is_the_plain_model(
    tiny_model: Any, tokenizer: Any, aligned_to: Any, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = TransformersModel(tiny_model("llama"), tokenizer)
    nothing = aligned_to(model).scale(0)
    questions = in_place_of(ask(items=2), "")
    expected = answers(model, questions)

    def hooked(*_: Any) -> Any:
        raise AssertionError("a hook was put on")

    monkeypatch.setattr(nn.Module, "register_forward_pre_hook", hooked)
    zero = compose(nothing, nothing)
    for alignment in (nothing, zero, PeopleAlignments({"": zero})):
        assert answers(model.aligned(alignment), questions) == expected


# 5, 6: layers are counted from zero and the residual stream is that at a block's output.
@pytest.mark.parametrize("architecture", ["llama", "gemma2", "gpt2"])
def test_residual_vectors_are_added_to_the_output_of_their_block(
    architecture: str, tiny_model: Any, tokenizer: Any, aligned_to: Any
) -> None:
    model = TransformersModel(tiny_model(architecture), tokenizer)
    whole = aligned_to(model, site="residual")
    part = whole.parts[0]
    first = replace(whole, parts=(replace(part, vectors={0: part.vectors[0]}),))
    steerer = first.steering(model)
    entered = []
    # What goes into the second block, as the list of hidden states may be taken before our hook.
    handle = (
        model_sites(model.model)
        .blocks[1]
        .register_forward_pre_hook(lambda module, args: entered.append(args[0]))
    )
    ids = torch.tensor([[7, 8, 9]])
    with handle, torch.no_grad():
        model.model(input_ids=ids)
        with steerer.applied([steerer.key("")], [2]):
            model.model(input_ids=ids)
    np.testing.assert_allclose(
        entered[1] - entered[0], part.vectors[0][None, None].repeat(3, axis=1), atol=1e-5
    )


# 7: nothing of the user's is changed.
@pytest.mark.parametrize("fails", [False, True])
def test_model_and_tokenizer_are_left_as_they_were(
    fails: bool, tiny_model: Any, tokenizer: Any, aligned_to: Any, ask: Any
) -> None:
    inner = tiny_model("llama")
    model = TransformersModel(inner, tokenizer)
    weights = {name: value.clone() for name, value in inner.state_dict().items()}
    config, cut = inner.config.to_dict(), (tokenizer.pad_token, tokenizer.padding_side)
    aligned = model.aligned(aligned_to(model))
    if fails:
        handle = inner.lm_head.register_forward_hook(lambda *_: 1 / 0)
        with handle, pytest.raises(ZeroDivisionError):
            list(aligned.answer(ask(items=1)))
    else:
        list(aligned.answer(ask(items=1)))
        aligned.generate([[Message("user", "Hm")]], max_new_tokens=2)
    for module in inner.modules():
        assert not module._forward_pre_hooks
        assert not module._forward_hooks
    assert all(torch.equal(weights[name], value) for name, value in inner.state_dict().items())
    assert (inner.config.to_dict(), (tokenizer.pad_token, tokenizer.padding_side)) == (config, cut)
    assert model.steering is None


# 8: mistakes are sentences, and a hook that is never reached is no silence.
def test_a_pass_that_goes_around_its_projections_is_refused(
    tiny_model: Any, tokenizer: Any, aligned_to: Any
) -> None:
    model = TransformersModel(tiny_model("llama"), tokenizer)
    steerer = aligned_to(model).steering(model)
    with (
        pytest.raises(ModelError, match="does not run the modules that were to be steered"),
        steerer.applied([steerer.key("")], [0]),
    ):
        model.model.get_input_embeddings()(torch.tensor([[3]]))


def test_a_pass_of_other_rows_is_refused(tiny_model: Any, tokenizer: Any, aligned_to: Any) -> None:
    model = TransformersModel(tiny_model("llama"), tokenizer)
    steerer = aligned_to(model).steering(model)
    with (
        pytest.raises(ModelError, match="cannot be steered row by row"),
        steerer.applied([steerer.key("")], [0]),
        torch.no_grad(),
    ):
        model.model(input_ids=torch.tensor([[3], [4]]))


def test_aligning_twice_is_refused(tiny_model: Any, tokenizer: Any, aligned_to: Any) -> None:
    model = TransformersModel(tiny_model("llama"), tokenizer)
    with pytest.raises(UsageError, match="aligned already; add up alignments"):
        model.aligned(aligned_to(model)).aligned(aligned_to(model))


def test_nobody_unknown_is_answered_for(
    tiny_model: Any, tokenizer: Any, aligned_to: Any, ask: Any
) -> None:
    model = TransformersModel(tiny_model("llama"), tokenizer)
    together = model.aligned(PeopleAlignments({"ann": aligned_to(model)}))
    with pytest.raises(AlignmentError, match="no alignment to 'eve'"):
        together.answer(in_place_of(ask(items=1), "eve"))


# 10: which tokens are steered is said, and the two differ.
def test_all_tokens_and_the_answer_alone_differ(
    tiny_model: Any, tokenizer: Any, aligned_to: Any, ask: Any
) -> None:
    model = TransformersModel(tiny_model("llama"), tokenizer)
    alignment = aligned_to(model)
    questions = ask(items=1)
    all_tokens = answers(model.aligned(alignment), questions)
    answer = answers(model.aligned(alignment.on_tokens("answer")), questions)
    assert spread(all_tokens, answer) > 1e-3
    both = answers(
        model.aligned(compose(alignment, alignment.on_tokens("answer").scale(-1))), questions
    )
    assert spread(all_tokens, both) > 1e-3


# 12: whatever the weights are kept in.
@pytest.mark.parametrize("tokens", ["all", "answer"])
def test_bfloat16(tokens: str, tiny_model: Any, tokenizer: Any, aligned_to: Any, ask: Any) -> None:
    exact = TransformersModel(tiny_model("llama"), tokenizer)
    half = TransformersModel(copy.deepcopy(exact.model).bfloat16(), tokenizer)
    questions = ask(items=2)
    moved = answers(half.aligned(aligned_to(half, tokens=tokens)), questions)
    assert spread(answers(exact.aligned(aligned_to(exact, tokens=tokens)), questions), moved) < 0.05
    assert spread(answers(half, questions), moved) > 0.05


class EightBit(nn.Module):
    """A linear module that keeps its weight in eight bits, as quantised checkpoints do."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        scale = linear.weight.detach().abs().amax(dim=1, keepdim=True) / 127
        self.register_buffer("scale", scale)
        self.register_buffer("weight", (linear.weight.detach() / scale).round().to(torch.int8))

    def forward(self, states: Tensor) -> Tensor:
        weight = self.weight.to(states.dtype) * self.scale.to(states.dtype)
        return nn.functional.linear(states, weight)


def test_eight_bits(tiny_model: Any, tokenizer: Any, aligned_to: Any, ask: Any) -> None:
    exact = TransformersModel(tiny_model("llama"), tokenizer)
    inner = copy.deepcopy(exact.model)
    for layer in inner.model.layers:
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            setattr(layer.self_attn, name, EightBit(getattr(layer.self_attn, name)))
    small = TransformersModel(inner, tokenizer)
    questions = ask(items=2)
    moved = answers(small.aligned(aligned_to(small)), questions)
    assert spread(answers(exact.aligned(aligned_to(exact)), questions), moved) < 0.05
    assert spread(answers(small, questions), moved) > 0.05


@pytest.mark.parametrize("batch_size", [1, 3, None])
def test_batches_of_any_size(
    batch_size: int | None, tiny_model: Any, tokenizer: Any, aligned_to: Any, ask: Any
) -> None:
    model = TransformersModel(tiny_model("qwen3"), tokenizer)
    people = {
        name: aligned_to(model, i, t)
        for i, (name, t) in enumerate({"ann": "all", "bob": "answer", "cy": "all"}.items())
    }
    questions = in_place_of(ask(items=3), *people)
    expected = answers(model.aligned(PeopleAlignments(people)), questions)
    other = TransformersModel(model.model, tokenizer, batch_size=batch_size)
    assert spread(answers(other.aligned(PeopleAlignments(people)), questions), expected) < 1e-5


def test_prompts_come_before_the_question(tiny_model: Any, tokenizer: Any, ask: Any) -> None:
    model = TransformersModel(tiny_model("llama"), tokenizer)
    told = model.aligned(Alignment("ann", "prompt", prompt="You are shy."))
    [question] = ask(items=1, templates=("letters",), personas=("",))
    said = replace(question, messages=(Message("system", "You are shy."), *question.messages))
    key = (question.item, question.condition)
    assert answers(told, [question])[key] == answers(model, [said])[key]
    with_system = replace(question, messages=(Message("system", "Be brief."), *question.messages))
    both = Message("system", "You are shy.\n\nBe brief.")
    expected = replace(question, messages=(both, *question.messages))
    assert answers(told, [with_system])[key] == answers(model, [expected])[key]


def test_what_steers_is_part_of_what_answers(
    tiny_model: Any, tokenizer: Any, aligned_to: Any
) -> None:
    model = TransformersModel(tiny_model("llama"), tokenizer)
    one, other = aligned_to(model, 1), aligned_to(model, 2)
    described = [m.describe() for m in (model, model.aligned(one), model.aligned(other))]
    assert described[0] != described[1] != described[2]
    assert model.aligned(one).describe() == described[1]
    assert model.aligned(one.scale(2)).describe() != described[1]


@pytest.mark.parametrize("vector", [np.array([np.nan, 1.0]), np.zeros((2, 2))])
def test_what_cannot_be_added_is_refused(vector: Any) -> None:
    with pytest.raises(AlignmentError, match="layer 3 holds something other than finite numbers"):
        AlignmentPart("heads", {3: vector.astype(np.float32)})
