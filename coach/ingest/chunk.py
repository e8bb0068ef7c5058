"""Documents to chunks: by heading first, then by paragraph and sentence within the embedder's limit; spans are exact."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from coach.domain import Passage

if TYPE_CHECKING:
    from coach.domain import Embedder
    from coach.ingest.read import Document

# Of a title and of a heading; two of them (a token a character at worst) and the least chunk fit 256 tokens.
PREFIX_CHARACTERS = 110


@dataclass(frozen=True, slots=True)
class Section:
    """The text under one heading: document.text[start:end], heading line excluded."""

    heading: str
    start: int
    end: int


def split_sections(text: str) -> list[Section]:
    """Sections by ATX heading outside code fences."""
    sections: list[Section] = []
    heading, start, offset, fenced = "", 0, 0, False
    for line in text.splitlines(keepends=True):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        match = None if fenced else re.match(r"#{1,6}\s+(.+?)\s*#*\s*$", line)
        if match:
            sections.append(Section(heading, start, offset))
            heading, start = match[1], offset + len(line)
        offset += len(line)
    sections.append(Section(heading, start, offset))
    return [section for section in sections if text[section.start:section.end].strip()]


def chunk_document(document: Document, embedder: Embedder, *, chunk_tokens: int) -> Iterator[Passage]:
    """Passages of a document, each at most `chunk_tokens` embedder tokens with its title and heading.

    Ids are `document#heading-slug`, with `.2`, `.3` … for later chunks of a section, so that an edit elsewhere in the
    document leaves them alone.
    """
    limit = min(chunk_tokens, embedder.max_tokens)
    taken: dict[str, int] = {}
    asked_as = dict(document.asked_as)
    for section in split_sections(document.text):
        prefix = embedding_prefix(document.title, section.heading)
        capacity = max(32, limit - embedder.count_tokens(prefix))
        slug = section_id(section.heading)
        for start, end in split_spans(document.text, section.start, section.end, capacity, embedder.count_tokens):
            taken[slug] = taken.get(slug, 0) + 1
            number = taken[slug]
            yield Passage(
                id=f"{document.id}#{slug}" + (f".{number}" if number > 1 else ""), title=document.title,
                text=document.text[start:end], source=document.source, as_of=document.as_of, heading=section.heading,
                start=start, end=end, audience=document.audience, topics=document.topics,
                references=document.references,
                asked_as=asked_as.get(section.heading or "lead", ()) if number == 1 else (),
            )


def embedding_prefix(title: str, heading: str) -> str:
    """What stands before a chunk's text when it is embedded."""
    shown = [part[:PREFIX_CHARACTERS] for part in (title, heading) if part]
    return "\n".join(shown) + "\n" if shown else ""


def embedding_text(passage: Passage) -> str:
    """The text of a passage as it is embedded."""
    return embedding_prefix(passage.title, passage.heading) + passage.text


def lexical_text(passage: Passage) -> str:
    """The text of a passage as BM25 indexes it: with the other ways in which people ask for it."""
    return "\n".join((embedding_text(passage), *passage.asked_as))


def split_spans(
    text: str, start: int, end: int, capacity: int, count_tokens: Callable[[str], int]
) -> Iterator[tuple[int, int]]:
    """Character spans of at most `capacity` tokens that cover text[start:end] without its outer white space.

    The splitter prefers Markdown blocks, then sentences, then words (semantic-text-splitter).
    """
    body = text[start:end]
    short = count_tokens(body) <= capacity
    pieces = [(0, body)] if short else _splitter(capacity, count_tokens).chunk_indices(body)
    for offset, piece in pieces:
        left = start + offset + len(piece) - len(piece.lstrip())
        right = start + offset + len(piece.rstrip())
        if right > left:
            yield left, right


@lru_cache(maxsize=64)
def _splitter(capacity: int, count_tokens: Callable[[str], int]):  # type: ignore[no-untyped-def]  # no stubs for the splitter
    from semantic_text_splitter import MarkdownSplitter

    return MarkdownSplitter.from_callback(count_tokens, capacity)


def section_id(heading: str) -> str:
    """The part of a passage's id after `#`: the heading in lower case with hyphens, `lead` before the first heading."""
    return re.sub(r"[^\w]+", "-", heading.lower()).strip("-")[:80] or "lead"
