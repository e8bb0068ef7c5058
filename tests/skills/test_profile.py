"""The profile holds what was stated, and goes when told to."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from coach.domain import Profile, Request, SkillLevel
from coach.errors import RequestError
from coach.skills import profile
from coach.skills.base import SkillContext, SlotValues
from coach.store.progress import Profiles, ProgressStore
from coach.store.sessions import Sessions
from coach.store.tables import Database


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(f"sqlite:///{tmp_path / 'coach.sqlite'}")


@pytest.fixture
def store(database: Database) -> Profiles:
    return Profiles(Sessions(database))


def test_set_show_delete(context: SkillContext, store: Profiles) -> None:
    kept = dataclasses.replace(context, profiles=store)
    profile.run(Request("x", user="ann"), SlotValues.of(action="set", role="data scientist", skills="python:strong", hours_per_week=6), kept)
    assert store.load("ann") == Profile(skills=(SkillLevel("python", "strong"),), target_role="data-scientist", hours_per_week=6.0)
    assert store.load("bob") == Profile()
    assert "6 hours" in profile.run(Request("show my profile", user="ann"), SlotValues(), kept).text
    profile.run(Request("forget me", user="ann"), SlotValues(), kept)
    assert store.load("ann") == Profile()


def test_export_reads_back() -> None:
    made = Profile(skills=(SkillLevel("sql", "basic"),), target_role="data-analyst", memory_gb=4.0)
    assert profile.from_json(profile.to_json(made)) == made


def test_wrong_values_are_refused(context: SkillContext, store: Profiles) -> None:
    kept = dataclasses.replace(context, profiles=store)
    for values in ({"skills": "juggling"}, {"hours_per_week": 0}, {"role": "astronaut"}, {"level": "wizard"}):
        with pytest.raises(RequestError):
            profile.run(Request("x"), SlotValues.of(action="set", **values), kept)


def test_states_belong_to_their_user(database: Database) -> None:
    store = ProgressStore(database)
    store.set_state("ann", "s1", "interview", "{}")
    assert store.state("ann", "s1", "interview") == "{}"
    assert store.state("bob", "s1", "interview") == ""
    store.add_done("ann", "sql", "working", "2026-11-24")
    assert not store.done("bob")
    Sessions(database).delete_user("ann")
    assert not store.done("ann")
    assert store.state("ann", "s1", "interview") == ""
