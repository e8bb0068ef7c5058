"""One process: the web app at /, the API under /v1 and /api, health and metrics; refuses to be open to strangers."""

from __future__ import annotations

import asyncio
import contextlib
import html
import logging
import os
import signal
import socket
import sys
import webbrowser
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.routing import Match, Route

from bots import api
from bots.web_accounts import COOKIE, SESSION_SECONDS, Accounts, is_loopback, load_accounts
from bots.web_service import Service
from coach.errors import CoachError, ConfigError

if TYPE_CHECKING:
    from prometheus_client.registry import Collector
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from coach.pipeline import Coach
    from coach.settings import Settings

log = logging.getLogger(__name__)

LARGEST_BODY_BYTES = 16_000_000
ASKER_HEADER = "x-coach-asker"
DRAIN_SECONDS = 10.0  # with the seconds to stop what still runs, a stream ends within 20 s of SIGTERM
_TOO_LARGE = f"The request is larger than {LARGEST_BODY_BYTES // 1_000_000} MB."
# Gradio's page starts with inline scripts and compiles its components' templates, hence unsafe-inline and unsafe-eval;
# what an answer could do is bounded by the rest: nothing is fetched from, sent to, or framed by another origin.
CONTENT_SECURITY_POLICY = "; ".join((
    "default-src 'self'", "script-src 'self' 'unsafe-inline' 'unsafe-eval'", "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:", "font-src 'self' data:", "connect-src 'self'", "media-src 'self' data: blob:",
    "worker-src 'self' blob:", "object-src 'none'", "base-uri 'self'", "form-action 'self'", "frame-src 'none'",
    "frame-ancestors 'none'"))
SECURITY_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY, "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer", "x-frame-options": "DENY", "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(self), interest-cohort=()"}
_METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
_OPEN_PATHS = frozenset({"/healthz", "/readyz", "/login", "/favicon.ico"})


def build_app(coach: Coach, settings: Settings) -> FastAPI:
    """The whole server as an ASGI app. Raises ConfigError for a public address without accounts."""
    accounts = load_accounts(settings)
    service = Service(coach)
    app = FastAPI(title="ML career coach", version="1", docs_url=None, redoc_url=None, openapi_url="/openapi.json",
                  description="Answers from documents it can show. Errors are problem details (RFC 9457).",
                  lifespan=_lifespan(service))
    app.state.service = service
    app.add_exception_handler(CoachError, api.on_coach_error)
    app.add_exception_handler(RequestValidationError, api.on_invalid)
    app.add_exception_handler(HTTPException, api.on_http_error)
    _add_health(app, service)
    _add_login(app, accounts)

    def find_user(request: Request) -> str:
        return _user_or_401(accounts, request)

    router = api.build_router(service, find_user)
    app.include_router(router)
    _refuse_the_rest(app, router)
    app.add_middleware(_Guard, accounts=accounts, any_host=not accounts.open)
    _mount_web(app, service, accounts)
    return app


@dataclass(frozen=True, slots=True)
class Companion:
    """What runs beside the server over the same coach: its figures, how to tell it to stop, how to wait for its end."""

    figures: Collector
    stop: Callable[[], object]
    join: Callable[[], object]


def serve(
    settings: Settings, *, coach: Coach | None = None, open_browser: bool = True, companion: Companion | None = None
) -> int:
    """Run until SIGTERM or Ctrl-C; 0 when all ended well. Raises ConfigError when the port is taken."""
    import uvicorn

    load_accounts(settings)
    listening = _listen(settings)
    if coach is None:
        from coach.app import open_coach

        coach = open_coach(settings)
    app = build_app(coach, settings)
    address = f"http://{settings.host}:{listening.getsockname()[1]}"
    server = _Server(uvicorn.Config(app, log_level=settings.log_level.lower(), access_log=False, lifespan="on",
                                    timeout_graceful_shutdown=4), app.state.service)
    sys.stdout.write(f"The coach is at {address}\n")
    sys.stdout.flush()
    if open_browser and _has_desktop():
        server.when_started = lambda: webbrowser.open(address)
    if companion is not None:
        app.state.service.metrics.registry.register(companion.figures)
        server.when_stopping = companion.stop
    server.run(sockets=[listening])
    if companion is not None:
        companion.join()
    coach.close()
    return 0


