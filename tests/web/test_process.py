"""The server as a process: it ends what it has begun, tells those whom it cannot wait for, and exits with 0."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from bots import bridge
from coach.errors import EngineTimeout

from .process import start_server

PATHS = ("/api/ask", "/v1/chat/completions")


@pytest.mark.parametrize(("question", "last"), [("slow", "answer"), ("stuck", "error")])
def test_sigterm_in_mid_answer_ends_every_stream_with_an_event_and_exits_with_0(question: str, last: str) -> None:
    ends: dict[str, tuple[float, str]] = {}
    said = {path: threading.Event() for path in PATHS}
    body = {"question": question, "messages": [{"role": "user", "content": question}], "stream": True}
    told = 0.0
    with start_server() as child:
        def read(path: str) -> None:
            with child.client(path) as client, client.stream("POST", path, json=body) as got:
                lines = []
                for line in got.iter_lines():
                    lines.append(line)
                    if "Sentence number" in line:
                        said[path].set()
            ends[path] = (time.monotonic() - told, "\n".join(lines[-4:]))

        readers = [threading.Thread(target=read, args=(path,)) for path in PATHS]
        for reader in readers:
            reader.start()
        assert all(event.wait(20) for event in said.values())
        told = time.monotonic()
        child.process.send_signal(signal.SIGTERM)
        with child.client("late") as client:
            while time.monotonic() - told < 5:
                if client.post("/api/ask", json={"question": "instant"}).status_code == 429:
                    break
            else:
                pytest.fail("the server still admits questions")
        for reader in readers:
            reader.join(30)
        assert child.process.wait(30) == 0
        gone = time.monotonic() - told
    assert gone < 25
    for seconds, _ in ends.values():
        assert seconds < 20
    assert f"event: {last}" in ends["/api/ask"][1]
    assert ("[DONE]" if last == "answer" else "event: error") in ends["/v1/chat/completions"][1]


def test_a_stream_that_does_not_stop_lets_its_reader_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "STOP_SECONDS", 0.3)
    hung, cancel = threading.Event(), threading.Event()

    def stick(_: threading.Event) -> Iterator[int]:
        yield 1
        hung.wait(10)

    async def read() -> list[int]:
        seen = []
        async for number in bridge.carry(stick, cancel=cancel):
            seen.append(number)
            cancel.set()
        return seen

    async def read_with_limit() -> None:
        with pytest.raises(EngineTimeout, match="did not stop"):
            await asyncio.wait_for(read(), 5)
        hung.set()

    reader = threading.Thread(target=lambda: outcome.append(asyncio.run(read_with_limit())))
    outcome: list[None] = []
    reader.start()  # in a thread of its own: the browser tests leave a loop running in this one
    reader.join()
    assert outcome == [None]
