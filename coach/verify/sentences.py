"""Prose and Markdown to sentences, as exact character spans."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

_FENCE = re.compile(r"\s{0,3}(```+|~~~+)")
_HEADING = re.compile(r"\s{0,3}#{1,6}(\s|$)")
_RULE = re.compile(r"[\s|:*=_-]+")  # of a table, under a heading, or between paragraphs
_ITEM = re.compile(r"\s*(?:[-*+]\s+|\d{1,3}[.)]\s+|\|)")
_QUOTE = re.compile(r"\s{0,3}>\s?")
_MARKERS = re.compile(r"\s*(?:\[\d+(?:\s*,\s*\d+)*\])+")
# sentencex already knows most abbreviations; these it ends a sentence at
_NOT_AN_END = re.compile(r"(?:\b(?:e\.g|i\.e|vs|etc|approx|fig|eq|dr|prof|mr|ms|st|inc|ltd)\.|\b[A-Z]\.)$", re.I)

_LEAD_IN = re.compile(
    r"""^(?:(?:based\ on|according\ to|as\ (?:stated|mentioned|described|noted|explained|given)\ in)\ (?:the\ )?
          (?:(?:information|details|facts|text|content)\ ?)?(?:(?:provided|given|contained|stated)\ )?
          (?:(?:in|from|by)\ )?(?:the\ )?(?:(?:provided|given|above)\ )?
          (?:passages?|context|documents?|evidence|information|text)?(?:\ (?:\d+|above|provided))?,\s*
          |the\ passages?(?:\ \d+)?\ (?:states?|says?|mentions?|explains?|notes?)(?:\ that\b|:)\s*)
        (?:the\ (?:correct\ )?answer\ is(?:\ that\b|:)\s*)?""",
    re.IGNORECASE | re.VERBOSE,
)


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
    for block in _blocks(text):
        if block.kind == "item":
            spans.append(Span(block.start, block.end))
        else:
            spans += [Span(block.start + s.start, block.start + s.end) for s in _within(text[block.start : block.end])]
    return spans


@dataclass(slots=True)
class _Block:
    """A list item or table row, a quotation, or a paragraph, while its lines are read."""

    kind: Literal["item", "quote", "prose"]
    start: int
    end: int


def _blocks(text: str) -> Iterator[_Block]:
    offset, fence = 0, ""
    block: _Block | None = None
    for line in text.splitlines(keepends=True):
        start, offset = offset, offset + len(line)
        mark = _FENCE.match(line)
        outside = not fence and mark is None
        if mark and not fence:
            fence = mark[1][:3]
        elif mark and mark[1].startswith(fence):
            fence = ""
        if not outside or not line.strip() or _HEADING.match(line) or _RULE.fullmatch(line):
            # a line of = or - right below a paragraph's only line makes that line a heading
            underlined = outside and re.fullmatch(r"\s{0,3}(=+|-{2,})\s*", line) and line.strip()
            if block and not (underlined and block.kind == "prose" and "\n" not in text[block.start : block.end]):
                yield block
            block = None
            continue
        item, quote = _ITEM.match(line), _QUOTE.match(line)
        end = start + len(line.rstrip())
        if block and not item and (not quote or block.kind == "quote"):
            block.end = end
            continue
        if block:
            yield block
        left = start + (quote.end() if quote else len(line) - len(line.lstrip()))
        block = _Block("item" if item else "quote" if quote else "prose", min(left, end), end)
    if block:
        yield block


def _within(text: str) -> Iterator[Span]:
    """Sentences of one paragraph (sentencex), with markers joined to the sentence they follow."""
    import sentencex

    start = 0
    for boundary in sentencex.get_sentence_boundaries("en", text):
        end = boundary["end_index"]
        if end <= start:
            continue
        marker = _MARKERS.match(text, end)
        # a marker that ends the text, or that a new sentence follows, belongs to the sentence before it
        end = marker.end() if marker else end
        if end < len(text) and _NOT_AN_END.search(text[start:end].rstrip()):
            continue
        yield from _trimmed(text, start, end)
        start = end
    yield from _trimmed(text, start, len(text))


def _trimmed(text: str, start: int, end: int) -> Iterator[Span]:
    piece = text[start:end]
    left, right = start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())
    if right > left:
        yield Span(left, right)


def without_lead_in(sentence: str) -> str:
    """The sentence without "Based on the passages," or "The passage states that": where it comes from is cited."""
    rest = _LEAD_IN.sub("", sentence)
    if rest == sentence or not rest:
        return sentence
    rest = rest.lstrip('"“')
    if rest.count('"') % 2 or rest.count("”") > rest.count("“"):
        rest = re.sub(r'\s*["”]\s*\.?$', "", rest)
    return rest[:1].upper() + rest[1:]
