"""Quote mode: two to six whole sentences, exact spans, nothing twice, and every compared thing speaks."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from coach.domain import Passage
from coach.quote import LEAST_SENTENCES, MOST_SENTENCES, Quote, choose_quotes, clean_quote
from coach.retrieval.embedder import HashingEmbedder
from coach.retrieval.search import search
from coach.retrieval.snapshot import Snapshot
from coach.verify import split_sentences


def passage(id_: str, text: str, *, heading: str = "", title: str = "A title") -> Passage:
    return Passage(id_, title, text, "https://example.org", heading=heading, end=len(text))


def quotes(question: str, passages: Sequence[Passage], *, compared: int = 0) -> list[Quote]:
    embedder = HashingEmbedder()
    return choose_quotes(
        question, embedder.embed_queries([question])[0], passages, embedder, split_sentences, compared=compared
    )


QUESTIONS = [
    "How do I become a machine learning engineer?",
    "How long does the way to data analyst take?",
    "What is data drift?",
    "Which SQL topics come first?",
    "What should be left out of a CV?",
    "How much memory does a model with 3 billion parameters need?",
    "Which small language model can read images?",
    "Why is attention divided by the square root of the head size?",
    "What does a junior ML engineer need?",
]


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_answer_is_two_to_six_exact_sentences_without_repetition(
    question: str, tiny_snapshot: Snapshot, hashing: HashingEmbedder
) -> None:
    found = search(tiny_snapshot, hashing, question, count=6)
    chosen = choose_quotes(question, found.query_vector, found.passages, hashing, split_sentences)
    assert LEAST_SENTENCES <= len(chosen) <= MOST_SENTENCES
    for quote in chosen:
        assert quote.passage in found.passages
        assert quote.passage.text[quote.start : quote.end] == quote.text
        spans = [(span.start, span.end) for span in split_sentences(quote.passage.text)]
        assert (quote.start, quote.end) in spans, "whole sentences only"
        assert quote.text.endswith((".", "!"))
    texts = [quote.text.lower() for quote in chosen]
    assert len(set(texts)) == len(texts)
    assert [quote.paragraph for quote in chosen] == sorted(quote.paragraph for quote in chosen)


@pytest.mark.parametrize(
    ("question", "start"),
    [
        ("What is data drift?", "Data drift is a change"),
        ("How long does the way to data analyst take?", "The way to a first data analyst job takes about 6 months"),
        ("Which SQL topics come first?", "Joins, grouping and window functions come first"),
    ],
)
def test_the_answer_comes_first(question: str, start: str, tiny_snapshot: Snapshot, hashing: HashingEmbedder) -> None:
    found = search(tiny_snapshot, hashing, question, count=6)
    assert choose_quotes(question, found.query_vector, found.passages, hashing, split_sentences)[0].text.startswith(
        start
    )


def test_the_same_sentence_in_two_documents_is_said_once() -> None:
    text = "Drift is a change of the inputs after deployment. It is found by comparing windows of inputs."
    chosen = quotes("What is drift?", [passage("a#1", text), passage("b#1", text)])
    assert len({quote.text for quote in chosen}) == len(chosen)


def test_nearly_the_same_words_are_said_once() -> None:
    chosen = quotes(
        "What is data drift?",
        [
            passage(
                "a#1",
                "Data drift is a change of the input data after a model was deployed.",
                heading="What is data drift?",
            ),
            passage("b#1", "Data drift is the change of input data after the model was deployed."),
            passage("c#1", "Retraining on recent rows is the usual cure of data drift."),
        ],
    )
    assert [quote.passage.id for quote in chosen].count("a#1") + [quote.passage.id for quote in chosen].count(
        "b#1"
    ) == 1


def test_numbers_in_a_heading_tell_passages_apart() -> None:
    passages = [
        passage(
            f"memory#{size}",
            f"With {size} GB of memory, models of {size // 2} billion parameters fit in 4-bit. "
            f"The context is then short.",
            heading=f"Which models fit in {size} GB of memory?",
        )
        for size in (4, 8, 16, 24)
    ]
    for size in (4, 8, 16, 24):
        order = [p for p in passages if p.id != f"memory#{size}"] + [p for p in passages if p.id == f"memory#{size}"]
        chosen = quotes(f"Which models fit in {size} GB of memory?", order)
        assert chosen[0].passage.id == f"memory#{size}", size


def test_every_compared_model_speaks(tiny_snapshot: Snapshot, hashing: HashingEmbedder) -> None:
    first = ["catalogue/models/qwen3-0.6b", "catalogue/models/gemma-3-4b-it"]
    question = "Compare Qwen3-0.6B and Gemma 3 4B IT"
    found = search(tiny_snapshot, hashing, question, count=6, first=first)
    chosen = choose_quotes(question, found.query_vector, found.passages, hashing, split_sentences, compared=2)
    said = {id_: [quote for quote in chosen if quote.passage.id == id_] for id_ in first}
    assert sum(map(len, said.values())) == len(chosen) <= MOST_SENTENCES
    assert all(len(group) >= LEAST_SENTENCES for group in said.values())
    assert all("Qwen3" in quote.text for quote in said[first[0]])


def test_many_compared_things_stay_within_six_sentences_each_heard() -> None:
    things = [
        passage(f"m{i}#1", f"Model {i} has {i} billion parameters. Model {i} reads text. Model {i} is open.")
        for i in range(1, 4)
    ]
    chosen = quotes("Compare model 1, model 2 and model 3 by parameters", things, compared=3)
    assert {quote.passage.id for quote in chosen} == {"m1#1", "m2#1", "m3#1"}
    assert len(chosen) == MOST_SENTENCES


def test_a_sentence_that_leans_on_the_one_before_is_not_quoted_alone() -> None:
    chosen = quotes(
        "What is a feature store?",
        [
            passage(
                "a#1", "A feature store keeps features for training and serving.", heading="What is a feature store?"
            ),
            passage(
                "b#1", "Teams with many models share features. It is then a feature store that keeps them in one place."
            ),
        ],
    )
    assert not any(quote.text.startswith("It is") for quote in chosen)


def test_headings_tables_code_and_questions_are_not_quoted() -> None:
    text = (
        "Overfitting is learning the noise of the training rows.\n\n"
        "| overfitting | sign |\n|---|---|\n| overfitting is seen | by a gap. |\n\n"
        "```\nprint('overfitting is here now.')\n```\n\n"
        "What is overfitting for you and me?\n\n- Overfitting is reduced by more training data.\n"
    )
    chosen = quotes("What is overfitting?", [passage("a#1", text)])
    assert chosen
    for quote in chosen:
        assert not quote.text.startswith(("|", "#", "```"))
        assert "print" not in quote.text
        assert not quote.text.endswith("?")


def test_no_passage_and_no_sentence_give_no_quote() -> None:
    assert quotes("What?", []) == []
    assert quotes("What?", [passage("a#1", "   ")]) == []
    assert quotes("What?", [passage("a#1", "| a | b |\n|---|---|\n| 1 | 2 |")]) == []


def test_the_choice_is_the_same_every_time(tiny_snapshot: Snapshot, hashing: HashingEmbedder) -> None:
    found = search(tiny_snapshot, hashing, QUESTIONS[0], count=6)
    runs = [choose_quotes(QUESTIONS[0], found.query_vector, found.passages, hashing, split_sentences) for _ in range(3)]
    assert runs[0] == runs[1] == runs[2]


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("- A list item\n  over two lines.", "A list item over two lines."),
        ("3. Third step.", "Third step."),
        ("3.08 billion is a number.", "3.08 billion is a number."),
        ("* Star.", "Star."),
    ],
)
def test_bullets_are_not_part_of_a_quote(text: str, clean: str) -> None:
    assert clean_quote(text) == clean
