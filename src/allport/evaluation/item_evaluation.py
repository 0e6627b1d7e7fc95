"""What an inventory is worth as a measure of a model: the same questions for every kind of item.

Seven columns, after TRAIT's comparison of instruments (arXiv 2406.14703), each with an interval
over statements and beside what chance gives: how different items are, whether a personality that is
asked for shows, how often no answer comes, and how far answers hang on template, order and wording.
Beside them: which traits move when one is asked for, and where the variance of answers comes from.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from allport.administration.design import Design
from allport.administration.measuring import measure
from allport.administration.orders import option_orders
from allport.administration.progress import ProgressCallback
from allport.administration.responses import answers
from allport.administration.templates import standard_templates, wordings
from allport.errors import ResponsesError
from allport.inventories.inventory import Inventory
from allport.personas.trait_levels import BIG_FIVE, DARK_TRIAD, TraitLevels
from allport.psychometrics.estimate import Estimate, undefined
from allport.psychometrics.generalizability import (
    VarianceComponents,
    needed_levels,
    standard_error_of_mean,
    variance_components,
)
from allport.psychometrics.intervals import mean_interval
from allport.psychometrics.sensitivity import flips_by_factor

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
_LEAST_MASS = 0.5
_GENERATED = 200
_TARGET_ERROR = 2.0
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


@dataclass(frozen=True)
class ItemEvaluation:
    """One inventory asked of one respondent, judged as a measure."""

    inventory: str
    respondent: str
    items: int
    statements: int
    columns: Mapping[str, Estimate]
    """By name of `COLUMNS`, 0 to 100. Sensitivities are of options."""
    refused: Estimate
    """Share of generated answers that refuse, 0 to 100; the rest of the refusal column could not be
    parsed."""
    sensitivity: Mapping[str, Sensitivity]
    """By factor: template, order, form."""
    moved: Mapping[str, Mapping[str, Estimate]]
    """Score of each trait with a high persona less that with a low one, 0 to 100, by the trait
    asked for and the trait measured."""
    reached: Mapping[str, Mapping[str, float]]
    """By trait and end asked for, the share of answers on the side asked for, 0 to 100; 50 is
    chance."""
    correlations: Mapping[str, Mapping[str, float]]
    """Between scores of traits, over the personas asked."""
    components: Mapping[str, VarianceComponents]
    """By trait, of item scores 0 to 100."""
    errors: Mapping[str, float]
    """By trait, the standard error of its score from items, templates and orders, in points."""
    needed: Mapping[str, Mapping[str, int] | None]
    """By trait, the least asking for a standard error of 2 points; None where none of those tried
    reaches it."""


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
    """
    templates = standard_templates(inventory)
    forms: tuple[str, ...] = ("original", "paraphrase")
    if not all("paraphrase" in item.forms for item in inventory.items):
        forms = ("original",)
    plain = Design(templates=wordings(inventory), forms=forms, seed=seed)
    run = measure(respondent, inventory, plain, _part(folder, "plain"), progress=progress)
    personas = _personas(inventory)
    asked_for = Design(templates=templates[:1], personas=tuple(p.name for p in personas), seed=seed)
    with_personas = measure(
        *(respondent, inventory, asked_for, _part(folder, "personas")),
        personas=personas,
        progress=progress,
    )
    frame = run.responses
    clusters = _clusters(inventory)
    sensitivity = _sensitivities(frame, inventory, clusters, seed)
    moved, reached, correlations = _moved(with_personas.responses, inventory, clusters, seed)
    unusable, refused = _generated(respondent, inventory, generate, folder, seed, progress)
    components = _components(frame, inventory)
    own = [moved[code][code].value for code in moved]
    columns = {
        "diversity": item_diversity(inventory, seed=seed),
        "score difference": mean_interval(np.array(own), seed=seed, resamples=1000)
        if len(own) > 1
        else next(iter(moved.values()))[next(iter(moved))],
        "refusal, generated": unusable,
        "refusal, labels": _mean_by_cluster(
            np.where(_by_item(frame, inventory, "label_mass") < _LEAST_MASS, 100.0, 0.0),
            clusters,
            seed,
        ),
    }
    for name, factor in (("prompt", "template"), ("order", "order"), ("paraphrase", "form")):
        columns[f"{name} sensitivity"] = (
            sensitivity[factor].option
            if factor in sensitivity
            else undefined(f"{inventory.name} was asked with one {factor} only")
        )
    return ItemEvaluation(
        inventory.name,
        respondent.name,
        len(inventory.items),
        len(set(clusters)),
        columns,
        refused,
        sensitivity,
        moved,
        reached,
        correlations,
        components,
        {code: standard_error_of_mean(c, fixed=_fixed(c)) for code, c in components.items()},
        {code: _needed(c) for code, c in components.items()},
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
    return mean_interval(each, clusters=_clusters(inventory), seed=seed, resamples=1000)


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


def _scores(frame: pl.DataFrame, inventory: Inventory) -> Floats:
    """Item scores 0 to 100 toward the trait, shape (administrations, items)."""
    keyed = answers(frame, inventory, "expected_keyed").values
    low = np.array([inventory.option_values(i).min() for i in inventory.items])
    high = np.array([inventory.option_values(i).max() for i in inventory.items])
    scores: Floats = 100 * (keyed - low) / (high - low)
    return scores


def _by_item(frame: pl.DataFrame, inventory: Inventory, column: str) -> Floats:
    values = answers(frame, inventory, column).values
    found: Floats = np.nanmean(values, axis=0)
    return found


def _mean_by_cluster(values: Floats, clusters: list[str], seed: int) -> Estimate:
    if np.nanmin(values) == np.nanmax(values):
        # A bootstrap of what never varies would claim certainty.
        return Estimate(float(np.nanmean(values)), reason="no item differs from the others")
    return mean_interval(values, clusters=clusters, seed=seed, resamples=1000)


def _sensitivities(
    frame: pl.DataFrame, inventory: Inventory, clusters: list[str], seed: int
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
    settings: dict[str, Any] = {"clusters": clusters, "seed": seed, "resamples": 1000}
    by_option = flips_by_factor(choices.values, options, levels, **settings)
    by_side = flips_by_factor(sides, 3, levels, **settings)
    return {
        name: Sensitivity(
            _percent(found.raw), 100 * found.chance, found.corrected, _percent(by_side[name].raw)
        )
        for name, found in by_option.items()
    }


def _percent(estimate: Estimate) -> Estimate:
    return Estimate(100 * estimate.value, 100 * estimate.low, 100 * estimate.high, estimate.reason)


def _moved(
    frame: pl.DataFrame, inventory: Inventory, clusters: list[str], seed: int
) -> tuple[
    dict[str, dict[str, Estimate]], dict[str, dict[str, float]], dict[str, dict[str, float]]
]:
    import polars as pl

    scores = {
        name: np.nanmean(_scores(frame.filter(pl.col("persona") == name), inventory), axis=0)
        for name in frame["persona"].unique(maintain_order=True)
    }
    traits = [trait.code for trait in inventory.traits]
    asked = list(dict.fromkeys(name[:-2] for name in scores))
    moved: dict[str, dict[str, Estimate]] = {}
    reached: dict[str, dict[str, float]] = {}
    for code in asked:
        difference = scores[f"{code}+1"] - scores[f"{code}-1"]
        moved[code] = {}
        for trait in traits:
            own = inventory.columns(trait)
            labels = [clusters[i] for i in own]
            moved[code][trait] = mean_interval(
                difference[own], clusters=labels, seed=seed, resamples=1000
            )
        own = inventory.columns(code)
        reached[code] = {
            "high": 100 * float(np.mean(scores[f"{code}+1"][own] > 50)),
            "low": 100 * float(np.mean(scores[f"{code}-1"][own] < 50)),
        }
    table = np.array([[s[inventory.columns(t)].mean() for t in traits] for s in scores.values()])
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.corrcoef(table.T) if len(traits) > 1 else np.ones((1, 1))
    correlations = {
        a: {b: float(r[i, j]) for j, b in enumerate(traits)} for i, a in enumerate(traits)
    }
    return moved, reached, correlations


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
    from scipy.stats import binomtest

    found = []
    for bad in (frame["refused"] | frame["unparsable"], frame["refused"]):
        count = int(bad.sum())
        interval = binomtest(count, frame.height).proportion_ci(method="wilson")
        found.append(Estimate(100 * count / frame.height, 100 * interval.low, 100 * interval.high))
    return found[0], found[1]


def _components(frame: pl.DataFrame, inventory: Inventory) -> dict[str, VarianceComponents]:
    """Variance shares of each trait's item scores, over the original wording."""
    import polars as pl

    plain = frame.filter(pl.col("form") == "original")
    administrations = answers(plain, inventory, "expected_keyed").administrations
    scores = _scores(plain, inventory)
    templates = list(dict.fromkeys(c.template for c in administrations))
    orders = list(dict.fromkeys(c.order for c in administrations))
    table = np.full((len(templates), len(orders), len(inventory.items)), np.nan)
    for row, condition in zip(scores, administrations, strict=True):
        table[templates.index(condition.template), orders.index(condition.order)] = row
    found = {}
    for trait in inventory.traits:
        own = inventory.columns(trait.code)
        by_cluster = Counter(inventory.items[i].cluster for i in own)
        block = table[..., own]
        if np.isnan(block).any() or len(own) < 2 or len(templates) < 2 or len(orders) < 2:
            continue
        sizes = set(by_cluster.values())
        if None not in by_cluster and len(sizes) == 1 and len(by_cluster) > 1 and sizes != {1}:
            ordered = sorted(own, key=lambda i: (str(inventory.items[i].cluster), i))
            nested = table[..., ordered].reshape(*block.shape[:2], len(by_cluster), -1)
            found[trait.code] = variance_components(
                np.moveaxis(nested, (2, 3), (0, 1)),
                ("statement", "item", "template", "order"),
                {"item": "statement"},
            )
        else:
            found[trait.code] = variance_components(
                np.moveaxis(block, 2, 0), ("item", "template", "order")
            )
    return found


def _fixed(components: VarianceComponents) -> tuple[str, ...]:
    return ("order",) if "order" in components.levels else ()


def _needed(components: VarianceComponents) -> dict[str, int] | None:
    """Statements or items and templates to ask, all orders being asked."""
    outer = "statement" if "statement" in components.levels else "item"
    choices = {outer: (4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 200), "template": (1, 2, 3, 4, 6)}
    return needed_levels(components, _TARGET_ERROR, choices, fixed=_fixed(components))
