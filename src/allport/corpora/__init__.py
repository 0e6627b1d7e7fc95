"""Data sets: people and their answers, real and simulated, and situations that are built."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from allport.corpora.building import BuiltSituations, build_situations
    from allport.corpora.building_seeds import read_statements, seed_items
    from allport.corpora.building_writers import OfflineWriter, RespondentWriter, Writer
    from allport.corpora.papi import PAPI_CORPORA, read_papi
    from allport.corpora.people import PeopleCorpus, UsablePeople
    from allport.corpora.people_files import (
        PeopleTable,
        read_people,
        read_people_frame,
        scan_people,
        write_people,
    )
    from allport.corpora.people_simulation import (
        SimulatedPeople,
        person_from_levels,
        simulate_people,
    )
    from allport.corpora.population import PopulationModel, population_model
    from allport.corpora.splits import (
        ItemSplit,
        short_form_numbers,
        short_form_person,
        short_form_split,
    )
    from allport.corpora.survey import Survey, open_survey

__all__ = [
    "PAPI_CORPORA",
    "BuiltSituations",
    "ItemSplit",
    "OfflineWriter",
    "PeopleCorpus",
    "PeopleTable",
    "PopulationModel",
    "RespondentWriter",
    "SimulatedPeople",
    "Survey",
    "UsablePeople",
    "Writer",
    "build_situations",
    "open_survey",
    "person_from_levels",
    "population_model",
    "read_papi",
    "read_people",
    "read_people_frame",
    "read_statements",
    "scan_people",
    "seed_items",
    "short_form_numbers",
    "short_form_person",
    "short_form_split",
    "simulate_people",
    "write_people",
]

# numpy, polars and pydantic are imported with the first name that needs them.
_HOMES: dict[str, tuple[str, ...]] = {
    "building": (
        "BuiltSituations",
        "build_situations",
    ),
    "building_seeds": (
        "read_statements",
        "seed_items",
    ),
    "building_writers": (
        "OfflineWriter",
        "RespondentWriter",
        "Writer",
    ),
    "papi": (
        "PAPI_CORPORA",
        "read_papi",
    ),
    "people": (
        "PeopleCorpus",
        "UsablePeople",
    ),
    "people_files": (
        "PeopleTable",
        "read_people",
        "read_people_frame",
        "scan_people",
        "write_people",
    ),
    "people_simulation": (
        "SimulatedPeople",
        "person_from_levels",
        "simulate_people",
    ),
    "population": (
        "PopulationModel",
        "population_model",
    ),
    "splits": (
        "ItemSplit",
        "short_form_numbers",
        "short_form_person",
        "short_form_split",
    ),
    "survey": (
        "Survey",
        "open_survey",
    ),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name with its first use."""
    if name not in _HOME:
        raise AttributeError(f"module 'allport.corpora' has no attribute {name!r}")
    value = getattr(import_module(f"allport.corpora.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
