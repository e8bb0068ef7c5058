"""A real server on loopback with a small library, engines that do as a test says, and a real browser."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from bots.server import build_app
from coach.app import open_coach
from coach.domain import Answer, Citation, Confidence, Passage, Request, Retrieved, Sentence, SentenceReady
from coach.settings import Settings, load_settings

REPOSITORY = Path(__file__).parents[2]
PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
GUIDE = """---
title: "How do I become a machine learning engineer?"
summary: "The steps to a machine learning job."
topics: [python]
audience: [starting]
as_of: 2026-11-24
review_by: 2027-11-24
licence: CC BY 4.0
sources:
  - id: x
    title: "Handbook"
    publisher: "Bureau"
    url: https://example.org/handbook
    accessed: 2026-11-24
---
To become a machine learning engineer, learn programming, statistics and deployment, then finish projects. [x]

## Which projects should a beginner build?

A beginner should build a movie recommender and a sentiment analyser, because both need real data. [x]

## What does a machine learning engineer earn?

A machine learning engineer earns more than a data analyst in most countries. [x]
"""


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The scripted engine over one small guide and the real catalogue."""
    return make_settings(tmp_path_factory.mktemp("server"))


def make_settings(folder: Path) -> Settings:
    """Settings whose knowledge and data lie in `folder`."""
    knowledge = folder / "knowledge"
    (knowledge / "guides").mkdir(parents=True)
    (knowledge / "guides" / "way-in.md").write_text(GUIDE, "utf-8")
    (knowledge / "catalogue").symlink_to(REPOSITORY / "knowledge" / "catalogue")
    return load_settings(engine="scripted", embedder="hashing", data_dir=folder / "data", knowledge_dir=knowledge,
                         requests_per_minute=100_000, port=0, evidence_threshold=0.1, mode="quote")


@dataclass
class Stub:
    """A coach whose stream is what a test says, with everything else of a real one."""

    real: Any
    script: Callable[[Request, threading.Event], Iterator[Any]] | None = None
    running: int = 0
    stopped_after: float = 0.0

    def stream(self, request: Request, *, cancel: threading.Event | None = None) -> Iterator[Any]:
        """The script's events; the real coach's without a script."""
        flag = cancel or threading.Event()
        if self.script is None:
            yield from self.real.stream(request, cancel=flag)
            return
        self.running += 1
        try:
            yield from self.script(request, flag)
        finally:
            self.running -= 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def make_answer(*texts: str, answer_id: str = "", evidence: float = 0.9) -> Answer:
    """An answer whose sentences cite one passage."""
    passage = Passage("way-in#1", "Handbook", "Learn programming, statistics and deployment.", "https://example.org/a",
                      "2026-11-24")
    sentences = tuple(Sentence(text, (Citation(passage.id, 6, 17),)) for text in texts)
    return Answer("answered", sentences, (passage,), mode="write", confidence=Confidence(evidence, 0.9), model="stub",
                  id=answer_id or f"a{time.time_ns():x}", index_version="v1")


def slow_script(seconds: float = 30.0, sentences: int = 1000) -> Callable[[Request, threading.Event], Iterator[Any]]:
    """Sentences one after the other until cancelled."""
    def script(request: Request, cancel: threading.Event) -> Iterator[Any]:
        answer = make_answer(*(f"Sentence number {n}." for n in range(sentences)))
        yield Retrieved(answer.citations)
        said = 0
        for sentence in answer.sentences:
            if cancel.wait(seconds / sentences):
                break
            said += 1
            yield SentenceReady(sentence, answer.citations)
        yield make_answer(*(s.text for s in answer.sentences[:said]))

    return script


@dataclass
class Server:
    """A running server: its address, its coach, its app."""

    url: str
    coach: Stub
    app: Any

    def wait_until_idle(self, seconds: float = 2.0) -> float:
        """How long it took until no answer was being made; fails beyond `seconds`."""
        started = time.monotonic()
        while self.coach.running or self.app.state.service.busy:
            if time.monotonic() - started > seconds:
                pytest.fail(f"the engine still works after {seconds} s")
            threading.Event().wait(0.01)
        return time.monotonic() - started


@contextlib.contextmanager
def run_server(coach: Any, settings: Settings) -> Iterator[Server]:
    """A server in a thread, stopped at the end."""
    stub = Stub(coach)
    app = build_app(stub, settings)  # type: ignore[arg-type]  # has what a Coach has
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=lambda: server.run(sockets=[listening]), daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    for _ in range(200):
        try:
            httpx.get(f"{url}/healthz", timeout=1)
            break
        except httpx.TransportError:
            threading.Event().wait(0.05)
    try:
        yield Server(url, stub, app)
    finally:
        server.should_exit = True
        thread.join(timeout=10)


@pytest.fixture(scope="session")
def coach(settings: Settings) -> Iterator[Any]:
    """One coach for all servers."""
    opened = open_coach(settings)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def shared_server(coach: Any, settings: Settings) -> Iterator[Server]:
    """One server for the session."""
    with run_server(coach, settings) as running:
        yield running


@pytest.fixture
def server(shared_server: Server) -> Iterator[Server]:
    """The server with a real coach; a script a test sets is taken away again."""
    yield shared_server
    shared_server.coach.script = None
    shared_server.app.state.service.sessions.delete_user("local")


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """A plain HTTP client."""
    with httpx.Client(base_url=server.url, timeout=20) as opened:
        yield opened


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's Chromium."""
    with launch_chromium() as opened:
        yield opened


@contextlib.contextmanager
def launch_chromium() -> Iterator[Any]:
    """Chromium without a sandbox or traffic of its own, closed at the end."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=[
            "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync"])
        yield opened
        opened.close()


@dataclass
class Visit:
    """A page with what went wrong on it."""

    page: Any
    complaints: list[str]
    foreign: list[str]
    dialogs: list[str]

    def ask(self, text: str) -> None:
        """Type a question and send it."""
        self.page.fill("#question textarea", text)
        self.page.press("#question textarea", "Enter")

    def wait_for_answers(self, count: int) -> None:
        """Wait until that many finished answers stand in the conversation."""
        self.page.wait_for_function(
            "n => document.querySelectorAll('#thread .turn').length === n && !document.querySelector('#live .turn')",
            arg=count, timeout=15_000)

    def open_tab(self, name: str) -> None:
        """Go to another tab."""
        self.page.get_by_role("tab", name=name).click()


def open_page(browser: Any, url: str, **context: Any) -> Visit:
    """The app in a fresh browser profile; every console error, foreign request and dialog is written down."""
    page = browser.new_context(**{"viewport": {"width": 1360, "height": 900}, **context}).new_page()
    visit = Visit(page, [], [], [])
    page.on("console", lambda m: visit.complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    page.on("request", lambda r: None if r.url.startswith((url, "data:", "blob:")) else visit.foreign.append(r.url))

    def refuse(dialog: Any) -> None:
        visit.dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", refuse)
    page.goto(url)
    page.wait_for_selector("#thread .starter, #thread .turn", timeout=20_000)
    page.wait_for_function("typeof window.coachBus === 'function'")
    return visit


@pytest.fixture
def visit(browser: Any, server: Server) -> Iterator[Visit]:
    """The app opened at desktop width; afterwards nothing may have gone wrong on the page."""
    opened = open_page(browser, server.url)
    yield opened
    opened.page.context.close()
    assert opened.complaints == []
    assert opened.foreign == []
    assert opened.dialogs == []
