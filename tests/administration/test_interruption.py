"""Runs that are killed, interrupted, shared or out of room, in processes of their own."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from allport.administration import Design, measure, read_run
from allport.administration.run_store import read_stored
from allport.errors import RunError
from allport.inventories.inventory import Inventory
from allport.models.scripted import ScriptedRespondent

CHILD = Path(__file__).with_name("interruptible.py")
QUESTIONS = 16 * 2 * 2 * 2


class Bench(NamedTuple):
    """Where the processes of one test work."""

    inventory: Path
    run: Path
    log: Path

    def start(self, stop: int = -1, *limits: str, cwd: Path | None = None) -> subprocess.Popen[str]:
        run = self.run if cwd is None else self.run.relative_to(cwd)
        return subprocess.Popen(
            [sys.executable, CHILD, self.inventory, run, self.log, str(stop), *limits],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
        )

    def stopped(self, stop: int) -> subprocess.Popen[str]:
        """A process that has put question `stop` and waits with its answer."""
        child = self.start(stop)
        assert child.stdout is not None
        line = child.stdout.readline()
        assert line == "waiting\n", child.communicate()[1]
        return child

    def finished(self, *limits: str) -> str:
        """What a process that runs to its end prints."""
        child = self.start(-1, *limits)
        output, errors = child.communicate(timeout=60)
        assert errors == ""
        return output

    def asked(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines()

    def stored(self) -> set[str]:
        return {str(key) for key in read_stored(self.run, read_run(self.run).record)}


@pytest.fixture
def bench(tmp_path: Path, likert: Inventory) -> Bench:
    inventory = tmp_path / "inventory.json"
    inventory.write_text(likert.model_dump_json(), encoding="utf-8")
    return Bench(inventory, tmp_path / "run", tmp_path / "asked.log")


def test_a_killed_run_goes_on_to_the_result_of_an_unbroken_one(
    bench: Bench, tmp_path: Path
) -> None:
    for stop in (50, 30):
        child = bench.stopped(stop)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        child.communicate()
    # Every answer that came is kept; the two in flight were put and not answered.
    asked = bench.asked()
    assert len(asked) == 50 + 30
    in_flight = {asked[49], asked[79]}
    assert bench.stored() == set(asked[:49]) | set(asked[50:79])
    assert not read_run(bench.run).complete

    assert bench.finished() == f"asked {QUESTIONS - 49 - 29}\n"
    asked = bench.asked()
    again = {key for key in asked if asked.count(key) > 1}
    assert again <= in_flight
    assert len(set(asked)) == QUESTIONS

    unbroken = bench._replace(run=tmp_path / "unbroken", log=tmp_path / "unbroken.log")
    unbroken.finished()
    assert read_run(bench.run).responses.equals(read_run(unbroken.run).responses)
    assert len(read_run(bench.run).record.sessions) == 3


def test_a_keyboard_interrupt_says_how_to_go_on(bench: Bench) -> None:
    child = bench.stopped(21)
    child.send_signal(signal.SIGINT)
    output, errors = child.communicate(timeout=60)
    assert errors == ""
    assert child.returncode == 1
    assert output == (
        f"RunError: Interrupted: 20 of {QUESTIONS} answers are kept in {bench.run}; measure "
        "into it again to go on from there.\n"
    )
    assert bench.stored() == set(bench.asked()[:20])
    assert bench.finished() == f"asked {QUESTIONS - 20}\n"


def test_a_second_process_on_a_run_is_refused_until_the_first_is_gone(
    bench: Bench, likert: Inventory
) -> None:
    child = bench.stopped(5)
    try:
        second = ScriptedRespondent(lambda question: 0)
        with pytest.raises(RunError, match=r"Another process is working on .*run; wait for it"):
            measure(second, likert, Design(repeats=2), bench.run)
        assert not second.asked
        # Looking on is allowed.
        assert read_run(bench.run).responses.height == 4
    finally:
        child.kill()
        child.communicate()
    assert bench.finished() == f"asked {QUESTIONS - 4}\n"


def test_a_full_disk_is_one_sentence_and_keeps_what_came(bench: Bench) -> None:
    output = bench.finished("limit", "50000")
    assert output.startswith(f"RunError: The run folder {bench.run} cannot be written (")
    assert output.endswith("answers so far are kept.\n")
    assert output.count("\n") == 1
    kept = len(bench.stored())
    assert 0 < kept < QUESTIONS
    assert bench.finished() == f"asked {QUESTIONS - kept}\n"
    assert read_run(bench.run).complete


def test_a_disk_full_from_the_start_is_one_sentence(bench: Bench) -> None:
    output = bench.finished("limit", "100")
    assert output.startswith(f"RunError: The run folder {bench.run} cannot be written (")
    assert output.count("\n") == 1


@pytest.fixture
def open_bench(likert: Inventory) -> Iterator[Bench]:
    """A bench that everybody can get to, in a folder that only its owner can write.

    The superuser may write anywhere, so processes on it become nobody.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bench = Bench(folder / "inventory.json", folder / "run", folder / "asked.log")
        bench.inventory.write_text(likert.model_dump_json(), encoding="utf-8")
        bench.log.touch()
        bench.log.chmod(0o666)
        folder.chmod(0o555)
        yield bench
        for path in (folder, *folder.glob("run")):
            path.chmod(0o755)


def test_a_folder_that_cannot_be_made_is_one_sentence(open_bench: Bench) -> None:
    output = open_bench.finished("nobody")
    assert output == (
        f"RunError: The run folder {open_bench.run} cannot be written (Permission denied); free or "
        "unlock it and measure into it again, or name another folder.\n"
    )


@pytest.mark.parametrize("locked_after", [5, QUESTIONS])
def test_a_run_that_became_read_only_is_one_sentence(open_bench: Bench, locked_after: int) -> None:
    folder = open_bench.run.parent
    folder.chmod(0o755)
    if locked_after == QUESTIONS:
        open_bench.finished()
        (open_bench.run / "responses.parquet").unlink()
    else:
        child = open_bench.stopped(locked_after)
        child.kill()
        child.communicate()
    for path in (*open_bench.run.iterdir(), open_bench.run, folder):
        path.chmod(path.stat().st_mode & 0o555)
    output = open_bench.finished("nobody")
    assert output.startswith(f"RunError: The run folder {open_bench.run} cannot be written (")
    assert output.count("\n") == 1
    if locked_after == QUESTIONS:
        assert open_bench.finished("reader") == f"read {QUESTIONS}\n"


def test_a_full_file_system_is_one_sentence(bench: Bench, tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", str(mount)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small file system is not permitted here")
    try:
        small = bench._replace(run=mount / "run")
        output = small.finished()
        assert output.startswith(f"RunError: The run folder {small.run} cannot be written (")
        assert "full" in output or "No space left" in output
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_a_question_that_was_never_answered_binds_nobody(bench: Bench, likert: Inventory) -> None:
    child = bench.stopped(1)
    child.kill()
    child.communicate()
    other = measure(ScriptedRespondent(lambda question: 0), likert, Design(), bench.run)
    assert other.complete
    assert other.asked == 16 * 2 * 2
