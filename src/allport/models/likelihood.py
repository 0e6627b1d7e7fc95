"""Answers read from how likely each option's own text is, where no list of options is shown.

The score of an option is its log-likelihood after the prompt over its number of tokens, as in the
normalised accuracy of multiple-choice benchmarks. Some texts are likelier than others whatever was
asked. The correction for that takes off the same figure after a neutral prompt, which leaves the
pointwise mutual information of text and question (Holtzman et al., 2021, arXiv 2104.08315), here
per token.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from allport.models.label_tokens import LabelTokens

__all__ = ["TextLikelihoods", "option_shares"]


class TextLikelihoods(NamedTuple):
    """How likely each option's text is after one prompt."""

    log_probabilities: NDArray[np.float64]
    """Of each text in full, shape (options,)."""
    texts: LabelTokens
    """One way of writing each."""

    @property
    def per_token(self) -> NDArray[np.float64]:
        """Mean log-probability of the tokens of each text, shape (options,)."""
        lengths = [len(ways[0]) for ways in self.texts.variants]
        each: NDArray[np.float64] = self.log_probabilities / np.array(lengths)
        return each


def option_shares(
    asked: TextLikelihoods, neutral: TextLikelihoods | None = None
) -> tuple[float, ...] | None:
    """Softmax over the options of their score.

    Args:
        asked: After the prompt.
        neutral: After a prompt that asks nothing in particular; None for no correction.

    Returns:
        Shares of the options, summing to 1; None where no text can be written at all.
    """
    scores = asked.per_token
    if not np.isfinite(scores).any():
        return None
    if neutral is not None:
        # What can never be written stays so, also where nothing else could have been either.
        usual = np.maximum(neutral.per_token, np.finfo(np.float64).min)
        scores = np.where(np.isneginf(scores), scores, scores - usual)
    weights = np.exp(scores - scores.max())
    return tuple((weights / weights.sum()).tolist())
