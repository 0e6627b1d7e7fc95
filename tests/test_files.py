from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest

from allport.files import sha256_of, write_atomically


def test_texts_and_bytes_are_written_whole_with_the_folders_above(tmp_path: Path) -> None:
    path = write_atomically(tmp_path / "new" / "deep" / "file.txt", "naïve ≥ text\n")
    assert path.read_bytes() == "naïve ≥ text\n".encode()
    assert write_atomically(str(path), b"\x00\xff") == path
    assert path.read_bytes() == b"\x00\xff"
    assert [entry.name for entry in path.parent.iterdir()] == ["file.txt"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = write_atomically(tmp_path / "file.txt", "old")

    def fail(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, step) if step == "fsync" else (Path, step)), fail)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, "new")
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interruption_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_atomically(tmp_path / "file.txt", "old")

    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_holds_the_old_file_while_the_new_one_comes(tmp_path: Path) -> None:
    path = write_atomically(tmp_path / "file.txt", "old and whole")
    with path.open(encoding="utf-8") as reader:
        write_atomically(path, "new")
        assert reader.read() == "old and whole"
    assert path.read_text() == "new"


@pytest.mark.skipif(os.name != "posix", reason="file modes are a thing of POSIX")
def test_files_are_as_readable_as_the_umask_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_umask = os.umask
    before = set_umask(0o027)

    def refuse(mask: int) -> int:
        raise AssertionError("the umask is the whole process's, and other threads write files too")

    monkeypatch.setattr(os, "umask", refuse)
    try:
        path = write_atomically(tmp_path / "file.txt", "x")
    finally:
        set_umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_atomically(tmp_path / "taken", "x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["taken"]


def test_hashes_of_texts_bytes_and_files_agree(tmp_path: Path) -> None:
    text = "é" * 3_000_000  # several blocks
    expected = hashlib.sha256(text.encode()).hexdigest()
    assert sha256_of(text) == sha256_of(text.encode()) == expected
    assert sha256_of(write_atomically(tmp_path / "file", text)) == expected
    assert sha256_of(str(tmp_path / "file")) != expected  # a text, not the file of that name
