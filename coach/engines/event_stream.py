"""HTTP to an OpenAI-compatible server: server-sent events that can be cut off at any moment, retries, typed errors."""

from __future__ import annotations

import json
import queue
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from coach.errors import ContextOverflow, EngineError, EngineTimeout, EngineUnavailable

if TYPE_CHECKING:
    import httpx

Event = dict[str, Any]
Result = TypeVar("Result")

BACKOFF_SECONDS = (0.3, 1.0)
"""Waits between attempts: three attempts in all."""
LONGEST_WAIT_SECONDS = 5.0
RETRIED_STATUS = frozenset({429, 502, 503, 504})
CONNECT_SECONDS = 10.0
POLL_SECONDS = 0.05
_OVERFLOW = re.compile(r"context|maximum.{0,20}length|too (?:long|many tokens)|exceed.{0,40}tokens", re.IGNORECASE)


class Connection:
    """Requests to one server. `url` is its base, ending in /v1 or what takes its place."""

    def __init__(self, base_url: str, *, api_key: str = "", timeout_seconds: float = 120.0) -> None:
        self.url = base_url.rstrip("/")
        self.root = self.url.removesuffix("/v1")
        self._api_key = api_key
        self._timeout_seconds = timeout_seconds
        self._made: httpx.Client | None = None
        self._lock = threading.Lock()

    def get(self, path: str) -> tuple[int, Any]:
        """GET under the base URL: the status and the JSON body, None when it is not JSON or the status is an error."""
        response = self._patiently(lambda: self._client.get(self.url + path), threading.Event())
        if response.status_code in (401, 403):
            self._raise_for(response.status_code, response.text)
        return response.status_code, _json(response.content) if response.is_success else None

    def post_root(self, path: str, body: dict[str, Any]) -> Any:
        """POST beside the base URL (routes outside /v1) and return the JSON body. Raises EngineError."""
        response = self._patiently(lambda: self._client.post(self.root + path, json=body), threading.Event())
        if not response.is_success:
            self._raise_for(response.status_code, response.text)
        return _json(response.content)

    @contextmanager
    def post_events(self, path: str, body: dict[str, Any], cancel: threading.Event | None) -> Iterator[Iterator[Event]]:
        """POST and iterate over the events of the reply; ends early when `cancel` is set.

        The connection is shut when the block is left, whatever the server is doing, so that it stops generating.
        """
        stream = _EventStream(self, path, body)
        try:
            yield stream.events(cancel)
        finally:
            stream.close()

    def close(self) -> None:
        """Close the client."""
        with self._lock:
            if self._made is not None:
                self._made.close()
                self._made = None

    @property
    def _client(self) -> httpx.Client:
        import httpx

        with self._lock:
            if self._made is None:
                host = urlsplit(self.url).hostname or ""
                local = host == "localhost" or host.startswith("127.") or host == "::1"
                self._made = httpx.Client(
                    headers={"Authorization": f"Bearer {self._api_key}"} if self._api_key else {},
                    timeout=httpx.Timeout(self._timeout_seconds, connect=min(CONNECT_SECONDS, self._timeout_seconds)),
                    # One connection per request: a stream is cut off by shutting its socket, see _EventStream.
                    limits=httpx.Limits(max_keepalive_connections=0),
                    trust_env=not local,
                )
            return self._made

    def _patiently(self, send: Callable[[], Result], stop: threading.Event) -> Result:
        """Send, again after a short wait when the server cannot be reached or asks for patience."""
        import httpx

        for wait in (*BACKOFF_SECONDS, None):
            try:
                return send()
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                if wait is None or stop.wait(wait):
                    raise self._unreachable(error) from error
            except _Busy as busy:
                if wait is None or stop.wait(min(busy.wait_seconds or wait, LONGEST_WAIT_SECONDS)):
                    raise EngineUnavailable(
                        f"{self.url} is busy or not ready: HTTP {busy.status} {busy.message[:300]} Try again later."
                    ) from busy
            except httpx.TimeoutException as error:
                raise EngineTimeout(
                    f"{self.url} sent nothing for {self._timeout_seconds:g} s. Raise remote_timeout_seconds, or look "
                    "at the server."
                ) from error
            except (httpx.TransportError, httpx.InvalidURL) as error:
                raise self._unreachable(error) from error
        raise AssertionError("the last wait is None, which raises")

    def _unreachable(self, error: Exception) -> EngineUnavailable:
        return EngineUnavailable(
            f"{self.url} cannot be reached: {error or type(error).__name__}. Check that the server runs and that "
            "remote_url is right."
        )

    def _raise_for(self, status: int, text: str) -> None:
        message = _message(text)
        if status in (400, 413, 422, 500) and _OVERFLOW.search(message):
            raise ContextOverflow(f"The prompt is too long for {self.url}: {message} Ask a shorter question.")
        if status in (401, 403):
            raise EngineUnavailable(f"{self.url} refused the key (HTTP {status}). Set remote_api_key.")
        if status == 404:
            raise EngineUnavailable(f"{self.url} has no such model or route: {message} Check remote_model.")
        if status >= 500:
            raise EngineUnavailable(f"{self.url} failed with HTTP {status}: {message} Look at the server's log.")
        raise EngineError(f"{self.url} refused the request with HTTP {status}: {message}")


