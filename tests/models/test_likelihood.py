"""Likelihoods of options' texts on shared prefixes are those of one sequence after the other."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from allport.administration import Design, measure, plan
from allport.errors import ModelError, UsageError
from allport.inventories import Inventory, Item, Option, Trait, load_inventory
from allport.models import Endpoint
from allport.models.label_tokens import LabelTokens
from allport.models.likelihood import TextLikelihoods, option_shares
from allport.models.respondent import Message, Question
from allport.models.transformers_model import TransformersModel
from allport.personas import TraitLevels

ADVICE = (
    ("Call them now.", "Ask a friend along.", "Wait a day.", "Leave it, and stay at home."),
    ("Ring the bell, and say hello.", "Wave.", "Wait until you meet.", "Do not."),
)
PERSONAS = (TraitLevels({"E": 1.0}, name="high"), TraitLevels({"E": -1.0}, name="low"))


@pytest.fixture(scope="module")
def situations() -> Inventory:
    """Two situations with advice of their own, of one token and of many."""
    texts = ("I am asked to a party by people whom I hardly know.", "My neighbour has moved.")
    return Inventory(
        name="two",
        title="Two",
        version="1",
        traits=(Trait(code="E", name="Extraversion"),),
        items=tuple(
            Item(
                number=number,
                text=f"{text} What now?",
                trait="E",
                options=tuple(
                    Option(text=advice, value=value)
                    for advice, value in zip(own, (1, 1, 0, 0), strict=True)
                ),
            )
            for number, (text, own) in enumerate(zip(texts, ADVICE, strict=True), start=1)
        ),
        licence="test",
        source="test",
    )


def one_by_one(
    model: Any, tokenizer: Any, prompt: str, texts: tuple[str, ...]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Log-likelihood and tokens of each text, the model run on one whole sequence at a time."""
    import torch

    begins = tokenizer.chat_template is None
    start = tokenizer(prompt, add_special_tokens=begins)["input_ids"]
    lead = " " if begins else ""
    totals, counts = [], []
    for text in texts:
        ids = tokenizer(prompt + lead + text, add_special_tokens=begins)["input_ids"]
        assert ids[: len(start)] == start
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
        places = range(len(start) - 1, len(ids) - 1)
        totals.append(sum(float(logits[place, ids[place + 1]]) for place in places))
        counts.append(len(ids) - len(start))
    return np.array(totals), np.array(counts)


def expected(model: TransformersModel, question: Question) -> tuple[NDArray[np.float64], float]:
    """Shares of the options of a question, and the probability that any is written."""
    inner, tokenizer = model.model, model.tokenizer
    prompt = model.chat.render(question.messages)
    totals, counts = one_by_one(inner, tokenizer, prompt, question.options)
    scores = totals / counts
    if question.neutral:
        plain = model.chat.render(question.neutral)
        scores = scores - one_by_one(inner, tokenizer, plain, question.options)[0] / counts
    weights = np.exp(scores - scores.max())
    return weights / weights.sum(), float(np.exp(totals).sum())


@pytest.mark.parametrize("pmi", [False, True])
@pytest.mark.parametrize(
    ("architecture", "chat"),
    [("llama", True), ("llama", False), ("gemma2", True), ("bloom", True), ("mamba", True)],
)
def test_equals_one_by_one(
    architecture: str,
    chat: bool,
    pmi: bool,
    situations: Inventory,
    tiny_model: Any,
    tokenizer: Any,
    plain_tokenizer: Any,
) -> None:
    model = TransformersModel(tiny_model(architecture), tokenizer if chat else plain_tokenizer)
    design = Design(
        templates=("advice-open", "advice-open-bare"),
        personas=("", "high", "low"),
        reading="likelihood",
        pmi=pmi,
    )
    questions = plan(situations, design, PERSONAS)
    assert len(questions) == 2 * 2 * 3
    responses = {(r.item, r.condition): r for r in model.answer(questions)}
    assert len(responses) == len(questions)
    for question in questions:
        found = responses[question.item, question.condition]
        shares, mass = expected(model, question)
        np.testing.assert_allclose(np.log(found.probabilities), np.log(shares), atol=1e-4)
        assert found.label_mass == pytest.approx(mass, rel=1e-3)
        assert 0 < found.label_mass < 1
        assert found.choice == int(shares.argmax())
        assert not found.refused
        assert not found.unparsable


