"""From prompts to what has to be run to read their labels, and from logits to label probabilities.

prompt, labels ── one sequence for each run of the labels ──> engine ── logits ──> readings
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from allport.models.label_tokens import LabelTokens, Run
from allport.models.steering import RowKey

__all__ = ["LabelReader", "LabelReading", "Prompt", "PromptRun"]


class Prompt(NamedTuple):
    """A prompt in tokens, and the labels whose probabilities are read after it."""

    tokens: NDArray[np.int32]
    labels: LabelTokens
    key: RowKey = None
    """How its row is steered; None for not at all."""


class LabelReading(NamedTuple):
    """What the labels got after one prompt."""

    prompt: int
    """Index of the prompt."""
    log_probabilities: NDArray[np.float64]
    """Of each label in full, shape (labels,)."""
    probabilities: tuple[float, ...] | None
    """Of the labels among themselves; None where none has any."""
    mass: float
    """Probability that any label is written; NaN where the model computed no numbers."""


class PromptRun(NamedTuple):
    """A prompt with one of the runs that read its labels."""

    prompt: int
    """Index of the prompt."""
    run: Run
    tokens: NDArray[np.int32]
    """Of the prompt and of the run."""
    answer_at: int
    """Index of the prompt's last token."""
    key: RowKey

    @property
    def read_at(self) -> list[int]:
        """Indices of the tokens after which something is read, ascending, each once."""
        return [self.answer_at + length for length in self.run.places]


class LabelReader:
    """Lays out what is run for prompts, and puts together what was found."""

    def __init__(self, prompts: Sequence[Prompt]) -> None:
        """Read the labels of prompts, all different or differently labelled."""
        self._prompts = prompts
        self.runs = [
            PromptRun(i, run, _joined(prompt.tokens, run), len(prompt.tokens) - 1, prompt.key)
            for i, prompt in enumerate(prompts)
            for run in prompt.labels.runs
        ]
        """In the order of the prompts."""
        self._partial: dict[int, tuple[NDArray[np.float64], int]] = {}

    def read(self, which: Sequence[int], logits: Tensor) -> list[LabelReading]:
        """Take in what was found after some runs.

        Args:
            which: Indices into `runs`.
            logits: At every place where they are read, run by run, shape (places, vocabulary).

        Returns:
            Readings of the prompts that are complete with this.
        """
        log_probabilities = torch.log_softmax(logits, dim=-1)
        firsts = np.cumsum([0, *(len(self.runs[one].run.places) for one in which)])
        alike: dict[int, list[int]] = {}
        for i, one in enumerate(which):
            alike.setdefault(id(self.runs[one].run), []).append(i)
        complete: dict[int, list[tuple[int, NDArray[np.float64]]]] = {}
        for members in alike.values():
            runs = [self.runs[which[i]] for i in members]
            labels = self._prompts[runs[0].prompt].labels
            first = torch.from_numpy(firsts[members]).to(logits.device)
            numbers, found = _steps(labels, runs[0].run, log_probabilities, first)
            # Doubled on the CPU: MPS has no such numbers.
            steps = found.cpu().double().numpy()
            for run, row in zip(runs, steps, strict=True):
                values, missing = self._partial.pop(
                    run.prompt, (np.empty(len(labels.steps)), len(labels.runs))
                )
                values[numbers] = row
                if missing > 1:
                    self._partial[run.prompt] = values, missing - 1
                else:
                    complete.setdefault(id(labels), []).append((run.prompt, values))
        return [reading for rows in complete.values() for reading in self._scored(rows)]

    def _scored(self, rows: list[tuple[int, NDArray[np.float64]]]) -> list[LabelReading]:
        labels = self._prompts[rows[0][0]].labels
        scores = labels.score(np.stack([values for _, values in rows]))
        each, best = scores.log_probabilities, scores.log_probabilities.max(axis=1, keepdims=True)
        # NaN where a model computed none, whichever label it is for.
        mass = np.where(np.isnan(best[:, 0]), np.nan, scores.mass)
        with np.errstate(invalid="ignore"):
            shares = np.exp(each - best)
            shares /= shares.sum(axis=1, keepdims=True)
        usable = np.isfinite(best[:, 0]).tolist()
        found = zip(rows, each, shares.tolist(), usable, mass.tolist(), strict=True)
        return [
            LabelReading(prompt, one, tuple(among) if any_ else None, all_)
            for (prompt, _), one, among, any_, all_ in found
        ]


def _joined(prompt: NDArray[np.int32], run: Run) -> NDArray[np.int32]:
    return np.concatenate([prompt, np.array(run.tail, np.int32)]) if run.tail else prompt


def _steps(
    labels: LabelTokens, run: Run, log_probabilities: Tensor, first: Tensor
) -> tuple[list[int], Tensor]:
    """Indices of the steps that a run reads, and their log-probabilities (rows, steps).

    Args:
        labels: Whose steps these are.
        run: Of all rows.
        log_probabilities: At places, shape (places, vocabulary).
        first: Index of each row's first place, shape (rows,).
    """
    numbers, found = [], []
    for place, length in enumerate(run.places):
        here = [number for at, number in run.reads if at == length]
        tokens = [labels.steps[number].tokens for number in here]
        every = torch.tensor([token for some in tokens for token in some], device=first.device)
        each = log_probabilities[first[:, None] + place, every]
        if any(len(some) > 1 for some in tokens):
            parts = each.split([len(some) for some in tokens], dim=1)  # type: ignore[no-untyped-call]  # torch
            each = torch.stack([part.logsumexp(-1) for part in parts], dim=1)
        numbers += here
        found.append(each)
    return numbers, torch.cat(found, dim=1)
