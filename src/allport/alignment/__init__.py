"""How a model becomes someone: directions, strengths, steering, and whole populations of people."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from allport.alignment.displacements import Displacements
    from allport.alignment.exclusions import Exclusion
    from allport.alignment.expected_answers import (
        Calibration,
        TiltedResponse,
        calibrate_response,
    )
    from allport.alignment.head_ranking import default_head_count, rank_heads
    from allport.alignment.population import (
        PeopleFit,
        PopulationFit,
        PopulationPlan,
        fit_people,
        fit_population,
        prepare_population,
        probe_displacements,
    )
    from allport.alignment.population_store import (
        PopulationStore,
        open_population,
        write_population,
    )
    from allport.alignment.published import PublishedFit, best_on_reported, fit_published
    from allport.alignment.ridge_directions import (
        HeadRidge,
        graded_targets,
        heads_of,
        held_out_errors,
        person_directions,
        person_displacements,
        prepare_ridge,
        second_moment,
    )
    from allport.alignment.strength import STRENGTHS, choose_strength, stratified_folds
    from allport.alignment.trait_banks import TraitBank, fit_trait_bank, trait_loadings

# torch is imported with the first name that needs it, not with the room.
_HOMES: dict[str, tuple[str, ...]] = {
    "displacements": ("Displacements",),
    "exclusions": ("Exclusion",),
    "expected_answers": ("Calibration", "TiltedResponse", "calibrate_response"),
    "head_ranking": ("default_head_count", "rank_heads"),
    "population": (
        "PeopleFit",
        "PopulationFit",
        "PopulationPlan",
        "fit_people",
        "fit_population",
        "prepare_population",
        "probe_displacements",
    ),
    "population_store": ("PopulationStore", "open_population", "write_population"),
    "published": ("PublishedFit", "best_on_reported", "fit_published"),
    "ridge_directions": (
        "HeadRidge",
        "graded_targets",
        "heads_of",
        "held_out_errors",
        "person_directions",
        "person_displacements",
        "prepare_ridge",
        "second_moment",
    ),
    "strength": ("STRENGTHS", "choose_strength", "stratified_folds"),
    "trait_banks": ("TraitBank", "fit_trait_bank", "trait_loadings"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "STRENGTHS",
    "Calibration",
    "Displacements",
    "Exclusion",
    "HeadRidge",
    "PeopleFit",
    "PopulationFit",
    "PopulationPlan",
    "PopulationStore",
    "PublishedFit",
    "TiltedResponse",
    "TraitBank",
    "best_on_reported",
    "calibrate_response",
    "choose_strength",
    "default_head_count",
    "fit_people",
    "fit_population",
    "fit_published",
    "fit_trait_bank",
    "graded_targets",
    "heads_of",
    "held_out_errors",
    "open_population",
    "person_directions",
    "person_displacements",
    "prepare_population",
    "prepare_ridge",
    "probe_displacements",
    "rank_heads",
    "second_moment",
    "stratified_folds",
    "trait_loadings",
    "write_population",
]


def __getattr__(name: str) -> Any:
    """Import a public name with its first use."""
    if name not in _HOME:
        raise AttributeError(f"module 'allport.alignment' has no attribute {name!r}")
    value = getattr(import_module(f"allport.alignment.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
