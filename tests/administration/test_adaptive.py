from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.planted_situations import situation_bank

from allport.administration import (
    ADAPTIVE_RESULT,
    AdaptiveMeasurement,
    BankCalibration,
    CalibratedTrait,
    Design,
    measure,
    measure_adaptively,
    read_calibration,
    read_run,
)
from allport.administration.bank_calibration import asking_of, item_shares
from allport.administration.templates import standard_templates, templates_for
from allport.errors import ResponsesError, RunError, UsageError
from allport.inventories import load_inventory
from allport.inventories.inventory import Facet, Inventory
from allport.models.respondent import Question
from allport.models.scripted import ScriptedRespondent
from allport.personas import TraitLevels
from allport.psychometrics import ItemParameters, expected_share, fit_two_parameter

DESIGN = Design(templates=("advice-after",))
CONDITIONS = 4


BANK = situation_bank({"A": 8, "Mach": 8}, situations=5)


def _calibration(bank: Inventory = BANK) -> BankCalibration:
    rng = np.random.default_rng(0)
    traits = {}
    for trait in bank.traits:
        numbers = tuple(bank.numbers[i] for i in bank.columns(trait.code))
        a, b = rng.uniform(0.8, 2.2, len(numbers)), rng.normal(0, 1, len(numbers))
        known = ItemParameters(a, b, 0.1, (0.3, 0.7), (0.3, 0.7), True)
        traits[trait.code] = CalibratedTrait(numbers, known)
    return BankCalibration(
        bank.name, bank.content_hash, "planted", {}, asking_of(DESIGN, bank), 60, traits
    )


CALIBRATION = _calibration()
PEOPLE = [TraitLevels({"A": round(n / 10 - 1, 1)}, name=f"p{n}") for n in range(21)]
LEVELS = {p.name: p.levels["A"] * 2 for p in PEOPLE}


def planted(question: Question) -> list[float]:
    """Answers by the model of the calibration, with the noise that its dispersion says."""
    item = BANK.item(question.item)
    known = CALIBRATION.traits[item.trait]
    level = LEVELS.get(question.condition.persona, 0.0)
    p = float(
        expected_share(known.parameters, level if item.trait == "A" else -level)[
            known.items.index(item.number)
        ]
    )
    rng = np.random.default_rng((item.number, round(10 * level) + 100))
    high = float(np.clip(rng.beta(9 * p, 9 * (1 - p)), 1e-9, 1 - 1e-9))
    return [0.6 * high, 0.4 * high, 0.5 * (1 - high), 0.5 * (1 - high)]


def ask(
    respondent: ScriptedRespondent | None = None, folder: Path | None = None, **settings: object
) -> AdaptiveMeasurement:
    options = {"progress": None, **settings}
    respondent = respondent or ScriptedRespondent(planted)
    return measure_adaptively(respondent, BANK, CALIBRATION, DESIGN, folder, **options)  # type: ignore[arg-type]  # settings of any kind


@pytest.fixture(scope="module")
def everybody() -> AdaptiveMeasurement:
    design = dataclasses.replace(DESIGN, personas=tuple(p.name for p in PEOPLE))
    respondent = ScriptedRespondent(planted)
    return measure_adaptively(respondent, BANK, CALIBRATION, design, personas=PEOPLE, progress=None)


def test_planted_levels_and_the_score_of_the_whole_bank_are_found(
    everybody: AdaptiveMeasurement,
) -> None:
    design = dataclasses.replace(DESIGN, personas=tuple(p.name for p in PEOPLE))
    full = measure(ScriptedRespondent(planted), BANK, design, personas=PEOPLE, progress=None)
    shares = item_shares(full.responses, BANK)
    errors, inside, off = [], [], []
    for found in everybody.scores:
        own = CALIBRATION.traits[found.trait].items
        whole = 100 * np.mean([shares[found.persona, number] for number in own])
        errors.append(found.score.value - whole)
        inside.append(found.score.low <= whole <= found.score.high)
        level = LEVELS[found.persona] * (1 if found.trait == "A" else -1)
        off.append((found.level - level) / found.standard_error)
        assert found.reached == (found.standard_error <= 0.3)
        assert len(found.items) == 16 or found.reached
        assert list(found.shares) == [shares[found.persona, n] for n in found.items]
    assert np.mean(np.abs(errors)) < 4
    assert np.mean(inside) > 0.85
    assert 0.6 < np.std(off) < 1.4
    assert everybody.share_used < 0.4
    assert everybody.run.responses.height == CONDITIONS * sum(
        len(s.items) for s in everybody.scores
    )


