"""How a model becomes someone: directions, strengths, steering, and whole populations of people."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from allport.alignment.activations import ContrastActivations, capture_contrasts
    from allport.alignment.adapters import AdapterPart, adapter_from_state
    from allport.alignment.alignment import Alignment, AlignmentPart, compose
    from allport.alignment.alignment_folder import load_alignment, save_alignment
    from allport.alignment.answers_to_fit import FittingAnswers, fitting_answers
    from allport.alignment.asked_answers import AskedAnswers
    from allport.alignment.caa import fit_caa
    from allport.alignment.control_vector_export import control_vector, write_control_vector
    from allport.alignment.controls import random_direction, sign_flipped
    from allport.alignment.displacements import Displacements
    from allport.alignment.exclusions import Exclusion
    from allport.alignment.expected_answers import Calibration, TiltedResponse, calibrate_response
    from allport.alignment.exporting import Export, ExportFormat, export_alignment
    from allport.alignment.fine_tuning import (
        FineTuning,
        adapter_alignment,
        fit_dpo,
        fit_sft,
        trainable_copy,
    )
    from allport.alignment.fine_tuning_data import AnswerExample, answer_examples
    from allport.alignment.head_ranking import default_head_count, rank_heads
    from allport.alignment.iti import fit_iti
    from allport.alignment.methods import METHODS, fit
    from allport.alignment.pas import SteeringPlan, fit_pas, plan_steering
    from allport.alignment.pas_published import fit_pas_published
    from allport.alignment.pas_traits import fit_pas_traits
    from allport.alignment.people_alignments import (
        PeopleAlignments,
        StoredAlignments,
        load_alignments,
    )
    from allport.alignment.people_fitting import align_people
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
    from allport.alignment.projections import ModelSites, model_sites
    from allport.alignment.prompting import fit_prompt
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
    from allport.alignment.steering import Steerer
    from allport.alignment.strength import (
        FACET_STRENGTHS,
        LEVEL_STRENGTHS,
        STRENGTHS,
        choose_strength,
        stratified_folds,
    )
    from allport.alignment.trait_banks import (
        TraitBank,
        fit_trait_bank,
        trait_loadings,
        trait_scores,
    )

# torch is imported with the first name that needs it, not with the room.
_HOMES: dict[str, tuple[str, ...]] = {
    "activations": (
        "ContrastActivations",
        "capture_contrasts",
    ),
    "adapters": (
        "AdapterPart",
        "adapter_from_state",
    ),
    "alignment": (
        "Alignment",
        "AlignmentPart",
        "compose",
    ),
    "alignment_folder": (
        "load_alignment",
        "save_alignment",
    ),
    "answers_to_fit": (
        "FittingAnswers",
        "fitting_answers",
    ),
    "asked_answers": ("AskedAnswers",),
    "caa": ("fit_caa",),
    "control_vector_export": (
        "control_vector",
        "write_control_vector",
    ),
    "controls": (
        "random_direction",
        "sign_flipped",
    ),
    "displacements": ("Displacements",),
    "exclusions": ("Exclusion",),
    "expected_answers": (
        "Calibration",
        "TiltedResponse",
        "calibrate_response",
    ),
    "exporting": (
        "Export",
        "ExportFormat",
        "export_alignment",
    ),
    "fine_tuning": (
        "FineTuning",
        "adapter_alignment",
        "fit_dpo",
        "fit_sft",
        "trainable_copy",
    ),
    "fine_tuning_data": (
        "AnswerExample",
        "answer_examples",
    ),
    "head_ranking": (
        "default_head_count",
        "rank_heads",
    ),
    "iti": ("fit_iti",),
    "methods": (
        "METHODS",
        "fit",
    ),
    "pas": ("SteeringPlan", "fit_pas", "plan_steering"),
    "pas_published": ("fit_pas_published",),
    "pas_traits": ("fit_pas_traits",),
    "people_alignments": (
        "PeopleAlignments",
        "StoredAlignments",
        "load_alignments",
    ),
    "people_fitting": ("align_people",),
    "population": (
        "PeopleFit",
        "PopulationFit",
        "PopulationPlan",
        "fit_people",
        "fit_population",
        "prepare_population",
        "probe_displacements",
    ),
    "population_store": (
        "PopulationStore",
        "open_population",
        "write_population",
    ),
    "projections": (
        "ModelSites",
        "model_sites",
    ),
    "prompting": ("fit_prompt",),
    "published": (
        "PublishedFit",
        "best_on_reported",
        "fit_published",
    ),
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
    "steering": ("Steerer",),
    "strength": (
        "FACET_STRENGTHS",
        "LEVEL_STRENGTHS",
        "STRENGTHS",
        "choose_strength",
        "stratified_folds",
    ),
    "trait_banks": (
        "TraitBank",
        "fit_trait_bank",
        "trait_loadings",
        "trait_scores",
    ),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "FACET_STRENGTHS",
    "LEVEL_STRENGTHS",
    "METHODS",
    "STRENGTHS",
    "AdapterPart",
    "Alignment",
    "AlignmentPart",
    "AnswerExample",
    "AskedAnswers",
    "Calibration",
    "ContrastActivations",
    "Displacements",
    "Exclusion",
    "Export",
    "ExportFormat",
    "FineTuning",
    "FittingAnswers",
    "HeadRidge",
    "ModelSites",
    "PeopleAlignments",
    "PeopleFit",
    "PopulationFit",
    "PopulationPlan",
    "PopulationStore",
    "PublishedFit",
    "Steerer",
    "SteeringPlan",
    "StoredAlignments",
    "TiltedResponse",
    "TraitBank",
    "adapter_alignment",
    "adapter_from_state",
    "align_people",
    "answer_examples",
    "best_on_reported",
    "calibrate_response",
    "capture_contrasts",
    "choose_strength",
    "compose",
    "control_vector",
    "default_head_count",
    "export_alignment",
    "fit",
    "fit_caa",
    "fit_dpo",
    "fit_iti",
    "fit_pas",
    "fit_pas_published",
    "fit_pas_traits",
    "fit_people",
    "fit_population",
    "fit_prompt",
    "fit_published",
    "fit_sft",
    "fit_trait_bank",
    "fitting_answers",
    "graded_targets",
    "heads_of",
    "held_out_errors",
    "load_alignment",
    "load_alignments",
    "model_sites",
    "open_population",
    "person_directions",
    "person_displacements",
    "plan_steering",
    "prepare_population",
    "prepare_ridge",
    "probe_displacements",
    "random_direction",
    "rank_heads",
    "save_alignment",
    "second_moment",
    "sign_flipped",
    "stratified_folds",
    "trainable_copy",
    "trait_loadings",
    "trait_scores",
    "write_control_vector",
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
