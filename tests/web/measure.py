"""Figures of the server, not pass or fail: `python -m tests.web.measure overhead|first|disconnects|load|schema`."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from coach.app import open_coach

from .conftest import Server, launch_chromium, make_settings, open_page, run_server, slow_script
from .process import USER_HEADER, Child, start_server

_ASK = {"question": "instant", "skill": "ask"}


def main() -> None:
    """Print the figures that were asked for, as one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="+", choices=sorted(_MEASURES))
    parser.add_argument("--seconds", type=float, default=120.0, help="How long `load` lasts.")
    parser.add_argument("--times", type=int, default=50, help="Disconnects of each kind, or clicks.")
    options = parser.parse_args()
    for what in options.what:
        for figures in _MEASURES[what](options):
            print(json.dumps({"measure": what, **figures}), flush=True)


def measure_overhead(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Seconds of POST /api/ask with an answer that costs nothing, at 1 and at 20 clients, each a user of its own."""
    with start_server() as child:
        asyncio.run(_ask_in_a_loop(child, clients=4, each=50))  # warm
        for clients in (1, 20):
            times, statuses = asyncio.run(_ask_in_a_loop(child, clients=clients, each=2000 // clients))
            yield {"clients": clients, "statuses": statuses, **_milliseconds(times)}


async def _ask_in_a_loop(child: Child, *, clients: int, each: int) -> tuple[list[float], dict[str, int]]:
    times: list[float] = []
    statuses: Counter[str] = Counter()

    async def ask(user: str) -> None:
        async with httpx.AsyncClient(base_url=child.url, headers={USER_HEADER: user}, timeout=60) as client:
            for _ in range(each):
                started = time.perf_counter()
                got = await client.post("/api/ask", json=_ASK)
                times.append(time.perf_counter() - started)
                statuses[str(got.status_code)] += 1

    await asyncio.gather(*(ask(f"user{number}") for number in range(clients)))
    return times, dict(statuses)


def measure_first_sentence(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Milliseconds from the click on Ask to the first visible sentence, in the browser, with an instant engine."""
    with _server() as server, launch_chromium() as browser:
        server.coach.script = slow_script(0.0, 3)
        page = open_page(browser, server.url).page
        times = []
        for number in range(options.times):
            page.click("#new-talk")
            page.wait_for_selector("#thread .starter")
            page.fill("#question textarea", f"Question {number}")
            times.append(page.evaluate("""() => new Promise((done) => {
              const started = performance.now();
              const look = () => {
                const said = document.querySelector('#live .said, #thread .said');
                if (said && said.offsetParent) { done((performance.now() - started) / 1000); return; }
                requestAnimationFrame(look);
              };
              document.querySelector('#ask').click();
              requestAnimationFrame(look);
            })"""))
            page.wait_for_selector("#thread .turn")
        page.context.close()
        yield {"clicks": len(times), **_milliseconds(times)}


def measure_disconnects(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Seconds from a client's leaving in mid-answer until no engine works, on /api, /v1 and the web page."""
    with _server() as server:
        server.coach.script = slow_script()
        for path, body in (("/api/ask", {"question": "x", "stream": True}),
                           ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}], "stream": True})):
            times = []
            for _ in range(options.times):
                with httpx.stream("POST", server.url + path, json=body, timeout=10) as got:
                    next(line for line in got.iter_lines() if "Sentence number 2." in line)
                times.append(server.wait_until_idle(30.0))
            yield {"where": path, **_seconds(times)}
        with launch_chromium() as browser:
            times = []
            for _ in range(options.times):
                visit = open_page(browser, server.url)
                visit.ask("Tell me everything")
                visit.page.wait_for_selector("#live .answer-body:has-text('Sentence number 2.')")
                visit.page.context.close()
                times.append(server.wait_until_idle(30.0))
            yield {"where": "web", **_seconds(times)}


