"""Train the embedded model from scratch. One command, resumable, seeded, on a CPU.

    python recipes/embedded/train.py WORK_FOLDER [--tokens 40e6] [--threads 1]

Ctrl-C or a kill loses at most the steps since the last checkpoint; the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path

import numpy as np
import packing
import people
import sequences
import torch
import train_tokenizer
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

VERSION = 2
"""Of the recipe; written beside the weights, so that they are known for what they are."""
CONFIG = {
    "hidden_size": 256,
    "intermediate_size": 704,
    "num_hidden_layers": 5,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 2048,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
    "tie_word_embeddings": True,
    "rms_norm_eps": 1e-5,
}
BATCH_TOKENS = 2048
PEAK_RATE = 1.3e-3
PREFIX_WEIGHT = 0.3
EVERY = 100
WARM_UP = 1.2e6
"""Tokens over which the learning rate rises."""
COOL_DOWN = 0.25
"""Last part of training, over which it falls; a longer training goes on from before this part."""
CHECKPOINT_SECONDS = 180


def new_model(vocabulary: int, pad: int, end: int, seed: int) -> LlamaForCausalLM:
    """A model of fresh weights."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary, pad_token_id=pad, eos_token_id=end, bos_token_id=None, **CONFIG
    )
    return LlamaForCausalLM._from_config(config, attn_implementation="sdpa")


def collate(batch: list[packing.TrainingSequence]) -> dict[str, torch.Tensor]:
    """Pad sequences into tensors.

    Tokens and positions (B, T), additive mask (B, 1, T, T), and the n targets of all sequences:
    flat position (n,), token ids and probabilities (n, 8).
    """
    length = max(len(s.tokens) for s in batch)
    tokens = np.zeros((len(batch), length), dtype=np.int64)
    positions = np.zeros_like(tokens)
    branch = np.full_like(tokens, -1)
    flat: list[int] = []
    ids: list[list[int]] = []
    probabilities: list[list[float]] = []
    for row, s in enumerate(batch):
        n = len(s.tokens)
        tokens[row, :n], positions[row, :n], branch[row, :n] = s.tokens, s.positions, s.branch
        for position, target_ids, target_probabilities in s.targets:
            gap = 8 - len(target_ids)
            flat.append(row * length + position)
            ids.append(target_ids + [0] * gap)
            probabilities.append(target_probabilities + [0.0] * gap)
    b = torch.from_numpy(branch)
    mask = (b[:, None, :] == 0) | (b[:, None, :] == b[:, :, None])
    mask &= torch.ones(length, length, dtype=torch.bool).tril()
    return {
        "tokens": torch.from_numpy(tokens),
        "positions": torch.from_numpy(positions),
        "mask": torch.where(mask[:, None], 0.0, torch.finfo(torch.bfloat16).min).bfloat16(),
        "flat": torch.tensor(flat),
        "ids": torch.tensor(ids),
        "probabilities": torch.tensor(probabilities),
        "prefix": torch.from_numpy(_followed_in_prefix(branch)),
    }


def _followed_in_prefix(branch: NDArray[np.int64]) -> NDArray[np.int64]:
    """Flat indices of the prefix tokens that another prefix token follows."""
    rows, columns = np.nonzero((branch[:, :-1] == 0) & (branch[:, 1:] == 0))
    return rows * branch.shape[1] + columns


def batches(
    maker: sequences.SequenceMaker, step: int, seen: float
) -> list[dict[str, torch.Tensor]]:
    """The sequences of one step, split by length into two or three tensors of little padding."""
    drawn: list[packing.TrainingSequence] = []
    seed = step * 1000
    while sum(len(s.tokens) for s in drawn) < BATCH_TOKENS:
        drawn.append(maker.draw(seed + len(drawn), seen))
    drawn.sort(key=lambda s: len(s.tokens))
    groups: list[list[packing.TrainingSequence]] = [[]]
    for s in drawn:
        if groups[-1] and len(s.tokens) > 1.35 * len(groups[-1][0].tokens):
            groups.append([])
        groups[-1].append(s)
    return [collate(group) for group in groups]


