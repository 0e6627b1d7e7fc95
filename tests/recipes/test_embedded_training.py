"""The embedded model's recipe trains, goes on where it was stopped, and says what it cannot do."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers.utils import logging

RECIPE = Path(__file__).parents[2] / "recipes" / "embedded"
TOKENS = "4000"
SMALL = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 5,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}


@pytest.fixture(scope="module")
def recipe() -> Iterator[SimpleNamespace]:
    """The modules of the recipe, which import each other as scripts in one folder do."""
    names = {file.stem for file in RECIPE.glob("*.py")}
    before = {name: sys.modules.pop(name, None) for name in names}
    threads = torch.get_num_threads()
    sys.path.insert(0, str(RECIPE))
    try:
        yield SimpleNamespace(**{name: __import__(name) for name in names})
    finally:
        torch.set_num_threads(threads)
        logging.enable_progress_bar()  # type: ignore[no-untyped-call]
        sys.path.remove(str(RECIPE))
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module


@pytest.fixture
def train(recipe: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The training, of a small model, that does not compile and keeps every step."""
    monkeypatch.setattr(recipe.train, "CONFIG", recipe.train.CONFIG | SMALL)
    monkeypatch.setattr(recipe.train, "BATCH_TOKENS", 256)
    monkeypatch.setattr(recipe.train, "COMPILE", False)
    monkeypatch.setattr(recipe.train, "CHECKPOINT_SECONDS", -1)
    monkeypatch.setattr(recipe.train, "FIRST", 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    return recipe.train


@pytest.fixture(scope="module")
def tokenizer(recipe: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tokenizer")
    recipe.train_tokenizer.main(made)
    return made


def begun(tokenizer: Path, folder: Path) -> Path:
    """A folder to train in whose tokenizer is made."""
    return Path(shutil.copytree(tokenizer, folder))


def stop_in_step(monkeypatch: pytest.MonkeyPatch, train: Any, number: int) -> None:
    """Have Ctrl-C pressed in a step."""
    add_up, steps = train.add_up_gradients, iter(range(1, 1000))

    def stopping(*given: Any) -> None:
        if next(steps) == number:
            raise KeyboardInterrupt
        add_up(*given)

    monkeypatch.setattr(train, "add_up_gradients", stopping)


def test_a_training_that_was_stopped_ends_with_the_weights_of_an_unbroken_one(
    train: Any,
    tokenizer: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    whole, broken = (begun(tokenizer, tmp_path / name) for name in ("whole", "broken"))
    (whole / "meeting-1").touch()  # of a training that was killed
    assert train.main([str(whole), "--tokens", TOKENS]) == 0
    assert not list(whole.glob("meeting-*"))
    assert not list(whole.glob("*.new"))
    start, first, *_ = capsys.readouterr().out.splitlines()
    assert start.startswith("beginning: 0.0 M tokens seen, 0.0 M to go, on cpu, 1 process;")
    figures = json.loads(first)
    assert figures["step"] == 2
    # Nothing is learned in two steps: a loss of about log 4,096 on prefixes.
    assert 7 < figures["reading_nats"] < 10

    with monkeypatch.context() as patch:
        stop_in_step(patch, train, 3)
        assert train.main([str(broken), "--tokens", TOKENS]) == 130
    stopped = capsys.readouterr().err
    assert stopped == f"Stopped; the same command goes on from {broken / 'checkpoint.pt'}.\n"
    kept = torch.load(broken / "checkpoint.pt", weights_only=True)
    assert (kept["step"], kept["seed"], kept["version"]) == (2, 1, train.VERSION)
    assert (broken / "plateau.pt").read_bytes() == (broken / "checkpoint.pt").read_bytes()
    assert train.main([str(broken), "--tokens", TOKENS]) == 0
    assert capsys.readouterr().out.startswith("going on from step 2: ")

    one, other = (torch.load(f / "checkpoint.pt", weights_only=True) for f in (whole, broken))
    assert one["step"] == other["step"] > 4
    assert one["seen"] == other["seen"] >= int(TOKENS)
    assert all(torch.equal(value, other["model"][name]) for name, value in one["model"].items())
    weights = [(f / "model" / "model.safetensors").read_bytes() for f in (whole, broken)]
    assert weights[0] == weights[1]

    model = AutoModelForCausalLM.from_pretrained(whole / "model")
    assert model.config.hidden_size == 16
    torch.testing.assert_close(
        model.lm_head.weight.bfloat16(), one["model"]["model.lm_head.weight"].bfloat16()
    )
    assert len(AutoTokenizer.from_pretrained(whole / "model")) == model.config.vocab_size
    made = json.loads((whole / "model" / "training.json").read_text("utf-8"))
    assert made == {"recipe_version": train.VERSION, "tokens": one["seen"]}


@pytest.fixture
def trained(train: Any, tokenizer: Path, tmp_path: Path) -> Path:
    """A folder where a training came to its end, after one step."""
    folder = begun(tokenizer, tmp_path / "trained")
    assert train.main([str(folder), "--tokens", "1"]) == 0
    return folder


def test_a_training_that_has_seen_enough_changes_nothing(
    train: Any, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {f: (f.stat().st_mtime_ns, f.read_bytes()) for f in trained.rglob("*") if f.is_file()}
    capsys.readouterr()
    assert train.main([str(trained), "--tokens", "1"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{trained} has seen ")
    assert said.endswith(
        " tokens, no fewer than the 1 asked for; give more --tokens to train on.\n"
    )
    after = {f: (f.stat().st_mtime_ns, f.read_bytes()) for f in trained.rglob("*") if f.is_file()}
    assert after == before


def test_another_seed_is_refused_by_name(
    train: Any, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main([str(trained), "--tokens", TOKENS, "--seed", "4"]) == 2
    assert capsys.readouterr().err == (
        f"{trained} is being trained with --seed 1, not 4; give that seed, or another folder.\n"
    )


def test_a_checkpoint_that_says_no_seed_is_gone_on_from(train: Any, trained: Path) -> None:
    state = torch.load(trained / "checkpoint.pt", weights_only=True)
    older = {name: state[name] for name in ("model", "optimizer", "step", "seen")}
    torch.save(older, trained / "checkpoint.pt")
    more = str(state["seen"] + 1)
    assert train.main([str(trained), "--tokens", more, "--seed", "4"]) == 0
    after = torch.load(trained / "checkpoint.pt", weights_only=True)
    assert (after["step"], after["seed"]) == (state["step"] + 1, 4)


def test_the_version_that_a_checkpoint_is_of_is_said(train: Any) -> None:
    options = SimpleNamespace(tokens=3e6, device="cpu", processes=2)
    said = train.introduction({"step": 1200, "seen": 2_500_000, "version": 4}, options)
    assert said == (
        f"going on from step 1,200 (of version 4 of the recipe, now {train.VERSION}): 2.5 M tokens "
        "seen, 0.5 M to go, on cpu, 2 processes; first figures after 2 steps"
    )


@pytest.mark.parametrize("content", [0.5, b"", b"no checkpoint", {"step": 1}, [1]])
def test_a_checkpoint_that_is_not_whole_is_refused(
    train: Any, trained: Path, capsys: pytest.CaptureFixture[str], content: Any
) -> None:
    checkpoint = trained / "checkpoint.pt"
    if isinstance(content, float):
        whole = checkpoint.read_bytes()
        checkpoint.write_bytes(whole[: int(content * len(whole))])
    elif isinstance(content, bytes):
        checkpoint.write_bytes(content)
    else:
        torch.save(content, checkpoint)
    assert train.main([str(trained), "--tokens", TOKENS]) == 2
    assert capsys.readouterr().err == (
        f"{checkpoint} is no whole checkpoint; put plateau.pt in its place if there is one, or "
        "remove it to begin anew.\n"
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--tokens", "nan"], "--tokens nan is no number of tokens"),
        (["--tokens", "inf"], "--tokens inf is no number of tokens"),
        (["--tokens", "0"], "--tokens 0.0 is no number of tokens"),
        (["--tokens=-5"], "--tokens -5.0 is no number of tokens"),
        (["--processes", "0"], "--processes 0 leaves nobody to train"),
        (["--seed=-1"], "--seed -1 is not from 0"),
        (["--seed", str(2**63)], f"--seed {2**63} is not from 0"),
        (["--device", "cuda"], "--device cuda needs a GPU, and torch finds none"),
    ],
)
def test_options_that_cannot_be_meant_are_refused_in_a_sentence(
    train: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    said: str,
) -> None:
    folder = tmp_path / "new"
    assert train.main([str(folder), *options]) == 2
    told = capsys.readouterr()
    assert told.err.startswith(said)
    assert told.err.count("\n") == 1
    assert told.out == ""
    assert not folder.exists()


@pytest.mark.parametrize("below", ["", "folder"])
def test_a_file_is_no_folder_to_train_in(
    train: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], below: str
) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / below
    assert train.main([str(folder)]) == 2
    assert capsys.readouterr().err.startswith(f"{folder} cannot be a folder to train in (")


def test_two_trainings_do_not_share_a_folder(
    train: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "meeting-1").touch()
    with train.alone_in(tmp_path):
        assert train.main([str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"Another training is going on in {tmp_path}; wait for it, or give another folder.\n"
    )
    assert (tmp_path / "meeting-1").exists()  # where those that train may meet
    with train.alone_in(tmp_path):
        pass


@pytest.mark.parametrize("there", [True, False])
def test_a_gpu_is_taken_where_there_is_one(
    train: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    taken = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(train, "run", lambda options: taken.append(options.device))
    assert train.main([str(tmp_path)]) == 0
    assert train.main([str(tmp_path), "--device", "cpu"]) == 0
    assert taken == ["cuda" if there else "cpu", "cpu"]


def test_several_processes_are_for_cpus(
    train: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert train.main([str(tmp_path), "--processes", "2"]) == 2
    assert capsys.readouterr().err == (
        "--processes 2 is for CPUs only; leave it away with --device cuda, or give --device cpu.\n"
    )


def test_losses_are_worked_out_where_the_batch_is(
    recipe: SimpleNamespace, train: Any, tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a device that holds no numbers, and so mixes with no other."""
    from tokenizers import Tokenizer

    cut = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
    maker = recipe.sequences.SequenceMaker(cut, recipe.people.item_bank())
    (batch,) = train.batches([maker.draw(1, 1e6)])
    assert batch["mask"].dtype == torch.bfloat16
    trained = train.Trained(train.new_model(cut.get_vocab_size(), 0, 4, 1)).to("meta")
    autocast = []

    def noted(device: str, **_: Any) -> contextlib.AbstractContextManager[None]:
        autocast.append(device)
        return contextlib.nullcontext()

    monkeypatch.setattr(torch, "autocast", noted)
    losses = trained.losses({name: values.to("meta") for name, values in batch.items()})
    assert [loss.device.type for loss in losses] == ["meta"] * 3
    assert autocast == ["meta"]


@pytest.mark.slow
def test_several_processes_train_and_are_stopped_together(tokenizer: Path, tmp_path: Path) -> None:
    folder = begun(tokenizer, tmp_path / "both")
    # Started processes read this file as well, and so train the same small model.
    script = tmp_path / "small.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(RECIPE)!r})\nimport train\n"
        f"train.CONFIG |= {SMALL!r}\ntrain.COMPILE = False\ntrain.CHECKPOINT_SECONDS = -1\n"
        "if __name__ == '__main__':\n    sys.exit(train.main())\n"
    )

    def start(tokens: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(script), str(folder), "--tokens", tokens, "--processes", "2"]
        pipe = subprocess.PIPE
        # As a terminal does it, Ctrl-C goes to all processes of a session.
        return subprocess.Popen(
            [*command, "--device", "cpu"],
            stdout=pipe,
            stderr=pipe,
            text=True,
            start_new_session=True,
        )

    stopped = start("1e9")
    limit = time.monotonic() + 300
    while not (folder / "checkpoint.pt").exists() and stopped.poll() is None:
        assert time.monotonic() < limit
        time.sleep(0.1)
    os.killpg(stopped.pid, signal.SIGINT)
    _, errors = stopped.communicate(timeout=60)
    assert errors == f"Stopped; the same command goes on from {folder / 'checkpoint.pt'}.\n"
    assert stopped.returncode == 130
    assert not list(folder.glob("meeting-*"))

    seen = torch.load(folder / "checkpoint.pt", weights_only=True)["seen"]
    going_on = start(str(seen + 5000))
    out, errors = going_on.communicate(timeout=300)
    assert going_on.returncode == 0, errors
    assert out.startswith("going on from step ")
    assert torch.load(folder / "checkpoint.pt", weights_only=True)["seen"] >= seen + 5000
    assert not list(folder.glob("meeting-*"))
