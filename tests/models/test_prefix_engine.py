"""Shared prefixes give what one-by-one evaluation gives, on every architecture."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allport.errors import ModelError
from allport.models import forward_pass, prefix_engine
from allport.models.label_tokens import LabelTokens
from allport.models.prefix_engine import PrefixEngine, Prompt
from allport.models.prefix_plan import Prefix, batch_sizes, plan_prefixes
from allport.models.respondent import Question
from allport.models.transformers_model import TransformersModel

SHARING = {
    "llama": "shared",
    "mistral": "shared",
    "qwen2": "shared",
    "qwen2-sliding": "shared",
    "qwen3": "shared",
    "gemma2": "shared",
    "gemma3": "shared",
    "phi3": "shared",
    "olmo2": "shared",
    "gpt_neox": "shared",
    "gpt2": "shared",
    "bloom": "expanded",
    "mamba": "whole",
    "jamba": "whole",
}

Ask = Callable[..., list[Question]]


def readings(model: TransformersModel, questions: list[Question]) -> dict[int, Any]:
    """Label log-probabilities (up to a constant), label mass and prompt length by question."""
    by_key = {(q.item, q.condition): i for i, q in enumerate(questions)}
    answers = {by_key[r.item, r.condition]: r for r in model.answer(questions)}
    assert sorted(answers) == list(range(len(questions)))
    return answers


def check(
    model: Any, tokenizer: Any, questions: list[Question], naive: Any, **options: Any
) -> None:
    asked = TransformersModel(model, tokenizer, **options)
    for i, response in readings(asked, questions).items():
        question = questions[i]
        prompt = asked.chat.render(question.messages, question.cue)
        expected = naive(model, tokenizer, prompt, question.labels)
        together = np.log(response.probabilities) + np.log(response.label_mass)
        np.testing.assert_allclose(together, expected.log_probabilities, rtol=0, atol=1e-4)
        assert response.label_mass == pytest.approx(expected.mass, abs=1e-6)
        assert response.prompt_tokens == expected.prompt_tokens
        assert response.choice == int(np.argmax(expected.log_probabilities))


@pytest.mark.parametrize("architecture", SHARING)
def test_equals_one_by_one(
    architecture: str, tiny_model: Any, tokenizer: Any, ask: Ask, naive: Any
) -> None:
    model = tiny_model(architecture)
    check(model, tokenizer, ask(items=3), naive)
    assert TransformersModel(model, tokenizer).passes.sharing(np.arange(9)) == SHARING[architecture]


@pytest.mark.parametrize("architecture", ["llama", "mistral", "gemma2", "mamba"])
def test_equals_one_by_one_without_a_chat_template(
    architecture: str, tiny_model: Any, plain_tokenizer: Any, ask: Ask, naive: Any
) -> None:
    check(tiny_model(architecture), plain_tokenizer, ask(items=2), naive)


@pytest.mark.parametrize("sharing", ["shared", "expanded", "whole"])
@pytest.mark.parametrize("architecture", ["llama", "mistral", "gemma2", "gpt_neox"])
def test_every_way_of_sharing_gives_the_same(
    architecture: str,
    sharing: Any,
    tiny_model: Any,
    tokenizer: Any,
    ask: Ask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Little overhead: prefixes are nested as deep as they can be.
    monkeypatch.setattr(prefix_engine, "_CPU", prefix_engine._CPU._replace(overhead=2))
    questions = ask(items=3, templates=("letters", "digits", "words"))
    plain = TransformersModel(tiny_model(architecture), tokenizer)
    plain.passes._sharing = "whole"
    other = TransformersModel(tiny_model(architecture), tokenizer)
    other.passes._sharing = sharing
    expected, found = readings(plain, questions), readings(other, questions)
    for i in expected:
        np.testing.assert_allclose(found[i].probabilities, expected[i].probabilities, atol=1e-5)


@pytest.mark.parametrize("architecture", ["llama", "gemma2", "qwen3"])
def test_sharing_costs_no_precision_in_16_bits(
    architecture: str, tiny_model: Any, tokenizer: Any, ask: Ask
) -> None:
    import copy

    import torch

    half = copy.deepcopy(tiny_model(architecture)).to(torch.bfloat16)
    questions = ask(items=4)
    truth = readings(TransformersModel(copy.deepcopy(half).float(), tokenizer), questions)
    errors = {}
    for sharing in ("whole", "shared"):
        model = TransformersModel(half, tokenizer)
        model.passes._sharing = sharing  # type: ignore[assignment]  # one of the three
        found = readings(model, questions)
        differences = [np.subtract(found[i].probabilities, truth[i].probabilities) for i in truth]
        errors[sharing] = float(np.abs(differences).mean())
    assert 0 < errors["shared"] < 1.5 * errors["whole"]


@pytest.mark.parametrize("kept", ["union", "all"])
def test_models_that_cannot_keep_single_positions(
    kept: Any, tiny_model: Any, tokenizer: Any, ask: Ask
) -> None:
    questions = ask(items=3)
    expected = readings(TransformersModel(tiny_model("llama"), tokenizer), questions)
    other = TransformersModel(tiny_model("llama"), tokenizer)
    assert other.passes._keeps == "rows"
    other.passes._keeps = kept
    found = readings(other, questions)
    for i in expected:
        np.testing.assert_allclose(found[i].probabilities, expected[i].probabilities, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 2, 7])
def test_batch_size_changes_nothing(
    batch_size: int, tiny_model: Any, tokenizer: Any, ask: Ask, naive: Any
) -> None:
    check(tiny_model("llama"), tokenizer, ask(items=3), naive, batch_size=batch_size)


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 8, 13, 16, 31, 32, 64])
@pytest.mark.parametrize("templated", [True, False])
@pytest.mark.parametrize("architecture", SHARING)
def test_every_batch_size_on_every_architecture(
    architecture: str,
    templated: bool,
    batch_size: int,
    tiny_model: Any,
    tokenizer: Any,
    plain_tokenizer: Any,
    ask: Ask,
    naive: Any,
) -> None:
    cut = tokenizer if templated else plain_tokenizer
    questions = ask(items=6, templates=("letters", "digits", "words"))
    check(tiny_model(architecture), cut, questions, naive, batch_size=batch_size)


def test_real_weights(shared: Any, ask: Ask, naive: Any) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = shared / "models" / "stories260k"
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    questions = ask(items=4, personas=("", "Lily was a happy girl who liked to play in the park."))
    check(model, AutoTokenizer.from_pretrained(folder), questions, naive)


def test_attention_is_left_as_it_was(tiny_model: Any, tokenizer: Any, ask: Ask) -> None:
    model = tiny_model("llama")
    stream = TransformersModel(model, tokenizer, batch_size=1).answer(ask(items=3))
    next(stream)
    assert model.config._attn_implementation == "sdpa"
    list(stream)
    assert model.config._attn_implementation == "sdpa"


def test_shared_tokens_are_run_once(tiny_model: Any, tokenizer: Any, ask: Ask) -> None:
    model = tiny_model("llama")
    asked = TransformersModel(model, tokenizer)
    asked.passes.sharing(np.arange(9))
    questions = ask(items=6, templates=("letters",))
    run = []
    handle = model.register_forward_pre_hook(
        lambda module, args, kwargs: run.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    with handle:
        list(asked.answer(questions))
    texts = [asked.chat.render(q.messages) for q in questions]
    whole = [tokenizer(text)["input_ids"] for text in texts]
    unique = len({tuple(ids[:k]) for ids in whole for k in range(1, len(ids) + 1)})
    assert sum(run) < 1.4 * unique < 0.4 * sum(map(len, whole))


def test_many_prefixes_are_run_in_one_pass(tiny_model: Any, tokenizer: Any, ask: Ask) -> None:
    model = tiny_model("llama")
    asked = TransformersModel(model, tokenizer)
    asked.passes.sharing(np.arange(9))
    questions = ask(items=6, templates=("letters", "digits", "words"))
    rows = []
    handle = model.register_forward_pre_hook(
        lambda module, args, kwargs: rows.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    with handle:
        list(asked.answer(questions))
    # Of 2 personas and 3 templates each; the prompts, run to the end of their labels, in the rest.
    assert len(rows) < 9
    assert sum(rows) > len(questions)


@pytest.mark.parametrize("sharing", ["shared", "expanded"])
@pytest.mark.parametrize("kept", [0, 1 << 15])
def test_little_room_for_prefixes_changes_nothing(
    kept: int,
    sharing: Any,
    tiny_model: Any,
    tokenizer: Any,
    ask: Ask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    questions = ask(items=4, templates=("letters", "digits", "words"))
    expected = readings(TransformersModel(tiny_model("qwen2-sliding"), tokenizer), questions)
    limits = prefix_engine._CPU._replace(overhead=2, cache_bytes=kept)
    monkeypatch.setattr(prefix_engine, "_CPU", limits)
    other = TransformersModel(tiny_model("qwen2-sliding"), tokenizer)
    other.passes._sharing = sharing
    found = readings(other, questions)
    for i in expected:
        np.testing.assert_allclose(found[i].probabilities, expected[i].probabilities, atol=1e-5)


def test_equal_questions_are_run_once(tiny_model: Any, tokenizer: Any, ask: Ask) -> None:
    from dataclasses import replace

    model = tiny_model("llama")
    one = ask(items=1, templates=("letters",), personas=("",))[0]
    again = [replace(one, condition=replace(one.condition, repeat=i)) for i in range(20)]
    rows = []
    handle = model.register_forward_pre_hook(
        lambda module, args, kwargs: rows.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    with handle:
        responses = list(TransformersModel(model, tokenizer).answer(again))
    assert rows == [1]
    assert sorted(r.condition.repeat for r in responses) == list(range(20))
    assert len({r.probabilities for r in responses}) == 1


def test_a_full_accelerator_halves_the_batch(
    tiny_model: Any, tokenizer: Any, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    questions = ask(items=6, templates=("letters",), personas=("",))
    expected = readings(TransformersModel(tiny_model("llama"), tokenizer), questions)
    run = forward_pass.ForwardPass.run
    sizes = []

    def small(self: Any, ids: Any, past: Any, positions: Any, during: Any) -> Any:
        sizes.append(len(ids))
        if len(ids) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return run(self, ids, past, positions, during)

    model = TransformersModel(tiny_model("llama"), tokenizer)
    model.passes.sharing(np.arange(9))
    monkeypatch.setattr(forward_pass.ForwardPass, "run", small)
    found = readings(model, questions)
    assert max(sizes) == 6
    for i in expected:
        np.testing.assert_allclose(found[i].probabilities, expected[i].probabilities, atol=1e-5)


@pytest.mark.parametrize("persona", ["", "Somebody. " * 40])
def test_a_prompt_that_never_fits_is_a_model_error(
    persona: str, tiny_model: Any, tokenizer: Any, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    def never(*_: Any) -> Any:
        raise torch.OutOfMemoryError("out of memory")

    model = TransformersModel(tiny_model("llama"), tokenizer)
    model.passes.sharing(np.arange(9))
    monkeypatch.setattr(forward_pass.ForwardPass, "run", never)
    with pytest.raises(ModelError, match="takes more memory than cpu has"):
        list(model.answer(ask(items=2, templates=("letters",), personas=(persona,))))


def test_reads_nothing_from_nothing(tiny_model: Any) -> None:
    engine = PrefixEngine(forward_pass.ForwardPass(tiny_model("llama")))
    assert list(engine.read([])) == []


def test_one_prompt_with_two_sets_of_labels(tiny_model: Any) -> None:
    passes = forward_pass.ForwardPass(tiny_model("llama"))
    tokens = np.array([5, 6, 7], np.int32)
    one, other = LabelTokens((((8,),), ((9,),))), LabelTokens((((8, 9),), ((10,),)))
    batches = PrefixEngine(passes).read([Prompt(tokens, one), Prompt(tokens, other)])
    found = {r.prompt: r for batch in batches for r in batch}
    assert found[0].log_probabilities[0] > found[1].log_probabilities[0]
    assert sorted(found) == [0, 1]


def covered(prefix: Prefix, prompts: list[Any], above: int = 0) -> list[int]:
    """Indices under a prefix, each checked to begin with it and to have tokens left."""
    found = list(prefix.rest)
    for child in prefix.children:
        assert child.start == prefix.stop < child.stop
        found += covered(child, prompts)
    for i in found:
        assert len(prompts[i]) > prefix.stop
        np.testing.assert_array_equal(prompts[i][: prefix.stop], prefix.tokens[: prefix.stop])
    return found


def cost(prefix: Prefix, prompts: list[Any], overhead: int) -> int:
    own = sum(len(prompts[i]) - prefix.stop for i in prefix.rest)
    run = prefix.stop - prefix.start + overhead if prefix.stop else 0
    return own + run + sum(cost(child, prompts, overhead) for child in prefix.children)


@given(
    st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=8), min_size=1, max_size=12),
    st.integers(0, 10),
)
def test_a_plan_holds_every_prompt_once_and_saves(lists: list[list[int]], overhead: int) -> None:
    prompts = [np.array(tokens, np.int32) for tokens in sorted(lists)]
    plan = plan_prefixes(prompts, overhead)
    assert sorted(covered(plan, prompts)) == list(range(len(prompts)))
    assert cost(plan, prompts, overhead) <= sum(map(len, prompts))


def test_without_overhead_a_plan_runs_every_token_once() -> None:
    texts = sorted(["abcde", "abcdf", "abxyz", "abxyw", "q", "abcd"])
    prompts = [np.array([ord(c) for c in text], np.int32) for text in texts]
    trie = {text[:k] for text in texts for k in range(1, len(text) + 1)}
    # Each prompt's last token is its own: "abcd" runs its d beside the one that two others share.
    assert cost(plan_prefixes(prompts, 0), prompts, 0) == len(trie) + 1


def test_a_prompt_keeps_what_is_read() -> None:
    prompts = [np.array(tokens, np.int32) for tokens in ([1, 2, 3, 4, 5], [1, 2, 3, 4, 6])]
    [prefix] = plan_prefixes(prompts, 0, [3, 2]).children
    assert (prefix.start, prefix.stop, sorted(prefix.rest)) == (0, 2, [0, 1])


def test_a_prefix_whose_branches_share_more_is_left_out() -> None:
    # One token before all, three before each half: having it apart would save one token.
    prompts = [np.array([1, half, half, half, i], np.int32) for half in (2, 3) for i in range(9)]
    plan = plan_prefixes(prompts, 4)
    assert [(child.start, child.stop, len(child.rest)) for child in plan.children] == [
        (0, 4, 9),
        (0, 4, 9),
    ]


def test_a_plan_of_nothing_is_empty() -> None:
    plan = plan_prefixes([], 0)
    assert not plan.rest
    assert not plan.children


def test_a_plan_of_ever_longer_prompts_nests() -> None:
    chain = [np.arange(k, dtype=np.int32) for k in range(1, 200)]
    plan = plan_prefixes(chain, 0)
    assert sorted(covered(plan, chain)) == list(range(len(chain)))
    depths = [p.stop for p in _walk(plan)]
    assert all(a < b for a, b in pairwise(depths))


def _walk(prefix: Prefix) -> list[Prefix]:
    return [prefix, *(p for child in prefix.children for p in _walk(child))]


def padded(lengths: list[int], sizes: list[int], overhead: int) -> int:
    """What batches of descending rows cost, each row as long as its batch's first."""
    starts = np.cumsum([0, *sizes[:-1]])
    return sum(size * lengths[start] + overhead for start, size in zip(starts, sizes, strict=True))


