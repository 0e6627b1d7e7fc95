"""Train the embedded model from scratch. One command, resumable, seeded, on a CPU or a GPU.

    python recipes/embedded/train.py WORK_FOLDER [--tokens 83e6] [--processes 2] [--device cpu]

Ctrl-C or a kill loses at most the steps since the last checkpoint; the same command goes on. Each
process works on its share of every step, so that their number changes the speed and not the model
(beyond rounding).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import pickle
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import packing
import people
import sequences
import torch
import torch.distributed
import torch.multiprocessing
import train_tokenizer
from filelock import FileLock, Timeout
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.utils import logging

from allport.errors import UsageError

VERSION = 5
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
FIRST, EVERY = 10, 100
"""Steps after which figures are printed: once soon, to see that all is well, and then regularly."""
WARM_UP = 1.2e6
"""Tokens over which the learning rate rises."""
COOL_DOWN = 0.15
"""Last part of training, over which it falls; a longer training goes on from before this part."""
CHECKPOINT_SECONDS = 180
TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
COMPILE = True
"""Fusing the element-wise steps is worth a factor of 1.6, for a minute of compiling."""


def new_model(vocabulary: int, pad: int, end: int, seed: int) -> LlamaForCausalLM:
    """A model of fresh weights."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary, pad_token_id=pad, eos_token_id=end, bos_token_id=None, **CONFIG
    )
    return LlamaForCausalLM._from_config(config, attn_implementation="eager")


def collate(batch: list[packing.TrainingSequence]) -> dict[str, torch.Tensor]:
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
    prefix = [row * length + at for row, s in enumerate(batch) for at in predicted(s)]
    return {
        "tokens": torch.from_numpy(tokens),
        "positions": torch.from_numpy(positions),
        "mask": torch.where(mask[:, None], 0.0, torch.finfo(torch.bfloat16).min).bfloat16(),
        "flat": torch.tensor(flat),
        "ids": torch.tensor(ids),
        "probabilities": torch.tensor(probabilities),
        "prefix": torch.tensor(prefix, dtype=torch.long),
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


def predicted(sequence: packing.TrainingSequence) -> list[int]:
    """Places of the prefix tokens whose following one is to be predicted.

    They depend on the sequence alone, whichever process and batch it falls to.
    """
    branch = np.array(sequence.branch)
    (followed,) = np.nonzero((branch[:-1] == 0) & (branch[1:] == 0))
    chances = np.random.default_rng([21, sequence.seed]).random(len(followed))
    return [int(at) for at in followed[chances < PREFIX_SHARE]]


def drawn(maker: sequences.SequenceMaker, seed: int, at: float) -> list[packing.TrainingSequence]:
    """The sequences of one step of a stage, short ones first."""
    sequences_ = [maker.draw(seed, at)]
    while sum(len(s.tokens) for s in sequences_) < BATCH_TOKENS:
        sequences_.append(maker.draw(seed + len(sequences_), at))
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


def batches(share: list[packing.TrainingSequence]) -> list[dict[str, torch.Tensor]]:
    """Sequences as two or three batches of little padding."""
    groups: list[list[packing.TrainingSequence]] = [[]]
    for s in share:
        if groups[-1] and len(s.tokens) > 1.35 * len(groups[-1][0].tokens):
            groups.append([])
        groups[-1].append(s)
    return [collate(group) for group in groups if group]


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
        device = batch["tokens"].device
        with torch.autocast(device.type, dtype=torch.bfloat16):
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
        missed = torch.zeros((), device=device)
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, with checkpoints, until the token budget is spent; write the model folder.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="checkpoints and the model; the same one goes on")
    parser.add_argument("--tokens", type=float, default=sequences.WHOLE, help="to train on, in all")
    parser.add_argument("--processes", type=int, default=1, help="each does its share of a step")
    parser.add_argument("--seed", type=int, default=1, help="of first weights and of sequences")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="cuda where there is one")
    options = parser.parse_args(arguments)
    options.device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    checkpoint: Path = options.folder / "checkpoint.pt"
    try:
        check(options)
        state = read_checkpoint(checkpoint)
        check_going_on(state, options)
        if state and state["seen"] >= options.tokens:
            print(
                f"{options.folder} has seen {state['seen']:,} tokens, no fewer than the "
                f"{options.tokens:,.0f} asked for; give more --tokens to train on."
            )
            return 0
        print(introduction(state, options), flush=True)
        with alone_in(options.folder):
            run(options)
    except UsageError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        kept = f"goes on from {checkpoint}" if checkpoint.exists() else "begins anew"
        print(f"Stopped; the same command {kept}.", file=sys.stderr)
        return 130
    return 0


