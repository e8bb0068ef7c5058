"""From the browser through the whole pipeline to an engine and back: a picture that is answered about, a thought kept apart."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from coach.app import open_coach
from coach.domain import Engine, Message
from coach.engines.huggingface import HuggingFaceEngine
from coach.engines.scripted import ScriptedEngine, quote_evidence
from coach.engines.weights import Weights
from coach.settings import Settings
from tests.tiny_models import REPLY, build

from .conftest import PIXEL, Visit, open_page, run_server

QUESTION = "How do I become a machine learning engineer?"


@pytest.fixture
def one_thread() -> Iterator[None]:
    """For tensors as small as a stand-in's, more threads mostly wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
def test_the_stand_in_of_gemma_reads_an_attached_picture(browser: Any, settings: Settings, tmp_path: Path) -> None:
    folder = build("gemma-3-4b-it", tmp_path)
    engine = HuggingFaceEngine(Weights("safetensors", folder), device="cpu", dtype="float32", context_tokens=4096)
    with _visit(browser, settings, engine) as visit:
        visit.page.wait_for_selector("#picture .drop")
        picture = {"name": "chart.png", "mimeType": "image/png", "buffer": PIXEL}
        visit.page.set_input_files("#picture input[type=file]", picture)
        visit.page.wait_for_selector("#picture .has-file img")
        visit.ask(QUESTION)
        visit.wait_for_answers(1)
        assert visit.page.inner_text("#thread .about-images p") == REPLY
        assert REPLY not in visit.page.inner_text("#thread .answer-body")  # no document says it


def test_a_thought_is_folded_apart_from_the_answer_that_follows_it(browser: Any, settings: Settings) -> None:
    thought = "A beginner should build a movie recommender."  # true, and still not said

    def think_first(messages: Sequence[Message]) -> str:
        return f"<think>\n{thought}\n</think>\n\n{quote_evidence(messages)}"

    with _visit(browser, settings, ScriptedEngine(think_first, model="qwen3-0.6b")) as visit:
        visit.page.check("#think input")
        visit.ask(QUESTION)
        visit.wait_for_answers(1)
        said = visit.page.inner_text("#thread .answer-body")
        assert "learn programming, statistics and deployment" in said
        assert thought not in said
        assert not visit.page.is_visible("#thread details.thinking p")
        visit.page.click("#thread details.thinking summary")
        assert visit.page.inner_text("#thread details.thinking p") == thought


@contextlib.contextmanager
def _visit(browser: Any, settings: Settings, engine: Engine) -> Iterator[Visit]:
    """A page whose answers this engine writes; afterwards nothing may have gone wrong on it."""
    coach = open_coach(settings.model_copy(update={"mode": "write"}))
    coach._engine = engine
    with run_server(coach, settings) as server:
        visit = open_page(browser, server.url)
        yield visit
        visit.page.context.close()
        server.app.state.service.sessions.delete_user("local")
    coach.close()
    assert visit.complaints == visit.foreign == visit.dialogs == []
