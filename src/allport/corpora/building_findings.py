"""What is found of a bank of situations as a whole, and what its users have to know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from allport.corpora.building_checks import Candidate
from allport.corpora.building_judges import Judged
from allport.corpora.building_words import options_only
from allport.corpora.building_writers import OfflineWriter, Writer
from allport.psychometrics.estimate import Estimate, undefined
from allport.psychometrics.intervals import mean_interval

__all__ = ["NEAR_CHANCE", "find_of_whole", "remarks_on"]

NEAR_CHANCE = 0.6
"""Share of pairs that words alone may order rightly, where chance is .5."""
_WORDS = "options alone, words"


def find_of_whole(
    items: Sequence[Candidate],
    judged: Sequence[Judged],
    rows: NDArray[np.intp],
    seed: int,
) -> dict[str, Estimate]:
    """How far options give their key away, and which end is liked more.

    Args:
        items: Of the bank.
        judged: What each judge made of all items that it was asked about.
        rows: Where the items of the bank stand among those.
        seed: Of the bootstrap over statements.
    """
    found: dict[str, Estimate] = {}
    clusters = np.array([f"{item.trait.code} {item.statement}" for item in items])
    traits = {
        trait: [n for n, item in enumerate(items) if item.trait == trait]
        for trait in dict.fromkeys(item.trait for item in items)
    }

    def mean(values: NDArray[np.float64], of: Sequence[int]) -> Estimate:
        if np.isnan(values).all():
            return undefined("the judge gave nothing usable")
        drawn = clusters[list(of)]
        return mean_interval(values, clusters=drawn, resamples=1000, seed=seed, limits=(0, 1))

    for trait, own in traits.items():
        found[f"{_WORDS}, {trait.name}"] = options_only(
            [items[n].high for n in own],
            [items[n].low for n in own],
            [items[n].statement for n in own],
            seed=seed,
        )[0]
    for judge in judged:
        alone, approval = judge.keyed_alone[rows], judge.approval[rows]
        everything = range(len(items))
        found[f"keys found from options alone, {judge.judge}"] = mean(alone, everything)
        # By trait: over all of them, what is liked of one would hide what is disliked of another.
        for trait, own in traits.items():
            name = f"approved options of the high end, {trait.name}, {judge.judge}"
            found[name] = mean(approval[own], own)
    return found


def remarks_on(
    writer: Writer, judged: Sequence[Judged], found: Mapping[str, Estimate]
) -> list[str]:
    """What somebody who uses the bank has to know, a sentence or two each."""
    known = {
        name.removeprefix(f"{_WORDS}, "): estimate.value
        for name, estimate in found.items()
        if name.startswith(_WORDS) and estimate.value == estimate.value
    }
    telling = [trait for trait, value in known.items() if value > NEAR_CHANCE]
    verdict = f"It is not above {NEAR_CHANCE:g} for {', '.join(known)}."
    if telling:
        verdict = (
            f"It is above {NEAR_CHANCE:g} for {', '.join(telling)}: a respondent could choose by "
            "words alone, without reading the situation."
        )
    elif not known:
        verdict = "It is not known here, as no trait has two statements."
    remarks = [
        "Options alone, words: the share of pairs of a high and a low option of an item that a "
        "classifier of words, which learned from other statements, orders rightly; .5 is chance. "
        f"{verdict}"
    ]
    if judged:
        remarks.append(
            "Keys found from options alone: chance is 1/6. A judge that is told the trait may well "
            "find them; what the situation adds is what it finds beyond. Of approved options, half "
            "are of the high end where neither end is more desirable."
        )
    else:
        remarks.append("Nobody judged the items: keys and questions were checked by rule alone.")
    remarks += [
        f"{judge.judge} gave nothing usable to {judge.unusable} questions."
        for judge in judged
        if judge.unusable
    ]
    if isinstance(writer, OfflineWriter):
        remarks.append(
            "The offline writer puts ready sentences together: good for trying the pipeline out, "
            "not for measuring."
        )
    return remarks