def losses_of(
    model: LlamaForCausalLM, batch: dict[str, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Two losses in nats: of the answers, summed, and of reading the prefix, a mean.

    The first is the cross-entropy to each answer's distribution, in excess of its own entropy. The
    second predicts the prefix token by token; a list of options cannot be predicted without telling
    its order, which is what answers stumble over longest.
    """
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = model.model(
            input_ids=batch["tokens"],
            attention_mask=batch["mask"],
            position_ids=batch["positions"],
            use_cache=False,
        ).last_hidden_state.flatten(0, 1)
        logits = model.lm_head(hidden[torch.cat([batch["flat"], batch["prefix"]])]).float()
    answers, prefix = logits.split([len(batch["flat"]), len(batch["prefix"])])
    p = batch["probabilities"]
    excess = torch.xlogy(p, p).sum() - (p * answers.log_softmax(-1).gather(1, batch["ids"])).sum()
    following = batch["tokens"].flatten()[batch["prefix"] + 1]
    # Exercises that nobody in particular is asked may have no prefix to read.
    reading = torch.nn.functional.cross_entropy(prefix, following, reduction="sum")
    return excess, reading / max(1, len(following))


def rate(seen: float, budget: float) -> float:
    """Learning rate: a linear rise, a plateau, and a linear fall to a hundredth.

    Through the plateau it does not depend on the budget, so that a training can be prolonged from
    the checkpoint kept there.
    """
    left = (budget - seen) / (COOL_DOWN * budget)
    return PEAK_RATE * max(0.01, min(1.0, seen / WARM_UP + 0.01, left))


def main() -> None:
    """Train, with checkpoints, until the token budget is spent; write the model folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tokens", type=float, default=40e6)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    folder: Path = options.folder
    if not (folder / "tokenizer.json").exists():
        train_tokenizer.main(folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    pad, end = tokenizer.token_to_id(train_tokenizer.PAD), tokenizer.token_to_id(packing.END)
    model = new_model(tokenizer.get_vocab_size(), pad, end, options.seed)
    for layer in model.model.layers:
        # Fusing the element-wise steps is worth a factor of 1.6 here, for a minute of compiling.
        layer.forward = torch.compile(layer.forward, dynamic=True)
    decay = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}],
        lr=PEAK_RATE,
        betas=(0.9, 0.99),
        fused=True,
    )
    maker = sequences.SequenceMaker(tokenizer, people.item_bank())
    step, seen = 0, 0
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step, seen = state["step"], state["seen"]
        print(f"going on from step {step}, {seen / 1e6:.1f} M tokens", flush=True)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M weights", flush=True)
    started = saved = time.monotonic()
    began, excess, targets, reading = seen, 0.0, 0, 0.0
    while seen < options.tokens:
        for group in optimizer.param_groups:
            group["lr"] = rate(seen, options.tokens)
        parts = batches(maker, step + options.seed * 10_000_000, seen)
        total = sum(len(part["flat"]) for part in parts)
        for part in parts:
            answers, prefix = losses_of(model, part)
            (answers / total + PREFIX_WEIGHT / len(parts) * prefix).backward()
            excess += float(answers.detach())
            reading += float(prefix.detach()) / len(parts) / EVERY
        targets += total
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        seen += sum(int((part["positions"] > 0).sum()) for part in parts)
        if step % EVERY == 0:
            speed = (seen - began) / (time.monotonic() - started)
            left = (options.tokens - seen) / speed / 60
            print(
                json.dumps(
                    {
                        "step": step,
                        "tokens": seen,
                        "excess_nats": round(excess / targets, 4),
                        "reading_nats": round(reading, 4),
                        "tokens_per_s": round(speed),
                        "minutes_left": round(left, 1),
                    }
                ),
                flush=True,
            )
            excess, targets, reading = 0.0, 0, 0.0
        if time.monotonic() - saved > CHECKPOINT_SECONDS or seen >= options.tokens:
            save(model, optimizer, step, seen, folder)
            if seen < (1 - COOL_DOWN) * options.tokens:
                shutil.copy(folder / "checkpoint.pt", folder / "plateau.pt")
            saved = time.monotonic()


def save(
    model: LlamaForCausalLM, optimizer: torch.optim.Optimizer, step: int, seen: int, folder: Path
) -> None:
    """Write the checkpoint (atomically) and the model folder in bfloat16 beside it."""
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "seen": seen,
    }
    torch.save(state, folder / "checkpoint.new")
    (folder / "checkpoint.new").replace(folder / "checkpoint.pt")
    out = folder / "model"
    half = new_model(
        model.config.vocab_size, model.config.pad_token_id, model.config.eos_token_id, 0
    )
    half.load_state_dict(model.state_dict())
    half.to(torch.bfloat16).save_pretrained(out)
    (out / "model.safetensors").chmod(0o644)  # written private; it is to be shipped
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (out / name).write_bytes((folder / name).read_bytes())
    made = {"recipe_version": VERSION, "tokens": seen}
    (out / "training.json").write_text(json.dumps(made) + "\n")


if __name__ == "__main__":
    main()
