"""Did it work: how near an aligned model comes to the person it was aligned to."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from allport.evaluation.abilities import (
        Exercise,
        ability_scores,
        exercise_kinds,
        exercises,
        is_held_out,
    )
    from allport.evaluation.calibration_curve import Calibration, CalibrationBin, calibration
    from allport.evaluation.instrument_validity import (
        ComparisonsWon,
        InstrumentValidity,
        Measure,
        MeasurePair,
        TraitAgreement,
        compare_inventories,
        shared_traits,
        validity_personas,
    )
    from allport.evaluation.item_calibration import calibrate_items, calibration_personas
    from allport.evaluation.item_evaluation import (
        COLUMNS,
        ItemEvaluation,
        Sensitivity,
        evaluate_items,
        item_diversity,
    )
    from allport.evaluation.judging import (
        FIT_RUBRIC,
        LEVEL_RUBRIC,
        Preference,
        Rating,
        prefer,
        rate_fit,
        rate_level,
    )
    from allport.evaluation.one_person import (
        OnePerson,
        PersonDistance,
        among_others,
        person_distances,
    )
    from allport.evaluation.open_ended import (
        JsonLines,
        OpenAnswer,
        OpenQuestion,
        Writer,
        open_questions,
        write_answers,
        writer_of,
    )
    from allport.evaluation.open_ended_run import evaluate_open_ended
    from allport.evaluation.open_ended_scores import (
        InterviewScores,
        OpenEndedScores,
        score_open_ended,
    )
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
        run_person_benchmark,
    )
    from allport.evaluation.person_cells import (
        CellPlan,
        PersonMethod,
        PersonPrompts,
        few_shot,
        in_words,
        plan_cells,
    )
    from allport.evaluation.person_reporting import (
        Comparison,
        PersonReport,
        PersonReportFiles,
        compared_with,
        person_report,
        write_person_report,
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
    from allport.evaluation.score_reliability import ScoreReliability
    from allport.evaluation.side_effects import (
        NeutralText,
        fluency,
        measure_side_effects,
        neutral_texts,
        word_log_probabilities,
    )
    from allport.evaluation.spill_over import (
        SpillOver,
        measure_spill_over,
        spill_over_between,
    )
    from allport.evaluation.steering_cells import alignment_methods, steering_methods
    from allport.evaluation.weak_items import (
        BankReport,
        ItemReport,
        OptionTrace,
        Weakness,
        WeaknessKind,
        bank_report,
        option_traces,
    )

# numpy, polars and scipy are imported with the first name that needs them, not with the room.
_HOMES: dict[str, tuple[str, ...]] = {
    "abilities": (
        "Exercise",
        "ability_scores",
        "exercise_kinds",
        "exercises",
        "is_held_out",
    ),
    "calibration_curve": (
        "Calibration",
        "CalibrationBin",
        "calibration",
    ),
    "instrument_validity": (
        "ComparisonsWon",
        "InstrumentValidity",
        "Measure",
        "MeasurePair",
        "TraitAgreement",
        "compare_inventories",
        "shared_traits",
        "validity_personas",
    ),
    "item_calibration": (
        "calibrate_items",
        "calibration_personas",
    ),
    "item_evaluation": (
        "COLUMNS",
        "ItemEvaluation",
        "Sensitivity",
        "evaluate_items",
        "item_diversity",
    ),
    "judging": (
        "FIT_RUBRIC",
        "LEVEL_RUBRIC",
        "Preference",
        "Rating",
        "prefer",
        "rate_fit",
        "rate_level",
    ),
    "one_person": (
        "OnePerson",
        "PersonDistance",
        "among_others",
        "person_distances",
    ),
    "open_ended": (
        "JsonLines",
        "OpenAnswer",
        "OpenQuestion",
        "Writer",
        "open_questions",
        "write_answers",
        "writer_of",
    ),
    "open_ended_run": ("evaluate_open_ended",),
    "open_ended_scores": (
        "InterviewScores",
        "OpenEndedScores",
        "score_open_ended",
    ),
    "people_bootstrap": (
        "PeopleBootstrap",
        "Resampled",
    ),
    "person_answers": (
        "READINGS",
        "PersonAnswers",
        "ScoreReading",
        "answers_from_responses",
    ),
    "person_baselines": (
        "Baseline",
        "baselines",
    ),
    "person_benchmark": (
        "Cell",
        "PerPersonRespondent",
        "PersonBenchmark",
        "run_person_benchmark",
    ),
    "person_cells": (
        "CellPlan",
        "PersonMethod",
        "PersonPrompts",
        "few_shot",
        "in_words",
        "plan_cells",
    ),
    "person_reporting": (
        "Comparison",
        "PersonReport",
        "PersonReportFiles",
        "compared_with",
        "person_report",
        "write_person_report",
    ),
    "person_scores": (
        "Figure",
        "PersonScores",
        "corrected_errors",
        "published_errors",
        "score_person_answers",
        "within_person_r",
    ),
    "person_targets": (
        "BenchmarkPeople",
        "benchmark_people",
    ),
    "score_reliability": ("ScoreReliability",),
    "side_effects": (
        "NeutralText",
        "fluency",
        "measure_side_effects",
        "neutral_texts",
        "word_log_probabilities",
    ),
    "spill_over": (
        "SpillOver",
        "measure_spill_over",
        "spill_over_between",
    ),
    "weak_items": (
        "BankReport",
        "ItemReport",
        "OptionTrace",
        "Weakness",
        "WeaknessKind",
        "bank_report",
        "option_traces",
    ),
    "steering_cells": ("alignment_methods", "steering_methods"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "COLUMNS",
    "FIT_RUBRIC",
    "LEVEL_RUBRIC",
    "READINGS",
    "BankReport",
    "Baseline",
    "BenchmarkPeople",
    "Calibration",
    "CalibrationBin",
    "Cell",
    "CellPlan",
    "Comparison",
    "ComparisonsWon",
    "Exercise",
    "Figure",
    "InstrumentValidity",
    "InterviewScores",
    "ItemEvaluation",
    "ItemReport",
    "JsonLines",
    "Measure",
    "MeasurePair",
    "NeutralText",
    "OnePerson",
    "OpenAnswer",
    "OpenEndedScores",
    "OpenQuestion",
    "OptionTrace",
    "PeopleBootstrap",
    "PerPersonRespondent",
    "PersonAnswers",
    "PersonBenchmark",
    "PersonDistance",
    "PersonMethod",
    "PersonPrompts",
    "PersonReport",
    "PersonReportFiles",
    "PersonScores",
    "Preference",
    "Rating",
    "Resampled",
    "ScoreReading",
    "ScoreReliability",
    "Sensitivity",
    "SpillOver",
    "TraitAgreement",
    "Weakness",
    "WeaknessKind",
    "Writer",
    "ability_scores",
    "alignment_methods",
    "among_others",
    "answers_from_responses",
    "bank_report",
    "baselines",
    "benchmark_people",
    "calibrate_items",
    "calibration",
    "calibration_personas",
    "compare_inventories",
    "compared_with",
    "corrected_errors",
    "evaluate_items",
    "evaluate_open_ended",
    "exercise_kinds",
    "exercises",
    "few_shot",
    "fluency",
    "in_words",
    "is_held_out",
    "item_diversity",
    "measure_side_effects",
    "measure_spill_over",
    "neutral_texts",
    "open_questions",
    "option_traces",
    "person_distances",
    "person_report",
    "plan_cells",
    "prefer",
    "published_errors",
    "rate_fit",
    "rate_level",
    "run_person_benchmark",
    "score_open_ended",
    "score_person_answers",
    "shared_traits",
    "spill_over_between",
    "steering_methods",
    "validity_personas",
    "within_person_r",
    "word_log_probabilities",
    "write_answers",
    "write_person_report",
    "writer_of",
]


def __getattr__(name: str) -> Any:
    """Import a public name with its first use."""
    if name not in _HOME:
        raise AttributeError(f"module 'allport.evaluation' has no attribute {name!r}")
    value = getattr(import_module(f"allport.evaluation.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
