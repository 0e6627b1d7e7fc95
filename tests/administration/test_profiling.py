"""Profiles of respondents whose traits and biases are planted."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats
from tests.planted_situations import situation_bank

from allport.administration import Design, Profile, measure, profile
from allport.administration.responses import answers, option_places, option_probabilities
from allport.errors import ResponsesError, UsageError
from allport.inventories import load_inventory
from allport.inventories.inventory import Inventory
from allport.models.respondent import Question, Response
from allport.models.scripted import Script, ScriptedRespondent
from allport.psychometrics import flips, position_effect

LETTERS = "ABCDE"


def shown_at(question: Question) -> list[int]:
    """Shown position of each option, told by its letter or digit."""
    return [
        LETTERS.index(label) if label in LETTERS else int(label) - 1 for label in question.labels
    ]


def with_mean(mean: float) -> list[float]:
    """A distribution over values 1 to 5 of that mean: the two neighbours of it share."""
    low = min(int(mean), 4)
    shares = [0.0] * 5
    shares[low - 1], shares[low] = low + 1 - mean, mean - low
    return shares


def planted(
    inventory: Inventory,
    levels: Mapping[str, float],
    *,
    acquiescence: float = 0.0,
    pull: float = 0.0,
    mass: float = 1.0,
) -> Script:
    """Keyed means by trait code; every literal mean raised; a share drawn to the first shown."""

    def script(question: Question) -> list[float]:
        item = inventory.item(question.item)
        keyed = levels[item.trait]
        content = with_mean((keyed if item.key == 1 else 6 - keyed) + acquiescence)
        first = shown_at(question).index(0)
        return [
            mass * ((1 - pull) * share + pull * (index == first))
            for index, share in enumerate(content)
        ]

    return script


def measured(
    inventory: Inventory,
    script: Callable[[Question], list[float] | int | Response | None],
    design: Design | None = None,
    **options: object,
) -> Profile:
    run = measure(ScriptedRespondent(script), inventory, design, progress=None)
    return profile(run.responses, inventory, resamples=200, **options)  # type: ignore[arg-type]  # passed on as given


def test_planted_levels_are_recovered_through_acquiescence_and_position(likert: Inventory) -> None:
    script = planted(likert, {"N": 2.25, "E": 4.0}, acquiescence=0.4, pull=0.2)
    found = measured(likert, script)
    for row, level in zip(found.traits, (2.25, 4.0), strict=True):
        # Opposite keys cancel acquiescence; opposite orders draw the pull to the middle.
        assert row.score.value == pytest.approx(0.8 * level + 0.2 * 3)
        assert row.score.low < row.score.value < row.score.high
        # Half the items of either key are off by the acquiescence that a draw of items varies.
        deviation = 0.8 * 0.4
        assert row.standard_error == pytest.approx(deviation / math.sqrt(7))
        width = stats.t.ppf(0.975, 7) * deviation / math.sqrt(7)
        assert row.score.high - row.score.value == pytest.approx(width)
        assert row.raw.value == pytest.approx(8 * row.score.value)
    assert found.styles is not None
    assert found.styles.acquiescence.value == pytest.approx(3 + 0.8 * 0.4)
    # Of answers that go with content alone, the pull moves its share all the way to the first.
    assert found.position.displacement.value == pytest.approx(-0.2)
    assert any("lean toward the options shown first (20% " in line for line in found.cautions)


def test_order_flips_are_those_planted_and_no_others(likert: Inventory) -> None:
    def script(question: Question) -> int:
        if question.item in (2, 6, 10, 3):  # always the first shown, whatever it says
            return shown_at(question).index(0)
        return question.item % 5

    found = measured(likert, script)
    assert found.flips["order"].raw.value == pytest.approx(4 / 16)
    assert found.flips["template"].raw.value == 0.0
    flipping = [
        number
        for number, share in zip(likert.numbers, found.flips["order"].by_item, strict=True)
        if share
    ]
    assert flipping == [2, 3, 6, 10]
    for row in found.rows:
        numbers = np.array(likert.numbers)[likert.columns(row.code)]
        assert row.order_flips.raw.value == np.isin(numbers, flipping).mean()
        assert row.template_flips.raw.value == 0.0


def test_flips_as_frequent_as_chance_are_said_to_be(likert: Inventory) -> None:
    found = measured(likert, lambda question: shown_at(question).index(question.item % 5))
    assert found.flips["order"].corrected.value >= 1
    assert any("as many as chance alone would" in line for line in found.cautions)


def test_half_as_many_flips_as_chance_are_said(likert: Inventory) -> None:
    def script(question: Question) -> int:
        # Ten items of sixteen go by the place shown, the others by what they say.
        own = question.item % 5
        return shown_at(question).index(own) if question.item <= 10 else own

    found = measured(likert, script)
    order = found.flips["order"]
    assert 0.5 <= order.corrected.value < 1
    said = f"Another option order changes {order.raw.value:.0%} of the choices, "
    said += f"{order.corrected.value:.0%} of what chance alone would change"
    assert any(line.startswith(said) for line in found.cautions)
    assert not any("question template changes" in line for line in found.cautions)


def test_no_caution_where_everything_holds(likert: Inventory) -> None:
    def steady(question: Question) -> list[float]:
        item = likert.item(question.item)
        # Conditions differ in how strongly the trait shows, alike on all of its items.
        shift = {"letters": 0.2, "digits": 0.0, "words": -0.2}[question.condition.template]
        level = (2.2 if item.trait == "N" else 4.2) + shift
        return with_mean(level if item.key == 1 else 6 - level)

    found = measured(likert, steady, Design(templates=("letters", "digits", "words")))
    assert found.cautions == ()
    assert all(row.alpha.value > 0.9 for row in found.traits)


def test_the_unit_of_sampling_is_the_item(likert: Inventory) -> None:
    """Asking the same items more often makes the error no smaller."""

    def script(question: Question) -> list[float]:
        return with_mean(2 + question.item / 8)

    few = measured(likert, script, Design(templates=("letters",), orders=("forward",)))
    many = measured(likert, script, Design(repeats=3))
    for one, other in zip(few.rows, many.rows, strict=True):
        assert one.standard_error == pytest.approx(other.standard_error)
        assert one.score == pytest.approx(other.score)
    assert any("Repeats gave the same answers" in line for line in many.cautions)
    assert any("one order only" in line for line in few.cautions)


def test_alpha_needs_administrations_and_says_so(likert: Inventory) -> None:
    single = measured(
        likert,
        planted(likert, {"N": 2, "E": 4}),
        Design(templates=("letters",), orders=("forward",)),
    )
    for row in single.rows:
        assert math.isnan(row.alpha.value)
        assert row.alpha.reason == (
            "reliability needs at least 3 respondents or administrations; there is 1"
        )
    assert any(
        line.startswith("Reliability of Neuroticism and Extraversion is not known")
        for line in single.cautions
    )


def test_a_low_alpha_hides_no_unknown_one(likert: Inventory) -> None:
    """Extraversion's items go apart; one of Neuroticism's always gets the same answer."""
    constant, *others = np.array(likert.numbers)[likert.columns("N")]

    def script(question: Question) -> list[float] | None:
        if question.item in others:
            return None
        if question.item == constant:
            return with_mean(3.0)
        shift = 0.5 if question.condition.template == "letters" else -0.5
        return with_mean(
            3 + shift * (1 if question.item % 3 else -1) * likert.item(question.item).key
        )

    found = measured(likert, script)
    neurotic, extravert = found.traits
    assert math.isnan(neurotic.alpha.value)
    assert extravert.alpha.value < 0.6
    assert any(line.startswith("Alpha is under .6 for Extraversion:") for line in found.cautions)
    said = f"Reliability of Neuroticism is not known: {neurotic.alpha.reason}."
    assert said in found.cautions


def test_each_reason_for_an_unknown_alpha_is_said(likert: Inventory) -> None:
    def script(question: Question) -> list[float] | None:
        return with_mean(3.0) if likert.item(question.item).trait == "N" else None

    found = measured(likert, script)
    reasons = {row.name: row.alpha.reason for row in found.traits}
    assert len(set(reasons.values())) == 2
    for name, reason in reasons.items():
        assert f"Reliability of {name} is not known: {reason}." in found.cautions


def test_traits_and_facets_that_were_not_asked_are_named(likert: Inventory) -> None:
    asked = tuple(item.number for item in likert.items if item.facet == "N1")
    found = measured(likert, planted(likert, {"N": 2, "E": 4}), Design(items=asked))
    assert "Not asked at all: Extraversion." in found.cautions
    said = "Facets not asked at all: N2; their traits are scored without them."
    assert said in found.cautions
    whole = measured(likert, planted(likert, {"N": 2, "E": 4}))
    assert not any("ot asked at all" in line for line in whole.cautions)


def test_alpha_rests_on_every_persona_and_scores_on_the_one_asked_for(likert: Inventory) -> None:
    class Named:
        def __init__(self, name: str) -> None:
            self.name = name

        def system_prompt(self) -> str:
            return f"Be {self.name}."

    levels = {"low": 1.5, "middle": 3.0, "high": 4.5}

    def script(question: Question) -> list[float]:
        level = levels[question.condition.persona]
        return with_mean(level if likert.item(question.item).key == 1 else 6 - level)

    run = measure(
        ScriptedRespondent(script),
        likert,
        Design(personas=tuple(levels), templates=("letters",)),
        personas=[Named(name) for name in levels],
        progress=None,
    )
    for name, level in levels.items():
        found = profile(run.responses, likert, persona=name, resamples=0)
        assert found.persona == name
        assert (len(found.conditions), found.administrations) == (2, 6)
        assert [row.score.value for row in found.traits] == pytest.approx([level, level])
        assert [row.alpha.value for row in found.traits] == pytest.approx([1, 1])
    pooled = profile(run.responses, likert, resamples=0)
    assert pooled.persona is None
    assert "averages over 3 personas" in pooled.cautions[0]
    with pytest.raises(ResponsesError, match="No response is of persona 'none of these'"):
        profile(run.responses, likert, persona="none of these")


def test_low_label_mass_is_said(likert: Inventory) -> None:
    found = measured(likert, planted(likert, {"N": 2, "E": 4}, mass=0.3))
    assert found.usability.label_mass == pytest.approx(0.3)
    assert found.usability.label_mass_lowest == pytest.approx(0.3)
    assert any(line.startswith("Only 30% of the probability fell on") for line in found.cautions)


def test_refusals_are_counted_and_nothing_is_put_in_their_place(likert: Inventory) -> None:
    columns = {code: np.array(likert.numbers)[likert.columns(code)] for code in "NE"}

    def script(question: Question) -> list[float] | Response | None:
        if question.item == columns["N"][0]:
            return None
        if question.item == columns["N"][1] and question.condition.order == "forward":
            return Response(
                question.item, question.condition, None, None, math.nan, unparsable=True, text="?"
            )
        return with_mean(2 if likert.item(question.item).key == 1 else 4)

    found = measured(likert, script)
    neurotic, extravert = found.traits
    assert (neurotic.usability.refused, neurotic.usability.unparsable) == (4, 2)
    assert neurotic.usability.questions == 32
    assert extravert.usability.unusable == 0
    assert neurotic.score.value == pytest.approx(2)
    assert math.isnan(neurotic.raw.value)
    assert neurotic.raw.reason == "a sum needs all 8 items, and 7 were answered"
    assert extravert.raw.value == pytest.approx(16)
    assert any(
        "6 of 64 answers cannot be used (4 refused, 2 unreadable)" in c for c in found.cautions
    )


def test_a_respondent_that_refuses_everything_has_no_score(likert: Inventory) -> None:
    found = measured(likert, lambda question: None)
    assert all(math.isnan(row.score.value) for row in found.rows)
    assert found.usability.refused == 64
    assert math.isnan(found.usability.label_mass)
    assert any("64 of 64 answers cannot be used (64 refused)" in c for c in found.cautions)
    assert any("no item was answered" in c for c in found.cautions)
    assert found.to_frame()["score"].null_count() == 6


def test_one_answer_to_everything_is_said(likert: Inventory) -> None:
    found = measured(likert, lambda question: 2)
    assert [row.score.value for row in found.traits] == [3.0, 3.0]
    assert any(line.startswith("Every question got the same answer") for line in found.cautions)


def test_items_that_score_alike_tell_nothing_of_the_error() -> None:
    inventory = load_inventory("ipip-neo-120")

    def extreme(question: Question) -> int:
        return 4 if inventory.item(question.item).key == 1 else 0

    found = measured(inventory, extreme, Design(templates=("letters",)), norm="men-21-40")
    for row in found.rows:
        assert row.score.value == 5
        assert row.score.reason == row.raw.reason
        assert row.score.reason.startswith("no interval: every item gives the same value")
        assert row.norm is not None
        assert math.isfinite(row.norm.t)
        limits = [row.score.low, row.score.high, row.raw.low, row.raw.high, row.standard_error]
        norms = [row.norm.t_low, row.norm.t_high, row.norm.percentile_low, row.norm.percentile_high]
        assert np.isnan([*limits, *norms]).all()
    assert found.to_frame()["score_low"].null_count() == len(found.rows)


def test_items_of_one_statement_are_one_unit_in_every_interval() -> None:
    bank = situation_bank({"A": 8}, situations=5)
    statements = np.repeat(np.arange(8), 5)
    content = np.random.default_rng(4).normal(0, 1.5, (8, 4))

    def script(question: Question) -> list[float]:
        """Answers hang on the statement only, and so does the liking for the label A."""
        statement = (question.item - 1) // 5
        liking = 1.5 * (statement % 2) * np.array([label == "A" for label in question.labels])
        odds = np.exp(content[statement] + liking)
        return [float(share) for share in odds / odds.sum()]

    design = Design(templates=("advice-after",))
    run = measure(ScriptedRespondent(script), bank, design, progress=None)
    found = profile(run.responses, bank, resamples=200)
    (row,) = found.traits
    shares = np.exp(content) / np.exp(content).sum(axis=1, keepdims=True)
    high = shares[:, :2].sum(axis=1)
    assert row.score.value == pytest.approx(high.mean())
    assert row.standard_error == pytest.approx(high.std(ddof=1) / math.sqrt(8))
    width = stats.t.ppf(0.975, 7) * row.standard_error
    assert row.score.high - row.score.value == pytest.approx(width)
    assert row.sides is not None
    logits = np.log(high / (1 - high))
    error = logits.std(ddof=1) / math.sqrt(8)
    half = (row.sides.logit.high - row.sides.logit.low) / 2
    assert half == pytest.approx(stats.t.ppf(0.975, 7) * error)
    settings: dict[str, Any] = {"clusters": statements, "resamples": 200}
    choices = answers(run.responses, bank, "choice").values
    by_hand = flips(choices, 4, **settings)
    assert found.flips["order"].raw == pytest.approx(by_hand.raw)
    assert row.order_flips.corrected == pytest.approx(by_hand.corrected)
    place = position_effect(
        option_probabilities(run.responses, bank), option_places(run.responses, bank), **settings
    )
    assert found.position.displacement == pytest.approx(place.displacement)
    alone = flips(choices, 4, resamples=200)
    assert found.flips["order"].raw.high - found.flips["order"].raw.low > 1.5 * (
        alone.raw.high - alone.raw.low
    )


def test_acquiescence_is_drawn_by_cluster(likert: Inventory) -> None:
    # Both keys in every cluster, and what is agreed to hangs on the cluster alone.
    grouped = [
        item.model_copy(update={"cluster": f"cluster {place % 4}"})
        for place, item in enumerate(sorted(likert.items, key=lambda item: item.number % 8))
    ]
    clustered = likert.model_copy(
        update={"items": tuple(sorted(grouped, key=lambda item: item.number))}
    )
    level = {f"cluster {place}": 2 + 0.6 * place for place in range(4)}

    def script(question: Question) -> list[float]:
        return with_mean(level[str(clustered.item(question.item).cluster)])

    one, other = (measured(inventory, script).styles for inventory in (likert, clustered))
    assert one is not None
    assert other is not None
    assert other.acquiescence.value == pytest.approx(one.acquiescence.value)
    wide = other.acquiescence.high - other.acquiescence.low
    assert wide > 1.2 * (one.acquiescence.high - one.acquiescence.low)


def test_norms_go_with_the_raw_sum() -> None:
    inventory = load_inventory("ipip-neo-120")
    levels = {"N": 2.5, "E": 3.5, "O": 3.0, "A": 4.0, "C": 3.25}
    script = planted(inventory, levels)
    design = Design(templates=("letters",))
    found = measured(inventory, script, design, norm="men-21-40")
    assert found.norm_group is not None
    assert found.norm_group.label == "men aged 21 to 40"
    for row in found.traits:
        assert row.norm is not None
        raw = 24 * levels[row.code]
        t = 50 + 10 * (raw - found.norm_group.mean[row.code]) / found.norm_group.sd[row.code]
        assert row.norm.t == pytest.approx(t)
        assert row.norm.percentile == pytest.approx(100 * stats.norm.cdf((t - 50) / 10))
    assert len(found.facets) == 30
    assert measured(inventory, script, design, norm=None).norm_reason == (
        "no norm group was asked for"
    )
    part = measured(inventory, script, Design(templates=("letters",), items=tuple(range(1, 61))))
    assert part.traits[0].items == 12
    assert part.traits[0].raw.reason == "a sum needs all 24 items, and 12 were asked"
    assert part.traits[0].norm is not None
    assert math.isnan(part.traits[0].norm.t)
    with pytest.raises(UsageError, match="no norm group 'martians'"):
        measured(inventory, script, design, norm="martians")


def test_an_inventory_without_norms_has_none(likert: Inventory) -> None:
    found = measured(likert, planted(likert, {"N": 2, "E": 4}))
    assert found.norm_group is None
    assert "no human norms" in found.norm_reason
    assert all(row.norm is None for row in found.rows)


def test_chosen_options_can_be_scored_instead(likert: Inventory) -> None:
    script = planted(likert, {"N": 2.25, "E": 4.0})
    expected = measured(likert, script).traits[0]
    chosen = measured(likert, script, scores="chosen").traits[0]
    assert expected.score.value == pytest.approx(2.25)
    assert chosen.score.value == pytest.approx(2.0)


def test_situations_have_profiles_without_styles(situational: Inventory) -> None:
    found = measured(situational, lambda question: question.item % 4)
    (row,) = found.traits
    # Items 1, 4 and 5 choose one of the first two options, which speak for the trait.
    assert row.score.value == pytest.approx(3 / 6)
    assert found.styles is None
    assert found.flips["order"].raw.value == 0
    assert len(found.conditions) == 12
    assert found.position.displacement.value == pytest.approx(0, abs=1e-9)


def test_a_frame_has_one_row_a_scale(likert: Inventory) -> None:
    found = measured(likert, planted(likert, {"N": 2, "E": 4}, acquiescence=0.5))
    frame = found.to_frame()
    assert frame["code"].to_list() == ["N", "N1", "N2", "E", "E1", "E2"]
    assert frame["score"].to_list() == [row.score.value for row in found.rows]
    assert frame["percentile"].null_count() == 6


def test_frames_of_others_are_refused(likert: Inventory, situational: Inventory) -> None:
    script = planted(likert, {"N": 2, "E": 4})
    one, other = (
        measure(ScriptedRespondent(script, name), likert, progress=None).responses
        for name in ("ann", "bob")
    )
    with pytest.raises(ResponsesError, match=r"of 2 respondents \(ann, bob\)"):
        profile(pl.concat([one, other]), likert)
    with pytest.raises(ResponsesError, match="to likert, not to situational"):
        profile(one, situational)
    with pytest.raises(ResponsesError, match="no responses"):
        profile(one.clear(), likert)
