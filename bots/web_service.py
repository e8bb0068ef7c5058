"""What web, API and Discord share in one process: the coach, the store, the rate limit, metrics and running answers."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from bots.bridge import STOP_SECONDS, carry
from coach.admission import Admission, Cancelled
from coach.domain import Answer, Event, Queued, Request
from coach.errors import CoachError, EngineUnavailable, QueueFull
from coach.store.progress import ProgressStore
from coach.store.sessions import Sessions
from coach.store.tables import Database

if TYPE_CHECKING:
    from coach.pipeline import Coach

T = TypeVar("T")
log = logging.getLogger(__name__)

_SECONDS = (0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 40, 80)
# More than this is held in memory by answers nobody reads yet; a user's own further questions wait for the first ones.
_RUNNING_PER_USER = 8


class Metrics:
    """The figures of /metrics, in a registry of their own so that two apps can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("coach_requests", "Requests by skill, outcome and front end",
                                ("skill", "outcome", "front_end"), registry=self.registry)
        self.first_sentence = Histogram("coach_first_sentence_seconds", "Time to the first sentence", buckets=_SECONDS,
                                        registry=self.registry)
        self.total = Histogram("coach_answer_seconds", "Time to the whole answer", buckets=_SECONDS,
                               registry=self.registry)
        self.waited = Histogram("coach_queue_wait_seconds", "Time in the queue", buckets=_SECONDS,
                                registry=self.registry)
        self.tokens = Counter("coach_tokens", "Tokens by kind", ("kind",), registry=self.registry)
        self.dropped = Counter("coach_dropped_sentences", "Sentences withheld as unsupported", registry=self.registry)
        self.feedback = Counter("coach_feedback", "Votes", ("vote",), registry=self.registry)
        self.running = Gauge("coach_running_answers", "Answers being made", registry=self.registry)
        self.queue = Gauge("coach_queue_length", "Requests that wait for the engine", registry=self.registry)
        self.index = Gauge("coach_index_info", "1 for the index version in force", ("version",), registry=self.registry)


class Service:
    """Streams answers into asyncio for every front end of this process."""

    def __init__(self, coach: Coach) -> None:
        self.coach = coach
        self.settings = coach.settings
        database = Database(coach.settings.database)
        self.sessions, self.progress = Sessions(database), ProgressStore(database)
        self.metrics = Metrics()
        own = Admission(coach.settings.queue_size, coach.settings.requests_per_minute)
        self.admission: Admission = getattr(coach, "admission", own)
        self.metrics.queue.set_function(lambda: self.admission.state.waiting)
        self.metrics.running.set_function(lambda: len(self._running))
        self._running: dict[threading.Event, str] = {}
        self._closing = False
        self._threads = DaemonThreads()

    @property
    def busy(self) -> int:
        """How many answers are being made."""
        return len(self._running)

    @property
    def closing(self) -> bool:
        """Whether the service stopped admitting."""
        return self._closing

    async def stream(
        self, request: Request, *, front_end: str, cancel: threading.Event | None = None
    ) -> AsyncIterator[Event]:
        """The events of one request. Closing the iterator, or setting `cancel`, stops the generation.

        Raises RequestError, QueueFull beyond the user's rate or the queue, KnowledgeError.
        """
        flag = cancel or threading.Event()
        if self._closing:
            raise QueueFull("The coach is shutting down. Try again in a minute.", 60.0)
        self.admission.check_rate(request.user)
        if sum(user == request.user for user in self._running.values()) >= _RUNNING_PER_USER:
            raise QueueFull(f"{_RUNNING_PER_USER} of your questions are being answered already. Wait for one.", 5.0)
        self._running[flag] = request.user
        started, queued_at = time.perf_counter(), 0.0
        outcome = "error"
        try:
            async for event in carry(lambda stop: self.coach.stream(request, cancel=stop), cancel=flag,
                                     executor=self._threads):
                if isinstance(event, Queued):
                    queued_at = queued_at or time.perf_counter()
                elif queued_at:
                    self.metrics.waited.observe(time.perf_counter() - queued_at)
                    queued_at = 0.0
                if isinstance(event, Answer):
                    outcome = "cancelled" if flag.is_set() else event.outcome
                    self._count(event)
                yield event
        except Cancelled:
            outcome = "cancelled"
            raise
        except QueueFull:
            outcome = "refused"
            raise
        except CoachError:
            raise
        except Exception as error:  # outermost handler of every front end: strangers' errors become typed
            log.exception("the coach failed")
            raise EngineUnavailable("Something broke while answering; it was logged. Ask again.") from error
        finally:
            if flag.is_set() and outcome == "error":  # `carry` sets the flag at every end, a good one too
                outcome = "cancelled"
            flag.set()
            self._running.pop(flag, None)
            self.metrics.requests.labels(request.skill, outcome, front_end).inc()
            log.info("answered skill=%s outcome=%s front_end=%s seconds=%.2f", request.skill, outcome, front_end,
                     time.perf_counter() - started)

    async def ask(self, request: Request, *, front_end: str, cancel: threading.Event | None = None) -> Answer:
        """The whole answer. Raises as `stream`."""
        answer: Answer | None = None
        async for event in self.stream(request, front_end=front_end, cancel=cancel):
            if isinstance(event, Answer):
                answer = event
        if answer is None:
            raise EngineUnavailable("The answer ended early. Ask again.")
        return answer

    def vote(self, user: str, answer_id: str, vote: str, reason: str = "") -> bool:
        """Keep a vote on one of the user's answers; whether it is theirs."""
        kept = self.sessions.record_feedback(user, answer_id, vote, reason)
        if kept and vote:
            self.metrics.feedback.labels(vote).inc()
        return kept

    def forget(self, user: str) -> int:
        """Delete everything about the user, stored or in memory; how many records went."""
        self.coach.forget(user)
        return self.sessions.delete_user(user)

    async def close(self, *, seconds: float = 15.0) -> None:
        """Stop admitting, let running answers finish for `seconds`, then cancel those that are left."""
        self._closing = True
        self.admission.close()
        deadline = time.monotonic() + seconds
        while self._running and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        for flag in list(self._running):
            flag.set()
        deadline = time.monotonic() + STOP_SECONDS + 1.0
        while self._running and time.monotonic() < deadline:
            await asyncio.sleep(0.05)

    def _count(self, answer: Answer) -> None:
        if answer.timings.first_sentence:
            self.metrics.first_sentence.observe(answer.timings.first_sentence)
        self.metrics.total.observe(answer.timings.total)
        self.metrics.tokens.labels("prompt").inc(answer.usage.prompt_tokens)
        self.metrics.tokens.labels("completion").inc(answer.usage.completion_tokens)
        self.metrics.dropped.inc(answer.dropped)
        if answer.index_version:
            self.metrics.index.clear()
            self.metrics.index.labels(answer.index_version).set(1)


class DaemonThreads(Executor):
    """A thread for each task; being daemons, an engine that hangs cannot keep the process from ending."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run it in a thread of its own."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=run, name="coach-answer", daemon=True).start()
        return future
