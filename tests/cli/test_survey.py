"""`allport survey`, driven as a person drives it: keys on a terminal, or lines through a pipe."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from allport.cli.survey import _next_command, time_left
from allport.corpora import open_survey
from allport.inventories import load_inventory
from allport.personas import Person, read_person, write_person

MINI = load_inventory("mini-ipip-20")
WITHIN = 20.0
"""Seconds after which a process that says nothing counts as stuck."""
_ENVIRONMENT = {"TERM": "xterm", "COLUMNS": "100", "LINES": "40", "OMP_NUM_THREADS": "1"}


def command(*words: str) -> list[str]:
    # As leader of its session the process makes the terminal its own, so that Ctrl-C reaches it.
    code = (
        "import os, sys\n"
        "if os.isatty(0): os.close(os.open(os.ttyname(0), os.O_RDWR))\n"
        "from allport.cli import main\n"
        "sys.exit(main())"
    )
    inventory = () if "--inventory" in words else ("--inventory", "mini-ipip-20")
    return [sys.executable, "-c", code, "survey", *inventory, *words]


class Terminal:
    """A survey on a pseudo-terminal."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process, self.master = process, master
        self.shown = ""

    def until(self, pattern: str) -> str:
        """Read what is shown up to a pattern, and forget it."""
        while not (found := re.search(pattern, self.shown)):
            ready = select.select([self.master], [], [], WITHIN)[0]
            assert ready, f"nothing like {pattern!r} in {self.shown!r}"
            try:
                more = os.read(self.master, 65536)
            except OSError:  # the other end is closed
                more = b""
            assert more, f"it ended before {pattern!r}: {self.shown!r}"
            self.shown += more.decode(errors="replace")
        before, self.shown = self.shown[: found.end()], self.shown[found.end() :]
        return before

    def question(self, place: int) -> str:
        """Wait until a question can be answered."""
        return self.until(rf"{place} of 20 [^>]*> ")

    def press(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def rest(self) -> str:
        """Everything until it ends."""
        while select.select([self.master], [], [], WITHIN)[0]:
            try:
                more = os.read(self.master, 65536)
            except OSError:
                break
            if not more:
                break
            self.shown += more.decode(errors="replace")
        return self.shown


@contextmanager
def on_terminal(folder: Path, *words: str) -> Iterator[Terminal]:
    pty = pytest.importorskip("pty", reason="pseudo-terminals are a thing of POSIX systems")
    master, slave = pty.openpty()
    process = subprocess.Popen(
        command(*words),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=folder,
        env={**os.environ, **_ENVIRONMENT},
        start_new_session=True,
    )
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        process.kill()
        process.wait()
        os.close(master)


def piped(folder: Path, lines: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words),
        input=lines,
        cwd=folder,
        env={**os.environ, **_ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )


def kept(folder: Path) -> dict[int, float | None]:
    with open_survey(folder / "me.json", MINI) as survey:
        return dict(survey.answers)


@pytest.mark.parametrize(
    ("inventory", "answered", "command"),
    [
        ("mini-ipip-20", 20, "allport measure embedded --person {} --inventory ipip-neo-120"),
        ("ipip-neo-120", 29, "allport measure embedded --person {} --inventory ipip-neo-120"),
        ("ipip-neo-120", 30, "allport align embedded --to {} --method pas"),
        ("ipip-neo-300", 300, "allport align embedded --to {} --method pas"),
    ],
)
def test_the_command_named_at_the_end_is_one_that_works(
    tmp_path: Path, inventory: str, answered: int, command: str
) -> None:
    asked = load_inventory(inventory)
    answers = {number: float(1 + number % 5) for number in asked.numbers[:answered]}
    file = write_person(Person("ada", asked, answers), tmp_path / "ada.json")
    assert _next_command(file) == command.format(file)
    # The name of an inventory that was read from a file leads nowhere.
    file.write_text(file.read_text("utf-8").replace(inventory, "my-own"), encoding="utf-8")
    assert _next_command(file) == ""


# --- a terminal -----------------------------------------------------------------------------------


def test_a_survey_by_single_keys(tmp_path: Path) -> None:
    order = order_of(tmp_path, 3)
    with on_terminal(
        tmp_path, "--seed", "3", "--name", "Ada", "--sex", "female", "--age", "30"
    ) as it:
        first = it.question(1)
        assert "Mini-IPIP" in first
        assert "about 2 min left" in first
        item = MINI.item(order[0])
        assert f"I {item.text}".lower()[:30] in first.lower()
        assert re.search(r"5 +Very Accurate", first)
        for place in range(1, 21):
            if place > 1:
                it.question(place)
            it.press(str(1 + place % 5).encode())
        ended = it.rest()
    assert it.process.returncode in (0, -signal.SIGKILL)
    assert "Extraversion" in ended
    assert "Person file: me.json" in ended
    # Twenty answers are too few to align to.
    assert "allport align" not in ended
    assert "A model like you: allport measure embedded --person me.json" in ended
    person = read_person(tmp_path / "me.json")
    assert (person.name, person.sex, person.age) == ("Ada", "female", 30)
    expected = {number: float(1 + place % 5) for place, number in enumerate(order, start=1)}
    assert person.literal_answers == expected


def test_keys_that_are_no_answers_change_nothing(tmp_path: Path) -> None:
    with on_terminal(tmp_path, "--seed", "1") as it:
        it.question(1)
        it.press(b"9")
        assert "'9' is no answer: 1 to 5, please" in it.question(1)
        it.press("é".encode())
        assert "'é' is no answer" in it.question(1)
        it.press(b"?")
        assert "b takes the last answer back" in it.question(1)
        it.press(b"\r \x1b[A2")  # Enter, a blank and an arrow are passed over
        it.question(2)
        it.press(b"q")
        assert "1 of 20 questions are answered and kept" in it.rest()
    assert list(kept(tmp_path).values()) == [2.0]


def test_answers_are_taken_back_and_questions_skipped(tmp_path: Path) -> None:
    with on_terminal(tmp_path, "--seed", "1") as it:
        it.question(1)
        it.press(b"1")
        it.question(2)
        it.press(b"\x1b[D")  # the left arrow
        it.question(1)
        it.press(b"4")
        it.question(2)
        it.press(b"s")
        it.question(3)
        it.press(b"5")
        it.question(4)
        it.press(b"\x7f")  # Backspace
        it.question(3)
        it.press(b"\x04")  # the end of input
        it.rest()
    assert list(kept(tmp_path).values()) == [4.0, None]


@pytest.mark.parametrize("how", ["Ctrl-C", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_nothing_given_is_lost_however_it_ends(tmp_path: Path, how: str) -> None:
    with on_terminal(tmp_path) as it:
        for place in range(1, 8):
            it.question(place)
            it.press(b"2")
        it.question(8)
        if how == "Ctrl-C":
            it.press(b"\x03")
        else:
            it.process.send_signal(getattr(signal, how))
        said = it.rest()
        code = it.process.wait(WITHIN)
    if how == "SIGKILL":
        assert code == -signal.SIGKILL
    else:
        assert code == 1
        assert "7 of 20 questions are answered and kept in me.json.progress" in said
        assert "Traceback" not in said
    assert len(kept(tmp_path)) == 7
    with on_terminal(tmp_path) as it:
        assert "Going on after 7 questions" in it.question(8)
        for place in range(8, 21):
            if place > 8:
                it.question(place)
            it.press(b"5")
        it.rest()
    answers = list(read_person(tmp_path / "me.json").literal_answers.values())
    assert (answers.count(2.0), answers.count(5.0)) == (7, 13)
    assert [path.name for path in tmp_path.iterdir()] == ["me.json"]


def test_the_terminal_is_left_as_it_was(tmp_path: Path) -> None:
    termios = pytest.importorskip("termios", reason="a thing of POSIX systems")
    with on_terminal(tmp_path) as it:
        before = termios.tcgetattr(it.master)
        it.question(1)
        it.press(b"3")
        it.question(2)
        it.press(b"\x03")
        it.until("1 of 20 questions are answered")
        assert termios.tcgetattr(it.master) == before


# --- lines ----------------------------------------------------------------------------------------


def order_of(folder: Path, seed: int) -> tuple[int, ...]:
    with open_survey(folder / "order", MINI, seed=seed) as survey:
        order = survey.order
    survey.progress_file.unlink()
    return order


def test_lines_through_a_pipe(tmp_path: Path) -> None:
    order = order_of(tmp_path, 8)
    lines = ["5", "Very Inaccurate", "s", "3", "back", "2", *["4"] * 16]
    ended = piped(tmp_path, "\n".join(lines) + "\n", "--seed", "8", "--out", "you.json", "--json")
    assert (ended.returncode, json.loads(ended.stdout)["skipped"]) == (0, [order[2]])
    assert "20 of 20" in ended.stderr
    person = read_person(tmp_path / "you.json")
    expected = dict.fromkeys(order, 4.0) | {order[0]: 5.0, order[1]: 1.0, order[3]: 2.0}
    del expected[order[2]]
    assert person.literal_answers == expected
    assert person.name == "you"
    told = json.loads(ended.stdout)
    assert (told["file"], told["answered"], told["inventory"]) == ("you.json", 19, "mini-ipip-20")
    assert {row["code"] for row in told["profile"]["traits"]} == set("NEOAC")


def test_lines_that_end_early_are_kept_and_gone_on_with(tmp_path: Path) -> None:
    first = piped(tmp_path, "1\n" * 6)
    assert first.returncode == 1
    assert "6 of 20 questions are answered and kept in me.json.progress" in first.stderr
    assert "\x1b" not in first.stdout
    second = piped(tmp_path, "5\n" * 14)
    assert (second.returncode, second.stderr) == (0, "")
    assert "7 of 20" in second.stdout
    answers = list(read_person(tmp_path / "me.json").literal_answers.values())
    assert (answers.count(1.0), answers.count(5.0)) == (6, 14)


@pytest.mark.parametrize("line", ["6", "0", "-1", "yes", "", "٣"])
def test_a_wrong_line_stops_a_stream_before_answers_shift(tmp_path: Path, line: str) -> None:
    ended = piped(tmp_path, f"1\n2\n{line}\n" + "3\n" * 20)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"Line 3, {line!r}, is no answer: give 1 to 5")
    assert ended.stderr.count("\n") == 1
    assert list(kept(tmp_path).values()) == [1.0, 2.0]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--out", "taken.json"], "taken.json is there already"),
        (["--inventory", "bfi-44"], "bfi-44 ships its key but not its texts"),
        (["--inventory", "nothing"], "There is no inventory named 'nothing'"),
        (["--age", "200"], "200 is not the age"),
        (["--sex", "other"], "--sex"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(
    tmp_path: Path, words: list[str], reason: str
) -> None:
    (tmp_path / "taken.json").write_text("{}", encoding="utf-8")
    ended = piped(tmp_path, "1\n", *words)
    assert ended.returncode in (1, 2)
    assert reason in ended.stderr
    assert "Traceback" not in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["taken.json"]


# --- the time left --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("questions", "seconds", "words"),
    [
        (120, [], "about 10 min left"),
        (120, [2.0, 2.0], "about 10 min left"),
        (120, [2.0, 3.0, 2.0], "about 4 min left"),
        (100, [3.0] * 9 + [3600.0], "about 5 min left"),
        (60, [60.0] * 20 + [2.0] * 20, "about 2 min left"),
        (5, [4.0] * 5, "under a minute left"),
    ],
)
def test_the_time_left_goes_by_the_latest_answers_and_not_by_pauses(
    questions: int, seconds: list[float], words: str
) -> None:
    assert time_left(questions, seconds) == words
