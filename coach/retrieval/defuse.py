"""Paragraphs that speak to a language model instead of a reader are no evidence: they are blanked before anything reads them."""

from __future__ import annotations

import dataclasses
import re

from coach.domain import Passage

# Instructions as they are smuggled into documents. Guides that explain the attack put its words in quotation marks or
# code, and those are left alone.
_INSTRUCTION = re.compile(
    r"""(?ix)
    \b(?:ignore|disregard|forget|override) \b[^.!?\n"'`]{0,30}? \b(?:instructions?|prompts?|rules|guidelines)\b
  | ^\s*(?:system|assistant|developer)\s*:
  | </?\s*(?:passage|system|assistant|instructions?)\b[^>\n]*>
  | \b(?:reveal|print|show|repeat|output) \b[^.!?\n"'`]{0,20}? \b(?:system|hidden|initial)\s+prompt\b
  | \bfrom\ now\ on,?\s+(?:you|answer|reply|respond|say|act)\b
  | \bnew\ (?:rule|instruction)s?\s*:
    """
)
_QUOTED = re.compile(r"\"[^\"\n]*\"|`[^`\n]*`|“[^”\n]*”")
_PARAGRAPH = re.compile(r"[^\n]+(?:\n(?!\s*\n)[^\n]+)*")


def defuse(passage: Passage) -> Passage:
    """The passage with such paragraphs blanked; every other character keeps its place."""
    found = [match for match in _PARAGRAPH.finditer(passage.text) if instructs(match[0])]
    if not found:
        return passage
    text = passage.text
    for match in found:
        text = text[: match.start()] + re.sub(r"[^\n]", " ", match[0]) + text[match.end() :]
    return dataclasses.replace(passage, text=text)


def instructs(text: str) -> bool:
    """Whether a text gives orders to the model that reads it."""
    return any(_INSTRUCTION.search(line) for line in _QUOTED.sub("", text).splitlines())
