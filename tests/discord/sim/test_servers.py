"""Administrators decide for their server, and only for theirs."""

from __future__ import annotations

import time

from coach.store.servers import Note, ServerSettings
from tests.discord.scripted import Script
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

    coach = play(scene, database)
    assert coach.requests[0].model == "qwen3-0.6b"
    assert coach.requests[0].profile.locale == "de"


def test_a_server_never_sees_what_another_added(database: str) -> None:
    async def scene(world: World) -> None:
        await world.carol.slash(
            world.general, "server note-add", title="Study group", text="Our study group meets on Mondays."
        )
        other = world.env.create_guild("Other")
        room = other.create_text_channel("room")
        dave = other.add_member(world.env.create_user("dave"))
        await world.alice.slash(world.general, "ask", question="When does the study group meet?")
        assert "Mondays" in world.answers()[-1].content
        await dave.slash(room, "ask", question="When does the study group meet?")
        assert "Mondays" not in world.answers(room)[-1].content
        await dave.send_dm("When does the study group meet?")
        assert "Mondays" not in dave.user.dm_channel.last_message.content

    play(scene, database)


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
