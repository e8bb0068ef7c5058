"""Ten scenarios give the same on both tiers, so that a fake that is wrong shows itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from coach.domain import Request
from coach.errors import EngineUnavailable, QueueFull
from tests.discord.contract.stages import Scenario, Stage, on_both
from tests.discord.scripted import Script


def plain(request: Request) -> Script:
    """Two sentences at once."""
    return Script(("Learn statistics first.", f"You asked: {request.text} after {len(request.history)} turns."))


def slow(request: Request) -> Script:
    """An answer that takes a minute."""
    return Script(wait=60.0)


async def mention(stage: Stage) -> None:
    await stage.say("alice", "one")


async def chatter(stage: Stage) -> None:
    await stage.say("alice", "just talking", mention=False)


async def command(stage: Stage) -> None:
    await stage.ask("alice", "one")
    await stage.ask("bob", "two", private=True)


async def reply(stage: Stage) -> None:
    await stage.say("alice", "one")
    await stage.say("bob", "and then?", answer=0)


async def direct(stage: Stage) -> None:
    await stage.direct("one")
    await stage.direct("and then?")


async def votes(stage: Stage) -> None:
    await stage.say("alice", "one")
    await stage.restart()
    await stage.press("bob", 0, "Helpful")
    await stage.press("alice", 0, "Show evidence")


async def failure(stage: Stage) -> None:
    await stage.say("alice", "one")
    await stage.press("bob", 0, "Try again")


async def full(stage: Stage) -> None:
    await stage.ask("alice", "one")


async def withdrawn(stage: Stage) -> None:
    message = await stage.say("alice", "never mind")
    await stage.remove(message)
    await stage.later(70)


async def stopped(stage: Stage) -> None:
    await stage.say("alice", "one")
    await stage.ask("alice", "two")
    await stage.press("alice", 0, "Stop")


SCENARIOS: list[tuple[Scenario, object, bool]] = [
    (mention, plain, False),
    (chatter, plain, False),
    (command, plain, False),
    (reply, plain, False),
    (direct, plain, True),
    (votes, plain, False),
    (failure, lambda r: Script(error=EngineUnavailable("x")), False),
    (full, lambda r: Script(error=QueueFull("x", 30.0)), False),
    (withdrawn, slow, False),
    (stopped, slow, False),
]


@pytest.mark.parametrize(("scenario", "script", "directly"), SCENARIOS, ids=[one[0].__name__ for one in SCENARIOS])
def test_a_scenario_gives_the_same_on_both_tiers(
    tmp_path: Path, scenario: Scenario, script: object, directly: bool
) -> None:
    in_sim, on_wire = on_both(scenario, str(tmp_path), script, direct=directly)  # type: ignore[arg-type]
    assert in_sim == on_wire
    assert bool(in_sim) == (scenario not in (chatter, withdrawn))
