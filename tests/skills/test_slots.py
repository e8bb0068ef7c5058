"""Slot values are read as people write them; a request is routed once."""

from __future__ import annotations

import pytest

from coach.capabilities import Capabilities, Routed
from coach.catalogue.tables import Catalogue
from coach.domain import Request
from coach.retrieval.embedder import HashingEmbedder
from coach.skills import register
from coach.skills.base import SlotValues
from coach.skills.slots import skills_in


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("programming-basics:basic", {"programming-basics": "basic"}),
        ("programming basics", {"programming-basics": "working"}),
        ("machine-learning-basics: strong, python", {"machine-learning-basics": "strong", "python": "working"}),
        ("basic python, sql (basic)", {"python": "basic", "sql": "basic"}),
    ],
)
def test_skills_with_levels_are_read(catalogue: Catalogue, text: str, expected: dict[str, str]) -> None:
    assert {item.skill: item.level for item in skills_in(text, catalogue)} == expected


def test_a_request_is_routed_once(catalogue: Catalogue) -> None:
    asked: list[str] = []

    def route(text: str) -> Routed:
        asked.append(text)
        return Routed("model_advisor", SlotValues.of(memory_gb=4))

    capabilities = Capabilities(
        catalogue=catalogue, embedder=HashingEmbedder(), skills=register(), route=route,
        read_file=lambda content, name: "", runnable_models=lambda: (),
    )
    request = Request("which model for 4 GB", skill="auto", session="s")
    assert capabilities.route(request) == "model_advisor"
    capabilities.run(Request(request.text, skill="model_advisor", session="s"), lambda query, count: ())
    assert asked == [request.text]
