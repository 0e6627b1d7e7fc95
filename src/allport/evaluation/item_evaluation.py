"""What an inventory is worth as a measure of a model: the same questions for every kind of item.

Seven columns, after TRAIT's comparison of instruments (arXiv 2406.14703), each with an interval
over statements and beside what chance gives: how different items are, whether a personality that is
asked for shows, how often no answer comes, and how far answers hang on template, order and wording.
Beside them: which traits move when one is asked for, and where the variance of answers comes from.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from allport.administration.bank_calibration import item_shares
from allport.administration.design import Design
from allport.administration.measuring import measure
from allport.administration.orders import option_orders
from allport.administration.progress import ProgressCallback
from allport.administration.responses import answers, option_places, option_probabilities
from allport.administration.templates import standard_templates, wordings
from allport.errors import ResponsesError, UsageError
from allport.evaluation.score_reliability import ScoreReliability, reliability_by_trait
from allport.inventories.inventory import Inventory
from allport.models.human_answers import HumanAnswers
from allport.personas.trait_levels import BIG_FIVE, DARK_TRIAD, TraitLevels
from allport.psychometrics.estimate import Estimate, undefined
from allport.psychometrics.intervals import fisher_interval, mean_interval
from allport.psychometrics.sensitivity import PositionEffect, flips_by_factor, position_effect
from allport.psychometrics.share_intervals import share_interval
from allport.psychometrics.unit_means import error_of_mean, student_width

if TYPE_CHECKING:
    import polars as pl

    from allport.models.respondent import Respondent

__all__ = ["COLUMNS", "ItemEvaluation", "Sensitivity", "evaluate_items", "item_diversity"]

Floats = NDArray[np.float64]

COLUMNS = (
    "diversity",
    "score difference",
    "refusal, generated",
    "refusal, labels",
    "prompt sensitivity",
    "order sensitivity",
    "paraphrase sensitivity",
)
"""The columns of the comparison. Less is better but in the first two."""
_LOW_MASS = {"1/2": 0.5, "1/4": 0.25}
_GENERATED = 200
_WORD = re.compile(r"[a-z']+")


@dataclass(frozen=True)
class Sensitivity:
    """How often choices differ between two ways of asking, 0 to 100."""

    option: Estimate
    """Share of items on which another option is chosen."""
    chance: float
    """The same for answers that have nothing to do with the item."""
    corrected: Estimate
    """The first over the second, 0 to 1 and above."""
    side: Estimate
    """Share of items on which the choice moves to the other side of the scale or of the trait."""
    side_chance: float
    """The same for answers that have nothing to do with the item."""
    side_corrected: Estimate
    """The share of sides over that of chance."""


@dataclass(frozen=True)
class ItemEvaluation:
    """One inventory asked of one respondent, judged as a measure."""

    inventory: str
    respondent: str
    items: int
    statements: int
    unanswered: int
    """Questions without a usable answer, of those that were not generated. Every figure is of the
    others."""
    asked: int
    columns: Mapping[str, Estimate]
    """By name of `COLUMNS`, 0 to 100. Sensitivities are of options."""
    refused: Estimate
    """Share of answers that refuse, 0 to 100, of those generated in one template and order; the
    rest of the refusal column could not be parsed."""
    low_mass: Mapping[str, Estimate]
    """Share of items whose labels have less than half, or a quarter, of the probability, by that
    share as text, 0 to 100. An answer that is missing gave none to any label, unless the
    respondent tells no probabilities at all."""
    sensitivity: Mapping[str, Sensitivity]
    """By factor: template, order, form."""
    position: PositionEffect
    """What being shown early or late does to an option, with intervals over statements."""
    moved: Mapping[str, Mapping[str, Estimate]]
    """Score of each trait with a high persona less that with a low one, 0 to 100 over the standard
    templates and orders, by the trait asked for and the trait measured."""
    reached: Mapping[str, Mapping[str, Estimate]]
    """By trait and end asked for, the share of answered items on the side asked for, 0 to 100 with
    an interval over statements; 50 is chance. NaN where none was answered."""
    correlations: Mapping[str, Mapping[str, Estimate]]
    """Between scores of traits, over the personas asked, with Fisher's interval. For correlations
    without error, see `compare_inventories`."""
    reliability: Mapping[str, ScoreReliability]
    """By trait: variance components, standard error, and the least asking for one of 2 points."""


def evaluate_items(
    respondent: Respondent,
    inventory: Inventory,
    *,
    generate: bool = True,
    folder: Path | None = None,
    seed: int = 0,
    progress: ProgressCallback | Literal["bar"] | None = None,
) -> ItemEvaluation:
    """Ask an inventory in every way that the columns need, and judge it.

    Args:
        respondent: Who is asked.
        inventory: Likert or situational.
        generate: Whether answers are generated as well, for the refusal column.
        folder: Where runs are kept and resumed, one folder each; nowhere by default.
        seed: Of resampling.
        progress: See `measure`.

    Raises:
        ResponsesError: The inventory measures none of the traits that there are personas for.
        UsageError: People are asked, whose answers are there already.
    """
    if isinstance(respondent, HumanAnswers):
        raise UsageError(
            f"{respondent.name} holds answers of people, who cannot be asked again in other orders "
            "and as other personas; bank_report, fit_two_parameter and `allport score` judge items "
            "by the answers that are there."
        )
    templates = standard_templates(inventory)
    forms: tuple[str, ...] = ("original", "paraphrase")
    if not all("paraphrase" in item.forms for item in inventory.items):
        forms = ("original",)
    plain = Design(templates=wordings(inventory), forms=forms, seed=seed)
    run = measure(respondent, inventory, plain, _part(folder, "plain"), progress=progress)
    personas = _personas(inventory)
    asked_for = Design(templates=templates, personas=tuple(p.name for p in personas), seed=seed)
    with_personas = measure(
        *(respondent, inventory, asked_for, _part(folder, "personas")),
        personas=personas,
        progress=progress,
    )
    frame = run.responses
    clusters = _clusters(inventory)
    settings: dict[str, Any] = {"clusters": clusters, "seed": seed, "resamples": 1000}
    sensitivity = _sensitivities(frame, inventory, settings)
    scores = _persona_scores(with_personas.responses, inventory)
    unusable, refused = _generated(respondent, inventory, generate, folder, seed, progress)
    mass = _label_mass(frame, inventory)
    low_mass = {text: _low_mass(mass, share, settings) for text, share in _LOW_MASS.items()}
    columns = {
        "diversity": item_diversity(inventory, seed=seed),
        "score difference": _score_difference(scores, inventory, settings),
        "refusal, generated": unusable,
        "refusal, labels": low_mass["1/2"],
    }
    for name, factor in (("prompt", "template"), ("order", "order"), ("paraphrase", "form")):
        columns[f"{name} sensitivity"] = (
            sensitivity[factor].option
            if factor in sensitivity
            else undefined(f"{inventory.name} was asked with one {factor} only")
        )
    answered = [run.responses["choice"], with_personas.responses["choice"]]
    return ItemEvaluation(
        inventory.name,
        respondent.name,
        len(inventory.items),
        len(set(clusters)),
        sum(choices.null_count() for choices in answered),
        sum(choices.len() for choices in answered),
        columns,
        refused,
        low_mass,
        sensitivity,
        position_effect(
            option_probabilities(frame, inventory), option_places(frame, inventory), **settings
        ),
        _moved(scores, inventory, settings),
        _reached(scores, inventory, settings),
        _correlations(scores, inventory),
        reliability_by_trait(frame, inventory),
    )


def item_diversity(inventory: Inventory, *, form: str = "original", seed: int = 0) -> Estimate:
    """How different items are: 100 x the mean of 1 - cosine over pairs of items of one trait.

    Items are vectors of their words weighted by rarity (TF-IDF), options included, so that no model
    of language is needed; the figure compares inventories, and says nothing by itself.
    """
    texts = [
        " ".join(
            [i.text or "" if form == "original" else i.forms[form], *(o.text for o in i.options)]
        )
        for i in inventory.items
    ]
    words = [Counter(_WORD.findall(text.lower())) for text in texts]
    known = sorted({w for each in words for w in each})
    place = {w: n for n, w in enumerate(known)}
    counts = np.zeros((len(texts), len(known)))
    for row, said in enumerate(words):
        for word, count in said.items():
            counts[row, place[word]] = count
    vectors = counts * np.log((1 + len(texts)) / (1 + (counts > 0).sum(0)))
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    traits = np.array([i.trait for i in inventory.items])
    each = np.full(len(texts), np.nan)
    for trait in set(traits):
        own = np.flatnonzero(traits == trait)
        if len(own) > 1:
            similar = vectors[own] @ vectors[own].T
            each[own] = 100 * (1 - (similar.sum(1) - np.diag(similar)) / (len(own) - 1))
    if np.isnan(each).all():
        return undefined("every trait has one item only")
    clusters = _clusters(inventory)
    return mean_interval(each, clusters=clusters, seed=seed, resamples=1000, limits=(0, 100))


def _part(folder: Path | None, name: str) -> Path | None:
    return None if folder is None else folder / name


def _clusters(inventory: Inventory) -> list[str]:
    return [item.cluster or f"item {item.number}" for item in inventory.items]


def _personas(inventory: Inventory) -> list[TraitLevels]:
    codes = [t.code for t in inventory.traits if t.code in BIG_FIVE or t.code in DARK_TRIAD]
    if not codes:
        raise ResponsesError(
            f"{inventory.name} measures none of the Big Five or the dark triad under their codes, "
            "so no personality can be asked for."
        )
    return [
        TraitLevels({c: level}, name=f"{c}{level:+.0f}") for c in codes for level in (1.0, -1.0)
    ]


def _label_mass(frame: pl.DataFrame, inventory: Inventory) -> Floats:
    """Mean label mass by item, shape (items,); NaN where the respondent does not tell it."""
    mass = answers(frame, inventory, "label_mass").values
    missing = np.isnan(answers(frame, inventory, "choice").values)
    # Who answers and tells no mass tells none by not answering either.
    if missing.all() or not np.isnan(mass).all():
        mass = np.where(missing, 0.0, mass)
    return _mean(mass)


def _low_mass(mass: Floats, share: float, settings: Mapping[str, Any]) -> Estimate:
    if np.isnan(mass).all():
        return undefined("the respondent does not tell the probabilities of labels")
    low = np.where(np.isnan(mass), np.nan, 100.0 * (mass < share))
    if np.nanmin(low) == np.nanmax(low):
        # A bootstrap of what never varies would claim certainty.
        return Estimate(float(np.nanmean(low)), reason="no item differs from the others")
    return mean_interval(low, **settings, limits=(0, 100))


def _mean(values: Floats) -> Floats:
    """Mean over the first axis of what is there; NaN where nothing is."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=0)
    count = known.sum(axis=0)
    found: Floats = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return found


