"""Words of items, counted: which texts are nearly the same, and what options give away."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from allport.psychometrics.estimate import Estimate, undefined
from allport.psychometrics.intervals import mean_interval

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["near_duplicates", "options_only", "tfidf", "words_of"]

Floats = NDArray[np.float64]
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")
_BLOCK = 512
"""Rows that are compared with all others at once."""


def words_of(text: str) -> list[str]:
    """Words in small letters, without punctuation and figures."""
    return _WORD.findall(text.lower().replace("’", "'"))


def word_counts(texts: Sequence[str]) -> csr_array:
    """How often each text says each word, shape (texts, words), words in alphabetical order."""
    from scipy.sparse import csr_array

    counted = [Counter(words_of(text)) for text in texts]
    place = {word: n for n, word in enumerate(sorted({w for each in counted for w in each}))}
    rows = [row for row, each in enumerate(counted) for _ in each]
    columns = [place[word] for each in counted for word in each]
    values = [float(count) for each in counted for count in each.values()]
    return csr_array((values, (rows, columns)), shape=(len(texts), max(1, len(place))))


def tfidf(texts: Sequence[str]) -> csr_array:
    """Words weighted by their rarity, each text of length 1: shape (texts, words).

    Weights are count x (1 + log((1 + texts) / (1 + texts with the word))), the smoothed form that
    is usual in libraries.
    """
    from scipy.sparse import csr_array

    counts = word_counts(texts)
    said_in = np.bincount(counts.indices, minlength=counts.shape[1])
    rarity = 1 + np.log((1 + len(texts)) / (1 + said_in))
    weighted = csr_array(counts * rarity[None, :])
    lengths = np.sqrt((weighted * weighted).sum(axis=1))
    return csr_array(weighted / np.where(lengths > 0, lengths, 1)[:, None])


def near_duplicates(texts: Sequence[str], cosine: float = 0.9) -> dict[int, int]:
    """Which texts say nearly the same as an earlier one that is kept.

    Args:
        texts: In the order in which they have precedence.
        cosine: From which cosine between their `tfidf` rows on two texts are the same.

    Returns:
        The position of each such text, with that of the earliest kept text that it repeats.
    """
    if len(texts) < 2:
        return {}
    vectors = tfidf(texts)
    repeats: dict[int, int] = {}
    for start in range(0, len(texts), _BLOCK):
        block = (vectors[start : start + _BLOCK] @ vectors.T).toarray()
        for row in range(block.shape[0]):
            here = start + row
            for earlier in np.flatnonzero(block[row, :here] >= cosine - 1e-9):
                if int(earlier) not in repeats:
                    repeats[here] = int(earlier)
                    break
    return repeats


def options_only(
    high: Sequence[Sequence[str]],
    low: Sequence[Sequence[str]],
    statements: Sequence[str],
    *,
    seed: int = 0,
) -> tuple[Estimate, Floats]:
    """How well words alone tell high options from low ones, without situation and question.

    A multinomial naive Bayes classifier (add-one smoothing) learns from the options of all other
    statements and orders the options of an item by their log odds. An item's share is that of its
    pairs of a high and a low option which it orders rightly, ties counting half: .5 is chance.

    Args:
        high: Options of the high end, by item.
        low: Options of the low end, by item.
        statements: What each item was written from; held out, and resampled, together.
        seed: Of the bootstrap.

    Returns:
        The mean share with its interval over statements, and the share of each item (NaN where
        there is none).
    """
    shares = np.full(len(statements), np.nan)
    groups = np.unique(np.asarray(statements, dtype=object).astype(str), return_inverse=True)[1]
    if len(set(groups.tolist())) < 2:
        return undefined("one statement only, so there is none to hold out"), shares
    item = [n for side in (high, low) for n, options in enumerate(side) for _ in options]
    is_high = np.array(
        [side for side, each in ((1, high), (0, low)) for options in each for _ in options]
    )
    counts = word_counts([text for side in (high, low) for options in side for text in options])
    owner = np.array(item)
    totals = [_sums(counts, is_high == side) for side in (0, 1)]
    for group in range(int(groups.max()) + 1):
        own = groups[owner] == group
        log_odds = np.zeros(counts.shape[1])
        for side, sign in ((0, -1.0), (1, 1.0)):
            smoothed = totals[side] - _sums(counts, own & (is_high == side)) + 1
            log_odds += sign * np.log(smoothed / smoothed.sum())
        scores = counts[np.flatnonzero(own)] @ log_odds
        for number in np.flatnonzero(groups == group):
            mine = owner[own] == number
            side = is_high[own][mine]
            gaps = scores[mine][side == 1][:, None] - scores[mine][side == 0][None, :]
            # Sums of the same words in another order differ in the last digits.
            shares[number] = np.where(np.abs(gaps) < 1e-9, 0.5, gaps > 0).mean()
    found = mean_interval(shares, clusters=groups, resamples=1000, seed=seed, limits=(0, 1))
    return found, shares


def _sums(counts: Any, rows: NDArray[np.bool_]) -> Floats:
    return np.asarray(counts[np.flatnonzero(rows)].sum(axis=0), dtype=np.float64).ravel()
