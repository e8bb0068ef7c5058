"""A server in a process of its own, over a coach that does as the question says: what is measured does not share its Python."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from coach.domain import Request

from .conftest import Stub, make_answer, make_settings, slow_script

REPOSITORY = Path(__file__).parents[2]
USER_HEADER = "x-user"


def run_script(request: Request, cancel: threading.Event) -> Iterator[Any]:
    """`instant` answers at once, `slow` says a sentence every 30 ms for half a minute, `stuck` says one and hangs."""
    if request.text.startswith("slow"):
        yield from slow_script()(request, cancel)
    elif request.text.startswith("stuck"):
        yield next(event for number, event in enumerate(slow_script(0.0, 2)(request, cancel)) if number == 1)
        threading.Event().wait(120)
    else:
        yield make_answer("Done.")


def serve_stub(folder: Path, *, seconds_per_token: float | None) -> int:
    """`coach serve` over the script above, or over the whole pipeline with a model that needs so long for a word."""
    from bots.server import serve
    from coach.app import open_coach
    from coach.engines.scripted import ScriptedEngine

    mode = "quote" if seconds_per_token is None else "write"
    settings = make_settings(folder).model_copy(update={"auth": f"proxy:{USER_HEADER}", "mode": mode})
    coach = Stub(open_coach(settings))
    if seconds_per_token is None:
        coach.script = run_script
    else:
        coach.real._engine = ScriptedEngine(seconds_per_token=seconds_per_token)
    return serve(settings, coach=coach, open_browser=False)  # type: ignore[arg-type]  # has what a Coach has


@dataclass
class Child:
    """The process and its address."""

    url: str
    process: subprocess.Popen[str]

    def client(self, user: str, **options: Any) -> httpx.Client:
        """An HTTP client of one user."""
        return httpx.Client(base_url=self.url, headers={USER_HEADER: user}, timeout=60, **options)


@contextlib.contextmanager
def start_server(*, seconds_per_token: float | None = None) -> Iterator[Child]:
    """The process, killed at the end if it has not ended by then."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.web.process", json.dumps([folder, seconds_per_token])]
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True,
                                   env={**os.environ, "PYTHONPATH": str(REPOSITORY)})
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "http://" in line, "the server did not start"
        child = Child(line.split()[-1], process)
        with child.client("nobody") as client:
            for _ in range(200):
                with contextlib.suppress(httpx.TransportError):
                    if client.get("/readyz").status_code == 200:
                        break
                threading.Event().wait(0.05)
        try:
            yield child
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


if __name__ == "__main__":
    where, pace = json.loads(sys.argv[1])
    sys.exit(serve_stub(Path(where), seconds_per_token=pace))
