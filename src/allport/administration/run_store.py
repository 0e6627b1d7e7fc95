"""Run folders: answers on disk as they come, so that a run killed at any moment goes on later.

RUN/
├── run.json            what was asked of whom, in full; see `RunRecord`
├── responses.sqlite    one row a response, unique on item, condition and reading
├── responses.parquet   the same as a frame, once the run is complete
└── run.lock            held by the process that works on the run
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import platform
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self
from urllib.parse import quote

from filelock import FileLock, Timeout

from allport.administration.planning import QuestionKey
from allport.administration.run_record import (
    RunRecord,
    Session,
    describe_differences,
    now,
    package_versions,
)
from allport.errors import RunError
from allport.files import write_atomically
from allport.models.respondent import Condition, Response

__all__ = ["DATABASE", "FRAME", "RECORD", "RunStore", "read_stored"]

RECORD = "run.json"
DATABASE = "responses.sqlite"
FRAME = "responses.parquet"
_LOCK = "run.lock"
_OWN = (_LOCK, DATABASE, f".{RECORD}.")
"""How the names of files begin that a run makes before its record."""

_KEY = ("item", "template", "option_order", "form", "persona", "repeat", "reading")
_VALUES = (
    "probabilities",
    "choice",
    "label_mass",
    "refused",
    "unparsable",
    "text",
    "prompt_tokens",
    "completion_tokens",
)
_TABLE = f"""
CREATE TABLE IF NOT EXISTS responses (
    item INTEGER NOT NULL,
    template TEXT NOT NULL,
    option_order TEXT NOT NULL,
    form TEXT NOT NULL,
    persona TEXT NOT NULL,
    repeat INTEGER NOT NULL,
    reading TEXT NOT NULL,
    probabilities TEXT,
    choice INTEGER,
    label_mass REAL,
    refused INTEGER NOT NULL,
    unparsable INTEGER NOT NULL,
    text TEXT,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    PRIMARY KEY ({", ".join(_KEY)})
)
"""
_COLUMNS = (*_KEY, *_VALUES)
_INSERT = (
    f"INSERT INTO responses ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' for _ in _COLUMNS)})"
)
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM responses"


class RunStore:
    """A run folder opened by the one process that works on it.

    Every response is a transaction of its own. In write-ahead mode without waiting for the disk
    that costs about 15 microseconds, so no answer that came is lost when the process is killed; a
    power cut may lose the last ones, and leaves the rest whole.
    """

    def __init__(self, folder: Path | str, record: RunRecord) -> None:
        """Open a new folder for a run, or one that holds part of the same run.

        Args:
            folder: The run folder; made where it does not exist.
            record: What is about to be asked of whom.

        Raises:
            RunError: The folder holds another run or other files, is worked on by another process,
                or cannot be written.
        """
        self.folder = Path(folder)
        self._reading = record.design.reading
        self._stored = 0
        self._resources = contextlib.ExitStack()
        try:
            self._lock()
            self._refuse_other_files()
            self._database = self._open_database()
            self.record = self._agree(record)
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
        self.close()

    def close(self) -> None:
        """Close the database and let other processes work on the run."""
        self._resources.close()

    def responses(self) -> dict[QuestionKey, Response]:
        """Every response stored, by question."""
        try:
            stored = dict(_rows(self._database, self._reading))
        except sqlite3.Error as error:
            self._fail(error)
        self._stored = len(stored)
        return stored

    def add(self, response: Response) -> None:
        """Store one response for good.

        Raises:
            RunError: It is stored already, or the folder can no longer be written.
        """
        try:
            self._database.execute(_INSERT, _row(response, self._reading))
        except sqlite3.IntegrityError:
            raise RunError(
                f"{self.folder}: item {response.item} was answered twice under one condition."
            ) from None
        except sqlite3.Error as error:
            self._fail(error)
        self._stored += 1

    def note_observed(self, observed: Mapping[str, Any]) -> None:
        """Note in the record of this session what asking found out about the respondent."""
        *before, session = self.record.sessions
        if observed and observed != session.observed:
            session = dataclasses.replace(session, observed=dict(observed))
            self.record = dataclasses.replace(self.record, sessions=(*before, session))
            self._write_record(self.record)

    def finish(self) -> None:
        """Note in the record that every question is answered."""
        if self.record.finished is None:
            self.record = dataclasses.replace(self.record, finished=now())
            self._write_record(self.record)

    def _lock(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / _LOCK, timeout=0)
            lock.acquire()
        except Timeout:
            raise RunError(
                f"Another process is working on {self.folder}; wait for it, or name another run "
                "folder."
            ) from None
        except OSError as error:
            self._fail(error)
        self._resources.callback(lock.release)

    def _refuse_other_files(self) -> None:
        if (self.folder / RECORD).exists():
            return
        # What a run leaves that was killed before its record was written is no other file.
        others = [p.name for p in self.folder.iterdir() if not p.name.startswith(_OWN)]
        if others:
            raise RunError(
                f"{self.folder} holds other files ({min(others)}) and no run; name an empty or a "
                "new folder."
            )

    def _agree(self, record: RunRecord) -> RunRecord:
        path = self.folder / RECORD
        session = Session(now(), package_versions(), platform.platform())
        agreed = dataclasses.replace(record, started=now(), sessions=(session,))
        # A run that got no answer at all (a model that could not be asked, say) binds nobody.
        if self._any_response():
            recorded = RunRecord.read(path)
            if differences := recorded.differences(record):
                raise RunError(
                    f"{self.folder} holds another run: {describe_differences(differences)}. Name "
                    "another run folder, or ask as it was asked."
                )
            if recorded.finished is not None:
                return recorded
            agreed = dataclasses.replace(recorded, sessions=(*recorded.sessions, session))
        self._write_record(agreed)
        return agreed

    def _any_response(self) -> bool:
        """Whether the folder has a response by any reading: those of another bind it as well."""
        try:
            found = self._database.execute("SELECT EXISTS(SELECT 1 FROM responses)").fetchone()
        except sqlite3.Error as error:
            self._fail(error)
        return bool(found[0])

    def _write_record(self, record: RunRecord) -> None:
        try:
            write_atomically(self.folder / RECORD, record.to_json())
        except OSError as error:
            self._fail(error)

    def _open_database(self) -> sqlite3.Connection:
        try:
            database = sqlite3.connect(self.folder / DATABASE, isolation_level=None)
            self._resources.callback(_close, database)
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=NORMAL")
            database.execute(_TABLE)
        except sqlite3.Error as error:
            self._fail(error)
        return database

    def _fail(self, error: OSError | sqlite3.Error) -> NoReturn:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        kept = f" The {self._stored} answers so far are kept." if self._stored else ""
        raise RunError(
            f"The run folder {self.folder} cannot be written ({reason}); free or unlock it and "
            f"measure into it again, or name another folder.{kept}"
        ) from None


def read_stored(folder: Path, record: RunRecord) -> dict[QuestionKey, Response]:
    """Every response in a run folder, by question, without changing the folder.

    Raises:
        RunError: The database cannot be read.
    """
    path = folder / DATABASE
    if not path.exists():
        return {}
    # A database closed cleanly in a folder that cannot be written opens only when declared
    # unchanging; one that was left open must be read through its write-ahead log.
    ways = ["mode=ro"] if Path(f"{path}-wal").exists() else ["mode=ro", "immutable=1"]
    problem: sqlite3.Error | None = None
    for way in ways:
        try:
            database = sqlite3.connect(f"file:{quote(str(path.absolute()))}?{way}", uri=True)
            with contextlib.closing(database):
                return dict(_rows(database, record.design.reading))
        except sqlite3.Error as error:
            problem = error
    raise RunError(f"{path} cannot be read ({problem}).")


def _rows(database: sqlite3.Connection, reading: str) -> Iterator[tuple[QuestionKey, Response]]:
    for row in database.execute(f"{_SELECT} WHERE reading = ?", (reading,)):
        item, template, order, form, persona, repeat, _, *values = row
        probabilities, choice, mass, refused, unparsable, text, prompt, completion = values
        yield (
            QuestionKey(item, template, order, form, persona, repeat),
            Response(
                item=item,
                condition=Condition(template, order, form, persona, repeat),
                probabilities=None if probabilities is None else tuple(json.loads(probabilities)),
                choice=choice,
                label_mass=math.nan if mass is None else mass,
                refused=bool(refused),
                unparsable=bool(unparsable),
                text=text,
                prompt_tokens=prompt,
                completion_tokens=completion,
            ),
        )


def _row(response: Response, reading: str) -> tuple[Any, ...]:
    condition = response.condition
    return (
        response.item,
        condition.template,
        condition.order,
        condition.form,
        condition.persona,
        condition.repeat,
        reading,
        # JSON gives back every float exactly, and stays readable in any SQLite shell.
        None if response.probabilities is None else json.dumps(response.probabilities),
        response.choice,
        response.label_mass,  # SQLite has no NaN: it becomes NULL.
        response.refused,
        response.unparsable,
        response.text,
        response.prompt_tokens,
        response.completion_tokens,
    )


def _close(database: sqlite3.Connection) -> None:
    # Where the disk is full the last checkpoint fails too; the log it leaves is read next time.
    with contextlib.suppress(sqlite3.Error):
        database.close()
