"""A local model as a respondent: streams, errors, generation, description."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from allport.errors import ModelError, UsageError
from allport.models.respondent import Message, Question, Respondent
from allport.models.transformers_model import TransformersModel

Ask = Callable[..., list[Question]]


@pytest.fixture
def model(tiny_model: Any, tokenizer: Any) -> TransformersModel:
    return TransformersModel(tiny_model("llama"), tokenizer, "tiny")


def test_it_is_a_respondent(model: TransformersModel) -> None:
    respondent: Respondent = model
    assert respondent.name == "tiny"
    assert repr(model) == "TransformersModel('tiny', LlamaForCausalLM)"


def test_every_question_once_with_a_distribution(model: TransformersModel, ask: Ask) -> None:
    questions = ask(items=4, templates=("letters", "digits", "words"))
    responses = list(model.answer(questions))
    asked = sorted((q.item, q.condition.template, q.condition.persona) for q in questions)
    assert asked == sorted((r.item, r.condition.template, r.condition.persona) for r in responses)
    for response in responses:
        assert response.probabilities is not None
        assert sum(response.probabilities) == pytest.approx(1)
        assert response.choice == int(np.argmax(response.probabilities))
        assert 0 < response.label_mass <= 1
        assert response.prompt_tokens > 20
        assert response.text is None
        assert not response.refused
        assert not response.unparsable


def test_probabilities_are_in_content_order(model: TransformersModel, ask: Ask) -> None:
    (question,) = ask(items=1, templates=("letters",), personas=("",))
    (backward,) = model.answer([question])
    relabelled = replace(question, labels=question.labels[::-1], options=question.options[::-1])
    (forward,) = model.answer([relabelled])
    assert backward.probabilities is not None
    assert forward.probabilities == pytest.approx(backward.probabilities[::-1])


def test_answers_stream(model: TransformersModel, ask: Ask) -> None:
    questions = ask(items=6, templates=("letters",), personas=("",))
    one_by_one = TransformersModel(model.model, model.tokenizer, batch_size=1)
    one_by_one.passes.sharing(np.arange(9))
    passes = []
    handle = model.model.register_forward_pre_hook(lambda *_: passes.append(1))
    with handle:
        stream = one_by_one.answer(questions)
        assert not passes
        next(stream)
        assert len(passes) == 2  # what they share, and the first of them
        assert len(list(stream)) == 5


def test_no_questions(model: TransformersModel) -> None:
    assert list(model.answer([])) == []
    assert model.generate([]) == []


def test_too_long_says_both_lengths_before_any_work(model: TransformersModel, ask: Ask) -> None:
    questions = ask(items=3, templates=("letters",), personas=("",))
    long = replace(questions[1], item=77, messages=(Message("user", "worry " * 1500),))
    work = []
    handle = model.model.register_forward_pre_hook(lambda *_: work.append(1))
    with handle, pytest.raises(ModelError, match=r"Item 77 takes 1,5\d\d tokens.*tiny takes 1,024"):
        model.answer([*questions, long])
    assert not work
    with handle, pytest.raises(ModelError, match=r"Chat 1 takes .* and its answer 2,000 more"):
        model.generate([[Message("user", "Hello.")]], max_new_tokens=2000)


def test_the_last_token_that_fits(model: TransformersModel, ask: Ask) -> None:
    (question,) = ask(items=1, templates=("letters",), personas=("",))
    (response,) = model.answer([question])
    room = 1024 - response.prompt_tokens
    word = " zq"  # tokens of its own
    cost = len(model.tokenizer(word * 10)["input_ids"]) // 10
    text = question.messages[0].content
    fits = replace(question, messages=(Message("user", text + word * (room // cost)),))
    (full,) = model.answer([fits])
    assert 1024 - cost < full.prompt_tokens <= 1024
    beyond = replace(question, messages=(Message("user", text + word * (room // cost + 1)),))
    with pytest.raises(ModelError, match="1,024 in all"):
        model.answer([beyond])


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 0},
        {"max_new_tokens": 0},
        {"temperature": -1.0},
        {"temperature": math.nan},
    ],
)
def test_numbers_out_of_range(options: dict[str, Any], tiny_model: Any, tokenizer: Any) -> None:
    with pytest.raises(UsageError):
        TransformersModel(tiny_model("llama"), tokenizer, **options)


def test_no_numbers_is_an_error(tiny_model: Any, tokenizer: Any, ask: Ask) -> None:
    import copy

    broken = copy.deepcopy(tiny_model("llama"))
    broken.model.norm.weight.data.fill_(math.nan)
    with pytest.raises(ModelError, match="computes no numbers for item 1 in float32"):
        list(TransformersModel(broken, tokenizer, "b").answer(ask(items=1, personas=("",))))


def test_training_mode_is_left(tiny_model: Any, tokenizer: Any) -> None:
    network = tiny_model("llama").train()
    TransformersModel(network, tokenizer)
    assert not network.training


def test_several_threads_ask_one_model(model: TransformersModel, ask: Ask) -> None:
    questions = ask(items=4, templates=("letters",))
    expected = {(r.item, r.condition): r.probabilities for r in model.answer(questions)}
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda: found.append(list(model.answer(questions))))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    for responses in found:
        for r in responses:
            assert r.probabilities == pytest.approx(expected[r.item, r.condition], abs=1e-6)


def greedy(network: Any, ids: list[int], count: int, end: int) -> list[int]:
    """Greedy decoding, whole prompt each time."""
    import torch

    written: list[int] = []
    while len(written) < count:
        with torch.no_grad():
            scores = network(input_ids=torch.tensor([[*ids, *written]])).logits[0, -1]
        if int(scores.argmax()) == end:
            break
        written.append(int(scores.argmax()))
    return written


@pytest.mark.parametrize("architecture", ["llama", "mistral", "gemma2", "gpt2"])
def test_generation_in_batches_is_greedy_decoding(
    architecture: str, tiny_model: Any, tokenizer: Any, ask: Ask
) -> None:
    network = tiny_model(architecture)
    questions = ask(items=3, templates=("letters",), reading="generation")
    model = TransformersModel(network, tokenizer, max_new_tokens=6)
    for response in model.answer(questions):
        question = next(
            q for q in questions if (q.item, q.condition) == (response.item, response.condition)
        )
        ids = tokenizer(model.chat.render(question.messages))["input_ids"]
        written = greedy(network, ids, 6, tokenizer.eos_token_id)
        assert response.text == tokenizer.decode(written, skip_special_tokens=True).strip()
        assert response.prompt_tokens == len(ids)
        assert response.completion_tokens == len(written) + (len(written) < 6)


def scripted(network: Any, tokenizer: Any, text: str) -> Any:
    """The network with a head that writes `text` and then ends, whatever is asked."""
    import copy

    import torch

    ids = [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]

    class Head(torch.nn.Module):
        written = 0

        def forward(self, hidden: Any) -> Any:
            scores = torch.zeros(*hidden.shape[:-1], len(tokenizer))
            scores[..., ids[min(self.written, len(ids) - 1)]] = 20.0
            self.written += 1
            return scores

    changed = copy.deepcopy(network)
    changed.lm_head = Head()
    return changed


@pytest.mark.parametrize(
    ("text", "choice", "refused", "unparsable"),
    [
        ("B", 3, False, False),  # labels stand in reversed order
        ("Answer: (D)", 1, False, False),
        ("Very Accurate", 4, False, False),
        ("As an AI, I have no self.", None, True, False),
        ("Perhaps.", None, False, True),
        ("", None, False, True),
    ],
)
def test_what_is_written_is_parsed(
    text: str,
    choice: int | None,
    refused: bool,
    unparsable: bool,
    tiny_model: Any,
    tokenizer: Any,
    ask: Ask,
) -> None:
    network = scripted(tiny_model("llama"), tokenizer, text)
    (question,) = ask(items=1, templates=("letters",), personas=("",), reading="generation")
    (response,) = TransformersModel(network, tokenizer, max_new_tokens=40).answer([question])
    assert response.text == text
    assert (response.choice, response.refused, response.unparsable) == (choice, refused, unparsable)
    assert response.completion_tokens == len(tokenizer(text)["input_ids"]) + 1
    if choice is None:
        assert response.probabilities is None
    else:
        assert response.probabilities == tuple(float(i == choice) for i in range(5))


def test_label_mass_of_what_is_written(model: TransformersModel, ask: Ask) -> None:
    questions = ask(items=2, templates=("letters",), personas=("",))
    read = {r.item: r.label_mass for r in model.answer(questions)}
    written = [replace(q, reading="generation") for q in questions]
    for response in model.answer(written):
        assert response.label_mass == pytest.approx(read[response.item], abs=1e-6)
    (words,) = ask(items=1, templates=("words",), personas=("",), reading="generation")
    (response,) = model.answer([words])
    assert math.isnan(response.label_mass)  # labels of several tokens are not measured


def test_both_readings_in_one_call(model: TransformersModel, ask: Ask) -> None:
    questions = ask(items=2, templates=("letters",), personas=("",))
    mixed = [*questions, *(replace(q, reading="generation") for q in questions)]
    assert sorted(r.text is None for r in model.answer(mixed)) == [False, False, True, True]


def test_sampling_goes_by_the_questions_seed_and_not_by_the_batch(
    tiny_model: Any, tokenizer: Any, ask: Ask
) -> None:
    questions = ask(items=6, templates=("letters",), personas=("",), reading="generation")
    options: dict[str, Any] = {"temperature": 1.5, "max_new_tokens": 5}
    together = TransformersModel(tiny_model("llama"), tokenizer, **options)
    alone = TransformersModel(tiny_model("llama"), tokenizer, batch_size=1, **options)
    one = {r.item: r.text for r in together.answer(questions)}
    assert one == {r.item: r.text for r in alone.answer(questions)}
    other = {
        r.item: r.text for r in together.answer([replace(q, seed=q.seed + 9) for q in questions])
    }
    assert one != other


def test_samples_follow_the_distribution(tiny_model: Any, tokenizer: Any) -> None:
    """First tokens of 400 samples against the model's own probabilities at that temperature."""
    import torch

    model = TransformersModel(tiny_model("llama"), tokenizer)
    chat = [Message("user", "Say something.")]
    ids = torch.tensor([tokenizer(model.chat.render(chat))["input_ids"]])
    with torch.no_grad():
        expected = (model.model(input_ids=ids).logits[0, -1] / 0.25).softmax(-1).tolist()
    texts = [tokenizer.decode([i], skip_special_tokens=True).strip() for i in range(len(expected))]
    likely = texts[int(np.argmax(expected))]
    p = sum(share for text, share in zip(texts, expected, strict=True) if text == likely)
    replies = model.generate([chat] * 400, max_new_tokens=1, temperature=0.25, seeds=range(400))
    share = [reply.text for reply in replies].count(likely) / 400
    assert 0.05 < p < 0.95
    assert abs(share - p) < 4 * math.sqrt(p * (1 - p) / 400)


