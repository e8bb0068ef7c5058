"""Passages that come with a question (the notes of a Discord server) take their place in the evidence and stay in memory."""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from coach.retrieval.search import Evidence, score_evidence, word_coverage

if TYPE_CHECKING:
    from coach.domain import Embedder, Passage, Vectors
    from coach.retrieval.snapshot import Snapshot

LEAST_SCORE = 0.5
"""Evidence score from which a passage of one's own is used: what the library needs to be used at all."""
NEUTRAL_LIKENESS = 0.2
"""A note may hold what no guide does, so it does not count what kind of thing is asked for."""
_VECTORS_KEPT = 5000


class OwnPassages:
    """Ranks passages that only one question may see. Vectors are remembered by content, never written to disk."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._vectors: OrderedDict[bytes, Vectors] = OrderedDict()
        self._lock = threading.Lock()

    def add_to(
        self, evidence: Evidence, own: Sequence[Passage], question: str, snapshot: Snapshot, *, count: int
    ) -> Evidence:
        """The evidence with those of `own` that answer the question by themselves, before the library's passages.

        They take at most half of the `count` places. What the question compares by name stays first.
        """
        if not own:
            return evidence
        cosines = self._embed(own) @ evidence.query_vector
        scored = []
        for passage, cosine in zip(own, cosines, strict=True):
            coverage, missing = word_coverage(snapshot, question, (passage,))
            alone = dataclasses.replace(evidence, cosine=float(cosine), word_coverage=coverage, missing_names=missing,
                                        outside=NEUTRAL_LIKENESS, particulars=NEUTRAL_LIKENESS)
            scored.append((score_evidence(alone), float(cosine), passage))
        best = sorted((one for one in scored if one[0] >= LEAST_SCORE), key=lambda one: -one[0])[: max(1, count // 2)]
        if not best:
            return evidence
        chosen = tuple(dataclasses.replace(passage, score=score) for score, _, passage in best)
        compared, others = evidence.passages[: evidence.compared], evidence.passages[evidence.compared :]
        passages = (*compared, *chosen, *others)[: max(count, len(compared) + len(chosen))]
        coverage, missing = word_coverage(snapshot, question, passages)
        return dataclasses.replace(
            evidence, passages=passages, cosine=max(evidence.cosine, *(cosine for _, cosine, _ in best)),
            word_coverage=max(coverage, evidence.word_coverage),
            missing_names=tuple(name for name in evidence.missing_names if name in missing),
            outside=min(evidence.outside, NEUTRAL_LIKENESS), particulars=min(evidence.particulars, NEUTRAL_LIKENESS),
        )

    def _embed(self, passages: Sequence[Passage]) -> Vectors:
        texts = [f"{passage.title}\n{passage.heading}\n{passage.text}" for passage in passages]
        keys = [hashlib.sha256(text.encode()).digest() for text in texts]
        with self._lock:
            known = {key: self._vectors[key] for key in keys if key in self._vectors}
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if new:
            known.update(zip(new, self._embedder.embed_documents(list(new.values())), strict=True))
        with self._lock:
            for key in keys:
                self._vectors[key] = known[key]
                self._vectors.move_to_end(key)
            while len(self._vectors) > _VECTORS_KEPT:
                self._vectors.popitem(last=False)
        return np.stack([known[key] for key in keys])
