"""Packed linear layers against torch's own."""

from __future__ import annotations

import pytest
import torch

from coach.domain import GenerationOptions, Message
from coach.engines.base import collect
from coach.engines.huggingface import HuggingFaceEngine
from coach.engines.packed import PackedLinear, can_pack, pack_linear_layers
from coach.engines.weights import Weights

pytestmark = pytest.mark.skipif(not can_pack(), reason="needs bfloat16 in oneDNN")
TAUGHT = (Message("user", "How do I become a data engineer?"),)
REPLY = "Learn SQL and Python, then build a small pipeline."


@pytest.mark.parametrize("shape", [(1, 96), (1, 1, 96), (3, 5, 96), (700, 96)])
@pytest.mark.parametrize("bias", [True, False])
def test_it_equals_a_plain_layer(shape, bias):
    torch.manual_seed(0)
    plain = torch.nn.Linear(96, 64, bias=bias).bfloat16().requires_grad_(False)
    states = torch.randn(shape).bfloat16()
    with torch.inference_mode():
        found = PackedLinear(plain)(states)
        assert found.shape == (*shape[:-1], 64)
        torch.testing.assert_close(found, plain(states))


def test_only_plain_layers_in_bfloat16_are_packed():
    model = torch.nn.ModuleDict({
        "short": torch.nn.Linear(8, 8).bfloat16(), "long": torch.nn.Linear(8, 8),
        "embedding": torch.nn.Embedding(8, 8).bfloat16(),
    }).requires_grad_(False)
    pack_linear_layers(model)
    assert [type(model[name]).__name__ for name in ("short", "long", "embedding")] == ["PackedLinear", "Linear", "Embedding"]


@pytest.mark.parametrize("model", ["gemma-3-270m-it", "qwen3-0.6b", "smollm3-3b", "qwen3-4b-instruct-2507", "gemma-3-4b-it"])
def test_every_architecture_answers_in_bfloat16(tiny_models, catalogue, model):
    engine = HuggingFaceEngine(Weights("safetensors", tiny_models[model]), catalogue.models[model],
                               device="cpu", dtype="bfloat16", context_tokens=512)
    kinds = {type(module).__name__ for module in engine._checkpoint.model.modules()}
    reply = collect(engine.stream(TAUGHT, GenerationOptions(max_tokens=60)))
    looked = (Message("user", "What is this?", images=(_png(),)),)
    seen = collect(engine.stream(looked, GenerationOptions(max_tokens=4))) if engine.accepts_images else None
    engine.close()
    assert "PackedLinear" in kinds
    assert "Linear" not in kinds
    assert reply.text == REPLY
    assert seen is None or seen.finished.usage.completion_tokens


def _png() -> bytes:
    from io import BytesIO

    from PIL import Image

    file = BytesIO()
    Image.new("RGB", (32, 32), "green").save(file, "PNG")
    return file.getvalue()
