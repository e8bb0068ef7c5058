"""How well a reference supports a claim: features of embedding and overlap, and boosted trees over them.

The trees in coach/verify_weights.json are fitted by `python -m evals.grounding`. They are monotone: more overlap or a
higher cosine never lowers the score, so a sentence copied word for word is never worse than its paraphrase, and text
unlike the training data is not scored by extrapolation. A cross-encoder takes their place by replacing `measure` and
`probability` here; nothing else looks at the features.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from rapidfuzz.distance import LCSseq

from coach.errors import ConfigError
from coach.verify.facts import contradicts, find_facts, has_negation, missing_facts
from coach.verify.words import content_words

if TYPE_CHECKING:
    from coach.domain import Vectors

_Item = TypeVar("_Item")
WEIGHTS = Path(__file__).parent.parent / "verify_weights.json"
MOST_PIECES = 60  # sentences of a long reference that are compared, chosen by shared words


@dataclass(frozen=True, slots=True)
class Reference:
    """A text that may support a claim: its sentences, its windows of two sentences, and their unit vectors.

    Where there is one sentence only it is also the window.
    """

    text: str
    pieces: tuple[str, ...]
    windows: tuple[str, ...]
    piece_vectors: Vectors
    window_vectors: Vectors


@dataclass(frozen=True, slots=True)
class Features:
    """What is measured of a claim and a reference: cosines are to the claim, recalls are shares of its items."""

    best_cosine: float
    window_cosine: float
    centre_cosine: float  # to the mean of the three nearest spans
    mean_cosine: float
    word_recall: float
    long_word_recall: float  # words weighted by their length: long words are the rarer ones
    piece_word_recall: float
    window_word_recall: float
    best_word_recall: float
    bigram_recall: float
    window_bigram_recall: float
    gram_recall: float
    window_gram_recall: float
    subsequence: float
    longest_gap: float  # the longest run of the claim's words that the reference lacks
    name_recall: float
    window_name_recall: float
    fact_recall: float
    negation_differs: float
    contradicted: float
    length_ratio: float
    claim_length: float
    reference_length: float


def measure(claim: str, claim_vector: Vectors, reference: Reference) -> Features:
    """The features of one claim against one reference."""
    cosines, window_cosines = reference.piece_vectors @ claim_vector, reference.window_vectors @ claim_vector
    vectors = np.concatenate([reference.piece_vectors, reference.window_vectors])
    nearest = np.argsort(-np.concatenate([cosines, window_cosines]), kind="stable")[:3]
    centre, mean = vectors[nearest].mean(0), reference.piece_vectors.mean(0)
    piece = reference.pieces[int(cosines.argmax())]
    window = reference.windows[int(window_cosines.argmax())]
    words, known = content_words(claim), content_words(reference.text)
    near, around = set(content_words(piece)), content_words(window)
    wanted, found = set(words), set(known)
    facts = find_facts(claim)
    missing = len(missing_facts(facts, [find_facts(reference.text)], reference.text)) if facts.count else 0
    lengths = sum(map(len, wanted)) or 1
    return Features(
        best_cosine=float(cosines.max()),
        window_cosine=float(window_cosines.max()),
        centre_cosine=float(centre @ claim_vector / max(1e-9, float(np.linalg.norm(centre)))),
        mean_cosine=float(mean @ claim_vector),
        word_recall=_share(wanted, found),
        long_word_recall=sum(map(len, wanted & found)) / lengths if wanted else 1.0,
        piece_word_recall=_share(wanted, near),
        window_word_recall=_share(wanted, set(around)),
        best_word_recall=max(_share(wanted, set(content_words(span))) for span in reference.windows),
        bigram_recall=_share(_bigrams(words), _bigrams(known)),
        window_bigram_recall=_share(_bigrams(words), _bigrams(around)),
        gram_recall=_share(_grams(claim), _grams(reference.text)),
        window_gram_recall=_share(_grams(claim), _grams(window)),
        subsequence=LCSseq.similarity(words, around) / max(1, len(words)),
        longest_gap=_longest_gap(words, found) / max(1, len(words)),
        name_recall=_share(_names(claim), set(re.findall(r"\w+", reference.text.lower()))),
        window_name_recall=_share(_names(claim), set(re.findall(r"\w+", window.lower()))),
        fact_recall=1.0 - missing / facts.count if facts.count else 1.0,
        negation_differs=float(has_negation(claim) != has_negation(window)),
        contradicted=float(contradicts(claim, piece)),
        length_ratio=min(2.0, len(words) / max(1, len(around))),
        claim_length=math.log(len(words) + 1),
        reference_length=math.log(len(known) + 1),
    )


def probability(found: Features) -> float:
    """The probability that the reference supports the claim, 0 to 1."""
    values, model = astuple(found), _load_model()
    score = model.bias + sum(_leaf(tree, values) for tree in model.trees)
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, score))))


def choose_pieces(claim: str, pieces: Sequence[str]) -> list[str]:
    """The sentences of a long reference that share most words with the claim, in their order."""
    if len(pieces) <= MOST_PIECES:
        return list(pieces)
    words = set(content_words(claim))
    best = sorted(range(len(pieces)), key=lambda i: -len(words & set(content_words(pieces[i]))))[:MOST_PIECES]
    return [pieces[i] for i in sorted(best)]


@dataclass(frozen=True, slots=True)
class _Node:
    """A split (values[feature] <= threshold goes left) or, where feature is -1, a leaf."""

    feature: int
    threshold: float
    left: int
    right: int
    value: float


@dataclass(frozen=True, slots=True)
class _Model:
    """Boosted trees; the logit is the bias plus one leaf of every tree."""

    bias: float
    trees: tuple[tuple[_Node, ...], ...]


@lru_cache(maxsize=1)
def _load_model() -> _Model:
    raw = json.loads(WEIGHTS.read_text("utf-8"))
    if raw["features"] != [field.name for field in fields(Features)]:
        raise ConfigError(f"{WEIGHTS} was fitted on other features. Run python -m evals.grounding PAIRS.jsonl anew.")
    return _Model(raw["bias"], tuple(tuple(_Node(*node) for node in tree) for tree in raw["trees"]))


def _leaf(tree: Sequence[_Node], values: Sequence[float]) -> float:
    node = tree[0]
    while node.feature >= 0:
        node = tree[node.left if values[node.feature] <= node.threshold else node.right]
    return node.value


def _names(text: str) -> set[str]:
    """Capitalised words that do not begin a sentence."""
    return {word.lower() for word in re.findall(r"(?<!^)(?<![.!?:] )\b[A-Z]\w+", text)}


def _bigrams(words: Sequence[str]) -> set[tuple[str, str]]:
    return set(pairwise(words))


def _grams(text: str) -> set[str]:
    plain = re.sub(r"\W+", " ", text.lower())
    return {plain[i : i + 4] for i in range(len(plain) - 3)}


def _longest_gap(words: Sequence[str], found: set[str]) -> int:
    longest = run = 0
    for word in words:
        run = 0 if word in found else run + 1
        longest = max(longest, run)
    return longest


def _share(wanted: set[_Item], found: set[_Item]) -> float:
    return len(wanted & found) / len(wanted) if wanted else 1.0
