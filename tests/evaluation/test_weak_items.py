from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.planted_situations import situation_bank

from allport.administration import Design, Run, measure
from allport.cli import main
from allport.errors import ResponsesError, UsageError
from allport.evaluation import (
    BankReport,
    bank_report,
    calibrate_items,
    calibration_personas,
    option_traces,
)
from allport.inventories import Inventory, load_inventory, write_inventory
from allport.models import HumanAnswers, read_human_answers
from allport.models.respondent import Question
from allport.models.scripted import ScriptedRespondent
from allport.personas import TraitLevels
from allport.psychometrics import fit_two_parameter, item_fit
from allport.reporting import traces_figure, write_bank_report
from allport.reporting.content import to_json

BANK = load_inventory("big-five-markers-50")
BANK = BANK.model_copy(
    update={"items": [i for i in BANK.items if i.trait in "EA"], "name": "markers"}
)
NUMBERS = {code: [i.number for i in BANK.items if i.trait == code] for code in "EA"}
AGAINST, LOOSE, NOISY, FLOOR, CONSTANT = (NUMBERS["E"][0], *NUMBERS["A"][1:5])
PERSONAS = calibration_personas(BANK, 54)
LEVELS = {persona.name: persona.levels for persona in PERSONAS}
DESIGN = Design(templates=("letters",), orders=("forward",))


def planted(question: Question) -> list[float]:
    """Every item follows its trait, but for five that were planted."""
    item = BANK.item(question.item)
    place = int(question.condition.persona.rsplit("-", 1)[1])
    rng = np.random.default_rng((place, item.number))
    logit = 2.0 * LEVELS[question.condition.persona][item.trait] + rng.normal(0, 0.3)
    if item.number == AGAINST:
        logit = -logit
    elif item.number == LOOSE:
        logit = rng.normal(0, 0.5)
    elif item.number == NOISY:
        logit += rng.normal(0, 3)
    elif item.number == FLOOR:
        logit -= 4
    elif item.number == CONSTANT:
        logit = 0.3
    p = 1 / (1 + np.exp(-logit))
    p = p if item.key == 1 else 1 - p
    return [float(math.comb(4, k) * p**k * (1 - p) ** (4 - k)) for k in range(5)]


def analysed(inventory: Inventory, script: Any) -> tuple[BankReport, Run, Any]:
    respondent = ScriptedRespondent(script)
    fitted = calibrate_items(respondent, inventory, PERSONAS, DESIGN)
    names = tuple(persona.name for persona in PERSONAS)
    design = Design(DESIGN.templates, DESIGN.orders, personas=names)
    run = measure(respondent, inventory, design, personas=PERSONAS, progress=None)
    return bank_report(fitted, inventory, run.responses, PERSONAS), run, fitted


@pytest.fixture(scope="module")
def report() -> BankReport:
    return analysed(BANK, planted)[0]


def test_planted_bad_items_are_named_with_their_reason(report: BankReport) -> None:
    kinds = {item.number: [w.kind for w in item.weaknesses] for item in report.weak}
    assert "key against" in kinds.pop(AGAINST)
    assert "low discrimination" in kinds.pop(LOOSE)
    assert "misfit" in kinds.pop(NOISY)
    assert "floor" in kinds.pop(FLOOR)
    assert kinds.pop(CONSTANT) == ["no variance"]
    assert kinds == {}
    assert [item.number for item in report.items] == list(BANK.numbers)


def test_figures_tell_good_items_from_bad(report: BankReport) -> None:
    items = {item.number: item for item in report.items}
    assert items[AGAINST].item_rest.high < 0
    assert items[AGAINST].asked.high < 0
    assert items[LOOSE].item_rest.value < 0.3
    assert max(items[NOISY].infit.value, items[NOISY].outfit.value) > 1.5
    assert items[FLOOR].mean < 0.1
    assert items[FLOOR].difficulty.value > 1
    assert math.isnan(items[CONSTANT].discrimination.value)
    assert "do not differ" in items[CONSTANT].item_rest.reason
    good = [i for i in report.items if not i.weaknesses]
    assert min(item.item_rest.low for item in good) > 0.5
    assert min(item.asked.value for item in good) > 0.8
    assert max(item.outfit.value for item in good) < 1.5


def test_traces_follow_the_options_of_the_weakest(report: BankReport) -> None:
    assert len(report.traces) == 12
    assert report.traces[0].number == report.weak[0].number
    traces = {trace.number: trace for trace in report.traces}
    good = next(t for t in report.traces if not _weak(report, t.number))
    sums = np.sum(good.probabilities, axis=0)
    assert sums == pytest.approx(np.ones(len(good.levels)))
    high = good.values.index(max(good.values))
    assert good.probabilities[high][-1] > 0.3 > 0.1 > good.probabilities[high][0]
    against = traces[AGAINST]
    high = against.values.index(max(against.values))
    assert against.probabilities[high][-1] < 0.1 < against.probabilities[high][0]


def _weak(report: BankReport, number: int) -> bool:
    return any(item.number == number for item in report.weak)


