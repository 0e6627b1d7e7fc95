from __future__ import annotations

import pytest

from allport.administration.design import Design
from allport.administration.planning import plan, question_key
from allport.errors import InventoryError, UsageError
from allport.inventories.inventory import Inventory
from allport.models.respondent import Message
from allport.personas import TraitLevels


def test_every_item_is_put_once_under_every_condition(likert: Inventory) -> None:
    design = Design(templates=("letters", "digits", "words"), personas=("", "E=high"), repeats=2)
    questions = plan(likert, design, [TraitLevels.parse("E=high")])
    keys = {question_key(question) for question in questions}
    assert len(questions) == len(keys) == 16 * 3 * 2 * 2 * 2


def test_labels_follow_the_options_wherever_they_are_shown(situational: Inventory) -> None:
    questions = plan(situational, Design(templates=("advice-after",), orders=("2310",), items=(4,)))
    (question,) = questions
    assert question.options == tuple(f"Option {index} of 4" for index in range(4))
    assert question.labels == ("D", "C", "A", "B")
    text = question.messages[-1].content
    shown = [text.index(f"Option {index} of 4") for index in (2, 3, 1, 0)]
    assert shown == sorted(shown)


def test_a_persona_is_asked_for_in_the_system_turn(likert: Inventory) -> None:
    persona = TraitLevels.parse("extraversion=high")
    design = Design(personas=("", persona.name), templates=("letters",), orders=("forward",))
    questions = plan(likert, design, [persona])
    turns = {q.condition.persona: q.messages[0] for q in questions}
    assert turns[persona.name] == Message("system", persona.system_prompt())
    assert turns[""].role == "user"


def test_questions_have_seeds_of_their_own_whatever_else_is_asked(likert: Inventory) -> None:
    few = plan(likert, Design(templates=("letters",), items=(5, 9)))
    many = {question_key(q): q.seed for q in plan(likert, Design(repeats=3))}
    assert {question_key(q): q.seed for q in few}.items() <= many.items()
    assert len(set(many.values())) == len(many)
    other = {question_key(q): q.seed for q in plan(likert, Design(repeats=3, seed=1))}
    assert not set(many.values()) & set(other.values())


@pytest.mark.parametrize(
    ("design", "message"),
    [
        (Design(templates=("telegram",)), "Unknown template 'telegram'; known: letters"),
        (Design(forms=("paraphrase",)), "Item 1 of likert has no form 'paraphrase'"),
        (Design(personas=("ann",)), "names persona 'ann', which was not given; given: none"),
        (Design(orders=("0132",)), "does not fit items with 5 options"),
    ],
)
def test_a_design_that_does_not_fit_is_refused(
    likert: Inventory, design: Design, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        plan(likert, design)


def test_two_personas_of_one_name_are_refused(likert: Inventory) -> None:
    twins = [TraitLevels({"E": 1}, name="x"), TraitLevels({"E": -1}, name="x")]
    with pytest.raises(UsageError, match="name of its own; 'x'"):
        plan(likert, Design(personas=("x",)), twins)


def test_an_unknown_item_is_refused(likert: Inventory) -> None:
    with pytest.raises(InventoryError, match="no item 99"):
        plan(likert, Design(items=(99,)))


def test_an_inventory_without_texts_says_how_to_bring_them(likert: Inventory) -> None:
    items = tuple(item.model_copy(update={"text": None}) for item in likert.items)
    bare = likert.model_copy(update={"items": items})
    with pytest.raises(InventoryError, match="inventories import likert --from FILE"):
        plan(bare, Design())
