from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from allport.administration import score
from allport.administration.scoring_people import error_widths
from allport.errors import ResponsesError, UsageError
from allport.inventories import load_inventory, norm_scores
from allport.inventories.inventory import Inventory
from allport.models.human_answers import HumanAnswers
from allport.models.human_files import read_human_answers
from allport.psychometrics.reliability import cronbach_alpha


def people(inventory: Inventory, keyed: np.ndarray, **columns: list[object]) -> HumanAnswers:
    frame = pl.DataFrame({"id": [f"p{row}" for row in range(len(keyed))], **columns})
    return HumanAnswers("sample", inventory, frame, inventory.literal(keyed.astype(float)))


def correlated(inventory: Inventory, count: int, seed: int = 0) -> np.ndarray:
    """Keyed answers 1 to 5 that a level of each trait pulls together."""
    rng = np.random.default_rng(seed)
    levels = {trait.code: rng.normal(size=(count, 1)) for trait in inventory.traits}
    noise = rng.normal(size=(count, len(inventory.items)))
    pull = np.hstack([levels[item.trait] for item in inventory.items])
    return np.clip(np.round(3 + 0.8 * pull + 0.8 * noise), 1, 5)


def test_golden_scores_of_johnsons_program() -> None:
    """All answers 3, a man of 30: percentiles that the IPIP-NEO program gives."""
    expected = {
        "ipip-neo-120": {"N": 60.785, "E": 34.108, "O": 13.262, "A": 18.998, "C": 18.623},
        "ipip-neo-300": {"N": 66.455, "E": 35.895, "O": 6.765, "A": 21.854, "C": 13.286},
    }
    for name, percentiles in expected.items():
        inventory = load_inventory(name)
        middle = people(inventory, np.full((1, len(inventory.items)), 3))
        found = score(middle, sex="male", age=30, percentile="johnson")
        rows = {row["code"]: row for row in found.scores.iter_rows(named=True)}
        assert {code: round(rows[code]["percentile"], 3) for code in "NEOAC"} == percentiles
        assert rows["N"]["raw"] == 3 * len(inventory.items) / 5
        assert len(rows) == 35


def test_everybody_is_set_against_their_own_group() -> None:
    inventory = load_inventory("ipip-neo-120")
    answers = np.full((4, 120), 3)
    # Capitals and numbers of the two sexes are understood as readers of corpora understand them.
    sample = people(inventory, answers, Gender=["1", "woman", "F", "other"], Age=[30, 70, 18, 30])
    found = score(sample)
    groups = found.scores.filter(code="E")["norm_group"].to_list()
    assert groups == ["men-21-40", "women-over-60", "women-under-21", None]
    assert found.notes == (
        "1 of 4 people have no norm scores: norms go by sex (female or male) and age, and the file "
        "does not tell them; name a norm group to use it for everybody.",
    )
    assert found.scores.filter(code="E")["t"].null_count() == 1
    everybody = score(sample, norm="both-21-40")
    assert set(everybody.scores["norm_group"]) == {"both-21-40"}
    with pytest.raises(UsageError, match="no norm group 'nobody'"):
        score(sample, norm="nobody")


def test_errors_come_from_the_sample_where_it_is_large_enough(likert: Inventory) -> None:
    keyed = correlated(likert, 400)
    found = score(people(likert, keyed))
    for row in found.reliability.iter_rows(named=True):
        assert row["error_from"] == "sample"
        columns = likert.columns(row["code"])
        alpha = cronbach_alpha(keyed[:, columns]).raw
        sums = keyed[:, columns].sum(axis=1)
        assert (row["alpha"], row["alpha_low"], row["alpha_high"]) == pytest.approx(alpha[:3])
        assert row["sem"] == pytest.approx(sums.std(ddof=1) * math.sqrt(1 - alpha.value))
        own = found.scores.filter(code=row["code"])
        assert own["raw"].to_list() == sums.tolist()
        assert set(own["standard_error"]) == {row["sem"]}


def test_errors_of_a_few_people_come_from_their_own_answers(likert: Inventory) -> None:
    keyed = correlated(likert, 5)
    found = score(people(likert, keyed))
    assert set(found.reliability["error_from"]) == {"items"}
    columns = likert.columns("E")
    expected = 8 * keyed[:, columns].std(axis=1, ddof=1) / math.sqrt(8)
    assert found.scores.filter(code="E")["standard_error"].to_list() == pytest.approx(
        expected.tolist()
    )


def test_intervals_are_students_where_errors_come_from_a_persons_own_answers() -> None:
    inventory = load_inventory("ipip-neo-120")
    keyed = correlated(inventory, 3)
    few, many = inventory.columns("N1"), inventory.columns("N")
    keyed[1, few] = 4
    keyed[2, many[0]] = np.nan
    sample = people(inventory, keyed)
    group = norm_scores(inventory, {}, group="both-21-40").group
    assert group is not None
    for confidence in (0.95, 0.8):
        found = score(sample, norm="both-21-40", confidence=confidence).scores
        for code, person, answers in (("N1", 0, keyed[0, few]), ("N", 2, keyed[2, many[1:]])):
            ends = stats.ttest_1samp(answers, 0).confidence_interval(confidence)
            items = inventory.columns(code).size
            wanted = [50 + 10 * (items * end - group.mean[code]) / group.sd[code] for end in ends]
            row = found.filter(code=code).row(person, named=True)
            assert [row["t_low"], row["t_high"]] == pytest.approx(wanted)
        alike = found.filter(code="N1").row(1, named=True)
        assert alike["raw"] == 16
        for name in ("standard_error", "t_low", "t_high", "percentile_low", "percentile_high"):
            assert alike[name] is None


