"""`coach discord --server`: the bot over a real coach server on loopback, with the scripted engine behind it."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from bots.discord_.remote import RemoteCoach
from coach.app import open_coach
from coach.domain import Answer, Event, Message, Passage, Profile, Request, Retrieved, SentenceReady
from coach.errors import EngineUnavailable, QueueFull, RequestError
from coach.pipeline import Coach
from coach.settings import Settings
from tests.discord.wire.harness import Wire, play_wire
from tests.web.conftest import Server, make_answer, run_server, slow_script

DRIFT = "What is data drift?"


@pytest.fixture(scope="module")
def settings(tiny_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A coach that quotes the tiny library, with a database of its own."""
    database = tmp_path_factory.mktemp("remote") / "coach.sqlite"
    return tiny_settings.model_copy(update={"mode": "quote", "port": 0, "database_url": f"sqlite:///{database}"})


@pytest.fixture(scope="module")
def coach(settings: Settings) -> Iterator[Coach]:
    """One coach for the servers of this file."""
    opened = open_coach(settings)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def shared_server(coach: Coach, settings: Settings) -> Iterator[Server]:
    """One server, open on loopback."""
    with run_server(coach, settings) as running:
        yield running


@pytest.fixture
def server(shared_server: Server) -> Iterator[Server]:
    """The server; a script that a test sets is taken away again."""
    yield shared_server
    shared_server.coach.script = None


def events_of(remote: RemoteCoach, request: Request) -> list[Event]:
    """All events of a request."""

    async def main() -> list[Event]:
        return [event async for event in remote.stream(request, threading.Event())]

    return asyncio.run(main())


def answer_of(remote: RemoteCoach, request: Request) -> Answer:
    """The Answer of a request."""
    answer = events_of(remote, request)[-1]
    assert isinstance(answer, Answer)
    return answer


def seen_by(server: Server) -> list[Request]:
    """Makes the server's coach write down what it is asked and answer at once."""
    asked: list[Request] = []

    def script(request: Request, cancel: threading.Event) -> Iterator[Any]:
        asked.append(request)
        yield make_answer("Noted.")

    server.coach.script = script
    return asked


def test_the_answer_of_a_server_is_that_of_the_coach_itself(server: Server, coach: Coach) -> None:
    events = events_of(RemoteCoach(server.url), Request(DRIFT))
    there, here = events[-1], coach.ask(Request(DRIFT))
    assert isinstance(there, Answer)
    assert (there.outcome, there.mode, there.text, there.sentences) == (here.outcome, here.mode, here.text, here.sentences)
    assert [(p.id, p.text, p.references) for p in there.citations] == [(p.id, p.text, p.references) for p in here.citations]
    assert isinstance(events[0], Retrieved)
    ready = [event for event in events if isinstance(event, SentenceReady)]
    assert [event.sentence for event in ready] == list(here.sentences)
    assert [p.id for p in ready[0].passages] == [here.sentences[0].citations[0].passage]


def test_all_of_a_request_arrives(server: Server) -> None:
    asked = seen_by(server)
    passage = Passage("this-server/1#1", "House rules", "Be kind.", "notes", heading="Rules")
    sent = Request(
        "And then?",
        skill="roadmap",
        profile=Profile(target_role="data-analyst", hours_per_week=6.0),
        history=(Message("user", DRIFT), Message("assistant", "A change.")),
        options=(("role", "data-analyst"),),
        user="discord:1",
        model="qwen3-0.6b",
        passages=(passage,),
    )
    answer_of(RemoteCoach(server.url), sent)
    got = asked[0]
    assert (got.text, got.skill, got.options, got.model) == (sent.text, sent.skill, sent.options, sent.model)
    assert (got.profile, got.history, got.passages) == (sent.profile, sent.history, sent.passages)
    assert got.user == "local/discord:1"


def test_notes_of_a_discord_server_answer_through_the_coach_server(server: Server) -> None:
    note = Passage("this-server/1#1", "Reading circle", "The reading circle meets every Monday at 18:00.", "notes")
    question = "When does the reading circle meet?"
    answer = answer_of(RemoteCoach(server.url), Request(question, passages=(note,)))
    assert answer.citations[0].id == note.id
    assert "Monday" not in answer_of(RemoteCoach(server.url), Request(question)).text


