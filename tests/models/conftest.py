"""Tiny random models of many architectures, a tokenizer for them, and one-by-one evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest

from allport.models.respondent import Condition, Message, Question

CHATML = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
ACCURACY = (
    "Very Inaccurate",
    "Moderately Inaccurate",
    "Neither Accurate nor Inaccurate",
    "Moderately Accurate",
    "Very Accurate",
)
STATEMENTS = (
    "I worry about things.",
    "I make friends easily.",
    "I have a vivid imagination and like to paint.",
    "I trust others.",
    "I complete tasks successfully.",
    "I get angry easily, at home and at work.",
)
PERSONA = "You are a person who answered: " + "; ".join(
    f"{statement} {answer}" for statement in STATEMENTS for answer in ACCURACY[:2]
)
WINDOW = 24
"""Tokens of the sliding window, where a tiny model has one: fewer than any shared prefix here."""


def _configurations(vocabulary: int) -> dict[str, tuple[str, dict[str, Any]]]:
    base: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 1024,
        "initializer_range": 0.2,  # enough for tokens and positions to make a difference
        "pad_token_id": 0,
        "bos_token_id": None,
        "eos_token_id": 1,
    }
    grouped = {**base, "num_key_value_heads": 2}
    mixed = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": WINDOW}
    return {
        "llama": ("LlamaConfig", grouped),
        "mistral": ("MistralConfig", {**grouped, "sliding_window": WINDOW}),
        "qwen2": ("Qwen2Config", grouped),
        "qwen2-sliding": ("Qwen2Config", {**grouped, **mixed, "use_sliding_window": True}),
        "qwen3": ("Qwen3Config", {**grouped, "head_dim": 12}),
        "gemma2": (
            "Gemma2Config",
            {**grouped, **mixed, "head_dim": 8, "query_pre_attn_scalar": 8}
            | {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0},
        ),
        "gemma3": (
            "Gemma3TextConfig",
            {**grouped, **mixed, "head_dim": 8, "query_pre_attn_scalar": 8},
        ),
        "phi3": ("Phi3Config", grouped),
        "olmo2": ("Olmo2Config", grouped),
        "gpt_neox": ("GPTNeoXConfig", base),
        "gpt2": ("GPT2Config", {**base, "n_inner": 64}),
        # Without a cache that can be shared: recurrent, and hybrid of both kinds.
        "mamba": ("MambaConfig", {**base, "state_size": 4}),
        "jamba": (
            "JambaConfig",
            {**grouped, "attn_layer_period": 2, "attn_layer_offset": 1, "mamba_d_state": 4}
            | {"use_mamba_kernels": False, "num_experts": 1, "mamba_dt_rank": 2},
        ),
        # Positions as a bias on attention, made from the padding mask.
        "bloom": ("BloomConfig", {**base, "n_layer": 2, "n_head": 4}),
    }


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    """Byte-level BPE with a ChatML-like template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
    inner.train_from_iterator(
        [*STATEMENTS, *ACCURACY, "Answer: A B C D E 1 2 3 4 5"] * 2,
        trainers.BpeTrainer(
            vocab_size=420,
            special_tokens=special,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|end|>", pad_token="<|pad|>")
    fast.chat_template = CHATML
    return fast


@pytest.fixture(scope="session")
def plain_tokenizer(tokenizer: Any) -> Any:
    """The same without a chat template, and with a token that every text begins with."""
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    inner = type(tokenizer.backend_tokenizer).from_str(tokenizer.backend_tokenizer.to_str())
    inner.post_processor = TemplateProcessing(
        single="<|system|> $A", special_tokens=[("<|system|>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="<|end|>", pad_token="<|pad|>", bos_token="<|system|>"
    )


@pytest.fixture(scope="session")
def tiny_model(tokenizer: Any) -> Callable[[str], Any]:
    """Makes a random model of an architecture; the same one for the same name."""
    import torch
    import transformers

    torch.set_num_threads(1)
    configurations = _configurations(len(tokenizer))
    made: dict[str, Any] = {}

    def make(name: str) -> Any:
        if name not in made:
            kind, fields = configurations[name]
            torch.manual_seed(list(configurations).index(name))  # whichever is made first
            config = getattr(transformers, kind)(**fields)
            made[name] = transformers.AutoModelForCausalLM.from_config(config).eval()
        return made[name]

    return make


@pytest.fixture(scope="session")
def ask() -> Callable[..., list[Question]]:
    """Makes questions: every template for the first `items` statements."""

    def make(
        items: int = 3,
        templates: Sequence[str] = ("letters", "words"),
        personas: Sequence[str] = ("", PERSONA),
        reading: str = "distribution",
        cue: str = "",
    ) -> list[Question]:
        questions = []
        for persona in personas:
            system = (Message("system", persona),) if persona else ()
            for template in templates:
                labels = {"letters": tuple("EDCBA"), "digits": tuple("12345"), "words": ACCURACY}
                shown = "\n".join(
                    f"{label}. {option}"
                    for label, option in zip(labels[template], ACCURACY, strict=True)
                )
                for number, statement in enumerate(STATEMENTS[:items], start=1):
                    text = f"How accurately does this describe you?\n{shown}\nItem: {statement}"
                    questions.append(
                        Question(
                            item=number,
                            condition=Condition(template, "reversed", persona=persona[:3]),
                            messages=(*system, Message("user", text)),
                            cue=cue,
                            labels=labels[template],
                            options=ACCURACY,
                            reading=reading,  # type: ignore[arg-type]  # one of the two
                            seed=number,
                        )
                    )
        return questions

    return make


class Naive(NamedTuple):
    """One question evaluated by itself."""

    log_probabilities: list[float]
    mass: float
    prompt_tokens: int


@pytest.fixture(scope="session")
def naive() -> Callable[..., Naive]:
    """Evaluates one prompt by itself: every variant of every label as a whole sequence."""
    import torch

    def evaluate(model: Any, tokenizer: Any, prompt: str, labels: Sequence[str]) -> Naive:
        begins = tokenizer.chat_template is None
        start = tokenizer(prompt, add_special_tokens=begins)["input_ids"]
        found = []
        for label in labels:
            ways = set()
            for text in (label, f" {label}"):
                whole = tokenizer(prompt + text, add_special_tokens=begins)["input_ids"]
                assert whole[: len(start)] == start
                ways.add(tuple(whole[len(start) :]))
            total = -math.inf
            for way in sorted(ways):
                ids = torch.tensor([[*start, *way]])
                with torch.no_grad():
                    scores = model(input_ids=ids).logits[0].double().log_softmax(-1)
                steps = range(len(start) - 1, len(start) - 1 + len(way))
                value = sum(float(scores[at, t]) for at, t in zip(steps, way, strict=True))
                total = float(torch.logaddexp(torch.tensor(total), torch.tensor(value)))
            found.append(total)
        return Naive(found, sum(map(math.exp, found)), len(start))

    return evaluate
