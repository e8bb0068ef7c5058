"""One language for scenarios, spoken by both tiers: SimCord in process, and the fake Discord on loopback."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from coach.domain import Request
from tests.discord.scripted import Script
from tests.discord.sim.world import World, play
from tests.discord.wire.fake_discord import ALICE, BOB, CHANNEL, DM
from tests.discord.wire.harness import Wire, play_wire

Seen = list[tuple[str, bool, tuple[str, ...], tuple[str, ...]]]


class Stage(Protocol):
    """What a scenario can do and see."""

    async def say(self, who: str, text: str, *, mention: bool = True, answer: int | None = None) -> object: ...
    async def direct(self, text: str) -> None: ...
    async def ask(self, who: str, text: str, *, private: bool = False) -> None: ...
    async def press(self, who: str, message: int, button: str) -> None: ...
    async def use(self, command: str) -> None: ...
    async def remove(self, message: object) -> None: ...
    async def restart(self) -> None: ...
    async def later(self, seconds: float) -> None: ...
    def seen(self, *, direct: bool = False) -> Seen: ...


Scenario = Callable[[Stage], Awaitable[None]]


class SimStage:
    """The stage in SimCord."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._people = {"alice": world.alice, "bob": world.bob}

    async def say(self, who: str, text: str, *, mention: bool = True, answer: int | None = None) -> object:
        text = f"{self.world.mention} {text}" if mention else text
        reply_to = self._messages()[answer] if answer is not None else None
        return await self._people[who].send(self.world.general, text, reply_to=reply_to)

    async def direct(self, text: str) -> None:
        await self.world.alice.send_dm(text)

    async def ask(self, who: str, text: str, *, private: bool = False) -> None:
        await self._people[who].slash(self.world.general, "ask", question=text, private=private)

    async def press(self, who: str, message: int, button: str) -> None:
        await self._people[who].click(self._messages()[message], label=button)

    async def use(self, command: str) -> None:
        await self.world.alice.slash(self.world.general, command)

    async def remove(self, message: object) -> None:
        await self.world.alice.delete(message)

    async def restart(self) -> None:
        await self.world.restart()

    async def later(self, seconds: float) -> None:
        await self.world.env.advance_time(seconds)

    def seen(self, *, direct: bool = False) -> Seen:
        if direct:
            messages = [m for m in self.world.alice.user.dm_channel.history() if m.author.id == self.world.bot.user.id]
        else:
            messages = self._messages()
        return [
            _normal(
                m.content, bool(m.flags.ephemeral), [e.to_dict() for e in m.embeds], [c.to_dict() for c in m.components]
            )
            for m in messages
        ]

    def _messages(self) -> list[Any]:
        """What alice sees of the bot, her private answers too."""
        found = {
            m.id: m
            for viewer in (self.world.alice, self.world.bob)
            for m in self.world.general.history(viewer=viewer)
            if m.author.id == self.world.bot.user.id
        }
        return [found[key] for key in sorted(found)]


class WireStage:
    """The stage on the wire."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._people = {"alice": ALICE, "bob": BOB}

    async def say(self, who: str, text: str, *, mention: bool = True, answer: int | None = None) -> object:
        more: dict[str, Any] = {}
        if answer is not None:
            more = {
                "type": 19,
                "message_reference": {
                    "message_id": self.wire.fake.bot_messages()[answer]["id"],
                    "channel_id": CHANNEL,
                    "type": 0,
                },
            }
        before = len(self.wire.fake.bot_messages())
        message = await self.wire.fake.say(text, who=self._people[who], mention=mention, **more)
        if mention:
            await self.wire.fake.wait(lambda: len(self.wire.fake.bot_messages()) > before)
        await self._calm()
        return message["id"]

    async def direct(self, text: str) -> None:
        before = len(self.wire.fake.bot_messages(DM))
        await self.wire.fake.say(text, channel=DM)
        await self.wire.fake.wait(lambda: len(self.wire.fake.bot_messages(DM)) > before)
        await self._calm()

    async def ask(self, who: str, text: str, *, private: bool = False) -> None:
        token = await self.wire.fake.slash("ask", who=self._people[who], question=text, private=private)
        await self._acknowledged(token)

    async def press(self, who: str, message: int, button: str) -> None:
        target = self.wire.fake.bot_messages()[message]
        found = next(c for row in target["components"] for c in row["components"] if c["label"] == button)
        token = await self.wire.fake.click(target, found["custom_id"], who=self._people[who])
        await self._acknowledged(token)

    async def use(self, command: str) -> None:
        await self._acknowledged(await self.wire.fake.slash(command))

    async def remove(self, message: object) -> None:
        await self.wire.fake.delete(str(message))
        await self._calm()

    async def restart(self) -> None:
        await self.wire.shut()
        await self.wire.boot()

    async def later(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._calm()

    def seen(self, *, direct: bool = False) -> Seen:
        return [
            _normal(m["content"], bool(m["flags"] & 64), m["embeds"], m["components"])
            for m in self.wire.fake.bot_messages(DM if direct else CHANNEL)
        ]

    async def _acknowledged(self, token: str) -> None:
        await self.wire.fake.wait(lambda: self.wire.fake.interactions[token].get("acknowledged"))
        await self._calm()

    async def _calm(self) -> None:
        """Until the bot has done all it will do at once: no new request for a while."""
        count = -1
        while count != len(self.wire.fake.calls):
            count = len(self.wire.fake.calls)
            await asyncio.sleep(5.0)


def _normal(
    content: str, private: bool, embeds: list[Any], components: list[Any]
) -> tuple[str, bool, tuple[str, ...], tuple[str, ...]]:
    """A message without its ids."""
    content = re.sub(r"[0-9a-f]{16}", "ID", re.sub(r"<@\d+>", "<@>", content))
    fields = tuple(f"{field['name']}: {field['value']}" for embed in embeds for field in embed.get("fields", []))
    labels = tuple(c["label"] for row in components for c in row["components"])
    return content, private, fields, labels


def on_both(
    scenario: Scenario, folder: str, script: Callable[[Request], Script], *, direct: bool = False
) -> list[Seen]:
    """What is seen in the end on each tier."""
    results: list[Seen] = []

    async def in_sim(world: World) -> None:
        stage = SimStage(world)
        await scenario(stage)
        results.append(stage.seen(direct=direct))

    async def on_wire(wire: Wire) -> None:
        stage = WireStage(wire)
        await scenario(stage)
        results.append(stage.seen(direct=direct))

    play(in_sim, f"sqlite:///{folder}/sim.sqlite", script=script)
    play_wire(on_wire, f"sqlite:///{folder}/wire.sqlite", script=script)
    return results
