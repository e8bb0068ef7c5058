"""Runs a scene against the fake Discord on a clock that runs `speed` times as fast as the one on the wall."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Awaitable, Callable
from typing import Any

from bots.discord_bot import CoachBot
from tests.discord.scripted import Script, ScriptedCoach, make_bot
from tests.discord.wire.fake_discord import TOKEN, FakeDiscord

SPEED = 20.0


class FastLoop(asyncio.SelectorEventLoop):
    """An event loop whose seconds are shorter, so that nobody waits for a retry in earnest."""

    def __init__(self, speed: float = SPEED) -> None:
        self._speed, self._began = speed, time.monotonic()
        super().__init__(_FastSelector(speed))

    def time(self) -> float:
        """Seconds of this loop."""
        return self._began + (time.monotonic() - self._began) * self._speed


class _FastSelector(selectors.DefaultSelector):
    def __init__(self, speed: float) -> None:
        super().__init__()
        self._speed = speed

    def select(self, timeout: float | None = None) -> Any:
        return super().select(None if timeout is None else timeout / self._speed)


class Wire:
    """The fake, the coach behind the bot, and the bot that runs."""

    def __init__(self, fake: FakeDiscord, coach: ScriptedCoach, database: str, options: dict[str, Any]) -> None:
        self.fake, self.coach, self.database, self.options = fake, coach, database, options
        self.bot: CoachBot | None = None
        self._task: asyncio.Task[None] | None = None

    async def boot(self, *, token: str = TOKEN) -> CoachBot:
        """Start a bot and wait until it is ready; errors of the start are raised."""
        self.bot = make_quick_bot(self)
        ready = asyncio.Event()

        async def on_ready() -> None:
            ready.set()

        self.bot.add_listener(on_ready, "on_ready")
        self._task = asyncio.create_task(self.bot.start(token))
        waiting = asyncio.create_task(ready.wait())
        done, _ = await asyncio.wait({self._task, waiting}, timeout=120, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._task in done:
            self._task.result()
        assert ready.is_set(), "the bot never became ready"
        return self.bot

    async def shut(self) -> None:
        """End the bot."""
        if self.bot is not None and self._task is not None:
            await self.bot.desk.drain(5.0)
            await asyncio.gather(asyncio.wait_for(self.bot.close(), 30.0), return_exceptions=True)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self.bot = None

    async def idle(self) -> None:
        """Until no answer runs."""
        assert self.bot is not None
        while self.bot.desk.running:
            await asyncio.sleep(0.05)


def make_quick_bot(wire: Wire) -> CoachBot:
    """A bot on the clock of the loop that does not wait before it identifies itself."""
    clock = asyncio.get_running_loop().time
    bot = make_bot(wire.coach, wire.database, clock=clock, guild_ready_timeout=0.5, **wire.options)
    bot.before_identify_hook = _no_wait  # type: ignore[method-assign]  # the default waits 5 s a shard
    return bot


async def _no_wait(shard: int | None, *, initial: bool = False) -> None:
    """Identify at once."""


def play_wire(
    scene: Callable[[Wire], Awaitable[None]],
    database: str,
    *,
    script: Callable[[Any], Script] | None = None,
    fake: dict[str, Any] | None = None,
    boot: bool = True,
    speed: float = SPEED,
    allow_unexpected: bool = False,
    coach: ScriptedCoach | None = None,
    **options: Any,
) -> Wire:
    """Run a scene; unknown routes fail it."""
    kept: list[Wire] = []

    async def main() -> None:
        discord_fake = await FakeDiscord(**(fake or {})).start()
        behind = coach or (ScriptedCoach(script) if script else ScriptedCoach())
        wire = Wire(discord_fake, behind, database, options)
        kept.append(wire)
        try:
            if boot:
                await wire.boot()
            await scene(wire)
        finally:
            await wire.shut()
            await discord_fake.stop()
        assert allow_unexpected or discord_fake.unexpected == []

    with asyncio.Runner(loop_factory=lambda: FastLoop(speed)) as runner:
        runner.run(main())
    return kept[0]
