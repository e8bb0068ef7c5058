"""Runs the bot as a process: `python -m tests.discord.wire.launcher PORT DATABASE TOKEN SECONDS [content]`.

Only this launcher points discord.py elsewhere, and only at loopback: in the program that would be a way to steal
tokens.
"""

from __future__ import annotations

import asyncio
import logging
import sys

from bots.discord_.lifecycle import run_until_signal
from bots.discord_bot import CoachBot
from tests.discord.scripted import Script, ScriptedCoach, make_bot
from tests.discord.wire.fake_discord import point_discord_at


def main(port: int, database: str, token: str, seconds: float, content: bool) -> int:
    """The exit code of the bot."""
    logging.basicConfig(level=logging.INFO)
    point_discord_at(port)
    coach = ScriptedCoach(lambda request: Script(("Learn statistics first.", "Then Python."), wait=seconds))

    def make() -> CoachBot:
        return make_bot(coach, database, guild_ready_timeout=0.05, message_content=content)

    return asyncio.run(run_until_signal(make, token))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4]), "content" in sys.argv[5:]))
