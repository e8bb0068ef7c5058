"""Administrators decide for their server, and only for theirs."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable

from bots.discord_.notes import MOST_CHARACTERS, MOST_NOTES, MOST_PASSAGES
from coach.pipeline import Coach
from coach.store.servers import Note, ServerSettings
from tests.discord.scripted import RealCoach, Script
from tests.discord.sim.world import World, play


def test_only_administrators_change_a_server(database: str) -> None:
    async def scene(world: World) -> None:
        changed = await world.carol.slash(world.general, "server budget", questions=7)
        assert changed.ephemeral
        assert "**Questions a day:** 7" in changed.response.content
        command = next(one for one in await world.bot.tree.fetch_commands() if one.name == "server")
        world.guild.set_command_permissions(command, {world.alice: True})  # forced past Discord's own check
        refused = await world.alice.slash(world.general, "server budget", questions=9999)
        assert "Only people who may manage" in refused.response.content
        assert world.bot.store.server(str(world.guild.id)).daily_budget == 7
        assert [type(error).__name__ for error in world.env.errors] == ["CheckFailure"]

    play(scene, database)


def test_answers_only_in_chosen_channels_and_their_threads(database: str) -> None:
    async def scene(world: World) -> None:
        other = world.guild.create_text_channel("other")
        await world.carol.slash(world.general, "server channel", change="add")
        refused = await world.alice.slash(other, "ask", question="elsewhere")
        assert refused.ephemeral
        assert f"<#{world.general.id}>" in refused.response.content
        await world.alice.send(world.general, f"{world.mention} here")
        await world.alice.click(world.answers()[-1], label="Go on in a thread")
        await world.alice.send(world.general.threads[0], f"{world.mention} in the thread")

    coach = play(scene, database)
    assert [r.text for r in coach.requests] == ["here", "in the thread"]


def test_skills_can_be_switched_off(database: str) -> None:
    async def scene(world: World) -> None:
        await world.carol.slash(world.general, "server skill", change="add", skill="roadmap")
        refused = await world.alice.slash(world.general, "interview", topic="SQL")
        assert "switched off" in refused.response.content
        await world.alice.slash(world.general, "roadmap", role="data scientist")
        await world.alice.slash(world.general, "ask", question="plain")

    coach = play(scene, database)
    assert [r.skill for r in coach.requests] == ["roadmap", "ask"]


def test_model_and_language_of_a_server_reach_the_coach(database: str) -> None:
    async def scene(world: World) -> None:
        await world.carol.slash(world.general, "server model", name="qwen3-0.6b")
        await world.carol.slash(world.general, "server language", language="de")
        await world.alice.slash(world.general, "ask", question="one")

    coach = play(scene, database, models=lambda: ("qwen3-0.6b",))
    assert coach.requests[0].model == "qwen3-0.6b"
    assert coach.requests[0].profile.locale == "de"


def test_a_model_that_is_not_at_hand_cannot_be_chosen(database: str) -> None:
    async def scene(world: World) -> None:
        refused = await world.carol.slash(world.general, "server model", name="smollm3-3b")
        assert refused.response.content == "smollm3-3b is not at hand where I run. At hand are: qwen3-0.6b."
        shown = await world.carol.autocomplete(world.general, "server model", "name", "")
        assert [one["value"] for one in shown] == ["qwen3-0.6b"]
        world.bot.models = lambda: ()
        refused = await world.carol.slash(world.general, "server model", name="qwen3-0.6b")
        assert "One model is set for everyone here." in refused.response.content
        await world.alice.slash(world.general, "ask", question="one")

    coach = play(scene, database, models=lambda: ("qwen3-0.6b",))
    assert coach.requests[0].model == ""


QUESTION = "When does the reading circle meet?"


def test_what_a_server_adds_answers_there_and_nowhere_else(database: str, make_coach: Callable[..., Coach]) -> None:
    """Through the true pipeline: the note is evidence, cited like a guide, in this server only."""

    async def scene(world: World) -> None:
        other = world.env.create_guild("Other")
        room = other.create_text_channel("room")
        dave = other.add_member(world.env.create_user("dave"))
        await world.carol.slash(
            world.general,
            "server note-add",
            title="Reading circle",
            text="The reading circle meets every Monday at 18:00.",
        )
        await world.alice.slash(world.general, "ask", question=QUESTION)
        await _finished(world, 1)
        answer = world.answers()[-1]
        assert "every Monday at 18:00. [1]" in answer.content
        assert answer.embeds[0].fields[0].name == "[1] Reading circle"
        assert "added by this server's administrators" in answer.embeds[0].fields[0].value
        await dave.slash(room, "ask", question=QUESTION)
        await _finished(world, 2)
        assert "Monday" not in world.answers(room)[-1].content
        await dave.send_dm(QUESTION)
        await _finished(world, 3)
        assert "Monday" not in dave.user.dm_channel.last_message.content
        await world.carol.slash(world.general, "server note-remove", title="Reading circle")
        await world.alice.slash(world.general, "ask", question=QUESTION)
        await _finished(world, 4)
        assert "Monday" not in world.answers()[-1].content

    play(scene, database, coach=RealCoach(make_coach(mode="quote", evidence_threshold=0.5)))


async def _finished(world: World, count: int) -> None:
    """The coach works in a thread of its own, on the clock of the wall."""
    while world.bot.health.answered + world.bot.health.declined < count:
        await asyncio.sleep(0.01)


def test_a_file_becomes_a_note(database: str) -> None:
    text = "# House rules\n\nThe study group meets on Mondays.\n\n## Mentors\n\nMentors answer within two days."

    async def scene(world: World) -> None:
        told = await world.carol.slash(
            world.general, "server note-add", title="Handbook", file=("handbook.md", text.encode())
        )
        assert told.ephemeral
        listed = await world.carol.slash(world.general, "server notes")
        assert "**Handbook**" in listed.response.content
        await world.alice.slash(world.general, "ask", question="one")
        bad = await world.carol.slash(world.general, "server note-add", title="Bad", file=("x.exe", b"MZ"))
        assert "files ending in .exe are not read" in bad.response.content

    coach = play(scene, database)
    assert [(p.title, p.heading) for p in coach.requests[0].passages] == [
        ("Handbook", "House rules"),
        ("Handbook", "Mentors"),
    ]


def test_notes_are_bounded_and_need_a_text(database: str) -> None:
    async def scene(world: World) -> None:
        empty = await world.carol.slash(world.general, "server note-add", title="Nothing")
        assert empty.response.content == "Give a text or a file."
        store, server = world.bot.store, str(world.guild.id)
        store.add_note(server, Note("Long", "x" * MOST_CHARACTERS))
        full = await world.carol.slash(world.general, "server note-add", title="More", text="One more.")
        assert "there is room for 0 more" in full.response.content
        replaced = await world.carol.slash(world.general, "server note-add", title="Long", text="Short now.")
        assert "Noted" in replaced.response.content
        assert [note.title for note in store.notes(server)] == ["Long"]
        store.add_note(server, Note("Cut", "# Heading\n\nText.\n\n" * MOST_PASSAGES))
        cut = await world.carol.slash(world.general, "server note-add", title="More", text="One more.")
        assert "too many small sections" in cut.response.content
        store.remove_note(server, "Cut")
        for number in range(MOST_NOTES - 1):
            store.add_note(server, Note(f"Note {number}", "Short."))
        many = await world.carol.slash(world.general, "server note-add", title="More", text="One more.")
        assert many.response.content == f"There are {MOST_NOTES} notes already. Remove one first."
        assert "More" not in {note.title for note in store.notes(server)}

    play(scene, database)


def test_a_forwarded_answer_of_another_server_is_no_reply(database: str) -> None:
    """A forward carries a reference too; taking it for a reply would bring one server's conversation into another."""

    async def scene(world: World) -> None:
        await world.alice.send(world.general, f"{world.mention} one")
        answer = world.answers()[-1]
        row = world.bot.store.answer_of_message(str(answer.id))
        world.bot.store.record(dataclasses.replace(row, server="4711"))  # as if it had been given elsewhere
        await world.bob.send(world.general, f"{world.mention} and then?", reply_to=answer)

    coach = play(scene, database)
    assert [len(request.history) for request in coach.requests] == [0, 0]