def measure_load(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """50 users, each asking again and again through the whole pipeline with a scripted model: errors, memory, queue."""
    with start_server(seconds_per_token=0.004) as child:
        process = psutil.Process(child.process.pid)
        figures = asyncio.run(_load(child, process, users=50, seconds=options.seconds))
        child.process.terminate()
        yield {**figures, "exit": child.process.wait(40)}


async def _load(child: Child, process: psutil.Process, *, users: int, seconds: float) -> dict[str, Any]:
    outcomes: Counter[str] = Counter()
    rising = 0
    times: list[float] = []
    positions: list[int] = []
    memory: list[tuple[float, float]] = []
    longest_queue = 0.0
    started = time.monotonic()

    async def ask(user: str) -> None:
        nonlocal rising
        async with httpx.AsyncClient(base_url=child.url, headers={USER_HEADER: user}, timeout=120) as client:
            for number in itertools.count():
                if time.monotonic() - started > seconds:
                    return
                begun, shown, kind = time.monotonic(), 0, ""
                body = {"question": f"Which projects should a beginner build? ({user} {number})", "skill": "ask", "stream": True}
                async with client.stream("POST", "/api/ask", json=body) as got:
                    async for line in got.aiter_lines():
                        if line.startswith("event: "):
                            kind = line[7:]
                        elif line.startswith("data: ") and kind == "queued":
                            position = json.loads(line[6:])["position"]
                            rising += shown > 0 and position > shown
                            shown = position
                            positions.append(position)
                    wait = float(got.headers.get("retry-after", 0))
                outcomes[f"{got.status_code} {kind}".strip()] += 1
                if got.status_code == 200:
                    times.append(time.monotonic() - begun)
                await asyncio.sleep(min(wait, 5.0))

    async def watch() -> None:
        nonlocal longest_queue
        async with httpx.AsyncClient(base_url=child.url, headers={USER_HEADER: "watch"}, timeout=60) as client:
            while time.monotonic() - started < seconds:
                memory.append((time.monotonic() - started, process.memory_info().rss / 1e6))
                found = re.search(r"^coach_queue_length (\S+)", (await client.get("/metrics")).text, re.M)
                longest_queue = max(longest_queue, float(found[1]) if found else 0.0)
                await asyncio.sleep(1.0)

    await asyncio.gather(watch(), *(ask(f"user{number}") for number in range(users)))
    at = {f"memory_mb_at_{share:.0%}": round(min(memory, key=lambda item: abs(item[0] - share * seconds))[1], 1)
          for share in (0.0, 0.1, 0.5, 1.0)}
    return {"users": users, "seconds": round(time.monotonic() - started, 1), "outcomes": dict(outcomes), **at,
            "longest_queue": longest_queue, "highest_position": max(positions, default=0), "positions_that_rose": rising,
            "answer_seconds": _seconds(times)}


def run_schemathesis(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Schemathesis's own command line, 100 made-up requests an operation and more in its other phases."""
    with start_server() as child:
        command = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{child.url}/openapi.json", "--max-examples",
                   "100", "--header", f"{USER_HEADER}: tester", "--checks", "all", "--exclude-checks", "ignored_auth",
                   "--continue-on-failure", "--seed", "1", "--no-color"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tempfile.gettempdir())
        report = Path(tempfile.gettempdir()) / "schemathesis.txt"
        report.write_text(done.stdout + done.stderr, "utf-8")
        yield {"exit": done.returncode, "report": str(report), "summary": done.stdout.splitlines()[-30:]}


@contextmanager
def _server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        settings = make_settings(Path(folder))
        coach = open_coach(settings)
        with run_server(coach, settings) as running:
            yield running
        coach.close()


def _milliseconds(times: list[float]) -> dict[str, float]:
    return {f"{name}_ms": round(value * 1000, 1) for name, value in _quantiles(times).items()}


def _seconds(times: list[float]) -> dict[str, float]:
    return {"count": len(times), **{f"{name}_s": round(value, 2) for name, value in _quantiles(times).items()}}


def _quantiles(times: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return {"p50": cuts[49], "p95": cuts[94], "max": max(times)}


_MEASURES = {"overhead": measure_overhead, "first": measure_first_sentence, "disconnects": measure_disconnects,
             "load": measure_load, "schema": run_schemathesis}

if __name__ == "__main__":
    main()