def check(options: argparse.Namespace) -> None:
    """See that the options can be meant, and make the folder.

    Raises:
        UsageError: One of them cannot.
    """
    if not (math.isfinite(options.tokens) and options.tokens > 0):
        raise UsageError(f"--tokens {options.tokens} is no number of tokens; give one above 0.")
    if options.processes < 1:
        raise UsageError(f"--processes {options.processes} leaves nobody to train; give 1 or more.")
    if not 0 <= options.seed < 2**63:
        raise UsageError(f"--seed {options.seed} is not from 0 to 2**63 - 1; give one that is.")
    if options.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda needs a GPU, and torch finds none; give --device cpu.")
    if options.device == "cuda" and options.processes > 1:
        raise UsageError(
            f"--processes {options.processes} is for CPUs only; leave it away with --device cuda, "
            "or give --device cpu."
        )
    try:
        options.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{options.folder} cannot be a folder to train in ({error.strerror}); give another."
        ) from None


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What a training was at when it was last kept; empty where there is none.

    Raises:
        UsageError: It is not whole, or no checkpoint.
    """
    if not path.exists():
        return {}
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        whole = {"model", "optimizer", "step", "seen"} <= state.keys()
    except (OSError, EOFError, RuntimeError, ValueError, AttributeError, pickle.UnpicklingError):
        whole = False
    if not whole:
        raise UsageError(
            f"{path} is no whole checkpoint; put plateau.pt in its place if there is one, or "
            "remove it to begin anew."
        )
    return state


def check_going_on(state: dict[str, Any], options: argparse.Namespace) -> None:
    """See that a checkpoint is of the training that the options ask for.

    Checkpoints of versions before 5 do not say which seed they are of, and are taken as they are.

    Raises:
        UsageError: It is of another seed.
    """
    seed = state.get("seed", options.seed)
    if seed != options.seed:
        raise UsageError(
            f"{options.folder} is being trained with --seed {seed}, not {options.seed}; give that "
            "seed, or another folder."
        )


def introduction(state: dict[str, Any], options: argparse.Namespace) -> str:
    """What is about to be done, in a line."""
    seen, version = state.get("seen", 0), state.get("version", VERSION)
    start = f"going on from step {state['step']:,}" if state else "beginning"
    other = "" if version == VERSION else f" (of version {version} of the recipe, now {VERSION})"
    processes = f"{options.processes} process{'es' if options.processes > 1 else ''}"
    return (
        f"{start}{other}: {seen / 1e6:.1f} M tokens seen, {(options.tokens - seen) / 1e6:.1f} M to "
        f"go, on {options.device}, {processes}; first figures after {FIRST} steps"
    )


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other trainings out of a folder.

    Raises:
        UsageError: One is going on there, or the folder cannot be written.
    """
    lock = FileLock(folder / "training.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UsageError(
            f"Another training is going on in {folder}; wait for it, or give another folder."
        ) from None
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be written ({error.strerror}); give another folder."
        ) from None
    try:
        yield
    finally:
        lock.release()


def run(options: argparse.Namespace) -> None:
    """Train in this process, or in several that end with it."""
    folder: Path = options.folder
    clear_meetings(folder)
    if not all((folder / name).exists() for name in TOKENIZER):
        train_tokenizer.main(folder)
    if options.processes == 1:
        train(0, options)
        return
    # Ctrl-C reaches all of them; this one alone answers it, and ends the others.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        others = torch.multiprocessing.spawn(
            train, (options,), nprocs=options.processes, join=False
        )
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        while not others.join():
            pass
    finally:
        for process in others.processes:
            process.terminate()
            process.join()
        clear_meetings(folder)


def clear_meetings(folder: Path) -> None:
    """Remove what processes found each other by; whoever holds the folder is the only user."""
    for meeting in folder.glob("meeting-*"):
        meeting.unlink(missing_ok=True)


