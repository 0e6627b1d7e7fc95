"""PAPI's people: counts, keys and figures of the published test set, and how corpora are read."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest

from allport.corpora import (
    PeopleCorpus,
    read_papi,
    short_form_numbers,
    short_form_split,
    simulate_people,
)
from allport.errors import ResponsesError
from allport.inventories import load_inventory
from allport.psychometrics.reliability import cronbach_alpha
from allport.psychometrics.styles import check_keying


@pytest.fixture(scope="module")
def papi(shared: Path) -> PeopleCorpus:
    return read_papi(shared / "data/papi/people.csv")


@pytest.fixture(scope="module")
def released() -> pl.DataFrame:
    """Simulated people laid out as the corpora are released: keyed, 0 missing, clerical columns."""
    corpus = simulate_people(80, missing=0.01, seed=5).corpus
    keyed = corpus.keyed_codes()
    numbers = corpus.inventory.numbers
    answers = {f"i{number}": keyed[:, place] for place, number in enumerate(numbers)}
    about = {
        "case": np.arange(1000, 1080),
        "sex": corpus.about["sex"].replace_strict({"male": 1, "female": 2}, return_dtype=pl.Int64),
        "age": corpus.about["age"],
        "sec": np.full(80, 7),
        "month": np.full(80, 11),
        "year": np.full(80, 104),
        "country": ["USA" if row % 4 else "India" for row in range(80)],
    }
    return pl.DataFrame({**about, **answers})


# --- the published test set -------------------------------------------------------------------


def test_it_has_300_people_and_52_missing_answers(papi: PeopleCorpus) -> None:
    split = short_form_split(papi.inventory)
    missing = papi.literal_codes == 0
    assert (len(papi), papi.inventory.name, papi.note) == (300, "ipip-neo-300", "")
    assert missing.sum() == 52
    assert missing.any(axis=1).sum() == 41
    assert missing.sum(axis=1).max() == 10
    assert missing[:, split.fit_columns].sum() == 17
    assert missing[:, split.held_out_columns].sum() == 35


def test_people_are_who_they_are(papi: PeopleCorpus) -> None:
    assert papi.about["sex"].value_counts(sort=True).rows() == [("female", 203), ("male", 97)]
    ages = papi.about["age"]
    assert (ages.min(), ages.max(), ages.median()) == (14, 99, 22)
    assert round(float(ages.mean()), 1) == 25.0  # type: ignore[arg-type]  # of integers
    assert papi.about["country"].n_unique() == 20
    assert papi.about["country"].value_counts(sort=True).rows()[:2] == [
        ("USA", 235),
        ("Canada", 17),
    ]


def test_stored_answers_are_keyed_and_come_out_literal(papi: PeopleCorpus) -> None:
    def shares(codes: np.ndarray) -> list[float]:
        counts = np.bincount(codes.ravel(), minlength=6)[1:]
        return [round(100 * share, 1) for share in counts / counts.sum()]

    assert shares(papi.keyed_codes()) == [1.8, 17.3, 32.6, 41.0, 7.3]
    assert shares(papi.literal_codes) == [4.5, 25.1, 32.6, 33.2, 4.6]
    assert (papi.inventory.keys == -1).sum() == 148
    facets = [item.facet for item in papi.inventory.items]
    check = check_keying(papi.keyed(), papi.inventory.keys, facets)
    assert (check.verdict, check.cross_pairs, check.same_pairs) == ("keyed", 696, 654)
    assert round(check.cross_key.value, 3) == 0.419
    assert round(check.same_key.value, 3) == 0.484


def test_acquiescence_and_spread_are_the_published_ones(papi: PeopleCorpus) -> None:
    own = np.nanmean(papi.literal(), axis=1)
    assert round(float(own.mean()), 3) == 3.085
    assert round(float(own.std(ddof=1)), 3) == 0.116
    assert round(float(np.nanstd(papi.keyed(), axis=1).mean()), 3) == 0.877


@pytest.mark.parametrize(
    ("domain", "mean", "sd", "alpha", "fit_alpha", "held_out_alpha", "r"),
    [
        ("N", 2.887, 0.564, 0.976, 0.952, 0.957, 0.952),
        ("E", 3.330, 0.466, 0.966, 0.938, 0.935, 0.931),
        ("O", 3.622, 0.358, 0.942, 0.888, 0.889, 0.909),
        ("A", 3.426, 0.384, 0.948, 0.907, 0.898, 0.907),
        ("C", 3.468, 0.448, 0.971, 0.948, 0.942, 0.943),
    ],
)
def test_domains_have_the_published_figures(
    papi: PeopleCorpus,
    domain: str,
    mean: float,
    sd: float,
    alpha: float,
    fit_alpha: float,
    held_out_alpha: float,
    r: float,
) -> None:
    split = short_form_split(papi.inventory)
    keyed, columns = papi.keyed(), papi.inventory.columns(domain)
    fit = np.intersect1d(columns, split.fit_columns)
    held_out = np.intersect1d(columns, split.held_out_columns)
    scores = np.nanmean(keyed[:, columns], axis=1)
    assert round(float(scores.mean()), 3) == mean
    assert round(float(scores.std(ddof=1)), 3) == sd
    for part, expected in ((columns, alpha), (fit, fit_alpha), (held_out, held_out_alpha)):
        complete = keyed[:, part][~np.isnan(keyed[:, part]).any(axis=1)]
        assert cronbach_alpha(complete).raw.value == pytest.approx(expected, abs=5e-4)
    halves = [np.nanmean(keyed[:, part], axis=1) for part in (fit, held_out)]
    assert np.corrcoef(halves)[0, 1] == pytest.approx(r, abs=5e-4)


@pytest.mark.parametrize(
    ("answer", "total"), [(5, 8.33), (4, 4.05), (3, 3.80), (2, 6.86), (1, 11.68)]
)
def test_constant_answers_score_as_published(papi: PeopleCorpus, answer: int, total: float) -> None:
    # The released scoring compares a letter with the stored value, and counts a missing one as 0.
    split = short_form_split(papi.inventory)
    stored = papi.keyed_codes().astype(float)
    errors = 0.0
    for domain in "NEOAC":
        columns = np.intersect1d(papi.inventory.columns(domain), split.held_out_columns)
        errors += np.abs(answer - stored[:, columns]).mean(axis=1).mean()
    assert errors == pytest.approx(total, abs=0.006)


def test_everybody_of_the_test_set_can_be_used(papi: PeopleCorpus) -> None:
    usable = papi.usable(columns=short_form_split(papi.inventory).fit_columns)
    assert len(usable.rows) == 300
    assert str(usable) == "300 people are used."


# --- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "parquet"])
def test_every_format_says_the_same(released: pl.DataFrame, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"Test-set.{ending}"
    match ending:
        case "csv":
            released.write_csv(path)
        case "json":
            path.write_text(json.dumps(released.to_dicts()), encoding="utf-8")
        case "jsonl":
            released.write_ndjson(path)
        case _:
            released.write_parquet(path)
    corpus = read_papi(path)
    expected = simulate_people(80, missing=0.01, seed=5).corpus
    assert corpus.name == "Test-set"
    assert corpus.ids[0] == "1000"
    np.testing.assert_array_equal(corpus.literal_codes, expected.literal_codes)
    assert corpus.about["sex"].to_list() == expected.about["sex"].to_list()
    assert corpus.about.columns == ["id", "sex", "age", "country"]


def test_columns_are_matched_by_number_and_not_by_place(
    released: pl.DataFrame, tmp_path: Path
) -> None:
    shuffled = released.select(np.random.default_rng(0).permutation(released.columns).tolist())
    shuffled.write_csv(tmp_path / "people.csv")
    expected = simulate_people(80, missing=0.01, seed=5).corpus
    np.testing.assert_array_equal(
        read_papi(tmp_path / "people.csv").literal_codes, expected.literal_codes
    )


def test_the_short_form_is_read_under_either_numbering(
    released: pl.DataFrame, tmp_path: Path
) -> None:
    numbers = short_form_numbers()
    long = released.select("case", *(f"i{number}" for number in numbers.values()))
    short = long.rename({f"i{number}": f"s{own}" for own, number in numbers.items()})
    short = short.rename({f"s{own}": f"i{own}" for own in numbers})
    for frame in (long, short):
        frame.write_parquet(tmp_path / "people.parquet")
        corpus = read_papi(tmp_path / "people.parquet")
        assert corpus.inventory.name == "ipip-neo-120"
        item = corpus.inventory.numbers.index(7)
        expected = released[f"i{numbers[7]}"].to_numpy()
        np.testing.assert_array_equal(corpus.keyed_codes()[:, item], expected)


def test_some_people_can_be_read_alone(released: pl.DataFrame, tmp_path: Path) -> None:
    released.write_csv(tmp_path / "people.csv")
    corpus = read_papi(tmp_path / "people.csv", where=pl.col("country") == "India")
    assert len(corpus) == 20
    assert set(corpus.about["country"]) == {"India"}


def test_a_literal_file_is_refused_with_the_figure(released: pl.DataFrame, tmp_path: Path) -> None:
    keys = load_inventory("ipip-neo-300")
    literal = released.with_columns(
        pl.when(pl.col(f"i{item.number}") > 0)
        .then(6 - pl.col(f"i{item.number}"))
        .otherwise(0)
        .alias(f"i{item.number}")
        for item in keys.items
        if item.key == -1
    )
    literal.write_parquet(tmp_path / "people.parquet")
    with pytest.raises(ResponsesError, match=r"opposite keys correlate -0\.\d\d"):
        read_papi(tmp_path / "people.parquet")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"drop": "i17"}, "has 299 item columns"),
        ({"i5": 6}, r"person 1000, column 'i5': 6 is not on the scale"),
        ({"i5": -1}, "column 'i5': -1 is not on the scale"),
        ({"i5": 70_000}, "column 'i5': 70000 is not on the scale"),
        ({"i5": "often"}, "column 'i5': 'often' is no number"),
        ({"i5": 2.5}, r"column 'i5': 2\.5 is not on the scale"),
        ({"case": 1001}, "the id '1001' is given 2 times"),
        ({"drop": "case"}, "no column 'case'"),
    ],
)
def test_a_file_that_does_not_hold_is_refused_by_person_and_column(
    released: pl.DataFrame, tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    rows = released.to_dicts()
    for column, value in change.items():
        if column == "drop":
            rows = [{k: v for k, v in row.items() if k != value} for row in rows]
        else:
            rows[0][column] = value
    lines = [",".join(rows[0]), *(",".join(str(cell) for cell in row.values()) for row in rows)]
    (tmp_path / "people.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(ResponsesError, match=reason) as caught:
        read_papi(tmp_path / "people.csv")
    assert "\n" not in str(caught.value)


def test_words_for_missing_are_understood(released: pl.DataFrame, tmp_path: Path) -> None:
    released.with_columns(pl.col("i9").cast(pl.String)).with_columns(
        i9=pl.when(pl.col("case") == 1003).then(pl.lit("NA")).otherwise("i9")
    ).write_csv(tmp_path / "people.csv")
    corpus = read_papi(tmp_path / "people.csv")
    assert corpus.literal_codes[3, 8] == 0


def test_too_few_people_to_check_the_keying_are_read_with_a_note(
    released: pl.DataFrame, tmp_path: Path
) -> None:
    released.head(4).write_parquet(tmp_path / "people.parquet")
    assert "could not be checked" in read_papi(tmp_path / "people.parquet").note


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("missing.csv", None, "There is no file"),
        ("people.xlsx", "x", "read by its ending"),
        ("people.json", "{", "cannot be read as a table"),
        ("people.parquet", "no parquet", "cannot be read as a table"),
        ("people.csv", "case,i1\n", "has 1 item columns"),
    ],
)
def test_what_is_no_table_is_refused_in_one_sentence(
    tmp_path: Path, name: str, content: str | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(ResponsesError, match=reason) as caught:
        read_papi(tmp_path / name)
    assert "\n" not in str(caught.value)


# --- the hub ------------------------------------------------------------------------------------


class _Dataset:
    def __init__(self, frame: pl.DataFrame) -> None:
        self.frame = frame

    def to_polars(self, batch_size: int, batched: bool) -> Iterator[pl.DataFrame]:
        assert batched
        return self.frame.iter_slices(min(batch_size, 30))


def _datasets(monkeypatch: pytest.MonkeyPatch, answer: pl.DataFrame | Exception) -> list[object]:
    asked: list[object] = []

    def load_dataset(name: str, *, split: str, revision: str | None) -> _Dataset:
        asked.append((name, split, revision))
        if isinstance(answer, Exception):
            raise answer
        return _Dataset(answer)

    module = ModuleType("datasets")
    module.load_dataset = load_dataset  # type: ignore[attr-defined]  # it is made here
    monkeypatch.setitem(sys.modules, "datasets", module)
    return asked


def test_a_hub_id_is_loaded_by_the_datasets_library(
    released: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = _datasets(monkeypatch, released)
    corpus = read_papi("WestlakeNLP/PAPI-300K", revision="main")
    assert asked == [("WestlakeNLP/PAPI-300K", "train", "main")]
    assert corpus.name == "WestlakeNLP/PAPI-300K"
    expected = simulate_people(80, missing=0.01, seed=5).corpus
    np.testing.assert_array_equal(corpus.literal_codes, expected.literal_codes)


@pytest.mark.parametrize(
    "error",
    [ConnectionError("Couldn't reach the Hub."), FileNotFoundError("doesn't exist\nsecond")],
)
def test_a_hub_out_of_reach_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    _datasets(monkeypatch, error)
    with pytest.raises(ResponsesError, match="cannot be had from the Hugging Face hub") as caught:
        read_papi("WestlakeNLP/PAPI-300K")
    assert "path of a file" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_the_datasets_library_it_is_said_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ResponsesError, match=r"pip install 'allport\[hub\]'"):
        read_papi("WestlakeNLP/PAPI-120-600K")
