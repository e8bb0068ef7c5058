"""Draft plus evidence to checked sentences: computed citations, the exact-fact gate, a support score."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from coach.domain import Citation, Passage, Sentence
from coach.verify.facts import Facts, contradicts, find_facts, missing_facts
from coach.verify.sentences import Span, split_sentences
from coach.verify.support import Features, Reference, choose_pieces, content_words, measure, probability

if TYPE_CHECKING:
    from coach.domain import Embedder, Vectors

__all__ = ["PreparedEvidence", "Span", "Verifier", "split_sentences"]

_MARKER = re.compile(r"\s*\[\d+(?:\s*,\s*\d+)*\]")
PASSAGES_TRIED = 4
LEAST_SHARED_WORDS = 0.4  # below it a claim is the model's own, whatever its embedding says


@dataclass(frozen=True, slots=True)
class PreparedEvidence:
    """The passages of one question, cut into spans of one or two sentences, embedded once."""

    passages: tuple[Passage, ...]
    spans: tuple[tuple[Span, ...], ...]
    references: tuple[Reference, ...]
    facts: tuple[Facts, ...]


class Verifier:
    """Checks drafted sentences against evidence. `names` are model and tool names that must be exact."""

    def __init__(self, embedder: Embedder, *, threshold: float = 0.5, names: Sequence[str] = ()) -> None:
        self._embedder = embedder
        self._threshold = threshold
        self._names = tuple(sorted(set(names), key=len, reverse=True))

    def prepare(self, passages: Sequence[Passage]) -> PreparedEvidence:
        """Cut and embed the evidence of one question."""
        usable = tuple(passage for passage in passages if split_sentences(passage.text))
        spans = tuple(tuple(split_sentences(passage.text)) for passage in usable)
        texts = [tuple(p.text[s.start : s.end] for s in cut) for p, cut in zip(usable, spans, strict=True)]
        references = self._embed([(f"{p.title} {p.heading} {p.text}", t) for p, t in zip(usable, texts, strict=True)])
        facts = tuple(find_facts(f"{p.title}. {p.heading}. {p.text}", self._names) for p in usable)
        return PreparedEvidence(usable, spans, tuple(references), facts)

    def check(self, draft: str, evidence: PreparedEvidence, *, question: str = "") -> Sentence | None:
        """The sentence with the span that supports it best, or None when nothing does.

        A marker [n] in the draft is a hint only and is not shown.
        """
        text = _clean(draft)
        if not text or not evidence.passages:
            return None
        vector = self._embedder.embed_documents([text])[0]
        wanted = find_facts(text, self._names)
        nearness = [float((reference.piece_vectors @ vector).max()) for reference in evidence.references]
        near = sorted(range(len(evidence.passages)), key=lambda number: -nearness[number])
        best: tuple[float, int, Span] | None = None
        for number in near[:PASSAGES_TRIED]:
            reference, passage = evidence.references[number], evidence.passages[number]
            if missing_facts(wanted, evidence.facts[number], reference.text):
                continue
            span = self._best_span(text, vector, reference, evidence.spans[number])
            cited = passage.text[span.start : span.end]
            around = f"{passage.title}. {passage.heading}. {cited}"
            if contradicts(text, cited) or set(wanted.names) - set(find_facts(around, self._names).names):
                continue
            found = measure(text, vector, reference)
            if found.word_recall < LEAST_SHARED_WORDS or not content_words(text):
                continue
            score = probability(found)
            if best is None or score > best[0]:
                best = (score, number, span)
        if best is None or best[0] < self._threshold:
            return None
        score, number, span = best
        citation = Citation(evidence.passages[number].id, span.start, span.end)
        return Sentence(text, (citation,), round(score, 3), "supported")

    def support(self, claim: str, references: Sequence[str]) -> float:
        """The probability that the references, taken together, support the claim, 0 to 1."""
        if not any(text.strip() for text in references):
            return 0.0
        return probability(self.measure_pairs([(claim, references)])[0])

    def measure_pairs(self, pairs: Sequence[tuple[str, Sequence[str]]]) -> list[Features]:
        """The features of (claim, references) pairs, embedded in one call."""
        texts = []
        for claim, references in pairs:
            pieces = [text[s.start : s.end] for text in references for s in split_sentences(text)] or list(references)
            texts.append((" ".join(references), choose_pieces(claim, pieces)))
        vectors = self._embedder.embed_documents([claim for claim, _ in pairs])
        return [measure(claim, vector, reference)
                for (claim, _), vector, reference in zip(pairs, vectors, self._embed(texts), strict=True)]

    def _embed(self, texts: Sequence[tuple[str, Sequence[str]]]) -> list[Reference]:
        """References of (whole text, its sentences), embedded in one call."""
        windows = [[f"{one} {two}" for one, two in zip(pieces, pieces[1:], strict=False)] for _, pieces in texts]
        flat = [text for (_, pieces), pairs in zip(texts, windows, strict=True) for text in (*pieces, *pairs)]
        vectors = self._embedder.embed_documents(flat)
        references, position = [], 0
        for (whole, pieces), pairs in zip(texts, windows, strict=True):
            middle, end = position + len(pieces), position + len(pieces) + len(pairs)
            cut = vectors[position:middle], vectors[middle:end]
            references.append(Reference(whole, tuple(pieces), tuple(pairs), *cut))
            position = end
        return references

    @staticmethod
    def _best_span(text: str, vector: Vectors, reference: Reference, spans: Sequence[Span]) -> Span:
        """The sentence that is nearest, or two neighbours when together they hold clearly more of the claim's words."""
        words = set(content_words(text))

        def held(span_text: str) -> float:
            return len(words & set(content_words(span_text))) / max(1, len(words))

        singles = reference.piece_vectors @ vector + 0.5 * np.array([held(piece) for piece in reference.pieces])
        one = int(singles.argmax())
        if not reference.windows:
            return spans[one]
        pairs = reference.window_vectors @ vector + 0.5 * np.array([held(window) for window in reference.windows])
        two = int(pairs.argmax())
        return Span(spans[two].start, spans[two + 1].end) if pairs[two] > singles[one] + 0.12 else spans[one]


def _clean(draft: str) -> str:
    text = re.sub(r"^\s*(?:[-*+]|\d+[.)])\s+", "", draft.strip())
    text = _MARKER.sub("", text).replace("**", "").strip()
    text = re.sub(r"\s+", " ", text)
    return text if text.endswith((".", "!", "?", ":")) else text + "."
