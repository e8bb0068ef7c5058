"""How well a reference supports a claim: features of embedding and overlap, and a quadratic logistic model over them.

The weights in weights.json are fitted by `python -m evals.grounding` on AttributionBench's dev split; five-fold
cross-validated (grouped by reference) the model has an AUC of .80 where word overlap alone has .70.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from coach.verify.facts import NEGATION

if TYPE_CHECKING:
    from coach.domain import Vectors

WEIGHTS = Path(__file__).parent / "weights.json"
MOST_PIECES = 60  # sentences of a long reference that are compared, chosen by shared words

_STOP = frozenset("a an and are as at be been but by can for from had has have he her his if in into is it its may of on "
                  "or she so than that the their them then there these they this to was were will with you your".split())


@dataclass(frozen=True, slots=True)
class Reference:
    """A text that may support a claim: its sentences, its windows of two sentences, and their unit vectors."""

    text: str
    pieces: tuple[str, ...]
    windows: tuple[str, ...]
    piece_vectors: Vectors
    window_vectors: Vectors


@dataclass(frozen=True, slots=True)
class Features:
    """What is measured of a claim and a reference; cosines are to the claim, recalls are shares of the claim's items."""

    best_cosine: float
    window_cosine: float
    top_cosine: float
    mean_cosine: float
    word_recall: float
    piece_word_recall: float
    window_word_recall: float
    bigram_recall: float
    window_bigram_recall: float
    number_recall: float
    name_recall: float
    length_ratio: float
    gram_recall: float
    window_gram_recall: float
    subsequence: float
    negation_differs: float
    claim_length: float
    reference_length: float
    best_word_recall: float


def measure(claim: str, claim_vector: Vectors, reference: Reference) -> Features:
    """The features of one claim against one reference."""
    windows = reference.windows or reference.pieces
    window_vectors = reference.window_vectors if reference.windows else reference.piece_vectors
    cosines, window_cosines = reference.piece_vectors @ claim_vector, window_vectors @ claim_vector
    everything = np.sort(np.concatenate([cosines, window_cosines]))
    piece = reference.pieces[int(cosines.argmax())]
    window = windows[int(window_cosines.argmax())]
    words, known = content_words(claim), content_words(reference.text)
    near, around = content_words(piece), content_words(window)
    pairs = set(zip(words, words[1:], strict=False))
    spans = {*reference.pieces, *reference.windows}
    return Features(
        best_cosine=float(cosines.max()), window_cosine=float(window_cosines.max()),
        top_cosine=float(everything[-3:].mean()), mean_cosine=float(reference.piece_vectors.mean(0) @ claim_vector),
        word_recall=_share(set(words), set(known)), piece_word_recall=_share(set(words), set(near)),
        window_word_recall=_share(set(words), set(around)),
        bigram_recall=_share(pairs, set(zip(known, known[1:], strict=False))),
        window_bigram_recall=_share(pairs, set(zip(around, around[1:], strict=False))),
        number_recall=_share(set(_numbers(claim)), set(_numbers(reference.text))),
        name_recall=_share(_names(claim), {word.lower() for word in re.findall(r"\w[\w-]+", reference.text)}),
        length_ratio=min(2.0, len(words) / max(1, len(around))),
        gram_recall=_share(_grams(claim), _grams(reference.text)),
        window_gram_recall=_share(_grams(claim), _grams(window)),
        subsequence=_common_subsequence(words[:60], around[:120]) / max(1, len(words)),
        negation_differs=float(bool(NEGATION.search(claim)) != bool(NEGATION.search(window))),
        claim_length=math.log(len(words) + 1), reference_length=math.log(len(known) + 1),
        best_word_recall=max(_share(set(words), set(content_words(span))) for span in spans),
    )


def probability(found: Features) -> float:
    """The probability that the reference supports the claim."""
    model = _model()
    x = (np.array(astuple(found)) - model["mean"]) / model["scale"]
    rows, columns = np.triu_indices(len(x))
    z = float(model["bias"][0] + model["linear"] @ x + model["quadratic"] @ (x[rows] * x[columns]))
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, z))))


def choose_pieces(claim: str, pieces: Sequence[str]) -> list[str]:
    """The sentences of a long reference that share most words with the claim, in their order."""
    if len(pieces) <= MOST_PIECES:
        return list(pieces)
    words = set(content_words(claim))
    best = sorted(range(len(pieces)), key=lambda i: -len(words & set(content_words(pieces[i]))))[:MOST_PIECES]
    return [pieces[i] for i in sorted(best)]


def content_words(text: str) -> list[str]:
    """Lower-case words without stop words, plural s removed."""
    words = re.findall(r"[a-z0-9][\w.+#-]*", text.lower())
    return [word.rstrip(".").rstrip("s") if len(word) > 3 else word.rstrip(".") for word in words if word not in _STOP]


@lru_cache(maxsize=1)
def _model() -> dict[str, Vectors]:
    raw = json.loads(WEIGHTS.read_text("utf-8"))
    return {name: np.atleast_1d(np.array(values)) for name, values in raw.items()}


def _numbers(text: str) -> list[str]:
    return re.findall(r"\d[\d.,]*", text)


def _names(text: str) -> set[str]:
    return {word.lower() for word in re.findall(r"(?<!^)(?<![.!?] )\b[A-Z][\w-]+", text)}


def _grams(text: str) -> set[str]:
    plain = re.sub(r"\W+", " ", text.lower())
    return {plain[i : i + 4] for i in range(len(plain) - 3)}


def _share(wanted: set[Any], found: set[Any]) -> float:
    return len(wanted & found) / len(wanted) if wanted else 1.0


def _common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    previous = [0] * (len(other) + 1)
    for word in one:
        current = [0]
        for column, known in enumerate(other):
            current.append(previous[column] + 1 if word == known else max(previous[column + 1], current[column]))
        previous = current
    return previous[-1]
