"""Takes a question from acceptance to its one final answer: one at a time for each person, each event once."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import logging
import threading
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Literal, Protocol

import aiohttp
import discord

from bots.discord_.answers import Rendered, is_interview_open, render_answer, render_progress
from bots.discord_.delivery import Gone, LiveText, Reply, Undeliverable
from bots.discord_.health import Health
from bots.discord_.notes import note_passages
from bots.discord_.rules import Question, Rules
from coach.domain import Answer, Attachment, Event, Message, Profile, Queued, Request, Retrieved, SentenceReady
from coach.errors import CoachError, EngineError, QueueFull, RequestError, StoreError
from coach.store.servers import AnswerRow, ServerStore
from coach.store.sessions import answer_to_json

log = logging.getLogger(__name__)

LONGEST_ANSWER_SECONDS = 13 * 60.0
PATIENCE_SECONDS = (15.0, 30.0, 60.0)
SHOWN_FIRST = "Looking that up …"
INTERVIEW_HINT = "Answer with `/interview answer: …`, or practise in a direct message to me, where you just write."
RESTARTING = "I am restarting. Please ask again in a minute."
Reason = Literal["", "stopped", "deleted", "restart", "late"]


class OpenStream(Protocol):
    """Answers a request: the local coach through bots/bridge.py, or a coach server through bots/discord_/remote.py."""

    def __call__(self, request: Request, cancel: threading.Event) -> AsyncIterator[Event]:
        """The events of the request, the Answer last. Setting `cancel` or closing the iterator stops the work."""
        ...


class Buttons(Protocol):
    """Makes the buttons below an answer; bots/discord_/buttons.py."""

    def running(self, answer: str) -> discord.ui.View:
        """While it runs: stop."""
        ...

    def finished(self, answer: str, *, has_sources: bool, can_thread: bool) -> discord.ui.View:
        """Below an answer: votes, evidence, go on in a thread."""
        ...

    def failed(self, answer: str) -> discord.ui.View:
        """Below an apology: try again."""
        ...


@dataclass(slots=True)
class Running:
    """An answer in the making."""

    question: Question
    answer: str
    cancel: threading.Event = field(default_factory=threading.Event)
    task: asyncio.Task[object] | None = None
    reason: Reason = ""
    delivering: bool = False
    text: str = ""
    sources: dict[str, int] = field(default_factory=dict)
    paragraph: int = 0

    def stop(self, reason: Reason) -> None:
        """End it now, unless its final text is on its way already."""
        if self.delivering or self.reason:
            return
        self.reason = reason
        self.cancel.set()
        if self.task is not None:
            self.task.cancel()

    def attach(self, attachments: tuple[Attachment, ...]) -> None:
        """Add the files of the question, read after it was accepted."""
        self.question = dataclasses.replace(self.question, attachments=attachments)

    def add(self, event: SentenceReady) -> None:
        """Add a sentence with its markers."""
        marks = "".join(f"[{self.sources.setdefault(p.id, len(self.sources) + 1)}]" for p in event.passages)
        gap = "" if not self.text else " " if event.sentence.paragraph == self.paragraph else "\n\n"
        self.paragraph = event.sentence.paragraph
        self.text += f"{gap}{event.sentence.text} {marks}".rstrip()


class Desk:
    """Accepts questions and answers them. `clock` counts seconds; `profile_of` loads what a person stated."""

    def __init__(
        self,
        stream: OpenStream,
        store: ServerStore,
        rules: Rules,
        buttons: Buttons,
        health: Health,
        *,
        clock: Callable[[], float],
        profile_of: Callable[[str], Profile],
    ) -> None:
        self.store, self.rules, self.health = store, rules, health
        self._stream, self._buttons, self._clock, self._profile_of = stream, buttons, clock, profile_of
        self._running: dict[str, Running] = {}
        self._closing = False

    @property
    def running(self) -> tuple[Running, ...]:
        """The answers in the making."""
        return tuple(self._running.values())

    def accept(self, question: Question) -> Running | str:
        """Take a question, or say why not ("" for an event that was taken before). Never waits.

        An event that RESUME replays must not even hold its user's place for a moment: a new question would be refused.
        """
        present = self._running.get(question.user)
        if (present is not None and present.question.event == question.event) or self.store.knows_event(question.event):
            self.health.duplicates += 1
            return ""
        refusal = self._refuse(question, present)
        if refusal:
            self.health.refused += 1
            return refusal
        running = Running(question, uuid.uuid4().hex[:16])
        self._running[question.user] = running
        return running

    async def answer(self, running: Running, reply: Reply) -> None:
        """Answer an accepted question with exactly one final message. Does nothing for an event answered before."""
        question = running.question
        running.task = asyncio.current_task()
        try:
            if not self.store.claim_event(question.event):
                self.health.duplicates += 1
                return
            if not self.rules.spend(question):
                self.health.refused += 1
                await reply.show(
                    Rendered("This server's questions for today are used up. The next ones come at 00:00 UTC.")
                )
                return
            await self._run(running, reply)
        except (Undeliverable, discord.HTTPException, aiohttp.ClientError, OSError) as error:
            self.health.undelivered += 1
            log.warning("answer %s could not be delivered (%s)", running.answer, type(error).__name__)
            self._record(running, reply, "failed")
        except Gone:
            self.health.stopped += 1
            self._record(running, reply, "stopped")
        except StoreError as error:
            self.health.failed += 1
            log.error("%s", error)
            await reply.show(Rendered("My memory does not work right now, so I cannot answer. Please try again later."))
        finally:
            running.cancel.set()
            self.release(running)

    def release(self, running: Running) -> None:
        """Give back the place of an accepted question; nothing happens when it is given back already."""
        if self._running.get(running.question.user) is running:
            del self._running[running.question.user]

    def let_go(self, running: Running) -> None:
        """A question that can never be answered: its event counts as taken, so that no replay holds the place."""
        self.store.claim_event(running.question.event)
        self.release(running)

    def stop(self, answer: str, user: str) -> bool:
        """The asker wants an answer to end; False when it is not theirs or has ended."""
        running = self._running.get(user)
        if running is None or running.answer != answer or running.delivering:
            return False
        running.stop("stopped")
        return True

    def question_deleted(self, message: str) -> None:
        """The message that asked was deleted: nobody waits for the answer."""
        for running in self.running:
            if running.question.message == message:
                running.stop("deleted")

    def place_deleted(self, channel: str) -> None:
        """A channel or thread was deleted."""
        for running in self.running:
            if running.question.channel == channel:
                running.stop("deleted")

    async def drain(self, seconds: float) -> None:
        """Take no more questions; let the running ones finish for that long, then mark them as interrupted."""
        self._closing = True
        tasks = [running.task for running in self.running if running.task is not None]
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for running in self.running:
            running.stop("restart")
        if late:
            await asyncio.wait(late, timeout=4.0)

    # -- one answer ----------------------------------------------------------------------------------------------

    async def _run(self, running: Running, reply: Reply) -> None:
        question = running.question
        log.info(
            "answer %s: skill %s, server %s, %d characters",
            running.answer,
            question.skill,
            question.server or "-",
            len(question.text),
        )
        self._record(running, reply, "running")
        view = self._buttons.running(running.answer)
        live = LiveText(reply, view, self._clock)
        answer: Answer | None = None
        error: Exception | None = None
        try:
            await self._greet(running, reply, view)
            async with asyncio.timeout(LONGEST_ANSWER_SECONDS):
                answer = await self._follow(running, live)
        except asyncio.CancelledError:
            if not running.reason:
                raise
            task = asyncio.current_task()
            assert task is not None  # a coroutine runs in a task
            task.uncancel()
        except TimeoutError:
            running.reason = "late"
        except (Gone, Undeliverable):
            raise
        except Exception as failure:
            error = failure
        finally:
            running.cancel.set()
        running.delivering = True
        await live.close()
        await self._deliver(running, reply, answer, error)

    async def _greet(self, running: Running, reply: Reply, view: discord.ui.View) -> None:
        """Show at once that the question arrived. An outage of Discord's does not keep us from working on it."""
        try:
            await reply.show(Rendered(SHOWN_FIRST), view=view)
        except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
            log.info("answer %s: nothing could be shown yet (%s)", running.answer, type(error).__name__)
        self._record(running, reply, "running")

    async def _follow(self, running: Running, live: LiveText) -> Answer:
        async with aclosing(self._stream(self._request(running.question), running.cancel)) as events:  # type: ignore[type-var]  # every stream here is an async generator
            async for event in events:
                if isinstance(event, Answer):
                    return event
                if isinstance(event, Queued):
                    live.put(f"You are number {event.position} in line …")
                elif isinstance(event, SentenceReady):
                    running.add(event)
                    live.put(render_progress(running.text))
                else:
                    assert isinstance(event, Retrieved)
        raise EngineError("The answer ended before it was whole.")

    def _request(self, question: Question) -> Request:
        settings = self.rules.settings(question.server)
        profile = self._profile_of(question.user)
        if settings.language != "en" and profile.locale == "en":
            profile = dataclasses.replace(profile, locale=settings.language)
        # A router could pick a skill that is switched off here, so where skills are chosen it is not asked.
        skill = "ask" if question.skill == "auto" and settings.skills else question.skill
        return Request(
            question.text,
            skill=skill,
            profile=profile,
            history=self._history(question),
            attachments=question.attachments,
            options=question.options,
            session=question.conversation,
            user=f"discord:{question.user}",
            model=settings.model,
            passages=note_passages(self.store.notes(question.server)) if question.server else (),
        )

    def _history(self, question: Question) -> tuple[Message, ...]:
        """Earlier turns; private ones only for their own asker in private."""
        messages = []
        for row in self.store.conversation(question.conversation):
            if row.private and not (question.private and row.user == question.user):
                continue
            messages += [Message("user", row.question), Message("assistant", row.text)]
        return tuple(messages)

    async def _deliver(self, running: Running, reply: Reply, answer: Answer | None, error: Exception | None) -> None:
        if running.reason == "deleted":
            self.health.stopped += 1
            self._record(running, reply, "stopped")
            if reply.message_id:
                await reply.remove()
        elif answer is not None and not running.reason:
            await self._deliver_answer(running, reply, answer)
        elif running.reason:
            await self._deliver_fragment(running, reply)
        else:
            assert error is not None  # no answer and no reason: something was raised
            await self._apologise(running, reply, error)

    async def _deliver_answer(self, running: Running, reply: Reply, answer: Answer) -> None:
        question = running.question
        in_commands = question.skill == "interview" and question.conversation.startswith("s-")
        hint = INTERVIEW_HINT if in_commands and is_interview_open(answer) else ""
        rendered = render_answer(answer, answer_id=running.answer, hint=hint)
        can_thread = bool(question.server) and not question.parent and not question.private
        view = self._buttons.finished(running.answer, has_sources=bool(answer.citations), can_thread=can_thread)
        self._record(running, reply, "running", answer)
        await _patiently(lambda: reply.show(rendered, view=view))
        for part in rendered.rest:
            await _patiently(functools.partial(reply.more, part))
        self._record(running, reply, "done", answer)
        self.health.answered += answer.outcome == "answered"
        self.health.declined += answer.outcome != "answered"

    async def _deliver_fragment(self, running: Running, reply: Reply) -> None:
        notices = {
            "stopped": "*Stopped.*",
            "restart": "*I was interrupted by a restart. Please ask again.*",
            "late": "*I stopped after 13 minutes. Ask something smaller, or try again later.*",
        }
        text = f"{running.text}\n\n{notices[running.reason]}".strip()
        rendered = Rendered(render_progress(text) if len(text) > 1900 else text)
        view = discord.ui.View() if running.reason == "stopped" else self._buttons.failed(running.answer)
        self.health.stopped += 1
        self._record(running, reply, "interrupted" if running.reason == "restart" else "stopped")
        await _patiently(lambda: reply.show(rendered, view=view))
        self._record(running, reply, "interrupted" if running.reason == "restart" else "stopped")

    async def _apologise(self, running: Running, reply: Reply, error: Exception) -> None:
        self.health.failed += 1
        if not isinstance(error, CoachError):
            log.error("answer %s failed", running.answer, exc_info=error)
        else:
            log.warning("answer %s failed: %s", running.answer, type(error).__name__)
        self._record(running, reply, "failed")
        rendered = Rendered(f"{apology(error)}\n-# Reference {running.answer}")
        await _patiently(lambda: reply.show(rendered, view=self._buttons.failed(running.answer)))
        self._record(running, reply, "failed")

    def _record(self, running: Running, reply: Reply, state: str, answer: Answer | None = None) -> None:
        question = running.question
        self.store.record(
            AnswerRow(
                id=running.answer,
                user=question.user,
                server=question.server,
                channel=question.channel,
                message=reply.message_id,
                conversation=question.conversation,
                state=state,
                private=question.private,
                skill=question.skill,
                options=question.options,
                question=question.text,
                text=answer.text if answer else running.text,
                evidence=tuple(passage.id for passage in answer.citations) if answer else (),
                answer=answer_to_json(answer) if answer else "",
            )
        )

    def _refuse(self, question: Question, present: Running | None) -> str:
        if self._closing:
            return RESTARTING
        if present is not None:
            return "I am still answering your last question. Stop it first, or wait for it."
        return self.rules.refuse(question)


async def _patiently(deliver: Callable[[], Awaitable[None]]) -> None:
    """Deliver a final text even through an outage of minutes; a person waits for it."""
    for wait in PATIENCE_SECONDS:
        try:
            return await deliver()
        except discord.HTTPException as error:
            if error.status != 429 and error.status < 500:
                raise
        except (aiohttp.ClientError, OSError):
            pass
        await asyncio.sleep(wait)
    return await deliver()


def apology(error: Exception) -> str:
    """What a person is told when their question could not be answered; never an internal detail."""
    if isinstance(error, QueueFull):
        return f"Too many people are asking right now. Please try again in {error.retry_after_seconds:.0f} s."
    if isinstance(error, RequestError):
        return f"I cannot take that as it is: {error}"
    if isinstance(error, EngineError):
        return "The language model did not answer. Please try again."
    return "Something went wrong on my side. Please try again."