class _Busy(Exception):
    """The server asks to come back later."""

    def __init__(self, status: int, message: str, wait_seconds: float) -> None:
        super().__init__(status)
        self.status, self.message, self.wait_seconds = status, message, wait_seconds


class _EventStream:
    """One streaming request, read in a thread so that the consumer can leave while the server is silent."""

    def __init__(self, connection: Connection, path: str, body: dict[str, Any]) -> None:
        self._connection = connection
        self._path = path
        self._body = body
        self._queue: queue.SimpleQueue[Event | BaseException | None] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._read, name="event-stream", daemon=True).start()

    def events(self, cancel: threading.Event | None) -> Iterator[Event]:
        """The events in order; raises what the reading thread met."""
        while not (cancel is not None and cancel.is_set()):
            try:
                item = self._queue.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def close(self) -> None:
        """Shut the socket, which wakes the reading thread and tells the server that nobody listens."""
        self._stop.set()
        for connected in self._sockets:
            _shut(connected)

    def _read(self) -> None:
        try:
            self._connection._patiently(self._read_once, self._stop)
            self._queue.put(None)
        except BaseException as error:  # handed to the consumer, who would otherwise wait for ever
            self._queue.put(error)

    def _read_once(self) -> None:
        import httpx

        client, url = self._connection._client, self._connection.url + self._path
        with client.stream("POST", url, json=self._body, extensions={"trace": self._trace}) as response:
            if not response.is_success:
                text = response.read().decode("utf-8", "replace")
                if response.status_code in RETRIED_STATUS:
                    raise _Busy(response.status_code, _message(text), _seconds(response.headers.get("retry-after")))
                self._connection._raise_for(response.status_code, text)
            try:
                for data in _data_lines(response.iter_bytes()):
                    if self._stop.is_set() or data == b"[DONE]":
                        return
                    self._queue.put(self._event(data))
            except (httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError) as error:
                raise EngineUnavailable(
                    f"{self._connection.url} broke off in the middle of an answer ({error}). Ask again."
                ) from error

    def _event(self, data: bytes) -> Event:
        event = _json(data)
        if not isinstance(event, dict):
            raise EngineError(f"{self._connection.url} sent an event that is not a JSON object: {data[:100]!r}")
        if event.get("error"):
            code = event["error"].get("code") if isinstance(event["error"], dict) else None
            self._connection._raise_for(code if isinstance(code, int) else 500, json.dumps(event))
        return event

    def _trace(self, name: str, info: dict[str, Any]) -> None:
        if name.endswith(("connect_tcp.complete", "start_tls.complete")):
            connected = info["return_value"].get_extra_info("socket")
            self._sockets.append(connected)
            if self._stop.is_set():
                _shut(connected)


def _shut(connected: socket.socket) -> None:
    """Shut both directions. By the base class, as SSLSocket.shutdown drops state that the reader still uses."""
    try:
        socket.socket.shutdown(connected, socket.SHUT_RDWR)
    except OSError:  # it was closed already
        return


def _data_lines(blocks: Iterator[bytes]) -> Iterator[bytes]:
    r"""The payload of each `data:` line. Split at \n only: str.splitlines would also split at U+2028 inside JSON."""
    buffer = b""
    for block in blocks:
        *lines, buffer = (buffer + block).split(b"\n")
        yield from (line[5:].strip() for line in lines if line.startswith(b"data:"))
    if buffer.startswith(b"data:"):
        yield buffer[5:].strip()


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None


def _message(text: str) -> str:
    """The sentence inside an error body of any of the usual shapes."""
    body = _json(text.encode())
    while isinstance(body, dict):
        body = next((body[key] for key in ("error", "message", "detail") if key in body), str(body))
    return str(body if body is not None else text).strip()[:500]


def _seconds(header: str | None) -> float:
    try:
        return float(header or 0)
    except ValueError:  # an HTTP date: rare, and the default wait is short
        return 0.0


