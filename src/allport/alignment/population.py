"""Fitting many people at once: penalties, heads and strengths of a whole population in chunks.

    once a model      contrast differences  ->  Gram matrices of all heads, factored
    once a population a sample's second moment of targets  ->  a penalty for each head
    a chunk of people held-out errors -> heads;  folds: fit, foretell, compare -> strength

People are independent of each other given the penalties, so the cost is linear in their number,
memory is that of one chunk, and chunks can go to other machines (`engine="ray"`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from allport.alignment.exclusions import Exclusion, find_exclusions
from allport.alignment.head_ranking import default_head_count, rank_heads
from allport.alignment.ridge_directions import (
    BLOCK,
    HeadRidge,
    graded_targets,
    held_out_errors,
    person_displacements,
    prepare_ridge,
    second_moment,
)
from allport.alignment.strength import (
    STRENGTHS,
    ExpectedLiteral,
    choose_strength,
    held_out_losses,
)
from allport.errors import ResponsesError, UsageError

__all__ = [
    "PeopleFit",
    "PopulationFit",
    "PopulationPlan",
    "fit_people",
    "fit_population",
    "prepare_population",
    "probe_displacements",
]

Engine = Literal["local", "ray"]

_MEMORY = 256 << 20
_SAMPLE = 16384
"""People by whom penalties are chosen: a penalty is one number a head, and more change nothing."""

_LARGEST_CHUNK = 2048
"""Beyond this a larger chunk saves nothing: its products are large enough for full speed."""


class PeopleFit(NamedTuple):
    """What was found of some people; a row each, zeros for those excluded."""

    heads: NDArray[np.int16]
    """Heads, best first, (people, selected)."""
    strengths: NDArray[np.float32]
    """Chosen strength, (people,)."""
    skill: NDArray[np.float32]
    """Share of the variance of left-out answers that the selected heads foretell, mean over them,
    (people,); 0 or less is no better than the person's own mean."""
    exclusions: NDArray[np.int8]
    """`Exclusion` of each, (people,)."""


@dataclass(frozen=True)
class _Fold:
    fitted: Tensor
    held_out: Tensor
    ridge: HeadRidge


@dataclass(frozen=True)
class PopulationPlan:
    """What is the same for everyone, prepared once."""

    ridge: HeadRidge
    folds: tuple[_Fold, ...]
    """Empty where one strength was given, which everyone gets."""
    response: ExpectedLiteral | None
    heads: int
    strengths: Tensor
    scale: tuple[float, float]
    unaligned: NDArray[np.float64] | None
    least_answers: int
    chunk: int
    """People fitted together."""


@dataclass(frozen=True)
class PopulationFit:
    """A fitted population: coefficients over items, heads and strengths, not vectors."""

    differences: NDArray[np.float32]
    """Contrast differences they were fitted on, (items, heads, head_dim)."""
    penalties: NDArray[np.float64]
    """Ridge penalty of each head, (heads,)."""
    literal: NDArray[np.generic]
    """The people's literal answers, (people, items), NaN for missing."""
    scale: tuple[float, float]
    """Smallest and largest literal answer."""
    unaligned: NDArray[np.float64]
    """Literal answers expected of the model by itself, (items,), which targets are relative to."""
    people: PeopleFit

    def excluded(self) -> dict[str, int]:
        """How many people were excluded, by reason."""
        counts = Counter(self.people.exclusions.tolist())
        return {e.reason: counts[e] for e in Exclusion if e and counts[e]}

    def require(self, row: int) -> None:
        """Make sure that a person was fitted.

        Raises:
            ResponsesError: The person was excluded.
        """
        exclusion = Exclusion(int(self.people.exclusions[row]))
        if exclusion:
            raise ResponsesError(
                f"Person {row + 1} cannot be aligned to: {exclusion.reason}; more answers, spread "
                "over the scale, are needed."
            )


