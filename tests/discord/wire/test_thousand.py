"""Many answers leave nothing behind in memory: 200 here, 1,000 by `python -m tests.discord.wire.test_thousand`."""

from __future__ import annotations

import asyncio
import gc
import warnings

import psutil

from tests.discord.wire.harness import Wire, play_wire


def run(count: int, database: str) -> list[int]:
    """Memory of the process at each quarter of the answers; nothing may be left of any of them."""
    sizes: list[int] = []

    async def scene(wire: Wire) -> None:
        assert wire.bot is not None
        for number in range(count):
            if number % 2:
                await wire.fake.say(f"q{number}", mention=True)
            else:
                await wire.fake.slash("ask", question=f"q{number}")
            while wire.bot.health.answered <= number:
                await asyncio.sleep(0.02)
            await wire.idle()
            if (number + 1) % (count // 4) == 0:
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
    return sizes


def test_many_answers_leave_no_view_and_no_memory(database: str) -> None:
    sizes = run(200, database)
    assert sizes[-1] - sizes[0] < 8 * 2**20  # of the whole process, fake included


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        print([f"{size / 2**20:.1f} MiB" for size in run(1000, f"sqlite:///{folder}/coach.sqlite")])