def test_what_one_person_is_asked_is_not_answered_by_another(server: Server) -> None:
    """A mock interview goes on with the person who began it, though one bot asks for both."""
    remote = RemoteCoach(server.url)
    begun = answer_of(remote, Request("statistics", skill="interview", user="discord:1"))
    other = answer_of(remote, Request("A p-value is a probability of data.", skill="auto", user="discord:2"))
    mine = answer_of(remote, Request("A p-value is a probability of data.", skill="auto", user="discord:1"))
    assert begun.skill == "interview"
    assert other.skill != "interview"
    assert mine.skill == "interview"


def test_what_the_server_keeps_is_exported_and_forgotten(server: Server) -> None:
    remote = RemoteCoach(server.url)
    for user in ("discord:7", "discord:8"):
        answer_of(remote, Request("statistics", skill="interview", user=user))
        answer_of(remote, Request("A p-value is the probability of data.", skill="auto", user=user))
    assert len(remote.export("discord:7")["practice"]) == 1
    before = remote.export("discord:8")["practice"]
    remote.forget("discord:7")
    assert remote.export("discord:7")["practice"] == []
    assert remote.export("discord:8")["practice"] == before
    assert len(before) == 1


def test_leaving_stops_the_generation_there(server: Server) -> None:
    server.coach.script = slow_script(30.0)

    async def main() -> None:
        async with aclosing(RemoteCoach(server.url).stream(Request("slow"), threading.Event())) as events:
            async for event in events:
                if isinstance(event, SentenceReady):
                    break

    asyncio.run(main())
    assert server.wait_until_idle(2.0) < 2.0


def test_a_set_flag_stops_it_too(server: Server) -> None:
    server.coach.script = slow_script(30.0)
    cancel = threading.Event()

    async def main() -> int:
        count = 0
        async for event in RemoteCoach(server.url).stream(Request("slow"), cancel):
            count += isinstance(event, SentenceReady)
            if count == 2:
                cancel.set()
        return count

    assert asyncio.run(main()) <= 3
    server.wait_until_idle(2.0)


@pytest.mark.parametrize(
    ("raised", "seen", "words"),
    [
        (QueueFull("32 questions wait already.", 40.0), QueueFull, "wait already"),
        (RequestError("The file is empty."), RequestError, "The file is empty"),
        (EngineUnavailable("gone"), EngineUnavailable, "gone"),
    ],
)
def test_errors_are_the_same_errors_here(server: Server, raised: Exception, seen: type[Exception], words: str) -> None:
    def script(request: Request, cancel: threading.Event) -> Iterator[Any]:
        raise raised
        yield

    server.coach.script = script
    with pytest.raises(seen, match=words) as caught:
        events_of(RemoteCoach(server.url), Request("x"))
    if isinstance(raised, QueueFull):
        assert caught.value.retry_after_seconds == 40.0  # type: ignore[attr-defined]  # seen is QueueFull here


def test_an_error_in_mid_answer_is_an_error_here(server: Server) -> None:
    def script(request: Request, cancel: threading.Event) -> Iterator[Any]:
        answer = make_answer("One.")
        yield Retrieved(answer.citations)
        yield SentenceReady(answer.sentences[0], answer.citations)
        raise EngineUnavailable("it broke")

    server.coach.script = script
    with pytest.raises(EngineUnavailable):
        events_of(RemoteCoach(server.url), Request("x"))


def test_a_server_that_is_down_is_told(unused_port: int) -> None:
    remote = RemoteCoach(f"http://127.0.0.1:{unused_port}")
    with pytest.raises(EngineUnavailable, match="Is `coach serve` running"):
        events_of(remote, Request("x"))
    for call in (remote.models, lambda: remote.forget("discord:1")):
        with pytest.raises(EngineUnavailable, match="Is `coach serve` running"):
            call()


