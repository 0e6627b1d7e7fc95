"""A fitted population on disk: coefficients, not vectors, from which anyone is read at once.

FOLDER/
├── population.json       what it was fitted on, how, and the hash of each file below
├── basis.safetensors     contrast differences and penalty of every head, and what the model answers
│                         by itself: what everyone shares
└── people.safetensors    a row a person: answers, heads, strength, identifier

A person's vectors are linear in the answers given the basis, so the answers are the coefficients:
one byte each. Reading a person takes their row and the basis of their heads, whoever else
is in the file. What is worked out of a head's basis is kept for the next person.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from allport.alignment.displacements import Displacements
from allport.alignment.exclusions import Exclusion
from allport.alignment.population import PopulationFit
from allport.alignment.ridge_directions import (
    HeadRidge,
    graded_targets,
    person_displacements,
    prepare_ridge,
)
from allport.errors import AlignmentError, ResponsesError
from allport.files import sha256_of, write_atomically

__all__ = ["PopulationStore", "open_population", "write_population"]

_FORMAT = "allport-population-2"
_RECORD = "population.json"
_BASIS = "basis.safetensors"
_PEOPLE = "people.safetensors"
_MISSING = -128
"""Stands for a missing answer where answers are whole numbers in a byte each."""


def write_population(
    folder: Path | str,
    fit: PopulationFit,
    *,
    identifiers: Sequence[object] | NDArray[np.generic] | None = None,
    about: Mapping[str, Any] | None = None,
) -> Path:
    """Write a fitted population to a folder.

    Args:
        folder: Made where it does not exist; the record is written last, so that a folder with a
            record is whole.
        fit: From `fit_population`.
        identifiers: What each person is called, such as the corpus's case numbers; 1, 2, 3, ...
            where not given.
        about: What the reader must know and check: model and inventory hashes, hook site, ...;
            anything JSON takes.

    Raises:
        ResponsesError: An identifier is given twice, or their number differs from the people's.
        AlignmentError: The folder cannot be written.
    """
    folder = Path(folder)
    count = len(fit.literal)
    names = np.char.encode(
        np.asarray(range(1, count + 1) if identifiers is None else identifiers).astype(str), "utf-8"
    )
    if names.shape != (count,):
        raise ResponsesError(f"{names.size} identifiers were given for {count} people.")
    unique, times = np.unique(names, return_counts=True)
    if len(unique) < count:
        raise ResponsesError(
            f"The identifier {unique[times.argmax()].decode()} is given {times.max()} times; each "
            "person needs one of their own."
        )
    files = {
        _BASIS: _packed(
            {
                "differences": fit.differences,
                "penalties": fit.penalties,
                "unaligned": fit.unaligned,
            }
        ),
        _PEOPLE: _packed(
            {
                "literal": _compact(fit),
                "heads": fit.people.heads,
                "strengths": fit.people.strengths,
                "skill": fit.people.skill,
                "exclusions": fit.people.exclusions,
                "identifiers": names.view(np.uint8).reshape(count, -1),
            }
        ),
    }
    record = {
        "format": _FORMAT,
        "people": count,
        "excluded": fit.excluded(),
        "scale": list(fit.scale),
        "about": dict(about or {}),
        "sha256": {name: sha256_of(content) for name, content in files.items()},
    }
    try:
        for name, content in files.items():
            write_atomically(folder / name, content)
        write_atomically(folder / _RECORD, json.dumps(record, indent=1) + "\n")
    except OSError as error:
        raise AlignmentError(f"{folder} cannot be written ({error.strerror}).") from None
    return folder


def _packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays in the safetensors format, which writes memory as it lies: so rows must lie in order.

    Columns picked out of an array, say, lie the other way round.
    """
    from safetensors.numpy import save

    packed: bytes = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    return packed


def _compact(fit: PopulationFit) -> NDArray[np.generic]:
    """Answers in a byte each where they are whole numbers; those of excluded people are dropped."""
    answers = np.array(fit.literal, dtype=np.float32)
    answers[fit.people.exclusions != Exclusion.NONE] = np.nan
    missing = np.isnan(answers)
    whole = np.where(missing, _MISSING, answers)
    if np.abs(whole).max(initial=0) > -_MISSING or (whole != np.rint(whole)).any():
        return answers
    return whole.astype(np.int8)


