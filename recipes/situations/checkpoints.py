"""Which step of its training changed what a model advises: SFT, DPO, or none?

python recipes/situations/checkpoints.py work/base work/sft work/dpo --out work/chain
python recipes/situations/checkpoints.py embedded openai:NAME --out work/two --json

Every model is asked the same bank in the same ways. The report stands in OUT/report.html, every
figure in OUT/checkpoints.json. The same command goes on where it was stopped.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from asking import (
    Asking,
    Floats,
    Loader,
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

from allport.administration import Run, profile, situation_scores
from allport.cli.output import console
from allport.errors import UsageError
from allport.psychometrics import Estimate, adjust_for_many, sign_flip_test
from allport.reporting import run_content, write_report
from allport.reporting.gathering import model_subject
from allport.reporting.plain_text import printable
from allport.reporting.terminal import plain_table


class Level(NamedTuple):
    """Where one model stands on one trait."""

    model: str
    trait: str
    score: Estimate
    """Probability of the high side, 0 to 100."""
    high: Estimate
    """Per cent of items whose most probable option is of the high side."""


class Sides(NamedTuple):
    """How two models differ in the side that they answer on, on the same items."""

    only_first: int
    """Items that the first alone answers high, or in more templates than the second."""
    only_second: int
    p: float
    """Of a sign-flip permutation test over statements."""


class Change(NamedTuple):
    """What one step of the chain changed on one trait."""

    first: str
    second: str
    trait: str
    difference: Estimate
    """Second score minus the first, in points of 100, paired by item."""
    sides: Sides
    """Items that only one of both answers high."""
    p_adjusted: float
    """That of the sides, adjusted over all steps and traits (Benjamini & Hochberg)."""


class Chain(NamedTuple):
    """A list of models on one bank."""

    inventory: str
    models: tuple[str, ...]
    levels: tuple[Level, ...]
    changes: tuple[Change, ...]


def measured(asked: Asking, load: Loader) -> list[Run]:
    """A run of every model; one is loaded at a time.

    Raises:
        UsageError: There is one model only.
    """
    if len(asked.models) < 2:
        raise UsageError("A chain takes two models or more, in the order of their training.")
    return [asked.run(place, load(name)) for place, name in enumerate(asked.models)]


def compared(asked: Asking, runs: Sequence[Run]) -> Chain:
    """Levels of every model, and what changed from each to the next."""
    bank = asked.inventory
    clusters = statements(bank)
    scores = [situation_scores(run.responses, bank)[""] for run in runs]
    names = [f"{place}: {name}" for place, name in enumerate(asked.models, start=1)]
    levels, steps = [], []
    for trait in bank.traits:
        own = bank.columns(trait.code)
        if not len(own):
            continue
        labels = [clusters[i] for i in own]
        levels += [
            Level(
                name,
                trait.code,
                mean_points(found.mass[own], labels),
                share(found.argmax[own], labels),
            )
            for name, found in zip(names, scores, strict=True)
        ]
        steps += [
            Change(
                names[i],
                names[i + 1],
                trait.code,
                mean_points(scores[i + 1].mass[own] - scores[i].mass[own], labels),
                _sides(scores[i + 1].argmax[own] - scores[i].argmax[own], labels),
                float("nan"),
            )
            for i in range(len(scores) - 1)
        ]
    adjusted = adjust_for_many({f"{s.second} {s.trait}": s.sides.p for s in steps})
    return Chain(
        bank.name,
        tuple(names),
        tuple(levels),
        tuple(s._replace(p_adjusted=adjusted[f"{s.second} {s.trait}"]) for s in steps),
    )


def _sides(differences: Floats, labels: Sequence[str]) -> Sides:
    fewer, more = int((differences < 0).sum()), int((differences > 0).sum())
    return Sides(fewer, more, sign_flip_test(differences, labels))


def reported(asked: Asking, chain: Chain, runs: Sequence[Run]) -> Path:
    """Write one report with the profiles of all models."""
    others = []
    for name, run in zip(chain.models[1:], runs[1:], strict=True):
        found = model_subject(profile(run.responses, run.inventory, resamples=0))
        others.append(dataclasses.replace(found, name=printable(name, 80)))
    content = run_content(runs[0], others=others)
    first = dataclasses.replace(content.subjects[0], name=printable(chain.models[0], 80))
    content = dataclasses.replace(
        content,
        conditions=tuple(dataclasses.replace(c, subject=first.name) for c in content.conditions),
        title=f"{len(runs)} checkpoints on {runs[0].inventory.title}",
        subjects=(first, *content.subjects[1:]),
    )
    return write_report(content, asked.folder).page


def show(chain: Chain) -> None:
    """Print levels and changes."""
    screen = console()
    table = plain_table("Trait", *chain.models, right=chain.models)
    traits = list(dict.fromkeys(level.trait for level in chain.levels))
    for trait in traits:
        table.add_row(trait, *(shown(x.score) for x in chain.levels if x.trait == trait))
    say(f"Probability of the high side in {chain.inventory}, 0 to 100", "bold")
    screen.print(table)
    figures = ("Difference", "Only before", "Only after", "Adjusted p")
    steps = plain_table("Step", "Trait", *figures, right=figures)
    for change in chain.changes:
        sure = change.difference.low > 0 or change.difference.high < 0
        steps.add_row(
            printable(f"{change.first} → {change.second}", 100),
            change.trait,
            shown(change.difference, signed=True) + (" *" if sure else "  "),
            str(change.sides.only_first),
            str(change.sides.only_second),
            f"{change.p_adjusted:.3f}" + (" *" if change.p_adjusted < 0.05 else "  "),
        )
    say("\nWhat each step changed", "bold")
    screen.print(steps)
    say(
        "Only before, only after: items answered on the high side by that model of both alone. "
        "* the interval leaves out zero, or the adjusted p is below .05.",
        "dim",
    )


def main(words: Sequence[str] | None = None) -> None:
    """Measure and compare from the command line."""
    given = parser(__doc__).parse_args(words)
    asked = asking(given)
    runs = measured(asked, loader(given))
    chain = compared(asked, runs)
    figures = write(chain, asked.folder / "checkpoints.json", print_it=given.json)
    page = reported(asked, chain, runs)
    if not given.json:
        show(chain)
        say(f"Report: {page}\nEvery figure: {figures}")


if __name__ == "__main__":
    sys.exit(guarded(main))
