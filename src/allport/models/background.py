"""Asynchronous work beside synchronous code."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Generic, TypeVar

__all__ = ["stream"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Item(Generic[T]):
    value: T


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None


def stream(
    produce: Callable[[Callable[[T], Awaitable[None]]], Awaitable[None]], ahead: int
) -> Iterator[T]:
    """Yield what an asynchronous producer emits, from an event loop in a thread of its own.

    The producer waits when `ahead` of its items have not been taken yet. Closing the iterator, or
    an exception such as KeyboardInterrupt while it waits, cancels the producer and waits for its
    end.

    Args:
        produce: Called with `emit`; awaits `emit(item)` for each item.
        ahead: How many items may wait to be taken, at least 1.

    Raises:
        BaseException: Whatever the producer raised, after everything it had emitted.
    """
    inbox: SimpleQueue[_Item[T] | _End] = SimpleQueue()
    started = threading.Event()
    loop: asyncio.AbstractEventLoop
    task: asyncio.Task[None]
    room: asyncio.Semaphore

    async def work() -> None:
        nonlocal loop, task, room
        loop, room = asyncio.get_running_loop(), asyncio.Semaphore(ahead)
        task = asyncio.ensure_future(_run())
        started.set()
        await task

    async def _run() -> None:
        await produce(emit)

    async def emit(item: T) -> None:
        await room.acquire()
        inbox.put(_Item(item))

    def thread() -> None:
        error: BaseException | None = None
        try:
            asyncio.run(work())
        except BaseException as caught:  # carried to the thread that iterates, and raised there
            error = caught
        finally:
            started.set()
            inbox.put(_End(error))

    worker = threading.Thread(target=thread, name="allport-endpoint", daemon=True)
    worker.start()
    started.wait()
    try:
        while isinstance(got := inbox.get(), _Item):
            # A loop that has ended needs no room.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(room.release)
            yield got.value
        if got.error is not None:
            raise got.error
    finally:
        with contextlib.suppress(RuntimeError, NameError):
            loop.call_soon_threadsafe(task.cancel)
        worker.join()
