"""Alignments to many people, served by one respondent: whom it answers for is asked row by row."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allport.alignment.alignment import (
    Alignment,
    AlignmentPart,
    check_weights,
    steering_of,
)
from allport.alignment.alignment_folder import load_alignment
from allport.alignment.projections import model_sites
from allport.alignment.steering import RowDisplacement, SteeredTokens, Steerer
from allport.errors import AlignmentError
from allport.files import sha256_of

if TYPE_CHECKING:
    from allport.alignment.population_store import PopulationStore
    from allport.models.steering import Steering
    from allport.models.transformers_model import TransformersModel

__all__ = ["PeopleAlignments", "StoredAlignments", "load_alignments"]


class PeopleAlignments:
    """Alignments by persona: `model.aligned(PeopleAlignments(...))` answers for all of them.

    The persona of a question's condition says whose row it is; questions without a persona get the
    model as it is. People are mixed in one batch, each row displaced by its own alignment.
    """

    def __init__(self, alignments: Mapping[str, Alignment]) -> None:
        """Serve alignments by name of the persona."""
        self._alignments = dict(alignments)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over those of all."""
        hashes = {name: alignment.content_hash for name, alignment in self._alignments.items()}
        return sha256_of(json.dumps(hashes, sort_keys=True))

    def only(self, people: Collection[str]) -> PeopleAlignments:
        """Those of some people, by name; who has none here has none there."""
        return PeopleAlignments(
            {name: each for name, each in self._alignments.items() if name in people}
        )

    def steering(self, model: TransformersModel) -> Steering:
        """The steering of a model; `TransformersModel.aligned` asks for it.

        Raises:
            AlignmentError: One of them was made for another model.
        """
        identity = {"alignments": self.content_hash, "people": len(self._alignments)}
        return steering_of(model, self._alignments.values(), self._of, identity)

    def _of(self, persona: str) -> Alignment | None:
        if not persona:
            return None
        if persona not in self._alignments:
            raise AlignmentError(f"There is no alignment to {persona!r} among those given.")
        return self._alignments[persona]


class StoredAlignments:
    """Everyone in a population store, read when their turn comes.

    The store's `about` says what it was fitted on (`model_identity`), which tokens are steered, and
    which layers its heads lie in.
    """

    def __init__(
        self,
        store: PopulationStore,
        *,
        factor: float = 1.0,
        tokens: SteeredTokens | None = None,
    ) -> None:
        """Serve a store.

        Args:
            store: From `open_population`.
            factor: On everyone's strength; -1 flips everyone.
            tokens: Which are steered; as it was fitted by default.
        """
        self._store = store
        self._factor = factor
        self._tokens: SteeredTokens = tokens or store.about.get("tokens", "answer")

    @property
    def content_hash(self) -> str:
        """SHA-256 of the store's files and of how they are used."""
        files = sha256_of(self._store.folder / "population.json")  # it holds the others' hashes
        return sha256_of(json.dumps([files, self._factor, self._tokens]))

    def alignment(self, identifier: str) -> Alignment:
        """The alignment to one person.

        Raises:
            ResponsesError: There is nobody of that identifier, or they were excluded.
        """
        row = self._store.row(identifier)
        about: dict[str, Any] = self._store.about["model"]
        heads, layers = int(about["heads"]), [int(layer) for layer in about["layers"]]
        dense = self._store.displacements([row]).dense(heads * len(layers))[0]
        by_layer = dense.view(len(layers), -1).numpy()
        vectors = {
            layer: vector for layer, vector in zip(layers, by_layer, strict=True) if vector.any()
        }
        strength = float(self._store.strengths([row])[0]) * self._factor
        return Alignment(
            name=identifier,
            method="pas",
            model=about,
            parts=(AlignmentPart("heads", vectors, strength, self._tokens),),
            fit={
                "population": str(self._store.folder),
                **{
                    key: self._store.about[key]
                    for key in ("inventory", "items")
                    if key in self._store.about
                },
            },
        )

    def steering(self, model: TransformersModel) -> Steerer:
        """The steering of a model; `TransformersModel.aligned` asks for it.

        Raises:
            AlignmentError: The population was fitted on another model.
        """
        check_weights("The population", self._store.about.get("model", {}), model)
        sites = model_sites(model.model)

        def row(persona: str) -> RowDisplacement | None:
            return self.alignment(persona).row(sites) if persona else None

        def nothing(persona: str) -> str:
            return ""

        identity = {"population": self.content_hash, "people": len(self._store)}
        return Steerer(sites, row, nothing, identity)


def load_alignments(folder: Path | str, people: Sequence[str]) -> dict[str, Alignment]:
    """Read alignments to one person each, kept side by side in a folder.

    Args:
        folder: Holds a folder for each person, named by id, that `save_alignment` wrote.
        people: Whose, by id.

    Raises:
        AlignmentError: Somebody has no folder there, or one that holds no alignment.
    """
    folder = Path(folder)
    missing = [person for person in people if not (folder / person).is_dir()]
    if missing:
        raise AlignmentError(
            f"{folder} has no alignment to {len(missing)} of {len(people)} people, the first of "
            f"them {missing[0]}; it must hold a population, or a folder for each person, named by "
            "id."
        )
    return {person: load_alignment(folder / person) for person in people}