def test_widths_are_normal_for_errors_of_the_sample_and_students_otherwise() -> None:
    widths = error_widths(["sample", "items", "items"], [[4, 4, 1], [10, 10, 2]])
    assert widths[:, 0] == pytest.approx(stats.norm.ppf(0.975))
    assert widths[:, 1] == pytest.approx(stats.t.ppf(0.975, [3, 9]))
    assert np.isnan(widths[0, 2])
    assert widths[1, 2] == pytest.approx(stats.t.ppf(0.975, 1))


def test_an_alpha_of_three_people_gives_nobodys_error(likert: Inventory) -> None:
    keyed = correlated(likert, 40)
    columns = likert.columns("E")
    keyed[3:, columns[0]] = np.nan
    found = score(people(likert, keyed))
    rows = {row["code"]: row for row in found.reliability.iter_rows(named=True)}
    assert (rows["E"]["people"], rows["E"]["alpha_people"]) == (40, 3)
    assert (rows["E"]["error_from"], rows["N"]["error_from"]) == ("items", "sample")
    errors = {code: found.scores.filter(code=code)["standard_error"].to_list() for code in "EN"}
    own = 8 * keyed[:3, columns].std(axis=1, ddof=1) / math.sqrt(8)
    assert errors["E"][:3] == pytest.approx(own.tolist())
    assert set(errors["N"]) == {rows["N"]["sem"]}


def test_missing_answers_are_counted_and_prorated_or_left_out(likert: Inventory) -> None:
    keyed = correlated(likert, 40)
    columns = likert.columns("E")
    keyed[0, columns[0]] = np.nan
    keyed[1, columns] = np.nan
    sample = people(likert, keyed)
    first, second = score(sample).scores.filter(code="E").head(2).iter_rows(named=True)
    assert (first["answered"], second["answered"]) == (7, 0)
    assert first["raw"] == pytest.approx(8 * np.nanmean(keyed[0, columns]))
    assert second["raw"] is None
    assert second["standard_error"] is None
    strict = score(sample, missing="listwise").scores.filter(code="E")
    assert strict["raw"].head(2).to_list() == [None, None]
    with pytest.raises(ResponsesError):
        score(sample, missing="refuse")


def test_an_inventory_without_norms_says_so(likert: Inventory) -> None:
    found = score(people(likert, correlated(likert, 3)), sex="male", age=30)
    assert found.notes == ("There are no human norms for likert.",)
    assert found.scores["t"].null_count() == found.scores.height
    assert found.reliability["alpha"].null_count() == 0


def test_a_wide_table_has_a_row_a_person(likert: Inventory) -> None:
    keyed = correlated(likert, 6)
    wide = score(people(likert, keyed)).wide("score")
    assert wide.columns == ["id", "N", "E", "E1", "E2", "N1", "N2"]
    assert wide["E"].to_list() == pytest.approx(keyed[:, likert.columns("E")].mean(axis=1).tolist())


def test_ages_that_are_none_are_missing_and_counted() -> None:
    inventory = load_inventory("ipip-neo-120")
    ages = ["young", "230", "NA", "30"]
    sample = people(inventory, np.full((4, 120), 3), sex=["male"] * 4, age=ages)
    counted = "Taken as missing: 2 of 4 ages, which are not from 1 to 120 years."
    found = score(sample)
    assert found.scores.filter(code="E")["norm_group"].to_list() == [*[None] * 3, "men-21-40"]
    assert (found.notes[0], found.notes[1][:30]) == (counted, "3 of 4 people have no norm sco")
    given = score(sample, age=50)
    groups = [*["men-41-60"] * 3, "men-21-40"]
    assert given.scores.filter(code="E")["norm_group"].to_list() == groups
    assert given.notes == (counted,)


def test_the_sex_given_is_of_whom_the_file_does_not_tell_it() -> None:
    inventory = load_inventory("ipip-neo-120")
    sample = people(inventory, np.full((3, 120), 3), sex=["NA", "other", "F"])
    groups = score(sample, sex="male", age=30).scores.filter(code="E")["norm_group"].to_list()
    assert groups == ["men-21-40", None, "women-21-40"]


def test_reliability_of_three_hundred_people(shared: Path) -> None:
    inventory = load_inventory("ipip-neo-300")
    path = shared / "data" / "papi" / "people.csv"
    found = score(read_human_answers(path, inventory, stored="keyed"))
    alphas = {
        row["code"]: round(row["alpha"], 3) for row in found.reliability.iter_rows(named=True)
    }
    published = {"N": 0.976, "E": 0.966, "O": 0.942, "A": 0.948, "C": 0.971}
    assert {code: alphas[code] for code in published} == published
    assert found.scores.height == 300 * 35
