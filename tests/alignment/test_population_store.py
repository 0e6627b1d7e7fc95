"""The population on disk: small, whole, and anyone read back as they were fitted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from allport.alignment import (
    PopulationStore,
    fit_population,
    graded_targets,
    open_population,
    person_displacements,
    prepare_ridge,
    write_population,
)
from allport.errors import AlignmentError, ResponsesError
from benchmarks.planted_people import planted_model, planted_people

MODEL = planted_model()
CASES = [f"case-{n * 7}" for n in range(40)]


@pytest.fixture
def literal() -> np.ndarray:
    answers, _ = planted_people(40, missing=0.005)
    answers[3] = 2
    return answers


@pytest.fixture
def folder(literal: np.ndarray, tmp_path: Path) -> Path:
    fit = fit_population(MODEL.differences, literal, strengths=(1.5,), heads=5)
    about = {"model_sha256": "abc", "inventory": "ipip-neo-120"}
    return write_population(tmp_path / "people", fit, identifiers=CASES, about=about)


def test_anyone_is_read_back_as_fitted(folder: Path, literal: np.ndarray) -> None:
    fit = fit_population(MODEL.differences, literal, strengths=(1.5,), heads=5)
    store = open_population(folder)
    assert len(store) == 40
    assert store.about == {"model_sha256": "abc", "inventory": "ipip-neo-120"}
    assert store.excluded == {"the same answer to every item": 1}
    ridge = prepare_ridge(MODEL.differences, chosen=fit.penalties)
    rows = [39, 0, store.row("case-77")]
    assert rows[2] == 11
    heads = torch.tensor(fit.people.heads[rows]).long()
    expected = person_displacements(ridge, torch.tensor(graded_targets(literal[rows])), heads)
    found = store.displacements(rows)
    assert torch.equal(found.heads, heads)
    torch.testing.assert_close(found.vectors, expected.vectors, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(store.literal(rows), literal[rows])
    assert store.strengths(rows).tolist() == [1.5] * 3


def test_one_after_another_is_what_all_are_and_each_head_is_prepared_once(
    folder: Path, literal: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    everyone = [row for row in range(40) if row != 3]
    assert np.isnan(literal[everyone]).any()
    together = open_population(folder).displacements(everyone)
    prepared = []

    def counted(differences: np.ndarray, **more: Any) -> Any:
        prepared.append(differences.shape[1])
        return prepare_ridge(differences, **more)

    monkeypatch.setattr("allport.alignment.population_store.prepare_ridge", counted)
    store = open_population(folder)
    for place, row in enumerate(everyone):
        for _ in range(2):
            alone = store.displacements([row])
            assert torch.equal(alone.heads[0], together.heads[place])
            torch.testing.assert_close(alone.vectors[0], together.vectors[place])
    assert prepared[0] == 5
    assert len(prepared) > 1
    assert sum(prepared) == len(together.heads.unique())


def test_identifiers_are_read_once(folder: Path) -> None:
    store, read = open_population(folder), []

    class Counted:
        def get_tensor(self, name: str) -> Any:
            read.append(name)
            return people.get_tensor(name)

    people, store._people = store._people, Counted()
    assert [store.row(case) for case in CASES] == list(range(40))
    assert read == ["identifiers"]


def test_what_the_model_answers_by_itself_is_kept(literal: np.ndarray, tmp_path: Path) -> None:
    # Somebody who answers as the model does already needs nothing added.
    unaligned = literal[0].astype(float)
    literal[0, 0] = unaligned[0] = 3
    unaligned[np.isnan(unaligned)] = 3
    fit = fit_population(MODEL.differences, literal, strengths=(1.0,), heads=5, unaligned=unaligned)
    store = open_population(write_population(tmp_path, fit))
    alike, other = store.displacements([0, 1]).vectors
    assert not alike.any()
    assert other.any()
    plain = fit_population(MODEL.differences, literal, strengths=(1.0,), heads=5)
    without = open_population(write_population(tmp_path / "plain", plain))
    assert without.displacements([0]).vectors.any()


def test_a_person_takes_bytes_not_vectors(tmp_path: Path) -> None:
    sizes = []
    for people in (1000, 2000):
        literal, _ = planted_people(people, missing=0)
        fit = fit_population(MODEL.differences, literal, strengths=(1.0,))
        file = write_population(tmp_path / str(people), fit) / "people.safetensors"
        sizes.append(file.stat().st_size)
    assert (sizes[1] - sizes[0]) / 1000 < 150


def test_answers_between_whole_numbers_are_kept(tmp_path: Path) -> None:
    literal, _ = planted_people(5, missing=0.01)
    literal = np.clip(literal + 0.25, 1, 5)
    fit = fit_population(MODEL.differences, literal, strengths=(1.0,))
    store = PopulationStore(write_population(tmp_path, fit))
    np.testing.assert_array_equal(store.literal([0, 4]), literal[[0, 4]])
    assert store.row(5) == 4


def test_the_excluded_and_the_unknown_are_named(folder: Path) -> None:
    store = open_population(folder)
    with pytest.raises(ResponsesError, match=r"Person case-21 of .* was excluded.*: the same"):
        store.displacements([0, 3])
    with pytest.raises(ResponsesError, match="holds no person nobody"):
        store.row("nobody")
    with pytest.raises(ResponsesError, match="holds 40 people, rows 0 to 39; there is no row 40"):
        store.literal([40])


def test_identifiers_must_be_each_persons_own(literal: np.ndarray, tmp_path: Path) -> None:
    fit = fit_population(MODEL.differences, literal, strengths=(1.0,))
    with pytest.raises(ResponsesError, match="identifier 8 is given 2 times"):
        write_population(tmp_path, fit, identifiers=[*range(39), 8])
    with pytest.raises(ResponsesError, match="39 identifiers were given for 40 people"):
        write_population(tmp_path, fit, identifiers=range(39))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["basis.safetensors", "people.safetensors"])
def test_a_changed_file_is_refused(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(AlignmentError, match=f"{name} is not the file that was written"):
        open_population(folder)
    assert len(open_population(folder, verify=False)) == 40


def test_what_is_no_population_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(AlignmentError, match="holds no population"):
        open_population(tmp_path / "nothing")
    record = json.loads((folder / "population.json").read_text())
    (folder / "population.json").write_text(json.dumps(record | {"format": "other-2"}))
    with pytest.raises(AlignmentError, match="its format is 'other-2'"):
        open_population(folder)
    (folder / "population.json").write_text(json.dumps(record))
    (folder / "people.safetensors").write_bytes(b"cut off")
    with pytest.raises(AlignmentError, match="holds no population"):
        open_population(folder, verify=False)


def test_a_folder_that_cannot_be_written_is_named(literal: np.ndarray, tmp_path: Path) -> None:
    fit = fit_population(MODEL.differences, literal, strengths=(1.0,))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(AlignmentError, match="file/people cannot be written"):
        write_population(tmp_path / "file" / "people", fit)