def test_statements_take_turns_and_no_item_is_asked_of_everybody(
    everybody: AdaptiveMeasurement,
) -> None:
    for found in everybody.scores:
        first = [BANK.item(number).cluster for number in found.items[:8]]
        assert len(set(first)) == len(first)
    of_a = [set(s.items) for s in everybody.scores if s.trait == "A"]
    assert not set.intersection(*of_a)
    best = [
        s.items
        for s in measure_adaptively(
            ScriptedRespondent(planted),
            BANK,
            CALIBRATION,
            dataclasses.replace(DESIGN, personas=tuple(p.name for p in PEOPLE)),
            personas=PEOPLE,
            among=1,
            progress=None,
        ).scores
        if s.trait == "A"
    ]
    # Without the draw, everybody begins with the same item.
    assert len({items[0] for items in best}) == 1
    assert len({s.items[0] for s in everybody.scores if s.trait == "A"}) == 5


@dataclasses.dataclass(frozen=True)
class FacetsAsked:
    """What adaptive tests of a bank with facets asked and found."""

    coverage: float
    """Share of intervals that hold the score of the whole bank."""
    facets: set[int]
    """How many facets were asked from."""


def ask_with_facets(
    bank: Inventory,
    shares: NDArray[np.float64],
    calibrated: int,
    answer: Callable[[Question, float], list[float]],
) -> FacetsAsked:
    """Calibrate a bank on the first people, and test the others.

    Args:
        bank: What is asked.
        shares: Of the high side, 0 to 1, shape (people, items); NaN where there is no answer.
        calibrated: On how many people.
        answer: To a question, given the share.
    """
    design = Design(templates=standard_templates(bank)[:1], orders=("forward",))
    columns = {trait.code: bank.columns(trait.code) for trait in bank.traits}
    traits = {
        code: CalibratedTrait(
            tuple(bank.numbers[i] for i in own), fit_two_parameter(shares[:calibrated, own])
        )
        for code, own in columns.items()
    }
    known = BankCalibration(
        bank.name, bank.content_hash, "people", {}, asking_of(design, bank), calibrated, traits
    )
    people = [TraitLevels({"A": 0}, name=f"p{n}") for n in range(calibrated, len(shares))]
    place = {number: column for column, number in enumerate(bank.numbers)}

    def script(question: Question) -> list[float] | None:
        share = float(shares[int(question.condition.persona[1:]), place[question.item]])
        return None if np.isnan(share) else answer(question, share)

    found = measure_adaptively(
        ScriptedRespondent(script),
        bank,
        known,
        dataclasses.replace(design, personas=tuple(p.name for p in people)),
        personas=people,
        progress=None,
    )
    inside = []
    for score in found.scores:
        whole = 100 * np.nanmean(shares[int(score.persona[1:]), columns[score.trait]])
        inside.append(score.score.low <= whole <= score.score.high)
    asked = {len({bank.item(n).facet for n in score.items}) for score in found.scores}
    return FacetsAsked(float(np.mean(inside)), asked)


def test_facets_take_turns_and_the_whole_bank_is_held_more_often() -> None:
    facets, each, people = 6, 10, 300
    rng = np.random.default_rng(11)
    a = np.repeat(np.linspace(0.8, 2, facets), each)  # the last facets tell most
    b = rng.normal(0, 0.8, facets * each)
    level = rng.normal(size=(people, 1)) + np.repeat(
        rng.normal(0, 0.6, (people, facets)), each, axis=1
    )
    p = 1 / (1 + np.exp(-a * (level - b)))
    shares = np.clip(rng.beta(9 * p, 9 * (1 - p)), 1e-9, 1 - 1e-9)
    plain = situation_bank({"A": 1}, facets * each)

    def grouped(facet_of: Callable[[int], str | None]) -> Inventory:
        items = tuple(
            item.model_copy(update={"cluster": None, "facet": facet_of(place)})
            for place, item in enumerate(plain.items)
        )
        named = tuple(Facet(code=f"A{n}", name=f"A{n}", trait="A") for n in range(facets))
        return plain.model_copy(update={"items": items, "facets": named})

    def answer(question: Question, share: float) -> list[float]:
        return [share, 0, 1 - share, 0]

    found = ask_with_facets(grouped(lambda place: f"A{place // each}"), shares, 150, answer)
    without = ask_with_facets(grouped(lambda place: None), shares, 150, answer)
    assert min(found.facets) >= 5  # where five items are enough, five
    assert found.coverage > without.coverage + 0.05
    assert found.coverage > 0.9


