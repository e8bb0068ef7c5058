"""Chunks are exact spans within the token limit, cover everything, and keep their ids when other text changes."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coach.ingest.chunk import chunk_document, embedding_text, split_sections
from coach.ingest.read import Document
from coach.retrieval.embedder import HashingEmbedder

EMBEDDER = HashingEmbedder()
WORDS = st.sampled_from(
    [
        "learn",
        "SQL,",
        "statistics.",
        "C++",
        "é",
        "naïve",
        "e.g.",
        "3.08",
        "qwen3-0.6b",
        "(see",
        "it).",
        "Why?",
        "漢字",
        "🙂",
        "[1]",
        "`x = 1`",
        "—",
    ]
)
SENTENCE = st.lists(WORDS, min_size=1, max_size=60).map(" ".join)
BLOCK = st.one_of(
    SENTENCE,
    SENTENCE.map(lambda s: f"- {s}\n- {s}"),
    SENTENCE.map(lambda s: f"```\n# {s}\n```"),
    SENTENCE.map(lambda s: f"| a | b |\n|---|---|\n| {s} | x |"),
    st.tuples(st.integers(1, 6), SENTENCE).map(lambda pair: f"{'#' * pair[0]} {pair[1][:60]}"),
    st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=40),
)
BODY = st.lists(BLOCK, max_size=12).map("\n\n".join)


def document(text: str, title: str = "A title") -> Document:
    return Document("folder/guide", title, text, "https://example.org")


@settings(max_examples=150, deadline=None)
@given(BODY, st.sampled_from([32, 60, 200]))
def test_chunks_are_exact_spans_that_cover_the_text(text: str, limit: int) -> None:
    chunks = list(chunk_document(document(text), EMBEDDER, chunk_tokens=limit))
    covered = bytearray(len(text))
    for chunk in chunks:
        assert text[chunk.start : chunk.end] == chunk.text
        assert chunk.text == chunk.text.strip() != ""
        covered[chunk.start : chunk.end] = b"\1" * len(chunk.text)
    inside = bytearray(len(text))
    for section in split_sections(text):
        inside[section.start : section.end] = b"\1" * (section.end - section.start)
    lost = [text[i] for i in range(len(text)) if inside[i] and not covered[i] and not text[i].isspace()]
    assert lost == []
    assert len({chunk.id for chunk in chunks}) == len(chunks)
    for one, two in pairwise(chunks):
        assert one.end <= two.start


@settings(max_examples=80, deadline=None)
@given(BODY, st.sampled_from([32, 60, 200]))
def test_no_chunk_is_longer_than_the_limit(text: str, limit: int) -> None:
    for chunk in chunk_document(document(text, "T"), EMBEDDER, chunk_tokens=limit):
        assert EMBEDDER.count_tokens(chunk.text) <= max(32, limit)
        assert EMBEDDER.count_tokens(embedding_text(chunk)) <= EMBEDDER.max_tokens


def test_what_is_outside_every_section_is_headings_only() -> None:
    text = "Lead.\n\n# One\n\nText one.\n\n## Two ##\n\n```\n# no heading\n```\n"
    sections = split_sections(text)
    assert [section.heading for section in sections] == ["", "One", "Two"]
    assert "# no heading" in text[sections[2].start : sections[2].end]


def test_nothing_is_cut_silently_however_long_title_and_heading_are() -> None:
    text = f"## {'long heading ' * 60}\n\n" + "One more word follows here. " * 80
    for chunk in chunk_document(document(text, "title " * 120), EMBEDDER, chunk_tokens=200):
        assert EMBEDDER.count_tokens(embedding_text(chunk)) <= EMBEDDER.max_tokens


def test_a_chunk_limit_above_the_embedders_is_lowered() -> None:
    short = HashingEmbedder(max_tokens=64)
    for chunk in chunk_document(document("Words and more words. " * 200), short, chunk_tokens=512):
        assert short.count_tokens(embedding_text(chunk)) <= 64


def test_ids_are_headings_and_survive_edits_elsewhere() -> None:
    long = "This is a sentence about SQL. " * 60
    before = f"Lead words.\n\n## First\n\n{long}\n\n## Second\n\nShort.\n"
    after = f"Other lead, longer than before.\n\n## New\n\nText.\n\n## First\n\n{long}\n\n## Second\n\nShort.\n"
    one = {c.id: c.text for c in chunk_document(document(before), EMBEDDER, chunk_tokens=100)}
    two = {c.id: c.text for c in chunk_document(document(after), EMBEDDER, chunk_tokens=100)}
    assert "folder/guide#first" in one
    assert "folder/guide#first.2" in one
    kept = {id_: text for id_, text in one.items() if "#lead" not in id_}
    assert kept.items() <= two.items()
    assert set(two) - set(one) == {"folder/guide#new"}


def test_headings_that_look_alike_get_different_ids() -> None:
    text = "## C++\n\nOne.\n\n## C#\n\nTwo.\n\n## C++\n\nThree.\n"
    ids = [chunk.id for chunk in chunk_document(document(text), EMBEDDER, chunk_tokens=100)]
    assert len(set(ids)) == 3


def test_long_sections_are_cut_between_sentences() -> None:
    text = " ".join(f"Sentence number {i} tells about a subject." for i in range(100))
    for chunk in chunk_document(document(text), EMBEDDER, chunk_tokens=80):
        assert chunk.text.startswith("Sentence number")
        assert chunk.text.endswith("subject.")


def test_a_heading_goes_with_its_chunk_into_the_embedding() -> None:
    chunk = next(chunk_document(document("## Why?\n\nBecause."), EMBEDDER, chunk_tokens=100))
    assert embedding_text(chunk) == "A title\nWhy?\nBecause."
    assert re.fullmatch(r"folder/guide#why", chunk.id)


@pytest.mark.models
def test_the_embedded_embedder_counts_as_the_limit_is_meant() -> None:
    """all-MiniLM's own tokens."""
    from coach.app import open_embedder
    from coach.settings import load_settings

    embedder = open_embedder(load_settings())
    text = "Quantisation of transformer weights: 4-bit, e.g. NF4 or Q4_K_M, naïvely. " * 60
    chunks = list(chunk_document(document(text), embedder, chunk_tokens=200))
    assert len(chunks) > 3
    for chunk in chunks:
        assert embedder.count_tokens(embedding_text(chunk)) <= 200
