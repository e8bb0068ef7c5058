"""The bot over real HTTP and websockets: rate limits, reconnects, shards, deadlines, duplicates."""

from __future__ import annotations

import asyncio
import itertools
import socket

import discord
import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from bots.discord_.health import Health, serve_metrics
from bots.discord_.lifecycle import supervise
from coach.errors import ConfigError
from coach.store.servers import ServerSettings
from tests.discord.scripted import Script
from tests.discord.wire.fake_discord import (
    ALICE,
    BOB,
    CHANNEL,
    DM,
    FORUM,
    GUILD,
    OTHER_CHANNEL,
    TOKEN,
    point_discord_at,
    rate_limited,
    refusal,
    reply,
)
from tests.discord.wire.harness import Wire, make_quick_bot, play_wire

FINAL = "Learn statistics first. [1]"


def finals(wire: Wire, channel: str = CHANNEL) -> list[str]:
    """The bot's messages that hold an answer."""
    return [m["content"] for m in wire.fake.bot_messages(channel) if m["content"].startswith("Learn statistics")]


async def answered(wire: Wire, count: int, channel: str = CHANNEL) -> None:
    """Until that many answers stand in the channel and nothing runs."""
    await wire.fake.wait(lambda: len(finals(wire, channel)) >= count)
    await wire.idle()


def test_a_command_is_deferred_then_answered(database: str) -> None:
    async def scene(wire: Wire) -> None:
        await wire.fake.slash("ask", question="Where do I begin?")
        await answered(wire, 1)
        assert wire.fake.find("POST", "/callback")[0]["body"] == {"type": 5}
        assert finals(wire) == [FINAL]

    play_wire(scene, database)


def test_a_blocked_event_loop_does_not_cost_the_deadline(database: str) -> None:
    async def scene(wire: Wire) -> None:
        import time

        token = await wire.fake.slash("ask", question="Where do I begin?")
        time.sleep(2.5 / 5)  # the loop itself is held up for 2.5 of its seconds
        await answered(wire, 1)
        assert wire.fake.interactions[token]["acknowledged"] == 5

    play_wire(scene, database, speed=5.0, fake={"deadline": 4.5})  # Discord gives 3 s; the rest is for a busy machine


def test_a_late_acknowledgement_is_no_second_answer(database: str) -> None:
    async def scene(wire: Wire) -> None:
        wire.fake.fault("POST", "/callback", lambda: refusal(404, 10062, "Unknown interaction"))
        await wire.fake.slash("ask", question="Too late")
        await wire.fake.wait(lambda: wire.fake.find("POST", "/callback"))
        await wire.fake.slash("ask", question="In time")
        await answered(wire, 1)
        assert [request.text for request in wire.coach.requests] == ["In time"]
        assert len(wire.fake.bot_messages()) == 1

    play_wire(scene, database)


def test_edits_are_rare_and_the_final_text_is_right(database: str) -> None:
    """200 pieces in 10 seconds: at most 9 edits."""
    words = tuple(f"Word {number}." for number in range(200))

    async def scene(wire: Wire) -> None:
        await wire.fake.say("Tell me", mention=True)
        await wire.fake.wait(lambda: any("Word 199." in m["content"] for m in wire.fake.bot_messages()), 60)
        await wire.idle()
        edits = wire.fake.find("PATCH", "/messages/")
        duration = edits[-1]["at"] - wire.fake.find("POST", f"/channels/{CHANNEL}/messages$")[0]["at"]
        assert len(edits) <= duration / 1.2 + 1  # nine in ten seconds
        times = [call["at"] for call in edits[:-1]]
        assert all(later - earlier >= 1.0 for earlier, later in itertools.pairwise(times))
        text = "".join(m["content"] for m in wire.fake.bot_messages())
        assert all(word in text for word in words)
        assert "…" not in text

    play_wire(scene, database, script=lambda request: Script(words, wait=0.05), speed=4.0)


@pytest.mark.parametrize("kind", ["429", "429 without Via", "502", "503"])
def test_the_final_text_survives_a_failing_last_edit(database: str, kind: str) -> None:
    responses = {
        "429": lambda: rate_limited(0.5),
        "429 without Via": lambda: rate_limited(0.5, via=False),
        "502": lambda: reply("bad gateway", 502),
        "503": lambda: reply("unavailable", 503),
    }

    async def scene(wire: Wire) -> None:
        await wire.fake.say("one", mention=True)
        await wire.fake.wait(lambda: wire.fake.bot_messages())
        wire.fake.fault("PATCH", "/messages/", responses[kind], times=2)
        await answered(wire, 1)
        assert finals(wire) == [FINAL]
        assert len(wire.fake.bot_messages()) == 1

    play_wire(scene, database, script=lambda request: Script(wait=0.5))


