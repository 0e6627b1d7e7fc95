from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from allport.errors import ResponsesError, UsageError
from allport.evaluation import compare_inventories, shared_traits, validity_personas
from allport.inventories import Inventory, Item, Option, Trait, load_inventory
from allport.inventories.persona_statements import parse_statements
from allport.models.respondent import Question
from allport.models.scripted import ScriptedRespondent
from allport.reporting.content import to_json

TRAITS = ("E", "A", "C")


def situations(name: str = "cases", traits: tuple[str, ...] = TRAITS, each: int = 5) -> Inventory:
    return Inventory(
        name=name,
        title="Cases",
        version="1",
        traits=tuple(Trait(code=code, name=code) for code in traits),
        items=tuple(
            Item(
                number=n + 1,
                text=f"{name} {n + 1} happens. What now?",
                question="What now?",
                trait=traits[n // each],
                options=tuple(
                    Option(text=f"Do {k} in {n} of {name}", value=1.0 if k < 2 else 0.0)
                    for k in range(4)
                ),
            )
            for n in range(each * len(traits))
        ),
        licence="none",
        source="none",
    )


def likert(name: str, traits: tuple[str, ...], each: int = 4) -> Inventory:
    whole = load_inventory("mini-ipip-20")
    items = [i for code in traits for i in [i for i in whole.items if i.trait == code][:each]]
    return whole.model_copy(
        update={
            "name": name,
            "items": items,
            "traits": [trait for trait in whole.traits if trait.code in traits],
        }
    )


SITUATIONS = situations()
LIKERT = likert("statements", TRAITS)
PERSONAS = 40


def high_side(item: Item, levels: dict[str, float], seed: list[int]) -> float:
    noise = np.random.default_rng(seed).normal(0, 0.6)
    return float(1 / (1 + np.exp(-1.5 * levels[item.trait] - noise)))


def answering(levels_of: dict[str, dict[str, float]], *banks: Inventory) -> ScriptedRespondent:
    """Follows the levels of each persona with noise of its own on each item."""
    sizes = {bank.items[0].text: bank for bank in banks}
    texts = {item.text: (bank, item) for bank in sizes.values() for item in bank.items}

    def script(question: Question) -> list[float]:
        said = question.messages[-1].content
        bank, item = next(found for text, found in texts.items() if str(text) in said)
        levels = levels_of[question.condition.persona]
        place = int(question.condition.persona.rsplit("-", 1)[1])
        p = high_side(item, levels, [place, item.number, len(bank.items)])
        if item.options:
            return [0.6 * p, 0.4 * p, 0.5 * (1 - p), 0.5 * (1 - p)]
        p = p if item.key == 1 else 1 - p
        if len(question.options) == 2:
            return [1 - p, p]
        return [(1 - p) ** 2, p * (1 - p), 0.0, p * (1 - p), p**2]

    return ScriptedRespondent(script)


# Levels as they are told, by trait, of the draw that the command makes.
FOLLOWED = {
    persona.name: dict(persona.levels) for persona in validity_personas(("E", "A", "C"), PERSONAS)
}


def test_inventories_of_the_same_traits_agree_and_tell_them_apart() -> None:
    found = compare_inventories(
        answering(FOLLOWED, SITUATIONS, LIKERT), [SITUATIONS, LIKERT], personas=PERSONAS
    )
    assert found.traits == TRAITS
    assert found.inventories == ("cases", "statements")
    assert (found.personas, found.missing, found.left_out) == (PERSONAS, 0, {})
    assert [m.items for m in found.measures] == [5, 5, 5, 4, 4, 4]
    assert all(m.followed.low > 0.8 and m.alpha.value > 0.7 for m in found.measures)
    for each in found.agreements:
        assert each.is_convergent
        assert each.convergent.value > 0.8
        assert each.other_inventory[:2] == each.same_inventory[:2] == (4, 4)
        assert each.other_inventory.largest < 0.4
        same = found.pair(("cases", each.trait), ("statements", each.trait))
        assert same.htmt.value == pytest.approx(1, abs=0.12)
        assert same.htmt.low < same.htmt.value < same.htmt.high
        assert same.disattenuated.value > same.correlation.value
        assert same.correlation.value == pytest.approx(each.convergent.value)
    for pair in found.pairs:
        if len(set(pair.traits)) == 2:
            assert pair.htmt.high < 0.85
    assert len(found.pairs) == 15
    assert found.matrix[0, 3] == pytest.approx(found.agreements[0].convergent.value)
    assert np.diag(found.matrix) == pytest.approx([m.alpha.value for m in found.measures])


def test_imported_statements_are_compared_like_any_inventory(tmp_path: Path) -> None:
    for name in ("extraversion", "agreeableness"):
        rows = [
            {"statement": f"I do {name} {n}.", "answer_matching_behavior": said}
            for n, said in enumerate((" Yes", " No") * 3)
        ]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"{name}.jsonl").write_text(text, "utf-8")
    fields = parse_statements(sorted(tmp_path.glob("*.jsonl")))
    statements = Inventory.model_validate(fields)
    levels = {p.name: dict(p.levels) for p in validity_personas(("E", "A"), 30)}
    respondent = answering(levels, SITUATIONS, statements)
    found = compare_inventories(respondent, [SITUATIONS, statements], personas=30, resamples=50)
    assert found.traits == ("E", "A")
    assert all(each.convergent.value > 0.7 for each in found.agreements)


