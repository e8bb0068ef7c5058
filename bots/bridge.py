"""Carries a blocking stream into asyncio, so that a reader who leaves stops the work behind it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor
from typing import TypeVar, cast

from coach.errors import EngineTimeout

T = TypeVar("T")
STOP_SECONDS = 5.0
_LOOK_SECONDS = 0.5


async def carry(
    open_stream: Callable[[threading.Event], Iterator[T]], *, cancel: threading.Event, executor: Executor | None = None
) -> AsyncIterator[T]:
    """Yield what `open_stream(cancel)` yields, run in one thread of `executor` from beginning to end.

    Closing or cancelling this iterator sets `cancel`; the stream stops at its next look at the flag. Errors of the
    stream are raised here, and EngineTimeout when it does not end within STOP_SECONDS after `cancel` was set: its reader
    goes on, whatever hangs behind it.
    """
    loop = asyncio.get_running_loop()
    inbox: asyncio.Queue[object] = asyncio.Queue()
    end = object()
    left = threading.Event()

    def hand_over(item: object) -> None:
        # The loop is closed when the program ends before the thread does; then nobody is left to tell.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(inbox.put_nowait, item)

    def pump() -> None:
        try:
            stream = open_stream(cancel)
            for item in stream:
                hand_over(item)
                if left.is_set():
                    break
            close = getattr(stream, "close", None)
            if close is not None:
                close()
        except BaseException as error:
            hand_over(_Failure(error))
        hand_over(end)

    loop.run_in_executor(executor, pump)
    try:
        while (item := await _next_item(inbox, cancel)) is not end:
            if isinstance(item, _Failure):
                raise item.error
            yield cast(T, item)
    finally:
        left.set()
        cancel.set()


async def _next_item(inbox: asyncio.Queue[object], cancel: threading.Event) -> object:
    stopped_at: float | None = None
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_SECONDS):
                return await inbox.get()
        if cancel.is_set():
            stopped_at = stopped_at or time.monotonic()
            if time.monotonic() - stopped_at > STOP_SECONDS:
                raise EngineTimeout(f"The model did not stop within {STOP_SECONDS:g} s of being told to. Ask again later.")


class _Failure:
    """An error on its way from the thread to the reader."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
