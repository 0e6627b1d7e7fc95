"""How a model writes each label, token by token, after a given prompt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from allport.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["LabelScores", "LabelTokenizer", "LabelTokens", "Run", "Step"]

TokenIds = tuple[int, ...]


class Step(NamedTuple):
    """A log-probability that scoring needs: of any of `tokens`, after the prompt and `context`."""

    context: TokenIds
    tokens: TokenIds


class Run(NamedTuple):
    """Tokens to run after the prompt, and what is read there."""

    tail: TokenIds
    reads: tuple[tuple[int, int], ...]
    """(tokens of the tail before it, index of the step), ascending."""

    @property
    def places(self) -> tuple[int, ...]:
        """Tokens of the tail after which something is read, ascending."""
        return tuple(dict.fromkeys(length for length, _ in self.reads))


class LabelScores(NamedTuple):
    """What the labels got, over n prompts."""

    log_probabilities: NDArray[np.float64]
    """Of each label in full, summed over its variants, shape (n, labels)."""
    mass: NDArray[np.float64]
    """Probability that a label is written at all, 0 to 1, shape (n,)."""


@dataclass(frozen=True)
class LabelTokens:
    """The token sequences that say each label after one kind of prompt."""

    variants: tuple[tuple[TokenIds, ...], ...]
    """For each label, the distinct ways of writing it: with and without a leading space."""
    closers: TokenIds = ()
    """Tokens that end a turn. Used where one label begins like another ("1", "10"): all labels are
    then scored with their end, as only so are they alternatives."""

    @cached_property
    def is_closed(self) -> bool:
        """Whether labels are scored with their end."""
        sequences = {variant for variants in self.variants for variant in variants}
        prefixes = {s[:k] for s in sequences for k in range(1, len(s))}
        return bool(self.closers) and not sequences.isdisjoint(prefixes)

    @cached_property
    def _paths(self) -> tuple[tuple[tuple[Step, ...], ...], ...]:
        """The steps of each variant of each label."""
        end = self.closers if self.is_closed else ()
        return tuple(
            tuple(
                tuple(Step(variant[:k], (token,)) for k, token in enumerate(variant))
                + ((Step(variant, end),) if end else ())
                for variant in variants
            )
            for variants in self.variants
        )

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """Every log-probability needed, each once; those right after the prompt first."""
        distinct = dict.fromkeys(step for paths in self._paths for path in paths for step in path)
        return tuple(sorted(distinct, key=lambda step: len(step.context) > 0))

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """What is run after the prompt to read every step, each once.

        One run of no tokens where every label is one token.
        """
        contexts = {step.context for step in self.steps}
        # With a context all that it begins with are there, so one token less finds each of them.
        begun = {context[:-1] for context in contexts if context}
        tails = sorted(contexts - begun)
        reads: list[list[tuple[int, int]]] = [[] for _ in tails]
        for number, step in enumerate(self.steps):
            length = len(step.context)
            which = next(i for i, tail in enumerate(tails) if tail[:length] == step.context)
            reads[which].append((length, number))
        return tuple(
            Run(tail, tuple(sorted(read))) for tail, read in zip(tails, reads, strict=True)
        )

    @property
    def longest_tail(self) -> int:
        """Tokens that scoring needs room for after the prompt."""
        return max(len(run.tail) for run in self.runs)

    def score(self, log_probabilities: NDArray[np.float64]) -> LabelScores:
        """Put step log-probabilities together.

        Args:
            log_probabilities: Shape (n, steps), in the order of `steps`.

        Returns:
            Label log-probabilities and label mass.
        """
        ways = [
            _any_of([log_probabilities[:, columns].sum(axis=1) for columns in variants])
            for variants in self._columns
        ]
        written = [log_probabilities[:, columns].sum(axis=1) for columns in self._written_columns]
        mass = np.exp(_any_of(written))
        return LabelScores(np.stack(ways, axis=1), np.minimum(mass, 1.0))

    @cached_property
    def _columns(self) -> list[list[list[int]]]:
        """Indices of the steps of each variant of each label."""
        column = {step: i for i, step in enumerate(self.steps)}
        return [[[column[step] for step in path] for path in paths] for paths in self._paths]

    @cached_property
    def _written_columns(self) -> list[list[int]]:
        """Indices of the steps of every sequence that no other label begins, its end left out."""
        sequences = [variant for variants in self.variants for variant in variants]
        paths = [columns for variants in self._columns for columns in variants]
        return [
            columns[: len(sequence)]
            for sequence, columns in zip(sequences, paths, strict=True)
            # A sequence that begins with another label's has been counted with that one.
            if not any(other == sequence[: len(other)] for other in sequences if other != sequence)
        ]


def _any_of(log_probabilities: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Log of the sum of probabilities; NaN stays NaN."""
    with np.errstate(invalid="ignore"):
        found: NDArray[np.float64] = np.logaddexp.reduce(log_probabilities, axis=0)
    return found