def test_what_texts_are_likely_anyway_is_taken_off(
    situations: Inventory, tiny_model: Any, tokenizer: Any
) -> None:
    model = TransformersModel(tiny_model("llama"), tokenizer)
    design = Design(templates=("advice-open",), reading="likelihood", pmi=True)
    question = plan(situations, design)[0]
    # Of a question that asks nothing either, nothing is left but equal shares.
    asked_nothing = replace(question, messages=question.neutral)
    (response,) = model.answer([asked_nothing])
    np.testing.assert_allclose(response.probabilities, 0.25, atol=1e-6)


def test_shares_are_the_softmax_of_means_over_tokens() -> None:
    texts = LabelTokens((((5,),), ((6, 7),), ((8, 9, 10, 11),)))
    asked = TextLikelihoods(np.array([-2.0, -2.0, -8.0]), texts)
    np.testing.assert_allclose(asked.per_token, [-2, -1, -2])
    odds = np.exp([-2.0, -1.0, -2.0])
    np.testing.assert_allclose(option_shares(asked), odds / odds.sum())
    neutral = TextLikelihoods(np.array([-2.0, -4.0, -4.0]), texts)
    odds = np.exp([0.0, 1.0, -1.0])
    np.testing.assert_allclose(option_shares(asked, neutral), odds / odds.sum())
    never = TextLikelihoods(np.array([-2.0, -math.inf, -math.inf]), texts)
    assert option_shares(never) == (1.0, 0.0, 0.0)
    assert option_shares(asked, never) is not None
    shares = option_shares(never, never)
    assert shares == (1.0, 0.0, 0.0)
    nothing = TextLikelihoods(np.full(3, -math.inf), texts)
    assert option_shares(nothing, neutral) is None


def test_statements_and_situations_are_measured(
    situations: Inventory, tiny_model: Any, tokenizer: Any
) -> None:
    from allport.administration import profile

    model = TransformersModel(tiny_model("llama"), tokenizer)
    mini = load_inventory("mini-ipip-20")
    for inventory, templates in (
        (mini, ("open", "open-first-person")),
        (situations, ("advice-open", "advice-open-bare")),
    ):
        design = Design(templates=templates, reading="likelihood", pmi=True, items=(1, 2))
        run = measure(model, inventory, design, progress=None)
        assert run.responses["probabilities"].null_count() == 0
        assert set(run.responses["order"]) == {"forward"}
        cautions = profile(run.responses, inventory, resamples=0).cautions
        assert not any("one order only" in line or "answers offered" in line for line in cautions)


def test_a_question_is_asked_without_its_options(situations: Inventory) -> None:
    design = Design(templates=("advice-open",), personas=("high",), reading="likelihood", pmi=True)
    first = plan(situations, design, PERSONAS)[0]
    asked = first.messages[-1].content
    assert situations.items[0].text is not None
    assert situations.items[0].text in asked
    assert not any(option in asked for option in ADVICE[0])
    assert first.labels == first.options == ADVICE[0]
    plain = asked.replace(situations.items[0].text, "N/A")
    assert first.neutral == (Message("user", plain),)
    assert plan(situations, Design(("advice-open",), reading="likelihood"))[0].neutral == ()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"reading": "likelihood"}, "'letters' lists the options, and .* use open, open-first-"),
        ({"templates": ("open",)}, "'open' lists no options, so .* use letters, digits, "),
        ({"templates": ("open",), "reading": "generation"}, "lists no options"),
        (
            {"templates": ("open",), "reading": "likelihood", "orders": ("forward", "reversed")},
            "no order makes a difference; leave the orders out",
        ),
        ({"pmi": True}, "pmi corrects likelihoods"),
        ({"reading": "likelihood", "label_prior": 0.1}, "from the distributions of answers"),
    ],
)
def test_designs_that_do_not_go_together(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plan(load_inventory("mini-ipip-20"), Design(**fields))


def test_a_service_says_that_it_cannot(situations: Inventory) -> None:
    questions = plan(situations, Design(("advice-open",), reading="likelihood"))
    service = Endpoint("some-model", base_url="http://localhost:1/v1")
    with pytest.raises(UsageError, match="does not tell how likely a given text is; read dist"):
        list(service.answer(questions))
    with pytest.raises(UsageError, match="or use a local model"):
        service.dry_run(questions)


def test_texts_that_do_not_fit_are_refused_before_any_work(
    situations: Inventory, tiny_model: Any, tokenizer: Any
) -> None:
    long = tuple(f"{text} " + "and wait " * 600 for text in ADVICE[0])
    question = plan(situations, Design(("advice-open",), reading="likelihood"))[0]
    asked = replace(question, labels=long, options=long)
    model = TransformersModel(tiny_model("llama"), tokenizer)
    with pytest.raises(ModelError, match=r"and its answer .* more, but model takes 1,024"):
        model.answer([asked])
