"""The command line in this process, with a model that answers by rule."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from allport.cli import main
from allport.cli.model_options import ModelOptions
from allport.inventories import load_inventory
from allport.models.respondent import Question
from allport.models.scripted import ScriptedRespondent

LEVELS = {"N": -0.9, "E": 0.2, "O": 0.5, "A": 0.9, "C": -0.3}


@dataclass(frozen=True)
class Said:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Allport = Callable[..., Said]


@pytest.fixture
def allport(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Allport:
    """Run a command in an empty folder, with nothing imported before."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALLPORT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def run(*words: object) -> Said:
        capsys.readouterr()
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return run


def answering(shift: float = 0.0, stop_after: int | None = None) -> ScriptedRespondent:
    """Answers around a level of each trait; interrupts itself after some answers if asked to."""
    keys = {
        item.text: (item.key, LEVELS[item.trait])
        for name in ("ipip-neo-120", "mini-ipip-20")
        for item in load_inventory(name).items
    }
    count = 0

    def script(question: Question) -> list[float]:
        nonlocal count
        count += 1
        if stop_after is not None and count > stop_after:
            raise KeyboardInterrupt
        text = next(t for t in keys if t and t in question.messages[-1].content)
        key, level = keys[text]
        places = np.arange(len(question.options))
        middle = places.mean() + key * (1.2 * level + shift) + math.sin(question.item)
        weights = np.exp(-((places - middle) ** 2))
        return (0.97 * weights / weights.sum()).tolist()

    return ScriptedRespondent(script, "by-rule", {"shift": shift})


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Callable[[ScriptedRespondent], None]:
    """Let every model name stand for one that answers by rule."""

    def use(respondent: ScriptedRespondent) -> None:
        monkeypatch.setattr(ModelOptions, "load", lambda options, name: respondent)

    use(answering())
    return use


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What every model is loaded with, in order; each is one that answers neutrally."""
    import allport.models

    found: list[tuple[str, dict[str, Any]]] = []

    def load(name: str, **given: Any) -> ScriptedRespondent:
        found.append((name, {key: value for key, value in given.items() if value is not None}))
        return ScriptedRespondent(lambda question: 2, name)

    for loader in ("load_model", "Endpoint"):
        monkeypatch.setattr(allport.models, loader, load, raising=False)
    return found


@pytest.fixture
def by_rule() -> Callable[..., ScriptedRespondent]:
    """Makes models that answer by rule."""
    return answering


@pytest.fixture
def sentence() -> Callable[[Said, int], None]:
    """Check that an error was said in a sentence, with the right code, and nothing else."""

    def check(said: Said, code: int) -> None:
        assert said.code == code
        assert said.out == ""
        assert "Traceback" not in said.err
        assert said.err.rstrip().endswith((".", "takes."))
        assert len(said.err.strip().splitlines()) <= 2

    return check
