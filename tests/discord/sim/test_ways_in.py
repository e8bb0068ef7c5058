"""Every way in leads to one answer, and nothing else does."""

from __future__ import annotations

import discord

from bots.discord_bot import HINT, intents
from coach.domain import Request
from tests.discord.scripted import Script
from tests.discord.sim.world import World, play


def test_ask_answers_with_markers_and_sources(database: str) -> None:
    async def scene(world: World) -> None:
        await world.alice.slash(world.general, "ask", question="Where do I begin?")
        answer = world.answers()[-1]
        assert answer.content == "Learn statistics first. [1]"
        field = answer.embeds[0].fields[0]
        assert field.name == "[1] The way in — Where do I begin?"
        assert "“Learn statistics first.”" in field.value
        assert "2026-03-01" in field.value
        assert "https://example.org/handbook" in field.value

    play(scene, database)


def test_the_first_thing_ask_does_is_to_defer(database: str) -> None:
    async def scene(world: World) -> None:
        await world.alice.slash(world.general, "ask", question="Slow?")
        after_the_event = world.env.transcript().split("INTERACTION_CREATE")[1].splitlines()[1]
        assert after_the_event.startswith("HTTP     POST /interactions/")
        assert after_the_event.endswith("/callback {'type': 5}")
        await world.env.advance_time(61)
        assert world.answers()[-1].content.startswith("Learn statistics first.")
        assert len(world.answers()) == 1

    play(scene, database, script=lambda request: Script(wait=60.0))


def test_default_intents_are_not_privileged() -> None:
    wanted = intents(message_content=False)
    assert not wanted.message_content
    assert not wanted.members
    assert not wanted.presences
    assert wanted.guilds
    assert wanted.guild_messages
    assert wanted.dm_messages


def test_without_the_content_intent_every_direct_way_works(database: str) -> None:
    async def scene(world: World) -> None:
        await world.alice.slash(world.general, "ask", question="one")
        await world.alice.send(world.general, f"{world.mention} two")
        await world.alice.send_dm("three")
        said = await world.bob.send(world.general, "four")
        await world.alice.context_menu(world.general, "Ask the coach about this", said)
        await world.bob.send(world.general, "nobody asked")

    coach = play(scene, database, run_options={"approved_intents": discord.Intents.default()})
    assert [request.text for request in coach.requests] == ["one", "two", "three", "four"]


def test_a_mention_is_answered_as_a_reply(database: str) -> None:
    async def scene(world: World) -> None:
        asked = await world.alice.send(world.general, f"{world.mention} Which maths first?")
        answer = world.answers()[-1]
        assert answer.reference.message_id == asked.id
        assert answer.content == "Learn statistics first. [1]"

    coach = play(scene, database)
    assert [request.text for request in coach.requests] == ["Which maths first?"]
    assert coach.requests[0].user.startswith("discord:")


def test_other_chatter_bots_and_webhooks_are_ignored(database: str) -> None:
    async def scene(world: World) -> None:
        robot = world.guild.add_member(world.env.create_user("robot", bot=True))
        await world.alice.send(world.general, "Just talking to bob.")
        await robot.send(world.general, f"{world.mention} hello")
        webhook = world.guild.create_webhook(world.general, "Feed")
        await webhook.send(f"{world.mention} news")
        assert world.answers() == []

    coach = play(scene, database, message_content=True)
    assert coach.requests == []


def test_a_reply_goes_on_with_the_conversation(database: str) -> None:
    async def scene(world: World) -> None:
        await world.alice.send(world.general, f"{world.mention} Which maths first?")
        await world.bob.send(world.general, f"{world.mention} And then?", reply_to=world.answers()[-1])
        await world.alice.send(world.general, f"{world.mention} Something new")

    coach = play(scene, database)
    assert [message.content for message in coach.requests[1].history] == [
        "Which maths first?",
        "Learn statistics first. [1]",
    ]
    assert coach.requests[2].history == ()


def test_direct_messages_go_on_and_on(database: str) -> None:
    async def scene(world: World) -> None:
        await world.alice.send_dm("Which maths first?")
        await world.restart()
        await world.alice.send_dm("And then?")

    coach = play(scene, database)
    assert len(coach.requests) == 2
    assert coach.requests[1].history[0].content == "Which maths first?"


def test_a_thread_goes_on_without_a_mention_and_after_a_restart(database: str) -> None:
    async def scene(world: World) -> None:
        await world.alice.send(world.general, f"{world.mention} Which maths first?")
        answer = world.answers()[-1]
        await world.alice.click(answer, label="Go on in a thread")
        thread = world.general.threads[0]
        assert "no mention needed" in world.answers(thread)[-1].content
        await world.alice.send(thread, "And then?")
        await world.restart()
        await world.alice.send(thread, "And after that?")
        assert len(world.answers(thread)) == 3

    coach = play(scene, database, message_content=True)
    assert [len(request.history) for request in coach.requests] == [0, 2, 4]


def test_without_the_intent_a_thread_says_once_that_it_needs_mentions(database: str) -> None:
    async def scene(world: World) -> None:
        await world.alice.send(world.general, f"{world.mention} Which maths first?")
        await world.alice.click(world.answers()[-1], label="Go on in a thread")
        thread = world.general.threads[0]
        await world.alice.send(thread, "And then?")
        await world.alice.send(thread, "Hello?")
        assert [m.content for m in world.answers(thread)].count(HINT) == 1
        await world.alice.send(thread, f"{world.mention} And then?")
        assert world.answers(thread)[-1].content == "Learn statistics first. [1]"

    play(scene, database, run_options={"approved_intents": discord.Intents.default()})


def test_the_menu_of_a_message_asks_about_it_in_private(database: str) -> None:
    async def scene(world: World) -> None:
        said = await world.bob.send(world.general, "What is LoRA?")
        result = await world.alice.context_menu(world.general, "Ask the coach about this", said)
        assert result.ephemeral
        assert [m for m in world.general.history(viewer=world.bob) if m.author.id == world.bot.user.id] == []

    coach = play(scene, database)
    assert [request.text for request in coach.requests] == ["What is LoRA?"]


def test_an_empty_mention_is_greeted(database: str) -> None:
    async def scene(world: World) -> None:
        await world.alice.send(world.general, world.mention)
        assert world.answers()[-1].content.startswith("Hello.")

    assert play(scene, database).requests == []


def test_commands_can_be_installed_by_a_user(database: str) -> None:
    async def scene(world: World) -> None:
        payload = world.bot.tree.get_command("ask").to_dict(world.bot.tree)
        assert sorted(payload["integration_types"]) == [0, 1]
        assert sorted(payload["contexts"]) == [0, 1, 2]

    play(scene, database)


def test_a_stream_shows_sentences_as_they_come(database: str) -> None:
    seen: list[str] = []

    async def scene(world: World) -> None:
        await world.alice.send(world.general, f"{world.mention} Tell me more")
        for _ in range(4):
            seen.append(world.answers()[-1].content)
            await world.env.advance_time(30)
        seen.append(world.answers()[-1].content)

    def script(request: Request) -> Script:
        return Script(("One.", "Two.", "Three."), wait=30.0)

    play(scene, database, script=script)
    assert seen[0] == "Looking that up …"
    assert "One. [1] …" in seen
    assert seen[-1] == "One. [1] Two. [1] Three. [1]"
