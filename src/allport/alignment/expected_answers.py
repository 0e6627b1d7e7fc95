"""What a model would answer under a displacement, without asking it.

The stand-in is fitted to a few real asks. An item's answer distribution is tilted along its scale
by an amount linear in the displacement:

    p_o(delta)  proportional to  p_o exp(theta v_o),        theta = slope . delta
    expected answer               sum_o v_o p_o(delta)      v_o: literal value of option o

It is exact at zero, follows the model's first-order response, and never leaves the scale. The
slopes of all items are one ridge over probes: displacements at which the model was really asked.
A few dozen probes made of real people's displacements at some strengths are enough, since what
people's displacements span is small. Asking is then a product, so strengths of a whole population
are chosen without running the model once a person.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from allport.alignment.displacements import Displacements, by_head
from allport.alignment.ridge_directions import prepare_ridge
from allport.errors import ModelError, UsageError

__all__ = ["Calibration", "TiltedResponse", "calibrate_response"]

_SMALLEST_SHARE = 1e-6
"""Of an option, so that every answer can be reached by tilting."""
_NEAR = 0.01
"""Answers this near an end of the scale, in steps of it, are not told apart."""
_LARGEST_TILT = 20.0
"""A tilt, over a step, at which every expected answer is that near the end or nearer: where the
other options hold everything, that takes log(1 / _SMALLEST_SHARE) + log(1 / _NEAR) = 18.4."""
_LARGEST_EXPONENT = 80.0
"""Of e, such that single precision holds the power, summed and counted over options."""


@dataclass(frozen=True)
class TiltedResponse:
    """Answer distributions of one model, and how displacements tilt them.

    It is called as `strength.ExpectedLiteral`: it gives expected literal answers.
    """

    probabilities: Tensor
    """Undisplaced answer distribution of each item, (items, options), float32, none zero."""
    values: Tensor
    """Literal values of the options, ascending in equal steps, (options,), float32."""
    slopes: Tensor
    """Tilt of each item per unit of displacement, (items, heads, head_dim), float32."""

    def __call__(self, displacements: Displacements, strengths: Tensor, items: Tensor) -> Tensor:
        """Expected literal answers, (strengths, people, items); see `ExpectedLiteral`."""
        tilt = self.tilt(displacements, items)
        return self.expected(strengths[:, None, None] * tilt, items)

    def tilt(self, displacements: Displacements, items: Tensor) -> Tensor:
        """Tilts that displacements at strength one bring, (people, items)."""
        groups = by_head(displacements.heads)
        vectors = displacements.vectors.flatten(0, 1)[groups.order]
        parts = vectors.new_empty((len(vectors), len(items)))
        slopes = self.slopes[items]
        for head, part in groups.parts:
            torch.mm(vectors[part], slopes[:, head].T, out=parts[part])
        tilt = vectors.new_zeros((len(displacements.heads), len(items)))
        return tilt.index_add_(0, groups.people, parts)

    def expected(self, tilt: Tensor, items: Tensor) -> Tensor:
        """Expected literal answers under tilts (..., items)."""
        step = self.values[1] - self.values[0]
        ratio = (tilt * step).clamp_(-_LARGEST_TILT, _LARGEST_TILT)
        options = self.probabilities[items].T
        if _LARGEST_TILT * (len(options) - 1) > _LARGEST_EXPONENT:
            ratio = ratio.double()
        ratio.exp_()
        # Two polynomials in exp(theta * step): the weights, and the weights times option numbers.
        whole = options[-1].expand_as(ratio).to(ratio.dtype, copy=True)
        first = whole * (len(options) - 1)
        for number in range(len(options) - 2, -1, -1):
            whole.mul_(ratio).add_(options[number])
            first.mul_(ratio).add_(options[number] * number)
        return first.div_(whole).float().mul_(step).add_(self.values[0])


class Calibration(NamedTuple):
    """A fitted stand-in, and how well it foretells probes it was not fitted on."""

    response: TiltedResponse
    r_squared: float
    """Share of the movement of expected answers, over probes and items, that is foretold with each
    probe left out of the fit; 1 is perfect, 0 no better than expecting no movement."""


def calibrate_response(
    probes: ArrayLike,
    measured: ArrayLike,
    probabilities: ArrayLike,
    values: ArrayLike = (1, 2, 3, 4, 5),
    *,
    device: str | torch.device = "cpu",
) -> Calibration:
    """Fit a `TiltedResponse` to answers that were measured under some displacements.

    Args:
        probes: Displacements as applied, strength included, (probes, heads, head_dim).
        measured: Expected literal answers under each, (probes, items).
        probabilities: Answer distribution of each item without displacement, (items, options).
        values: Literal values of the options, in equal steps.
        device: Where the response is kept.

    Raises:
        UsageError: The option values are not in equal steps.
        ModelError: A probe or an answer is not finite, or there are fewer than three probes.
    """
    scale = np.asarray(values, dtype=np.float64)
    if len(scale) < 2 or not np.allclose(np.diff(scale), scale[1] - scale[0]):
        raise UsageError("Option values must ascend in equal steps, such as 1 2 3 4 5.")
    added = np.asarray(probes, dtype=np.float64)
    answers = np.asarray(measured, dtype=np.float64)
    if not (np.isfinite(added).all() and np.isfinite(answers).all()) or len(added) < 3:
        raise ModelError("Calibration needs three or more probes, and finite answers to them.")
    plain = np.asarray(probabilities, dtype=np.float64)
    plain = plain.clip(_SMALLEST_SHARE)
    plain /= plain.sum(axis=1, keepdims=True)
    tilts = _tilts_of(answers, plain, scale)
    flat = added.reshape(len(added), 1, -1)
    ridge = prepare_ridge(flat, tilts @ tilts.T, intercept=False)
    targets = torch.as_tensor(tilts.T, dtype=torch.float32)
    missed_by = targets @ ridge.held_out[:, 0]
    # A ridge is its residuals over the penalty, times the rows it was fitted on.
    coefficients = missed_by.double() * ridge.freedom[0] / ridge.penalties[0]
    slopes = (coefficients @ torch.as_tensor(flat[:, 0])).float().view(-1, *added.shape[1:])
    response = TiltedResponse(
        probabilities=torch.as_tensor(plain, dtype=torch.float32, device=device),
        values=torch.as_tensor(scale, dtype=torch.float32, device=device),
        slopes=slopes.to(device),
    )
    left_out = (targets - missed_by).T
    foretold = response.expected(left_out.to(device), torch.arange(len(plain), device=device))
    missed = np.square(foretold.cpu().numpy() - answers).sum()
    moved = np.square(answers - plain @ scale).sum()
    return Calibration(response, float(1 - missed / moved) if moved else float("nan"))


def _tilts_of(
    expected: NDArray[np.float64], probabilities: NDArray[np.float64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Tilts at which items have these expected answers, by bisection, (probes, items).

    What is nearer an end than `_NEAR`, and than the item is by itself, is taken to be as near: the
    tilt grows without bound toward an end, and the answer hardly moves.
    """
    step, alone = values[1] - values[0], probabilities @ values
    near = step * _NEAR
    lowest, highest = np.minimum(alone, values[0] + near), np.maximum(alone, values[-1] - near)
    expected = expected.clip(lowest, highest)
    low = np.full(expected.shape, -_LARGEST_TILT / step)
    high = -low
    for _ in range(50):
        middle = (low + high) / 2
        weights = probabilities * np.exp(middle[..., None] * (values - values.mean()))
        below = (weights @ values) / weights.sum(axis=-1) < expected
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return high
