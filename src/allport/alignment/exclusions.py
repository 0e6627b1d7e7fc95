"""People who cannot be aligned to: told apart by reason, counted, and never dropped unseen."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

__all__ = ["Exclusion", "find_exclusions"]


class Exclusion(IntEnum):
    """Why a person was not fitted; zero for those who were."""

    NONE = 0
    TOO_FEW_ANSWERS = 1
    CONSTANT_ANSWERS = 2
    OUT_OF_RANGE = 3

    @property
    def reason(self) -> str:
        """In words that follow "excluded: "."""
        return _REASONS[self]


_REASONS = {
    Exclusion.NONE: "not excluded",
    Exclusion.TOO_FEW_ANSWERS: "too few usable answers",
    Exclusion.CONSTANT_ANSWERS: "the same answer to every item",
    Exclusion.OUT_OF_RANGE: "an answer outside the scale",
}


def find_exclusions(
    literal: NDArray[np.generic], scale: tuple[float, float] = (1.0, 5.0), least_answers: int = 30
) -> NDArray[np.int8]:
    """Which people cannot be fitted, and why, as `Exclusion` numbers, (people,).

    Args:
        literal: Literal answers, (people, items), NaN for missing.
        scale: Smallest and largest answer.
        least_answers: Fewer usable answers than these are too few.
    """
    answers = np.asarray(literal, dtype=np.float32)
    count = (~np.isnan(answers)).sum(axis=1)
    high, low = np.fmax.reduce(answers, axis=1), np.fmin.reduce(answers, axis=1)
    return np.select(
        [(low < scale[0]) | (high > scale[1]), count < least_answers, high <= low],
        [Exclusion.OUT_OF_RANGE, Exclusion.TOO_FEW_ANSWERS, Exclusion.CONSTANT_ANSWERS],
        Exclusion.NONE,
    ).astype(np.int8)
