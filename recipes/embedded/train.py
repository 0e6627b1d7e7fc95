"""Train the embedded model from scratch. One command, resumable, seeded, on a CPU.

    python recipes/embedded/train.py WORK_FOLDER [--tokens 83e6] [--processes 2]

Ctrl-C or a kill loses at most the steps since the last checkpoint; the same command goes on. Each
process works on its share of every step, so that their number changes the speed and not the model
(beyond rounding).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import packing
import people
import sequences
import torch
import torch.distributed
import torch.multiprocessing
import train_tokenizer
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

VERSION = 4
"""Of the recipe; written beside the weights, so that they are known for what they are."""
CONFIG = {
    "hidden_size": 256,
    "intermediate_size": 704,
    "num_hidden_layers": 7,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 2048,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
    "tie_word_embeddings": True,
    "rms_norm_eps": 1e-5,
}
BATCH_TOKENS = 2048
PEAK_RATE = 1.3e-3
PREFIX_WEIGHT = 0.1
LEVELS_WEIGHT = 5.0
READ_AFTER = {
    "statement": 2,
    "option": 3,
    "line": 3,
    "person": 3,
    "list": 4,
    "speaker": 5,
    "agreed": 5,
    "taken": 5,
    "place": 5,
    "thing": 2,
    "whereabouts": 4,
}
"""After how many layers each kind of `packing.KNOWN` is read."""
PREFIX_SHARE = 0.25
"""Of the prefix tokens, drawn at random, that are predicted: each costs a softmax over 4,096."""
EVERY = 100
WARM_UP = 1.2e6
"""Tokens over which the learning rate rises."""
COOL_DOWN = 0.15
"""Last part of training, over which it falls; a longer training goes on from before this part."""
CHECKPOINT_SECONDS = 180


def new_model(vocabulary: int, pad: int, end: int, seed: int) -> LlamaForCausalLM:
    """A model of fresh weights."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary, pad_token_id=pad, eos_token_id=end, bos_token_id=None, **CONFIG
    )
    return LlamaForCausalLM._from_config(config, attn_implementation="eager")


