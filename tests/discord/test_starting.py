"""Starting: the invite link, a missing token, and the stream that crosses from a thread into asyncio."""

from __future__ import annotations

import asyncio
import base64
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bots.bridge import carry
from bots.discord_.health import Health
from bots.discord_.lifecycle import least_permissions, local_bot_maker
from bots.discord_.servers import ServerCommands
from bots.discord_bot import invite_url, run_discord
from coach.app import open_coach
from coach.domain import Request
from coach.errors import ConfigError
from coach.settings import Settings
from tests.discord.scripted import ROOT


def test_the_invite_link_asks_for_the_least() -> None:
    token = base64.b64encode(b"123456789012345678").decode().rstrip("=") + ".x.y"
    url = invite_url(Settings(discord_token=token))
    assert "client_id=123456789012345678" in url
    assert "scope=bot+applications.commands" in url
    assert "permissions=309237763072" in url


def test_no_token_is_told_and_exit_78() -> None:
    assert run_discord(Settings()) == 78
    with pytest.raises(ConfigError, match="COACH_DISCORD_TOKEN"):
        invite_url(Settings())


def test_a_reader_who_leaves_stops_the_thread() -> None:
    stopped = threading.Event()

    def count(flag: threading.Event) -> Iterator[int]:
        try:
            number = 0
            while not flag.is_set():
                yield number
                number += 1
        finally:
            stopped.set()

    async def main() -> None:
        stream = carry(count, cancel=threading.Event())
        async for number in stream:
            if number == 3:
                break
        await stream.aclose()  # type: ignore[attr-defined]  # an async generator

    asyncio.run(main())
    assert stopped.wait(5)


def test_an_error_of_the_stream_reaches_the_reader() -> None:
    def fail(flag: threading.Event) -> Iterator[int]:
        yield 1
        raise ValueError("inside")

    async def main() -> list[int]:
        return [number async for number in carry(fail, cancel=threading.Event())]

    with pytest.raises(ValueError, match="inside"):
        asyncio.run(main())


def test_forgetting_a_person_ends_the_interview_that_the_coach_holds_open(tiny_settings: Settings, tmp_path: Path) -> None:
    settings = tiny_settings.model_copy(update={"mode": "quote", "database_url": f"sqlite:///{tmp_path / 'coach.sqlite'}"})
    coach = open_coach(settings)
    bot = local_bot_maker(settings, coach, Health())()

    def ask(question: str, skill: str = "auto") -> str:
        return coach.ask(Request(question, skill=skill, session="dm", user="discord:1")).skill

    assert ask("statistics", "interview") == "interview"
    bot.forget("1")
    assert ask("A p-value is a probability of data.") != "interview"
    coach.close()


def test_the_guide_names_what_there_is() -> None:
    """docs/discord.md: its commands, settings, figures and permissions are those of the program."""
    text = (ROOT / "docs" / "discord.md").read_text("utf-8")
    named = set(re.findall(r"`/server ([a-z-]+)`", text))
    assert named == {command.name for command in ServerCommands().commands}
    settings = set(re.findall(r"COACH_([A-Z_]+)", text))
    assert {name.lower() for name in settings} <= set(Settings.model_fields)
    figures = {family.name for family in Health().collect()}
    assert {name.removesuffix("_total") for name in re.findall(r"coach_discord_\w+", text)} == figures
    assert str(least_permissions().value) in text