def test_people_are_asked_from_every_facet_of_the_ipip_neo(shared: Path) -> None:
    bank = load_inventory("ipip-neo-300")
    with (shared / "data" / "papi" / "people.csv").open(newline="") as file:
        keyed = np.array(
            [[float(row[f"i{n}"]) for n in bank.numbers] for row in csv.DictReader(file)]
        )
    shares = np.where(keyed == 0, np.nan, (keyed - 1) / 4)

    def answer(question: Question, share: float) -> list[float]:
        high = round(4 * share)
        chosen = high if bank.item(question.item).key > 0 else 4 - high
        return [float(place == chosen) for place in range(5)]

    found = ask_with_facets(bank, shares, 220, answer)
    assert found.facets == {6}
    assert found.coverage > 0.91


def test_every_round_is_one_batch_of_one_item_a_trait() -> None:
    class Counting(ScriptedRespondent):
        batches: list[list[int]]

        def answer(self, questions):  # type: ignore[no-untyped-def]  # as in the base
            self.batches.append([q.item for q in questions])
            return super().answer(questions)

    respondent = Counting(planted)
    respondent.batches = []
    found = ask(respondent, most_items=3, standard_error=0.01)
    assert len(respondent.batches) == 3
    for number, batch in enumerate(respondent.batches):
        assert sorted(batch) == sorted(CONDITIONS * [s.items[number] for s in found.scores])
    assert not any(s.reached for s in found.scores)


def test_a_stopped_run_goes_on_and_asks_nothing_twice(tmp_path: Path) -> None:
    whole = ask(folder=tmp_path / "whole", standard_error=0.15)
    total = whole.run.asked
    seen: list[object] = []
    for stop in (7, 30):
        count = 0

        def until(question: Question, stop: int = stop) -> list[float]:
            nonlocal count
            count += 1
            if count > stop:
                raise KeyboardInterrupt
            return planted(question)

        respondent = ScriptedRespondent(until)
        with pytest.raises(RunError, match="answers are kept"):
            ask(respondent, tmp_path / "run", standard_error=0.15)
        seen += list(respondent.asked)[:stop]
        assert not read_run(tmp_path / "run").complete
    last = ScriptedRespondent(planted)
    found = ask(last, tmp_path / "run", standard_error=0.15)
    seen += list(last.asked)
    assert len(seen) == len(set(seen)) == total
    assert found.run.asked == total - 37
    assert found.scores == whole.scores
    kept = (tmp_path / "run" / ADAPTIVE_RESULT).read_text(encoding="utf-8")
    assert kept == (tmp_path / "whole" / ADAPTIVE_RESULT).read_text(encoding="utf-8")
    assert json.loads(kept)["scores"][0]["items"] == list(found.scores[0].items)
    assert read_run(tmp_path / "run").complete
    again = ScriptedRespondent(planted)
    assert ask(again, tmp_path / "run", standard_error=0.15).scores == whole.scores
    assert not again.asked


def test_another_rule_or_a_whole_run_does_not_go_into_the_folder(tmp_path: Path) -> None:
    ask(folder=tmp_path, most_items=2)
    with pytest.raises(RunError, match=r"adaptive\.most_items was 2 and is now 3"):
        ask(folder=tmp_path, most_items=3)
    with pytest.raises(RunError, match="holds another run: adaptive was"):
        measure(ScriptedRespondent(planted), BANK, DESIGN, tmp_path, progress=None)


def test_answers_that_cannot_be_used_tell_nothing() -> None:
    found = ask(ScriptedRespondent(lambda question: None), most_items=4)
    for score in found.scores:
        assert len(score.items) == 4
        assert np.isnan(score.shares).all()
        assert score.level == pytest.approx(0, abs=1e-9)
        assert not score.reached
    assert found.to_json()["scores"][0]["shares"] == [None] * 4


