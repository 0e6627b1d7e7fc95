"""What was asked of writers and judges while situations are built, kept as it comes.

OUT/
├── build.json      what is built, by whom; written first, and compared when the build goes on
├── calls.sqlite    one row a call, by the hash of what was asked, of whom, under which seed
└── build.lock      held by the process that works on the folder
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

from filelock import FileLock, Timeout

from allport.errors import RunError
from allport.files import sha256_of, write_atomically

__all__ = ["CallStore", "call_key"]

_RECORD = "build.json"
_DATABASE = "calls.sqlite"
_LOCK = "build.lock"
_IN_WORDS = {"seeds": "seed items (traits, inventory or statements)"}
"""What a message calls parts of the record whose names do not say it."""
_TABLE = """
CREATE TABLE IF NOT EXISTS calls (
    key TEXT PRIMARY KEY,
    stage TEXT NOT NULL,
    asked_of TEXT NOT NULL,
    seed INTEGER NOT NULL,
    prompt TEXT NOT NULL,
    reply TEXT NOT NULL
)
"""


def call_key(asked: Any, identity: str, seed: int) -> str:
    """SHA-256 that one call is found by again: what is asked (JSON-ready), of whom, which seed."""
    return sha256_of(json.dumps([asked, identity, seed], ensure_ascii=False, sort_keys=True))


class CallStore:
    """The folder of a build, opened by the one process that works on it.

    Each reply is a transaction of its own in a write-ahead log, so that a build that is killed
    has lost nothing that came, and asks for nothing that it has.
    """

    def __init__(self, folder: Path | str, record: Mapping[str, Any]) -> None:
        """Open a new folder for a build, or the one that holds part of it.

        Args:
            folder: Made where it does not exist.
            record: What is built, JSON-ready.

        Raises:
            RunError: The folder holds another build or other files, is worked on by another
                process, or cannot be written.
        """
        self.folder = Path(folder)
        self.asked = 0
        """Replies that came in this session."""
        self._resources = contextlib.ExitStack()
        try:
            self._lock()
            self._begin(record)
            self._database = self._open()
            self._agree(record)
        except OSError as error:
            self._resources.close()
            self._fail(error)
        except BaseException:
            self._resources.close()
            raise

    def __enter__(self) -> Self:
        """The store itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the folder."""
        self._resources.close()

    def reply(self, key: str) -> str | None:
        """The reply to a call, where it came already."""
        try:
            row = self._database.execute("SELECT reply FROM calls WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error as error:
            self._fail(error)
        return None if row is None else str(row[0])

    def add(
        self, key: str, reply: str, *, stage: str, asked_of: str, seed: int, prompt: str
    ) -> None:
        """Keep one reply for good.

        Raises:
            RunError: The folder can no longer be written.
        """
        row = (key, stage, asked_of, seed, prompt, reply)
        try:
            self._database.execute("INSERT OR IGNORE INTO calls VALUES (?, ?, ?, ?, ?, ?)", row)
        except sqlite3.Error as error:
            self._fail(error)
        self.asked += 1

    def _lock(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / _LOCK, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise RunError(
                f"Another process is building in {self.folder}; wait for it, or name another "
                "folder."
            ) from None
        self._resources.callback(lock.release)

    def _begin(self, record: Mapping[str, Any]) -> None:
        if (self.folder / _RECORD).exists():
            return
        own = (_LOCK, _DATABASE, f".{_RECORD}.")
        others = [p.name for p in self.folder.iterdir() if not p.name.startswith(own)]
        if others:
            raise RunError(
                f"{self.folder} holds other files ({min(others)}) and no build; name an empty "
                "or a new folder."
            )
        self._write(record)

    def _write(self, record: Mapping[str, Any]) -> None:
        text = json.dumps(record, default=str, indent=1, ensure_ascii=False) + "\n"
        write_atomically(self.folder / _RECORD, text)

    def _agree(self, record: Mapping[str, Any]) -> None:
        wanted = json.loads(json.dumps(record, default=str))
        try:
            found = json.loads((self.folder / _RECORD).read_text("utf-8"))
        except ValueError:
            found = None
        if not isinstance(found, dict):
            found = {}
        differing = [name for name, value in wanted.items() if found.get(name) != value]
        if differing and found.keys() == wanted.keys() and not self._holds_replies():
            # Nothing was written yet, so there is nothing that another command could mix up.
            self._write(record)
        elif differing:
            what = " and ".join(_IN_WORDS.get(name, name) for name in differing)
            raise RunError(
                f"{self.folder} holds a build with other {what}; name another "
                "folder, or give the same command as before."
            )

    def _open(self) -> sqlite3.Connection:
        try:
            database = sqlite3.connect(self.folder / _DATABASE, isolation_level=None)
            self._resources.callback(_close, database)
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=NORMAL")
            database.execute(_TABLE)
        except sqlite3.Error as error:
            self._fail(error)
        return database

    def _holds_replies(self) -> bool:
        try:
            row = self._database.execute("SELECT EXISTS (SELECT 1 FROM calls)").fetchone()
        except sqlite3.Error as error:
            self._fail(error)
        return bool(row[0])

    def _fail(self, error: OSError | sqlite3.Error) -> NoReturn:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise RunError(
            f"The build folder {self.folder} cannot be written ({reason}); free or unlock it and "
            "give the same command again: what came so far is kept."
        ) from None


def _close(database: sqlite3.Connection) -> None:
    # Where the disk is full the last checkpoint fails too; the log it leaves is read next time.
    with contextlib.suppress(sqlite3.Error):
        database.close()