def _listen(settings: Settings) -> socket.socket:
    try:
        return socket.create_server((settings.host, settings.port), backlog=256,
                                    family=socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    except OSError as error:
        raise ConfigError(f"{settings.host}:{settings.port} cannot be listened on: {error.strerror}. "
                          "Choose another with COACH_PORT or --port.") from error


def _has_desktop() -> bool:
    return sys.platform in {"darwin", "win32"} or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _make_server_class() -> Any:
    import uvicorn

    class Server(uvicorn.Server):
        """A uvicorn server that lets running answers end before it closes their connections."""

        when_started: Any = None
        when_stopping: Any = None

        def __init__(self, config: uvicorn.Config, service: Service) -> None:
            super().__init__(config)
            self._service = service
            self._draining: asyncio.Task[None] | None = None

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            if self.when_started:
                self.when_started()

        def handle_exit(self, sig: int, frame: Any) -> None:
            """The first signal drains; a second one ends at once."""
            if self._draining is not None:
                super().handle_exit(sig, frame)
                return
            loop = asyncio.get_event_loop()
            self._draining = loop.create_task(self._drain())

        async def _drain(self) -> None:
            if self.when_stopping:
                self.when_stopping()
            await self._service.close(seconds=DRAIN_SECONDS)
            self.should_exit = True

        @contextlib.contextmanager
        def capture_signals(self) -> Any:
            # uvicorn raises the signal again after it has shut down, which would make the exit status 143 instead of 0.
            loop_signals = (signal.SIGTERM, signal.SIGINT)
            before = {number: signal.signal(number, self.handle_exit) for number in loop_signals}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

    return Server


def _Server(config: Any, service: Service) -> Any:
    return _make_server_class()(config, service)


def _lifespan(service: Service) -> Any:
    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await service.close(seconds=0.0)

    return lifespan


def _mount_web(app: FastAPI, service: Service, accounts: Accounts) -> None:
    import gradio

    from bots import web

    here = Path(__file__).parent
    gradio.mount_gradio_app(
        app, web.build_blocks(service), path="/", theme=web.build_theme(), css_paths=[here / "theme.css"],
        head=web.page_head(), auth_dependency=lambda request: accounts.identify(request.headers, request.cookies),
        allowed_paths=[], max_file_size=api.LARGEST_FILE_BYTES, show_error=False, footer_links=[], ssr_mode=False,
        enable_monitoring=False, mcp_server=False, pwa=False, run_history=False)


def _refuse_the_rest(app: FastAPI, router: APIRouter) -> None:
    """What of the API's paths nothing serves: otherwise the page, mounted at /, would answer it with a bare 404."""

    async def refuse(request: Request) -> Response:
        found = [route for route in (*app.routes, *router.routes)
                 if isinstance(route, Route) and route.matches(request.scope)[0] is Match.PARTIAL]
        allowed = sorted({method for route in found for method in route.methods or ()})
        if not allowed:
            return api.problem_response(404, f"There is nothing at {request.url.path[:200]}. /openapi.json lists what is.")
        served = ", ".join(allowed)
        return api.problem_response(405, f"{request.method} is not served here, only {served}.", {"allow": served})

    for path in ("/api/{rest:path}", "/v1/{rest:path}", "/healthz", "/readyz"):
        app.add_route(path, refuse, methods=list(_METHODS), include_in_schema=False)


# -- health and metrics ------------------------------------------------------------------------------------------------


def _add_health(app: FastAPI, service: Service) -> None:
    @app.get("/healthz", tags=["health"])
    async def is_alive() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["health"], responses={503: api.PROBLEM})
    async def is_ready() -> Response:
        """The index is there and requests are admitted."""
        if service.closing:
            return api.problem_response(503, "The coach is shutting down.")
        try:
            version = await asyncio.to_thread(lambda: service.coach.index_version)
        except CoachError as error:
            return api.problem_response(503, str(error))
        state = service.admission.state
        return JSONResponse({"status": "ready", "index_version": version, "running": state.running,
                             "waiting": state.waiting, "mode": service.coach.mode})

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)


# -- login -------------------------------------------------------------------------------------------------------------


def _add_login(app: FastAPI, accounts: Accounts) -> None:
    limiter, rate = MovingWindowRateLimiter(MemoryStorage()), RateLimitItemPerMinute(10)

    @app.get("/login", include_in_schema=False)
    async def show_login() -> Response:
        if not accounts.has_login:
            return RedirectResponse("/", 303)
        return HTMLResponse(_login_page(""))

    @app.post("/login", include_in_schema=False)
    async def log_in(request: Request) -> Response:
        address = request.client.host if request.client else ""
        if not limiter.hit(rate, address):
            return HTMLResponse(_login_page("Too many tries. Wait a minute."), 429, {"retry-after": "60"})
        form = parse_qs((await request.body())[:4000].decode("utf-8", "replace"), max_num_fields=10)
        name, password = form.get("name", [""])[0][:200], form.get("password", [""])[0][:1000]
        cookie = await asyncio.to_thread(accounts.log_in, name, password)
        if cookie is None:
            return HTMLResponse(_login_page("Name or password are wrong."), 401)
        response = RedirectResponse("/", 303)
        secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, cookie, max_age=SESSION_SECONDS, httponly=True, samesite="lax", secure=secure)
        return response

    @app.post("/logout", include_in_schema=False)
    async def log_out() -> Response:
        response = RedirectResponse("/login", 303)
        response.delete_cookie(COOKIE)
        return response


