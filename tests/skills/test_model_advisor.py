"""Advice follows from arithmetic, licence, languages and modalities."""

from __future__ import annotations

import json

import pytest

from coach.catalogue.tables import GIB, Catalogue
from coach.domain import Request
from coach.errors import RequestError
from coach.skills import base, model_advisor
from coach.skills.base import SkillContext, SlotValues

# Bytes of bfloat16 weights: Gemma 3 4B from its published index (8,600,158,944), the others 2 bytes a parameter of the
# shapes on the hub (shared/models.md).
PUBLISHED_GIB = {"gemma-3-270m-it": 0.50, "qwen3-0.6b": 1.11, "smollm3-3b": 5.73, "qwen3-4b-instruct-2507": 7.49,
                 "gemma-3-4b-it": 8_600_158_944 / GIB}


@pytest.mark.parametrize("name", PUBLISHED_GIB)
def test_computed_weights_equal_the_published_size(catalogue: Catalogue, name: str) -> None:
    memory = model_advisor.memory_of(catalogue.models[name])[0]
    assert memory.weights_gib == pytest.approx(PUBLISHED_GIB[name], rel=0.05)


def test_the_need_of_a_student_is_understood() -> None:
    need = model_advisor.parse_need("Which model for a 4 GB laptop, German, commercial use, images?")
    assert (need.memory_gb, need.languages, need.modalities, need.commercial) == (4, ("de",), ("image",), True)


def test_everything_recommended_fits_and_everything_else_has_a_reason(context: SkillContext) -> None:
    result = model_advisor.run(Request("a model for 4 GB, German, commercial, images"), SlotValues(), context)
    raw = json.loads(base.to_json(result.result))
    assert raw["recommended"][0]["id"] == "gemma-3-4b-it"
    assert all(item["total_gib"] <= 4 for item in raw["recommended"])
    assert all(item["reasons"] for item in raw["excluded"])
    assert len(raw["arithmetic"]) == len(raw["recommended"]) + len(raw["excluded"])


def test_a_licence_that_forbids_commerce_excludes(catalogue: Catalogue) -> None:
    advice = model_advisor.advise(catalogue, model_advisor.Need(commercial=True))
    assert "qwen2.5-3b-instruct" in {item.id for item in advice.excluded}


def test_named_models_are_compared_side_by_side(context: SkillContext) -> None:
    result = model_advisor.run(Request("compare Qwen3-0.6B and Gemma 270M"), SlotValues(), context)
    assert isinstance(result.result, model_advisor.Comparison)
    assert [item.id for item in result.result.models] == ["qwen3-0.6b", "gemma-3-270m-it"]


def test_an_unknown_model_is_refused(catalogue: Catalogue) -> None:
    with pytest.raises(RequestError, match="no model"):
        model_advisor.compare(catalogue, ["gpt-9", "qwen3-0.6b"])


def test_nothing_fits_says_so_and_asks_what_to_give_up(context: SkillContext) -> None:
    result = model_advisor.run(Request("images in 0.5 GB"), SlotValues(), context)
    assert "No model" in result.text
    assert result.follow_up