def _sensitivities(
    frame: pl.DataFrame, inventory: Inventory, settings: Mapping[str, Any]
) -> dict[str, Sensitivity]:
    choices = answers(frame, inventory, "choice")
    levels = {
        "template": [c.template for c in choices.administrations],
        "order": [c.order for c in choices.administrations],
        "form": [c.form for c in choices.administrations],
    }
    options = [len(inventory.options(item)) for item in inventory.items]
    middle = [
        (inventory.option_values(i).min() + inventory.option_values(i).max()) / 2
        for i in inventory.items
    ]
    literal = answers(frame, inventory, "literal").values
    # Low, middle or high: a choice that moves within a side does not count.
    sides = np.where(np.isnan(literal), np.nan, np.sign(literal - np.array(middle)) + 1)
    by_option = flips_by_factor(choices.values, options, levels, **settings)
    by_side = flips_by_factor(sides, 3, levels, **settings)
    return {
        name: Sensitivity(
            _percent(found.raw),
            100 * found.chance,
            found.corrected,
            _percent(by_side[name].raw),
            100 * by_side[name].chance,
            by_side[name].corrected,
        )
        for name, found in by_option.items()
    }


def _percent(estimate: Estimate) -> Estimate:
    return Estimate(100 * estimate.value, 100 * estimate.low, 100 * estimate.high, estimate.reason)