def test_a_full_accelerator_halves_the_batch_of_texts(
    model: TransformersModel, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    questions = ask(items=5, templates=("letters",), personas=("",), reading="generation")
    expected = {r.item: r.text for r in model.answer(questions)}
    generate = model.model.generate

    def small(ids: Any, **options: Any) -> Any:
        if len(ids) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return generate(ids, **options)

    monkeypatch.setattr(model.model, "generate", small)
    assert {r.item: r.text for r in model.answer(questions)} == expected

    def never(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(model.model, "generate", never)
    with pytest.raises(ModelError, match="takes more memory than cpu has"):
        list(model.answer(questions))


def test_replies_come_in_the_order_of_the_chats(model: TransformersModel) -> None:
    chats = [[Message("user", text)] for text in ("Hi.", "Tell me about worry. " * 5, "And you?")]
    together = model.generate(chats, max_new_tokens=4)
    assert together == [model.generate([chat], max_new_tokens=4)[0] for chat in chats]
    assert len({reply.prompt_tokens for reply in together}) == 3
    assert all(reply.completion_tokens <= 4 for reply in together)


def test_a_checkpoints_own_generation_settings_change_nothing(
    tiny_model: Any, tokenizer: Any
) -> None:
    import copy

    network = copy.deepcopy(tiny_model("llama"))
    network.generation_config.update(
        do_sample=True, temperature=0.6, top_p=0.9, repetition_penalty=3.0, max_length=7
    )
    chat = [[Message("user", "Tell me.")]]
    plain = TransformersModel(tiny_model("llama"), tokenizer).generate(chat)
    said = tokenizer(plain[0].text, add_special_tokens=False)["input_ids"]
    network.generation_config.update(suppress_tokens=said, min_new_tokens=40)
    before = network.generation_config.to_dict()
    assert TransformersModel(network, tokenizer).generate(chat) == plain
    assert network.generation_config.to_dict() == before


def test_a_description_without_files_hashes_the_parameters(
    model: TransformersModel, tiny_model: Any, tokenizer: Any
) -> None:
    described = model.describe()
    assert len(described["weights_sha256"]) == 64
    assert model.describe() == described
    list(model.generate([[Message("user", "Calls leave no trace.")]], max_new_tokens=1))
    again = TransformersModel(tiny_model("llama"), tokenizer, "tiny")
    assert again.describe() == described
    other = TransformersModel(tiny_model("qwen2"), tokenizer, "tiny").describe()
    assert other["weights_sha256"] != described["weights_sha256"]
    assert other["tokenizer_sha256"] == described["tokenizer_sha256"]
    warm = TransformersModel(tiny_model("llama"), tokenizer, "tiny", temperature=1.0)
    assert warm.describe() != described
