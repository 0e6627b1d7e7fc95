"""A run by rule, in memory, that reports are made of."""

from __future__ import annotations

import math

import numpy as np
import pytest

from allport.administration import Design, Run, measure
from allport.inventories import Inventory, load_inventory
from allport.models.respondent import Question, Response
from allport.models.scripted import ScriptedRespondent

LEVELS = {"N": -0.9, "E": 0.2, "O": 0.5, "A": 0.9, "C": -0.3}


def bell(inventory: Inventory, name: str = "by-rule") -> ScriptedRespondent:
    """Answers around a level of each trait, a little higher where the scale is reversed."""

    def script(question: Question) -> list[float]:
        item = inventory.item(question.item)
        places = np.arange(len(question.options))
        middle = places.mean() + 1.2 * item.key * LEVELS.get(item.trait, 0.0)
        middle += math.sin(question.item) + 0.3 * (question.condition.order == "reversed")
        weights = np.exp(-((places - middle) ** 2))
        return (0.97 * weights / weights.sum()).tolist()

    return ScriptedRespondent(script, name)


def scripted_run(inventory_name: str, design: Design | None = None) -> Run:
    inventory = load_inventory(inventory_name)
    return measure(bell(inventory), inventory, design, progress=None)


@pytest.fixture(scope="session")
def neo_run() -> Run:
    """The IPIP-NEO-120 under two templates and two orders."""
    return scripted_run("ipip-neo-120")


@pytest.fixture(scope="session")
def mini_run() -> Run:
    """An inventory without norms and facets."""
    return scripted_run("mini-ipip-20")


@pytest.fixture(scope="session")
def one_condition_run() -> Run:
    """Everything asked once, in one way."""
    return scripted_run("mini-ipip-20", Design(templates=("letters",), orders=("forward",)))


@pytest.fixture(scope="session")
def refusing_run() -> Run:
    """Every second item is refused, with a text that tries to leave its place in the page."""
    inventory = load_inventory("mini-ipip-20")
    rule = bell(inventory)
    hostile = (
        "</script></td><script>alert(1)</script>\x1b[31m\x00\u202e & \"quoted\" 'text' {{ 7*7 }}"
    )

    def script(question: Question) -> Response:
        if question.item % 2:
            return Response(
                question.item, question.condition, None, None, 0.1, refused=True, text=hostile
            )
        return next(rule.answer([question]))

    respondent = ScriptedRespondent(script, "<b onload=alert(1)>model</b>\x1b]0;title\x07")
    return measure(respondent, inventory, progress=None)
