"""Did it work: how near an aligned model comes to the person it was aligned to."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from allport.evaluation.calibration_curve import Calibration, CalibrationBin, calibration
    from allport.evaluation.people_bootstrap import PeopleBootstrap, Resampled
    from allport.evaluation.person_answers import (
        READINGS,
        PersonAnswers,
        ScoreReading,
        answers_from_responses,
    )
    from allport.evaluation.person_baselines import Baseline, baselines
    from allport.evaluation.person_benchmark import (
        Cell,
        PerPersonRespondent,
        PersonBenchmark,
        PersonMethod,
        PersonPrompts,
        few_shot,
        run_person_benchmark,
    )
    from allport.evaluation.person_scores import (
        Figure,
        PersonScores,
        corrected_errors,
        published_errors,
        score_person_answers,
        within_person_r,
    )
    from allport.evaluation.person_targets import BenchmarkPeople, benchmark_people

# numpy, polars and scipy are imported with the first name that needs them, not with the room.
_HOMES = {
    "person_targets": ("BenchmarkPeople", "benchmark_people"),
    "calibration_curve": ("Calibration", "CalibrationBin", "calibration"),
    "people_bootstrap": ("PeopleBootstrap", "Resampled"),
    "person_answers": ("READINGS", "PersonAnswers", "ScoreReading", "answers_from_responses"),
    "person_baselines": ("Baseline", "baselines"),
    "person_benchmark": (
        "Cell",
        "PerPersonRespondent",
        "PersonBenchmark",
        "PersonMethod",
        "PersonPrompts",
        "few_shot",
        "run_person_benchmark",
    ),
    "person_scores": (
        "Figure",
        "PersonScores",
        "corrected_errors",
        "published_errors",
        "score_person_answers",
        "within_person_r",
    ),
}

__all__ = [
    "READINGS",
    "Baseline",
    "BenchmarkPeople",
    "Calibration",
    "CalibrationBin",
    "Cell",
    "Figure",
    "PeopleBootstrap",
    "PerPersonRespondent",
    "PersonAnswers",
    "PersonBenchmark",
    "PersonMethod",
    "PersonPrompts",
    "PersonScores",
    "Resampled",
    "ScoreReading",
    "answers_from_responses",
    "baselines",
    "benchmark_people",
    "calibration",
    "corrected_errors",
    "few_shot",
    "published_errors",
    "run_person_benchmark",
    "score_person_answers",
    "within_person_r",
]


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
