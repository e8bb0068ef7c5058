"""One fair, bounded queue in front of the engine, shared by every front end."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from coach.errors import QueueFull

# Setting a cancel flag notifies nobody, so waiters look at it this often.
_LOOK_SECONDS = 0.05
_FIRST_GUESS_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class QueueState:
    """What /metrics and the status line show."""

    running: int
    waiting: int
    seconds_per_turn: float


class Cancelled(QueueFull):
    """The asker left while waiting."""


class Admission:
    """Lets `running` requests at a time through, one of each user in turn; at most `queue_size` wait.

    Users take turns whatever front end they come from: one who floods the queue delays others by one turn each.
    """

    def __init__(self, queue_size: int = 32, per_minute: int = 20, *, running: int = 1) -> None:
        self._queue_size = queue_size
        self._running_limit = running
        self._condition = threading.Condition()
        self._waiting: OrderedDict[str, deque[Ticket]] = OrderedDict()
        self._running = 0
        self._closed = False
        self._seconds_per_turn = _FIRST_GUESS_SECONDS
        self._rate = RateLimitItemPerMinute(per_minute)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    @property
    def state(self) -> QueueState:
        """How many run and wait now, and how long a turn takes on average."""
        with self._condition:
            return QueueState(self._running, self._count(), self._seconds_per_turn)

    def check_rate(self, user: str) -> None:
        """Count one request of the user. Raises QueueFull beyond the rate, telling when the next is welcome."""
        if self._limiter.hit(self._rate, user or "anonymous"):
            return
        reset = self._limiter.get_window_stats(self._rate, user or "anonymous").reset_time
        wait = max(1.0, reset - time.time())
        raise QueueFull(f"More than {self._rate.amount} questions in a minute. Try again in {wait:.0f} s.", wait)

    def widen(self, running: int) -> None:
        """Let at least `running` requests at a time through."""
        with self._condition:
            self._running_limit = max(self._running_limit, running)
            self._condition.notify_all()

    def join(self, user: str) -> Ticket:
        """A place in the queue. Raises QueueFull when `queue_size` requests wait already, or while shutting down.

        Use it as a context manager: leaving gives the place back. `Ticket.wait` yields the position while it changes.
        """
        with self._condition:
            if self._closed:
                raise QueueFull("The coach is shutting down. Try again in a minute.", 60.0)
            waiting = self._count()
            free = self._running < self._running_limit and not waiting
            if not free and waiting >= self._queue_size:
                wait = max(1.0, self._seconds_per_turn * (waiting + 1) / self._running_limit)
                raise QueueFull(f"{waiting} questions wait already. Try again in about {wait:.0f} s.", wait)
            ticket = Ticket(self, user)
            self._waiting.setdefault(user, deque()).append(ticket)
            return ticket

    @contextmanager
    def turn(
        self, user: str, *, cancel: threading.Event | None = None, on_position: Callable[[int], None] | None = None
    ) -> Iterator[None]:
        """Wait for a turn and hold it. `on_position` hears 1 for the next in line.

        Raises QueueFull, or Cancelled when `cancel` is set before the turn came.
        """
        with self.join(user) as ticket:
            for position in ticket.wait(cancel):
                if on_position:
                    on_position(position)
            yield

    def close(self) -> None:
        """Admit nobody new; those who wait or run may finish."""
        with self._condition:
            self._closed = True

    # -- for Ticket ----------------------------------------------------------------------------------------------------

    def _count(self) -> int:
        return sum(len(queue) for queue in self._waiting.values())

    def _line(self) -> list[Ticket]:
        """Everybody who waits, in the order in which they will be served: first of each user, then second of each."""
        ranked = [
            (depth, turn, ticket)
            for turn, queue in enumerate(self._waiting.values())
            for depth, ticket in enumerate(queue)
        ]
        return [ticket for _, _, ticket in sorted(ranked, key=lambda item: item[:2])]

    def _start(self, ticket: Ticket) -> bool:
        """Give the ticket its turn when it is first in line and a place is free."""
        if self._running >= self._running_limit or self._line()[0] is not ticket:
            return False
        self._forget(ticket)
        if ticket.user in self._waiting:
            self._waiting.move_to_end(ticket.user)
        self._running += 1
        return True

    def _forget(self, ticket: Ticket) -> None:
        queue = self._waiting.get(ticket.user)
        if queue and ticket in queue:
            queue.remove(ticket)
            if not queue:
                del self._waiting[ticket.user]

    def _finish(self, seconds: float) -> None:
        self._running -= 1
        self._seconds_per_turn += 0.2 * (seconds - self._seconds_per_turn)


class Ticket:
    """One place in the queue, waiting or running."""

    def __init__(self, admission: Admission, user: str) -> None:
        self.user = user
        self._admission = admission
        self._started: float | None = None

    def wait(self, cancel: threading.Event | None = None) -> Iterator[int]:
        """Yield the position whenever it changes (1 is next), and return once the turn has come.

        Nothing is yielded when the turn comes at once. Raises Cancelled when `cancel` is set first.
        """
        shown = 0
        condition = self._admission._condition
        while True:
            with condition:
                if cancel is not None and cancel.is_set():
                    raise Cancelled("The question was withdrawn while it waited.", 1.0)
                if self._admission._start(self):
                    self._started = time.monotonic()
                    condition.notify_all()
                    return
                position = self._admission._line().index(self) + 1
                if position == shown:
                    condition.wait(_LOOK_SECONDS)
                    continue
            shown = position
            yield position

    def __enter__(self) -> Ticket:
        return self

    def __exit__(self, *_: object) -> None:
        condition = self._admission._condition
        with condition:
            if self._started is None:
                self._admission._forget(self)
            else:
                self._admission._finish(time.monotonic() - self._started)
            condition.notify_all()
