"""`coach discord`, `coach discord --server` and `coach serve --discord` as processes, from the start to SIGTERM."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from coach.settings import Settings
from tests.discord.wire.fake_discord import TOKEN, FakeDiscord

ROOT = Path(__file__).parents[3]
DRIFT = "What is data drift?"
Play = Callable[[Callable[["Programs"], Awaitable[None]]], None]


class Programs:
    """Starts `coach` commands that talk to one fake Discord, with settings in the environment."""

    def __init__(self, fake: FakeDiscord, environment: dict[str, str]) -> None:
        self.fake, self.environment = fake, environment

    @asynccontextmanager
    async def run(self, *arguments: str, **settings: object) -> AsyncIterator[asyncio.subprocess.Process]:
        """A running command; killed when it is left behind."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.discord.wire.cli_launcher", str(self.fake.port), *arguments,
            cwd=ROOT, env={**self.environment, **{f"COACH_{name.upper()}": str(value) for name, value in settings.items()}},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def connected(self) -> None:
        """Until a bot has identified itself and can be told things."""
        await self.fake.wait(lambda: any(s["ws"] is not None for s in self.fake.sessions.values()), 60)
        await asyncio.sleep(0.5)

    async def answered(self, count: int = 1) -> dict[str, Any]:
        """Until so many finished answers stand in the channel; the last one."""
        await self.fake.wait(lambda: len(self._answers()) >= count, 60)
        return self._answers()[-1]

    def _answers(self) -> list[dict[str, Any]]:
        return [m for m in self.fake.bot_messages() if m["embeds"]]


@pytest.fixture
def play(tiny_settings: Settings, tmp_path: Path) -> Play:
    """Runs a scene with the settings of the tiny library."""
    given = {
        "data_dir": tiny_settings.data_dir, "knowledge_dir": tiny_settings.knowledge_dir, "embedder": "hashing",
        "engine": "scripted", "offline": "true", "evidence_threshold": "0.0", "mode": "quote", "log_level": "INFO",
        "database_url": f"sqlite:///{tmp_path / 'coach.sqlite'}", "discord_token": TOKEN,
    }
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("COACH_")}
    environment = {**kept, **{f"COACH_{name.upper()}": str(value) for name, value in given.items()}}

    def run(scene: Callable[[Programs], Awaitable[None]]) -> None:
        async def main() -> None:
            fake = await FakeDiscord().start()
            try:
                await asyncio.wait_for(scene(Programs(fake, environment)), 150)
            finally:
                await fake.stop()
            assert fake.unexpected == []

        asyncio.run(main())

    return run


def free_port() -> int:
    """A port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


async def address_of(server: asyncio.subprocess.Process) -> str:
    """Where `coach serve` says it listens."""
    assert server.stdout is not None
    while line := (await asyncio.wait_for(server.stdout.readline(), 90)).decode():
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            return found[0]
    raise AssertionError("the server never said where it is")


async def figures_when_ready(url: str) -> str:
    """What /metrics says once every Discord server is known, which an answer can precede; after 5 s whatever it says."""
    async with httpx.AsyncClient() as client:
        for _ in range(50):
            told = (await client.get(f"{url}/metrics")).text
            if "coach_discord_ready 1.0" in told:
                break
            await asyncio.sleep(0.1)
    return told


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str]:
    """SIGTERM; the exit code and what was logged."""
    process.send_signal(signal.SIGTERM)
    _, log = await asyncio.wait_for(process.communicate(), 25)
    return process.returncode or 0, log.decode()


def test_coach_discord_answers_from_a_local_coach_and_shows_its_figures(play: Play) -> None:
    async def scene(programs: Programs) -> None:
        port = free_port()
        async with programs.run("discord", discord_metrics_port=port) as bot:
            await programs.connected()
            await programs.fake.say(DRIFT, mention=True)
            assert "change of the input distribution" in (await programs.answered())["content"]
            told = await figures_when_ready(f"http://127.0.0.1:{port}")
            assert 'coach_discord_events_total{event="answered"} 1.0' in told
            assert "coach_discord_ready 1.0" in told
            code, log = await ended(bot)
            assert code == 0
            assert TOKEN not in log
            assert "drift" not in log

    play(scene)


def test_coach_discord_with_a_server_answers_through_it(play: Play) -> None:
    async def scene(programs: Programs) -> None:
        async with programs.run("serve", port=0) as server:
            url = await address_of(server)
            async with programs.run("discord", "--server", url) as bot:
                await programs.connected()
                await programs.fake.say(DRIFT, mention=True)
                assert "change of the input distribution" in (await programs.answered())["content"]
                async with httpx.AsyncClient() as client:
                    told = (await client.get(f"{url}/metrics")).text
                assert 'coach_requests_total{front_end="api",outcome="answered",skill="auto"} 1.0' in told
                assert (await ended(bot))[0] == 0
            assert (await ended(server))[0] == 0

    play(scene)


def test_coach_serve_with_discord_answers_both_from_one_process(play: Play) -> None:
    async def scene(programs: Programs) -> None:
        async with programs.run("serve", "--discord", port=0) as server:
            url = await address_of(server)
            await programs.connected()
            await programs.fake.say(DRIFT, mention=True)
            on_discord = await programs.answered()
            async with httpx.AsyncClient(timeout=20) as client:
                on_web = (await client.post(f"{url}/api/ask", json={"question": DRIFT, "skill": "ask"})).json()
            told = await figures_when_ready(url)
            assert on_discord["content"].startswith(on_web["sentences"][0]["text"])
            assert 'coach_discord_events_total{event="answered"} 1.0' in told
            assert "coach_discord_ready 1.0" in told
            code, log = await ended(server)
            assert code == 0
            assert TOKEN not in log
            assert programs.fake.live()["ws"] is None

    play(scene)


def test_sigterm_to_serve_lets_a_running_discord_answer_end_first(play: Play) -> None:
    """The model is a server that is slow: the answer is under way when SIGTERM comes, and the coach is closed after it."""

    async def scene(programs: Programs) -> None:
        asked = asyncio.Event()
        async with slow_model(asked) as model, programs.run(
            "serve", "--discord", port=0, mode="write", engine="remote", remote_url=model, remote_model="slow"
        ) as server:
            await address_of(server)
            await programs.connected()
            await programs.fake.say(DRIFT, mention=True)
            await asyncio.wait_for(asked.wait(), 60)
            assert programs._answers() == []
            code, _ = await ended(server)
            assert code == 0
            final = (await programs.answered())["content"]
            assert "Data drift is a change of the input distribution after deployment." in final
            assert "interrupted" not in final

    play(scene)


@asynccontextmanager
async def slow_model(asked: asyncio.Event) -> AsyncIterator[str]:
    """An OpenAI-compatible server whose answers take four seconds; it sets `asked` when one begins."""
    from aiohttp import web

    async def complete(request: web.Request) -> web.StreamResponse:
        asked.set()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for piece in ("Data drift is a change of the input distribution ", "after deployment. [1]"):
            await asyncio.sleep(2.0)
            chunk = {"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}
            await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
        end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        await response.write(f"data: {json.dumps(end)}\n\ndata: [DONE]\n\n".encode())
        return response

    app = web.Application()
    app.router.add_post("/v1/chat/completions", complete)
    app.router.add_get("/v1/models", lambda request: web.json_response({"data": [{"id": "slow", "max_model_len": 4096}]}))
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    try:
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        await runner.cleanup()
