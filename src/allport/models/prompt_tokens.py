"""Prompts in tokens, with what many prompts have in common cut only once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["PromptPieces", "PromptTokenizer"]

TokenIds = tuple[int, ...]

_REMEMBERED = 1 << 16


class PromptPieces(NamedTuple):
    """A prompt's tokens in pieces; equal pieces of different prompts are one object.

    Sorted as tuples, prompts with a common beginning stand together.
    """

    ids: tuple[TokenIds, ...]
    """Each piece but the first begins with a special token."""
    last_text: str
    """Text of the last piece."""
    arrays: tuple[NDArray[np.int32], ...]
    """The same tokens as `ids`."""

    @property
    def length(self) -> int:
        """Number of tokens."""
        return sum(map(len, self.ids))

    def tokens(self) -> NDArray[np.int32]:
        """All tokens, shape (length,)."""
        return np.concatenate(self.arrays)


class _Piece(NamedTuple):
    ids: TokenIds
    array: NDArray[np.int32]

    @classmethod
    def of(cls, ids: Sequence[int]) -> _Piece:
        return cls(tuple(ids), np.array(ids, np.int32))


class PromptTokenizer:
    """Cuts prompts at special tokens and remembers the tokens of every piece.

    Tokenizers set special tokens apart before anything else, so pieces can be cut one by one: a
    persona of a thousand words that stands before every item is cut once. This is
    checked against the whole prompt for every new sequence of special tokens; a tokenizer that does
    not hold gets whole prompts from then on.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, begins: bool) -> None:
        """Cut with a tokenizer.

        Args:
            tokenizer: Any.
            begins: Whether prompts are to begin with what the tokenizer begins texts with, such as
                a token for the beginning. A chat template writes it itself.
        """
        self._tokenizer = tokenizer
        self._head = self._beginning() if begins else ()
        apart = [
            token.content
            for token in tokenizer.added_tokens_decoder.values()
            if token.special and not (token.lstrip or token.rstrip or token.single_word)
        ]
        # Where two begin alike, tokenizers take the longer one.
        either = "|".join(re.escape(token) for token in sorted(apart, key=len, reverse=True))
        self._special = re.compile(either) if apart else None
        self._checked: set[tuple[str, ...]] = set()
        self._known: dict[str, _Piece] = {}

    def pieces(self, prompts: Sequence[str]) -> list[PromptPieces]:
        """Tokens of every prompt."""
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        cut = [self._cut(prompt) for prompt in prompts]
        self._learn(text for pieces in cut for text in pieces)
        for prompt, pieces in zip(prompts, cut, strict=True):
            if self._special is not None and not self._holds(prompt, pieces):
                self._special = None
                return self.pieces(prompts)
        head = [_Piece.of(self._head)] if self._head else []
        found = []
        for texts in cut:
            ids, arrays = zip(*head, *(self._known[text] for text in texts), strict=True)
            found.append(PromptPieces(ids, texts[-1], arrays))
        return found

    def _cut(self, prompt: str) -> list[str]:
        if self._special is None:
            return [prompt]
        starts = [match.start() for match in self._special.finditer(prompt)]
        if not starts or starts[0] > 0:
            starts.insert(0, 0)
        return [prompt[a:b] for a, b in zip(starts, [*starts[1:], len(prompt)], strict=True)]

    def _learn(self, texts: Iterable[str]) -> None:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            found = self._tokenizer(new, add_special_tokens=False)["input_ids"]
            self._known.update(zip(new, map(_Piece.of, found), strict=True))

    def _holds(self, prompt: str, pieces: list[str]) -> bool:
        """Whether the pieces' tokens are the prompt's; tried once a sequence of special tokens."""
        assert self._special is not None
        shape = tuple(self._special.findall(prompt))
        if len(pieces) == 1 or shape in self._checked:
            return True
        self._checked.add(shape)
        whole = self._tokenizer(prompt, add_special_tokens=False)["input_ids"]
        return list(chain.from_iterable(self._known[text].ids for text in pieces)) == list(whole)

    def _beginning(self) -> TokenIds:
        """What the tokenizer puts before a text of its own accord."""
        bare = self._tokenizer("a", add_special_tokens=False)["input_ids"]
        full = self._tokenizer("a")["input_ids"]
        for k in range(len(full) - len(bare) + 1):
            if full[k : k + len(bare)] == bare:
                return tuple(full[:k])
        return ()
