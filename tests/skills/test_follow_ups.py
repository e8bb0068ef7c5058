"""In a session, a short text after a plan, gap, review or advice changes it; a question of its own is a question."""

from __future__ import annotations

import dataclasses
from datetime import date

import pytest

from coach.capabilities import Capabilities, Routed
from coach.catalogue.tables import Catalogue
from coach.domain import Answer, Attachment, Request
from coach.retrieval.embedder import HashingEmbedder
from coach.skills import register
from coach.skills.model_advisor import Advice
from coach.skills.roadmap import Roadmap
from coach.skills.router import parse_slots
from coach.skills.skill_gap import Gap
from coach.skills.slots import done_in

CV = """Experience
- Wrote SQL queries for the weekly report, run time down 40%
Skills
SQL, Excel, Python, Tableau
"""
FIRST = {
    "plan me to data analyst, 5 hours a week": "roadmap",
    "what do I lack for data scientist? I know SQL, Excel and Tableau": "skill_gap",
    "check my cv": "resume",
    "plan my way": "roadmap",
    "which model for a 4 GB laptop, in German": "model_advisor",
    "grill me on SQL for data analyst": "interview",
}


class Session:
    """One session; a text that FIRST does not name is a plain question by itself."""

    def __init__(self, catalogue: Catalogue) -> None:
        def route(text: str) -> Routed:
            return Routed(FIRST.get(text, "ask"), parse_slots(text, catalogue, date.today()))

        self.capabilities = Capabilities(
            catalogue=catalogue, embedder=HashingEmbedder(), skills=register(), route=route,
            read_file=lambda content, name: content.decode(), runnable_models=lambda: (),
        )

    def ask(self, text: str, *files: Attachment) -> Answer:
        """What a coach does with the text; a plain question has no sentences here."""
        request = Request(text, skill="auto", session="s", attachments=files)
        skill = self.capabilities.route(request)
        if skill == "ask":
            return Answer("answered")
        return self.capabilities.run(Request(text, skill=skill, session="s", attachments=files), lambda query, count: ())


@pytest.fixture
def session(catalogue: Catalogue) -> Session:
    return Session(catalogue)


PLAN, GAP, REVIEW, _OPEN_PLAN, ADVICE, GRILL = FIRST


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I finished calculus", ("calculus",)),
        ("done with SQL", ("sql",)),
        ("I've just completed the statistics step, update my plan", ("statistics",)),
        ("mark SQL as done in my roadmap", ("sql",)),
        ("Git is done", ("git",)),
        ("I just finished my PhD in statistics, I know Python", ()),
        ("I finished my master's in data engineering", ()),
        ("when is SQL done well?", ()),
        ("which skills do I need to get the job done with Python?", ()),
    ],
)
def test_what_is_finished_is_read_and_a_degree_is_no_step(catalogue: Catalogue, text: str, expected: tuple[str, ...]) -> None:
    assert done_in(text, catalogue) == expected


@pytest.mark.parametrize("finished", ["done with SQL", "mark SQL as done"])  # "with SQL" alone would count as held
def test_a_finished_step_is_marked_and_stays_out_of_the_next_plans(session: Session, finished: str) -> None:
    session.ask(PLAN)
    marked = session.ask(finished)
    assert marked.sentences[0].text.startswith("Marked as done: SQL at working level")
    assert isinstance(marked.result, Roadmap)
    assert "sql" not in {step.skill for step in marked.result.steps}
    again = session.ask("8 hours a week instead")
    assert isinstance(again.result, Roadmap)
    assert "Marked" not in again.sentences[0].text
    assert "sql" not in {step.skill for step in again.result.steps}
    assert again.result.hours_per_week == 8


def test_a_prerequisite_is_done_at_the_basic_level_that_the_plan_asks_for(session: Session) -> None:
    session.ask(PLAN)
    assert session.ask("I finished programming basics").sentences[0].text.startswith("Marked as done: Programming basics at basic level")


def test_the_plan_is_exported_as_a_calendar(session: Session) -> None:
    import icalendar

    plan = session.ask(PLAN).result
    answer = session.ask("export it as a calendar")
    assert isinstance(plan, Roadmap) and isinstance(answer.result, Roadmap)
    assert len(icalendar.Calendar.from_ical(answer.result.calendar).walk("VEVENT")) == len(plan.steps)
    assert "coach roadmap --role data-analyst --level junior --hours-per-week 5 --ics plan.ics" in answer.text
    assert len(answer.text) < 1200
    again = session.ask("8 hours a week instead").result
    assert isinstance(again, Roadmap) and not again.calendar


def test_a_new_level_or_role_goes_to_the_gap_before(session: Session) -> None:
    session.ask(GAP)
    mid = session.ask("mid level").result
    assert isinstance(mid, Gap) and (mid.role, mid.level) == ("data-scientist", "mid")
    other = session.ask("and for MLOps engineer?")
    assert isinstance(other.result, Gap) and other.result.role == "mlops-engineer"
    more = session.ask("I know Docker too").result
    assert isinstance(more, Gap)
    verdicts = {row.skill: row.verdict for row in more.rows}
    assert verdicts["docker"] != "missing"
    assert verdicts["mlops"] == "missing"  # the name of the role is no skill that the person has


