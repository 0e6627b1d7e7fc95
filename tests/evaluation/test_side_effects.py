from __future__ import annotations

import math

import numpy as np
import pytest

from allport.errors import ModelError, UsageError
from allport.evaluation import (
    NeutralText,
    PersonMethod,
    exercise_kinds,
    exercises,
    fluency,
    measure_side_effects,
    neutral_texts,
    plan_cells,
    word_log_probabilities,
)
from allport.models import Question, Response, ScriptedRespondent
from allport.psychometrics.intervals import mean_interval


def test_the_texts_are_in_two_parts_and_differ() -> None:
    texts = neutral_texts()
    assert len(texts) >= 20
    assert len({text.beginning for text in texts}) == len(texts)
    assert min(text.words for text in texts) >= 5


def test_log_probabilities_are_those_of_whole_labels() -> None:
    def script(question: Question) -> Response:
        # The continuation has .03 of all probability, its shuffled words .01.
        return Response(question.item, question.condition, (0.75, 0.25), 0, 0.04)

    found = word_log_probabilities(ScriptedRespondent(script))
    wanted = [math.log(0.03) / text.words for text in neutral_texts()]
    assert found == pytest.approx(wanted)


def test_the_prompt_and_the_person_are_passed_on() -> None:
    model = ScriptedRespondent(lambda question: (0.5, 0.1))
    word_log_probabilities(model, "You are a person who is shy.", person="p1")
    question = next(iter(model.asked))
    assert question.messages[0].content == "You are a person who is shy."
    assert question.condition.persona == "p1"
    assert question.cue in {text.beginning for text in neutral_texts()}


def test_a_ratio_of_one_is_nothing_lost() -> None:
    plain = np.linspace(-4, -2, 24)
    found = fluency(np.stack([plain, plain]), plain)
    assert found["perplexity ratio"].value == pytest.approx(1)
    assert found["perplexity"].value == pytest.approx(math.exp(3))
    worse = fluency(np.stack([plain - 0.2, plain]), plain)["perplexity ratio"]
    assert worse.value == pytest.approx(math.exp(0.1))


def test_a_respondent_without_full_probabilities_is_refused() -> None:
    with pytest.raises(ModelError, match="no probability of a whole sentence"):
        word_log_probabilities(ScriptedRespondent(lambda question: None))


@pytest.mark.parametrize("continuation", ["cat", "cat cat cat", ""])
def test_a_continuation_without_another_order_is_refused(continuation: str) -> None:
    texts = [NeutralText("The", continuation)]
    with pytest.raises(UsageError, match="no two different words"):
        word_log_probabilities(ScriptedRespondent(lambda question: (0.5, 0.1)), texts=texts)


def test_tasks_are_as_uncertain_in_every_cell_as_they_are_few() -> None:
    answers = {e.question: e.answer for kind in exercise_kinds() for e in exercises(kind)}

    def does(question: Question) -> Response | tuple[float, float]:
        if question.reading != "generation":
            return 0.5, 0.1
        said = question.messages[-1].content
        # Whole kinds go right, so that it is the same in the place of everybody.
        right = said.startswith(("What is", "Copy"))
        text = answers[said] if right else "?"
        return Response(question.item, question.condition, None, None, math.nan, text=text)

    model = ScriptedRespondent(does)
    steered = PersonMethod.of_respondent("steering", model)
    found = measure_side_effects(model, plan_cells([steered], ()), ["p0", "p1", "p2"])
    plain, own = (found[name]["tasks done rightly"] for name in ("unaligned", "steering"))
    assert plain == own
    assert 0.1 < plain.low < plain.value < plain.high < 0.9


def test_tasks_are_averaged_over_people_before_exercises_are_drawn() -> None:
    answers = {e.question: e.answer for kind in exercise_kinds() for e in exercises(kind)}

    def does(question: Question) -> Response | tuple[float, float]:
        if question.reading != "generation":
            return 0.5, 0.1
        said = question.messages[-1].content
        # In the place of p1 everything goes right, in that of p0 only copying.
        right = said.startswith("Copy") or question.condition.persona == "p1"
        text = answers[said] if right else "?"
        return Response(question.item, question.condition, None, None, math.nan, text=text)

    steered = PersonMethod.of_respondent("steering", ScriptedRespondent(does))
    model = ScriptedRespondent(does)
    found = measure_side_effects(model, plan_cells([steered], ()), ["p0", "p1"], tasks=4)
    # One of seven kinds by both, the others by one of two.
    wanted = mean_interval([1.0] * 4 + [0.5] * 24)
    done = found["steering"]["tasks done rightly"]
    assert done.value == pytest.approx(wanted.value)
    assert done.high - done.low == pytest.approx(wanted.high - wanted.low, rel=0.2)


def test_a_real_model_gives_the_probabilities_that_its_logits_say() -> None:
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    from allport.models import TransformersModel

    words = ["<end>", "Answer:", *["Go", "on", "with", "the", "text", "where", "it", "stops."]]
    words += ["red", "green", "blue", "cat", "dog"]
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<end>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        eos_token_id=0,
        pad_token_id=0,
        bos_token_id=None,
        initializer_range=0.5,
    )
    model = LlamaForCausalLM(config)
    text = NeutralText("red green", "blue cat dog")
    found = word_log_probabilities(TransformersModel(model, tokenizer), texts=[text])
    prompt = "Go on with the text where it stops. red green blue cat dog"
    ids = torch.tensor([[words.index(word) for word in prompt.split()]])
    with torch.inference_mode():
        logs = model(ids).logits[0].log_softmax(-1)
    wanted = sum(float(logs[place - 1, ids[0, place]]) for place in range(-3, 0)) / 3
    assert found == pytest.approx([wanted], abs=1e-4)
