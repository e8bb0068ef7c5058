"""A coach that runs in another process: the events of POST /api/ask of `coach serve`, as the bot reads them."""

from __future__ import annotations

import base64
import dataclasses
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

import httpx

from coach.domain import Event, Queued, Request, Retrieved, SentenceReady
from coach.errors import EngineUnavailable, QueueFull, RequestError
from coach.store.sessions import answer_from_json

_SILENCE_SECONDS = 300.0


class RemoteCoach:
    """Asks a coach server. The server knows one user, the bot; earlier turns are not sent."""

    def __init__(self, url: str, *, api_key: str = "") -> None:
        self.url = url.rstrip("/")
        self._headers = {"Accept": "text/event-stream", **({"Authorization": f"Bearer {api_key}"} if api_key else {})}

    def describe(self) -> str:
        """Where the answers come from."""
        return "Answered by a coach server."

    async def stream(self, request: Request, cancel: threading.Event) -> AsyncIterator[Event]:
        """The events of one request. Closing this iterator disconnects, which stops the server's generation.

        Raises EngineUnavailable, QueueFull or RequestError.
        """
        timeout = httpx.Timeout(10.0, read=_SILENCE_SECONDS)
        try:
            async with (
                httpx.AsyncClient(timeout=timeout, trust_env=False) as client,
                client.stream("POST", f"{self.url}/api/ask", json=_body(request), headers=self._headers) as response,
            ):
                if response.status_code != 200:
                    await response.aread()
                    raise _error(response)
                kind = ""
                async for line in response.aiter_lines():
                    if cancel.is_set():
                        return
                    if line.startswith("event:"):
                        kind = line[6:].strip()
                    elif line.startswith("data:"):
                        yield read_event(kind, json.loads(line[5:]))
        except httpx.HTTPError as error:
            raise EngineUnavailable(
                f"The coach server {self.url} cannot be reached ({type(error).__name__}). Is `coach serve` running?"
            ) from error


def read_event(kind: str, data: dict[str, Any]) -> Event:
    """An event of the stream as the value it was made from. Raises EngineUnavailable for `error`."""
    if kind == "queued":
        return Queued(int(data["position"]))
    if kind == "retrieved":
        return Retrieved(_answer((), data["passages"]).citations)
    if kind == "sentence":
        both = _answer((data["sentence"],), data["passages"])
        return SentenceReady(both.sentences[0], both.citations)
    if kind == "answer":
        return answer_from_json(json.dumps(data))
    raise EngineUnavailable(str(data.get("detail", "the coach server failed")))


def _answer(sentences: Any, passages: Any) -> Any:
    """Sentences and passages read by the one reader of answers."""
    return answer_from_json(
        json.dumps(
            {
                "outcome": "answered",
                "sentences": list(sentences),
                "citations": passages,
                "suggestions": [],
                "confidence": {"evidence": 0, "support": 0},
                "timings": {},
                "usage": {},
            }
        )
    )


def _body(request: Request) -> dict[str, Any]:
    files = [
        {"name": one.name, "media_type": one.media_type, "content_base64": base64.b64encode(one.content).decode()}
        for one in request.attachments
    ]
    return {
        "question": request.text,
        "skill": request.skill,
        "options": dict(request.options),
        "attachments": files,
        "profile": dataclasses.asdict(request.profile),
        "stream": True,
    }


def _error(response: httpx.Response) -> Exception:
    try:
        detail = str(response.json().get("detail", ""))
    except ValueError:
        detail = ""
    if response.status_code == 429:
        return QueueFull(detail or "The queue is full.", float(response.headers.get("Retry-After", 10)))
    if response.status_code < 500:
        return RequestError(detail or f"The coach server refused the question ({response.status_code}).")
    return EngineUnavailable(detail or f"The coach server failed ({response.status_code}).")
