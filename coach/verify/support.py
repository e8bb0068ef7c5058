"""How well a reference supports a claim: features of embedding and overlap, and a logistic model over them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass

_STOP = frozenset("a an and are as at be been but by can for from had has have he her his if in into is it its may of on or "
                  "she so than that the their them then there these they this to was were will with you your".split())
# Provisional weights; `python -m evals.grounding calibrate` refits them on labelled pairs.
BIAS = -5.2
WEIGHTS = (3.4, 2.6, 2.6, 0.8, 0.6, 0.6)


@dataclass(frozen=True, slots=True)
class Features:
    """What is measured of a claim and its reference, each 0 to 1."""

    best_cosine: float
    whole_cosine: float
    word_recall: float
    span_word_recall: float
    bigram_recall: float
    number_recall: float


def features(claim: str, spans: Sequence[str], best_cosine: float, whole: str, whole_cosine: float) -> Features:
    """Measure a claim against the best spans and the whole reference."""
    words, known, near = content_words(claim), content_words(whole), content_words(" ".join(spans))
    pairs = set(zip(words, words[1:], strict=False))
    known_pairs = set(zip(known, known[1:], strict=False))
    numbers = set(re.findall(r"\d[\d.,]*", claim))
    in_whole = set(re.findall(r"\d[\d.,]*", whole))
    return Features(
        best_cosine, whole_cosine, _share(set(words), set(known)), _share(set(words), set(near)),
        _share(pairs, known_pairs), _share(numbers, in_whole))


def probability(found: Features) -> float:
    """The logistic model."""
    z = BIAS + sum(weight * value for weight, value in zip(WEIGHTS, astuple(found), strict=True))
    return 1.0 / (1.0 + math.exp(-z))


def content_words(text: str) -> list[str]:
    """Lower-case words without stop words, plural s removed."""
    words = re.findall(r"[a-z0-9][\w.+#-]*", text.lower())
    return [word.rstrip(".").rstrip("s") if len(word) > 3 else word.rstrip(".") for word in words if word not in _STOP]


def _share(wanted: set[str] | set[tuple[str, str]], found: set[str] | set[tuple[str, str]]) -> float:
    return len(wanted & found) / len(wanted) if wanted else 1.0  # type: ignore[operator]  # both sets hold the same kind
