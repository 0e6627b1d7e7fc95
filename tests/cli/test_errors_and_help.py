from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App

import allport.cli.runs
from allport.cli import main
from allport.cli.app import app, wants_debug
from allport.errors import AllportError


def commands(group: App, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command below a group of commands, word by word."""
    named = [name for name in group if not name.startswith("-")]
    if not named:
        return [before]
    return [words for name in named for words in commands(group[name], (*before, name))]


COMMANDS = commands(app)


def process(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own."""
    import os

    return subprocess.run(
        [sys.executable, "-m", "allport", *words],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_help_lists_every_command(allport: Any) -> None:
    said = allport("--help")
    assert said.code == 0
    for command, *_ in COMMANDS:
        assert command in said.out
    assert "--debug" in said.out


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_and_its_options(
    allport: Any, command: tuple[str, ...]
) -> None:
    said = allport(*command, "--help")
    assert said.code == 0
    assert f"allport {' '.join(command)}" in said.out
    assert "--json" in said.out
    assert said.out.split("\n\n")[1].strip().endswith((".", ":"))
    # Options stand at the beginning of a line; further on a text speaks of them.
    options = [line for line in said.out.splitlines() if re.match(r"│[ *]{1,4}(\S+ )?--", line)]
    assert options
    for line in options:
        # An option without a word on what it does would leave its last column empty.
        assert len(line.strip("│ ").split("  ")) > 1, line


def test_nothing_asked_shows_help(allport: Any) -> None:
    said = allport()
    assert said.code == 0
    assert "Usage" in said.out


def test_version(allport: Any) -> None:
    from importlib.metadata import version

    assert allport("--version").out.strip() == version("allport")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("mesure",), "Did you mean"),
        (("measure",), "MODEL"),
        (("measure", "a", "b", "--inventory", "x"), "b"),
        (("inventories", "paint"), "paint"),
        (("compare", "one"), "SECOND"),
        (("report",), "RUN"),
        (("score",), "FILE"),
        (("demo", "--inventory", "x"), "--inventory"),
        (("runs", "--json=maybe"), "maybe"),
    ],
)
def test_a_wrong_request_is_one_sentence_with_code_2(
    allport: Any, sentence: Any, words: tuple[str, ...], said: str
) -> None:
    answer = allport(*words)
    sentence(answer, 2)
    assert said in answer.err
    assert "--help` shows what it takes." in answer.err


def fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(allport.cli.runs, "console", fail)


def test_unexpected_errors_are_one_sentence_that_asks_for_debug(
    allport: Any, sentence: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(KeyError("some\nkey"), monkeypatch)
    said = allport("runs")
    sentence(said, 1)
    assert "KeyError" in said.err
    assert "--debug" in said.err


def test_debug_shows_where_it_happened(allport: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(KeyError("key"), monkeypatch)
    for words in (("runs", "--debug"), ("--debug", "runs")):
        said = allport(*words)
        assert said.code == 1
        assert "Traceback" in said.err
        assert "in fail" in said.err


def test_notes_follow_the_sentence(allport: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    error = AllportError("It broke.")
    error.add_note("Mend it.")
    fail_with(error, monkeypatch)
    assert allport("runs").err == "It broke.\nMend it.\n"


def test_errors_cannot_act_on_the_terminal(allport: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(AllportError("\x1b[2Jgone\x07 " + "x" * 5000), monkeypatch)
    said = allport("runs")
    assert "\x1b" not in said.err
    assert len(said.err) < 2200


def test_interrupt_is_a_sentence(
    allport: Any, sentence: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(KeyboardInterrupt(), monkeypatch)
    said = allport("runs")
    sentence(said, 1)
    assert said.err == "Interrupted.\n"


def test_what_an_unexpected_error_names_stays_as_it_is(
    allport: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(OSError("'../there' is gone.."), monkeypatch)
    assert allport("runs").err.startswith("OSError: '../there' is gone. Run the same")


def test_debug_after_two_dashes_is_a_word_like_any_other() -> None:
    assert wants_debug(["measure", "m", "--debug"])
    assert not wants_debug(["measure", "--", "--debug"])


def test_commands_are_not_imported_until_they_run() -> None:
    code = (
        "import sys; from allport.cli import main; main(['--help']); "
        "heavy = {'torch', 'transformers', 'polars', 'altair', 'scipy', 'openai', 'numpy', "
        "'pydantic', 'jinja2', 'vl_convert', 'rich.progress'} & set(sys.modules); "
        "ours = [m for m in sys.modules if m.startswith('allport.') and m.count('.') > 1]; "
        "print(sorted(heavy), sorted(ours), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stderr.strip() == "[] ['allport.cli.app']"


def test_process_ends_with_the_code_of_the_error(tmp_path: Path) -> None:
    unknown = process("measure", "m", "--inventory", "nothing", cwd=tmp_path)
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "Traceback" not in unknown.stderr
    assert "There is no inventory named 'nothing'" in unknown.stderr


def test_unknown_model_folder_is_a_sentence(tmp_path: Path) -> None:
    done = process("measure", "./no-model", "--inventory", "mini-ipip-20", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "./no-model" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_hub_id_out_of_reach_is_a_sentence(tmp_path: Path) -> None:
    done = process(
        *("measure", "no-such-owner/no-such-model", "--inventory", "mini-ipip-20"),
        cwd=tmp_path,
        HF_HUB_OFFLINE="1",
        HF_HOME=str(tmp_path),
    )
    assert done.returncode == 1
    assert "no-such-owner/no-such-model" in done.stderr
    assert "local folder" in done.stderr
    assert "Traceback" not in done.stderr


def test_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -m allport inventories show ipip-neo-300 | head -n 1"
    done = subprocess.run(
        command, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert "IPIP" in done.stdout
    assert done.stderr == ""


def test_main_takes_the_words_of_the_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["allport", "--version"])
    assert main() == 0
    assert capsys.readouterr().out.strip()
