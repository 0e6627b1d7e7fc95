"""One person's answers while they are being given, kept so that nothing given is lost.

Every answer goes to a progress file beside the person file before the next question is shown. A
survey that was left, interrupted or killed goes on where it was; what is lost at worst is the
answer being written at that moment. The progress file is JSON lines and goes when the person file
is there.
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from allport.errors import ResponsesError, UsageError
from allport.inventories.inventory import Inventory, Item, Option
from allport.personas.person import Person, write_person

if TYPE_CHECKING:
    import numpy as np
    from filelock import BaseFileLock
    from numpy.typing import NDArray

__all__ = ["Survey", "open_survey"]

_FORMAT = "allport-survey-2"
_SUFFIX = ".progress"


class Survey:
    """An inventory being answered by one person, in an order of their own.

    Use it as a context manager; `open_survey` makes it. The question to be answered is `item`;
    `give`, `skip` and `back` move on from it, and `finish` writes the person file.
    """

    def __init__(
        self,
        inventory: Inventory,
        path: Path,
        seed: int,
        about: dict[str, Any],
        answers: _Answers,
        choices: dict[int, int],
    ) -> None:
        """Made by `open_survey`."""
        self.inventory, self.path, self.seed = inventory, path, seed
        self.name: str = about["name"]
        self.sex: str | None = about["sex"]
        self.age: int | None = about["age"]
        numbers = list(inventory.numbers)
        random.Random(seed).shuffle(numbers)
        self.order = tuple(numbers)
        """Item numbers in the order that they are asked in."""
        self.answers = answers
        """Literal value by item number; None where a question was skipped."""
        self.choices = choices
        """Index of the option chosen, in content order, by item number."""
        self.resumed = len(answers)
        """How many questions had been answered or skipped when the survey was opened."""
        self._file: BinaryIO | None = None
        self._lock: BaseFileLock | None = None

    @property
    def progress_file(self) -> Path:
        """Where answers are kept until the person file is written."""
        return self.path.with_name(self.path.name + _SUFFIX)

    @property
    def item(self) -> Item | None:
        """The question to be answered; None when all have been answered or skipped."""
        number = next((number for number in self.order if number not in self.answers), None)
        return None if number is None else self.inventory.item(number)

    @property
    def skipped(self) -> tuple[int, ...]:
        """Numbers of the items that were skipped, in the order asked."""
        return tuple(n for n in self.order if n in self.answers and self.answers[n] is None)

    def options(self, item: Item) -> tuple[Option, ...]:
        """The answers to choose from as they are shown: a scale as it is, other options shuffled.

        Options of a situation stand in the inventory by what they speak for, which would tell.
        """
        options = list(self.inventory.options(item))
        if item.options:
            random.Random(f"{self.seed}-{item.number}").shuffle(options)
        return tuple(options)

    def give(self, option: Option) -> None:
        """Answer the question with one of its options, and keep it on disk.

        Raises:
            UsageError: Every question is answered, or the option is none of the item's.
            ResponsesError: The answer cannot be written.
        """
        item = self._asked()
        options = self.inventory.options(item)
        if option not in options:
            raise UsageError(f"{option.text!r} is no answer to item {item.number}.")
        self._keep(item.number, option.value, options.index(option))

    def skip(self) -> None:
        """Leave the question unanswered; it will be missing from the person file.

        Raises:
            UsageError: Every question is answered.
            ResponsesError: It cannot be written.
        """
        self._keep(self._asked().number, None, None)

    def back(self) -> bool:
        """Take back the last answer, so that its question is asked again.

        Returns:
            Whether there was one.
        """
        last = next((number for number in reversed(self.order) if number in self.answers), None)
        if last is None:
            return False
        self._write({"item": last, "undone": True})
        del self.answers[last]
        self.choices.pop(last, None)
        return True

    def finish(self) -> Person:
        """Write the person file and remove the progress file.

        Raises:
            UsageError: Questions are open.
            ResponsesError: Every question was skipped, or the file cannot be written.
        """
        if self.item is not None:
            raise UsageError(
                f"{len(self.order) - len(self.answers)} questions are not answered yet."
            )
        given = {n: v for n in self.inventory.numbers if (v := self.answers[n]) is not None}
        if not given:
            raise ResponsesError(
                "Every question was skipped, so there is no person to write; delete "
                f"{self.progress_file} to begin again."
            )
        own = {n: c for n, c in self.choices.items() if self.inventory.item(n).options}
        person = Person(self.name, self.inventory, given, sex=self.sex, age=self.age, choices=own)
        try:
            write_person(person, self.path)
        except OSError as error:
            raise self._unwritable(self.path, error) from None
        self.close()
        self.progress_file.unlink(missing_ok=True)
        return person

    def close(self) -> None:
        """Let go of the progress file, which stays. A survey can be closed twice."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._lock is not None:
            self._lock.release()
            Path(self._lock.lock_file).unlink(missing_ok=True)
            self._lock = None

    def __enter__(self) -> Self:
        """The survey itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def _asked(self) -> Item:
        item = self.item
        if item is None:
            raise UsageError("Every question is answered.")
        return item

    def _keep(self, number: int, value: float | None, choice: int | None) -> None:
        # On disk first: what the screen shows as answered is answered.
        self._write({"item": number, "value": value, "choice": choice})
        self.answers[number] = value
        if choice is not None:
            self.choices[number] = choice

    def _write(self, entry: dict[str, Any]) -> None:
        if self._file is None:
            raise UsageError("The survey is closed.")
        try:
            self._file.write(json.dumps(entry).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._unwritable(self.progress_file, error) from None

    def _unwritable(self, path: Path, error: OSError) -> ResponsesError:
        kept = self.progress_file.exists()
        then = f"what was kept before is in {self.progress_file}" if kept else "name another file"
        return ResponsesError(f"{path} cannot be written ({error.strerror or error}); {then}.")

    def _open(self, keep: int) -> None:
        """Lock and open the progress file, cut to what is whole of it; a new one gets its head."""
        from filelock import FileLock, Timeout

        path = self.progress_file
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(f"{path}.lock", timeout=0)
            self._lock.acquire()
            self._file = path.open("ab")
            self._file.truncate(keep)
        except Timeout:
            self._lock = None
            if not Path(f"{path}.lock").exists():
                # Where no file can be made, as in /proc, waiting for the lock ends like this, too.
                error = OSError("no file can be made there")
                raise self._unwritable(path, error) from None
            raise UsageError(
                f"{path} is being filled in elsewhere; end that survey, or name another file with "
                "--out."
            ) from None
        except OSError as error:
            self.close()
            raise self._unwritable(path, error) from None
        if not keep:
            self._write(
                {
                    "format": _FORMAT,
                    "inventory": self.inventory.name,
                    "inventory_hash": self.inventory.content_hash,
                    "seed": self.seed,
                }
            )
        self._write({"name": self.name, "sex": self.sex, "age": self.age})


_Answers = dict[int, float | None]


def open_survey(
    path: Path | str,
    inventory: Inventory,
    *,
    name: str | None = None,
    sex: str | None = None,
    age: int | None = None,
    seed: int | None = None,
) -> Survey:
    """Begin a survey, or go on with the one that was begun for the same file.

    Args:
        path: The person file to be written.
        inventory: What to ask.
        name: Of the person; the file's name by default. What was said when the survey was begun
            holds for name, sex and age unless they are given anew.
        sex: "female" or "male", which chooses the norms.
        age: In years, 1 to 120, likewise.
        seed: Chooses the order of the questions; by default each survey has an order of its own,
            which is kept.

    Raises:
        UsageError: The file is there already, the survey begun is another one, somebody is filling
            it in, or the sex or age cannot be.
        ResponsesError: The progress file is damaged or cannot be written.
        InventoryError: The inventory has no texts to ask.
    """
    inventory = inventory.require_text()
    path = Path(path)
    if path.exists():
        raise UsageError(f"{path} is there already; name another file with --out, or remove it.")
    if sex not in (None, "female", "male"):
        raise UsageError(f"The norms know the sexes female and male, not {sex!r}.")
    if age is not None and not 1 <= age <= 120:
        raise UsageError(f"{age} is not the age of a person in years.")
    progress = path.with_name(path.name + _SUFFIX)
    about: dict[str, Any] = {"name": path.stem, "sex": None, "age": None}
    answers: _Answers = {}
    choices: dict[int, int] = {}
    entries, keep = _whole_lines(progress) if progress.exists() else ([], 0)
    if entries:
        kept_seed = _begun(progress, entries, inventory)
        if seed not in (None, kept_seed):
            raise UsageError(
                f"The survey in {progress} was begun with seed {kept_seed}, not {seed}; leave "
                "--seed out to go on with it, or name another file with --out."
            )
        seed = kept_seed
        answers, choices = _replayed(progress, entries[1:], inventory, about)
    if seed is None:
        seed = random.SystemRandom().randrange(2**31)
    given = {"name": name, "sex": sex, "age": age}
    about |= {key: value for key, value in given.items() if value is not None}
    survey = Survey(inventory, path, seed, about, answers, choices)
    survey._open(keep)
    return survey


def _whole_lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The entries of a progress file, and how many bytes they take; a torn last line is left."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ResponsesError(f"{path} cannot be read ({error.strerror or error}).") from None
    entries: list[dict[str, Any]] = []
    end = content.rfind(b"\n") + 1
    head = json.dumps({"format": _FORMAT}).encode().rstrip(b"}")
    if not end and content[: len(head)] != head[: len(content)]:
        raise ResponsesError(f"{path} is no survey in progress; delete it to begin one.")
    for number, line in enumerate(content[:end].splitlines(), start=1):
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        if not isinstance(entry, dict):
            raise ResponsesError(
                f"{path}, line {number} is damaged; mend it, or delete the file to begin again."
            )
        entries.append(entry)
    return entries, end


def _begun(path: Path, entries: list[dict[str, Any]], inventory: Inventory) -> int:
    """The seed of a survey that was begun, once it is sure to be this one."""
    head = entries[0]
    if head.get("format") != _FORMAT or not isinstance(head.get("seed"), int):
        raise ResponsesError(f"{path} is no survey in progress; delete it to begin one.")
    if head.get("inventory") != inventory.name:
        raise UsageError(
            f"The survey in {path} asks {head.get('inventory')}, not {inventory.name}; go on with "
            f"--inventory {head.get('inventory')}, or name another file with --out."
        )
    if head.get("inventory_hash") != inventory.content_hash:
        raise UsageError(
            f"{inventory.name} has changed since the survey in {path} was begun; name another file "
            "with --out."
        )
    return int(head["seed"])


def _replayed(
    path: Path, entries: list[dict[str, Any]], inventory: Inventory, about: dict[str, Any]
) -> tuple[_Answers, dict[int, int]]:
    """The answers, and options chosen, that a progress file adds up to.

    `about` takes what it says of the person.
    """
    answers: _Answers = {}
    choices: dict[int, int] = {}
    for line, entry in enumerate(entries, start=2):
        if "item" not in entry:
            about |= {key: entry[key] for key in about if entry.get(key) is not None}
            continue
        number, value, choice = entry["item"], entry.get("value"), entry.get("choice")
        skipped = value is None and choice is None
        if number not in inventory.numbers or not (
            skipped or _is_answer(inventory.option_values(inventory.item(number)), value, choice)
        ):
            raise ResponsesError(
                f"{path}, line {line} is no answer to {inventory.name}; mend it, or delete the "
                "file to begin again."
            )
        if entry.get("undone"):
            answers.pop(number, None)
            choices.pop(number, None)
        else:
            answers[number] = value
            if choice is not None:
                choices[number] = choice
    return answers, choices


def _is_answer(values: NDArray[np.float64], value: object, choice: object) -> bool:
    return isinstance(choice, int) and 0 <= choice < len(values) and values[choice] == value