def train(rank: int, options: argparse.Namespace) -> None:
    """One of the processes that train."""
    folder: Path = options.folder
    device = torch.device(options.device)
    torch.set_num_threads(1)
    logging.disable_progress_bar()  # one for each checkpoint, between the lines of figures
    parent = None
    if options.processes > 1:
        parent = os.getppid()
        torch.distributed.init_process_group(
            "gloo",
            init_method=f"file://{folder.resolve()}/meeting-{parent}",
            rank=rank,
            world_size=options.processes,
        )
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    pad, end = tokenizer.token_to_id(train_tokenizer.PAD), tokenizer.token_to_id(packing.END)
    model = new_model(tokenizer.get_vocab_size(), pad, end, options.seed)
    trained = Trained(model).to(device)
    if COMPILE:
        for layer in model.model.layers:
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
    if state := read_checkpoint(folder / "checkpoint.pt"):
        trained.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step, seen = state["step"], state["seen"]
    first = step + FIRST
    told = saved = time.monotonic()
    told_step, told_seen, excess, reading, missed = step, seen, 0.0, 0.0, 0.0
    # Whoever is left alone, because the command was killed, ends as well.
    while seen < options.tokens and parent in (None, os.getppid()):
        for group in optimizer.param_groups:
            group["lr"] = rate(seen, options.tokens)
        at = sequences.stage(seen, options.tokens)
        whole = drawn(maker, 1000 * (step + options.seed * 10_000_000), at)
        total = sum(len(s.targets) for s in whole)
        read = PREFIX_SHARE * max(1, sum(s.branch.count(0) for s in whole))
        speakers = max(1, sum(any(s.known.values()) for s in whole))
        for batch in batches(share_of(whole, rank, options.processes)):
            part = {name: values.to(device) for name, values in batch.items()}
            answers, prefix, levels = trained.losses(part)
            (
                answers / total + PREFIX_WEIGHT / read * prefix + LEVELS_WEIGHT / speakers * levels
            ).backward()
            excess += float(answers.detach()) / total
            reading += float(prefix.detach()) / read
            missed += float(levels.detach()) / speakers
        add_up_gradients(trained, options.processes)
        torch.nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        seen += sum(len(s.tokens) for s in whole)
        if rank == 0 and (step == first or step % EVERY == 0):
            speed = (seen - told_seen) / (time.monotonic() - told)
            # Of this process's share; times the processes it estimates the whole.
            mean = options.processes / (step - told_step)
            made = {
                "step": step,
                "tokens": seen,
                "excess_nats": round(excess * mean, 4),
                "reading_nats": round(reading * mean, 4),
                "levels_missed": round(missed * mean, 4),
                "tokens_per_s": round(speed),
                "minutes_left": round((options.tokens - seen) / speed / 60, 1),
            }
            print(json.dumps(made), flush=True)
            told, told_step, told_seen = time.monotonic(), step, seen
            excess, reading, missed = 0.0, 0.0, 0.0
        late = time.monotonic() - saved > CHECKPOINT_SECONDS
        if rank == 0 and (late or seen >= options.tokens):
            position = {"step": step, "seen": seen, "seed": options.seed, "version": VERSION}
            save(trained, optimizer, position, folder)
            if seen < (1 - COOL_DOWN) * options.tokens:
                shutil.copy(folder / "checkpoint.pt", folder / "plateau.new")
                (folder / "plateau.new").replace(folder / "plateau.pt")
            saved = time.monotonic()
    if options.processes > 1:
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
    trained: Trained, optimizer: torch.optim.Optimizer, position: dict[str, int], folder: Path
) -> None:
    """Write the model folder in bfloat16, then the checkpoint (atomically) beside it.

    In this order, so that whatever a checkpoint has seen the model folder has seen as well.
    """
    out = folder / "model"
    model = trained.model
    half = new_model(
        model.config.vocab_size, model.config.pad_token_id, model.config.eos_token_id, 0
    )
    half.load_state_dict(model.state_dict())
    half.to(torch.bfloat16).save_pretrained(out)
    (out / "model.safetensors").chmod(0o644)  # written private; it is to be shipped
    for name in TOKENIZER:
        (out / name).write_bytes((folder / name).read_bytes())
    made = {"recipe_version": VERSION, "tokens": position["seen"]}
    (out / "training.json").write_text(json.dumps(made) + "\n")
    state = {"model": trained.state_dict(), "optimizer": optimizer.state_dict(), **position}
    torch.save(state, folder / "checkpoint.new")
    (folder / "checkpoint.new").replace(folder / "checkpoint.pt")


if __name__ == "__main__":
    sys.exit(main())
