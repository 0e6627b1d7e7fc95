"""`allport survey`: answer an inventory yourself."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from types import FrameType
from typing import TYPE_CHECKING, Literal

from allport.cli.keys import Answering, by_key, by_line
from allport.cli.output import Json, console, print_json
from allport.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from allport.corpora import Survey
    from allport.inventories import Item, Option
    from allport.personas import Person

__all__ = ["survey", "time_left"]

_FIRST_GUESS = 5.0
"""Seconds that an answer takes, before there is anything to go by."""
_RECENT = 20
_MOST_KEYS = 9
_HELP = "b takes the last answer back, s skips the question, q stops; nothing given is lost."


def survey(
    *,
    inventory: str = "ipip-neo-120",
    out: Path = Path("me.json"),
    name: str | None = None,
    sex: Literal["female", "male"] | None = None,
    age: int | None = None,
    seed: int | None = None,
    json: Json = False,
) -> int:
    """Answer an inventory yourself: your profile, and a person file for align.

    Questions come in an order of your own. Every answer is kept at once: leave with q or Ctrl-C,
    and the same command goes on where you were. Where the input is no terminal, each line is an
    answer.

    Args:
        inventory: What to ask: a name that allport inventories list shows, or a file.
        out: The person file to write.
        name: What to call you; the file's name by default.
        sex: For percentiles among people like you; may be left out.
        age: Likewise, in years.
        seed: Chooses the order of the questions.
        json: Print JSON for machines; questions go to the standard error stream.
    """
    from allport.corpora import open_survey
    from allport.inventories import load_inventory

    asked = load_inventory(inventory)
    screen = _screen(json)
    with open_survey(out, asked, name=name, sex=sex, age=age, seed=seed) as begun:
        _welcome(screen, begun)
        if not _ask_all(screen, begun):
            _paused(begun)
            return 1
        skipped = begun.skipped
        person = begun.finish()
    _show(screen, person, out, skipped, json)
    return 0


def time_left(questions: int, seconds: list[float]) -> str:
    """How long a number of questions will take, in words.

    Args:
        questions: How many are left.
        seconds: How long the latest ones took; pauses among them do not matter.
    """
    each = median(seconds[-_RECENT:]) if len(seconds) >= 3 else _FIRST_GUESS
    minutes = questions * each / 60
    if minutes < 1:
        return "under a minute left"
    return f"about {round(minutes)} min left"


def _ask_all(screen: Console, begun: Survey) -> bool:
    """Ask what is open; False where the person left before the end."""
    most = max(len(begun.inventory.options(item)) for item in begun.inventory.items)
    terminal = bool(sys.stdin and sys.stdin.isatty())
    answering = by_key() if terminal and most <= _MOST_KEYS else None
    restore = _leave_when_terminated()
    try:
        with answering or by_line() as source:
            return _asked_to_the_end(screen, begun, source, terminal)
    except KeyboardInterrupt:
        return False
    finally:
        restore()


def _asked_to_the_end(screen: Console, begun: Survey, source: Answering, terminal: bool) -> bool:
    taken: list[float] = []
    words = 0
    said = ""
    while (item := begun.item) is not None:
        options = begun.options(item)
        _show_question(screen, begun, item, options, taken, said)
        said = ""
        before = time.monotonic()
        word = source.read()
        if word is None or word in ("q", "quit"):
            return False
        words += 1
        if _acted(begun, word, options):
            taken.append(time.monotonic() - before)
        elif word in ("?", "h", "help"):
            said = _HELP
        elif terminal:
            said = f"{word!r} is no answer: 1 to {len(options)}, please. {_HELP}"
        else:
            # In a stream of answers one wrong line may mean that all after it are shifted.
            raise UsageError(
                f"Line {words}, {word[:40]!r}, is no answer: give 1 to {len(options)}, s to skip "
                f"or b to go back; {len(begun.answers)} of {len(begun.order)} questions are kept "
                f"in {begun.progress_file}."
            )
    return True


def _acted(begun: Survey, word: str, options: tuple[Option, ...]) -> bool:
    """Do what was asked; False where it cannot be understood."""
    if word in ("b", "back"):
        begun.back()
        return True
    if word in ("s", "skip"):
        begun.skip()
        return True
    by_text = {option.text.lower(): option for option in options}
    if word.isascii() and word.isdigit() and 1 <= int(word) <= len(options):
        begun.give(options[int(word) - 1])
        return True
    if word in by_text:
        begun.give(by_text[word])
        return True
    return False


def _leave_when_terminated() -> Callable[[], None]:
    """Let a polite kill end the survey as Ctrl-C does, with the terminal as it was."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    names = ("SIGTERM", "SIGHUP")
    before = {}
    for each in (getattr(signal, name) for name in names if hasattr(signal, name)):
        before[each] = signal.signal(each, leave)

    def restore() -> None:
        for each, handler in before.items():
            signal.signal(each, handler)

    return restore


