"""What is kept per user: conversations with their turns, votes and a profile. Every statement filters by user."""

from __future__ import annotations

import dataclasses
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from coach.domain import (
    Answer,
    Citation,
    Confidence,
    Passage,
    Profile,
    Sentence,
    SkillLevel,
    Source,
    Timings,
    Usage,
)
from coach.store.tables import Database, conversations, done_steps, exchanges, feedback, practice, profiles, turns

TITLE_LENGTH = 80


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation as it is listed; times are ISO 8601 in UTC."""

    id: str
    title: str
    created: str
    updated: str
    turns: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and its answer. `vote` is up, down or empty."""

    position: int
    question: str
    answer: Answer
    created: str
    vote: str = ""


def new_conversation_id() -> str:
    """An id that nobody can guess."""
    return secrets.token_hex(12)


class Sessions:
    """Reads and writes what belongs to one user at a time; another user's ids are as unknown as invented ones."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- conversations -------------------------------------------------------------------------------------------------

    def start_conversation(self, user: str, title: str = "", *, conversation: str = "") -> Conversation:
        """A new, empty conversation, under the id of `new_conversation_id` that was asked under already, if any."""
        now = _now()
        made = Conversation(conversation or new_conversation_id(), _title(title), now, now)
        with self._database.write() as connection:
            connection.execute(sa.insert(conversations).values(
                id=made.id, user=user, title=made.title, created=now, updated=now))
        return made

    def list_conversations(self, user: str, *, search: str = "", limit: int = 200) -> tuple[Conversation, ...]:
        """The user's conversations, latest first; `search` looks into titles, questions and answers."""
        count = sa.func.count(turns.c.position)
        columns = (conversations.c.id, conversations.c.title, conversations.c.created, conversations.c.updated)
        query = (
            sa.select(*columns, count)
            .outerjoin(turns, turns.c.conversation == conversations.c.id)
            .where(conversations.c.user == user)
            .group_by(conversations.c.id)
            .order_by(conversations.c.updated.desc(), conversations.c.id)
            .limit(limit)
        )
        if search.strip():
            wanted = search.strip()
            inside = sa.select(turns.c.conversation).where(
                turns.c.user == user,
                turns.c.question.icontains(wanted, autoescape=True) | turns.c.answer.icontains(wanted, autoescape=True))
            query = query.where(
                conversations.c.title.icontains(wanted, autoescape=True) | conversations.c.id.in_(inside))
        with self._database.read() as connection:
            return tuple(Conversation(*row) for row in connection.execute(query))

    def find_conversation(self, user: str, conversation: str) -> Conversation | None:
        """The conversation, or None when the user has none of that id."""
        query = sa.select(
            conversations.c.id, conversations.c.title, conversations.c.created, conversations.c.updated,
            sa.select(sa.func.count()).where(turns.c.conversation == conversations.c.id).scalar_subquery(),
        ).where(conversations.c.id == conversation, conversations.c.user == user)
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return Conversation(*row) if row else None

    def rename_conversation(self, user: str, conversation: str, title: str) -> bool:
        """Whether there was such a conversation to rename."""
        statement = sa.update(conversations).where(
            conversations.c.id == conversation, conversations.c.user == user).values(title=_title(title))
        with self._database.write() as connection:
            return connection.execute(statement).rowcount > 0

    def delete_conversation(self, user: str, conversation: str) -> bool:
        """Whether there was such a conversation; its turns and the votes on them go with it."""
        mine = sa.select(turns.c.answer_id).where(turns.c.conversation == conversation, turns.c.user == user)
        with self._database.write() as connection:
            connection.execute(sa.delete(feedback).where(feedback.c.user == user, feedback.c.answer_id.in_(mine)))
            gone = connection.execute(sa.delete(conversations).where(
                conversations.c.id == conversation, conversations.c.user == user))
            return gone.rowcount > 0

    # -- turns ---------------------------------------------------------------------------------------------------------

    def record_turn(self, user: str, conversation: str, question: str, answer: Answer) -> Turn | None:
        """Append a question and its answer; None when the user has no such conversation. The first names it."""
        now = _now()
        with self._database.write() as connection:
            found = connection.execute(sa.select(conversations.c.title).where(
                conversations.c.id == conversation, conversations.c.user == user)).first()
            if found is None:
                return None
            last = connection.scalar(
                sa.select(sa.func.max(turns.c.position)).where(turns.c.conversation == conversation))
            position = 0 if last is None else last + 1
            connection.execute(sa.insert(turns).values(
                conversation=conversation, position=position, user=user, question=question,
                answer=answer_to_json(answer), answer_id=answer.id, created=now))
            title = found.title or _title(question)
            connection.execute(sa.update(conversations).where(conversations.c.id == conversation)
                               .values(updated=now, title=title))
        return Turn(position, question, answer, now)

    def load_turns(self, user: str, conversation: str) -> tuple[Turn, ...]:
        """The turns in order; none when the user has no such conversation."""
        query = (
            sa.select(turns.c.position, turns.c.question, turns.c.answer, turns.c.created, feedback.c.vote)
            .outerjoin(feedback, (feedback.c.answer_id == turns.c.answer_id) & (feedback.c.user == user))
            .where(turns.c.conversation == conversation, turns.c.user == user)
            .order_by(turns.c.position)
        )
        with self._database.read() as connection:
            return tuple(Turn(row.position, row.question, answer_from_json(row.answer), row.created, row.vote or "")
                         for row in connection.execute(query))

    def drop_turns_from(self, user: str, conversation: str, position: int) -> int:
        """Delete the turns from that position on, for asking again; how many went."""
        gone = sa.and_(turns.c.conversation == conversation, turns.c.user == user, turns.c.position >= position)
        with self._database.write() as connection:
            connection.execute(sa.delete(feedback).where(
                feedback.c.user == user, feedback.c.answer_id.in_(sa.select(turns.c.answer_id).where(gone))))
            return connection.execute(sa.delete(turns).where(gone)).rowcount

    # -- feedback and profile ------------------------------------------------------------------------------------------

    def record_feedback(self, user: str, answer_id: str, vote: str, reason: str = "") -> bool:
        """Keep the user's vote (up, down, empty to take it back) on an answer; whether the answer is theirs."""
        with self._database.write() as connection:
            mine = connection.scalar(sa.select(sa.func.count()).where(
                turns.c.answer_id == answer_id, turns.c.user == user))
            if not mine:
                return False
            connection.execute(sa.delete(feedback).where(feedback.c.user == user, feedback.c.answer_id == answer_id))
            if vote:
                connection.execute(sa.insert(feedback).values(
                    user=user, answer_id=answer_id, vote=vote, reason=reason[:2000], created=_now()))
        return True

    def load_profile(self, user: str) -> Profile:
        """What the user told about themselves; empty when nothing."""
        with self._database.read() as connection:
            text = connection.scalar(sa.select(profiles.c.profile).where(profiles.c.user == user))
        return profile_from_json(text) if text else Profile()

    def save_profile(self, user: str, profile: Profile) -> None:
        """Replace what is kept about the user."""
        with self._database.write() as connection:
            connection.execute(sa.delete(profiles).where(profiles.c.user == user))
            connection.execute(sa.insert(profiles).values(
                user=user, profile=json.dumps(dataclasses.asdict(profile)), updated=_now()))

    # -- everything about a user ---------------------------------------------------------------------------------------

    def export_user(self, user: str) -> str:
        """All that these tables hold about the user, as JSON."""
        with self._database.read() as connection:
            talks = [dict(row._mapping) for row in connection.execute(
                sa.select(conversations).where(conversations.c.user == user).order_by(conversations.c.created))]
            said = [dict(row._mapping) for row in connection.execute(
                sa.select(turns).where(turns.c.user == user).order_by(turns.c.conversation, turns.c.position))]
            votes = [dict(row._mapping) for row in connection.execute(
                sa.select(feedback).where(feedback.c.user == user))]
            steps = [dict(row._mapping) for row in connection.execute(
                sa.select(done_steps).where(done_steps.c.user == user).order_by(done_steps.c.id))]
            practised = [dict(row._mapping) for row in connection.execute(
                sa.select(practice).where(practice.c.user == user).order_by(practice.c.id))]
        for turn in said:
            turn["answer"] = json.loads(turn["answer"])
        for talk in talks:
            talk["turns"] = [turn for turn in said if turn["conversation"] == talk["id"]]
        return json.dumps({"user": user, "exported": _now(), "profile": dataclasses.asdict(self.load_profile(user)),
                           "conversations": talks, "feedback": votes, "done_steps": steps, "practice": practised},
                          ensure_ascii=False, indent=2)

    def delete_user(self, user: str) -> int:
        """Delete everything about the user; how many rows went."""
        with self._database.write() as connection:
            return sum(connection.execute(sa.delete(table).where(table.c.user == user)).rowcount
                       for table in (feedback, turns, conversations, profiles, done_steps, practice, exchanges))


