"""What comes with one question answers that question and no other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from coach.domain import Message, Passage, Request
from coach.pipeline import Coach
from coach.retrieval.embedder import RecallingEmbedder
from coach.verify import Verifier

MakeCoach = Callable[..., Coach]
QUESTION = "When does the reading circle meet?"
NOTE = Passage("this-server/0#1", "Reading circle", "The reading circle meets every Monday at 18:00 in the voice channel.",
               "notes of this server")
OTHER = Passage("this-server/1#1", "Rules", "Be kind to each other and do not advertise.", "notes of this server")


def test_a_passage_of_ones_own_answers_where_the_library_does_not(make_coach: MakeCoach) -> None:
    coach = make_coach(mode="quote", evidence_threshold=0.5)
    assert coach.ask(Request(QUESTION)).outcome != "answered"
    answer = coach.ask(Request(QUESTION, passages=(OTHER, NOTE)))
    assert answer.outcome == "answered"
    assert answer.citations[0].id == NOTE.id
    assert "Monday at 18:00" in answer.text
    assert OTHER.id not in {passage.id for passage in answer.citations}


def test_the_next_question_does_not_see_it(make_coach: MakeCoach) -> None:
    coach = make_coach(mode="quote", evidence_threshold=0.5)
    coach.ask(Request(QUESTION, passages=(NOTE,)))
    assert "Monday" not in coach.ask(Request(QUESTION)).text
    assert all(passage.id != NOTE.id for passage in coach.search(QUESTION, count=20).passages)


def test_what_does_not_fit_the_question_changes_nothing(make_coach: MakeCoach) -> None:
    coach = make_coach(mode="quote")
    plain = coach.search("What is data drift?")
    with_notes = coach.search("What is data drift?", own=(NOTE, OTHER))
    assert [p.id for p in with_notes.passages] == [p.id for p in plain.passages]
    assert with_notes.cosine == plain.cosine


def test_own_passages_leave_room_for_the_library(make_coach: MakeCoach) -> None:
    coach = make_coach(mode="quote")
    many = tuple(Passage(f"this-server/{n}#1", "Data drift here", f"What is data drift? Data drift is case {n} for us.", "n")
                 for n in range(20))
    found = coach.search("What is data drift?", own=many, count=6).passages
    assert len(found) == 6
    assert [p.id.startswith("this-server/") for p in found] == [True] * 3 + [False] * 3


def test_a_written_answer_cites_it_too(make_coach: MakeCoach) -> None:
    coach = make_coach(f"{NOTE.text} [1]", evidence_threshold=0.5)
    answer = coach.ask(Request(QUESTION, passages=(NOTE,), history=(Message("user", "Hi"), Message("assistant", "Hello"))))
    assert answer.mode == "write"
    assert answer.citations[0].id == NOTE.id


def test_it_is_not_remembered_for_the_next_question(make_coach: MakeCoach) -> None:
    """What a server notes, or a client hands in, leaves the memory with its answer; what the library says may stay."""
    for mode in ("quote", "write"):
        coach = make_coach(mode=mode, evidence_threshold=0.5)
        library = RecallingEmbedder(coach.embedder)
        parts = coach._parts
        coach._parts = dataclasses.replace(parts, library_embedder=library, verifier=Verifier(coach.embedder, library=library))
        assert coach.ask(Request(QUESTION, passages=(NOTE,))).outcome == "answered"
        assert "Monday" not in f"{list(library._known)} {list(coach._parts.verifier._prepared)}"
        assert coach.ask(Request("What is data drift?")).outcome == "answered"
        assert library._known