def _screen(json: bool) -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, emoji=False) if json else console()


def _welcome(screen: Console, begun: Survey) -> None:
    screen.print(f"{begun.inventory.title}: {len(begun.order)} questions.", style="bold")
    screen.print(f"Answer with a number. {_HELP}")
    if begun.resumed:
        screen.print(f"Going on after {begun.resumed} questions.")
    screen.print()


def _show_question(
    screen: Console,
    begun: Survey,
    item: Item,
    options: tuple[Option, ...],
    taken: list[float],
    said: str,
) -> None:
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    from allport.administration.statements import statement
    from allport.reporting.plain_text import printable

    if screen.is_terminal and not screen.is_dumb_terminal and len(begun.answers) > begun.resumed:
        screen.clear()
    done, total = len(begun.answers), len(begun.order)
    head = Table.grid(padding=(0, 1))
    words = f"{done + 1} of {total} · {done / total:.0%} · {time_left(total - done, taken)}"
    if screen.is_terminal:
        head.add_row(ProgressBar(total=total, completed=done, width=24), words)
        screen.print(head)
    else:
        screen.print(words)
    # Texts of imported inventories are anybody's.
    screen.print(printable(statement(item.text or "", begun.inventory.stem, "first")), style="bold")
    for number, option in enumerate(options, start=1):
        screen.print(f"  {number}  {printable(option.text)}")
    if said:
        screen.print(printable(said), style="yellow")
    screen.print("> ", end="")


def _paused(begun: Survey) -> None:
    print(
        f"\n{len(begun.answers)} of {len(begun.order)} questions are answered and kept in "
        f"{begun.progress_file}; the same command goes on.",
        file=sys.stderr,
    )


def _show(screen: Console, person: Person, out: Path, skipped: tuple[int, ...], json: bool) -> None:
    from allport.reporting import person_subject
    from allport.reporting.content import to_json
    from allport.reporting.terminal import print_subject

    subject = person_subject(person)
    if json:
        print_json(
            {
                "file": str(out),
                "name": person.name,
                "inventory": person.inventory.name,
                "answered": len(person.literal_answers),
                "skipped": sorted(skipped),
                "profile": to_json(subject),
            }
        )
        return
    if screen.is_terminal and not screen.is_dumb_terminal:
        screen.clear()
    else:
        screen.print()
    print_subject(screen, subject, person.inventory.title)
    if person.inventory.norms and (person.sex is None or person.age is None):
        screen.print(
            f"Percentiles go by sex and age: allport score {out} --sex female --age 30, say.",
            style="dim",
        )
    screen.print(f"Person file: {out}", style="bold")
    command = _next_command(out)
    if command:
        screen.print(f"A model like you: {command}")


def _next_command(file: Path) -> str:
    """What makes a model answer as the person does, given what they answered; empty for nothing."""
    from allport.alignment.answers_to_fit import fitting_answers
    from allport.errors import AllportError
    from allport.personas import read_person

    try:
        person = read_person(file)
    except AllportError:
        # Its inventory came from a file, and the name of it leads nowhere.
        return ""
    try:
        fitting_answers(person)
    except AllportError:
        return f"allport measure embedded --person {file} --inventory ipip-neo-120"
    return f"allport align embedded --to {file} --method pas"