def every_cut(rows: int) -> list[list[int]]:
    if rows == 0:
        return [[]]
    return [[k, *rest] for k in range(1, rows + 1) for rest in every_cut(rows - k)]


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=8),
    st.integers(1, 30),
    st.integers(0, 12),
    st.integers(1, 8),
)
def test_batches_are_the_cheapest_that_fit(
    lengths: list[int], budget: int, overhead: int, most: int
) -> None:
    lengths = sorted(lengths, reverse=True)
    sizes = batch_sizes(np.array(lengths), budget, overhead, most)

    def fits(cut: list[int]) -> bool:
        starts = np.cumsum([0, *cut[:-1]])
        return all(
            size == 1 or (size <= most and size * lengths[start] <= budget)
            for start, size in zip(starts, cut, strict=True)
        )

    assert fits(sizes)
    assert sum(sizes) == len(lengths)
    best = min(padded(lengths, cut, overhead) for cut in every_cut(len(lengths)) if fits(cut))
    assert padded(lengths, sizes, overhead) == best


def test_sharing_can_be_switched_off_and_on(tiny_model: Any, tokenizer: Any) -> None:
    passes = TransformersModel(tiny_model("llama"), tokenizer).passes
    passes.share("whole")
    assert passes.sharing(np.arange(9)) == "whole"
    assert not passes.mixes_chains
    passes.share(None)
    assert passes.sharing(np.arange(9)) == "shared"