def test_leaving_a_server_purges_it_after_the_grace_period(database: str) -> None:
    async def scene(world: World) -> None:
        store, server = world.bot.store, str(world.guild.id)
        store.add_note(server, Note("T", "text"))
        world.bot.rules.change(server, ServerSettings(daily_budget=3))
        await world.alice.slash(world.general, "ask", question="one")
        answer = world.bot.store.export(str(world.alice.id))["answers"][0]["id"]
        store.vote("9", answer, "up")
        await world.bot.on_guild_remove(world.bot.get_guild(world.guild.id))
        assert store.purge_left(grace_seconds=3600) == ()
        assert store.notes(server)
        store.mark_left(server, at=time.time() - 7200)
        assert store.purge_left(grace_seconds=3600) == (server,)
        assert store.notes(server) == ()
        assert store.answer(answer) is None
        assert store.votes(answer) == {}
        assert store.server(server) == ServerSettings()

    play(scene, database)


def test_only_the_asker_votes_where_the_server_says_so(database: str) -> None:
    async def scene(world: World) -> None:
        await world.carol.slash(world.general, "server votes", anyone=False)
        await world.alice.slash(world.general, "ask", question="one")
        answer = world.answers()[-1]
        refused = await world.bob.click(answer, label="Helpful")
        assert "only the person who asked" in refused.response.content
        await world.alice.click(answer, label="Not helpful")
        identity = answer.components[0].children[0].custom_id.split(":")[-1]
        assert world.bot.store.votes(identity) == {"down": 1}

    play(scene, database)


def test_a_post_in_a_chosen_forum_is_answered(database: str) -> None:
    async def scene(world: World) -> None:
        forum = world.guild.create_forum_channel("questions")
        world.bot.rules.change(str(world.guild.id), ServerSettings(channels=(str(forum.id),)))
        post = await world.bot.get_channel(forum.id).create_thread(name="Which maths?", content="(opened by a member)")
        handle = forum.threads[0]
        assert post.thread.id == handle.id
        await world.alice.send(handle, f"{world.mention} Which maths first?")
        await world.alice.send(handle, "And then?")
        assert len([m for m in world.answers(handle) if m.content.startswith("Learn")]) == 2

    coach = play(scene, database, message_content=True, script=lambda request: Script())
    assert len(coach.requests[1].history) == 2
