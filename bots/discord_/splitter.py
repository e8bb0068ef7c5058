"""Cuts a long Markdown text into messages without breaking a code block, a link or a citation marker."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass

MESSAGE_LIMIT = 2000
_FENCE = re.compile(r"`{3,}")
_LANGUAGE = re.compile(r"[A-Za-z0-9_+\-.#]{0,20}(?=\n|$)")
# What must stay whole: a fence with its language line, inline code, links, bare addresses, mentions and emoji, and the
# markers [1][2] together with the last character of the sentence they belong to.
_ATOMS = re.compile(
    r"`{3,}(?:[A-Za-z0-9_+\-.#]{0,20}\n)?"
    r"|(?<!`)`[^`\n]{1,200}`(?!`)"
    r"|\S?[ ]?(?:\[\d{1,3}\])+"
    r"|!?\[[^\[\]\n]{0,300}\]\([^()\s]{0,1500}\)"
    r"|https?://[^\s<>]+"
    r"|<[@#:a][^<>\n]{1,60}>"
)
# From the best place to cut to the worst: after a paragraph, a line, a sentence, a word.
_BOUNDARIES = tuple(
    re.compile(pattern) for pattern in (r"\n[ \t]*\n+", r"\n", r"[.!?…][)\"'\]]*(?: ?\[\d{1,3}\])*[ \n]", r"\s")
)


@dataclass(frozen=True, slots=True)
class Part:
    """One message: `text` is sent; `body` is the exact slice of the source, without fences closed or reopened."""

    text: str
    body: str


def split_markdown(text: str, *, limit: int = MESSAGE_LIMIT) -> list[Part]:
    """The text as parts of at most `limit` UTF-16 units; the bodies joined are the text.

    Discord counts a length in UTF-16 units at the strictest of its clients, so that is the unit here.
    """
    atoms = _find_atoms(text)
    starts = [start for start, _ in atoms]
    boundaries = [[match.end() for match in pattern.finditer(text)] for pattern in _BOUNDARIES]
    parts: list[Part] = []
    position, language = 0, None
    while position < len(text):
        opening = "" if language is None else f"```{language}\n"
        room = limit - utf16_length(opening)
        end = _reach(text, position, room)
        if end < len(text) or _fence_after(text[position:end], language) is not None:
            end = _reach(text, position, room - len("\n```"))
            if end < len(text):
                end = _best_cut(position, end, boundaries, atoms, starts)
        body = text[position:end]
        language = _fence_after(body, language)
        closing = "" if language is None else ("```" if body.endswith("\n") else "\n```")
        parts.append(Part(opening + body + closing, body))
        position = end
    return parts


def utf16_length(text: str) -> int:
    """Length in UTF-16 code units."""
    return len(text) + sum(1 for character in text if ord(character) > 0xFFFF)


def fences_balanced(text: str) -> bool:
    """Whether every code block that is opened is closed."""
    return len(_FENCE.findall(text)) % 2 == 0


def _reach(text: str, start: int, room: int) -> int:
    """The furthest end so that text[start:end] fits; at least one character, so that the work always goes on."""
    end, used = start, 0
    while end < len(text):
        used += 2 if ord(text[end]) > 0xFFFF else 1
        if used > room:
            break
        end += 1
    return max(end, start + 1)


def _best_cut(
    start: int, end: int, boundaries: list[list[int]], atoms: list[tuple[int, int]], starts: list[int]
) -> int:
    """The best place to cut in (start, end]: a finer boundary only when a coarser one wastes half the message."""
    for least in ((start + end) // 2, start):
        for places in boundaries:
            first, last = bisect_right(places, least), bisect_right(places, end)
            for place in reversed(places[first:last]):
                if _inside_atom(place, atoms, starts) is None:
                    return place
    while end > start + 1 and (atom := _inside_atom(end, atoms, starts)) is not None:
        if atom <= start:
            break  # one link longer than a message: it has to be cut
        end = atom
    return end


def _find_atoms(text: str) -> list[tuple[int, int]]:
    """Start and end of what must stay whole. A cut right behind an opening fence would leave an empty block."""
    atoms, is_open = [], False
    for match in _ATOMS.finditer(text):
        end = match.end()
        if match[0].startswith("```"):
            is_open = not is_open
            end += is_open
        atoms.append((match.start(), end))
    return atoms


def _inside_atom(place: int, atoms: list[tuple[int, int]], starts: list[int]) -> int | None:
    """The start of the atom that a cut at `place` would break, None when it breaks none."""
    index = bisect_left(starts, place) - 1
    if index >= 0 and atoms[index][0] < place < atoms[index][1]:
        return atoms[index][0]
    return None


def _fence_after(body: str, language: str | None) -> str | None:
    """The language of the code block that is open after the body, None when none is. Each run of backticks toggles."""
    for match in _FENCE.finditer(body):
        if language is None:
            found = _LANGUAGE.match(body, match.end())
            language = found[0] if found else ""
        else:
            language = None
    return language
