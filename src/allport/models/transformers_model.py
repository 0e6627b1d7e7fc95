"""A respondent that runs here: any causal language model that transformers can load."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from allport.errors import ModelError, UsageError
from allport.models.chat_rendering import ChatRenderer
from allport.models.forward_pass import ForwardPass
from allport.models.generation import Written, write
from allport.models.identity import parameters_hash, tokenizer_hash, versions
from allport.models.label_tokens import LabelTokenizer, LabelTokens
from allport.models.likelihood import TextLikelihoods, option_shares
from allport.models.parsing import parse_choice
from allport.models.prefix_engine import LabelReading, PrefixEngine, Prompt
from allport.models.prompt_tokens import PromptPieces, PromptTokenizer
from allport.models.respondent import Message, Question, Response
from allport.models.steering import Aligning, RowKey, Steering

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["Reply", "TransformersModel"]

_WINDOW = 4096
"""Prompts that are laid out as tokens at a time; what is before and after waits as pieces."""


class Reply(NamedTuple):
    """What a model wrote in a chat."""

    text: str
    prompt_tokens: int
    completion_tokens: int


class _Prepared(NamedTuple):
    question: Question
    prompt: PromptPieces
    labels: LabelTokens
    key: RowKey
    neutral: tuple[PromptPieces, LabelTokens] | None = None
    """What the likelihood of the same texts is set against."""


class TransformersModel:
    """Answers questions with a causal language model on this machine.

    Distributions over labels are read at the answer position, with prefixes shared between
    questions (see `PrefixEngine`). Questions whose reading is "generation" are answered in writing
    and parsed; of those whose reading is "likelihood" every option's own text is read, in the same
    way as labels are.

    Example:
        >>> from allport.models import load_model
        >>> model = load_model("embedded")  # doctest: +SKIP
        >>> [response.choice for response in model.answer(questions)]  # doctest: +SKIP
        [3, 1, 4]
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        name: str = "model",
        *,
        identity: Callable[[], Mapping[str, Any]] | None = None,
        loading: Mapping[str, Any] | None = None,
        batch_size: int | None = None,
        max_new_tokens: int = 24,
        temperature: float = 0.0,
    ) -> None:
        """Wrap a model that is already loaded; `load_model` loads one.

        Args:
            model: A causal language model; it is put into evaluation mode.
            tokenizer: Its tokenizer.
            name: Shown in tables.
            identity: Tells for `describe` where the weights are from; asked once, when it is
                needed. By default a hash over the parameters stands for them.
            loading: Arguments of `load_model` that give this model elsewhere, JSON-ready.
            batch_size: Rows in a batch; chosen by a token budget by default.
            max_new_tokens: Limit of a written answer, at least 1.
            temperature: Of written answers; 0 takes the most probable token each time, above it
                every question is answered with its own seed.

        Raises:
            UsageError: A number is out of range.
            ModelError: The model and tokenizer cannot be asked.
        """
        if batch_size is not None and batch_size < 1:
            raise UsageError(f"A batch of {batch_size} rows cannot be; give 1 or more.")
        if max_new_tokens < 1:
            raise UsageError(f"An answer of {max_new_tokens} tokens says nothing; give 1 or more.")
        if not 0 <= temperature < float("inf"):
            raise UsageError(f"A temperature of {temperature} cannot be; give 0 or more.")
        model.eval()  # type: ignore[no-untyped-call]  # untyped in transformers
        self.model = model
        self.tokenizer = tokenizer
        self._name = name
        self._identify = identity or (lambda: {"weights_sha256": parameters_hash(model)})
        self.loading = loading
        """Arguments of `load_model` that give this model elsewhere; None where none do."""
        self._batch_size = batch_size
        self._max_new_tokens = max_new_tokens
        self._temperature = temperature
        self.chat = ChatRenderer(tokenizer)
        self._ends = _ending_tokens(model, tokenizer)
        self._prompts = PromptTokenizer(tokenizer, begins=self.chat.template is None)
        self._labels = LabelTokenizer(tokenizer, self._ends)
        self.passes = ForwardPass(model)
        """What every question goes through; see `ForwardPass`."""
        self._steering: Steering | None = None
        self._aligned_by: Aligning | None = None

    def __repr__(self) -> str:
        return f"TransformersModel({self._name!r}, {type(self.model).__name__})"

    @property
    def name(self) -> str:
        """Shown in tables."""
        return self._name

    @property
    def steering(self) -> Steering | None:
        """What changes its rows; None for the model as it is."""
        return self._steering

    @property
    def aligned_by(self) -> Aligning | None:
        """What `aligned` was given; None for the model as it is."""
        return self._aligned_by

    def aligned(self, alignment: Aligning, name: str | None = None) -> TransformersModel:
        """The same model, steered: a respondent of its own on the same weights.

        Nothing is copied and no weight is changed; this model goes on answering as it is.

        Args:
            alignment: From `allport.alignment`: an alignment, or the alignments of many people.
            name: Shown in tables; this model's name by default.

        Raises:
            AlignmentError: The alignment was made for another model.
            UsageError: This respondent is aligned already.
        """
        if self._steering is not None:
            raise UsageError(
                f"{self._name} is aligned already; add up alignments before, with `compose`."
            )
        other = copy.copy(self)
        other._steering = alignment.steering(self)
        other._aligned_by = alignment
        other._name = self._name if name is None else name
        return other

    @cached_property
    def context_length(self) -> int | None:
        """Tokens that the model takes at most; None where its configuration names no limit."""
        config = self.model.config.get_text_config(decoder=True)
        for field in ("max_position_embeddings", "max_seq_len", "seq_length", "n_positions"):
            limit = getattr(config, field, None)
            if isinstance(limit, int) and limit > 0:
                return limit
        return None

    @cached_property
    def _identity(self) -> Mapping[str, Any]:
        return self._identify()

    def describe(self) -> dict[str, Any]:
        """What identifies this model: weights, tokenizer, chat template, dtype, versions.

        The first call reads all weights, but for those that the hub's cache knows by their hash.
        """
        return {
            "kind": "transformers",
            "model": self._name,
            **self._identity,
            **tokenizer_hash(self.tokenizer, self.chat.template),
            "architecture": type(self.model).__name__,
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "attention": self.model.config._attn_implementation,
            "max_new_tokens": self._max_new_tokens,
            "temperature": self._temperature,
            "versions": versions(),
            **({} if self._steering is None else {"steering": self._steering.describe()}),
        }

    def answer(self, questions: Sequence[Question]) -> Iterator[Response]:
        """Answer every question, each once, batch by batch, in any order.

        Args:
            questions: Any mixture of templates, labels, personas and readings.

        Returns:
            Responses as they come.

        Raises:
            ModelError: A question does not fit into the model's context, or its labels cannot be
                told apart by the tokenizer; raised before any work is done.
        """
        prepared = self._prepare(questions)
        return self._stream(prepared)

    def _prepare(self, questions: Sequence[Question]) -> list[_Prepared]:
        texts = self.chat.render_all(
            [self._messages(q.condition.persona, q.messages) for q in questions],
            [q.cue for q in questions],
        )
        keys = [self._key(question.condition.persona) for question in questions]
        prepared = []
        plain: dict[tuple[tuple[Message, ...], str], tuple[str, PromptPieces]] = {}
        for question, text, prompt, key in zip(
            questions, texts, self._prompts.pieces(texts), keys, strict=True
        ):
            labels, neutral = self._labels_after(text, prompt, question), None
            if question.neutral:
                chat = (question.neutral, question.cue)
                if chat not in plain:
                    # By the model as it is: what it is aligned to is part of what is asked.
                    rendered = self.chat.render(*chat)
                    plain[chat] = (rendered, self._prompts.pieces([rendered])[0])
                pieces = plain[chat][1]
                neutral = (pieces, self._labels_after(*plain[chat], question))
            written = question.reading == "generation"
            more = self._max_new_tokens if written else labels.longest_tail
            self._check_length(prompt.length, more, f"Item {question.item}")
            prepared.append(_Prepared(question, prompt, labels, key, neutral))
        return prepared

    def _labels_after(self, text: str, prompt: PromptPieces, question: Question) -> LabelTokens:
        """How the answers to a question are written after a prompt."""
        place = (text, prompt.last_text, next(ids[-1] for ids in reversed(prompt.ids) if ids))
        if question.reading != "likelihood":
            return self._labels.after(*place, question.labels)
        return self._labels.texts_after(*place, question.options, self._lead(text, question.cue))

    def _lead(self, text: str, cue: str) -> str:
        """A space where a text comes after a word, nothing after a line break or control token."""
        follows_word = self.chat.template is None or bool(cue)
        return " " if follows_word and not text[-1].isspace() else ""

    def _key(self, persona: str) -> RowKey:
        return None if self._steering is None else self._steering.key(persona)

    def _messages(self, persona: str, messages: Sequence[Message]) -> Sequence[Message]:
        return messages if self._steering is None else self._steering.messages(persona, messages)

    def _check_length(self, prompt: int, answer: int, what: str) -> None:
        limit = self.context_length
        if limit is not None and prompt + answer > limit:
            with_answer = f" and its answer {answer:,} more" if answer else ""
            raise ModelError(
                f"{what} takes {prompt:,} tokens{with_answer}, but {self._name} takes {limit:,} in "
                "all; use a shorter persona or template, or a model with a longer context."
            )

    def _stream(self, prepared: list[_Prepared]) -> Iterator[Response]:
        read = [p for p in prepared if p.question.reading != "generation"]
        read.sort(key=lambda p: p.prompt.ids)
        engine = PrefixEngine(self.passes, self._batch_size, self._steering)
        for start in range(0, len(read), _WINDOW):
            yield from self._read(engine, read[start : start + _WINDOW])
        said = [p for p in prepared if p.question.reading == "generation"]
        for start in range(0, len(said), _WINDOW):
            some = said[start : start + _WINDOW]
            tokens = [p.prompt.tokens() for p in some]
            seeds = [p.question.seed for p in some]
            keys = [p.key for p in some]
            for texts in self._write(tokens, self._max_new_tokens, self._temperature, seeds, keys):
                for written in texts:
                    yield self._from_text(some[written.prompt], written)

    def _read(self, engine: PrefixEngine, asked: list[_Prepared]) -> Iterator[Response]:
        """Read labels or texts after each prompt, and after neutral ones where there are any."""
        prompts = [Prompt(p.prompt.tokens(), p.labels, p.key) for p in asked]
        set_against = [i for i, p in enumerate(asked) if p.neutral is not None]
        for i in set_against:
            neutral = asked[i].neutral
            assert neutral is not None
            prompts.append(Prompt(neutral[0].tokens(), neutral[1]))
        waiting: dict[int, LabelReading] = {}
        for batch in engine.read(prompts):
            for reading in batch:
                plain = reading.prompt >= len(asked)
                i = set_against[reading.prompt - len(asked)] if plain else reading.prompt
                if asked[i].neutral is None:
                    yield self._from_reading(asked[i], reading)
                elif i not in waiting:
                    waiting[i] = reading
                else:
                    other = waiting.pop(i)
                    pair = (other, reading) if plain else (reading, other)
                    yield self._from_reading(asked[i], *pair)

    def _from_reading(
        self, asked: _Prepared, reading: LabelReading, neutral: LabelReading | None = None
    ) -> Response:
        question = asked.question
        if math.isnan(reading.mass) or (neutral is not None and math.isnan(neutral.mass)):
            raise ModelError(
                f"{self._name} computes no numbers for item {question.item} in "
                f"{str(self.model.dtype).removeprefix('torch.')}; load it with another dtype."
            )
        shares = reading.probabilities
        if question.reading == "likelihood":
            against = None
            if neutral is not None and asked.neutral is not None:
                against = TextLikelihoods(neutral.log_probabilities, asked.neutral[1])
            shares = option_shares(
                TextLikelihoods(reading.log_probabilities, asked.labels), against
            )
        return Response(
            item=question.item,
            condition=question.condition,
            probabilities=shares,
            choice=None if shares is None else shares.index(max(shares)),
            label_mass=reading.mass,
            unparsable=shares is None,
            prompt_tokens=asked.prompt.length,
        )

    def _from_text(self, asked: _Prepared, written: Written) -> Response:
        question = asked.question
        text = self._decode(written.tokens)
        parsed = parse_choice(text, question.labels, question.options)
        chosen = None
        if parsed.choice is not None:
            chosen = tuple(float(i == parsed.choice) for i in range(len(question.options)))
        mass = float("nan")
        if not asked.labels.longest_tail:  # one-token labels: the first token's distribution tells
            first = [step.tokens[0] for step in asked.labels.steps]
            mass = float(asked.labels.score(written.first[None, first].astype(float)).mass[0])
        return Response(
            item=question.item,
            condition=question.condition,
            probabilities=chosen,
            choice=parsed.choice,
            label_mass=mass,
            refused=parsed.refused,
            unparsable=parsed.unparsable,
            text=text,
            prompt_tokens=asked.prompt.length,
            completion_tokens=written.length,
        )

    def prompt_tokens(
        self, messages: Sequence[Message], answer: str = "", cue: str = ""
    ) -> NDArray[np.int32]:
        """Tokens of a chat as it is asked, and of an answer after it.

        Args:
            messages: The chat, ending with the user's turn.
            answer: What the model is made to answer; its tokens are the last ones.
            cue: Beginning of the answer, written for the model.

        Raises:
            ModelError: The tokens do not fit into the model's context, or the answer cannot be
                written.
        """
        text = self.chat.render(messages, cue)
        [prompt] = self._prompts.pieces([text])
        tokens = prompt.tokens()
        if answer:
            ways = self._labels.after(text, prompt.last_text, int(tokens[-1]), [answer])
            # After a word a space comes first; after a line break or a control token none does.
            spaced = self.chat.template is None and not text[-1].isspace()
            way = ways.variants[0][-1 if spaced else 0]
            tokens = np.concatenate([tokens, np.array(way, np.int32)])
        self._check_length(len(tokens), 0, "A chat and its answer")
        return tokens

    def generate(
        self,
        chats: Sequence[Sequence[Message]],
        *,
        cue: str = "",
        max_new_tokens: int | None = None,
        temperature: float | None = None,
        seeds: Sequence[int] | None = None,
        personas: Sequence[str] | None = None,
    ) -> list[Reply]:
        """Write the next turn of every chat.

        Args:
            chats: Each ending with the user's turn.
            cue: Beginning of every reply, written for the model; not part of the replies.
            max_new_tokens: Limit of each reply; the model's own by default.
            temperature: 0 for the most probable tokens; the model's own by default.
            seeds: One for each chat; 0, 1, 2, ... by default.
            personas: In whose place each reply is written, where this model is aligned to many.

        Returns:
            Replies in the order of the chats.

        Raises:
            ModelError: A chat and its reply do not fit into the model's context.
        """
        limit = self._max_new_tokens if max_new_tokens is None else max_new_tokens
        heat = self._temperature if temperature is None else temperature
        said_by = [""] * len(chats) if personas is None else personas
        prompts = self._prompts.pieces(
            self.chat.render_all(
                [self._messages(*said) for said in zip(said_by, chats, strict=True)],
                [cue] * len(chats),
            )
        )
        keys = [self._key(persona) for persona in said_by]
        for i, prompt in enumerate(prompts):
            self._check_length(prompt.length, limit, f"Chat {i + 1}")
        tokens = [prompt.tokens() for prompt in prompts]
        replies: dict[int, Reply] = {}
        for batch in self._write(tokens, limit, heat, seeds or range(len(chats)), keys):
            for written in batch:
                replies[written.prompt] = Reply(
                    self._decode(written.tokens), prompts[written.prompt].length, written.length
                )
        return [replies[i] for i in range(len(chats))]

    def _write(
        self,
        prompts: Sequence[NDArray[np.int32]],
        max_new_tokens: int,
        temperature: float,
        seeds: Sequence[int],
        keys: Sequence[RowKey] | None = None,
    ) -> Iterator[list[Written]]:
        return write(
            self.passes,
            prompts,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            seeds=seeds,
            ends=self._ends,
            batch_size=self._batch_size,
            steering=self._steering,
            keys=keys,
        )

    def _decode(self, tokens: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True)).strip()


def _ending_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """Tokens that end the model's turn, its own first."""
    named = getattr(model.generation_config, "eos_token_id", None)
    ends = [*named] if isinstance(named, (list, tuple)) else [named]
    ends.append(tokenizer.eos_token_id)
    return tuple(dict.fromkeys(int(end) for end in ends if end is not None))
