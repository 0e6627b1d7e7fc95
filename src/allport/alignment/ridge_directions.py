"""Directions of people in closed form: one ridge per attention head, shared by everyone.

A person's graded answers t (one per item) are predicted from the contrast differences D of a head
(items, head_dim): how the head's activation differs between agreeing and disagreeing with an item.

    t_i  =  b + D_i w + error          minimise |t - b - D w|^2 + penalty |w|^2

The intercept b is the person's readiness to agree; it is fitted and dropped, so that what is left
is content. The weights w read the person's answers out of a head, and are not what to write into
it: they also cancel what disturbs the reading. What moves with the answers that are read is

    direction  =  D_c' D_c w  =  sum_i (fitted answer)_i D_i       D_c: D centred over items

the pattern of Haufe et al. (2014, NeuroImage 87, 96-110): a difference of means, graded by answers
from which the ridge has taken what the head does not carry. D is the same for everyone, and with it
the residual maker of each head

    P  =  I - 11'/n - D_c (D_c' D_c + penalty)^-1 D_c'

so that everything about N people is a product with their targets T (people, items):

    residuals               T P
    leave-one-item-out      (T P)_ij / P_jj       exact: what refitting without item j would miss by
    directions              T (I - P) D_c

A missing answer is masked exactly: the fit without item q is the fit in which the answer to q takes
the value that makes its residual zero, which is a rank-one update of residuals and of P. So a
person with m missing answers costs m such updates a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from allport.alignment.displacements import Displacements, by_head
from allport.errors import ModelError, ResponsesError

__all__ = [
    "BLOCK",
    "PENALTIES",
    "HeadRidge",
    "graded_targets",
    "heads_of",
    "held_out_errors",
    "person_directions",
    "person_displacements",
    "prepare_ridge",
    "second_moment",
]

PENALTIES = (1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1)
"""Penalties tried, in units of a head's mean squared difference; the largest all but drops it."""

BLOCK = 256
"""People whose errors on all heads are held at once: few enough to stay in the processor's cache,
and enough for full speed."""

_MASKING_ELEMENTS = 1 << 22
"""Numbers held at once while missing answers are masked."""


@dataclass(frozen=True)
class HeadRidge:
    """The ridge of every head over one set of items, as operators on targets."""

    penalties: Tensor
    """Penalty of each head, (heads,), float64, in the squared units of its differences."""
    held_out: Tensor
    """P_ij / P_jj, (items, heads, items), float32: targets times this are leave-one-out errors."""
    freedom: Tensor
    """P_jj, (heads, items), float64: what one item leaves free, 1 minus its leverage."""
    patterns: Tensor
    """(I - P) D_c, (heads, items, head_dim), float32: targets times this are directions."""
    covariance: Tensor
    """Of the differences over items, (heads, head_dim, head_dim), float32."""


def graded_targets(
    literal: ArrayLike,
    low: float = 1.0,
    high: float = 5.0,
    *,
    unaligned: ArrayLike | None = None,
) -> NDArray[np.float32]:
    """How far literal answers are from what the model answers by itself, in half scales.

    On the scale 1 to 5 that is (literal - unaligned) / 2: what an alignment has to bring about.
    Where nothing is known of the model, it is taken to answer with the middle, and targets go from
    -1 (`low`) to 1 (`high`).

    Args:
        literal: Literal answers, (..., items); NaN for missing, which stays NaN.
        low: Smallest answer of the scale.
        high: Largest answer of the scale.
        unaligned: Literal answers expected of the model, (items,).

    Raises:
        ResponsesError: An answer lies outside the scale.
    """
    answers = np.asarray(literal, dtype=np.float32)
    outside = answers[(answers < low) | (answers > high)]
    if outside.size:
        raise ResponsesError(
            f"An answer is {outside[0]:g}, outside {low:g} to {high:g}; answers must be literal, "
            "and missing ones NaN."
        )
    middle = (low + high) / 2 if unaligned is None else unaligned
    return (answers - np.asarray(middle, np.float32)) / np.float32((high - low) / 2)


