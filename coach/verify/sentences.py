"""Prose and Markdown to sentences, as exact character spans."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_BLOCK = re.compile(r"\s*(?:[-*+]\s+|\d+[.)]\s+|\||#|>)")
_NOT_AN_END = re.compile(r"(?:\b(?:e\.g|i\.e|vs|etc|approx|no|fig|eq|dr|prof|mr|ms|st|inc|ltd)\.|\b[A-Z]\.)$", re.I)


@dataclass(frozen=True, slots=True)
class Span:
    """Characters start to end of a text."""

    start: int
    end: int


def split_sentences(text: str) -> list[Span]:
    """The sentences of a text in order.

    A list item or a table row is one sentence; headings, rules and code are none. A marker such as [1] stays with the
    sentence before it.
    """
    spans: list[Span] = []
    for start, end, kind in _blocks(text):
        if kind == "line":
            spans.append(Span(start, end))
        else:
            spans += [Span(start + s, start + e) for s, e in _within(text[start:end])]
    return spans


def _blocks(text: str) -> Iterator[tuple[int, int, str]]:
    """(start, end, "line" or "prose") of list items, table rows and paragraphs."""
    offset, fenced = 0, False
    open_start: int | None = None
    open_kind, open_end = "", 0
    for line in text.splitlines(keepends=True):
        start, offset = offset, offset + len(line)
        stripped = line.strip()
        if stripped.startswith("```"):
            fenced = not fenced
        boundary = fenced or not stripped or stripped.startswith("```") or bool(_BLOCK.match(line))
        if boundary and open_start is not None:
            yield open_start, open_end, open_kind
            open_start = None
        if fenced or not stripped or stripped.startswith(("```", "#")) or re.fullmatch(r"[\s|:*=_-]+", stripped):
            continue
        left = start + len(line) - len(line.lstrip())
        if open_start is None:
            open_start = left
            open_kind = "line" if re.match(r"\s*(?:[-*+]\s|\d+[.)]\s|\|)", line) else "prose"
        open_end = start + len(line.rstrip())
    if open_start is not None:
        yield open_start, open_end, open_kind


def _within(text: str) -> Iterator[tuple[int, int]]:
    """Sentences of one paragraph (sentencex), with markers joined to the sentence they follow."""
    import sentencex

    start = 0
    ends = [boundary["end_index"] for boundary in sentencex.get_sentence_boundaries("en", text)]
    for position, end in enumerate(ends):
        last = position == len(ends) - 1
        piece = text[start:end]
        rest = text[end:]
        marker = re.match(r"\s*(?:\[\d+\])+", rest)
        if marker and not last and not re.match(r"\s*(?:\[\d+\])+\s*$", rest):
            end += marker.end()
            piece = text[start:end]
        elif marker:
            end = len(text)
            piece, last = text[start:end], True
        if not last and (_NOT_AN_END.search(piece.rstrip()) or not piece.strip()):
            continue
        left = start + len(piece) - len(piece.lstrip())
        right = start + len(piece.rstrip())
        if right > left:
            yield left, right
        start = end
        if last:
            return
