"""Search: two rankings fused, near duplicates left out, filters kept, follow-ups understood, evidence scored."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from coach.catalogue.tables import Catalogue
from coach.domain import Message, Passage
from coach.ingest.build import build_index
from coach.retrieval.embedder import HashingEmbedder
from coach.retrieval.search import (
    Evidence,
    Filter,
    contextual_query,
    fuse,
    is_outside,
    proper_names,
    rank,
    score_evidence,
    search,
    word_coverage,
)
from coach.retrieval.snapshot import Snapshot, SnapshotReader, tokenize, write_snapshot

AddGuide = Callable[..., Path]


def user(*texts: str) -> tuple[Message, ...]:
    return tuple(message for text in texts for message in (Message("user", text), Message("assistant", "Well.")))


# -- fusion ------------------------------------------------------------------------------------------------------------


DENSE = [(7, 0.9), (8, 0.85), (9, 0.3), (4, 0.1)]
LEXICAL = [(8, 12.0), (5, 3.0), (7, 1.0)]


def test_what_both_arms_like_comes_first_and_nothing_is_lost() -> None:
    fused = fuse(DENSE, LEXICAL)
    assert fused[0][0] == 8
    assert sorted(row for row, _ in fused) == [4, 5, 7, 8, 9]
    assert all(one >= two >= 0.0 for (_, one), (_, two) in pairwise(fused))


def test_fusion_does_not_depend_on_the_scale_of_an_arm() -> None:
    scaled = fuse(DENSE, [(row, 1000 * score + 5) for row, score in LEXICAL])
    assert [row for row, _ in scaled] == [row for row, _ in fuse(DENSE, LEXICAL)]


def test_one_arm_alone_keeps_its_order() -> None:
    assert [row for row, _ in fuse(DENSE, [])] == [7, 8, 9, 4]
    assert [row for row, _ in fuse([], LEXICAL)] == [8, 5, 7]
    assert [row for row, _ in fuse([(1, 0.5), (2, 0.5)], [])] == [1, 2]
    assert fuse([], []) == []


def test_hybrid_finds_what_either_arm_finds(tiny_snapshot: Snapshot, hashing: HashingEmbedder) -> None:
    query = "window functions in SQL"
    vector = hashing.embed_queries([query])[0]
    arms = {
        arm: [row for row, _ in rank(tiny_snapshot, query, vector, count=50, arm=arm)]  # type: ignore[arg-type]  # literals
        for arm in ("dense", "bm25", "hybrid")
    }
    assert set(arms["hybrid"]) == set(arms["dense"]) | set(arms["bm25"])
    assert tiny_snapshot.passages[arms["hybrid"][0]].document == "skills/sql"


def test_scores_fall(tiny_snapshot: Snapshot, hashing: HashingEmbedder) -> None:
    vector = hashing.embed_queries(["data drift"])[0]
    for arm in ("dense", "bm25", "hybrid"):
        scores = [score for _, score in rank(tiny_snapshot, "data drift", vector, arm=arm)]  # type: ignore[arg-type]  # literals
        assert scores == sorted(scores, reverse=True)


def test_dense_scores_are_cosines(tiny_snapshot: Snapshot, hashing: HashingEmbedder) -> None:
    vector = hashing.embed_queries(["What is data drift?"])[0]
    for row, score in tiny_snapshot.search_dense(vector, 5):
        assert score == pytest.approx(float(tiny_snapshot.vectors[row] @ vector), abs=1e-4)


def test_words_that_nobody_wrote_find_nothing_by_word(tiny_snapshot: Snapshot) -> None:
    assert tiny_snapshot.search_lexical("xylophone quokka", 10) == []


# -- what comes back ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "document"),
    [
        ("How do I become a machine learning engineer?", "path/engineer"),
        ("Which SQL topics come first?", "skills/sql"),
        ("What is a p-value?", "catalogue/questions/p-value"),
        ("Why is attention divided by the square root of the head size?", "interviews/transformers"),
        ("What should I leave out of my CV?", "getting-hired/cv"),
        ("Which small language model can read images?", "catalogue/models/compare-images"),
    ],
)
def test_the_right_document_comes_first(
    tiny_snapshot: Snapshot, hashing: HashingEmbedder, question: str, document: str
) -> None:
    evidence = search(tiny_snapshot, hashing, question, count=5)
    assert evidence.passages[0].document == document
    assert len(evidence.passages) == 5
    assert len({passage.id for passage in evidence.passages}) == 5
    assert evidence.version == tiny_snapshot.version
    assert evidence.passages[0].score > 0


def test_asking_for_more_than_there_is_gives_what_there_is(tiny_snapshot: Snapshot, hashing: HashingEmbedder) -> None:
    evidence = search(tiny_snapshot, hashing, "machine learning", count=1000)
    assert 10 < len(evidence.passages) <= len(tiny_snapshot.passages)


def test_rows_that_must_come_first_do(tiny_snapshot: Snapshot, hashing: HashingEmbedder) -> None:
    first = ["catalogue/models/qwen3-0.6b", "catalogue/models/gemma-3-4b-it", "no/such-row"]
    evidence = search(tiny_snapshot, hashing, "Which is better?", count=4, first=first)
    assert [passage.id for passage in evidence.passages[:2]] == first[:2]


def test_other_names_of_a_thing_are_searched_with_it(tiny_snapshot: Snapshot, hashing: HashingEmbedder) -> None:
    evidence = search(tiny_snapshot, hashing, "How long until MLE?", count=3, synonyms=["Machine learning engineer"])
    assert any("machine learning engineer" in passage.heading for passage in evidence.passages)


@pytest.mark.parametrize(
    ("only", "fits"),
    [
        (Filter(kinds=("catalogue",)), lambda p: p.kind == "catalogue"),
        (Filter(kinds=("document",)), lambda p: p.kind == "document"),
        (Filter(topics=("sql",)), lambda p: "sql" in p.topics),
        (Filter(audience=("mid",)), lambda p: not p.audience or "mid" in p.audience),
        (Filter(documents=("skills/sql",)), lambda p: p.document == "skills/sql"),
        (
            Filter(kinds=("document",), documents=("skills/sql", "path/analyst")),
            lambda p: p.document in {"skills/sql", "path/analyst"},
        ),
    ],
)
@pytest.mark.parametrize("arm", ["dense", "bm25", "hybrid"])
def test_a_filter_holds_in_every_arm(
    tiny_snapshot: Snapshot, hashing: HashingEmbedder, only: Filter, fits: Callable[..., bool], arm: str
) -> None:
    found = search(tiny_snapshot, hashing, "How do I learn SQL for data?", count=6, only=only, arm=arm)  # type: ignore[arg-type]  # literal
    assert found.passages
    assert all(fits(passage) for passage in found.passages)


def test_a_filter_that_nothing_fits_finds_nothing(tiny_snapshot: Snapshot, hashing: HashingEmbedder) -> None:
    found = search(tiny_snapshot, hashing, "SQL", count=6, only=Filter(documents=("no/such",)))
    assert found.passages == ()
    assert found.cosine == 0.0


def test_near_duplicates_are_left_out(tmp_path: Path, add_guide: AddGuide, hashing: HashingEmbedder) -> None:
    body = "Gradient boosting adds small trees one after the other, each on the errors of those before.\n"
    for name in ("one", "two", "three"):
        add_guide(tmp_path, name, body, title="Boosting")
    add_guide(tmp_path, "other", "Random forests average many deep trees on resampled rows.\n", title="Forests")
    build_index(
        tmp_path / "data" / "index",
        hashing,
        guides=[tmp_path / "guides"],
        catalogue=Catalogue(tmp_path),
        chunk_tokens=200,
    )
    snapshot = SnapshotReader(tmp_path / "data" / "index", hashing.fingerprint).current()
    evidence = search(snapshot, hashing, "How does gradient boosting use trees?", count=4)
    assert [passage.title for passage in evidence.passages] == ["Boosting", "Forests"]


def test_names_with_signs_are_words() -> None:
    assert "c++" in tokenize("Is C++ needed?")
    assert tokenize("scikit-learn 0.6b models") == tokenize("scikit-learn 0.6B model")


# -- follow-up questions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "question", ["and how long does that take?", "why?", "How long does it take?", "What about those?"]
)
def test_a_question_that_reaches_back_is_searched_with_the_one_before(question: str) -> None:
    query = contextual_query(question, user("How do I become a data analyst?"))
    assert query == f"How do I become a data analyst? {question}"


@pytest.mark.parametrize(
    "question",
    ["Which SQL topics should be learned before interviews?", "What does a machine learning engineer earn in Berlin?"],
)
def test_a_question_that_stands_alone_is_searched_alone(question: str) -> None:
    assert contextual_query(question, user("How do I become a data analyst?")) == question


def test_without_history_the_question_is_the_query() -> None:
    assert contextual_query("and that?", ()) == "and that?"
    assert contextual_query("and that?", (Message("assistant", "Hello."),)) == "and that?"


def test_a_chain_of_follow_ups_reaches_the_subject() -> None:
    query = contextual_query("and why is that?", user("How do I become a data analyst?", "how long does it take?"))
    assert "data analyst" in query


def test_a_follow_up_finds_the_subject_of_the_talk(tiny_snapshot: Snapshot, hashing: HashingEmbedder) -> None:
    for subject, document in (("data analyst", "path/analyst"), ("machine learning engineer", "path/engineer")):
        evidence = search(
            tiny_snapshot,
            hashing,
            "and how long does that take?",
            count=3,
            history=user(f"How do I become a {subject}?"),
        )
        assert evidence.passages[0].document == document


# -- evidence ----------------------------------------------------------------------------------------------------------


def evidence(cosine: float, coverage: float, missing: tuple[str, ...] = ()) -> Evidence:
    return Evidence((), cosine, coverage, missing, np.zeros(4, dtype=np.float32), "v")


def test_more_evidence_scores_higher_and_a_missing_name_lower() -> None:
    scores = [
        score_evidence(item)
        for item in (evidence(0.1, 0.1), evidence(0.5, 0.1), evidence(0.5, 0.8), evidence(0.9, 0.9))
    ]
    assert scores == sorted(scores)
    assert score_evidence(evidence(0.7, 0.8, ("OpenAI",))) < score_evidence(evidence(0.7, 0.8))
    assert score_evidence(evidence(0.7, 0.8, ("OpenAI", "Oslo"))) < score_evidence(evidence(0.7, 0.8, ("OpenAI",)))
    assert all(0.0 < score < 1.0 for score in scores)


def test_questions_rank_by_how_well_they_are_covered(tiny_snapshot: Snapshot, hashing: HashingEmbedder) -> None:
    def score(question: str) -> float:
        return score_evidence(search(tiny_snapshot, hashing, question, count=6))

    covered = score("What is data drift of a deployed model?")
    partly = score("What is concept drift in a recommender of Spotify?")
    outside = score("When does the ferry to Helgoland leave?")
    assert covered > partly > outside


def test_a_name_that_no_passage_has_is_missing(tiny_snapshot: Snapshot, hashing: HashingEmbedder) -> None:
    found = search(tiny_snapshot, hashing, "What does a data analyst at OpenAI in Oslo learn about SQL?", count=6)
    assert set(found.missing_names) == {"OpenAI", "Oslo"}


def test_only_a_passage_that_names_the_subject_answers_for_it(tiny_snapshot: Snapshot) -> None:
    pay = Passage("a#1", "Pay", "Salaries of engineers rise every year.", "a")
    named = Passage("b#1", "Labs", "Researchers at Initech publish papers.", "b")
    both = Passage("c#1", "Initech", "The salaries of engineers at Initech.", "c")
    question = "The salaries of engineers at Initech?"
    apart, missing = word_coverage(tiny_snapshot, question, (pay, named))
    assert not missing
    assert apart < word_coverage(tiny_snapshot, question, (pay, named, both))[0] == 1.0
    assert word_coverage(tiny_snapshot, question, (pay,))[1] == ("Initech",)


def test_a_term_in_capitals_that_the_library_knows_is_no_missing_name(tiny_snapshot: Snapshot) -> None:
    drift = Passage("a#1", "Drift", "Data drift is a change of the inputs.", "a")
    assert word_coverage(tiny_snapshot, "Is drift seen by SQL or by QXZV?", (drift,))[1] == ("QXZV",)


def test_a_missing_version_counts_more_than_a_missing_name() -> None:
    assert score_evidence(evidence(0.7, 0.8, ("Nova-9B",))) < score_evidence(evidence(0.7, 0.8, ("Nova",)))


def test_a_question_like_those_outside_the_field_scores_lower() -> None:
    plain = evidence(0.6, 0.7)
    assert score_evidence(dataclasses.replace(plain, outside=0.5)) < score_evidence(plain)
    assert score_evidence(dataclasses.replace(plain, particulars=0.5)) < score_evidence(plain)
    assert is_outside(dataclasses.replace(plain, outside=0.9)) and not is_outside(plain)


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("What salary does OpenAI pay in Oslo?", ["OpenAI", "Oslo"]),
        ("Should I learn Python or C++?", ["Python", "C++"]),
        ("Is qwen3-0.6b good?", ["qwen3-0.6b"]),
        ("I think I'm ready. Am I?", []),
        ("Is the 3rd round hard?", []),
        ("What is Google's interview like?", ["Google"]),
    ],
)
def test_names_are_seen_in_a_question(question: str, names: list[str]) -> None:
    assert proper_names(question) == names


# -- what a question compares ------------------------------------------------------------------------------------------


def test_a_named_thing_is_kept_even_when_its_row_is_nearly_another_ones(tmp_path: Path, hashing: HashingEmbedder) -> None:
    """Rows of sibling models are near duplicates: dropping one let a third model speak in its place."""
    words = "is a chat model with a context of 4,096 tokens, made by Makers and licensed under Apache-2.0 for everybody."
    rows = [
        Passage(id=f"catalogue/models/{name}", title=name, text=f"{name} {words}", source="x", kind="catalogue")
        for name in ("one", "two", "three")
    ]
    texts = [row.text for row in rows]
    vectors = np.repeat(hashing.embed_documents([texts[0]]), 3, axis=0)
    manifest = write_snapshot(tmp_path, rows, texts, vectors, fingerprint=hashing.fingerprint, chunker="t", documents={})
    snapshot = Snapshot(tmp_path / manifest.version)
    named = ["catalogue/models/one", "catalogue/models/two"]
    found = search(snapshot, hashing, "compare one and two", count=6, first=[*named, "catalogue/models/nowhere"])
    snapshot.close()
    assert [passage.id for passage in found.passages[:2]] == named
    assert found.compared == 2


@pytest.mark.parametrize(("question", "names"), [
    ("why is my model slow Thanks!", []),
    ("HOW DO I START A STUDY GROUP", []),
    ("does Kubeflow run on GPT4 Thanks", ["Kubeflow", "GPT4"]),
])
def test_thanks_and_shouting_name_nothing(question: str, names: list[str]) -> None:
    assert proper_names(question) == names
