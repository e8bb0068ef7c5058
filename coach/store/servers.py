"""What the Discord bot remembers: servers' settings and budgets, seen events, answers, votes and notes.

Every read of a server's rows takes the server's id, and every read of a person's rows the person's id, so that no
caller can mix two of them up. Ids are Discord snowflakes as text; ids of private places are "" for the server.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from coach.errors import StoreError

_metadata = sa.MetaData()

_versions = sa.Table("discord_schema", _metadata, sa.Column("version", sa.Integer, primary_key=True))
_servers = sa.Table(
    "discord_servers",
    _metadata,
    sa.Column("server", sa.String(24), primary_key=True),
    sa.Column("settings", sa.Text, nullable=False),
    sa.Column("left_at", sa.Float),
)
_budgets = sa.Table(
    "discord_budgets",
    _metadata,
    sa.Column("server", sa.String(24), primary_key=True),
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("used", sa.Integer, nullable=False),
)
_events = sa.Table(
    "discord_events",
    _metadata,
    sa.Column("event", sa.String(64), primary_key=True),
    sa.Column("at", sa.Float, nullable=False, index=True),
)
_answers = sa.Table(
    "discord_answers",
    _metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("user", sa.String(24), nullable=False, index=True),
    sa.Column("server", sa.String(24), nullable=False, index=True),
    sa.Column("channel", sa.String(24), nullable=False),
    sa.Column("message", sa.String(24), nullable=False, index=True),
    sa.Column("conversation", sa.String(32), nullable=False, index=True),
    sa.Column("state", sa.String(12), nullable=False, index=True),
    sa.Column("private", sa.Boolean, nullable=False),
    sa.Column("skill", sa.String(32), nullable=False),
    sa.Column("options", sa.Text, nullable=False),
    sa.Column("question", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("evidence", sa.Text, nullable=False),
    sa.Column("answer", sa.Text, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
)
_votes = sa.Table(
    "discord_votes",
    _metadata,
    sa.Column("user", sa.String(24), primary_key=True),
    sa.Column("answer", sa.String(32), primary_key=True),
    sa.Column("vote", sa.String(4), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
)
_threads = sa.Table(
    "discord_threads",
    _metadata,
    sa.Column("thread", sa.String(24), primary_key=True),
    sa.Column("server", sa.String(24), nullable=False, index=True),
    sa.Column("user", sa.String(24), nullable=False, index=True),
    sa.Column("conversation", sa.String(32), nullable=False),
)
_notes = sa.Table(
    "discord_notes",
    _metadata,
    sa.Column("server", sa.String(24), primary_key=True),
    sa.Column("title", sa.String(120), primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
)
_facts = sa.Table(
    "discord_facts", _metadata, sa.Column("name", sa.String(64), primary_key=True), sa.Column("value", sa.Text)
)


def _create(connection: sa.Connection) -> None:
    _metadata.create_all(connection)


# Append only: the position is the version. A database remembers how far it has come.
MIGRATIONS: tuple[Callable[[sa.Connection], None], ...] = (_create,)


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What the administrators of a server chose. Empty tuples and 0 mean "no restriction"."""

    channels: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    model: str = ""
    daily_budget: int = 0
    language: str = "en"
    anyone_may_vote: bool = True


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """One answer as it was given, or is being given: state is running, done, failed, stopped or interrupted.

    `options` and `answer` (JSON of coach.store.sessions) let a later process try again and show the evidence.
    """

    id: str
    user: str
    server: str = ""
    channel: str = ""
    message: str = ""
    conversation: str = ""
    state: str = "running"
    private: bool = False
    skill: str = "ask"
    options: tuple[tuple[str, str], ...] = ()
    question: str = ""
    text: str = ""
    evidence: tuple[str, ...] = ()
    answer: str = ""
    at: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True)
class Note:
    """A text that a server's administrators added for their own members."""

    title: str
    text: str


