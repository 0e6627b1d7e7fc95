"""What is captured is what the model computes at the answer, found and not counted."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from allport.alignment import capture_contrasts, model_sites
from allport.alignment.activations import _probes, activations_folder, read_at_answer
from allport.alignment.contrasts import ContrastPrompt, contrast_prompts, contrasts_of
from allport.errors import InventoryError, ModelError, UsageError
from allport.inventories import load_inventory
from allport.models.respondent import Message
from allport.models.transformers_model import TransformersModel
from allport.personas import Person, TraitLevels

SHORT = load_inventory("mini-ipip-20")
NUMBERS = SHORT.numbers[:4]


def one_by_one(model: Any, ids: list[int]) -> tuple[Any, Any]:
    """Inputs of projections and outputs of blocks at the last token, (layers, width) each."""
    sites = model_sites(model)
    heads, blocks = {}, {}
    handles = []
    for layer, _, module, _ in sites.projections:
        handles += [
            module.register_forward_pre_hook(
                lambda m, args, at=layer: heads.update({at: args[0][0, -1]})
            ),
            sites.blocks[layer].register_forward_hook(
                lambda m, args, out, at=layer: blocks.update(
                    {at: (out[0] if isinstance(out, tuple) else out)[0, -1]}
                )
            ),
        ]
    with torch.no_grad():
        model(input_ids=torch.tensor([ids]))
    for handle in handles:
        handle.remove()
    return tuple(
        np.stack([found[layer].numpy() for layer in sites.layers]) for found in (heads, blocks)
    )


@pytest.mark.parametrize(
    "architecture",
    ["llama", "mistral", "qwen3", "gemma2", "gemma3", "phi3", "olmo2", "gpt_neox", "gpt2", "jamba"],
)
def test_equals_one_by_one(architecture: str, tiny_model: Any, tokenizer: Any) -> None:
    model = TransformersModel(tiny_model(architecture), tokenizer)
    found = capture_contrasts(model, SHORT, NUMBERS, cache=False)
    assert found.contrasts == (
        "options letters forward",
        "options letters reversed",
        "yes-no 1",
        "yes-no 2",
    )
    for column, contrast in enumerate(contrasts_of(("options", "yes-no"))):
        both = contrast_prompts(contrast, SHORT, SHORT.item(NUMBERS[2]))
        for side, [prompt] in enumerate(both):
            text = model.chat.render(prompt.messages) + prompt.answer
            ids = tokenizer(text, add_special_tokens=False)["input_ids"]
            heads, residual = one_by_one(model.model, ids)
            np.testing.assert_allclose(found.sides[2, column, side], heads, atol=1e-4)
            np.testing.assert_allclose(found.residual[2, column, side], residual, atol=1e-4)


def test_both_sides_differ_in_the_answer_alone() -> None:
    for contrast in contrasts_of(("options", "yes-no")):
        [agree], [disagree] = contrast_prompts(contrast, SHORT, SHORT.items[0])
        assert agree.messages == disagree.messages
        assert agree.answer != disagree.answer
    forward, backward = (
        contrast_prompts(c, SHORT, SHORT.items[0]) for c in contrasts_of(("options",))
    )
    # The letter of agreement turns with the order.
    assert forward[0][0].answer == backward[1][0].answer == "E"
    assert forward[1][0].answer == backward[0][0].answer == "A"


def test_a_persona_contrast_is_read_before_the_answer() -> None:
    [contrast, _] = contrasts_of(("persona",))
    agree, disagree = contrast_prompts(contrast, SHORT, SHORT.items[0], SHORT.items[1:3])
    assert len(agree) == len(disagree) == 2
    assert all(prompt.answer == "" for prompt in agree + disagree)
    assert agree[0].messages[0].content.endswith("Very Accurate")
    assert disagree[0].messages[0].content.endswith("Very Inaccurate")
    assert agree[0].messages[1] == disagree[0].messages[1]


def test_a_contrast_of_levels_goes_toward_the_key() -> None:
    [contrast] = contrasts_of(("levels",))
    for key in (1, -1):
        item = next(item for item in SHORT.items if item.trait == "E" and item.key == key)
        [agree], [disagree] = contrast_prompts(contrast, SHORT, item)
        high, low = (TraitLevels({"E": level}).system_prompt() for level in (1.0, -1.0))
        assert agree.messages[0].content == (high if key > 0 else low)
        assert disagree.messages[0].content == (low if key > 0 else high)
        assert agree.behind_system
        assert disagree.behind_system


def test_a_contrast_of_facets_answers_the_whole_facet_toward_the_key() -> None:
    [contrast] = contrasts_of(("facets",))
    inventory = load_inventory("ipip-neo-120")
    for key in (1, -1):
        item = next(item for item in inventory.items if item.facet == "E2" and item.key == key)
        fitted_on = [other for other in inventory.items if other.number <= 60]
        [agree], [disagree] = contrast_prompts(contrast, inventory, item, items=fitted_on)
        same = [other for other in fitted_on if other.facet == "E2"]
        assert 1 <= len(same) < 4
        for side, sign in ((agree, key), (disagree, -key)):
            said = {o.number: 5.0 if o.key == sign else 1.0 for o in same}
            assert side.messages[0].content == Person("p", inventory, said).system_prompt()
            assert side.behind_system


def test_items_without_facets_are_contrasted_by_trait() -> None:
    [contrast] = contrasts_of(("facets",))
    item = next(item for item in SHORT.items if item.trait == "E")
    [agree], _ = contrast_prompts(contrast, SHORT, item, items=SHORT.items)
    assert agree.messages[0].content.count(": Very") == 4


def test_levels_are_read_between_system_and_user(tiny_model: Any, tokenizer: Any) -> None:
    model = TransformersModel(tiny_model("llama"), tokenizer)
    prompt = ContrastPrompt((Message("system", "I am calm."),), behind_system=True)
    read = read_at_answer(model, model_sites(model.model), [prompt])
    start = tokenizer("<|system|>\nI am calm.", add_special_tokens=False)["input_ids"]
    whole = tokenizer("<|system|>\nI am calm.<|end|>\n<|user|>\n", add_special_tokens=False)[
        "input_ids"
    ]
    assert whole[: len(start)] == start
    states = [one_by_one(model.model, whole[:n])[0] for n in range(len(start) + 1, len(whole) + 1)]
    assert len(states) == 4
    np.testing.assert_allclose(read["heads"][0], np.mean(states, axis=0), atol=1e-5)


def test_probes_are_of_all_traits_and_both_keys() -> None:
    inventory = load_inventory("ipip-neo-120")
    probes = _probes(inventory.items)
    assert Counter(probe.trait for probe in probes) == dict.fromkeys("NEOAC", 2)
    assert {probe.key for probe in probes} == {1, -1}


def test_equal_prompts_are_read_once(
    tiny_model: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import allport.alignment.activations as module

    model = TransformersModel(tiny_model("llama"), tokenizer)
    counted: list[int] = []

    def read(model: Any, sites: Any, prompts: Any) -> Any:
        counted.append(len(prompts))
        return read_at_answer(model, sites, prompts)

    monkeypatch.setattr(module, "read_at_answer", read)
    numbers = [item.number for item in SHORT.items if item.trait == "E"]
    found = capture_contrasts(model, SHORT, numbers, kinds=("levels",), cache=False)
    # Two personas, however many items are contrasted.
    assert counted == [2]
    keys = np.array([SHORT.item(number).key for number in numbers])
    difference = found.sides[:, :, 0] - found.sides[:, :, 1]
    turned = difference * keys[:, None, None, None]
    np.testing.assert_allclose(turned, np.broadcast_to(turned[:1], turned.shape), atol=1e-6)


@pytest.mark.parametrize("answer", ["Yes", "Very Accurate", "B"])
def test_the_answer_is_found_and_not_counted(
    answer: str, tiny_model: Any, tokenizer: Any, plain_tokenizer: Any
) -> None:
    chat = (Message("user", "Well?"),)
    for cut in (tokenizer, plain_tokenizer):
        model = TransformersModel(tiny_model("llama"), cut)
        ids = model.prompt_tokens(chat, answer).tolist()
        before = model.prompt_tokens(chat).tolist()
        assert ids[: len(before)] == before
        assert cut.decode(ids[len(before) :]).strip() == answer
        read = read_at_answer(model, model_sites(model.model), [ContrastPrompt(chat, answer)])
        np.testing.assert_allclose(read["heads"][0], one_by_one(model.model, ids)[0], atol=1e-5)


def test_the_last_block_is_read_before_the_final_norm(tiny_model: Any, tokenizer: Any) -> None:
    model = TransformersModel(tiny_model("llama"), tokenizer)
    chat = (Message("user", "Well?"),)
    read = read_at_answer(model, model_sites(model.model), [ContrastPrompt(chat, "")])
    ids = torch.tensor([model.prompt_tokens(chat).tolist()])
    with torch.no_grad():
        listed = model.model(input_ids=ids, output_hidden_states=True).hidden_states[-1][0, -1]
    last = torch.from_numpy(read["residual"][0, -1])
    assert not torch.allclose(last, listed, atol=1e-2)
    np.testing.assert_allclose(model.model.model.norm(last).detach(), listed, atol=1e-5)


def test_differences_are_centred_over_items(tiny_model: Any, tokenizer: Any) -> None:
    model = TransformersModel(tiny_model("llama"), tokenizer)
    found = capture_contrasts(model, SHORT, NUMBERS, cache=False)
    sides = found.sides.mean(axis=1)
    expected = sides[:, 0] - sides[:, 1]
    expected -= expected.mean(axis=0)
    np.testing.assert_allclose(found.contrast_differences, expected, atol=1e-5)
    assert found.head_differences.shape == (4, 8, 8)
    np.testing.assert_allclose(
        found.head_differences[:, 5], found.contrast_differences[:, 1, 8:16], atol=1e-7
    )


def test_activations_are_read_once_a_model(
    tiny_model: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tiny_model("llama")
    model = TransformersModel(inner, tokenizer)
    first = capture_contrasts(model, SHORT, NUMBERS)
    [file] = activations_folder().iterdir()
    with monkeypatch.context() as patched:
        patched.setattr(type(model.passes), "run", lambda *_: pytest.fail("the model was run"))
        again = capture_contrasts(TransformersModel(inner, tokenizer), SHORT, NUMBERS)
    np.testing.assert_array_equal(again.sides, first.sides)
    np.testing.assert_array_equal(again.residual, first.residual)
    # Other weights, items, or contrasts are other activations.
    other = copy.deepcopy(inner)
    other.model.layers[0].self_attn.v_proj.weight.data[0, 0] += 0.1
    capture_contrasts(TransformersModel(other, tokenizer), SHORT, NUMBERS)
    capture_contrasts(model, SHORT, NUMBERS[:2])
    capture_contrasts(model, SHORT, NUMBERS, kinds=("yes-no",))
    assert len(list(activations_folder().iterdir())) == 4
    file.write_bytes(file.read_bytes()[:100])
    mended = capture_contrasts(model, SHORT, NUMBERS)
    np.testing.assert_array_equal(mended.sides, first.sides)


def test_a_model_that_computes_no_numbers_is_refused(tiny_model: Any, tokenizer: Any) -> None:
    inner = copy.deepcopy(tiny_model("llama"))
    inner.model.layers[0].self_attn.v_proj.weight.data[:] = torch.inf
    with pytest.raises(ModelError, match="no numbers in float32"):
        capture_contrasts(TransformersModel(inner, tokenizer), SHORT, NUMBERS, cache=False)


def test_bad_requests_are_sentences(tiny_model: Any, tokenizer: Any) -> None:
    model = TransformersModel(tiny_model("llama"), tokenizer)
    with pytest.raises(UsageError, match="Unknown contrast 'maybe'; known: options, yes-no"):
        capture_contrasts(model, SHORT, NUMBERS, kinds=("maybe",))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="Unknown template 'rhyme'"):
        capture_contrasts(model, SHORT, NUMBERS, templates=("rhyme",))
    with pytest.raises(InventoryError, match="has no item 99"):
        capture_contrasts(model, SHORT, (99,))
