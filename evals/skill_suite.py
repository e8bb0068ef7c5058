"""The suite of the skills: routing, grades of interview answers, plans, gaps and model advice that keep their promises."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import date
from typing import Any

from coach.catalogue.tables import Catalogue
from coach.domain import Answer, Request
from coach.pipeline import Coach
from coach.skills import interview
from coach.skills.model_advisor import Advice
from coach.skills.roadmap import Roadmap
from coach.skills.skill_gap import Gap
from evals.cases import FOLDER
from evals.coach_under_test import route
from evals.grading import share_of_points
from evals.retrieval import read_jsonl
from evals.trial import SEED, Observation, Suite, Trial

HELD = "python:working,sql:basic"
MEMORY_GB = (1, 2, 4, 6, 8, 12, 16, 24)


def skill_trials(coach: Coach) -> list[Trial]:
    """Phrases to route, interview answers to grade, a plan and a gap for every level of every role, model advice."""
    trials = [
        Trial(f"route-{n:03d}", row["text"], "routing", payload=row["skill"])
        for n, row in enumerate(read_jsonl(FOLDER / "routing.jsonl"))
        if not row["held_out"]
    ]
    trials += [
        Trial(f"grade-{row['id']}", row["answer"], "interview", payload=row)
        for row in read_jsonl(FOLDER / "interview_answers.jsonl")
    ]
    for role in coach.catalogue.roles.values():
        for level in (at.level for at in role.levels):
            about = (("role", role.id), ("level", level), ("skills", HELD))
            name = f"{level} {role.name.lower()}"
            plan = Request(f"Plan my way to {name}", skill="roadmap", options=(*about, ("hours_per_week", "8")))
            gap = Request(f"What do I lack as {name}?", skill="skill_gap", options=about)
            trials.append(Trial(f"plan-{role.id}-{level}", plan.text, "roadmap", payload=plan))
            trials.append(Trial(f"gap-{role.id}-{level}", gap.text, "skill_gap", payload=gap))
    for memory in MEMORY_GB:
        text = f"Which model for {memory} GB, commercial use?"
        trials.append(Trial(f"advice-{memory}", text, "model_advisor", payload=Request(text, skill="model_advisor")))
    random.Random(SEED).shuffle(trials)  # so that any limit keeps every group
    return trials


def run_skill(coach: Coach, trial: Trial) -> Observation:
    """Routed right; graded near the reference; every promise of a plan, gap or advice kept."""
    if trial.group == "routing":
        found = route(coach, trial.question)
        wrong = found not in (trial.payload, "ask", "unsure")
        return Observation(
            {"routed": float(found == trial.payload), "right_or_asks": float(not wrong)},
            notes=(f"{found}, wanted {trial.payload}",),
        )
    if trial.group == "interview":
        return _run_grade(coach, trial.payload)
    assert isinstance(trial.payload, Request)
    answer = coach.ask(trial.payload)
    broken = [*_broken_citations(answer), *CHECKS[trial.group](answer.result, coach.catalogue)]
    return Observation(
        {"kept": float(not broken)}, answer.text, tuple(p.id for p in answer.citations), tuple(broken)
    )


def _run_grade(coach: Coach, row: Any) -> Observation:
    """How near the grade is to the reference, as 1 minus the distance; what is awarded must be quoted."""
    question = coach.catalogue.questions[row["question"]]
    reference = share_of_points(question, row["points"])
    graded = interview.grade(question, row["answer"], coach.embedder)
    quoted = all(row["answer"][item.start : item.end] == item.quote for item in graded.awarded)
    score = graded.score or 0.0
    return Observation(
        {"grade_agreement": 1.0 - abs(score - reference), "kept": float(quoted)},
        row["answer"],
        notes=(f"graded {score:.2f}, reference {reference:.2f} ({row['quality']})",),
    )


def _broken_citations(answer: Answer) -> list[str]:
    texts = {passage.id: passage.text for passage in answer.citations}
    empty = [
        sentence.text
        for sentence in answer.sentences
        for c in sentence.citations
        if not texts.get(c.passage, "")[c.start : c.end].strip()
    ]
    return [f"cites nothing: {text}" for text in empty] + ([] if answer.sentences else ["says nothing"])


def _broken_plan(plan: object, catalogue: Catalogue) -> list[str]:
    """Prerequisites come first, no week holds more than the hours, no step lies in the past."""
    if not isinstance(plan, Roadmap):
        return [f"no plan but {type(plan).__name__}"]
    place = {step.skill: number for number, step in enumerate(plan.steps)}
    late = [
        f"{before} after {step.skill}"
        for step in plan.steps
        for before in catalogue.skills[step.skill].prerequisites
        if place.get(before, -1) > place[step.skill]
    ]
    weeks: Counter[int] = Counter()
    for item in plan.allocations:
        weeks[item.week] += item.minutes
    full = [f"week {week}: {minutes} minutes" for week, minutes in weeks.items() if minutes > plan.hours_per_week * 60]
    return late + full + ([f"starts on {plan.start}"] if plan.start < date.today() else [])


def _broken_gap(gap: object, catalogue: Catalogue) -> list[str]:
    """Every requirement of the level has its row, readiness is a share, and no quote stands without its text."""
    if not isinstance(gap, Gap):
        return [f"no gap but {type(gap).__name__}"]
    wanted = {need.skill for need in catalogue.roles[gap.role].at(gap.level).skills}
    missing = [f"no row for {skill}" for skill in sorted(wanted - {row.skill for row in gap.rows})]
    return missing + ([] if 0 <= gap.readiness <= 1 else [f"readiness {gap.readiness}"])


def _broken_advice(advice: object, catalogue: Catalogue) -> list[str]:
    """What is recommended fits and may be used; what is not has a reason; no model is forgotten."""
    if not isinstance(advice, Advice):
        return [f"no advice but {type(advice).__name__}"]
    memory = advice.need.memory_gb or 0.0
    broken = [f"{item.name} needs {item.total_gib} GiB" for item in advice.recommended if item.total_gib > memory]
    broken += [
        f"{item.name} may not be used commercially"
        for item in advice.recommended
        if catalogue.models[item.id].licence.commercial == "no"
    ]
    return broken + [f"no reason against {item.name}" for item in advice.excluded if not item.reasons]


CHECKS: dict[str, Callable[[object, Catalogue], list[str]]] = {
    "roadmap": _broken_plan,
    "skill_gap": _broken_gap,
    "model_advisor": _broken_advice,
}
SKILLS = Suite(
    "skills",
    skill_trials,
    run_skill,
    ("routed", "right_or_asks", "grade_agreement", "kept"),
    "kept",
)
