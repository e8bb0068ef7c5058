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


def test_a_session_keeps_what_was_said_for_the_next_plan(catalogue: Catalogue) -> None:
    answers = {"plan": SlotValues.of(role="data-analyst", hours_per_week=5, skills="sql:working"), "again": SlotValues()}
    capabilities = Capabilities(
        catalogue=catalogue, embedder=HashingEmbedder(), skills=register(), read_file=lambda content, name: "",
        route=lambda text: Routed("roadmap", answers[text]), runnable_models=lambda: (),
    )

    def plan(text: str, session: str) -> str:
        return capabilities.run(Request(text, skill="roadmap", session=session), lambda query, count: ()).text

    first = plan("plan", "one")
    assert "data analyst" in first
    assert plan("again", "one").splitlines()[0] == first.splitlines()[0]
    assert "data analyst" not in plan("again", "two")


def test_what_was_said_is_forgotten_with_the_person(catalogue: Catalogue) -> None:
    answers = {"plan": SlotValues.of(role="data-analyst", hours_per_week=5), "again": SlotValues()}
    capabilities = Capabilities(
        catalogue=catalogue, embedder=HashingEmbedder(), skills=register(), read_file=lambda content, name: "",
        route=lambda text: Routed("roadmap", answers[text]), runnable_models=lambda: (),
    )
    for text, expected in (("plan", True), ("again", True)):
        request = Request(text, skill="roadmap", session="s", user="u")
        assert ("data analyst" in capabilities.run(request, lambda query, count: ()).text) == expected
    capabilities.forget("u")
    request = Request("again", skill="roadmap", session="s", user="u")
    assert "data analyst" not in capabilities.run(request, lambda query, count: ()).text