class ServerStore:
    """The bot's tables in the database behind `url`. Statements are single-row and quick; safe to share by threads.

    Raises StoreError when the database cannot be opened or is newer than this program.
    """

    def __init__(self, url: str) -> None:
        self._engine = sa.create_engine(url)
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", _prepare_sqlite)
        self._migrate()

    def close(self) -> None:
        """Release the connections."""
        self._engine.dispose()

    # -- events --------------------------------------------------------------------------------------------------

    def claim_event(self, name: str) -> bool:
        """True for the first caller with this name, False for every later one, also after a restart."""
        try:
            with self._write() as connection:
                connection.execute(_events.insert().values(event=name, at=time.time()))
        except sa.exc.IntegrityError:
            return False
        return True

    def knows_event(self, name: str) -> bool:
        """Whether somebody has claimed this name. Reads only, so it never waits for a lock."""
        with self._engine.connect() as connection:
            return connection.execute(sa.select(_events.c.at).where(_events.c.event == name)).first() is not None

    def forget_events(self, *, older_than_seconds: float) -> int:
        """Delete claims that Discord can no longer replay; how many."""
        with self._write() as connection:
            cutoff = time.time() - older_than_seconds
            return connection.execute(_events.delete().where(_events.c.at < cutoff)).rowcount

    # -- servers -------------------------------------------------------------------------------------------------

    def server(self, server: str) -> ServerSettings:
        """The settings of a server; the defaults when it never changed any."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(_servers.c.settings).where(_servers.c.server == server)).first()
        return _settings(row.settings) if row else ServerSettings()

    def save_server(self, server: str, settings: ServerSettings) -> None:
        """Keep the settings of a server."""
        with self._write() as connection:
            _upsert(
                connection, _servers, {"server": server}, {"settings": json.dumps(asdict(settings)), "left_at": None}
            )

    def mark_left(self, server: str, *, at: float | None = None) -> None:
        """The bot was removed from a server: its data will be purged after the grace period."""
        with self._write() as connection:
            row = connection.execute(sa.select(_servers.c.settings).where(_servers.c.server == server)).first()
            settings = row.settings if row else json.dumps(asdict(ServerSettings()))
            _upsert(
                connection,
                _servers,
                {"server": server},
                {"settings": settings, "left_at": time.time() if at is None else at},
            )

    def mark_joined(self, server: str) -> None:
        """The bot is in a server (again): nothing of it is purged."""
        with self._write() as connection:
            connection.execute(_servers.update().where(_servers.c.server == server).values(left_at=None))

    def purge_left(self, *, grace_seconds: float) -> tuple[str, ...]:
        """Delete everything of servers left longer ago than the grace period; their ids."""
        cutoff = time.time() - grace_seconds
        with self._write() as connection:
            query = sa.select(_servers.c.server).where(_servers.c.left_at.is_not(None), _servers.c.left_at < cutoff)
            gone = tuple(row.server for row in connection.execute(query))
            for server in gone:
                answers = sa.select(_answers.c.id).where(_answers.c.server == server)
                connection.execute(_votes.delete().where(_votes.c.answer.in_(answers)))
                for table in (_answers, _threads, _notes, _budgets, _servers):
                    connection.execute(table.delete().where(table.c.server == server))
        return gone

    def spend(self, server: str, day: str, *, limit: int) -> bool:
        """Count one question against the day's budget; False when it is used up. A limit of 0 means none."""
        with self._write() as connection:
            row = connection.execute(
                sa.select(_budgets.c.used).where(_budgets.c.server == server, _budgets.c.day == day)
            ).first()
            used = row.used if row else 0
            if limit and used >= limit:
                return False
            _upsert(connection, _budgets, {"server": server, "day": day}, {"used": used + 1})
            connection.execute(_budgets.delete().where(_budgets.c.server == server, _budgets.c.day < day))
        return True

    # -- notes of a server ---------------------------------------------------------------------------------------

    def add_note(self, server: str, note: Note) -> None:
        """Keep a note for one server; the same title replaces."""
        with self._write() as connection:
            _upsert(connection, _notes, {"server": server, "title": note.title}, {"text": note.text})

    def remove_note(self, server: str, title: str) -> bool:
        """Delete a note; False when there is none of that title."""
        with self._write() as connection:
            query = _notes.delete().where(_notes.c.server == server, _notes.c.title == title)
            return connection.execute(query).rowcount > 0

    def notes(self, server: str) -> tuple[Note, ...]:
        """The notes of one server, by title."""
        query = sa.select(_notes).where(_notes.c.server == server).order_by(_notes.c.title)
        with self._engine.connect() as connection:
            return tuple(Note(row.title, row.text) for row in connection.execute(query))

    # -- answers -------------------------------------------------------------------------------------------------

    def record(self, row: AnswerRow) -> None:
        """Keep an answer, new or changed."""
        values = asdict(row)
        values["options"] = json.dumps(row.options)
        values["evidence"] = json.dumps(row.evidence)
        with self._write() as connection:
            _upsert(connection, _answers, {"id": values.pop("id")}, values)

    def answer(self, answer: str) -> AnswerRow | None:
        """An answer by its id."""
        return next(iter(self._answers(_answers.c.id == answer)), None)

    def answer_of_message(self, message: str) -> AnswerRow | None:
        """The answer that a message of the bot holds."""
        return next(iter(self._answers(_answers.c.message == message)), None)

    def conversation(self, conversation: str, *, limit: int = 6) -> tuple[AnswerRow, ...]:
        """The latest finished answers of a conversation, oldest first."""
        found = self._answers(_answers.c.conversation == conversation, _answers.c.state == "done")
        return tuple(found[-limit:])

    def unfinished(self) -> tuple[AnswerRow, ...]:
        """Answers that were running when the last process ended."""
        return tuple(self._answers(_answers.c.state == "running"))

    def vote(self, user: str, answer: str, vote: str) -> None:
        """Keep a person's vote on an answer; the last one counts."""
        with self._write() as connection:
            _upsert(connection, _votes, {"user": user, "answer": answer}, {"vote": vote, "at": time.time()})

    def votes(self, answer: str) -> dict[str, int]:
        """How many votes of each kind an answer has."""
        query = sa.select(_votes.c.vote, sa.func.count()).where(_votes.c.answer == answer).group_by(_votes.c.vote)
        with self._engine.connect() as connection:
            return {row[0]: int(row[1]) for row in connection.execute(query)}

    # -- threads -------------------------------------------------------------------------------------------------

    def open_thread(self, thread: str, *, server: str, user: str, conversation: str) -> None:
        """Remember that a thread goes on with a conversation."""
        with self._write() as connection:
            _upsert(
                connection, _threads, {"thread": thread}, {"server": server, "user": user, "conversation": conversation}
            )

    def thread(self, thread: str) -> str:
        """The conversation that a thread goes on with; "" when the thread is not the coach's."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(_threads.c.conversation).where(_threads.c.thread == thread)).first()
        return str(row.conversation) if row else ""

    # -- people --------------------------------------------------------------------------------------------------

    def export(self, user: str) -> dict[str, Any]:
        """Everything that is kept about a person, ready for JSON."""
        with self._engine.connect() as connection:
            votes = [
                {"answer": row.answer, "vote": row.vote, "at": row.at}
                for row in connection.execute(sa.select(_votes).where(_votes.c.user == user))
            ]
            threads = [row.thread for row in connection.execute(sa.select(_threads).where(_threads.c.user == user))]
        answers = [asdict(row) for row in self._answers(_answers.c.user == user)]
        return {"user": user, "answers": answers, "votes": votes, "threads": threads}

    def forget(self, user: str) -> dict[str, int]:
        """Delete everything of a person; rows by kind. Votes stay as counts under a name that leads to nobody."""
        with self._write() as connection:
            counts = {}
            for kind, table in (("answers", _answers), ("threads", _threads)):
                counts[kind] = connection.execute(table.delete().where(table.c.user == user)).rowcount
            mine = list(connection.execute(sa.select(_votes).where(_votes.c.user == user)))
            connection.execute(_votes.delete().where(_votes.c.user == user))
            for position, row in enumerate(mine):
                nobody = f"gone-{time.time_ns():x}-{position}"[:24]
                connection.execute(_votes.insert().values(user=nobody, answer=row.answer, vote=row.vote, at=0.0))
            counts["votes"] = len(mine)
        return counts

    # -- facts about the bot itself ------------------------------------------------------------------------------

    def fact(self, name: str) -> str:
        """A remembered value, "" when there is none."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(_facts.c.value).where(_facts.c.name == name)).first()
        return str(row.value) if row else ""

    def save_fact(self, name: str, value: str) -> None:
        """Remember a value by name, e.g. the hash of the commands that Discord was told."""
        with self._write() as connection:
            _upsert(connection, _facts, {"name": name}, {"value": value})

    # -- the database --------------------------------------------------------------------------------------------

    def _answers(self, *conditions: sa.ColumnElement[bool]) -> list[AnswerRow]:
        query = sa.select(_answers).where(*conditions).order_by(_answers.c.at, _answers.c.id)
        with self._engine.connect() as connection:
            return [_answer_row(row._mapping) for row in connection.execute(query)]

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except sa.exc.OperationalError as error:
            raise StoreError(
                f"The database of the Discord bot cannot be written ({error.orig}). "
                "Check the disk and the permissions of COACH_DATABASE_URL."
            ) from error

    def _migrate(self) -> None:
        try:
            with self._engine.begin() as connection:
                _versions.create(connection, checkfirst=True)
                done = connection.execute(sa.select(sa.func.max(_versions.c.version))).scalar() or 0
                if done > len(MIGRATIONS):
                    raise StoreError(
                        f"The database is at version {done}, this program knows {len(MIGRATIONS)}. "
                        "Install the newer version that wrote it."
                    )
                for version in range(done, len(MIGRATIONS)):
                    MIGRATIONS[version](connection)
                    connection.execute(_versions.insert().values(version=version + 1))
        except sa.exc.SQLAlchemyError as error:
            raise StoreError(
                f"The database of the Discord bot cannot be opened ({error}). Check COACH_DATABASE_URL."
            ) from error


def _prepare_sqlite(connection: Any, _record: object) -> None:
    """WAL and a short wait: the event loop writes here, so a lock held elsewhere must not stall it for long."""
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=2000", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _upsert(connection: sa.Connection, table: sa.Table, key: dict[str, Any], values: dict[str, Any]) -> None:
    """Insert or change one row. SQLite and Postgres both know ON CONFLICT, in their own dialect's insert."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as postgres_insert

        connection.execute(
            postgres_insert(table).values(**key, **values).on_conflict_do_update(index_elements=list(key), set_=values)
        )
    else:
        from sqlalchemy.dialects.sqlite import insert as sqlite_insert

        connection.execute(
            sqlite_insert(table).values(**key, **values).on_conflict_do_update(index_elements=list(key), set_=values)
        )


def _settings(text: str) -> ServerSettings:
    given = json.loads(text)
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    return ServerSettings(**values)


def _answer_row(row: Any) -> AnswerRow:
    values = dict(row)
    values["options"] = tuple((str(name), str(value)) for name, value in json.loads(values["options"]))
    values["evidence"] = tuple(json.loads(values["evidence"]))
    return AnswerRow(**values)
