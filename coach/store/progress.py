"""What a person has done: roadmap steps, practised questions, and the open exchange of a skill in a session."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from coach.domain import Profile
from coach.store.sessions import Sessions
from coach.store.tables import Database, done_steps, exchanges, practice


@dataclass(frozen=True, slots=True)
class StoredStep:
    """A roadmap step marked done."""

    skill: str
    level: str
    on: str


@dataclass(frozen=True, slots=True)
class StoredPractice:
    """A graded answer; `card` is JSON of the fsrs library."""

    question: str
    score: float
    answered_at: str
    card: str


class ProgressStore:
    """Progress by user. Every read and write names the user; nothing is found by a bare id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def done(self, user: str) -> tuple[StoredStep, ...]:
        """Steps marked done, oldest first."""
        query = sa.select(done_steps).where(done_steps.c.user == user).order_by(done_steps.c.id)
        with self._database.read() as connection:
            return tuple(StoredStep(row.skill, row.level, row.done_on) for row in connection.execute(query))

    def add_done(self, user: str, skill: str, level: str, on: str) -> None:
        """Add a step; earlier ones stay."""
        with self._database.write() as connection:
            connection.execute(sa.insert(done_steps).values(user=user, skill=skill, level=level, done_on=on))

    def practice(self, user: str) -> tuple[StoredPractice, ...]:
        """Graded answers, oldest first."""
        query = sa.select(practice).where(practice.c.user == user).order_by(practice.c.id)
        with self._database.read() as connection:
            return tuple(StoredPractice(row.question, row.score, row.answered_at, row.card)
                         for row in connection.execute(query))

    def add_practice(self, user: str, question: str, score: float, answered_at: str, card: str) -> None:
        """Add a graded answer."""
        with self._database.write() as connection:
            connection.execute(sa.insert(practice).values(
                user=user, question=question, score=score, answered_at=answered_at, card=card))

    def state(self, user: str, session: str, skill: str) -> str:
        """The open exchange of a skill in a session of this user; "" when there is none."""
        where = (exchanges.c.session == session, exchanges.c.skill == skill, exchanges.c.user == user)
        with self._database.read() as connection:
            return str(connection.scalar(sa.select(exchanges.c.state).where(*where)) or "")

    def set_state(self, user: str, session: str, skill: str, state: str) -> None:
        """Keep the open exchange; "" ends it."""
        where = (exchanges.c.session == session, exchanges.c.skill == skill, exchanges.c.user == user)
        with self._database.write() as connection:
            connection.execute(sa.delete(exchanges).where(*where))
            if state:
                connection.execute(sa.insert(exchanges).values(session=session, skill=skill, user=user, state=state))


class Profiles:
    """The stated profiles, as the skills see them."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def load(self, user: str) -> Profile:
        """The stated profile; an empty one when nothing was stated."""
        return self._sessions.load_profile(user)

    def save(self, user: str, profile: Profile) -> None:
        """Replace the profile."""
        self._sessions.save_profile(user, profile)

    def delete(self, user: str) -> bool:
        """Forget the profile; False when there was none."""
        known = self._sessions.load_profile(user) != Profile()
        self._sessions.save_profile(user, Profile())
        return known