def heads_of(differences: NDArray[np.floating], heads: int) -> NDArray[np.floating]:
    """Contrast differences (items, layers, heads * head_dim) cut into heads of all layers.

    Args:
        differences: Agreeing minus disagreeing, at the input of each output projection.
        heads: Attention heads of a layer.

    Returns:
        Shape (items, layers * heads, head_dim); head number layer * heads + head.

    Raises:
        ModelError: The width does not divide into that many heads, or a figure is not finite.
    """
    items, layers, width = differences.shape
    if heads < 1 or width % heads:
        raise ModelError(
            f"Activations of width {width} do not divide into {heads} heads; give the number of "
            "query heads of the model."
        )
    if not np.isfinite(differences).all():
        layer = int(np.argwhere(~np.isfinite(differences))[0, 1])
        raise ModelError(
            f"Activations of layer {layer} are not finite; load the model in float32 or bfloat16."
        )
    return differences.reshape(items, layers * heads, width // heads)


def second_moment(targets: NDArray[np.floating]) -> NDArray[np.float64]:
    """Sum over people of t t', (items, items), each person centred, missing answers at their mean.

    It is all that `prepare_ridge` needs to know of the people to choose penalties, and sums over
    parts of a population.
    """
    answered = ~np.isnan(targets)
    filled = np.where(answered, targets, 0).astype(np.float32, copy=False)
    count = np.maximum(answered.sum(axis=1, keepdims=True), 1)
    filled = np.where(answered, filled - filled.sum(axis=1, keepdims=True) / count, 0)
    moment: NDArray[np.float64] = (filled.T @ filled).astype(np.float64)
    return moment


def prepare_ridge(
    differences: NDArray[np.floating],
    moment: NDArray[np.float64] | None = None,
    *,
    penalties: Sequence[float] | NDArray[np.floating] = PENALTIES,
    chosen: NDArray[np.floating] | Tensor | None = None,
    intercept: bool = True,
    device: str | torch.device = "cpu",
) -> HeadRidge:
    """Factor the Gram matrix of every head once, and choose its penalty.

    The penalty of a head is the one with the smallest leave-one-item-out error, summed over the
    people whose `second_moment` is given; a tie goes to the larger penalty.

    Args:
        differences: Contrast differences, (items, heads, head_dim); centred here.
        moment: `second_moment` of the people's targets over the same items.
        penalties: Candidates, largest first, in units of each head's mean squared difference.
        chosen: Penalties of the heads, (heads,), where they are known; `moment` is not needed then.
        intercept: Whether an intercept is fitted and differences are centred.
        device: Where the operators are kept.

    Raises:
        ModelError: A difference is not a finite number.
    """
    if not np.isfinite(differences).all():
        raise ModelError("Contrast differences are not finite; capture the activations in float32.")
    rows = torch.as_tensor(differences, device=device).to(torch.float64).permute(1, 0, 2)
    items = rows.shape[1]
    if intercept:
        rows = rows - rows.mean(dim=1, keepdim=True)
    features, eigenvalues = _orthogonal_features(rows)
    if chosen is not None:
        penalty = torch.as_tensor(chosen, device=device).to(torch.float64)
    else:
        if moment is None:
            raise ValueError("either `moment` or `chosen` must be given")
        penalty = _choose(features, eigenvalues, moment, penalties, intercept)
    shrunk = features / (eigenvalues + penalty[:, None])[:, None, :]
    maker = -(shrunk @ features.transpose(1, 2))
    maker.diagonal(dim1=1, dim2=2).add_(1.0)
    if intercept:
        maker -= 1.0 / items
    freedom = maker.diagonal(dim1=1, dim2=2).clone()
    return HeadRidge(
        penalties=penalty,
        held_out=(maker / freedom[:, None, :]).float().permute(1, 0, 2).contiguous(),
        freedom=freedom,
        patterns=(rows - maker @ rows).float(),
        covariance=(rows.transpose(1, 2) @ rows / items).float(),
    )


def _orthogonal_features(rows: Tensor) -> tuple[Tensor, Tensor]:
    """F (heads, items, rank) with F F' the Gram matrix and F' F diagonal, and that diagonal."""
    if rows.shape[2] < rows.shape[1]:
        eigenvalues, vectors = torch.linalg.eigh(rows.transpose(1, 2) @ rows)
        return rows @ vectors, eigenvalues.clamp(min=0)
    eigenvalues, vectors = torch.linalg.eigh(rows @ rows.transpose(1, 2))
    eigenvalues = eigenvalues.clamp(min=0)
    return vectors * eigenvalues.sqrt()[:, None, :], eigenvalues


def _choose(
    features: Tensor,
    eigenvalues: Tensor,
    moment: NDArray[np.float64],
    penalties: Sequence[float] | NDArray[np.floating],
    intercept: bool,
) -> Tensor:
    """The candidate with the smallest summed leave-one-out error for each head, (heads,).

    With S the second moment of the targets, that sum is over items (P S P)_jj / P_jj^2, so its
    cost does not depend on how many people there are.
    """
    items = features.shape[1]
    moments = torch.as_tensor(moment, device=features.device)
    if intercept:  # a part of the items does not inherit the centring over all of them
        moments = moments - moments.mean(dim=0)
        moments = moments - moments.mean(dim=1, keepdim=True)
    units = torch.as_tensor(penalties, device=features.device).to(torch.float64)
    scale = eigenvalues.sum(dim=1) / items
    scale = scale.where(scale > 0, 1.0)
    shrinkage = 1.0 / (eigenvalues[:, :, None] + scale[:, None, None] * units)
    with_moments = features.transpose(1, 2) @ moments
    inner = with_moments @ features
    freedom = (1.0 - (1.0 / items if intercept else 0.0)) - features.square() @ shrinkage
    squares = moments.diagonal()[:, None] - 2 * (
        (features * with_moments.transpose(1, 2)) @ shrinkage
    )
    for number in range(len(units)):
        shrunk = features * shrinkage[:, None, :, number]
        squares[:, :, number] += ((shrunk @ inner) * shrunk).sum(dim=2)
    best = (squares / freedom**2).sum(dim=1).argmin(dim=1)
    return units[best] * scale


def held_out_errors(ridge: HeadRidge, targets: Tensor) -> Tensor:
    """Mean squared leave-one-item-out error of every person on every head, (people, heads).

    Exact: refitting without each item in turn gives the same. Missing answers (NaN in `targets`,
    (people, items)) are left out of the fit and of the mean.
    """
    items, heads, _ = ridge.held_out.shape
    missing = targets.isnan()
    filled = targets.nan_to_num(nan=0.0)
    result = filled.new_empty((len(filled), heads))
    errors = filled.new_empty((min(BLOCK, len(filled)), heads * items))
    for start in range(0, len(filled), BLOCK):
        block = slice(start, min(start + BLOCK, len(filled)))
        part = torch.mm(
            filled[block], ridge.held_out.view(items, -1), out=errors[: block.stop - start]
        )
        torch.linalg.vector_norm(part.view(-1, heads, items), dim=2, out=result[block])
    result.square_().div_(items)
    for people in _masking_batches(missing, heads):
        result[people] = _masked_errors(ridge, filled[people], missing[people])
    return result


def _masking_batches(missing: Tensor, heads: int) -> list[Tensor]:
    """Rows with missing answers, equally many in each batch, that fit in memory together."""
    counts = missing.sum(dim=1)
    batches: list[Tensor] = []
    for count in torch.unique(counts[counts > 0]).tolist():
        size = max(1, _MASKING_ELEMENTS // (count * heads * missing.shape[1]))
        batches.extend((counts == count).nonzero().squeeze(1).split(size))
    return batches


def _masked(missing: Tensor) -> Tensor:
    """Positions of the missing answers of people who miss equally many, (people, masked)."""
    return missing.nonzero()[:, 1].view(len(missing), -1)


def _masked_errors(ridge: HeadRidge, filled: Tensor, missing: Tensor) -> Tensor:
    """Errors of people who miss equally many answers: one rank-one update an answer, all heads."""
    where = _masked(missing)
    rows = ridge.held_out[where] * ridge.freedom
    residuals = (filled @ ridge.held_out.flatten(1)).view(rows[:, 0].shape) * ridge.freedom
    free = ridge.freedom.expand_as(residuals).clone()
    for number in range(where.shape[1]):
        row = rows[:, number]
        at = where[:, number, None, None].expand(-1, row.shape[1], 1)
        step = row / row.gather(2, at)
        residuals -= step * residuals.gather(2, at)
        free -= step * row
        left = rows[:, number + 1 :]
        left -= left.gather(3, at[:, None].expand(-1, left.shape[1], -1, 1)) * step[:, None]
    # What is masked has neither residual nor freedom left but rounding.
    squares = (residuals / free).square_().masked_fill_(missing[:, None, :], 0.0)
    answered = (~missing).sum(dim=1, keepdim=True)
    return (squares.sum(dim=2) / answered.clamp(min=1)).to(filled.dtype)


def _completed(ridge: HeadRidge, heads: Tensor, targets: Tensor) -> Tensor:
    """Targets (pairs, items), missing ones filled in so that a fit on that head ignores them."""
    missing = targets.isnan()
    filled = targets.nan_to_num(nan=0.0)
    for pairs in _masking_batches(missing, 1):
        where, head = _masked(missing[pairs]), heads[pairs]
        rows = ridge.held_out[where, head[:, None]] * ridge.freedom[head][:, None]
        block = rows.gather(2, where[:, None, :].expand(-1, where.shape[1], -1))
        known = (rows * filled[pairs, None, :]).sum(dim=2)
        values = torch.linalg.solve(block, -known).to(filled.dtype)
        filled[pairs] = filled[pairs].scatter(1, where, values)
    return filled


def person_directions(ridge: HeadRidge, targets: Tensor, heads: Tensor) -> Tensor:
    """Directions of people on heads of theirs, (people, selected, head_dim).

    Each is the covariance of the head's differences times the weights of the person's ridge.

    Args:
        ridge: Operators over the items of `targets`.
        targets: Graded answers, (people, items), NaN for missing ones, which are masked exactly.
        heads: Heads wanted of each person, (people, selected).
    """
    return _directions_and_variances(ridge, targets, heads)[0]


def _directions_and_variances(
    ridge: HeadRidge, targets: Tensor, heads: Tensor
) -> tuple[Tensor, Tensor]:
    """Directions v, (people, selected, head_dim), and v' C v with the covariance C of each head."""
    groups = by_head(heads)
    answers = targets[groups.people]
    incomplete = targets.isnan().any(dim=1)[groups.people].nonzero().squeeze(1)
    if len(incomplete):
        head = heads.flatten()[groups.order[incomplete]]
        answers[incomplete] = _completed(ridge, head, answers[incomplete])
    size = ridge.patterns.shape[2]
    directions = answers.new_empty((len(answers), size))
    variances = answers.new_empty(len(answers))
    for head_number, part in groups.parts:
        direction = torch.mm(answers[part], ridge.patterns[head_number], out=directions[part])
        variances[part] = ((direction @ ridge.covariance[head_number]) * direction).sum(dim=1)
    back = groups.order.argsort()
    return directions[back].view(*heads.shape, size), variances[back].view(heads.shape)


def person_displacements(ridge: HeadRidge, targets: Tensor, heads: Tensor) -> Displacements:
    """What strength one adds to the heads of each person: direction times spread.

    The spread is the standard deviation, over items, of the differences along the direction, so
    one unit of strength is comparable between heads, people and models. A person without a
    direction (every answer the same) is displaced by nothing.

    Args:
        ridge: Operators over the items of `targets`.
        targets: Graded answers, (people, items), NaN for missing.
        heads: Heads of each person, (people, selected); see `head_ranking`.
    """
    vectors, variance = _directions_and_variances(ridge, targets, heads)
    squared_length = vectors.square().sum(dim=2)
    scale = variance.clamp(min=0).sqrt() / squared_length
    # Without spread in the answers, or in the differences, what is left is rounding.
    highest = targets.nan_to_num(nan=-torch.inf).amax(dim=1)
    lowest = targets.nan_to_num(nan=torch.inf).amin(dim=1)
    usable = (highest > lowest)[:, None] & (squared_length > 0)
    return Displacements(heads, vectors * scale.where(usable, 0.0)[:, :, None])
