"""People see, take away and delete what is kept about them; nothing of theirs is in a log."""

from __future__ import annotations

import json
import logging
import sqlite3

import pytest

from coach.domain import Profile
from coach.errors import EngineUnavailable
from tests.discord.sim.world import World, play

SECRET = "my very own zebra question"


def _database_text(database: str) -> str:
    with sqlite3.connect(database.removeprefix("sqlite:///")) as connection:
        return "\n".join(connection.iterdump())


def test_the_profile_is_private_and_reaches_the_coach(database: str) -> None:
    async def scene(world: World) -> None:
        told = await world.alice.slash(
            world.general, "profile set", role="Data scientist", hours=6.0, memory_gb=16.0, skills="python, sql"
        )
        assert told.ephemeral
        shown = await world.alice.slash(world.general, "profile show")
        assert shown.ephemeral
        assert "**Role:** Data scientist" in shown.response.content
        await world.alice.slash(world.general, "ask", question="one")
        await world.bob.slash(world.general, "ask", question="two")

    coach = play(scene, database)
    assert coach.requests[0].profile.target_role == "Data scientist"
    assert coach.requests[0].profile.hours_per_week == 6.0
    assert [s.skill for s in coach.requests[0].profile.skills] == ["python", "sql"]
    assert coach.requests[1].profile == Profile()


def test_what_is_kept_can_be_seen_exported_and_forgotten(database: str) -> None:
    async def scene(world: World) -> None:
        await world.alice.slash(world.general, "profile set", role="Data scientist")
        await world.alice.slash(world.general, "ask", question=SECRET)
        answer = world.answers()[-1]
        await world.alice.click(answer, label="Helpful")
        await world.bob.click(answer, label="Helpful")
        await world.bob.slash(world.general, "ask", question="the question of bob")
        shown = await world.alice.slash(world.general, "mydata show")
        assert shown.ephemeral
        assert "1 of your questions" in shown.response.content
        exported = await world.alice.slash(world.general, "mydata export")
        assert exported.ephemeral
        content = json.loads(await exported.response.attachments[0].read())
        assert content["answers"][0]["question"] == SECRET
        assert content["profile"]["target_role"] == "Data scientist"
        assert "the question of bob" not in json.dumps(content)
        assert SECRET in _database_text(database)
        forgotten = await world.alice.slash(world.general, "mydata forget")
        assert forgotten.ephemeral
        text = _database_text(database)
        assert SECRET not in text
        assert str(world.alice.id) not in text
        assert "the question of bob" in text

    play(scene, database)
    for suffix in ("", "-wal"):
        path = database.removeprefix("sqlite:///") + suffix
        try:
            with open(path, "rb") as file:
                assert SECRET.encode() not in file.read() or suffix == "-wal"
        except FileNotFoundError:
            pass


def test_forgetting_works_in_direct_messages_and_after_leaving(database: str) -> None:
    async def scene(world: World) -> None:
        await world.alice.slash(world.general, "ask", question=SECRET)
        world.guild.remove_member(world.alice)
        await world.alice.user.slash("mydata forget")
        assert SECRET not in _database_text(database)

    play(scene, database)


def test_nothing_is_deleted_here_while_the_coach_server_cannot_delete_there(database: str) -> None:
    def away(user: str) -> object:
        raise EngineUnavailable("The coach server cannot be reached.")

    async def scene(world: World) -> None:
        await world.alice.slash(world.general, "ask", question=SECRET)
        for command in ("mydata export", "mydata forget"):
            told = await world.alice.slash(world.general, command)
            assert "nothing was done" in told.response.content
            assert told.response.attachments == []
        assert SECRET in _database_text(database)

    play(scene, database, forget_elsewhere=away, export_elsewhere=away)


def test_privacy_and_about_say_what_there_is(database: str) -> None:
    async def scene(world: World) -> None:
        privacy = await world.alice.slash(world.general, "privacy")
        assert privacy.ephemeral
        assert "`/mydata forget`" in privacy.response.content
        assert "/privacy" in world.bot.description
        await world.alice.slash(world.general, "ask", question="one")
        about = await world.alice.slash(world.general, "about")
        assert about.ephemeral
        assert "answered 1" in about.response.content
        assert "`/privacy`" in about.response.content

    play(scene, database)


def test_logs_hold_no_words_of_people(database: str, caplog: pytest.LogCaptureFixture) -> None:
    async def scene(world: World) -> None:
        await world.alice.send(world.general, f"{world.mention} {SECRET}")
        await world.alice.slash(world.general, "ask", question=SECRET)

    with caplog.at_level(logging.INFO, logger="bots"):
        play(scene, database)
    assert "answer" in caplog.text
    assert SECRET not in caplog.text
    assert "statistics" not in caplog.text
