"""What is kept per user: it survives a restart, belongs to one user only, and goes when asked to go."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from coach.domain import Answer, Citation, Confidence, Passage, Profile, Sentence, SkillLevel, Source
from coach.errors import StoreError
from coach.store.progress import ProgressStore
from coach.store.sessions import Sessions, answer_from_json, answer_to_json
from coach.store.tables import MIGRATIONS, Database


def make_answer(answer_id: str = "a1", text: str = "Learn statistics first.") -> Answer:
    passage = Passage("guides/x#1", "The way in", "Learn statistics first.", "https://example.org", "2026-01-01",
                      references=(Source("T", "P", "https://example.org"),), topics=("maths",))
    sentence = Sentence(text, (Citation(passage.id, 0, 5),), 0.9)
    return Answer("answered", (sentence,), (passage,), confidence=Confidence(0.8, 0.9), suggestions=("Next?",),
                  id=answer_id)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'deep' / 'coach.sqlite'}"


@pytest.fixture
def sessions(url: str) -> Sessions:
    return Sessions(Database(url))


def test_a_conversation_survives_a_restart_word_for_word(url: str) -> None:
    first = Sessions(Database(url))
    talk = first.start_conversation("anna")
    first.record_turn("anna", talk.id, "Which  maths first?", make_answer())
    again = Sessions(Database(url))
    (turn,) = again.load_turns("anna", talk.id)
    assert turn.answer == make_answer()
    assert turn.question == "Which  maths first?"
    (listed,) = again.list_conversations("anna")
    assert listed.title == "Which maths first?"
    assert listed.turns == 1


def test_answers_of_another_version_are_still_read() -> None:
    raw = json.loads(answer_to_json(make_answer()))
    raw["added_later"] = 1
    raw["sentences"][0]["added_later"] = 2
    assert answer_from_json(json.dumps(raw)) == make_answer()


def test_conversations_are_searched_renamed_and_deleted(sessions: Sessions) -> None:
    one, two = sessions.start_conversation("anna"), sessions.start_conversation("anna", "Pay")
    sessions.record_turn("anna", one.id, "Maths?", make_answer("a1", "100% statistics"))
    assert [c.id for c in sessions.list_conversations("anna", search="STATISTICS")] == [one.id]
    assert [c.id for c in sessions.list_conversations("anna", search="pay")] == [two.id]
    assert sessions.list_conversations("anna", search="%zz") == ()
    assert sessions.rename_conversation("anna", one.id, "  My   plan ")
    found = sessions.find_conversation("anna", one.id)
    assert found is not None
    assert found.title == "My plan"
    assert sessions.delete_conversation("anna", one.id)
    assert sessions.load_turns("anna", one.id) == ()


def test_turns_can_be_dropped_to_ask_again(sessions: Sessions) -> None:
    talk = sessions.start_conversation("anna")
    for number in range(3):
        sessions.record_turn("anna", talk.id, f"q{number}", make_answer(f"a{number}"))
    assert sessions.drop_turns_from("anna", talk.id, 1) == 2
    sessions.record_turn("anna", talk.id, "q1 again", make_answer("b1"))
    assert [turn.question for turn in sessions.load_turns("anna", talk.id)] == ["q0", "q1 again"]


def test_a_vote_belongs_to_an_answer_and_can_be_taken_back(sessions: Sessions) -> None:
    talk = sessions.start_conversation("anna")
    sessions.record_turn("anna", talk.id, "q", make_answer("a1"))
    assert sessions.record_feedback("anna", "a1", "down", "too short")
    assert sessions.load_turns("anna", talk.id)[0].vote == "down"
    assert sessions.record_feedback("anna", "a1", "up")
    assert sessions.load_turns("anna", talk.id)[0].vote == "up"
    assert sessions.record_feedback("anna", "a1", "")
    assert sessions.load_turns("anna", talk.id)[0].vote == ""
    assert not sessions.record_feedback("anna", "never-given", "up")


def test_another_user_reaches_nothing_by_id(sessions: Sessions) -> None:
    talk = sessions.start_conversation("anna", "Secret")
    sessions.record_turn("anna", talk.id, "q", make_answer("a1"))
    assert sessions.find_conversation("ben", talk.id) is None
    assert sessions.load_turns("ben", talk.id) == ()
    assert not sessions.rename_conversation("ben", talk.id, "Mine")
    assert not sessions.delete_conversation("ben", talk.id)
    assert sessions.record_turn("ben", talk.id, "q", make_answer("b1")) is None
    assert sessions.drop_turns_from("ben", talk.id, 0) == 0
    assert not sessions.record_feedback("ben", "a1", "down")
    assert sessions.list_conversations("ben") == ()
    assert sessions.list_conversations("ben", search="Secret") == ()
    assert "Secret" not in sessions.export_user("ben")
    assert sessions.delete_user("ben") == 0
    assert len(sessions.load_turns("anna", talk.id)) == 1


def test_export_holds_everything_and_delete_leaves_nothing(sessions: Sessions, url: str) -> None:
    talk = sessions.start_conversation("anna", "Plan")
    sessions.record_turn("anna", talk.id, "q", make_answer("a1", "A-very-rare-word."))
    sessions.record_feedback("anna", "a1", "up", "nice")
    sessions.save_profile("anna", Profile((SkillLevel("python", "strong"),), "data-scientist", hours_per_week=5))
    export = json.loads(sessions.export_user("anna"))
    assert export["conversations"][0]["turns"][0]["answer"]["sentences"][0]["text"] == "A-very-rare-word."
    assert export["profile"]["target_role"] == "data-scientist"
    assert export["feedback"][0]["reason"] == "nice"
    assert sessions.delete_user("anna") == 4
    assert sessions.load_profile("anna") == Profile()
    with Database(url).read() as connection:
        for table in ("conversations", "turns", "feedback", "profiles"):
            assert connection.scalar(sa.text(f"select count(*) from {table}")) == 0


def test_eight_writers_and_sixteen_readers_never_meet_a_locked_database(url: str) -> None:
    sessions = Sessions(Database(url))
    talk = sessions.start_conversation("anna")
    failures: list[Exception] = []

    def work(write: bool, name: int) -> None:
        own = Sessions(Database(url))
        try:
            for number in range(10):
                if write:
                    own.record_turn("anna", talk.id, "q", make_answer(f"{name}-{number}"))
                else:
                    own.list_conversations("anna", search="stat")
        except StoreError as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n < 8, n)) for n in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert failures == []
    assert len(sessions.load_turns("anna", talk.id)) == 80


def test_a_database_of_a_later_version_is_refused(url: str) -> None:
    with Database(url).write() as connection:
        connection.execute(sa.text(f"insert into schema_version values ({len(MIGRATIONS) + 1})"))
    with pytest.raises(StoreError, match="Update the program"):
        Database(url)


def test_a_file_that_is_no_database_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "coach.sqlite"
    path.write_text("not a database" * 100)
    with pytest.raises(StoreError, match="database_url"):
        Database(f"sqlite:///{path}")


def test_votes_steps_and_practice_of_one_user_are_not_another_ones(sessions: Sessions, url: str) -> None:
    progress = ProgressStore(Database(url))
    for user in ("anna", "ben"):
        talk = sessions.start_conversation(user, "talk")
        sessions.record_turn(user, talk.id, "q", make_answer("shared"))  # the same answer id for both
    assert sessions.record_feedback("anna", "shared", "up", "annas-reason")
    progress.add_done("anna", "sql", "working", "2026-11-24")
    progress.add_practice("anna", "annas-question", 0.5, "2026-11-24", "{}")
    exported = json.loads(sessions.export_user("ben"))
    assert (exported["feedback"], exported["done_steps"], exported["practice"]) == ([], [], [])
    assert progress.done("ben") == ()
    assert progress.practice("ben") == ()
    assert [turn.vote for turn in sessions.load_turns("ben", sessions.list_conversations("ben")[0].id)] == [""]
    assert sessions.record_feedback("ben", "shared", "down")
    sessions.delete_user("ben")
    kept = json.loads(sessions.export_user("anna"))
    assert [row["reason"] for row in kept["feedback"]] == ["annas-reason"]
    assert [row.question for row in progress.practice("anna")] == ["annas-question"]
    assert [row.skill for row in progress.done("anna")] == ["sql"]
