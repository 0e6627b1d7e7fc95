"""What answers mean: scores, reliability, validity, sensitivity, and intervals on all of them.

Pure functions of arrays. Answers have the shape (respondents or administrations, items) and are NaN
where missing; names say whether they are keyed or literal. A figure that cannot be computed is NaN
and comes with the reason.

A name is imported with its first use, so that importing this room does not import SciPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from allport.psychometrics.adaptive_testing import (
        AdaptiveTest,
        adaptive_steps,
        adaptive_test,
        next_item,
    )
    from allport.psychometrics.agreement import (
        Flips,
        KappaWeights,
        Level,
        cohen_kappa,
        flips,
        krippendorff_alpha,
    )
    from allport.psychometrics.cfa import (
        ConfirmatoryFit,
        ConfirmatorySolution,
        confirmatory_factor_analysis,
    )
    from allport.psychometrics.congruence import (
        Congruence,
        congruence_matrix,
        congruence_of_answers,
        factor_congruence,
        tucker_phi,
    )
    from allport.psychometrics.covariance import Covariance, MissingPairs, item_covariance
    from allport.psychometrics.dimensionality import (
        AveragePartial,
        ParallelAnalysis,
        SamplingAdequacy,
        Sphericity,
        bartlett_sphericity,
        minimum_average_partial,
        parallel_analysis,
        sampling_adequacy,
    )
    from allport.psychometrics.estimate import Estimate, undefined
    from allport.psychometrics.factor_analysis import (
        FactorFit,
        FactorSolution,
        exploratory_factor_analysis,
        minimum_residual_loadings,
        noncentrality_interval,
    )
    from allport.psychometrics.generalizability import (
        VarianceComponents,
        needed_levels,
        standard_error_of_mean,
        variance_components,
    )
    from allport.psychometrics.guttman import (
        GuttmanLambdas,
        SplitHalf,
        SquaredMultipleCorrelations,
        guttman_lambdas,
        lambda6_of_pool,
        lambdas_of_matrix,
        split_half,
        squared_multiple_correlations,
    )
    from allport.psychometrics.intervals import (
        IntervalMethod,
        bca_interval,
        bootstrap,
        fisher_interval,
        mean_interval,
        percentile_interval,
        ratio_interval,
        weighted_bootstrap,
    )
    from allport.psychometrics.intraclass import (
        IntraclassCorrelation,
        IntraclassCorrelations,
        intraclass_correlations,
    )
    from allport.psychometrics.item_response import (
        ItemFit,
        ItemParameters,
        TraitEstimates,
        expected_share,
        fit_two_parameter,
        item_fit,
        item_information,
        trait_estimates,
    )
    from allport.psychometrics.multitrait import (
        ConvergentCheck,
        MultitraitMultimethod,
        multitrait_multimethod,
    )
    from allport.psychometrics.omega import (
        Omega,
        SchmidLeiman,
        mcdonald_omega,
        omega_interval,
        schmid_leiman,
    )
    from allport.psychometrics.paired_tests import adjust_for_many, sign_flip_test
    from allport.psychometrics.polychoric import (
        bivariate_normal_cdf,
        polychoric_correlation,
        polychoric_matrix,
        polychoric_of_counts,
        thresholds,
    )
    from allport.psychometrics.relations import (
        ScaleRelations,
        scale_relations,
    )
    from allport.psychometrics.reliability import (
        Alpha,
        ItemStatistics,
        RetestReliability,
        alpha_standard_error,
        cronbach_alpha,
        feldt_interval,
        item_statistics,
        retest_reliability,
        scale_alphas,
        smallest_detectable_change,
        spearman_brown,
        standard_error_of_measurement,
    )
    from allport.psychometrics.rotation import (
        RotatedLoadings,
        Rotation,
        Stopping,
        rotate_loadings,
        target_rotation,
    )
    from allport.psychometrics.scoring import MissingAnswers, ScaleScores, raw_sums, scale_scores
    from allport.psychometrics.sensitivity import (
        PositionEffect,
        contrasting_pairs,
        flips_by_factor,
        one_hot,
        position_effect,
    )
    from allport.psychometrics.share_intervals import share_interval, wilson_interval
    from allport.psychometrics.situational import (
        LabelPrior,
        SituationalScores,
        estimate_label_prior,
        remove_label_prior,
        situational_scores,
    )
    from allport.psychometrics.styles import (
        KeyingCheck,
        acquiescence,
        check_keying,
        extreme_responding,
        midpoint_responding,
    )
    from allport.psychometrics.unit_means import (
        error_of_mean,
        student_interval,
        student_width,
    )
    from allport.psychometrics.validity import (
        CorrelationInterval,
        correlate,
        correlation_table,
        disattenuated_correlation,
    )

__all__ = [
    "AdaptiveTest",
    "Alpha",
    "AveragePartial",
    "ConfirmatoryFit",
    "ConfirmatorySolution",
    "Congruence",
    "ConvergentCheck",
    "CorrelationInterval",
    "Covariance",
    "Estimate",
    "FactorFit",
    "FactorSolution",
    "Flips",
    "GuttmanLambdas",
    "IntervalMethod",
    "IntraclassCorrelation",
    "IntraclassCorrelations",
    "ItemFit",
    "ItemParameters",
    "ItemStatistics",
    "KappaWeights",
    "KeyingCheck",
    "LabelPrior",
    "Level",
    "MissingAnswers",
    "MissingPairs",
    "MultitraitMultimethod",
    "Omega",
    "ParallelAnalysis",
    "PositionEffect",
    "RetestReliability",
    "RotatedLoadings",
    "Rotation",
    "SamplingAdequacy",
    "ScaleRelations",
    "ScaleScores",
    "SchmidLeiman",
    "SituationalScores",
    "Sphericity",
    "SplitHalf",
    "SquaredMultipleCorrelations",
    "Stopping",
    "TraitEstimates",
    "VarianceComponents",
    "acquiescence",
    "adaptive_steps",
    "adaptive_test",
    "adjust_for_many",
    "alpha_standard_error",
    "bartlett_sphericity",
    "bca_interval",
    "bivariate_normal_cdf",
    "bootstrap",
    "check_keying",
    "cohen_kappa",
    "confirmatory_factor_analysis",
    "congruence_matrix",
    "congruence_of_answers",
    "contrasting_pairs",
    "correlate",
    "correlation_table",
    "cronbach_alpha",
    "disattenuated_correlation",
    "error_of_mean",
    "estimate_label_prior",
    "expected_share",
    "exploratory_factor_analysis",
    "extreme_responding",
    "factor_congruence",
    "feldt_interval",
    "fisher_interval",
    "fit_two_parameter",
    "flips",
    "flips_by_factor",
    "guttman_lambdas",
    "intraclass_correlations",
    "item_covariance",
    "item_fit",
    "item_information",
    "item_statistics",
    "krippendorff_alpha",
    "lambda6_of_pool",
    "lambdas_of_matrix",
    "mcdonald_omega",
    "mean_interval",
    "midpoint_responding",
    "minimum_average_partial",
    "minimum_residual_loadings",
    "multitrait_multimethod",
    "needed_levels",
    "next_item",
    "noncentrality_interval",
    "omega_interval",
    "one_hot",
    "parallel_analysis",
    "percentile_interval",
    "polychoric_correlation",
    "polychoric_matrix",
    "polychoric_of_counts",
    "position_effect",
    "ratio_interval",
    "raw_sums",
    "remove_label_prior",
    "retest_reliability",
    "rotate_loadings",
    "sampling_adequacy",
    "scale_alphas",
    "scale_relations",
    "scale_scores",
    "schmid_leiman",
    "share_interval",
    "sign_flip_test",
    "situational_scores",
    "smallest_detectable_change",
    "spearman_brown",
    "split_half",
    "squared_multiple_correlations",
    "standard_error_of_mean",
    "standard_error_of_measurement",
    "student_interval",
    "student_width",
    "target_rotation",
    "thresholds",
    "trait_estimates",
    "tucker_phi",
    "undefined",
    "variance_components",
    "weighted_bootstrap",
    "wilson_interval",
]

_HOMES: dict[str, tuple[str, ...]] = {
    "adaptive_testing": (
        "AdaptiveTest",
        "adaptive_steps",
        "adaptive_test",
        "next_item",
    ),
    "agreement": (
        "Flips",
        "KappaWeights",
        "Level",
        "cohen_kappa",
        "flips",
        "krippendorff_alpha",
    ),
    "cfa": (
        "ConfirmatoryFit",
        "ConfirmatorySolution",
        "confirmatory_factor_analysis",
    ),
    "congruence": (
        "Congruence",
        "congruence_matrix",
        "congruence_of_answers",
        "factor_congruence",
        "tucker_phi",
    ),
    "covariance": (
        "Covariance",
        "MissingPairs",
        "item_covariance",
    ),
    "dimensionality": (
        "AveragePartial",
        "ParallelAnalysis",
        "SamplingAdequacy",
        "Sphericity",
        "bartlett_sphericity",
        "minimum_average_partial",
        "parallel_analysis",
        "sampling_adequacy",
    ),
    "estimate": (
        "Estimate",
        "undefined",
    ),
    "factor_analysis": (
        "FactorFit",
        "FactorSolution",
        "exploratory_factor_analysis",
        "minimum_residual_loadings",
        "noncentrality_interval",
    ),
    "generalizability": (
        "VarianceComponents",
        "needed_levels",
        "standard_error_of_mean",
        "variance_components",
    ),
    "guttman": (
        "GuttmanLambdas",
        "SplitHalf",
        "SquaredMultipleCorrelations",
        "guttman_lambdas",
        "lambda6_of_pool",
        "lambdas_of_matrix",
        "split_half",
        "squared_multiple_correlations",
    ),
    "intervals": (
        "IntervalMethod",
        "bca_interval",
        "bootstrap",
        "fisher_interval",
        "mean_interval",
        "percentile_interval",
        "ratio_interval",
        "weighted_bootstrap",
    ),
    "intraclass": (
        "IntraclassCorrelation",
        "IntraclassCorrelations",
        "intraclass_correlations",
    ),
    "item_response": (
        "ItemFit",
        "ItemParameters",
        "TraitEstimates",
        "expected_share",
        "fit_two_parameter",
        "item_fit",
        "item_information",
        "trait_estimates",
    ),
    "multitrait": (
        "ConvergentCheck",
        "MultitraitMultimethod",
        "multitrait_multimethod",
    ),
    "omega": (
        "Omega",
        "SchmidLeiman",
        "mcdonald_omega",
        "omega_interval",
        "schmid_leiman",
    ),
    "paired_tests": (
        "adjust_for_many",
        "sign_flip_test",
    ),
    "polychoric": (
        "bivariate_normal_cdf",
        "polychoric_correlation",
        "polychoric_matrix",
        "polychoric_of_counts",
        "thresholds",
    ),
    "relations": (
        "ScaleRelations",
        "scale_relations",
    ),
    "reliability": (
        "Alpha",
        "ItemStatistics",
        "RetestReliability",
        "alpha_standard_error",
        "cronbach_alpha",
        "feldt_interval",
        "item_statistics",
        "retest_reliability",
        "scale_alphas",
        "smallest_detectable_change",
        "spearman_brown",
        "standard_error_of_measurement",
    ),
    "rotation": (
        "RotatedLoadings",
        "Rotation",
        "Stopping",
        "rotate_loadings",
        "target_rotation",
    ),
    "scoring": (
        "MissingAnswers",
        "ScaleScores",
        "raw_sums",
        "scale_scores",
    ),
    "sensitivity": (
        "PositionEffect",
        "contrasting_pairs",
        "flips_by_factor",
        "one_hot",
        "position_effect",
    ),
    "share_intervals": (
        "share_interval",
        "wilson_interval",
    ),
    "situational": (
        "LabelPrior",
        "SituationalScores",
        "estimate_label_prior",
        "remove_label_prior",
        "situational_scores",
    ),
    "styles": (
        "KeyingCheck",
        "acquiescence",
        "check_keying",
        "extreme_responding",
        "midpoint_responding",
    ),
    "unit_means": (
        "error_of_mean",
        "student_interval",
        "student_width",
    ),
    "validity": (
        "CorrelationInterval",
        "correlate",
        "correlation_table",
        "disattenuated_correlation",
    ),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name with its first use."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
