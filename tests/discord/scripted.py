"""A coach that answers by a script, for tests of the bot: sentences, waits, a queue, failures."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bots.discord_.lifecycle import local_stream
from bots.discord_bot import CoachBot
from coach.catalogue.tables import Catalogue
from coach.domain import Answer, Citation, Event, Passage, Queued, Request, Retrieved, Sentence, SentenceReady, Source
from coach.pipeline import Coach
from coach.skills.base import SkillResult, SkillSpec, Slot
from coach.store.servers import ServerStore
from coach.store.sessions import Sessions
from coach.store.tables import Database

ROOT = Path(__file__).parents[2]
PASSAGE = Passage(
    "guides/path#1",
    "The way in",
    "Learn statistics first. Then learn Python. Build two projects.",
    "guides/path.md",
    "2026-03-01",
    heading="Where do I begin?",
    references=(Source("Handbook", "Example", "https://example.org/handbook"),),
)


@dataclass(frozen=True, slots=True)
class Script:
    """What the coach does with one question. `wait` is before each sentence, `hog` blocks nobody but the answer."""

    sentences: tuple[str, ...] = ("Learn statistics first.",)
    wait: float = 0.0
    positions: tuple[int, ...] = ()
    error: Exception | None = None
    cite: bool = True
    outcome: Any = "answered"
    result: object | None = None
    skill: str = "ask"


@dataclass
class ScriptedCoach:
    """Answers every question by `script(request)` and remembers what it was asked and what was cancelled."""

    script: Callable[[Request], Script] = lambda request: Script()
    requests: list[Request] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    finished: int = 0

    async def stream(self, request: Request, cancel: threading.Event) -> AsyncIterator[Event]:
        """The events of one request."""
        self.requests.append(request)
        script = self.script(request)
        done = False
        try:
            for position in script.positions:
                yield Queued(position)
                await asyncio.sleep(script.wait)
            yield Retrieved((PASSAGE,))
            sentences = []
            for number, text in enumerate(script.sentences):
                if script.wait:
                    await asyncio.sleep(script.wait)
                if script.error is not None and number == len(script.sentences) - 1:
                    raise script.error
                citations = (Citation(PASSAGE.id, 0, 23),) if script.cite else ()
                sentence = Sentence(text, citations)
                sentences.append(sentence)
                yield SentenceReady(sentence, (PASSAGE,) if script.cite else ())
            self.finished += 1
            done = True
            yield Answer(script.outcome, tuple(sentences), (PASSAGE,) if script.cite else (), result=script.result,
                         skill=script.skill)
        finally:
            if not done:
                self.cancelled.append(request.text)


class RealCoach(ScriptedCoach):
    """A coach of coach/pipeline.py behind the same face, carried as `coach discord` carries it."""

    def __init__(self, coach: Coach) -> None:
        super().__init__()
        self._stream = local_stream(coach, ThreadPoolExecutor(4))

    async def stream(self, request: Request, cancel: threading.Event) -> AsyncIterator[Event]:
        """The events of one request."""
        self.requests.append(request)
        async with aclosing(self._stream(request, cancel)) as events:  # type: ignore[type-var]  # an async generator
            async for event in events:
                yield event
        self.finished += 1


def _nothing(request: Request, values: object, context: object) -> SkillResult:
    return SkillResult()


SKILLS = (
    SkillSpec(
        "roadmap",
        "Roadmap",
        "A study plan from where you are to a role.",
        ("Plan my way",),
        (
            Slot("role", "Which role?", "role", required=True),
            Slot("level", "Which level?", "level"),
            Slot("hours", "How many hours a week?", "hours"),
            Slot("have", "What can you do?", "skills"),
        ),
        _nothing,
    ),
    SkillSpec(
        "gap",
        "Skill gap",
        "What a role asks for and your resume does not show.",
        (),
        (Slot("resume", "Your resume?", "file"), Slot("role", "Which role?", "role")),
        _nothing,
    ),
    SkillSpec(
        "interview",
        "Interview",
        "Practise with real questions.",
        (),
        (Slot("topic", "Which topic?", "text", required=True), Slot("answer", "Your answer?", "text")),
        _nothing,
    ),
    SkillSpec(
        "model_advisor",
        "Model advice",
        "Which small model fits your machine and task.",
        (),
        (
            Slot("task", "What for?", "choice", choices=("chat", "extraction", "code")),
            Slot("memory_gb", "Memory?", "number"),
            Slot("model", "A model to compare?", "model"),
        ),
        _nothing,
    ),
)


def make_bot(
    coach: ScriptedCoach,
    database: str,
    *,
    catalogue: Catalogue | None = None,
    skills: Sequence[SkillSpec] = SKILLS,
    **options: Any,
) -> CoachBot:
    """A bot over a scripted coach and a database file."""
    options.setdefault("cooldown_seconds", 0.0)
    options.setdefault("per_minute", 10_000)
    return CoachBot(
        coach.stream, ServerStore(database), Sessions(Database(database)), skills=skills, catalogue=catalogue, **options
    )