def collate(batch: list[packing.TrainingSequence], seed: int) -> dict[str, torch.Tensor]:
    """Pad sequences into tensors.

    Tokens and positions (B, T), additive mask (B, 1, T, T), and the n targets of all sequences:
    flat position (n,), token ids and probabilities (n, 8); flat positions of prefix tokens to
    predict; and of each kind of `packing.KNOWN`, as the kind and "at", "weights" or "levels": flat
    positions where it is read (m,), their weights, which sum to one over a sequence, and the
    figures (m, n), mostly levels, SD units.
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
    for row, s in enumerate(batch):
        mask[row, s.summary + 1 :, : s.summary] = False
    read = _followed_in_prefix(branch)
    read = read[np.random.default_rng([21, seed]).random(len(read)) < PREFIX_SHARE]
    return {
        "tokens": torch.from_numpy(tokens),
        "positions": torch.from_numpy(positions),
        "mask": torch.where(mask[:, None], 0.0, torch.finfo(torch.bfloat16).min).bfloat16(),
        "flat": torch.tensor(flat),
        "ids": torch.tensor(ids),
        "probabilities": torch.tensor(probabilities),
        "prefix": torch.from_numpy(read),
        **{
            f"{kind}_{name}": value
            for kind in packing.KNOWN
            for name, value in _known(batch, kind, length).items()
        },
    }


def _known(
    batch: list[packing.TrainingSequence], kind: str, length: int
) -> dict[str, torch.Tensor]:
    """Flat positions where a kind is read, their weights, and what is read, (m,), (m,), (m, n)."""
    found = [
        (row * length + at, 1 / len(s.known[kind]), levels)
        for row, s in enumerate(batch)
        for at, levels in s.known[kind]
    ]
    levels = np.array([levels for _, _, levels in found], dtype=np.float32)
    return {
        "at": torch.tensor([at for at, _, _ in found], dtype=torch.long),
        "weights": torch.tensor([weight for _, weight, _ in found]),
        "levels": torch.from_numpy(levels.reshape(-1, packing.KNOWN[kind])),
    }


def _followed_in_prefix(branch: NDArray[np.int64]) -> NDArray[np.int64]:
    """Flat indices of the prefix tokens that another prefix token follows."""
    rows, columns = np.nonzero((branch[:, :-1] == 0) & (branch[:, 1:] == 0))
    return rows * branch.shape[1] + columns


def drawn(maker: sequences.SequenceMaker, seed: int, seen: float) -> list[packing.TrainingSequence]:
    """The sequences of one step, short ones first."""
    sequences_ = [maker.draw(seed, seen)]
    while sum(len(s.tokens) for s in sequences_) < BATCH_TOKENS:
        sequences_.append(maker.draw(seed + len(sequences_), seen))
    return sorted(sequences_, key=lambda s: len(s.tokens))


def share_of(
    step: list[packing.TrainingSequence], rank: int, processes: int
) -> list[packing.TrainingSequence]:
    """What one process does of a step: longest first, each to whoever has least to do."""
    load = [0] * processes
    mine: list[packing.TrainingSequence] = []
    for s in reversed(step):
        lightest = load.index(min(load))
        load[lightest] += len(s.tokens)
        if lightest == rank:
            mine.insert(0, s)
    return mine


def batches(share: list[packing.TrainingSequence], seed: int) -> list[dict[str, torch.Tensor]]:
    """Sequences as two or three batches of little padding."""
    groups: list[list[packing.TrainingSequence]] = [[]]
    for s in share:
        if groups[-1] and len(s.tokens) > 1.35 * len(groups[-1][0].tokens):
            groups.append([])
        groups[-1].append(s)
    return [collate(group, seed + n) for n, group in enumerate(groups) if group]


class Trained(torch.nn.Module):
    """The model, and linear readings of levels from its lower layers, for training only.

    Left to itself the model looks up what each item needs in the text of the persona, and of a long
    list of answers it learns little more than how well the person sounds. The readings have it work
    out what a statement and an answer to it speak for, and by the middle layer who speaks.
    """

    def __init__(self, model: LlamaForCausalLM) -> None:
        super().__init__()
        self.model = model
        self.readings = torch.nn.ModuleDict(
            {
                kind: torch.nn.Linear(model.config.hidden_size, n)
                for kind, n in packing.KNOWN.items()
            }
        )

    def losses(
        self, batch: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Three losses, summed: of the answers, of the prefix (nats) and of the levels (SD²).

        The first is the cross-entropy to each answer's distribution, in excess of its own entropy.
        The second predicts the prefix token by token; a list of options cannot be predicted without
        telling its order, which is what answers stumble over longest. The third is squared.
        """
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = self.model.model(
                input_ids=batch["tokens"],
                attention_mask=batch["mask"],
                position_ids=batch["positions"],
                use_cache=False,
                output_hidden_states=True,
            )
            hidden = found.last_hidden_state.flatten(0, 1)
            logits = self.model.lm_head(hidden[torch.cat([batch["flat"], batch["prefix"]])]).float()
        answers, prefix = logits.split([len(batch["flat"]), len(batch["prefix"])])
        p = batch["probabilities"]
        chosen = answers.log_softmax(-1).gather(1, batch["ids"])
        excess = torch.xlogy(p, p).sum() - (p * chosen).sum()
        following = batch["tokens"].flatten()[batch["prefix"] + 1]
        reading = torch.nn.functional.cross_entropy(prefix, following, reduction="sum")
        missed = torch.zeros(())
        for kind, layer in READ_AFTER.items():
            read = found.hidden_states[layer].flatten(0, 1)[batch[f"{kind}_at"]].float()
            levels = self.readings[kind](torch.nn.functional.rms_norm(read, read.shape[-1:]))
            squared = (levels - batch[f"{kind}_levels"]).square().mean(1)
            missed = missed + squared @ batch[f"{kind}_weights"]
        return excess, reading, missed


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
    parser.add_argument("--tokens", type=float, default=83e6)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if not (options.folder / "tokenizer.json").exists():
        train_tokenizer.main(options.folder)
    torch.multiprocessing.spawn(train, (options,), nprocs=options.processes)


