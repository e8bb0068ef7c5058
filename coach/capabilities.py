"""Runs a skill of the register: finds which one a text asks for, fills its slots, and makes its result an Answer."""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Protocol

from coach.domain import Answer, Confidence, Passage, Profile, Request, Sentence
from coach.errors import RequestError
from coach.skills import slots
from coach.skills.base import DoneStep, PracticeRecord, SkillContext, SkillResult, SkillSpec, SlotValues
from coach.skills.router import ASK, normalise

if TYPE_CHECKING:
    from coach.catalogue.tables import Catalogue
    from coach.domain import Embedder
    from coach.skills.base import ProfileStore

SESSIONS_KEPT = 2000
ROUTES_KEPT = 256
UNSURE = "unsure"
# What a person said about themselves for one plan or comparison holds for the next one of the session.
PLANNING_SKILLS = frozenset({"roadmap", "skill_gap"})
PERSONAL_SLOTS = frozenset({"role", "level", "skills", "hours_per_week", "deadline"})
# After these, a short text such as "mid level" changes one thing of the request before.
FOLLOWED_SKILLS = frozenset({"roadmap", "skill_gap", "resume", "model_advisor"})
LONGEST_FOLLOW_UP_WORDS = 10
SAID_ON_PURPOSE = frozenset({"done", "export"})  # nobody says these in passing, whatever else the text is like
NAMES = frozenset({"role", "level", "models"})  # after a question in between, these belong to that question
GROWING_SLOTS = frozenset({"skills", "need", "models"})  # a follow-up adds to them
# Files are used for one answer and not kept; what was done or exported is not done again.
PASSING_SLOTS = frozenset({"resume", "job_ad", "done", "export", "_asked"})


class Progress(Protocol):
    """Where done steps and graded answers of a person are kept: coach/store/progress.py."""

    def done_steps(self, user: str) -> tuple[DoneStep, ...]:
        """The steps a person has marked as done."""
        ...

    def practice(self, user: str) -> tuple[PracticeRecord, ...]:
        """The interview answers graded so far, oldest first."""
        ...

    def record(self, user: str, done: Sequence[DoneStep], practice: Sequence[PracticeRecord]) -> None:
        """Keep new records."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Routed:
    """Which skill a text asks for, and what it already says about the slots."""

    skill: str
    values: SlotValues
    question: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class _Turn:
    """What a session's last skill was asked; `interrupted` when a question was asked since."""

    skill: str
    values: SlotValues
    interrupted: bool = False


