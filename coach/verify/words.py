"""Text to the words that carry its meaning, stemmed."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

_STOP = frozenset([
    "a", "an", "and", "are", "as", "at", "be", "been", "but", "by", "can", "did", "do", "does", "for", "from", "had",
    "has", "have", "he", "her", "his", "i", "if", "in", "into", "is", "it", "its", "may", "of", "on", "or", "our",
    "she", "so", "than", "that", "the", "their", "them", "then", "there", "these", "they", "this", "to", "was", "we",
    "were", "will", "with", "you", "your", "not", "no", "never", "none", "without", "neither", "nor", "cannot", "also"])
_WORD = re.compile(r"[a-z0-9][\w+#]*(?:[.-][a-z0-9][\w+#]*)*")


def content_words(text: str) -> list[str]:
    """Stemmed lower-case words without stop words, in order."""
    lower = text.lower().replace("’", "'").replace("n't", " ")
    words: list[str] = _WORD.findall(lower)
    parts = [part for word in words for part in ([word] if any(map(str.isdigit, word)) else word.split("-"))]
    kept = [part for part in parts if part not in _STOP and (len(part) > 1 or part.isdigit())]
    stemmed: list[str] = _stemmer().stemWords(kept)
    return stemmed


@lru_cache(maxsize=1)
def _stemmer() -> Any:
    import Stemmer

    return Stemmer.Stemmer("english")