def train(rank: int, options: argparse.Namespace) -> None:
    """One of the processes that train."""
    folder: Path = options.folder
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder.resolve()}/meeting-{os.getppid()}",
        rank=rank,
        world_size=options.processes,
    )
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    pad, end = tokenizer.token_to_id(train_tokenizer.PAD), tokenizer.token_to_id(packing.END)
    model = new_model(tokenizer.get_vocab_size(), pad, end, options.seed)
    trained = Trained(model)
    for layer in model.model.layers:
        # Fusing the element-wise steps is worth a factor of 1.6 here, for a minute of compiling.
        layer.forward = torch.compile(layer.forward, dynamic=True)
    decay = [p for p in trained.parameters() if p.ndim > 1]
    plain = [p for p in trained.parameters() if p.ndim <= 1]
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
        trained.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step, seen = state["step"], state["seen"]
        if rank == 0:
            print(f"going on from step {step}, {seen / 1e6:.1f} M tokens", flush=True)
    started = saved = time.monotonic()
    began, excess, reading, missed = seen, 0.0, 0.0, 0.0
    parent = os.getppid()
    # Whoever is left alone, because the command was killed, ends as well.
    while seen < options.tokens and os.getppid() == parent:
        for group in optimizer.param_groups:
            group["lr"] = rate(seen, options.tokens)
        seed = 1000 * (step + options.seed * 10_000_000)
        whole = drawn(maker, seed, seen)
        total = sum(len(s.targets) for s in whole)
        read = PREFIX_SHARE * max(1, sum(s.branch.count(0) for s in whole))
        speakers = max(1, sum(any(s.known.values()) for s in whole))
        for part in batches(share_of(whole, rank, options.processes), seed + 100 * rank):
            answers, prefix, levels = trained.losses(part)
            (
                answers / total + PREFIX_WEIGHT / read * prefix + LEVELS_WEIGHT / speakers * levels
            ).backward()
            excess += float(answers.detach()) / total / EVERY
            reading += float(prefix.detach()) / read / EVERY
            missed += float(levels.detach()) / speakers / EVERY
        add_up_gradients(trained, options.processes)
        torch.nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        seen += sum(len(s.tokens) for s in whole)
        if step % EVERY == 0 and rank == 0:
            speed = (seen - began) / (time.monotonic() - started)
            made = {
                "step": step,
                "tokens": seen,
                # Of this process's share; times the processes it estimates the whole.
                "excess_nats": round(excess * options.processes, 4),
                "reading_nats": round(reading * options.processes, 4),
                "levels_missed": round(missed * options.processes, 4),
                "tokens_per_s": round(speed),
                "minutes_left": round((options.tokens - seen) / speed / 60, 1),
            }
            print(json.dumps(made), flush=True)
            excess, reading, missed = 0.0, 0.0, 0.0
        late = time.monotonic() - saved > CHECKPOINT_SECONDS
        if rank == 0 and (late or seen >= options.tokens):
            save(trained, optimizer, step, seen, folder)
            if seen < (1 - COOL_DOWN) * options.tokens:
                shutil.copy(folder / "checkpoint.pt", folder / "plateau.pt")
            saved = time.monotonic()
    torch.distributed.destroy_process_group()


def add_up_gradients(model: torch.nn.Module, processes: int) -> None:
    """Give every process the sum of all processes' gradients."""
    if processes == 1:
        return
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters()]
    flat = torch.cat([g.flatten() for g in gradients])
    torch.distributed.all_reduce(flat)
    for p, part in zip(model.parameters(), flat.split([g.numel() for g in gradients]), strict=True):
        p.grad = part.view_as(p)


def save(
    trained: Trained, optimizer: torch.optim.Optimizer, step: int, seen: int, folder: Path
) -> None:
    """Write the checkpoint (atomically) and the model folder in bfloat16 beside it."""
    state = {
        "model": trained.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "seen": seen,
    }
    torch.save(state, folder / "checkpoint.new")
    (folder / "checkpoint.new").replace(folder / "checkpoint.pt")
    out = folder / "model"
    model = trained.model
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