def _persona_scores(frame: pl.DataFrame, inventory: Inventory) -> dict[str, Floats]:
    """Item scores by persona, such as "E+1", 0 to 100 over templates and orders, shape (items,)."""
    shares = item_shares(frame, inventory)
    return {
        name: 100 * np.array([shares.get((name, n), math.nan) for n in inventory.numbers])
        for name in frame["persona"].unique(maintain_order=True)
    }


def _asked_for(scores: Mapping[str, Floats]) -> list[str]:
    return list(dict.fromkeys(name[:-2] for name in scores))


def _score_difference(
    scores: Mapping[str, Floats], inventory: Inventory, settings: Mapping[str, Any]
) -> Estimate:
    """Mean over traits of what a trait's own items move by.

    The traits are the inventory's own, and their statements those that might have been others: the
    errors of the traits' means add up, with Satterthwaite's degrees of freedom.
    """
    clusters = np.asarray(settings["clusters"])
    means, errors, freedoms, alone = [], [], [], []
    for code in _asked_for(scores):
        difference = scores[f"{code}+1"] - scores[f"{code}-1"]
        own = inventory.columns(code)
        own = own[~np.isnan(difference[own])]
        if not own.size:
            continue
        statements, statement = np.unique(clusters[own], return_inverse=True)
        means.append(float(difference[own].mean()))
        if statements.size < 2:
            alone.append(code)
            continue
        # Where all statements move alike there is no error to be told, and none is added.
        errors.append(float(np.nan_to_num(error_of_mean(difference[own], statement))))
        freedoms.append(statements.size - 1)
    if not means:
        return undefined("no item was answered as both a high and a low persona")
    value = float(np.mean(means))
    if alone:
        return Estimate(value, reason=f"{', '.join(alone)} has one statement; two are needed")
    variances = np.square(errors)
    if not variances.any():
        return Estimate(value, reason="no statement moves more than another of its trait")
    freedom = variances.sum() ** 2 / (variances**2 / freedoms).sum()
    width = float(student_width(freedom + 1)) * math.sqrt(variances.sum()) / len(means)
    return Estimate(value, max(-100.0, value - width), min(100.0, value + width))