def _login_page(problem: str) -> str:
    said = f'<p role="alert">{html.escape(problem)}</p>' if problem else ""
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Log in - career coach</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
body{{font:17px/1.5 Georgia,serif;background:#f7f3ec;color:#2b2622;display:grid;place-items:center;min-height:100vh;
margin:0}}
form{{background:#fffdf9;padding:2rem;border:1px solid #e2d8c8;border-radius:14px;width:min(22rem,86vw)}}
label{{display:block;margin:.8rem 0 .2rem}}input{{width:100%;font:inherit;padding:.5rem;border:1px solid #8a7d6c;
border-radius:8px;box-sizing:border-box;background:#fff;color:inherit}}button{{margin-top:1.2rem;font:inherit;
padding:.5rem 1.2rem;border:0;border-radius:8px;background:#1f5f5b;color:#fff}}p{{color:#9c2f1c}}
@media(prefers-color-scheme:dark){{body{{background:#1d1a17;color:#efe8dd}}form{{background:#272320;border-color:#443d35}}
input{{background:#1d1a17}}button{{background:#7cc4b8;color:#10211f}}p{{color:#f2a08f}}}}</style></head><body>
<form method="post" action="/login"><h1>Career coach</h1>{said}<label for="name">Name</label>
<input id="name" name="name" autocomplete="username" required autofocus><label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button>Log in</button></form></body></html>"""


def _user_or_401(accounts: Accounts, request: Request) -> str:
    user = accounts.identify(request.headers, request.cookies)
    if user is None:
        raise HTTPException(401, "Log in, or send an API key as `Authorization: Bearer …`.",
                            {"www-authenticate": "Bearer"})
    # A program with a key of its own (the Discord bot) may ask for several people; they share nothing.
    asker = request.headers.get(ASKER_HEADER, "").strip()[:80]
    return f"{user}/{asker}" if asker and (accounts.open or user.startswith("key:")) else user


# -- the guard in front of everything ----------------------------------------------------------------------------------


class _BodyTooLarge(HTTPException):
    """A body without an honest length grew beyond the cap."""

    def __init__(self) -> None:
        super().__init__(413, _TOO_LARGE)


class _Guard:
    """Security headers, body caps, host and origin checks, and nobody past the door without a name."""

    def __init__(self, app: ASGIApp, *, accounts: Accounts, any_host: bool) -> None:
        self._app = app
        self._accounts = accounts
        self._any_host = any_host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refuse(scope)
        if refusal is not None:
            await refusal(scope, receive, _with_headers(send))
            return
        try:
            await self._app(scope, _capped(receive), _with_headers(send))
        except _BodyTooLarge:
            response = api.problem_response(413, _TOO_LARGE)
            await response(scope, receive, _with_headers(send))

    def _refuse(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if not self._any_host and not is_loopback(urlsplit(f"//{headers.get('host', '')}").hostname or ""):
            return PlainTextResponse("Open the coach by 127.0.0.1 or localhost.", 421)
        if scope["method"] not in _METHODS:
            return api.problem_response(405, f"{scope['method']} is not served here.", {"allow": ", ".join(_METHODS)})
        if scope["method"] not in {"GET", "HEAD", "OPTIONS"} and _is_foreign(headers):
            return api.problem_response(403, "A page of another origin may not ask here.")
        if not headers.get("content-length", "0").isdigit():
            return api.problem_response(400, "Content-Length is not a number.")
        if int(headers.get("content-length", "0")) > LARGEST_BODY_BYTES:
            return api.problem_response(413, _TOO_LARGE)
        path = scope["path"]
        if path in _OPEN_PATHS or self._accounts.open:
            return None
        connection = HTTPConnection(scope)
        if self._accounts.identify(connection.headers, connection.cookies) is not None:
            return None
        wants_page = scope["method"] == "GET" and "text/html" in headers.get("accept", "")
        if wants_page and self._accounts.has_login:
            return RedirectResponse("/login", 303)
        return api.problem_response(401, "Log in, or send an API key as `Authorization: Bearer …`.",
                                    {"www-authenticate": "Bearer"})


def _is_foreign(headers: Headers) -> bool:
    origin = headers.get("origin")
    if headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
        return True
    return origin is not None and urlsplit(origin).netloc != headers.get("host", "")


def _capped(receive: Receive) -> Receive:
    seen = 0

    async def read() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > LARGEST_BODY_BYTES:
            raise _BodyTooLarge
        return message

    return read


def _with_headers(send: Send) -> Send:
    async def write(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers[name] = value
        await send(message)

    return write