def prepare_population(
    differences: NDArray[np.floating],
    moment: NDArray[np.float64],
    *,
    folds: Sequence[int] | NDArray[np.integer] = (),
    response: ExpectedLiteral | None = None,
    heads: int | None = None,
    strengths: Sequence[float] = STRENGTHS,
    scale: tuple[float, float] = (1.0, 5.0),
    unaligned: NDArray[np.float64] | None = None,
    least_answers: int = 30,
    memory: int = _MEMORY,
    device: str | torch.device = "cpu",
) -> PopulationPlan:
    """Prepare everything that does not depend on a single person.

    Args:
        differences: Contrast differences, (items, heads, head_dim).
        moment: `second_moment` of the people's targets; chooses the penalties.
        folds: Fold of each item (`strength.stratified_folds`), where a strength is to be chosen.
        response: What the model answers under displacements, where a strength is to be chosen.
        heads: Heads steered for each person; `default_head_count` where it is not given.
        strengths: The grid; a single value is everyone's strength and nothing is chosen.
        scale: Smallest and largest literal answer.
        unaligned: Literal answers expected of the model by itself, (items,); see `graded_targets`.
        least_answers: People with fewer usable answers are excluded.
        memory: Bytes that fitting one chunk may take; the model's own matrices come on top.
        device: Where the arrays are worked on.

    Raises:
        UsageError: The head count does not fit, or a strength is to be chosen without folds.
    """
    items, total, size = differences.shape
    count = default_head_count(total) if heads is None else heads
    if not 1 <= count <= total:
        raise UsageError(f"{count} heads were asked for, and the model has 1 to {total} to give.")
    choosing = len(strengths) > 1
    if choosing and (response is None or len(folds) != items):
        raise UsageError(
            "Choosing a strength needs a fold for each item and the model's response; "
            "give them, or one strength for everyone."
        )
    parts = []
    for fold in np.unique(np.asarray(folds)) if choosing else ():
        fitted = np.flatnonzero(np.asarray(folds) != fold)
        held_out = np.flatnonzero(np.asarray(folds) == fold)
        parts.append(
            _Fold(
                torch.as_tensor(fitted, device=device),
                torch.as_tensor(held_out, device=device),
                prepare_ridge(differences[fitted], moment[np.ix_(fitted, fitted)], device=device),
            )
        )
    # Losses on the grid, and vectors of the selected heads, with the copies made on the way.
    bytes_a_person = 4 * (6 * items * len(strengths) + count * (2 * items + 4 * size))
    left = memory - 4 * BLOCK * items * total
    return PopulationPlan(
        ridge=prepare_ridge(differences, moment, device=device),
        folds=tuple(parts),
        response=response,
        heads=count,
        strengths=torch.tensor(strengths, dtype=torch.float32, device=device),
        scale=scale,
        unaligned=unaligned,
        least_answers=least_answers,
        chunk=int(max(1, min(_LARGEST_CHUNK, left // bytes_a_person))),
    )


def probe_displacements(
    differences: NDArray[np.floating],
    literal: NDArray[np.generic],
    *,
    count: int = 64,
    heads: int | None = None,
    strengths: Sequence[float] = STRENGTHS,
    scale: tuple[float, float] = (1.0, 5.0),
    unaligned: NDArray[np.float64] | None = None,
    least_answers: int = 30,
) -> NDArray[np.float32]:
    """Displacements at which to ask a model, so that `calibrate_response` can stand in for it.

    They are those of people spread evenly over `literal`, the strengths taken in turn.

    Args:
        differences: Contrast differences, (items, heads, head_dim).
        literal: Literal answers of those to be fitted, or of simulated people, (people, items).
        count: How many probes. Each costs the model one answer to every item.
        heads: Heads steered for each person, as for `fit_population`.
        strengths: The grid; zero is left out.
        scale: Smallest and largest literal answer.
        unaligned: Literal answers expected of the model by itself, (items,).
        least_answers: People with fewer usable answers are passed over.

    Returns:
        Strength included, (count, heads, head_dim).

    Raises:
        ResponsesError: Nobody of them can be fitted.
        UsageError: The head count does not fit.
    """
    usable = np.flatnonzero(find_exclusions(literal, scale, least_answers) == Exclusion.NONE)
    if not len(usable):
        raise ResponsesError(f"Nobody of {len(literal)} can be a probe; simulate people instead.")
    rows = usable[np.linspace(0, len(usable) - 1, count).round().astype(np.intp)]
    targets = graded_targets(literal[rows], *scale, unaligned=unaligned)
    ridge = prepare_ridge(differences, second_moment(targets))
    total = differences.shape[1]
    asked = torch.from_numpy(targets)
    chosen = rank_heads(
        held_out_errors(ridge, asked), default_head_count(total) if heads is None else heads
    )
    moved = person_displacements(ridge, asked, chosen).dense(total).view(count, total, -1)
    grid = np.array([strength for strength in strengths if strength], dtype=np.float32)
    probes: NDArray[np.float32] = moved.numpy() * np.resize(grid, count)[:, None, None]
    return probes


def fit_people(plan: PopulationPlan, literal: NDArray[np.generic]) -> PeopleFit:
    """Find heads and strength of each of some people.

    Args:
        plan: From `prepare_population`.
        literal: Their literal answers, (people, items), NaN for missing.
    """
    excluded = find_exclusions(literal, plan.scale, plan.least_answers)
    usable = np.flatnonzero(excluded == Exclusion.NONE)
    people = PeopleFit(
        heads=np.zeros((len(literal), plan.heads), dtype=np.int16),
        strengths=np.zeros(len(literal), dtype=np.float32),
        skill=np.zeros(len(literal), dtype=np.float32),
        exclusions=excluded,
    )
    if not len(usable):
        return people
    answers = np.asarray(literal[usable], dtype=np.float32)
    graded = graded_targets(answers, *plan.scale, unaligned=plan.unaligned)
    targets = torch.as_tensor(graded, device=plan.strengths.device)
    errors = held_out_errors(plan.ridge, targets)
    heads = rank_heads(errors, plan.heads)
    skill = 1 - errors.gather(1, heads).mean(dim=1) / _own_mean_error(targets)
    people.heads[usable] = heads.cpu().numpy()
    people.skill[usable] = skill.cpu().numpy()
    people.strengths[usable] = _strengths(plan, answers, targets).cpu().numpy()
    return people


def _own_mean_error(targets: Tensor) -> Tensor:
    """Mean squared error of foretelling each answer by the mean of the person's others."""
    known = targets.nan_to_num(nan=0.0)
    count = (~targets.isnan()).sum(dim=1)
    variance = known.square().sum(dim=1) / count - (known.sum(dim=1) / count).square()
    return variance * (count / (count - 1)).square()


def _strengths(plan: PopulationPlan, answers: NDArray[np.float32], targets: Tensor) -> Tensor:
    if plan.response is None or not plan.folds:
        return plan.strengths[0].expand(len(targets))
    literal = torch.as_tensor(answers, device=targets.device)
    losses = []
    for fold in plan.folds:
        fitted = targets[:, fold.fitted]
        heads = rank_heads(held_out_errors(fold.ridge, fitted), plan.heads)
        losses.append(
            held_out_losses(
                plan.response,
                person_displacements(fold.ridge, fitted, heads),
                plan.strengths,
                fold.held_out,
                literal[:, fold.held_out],
            )
        )
    return plan.strengths[choose_strength(torch.cat(losses, dim=2), plan.strengths)]


def fit_population(
    differences: NDArray[np.floating],
    literal: NDArray[np.generic],
    *,
    folds: Sequence[int] | NDArray[np.integer] = (),
    response: ExpectedLiteral | None = None,
    heads: int | None = None,
    strengths: Sequence[float] = STRENGTHS,
    scale: tuple[float, float] = (1.0, 5.0),
    unaligned: NDArray[np.float64] | None = None,
    least_answers: int = 30,
    memory: int = _MEMORY,
    engine: Engine = "local",
    device: str | torch.device = "cpu",
) -> PopulationFit:
    """Fit everyone: penalties of the heads, then heads and strength of each person.

    Penalties are chosen by up to 16,384 people, spread evenly over all of them.

    The same chunks are fitted by the same function on every engine, so the figures are the same.

    Args:
        differences: Contrast differences, (items, heads, head_dim).
        literal: Literal answers, (people, items), any float or integer type, NaN for missing; an
            array on disk (`numpy.memmap`) is read chunk by chunk.
        folds: Fold of each item; see `prepare_population`, as for the arguments below.
        response: What the model answers under displacements.
        heads: Heads steered for each person.
        strengths: The grid, or one strength for everyone.
        scale: Smallest and largest literal answer.
        unaligned: Literal answers expected of the model by itself, (items,); targets are how far
            a person is from them. The middle of the scale by default.
        least_answers: People with fewer usable answers are excluded and counted.
        memory: Bytes that fitting one chunk may take; the model's own matrices come on top.
        engine: "local" for this process, "ray" for a Ray cluster.
        device: Where the arrays are worked on.

    Raises:
        ResponsesError: The answers are not (people, items), or nobody can be fitted.
        ModelError: A difference is not a finite number.
        UsageError: The head count does not fit, or Ray is asked for and not installed.
    """
    items = differences.shape[0]
    if literal.ndim != 2 or literal.shape[1] != items:
        raise ResponsesError(
            f"The answers have the shape {literal.shape}; {items} items were asked, so it must be "
            f"(people, {items})."
        )
    if unaligned is None:
        unaligned = np.full(items, sum(scale) / 2)
    sample = literal
    if len(literal) > _SAMPLE:
        sample = literal[np.linspace(0, len(literal) - 1, _SAMPLE).round().astype(np.intp)]
    excluded = find_exclusions(sample, scale, least_answers)
    if excluded.all():
        counts = sorted(Counter(excluded.tolist()).items())
        reasons = ", ".join(f"{n} with {Exclusion(e).reason}" for e, n in counts)
        raise ResponsesError(f"Nobody of {len(sample)} can be aligned to: {reasons or 'none'}.")
    usable = graded_targets(sample[excluded == Exclusion.NONE], *scale, unaligned=unaligned)
    plan = prepare_population(
        differences,
        second_moment(usable),
        folds=folds,
        response=response,
        heads=heads,
        strengths=strengths,
        scale=scale,
        unaligned=unaligned,
        least_answers=least_answers,
        memory=memory,
        device=device,
    )
    parts = _parts(literal, plan.chunk)
    if engine == "ray":
        from allport.alignment.ray_engine import ray_map

        fitted: Iterable[PeopleFit] = ray_map(fit_people, plan, parts)
    else:
        fitted = map(partial(fit_people, plan), parts)
    columns = zip(*fitted, strict=True)
    return PopulationFit(
        differences=np.asarray(differences, dtype=np.float32),
        penalties=plan.ridge.penalties.cpu().numpy(),
        literal=literal,
        scale=scale,
        unaligned=unaligned,
        people=PeopleFit(*(np.concatenate(column) for column in columns)),
    )


def _parts(literal: NDArray[np.generic], size: int) -> Iterable[NDArray[np.generic]]:
    return (literal[start : start + size] for start in range(0, len(literal), size))