class LabelTokenizer:
    """Finds label tokens in context, and remembers them for every like context."""

    _CHARACTERS = 24
    """How much of a prompt's end decides how its continuation is cut into tokens, at most; checked
    against the prompt's real tokens."""
    _ANCHORS = ("\n", ":")

    def __init__(self, tokenizer: PreTrainedTokenizerBase, closers: Iterable[int] = ()) -> None:
        """Find labels with a tokenizer.

        Args:
            tokenizer: Any; byte BPE, sentencepiece or words.
            closers: Tokens that end the model's turn.
        """
        self._tokenizer = tokenizer
        self._closers = tuple(sorted(set(closers)))
        self._known: dict[
            tuple[str, tuple[str, ...], int, tuple[str, ...], TokenIds], LabelTokens
        ] = {}

    def after(
        self, prompt: str, last_piece: str, last_token: int, labels: Sequence[str]
    ) -> LabelTokens:
        """How each label is written after a prompt.

        The label is cut into tokens together with the end of the prompt, as the model would meet
        it. Where the cut does not fall between the two (a prompt that ends in a space, say), the
        label's tokens after a line break are taken instead.

        Args:
            prompt: The whole prompt.
            last_piece: What of it follows the last special token, that token included; or all.
            last_token: The prompt's last token.
            labels: What may be said.

        Returns:
            Token sequences; one object for equal ends of prompts.

        Raises:
            ModelError: The tokenizer cannot write a label, or writes two of them alike.
        """
        return self._after(prompt, last_piece, last_token, labels, ("", " "), self._closers)

    def texts_after(
        self, prompt: str, last_piece: str, last_token: int, texts: Sequence[str], lead: str
    ) -> LabelTokens:
        """How each text is written after a prompt in one way, its end left open; see `after`.

        Args:
            prompt: The whole prompt.
            last_piece: What of it follows the last special token, that token included; or all.
            last_token: The prompt's last token.
            texts: What may be said.
            lead: What stands between prompt and text: a space, or nothing.

        Raises:
            ModelError: The tokenizer cannot write a text, or writes two of them alike.
        """
        return self._after(prompt, last_piece, last_token, texts, (lead,), ())

    def _after(
        self,
        prompt: str,
        last_piece: str,
        last_token: int,
        labels: Sequence[str],
        leads: tuple[str, ...],
        closers: TokenIds,
    ) -> LabelTokens:
        end = last_piece
        if len(end) == len(prompt):  # no special token to cut at
            end = end[-self._CHARACTERS :]
        key = (end, tuple(labels), last_token, leads, closers)
        if key not in self._known:
            if self._ids(end)[-1:] != (last_token,):
                end = prompt
            self._known[key] = self._find(end, key[1], leads, closers)
        return self._known[key]

    def _find(
        self, end: str, labels: tuple[str, ...], leads: tuple[str, ...], closers: TokenIds
    ) -> LabelTokens:
        found: dict[TokenIds, str] = {}
        variants = []
        for label in labels:
            ways = dict.fromkeys(
                way for lead in leads if (way := self._continuation(end, lead + label))
            )
            if not ways:
                raise ModelError(
                    f"The model's tokenizer has no tokens for the label {label!r}; use a template "
                    "with other labels."
                )
            for way in ways:
                if found.setdefault(way, label) != label:
                    raise ModelError(
                        f"The model's tokenizer writes the labels {found[way]!r} and {label!r} "
                        "alike; use a template with other labels."
                    )
            variants.append(tuple(ways))
        return LabelTokens(tuple(variants), closers)

    def _continuation(self, end: str, text: str) -> TokenIds:
        """Tokens of `text` after `end`; empty where it cannot be written."""
        unknown = self._tokenizer.unk_token_id
        for before in (end, *self._ANCHORS):
            start, whole = self._ids(before), self._ids(before + text)
            if len(whole) > len(start) and whole[: len(start)] == start:
                way = whole[len(start) :]
                return () if unknown is not None and unknown in way else way
        return ()

    def _ids(self, text: str) -> TokenIds:
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])
