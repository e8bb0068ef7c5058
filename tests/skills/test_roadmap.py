"""A plan keeps prerequisites, hours and what was done, whatever is asked."""

from __future__ import annotations

import dataclasses
import json
import re
from datetime import date, timedelta
from pathlib import Path

import icalendar
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coach.catalogue.tables import LEVELS, Catalogue
from coach.domain import Answer, Passage, Request, SkillLevel
from coach.errors import RequestError
from coach.skills import roadmap
from coach.skills.base import DoneStep, SkillContext, SlotValues

CATALOGUE = Catalogue(Path(__file__).parents[2] / "knowledge" / "catalogue")
TODAY = date(2026, 11, 24)
skills = st.sampled_from(sorted(CATALOGUE.skills))
held = st.lists(st.builds(SkillLevel, skills, st.sampled_from(LEVELS)), max_size=12)
requests = st.tuples(st.sampled_from(sorted(CATALOGUE.roles)), st.sampled_from(["junior", "mid", "senior", "staff"]),
                     st.floats(0.5, 60), st.one_of(st.none(), st.integers(7, 700)))


def ancestors(name: str) -> set[str]:
    found: set[str] = set()
    stack = [name]
    while stack:
        for before in CATALOGUE.skills[stack.pop()].prerequisites:
            if before not in found:
                found.add(before)
                stack.append(before)
    return found


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(have=held, plans=st.lists(requests, min_size=4, max_size=4), picks=st.lists(st.integers(0, 30), min_size=4, max_size=4))
def test_random_re_plans_keep_order_hours_and_progress(have, plans, picks) -> None:  # type: ignore[no-untyped-def]
    done: tuple[DoneStep, ...] = ()
    day = TODAY
    for (role, level, hours, days), pick in zip(plans, picks, strict=True):
        deadline = None if days is None else day + timedelta(days=days)
        made = roadmap.plan(CATALOGUE, role, level, have, hours_per_week=hours, start=day, deadline=deadline, done=done)
        place = {step.skill: number for number, step in enumerate(made.steps)}
        for step in made.steps:
            assert all(place[before] < place[step.skill] for before in ancestors(step.skill) if before in place)
            assert not set(ancestors(step.skill)) & {item.skill for item in made.left_out}
        weeks: dict[int, int] = {}
        for item in made.allocations:
            weeks[item.week] = weeks.get(item.week, 0) + item.minutes
        assert all(minutes <= hours * 60 for minutes in weeks.values())
        assert {(item.skill, item.level) for item in done} <= {(d.skill, lv) for d in made.done for lv in LEVELS
                                                                if LEVELS.index(lv) <= LEVELS.index(d.level)}
        if deadline:
            assert not made.steps or made.ends_on <= deadline
        reached = {item.skill: item.level for item in made.done}
        assert all(LEVELS.index(reached.get(s.skill, "none")) < LEVELS.index(s.target) for s in made.steps)
        if made.steps:
            step = made.steps[pick % len(made.steps)]
            done = (*made.done, DoneStep(step.skill, step.target, day.isoformat()))
        day += timedelta(days=30)


def test_what_does_not_fit_is_dropped_lightest_first(catalogue: Catalogue) -> None:
    made = roadmap.plan(catalogue, "data-scientist", "junior", (SkillLevel("python"),), hours_per_week=8, start=TODAY,
                        deadline=TODAY + timedelta(days=180))
    assert made.left_out
    assert made.left_out[0].weight <= min(step.weight for step in made.steps if step.weight)
    assert made.needed_hours_per_week and made.needed_hours_per_week > 8


def test_a_done_step_leaves_the_plan_and_stays_in_the_record(context: SkillContext) -> None:
    values = SlotValues.of(role="data-analyst", hours_per_week=5, done="SQL")
    result = roadmap.run(Request("x"), values, context)
    assert isinstance(result.result, roadmap.Roadmap)
    assert [item.skill for item in result.done] == ["sql"]
    assert "sql" not in {step.skill for step in result.result.steps}
    assert "sql" in {item.skill for item in result.result.done}


def test_missing_slots_are_asked_for_one_at_a_time(context: SkillContext) -> None:
    assert roadmap.run(Request("x"), SlotValues(), context).follow_up == roadmap.SPEC.slot("role").question
    assert roadmap.run(Request("x"), SlotValues.of(role="mlops-engineer"), context).follow_up == (
        roadmap.SPEC.slot("hours_per_week").question)


def test_every_citation_points_at_words_of_a_passage(context: SkillContext) -> None:
    result = roadmap.run(Request("x"), SlotValues.of(role="data-analyst", hours_per_week=5), context)
    texts = {passage.id: passage.text for passage in result.passages}
    for sentence in result.sentences:
        assert sentence.verdict == "computed"
        for citation in sentence.citations:
            assert texts[citation.passage][citation.start:citation.end]


def test_a_step_shows_one_marker_and_keeps_all_its_evidence(context: SkillContext) -> None:
    guide = Passage("skills/sql#lead", "SQL", "SQL comes first.", "guides", end=16)
    with_guides = dataclasses.replace(context, guide=lambda document: dataclasses.replace(guide, id=f"{document}#lead"))
    result = roadmap.run(Request("x"), SlotValues.of(role="data-analyst", hours_per_week=5), with_guides)
    answer = Answer("answered", result.sentences, result.passages)
    steps = [s for s in result.sentences if re.match(r"\d+\. ", s.text)]
    assert all([c.marked for c in s.citations] == [True, False] for s in steps)
    lines = [line for line in answer.text.splitlines() if re.match(r"\d+\. ", line)]
    assert len(lines) == len(steps) > 10
    assert all(len(re.findall(r"\[\d+\]", line)) == 1 for line in lines)
    numbers = list(dict.fromkeys(int(number) for number in re.findall(r"\[(\d+)\]", answer.text)))
    assert numbers == list(range(1, len(numbers) + 1))
    last = answer.text.split("\n\n")[-1]
    assert last.startswith("Hours count from") and answer.text.count("Hours count from") == 1


def test_exports_hold_every_step(catalogue: Catalogue) -> None:
    made = roadmap.plan(catalogue, "mlops-engineer", "junior", (), hours_per_week=10, start=TODAY)
    calendar = icalendar.Calendar.from_ical(roadmap.to_ics(made, catalogue))
    assert len(calendar.walk("VEVENT")) == len(made.steps)
    assert len(json.loads(roadmap.to_json(made))["steps"]) == len(made.steps)
    markdown = roadmap.to_markdown(made, catalogue)
    assert all(step.name in markdown for step in made.steps)


@pytest.mark.parametrize("hours", [0, -3, 0.1, 200])
def test_impossible_hours_are_refused(catalogue: Catalogue, hours: float) -> None:
    with pytest.raises(RequestError):
        roadmap.plan(catalogue, "data-analyst", "junior", (), hours_per_week=hours, start=TODAY)
