"""When something fails, a person gets one sentence and a way on, and never a traceback."""

from __future__ import annotations

import logging

import discord
import pytest

from coach.domain import Request
from coach.errors import EngineUnavailable, RequestError, StoreError
from tests.discord.scripted import Script
from tests.discord.sim.world import World, play


def test_an_engine_that_fails_midway_gives_an_apology_and_a_retry_that_works(database: str) -> None:
    failing = [True]

    def script(request: Request) -> Script:
        return Script(
            ("One.", "Two."), error=EngineUnavailable("cannot reach http://10.0.0.1/v1") if failing[0] else None
        )

    async def scene(world: World) -> None:
        await world.alice.send(world.general, f"{world.mention} one")
        apology = world.answers()[-1]
        assert apology.content.startswith("The language model did not answer.")
        assert "10.0.0.1" not in apology.content
        assert "Reference" in apology.content
        refused = await world.bob.click(apology, label="Try again")
        assert "Only the person" in refused.response.content
        await world.restart()
        failing[0] = False
        await world.alice.click(apology, label="Try again")
        assert world.answers()[-1].content == "One. [1] Two. [1]"

    play(scene, database, script=script)


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (
            RequestError("The question has 9,000 characters."),
            "I cannot take that as it is: The question has 9,000 characters.",
        ),
        (ZeroDivisionError("division by zero"), "Something went wrong on my side."),
    ],
)
def test_errors_are_told_in_a_sentence(
    database: str, error: Exception, shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(world: World) -> None:
        await world.alice.slash(world.general, "ask", question="one")
        assert world.answers()[-1].content.startswith(shown)
        assert "Traceback" not in world.answers()[-1].content

    with caplog.at_level(logging.ERROR, logger="bots"):
        play(scene, database, script=lambda request: Script(error=error))
    assert ("ZeroDivisionError" in caplog.text) == isinstance(error, ZeroDivisionError)


def test_an_interaction_that_is_too_late_is_let_go(database: str, caplog: pytest.LogCaptureFixture) -> None:
    async def scene(world: World) -> None:
        world.env.inject_error(
            "POST", "/interactions/*/callback", status=404, code=10062, message="Unknown interaction"
        )
        await world.alice.slash(world.general, "ask", question="one")
        assert world.answers() == []
        assert world.bot.desk.running == ()

    with caplog.at_level(logging.INFO, logger="bots"):
        assert play(scene, database).requests == []
    assert "10062" in caplog.text
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


def test_an_answer_that_takes_too_long_says_so(database: str) -> None:
    async def scene(world: World) -> None:
        await world.alice.slash(world.general, "ask", question="one")
        for _ in range(14):
            await world.env.advance_time(60)
        assert world.answers()[-1].content.startswith("One. [1]\n\n*I stopped after 13 minutes.")
        assert len(world.answers()) == 1

    coach = play(scene, database, script=lambda request: Script(("One.", "Two."), wait=600.0))
    assert coach.cancelled == ["one"]


def test_an_expired_token_falls_back_to_the_channel(database: str) -> None:
    async def scene(world: World) -> None:
        await world.alice.slash(world.general, "ask", question="one")
        world.env.inject_error(
            "PATCH", "/webhooks/*/messages/@original", status=404, code=10015, message="Unknown Webhook", times=None
        )
        await world.env.advance_time(31)
        assert world.answers()[-1].content == "Learn statistics first. [1]"
        assert len([m for m in world.answers() if "statistics" in m.content]) == 1

    play(scene, database, script=lambda request: Script(wait=30.0))


def _expire(world: World) -> None:
    for method, route in (("PATCH", "/webhooks/*/messages/@original"), ("POST", "/webhooks/*")):
        world.env.inject_error(method, route, status=404, code=10015, message="Unknown Webhook", times=None)


def test_a_private_answer_whose_token_expired_comes_as_a_direct_message(database: str) -> None:
    async def scene(world: World) -> None:
        await world.alice.slash(world.general, "ask", question="one", private=True)
        _expire(world)
        await world.env.advance_time(31)
        assert [m for m in world.answers() if "statistics" in m.content] == []
        assert world.alice.user.dm_channel.last_message.content == "Learn statistics first. [1]"

    play(scene, database, script=lambda request: Script(wait=30.0))


def test_an_expired_token_where_the_bot_may_not_speak_ends_in_a_direct_message(database: str) -> None:
    async def scene(world: World) -> None:
        quiet = world.guild.create_text_channel(
            "quiet", overwrites={world.guild.me: discord.PermissionOverwrite(send_messages=False)}
        )
        await world.alice.slash(quiet, "ask", question="one")
        _expire(world)
        await world.env.advance_time(31)
        assert [m for m in world.answers(quiet) if "statistics" in m.content] == []
        sent = [m.content for m in world.alice.user.dm_channel.history()]
        assert sent == ["Learn statistics first. [1]"]

    play(scene, database, script=lambda request: Script(wait=30.0))


def test_a_broken_database_is_told_as_such(database: str) -> None:
    async def scene(world: World) -> None:
        def broken(name: str) -> bool:
            raise StoreError("disk full")

        world.bot.store.claim_event = broken  # type: ignore[method-assign]
        await world.alice.slash(world.general, "ask", question="one")
        assert "My memory does not work" in world.answers()[-1].content

    play(scene, database)


def test_a_bug_in_a_command_is_told_in_private(database: str) -> None:
    async def scene(world: World) -> None:
        world.bot.describe_coach = lambda: str(1 // 0)
        result = await world.alice.slash(world.general, "about")
        assert result.ephemeral
        assert result.response.content == "Something went wrong on my side. Please try again."
        assert [type(error).__name__ for error in world.env.errors]

    play(scene, database, run_options={"check_errors": False})
