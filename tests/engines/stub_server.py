"""A loopback server that speaks as much of the OpenAI protocol as the test at hand wants, right or wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Stub(ThreadingHTTPServer):
    """`answers` maps "METHOD /path" to a function of the handler; unknown routes are 404. Requests are kept."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Callable[[Handler], None]] = {}
        self.bodies: list[tuple[str, Any]] = []
        self.hung_up = threading.Event()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def chat(self, *answers: Callable[[Handler], None]) -> None:
        """What /chat/completions does at the first, second, ... request; the last repeats."""
        left = list(answers)
        self.answers["POST /v1/chat/completions"] = lambda h: (left.pop(0) if len(left) > 1 else left[0])(h)

    def asked(self, path: str = "/v1/chat/completions") -> list[Any]:
        """The bodies sent to that path."""
        return [body for where, body in self.bodies if where == path]


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Stub

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _answer(self, body: Any) -> None:
        self.body = body
        self.server.bodies.append((self.path, body))
        answer = self.server.answers.get(f"{self.command} {self.path}", status(404, {"error": "no such route"}))
        try:
            answer(self)
        except (BrokenPipeError, ConnectionResetError):
            self.server.hung_up.set()

    def log_message(self, *_: Any) -> None:
        """Be quiet."""


def status(code: int, body: Any, **headers: str) -> Callable[[Handler], None]:
    """Answer with a status and a JSON body."""

    def answer(handler: Handler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(json.dumps(body).encode())

    return answer


def events(*items: Any, done: bool = True, then: Callable[[Handler], None] | None = None) -> Callable[[Handler], None]:
    """Stream items as server-sent events; bytes go out as they are."""

    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.end_headers()
        for item in items:
            text = item if isinstance(item, bytes) else f"data: {json.dumps(item, ensure_ascii=False)}\n\n".encode()
            handler.wfile.write(text)
            handler.wfile.flush()
        if then:
            then(handler)
        if done:
            handler.wfile.write(b"data: [DONE]\n\n")

    return answer


def piece(text: str | None = None, *, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    """One chunk of a chat completion."""
    content = {} if text is None else {"content": text}
    return {"choices": [{"delta": {**content, **delta}, "finish_reason": finish}]}


def usage(prompt: int, completion: int) -> dict[str, Any]:
    """The chunk that include_usage asks for."""
    return {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion}}