def test_a_send_whose_reply_was_lost_makes_no_second_message(database: str) -> None:
    async def scene(wire: Wire) -> None:
        wire.fake.fault("POST", f"/channels/{CHANNEL}/messages$", lambda: reply("gone", 503), after=True)
        await wire.fake.say("one", mention=True)
        await answered(wire, 1)
        assert len(wire.fake.bot_messages()) == 1

    play_wire(scene, database)


def test_an_acknowledgement_whose_reply_was_lost_is_answered(database: str) -> None:
    async def scene(wire: Wire) -> None:
        wire.fake.fault("POST", "/callback", lambda: rate_limited(0.1, via=False), after=True)
        await wire.fake.slash("ask", question="one")
        await answered(wire, 1)
        assert len(wire.coach.requests) == 1

    play_wire(scene, database)


def test_an_event_delivered_twice_is_answered_once(database: str) -> None:
    async def scene(wire: Wire) -> None:
        await wire.fake.say("message twice", mention=True, times=2)
        await answered(wire, 1)
        await wire.fake.slash("ask", question="command twice", times=2)
        await answered(wire, 2)
        first = wire.fake.messages[
            next(m for m in wire.fake.messages if wire.fake.messages[m]["content"] == "message twice")
        ]
        await wire.shut()
        await wire.boot()
        await wire.fake.emit("MESSAGE_CREATE", first)
        await wire.fake.say("another", mention=True)
        await answered(wire, 3)

    wire = play_wire(scene, database)
    assert [request.text for request in wire.coach.requests] == ["message twice", "command twice", "another"]


def test_sends_carry_a_nonce_and_ping_nobody(database: str) -> None:
    async def scene(wire: Wire) -> None:
        await wire.fake.say("say @everyone <@&1>", mention=True)
        await wire.fake.slash("ask", question="say @everyone <@&1>", who=BOB)
        await wire.fake.wait(lambda: sum("everyone" in m["content"] for m in wire.fake.bot_messages()) >= 2)
        await wire.idle()
        bodies = [call["body"] for method in ("POST", "PATCH") for call in wire.fake.find(method, "/messages")]
        assert bodies
        assert all(body["allowed_mentions"]["parse"] == [] for body in bodies)
        assert not any(body["allowed_mentions"].get("replied_user") for body in bodies)
        assert not any("@everyone" in (body.get("content") or "") for body in bodies)
        first = wire.fake.find("POST", f"/channels/{CHANNEL}/messages$")[0]["body"]
        assert first["enforce_nonce"]

    play_wire(scene, database, script=lambda request: Script(("Hello @everyone <@&1> and <@4000000000000000002>.",)))


def test_a_dropped_connection_resumes_and_answers_what_was_missed_once(database: str) -> None:
    async def scene(wire: Wire) -> None:
        await wire.fake.drop()
        await wire.fake.say("while away", mention=True)
        await answered(wire, 1)
        assert len(wire.fake.resumed) == 1
        assert len(wire.fake.identified) == 1
        assert wire.bot is not None
        assert (wire.bot.health.identified, wire.bot.health.resumed) == (1, 1)

    wire = play_wire(scene, database)
    assert len(wire.coach.requests) == 1


def test_op_7_resumes_and_op_9_identifies_anew(database: str) -> None:
    async def scene(wire: Wire) -> None:
        await wire.fake.op(7)
        await wire.fake.wait(lambda: len(wire.fake.resumed) == 1)
        await wire.fake.op(9, False)
        await wire.fake.wait(lambda: len(wire.fake.identified) == 2)
        await asyncio.sleep(1)
        await wire.fake.say("still there?", mention=True)
        await answered(wire, 1)
        assert wire.bot is not None
        assert wire.bot.health.identified == 2

    play_wire(scene, database)


