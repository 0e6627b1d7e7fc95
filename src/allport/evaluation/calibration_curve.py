"""Whether probabilities given to options are met by what people answered."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from allport.evaluation.people_bootstrap import PeopleBootstrap
from allport.psychometrics.estimate import Estimate

__all__ = ["BINS", "Calibration", "CalibrationBin", "calibration"]

Floats = NDArray[np.float64]

BINS = 10
"""Bins of equal width that forecasts are sorted into, from 0 to 1."""


class CalibrationBin(NamedTuple):
    """Forecasts of nearly the same probability."""

    low: float
    high: float
    forecasts: int
    mean_probability: float
    """What was forecast on average; NaN in an empty bin."""
    share: Estimate
    """How often it came true, with its bootstrap interval over people."""


class Calibration(NamedTuple):
    """The calibration curve and its error."""

    error: Estimate
    """Expected calibration error: the mean over forecasts of |share that came true - mean
    probability| of their bin. 0 is perfect. It cannot be negative, so a calibrated forecaster gets
    a little more than 0 from few forecasts."""
    bins: tuple[CalibrationBin, ...]


def calibration(probabilities: Floats, hits: Floats, bootstrap: PeopleBootstrap) -> Calibration:
    """Calibration of probabilities over options.

    Every option of every item in the place of every person is a forecast: "this person chooses this
    option". It comes true where the person did. All options are taken, and not only the most
    probable, since on an ordered scale the spread over the others is what a forecast is made of.

    Args:
        probabilities: Shape (people, items, options); NaN where there is no forecast.
        hits: 1 at the option chosen and 0 elsewhere, same shape; NaN where no answer was given.
        bootstrap: Of the people.
    """
    people = probabilities.shape[0]
    known = ~(np.isnan(probabilities) | np.isnan(hits))
    forecast = np.where(known, probabilities, 0.0)
    place = np.minimum((forecast * BINS).astype(np.intp), BINS - 1)
    row = np.arange(people)[:, None, None] * BINS
    index = (row + place)[known]

    def summed(values: Floats) -> Floats:
        counted: Floats = np.bincount(index, values, people * BINS).astype(np.float64)
        return counted.reshape(people, BINS)

    counts = summed(np.ones(index.size))
    columns = np.concatenate([counts, summed(forecast[known]), summed(hits[known])], axis=1)

    def statistics(sums: Floats) -> Floats:
        """The error, then the share of each bin that came true."""
        n, said, came = sums[:, :BINS], sums[:, BINS : 2 * BINS], sums[:, 2 * BINS :]
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.abs(came - said).sum(axis=1, keepdims=True) / n.sum(axis=1, keepdims=True)
            return np.concatenate([error, came / n], axis=1)

    error, *shares = bootstrap.sums(columns, statistics).estimates("no forecast fell here")
    totals = columns.sum(axis=0)
    bins = tuple(
        CalibrationBin(
            low=b / BINS,
            high=(b + 1) / BINS,
            forecasts=int(totals[b]),
            mean_probability=float(totals[BINS + b] / totals[b]) if totals[b] else float("nan"),
            share=shares[b],
        )
        for b in range(BINS)
    )
    return Calibration(error, bins)
