"""What kind of request a text is, read off its likeness to example phrases: our field, outside it, or not to be helped with."""

from __future__ import annotations

import functools
import re
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from coach.skills.ridge import Ridge, fit_ridge
from coach.skills.router import load_phrases, normalise

if TYPE_CHECKING:
    from coach.domain import Embedder, Vectors

Unsafe = Literal["crisis", "deception", "harm", "leak"]
UNSAFE: tuple[Unsafe, ...] = ("crisis", "deception", "harm", "leak")
FIELD, OUTSIDE, PARTICULARS = "field", "outside", "particulars"
KINDS = (*UNSAFE, FIELD, OUTSIDE, PARTICULARS)
EXAMPLES = Path(__file__).with_name("kinds.yaml")
# Chosen by cross-validation over the examples: `python -m evals.calibrate screen`, evals/LOG.md.
RIDGE = 3.0
BALANCE = 0.75  # 0: every example weighs the same; 1: every kind does
NEIGHBOURS = 2
SURELY_UNSAFE = 0.8
"""Likeness from which a request is declined, whatever the documents hold."""
LIKELY_UNSAFE = 0.45
"""Likeness from which a request is declined as unsafe that the documents do not answer anyway."""
REMEMBERED = 256
LEAST_EXAMPLES_WITH_WORD = 2


@dataclass(frozen=True, slots=True)
class Screened:
    """How much a text is like each kind, about 0 to 1, and how much nearer it is to what is declined than to the field.

    `unsafe` is the likeness to all unsafe kinds together plus that distance; `kind` is the likeliest unsafe kind.
    """

    unsafe: float
    kind: Unsafe
    outside: float
    particulars: float


@dataclass(frozen=True, slots=True)
class _Fitted:
    """Scores of each kind, and the vectors of the examples, the unsafe ones apart."""

    ridge: Ridge
    unsafe: Vectors
    others: Vectors


class Screen:
    """Ridge regression onto the kinds from meaning (the embedding) and words, and the nearest examples beside it."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._fitted: _Fitted | None = None
        self._lock = threading.Lock()
        # A question is screened before its search, in it, and once more where nothing was found.
        self.screen = functools.lru_cache(maxsize=REMEMBERED)(self._screen)

    def _screen(self, text: str) -> Screened:
        """The whole text; of several sentences the least safe one counts, so that a harmless one hides nothing."""
        whole, *parts = self.screen_batch([text, *_sentences(text)])
        worst = max((whole, *parts), key=lambda one: one.unsafe)
        return Screened(worst.unsafe, worst.kind, whole.outside, whole.particulars)

    def screen_batch(self, texts: Sequence[str]) -> list[Screened]:
        """Each text as a whole, with one call of the embedder."""
        with self._lock:
            if self._fitted is None:
                texts_known, kinds = load_examples()
                self._fitted = fit(self._embedder.embed_queries([normalise(t) for t in texts_known]), texts_known, kinds)
        return judge(self._fitted, self._embedder.embed_queries([normalise(text) for text in texts]), texts)


def load_examples() -> tuple[list[str], list[str]]:
    """(phrases, their kinds) of kinds.yaml; requests for skills and plain questions of phrases.yaml are of the field."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    kinds: Mapping[str, Sequence[str]] = yaml.load(EXAMPLES.read_text("utf-8"), Loader=loader)
    pairs = [(text, FIELD) for phrases in load_phrases().values() for text in phrases]
    pairs += [(text, FIELD if kind == "harmless" else kind) for kind, phrases in kinds.items() for text in phrases]
    return [text for text, _ in pairs], [kind for _, kind in pairs]


def fit(vectors: Vectors, texts: Sequence[str], kinds: Sequence[str]) -> _Fitted:
    """The examples, with their vectors, learnt. Words of the field alone tell nothing and are left out."""
    import numpy as np

    words = [_words(text) for text in texts]
    counts = Counter(word for text, kind in zip(words, kinds, strict=True) if kind != FIELD for word in text)
    known = sorted(word for word, count in counts.items() if count >= LEAST_EXAMPLES_WITH_WORD)
    labels = [KINDS.index(kind) for kind in kinds]
    unsafe = np.array(labels) < len(UNSAFE)
    ridge = fit_ridge(vectors, words, labels, known, classes=len(KINDS), strength=RIDGE, balance=BALANCE)
    return _Fitted(ridge, vectors[unsafe], vectors[~unsafe])


def judge(fitted: _Fitted, vectors: Vectors, texts: Sequence[str]) -> list[Screened]:
    """What the fitted screen says of texts with their vectors."""
    scores = fitted.ridge.score(vectors, [_words(text) for text in texts])
    nearer = _nearest(vectors, fitted.unsafe) - _nearest(vectors, fitted.others)
    return [
        Screened(float(row[: len(UNSAFE)].sum() + near), UNSAFE[int(row[: len(UNSAFE)].argmax())],
                 float(row[KINDS.index(OUTSIDE)]), float(row[KINDS.index(PARTICULARS)]))
        for row, near in zip(scores, nearer, strict=True)
    ]


def _nearest(vectors: Vectors, examples: Vectors) -> Vectors:
    """The mean cosine of the nearest examples, shape (len(vectors),)."""
    import numpy as np

    nearest: Vectors = np.sort(vectors @ examples.T, axis=1)[:, -NEIGHBOURS:].mean(axis=1)
    return nearest


def _words(text: str) -> set[str]:
    """Words and pairs of neighbours."""
    words = re.findall(r"[a-z']+", normalise(text).lower())
    return {*words, *(f"{one} {other}" for one, other in pairwise(words))}


def _sentences(text: str) -> list[str]:
    """The sentences of a text that has several."""
    parts = [part.strip() for part in re.split(r"(?<=[.!?])\s+|\n+", text) if len(part.split()) > 2]
    return parts[:20] if len(parts) > 1 else []