def test_two_shards_answer_each_message_once(database: str) -> None:
    async def scene(wire: Wire) -> None:
        assert sorted(tuple(one["shard"]) for one in wire.fake.identified) == [(0, 2), (1, 2)]
        await wire.fake.say("here", mention=True)
        await answered(wire, 1)
        await wire.fake.say("there", mention=True, channel=OTHER_CHANNEL)
        await answered(wire, 1, OTHER_CHANNEL)
        await wire.fake.say("direct", channel=DM)
        await answered(wire, 1, DM)
        await wire.fake.drop(shard=1)
        await wire.fake.say("missed", mention=True)
        await answered(wire, 2)

    wire = play_wire(scene, database, fake={"shards": 2})
    assert len(wire.coach.requests) == 4


def test_commands_are_synced_only_when_they_changed(database: str) -> None:
    async def scene(wire: Wire) -> None:
        assert len(wire.fake.find("PUT", "/commands$")) == 1
        for _ in range(10):
            count = len(wire.fake.resumed)
            await wire.fake.drop()
            await wire.fake.wait(lambda count=count: len(wire.fake.resumed) > count)
        await wire.shut()
        await wire.boot()
        assert len(wire.fake.find("PUT", "/commands$")) == 1
        await wire.shut()
        wire.options["skills"] = ()
        await wire.boot()
        assert len(wire.fake.find("PUT", "/commands$")) == 2

    play_wire(scene, database)


def test_a_failing_sync_does_not_stop_the_bot(database: str) -> None:
    async def scene(wire: Wire) -> None:
        wire.fake.fault(
            "PUT", "/commands$", lambda: refusal(400, 30034, "Max number of daily application command creates")
        )
        await wire.boot()
        await wire.fake.say("hello?", mention=True)
        await answered(wire, 1)
        assert wire.bot is not None
        assert wire.bot.health.synced == 0

    play_wire(scene, database, boot=False)


def test_a_missing_intent_and_a_bad_token_end_the_start(database: str) -> None:
    async def scene(wire: Wire) -> None:
        with pytest.raises(discord.PrivilegedIntentsRequired):
            await wire.boot()
        assert len(wire.fake.identified) == 1
        with pytest.raises(discord.LoginFailure):
            await wire.boot(token="wrong.token.value")

    play_wire(scene, database, boot=False, fake={"disallowed_intents": 1 << 15}, message_content=True)


def test_a_gateway_that_refuses_at_first_is_waited_for(database: str) -> None:
    async def scene(wire: Wire) -> None:
        wire.fake.refuse_gateway = True
        booting = asyncio.create_task(wire.boot())
        await asyncio.sleep(10)
        wire.fake.refuse_gateway = False
        await booting
        await wire.fake.say("hello?", mention=True)
        await answered(wire, 1)

    play_wire(scene, database, boot=False)


def test_a_vote_counts_once_a_person_and_survives_a_restart(database: str) -> None:
    async def scene(wire: Wire) -> None:
        await wire.fake.say("one", mention=True)
        await answered(wire, 1)
        message = wire.fake.bot_messages()[0]
        up, down = (item["custom_id"] for item in message["components"][0]["components"][:2])
        await wire.shut()
        bot = await wire.boot()
        for number, (button, who) in enumerate(((up, ALICE), (up, BOB), (down, ALICE)), start=1):
            await wire.fake.click(message, button, who=who)
            await wire.fake.wait(lambda number=number: len(wire.fake.find("POST", "/callback")) >= number)
        assert bot.store.votes(up.split(":")[-1]) == {"up": 1, "down": 1}
        assert all(call["body"]["data"]["flags"] == 64 for call in wire.fake.find("POST", "/callback"))

    play_wire(scene, database)


def test_a_deleted_question_cancels_its_answer(database: str) -> None:
    async def scene(wire: Wire) -> None:
        question = await wire.fake.say("never mind", mention=True)
        await wire.fake.wait(lambda: wire.fake.bot_messages())
        await wire.fake.delete(question["id"])
        await wire.fake.wait(lambda: not wire.fake.bot_messages())
        await wire.idle()
        assert wire.coach.cancelled == ["never mind"]

    play_wire(scene, database, script=lambda request: Script(wait=30.0))


def test_without_permission_to_speak_the_answer_comes_directly(database: str) -> None:
    async def scene(wire: Wire) -> None:
        wire.fake.mute = True
        await wire.fake.say("psst", mention=True)
        await answered(wire, 1, DM)
        assert wire.fake.bot_messages() == []
        refused = [call for call in wire.fake.calls if call["status"] == 403]
        assert len(refused) == 1

    play_wire(scene, database)


