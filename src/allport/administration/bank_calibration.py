"""What is known of the items of a bank before anybody is tested adaptively with it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from allport.errors import ResponsesError, UsageError
from allport.files import sha256_of, write_atomically
from allport.inventories.inventory import Inventory
from allport.psychometrics.item_response import ItemParameters
from allport.psychometrics.situational import situational_scores

if TYPE_CHECKING:
    import polars as pl

    from allport.administration.design import Design
    from allport.administration.templates import Template

__all__ = ["BankCalibration", "CalibratedTrait", "asking_of", "item_shares", "read_calibration"]

_FORMAT = "allport-calibration-1"
_ASKING = ("templates", "wording", "orders", "forms", "reading", "pmi", "repeats")
"""What a calibration must say of how items were asked; see `asking_of`."""


@dataclass(frozen=True)
class CalibratedTrait:
    """The items of one trait with their parameters."""

    items: tuple[int, ...]
    """Numbers of the items, in the order of the inventory."""
    parameters: ItemParameters


@dataclass(frozen=True)
class BankCalibration:
    """Discriminations and difficulties of every item of an inventory, by trait."""

    inventory: str
    inventory_hash: str
    """`Inventory.content_hash` of what was asked."""
    respondent: str
    """Who answered."""
    description: Mapping[str, Any]
    """What identifies who answered."""
    asking: Mapping[str, Any]
    """How items were asked; see `asking_of`. Adaptive tests ask in the same way."""
    personas: int
    """As how many personas."""
    traits: Mapping[str, CalibratedTrait]
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Traits whose items cannot be calibrated, by code, with the reason."""

    @property
    def content_hash(self) -> str:
        """SHA-256 of everything that the calibration says."""
        return sha256_of(self.to_json())

    def to_json(self) -> str:
        """The text of a calibration file."""
        content = {
            "format": _FORMAT,
            "inventory": self.inventory,
            "inventory_hash": self.inventory_hash,
            "respondent": self.respondent,
            "description": dict(self.description),
            "asking": dict(self.asking),
            "personas": self.personas,
            "traits": {
                code: {
                    "items": list(trait.items),
                    "discriminations": trait.parameters.discriminations.tolist(),
                    "difficulties": trait.parameters.difficulties.tolist(),
                    "dispersion": trait.parameters.dispersion,
                    "statement_sds": list(trait.parameters.statement_sds),
                    "item_sds": list(trait.parameters.item_sds),
                    "converged": trait.parameters.converged,
                }
                for code, trait in self.traits.items()
            },
        }
        if self.left_out:
            content["left_out"] = dict(self.left_out)
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def write(self, path: Path | str) -> Path:
        """Write a calibration file whole.

        Raises:
            ResponsesError: No trait could be calibrated.
            OSError: The folder cannot be written, or the disk is full.
        """
        if not self.traits:
            raise ResponsesError(
                f"No trait of {self.inventory} could be calibrated ({_listed(self.left_out)}); "
                f"{path} is not written."
            )
        return write_atomically(path, self.to_json())

    def require(self, inventory: Inventory) -> Self:
        """This calibration, which is of that inventory.

        Raises:
            UsageError: It is of another inventory, or of another version of it.
        """
        if self.inventory != inventory.name:
            raise UsageError(
                f"The calibration is of {self.inventory}, not of {inventory.name}; "
                f"{_advice(inventory)}"
            )
        if self.inventory_hash != inventory.content_hash:
            raise UsageError(
                f"{inventory.name} has changed since it was calibrated; {_advice(inventory)}"
            )
        return self


