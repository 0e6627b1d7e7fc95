"""How labels are cut into tokens, and how their probabilities are put together."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from allport.errors import ModelError
from allport.models.label_tokens import LabelTokenizer, LabelTokens, Step

A, B, C, D, SPACE, END, STOP = range(10, 17)


def after(tokenizer: Any, prompt: str, labels: tuple[str, ...], **options: Any) -> LabelTokens:
    last = tokenizer(prompt, add_special_tokens=False)["input_ids"][-1]
    return LabelTokenizer(tokenizer, **options).after(prompt, prompt, last, labels)


def words(tokenizer: Any, ways: tuple[tuple[int, ...], ...]) -> set[str]:
    return {tokenizer.decode(way) for way in ways}


def test_with_and_without_a_leading_space(tokenizer: Any) -> None:
    found = after(tokenizer, "Reply.\nAnswer:", ("A", "B"))
    assert [words(tokenizer, ways) for ways in found.variants] == [{"A", " A"}, {"B", " B"}]
    assert found.longest_tail == 0
    assert all(len(way) == 1 for ways in found.variants for way in ways)


def test_labels_of_several_tokens(tokenizer: Any) -> None:
    found = after(tokenizer, "Answer:", ("zqx", "A"))
    assert words(tokenizer, found.variants[0]) == {"zqx", " zqx"}
    assert found.longest_tail == max(len(way) for way in found.variants[0]) - 1 > 0


def test_a_prompt_that_ends_in_a_space(tokenizer: Any) -> None:
    # "Answer: " + "A" would be cut as ":" + " A": the label's own tokens are taken instead.
    found = after(tokenizer, "Answer: ", ("A", "B"))
    assert {"A"} <= words(tokenizer, found.variants[0])
    assert not any(way == () for ways in found.variants for way in ways)


def test_sentencepiece_style(shared: Any) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(shared / "models" / "stories260k")
    found = after(tokenizer, "Once upon a time\nAnswer:", ("Lily", "Tom"))
    for label, ways in zip(("Lily", "Tom"), found.variants, strict=True):
        assert len(ways) == 2
        start = tokenizer("Answer:", add_special_tokens=False)["input_ids"]
        texts = {tokenizer.decode([*start, *way]) for way in ways}
        assert texts == {f"Answer:{label}", f"Answer: {label}"}


def test_like_prompts_share_one_object(tokenizer: Any) -> None:
    labels = LabelTokenizer(tokenizer)
    last = tokenizer("Answer:", add_special_tokens=False)["input_ids"][-1]
    long = "an end that is longer than what is looked at, the same in both\nAnswer:"
    one = labels.after(f"One {long}", f"One {long}", last, ("A", "B"))
    two = labels.after(f"Two {long}", f"Two {long}", last, ("A", "B"))
    other = labels.after(f"Two {long}", f"Two {long}", last, ("A", "C"))
    assert one is two
    assert one is not other


def test_labels_that_cannot_be_told_apart() -> None:
    class Forgetful:
        unk_token_id = None

        def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
            return {"input_ids": [1 if c in "\n:" else 2 for c in text if c != " "]}

    with pytest.raises(ModelError, match="'A' and 'B' alike"):
        LabelTokenizer(Forgetful()).after(":", ":", 1, ("A", "B"))  # type: ignore[arg-type]


def test_labels_that_cannot_be_written() -> None:
    class Poor:
        unk_token_id = 0

        def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
            return {"input_ids": ["?ab:\n".find(c) if c in "ab:\n" else 0 for c in text]}

    with pytest.raises(ModelError, match="no tokens for the label 'z'"):
        LabelTokenizer(Poor()).after(":", ":", 3, ("a", "z"))  # type: ignore[arg-type]


def model(table: dict[tuple[int, ...], dict[int, float]], steps: tuple[Step, ...]) -> Any:
    """Step log-probabilities of a model given as context -> token -> probability."""
    values = [sum(table[s.context].get(t, 0.0) for t in s.tokens) for s in steps]
    with np.errstate(divide="ignore"):
        return np.log(np.array([values]))


def test_variants_add_up() -> None:
    labels = LabelTokens((((A,), (SPACE, A)), ((B,),)))
    table = {(): {A: 0.2, B: 0.3, SPACE: 0.4}, (SPACE,): {A: 0.5}}
    scores = labels.score(model(table, labels.steps))
    np.testing.assert_allclose(np.exp(scores.log_probabilities), [[0.2 + 0.4 * 0.5, 0.3]])
    np.testing.assert_allclose(scores.mass, [0.7])
    assert [run.tail for run in labels.runs] == [(SPACE,)]


def test_contexts_are_run_once() -> None:
    labels = LabelTokens((((A, B, C),), ((A, B, D),), ((A, C),), ((D,),)))
    assert [run.tail for run in labels.runs] == [(A, B)]
    assert len(labels.steps) == len({*labels.steps}) == 6
    assert [s.context for s in labels.steps][:2] == [(), ()]


def test_one_label_inside_another_is_closed() -> None:
    # "1" and "10": what is said after 1 decides between them.
    labels = LabelTokens((((A,),), ((A, B),), ((C,),)), closers=(END, STOP))
    assert labels.is_closed
    table = {
        (): {A: 0.6, C: 0.4},
        (A,): {B: 0.5, END: 0.2, STOP: 0.1},
        (A, B): {END: 0.5},
        (C,): {STOP: 0.25},
    }
    scores = labels.score(model(table, labels.steps))
    np.testing.assert_allclose(
        np.exp(scores.log_probabilities), [[0.6 * 0.3, 0.6 * 0.5 * 0.5, 0.4 * 0.25]]
    )
    # Open, all the mass is on labels: whatever begins with A is one of the two.
    np.testing.assert_allclose(scores.mass, [1.0])


def test_labels_that_differ_from_the_start_stay_open() -> None:
    labels = LabelTokens((((A, B),), ((C,),)), closers=(END,))
    assert not labels.is_closed
    assert all(step.tokens != (END,) for step in labels.steps)


def test_impossible_labels_have_no_probability() -> None:
    labels = LabelTokens((((A,),), ((B,),)))
    scores = labels.score(model({(): {C: 1.0}}, labels.steps))
    assert np.isneginf(scores.log_probabilities).all()
    assert scores.mass[0] == 0.0


def test_mass_is_never_above_one() -> None:
    labels = LabelTokens((((A,),), ((B,),)))
    rounded = np.log(np.array([[0.5, 0.5]])) + 1e-12
    assert labels.score(rounded).mass[0] == 1.0


def test_nested_digits_in_a_model(tiny_model: Any, tokenizer: Any) -> None:
    """Labels 1 to 10, where 10 begins like 1: the engine's figures are the chain rule's."""
    import torch

    from allport.models.respondent import Condition, Message, Question
    from allport.models.transformers_model import TransformersModel

    network = tiny_model("llama")
    labels = tuple(str(n) for n in range(1, 11))
    question = Question(1, Condition("t", "forward"), (Message("user", "?"),), "", labels, labels)
    asked = TransformersModel(network, tokenizer)
    (response,) = asked.answer([question])
    start = tokenizer(asked.chat.render(question.messages))["input_ids"]
    assert tokenizer("10")["input_ids"][0] == tokenizer("1")["input_ids"][0]
    end = tokenizer.eos_token_id
    totals = []
    for label in labels:
        ways = {tuple(tokenizer(text)["input_ids"]) for text in (label, f" {label}")}
        total = 0.0
        for way in ways:
            ids = torch.tensor([[*start, *way, end]])
            with torch.no_grad():
                scores = network(input_ids=ids).logits[0].double().log_softmax(-1)
            places = range(len(start) - 1, ids.shape[1] - 1)
            steps = [float(scores[at, t]) for at, t in zip(places, (*way, end), strict=True)]
            total += math.exp(sum(steps))
        totals.append(total)
    np.testing.assert_allclose(response.probabilities, np.array(totals) / sum(totals), atol=1e-5)
    assert sum(totals) < response.label_mass <= 1