def test_a_gap_after_a_file_needs_no_second_file_and_keeps_none(session: Session) -> None:
    FIRST_WITH_FILE = "what do I lack for data scientist? I know SQL, Excel and Tableau"
    session.ask(FIRST_WITH_FILE, Attachment("cv.txt", "text/plain", CV.encode()))
    other = session.ask("and for data analyst?").result
    assert isinstance(other, Gap) and other.role == "data-analyst"
    assert "sql" in {row.skill for row in other.rows if row.verdict == "met"}
    assert "weekly report" not in repr(session.capabilities.__dict__)


def test_the_role_that_answers_the_review_is_looked_for_in_the_resume(session: Session) -> None:
    assert session.ask(REVIEW, Attachment("cv.txt", "text/plain", CV.encode())).sentences[-1].text.endswith("keywords?")
    answer = session.ask("data analyst")
    assert answer.skill == "resume"
    told = next(s.text for s in answer.sentences if s.text.startswith("- In a line that tells"))
    listed = next(s.text for s in answer.sentences if s.text.startswith("- Only named in a list"))
    assert "SQL" in told and "Spreadsheets" in listed and "SQL" not in listed
    assert "weekly report" not in repr(session.capabilities.__dict__)
    assert session.ask("mid level").sentences[0].text.startswith("Of the")


def test_models_compared_before_are_not_the_subject_of_a_follow_up(session: Session) -> None:
    comparing = "compare Qwen3-0.6B and Gemma 270M"
    first = session.capabilities.run(Request(comparing, skill="model_advisor", session="s"), lambda query, count: ())
    assert not isinstance(first.result, Advice)
    assert isinstance(session.ask("with 16 GB?").result, Advice)


def test_many_follow_ups_leave_one_value_a_slot(session: Session) -> None:
    session.ask(PLAN)
    for hours in (5, 6, 7, 8):
        answer = session.ask(f"{hours} hours a week instead")
    assert isinstance(answer.result, Roadmap) and answer.result.hours_per_week == 8
    for kept in (session.capabilities._last["", "s"].values, session.capabilities._stated["", "s"]):
        assert dict(kept.pairs) == {"role": "data-analyst", "hours_per_week": "8.0"}
        assert len(kept.pairs) == 2


def test_more_memory_or_images_refine_the_advice(session: Session) -> None:
    session.ask(ADVICE)
    images = session.ask("and if I need images too?").result
    assert isinstance(images, Advice)
    assert images.need.modalities == ("image",) and images.need.languages == ("de",) and images.need.memory_gb == 4
    larger = session.ask("with 16 GB?").result
    assert isinstance(larger, Advice)
    assert larger.need.memory_gb == 16 and larger.need.modalities == ("image",)


@pytest.mark.parametrize("first", [PLAN, GAP, ADVICE])
@pytest.mark.parametrize(
    "question",
    [
        "what is a feature store?",
        "and what does a data engineer earn?",
        "how much memory does a KV cache take for images?",
        "is SQL hard to learn in 5 hours a week?",
        "thanks, that is a lot of work for a data analyst who has two children and no garden",
        "tell me about mid level data engineers",
    ],
)
def test_a_question_of_its_own_stays_a_question(session: Session, first: str, question: str) -> None:
    session.ask(first)
    assert session.ask(question) == Answer("answered")


def test_after_a_question_in_between_a_role_belongs_to_that_question(session: Session) -> None:
    session.ask(PLAN)
    session.ask("what does a data engineer do?")
    assert session.ask("and for MLOps engineer?") == Answer("answered")
    assert isinstance(session.ask("6 hours a week instead").result, Roadmap)


@pytest.mark.parametrize("text", ["grill me on SQL for data analyst", "tell me about attention"])
def test_who_asks_for_something_else_is_not_held_to_the_value_that_was_asked_for(session: Session, text: str) -> None:
    assert "Which role" in session.ask("plan my way").text
    assert "Which role" not in session.ask(text).text


@pytest.mark.parametrize("text", ["machine learning engineer", "as a senior data scientist", "mid level"])
def test_a_role_by_itself_goes_on_with_what_was_asked_last(session: Session, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    session.ask(PLAN)
    elsewhere = dataclasses.replace(session.capabilities._find_route(text), skill="skill_gap", question="")
    monkeypatch.setattr(session.capabilities, "_find_route", lambda _: elsewhere)
    assert session.ask(text).skill == "roadmap"


def test_a_role_by_itself_is_a_plain_question_at_first(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FIRST, "machine learning engineer", "skill_gap")
    assert session.ask("machine learning engineer") == Answer("answered")


def test_another_skill_takes_over(session: Session) -> None:
    session.ask(PLAN)
    assert session.ask(GRILL).skill == "interview"


def test_without_a_session_nothing_goes_on(catalogue: Catalogue, session: Session) -> None:
    session.capabilities.run(Request(PLAN, skill="roadmap", user="u"), lambda query, count: ())
    assert session.capabilities.route(Request("mid level", skill="auto", user="u")) == "ask"


def test_follow_ups_are_forgotten_with_the_person(session: Session) -> None:
    session.capabilities.run(Request(PLAN, skill="roadmap", user="u", session="s"), lambda query, count: ())
    follow = Request("mid level", skill="auto", user="u", session="s")
    assert session.capabilities.route(follow) == "roadmap"
    session.capabilities.run(Request(GRILL, skill="interview", user="u", session="i"), lambda query, count: ())
    answering = Request("a join combines rows", skill="auto", user="u", session="i")
    assert session.capabilities.route(answering) == "interview"
    session.capabilities.forget("u")
    assert session.capabilities.route(follow) == session.capabilities.route(answering) == "ask"
