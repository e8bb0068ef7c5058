"""Opens the coach that the evals measure: the real one, or one that needs no weights for CI."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from coach.app import open_coach, open_embedder
from coach.domain import Embedder
from coach.pipeline import Coach
from coach.retrieval.snapshot import Snapshot
from coach.settings import Settings, load_settings
from coach.verify import Verifier

# An eval is one user who asks quickly: the limit for people does not apply.
UNLIMITED = {"requests_per_minute": 1_000_000}


@contextmanager
def coach_under_test(*, model: str | None = None, engine: str | None = None, **settings: Any) -> Iterator[Coach]:
    """The coach of the settings in force, changed by what is given; closed at the end."""
    coach = open_coach(eval_settings(model=model, engine=engine, **settings))
    try:
        yield coach
    finally:
        coach.close()


def eval_settings(**overrides: Any) -> Settings:
    """The settings in force without the limit on requests; None means "as set"."""
    return load_settings(**(UNLIMITED | overrides))


def eval_embedder() -> Embedder:
    """The embedder of the settings in force."""
    return open_embedder(load_settings())


def verifier_of(coach: Coach) -> Verifier:
    """The verifier that the coach itself checks with: what breaks it must show in the evals."""
    return coach._parts.verifier  # a measuring instrument may look inside; nothing else does


def snapshot_of(coach: Coach) -> Snapshot:
    """The index version in force."""
    return coach._parts.reader.current()
