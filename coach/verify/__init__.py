"""Draft plus evidence to checked sentences: computed citations, the exact-fact gate, a support score."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from typing import TYPE_CHECKING

import numpy as np

from coach.domain import Citation, Passage, Sentence
from coach.verify.contrast import exaggerates, says_the_opposite
from coach.verify.facts import Facts, contradicts, find_facts, missing_facts, names_it
from coach.verify.sentences import Span, split_sentences, without_lead_in
from coach.verify.support import Features, Reference, choose_pieces, measure, probability
from coach.verify.words import content_words

if TYPE_CHECKING:
    from coach.domain import Embedder, Vectors

__all__ = ["PreparedEvidence", "Span", "Verifier", "split_sentences"]

PASSAGES_TRIED = 4
REMEMBERED = 500  # passages whose sentences stay embedded, about 40 KB each
WORDS_WEIGHT = 0.5  # of shared words beside the cosine when spans are ranked
FACTS_WEIGHT = 0.3  # of the exact facts that a span holds
LEAST_SHARED_WORDS = 0.4  # below it a claim is the model's own, whatever its embedding says
SECOND_SPAN_GAIN = 0.12  # how much better two spans must be than one

_MARKER = re.compile(r"\s*\[\d+(?:\s*,\s*\d+)*\]")
_PRONOUN = re.compile(r"(?:yes|no)?,?\s*(?:it|its|this|that|they|their|these|those|both)\b", re.I)


@dataclass(frozen=True, slots=True)
class PassageEvidence:
    """A passage, its sentences as spans and as a reference with vectors, and the facts it states."""

    passage: Passage
    spans: tuple[Span, ...]
    reference: Reference
    facts: Facts
    span_facts: tuple[Facts, ...]

    @property
    def about(self) -> str:
        """The title and the heading."""
        return f"{self.passage.title}. {self.passage.heading}."


@dataclass(frozen=True, slots=True)
class PreparedEvidence:
    """The passages of one question, cut into sentences and embedded once for all sentences of the answer."""

    passages: tuple[PassageEvidence, ...]


@dataclass(frozen=True, slots=True)
class _Candidate:
    support: float
    citations: tuple[Citation, ...]


class Verifier:
    """Checks drafted sentences against evidence. `names` are model and tool names that must be exact.

    `threshold` is the least support, 0 to 1, of a sentence that passes. `library` is the same embedder, which may remember
    what it embeds: it is asked for the sentences of documents and of the catalogue only.
    """

    def __init__(self, embedder: Embedder, *, threshold: float = 0.5, names: Sequence[str] = (),
                 library: Embedder | None = None) -> None:
        self._embedder = embedder
        self._library = library or embedder
        self._threshold = threshold
        self._names = tuple(sorted(set(names), key=lambda name: (-len(name), name)))
        self._prepared: dict[Passage, PassageEvidence] = {}

    def prepare(self, passages: Sequence[Passage]) -> PreparedEvidence:
        """Cut and embed the evidence of one question; passages that were seen lately are known already."""
        wanted = dict.fromkeys(replace(passage, score=0.0) for passage in passages)
        remembered = self._prepared  # another thread may put a newer one in its place
        known = {passage: remembered[passage] for passage in wanted if passage in remembered}
        new = [(passage, spans) for passage in wanted
               if passage not in known and (spans := tuple(split_sentences(passage.text)))]
        texts = [tuple(passage.text[s.start : s.end] for s in spans) for passage, spans in new]
        wholes = [f"{passage.title}. {passage.heading}. {passage.text}" for passage, _ in new]
        embedder = self._library if all(passage.is_public for passage, _ in new) else self._embedder
        references = _embed(embedder, list(zip(wholes, texts, strict=True))) if new else []
        for (passage, spans), reference in zip(new, references, strict=True):
            known[passage] = PassageEvidence(passage, spans, reference, find_facts(reference.text, self._names),
                                             tuple(find_facts(piece, self._names) for piece in reference.pieces))
        self._remember(known)
        return PreparedEvidence(tuple(known[passage] for passage in wanted if passage in known))

    def _remember(self, prepared: dict[Passage, PassageEvidence]) -> None:
        """Keep what the library says for the next question, never what a person handed in."""
        public = {passage: found for passage, found in prepared.items() if passage.is_public}
        recent = {passage: found for passage, found in self._prepared.items() if passage not in public} | public
        self._prepared = dict(islice(recent.items(), max(0, len(recent) - REMEMBERED), None))

    def check(
        self, draft: str, evidence: PreparedEvidence | Sequence[Passage], *, question: str = ""
    ) -> Sentence | None:
        """The sentence with the one or two spans that support it best, or None when nothing does.

        A marker [n] in the draft is a hint only: it is neither believed nor shown. `question` tells what "it" means.
        Pass the value of `prepare` when several sentences share their evidence.
        """
        prepared = evidence if isinstance(evidence, PreparedEvidence) else self.prepare(evidence)
        text = _clean(draft)
        if not content_words(text) or not prepared.passages:
            return None
        claim = self._claim(text, question)
        near = sorted(prepared.passages, key=lambda p: -float((p.reference.window_vectors @ claim.vector).max()))
        found = [candidate for passage in near[:PASSAGES_TRIED]
                 if (candidate := self._attribute(claim, passage))]
        best = max(found, key=lambda candidate: candidate.support, default=None)
        if best is None or best.support < self._threshold:
            return None
        return Sentence(text, best.citations, round(best.support, 3), "supported")

    def quote(self, passage: Passage, start: int, end: int) -> Sentence:
        """The words passage.text[start:end] as a sentence that cites itself."""
        return Sentence(" ".join(passage.text[start:end].split()), (Citation(passage.id, start, end),), 1.0, "quoted")

    def support(self, claim: str, references: Sequence[str]) -> float:
        """The probability that the references, taken together, support the claim, 0 to 1."""
        return self.support_batch([(claim, references)])[0]

    def support_batch(self, pairs: Sequence[tuple[str, Sequence[str]]]) -> list[float]:
        """The support of several (claim, references), embedded in one call; 0 where one of them is empty."""
        usable = [n for n, (claim, texts) in enumerate(pairs) if content_words(claim) and any(map(str.strip, texts))]
        scores = [0.0] * len(pairs)
        for number, found in zip(usable, self.measure_pairs([pairs[n] for n in usable]), strict=True):
            scores[number] = probability(found)
        return scores

    def measure_pairs(self, pairs: Sequence[tuple[str, Sequence[str]]]) -> list[Features]:
        """The features of (claim, references) pairs, embedded in one call; no pair may be without text."""
        texts = []
        for claim, references in pairs:
            pieces = [text[s.start : s.end] for text in references for s in split_sentences(text)]
            pieces = pieces or [text.strip() for text in references if text.strip()]
            texts.append((" ".join(references), choose_pieces(claim, pieces)))
        vectors = self._embedder.embed_documents([claim for claim, _ in pairs])
        return [measure(claim, vector, reference) for (claim, _), vector, reference in
                zip(pairs, vectors, _embed(self._embedder, texts), strict=True)]

    def _claim(self, text: str, question: str) -> _Claim:
        facts = find_facts(text, self._names)
        subjects = find_facts(question, self._names).known
        refers_back = bool(_PRONOUN.match(text)) and not facts.names and len(subjects) == 1
        vectors = self._embedder.embed_documents([text, f"{question} {text}"] if refers_back else [text])
        return _Claim(text, vectors[0], vectors[-1], facts, frozenset(content_words(text)),
                      subjects if refers_back else facts.known)

    def _attribute(self, claim: _Claim, own: PassageEvidence) -> _Candidate | None:
        """The best spans of one passage; two passages that state the facts only together support nothing."""
        spans = _best_spans(claim, own)
        if _is_denied(claim, own, spans):
            return None
        citations = tuple(Citation(own.passage.id, span.start, span.end) for span in spans)
        if _states(claim, own) and _names_stand_in(claim, own, spans):
            return _candidate(claim, own.reference, citations)
        return None


@dataclass(frozen=True, slots=True)
class _Claim:
    """A drafted sentence: its vector, the vector it is ranked by, its facts, words, and the models it is about."""

    text: str
    vector: Vectors
    ranking: Vectors
    facts: Facts
    words: frozenset[str]
    subjects: frozenset[str]


def _candidate(claim: _Claim, reference: Reference, citations: tuple[Citation, ...]) -> _Candidate | None:
    found = measure(claim.text, claim.vector, reference)
    return _Candidate(probability(found), citations) if found.word_recall >= LEAST_SHARED_WORDS else None


def _names_stand_in(claim: _Claim, evidence: PassageEvidence, spans: Sequence[Span]) -> bool:
    """Whether every name of the claim stands in what it cites: the spans, the title and the heading."""
    cited = " ".join(evidence.passage.text[span.start : span.end] for span in spans)
    return all(names_it(name, f"{evidence.about} {cited}") for name in claim.facts.names)


def _is_denied(claim: _Claim, evidence: PassageEvidence, spans: Sequence[Span]) -> bool:
    """Whether the passage says the contrary of the claim, or by far not as much."""
    cited_parts = [evidence.passage.text[span.start : span.end] for span in spans]
    cited = " ".join(cited_parts)
    return (any(contradicts(claim.text, text) for text in (*cited_parts, *evidence.reference.pieces))
            or exaggerates(claim.text, f"{evidence.about} {evidence.passage.text}")
            or says_the_opposite(claim.text, cited))


def _embed(embedder: Embedder, texts: Sequence[tuple[str, Sequence[str]]]) -> list[Reference]:
    """References of (whole text, its sentences), embedded in one call."""
    windows = [[f"{one} {two}" for one, two in pairwise(pieces)] or list(pieces) for _, pieces in texts]
    flat = [text for (_, pieces), pairs in zip(texts, windows, strict=True) for text in (*pieces, *pairs)]
    unique = list(dict.fromkeys(flat))
    row = {text: number for number, text in enumerate(unique)}
    vectors = embedder.embed_documents(unique)
    return [Reference(whole, tuple(pieces), tuple(pairs), vectors[[row[text] for text in pieces]],
                      vectors[[row[text] for text in pairs]])
            for (whole, pieces), pairs in zip(texts, windows, strict=True)]


def _best_spans(claim: _Claim, evidence: PassageEvidence) -> tuple[Span, ...]:
    """The nearest sentence; two neighbours, or two apart, when together they hold clearly more of the claim."""
    reference, spans = evidence.reference, evidence.spans
    held = [_held(claim, [piece], [facts]) for piece, facts in zip(reference.pieces, evidence.span_facts, strict=True)]
    one = int((reference.piece_vectors @ claim.ranking + np.array(held)).argmax())
    if len(spans) == 1:
        return (spans[one],)
    gains = []
    for two in range(len(spans)):
        both = sorted((one, two))
        together = _held(claim, [reference.pieces[n] for n in both], [evidence.span_facts[n] for n in both])
        distance = 0.0 if abs(one - two) == 1 else 0.05  # neighbours read better
        gains.append(together - held[one] - distance if two != one else -1.0)
    two = int(np.argmax(gains))
    if gains[two] < SECOND_SPAN_GAIN:
        return (spans[one],)
    first, last = sorted((one, two))
    if last == first + 1:
        return (Span(spans[first].start, spans[last].end),)
    return (spans[one], spans[two])


def _held(claim: _Claim, pieces: Sequence[str], facts: Sequence[Facts]) -> float:
    """How much of the claim's words and exact facts the pieces hold, weighted."""
    words = claim.words & {word for piece in pieces for word in content_words(piece)}
    score = WORDS_WEIGHT * len(words) / max(1, len(claim.words))
    if claim.facts.count:
        missing = len(missing_facts(claim.facts, facts, " ".join(pieces)))
        score += FACTS_WEIGHT * (1.0 - missing / claim.facts.count)
    return score


