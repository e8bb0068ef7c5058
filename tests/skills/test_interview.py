"""No point without the words that earned it; what cannot be graded is not graded."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from coach.catalogue.tables import Catalogue
from coach.domain import Embedder, Passage, Request
from coach.skills import interview
from coach.skills.base import SkillContext, SlotValues

CASES = [json.loads(line) for line in (Path(__file__).parents[2] / "evals/cases/interview_answers.jsonl").read_text().splitlines()]


def test_every_point_quotes_the_answer(catalogue: Catalogue) -> None:
    for case in CASES:
        graded = interview.grade(catalogue.questions[case["question"]], case["answer"])
        for item in graded.awarded:
            assert item.quote
            assert case["answer"][item.start:item.end] == item.quote
        assert all(gap.guide for gap in graded.missed)


@pytest.mark.parametrize(("answer", "refusal"), [("", "empty"), ("I don't know", "dont_know"), ("no idea, sorry", "dont_know"),
                                                 ("My cat likes fish and warm weather", "off_topic")])
def test_what_cannot_be_graded_is_not(catalogue: Catalogue, answer: str, refusal: str) -> None:
    graded = interview.grade(catalogue.questions["sql-join-types"], answer)
    assert graded.refusal == refusal
    assert graded.score is None
    assert not graded.awarded


def test_a_wrong_statement_is_named_and_earns_nothing(catalogue: Catalogue) -> None:
    graded = interview.grade(catalogue.questions["docker-why"],
                             "A container contains a full operating system with its own kernel.")
    assert graded.wrong
    assert not graded.awarded


def test_keywords_alone_and_denied_points_earn_next_to_nothing(catalogue: Catalogue) -> None:
    questions = list(catalogue.questions.values())[::8]
    listed, denied, told = [], [], []
    for question in questions:
        points = [point.point for point in question.rubric]
        listed.append(interview.grade(question, ", ".join(k for p in question.rubric for k in p.keywords)).score or 0)
        denied.append(interview.grade(question, " ".join(f"It is not true that {p[0].lower()}{p[1:]}" for p in points)).score or 0)
        told.append(interview.grade(question, " ".join(points)).score or 0)
    assert sum(told) / len(told) >= 0.95
    assert sum(listed) / len(listed) <= 0.2
    assert sum(denied) / len(denied) <= 0.2


def test_an_interview_runs_to_its_summary(context: SkillContext) -> None:
    first = interview.run(Request("x"), SlotValues.of(topic="SQL", questions=2), context)
    assert first.state
    second = interview.run(Request("I don't know"), SlotValues(), dataclasses.replace(context, state=first.state))
    assert second.practice
    again = dataclasses.replace(context, state=second.state or "", practice=second.practice)
    last = interview.run(Request("An inner join returns only rows that match in both tables."), SlotValues(), again)
    assert last.state == ""
    assert isinstance(last.result, interview.Interview)
    assert last.result.finished
    assert last.result.repeat
    assert "over" in last.text


def test_the_rubric_is_hidden_until_the_question_is_answered(context: SkillContext) -> None:
    first = interview.run(Request("x"), SlotValues.of(topic="SQL", questions=2), context)
    asked = context.catalogue.questions[interview._load(first.state or "", context.catalogue).questions[0]]
    shown = " ".join([sentence.text for sentence in first.sentences] + [passage.text for passage in first.passages])
    assert asked.question in shown
    assert not any(point.point in shown for point in asked.rubric)
    second = interview.run(Request("I don't know"), SlotValues(), dataclasses.replace(context, state=first.state))
    assert all(point.point in " ".join(sentence.text for sentence in second.sentences) for point in asked.rubric)


def test_a_missing_point_cites_the_section_that_explains_it(context: SkillContext) -> None:
    asked: list[str] = []

    def guide(name: str) -> Passage:
        asked.append(name)
        return Passage(name if "#" in name else f"{name}#lead", "A guide", "What it says.", "test")

    context = dataclasses.replace(context, guide=guide)
    values = SlotValues.of(topic="linear-algebra", questions=1)
    opened = interview.run(Request("go"), values, context)
    graded = interview.run(Request("A matrix has rows and columns."), values, dataclasses.replace(context, state=opened.state))
    sections = {name for name in asked if "#" in name}
    assert sections
    assert sections <= {passage.id for passage in graded.passages}


def test_progress_goes_by_topic_and_day_and_names_what_to_repeat(catalogue: Catalogue) -> None:
    sql = [question.id for question in catalogue.questions.values() if question.topic == "sql"][:2]
    other = next(question for question in catalogue.questions.values() if question.topic != "sql")
    first, last = datetime(2026, 11, 1, 12, tzinfo=UTC), datetime(2026, 11, 9, 12, tzinfo=UTC)
    weak = interview.review(None, sql[0], 0.2, first)
    better = interview.review(weak, sql[0], 0.9, last)
    practice = [weak, interview.review(None, sql[1], 0.6, first), interview.review(None, other.id, 0.5, last), better,
                dataclasses.replace(better, question="gone-from-the-catalogue")]
    found = {item.topic: item for item in interview.track_progress(catalogue, practice)}
    assert list(found) == ["sql", other.topic]  # what is due first, not what went worst
    assert found["sql"].days == (interview.DayScore("2026-11-01", 0.4, 2), interview.DayScore("2026-11-09", 0.9, 1))
    assert found["sql"].answers == 3
    due = {item.question: item.due for item in interview.due_questions(practice)}
    assert due[sql[0]] > "2026-11-09"
    assert found["sql"].repeat == interview.DueQuestion(sql[1], due[sql[1]])
    assert interview.track_progress(catalogue, []) == ()


def test_least_practised_questions_come_first(catalogue: Catalogue) -> None:
    first = interview.pick_questions(catalogue, topics=["sql"], count=3, seed=1)
    practice = [interview.PracticeRecord(question.id, 1.0, "2026-11-24T00:00:00+00:00") for question in first]
    second = interview.pick_questions(catalogue, topics=["sql"], count=3, seed=1, practice=practice)
    assert not {q.id for q in first} & {q.id for q in second}


@pytest.mark.models
@pytest.mark.parametrize(("name", "kappa"), [("interview_answers", 0.85), ("interview_answers_fresh", 0.70)])
def test_agreement_with_the_reference_grades_does_not_fall(catalogue: Catalogue, minilm: Embedder, name: str, kappa: float) -> None:
    from evals.grading import grade_cases, measure_agreement

    found = measure_agreement(grade_cases(name, catalogue, minilm))
    assert found.answers >= 80
    assert found.kappa >= kappa
