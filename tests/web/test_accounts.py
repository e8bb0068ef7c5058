"""Who may do what: closed to strangers, nobody reaches another's things, and a public address needs accounts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from bots.cli import app
from bots.web_accounts import COOKIE, Accounts, check_password, hash_password, is_loopback, load_accounts
from coach.errors import ConfigError
from coach.settings import Settings, load_settings

from .conftest import Server, make_answer, run_server


@pytest.fixture(scope="module")
def guarded(coach: Any, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the users anna and ben and the API client robot."""
    folder = tmp_path_factory.mktemp("accounts")
    key = hashlib.sha256(b"robot-key").hexdigest()
    accounts = folder / "accounts.toml"
    accounts.write_text(f'[users]\nanna = "{hash_password("anna-pw")}"\nben = "{hash_password("ben-pw")}"\n'
                        f'[keys]\nrobot = "{key}"\n')
    closed = settings.model_copy(update={"auth": str(accounts), "data_dir": folder})
    with run_server(_with_settings(coach, closed), closed) as running:
        yield running


def _with_settings(coach: Any, settings: Settings) -> Any:
    class Other:
        def __getattr__(self, name: str) -> Any:
            return settings if name == "settings" else getattr(coach, name)

    return Other()


@contextmanager
def log_in(server: Server, name: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=20) as client:
        assert client.post("/login", data={"name": name, "password": f"{name}-pw"}).status_code == 303
        yield client


def test_strangers_see_only_the_door(guarded: Server) -> None:
    with httpx.Client(base_url=guarded.url) as stranger:
        assert stranger.get("/healthz").status_code == 200
        for path in ("/v1/models", "/api/conversations", "/api/profile", "/metrics", "/config", "/openapi.json",
                     "/gradio_api/info", "/gradio_api/queue/data?session_hash=x"):
            assert stranger.get(path).status_code == 401, path
        assert stranger.post("/api/ask", json={"question": "x"}).status_code == 401
        assert stranger.post("/gradio_api/queue/join", json={"data": [], "fn_index": 0}).status_code == 401
        page = stranger.get("/", headers={"accept": "text/html"})
        assert page.status_code == 303
        assert page.headers["location"] == "/login"
        assert stranger.post("/login", data={"name": "anna", "password": "wrong"}).status_code == 401
        assert stranger.get("/api/profile", cookies={"coach_session": "x.y"}).status_code == 401
        assert stranger.get("/api/profile", headers={"authorization": "Bearer wrong"}).status_code == 401


def test_an_api_key_opens_the_api(guarded: Server) -> None:
    got = httpx.get(f"{guarded.url}/v1/models", headers={"authorization": "Bearer robot-key"})
    assert got.status_code == 200


def test_no_operation_reaches_another_users_things(guarded: Server) -> None:
    guarded.coach.script = lambda request, cancel: iter([make_answer("Anna's secret.", answer_id="answer-of-anna")])
    with log_in(guarded, "anna") as anna, log_in(guarded, "ben") as ben:
        talk = anna.post("/api/conversations", json={"title": "Secret"}).json()["id"]
        anna.post("/api/ask", json={"question": "x", "conversation": talk})
        anna.put("/api/profile", json={"target_role": "data-scientist"})
        attempts = [
            ben.get(f"/api/conversations/{talk}"), ben.get(f"/api/conversations/{talk}/export"),
            ben.patch(f"/api/conversations/{talk}", json={"title": "Mine"}), ben.delete(f"/api/conversations/{talk}"),
            ben.post("/api/ask", json={"question": "x", "conversation": talk}),
            ben.post("/api/ask", json={"question": "x", "conversation": talk, "user": "anna"}),
            ben.post("/api/feedback", json={"answer": "answer-of-anna", "vote": "down"})]
        assert [got.status_code for got in attempts] == [404] * len(attempts)
        assert ben.get("/api/conversations").json() == []
        assert ben.get("/api/conversations", params={"search": "Secret"}).json() == []
        assert ben.get("/api/profile").json()["target_role"] == ""
        assert "Secret" not in ben.get("/api/profile/export").text
        assert ben.delete("/api/profile").json() == {"deleted": 0}
        assert anna.get(f"/api/conversations/{talk}").json()["title"] == "Secret"
        assert len(anna.get(f"/api/conversations/{talk}").json()["turns"]) == 1


def test_the_page_greets_only_the_one_who_logged_in(guarded: Server) -> None:
    with log_in(guarded, "anna") as anna:
        assert anna.get("/", headers={"accept": "text/html"}).status_code == 200
        anna.post("/logout")
        anna.cookies.clear()
        assert anna.get("/api/profile").status_code == 401


@pytest.mark.parametrize(("host", "auth"), [("0.0.0.0", ""), ("192.168.1.5", ""), ("::", ""), ("coach.example", "")])
def test_a_public_address_needs_accounts(tmp_path: Path, host: str, auth: str) -> None:
    with pytest.raises(ConfigError, match="COACH_AUTH"):
        load_accounts(load_settings(host=host, auth=auth, data_dir=tmp_path))


def test_a_proxys_header_names_the_user(tmp_path: Path) -> None:
    accounts = load_accounts(load_settings(host="0.0.0.0", auth="proxy:X-Forwarded-User", data_dir=tmp_path))
    assert accounts.identify({"x-forwarded-user": "anna"}, {}) == "anna"
    assert accounts.identify({}, {}) is None


def test_a_plain_password_in_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "accounts.toml").write_text('[users]\nanna = "plain"\n')
    with pytest.raises(ConfigError, match="not hashed"):
        load_accounts(load_settings(auth=str(tmp_path / "accounts.toml"), data_dir=tmp_path))


def test_loopback_is_told_from_the_rest() -> None:
    assert all(is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "[::1]", "127.8.8.8"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "10.0.0.1", "localhost.evil.example", ""))


def test_a_changed_password_ends_the_sessions_that_the_old_one_opened(settings: Settings, tmp_path: Path) -> None:
    def accounts_with(password: str) -> Accounts:
        file = tmp_path / "accounts.toml"
        file.write_text(f'[users]\nanna = "{hash_password(password)}"\n')
        return load_accounts(settings.model_copy(update={"auth": str(file), "data_dir": tmp_path}))

    before = accounts_with("old-pw")
    cookie = before.log_in("anna", "old-pw")
    assert cookie
    assert before.identify({}, {COOKIE: cookie}) == "anna"
    assert accounts_with("new-pw").identify({}, {COOKIE: cookie}) is None


def test_the_command_that_the_error_names_makes_a_usable_hash(tmp_path: Path) -> None:
    made = CliRunner().invoke(app, ["accounts", "hash"], input="anna-pw\nanna-pw\n")
    assert made.exit_code == 0, made.output
    assert check_password("anna-pw", made.stdout.strip().splitlines()[-1].strip())
