"""The right skill, or a question; never a guess."""

from __future__ import annotations

import json
from datetime import date
from itertools import chain
from pathlib import Path

import pytest

from coach.catalogue.tables import Catalogue
from coach.domain import Embedder
from coach.skills import register
from coach.skills.router import Router, load_phrases, normalise, parse_slots

FOLDER = Path(__file__).parents[2] / "evals/cases"
CASES, FRESH = (
    [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text("utf-8").splitlines()] for name in ("routing", "routing_fresh")
)
TODAY = date(2026, 11, 24)


def test_held_out_phrases_are_no_examples() -> None:
    examples = [*(e for spec in register() for e in spec.examples), *chain.from_iterable(load_phrases().values())]
    known = {normalise(text).lower() for text in examples}
    assert (len(CASES), len(FRESH)) == (300, 448)
    assert not [c["text"] for c in (*CASES, *FRESH) if c["held_out"] and normalise(c["text"]).lower() in known]


def test_every_skill_has_examples_a_prompt_and_slots() -> None:
    prompts = Path(__file__).parents[2] / "coach/skills/prompts"
    for spec in register():
        assert len(set(spec.examples)) >= 25
        assert (prompts / f"{spec.name}.md").is_file()
        assert all(slot.question for slot in spec.slots)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("make me a 6-month plan for 8 hours a week", {"hours_per_week": "8.0", "deadline": "2027-05-24"}),
        ("compare Qwen3-0.6B and Gemma 270M", {"models": "qwen3-0.6b,gemma-3-270m-it"}),
        ("grill me on transformers", {"topic": "transformers"}),
        ("plan my way to senior MLOps engineer with 5 hours a week", {"role": "mlops-engineer", "level": "senior", "hours_per_week": "5.0"}),
        ("which model for a 4 GB laptop", {"memory_gb": "4.0"}),
        ("ask me three questions on SQL", {"questions": "3", "topic": "sql"}),
        ("an hour a day until 2027-03-01", {"hours_per_week": "7.0", "deadline": "2027-03-01"}),
    ],
)
def test_slots_are_read_from_the_sentence(catalogue: Catalogue, text: str, expected: dict[str, str]) -> None:
    values = parse_slots(text, catalogue, TODAY)
    assert {name: values.text(name) for name in expected} == expected


@pytest.mark.models
@pytest.mark.parametrize("cases", [CASES, FRESH], ids=["first", "fresh"])
def test_held_out_accuracy_and_wrong_skills(catalogue: Catalogue, minilm: Embedder, cases: list[dict[str, str]]) -> None:
    cases = [case for case in cases if case["held_out"]]
    routes = Router(minilm, register(), catalogue=catalogue).route_batch([case["text"] for case in cases], today=TODAY)
    right = sum(not r.unsure and r.skill == c["skill"] for r, c in zip(routes, cases, strict=True))
    wrong = sum(not r.unsure and r.skill not in {c["skill"], "ask"} for r, c in zip(routes, cases, strict=True))
    assert right / len(cases) >= 0.93
    assert wrong / len(cases) <= 0.02