class Capabilities:
    """Runs skills and remembers, per session, what a skill wants to go on with (a question of a mock interview, say)."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        embedder: Embedder,
        skills: Sequence[SkillSpec],
        route: Callable[[str], Routed],
        read_file: Callable[[bytes, str], str],
        runnable_models: Callable[[], tuple[str, ...]],
        profiles: ProfileStore | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._embedder = embedder
        self._skills = {skill.name: skill for skill in skills}
        # A request is routed to find its skill and again for its slots; the day is part of the key because deadlines are.
        self._routed = functools.lru_cache(maxsize=ROUTES_KEPT)(lambda text, day: route(text))
        self._read_file = read_file
        self._runnable_models = runnable_models
        self._profiles = profiles
        self._progress = progress
        self._open: OrderedDict[tuple[str, str], tuple[str, SlotValues, str]] = OrderedDict()
        self._stated: OrderedDict[tuple[str, str], SlotValues] = OrderedDict()
        self._last: OrderedDict[tuple[str, str], _Turn] = OrderedDict()
        self._lock = threading.Lock()

    def route(self, request: Request) -> str:
        """The skill that goes on in this session, else the one the text asks for, else "ask" or, between two, "unsure"."""
        who = _who(request)
        with self._lock:
            waiting, last = self._open.get(who), self._last.get(who)
        routed = self._find_route(request.text)
        if waiting and not self._leaves(waiting[0], waiting[1].text("_asked"), request.text, routed):
            return waiting[0]
        if last and self._follows(last, request, routed):
            return last.skill
        if last and routed.skill == ASK and not routed.question:
            self._keep(self._last, who, dataclasses.replace(last, interrupted=True))
        if slots.is_role(request.text, self._catalogue):
            return ASK  # the name of a role says nothing of what to do about it
        return UNSURE if routed.question else routed.skill

    def run(
        self, request: Request, passages: Callable[[str, int], Sequence[Passage]],
        guide: Callable[[str], Passage | None] = lambda name: None,
    ) -> Answer:
        """The answer of request.skill; see SkillContext for `passages` (find_passages there) and `guide`.

        Raises RequestError when there is no such skill or a slot is unreadable.
        """
        if request.skill == UNSURE:
            question = Sentence(self._find_route(request.text).question, verdict="computed")
            return Answer("answered", (question,), mode="computed", confidence=Confidence(1.0, 1.0), engine="none")
        spec = self._skills.get(request.skill)
        if spec is None:
            raise RequestError(f"There is no skill {request.skill!r}. Known: ask, {', '.join(self._skills)}.")
        who = _who(request)
        with self._lock:
            skill, earlier, state = self._open.get(who, ("", SlotValues(), ""))
            stated = self._stated.get(who, SlotValues()) if request.skill in PLANNING_SKILLS else SlotValues()
            last = self._last.get(who)
        if skill != spec.name:
            earlier, state = SlotValues(), ""
        routed = self._find_route(request.text)
        said = routed.values
        if last and last.skill == spec.name and self._follows(last, request, routed):
            said = _carry(last.values, said)
        values = SlotValues(request.options).over(said).over(earlier).over(stated)
        values = self._answer_open_question(spec, request, values, earlier)
        profile = request.profile
        if self._profiles and request.user and profile == Profile():
            profile = self._profiles.load(request.user)
        context = SkillContext(
            catalogue=self._catalogue, embedder=self._embedder, find_passages=passages, guide=guide,
            read_file=self._read_file, runnable_models=self._runnable_models(), profiles=self._profiles, state=state,
            done=self._progress.done_steps(request.user) if self._progress and request.user else (),
            practice=self._progress.practice(request.user) if self._progress and request.user else (),
        )
        result = spec.run(dataclasses.replace(request, profile=profile), values, context)
        if self._progress and request.user and (result.done or result.practice):
            self._progress.record(request.user, result.done, result.practice)
        self._remember(who, spec.name, values, result)
        if request.session and spec.name in FOLLOWED_SKILLS:
            stored = self._progress is not None and bool(request.user)
            self._keep(self._last, who, _Turn(spec.name, _for_follow_up(values, result, stored=stored)))
        return _answer(spec, result)

    def forget(self, user: str) -> None:
        """Drop what the skills would go on with in this user's sessions."""
        with self._lock:
            kept: OrderedDict[tuple[str, str], Any]
            for kept in (self._open, self._stated, self._last):
                for who in [who for who in kept if who[0] == user]:
                    del kept[who]
        self._routed.cache_clear()

    def _leaves(self, skill: str, asked: str, text: str, routed: Routed) -> bool:
        """Whether a text asks something else instead of answering the skill; `asked` is the slot it asked for, if any."""
        if text.rstrip().endswith("?"):
            return True
        if not asked or routed.values.text(asked) or len(text.split()) > LONGEST_FOLLOW_UP_WORDS:
            return False
        elsewhere = routed.skill not in (ASK, skill) and not routed.question
        return elsewhere or slots.is_own_question(normalise(text))

    def _follows(self, last: _Turn, request: Request, routed: Routed) -> bool:
        """Whether a short text changes something of the last request ("and for data analyst?", "5 hours instead")."""
        text = normalise(request.text)
        if request.options or len(text.split()) > LONGEST_FOLLOW_UP_WORDS or slots.is_own_question(text):
            return False
        spec = self._skills[last.skill]
        filled = {name for name in (*(slot.name for slot in spec.slots), *spec.understands) if routed.values.text(name)}
        if last.interrupted:
            filled -= NAMES
        if filled & SAID_ON_PURPOSE:
            return True
        return bool(filled) and (
            bool(routed.question) or routed.skill in (ASK, last.skill) or slots.is_role(text, self._catalogue)
        )

    def _keep(self, kept: OrderedDict[tuple[str, str], Any], who: tuple[str, str], value: object) -> None:
        with self._lock:
            kept[who] = value
            kept.move_to_end(who)
            while len(kept) > SESSIONS_KEPT:
                kept.popitem(last=False)

    def _find_route(self, text: str) -> Routed:
        return self._routed(text, date.today())

    def _answer_open_question(
        self, spec: SkillSpec, request: Request, values: SlotValues, earlier: SlotValues
    ) -> SlotValues:
        """A short text that follows "how many hours a week?" is the value of that slot. A form or a file says all itself."""
        asked = earlier.text("_asked")
        if asked and not values.text(asked) and not request.options and not request.attachments:
            return SlotValues((*values.pairs, (asked, request.text)))
        return values

    def _remember(self, who: tuple[str, str], skill: str, values: SlotValues, result: SkillResult) -> None:
        missing = next((slot.name for slot in self._skills[skill].slots if slot.question == result.follow_up), "")
        if any(who) and skill in PLANNING_SKILLS:
            pairs = tuple(pair for pair in values.pairs if pair[0] in PERSONAL_SLOTS)
            self._keep(self._stated, who, SlotValues(pairs))
        if not any(who) or (not missing and not result.state):
            with self._lock:
                self._open.pop(who, None)
            return
        kept = tuple(pair for pair in values.pairs if pair[0] != "_asked") if missing else ()
        open_values = SlotValues((*kept, ("_asked", missing)) if missing else kept)
        self._keep(self._open, who, (skill, open_values, result.state or ""))


def _who(request: Request) -> tuple[str, str]:
    return request.user, request.session


def _carry(before: SlotValues, said: SlotValues) -> SlotValues:
    """The values of the last request as a follow-up changes them. Models compared before are no longer the subject when
    the follow-up names none."""
    both = {
        name: ",".join((before.text(name), said.text(name)))
        for name in GROWING_SLOTS
        if before.text(name) and said.text(name)
    }
    earlier = SlotValues(tuple(pair for pair in before.pairs if pair[0] != "models"))
    return SlotValues.of(both).over(said).over(earlier)


def _for_follow_up(values: SlotValues, result: SkillResult, *, stored: bool) -> SlotValues:
    """What the next request may build on. Where done steps are not stored, they go on as skills held."""
    kept = SlotValues(tuple(pair for pair in values.pairs if pair[0] not in PASSING_SLOTS))
    if result.done and not stored:
        done = ",".join(f"{step.skill}:{step.level}" for step in result.done)
        kept = SlotValues.of(skills=f"{kept.text('skills')},{done}").over(kept)
    return result.keep.over(kept)


def _answer(spec: SkillSpec, result: SkillResult) -> Answer:
    sentences = list(result.sentences)
    if result.follow_up and not any(result.follow_up in sentence.text for sentence in sentences[-1:]):
        paragraph = sentences[-1].paragraph + 1 if sentences else 0
        sentences.append(Sentence(result.follow_up, verdict="computed", paragraph=paragraph))
    return Answer("answered", tuple(sentences), result.passages, mode="computed", confidence=Confidence(1.0, 1.0),
                  engine="none", skill=spec.name, suggestions=result.suggestions, result=result.result)
