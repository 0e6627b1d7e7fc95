"""How far a run has come, as a bar on a terminal or for a callback."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.progress import Progress, Task

__all__ = ["ProgressCallback", "reporting"]

ProgressCallback = Callable[[int, int], None]
"""Takes the number of questions answered, those of earlier sessions included, and of all."""


@contextlib.contextmanager
def reporting(
    progress: ProgressCallback | Literal["bar"] | None, title: str, answered: int, total: int
) -> Iterator[Callable[[int], None]]:
    """Give a function to call with the number answered so far.

    Args:
        progress: A callback; "bar" for a bar with rate and time left, which shows only where the
            standard error stream is a terminal; None for nothing.
        title: Shown before the bar.
        answered: How many questions are answered already.
        total: How many questions there are.
    """
    if progress is None:
        yield lambda answered: None
    elif callable(progress):
        progress(answered, total)
        yield lambda answered: progress(answered, total)
    else:
        bar = _bar()
        task = bar.add_task(title, total=total, completed=answered)
        with bar:
            yield lambda answered: bar.update(task, completed=answered)


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        """Answers a second."""

        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:,.3g}/s")

    console = Console(stderr=True)
    return Progress(
        # Names of models are not markup.
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
