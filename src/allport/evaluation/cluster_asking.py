"""Asking over a Ray cluster: every machine loads the model and answers in the place of some people.

    here          questions, a few people together  ->  a task
    a machine     the model, loaded once by its name; a task's alignments  ->  responses
    here          responses in order, kept as they come

So a run is kept and resumed by this process, as it is without a cluster. A model travels as the
arguments it was loaded with, alignments travel as they are, and no weight does.
"""

from __future__ import annotations

import functools
import io
import json
import pickle
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, groupby
from typing import Any, Final, NamedTuple

from allport.alignment.people_alignments import PeopleAlignments
from allport.alignment.ray_engine import import_ray, ray_map
from allport.errors import UsageError
from allport.models.loading import load_model
from allport.models.respondent import Question, Respondent, Response
from allport.models.steering import Aligning
from allport.models.transformers_model import TransformersModel

__all__ = ["ClusterRespondent", "check_loadable"]

_PEOPLE_AT_ONCE: Final = 8
"""People of a task: enough to share what prompts share, few enough to keep every machine busy."""


class ClusterRespondent:
    """A respondent that is asked on a cluster, with the answers of one process to rounding."""

    def __init__(self, respondent: Respondent, model: TransformersModel) -> None:
        """Send a respondent to a cluster.

        Args:
            respondent: The model, or whatever answers by it.
            model: What it answers by.

        Raises:
            UsageError: A model was not loaded by name, or Ray is not installed.
        """
        self._respondent = respondent
        self._packed, self._alignments = _packed(respondent)
        devices = {parameter.device for parameter in model.model.parameters()}
        self._gpus = sum(device.type == "cuda" for device in devices)

    @property
    def name(self) -> str:
        """Shown in tables."""
        return self._respondent.name

    def describe(self) -> dict[str, Any]:
        """That of the respondent: where it is asked changes no answer."""
        return self._respondent.describe()

    def answer(self, questions: Sequence[Question]) -> Iterator[Response]:
        """Answer every question, some people a task.

        Raises:
            ModelError: The respondent cannot be asked.
        """
        people = [list(own) for _, own in groupby(questions, lambda q: q.condition.persona)]
        parts = (
            self._part(list(chain(*people[start : start + _PEOPLE_AT_ONCE])))
            for start in range(0, len(people), _PEOPLE_AT_ONCE)
        )
        for responses in ray_map(_answered, self._packed, parts, gpus=self._gpus):
            yield from responses

    def _part(self, questions: list[Question]) -> _Part:
        asked = {question.condition.persona for question in questions}
        return _Part(questions, [each.only(asked) for each in self._alignments])


class _Part(NamedTuple):
    """What a task is sent."""

    questions: list[Question]
    alignments: list[PeopleAlignments]
    """Of the people of these questions alone, in the order in which `_packed` left them out."""


def check_loadable(model: Respondent) -> TransformersModel:
    """The model, which machines of a cluster can load for themselves.

    Raises:
        UsageError: They cannot.
    """
    if not isinstance(model, TransformersModel):
        raise UsageError(
            f"{model.name} is not loaded on a machine, so a cluster cannot take it over; ask it "
            "without the ray engine."
        )
    if model.loading is None:
        raise UsageError(
            f"{model.name} was not loaded by name, so the machines of a cluster cannot load it; "
            "save it to a folder and load that with load_model, or ask it without the ray engine."
        )
    return model


def _packed(respondent: Respondent) -> tuple[bytes, list[PeopleAlignments]]:
    """A respondent as bytes, every model in it as what it was loaded with and aligned by.

    Alignments of many people are left out of the bytes and given beside them: a task is sent those
    of its own people alone, however many there are.
    """
    base = import_ray().cloudpickle.CloudPickler
    left_out: list[PeopleAlignments] = []

    def number(pickler: Any, part: object) -> int | None:
        if not isinstance(part, PeopleAlignments):
            return None
        if part not in left_out:
            left_out.append(part)
        return left_out.index(part)

    table = ChainMap({TransformersModel: _by_name}, base.dispatch_table)
    stream = io.BytesIO()
    # A class of its own: a pickler takes its table from the class when it is made.
    members = {"dispatch_table": table, "persistent_id": number}
    type("Pickler", (base,), members)(stream).dump(respondent)
    return stream.getvalue(), left_out


class _Unpickler(pickle.Unpickler):
    """Puts the alignments of a task's people where those of everybody were."""

    def __init__(self, packed: bytes, alignments: Sequence[PeopleAlignments]) -> None:
        super().__init__(io.BytesIO(packed))
        self._alignments = alignments

    def persistent_load(self, number: int) -> PeopleAlignments:
        return self._alignments[number]


def _by_name(model: TransformersModel) -> tuple[Any, ...]:
    loading = check_loadable(model).loading
    return _named, (json.dumps(loading, sort_keys=True), model.aligned_by, model.name)


def _named(loading: str, alignment: Aligning | None, name: str) -> TransformersModel:
    model = _loaded(loading)
    return model if alignment is None else model.aligned(alignment, name)


@functools.lru_cache(maxsize=1)
def _loaded(loading: str) -> TransformersModel:
    """Once a process, whichever tasks it is given."""
    arguments: Mapping[str, Any] = json.loads(loading)
    return check_loadable(load_model(**arguments))


def _answered(packed: bytes, part: _Part) -> list[Response]:
    respondent: Respondent = _Unpickler(packed, part.alignments).load()
    return list(respondent.answer(part.questions))
