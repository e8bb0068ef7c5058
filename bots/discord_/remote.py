"""A coach that runs in another process: the events of POST /api/ask of `coach serve`, as the bot reads them."""

from __future__ import annotations

import base64
import dataclasses
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

import httpx

from coach.domain import Answer, Event, Queued, Request, Retrieved, SentenceReady
from coach.errors import EngineUnavailable, QueueFull, RequestError
from coach.store.sessions import answer_from_json

_SILENCE_SECONDS = 300.0
_SHORT_SECONDS = 10.0
_REFUSED_KEY = "The coach server refuses the bot. Put an API key of its accounts file into COACH_DISCORD_SERVER_KEY."


class RemoteCoach:
    """Asks a coach server, which keeps the people apart by the header of bots/server.py that names the asker."""

    def __init__(self, url: str, *, api_key: str = "") -> None:
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}

    def describe(self) -> str:
        """Where the answers come from."""
        return "Answered by a coach server."

    def models(self) -> tuple[str, ...]:
        """The ids of the models that the server can answer with when asked to. Raises EngineUnavailable."""
        return tuple(self._call("GET", "/api/models")["at_hand"])

    def export(self, user: str) -> Any:
        """What the server keeps about a person. Raises EngineUnavailable."""
        return self._call("GET", "/api/profile/export", user)

    def forget(self, user: str) -> None:
        """Delete what the server keeps about a person. Raises EngineUnavailable."""
        self._call("DELETE", "/api/profile", user)

    def _call(self, method: str, path: str, user: str = "") -> Any:
        try:
            with httpx.Client(timeout=_SHORT_SECONDS, trust_env=False) as client:
                response = client.request(method, f"{self.url}{path}", headers=self._headers_for(user))
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        if response.status_code != 200:
            raise EngineUnavailable(f"The coach server refused {method} {path} ({response.status_code}).")
        return response.json()

    def _headers_for(self, user: str) -> dict[str, str]:
        return {**self._headers, **({"X-Coach-Asker": user} if user else {})}

    def _unreachable(self, error: httpx.HTTPError) -> EngineUnavailable:
        return EngineUnavailable(
            f"The coach server {self.url} cannot be reached ({type(error).__name__}). Is `coach serve` running?"
        )

    async def stream(self, request: Request, cancel: threading.Event) -> AsyncIterator[Event]:
        """The events of one request. Closing this iterator disconnects, which stops the server's generation.

        Raises EngineUnavailable, QueueFull or RequestError.
        """
        timeout = httpx.Timeout(10.0, read=_SILENCE_SECONDS)
        headers = {"Accept": "text/event-stream", **self._headers_for(request.user)}
        try:
            async with (
                httpx.AsyncClient(timeout=timeout, trust_env=False) as client,
                client.stream("POST", f"{self.url}/api/ask", json=_body(request), headers=headers) as response,
            ):
                if response.status_code != 200:
                    await response.aread()
                    raise _error(response)
                kind, last = "", None
                async for line in response.aiter_lines():
                    if cancel.is_set():
                        return
                    if line.startswith("event:"):
                        kind = line[6:].strip()
                    elif line.startswith("data:"):
                        event = read_event(kind, json.loads(line[5:]))
                        if isinstance(event, Answer):
                            last = event  # yielded when the stream has ended, so that the server sees no reader leave
                        else:
                            yield event
            if last is not None:
                yield last
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error


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
        "history": [{"role": turn.role, "content": turn.content} for turn in request.history],
        "passages": [
            {"id": p.id, "title": p.title, "heading": p.heading, "text": p.text, "source": p.source}
            for p in request.passages
        ],
        "model": request.model,
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
    if response.status_code in (401, 403):
        return EngineUnavailable(_REFUSED_KEY)
    if response.status_code < 500:
        return RequestError(detail or f"The coach server refused the question ({response.status_code}).")
    return EngineUnavailable(detail or f"The coach server failed ({response.status_code}).")
