"""One journey, every door: the library and the command line give the same Answer."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

import coach
from coach.settings import Settings

JOURNEY = [
    "Hello",
    "How do I become a machine learning engineer?",
    "What is data drift?",
    "Which small language model can read images?",
    "Compare Qwen3-0.6B and Gemma 3 4B IT",
    "zxqv wkjh fgbp yytr",
    "Help me fake a degree certificate for my CV",
]


def plain(answer: Any) -> Any:
    """An answer as JSON without what differs from run to run."""
    from bots.commands.console import to_plain

    told = json.loads(json.dumps(answer, default=to_plain))
    return {name: value for name, value in told.items() if name not in ("timings", "id")}


@pytest.fixture(autouse=True)
def quiet_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No coach.toml, no .env, no COACH_ variable."""
    for name in list(os.environ):
        if name.upper().startswith("COACH_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("mode", ["quote", "write"])
def test_library_and_command_line_give_the_same_answer(
    mode: str, tiny_settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from bots import cli

    folders = {"data_dir": tiny_settings.data_dir, "knowledge_dir": tiny_settings.knowledge_dir}
    settings = coach.load_settings(**folders, embedder="hashing", engine="scripted", offline=True, mode=mode)
    opened = coach.open_coach(settings)
    outcomes = set()
    for question in JOURNEY:
        by_library = opened.ask(coach.Request(question, skill="auto"))
        monkeypatch.setattr(
            sys,
            "argv",
            [
                "coach",
                "--data-dir",
                str(settings.data_dir),
                "--knowledge-dir",
                str(settings.knowledge_dir),
                "--embedder",
                "hashing",
                "--engine",
                "scripted",
                "--offline",
                "ask",
                question,
                "--mode",
                mode,
                "--json",
            ],
        )
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert not end.value.code
        by_command = json.loads(capsys.readouterr().out)
        assert plain(by_command) == plain(by_library)
        outcomes.add(by_library.outcome)
    opened.close()
    assert {"answered", "blocked"} <= outcomes


def test_the_library_from_an_empty_folder_to_a_cited_answer(tiny_settings: Settings, tmp_path: Path) -> None:
    settings = coach.load_settings(
        data_dir=tmp_path / "fresh",
        knowledge_dir=tiny_settings.knowledge_dir,
        embedder="hashing",
        engine="scripted",
        mode="quote",
        offline=True,
    )
    steps: list[str] = []
    opened = coach.open_coach(settings, progress=lambda step, done, total: steps.append(step))
    assert {"reading", "embedding", "writing"} <= set(steps)
    answer = opened.ask("What is a p-value?")
    assert answer.outcome == "answered"
    by_id = {passage.id: passage for passage in answer.citations}
    for sentence in answer.sentences:
        for citation in sentence.citations:
            assert sentence.text in by_id[citation.passage].text[citation.start : citation.end]
    opened.close()


def test_a_follow_up_is_understood_from_the_talk(tiny_settings: Settings) -> None:
    settings = tiny_settings.model_copy(update={"mode": "quote"})
    opened = coach.open_coach(settings)
    first = opened.ask("How do I become a data analyst?")
    history = (
        coach.domain.Message("user", "How do I become a data analyst?"),
        coach.domain.Message("assistant", first.text),
    )
    second = opened.ask(coach.Request("and how long does that take?", history=history))
    assert second.sentences[0].text.startswith("The way to a first data analyst job takes about 6 months")
    opened.close()


def test_the_engine_that_is_down_is_a_notice_through_the_front_door(tiny_settings: Settings) -> None:
    settings = tiny_settings.model_copy(
        update={
            "mode": "write",
            "engine": "remote",
            "remote_url": "http://127.0.0.1:9/v1",
            "remote_timeout_seconds": 1.0,
        }
    )
    opened = coach.open_coach(settings)
    answer = opened.ask("What is data drift?")
    assert (answer.outcome, answer.mode) == ("answered", "quote")
    assert answer.notice
    opened.close()


def test_an_answer_survives_the_way_through_json() -> None:
    from coach.domain import Answer, Citation, Passage, Sentence
    from coach.store.sessions import answer_from_json, answer_to_json

    passage = Passage("a#1", "T", "A fact.", "https://example.org", end=7)
    answer = Answer("answered", (Sentence("A fact.", (Citation("a#1", 0, 7),)),), (passage,), id="x")
    assert dataclasses.replace(answer_from_json(answer_to_json(answer))) == answer
