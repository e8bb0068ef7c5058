"""The bot is polite: one answer a person, cool-downs, budgets, queue positions, no pings."""

from __future__ import annotations

import discord

from coach.errors import QueueFull
from coach.store.servers import ServerSettings
from tests.discord.scripted import Script
from tests.discord.sim.world import World, play


def test_a_second_question_in_the_window_is_refused_in_private(database: str) -> None:
    async def scene(world: World) -> None:
        await world.alice.slash(world.general, "ask", question="one")
        refused = await world.alice.slash(world.general, "ask", question="two")
        assert refused.ephemeral
        assert refused.response.content == "One at a time, please: try again in 10 s."
        await world.bob.slash(world.general, "ask", question="bob's")
        await world.carol.slash(world.general, "ask", question="admin one")
        await world.carol.slash(world.general, "ask", question="admin two")
        await world.env.advance_time(10)
        await world.alice.slash(world.general, "ask", question="three")

    coach = play(scene, database, cooldown_seconds=10.0)
    assert [r.text for r in coach.requests] == ["one", "bob's", "admin one", "admin two", "three"]


def test_the_requests_of_a_minute_are_bounded(database: str) -> None:
    async def scene(world: World) -> None:
        for number in range(4):
            await world.alice.slash(world.general, "ask", question=f"{number}")
        await world.env.advance_time(60)
        await world.alice.slash(world.general, "ask", question="later")

    coach = play(scene, database, per_minute=3)
    assert [r.text for r in coach.requests] == ["0", "1", "2", "later"]


def test_the_daily_budget_of_a_server_ends_the_day(database: str) -> None:
    async def scene(world: World) -> None:
        world.bot.rules.change(str(world.guild.id), ServerSettings(daily_budget=2))
        for name in ("one", "two", "three"):
            await world.alice.slash(world.general, "ask", question=name)
        assert "used up" in world.answers()[-1].content
        await world.carol.slash(world.general, "ask", question="admin")
        await world.alice.send_dm("direct")

    coach = play(scene, database)
    assert [r.text for r in coach.requests] == ["one", "two", "admin", "direct"]


def test_one_running_answer_a_person_and_a_stop_button(database: str) -> None:
    async def scene(world: World) -> None:
        await world.alice.send(world.general, f"{world.mention} one")
        refused = await world.alice.slash(world.general, "ask", question="two")
        assert refused.ephemeral
        assert "still answering" in refused.response.content
        stopped = await world.bob.click(world.answers()[0], label="Stop")
        assert "Only the person" in stopped.response.content
        await world.alice.click(world.answers()[0], label="Stop")
        assert world.answers()[0].content == "*Stopped.*"
        assert world.bot.desk.running == ()

    coach = play(scene, database, script=lambda request: Script(wait=60.0))
    assert coach.cancelled == ["one"]


def test_the_place_in_the_queue_is_shown_and_updated(database: str) -> None:
    seen: list[str] = []

    async def scene(world: World) -> None:
        await world.alice.send(world.general, f"{world.mention} one")
        for _ in range(4):
            await world.env.advance_time(10)
            seen.append(world.answers()[0].content)

    play(scene, database, script=lambda request: Script(positions=(3, 2), wait=10.0))
    assert (
        seen[:2] == ["You are number 2 in line …", "You are number 2 in line …"] or "You are number 2 in line …" in seen
    )
    assert seen[-1] == "Learn statistics first. [1]"


def test_a_full_queue_is_refused_with_a_time(database: str) -> None:
    async def scene(world: World) -> None:
        await world.alice.slash(world.general, "ask", question="one")
        assert "try again in 40 s" in world.answers()[-1].content

    play(scene, database, script=lambda request: Script(error=QueueFull("full", 40.0)))


def test_a_deleted_question_is_not_answered(database: str) -> None:
    async def scene(world: World) -> None:
        asked = await world.alice.send(world.general, f"{world.mention} one")
        await world.alice.delete(asked)
        assert world.answers() == []
        await world.env.advance_time(120)
        assert world.answers() == []

    coach = play(scene, database, script=lambda request: Script(wait=60.0))
    assert coach.cancelled == ["one"]


def test_where_the_bot_may_not_speak_it_answers_directly(database: str) -> None:
    async def scene(world: World) -> None:
        quiet = world.guild.create_text_channel(
            "quiet",
            overwrites={
                world.guild.default_role: discord.PermissionOverwrite(send_messages=True),
                world.guild.me: discord.PermissionOverwrite(send_messages=False),
            },
        )
        await world.alice.send(quiet, f"{world.mention} one")
        assert world.answers(quiet) == []
        assert world.alice.user.dm_channel.last_message.content == "Learn statistics first. [1]"

    play(scene, database)


def test_nobody_is_pinged_whatever_the_answer_says(database: str) -> None:
    async def scene(world: World) -> None:
        await world.alice.send(world.general, f"{world.mention} say it")
        await world.alice.slash(world.general, "ask", question="say it")
        sent = [r for r in world.env.http_requests if r.json and "allowed_mentions" in r.json]
        assert sent
        assert all(r.json["allowed_mentions"]["parse"] == [] for r in sent)
        assert all("@everyone" not in m.content and "<@&" not in m.content for m in world.answers())

    play(scene, database, script=lambda request: Script(("Hi @everyone <@&123456789012345678>.",)))


def test_links_do_not_unfurl_and_other_schemes_are_text(database: str) -> None:
    async def scene(world: World) -> None:
        await world.alice.slash(world.general, "ask", question="links")
        assert (
            world.answers()[-1].content
            == "See [docs](<https://example.org/a>) and <https://example.org/b> and click. [1]"
        )

    text = "See [docs](https://example.org/a) and https://example.org/b and [click](javascript:alert(1))."
    play(scene, database, script=lambda request: Script((text,)))