@pytest.mark.parametrize("chosen", [True, False])
def test_a_post_in_a_chosen_forum_is_answered_without_a_mention(database: str, chosen: bool) -> None:
    async def scene(wire: Wire) -> None:
        assert wire.bot is not None
        if chosen:
            wire.bot.rules.change(GUILD, ServerSettings(channels=(FORUM,)))
        post = await wire.fake.post(FORUM, "Which maths first?", who=BOB)
        await wire.fake.say("direct", channel=DM)
        await answered(wire, 1, DM)
        await asyncio.sleep(2)
        assert finals(wire, post) == ([FINAL] if chosen else [])
        if chosen:
            await wire.fake.say("And then?", channel=post, who=BOB)
            await answered(wire, 2, post)

    wire = play_wire(scene, database, message_content=True)
    in_the_post = [request for request in wire.coach.requests if request.text != "direct"]
    assert [len(request.history) for request in in_the_post] == ([0, 2] if chosen else [])


def test_a_bot_that_starts_while_discord_is_down_becomes_ready_by_itself(database: str) -> None:
    """First nobody listens, then the REST answers 503, then all is well; no start by hand, ever longer waits."""

    async def scene(wire: Wire) -> None:
        port, stop = wire.fake.port, asyncio.Event()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            point_discord_at(free.getsockname()[1])  # bound, but nobody listens
            wire.fake.fault("GET", "/users/@me$", lambda: reply("unavailable", 503), times=3)
            running = asyncio.create_task(supervise(lambda: make_quick_bot(wire), TOKEN, stop))
            await asyncio.sleep(3.5)
            assert wire.fake.calls == []
            point_discord_at(port)
        await wire.fake.wait(lambda: any(s["ws"] is not None for s in wire.fake.sessions.values()))
        tries = [call["at"] for call in wire.fake.find("GET", "/users/@me$")]
        assert len(tries) == 4
        waits = [later - earlier for earlier, later in itertools.pairwise(tries)]
        assert waits[1] > waits[0] > 2.0
        await asyncio.sleep(1.0)
        await wire.fake.say("hello?", mention=True)
        await wire.fake.wait(lambda: finals(wire))
        stop.set()
        assert await running == 0

    play_wire(scene, database, boot=False)


def test_the_figures_of_the_bot_are_there_for_prometheus(database: str) -> None:
    async def scene(wire: Wire) -> None:
        assert wire.bot is not None
        registry = CollectorRegistry()
        registry.register(wire.bot.health)
        await wire.fake.say("one", mention=True)
        await answered(wire, 1)
        await wire.fake.drop()
        await wire.fake.wait(lambda: len(wire.fake.resumed) == 1)
        await asyncio.sleep(0.5)
        told = generate_latest(registry).decode()
        assert 'coach_discord_events_total{event="answered"} 1.0' in told
        assert 'coach_discord_events_total{event="identified"} 1.0' in told
        assert 'coach_discord_events_total{event="resumed"} 1.0' in told
        assert "coach_discord_ready 1.0" in told
        assert "coach_discord_servers 2.0" in told
        assert "coach_discord_running_answers 0.0" in told
        await wire.shut()
        assert "coach_discord_ready 0.0" in generate_latest(registry).decode()

    play_wire(scene, database)


def test_the_figures_are_served_on_loopback_and_a_taken_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match="COACH_DISCORD_METRICS_PORT"), serve_metrics(Health(), port):
            pass
    with serve_metrics(Health(answered=3), port):
        told = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    assert 'coach_discord_events_total{event="answered"} 3.0' in told


def test_the_fake_refuses_what_it_does_not_know(database: str) -> None:
    async def scene(wire: Wire) -> None:
        assert wire.bot is not None
        with pytest.raises(discord.HTTPException):
            await wire.bot.http.request(discord.http.Route("GET", "/unheard-of"))
        assert wire.fake.unexpected == ["GET /unheard-of"]

    play_wire(scene, database, allow_unexpected=True)


def test_sockets_other_than_loopback_are_blocked() -> None:
    import pytest_socket

    with (
        pytest.raises((pytest_socket.SocketConnectBlockedError, pytest_socket.SocketBlockedError)),
        socket.socket() as probe,
    ):
        probe.connect(("162.159.128.233", 443))
