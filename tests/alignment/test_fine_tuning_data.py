"""What a model is trained to say: the literal answer, at the token that is measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from allport.alignment import answer_examples
from allport.alignment.answers_to_fit import fitting_answers
from allport.alignment.fine_tuning_data import preference_rows, supervised_rows
from allport.errors import InventoryError, ModelError, UsageError
from allport.inventories import load_inventory
from allport.models.transformers_model import TransformersModel
from allport.personas import Person

TEMPLATES = ("letters", "words", "digits")


@pytest.fixture
def model(tiny_model: Any, tokenizer: Any) -> TransformersModel:
    return TransformersModel(tiny_model("llama"), tokenizer, "tiny")


def test_questions_are_those_that_are_measured(model: TransformersModel, person: Person) -> None:
    answers = fitting_answers(person, person.inventory.numbers[:30])
    examples = answer_examples(model, answers, TEMPLATES)
    assert len(examples) == 30 * len(TEMPLATES) * 2
    prepared = model._prepare([example.question for example in examples])
    for example, asked in zip(examples, prepared, strict=True):
        assert list(example.prompt) == asked.prompt.tokens().tolist()
        # Each option's tokens are a way of writing its label that its probability is read from.
        for tokens, ways in zip(example.answers, asked.labels.variants, strict=True):
            assert tokens in ways


def test_the_answer_is_the_literal_one_whatever_the_key_and_the_order(
    model: TransformersModel, person: Person
) -> None:
    examples = answer_examples(model, fitting_answers(person))
    options = [option.text for option in person.inventory.scale]
    letters: dict[int, set[str]] = {}
    for example in examples:
        item = person.inventory.item(example.question.item)
        said = person.literal_answers[item.number]
        shown = {
            line[0]: line[3:]
            for line in example.question.messages[-1].content.splitlines()
            if line[1:3] == ". "
        }
        letter = model.tokenizer.decode(example.completion).strip()
        assert shown[letter] == options[int(said) - 1]
        assert shown[letter] in options
        letters.setdefault(item.number, set()).add(letter)
    reversed_items = [i for i in person.inventory.items if i.key == -1]
    assert len(reversed_items) == 55
    # Except for the middle of the list, the letter turns with the order.
    turning = [n for n, said in person.literal_answers.items() if said != 3]
    assert all(len(letters[number]) == 2 for number in turning)


def test_a_chat_template_is_the_models_own(
    model: TransformersModel, plain_tokenizer: Any, person: Person
) -> None:
    answers = fitting_answers(person, person.inventory.numbers[:30])
    [chat, *_] = answer_examples(model, answers)
    text = model.tokenizer.decode(chat.prompt)
    assert text.startswith("<|user|>")
    assert text.endswith("<|assistant|>\n")
    base = TransformersModel(model.model, plain_tokenizer)
    [plain, *_] = answer_examples(base, answers)
    text = plain_tokenizer.decode(plain.prompt)
    assert text.startswith("<|system|>")  # what this tokenizer begins every text with
    assert text.endswith("Answer:")
    assert plain_tokenizer.decode(plain.completion)[0] == " "


def test_loss_is_on_the_label_alone(model: TransformersModel, person: Person) -> None:
    examples = answer_examples(model, fitting_answers(person), ("words",))
    for example, row in zip(examples, supervised_rows(examples), strict=True):
        labels = np.array(row["labels"])
        assert len(row["input_ids"]) == len(labels)
        assert tuple(labels[labels != -100]) == example.completion
        assert (labels[: len(example.prompt)] == -100).all()
        assert row["input_ids"][-len(example.completion) :] == list(example.completion)


def test_pairs_refuse_every_other_option_once(model: TransformersModel, person: Person) -> None:
    examples = answer_examples(model, fitting_answers(person))
    pairs = preference_rows(examples)
    assert len(pairs) == 4 * len(examples)
    for start, example in zip(range(0, len(pairs), 4), examples, strict=True):
        four = pairs[start : start + 4]
        assert {tuple(pair["chosen_ids"]) for pair in four} == {example.completion}
        refused = {tuple(pair["rejected_ids"]) for pair in four}
        assert refused == set(example.answers) - {example.completion}
        assert {tuple(pair["prompt_ids"]) for pair in four} == {example.prompt}


def test_missing_answers_make_no_question(model: TransformersModel, person: Person) -> None:
    numbers = person.inventory.numbers
    some = {n: v for n, v in person.literal_answers.items() if n not in numbers[:7]}
    examples = answer_examples(model, fitting_answers(Person("ann", person.inventory, some)))
    assert {e.question.item for e in examples} == set(numbers[7:])


def test_of_the_long_form_only_the_short_form_is_trained_on(model: TransformersModel) -> None:
    inventory = load_inventory("ipip-neo-300")
    answers = {number: float(1 + number % 5) for number in inventory.numbers}
    examples = answer_examples(model, fitting_answers(Person("ann", inventory, answers)))
    assert len({example.question.item for example in examples}) == 120


def test_what_cannot_be_asked_is_refused(
    model: TransformersModel, person: Person, tiny_model: Any, tokenizer: Any
) -> None:
    answers = fitting_answers(person)
    with pytest.raises(UsageError, match="Unknown template 'rhyme'"):
        answer_examples(model, answers, ("rhyme",))
    with pytest.raises(UsageError, match="no option order"):
        answer_examples(model, answers, orders=("sideways",))
    bare = person.inventory.model_copy(
        update={"items": tuple(i.model_copy(update={"text": None}) for i in person.inventory.items)}
    )
    with pytest.raises(InventoryError, match="not in the package"):
        answer_examples(model, fitting_answers(Person("ann", bare, person.literal_answers)))
    short = TransformersModel(tiny_model("llama"), tokenizer, "tiny")
    short.__dict__["context_length"] = 40
    with pytest.raises(ModelError, match=r"takes \d+ tokens.*but tiny takes 40 in all"):
        answer_examples(short, answers)
