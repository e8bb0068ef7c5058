"""A thousand answers leave nothing behind in memory."""

from __future__ import annotations

import asyncio
import gc
import warnings

import psutil

from tests.discord.wire.harness import Wire, play_wire


def test_a_thousand_answers_leave_no_view_and_no_memory(database: str) -> None:
    sizes: list[int] = []

    async def scene(wire: Wire) -> None:
        assert wire.bot is not None
        for number in range(1000):
            if number % 2:
                await wire.fake.say(f"q{number}", mention=True)
            else:
                await wire.fake.slash("ask", question=f"q{number}")
            while wire.bot.health.answered <= number:
                await asyncio.sleep(0.02)
            await wire.idle()
            if number % 250 == 249:
                for session in wire.fake.sessions.values():
                    session["log"].clear()
                for kept in (
                    wire.fake.calls,
                    wire.fake.messages,
                    wire.fake.interactions,
                    wire.fake.nonces,
                    wire.coach.requests,
                ):
                    kept.clear()
                gc.collect()
                sizes.append(psutil.Process().memory_info().rss)
        assert wire.bot._connection._view_store._views == {}
        assert len(wire.bot._connection._view_store._synced_message_views) == 0
        assert wire.bot.desk.running == ()

    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        play_wire(scene, database)
        gc.collect()
    assert sizes[-1] - sizes[0] < 6 * 2**20  # of the whole process, fake included, over the last 750 answers
