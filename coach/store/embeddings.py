"""A cache of embeddings on disk, keyed by the hash of the text and the embedder's fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa

from coach.errors import StoreError

if TYPE_CHECKING:
    from coach.domain import Embedder, Vectors

_metadata = sa.MetaData()
_embeddings = sa.Table(
    "embeddings",
    _metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("vector", sa.LargeBinary, nullable=False),
)


class EmbeddingCache:
    """Vectors by text; rows are float32 bytes. One writer at a time (the index builder holds a lock)."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._engine = sa.create_engine(f"sqlite:///{path}")
        try:
            _metadata.create_all(self._engine)
        except sa.exc.DatabaseError as error:
            raise StoreError(f"The embedding cache {path} cannot be used ({error}). Delete the file; it is rebuilt.") from error

    def load(self, texts: Sequence[str], embedder: Embedder) -> dict[str, Vectors]:
        """The known vectors by key."""
        wanted = [key(text, embedder) for text in texts]
        found: dict[str, Vectors] = {}
        with self._engine.connect() as connection:
            for start in range(0, len(wanted), 500):
                query = sa.select(_embeddings).where(_embeddings.c.key.in_(wanted[start : start + 500]))
                for row in connection.execute(query):
                    found[row.key] = np.frombuffer(row.vector, dtype=np.float32)
        return found

    def save(self, texts: Sequence[str], vectors: Vectors, embedder: Embedder) -> None:
        """Keep vectors, one row a text."""
        rows = [{"key": key(text, embedder), "vector": vector.astype(np.float32).tobytes()}
                for text, vector in zip(texts, vectors, strict=True)]
        if rows:
            with self._engine.begin() as connection:
                connection.execute(_embeddings.insert().prefix_with("OR REPLACE"), rows)

    def close(self) -> None:
        """Release the file."""
        self._engine.dispose()


def key(text: str, embedder: Embedder) -> str:
    """SHA-256 of fingerprint and text."""
    return hashlib.sha256(f"{embedder.fingerprint}\n{text}".encode()).hexdigest()
