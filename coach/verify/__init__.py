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
from coach.verify.support import Features, features, probability

if TYPE_CHECKING:
    from coach.domain import Embedder, Vectors

__all__ = ["PreparedEvidence", "Span", "Verifier", "split_sentences"]

_MARKER = re.compile(r"\s*\[\d+(?:\s*,\s*\d+)*\]")


@dataclass(frozen=True, slots=True)
class PreparedEvidence:
    """The passages of one question, cut into spans of one or two sentences, embedded once."""

    passages: tuple[Passage, ...]
    spans: tuple[tuple[int, int, int], ...]
    texts: tuple[str, ...]
    vectors: Vectors
    facts: tuple[Facts, ...]


class Verifier:
    """Checks drafted sentences against evidence. `names` are model and tool names that must be exact."""

    def __init__(self, embedder: Embedder, *, threshold: float = 0.5, names: Sequence[str] = ()) -> None:
        self._embedder = embedder
        self._threshold = threshold
        self._names = tuple(sorted(set(names), key=len, reverse=True))

    def prepare(self, passages: Sequence[Passage]) -> PreparedEvidence:
        """Cut and embed the evidence of one question."""
        spans: list[tuple[int, int, int]] = []
        for number, passage in enumerate(passages):
            cuts = split_sentences(passage.text)
            spans += [(number, cut.start, cut.end) for cut in cuts]
            spans += [(number, one.start, two.end) for one, two in zip(cuts, cuts[1:], strict=False)]
        texts = tuple(passages[number].text[start:end] for number, start, end in spans)
        facts = tuple(find_facts(f"{p.title}. {p.heading}. {p.text}", self._names) for p in passages)
        return PreparedEvidence(tuple(passages), tuple(spans), texts, self._embedder.embed_documents(texts), facts)

    def check(self, draft: str, evidence: PreparedEvidence, *, question: str = "") -> Sentence | None:
        """The sentence with the span that supports it best, or None when nothing does.

        A marker [n] in the draft is a hint only and is not shown.
        """
        text = _clean(draft)
        if not text or not evidence.spans:
            return None
        vector = self._embedder.embed_documents([text])[0]
        cosines = evidence.vectors @ vector
        ranked = np.argsort(-cosines)[:12]
        best: tuple[float, int] | None = None
        wanted = find_facts(text, self._names)
        for row in (int(r) for r in ranked):
            number, _, _ = evidence.spans[row]
            passage = evidence.passages[number]
            whole = f"{passage.title} {passage.heading} {passage.text}"
            if contradicts(text, evidence.texts[row]) or missing_facts(wanted, evidence.facts[number], whole):
                continue
            score = probability(features(text, [evidence.texts[row]], float(cosines[row]), passage.text,
                                         float(cosines[row])))
            # a single sentence is preferred to a window that contains it
            score -= 0.01 * (len(evidence.texts[row]) > 1.6 * len(text))
            if best is None or score > best[0]:
                best = (score, row)
        if best is None or best[0] < self._threshold:
            return None
        number, start, end = evidence.spans[best[1]]
        citation = Citation(evidence.passages[number].id, start, end)
        return Sentence(text, (citation,), round(float(best[0]), 3), "supported")

    def support(self, claim: str, references: Sequence[str]) -> float:
        """The probability that the references support the claim, 0 to 1."""
        pieces = [reference[span.start : span.end] for reference in references for span in split_sentences(reference)]
        pieces = pieces or list(references)
        vectors = self._embedder.embed_documents([claim, *pieces, "\n".join(references)[:2000]])
        cosines = vectors[1:] @ vectors[0]
        best = int(np.argmax(cosines[:-1]))
        found: Features = features(claim, [pieces[best]], float(cosines[best]), "\n".join(references), float(cosines[-1]))
        return probability(found)


def _clean(draft: str) -> str:
    text = re.sub(r"^\s*(?:[-*+]|\d+[.)])\s+", "", draft.strip())
    text = _MARKER.sub("", text).replace("**", "").strip()
    text = re.sub(r"\s+", " ", text)
    return text if text.endswith((".", "!", "?", ":")) else text + "."
