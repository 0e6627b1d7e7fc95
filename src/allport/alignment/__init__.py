"""How a model becomes someone: directions, strengths, steering, and whole populations of people."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from allport.alignment.displacements import Displacements
    from allport.alignment.expected_answers import (
        Calibration,
        TiltedResponse,
        calibrate_response,
    )
    from allport.alignment.head_ranking import default_head_count, rank_heads
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

# torch is imported with the first name that needs it, not with the room.
_HOMES: dict[str, tuple[str, ...]] = {
    "displacements": ("Displacements",),
    "expected_answers": ("Calibration", "TiltedResponse", "calibrate_response"),
    "head_ranking": ("default_head_count", "rank_heads"),
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
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "STRENGTHS",
    "Calibration",
    "Displacements",
    "HeadRidge",
    "TiltedResponse",
    "calibrate_response",
    "choose_strength",
    "default_head_count",
    "graded_targets",
    "heads_of",
    "held_out_errors",
    "person_directions",
    "person_displacements",
    "prepare_ridge",
    "rank_heads",
    "second_moment",
    "stratified_folds",
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