class PopulationStore:
    """A population folder opened for reading; rows are read when they are asked for."""

    def __init__(self, folder: Path | str, *, verify: bool = True) -> None:
        """Open a folder that `write_population` wrote; see `open_population`."""
        from safetensors import SafetensorError, safe_open

        self.folder = Path(folder)
        try:
            record = json.loads((self.folder / _RECORD).read_text(encoding="utf-8"))
            if record["format"] != _FORMAT:
                raise ValueError(f"its format is {record['format']!r}, not {_FORMAT!r}")
            hashes: dict[str, str] = record["sha256"]
            changed = [n for n in hashes if verify and sha256_of(self.folder / n) != hashes[n]]
            if changed:
                raise ValueError(f"{changed[0]} is not the file that was written")
            self._basis: Any = safe_open(str(self.folder / _BASIS), framework="pt")
            self._people: Any = safe_open(str(self.folder / _PEOPLE), framework="pt")
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise AlignmentError(f"{self.folder} holds no population: {error}.") from None
        self.about: dict[str, Any] = record["about"]
        """What the writer said of model and inventory."""
        self.excluded: dict[str, int] = record["excluded"]
        """How many people were excluded, by reason."""
        self._scale: tuple[float, float] = tuple(record["scale"])
        self._count: int = record["people"]
        self._ridge: HeadRidge | None = None
        """Operators of the heads that were needed so far."""
        self._places: dict[int, int] = {}
        """Where each of those heads is among them."""

    def __reduce__(self) -> tuple[Any, ...]:
        """To another process it goes as its folder."""
        return PopulationStore, (self.folder.resolve(),)

    def __len__(self) -> int:
        """How many people it holds, those excluded too."""
        return self._count

    def row(self, identifier: object) -> int:
        """The row of a person, by identifier.

        Raises:
            ResponsesError: There is none of that identifier.
        """
        found = self._rows.get(str(identifier).encode())
        if found is None:
            raise ResponsesError(f"{self.folder} holds no person {identifier}.")
        return found

    @cached_property
    def _rows(self) -> dict[bytes, int]:
        """Row of each person by identifier."""
        names = self._people.get_tensor("identifiers").numpy()
        listed = names.view(f"S{names.shape[1]}").ravel().tolist()
        return {name: row for row, name in enumerate(listed)}

    def identifier(self, row: int) -> str:
        """What the person of a row is called."""
        return self._read("identifiers", [row]).numpy().tobytes().rstrip(b"\0").decode()

    def strengths(self, rows: Sequence[int]) -> Tensor:
        """Chosen strengths of some people, (people,)."""
        return self._read("strengths", rows)

    def literal(self, rows: Sequence[int]) -> NDArray[np.float32]:
        """Literal answers of some people, (people, items), NaN for missing."""
        stored = self._read("literal", rows)
        answers = stored.numpy().astype(np.float32)
        if stored.dtype == torch.int8:
            answers[answers == _MISSING] = np.nan
        return answers

    def displacements(self, rows: Sequence[int]) -> Displacements:
        """What strength one adds for some people; multiply by `strengths` for what was chosen.

        Args:
            rows: Rows of the people; see `row`.

        Raises:
            ResponsesError: One of them was excluded when the population was fitted.
        """
        for row, number in zip(rows, self._read("exclusions", rows).tolist(), strict=True):
            if number:
                raise ResponsesError(
                    f"Person {self.identifier(row)} of {self.folder} was excluded when it was "
                    f"fitted: {Exclusion(number).reason}."
                )
        heads = self._read("heads", rows).long()
        ridge, places = self._operators(heads)
        unaligned = self._basis.get_tensor("unaligned").numpy()
        graded = graded_targets(self.literal(rows), *self._scale, unaligned=unaligned)
        targets = torch.from_numpy(graded)
        return Displacements(heads, person_displacements(ridge, targets, places).vectors)

    def _operators(self, heads: Tensor) -> tuple[HeadRidge, Tensor]:
        """Operators of heads, each prepared once, and the place of each head among them."""
        new = [head for head in torch.unique(heads).tolist() if head not in self._places]
        if new or self._ridge is None:
            basis = self._basis.get_slice("differences")
            made = prepare_ridge(
                torch.cat([basis[:, head : head + 1] for head in new], dim=1).numpy(),
                chosen=self._basis.get_tensor("penalties")[new],
            )
            self._ridge = made if self._ridge is None else _side_by_side(self._ridge, made)
            self._places |= {head: len(self._places) + i for i, head in enumerate(new)}
        return self._ridge, heads.clone().apply_(self._places.__getitem__)

    def _read(self, name: str, rows: Sequence[int]) -> Tensor:
        part = self._people.get_slice(name)
        out = [row for row in rows if not 0 <= row < self._count]
        if out:
            raise ResponsesError(
                f"{self.folder} holds {self._count} people, rows 0 to {self._count - 1}; there is "
                f"no row {out[0]}."
            )
        return torch.cat([part[row : row + 1] for row in rows])


def _side_by_side(one: HeadRidge, other: HeadRidge) -> HeadRidge:
    """The operators of both, over the same items."""
    return HeadRidge(
        penalties=torch.cat([one.penalties, other.penalties]),
        held_out=torch.cat([one.held_out, other.held_out], dim=1),
        freedom=torch.cat([one.freedom, other.freedom]),
        patterns=torch.cat([one.patterns, other.patterns]),
        covariance=torch.cat([one.covariance, other.covariance]),
    )


def open_population(folder: Path | str, *, verify: bool = True) -> PopulationStore:
    """Open a population folder.

    Args:
        folder: What `write_population` wrote.
        verify: Whether to hold the files to their recorded hashes, reading each once.

    Raises:
        AlignmentError: There is no population, or its files were changed.
    """
    return PopulationStore(folder, verify=verify)
