"""What people read below an answer: sources without repetition, no spoiler, nothing that says nothing."""

from __future__ import annotations

from dataclasses import dataclass

from bots.discord_.answers import is_interview_open, render_answer, sources_embed
from bots.discord_.pictures import draw_plan
from coach.domain import Answer, Citation, Passage, Sentence, Source

GUIDE = Passage(
    "guides/a#1", "How to learn SQL", "Joins come first.", "https://example.org/sql", "2026-11-01",
    heading="How to learn SQL: what comes first?",
    references=(Source("SQL book", "Press", "https://example.org/sql"), Source("Other", "Press", "https://example.org/o")),
)
RUBRIC = Passage("catalogue/questions/q1", "Interview question", "What is a key? A key names a row.", "the question catalogue")


def cited(text: str, passage: Passage, verdict: str = "supported") -> Sentence:
    """A sentence that rests on a whole passage."""
    return Sentence(text, (Citation(passage.id, 0, len(passage.text)),), verdict=verdict)  # type: ignore[arg-type]  # a literal


def test_words_that_the_answer_quotes_are_not_repeated_below_it() -> None:
    quoted = sources_embed(Answer("answered", (cited(GUIDE.text, GUIDE, "quoted"),), (GUIDE,)))
    written = sources_embed(Answer("answered", (cited("First learn joins.", GUIDE),), (GUIDE,), mode="write"))
    assert quoted is not None
    assert written is not None
    assert "Joins come first." not in str(quoted.fields[0].value)
    assert "“Joins come first.”" in str(written.fields[0].value)


def test_a_source_is_linked_once_and_named_once() -> None:
    embed = sources_embed(Answer("answered", (cited("First learn joins.", GUIDE),), (GUIDE,)))
    assert embed is not None
    assert str(embed.fields[0].value).count("https://example.org/sql") == 1
    assert embed.fields[0].name == "[1] How to learn SQL: what comes first?"


def test_many_sources_are_named_in_short() -> None:
    many = tuple(Passage(f"guides/{n}#1", f"Guide {n}", "Words of it. " * 40, "x") for n in range(53))
    embed = sources_embed(Answer("answered", tuple(cited(f"Fact {p.title}.", p) for p in many), many, mode="computed"))
    assert embed is not None
    assert len(embed.fields) == 6
    assert embed.description == "The first 6 of 53 sources."
    assert len(embed) < 600


def test_what_is_out_of_scope_has_no_box_of_sources() -> None:
    answer = Answer("out_of_scope", (Sentence("That is outside what I know."),), mode="courtesy", suggestions=("A?", "B?"))
    rendered = render_answer(answer)
    assert rendered.embed is None
    assert rendered.first.endswith("**I can help with:** A? · B?")
    missing = sources_embed(Answer("no_evidence", (Sentence("I would rather not guess."),), mode="courtesy"))
    assert missing is not None
    assert missing.description == "Not in my documents."


def test_an_interview_is_open_while_a_question_waits_for_its_answer() -> None:
    graded, asked = cited("0 of 2 points.", RUBRIC), Sentence("Question 2 of 5: What is a join?")
    assert is_interview_open(Answer("answered", (graded, asked), (RUBRIC,), mode="computed", skill="interview"))
    assert not is_interview_open(Answer("answered", (graded,), (RUBRIC,), mode="computed", skill="interview"))
    assert not is_interview_open(Answer("answered", (asked,), skill="ask"))
    begun = Answer("answered", (asked,), mode="computed", skill="interview")
    assert sources_embed(begun) is None


def test_what_a_model_sees_in_a_picture_is_shown_apart() -> None:
    text = render_answer(Answer("answered", (cited("Joins come first.", GUIDE),), (GUIDE,), about_images="A bar chart.")).first
    assert "no document can support:** A bar chart." in text


@dataclass(frozen=True)
class _Step:
    name: str
    start_week: int
    end_week: int


@dataclass(frozen=True)
class _Plan:
    steps: tuple[_Step, ...]
    calendar: str = ""


def test_only_what_one_comes_back_to_becomes_a_file() -> None:
    plan = _Plan(tuple(_Step(f"Step {n}", n, n + 1) for n in range(1, 31)))
    kept = render_answer(Answer("answered", (Sentence("Plan."),), skill="roadmap", result=plan))
    assert [name for name, _ in kept.files] == ["roadmap.png", "roadmap.md", "roadmap.json"]
    assert render_answer(Answer("answered", (Sentence("Question 1 of 5: x?"),), skill="interview", result={"a": 1})).files == ()


def test_a_calendar_that_was_asked_for_comes_as_a_file_from_here_and_from_another_machine() -> None:
    plain = {"steps": [{"name": "SQL", "start_week": 1, "end_week": 2}], "calendar": "BEGIN:VCALENDAR"}
    for result in (plain, _Plan((_Step("SQL", 1, 2),), "BEGIN:VCALENDAR")):
        files = dict(render_answer(Answer("answered", (Sentence("Plan."),), skill="roadmap", result=result)).files)
        assert files["roadmap.ics"] == b"BEGIN:VCALENDAR"


def test_a_plan_of_plain_values_is_drawn_like_the_plan_itself() -> None:
    plan = _Plan((_Step("Python", 1, 4), _Step("Statistics", 3, 9)))
    plain = {"steps": [{"name": "Python", "start_week": 1, "end_week": 4}, {"name": "Statistics", "start_week": 3, "end_week": 9}]}
    pictures = [
        dict(render_answer(Answer("answered", (Sentence("Plan."),), skill="roadmap", result=result)).files)["roadmap.png"]
        for result in (plan, plain)
    ]
    assert pictures[0] == pictures[1]
    assert draw_plan(_Plan(())) is None