def _moved(
    scores: Mapping[str, Floats], inventory: Inventory, settings: Mapping[str, Any]
) -> dict[str, dict[str, Estimate]]:
    moved: dict[str, dict[str, Estimate]] = {}
    for code in _asked_for(scores):
        difference = scores[f"{code}+1"] - scores[f"{code}-1"]
        moved[code] = {}
        for trait in inventory.traits:
            own = inventory.columns(trait.code)
            drawn = {**settings, "clusters": [settings["clusters"][i] for i in own]}
            moved[code][trait.code] = mean_interval(difference[own], **drawn, limits=(-100, 100))
    return moved


def _reached(
    scores: Mapping[str, Floats], inventory: Inventory, settings: Mapping[str, Any]
) -> dict[str, dict[str, Estimate]]:
    def share(found: Floats, sign: int, own: NDArray[np.intp]) -> Estimate:
        if np.isnan(found[own]).all():
            return undefined("no item was answered")
        hit = np.where(np.isnan(found[own]), np.nan, sign * (found[own] - 50) > 0)
        clusters = [settings["clusters"][i] for i in own]
        return _percent(share_interval(hit, clusters, settings["seed"]))

    return {
        code: {
            "high": share(scores[f"{code}+1"], 1, inventory.columns(code)),
            "low": share(scores[f"{code}-1"], -1, inventory.columns(code)),
        }
        for code in _asked_for(scores)
    }


def _correlations(
    scores: Mapping[str, Floats], inventory: Inventory
) -> dict[str, dict[str, Estimate]]:
    codes = [trait.code for trait in inventory.traits]
    levels = np.array([[_mean(s[inventory.columns(c)]) for c in codes] for s in scores.values()])

    def related(a: int, b: int) -> Estimate:
        if a == b:
            return Estimate(1.0, reason="a trait with itself")
        both = levels[~np.isnan(levels[:, [a, b]]).any(axis=1)][:, [a, b]]
        if len(both) < 3:
            return undefined(f"{len(both)} personas were answered as on both traits")
        if (np.ptp(both, axis=0) == 0).any():
            return undefined("all personas score alike on one of the traits")
        return fisher_interval(float(np.clip(np.corrcoef(both.T)[0, 1], -1, 1)), len(both))

    return {
        first: {second: related(a, b) for b, second in enumerate(codes)}
        for a, first in enumerate(codes)
    }


def _generated(
    respondent: Respondent,
    inventory: Inventory,
    generate: bool,
    folder: Path | None,
    seed: int,
    progress: ProgressCallback | Literal["bar"] | None,
) -> tuple[Estimate, Estimate]:
    if not generate:
        return undefined("no answers were generated"), undefined("no answers were generated")
    numbers = inventory.numbers
    step = max(1, len(numbers) // _GENERATED)
    design = Design(
        templates=standard_templates(inventory)[:1],
        orders=option_orders(("standard",), inventory)[:1],
        items=numbers[::step],
        reading="generation",
        seed=seed,
    )
    frame = measure(
        respondent, inventory, design, _part(folder, "generated"), progress=progress
    ).responses
    cluster_of = dict(zip(numbers, _clusters(inventory), strict=True))
    clusters = [cluster_of[number] for number in frame["item"].to_list()]
    refused = frame["refused"]
    unusable, refusals = (
        _percent(share_interval(bad.to_numpy(), clusters, seed))
        for bad in (refused | frame["unparsable"], refused)
    )
    return unusable, refusals
