"""What a training sequence holds, and what comes when, in tokens of a whole training."""

from __future__ import annotations

import numpy as np
import people
import speakers
from conversations import Conversations
from numpy.typing import NDArray
from packing import END, SYSTEM, Ids, TrainingSequence
from questionnaires import Questionnaires
from speakers import Speaker
from tokenizers import Tokenizer

WHOLE = 83e6
"""Tokens of a whole training. A shorter one passes through the same stages sooner."""
BASICS, GROWN, MIXED, SETTLED = 4.5e6, 7e6, 12e6, 22e6
SUMMING, GATHERING, ROUNDING = 32e6, 46e6, 71e6
"""Tokens after which one simplification after the other ends."""
SUMMARISED = {SETTLED: 0.0, SUMMING: 0.7, GATHERING: 0.5, float("inf"): 0.3}
"""Share of system texts, until so many tokens, of which only the last token can be seen afterwards.
The model has to say there all that it will need of the person, whatever is asked: a state that a
probe can read and that steering can add to. Otherwise it looks up what it needs, word by word."""

STATEMENTS = 0.15
"""Share of the statements that no questionnaire asks which a sequence may hold."""

KINDS = ("items", "list", "talk", "practise", "advise")
SHARES = {
    # Share of the sequences of each kind. Lists and talks are long; lists most of all.
    BASICS: (0.84, 0.16, 0.00, 0.00, 0.00),
    GROWN: (0.76, 0.24, 0.00, 0.00, 0.00),
    SETTLED: (0.70, 0.14, 0.06, 0.06, 0.04),
    SUMMING: (0.64, 0.10, 0.09, 0.09, 0.08),
    GATHERING: (0.30, 0.45, 0.08, 0.09, 0.08),
    ROUNDING: (0.22, 0.22, 0.18, 0.14, 0.24),
    float("inf"): (0.20, 0.25, 0.08, 0.19, 0.28),
}


def stage(seen: float, budget: float) -> float:
    """Where in a whole training one is that has seen so many tokens of its budget.

    One that is longer than whole does not take longer over its stages, so that a training can be
    prolonged.
    """
    return seen * max(1.0, WHOLE / budget)


