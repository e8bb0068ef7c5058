"""A virtual server with a bot in it: SimCord behind a wrapper of our own, so that tests could move elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import simcord

from bots.discord_bot import CoachBot
from tests.discord.scripted import Script, ScriptedCoach, make_bot


class World:
    """One server "Lab" with #general, alice (a member), bob (a member) and carol (who may manage the server)."""

    def __init__(self, env: simcord.Env, coach: ScriptedCoach, database: str, options: dict[str, Any]) -> None:
        import discord

        self.env, self.coach, self.database, self.options = env, coach, database, options
        self.guild = env.create_guild("Lab")
        self.general = self.guild.create_text_channel("general")
        self.alice = self.guild.add_member(env.create_user("alice"))
        self.bob = self.guild.add_member(env.create_user("bob"))
        admins = self.guild.create_role("Admins", permissions=discord.Permissions(manage_guild=True))
        self.carol = self.guild.add_member(env.create_user("carol"), roles=[admins])

    @property
    def bot(self) -> CoachBot:
        """The bot that runs now."""
        assert isinstance(self.env.bot, CoachBot)
        return self.env.bot

    @property
    def mention(self) -> str:
        """How to mention the bot."""
        assert self.bot.user is not None
        return self.bot.user.mention

    def answers(self, channel: Any = None) -> list[Any]:
        """The bot's messages of a channel, oldest first."""
        assert self.bot.user is not None
        return [m for m in (channel or self.general).history() if m.author.id == self.bot.user.id]

    async def restart(self) -> None:
        """A new process over the same database."""
        await self.env.restart_bot(make_bot(self.coach, self.database, **self.options))


def play(
    scene: Callable[[World], Awaitable[None]],
    database: str,
    *,
    script: Callable[[Any], Script] | None = None,
    run_options: dict[str, Any] | None = None,
    coach: ScriptedCoach | None = None,
    **options: Any,
) -> ScriptedCoach:
    """Run a scene in a fresh world; bot errors that the scene did not look at fail it."""
    coach = coach or (ScriptedCoach(script) if script else ScriptedCoach())

    async def main() -> None:
        clock: list[Callable[[], float]] = [lambda: 0.0]
        options.setdefault("clock", lambda: clock[0]())
        async with simcord.run(
            make_bot(coach, database, **options), **{"shard_count": 1, **(run_options or {})}
        ) as env:
            clock[0] = lambda: env.now().timestamp()
            await scene(World(env, coach, database, options))

    asyncio.run(main())
    return coach
