"""Random fault schedules on the wire: each question gets exactly one answer or one apology, whatever Discord does.

`python -m tests.discord.faults 300` runs 300 schedules and prints what was counted.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coach.domain import Request
from coach.errors import EngineUnavailable
from tests.discord.scripted import Script
from tests.discord.wire.fake_discord import ALICE, BOB, CHANNEL, DM, FakeDiscord, rate_limited, reply
from tests.discord.wire.harness import Wire, play_wire

SENDS = (
    ("POST", f"/channels/{CHANNEL}/messages$"),
    ("PATCH", "/messages/"),
    ("POST", "/callback"),
    ("POST", "/webhooks/"),
)
FAULTS = (
    "429",
    "429 without Via",
    "502",
    "503",
    "lost reply",
    "long outage",
    "drop",
    "drop and replay",
    "op 7",
    "op 9",
    "late acknowledgement",
    "duplicate",
    "reordered",
    "deleted",
    "lost permission",
    "engine fails",
)


@dataclass
class Verdicts:
    """What became of the questions; `wrong` lists those with none or more than one final message."""

    schedules: int = 0
    questions: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def run(count: int, seed: int, database: str) -> Verdicts:
    """Run schedules one after the other against one bot, which is restarted every 25."""
    verdicts = Verdicts()
    rng = random.Random(seed)

    async def scene(wire: Wire) -> None:
        for number in range(count):
            if number and number % 25 == 0:
                await wire.shut()
                await wire.boot()
            await _schedule(wire, rng, number, verdicts)

    play_wire(scene, database, script=_script, speed=40.0)
    return verdicts


async def _schedule(wire: Wire, rng: random.Random, number: int, verdicts: Verdicts) -> None:
    """Two people ask at about the same time while one to three things go wrong."""
    fake = wire.fake
    faults = rng.sample(FAULTS, rng.randint(1, 3))
    verdicts.schedules += 1
    verdicts.faults.update(faults)
    for fault in faults:
        _arrange(fake, rng, fault)
    asked = []
    order = [ALICE, BOB]
    if "reordered" in faults:
        order.reverse()
    if {"drop", "drop and replay"} & set(faults) and rng.random() < 0.5:
        fake.replayed_twice = 5 if "drop and replay" in faults else 0
        await fake.drop()
    for who in order:
        asked.append(await _ask(fake, rng, f"q{number}{'ab'[who == BOB]}", who, faults))
        await asyncio.sleep(rng.choice((0.0, 0.2)))
    await _disturb(fake, rng, faults, asked)
    await _settle(wire, asked)
    fake.mute = False
    fake.faults.clear()
    for question in asked:
        _judge(wire, question, faults, verdicts)


def _arrange(fake: FakeDiscord, rng: random.Random, fault: str) -> None:
    method, pattern = rng.choice(SENDS)
    responders: dict[str, Callable[[], Any]] = {
        "429": lambda: rate_limited(0.4),
        "429 without Via": lambda: rate_limited(0.4, via=False),
        "502": lambda: reply("bad gateway", 502),
        "503": lambda: reply("unavailable", 503),
    }
    if fault in responders:
        fake.fault(method, pattern, responders[fault], times=rng.randint(1, 2))
    elif fault == "lost reply":
        method, pattern = rng.choice(SENDS[:3])
        fake.fault(method, pattern, responders["503"], after=True)
    elif fault == "long outage":
        method, pattern = rng.choice(SENDS[:2])
        fake.fault(method, pattern, responders["503"], times=rng.randint(6, 9))
    elif fault == "lost permission":
        fake.mute = rng.random() < 0.7


async def _ask(fake: FakeDiscord, rng: random.Random, text: str, who: str, faults: list[str]) -> dict[str, Any]:
    words = f"{text} fails" if "engine fails" in faults and rng.random() < 0.5 else text
    times = 2 if "duplicate" in faults else 1
    if rng.random() < 0.5:
        token = await fake.slash("ask", question=words, who=who, times=times)
        fake.interactions[token]["expired"] = "late acknowledgement" in faults and rng.random() < 0.5
        return {"text": text, "token": token}
    message = await fake.say(words, mention=True, who=who, times=times)
    return {"text": text, "message": message["id"]}


async def _disturb(fake: FakeDiscord, rng: random.Random, faults: list[str], asked: list[dict[str, Any]]) -> None:
    if "op 7" in faults:
        await fake.op(7)
    if {"drop", "drop and replay"} & set(faults):
        fake.replayed_twice = 5 if "drop and replay" in faults else 0
        await fake.wait(lambda: fake.live()["ws"] is not None)
        await fake.drop()
    if "op 9" in faults:
        # An invalid session while we are away loses events at Discord's side; that is not ours to judge.
        await fake.wait(lambda: fake.live()["ws"] is not None)
        count = len(fake.identified)
        await fake.op(9, False)
        await fake.wait(lambda: len(fake.identified) > count)
    if "lost permission" in faults:
        fake.mute = True
    question = rng.choice(asked)
    if "deleted" in faults and "message" in question:
        question["deleted"] = True
        await asyncio.sleep(rng.random())
        await fake.wait(lambda: fake.live()["ws"] is not None)
        await fake.delete(question["message"])


async def _settle(wire: Wire, asked: list[dict[str, Any]]) -> None:
    """Until every question has met its end: an answer, an apology, a deletion or a refused acknowledgement."""
    fake = wire.fake

    def ended(question: dict[str, Any]) -> bool:
        if question.get("deleted") or _unacknowledged(fake, question):
            return True
        return bool(_finals(wire, question["text"]))

    loop = asyncio.get_running_loop()
    until = loop.time() + 600
    await asyncio.sleep(0.5)
    while not all(ended(question) for question in asked) and loop.time() < until:
        await asyncio.sleep(0.2)
    await wire.idle()
    await fake.wait(lambda: fake.live()["ws"] is not None)
    await asyncio.sleep(0.5)
    await wire.idle()


def _judge(wire: Wire, question: dict[str, Any], faults: list[str], verdicts: Verdicts) -> None:
    verdicts.questions += 1
    finals = _finals(wire, question["text"])
    if question.get("deleted"):
        kind, right = "deleted question", len(finals) <= 1
    elif _unacknowledged(wire.fake, question):
        kind, right = "not acknowledged, Discord says so itself", not finals
    else:
        apologised = any("Reference" in text for text in finals)
        kind, right = "apology" if apologised else "answer", len(finals) == 1
    verdicts.outcomes[kind] += 1
    if not right:
        verdicts.wrong.append(f"{question} with {faults}: {finals}; {_story(wire, question)}")


def _story(wire: Wire, question: dict[str, Any]) -> str:
    """What is known about a question that went wrong."""
    asked = sum(request.text.split()[0] == question["text"] for request in wire.coach.requests)
    identity = question.get("token") or question["message"]
    calls = [
        (call["method"], call["path"][-30:], call.get("status"), bool(call.get("fault")))
        for call in wire.fake.calls
        if identity in call["path"] or identity in str(call["body"])
    ]
    logs = [
        (name, one["s"], one["t"], session.get("dead", False))
        for name, session in wire.fake.sessions.items()
        for one in session["log"]
        if identity in str(one["d"])
    ]
    assert wire.bot is not None
    return f"asked {asked} times; calls {calls}; events {logs}; {wire.bot.health}"


def _finals(wire: Wire, text: str) -> list[str]:
    """The finished messages for a question: its answer, or the apology whose reference leads to it."""
    bot = [*wire.fake.bot_messages(), *wire.fake.bot_messages(DM)]
    answers = [m["content"] for m in bot if m["content"].startswith(f"Answer to {text}.") and "…" not in m["content"]]
    apologies = [m["content"] for m in bot if "Reference" in m["content"]]
    return answers + [one for one in apologies if _question_of(wire, one.split()[-1]) == text]


def _question_of(wire: Wire, answer: str) -> str:
    assert wire.bot is not None
    row = wire.bot.store.answer(answer)
    return row.question.split()[0] if row else ""


def _unacknowledged(fake: FakeDiscord, question: dict[str, Any]) -> bool:
    token = question.get("token")
    if not token:
        return False
    tries = [call for call in fake.calls if call["method"] == "POST" and f"/{token}/callback" in call["path"]]
    return not fake.interactions[token].get("acknowledged") and bool(tries) and tries[-1].get("status") == 404


def _script(request: Request) -> Script:
    name = request.text.split()[0]
    if "fails" in request.text:
        return Script(("One.", "Two."), wait=0.3, error=EngineUnavailable("scripted"))
    return Script((f"Answer to {name}.", "It has a second sentence."), wait=random.Random(name).choice((0.0, 0.5, 2.0)))


def main() -> int:
    """Run as a program: how many schedules, and optionally a seed."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with tempfile.TemporaryDirectory() as folder:
        verdicts = run(count, seed, f"sqlite:///{Path(folder) / 'coach.sqlite'}")
    print(f"{verdicts.schedules} schedules, {verdicts.questions} questions (seed {seed})")
    for title, counts in (("outcomes", verdicts.outcomes), ("faults", verdicts.faults)):
        print(f"{title}: " + ", ".join(f"{name} {number}" for name, number in counts.most_common()))
    print(f"wrong: {len(verdicts.wrong)}")
    for line in verdicts.wrong:
        print("  " + line)
    return 1 if verdicts.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
