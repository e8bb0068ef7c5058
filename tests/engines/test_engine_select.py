"""From settings to an engine, and the reasons that `coach doctor` prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from coach.domain import GenerationOptions, Message
from coach.engines.base import collect
from coach.engines.select import Abilities, explain_choice, find_abilities, find_card, open_engine, plan_engine
from coach.errors import ConfigError, EngineUnavailable
from coach.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A function from settings to Settings, with nothing at hand."""
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(tmp_path / "hub"), raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return lambda **given: Settings(data_dir=tmp_path / "data", **given)


def test_safetensors_run_on_huggingface(settings, catalogue, tiny_models):
    given = settings(model=str(tiny_models["qwen3-0.6b"]), dtype="float32")
    engine = open_engine(given, catalogue)
    assert (engine.name, engine.model) == ("huggingface", "qwen3-0.6b")
    asked = (Message("user", "How do I become a data engineer?"),)
    assert collect(engine.stream(asked, GenerationOptions(60))).text.startswith("Learn SQL")
    engine.close()
    assert any("safetensors" in line for line in explain_choice(given, catalogue))


@pytest.mark.parametrize("name", ["qwen3-0.6b", "Qwen/Qwen3-0.6B", "qwen 3 0.6b"])
def test_a_model_is_named_by_id_repository_or_alias(settings, catalogue, name):
    assert find_card(settings(model=name), catalogue).id == "qwen3-0.6b"
    with pytest.raises(EngineUnavailable, match=r"not at hand. Run `coach models pull qwen3-0.6b`"):
        open_engine(settings(model=name), catalogue)


def test_auto_falls_back_to_the_embedded_model_on_llamacpp(settings, catalogue):
    plan = plan_engine(settings(), catalogue)
    assert (plan.kind, plan.model, plan.weights) == ("llamacpp", "smollm2-135m-instruct", None)
    with pytest.raises(EngineUnavailable, match="offline"):
        open_engine(settings(offline=True), catalogue)


def test_a_file_is_recognised_by_its_name(settings, catalogue, tmp_path):
    path = tmp_path / "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
    path.write_bytes(b"GGUF")
    plan = plan_engine(settings(model=str(path)), catalogue)
    assert (plan.kind, plan.card.id) == ("llamacpp", "qwen2.5-coder-0.5b-instruct")
    other = tmp_path / "mine.gguf"
    other.write_bytes(b"GGUF")
    assert plan_engine(settings(model=str(other)), catalogue).card is None


def test_a_url_means_remote(settings, catalogue):
    given = settings(remote_url="http://127.0.0.1:1/v1", remote_model="Qwen/Qwen3-0.6B")
    engine = open_engine(given, catalogue)
    assert (engine.name, engine.model) == ("remote", "qwen3-0.6b")
    with pytest.raises(ConfigError, match="remote_url"):
        open_engine(settings(engine="remote"), catalogue)


def test_scripted_needs_nothing(settings, catalogue):
    assert open_engine(settings(engine="scripted"), catalogue).name == "scripted"


def test_contradictions_and_unknown_names_say_what_to_do(settings, catalogue, tiny_models):
    with pytest.raises(ConfigError, match="engine=auto"):
        open_engine(settings(model=str(tiny_models["qwen3-0.6b"]), engine="llamacpp"), catalogue)
    with pytest.raises(EngineUnavailable, match="coach models list"):
        open_engine(settings(model="gpt-17"), catalogue)
    with pytest.raises(EngineUnavailable, match="cannot answer"):
        open_engine(settings(model="all-minilm-l6-v2"), catalogue)
    assert find_card(settings(model="gpt-17"), catalogue) is None
    assert "gpt-17" in explain_choice(settings(model="gpt-17"), catalogue)[0]


@pytest.mark.parametrize(("model", "images", "thinking"), [
    ("gemma-3-270m-it", False, False), ("qwen3-0.6b", False, True), ("smollm3-3b", False, True),
    ("qwen3-4b-instruct-2507", False, False), ("gemma-3-4b-it", True, False)])
def test_what_a_model_can_do_is_known_before_it_is_loaded(settings, catalogue, tiny_models, open_tiny, model, images, thinking):
    expected = find_abilities(settings(model=str(tiny_models[model])), catalogue)
    assert expected == Abilities(images, thinking)
    assert open_tiny(model).accepts_images == expected.images
    assert find_abilities(settings(model="no-such-model"), catalogue) == Abilities()
