"""Models that a request names: at hand or refused, one loaded at a time, and never a path."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from coach.domain import GenerationOptions, Message, Request
from coach.engines.base import collect
from coach.engines.pool import NamedModels
from coach.engines.scripted import ScriptedEngine
from coach.errors import EngineUnavailable
from coach.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, tiny_models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Two stand-ins at hand, in the folder where `coach models pull` puts them."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    models = tmp_path / "data" / "models"
    models.mkdir(parents=True)
    for name in ("qwen3-0.6b", "gemma-3-270m-it"):
        (models / name).symlink_to(tiny_models[name])
    return Settings(data_dir=tmp_path / "data", dtype="float32", context_tokens=512, model="qwen3-0.6b")


def test_only_models_at_hand_are_offered(settings, catalogue):
    models = NamedModels(settings, catalogue)
    assert set(models.at_hand()) == {"qwen3-0.6b", "gemma-3-270m-it"}
    assert models.refuse("gemma-3-270m-it") == ""
    assert "not at hand" in models.refuse("smollm3-3b")


def test_a_path_is_no_name(settings, catalogue, tiny_models):
    models = NamedModels(settings, catalogue)
    assert "not a model of the catalogue" in models.refuse(str(tiny_models["qwen3-0.6b"]))


@pytest.mark.parametrize("fixed", [{"engine": "scripted"}, {"remote_url": "http://127.0.0.1:1/v1"}])
def test_where_the_engine_is_fixed_no_other_model_is_offered(settings, catalogue, fixed):
    models = NamedModels(settings.model_copy(update=fixed), catalogue)
    assert models.at_hand() == ()
    assert "only" in models.refuse("qwen3-0.6b")


def test_the_next_model_takes_the_place_of_the_last(settings, catalogue):
    models = NamedModels(settings, catalogue)
    first = models.engine("qwen3-0.6b")
    assert models.engine("qwen3-0.6b") is first
    closed = []
    first.close = lambda: closed.append(first.model)  # type: ignore[method-assign]  # to see that it happens
    second = models.engine("gemma-3-270m-it")
    assert (closed, second.model) == (["qwen3-0.6b"], "gemma-3-270m-it")
    asked = (Message("user", "How do I become a data engineer?"),)
    assert collect(second.stream(asked, GenerationOptions(20))).text
    models.close()


def test_a_model_that_does_not_fit_the_memory_is_told(settings, catalogue, monkeypatch):
    monkeypatch.setattr("coach.engines.pool.available_gib", lambda: 0.1)
    with pytest.raises(EngineUnavailable, match=r"GiB of memory and 0\.1 GiB are free"):
        NamedModels(settings, catalogue).engine("gemma-3-270m-it")


def test_a_request_is_answered_by_the_model_it_names(settings, catalogue, make_coach, monkeypatch):
    coach = make_coach("Scripted words that nothing supports.")
    models = NamedModels(settings.model_copy(update={"mode": "write"}), catalogue)
    named = ScriptedEngine("Data drift is a change of the input distribution after deployment.")
    opened = []
    monkeypatch.setattr(models, "engine", lambda name: opened.append(name) or named)
    coach._parts = dataclasses.replace(coach._parts, models=models)
    answer = coach.ask(Request("What is data drift?", model="gemma-3-270m-it"))
    assert (opened, len(named.calls), answer.mode, answer.notice) == (["gemma-3-270m-it"], 1, "write", "")
    refused = coach.ask(Request("What is data drift?", model="smollm3-3b"))
    assert refused.notice.startswith("smollm3-3b is not at hand here")
    assert coach.ask(Request("What is data drift?")).notice == ""
    assert len(named.calls) == 1