def _states(claim: _Claim, evidence: PassageEvidence) -> bool:
    """Whether every exact fact of the claim stands in the passage, and its numbers belong to the models it names."""
    return not missing_facts(claim.facts, [evidence.facts], evidence.reference.text) and _is_about(claim, evidence)


def _is_about(claim: _Claim, evidence: PassageEvidence) -> bool:
    """Whether the passage says the claim's numbers of the model the claim is about, and not of another one.

    A sentence is about the models it names, else about those of the sentence before it, else about the title's.
    """
    if not all(names_it(name, evidence.reference.text) for name in claim.subjects):
        return False
    if len(claim.subjects) != 1 or not claim.facts.numbers:
        return True
    (subject,) = claim.subjects
    current, of_subject = evidence.about, [find_facts(evidence.about)]
    for piece, facts in zip(evidence.reference.pieces, evidence.span_facts, strict=True):
        if facts.known:
            current = piece
        if names_it(subject, current):
            of_subject.append(facts)
    only_numbers = Facts(numbers=claim.facts.numbers)
    return not missing_facts(only_numbers, of_subject, "")


def _clean(draft: str) -> str:
    """The sentence without list mark, [n] markers, bold marks and talk about passages, with a full stop."""
    text = re.sub(r"^\s*(?:>\s*)?(?:[-*+]|\d{1,3}[.)])\s+", "", draft.strip())
    text = _MARKER.sub("", text).replace("**", "")
    text = without_lead_in(re.sub(r"\s+", " ", text).strip())
    return text if not text or text.rstrip("\"'”’)*_`").endswith((".", "!", "?", ":", "|", "…")) else text + "."
