"""How far does a model become whom it is asked to be, and what does it fail to reach?

python recipes/situations/persona_prompting.py embedded --out work/asked
python recipes/situations/persona_prompting.py work/chat openai:NAME --out work/both --json

Every model is asked the bank as itself, and as somebody high and low on each trait. Every figure
stands in OUT/persona_prompting.json. The same command goes on where it was stopped.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from asking import (
    Asking,
    asking,
    guarded,
    loader,
    mean_points,
    parser,
    say,
    share,
    shown,
    statements,
    write,
)

from allport.administration import Run, situation_scores
from allport.cli.output import console
from allport.errors import UsageError
from allport.inventories import Inventory
from allport.models import Respondent
from allport.personas import BIG_FIVE, TraitLevels
from allport.personas.trait_levels import DARK_TRIAD
from allport.psychometrics import Estimate
from allport.reporting.palette import number
from allport.reporting.terminal import plain_table

WANTED = 80.0
"""Per cent of a trait's items in the requested direction, below which a request falls short."""


class Request(NamedTuple):
    """One trait asked for in one direction."""

    trait: str
    direction: str
    """"high" or "low"."""
    reached: Estimate
    """Per cent of the trait's items answered in that direction."""
    before: Estimate
    """The same without a persona."""
    falls_short: bool
    """Whether it is below what is wanted."""
    surely: bool
    """Whether the whole interval is."""
    items_missed: tuple[int, ...]
    """Items that went the other way."""
    statements_missed: tuple[str, ...]
    """Statements of which no item went the requested way."""
    moved: Mapping[str, Estimate]
    """By trait, the score less that without a persona, in points of 100, paired by item."""


class Prompting(NamedTuple):
    """What one model makes of all requests."""

    model: str
    inventory: str
    wanted: float
    requests: tuple[Request, ...]


def personas_for(inventory: Inventory, level: float = 1.0) -> list[TraitLevels]:
    """Somebody high and somebody low on each trait.

    Raises:
        UsageError: No trait of the bank can be asked for.
    """
    known = [
        trait.code
        for trait in inventory.traits
        if trait.code in {**BIG_FIVE, **DARK_TRIAD} and len(inventory.columns(trait.code))
    ]
    if not known:
        raise UsageError(
            f"{inventory.name} measures none of the Big Five or the dark triad, so there is no "
            "personality to ask for."
        )
    return [
        TraitLevels({code: sign * level}, name=f"{code} {direction}")
        for code in known
        for direction, sign in (("high", 1), ("low", -1))
    ]


def asked_as(asked: Asking, place: int, model: Respondent, level: float = 1.0) -> Run:
    """A run of the bank without a persona and with each."""
    personas = personas_for(asked.inventory, level)
    design = dataclasses.replace(asked.design, personas=("", *(p.name for p in personas)))
    return dataclasses.replace(asked, design=design).run(place, model, personas)


def prompting(name: str, run: Run, wanted: float = WANTED) -> Prompting:
    """What each request reached, what it missed, and what else it moved."""
    bank = run.inventory
    clusters = statements(bank)
    scores = situation_scores(run.responses, bank)
    plain = scores.pop("")
    requests = []
    for persona, found in scores.items():
        trait, direction = persona.split(" ")
        own = bank.columns(trait)
        labels = [clusters[i] for i in own]
        side = float(direction == "high")
        # Share of templates; NaN where nothing usable was said, which neither reaches nor misses.
        hit, hit_before = (1 - np.abs(x[own] - side) for x in (found.argmax, plain.argmax))
        reached = share(hit, labels)
        some = {label for label, there in zip(labels, hit, strict=True) if there != 0}
        requests.append(
            Request(
                trait,
                direction,
                reached,
                share(hit_before, labels),
                reached.value < wanted,
                reached.high < wanted,
                tuple(bank.numbers[i] for i, there in zip(own, hit, strict=True) if there == 0),
                tuple(dict.fromkeys(label for label in labels if label not in some)),
                {
                    other.code: mean_points(
                        (found.mass - plain.mass)[bank.columns(other.code)],
                        [clusters[i] for i in bank.columns(other.code)],
                    )
                    for other in bank.traits
                    if len(bank.columns(other.code))
                },
            )
        )
    return Prompting(name, bank.name, wanted, tuple(requests))


def show(found: Prompting) -> None:
    """Print shares, what was missed, and the matrix."""
    screen = console()
    heads = ("In the direction", "Without asking", "Statements missed")
    table = plain_table("Asked for", *heads, right=heads)
    for request in found.requests:
        mark = "**" if request.surely else "* " if request.falls_short else "  "
        table.add_row(
            f"{request.trait} {request.direction}",
            f"{shown(request.reached)} {mark}",
            shown(request.before),
            str(len(request.statements_missed)),
        )
    say(f"{found.model} on {found.inventory}: per cent of items as asked for", "bold")
    screen.print(table)
    say(
        f"* below {found.wanted:g} per cent, ** surely so (the whole interval). Which items and "
        "statements were missed is in the JSON file.",
        "dim",
    )
    traits = list(found.requests[0].moved)
    matrix = plain_table("Asked for", *traits, right=tuple(traits))
    for request in found.requests:
        matrix.add_row(
            f"{request.trait} {request.direction}",
            *(
                number(moved.value, 0, signed=True)
                + ("*" if moved.low > 0 or moved.high < 0 else " ")
                for moved in request.moved.values()
            ),
        )
    say("\nPoints of 100 that each trait moved by", "bold")
    screen.print(matrix)
    say("* the interval leaves out zero.\n", "dim")


def main(words: Sequence[str] | None = None) -> None:
    """Ask and report from the command line."""
    options = parser(__doc__)
    options.add_argument("--level", type=float, default=1.0, help="how high and low, up to 1")
    options.add_argument("--wanted", type=float, default=WANTED, help="per cent that is enough")
    given = options.parse_args(words)
    asked, load = asking(given), loader(given)
    found = []
    for place, name in enumerate(asked.models):
        found.append(prompting(name, asked_as(asked, place, load(name), given.level), given.wanted))
        if not given.json:
            show(found[-1])
    path = write(found, asked.folder / "persona_prompting.json", print_it=given.json)
    if not given.json:
        say(f"Every figure: {path}")


if __name__ == "__main__":
    sys.exit(guarded(main))
