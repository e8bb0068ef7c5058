"""A server's notes as passages: cut by heading and paragraph, cited like any document, shown to that server only."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from coach.domain import Passage
from coach.ingest.chunk import split_sections, split_spans
from coach.store.servers import Note

SOURCE = "added by this server's administrators"
MOST_NOTES = 50
MOST_CHARACTERS = 200_000  # of all notes of a server: about 300 passages, embedded in a few seconds once
MOST_PASSAGES = 400  # what POST /api/ask takes
_PASSAGE_CHARACTERS = 700  # about 170 tokens of the 256 that the embedder reads, title and heading included


@lru_cache(maxsize=64)
def note_passages(notes: tuple[Note, ...]) -> tuple[Passage, ...]:
    """The passages of one server's notes, for `Request.passages`."""
    return tuple(passage for number, note in enumerate(notes, start=1) for passage in _passages(number, note))


def _passages(number: int, note: Note) -> Iterator[Passage]:
    count = 0
    for section in split_sections(note.text):
        for start, end in split_spans(note.text, section.start, section.end, _PASSAGE_CHARACTERS, len):
            count += 1
            yield Passage(
                f"this-server/{number}#{count}",
                note.title,
                note.text[start:end],
                SOURCE,
                heading=section.heading,
                start=start,
                end=end,
            )