def read_calibration(path: Path | str, inventory: Inventory) -> BankCalibration:
    """Read what `BankCalibration.write` wrote.

    Raises:
        UsageError: There is no such file, or it is of another inventory.
        ResponsesError: The file cannot be read as a calibration, or does not say how items were
            asked.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.get("format") != _FORMAT:
            raise ValueError(f"its format is {content.get('format')!r}, not {_FORMAT!r}")
        found = BankCalibration(
            inventory=str(content["inventory"]),
            inventory_hash=str(content["inventory_hash"]),
            respondent=str(content["respondent"]),
            description=dict(content["description"]),
            asking=dict(content["asking"]),
            personas=int(content["personas"]),
            traits={code: _trait(code, known) for code, known in content["traits"].items()},
            left_out={str(code): str(why) for code, why in content.get("left_out", {}).items()},
        )
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist; {_advice(inventory, str(path))}") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error).rstrip(".")
        raise ResponsesError(
            f"{path} cannot be read as a calibration of items ({reason})."
        ) from None
    found.require(inventory)
    if unsaid := [name for name in _ASKING if name not in found.asking]:
        raise ResponsesError(
            f"{path} does not say with which {unsaid[0]} items were asked; "
            f"{_advice(inventory, str(path))}"
        )
    for trait in inventory.traits:
        own = tuple(inventory.numbers[i] for i in inventory.columns(trait.code))
        if not own or (trait.code in found.left_out and trait.code not in found.traits):
            continue
        if trait.code not in found.traits or found.traits[trait.code].items != own:
            raise ResponsesError(
                f"{path} has not the items of {trait.code} in {inventory.name}; "
                f"{_advice(inventory, str(path))}"
            )
    return found


def asking_of(
    design: Design, inventory: Inventory, templates: Mapping[str, Template] | None = None
) -> dict[str, Any]:
    """What of a design the answers to an item hang on: all but who is asked for and which items.

    Args:
        design: The conditions.
        inventory: What is asked under them.
        templates: Question templates by name, those of the design among them; the shipped ones by
            default.

    Raises:
        UsageError: The design does not fit the inventory.
    """
    from allport.administration.templates import templates_for

    known = templates_for(inventory) if templates is None else templates
    wording = {name: asdict(known[name]) for name in design.templates}
    return {
        "templates": sorted(design.templates),
        "wording": sha256_of(json.dumps(wording, sort_keys=True)),
        "orders": sorted({condition.order for condition in design.conditions(inventory)}),
        "forms": sorted(design.forms),
        "reading": design.reading,
        "pmi": design.pmi,
        "repeats": design.repeats,
    }


def item_shares(responses: pl.DataFrame, inventory: Inventory) -> dict[tuple[str, int], float]:
    """Share of the high side chosen, 0 to 1, by persona and item number.

    Of situations with a high and a low side it is the probability of the high side, with conditions
    put together as in a profile, so that what labels and places add cancels. Of other items, and of
    answers whose probabilities are not known, it is the mean over the conditions asked of the
    expected answer between the item's lowest and highest. Where nothing usable was said it is NaN.
    """
    import polars as pl

    from allport.administration.situation_profiles import has_sides

    means = responses.group_by("persona", "item", maintain_order=True).agg(
        pl.coalesce("expected_keyed", "keyed").mean().alias("value")
    )
    limits = {
        item.number: (values.min(), values.max())
        for item in inventory.items
        for values in (inventory.option_values(item),)
    }
    found = {}
    for persona, number, value in means.iter_rows():
        low, high = limits[number]
        share = math.nan if value is None else (value - low) / (high - low)
        found[persona, number] = float(np.clip(share, 0, 1))
    return found | (_side_shares(responses, inventory) if has_sides(inventory) else {})


def _side_shares(responses: pl.DataFrame, inventory: Inventory) -> dict[tuple[str, int], float]:
    """Probability of the high side by persona and item number, where probabilities are known."""
    import polars as pl

    told = responses.filter(pl.col("probabilities").is_not_null())
    rows = told.group_by("persona", "item", maintain_order=True).agg("probabilities").iter_rows()
    given = {(persona, number): conditions for persona, number, conditions in rows}
    if not given:
        return {}
    most = max(len(inventory.options(item)) for item in inventory.items)
    table = np.full((len(given), max(map(len, given.values())), most), np.nan)
    sides = np.full((len(given), most), np.nan)
    for row, ((_, number), conditions) in enumerate(given.items()):
        values = inventory.option_values(inventory.item(number))
        sides[row, : values.size] = values
        table[row, : len(conditions), : values.size] = conditions
    mass = situational_scores(table, sides).mass
    return {
        pair: share
        for pair, share in zip(given, mass.tolist(), strict=True)
        if not math.isnan(share)
    }


def _trait(code: str, content: Mapping[str, Any]) -> CalibratedTrait:
    items = tuple(int(number) for number in content["items"])
    a, b = (
        np.array(content[name], dtype=np.float64) for name in ("discriminations", "difficulties")
    )
    dispersion = float(content["dispersion"])
    if len(items) == 1:
        raise ValueError(f"trait {code} has one item, which tells no parameters")
    if not a.shape == b.shape == (len(items),):
        raise ValueError(
            f"trait {code} has {a.size} and {b.size} parameters for {len(items)} items"
        )
    if not (np.isfinite(a) & np.isfinite(b) & (a > 0)).all() or not 0 < dispersion < math.inf:
        raise ValueError(f"trait {code} has parameters that are none")
    (outer_a, outer_b), (inner_a, inner_b) = content["statement_sds"], content["item_sds"]
    return CalibratedTrait(
        items,
        ItemParameters(
            a,
            b,
            dispersion,
            (float(outer_a), float(outer_b)),
            (float(inner_a), float(inner_b)),
            bool(content["converged"]),
        ),
    )


def _listed(left_out: Mapping[str, str]) -> str:
    return "; ".join(f"{code}: {why}" for code, why in left_out.items())


def _advice(inventory: Inventory, path: str = "CALIBRATION.json") -> str:
    return (
        "calibrate its items with `allport evaluate items MODEL --inventory "
        f"{inventory.name} --calibrate {path}`."
    )
