"""What the embedded model can do: label mass, steadiness, and taking a personality from adjectives.

Intervals are 95 % bootstrap intervals over items (flips, and label mass in the template and order
where it is lowest) or over personas (correlations).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from allport.administration import Design, load_templates, measure
from allport.administration.responses import CONDITION_COLUMNS
from allport.inventories import Inventory, load_inventory
from allport.models import load_model
from allport.models.respondent import Respondent
from allport.personas import BIG_FIVE, TraitLevels
from allport.psychometrics import bootstrap
from benchmarks.results import Row

INVENTORIES = ("ipip-neo-300", "ipip-neo-120", "big-five-markers-50", "mini-ipip-20")
PERSONAS = 60


def random_profiles(count: int, seed: int) -> list[TraitLevels]:
    """Personas with every domain at a level drawn evenly from -1 to 1, in steps of .25."""
    rng = np.random.default_rng(seed)
    steps = rng.integers(-4, 5, size=(count, 5)) / 4
    return [
        TraitLevels(dict(zip(BIG_FIVE, map(float, row), strict=True)), name=f"profile-{n}")
        for n, row in enumerate(steps)
    ]


def rows() -> list[Row]:
    """Label mass and flips by inventory; asked against measured level by domain."""
    model = load_model("embedded")
    templates = tuple(load_templates())
    found: list[Row] = []
    for name in INVENTORIES:
        run = measure(
            model,
            load_inventory(name),
            Design(templates=templates, orders=("forward", "reversed")),
            progress=None,
        )
        mass = lowest_label_mass(run.responses)
        flips = _flips(run.responses)
        found += [
            Row(
                f"embedded.label_mass.{name}",
                f"label mass, {name}, lowest of {2 * len(templates)} template x order cells",
                float(mass.mean()),
                *_bootstrap(mass, _mean),
                "",
                0.95,
                "higher",
            ),
            Row(
                f"embedded.order_flips.{name}",
                f"choices that flip when the order is reversed, {name}, mean of templates",
                float(flips.mean()),
                *_bootstrap(flips, _mean),
                "",
                0.20,
                "lower",
            ),
        ]
    return found + _asked_and_measured(model)


def keyed_answers(
    model: Respondent, inventory: Inventory, personas: Sequence[TraitLevels]
) -> NDArray[np.float64]:
    """Expected keyed answers, shape (personas, items), over both orders of one template."""
    design = Design(
        templates=("letters",),
        orders=("forward", "reversed"),
        personas=tuple(p.name for p in personas),
    )
    frame = measure(model, inventory, design, personas=personas, progress=None).responses
    table = (
        frame.group_by("persona", "item")
        .agg(pl.col("expected_keyed").mean())
        .pivot(on="item", index="persona", values="expected_keyed")
    )
    place = {name: row for row, name in enumerate(table["persona"])}
    values = table.select([str(n) for n in inventory.numbers]).to_numpy()
    return np.asarray(values[[place[p.name] for p in personas]], dtype=np.float64)


def lowest_label_mass(responses: pl.DataFrame) -> NDArray[np.float64]:
    """Label mass of each item in the template and order where its mean is lowest, (items,)."""
    cells = responses.partition_by("template", "order")
    return min((cell["label_mass"].to_numpy() for cell in cells), key=np.mean)


def _flips(responses: pl.DataFrame) -> NDArray[np.float64]:
    """Share of templates in which an item's choice differs between the two orders, (items,)."""
    cells = responses.pivot(on="order", index=["item", "template"], values="choice")
    flipped = cells.with_columns((pl.col("forward") != pl.col("reversed")).alias("flip"))
    shares = flipped.group_by("item", maintain_order=True).agg(pl.col("flip").mean())
    return shares["flip"].to_numpy().astype(np.float64)


def _asked_and_measured(model: Respondent) -> list[Row]:
    profiles = random_profiles(PERSONAS, seed=2026)
    run = measure(
        model,
        load_inventory("ipip-neo-120"),
        Design(
            templates=("letters", "second-person"),
            orders=("forward", "reversed"),
            personas=tuple(p.name for p in profiles),
        ),
        personas=profiles,
        progress=None,
    )
    scores = (
        run.responses.group_by("persona", "trait")
        .agg(pl.col("expected_keyed").mean())
        .pivot(on="trait", index="persona", values="expected_keyed")
    )
    position = {name: row for row, name in enumerate(scores["persona"])}
    order = [position[p.name] for p in profiles]
    found = []
    for code, trait in BIG_FIVE.items():
        asked = np.array([p.levels[code] for p in profiles])
        pairs = np.column_stack([asked, scores[code].to_numpy()[order]])
        found.append(
            Row(
                f"embedded.asked_measured.{code}",
                f"asked against measured level of {trait}, {PERSONAS} random profiles, r",
                _correlation(pairs),
                *_bootstrap(pairs, _correlation),
                "",
                0.70,
                "higher",
            )
        )
    cells = run.responses.select("item", *CONDITION_COLUMNS, "choice")
    per_persona = cells.pivot(
        on="order", index=["item", "template", "persona"], values="choice"
    ).with_columns((pl.col("forward") != pl.col("reversed")).alias("flip"))
    flips = per_persona.group_by("persona").agg(pl.col("flip").mean())["flip"].to_numpy()
    found.append(
        Row(
            "embedded.order_flips.personas",
            f"choices that flip when the order is reversed, ipip-neo-120, {PERSONAS} profiles",
            float(flips.mean()),
            *_bootstrap(flips.astype(np.float64), _mean),
            "",
            0.20,
            "lower",
        )
    )
    return found


def _correlation(pairs: NDArray[np.float64]) -> float:
    return float(np.corrcoef(pairs[:, 0], pairs[:, 1])[0, 1])


def _bootstrap(
    values: NDArray[np.float64], statistic: Callable[[NDArray[np.float64]], float]
) -> tuple[float, float]:
    estimate = bootstrap(statistic, values, resamples=1000)
    return estimate.low, estimate.high


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean())
