"""Batches that run side by side on one set of weights, and the CPU's threads that they share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from coach.engines.decoding import ForwardStop, TokenQueue, typed
from coach.engines.greedy import GreedyDecoder, Row
from coach.engines.last_token import LastTokenOnly
from coach.errors import EngineUnavailable

if TYPE_CHECKING:
    from coach.engines.checkpoint import Checkpoint

MOST_LANES = 2


@cache
def default_threads() -> int:
    """CPU threads that torch takes by itself; asked for before the first lane changes it for threads that start later."""
    import torch

    return torch.get_num_threads()


class Cores:
    """`threads` CPU threads for the lanes that compute: all for one alone, an equal part for each of several.

    Two lanes with a thread each answer more than one lane with two: between its products torch uses one thread, and so
    does Python.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._users = 0
        self._lock = threading.Lock()

    @contextmanager
    def used(self) -> Iterator[None]:
        """Compute inside."""
        with self._lock:
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1

    def take_share(self) -> None:
        """Let torch use this thread's part from now on; cheap enough for every pass."""
        import torch

        share = max(1, self._threads // max(1, self._users))
        if torch.get_num_threads() != share:
            torch.set_num_threads(share)


class Lane:
    """A running batch and the thread that it runs in."""

    def __init__(self, checkpoint: Checkpoint, stop: ForwardStop, last_token: LastTokenOnly, cores: Cores) -> None:
        self.decoder = GreedyDecoder(checkpoint, stop, last_token, cores.take_share)
        self.worker = ThreadPoolExecutor(1, "lane")


class Lanes:
    """Serves greedy rows in the lane with the fewest, and what must be alone in the first lane."""

    def __init__(self, checkpoint: Checkpoint, threads: int) -> None:
        self.stop, self.last_token = ForwardStop(checkpoint.model), LastTokenOnly(checkpoint.model)
        self._cores = Cores(threads)
        count = min(MOST_LANES, threads) if checkpoint.device == "cpu" else 1
        self._lanes = [Lane(checkpoint, self.stop, self.last_token, self._cores) for _ in range(count)]
        self._alone: set[Future[None]] = set()
        self._choice = threading.Lock()

    def __len__(self) -> int:
        return len(self._lanes)

    def add(self, row: Row) -> None:
        """Put a row in line. Raises EngineUnavailable when the lanes are closed."""
        with self._choice:
            loads = [lane.decoder.load for lane in self._lanes]
            loads[0] += len(self._alone)
            lane = self._lanes[loads.index(min(loads))]
            lane.decoder.add(row)
        self._submit(lane, lambda: lane.decoder.run(self._somebody_waits if lane is self._lanes[0] else lambda: False))

    def add_alone(self, work: Callable[[], None], tokens: TokenQueue) -> None:
        """Let `work`, which fills `tokens`, run when the first lane is free; nobody joins that lane meanwhile."""

        def run() -> None:
            try:
                work()
            except BaseException as error:  # handed to the consumer, who would otherwise wait for ever
                tokens.finish(typed(error))
            else:
                tokens.finish()

        def left(future: Future[None]) -> None:
            self._alone.discard(future)
            if future.cancelled():
                tokens.finish(closed())

        future = self._submit(self._lanes[0], run)
        self._alone.add(future)
        future.add_done_callback(left)

    def close(self) -> None:
        """Finish what is under way and tell those in line."""
        for lane in self._lanes:
            lane.worker.shutdown(wait=True, cancel_futures=True)
            lane.decoder.close(closed())

    def _submit(self, lane: Lane, work: Callable[[], None]) -> Future[None]:
        def run() -> None:
            with self._cores.used():
                self._cores.take_share()
                work()

        try:
            return lane.worker.submit(run)
        except RuntimeError as error:
            raise closed() from error

    def _somebody_waits(self) -> bool:
        return any(not other.running() for other in tuple(self._alone))


def closed() -> EngineUnavailable:
    """What those are told who ask a closed engine."""
    return EngineUnavailable("The engine was closed.")