def test_it_is_written_as_json_and_drawn(report: BankReport, tmp_path: Path) -> None:
    files = write_bank_report(report, BANK, tmp_path)
    content = json.loads(files.data.read_text("utf-8"))
    assert content["weak"] == [item.number for item in report.weak]
    assert content["items"] == to_json(report)["items"]
    assert content["items"][0]["item_rest"]["value"] == report.items[0].item_rest.value
    assert files.figure is not None
    drawing = files.figure.read_text("utf-8")
    assert drawing.startswith("<svg")
    for said in (f"{AGAINST} · E · key against", "Level, in SD", "low", "high", "step 3"):
        assert said in drawing
    sets = traces_figure(report, BANK).to_dict()["datasets"].values()
    rows = [row for rows in sets for row in rows]
    assert {row["item"] for row in rows} == {
        " · ".join([str(t.number), t.trait, *_kinds(report, t.number)]) for t in report.traces
    }


def _kinds(report: BankReport, number: int) -> list[str]:
    (item,) = (item for item in report.items if item.number == number)
    return [", ".join(w.kind for w in item.weaknesses)] if item.weaknesses else []


def test_what_people_chose_in_situations_is_analysed_option_by_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Planted: three of four who choose the high side choose its second option."""
    bank = situation_bank({"A": 5}, 2)
    write_inventory(bank, tmp_path / "cases.json")
    rng = np.random.default_rng(3)
    levels = rng.normal(size=400)
    difficulties = np.linspace(-1, 1, 10)
    high = rng.random((400, 10)) < 1 / (1 + np.exp(-1.5 * (levels[:, None] - difficulties)))
    second = np.where(high, rng.random(high.shape) < 0.75, rng.random(high.shape) < 0.4)
    number = np.where(high, 1, 3) + second
    frame = pl.DataFrame({"id": [f"p{n}" for n in range(400)]}).hstack(
        [pl.Series(f"i{n + 1}", number[:, n]) for n in range(10)]
    )
    frame.write_csv(tmp_path / "people.csv")

    words = ("--inventory", str(tmp_path / "cases.json"), "--stored", "literal", "--json")
    assert main(["score", str(tmp_path / "people.csv"), *words]) == 0
    scored = json.loads(capsys.readouterr().out)
    assert [row["raw"] for row in scored["scores"]] == high.sum(axis=1).tolist()

    people = read_human_answers(tmp_path / "people.csv", bank, stored="literal")
    known = fit_two_parameter(people.keyed, [item.cluster for item in bank.items])
    assert np.corrcoef(known.difficulties, difficulties)[0, 1] > 0.95
    assert np.abs(item_fit(known, people.keyed).infit - 1).max() < 0.3

    asked = [TraitLevels({"A": 0.0}, name=person) for person in people.ids]
    design = Design(("advice-after",), ("0123",), personas=people.ids)
    run = measure(people, bank, design, personas=asked, progress=None)
    assert run.responses["choice"].to_numpy().reshape(400, 10).tolist() == (number - 1).tolist()
    fitted = calibrate_items(people, bank, asked, design)
    found = bank_report(fitted, bank, run.responses)
    assert np.corrcoef([i.difficulty.value for i in found.items], difficulties)[0, 1] > 0.95
    for trace in found.traces:
        a, b, c, d = (np.mean(each) for each in trace.probabilities)
        assert b / (a + b) == pytest.approx(0.75, abs=0.1)
        assert d / (c + d) == pytest.approx(0.4, abs=0.12)

    # Where only the side is known, nothing is said of options.
    sides = HumanAnswers("sides", bank, people.people, people.literal.copy())
    run = measure(sides, bank, design, personas=asked, progress=None)
    found = bank_report(calibrate_items(sides, bank, asked, design), bank, run.responses)
    assert found.traces == ()
    assert "which option was chosen is not known of item" in found.not_traced
    with pytest.raises(ResponsesError, match="Which option of item 1 of cases was chosen"):
        option_traces(fitted, bank, run.responses, [1])


def test_one_item_a_trait_says_what_cannot_be_computed(tmp_path: Path) -> None:
    first = [next(i for i in BANK.items if i.trait == code) for code in "EA"]
    single = BANK.model_copy(update={"items": first, "name": "single"})
    names = {trait.code: trait.name for trait in single.traits}
    report, run, fitted = analysed(single, planted)
    assert fitted.traits == {}
    with pytest.raises(ResponsesError, match=r"has no levels .* has one item"):
        option_traces(fitted, single, run.responses, [single.numbers[0]])
    for item in report.items:
        for figure in (item.discrimination, item.difficulty, item.item_rest, item.infit):
            assert math.isnan(figure.value)
            assert f"{names[item.trait]} has one item" in figure.reason
        assert math.isfinite(item.asked.value)
    assert report.traces == ()
    assert "E, A: one item says no level" in report.not_traced
    # What was asked for still tells a wrong key.
    assert [(item.number, item.weaknesses[0].kind) for item in report.weak] == [
        (AGAINST, "key against")
    ]
    files = write_bank_report(report, single, tmp_path)
    assert files.figure is None
    assert files.data.exists()


def test_what_does_not_fit_is_said() -> None:
    report, run, fitted = analysed(BANK, planted)
    assert report.personas == 54
    with pytest.raises(UsageError, match="calibration is of markers"):
        bank_report(fitted, load_inventory("mini-ipip-20"), run.responses)
    less = run.responses.filter(pl.col("item") != AGAINST)
    with pytest.raises(ResponsesError, match=f"no answer to item {AGAINST} of markers"):
        bank_report(fitted, BANK, less)
    unknown = bank_report(fitted, BANK, run.responses)
    assert "not known as whom" in unknown.items[0].asked.reason
    (trace,) = option_traces(fitted, BANK, run.responses, [AGAINST])
    assert trace.number == AGAINST