@pytest.fixture
def unused_port() -> int:
    """A port on which nobody listens."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


# -- accounts ----------------------------------------------------------------------------------------------------------


@contextmanager
def guarded(coach: Coach, settings: Settings, folder: Path) -> Iterator[Server]:
    """A server that knows the API key "bot-key" of the program "bot" and the user anna."""
    from bots.web_accounts import hash_password

    accounts = folder / "accounts.toml"
    key = hashlib.sha256(b"bot-key").hexdigest()
    accounts.write_text(f'[users]\nanna = "{hash_password("pw")}"\n[keys]\nbot = "{key}"\nanna = "{key[::-1]}"\n')
    with run_server(coach, settings.model_copy(update={"auth": str(accounts), "data_dir": folder})) as running:
        yield running


def test_a_key_opens_a_server_with_accounts(coach: Coach, settings: Settings, tmp_path: Path) -> None:
    with guarded(coach, settings, tmp_path) as server:
        asked = seen_by(server)
        with pytest.raises(EngineUnavailable, match="COACH_DISCORD_SERVER_KEY"):
            events_of(RemoteCoach(server.url), Request("x", user="discord:1"))
        answer_of(RemoteCoach(server.url, api_key="bot-key"), Request("x", user="discord:1"))
        assert [request.user for request in asked] == ["key:bot/discord:1"]


def test_a_person_who_logged_in_cannot_ask_as_somebody_else(coach: Coach, settings: Settings, tmp_path: Path) -> None:
    with guarded(coach, settings, tmp_path) as server, httpx.Client(base_url=server.url) as anna:
        asked = seen_by(server)
        assert anna.post("/login", data={"name": "anna", "password": "pw"}).status_code == 303
        headers = {"X-Coach-Asker": "discord:1"}
        assert anna.post("/api/ask", json={"question": "x"}, headers=headers).status_code == 200
        assert [request.user for request in asked] == ["anna"]


# -- the whole bot -----------------------------------------------------------------------------------------------------


class _Remote:
    """A RemoteCoach where the harness expects a scripted one."""

    def __init__(self, url: str) -> None:
        self.remote, self.requests = RemoteCoach(url), list[Request]()

    def stream(self, request: Request, cancel: threading.Event) -> Any:
        self.requests.append(request)
        return self.remote.stream(request, cancel)


def _play(server: Server, database: str, scene: Any, **options: Any) -> _Remote:
    behind = _Remote(server.url)
    play_wire(scene, database, coach=behind, speed=4.0, **options)  # type: ignore[arg-type]  # has what the bot uses
    return behind


@pytest.fixture
def database(tmp_path: Path) -> str:
    """The bot's own database."""
    return f"sqlite:///{tmp_path / 'bot.sqlite'}"


async def _settled(wire: Wire, count: int) -> list[dict[str, Any]]:
    assert wire.bot is not None
    health = wire.bot.health
    async with asyncio.timeout(60):
        while health.answered + health.declined + health.failed < count:
            await asyncio.sleep(0.05)
    await wire.idle()
    return wire.fake.bot_messages()


def test_a_question_on_discord_is_answered_by_the_server(server: Server, database: str) -> None:
    async def scene(wire: Wire) -> None:
        await wire.fake.say(DRIFT, mention=True)
        first = (await _settled(wire, 1))[-1]
        assert "change of the input distribution" in first["content"]
        assert first["embeds"][0]["fields"][0]["name"].startswith("[1] Monitoring a deployed model")
        reference = {"message_id": first["id"], "channel_id": first["channel_id"], "type": 0}
        await wire.fake.say("And how is it found?", mention=True, type=19, message_reference=reference)
        assert "comparing a window" in (await _settled(wire, 2))[-1]["content"]

    behind = _play(server, database, scene)
    assert [len(request.history) for request in behind.requests] == [0, 2]


def test_a_roadmap_of_the_server_comes_with_picture_and_files(server: Server, database: str) -> None:
    sent: list[Sequence[tuple[str, bytes]]] = []

    async def scene(wire: Wire) -> None:
        assert wire.bot is not None
        await wire.fake.slash("roadmap", role="Machine learning engineer", hours_per_week=8.0)
        await _settled(wire, 1)
        sent.extend(call["body"]["_files"] for call in wire.fake.find("PATCH", "@original") if "_files" in call["body"])

    from coach.skills import register

    _play(server, database, scene, skills=register())
    assert [name for name, _ in sent[-1]] == ["roadmap.png", "roadmap.md", "roadmap.json"]
    assert all(len(content) > 100 for _, content in sent[-1])


def test_a_server_that_ends_gives_an_apology_and_a_retry(database: str, unused_port: int) -> None:
    async def scene(wire: Wire) -> None:
        await wire.fake.slash("ask", question="Anybody there?")
        told = (await _settled(wire, 1))[-1]
        assert told["content"].startswith("The language model did not answer.")
        assert [c["label"] for row in told["components"] for c in row["components"]] == ["Try again"]

    behind = _Remote(f"http://127.0.0.1:{unused_port}")
    play_wire(scene, database, coach=behind, speed=4.0)  # type: ignore[arg-type]  # has what the bot uses
