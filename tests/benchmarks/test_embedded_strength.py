from __future__ import annotations

import pytest

from allport.administration import Design
from allport.inventories import load_inventory
from allport.models.respondent import Question
from allport.models.scripted import ScriptedRespondent
from benchmarks.embedded_strength import agreement, mass_and_flips, steadiness_rows

DESIGN = Design(templates=("letters", "digits"), orders=("forward", "reversed"))


def middle(question: Question) -> list[float]:
    # Label mass .5 to .98 by item where digits are reversed, and 1 everywhere else.
    lowest = question.condition.template == "digits" and question.condition.order == "reversed"
    mass = 0.5 + 0.024 * question.item if lowest else 1.0
    return [0.0, 0.0, mass, 0.0, 0.0]


def test_value_and_interval_of_the_label_mass_are_of_the_lowest_cell() -> None:
    without = Design(templates=("letters", "words"), orders=("forward", "reversed"))
    designs = {"mini-ipip-20": DESIGN, "big-five-markers-50": without}
    row, order, template = mass_and_flips(ScriptedRespondent(middle), "x.", "both", designs)
    assert row.id == "strength.x.label_mass"
    assert row.value == pytest.approx(0.752)
    assert 0.65 < row.low < row.value < row.high < 0.85
    assert (order.value, template.value) == (0, 0)
    assert [r.target for r in (row, order, template)] == [0.98, 0.10, 0.15]


def test_flips_of_order_and_of_template_are_told_apart() -> None:
    def first_shown(question: Question) -> int:
        return 0 if question.condition.order == "forward" else 4

    def by_template(question: Question) -> int:
        return 0 if question.condition.template == "letters" else 1

    designs = {"mini-ipip-20": DESIGN}
    _, order, template = mass_and_flips(ScriptedRespondent(first_shown), "", "it", designs)
    assert (order.value, template.value) == (1, 0)
    _, order, template = mass_and_flips(ScriptedRespondent(by_template), "", "it", designs)
    assert (order.value, template.value) == (0, 1)


def test_situations_stand_beside_the_questionnaires() -> None:
    model = ScriptedRespondent(lambda question: 0)
    rows = {row.id.removeprefix("strength."): row for row in steadiness_rows(model)}
    figures = ["label_mass", "order_flips", "template_flips"]
    assert list(rows) == [*figures, *(f"situations.{figure}" for figure in figures)]
    for name in figures:
        assert "the four questionnaires" in rows[name].metric
        assert "80 of situations-320" in rows[f"situations.{name}"].metric
        assert rows[name].target == rows[f"situations.{name}"].target


def test_every_wording_counts_towards_agreement() -> None:
    def understood(question: Question) -> int:
        return 0 if question.condition.form == "wording-2" else question.item % 5

    texts = [item.text or "" for item in load_inventory("ipip-neo-300").items[:20]]
    one = {text: (f"First {n}.",) for n, text in enumerate(texts)}
    two = {text: (*one[text], f"Second {n}.") for n, text in enumerate(texts)}
    model = ScriptedRespondent(understood)
    for row in agreement(model, "kappa", "wordings", one, personas=2):
        assert row.value == pytest.approx(1)
        assert "20 of 20 items x 2 personas" in row.metric
    _, plain = agreement(model, "kappa", "wordings", two, personas=2)
    # Half the wordings are answered as the original is, of the others a fifth by chance.
    assert plain.value == pytest.approx((0.6 - 0.2) / (1 - 0.2))
    assert "40 of 20 items x 2 personas" in plain.metric
