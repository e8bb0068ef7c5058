"""Opens the coach that the evals measure: the real one, or one that needs no weights for CI."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from coach.app import build, open_coach, open_embedder
from coach.domain import Embedder, Request
from coach.pipeline import Coach
from coach.retrieval.search import Evidence
from coach.retrieval.snapshot import Snapshot
from coach.settings import Settings, load_settings
from coach.verify import Verifier

# An eval is one user who asks quickly: the limit for people does not apply.
UNLIMITED = {"requests_per_minute": 1_000_000}


@contextmanager
def coach_under_test(
    *,
    model: str | None = None,
    engine: str | None = None,
    current_index: bool = False,
    **settings: Any,
) -> Iterator[Coach]:
    """The coach of the settings in force, changed by what is given; closed at the end.

    With `current_index` the index is first brought up to the knowledge as it stands in the files.
    """
    chosen = eval_settings(model=model, engine=engine, **settings)
    if current_index:
        build(chosen, wait_seconds=600)
    coach = open_coach(chosen)
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


def route(coach: Coach, text: str) -> str:
    """The skill that the coach would run for a text."""
    runner = coach._parts.runner
    return runner.route(Request(text, skill="auto")) if runner else "ask"


def snapshot_of(coach: Coach) -> Snapshot:
    """The index version in force."""
    return coach._parts.reader.current()


class PoisonedCoach(Coach):
    """The same coach and engine, but the best passage it finds carries a text that somebody smuggled into a document."""

    def __init__(self, coach: Coach, text: str) -> None:
        super().__init__(dataclasses.replace(coach._parts, open_engine=coach.engine))
        self.text = text

    def search(self, question: str, **how: Any) -> Evidence:
        """The evidence, its first passage poisoned."""
        found = super().search(question, **how)
        first, *others = found.passages
        poisoned = dataclasses.replace(first, text=f"{self.text}\n\n{first.text}\n\n{self.text}")
        return dataclasses.replace(found, passages=(poisoned, *others))