def test_a_halo_shows_between_traits_and_not_within() -> None:
    halo = {
        name: {**levels, "A": 0.8 * levels["E"] + 0.2 * levels["A"]}
        for name, levels in FOLLOWED.items()
    }
    found = compare_inventories(
        answering(halo, SITUATIONS, LIKERT), [SITUATIONS, LIKERT], personas=PERSONAS
    )
    for inventories in (("cases", "cases"), ("cases", "statements")):
        pair = found.pair((inventories[0], "E"), (inventories[1], "A"))
        assert pair.correlation.low > 0.6
        assert pair.htmt.value > 0.85
        assert abs(found.pair((inventories[0], "E"), (inventories[1], "C")).htmt.value) < 0.4
    # The score of agreeableness follows what was asked of extraversion instead.
    followed = {(m.inventory, m.trait): m.followed.value for m in found.measures}
    assert followed["cases", "A"] < 0.6 < 0.8 < followed["cases", "E"]


def test_only_shared_traits_are_asked_about_and_the_rest_is_named() -> None:
    third = situations("more", ("E", "Mach"))
    other = situations("odd", ("A", "X"))
    traits, left_out = shared_traits([SITUATIONS, third, other])
    assert traits == ("E", "A")
    assert left_out == {
        "C": "only cases measures it",
        "Mach": "only more measures it",
        "X": "there are no personas of it",
    }
    levels = {p.name: dict(p.levels) for p in validity_personas(("E", "A"), 20)}
    respondent = answering(levels, SITUATIONS, third, other)
    found = compare_inventories(respondent, [SITUATIONS, third, other], personas=20, resamples=50)
    assert [(m.inventory, m.trait) for m in found.measures] == [
        *(("cases", "E"), ("cases", "A")),
        *(("more", "E"), ("odd", "A")),
    ]
    assert [(a.trait, a.inventories) for a in found.agreements] == [
        ("E", ("cases", "more")),
        ("A", ("cases", "odd")),
    ]
    assert found.agreements[0].other_inventory.of == 1
    assert "not every inventory measures every trait" in found.pattern.reason
    assert respondent.asked.total() == 20 * 4 * (10 + 5 + 5)


def test_it_goes_on_where_it_was_and_is_json(tmp_path: Path) -> None:
    banks = [SITUATIONS, LIKERT]
    levels = {p.name: dict(p.levels) for p in validity_personas(TRAITS, 12)}
    first, again = answering(levels, *banks), answering(levels, *banks)
    found = compare_inventories(first, banks, personas=12, folder=tmp_path, resamples=50)
    same = compare_inventories(again, banks, personas=12, folder=tmp_path, resamples=50)
    assert first.asked
    assert not again.asked
    content = to_json(found)
    assert json.loads(json.dumps(content, allow_nan=False)) == content == to_json(same)
    assert content["agreements"][0]["convergent"]["value"] == found.agreements[0].convergent.value
    assert content["pairs"][0]["inventories"] == ["cases", "cases"]


