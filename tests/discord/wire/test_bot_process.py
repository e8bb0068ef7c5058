"""The bot as a process: signals, exit codes, a killed predecessor, a secret token."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from bots.discord_.desk import RESTARTING
from coach.store.servers import ServerStore
from tests.discord.wire.fake_discord import BOB, TOKEN, FakeDiscord
from tests.discord.wire.harness import Wire

ROOT = Path(__file__).parents[3]


class Process:
    """A running bot."""

    def __init__(self, fake: FakeDiscord, database: str) -> None:
        self.fake, self.database = fake, database
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, *, token: str = TOKEN, seconds: float = 0.0, content: bool = False) -> None:
        """Start it; it is ready once `ready` returns."""
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.discord.wire.launcher",
            str(self.fake.port),
            self.database,
            token,
            str(seconds),
            *(["content"] if content else []),
            cwd=ROOT,
            stderr=asyncio.subprocess.PIPE,
        )

    async def ready(self) -> None:
        """Until it has identified itself and can be told things."""
        await self.fake.wait(lambda: any(s["ws"] is not None for s in self.fake.sessions.values()), 30)
        await asyncio.sleep(0.3)

    async def ended(self, timeout: float = 30.0) -> tuple[int, str]:
        """The exit code and what it logged."""
        assert self.process is not None
        _, log = await asyncio.wait_for(self.process.communicate(), timeout)
        return self.process.returncode or 0, log.decode()

    def signal(self, number: int) -> None:
        """Send a signal."""
        assert self.process is not None
        self.process.send_signal(number)


def play_process(scene: Callable[[Process], Awaitable[None]], database: str, *, disallowed_intents: int = 0) -> None:
    """Run a scene; the process is killed when it is left behind."""

    async def main() -> None:
        fake = await FakeDiscord(disallowed_intents=disallowed_intents).start()
        process = Process(fake, database)
        try:
            await scene(process)
        finally:
            if process.process is not None and process.process.returncode is None:
                process.process.kill()
                await process.process.wait()
            await fake.stop()
        assert fake.unexpected == []

    asyncio.run(main())


def test_sigterm_lets_running_answers_finish_and_refuses_new_ones(database: str) -> None:
    async def scene(bot: Process) -> None:
        await bot.start(seconds=0.8)
        await bot.ready()
        await bot.fake.say("one", mention=True)
        await bot.fake.wait(lambda: bot.fake.bot_messages())
        bot.signal(signal.SIGTERM)
        await asyncio.sleep(0.2)
        token = await bot.fake.slash("ask", question="two", who=BOB)
        await bot.fake.wait(lambda: bot.fake.interactions[token].get("acknowledged"))
        code, log = await bot.ended()
        assert code == 0
        assert any(m["content"] == "Learn statistics first. [1] Then Python. [1]" for m in bot.fake.bot_messages())
        assert any(m["content"] == RESTARTING for m in bot.fake.bot_messages())
        assert ServerStore(database).unfinished() == ()
        assert TOKEN not in log
        assert "statistics" not in log

    play_process(scene, database)


def test_a_second_sigterm_ends_at_once(database: str) -> None:
    async def scene(bot: Process) -> None:
        await bot.start(seconds=60.0)
        await bot.ready()
        await bot.fake.say("one", mention=True)
        await bot.fake.wait(lambda: bot.fake.bot_messages())
        bot.signal(signal.SIGTERM)
        await asyncio.sleep(0.3)
        bot.signal(signal.SIGTERM)
        code, _ = await bot.ended(8.0)
        assert code == 0

    play_process(scene, database)


def test_a_killed_bot_tells_its_askers_after_the_next_start(database: str) -> None:
    async def scene(bot: Process) -> None:
        await bot.start(seconds=60.0)
        await bot.ready()
        await bot.fake.say("one", mention=True)
        await bot.fake.wait(lambda: bot.fake.bot_messages())
        await asyncio.sleep(0.2)
        bot.signal(signal.SIGKILL)
        await bot.ended()
        assert len(ServerStore(database).unfinished()) == 1
        await bot.start()
        await bot.fake.wait(
            lambda: any("interrupted by a restart" in m["content"] for m in bot.fake.bot_messages()), 30
        )
        assert len(bot.fake.bot_messages()) == 1
        assert ServerStore(database).unfinished() == ()

    play_process(scene, database)


def test_a_bad_token_is_exit_78_and_no_loop(database: str) -> None:
    async def scene(bot: Process) -> None:
        await bot.start(token="wrong.token.value")
        code, log = await bot.ended()
        assert code == 78
        assert "COACH_DISCORD_TOKEN" in log
        assert "wrong.token.value" not in log
        assert len(bot.fake.find("GET", "/users/@me")) == 1

    play_process(scene, database)


def test_a_missing_intent_is_exit_78_and_no_loop(database: str) -> None:
    async def scene(bot: Process) -> None:
        await bot.start(content=True)
        code, log = await bot.ended()
        assert code == 78
        assert "message-content intent" in log
        assert len(bot.fake.identified) == 1

    play_process(scene, database, disallowed_intents=1 << 15)


def test_a_drain_marks_what_does_not_finish(database: str) -> None:
    """In process and on the fast clock: the 15 seconds of patience are over before the answer is."""
    from tests.discord.scripted import Script
    from tests.discord.wire.harness import play_wire

    async def scene(wire: Wire) -> None:
        await wire.fake.say("one", mention=True)
        await wire.fake.slash("ask", question="two", who=BOB)
        await wire.fake.wait(lambda: len(wire.fake.bot_messages()) == 2)
        assert wire.bot is not None
        clock = asyncio.get_running_loop().time
        started = clock()
        await wire.bot.desk.drain(15.0)
        assert clock() - started < 20
        assert all("interrupted by a restart" in m["content"] for m in wire.fake.bot_messages())
        assert wire.bot.store.unfinished() == ()

    play_wire(scene, database, script=lambda request: Script(wait=600.0))