class SequenceMaker:
    """Draws training sequences; the same seed and stage give the same sequence."""

    def __init__(self, tokenizer: Tokenizer, bank: people.ItemBank) -> None:
        self.ids = Ids(tokenizer)
        self.bank = bank
        self.questionnaires = Questionnaires(self.ids, bank)
        self.conversations = Conversations(self.ids)

    def draw(self, seed: int, seen: float) -> TrainingSequence:
        """One sequence, of the difficulty that comes after `seen` tokens.

        An answer depends on the product of three signs: persona, item key and option order. Asked
        all at once from the start, nothing is learned for a long time; so at first one trait is
        named and its own items are asked.
        """
        rng = np.random.default_rng([20, seed])
        shares = next(shares for until, shares in SHARES.items() if seen < until)
        kind = str(rng.choice(KINDS, p=shares))
        sequence = TrainingSequence(seed)
        if kind == "list":
            self._known_by_answers(rng, sequence, seen)
            return sequence
        speaker = self._speaker(rng, seen)
        if speaker.system:
            sequence.extend(self.ids.tokenizer.encode(SYSTEM + speaker.system + END).ids)
            sequence.knows("person", speaker.levels)
            # Read as lists are as well, so that what is learned of the one serves the other.
            sequence.knows("list", speaker.levels)
            self._summarise(rng, sequence, seen)
        if kind != "practise":
            sequence.speaker = speaker.levels
        if kind == "talk":
            self.conversations.talk(rng, sequence, speaker, int(rng.integers(1, 11)))
            if rng.random() < 0.4:
                self._items(rng, sequence, speaker, seen)
        elif kind == "practise":
            self.conversations.practise(rng, sequence, int(rng.integers(12, 25)))
        elif kind == "advise":
            self.conversations.advise(rng, sequence, speaker, int(rng.integers(2, 5)))
        else:
            self._items(rng, sequence, speaker, seen)
        return sequence

    @staticmethod
    def _summarise(rng: np.random.Generator, sequence: TrainingSequence, seen: float) -> None:
        share = next(share for until, share in SUMMARISED.items() if seen < until)
        if rng.random() < share:
            sequence.summary = len(sequence.tokens) - 1

    def _speaker(self, rng: np.random.Generator, seen: float) -> Speaker:
        how = rng.random()
        if how < 0.1:
            return speakers.nobody()
        if how < 0.25 and seen > GROWN:
            return speakers.by_paragraph(rng, int(rng.integers(3, 13)))
        if seen > SETTLED and rng.random() < (0.6 if seen < SUMMING else 0.3):
            return speakers.torn(rng)
        return speakers.by_adjectives(rng, one_trait=seen < BASICS, most_partial=seen < MIXED)

    def _items(
        self, rng: np.random.Generator, sequence: TrainingSequence, speaker: Speaker, seen: float
    ) -> None:
        means = people.literal_means(self.bank, speaker.domains, speaker.facets)
        asked = np.arange(len(means))
        if speaker.system and rng.random() < (1.0 if seen < BASICS else 0.6):
            named = [people.DOMAINS.index(c) for c in speaker.named if c in people.DOMAINS]
            asked = np.flatnonzero(np.isin(self.bank.domains, named)) if named else asked
        asked = np.intersect1d(asked, self._items_drawn(rng, 0.0 if seen < GROWN else STATEMENTS))
        self.questionnaires.ask(
            rng,
            sequence,
            speaker,
            means,
            asked,
            told_share=0.3 if seen < GROWN else 0.1 if seen < MIXED else 0.03,
            own_scale_share=0.0 if seen < BASICS else 0.15,
            paraphrased_share=0.0 if seen < GROWN else 0.4,
        )

    def _items_drawn(self, rng: np.random.Generator, statements: float) -> NDArray[np.intp]:
        """Items of inventories, and a share of the statements that no questionnaire asks."""
        drawn = rng.random(len(self.bank.items)) < statements
        drawn[: self.bank.shipped] = True
        return np.flatnonzero(drawn)

    def _known_by_answers(
        self, rng: np.random.Generator, sequence: TrainingSequence, seen: float
    ) -> None:
        """A list of a person's answers, then items that are not in it.

        Lists are about few facets at first: with all items mixed from the start, nothing beyond
        the items' own means is learned for a long time.
        """
        at_odds = SUMMING < seen < GATHERING and rng.random() < 0.5
        speaker = speakers.person(rng, at_odds=at_odds)
        acquiescence = rng.normal(0, people.ACQUIESCENCE_SD)
        means = people.literal_means(self.bank, speaker.domains, speaker.facets, acquiescence)
        facets, most = self._list_size(rng, seen)
        chosen = rng.choice(30, size=facets, replace=False)
        pool = np.flatnonzero(np.isin(self.bank.facets, chosen))
        # Most lists are of one questionnaire's items, in its own words.
        as_written = rng.random() < 0.6
        statements = 0.0 if as_written or seen < GROWN else STATEMENTS
        pool = np.intersect1d(pool, self._items_drawn(rng, statements))
        listed = rng.permutation(pool)[: int(rng.integers(5, most + 1))]
        if seen > GROWN and rng.random() < 0.15:
            self.questionnaires.describe_answers(rng, sequence, means, listed, at_odds=at_odds)
        else:
            paraphrased = 0.0 if as_written or seen < GROWN else 0.4
            self.questionnaires.list_answers(
                rng, sequence, means, listed, paraphrased_share=paraphrased, at_odds=at_odds
            )
        self._summarise(rng, sequence, seen)
        left = np.setdiff1d(pool, listed)
        asked = left if len(left) >= 3 else pool
        if seen > GROWN and rng.random() < 0.1:
            self.conversations.talk(rng, sequence, speaker, int(rng.integers(1, 4)))
        self.questionnaires.ask(
            rng,
            sequence,
            speaker,
            means,
            asked,
            told_share=0.0,
            own_scale_share=0.05,
            paraphrased_share=0.0 if seen < GROWN else 0.25,
            many=True,
        )

    @staticmethod
    def _list_size(rng: np.random.Generator, seen: float) -> tuple[int, int]:
        """How many facets a list is about, and how many answers it has at most."""
        if seen < BASICS:
            return 2, 24
        if seen < GROWN:
            return 6, 60
        if seen < SUMMING:
            return int(rng.choice([6, 12, 30, 30])), 60 if seen < MIXED else 120
        # Last of all come whole questionnaires.
        few = [1, 2, 6, 12] if seen < ROUNDING else [2, 12, 30]
        facets = int(rng.choice([*few, 30, 30]))
        return facets, min(120, 10 * facets)
