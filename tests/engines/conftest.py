"""The five stand-ins, taught once per session, and the embedded model where it can be had."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coach.catalogue.tables import Catalogue
from coach.settings import Settings

sys.path.insert(0, str(Path(__file__).parents[1]))  # tests/, for tiny_models

CATALOGUE = Catalogue(Path(__file__).parents[2] / "knowledge" / "catalogue")


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """The real catalogue: the stand-ins are found by the ids of the models they stand for."""
    return CATALOGUE


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Catalogue id -> checkpoint folder."""
    import torch
    import transformers
    from tiny_models import BUILDERS, build

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    transformers.logging.disable_progress_bar()
    root = tmp_path_factory.mktemp("tiny")
    folders = {model: build(model, root) for model in BUILDERS}
    torch.set_num_threads(threads)
    return folders


@pytest.fixture(scope="session")
def open_tiny(tiny_models: dict[str, Path], catalogue: Catalogue) -> Iterator[Callable[[str], object]]:
    """A function from catalogue id to the engine on its stand-in, in float32; loaded once."""
    from coach.engines.huggingface import HuggingFaceEngine
    from coach.engines.weights import Weights

    opened: dict[str, HuggingFaceEngine] = {}

    def engine(model: str) -> HuggingFaceEngine:
        if model not in opened:
            opened[model] = HuggingFaceEngine(Weights("safetensors", tiny_models[model]), catalogue.models[model],
                                              device="cpu", dtype="float32", context_tokens=512)
        return opened[model]

    yield engine
    for one in opened.values():
        one.close()


@pytest.fixture(scope="session")
def embedded_gguf() -> Path:
    """SmolLM2-135M-Instruct, pulled once into the usual data folder."""
    from coach.engines.weights import ensure_embedded

    return ensure_embedded("smollm2-135m-instruct", Settings().data_dir)
