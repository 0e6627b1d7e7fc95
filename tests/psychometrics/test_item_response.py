from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from allport.errors import ResponsesError
from allport.psychometrics import (
    ItemParameters,
    expected_share,
    fit_two_parameter,
    item_fit,
    item_information,
    trait_estimates,
)

STATEMENTS = [f"s{i // 5}" for i in range(40)]


def planted(
    people: int, seed: int, *, fractional: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Responses, levels, discriminations and difficulties."""
    rng = np.random.default_rng(seed)
    b = np.repeat(rng.normal(0, 0.8, 8), 5) + rng.normal(0, 0.6, 40)
    a = np.exp(0.2 + np.repeat(rng.normal(0, 0.25, 8), 5) + rng.normal(0, 0.25, 40))
    levels = rng.normal(size=people)
    p = 1 / (1 + np.exp(-a * (levels[:, None] - b)))
    y = rng.beta(15 * p, 15 * (1 - p)) if fractional else (rng.random(p.shape) < p).astype(float)
    y[rng.random(y.shape) < 0.1] = np.nan
    return y, levels, a, b


def r(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    return float(np.corrcoef(x, y)[0, 1])


def test_planted_parameters_are_recovered_from_yes_and_no() -> None:
    y, levels, a, b = planted(500, seed=0)
    found = fit_two_parameter(y, STATEMENTS)
    assert found.converged
    assert r(found.difficulties, b) >= 0.95
    assert r(found.discriminations, a) >= 0.85
    assert abs(np.mean(found.difficulties - b)) < 0.15
    assert found.dispersion == pytest.approx(1, abs=0.05)
    estimated = trait_estimates(found, y)
    z = (estimated.levels - levels) / estimated.standard_errors
    assert 0.9 < z.std() < 1.1
    assert r(estimated.levels, levels) > 0.9
    fit = item_fit(found, y)
    assert np.all((fit.infit > 0.7) & (fit.infit < 1.2))


def test_fractions_tell_more_than_yes_and_no() -> None:
    y, levels, a, b = planted(120, seed=1, fractional=True)
    found = fit_two_parameter(y, STATEMENTS)
    assert found.dispersion == pytest.approx(1 / 16, rel=0.3)  # beta with 15 observations' weight
    assert r(found.difficulties, b) > 0.97
    assert r(found.discriminations, a) > 0.9
    assert r(trait_estimates(found, y).levels, levels) > 0.98


def test_items_lean_on_their_statement_where_respondents_are_few() -> None:
    errors = {True: 0.0, False: 0.0}
    for seed in range(12):
        y, _, _, b = planted(20, seed=seed)
        for nested in errors:
            found = fit_two_parameter(y, STATEMENTS if nested else None)
            errors[nested] += float(np.mean((found.difficulties - b) ** 2))
    assert errors[True] < errors[False]


@pytest.mark.parametrize("fractional", [True, False])
def test_each_item_its_own_statement_is_the_same_as_none(fractional: bool) -> None:
    y, _, _, _ = planted(40, seed=8, fractional=fractional)
    none = fit_two_parameter(y)
    own = fit_two_parameter(y, list(range(40)))
    np.testing.assert_allclose(own.discriminations, none.discriminations, rtol=1e-6)
    np.testing.assert_allclose(own.difficulties, none.difficulties, rtol=1e-6)
    assert own.dispersion == pytest.approx(none.dispersion)


def test_who_and_what_has_no_answer_changes_nothing() -> None:
    y, _, _, _ = planted(40, seed=9)
    silent = np.vstack([y, np.full((1, 40), np.nan)])
    found = fit_two_parameter(silent)
    np.testing.assert_allclose(found.difficulties, fit_two_parameter(y).difficulties, atol=1e-6)
    unasked = y.copy()
    unasked[:, 3] = np.nan
    fit = item_fit(found, unasked)
    assert [np.isnan(figures[3]) for figures in (fit.infit, fit.outfit)] == [True, True]
    p = expected_share(found, trait_estimates(found, unasked).levels)
    squares = (unasked - p) ** 2 / (p * (1 - p) * found.dispersion)
    assert fit.outfit[5] == pytest.approx(np.nanmean(squares[:, 5]))


def test_an_item_of_noise_and_a_turned_one_stand_out() -> None:
    y, _, _, _ = planted(400, seed=3)
    rng = np.random.default_rng(4)
    y[:, 7] = rng.random(400) < 0.5
    y[:, 8] = 1 - y[:, 8]
    found = fit_two_parameter(y, STATEMENTS)
    fit = item_fit(found, y)
    assert set(np.argsort(fit.rest_correlations)[:2]) == {7, 8}
    assert fit.rest_correlations[8] < -0.2 < fit.rest_correlations[7] < 0.2
    assert found.discriminations[[7, 8]].max() < np.delete(found.discriminations, [7, 8]).min()


def test_information_is_the_squared_slope_over_the_variance() -> None:
    y, _, _, _ = planted(100, seed=5)
    found = fit_two_parameter(y)
    step = 1e-5
    for level in (-1.0, 0.3, 2.0):
        p = expected_share(found, level)
        slope = (expected_share(found, level + step) - expected_share(found, level - step)) / (
            2 * step
        )
        information = slope**2 / (p * (1 - p)) / found.dispersion
        np.testing.assert_allclose(item_information(found, level), information, rtol=1e-6)
    assert expected_share(found, np.zeros((2, 3))).shape == (2, 3, 40)


def test_a_level_is_the_mean_of_its_posterior() -> None:
    y, _, _, _ = planted(60, seed=6)
    found = fit_two_parameter(y)
    fine = np.linspace(-6, 6, 4001)
    p = expected_share(found, fine)
    row = y[0]
    known = ~np.isnan(row)
    log = (row[known] * np.log(p[:, known]) + (1 - row[known]) * np.log(1 - p[:, known])).sum(1)
    posterior = np.exp(log / found.dispersion - fine**2 / 2)
    posterior /= posterior.sum()
    estimated = trait_estimates(found, row)
    mean = float(posterior @ fine)
    assert estimated.levels[0] == pytest.approx(mean, abs=1e-3)
    sd = float(np.sqrt(posterior @ fine**2 - mean**2))
    assert estimated.standard_errors[0] == pytest.approx(sd, abs=1e-3)
    nothing = trait_estimates(found, np.full(40, np.nan))
    assert nothing.levels[0] == pytest.approx(0, abs=1e-9)
    assert nothing.standard_errors[0] == pytest.approx(1, abs=0.01)


def planted_shares(
    people: int, seed: int, dispersion: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], ItemParameters]:
    """Shares that scatter by a dispersion, levels, and the parameters of the items."""
    _, levels, a, b = planted(people, seed)
    p = 1 / (1 + np.exp(-a * (levels[:, None] - b)))
    scatter = 1 / dispersion - 1
    y = np.random.default_rng(seed + 1).beta(scatter * p, scatter * (1 - p))
    return y, levels, ItemParameters(a, b, dispersion, (0.3, 0.7), (0.3, 0.7), True)


@pytest.mark.parametrize("dispersion", [0.01, 0.02, 0.2])
def test_levels_are_as_certain_as_is_said_however_much_items_tell(dispersion: float) -> None:
    y, levels, known = planted_shares(1000, seed=10, dispersion=dispersion)
    found = trait_estimates(known, y)
    held = np.abs(found.levels - levels) < 1.96 * found.standard_errors
    assert 0.93 < held.mean() < 0.97
    assert len(np.unique(found.levels)) == 1000


@pytest.mark.parametrize("dispersion", [0.005, 0.02, 0.2, 1.0])
def test_a_dense_grid_says_the_same(dispersion: float) -> None:
    y, _, known = planted_shares(300, seed=12, dispersion=0.1)
    known = dataclasses.replace(known, dispersion=dispersion)
    rng = np.random.default_rng(13)
    y = np.where(dispersion < 1, y, y > 0.5)
    y[0], y[1], y[2] = 1, 0, np.nan  # the ends, and nothing
    y[3:40][rng.random((37, 40)) < 0.95] = np.nan
    dense = np.linspace(-12, 12, 6001)
    logits = known.discriminations[:, None] * (dense - known.difficulties[:, None])
    asked, filled = ~np.isnan(y), np.nan_to_num(y)
    log_p, log_q = -np.logaddexp(0, -logits), -np.logaddexp(0, logits)
    density = (filled @ log_p + (asked - filled) @ log_q) / dispersion - dense**2 / 2
    weights = np.exp(density - density.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    levels = weights @ dense
    errors = np.sqrt((weights * (dense - levels[:, None]) ** 2).sum(axis=1))
    found = trait_estimates(known, y)
    np.testing.assert_allclose(found.levels, levels, atol=1e-6)
    np.testing.assert_allclose(found.standard_errors, errors, rtol=1e-5)
    assert np.abs(levels).max() > 5 or dispersion > 0.1  # farther out than items are fitted
    assert trait_estimates(known, y[:0]).levels.shape == (0,)


@pytest.mark.parametrize("dispersion", [0.01, 0.02, 0.2])
def test_dispersion_and_the_unit_are_recovered_however_much_items_tell(dispersion: float) -> None:
    y, levels, known = planted_shares(60, seed=14, dispersion=dispersion)
    found = fit_two_parameter(y, STATEMENTS)
    assert found.converged
    assert found.dispersion == pytest.approx(dispersion, rel=0.1)
    estimated = trait_estimates(found, y)
    # Levels and what is uncertain about them make up the respondents' own standard deviations.
    spread = np.hypot(estimated.levels.std(), np.sqrt(np.mean(estimated.standard_errors**2)))
    assert spread == pytest.approx(1, abs=0.005)
    assert estimated.levels.mean() == pytest.approx(0, abs=0.005)
    inherited = np.log(found.discriminations / known.discriminations / levels.std())
    assert abs(inherited.mean()) < 0.05


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda y: y[:5], "too few to fit items"),
        (lambda y: y + 1, "shares from 0 to 1"),
        (lambda y: np.where(np.arange(40) == 3, np.nan, y), "Nobody answered the item in column 4"),
        (lambda y: np.full_like(y, 0.5), "All respondents answer alike"),
    ],
)
def test_what_cannot_be_fitted_is_refused(change: object, said: str) -> None:
    y, _, _, _ = planted(30, seed=7)
    with pytest.raises(ResponsesError, match=said):
        fit_two_parameter(change(y))  # type: ignore[operator]  # a function of an array
    with pytest.raises(ResponsesError, match="2 statements were given for 40 items"):
        fit_two_parameter(y, ["a", "b"])
