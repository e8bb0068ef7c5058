"""What a person has done: roadmap steps, practised questions, the stated profile, and the open exchange of a session."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from sqlalchemy import Column, Engine, Float, Integer, MetaData, String, Table, Text, create_engine, delete, event, insert, select
from sqlalchemy.exc import SQLAlchemyError

from coach.domain import Profile, SkillLevel
from coach.errors import StoreError

metadata = MetaData()
done_steps = Table(
    "done_steps",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("user", String(200), nullable=False, index=True),
    Column("skill", String(100), nullable=False),
    Column("level", String(20), nullable=False),
    Column("done_on", String(10), nullable=False),
)
practice = Table(
    "practice",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("user", String(200), nullable=False, index=True),
    Column("question", String(100), nullable=False),
    Column("score", Float, nullable=False),
    Column("answered_at", String(40), nullable=False),
    Column("card", Text, nullable=False),
)
profiles = Table(
    "profiles", metadata, Column("user", String(200), primary_key=True), Column("profile", Text, nullable=False)
)
exchanges = Table(
    "exchanges",
    metadata,
    Column("session", String(200), primary_key=True),
    Column("skill", String(50), primary_key=True),
    Column("user", String(200), nullable=False, index=True),
    Column("state", Text, nullable=False),
)


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
    """Progress by user. Every read and write names the user; nothing is found by a bare id.

    Raises StoreError when the database cannot be read or written.
    """

    def __init__(self, url: str) -> None:
        self._engine: Engine = create_engine(url)
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", _prepare_sqlite)
        try:
            metadata.create_all(self._engine)
        except SQLAlchemyError as error:
            raise StoreError(f"The database {url!r} cannot be opened: {error}. Check database_url.") from error

    def done(self, user: str) -> tuple[StoredStep, ...]:
        """Steps marked done, oldest first."""
        rows = self._read(select(done_steps).where(done_steps.c.user == user).order_by(done_steps.c.id))
        return tuple(StoredStep(row.skill, row.level, row.done_on) for row in rows)

    def add_done(self, user: str, skill: str, level: str, on: str) -> None:
        """Add a step; earlier ones stay."""
        self._write(insert(done_steps).values(user=user, skill=skill, level=level, done_on=on))

    def practice(self, user: str) -> tuple[StoredPractice, ...]:
        """Graded answers, oldest first."""
        rows = self._read(select(practice).where(practice.c.user == user).order_by(practice.c.id))
        return tuple(StoredPractice(row.question, row.score, row.answered_at, row.card) for row in rows)

    def add_practice(self, user: str, question: str, score: float, answered_at: str, card: str) -> None:
        """Add a graded answer."""
        self._write(insert(practice).values(user=user, question=question, score=score, answered_at=answered_at, card=card))

    def state(self, user: str, session: str, skill: str) -> str:
        """The open exchange of a skill in a session of this user; "" when there is none."""
        where = (exchanges.c.session == session, exchanges.c.skill == skill, exchanges.c.user == user)
        rows = self._read(select(exchanges.c.state).where(*where))
        return str(rows[0].state) if rows else ""

    def set_state(self, user: str, session: str, skill: str, state: str) -> None:
        """Keep the open exchange; "" ends it."""
        where = (exchanges.c.session == session, exchanges.c.skill == skill, exchanges.c.user == user)
        statements = [delete(exchanges).where(*where)]
        self._write(*statements, *([insert(exchanges).values(session=session, skill=skill, user=user, state=state)] if state else []))

    def load(self, user: str) -> Profile:
        """The stated profile; an empty one when nothing was stated."""
        rows = self._read(select(profiles.c.profile).where(profiles.c.user == user))
        if not rows:
            return Profile()
        raw = json.loads(rows[0].profile)
        return Profile(skills=tuple(SkillLevel(**item) for item in raw.pop("skills")), **raw)

    def save(self, user: str, profile: Profile) -> None:
        """Replace the profile."""
        self._write(delete(profiles).where(profiles.c.user == user), insert(profiles).values(user=user, profile=json.dumps(asdict(profile))))

    def delete(self, user: str) -> bool:
        """Forget the profile; False when there was none."""
        had = bool(self._read(select(profiles.c.user).where(profiles.c.user == user)))
        self._write(delete(profiles).where(profiles.c.user == user))
        return had

    def delete_everything(self, user: str) -> None:
        """Forget profile, progress, practice and open exchanges of a user."""
        self._write(*(delete(table).where(table.c.user == user) for table in (profiles, done_steps, practice, exchanges)))

    def delete_session(self, user: str, session: str) -> None:
        """Forget the open exchanges of a session."""
        self._write(delete(exchanges).where(exchanges.c.session == session, exchanges.c.user == user))

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _read(self, statement: object) -> list[object]:
        try:
            with self._engine.connect() as connection:
                return list(connection.execute(statement))  # type: ignore[call-overload]  # any select
        except SQLAlchemyError as error:
            raise StoreError(f"The database cannot be read: {error}.") from error

    def _write(self, *statements: object) -> None:
        try:
            with self._engine.begin() as connection:
                for statement in statements:
                    connection.execute(statement)  # type: ignore[call-overload]  # any insert or delete
        except SQLAlchemyError as error:
            raise StoreError(f"The database cannot be written: {error}.") from error


def _prepare_sqlite(connection: object, _: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]  # a DB-API connection
    for pragma in ("journal_mode=WAL", "busy_timeout=10000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