# -- answers and profiles as JSON --------------------------------------------------------------------------------------


def answer_to_json(answer: Answer) -> str:
    """The answer as JSON. A skill's result is kept as plain values."""
    return json.dumps(dataclasses.asdict(answer), ensure_ascii=False, default=str)


def answer_from_json(text: str) -> Answer:
    """The answer again; its `result` stays a mapping of plain values. Fields of other versions are left out."""
    raw = json.loads(text)
    raw["sentences"] = tuple(_sentence(sentence) for sentence in raw["sentences"])
    raw["citations"] = tuple(_passage(passage) for passage in raw["citations"])
    raw["confidence"] = _make(Confidence, raw["confidence"])
    raw["timings"] = _make(Timings, raw["timings"])
    raw["usage"] = _make(Usage, raw["usage"])
    raw["suggestions"] = tuple(raw["suggestions"])
    answer: Answer = _make(Answer, raw)
    return answer


def profile_from_json(text: str) -> Profile:
    """A profile from JSON; fields of other versions are left out."""
    raw = json.loads(text)
    raw["skills"] = tuple(_make(SkillLevel, skill) for skill in raw.get("skills", ()))
    profile: Profile = _make(Profile, raw)
    return profile


def _sentence(raw: Mapping[str, Any]) -> Sentence:
    sentence: Sentence = _make(Sentence, {**raw, "citations": tuple(_make(Citation, c) for c in raw["citations"])})
    return sentence


def _passage(raw: Mapping[str, Any]) -> Passage:
    references = tuple(_make(Source, source) for source in raw.get("references", ()))
    passage: Passage = _make(Passage, {**raw, "references": references, "audience": tuple(raw.get("audience", ())),
                                       "topics": tuple(raw.get("topics", ())),
                                       "asked_as": tuple(raw.get("asked_as", ()))})
    return passage


def _make(kind: Any, raw: Mapping[str, Any]) -> Any:
    known = {field.name for field in dataclasses.fields(kind)}
    return kind(**{name: value for name, value in raw.items() if name in known})


def _title(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= TITLE_LENGTH else line[: TITLE_LENGTH - 1].rstrip() + "…"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
