"""The tables of the database, and how an older database becomes the present one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from coach.errors import StoreError

metadata = sa.MetaData()

conversations = sa.Table(
    "conversations", metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("user", sa.String(200), nullable=False, index=True),
    sa.Column("title", sa.String(200), nullable=False),
    sa.Column("created", sa.String(32), nullable=False),
    sa.Column("updated", sa.String(32), nullable=False),
)
turns = sa.Table(
    "turns", metadata,
    sa.Column("conversation", sa.ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("user", sa.String(200), nullable=False, index=True),
    sa.Column("question", sa.Text, nullable=False),
    sa.Column("answer", sa.Text, nullable=False),
    sa.Column("answer_id", sa.String(64), nullable=False, index=True),
    sa.Column("created", sa.String(32), nullable=False),
)
feedback = sa.Table(
    "feedback", metadata,
    sa.Column("user", sa.String(200), primary_key=True),
    sa.Column("answer_id", sa.String(64), primary_key=True),
    sa.Column("vote", sa.String(8), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("created", sa.String(32), nullable=False),
)
profiles = sa.Table(
    "profiles", metadata,
    sa.Column("user", sa.String(200), primary_key=True),
    sa.Column("profile", sa.Text, nullable=False),
    sa.Column("updated", sa.String(32), nullable=False),
)
done_steps = sa.Table(
    "done_steps", metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("user", sa.String(200), nullable=False, index=True),
    sa.Column("skill", sa.String(100), nullable=False),
    sa.Column("level", sa.String(20), nullable=False),
    sa.Column("done_on", sa.String(10), nullable=False),
)
practice = sa.Table(
    "practice", metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("user", sa.String(200), nullable=False, index=True),
    sa.Column("question", sa.String(100), nullable=False),
    sa.Column("score", sa.Float, nullable=False),
    sa.Column("answered_at", sa.String(40), nullable=False),
    sa.Column("card", sa.Text, nullable=False),
)
exchanges = sa.Table(
    "exchanges", metadata,
    sa.Column("session", sa.String(200), primary_key=True),
    sa.Column("skill", sa.String(50), primary_key=True),
    sa.Column("user", sa.String(200), primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
)
schema_version = sa.Table("schema_version", metadata, sa.Column("version", sa.Integer, nullable=False))


def _create_first_tables(connection: sa.Connection) -> None:
    metadata.create_all(connection, tables=[conversations, turns, feedback, profiles])


def _create_progress_tables(connection: sa.Connection) -> None:
    metadata.create_all(connection, tables=[done_steps, practice, exchanges])


# A migration is appended, never changed: its position + 1 is the version that it leads to.
MIGRATIONS: tuple[Callable[[sa.Connection], None], ...] = (_create_first_tables, _create_progress_tables)


class Database:
    """A connection pool whose reads and writes are short transactions.

    SQLite: write-ahead log, foreign keys on, five seconds of patience; writers lock at the start, because a reader that
    turns writer under WAL fails at once instead of waiting (SQLITE_BUSY_SNAPSHOT). Raises StoreError.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            parsed = sa.make_url(url)
            if parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:"):
                Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
            self._engine = sa.create_engine(url)
            if parsed.get_backend_name() == "sqlite":
                sa.event.listen(self._engine, "connect", _prepare_sqlite)
                sa.event.listen(self._engine, "begin", _begin_sqlite)
            self._migrate()
        except (sa.exc.SQLAlchemyError, OSError) as error:
            raise StoreError(
                f"The database {_without_password(url)} cannot be opened ({_reason(error)}). Check `database_url` and "
                "that its folder can be written to."
            ) from error

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that only reads."""
        with self._translated(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that writes; committed at the end, rolled back on an error."""
        with self._translated(), self._engine.execution_options(writes=True).begin() as connection:
            yield connection

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            raise StoreError(f"The database failed ({_reason(error)}). Is its disk full, or is it locked?") from error

    def _migrate(self) -> None:
        with self._engine.execution_options(writes=True).begin() as connection:
            schema_version.create(connection, checkfirst=True)
            found = connection.scalar(sa.select(sa.func.max(schema_version.c.version))) or 0
            if found > len(MIGRATIONS):
                raise StoreError(
                    f"The database is of version {found}; this program knows versions up to {len(MIGRATIONS)}. "
                    "Update the program, or point `database_url` elsewhere."
                )
            for number in range(found, len(MIGRATIONS)):
                MIGRATIONS[number](connection)
                connection.execute(sa.insert(schema_version).values(version=number + 1))


def _prepare_sqlite(connection: object, _record: object) -> None:
    connection.isolation_level = None  # type: ignore[attr-defined]  # sqlite3.Connection; we begin transactions ourselves
    cursor = connection.cursor()  # type: ignore[attr-defined]  # sqlite3.Connection
    # The patience comes first: switching to WAL needs a lock that another process may hold.
    pragmas = ("busy_timeout=5000", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "secure_delete=ON")
    for pragma in pragmas:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _reason(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]


def _without_password(url: str) -> str:
    try:
        return sa.make_url(url).render_as_string(hide_password=True)
    except sa.exc.ArgumentError:
        return "(an address that is not a URL)"
