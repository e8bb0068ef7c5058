"""Settings come from four places in rising order; what is unknown or wrong is refused with a way out."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from coach.errors import ConfigError
from coach.settings import Settings, describe_settings, load_settings

WriteFile = Callable[[str, str], Path]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder without coach.toml or .env, and an environment without COACH_ variables."""
    for name in list(os.environ):
        if name.upper().startswith("COACH_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_each_place_wins_over_the_one_before(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().port == 7860
    (empty_folder / "coach.toml").write_text("port = 1001\n", "utf-8")
    assert load_settings().port == 1001
    monkeypatch.setenv("COACH_PORT", "1002")
    assert load_settings().port == 1002
    (empty_folder / ".env").write_text("COACH_PORT=1003\n", "utf-8")
    assert load_settings().port == 1003
    assert load_settings(port=1004).port == 1004


def test_an_option_that_was_not_given_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COACH_MODEL", "qwen3-0.6b")
    assert load_settings(model=None).model == "qwen3-0.6b"


def test_the_origin_of_each_setting_is_told(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (empty_folder / "coach.toml").write_text('log_level = "INFO"\n', "utf-8")
    (empty_folder / ".env").write_text("COACH_THREADS=2\n", "utf-8")
    monkeypatch.setenv("COACH_MODE", "quote")
    rows = {row.name: row for row in describe_settings(load_settings(port=8000), port=8000)}
    assert list(rows) == list(Settings.model_fields)
    assert rows["log_level"].origin == "coach.toml"
    assert rows["threads"].origin == ".env"
    assert rows["mode"].origin == "environment COACH_MODE"
    assert rows["port"].origin == "command line"
    assert rows["passages"].origin == "default"
    assert all(row.description for row in rows.values())


@pytest.mark.parametrize(
    ("place", "shown"),
    [("coach.toml", "'databse_url'"), ("environment", "'COACH_DATABSE_URL'"), (".env", "'COACH_DATABSE_URL'")],
)
def test_an_unknown_name_is_refused_with_the_nearest_one(
    place: str, shown: str, empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place == "coach.toml":
        (empty_folder / "coach.toml").write_text('databse_url = "x"\n', "utf-8")
    elif place == ".env":
        (empty_folder / ".env").write_text("COACH_DATABSE_URL=x\n", "utf-8")
    else:
        monkeypatch.setenv("COACH_DATABSE_URL", "x")
    with pytest.raises(ConfigError, match=f"{shown}.*{place}.*Did you mean 'database_url'"):
        load_settings()


def test_an_unknown_option_is_refused_too() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'passages'"):
        load_settings(pasages=3)


@pytest.mark.parametrize(
    ("name", "value"),
    [("port", "eighty"), ("mode", "shout"), ("passages", 0), ("chunk_tokens", 5), ("support_threshold", 1.5)],
)
def test_a_wrong_value_is_named_with_its_setting(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"'{name}'.*{value}.*coach doctor"):
        load_settings(**{name: value})


def test_a_list_that_is_no_json_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COACH_EXTRA_KNOWLEDGE", "/one:/two")
    with pytest.raises(ConfigError, match="extra_knowledge"):
        load_settings()


def test_more_places_are_a_json_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COACH_EXTRA_KNOWLEDGE", '["/one", "/two"]')
    assert load_settings().extra_knowledge == (Path("/one"), Path("/two"))


def test_a_broken_settings_file_is_named(empty_folder: Path) -> None:
    (empty_folder / "coach.toml").write_text("port = = 3\n", "utf-8")
    with pytest.raises(ConfigError, match=r"coach\.toml is not valid TOML"):
        load_settings()


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COACH_REMOTE_API_KEY", "sk-very-secret")
    settings = load_settings(discord_token="also-secret")
    rows = {row.name: row.value for row in describe_settings(settings)}
    assert rows["remote_api_key"] == rows["discord_token"] == "(set)"
    assert "secret" not in repr(settings)
    assert {row.name: row.value for row in describe_settings(Settings(remote_api_key=""))}[
        "remote_api_key"
    ] == "(empty)"


def test_a_wrong_secret_is_not_repeated_in_the_error() -> None:
    with pytest.raises(ConfigError) as error:
        load_settings(remote_api_key=["hunter2"])
    assert "hunter2" not in str(error.value)


def test_a_password_in_an_address_is_not_shown() -> None:
    settings = load_settings(database_url="postgresql+psycopg://coach:hunter2@db/coach")
    shown = {row.name: row.value for row in describe_settings(settings)}["database_url"]
    assert "hunter2" not in shown
    assert "db/coach" in shown


def test_settings_do_not_change_once_read() -> None:
    with pytest.raises(Exception, match="frozen"):
        load_settings().port = 1  # type: ignore[misc]  # what is tested


def test_the_database_lives_in_the_data_folder_unless_said_otherwise(tmp_path: Path) -> None:
    assert load_settings(data_dir=tmp_path).database == f"sqlite:///{tmp_path / 'coach.sqlite'}"
    assert load_settings(database_url="postgresql://x/y").database == "postgresql://x/y"