def test_what_cannot_be_asked_adaptively_is_refused() -> None:
    respondent = ScriptedRespondent(planted)

    def refused(match: str, design: Design = DESIGN, **settings: object) -> None:
        options = {"progress": None, **settings}
        with pytest.raises(UsageError, match=match):
            measure_adaptively(respondent, BANK, CALIBRATION, design, **options)  # type: ignore[arg-type]  # wrong on purpose

    refused("level of 0 is never reached", standard_error=0)
    refused("score of -1 is never reached", score_error=-1.0)
    refused("At most 0 items", most_items=0)
    refused("drawn from 0", among=0)
    refused("chooses items itself", dataclasses.replace(DESIGN, items=(1, 2)))
    refused("chooses items itself", dataclasses.replace(DESIGN, fraction=0.5))
    refused(
        "calibrated with templates advice-after and are to be asked with advice-bare",
        Design(templates=("advice-bare",)),
    )
    refused("calibrated with orders", Design(templates=("advice-after",), orders=("0132",)))
    shipped = templates_for(BANK)
    other = dataclasses.replace(shipped["advice-after"], option="{label}) {option}")
    refused(
        "templates advice-after say something else than when items were calibrated",
        templates={**shipped, "advice-after": other},
    )
    assert not respondent.asked


def test_calibrations_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = CALIBRATION.write(tmp_path / "calibration.json")
    found = read_calibration(path, BANK)
    assert found.to_json() == CALIBRATION.to_json()
    assert found.content_hash == CALIBRATION.content_hash
    for code, trait in CALIBRATION.traits.items():
        known = found.traits[code]
        assert known.items == trait.items
        assert np.array_equal(known.parameters.discriminations, trait.parameters.discriminations)
        assert np.array_equal(known.parameters.difficulties, trait.parameters.difficulties)


def test_how_items_are_asked_is_what_their_answers_hang_on() -> None:
    # "standard" is a square on situations, but for a reading that shows no list.
    assert asking_of(DESIGN, BANK)["orders"] == ["0132", "1203", "2310", "3021"]
    silent = Design(templates=("advice-open",), reading="likelihood")
    assert asking_of(silent, BANK)["orders"] == ["forward"]
    neutral = dataclasses.replace(silent, pmi=True)
    assert asking_of(neutral, BANK) == {**asking_of(silent, BANK), "pmi": True}
    assert asking_of(dataclasses.replace(DESIGN, personas=("a", "b")), BANK) == asking_of(
        DESIGN, BANK
    )
    of_likelihoods = dataclasses.replace(CALIBRATION, asking=asking_of(silent, BANK))
    with pytest.raises(UsageError, match="calibrated with pmi False and are to be asked with True"):
        measure_adaptively(ScriptedRespondent(planted), BANK, of_likelihoods, neutral)


@pytest.mark.parametrize("field", ["wording", "pmi"])
def test_calibrations_that_do_not_say_how_items_were_asked_are_refused(
    tmp_path: Path, field: str
) -> None:
    content = json.loads(CALIBRATION.to_json())
    del content["asking"][field]
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(content), "utf-8")
    with pytest.raises(
        ResponsesError, match=f"does not say with which {field} items were asked; calibrate its"
    ):
        read_calibration(path, BANK)


def test_calibrations_of_something_else_are_refused(tmp_path: Path) -> None:
    path = CALIBRATION.write(tmp_path / "calibration.json")
    with pytest.raises(UsageError, match="of cases, not of others; calibrate its items with"):
        read_calibration(path, BANK.model_copy(update={"name": "others"}))
    with pytest.raises(UsageError, match="cases has changed since it was calibrated"):
        read_calibration(path, BANK.model_copy(update={"version": "2"}))
    with pytest.raises(UsageError, match=r"no\.json does not exist; calibrate its items with"):
        read_calibration(tmp_path / "no.json", BANK)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"format": "other"}, "its format is 'other'"),
        ({"traits": {}}, "has not the items of A"),
        ({"asking": 3}, "cannot be read as a calibration"),
        ({"personas": None}, "cannot be read as a calibration"),
    ],
)
def test_broken_calibrations_are_named(
    tmp_path: Path, change: dict[str, object], match: str
) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps({**json.loads(CALIBRATION.to_json()), **change}), "utf-8")
    with pytest.raises(ResponsesError, match=match):
        read_calibration(path, BANK)


@pytest.mark.parametrize(
    ("field", "value"),
    [("discriminations", [1.0]), ("difficulties", [None] * 40), ("dispersion", 0.0)],
)
def test_broken_parameters_are_named(tmp_path: Path, field: str, value: object) -> None:
    content = json.loads(CALIBRATION.to_json())
    content["traits"]["A"][field] = value
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(content), "utf-8")
    with pytest.raises(ResponsesError, match=r"cannot be read as a calibration of items \(trait A"):
        read_calibration(path, BANK)


def test_no_calibration_file_at_all_is_named(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    path.write_text("{", "utf-8")
    with pytest.raises(ResponsesError, match="cannot be read as a calibration"):
        read_calibration(path, BANK)