def test_one_item_a_trait_has_no_ratio_and_says_so() -> None:
    single = likert("single", TRAITS, each=1)
    found = compare_inventories(
        answering(FOLLOWED, SITUATIONS, single), [SITUATIONS, single], personas=PERSONAS
    )
    pair = found.pair(("cases", "E"), ("single", "E"))
    assert pair.correlation.value > 0.5
    assert math.isnan(pair.htmt.value)
    assert "one item" in pair.htmt.reason
    assert "one item" in pair.disattenuated.reason
    assert "one item" in found.measures[-1].alpha.reason


def test_missing_answers_are_filled_and_counted() -> None:
    whole = answering(FOLLOWED, SITUATIONS, LIKERT)

    def script(question: Question) -> object:
        if question.item == 2 and question.condition.persona.endswith("3"):
            return None
        (response,) = whole.answer([question])
        return response

    respondent = ScriptedRespondent(script)  # type: ignore[arg-type]  # answers are passed on
    found = compare_inventories(respondent, [SITUATIONS, LIKERT], personas=PERSONAS, resamples=50)
    assert found.personas == PERSONAS
    silent = [p for p in validity_personas(TRAITS, PERSONAS) if p.name.endswith("3")]
    # Item 2 of both inventories, 15 and 12 items, as each of those personas.
    assert len(silent) == 4
    assert found.missing == pytest.approx(2 * 4 / (PERSONAS * 27))
    assert all(each.convergent.value > 0.75 for each in found.agreements)


def test_levels_of_personas_are_unrelated_and_cover_the_range() -> None:
    personas = validity_personas(("N", "E", "O", "A", "C"), 40, seed=2)
    table = np.array([[p.levels[code] for code in "NEOAC"] for p in personas])
    assert np.abs(np.corrcoef(table.T) - np.eye(5)).max() < 0.25
    assert {*table[:, 0]} == {n / 4 - 1 for n in range(9)}
    assert personas == validity_personas(("N", "E", "O", "A", "C"), 40, seed=2)


def test_one_inventory_has_its_traits_related_and_nothing_convergent() -> None:
    alone = compare_inventories(answering(FOLLOWED, SITUATIONS), [SITUATIONS], personas=PERSONAS)
    both = compare_inventories(
        answering(FOLLOWED, SITUATIONS, LIKERT), [SITUATIONS, LIKERT], personas=PERSONAS
    )
    assert alone.agreements == ()
    assert math.isnan(alone.pattern.value)
    assert "one inventory" in alone.pattern.reason
    assert [measure.trait for measure in alone.measures] == list(TRAITS)
    np.testing.assert_allclose(alone.matrix, both.matrix[:3, :3], atol=1e-9)
    pair = (("cases", "E"), ("cases", "A"))
    for name in ("correlation", "disattenuated", "htmt"):
        np.testing.assert_allclose(
            getattr(alone.pair(*pair), name)[:3], getattr(both.pair(*pair), name)[:3], atol=1e-9
        )


def test_what_cannot_be_compared_is_said() -> None:
    respondent = answering(FOLLOWED, SITUATIONS)
    with pytest.raises(UsageError, match="cases measures E and nothing else to relate it to"):
        compare_inventories(respondent, [situations(traits=("E",))])
    with pytest.raises(UsageError, match="cases is named twice"):
        compare_inventories(respondent, [SITUATIONS, SITUATIONS])
    with pytest.raises(UsageError, match="share a trait of the Big Five or the dark triad"):
        compare_inventories(respondent, [SITUATIONS, situations("x", ("N",))])
    with pytest.raises(UsageError, match="5 personas are too few"):
        compare_inventories(respondent, [SITUATIONS, LIKERT], personas=5)
    mute = ScriptedRespondent(lambda question: None)
    with pytest.raises(ResponsesError, match="as 0 of 12 personas"):
        compare_inventories(mute, [SITUATIONS, LIKERT], personas=12)
