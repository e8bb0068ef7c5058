"""Quote mode: whole source sentences, picked and ordered so that they read like an answer. Needs no language model."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from coach.domain import Embedder, Passage, Vectors

MOST_SENTENCES = 6
LEAST_SENTENCES = 2
MOST_WORDS = 150
REDUNDANT_COSINE = 0.86
# A sentence must come this near to the best one to be added to the lead.
NEAR_BEST = 0.78
REPEATED_WORDS = 0.7
SHARED_WORDS_WEIGHT = 0.15
RANK_BONUS = 0.08
# A heading about 8 GB does not answer a question about 4 GB, however near its words are.
OTHER_NUMBER_PENALTY = 0.1


class TextSpan(Protocol):
    """Characters start to end of a text."""

    @property
    def start(self) -> int:
        """First character."""
        ...

    @property
    def end(self) -> int:
        """One past the last character."""
        ...


@dataclass(frozen=True, slots=True)
class Quote:
    """passage.text[start:end], whole sentences; `paragraph` groups what is shown together."""

    passage: Passage
    start: int
    end: int
    paragraph: int

    @property
    def text(self) -> str:
        """The quoted words."""
        return self.passage.text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class _Candidate:
    passage: int
    sentence: int
    quote: Quote
    relevance: float
    in_lead: bool


def choose_quotes(
    question: str,
    question_vector: Vectors,
    passages: Sequence[Passage],
    embedder: Embedder,
    split: Callable[[str], Sequence[TextSpan]],
    *,
    compared: int = 0,
) -> list[Quote]:
    """Two to six sentences for a question.

    The passage that answers best gives its answer-first paragraph; then come sentences of the other passages (and of
    the same one) that are about as relevant and say something new. Relevance of a sentence is its cosine to the
    question, of a passage the cosine of its heading with its first paragraph, the words that its heading shares with
    the question (numbers count: 4 GB is not 8 GB), and its place in the search result. The first `compared` passages
    are the things that the question compares: each of them speaks.
    """
    usable = [passage for passage in passages if passage.text.strip()]
    if not usable:
        return []
    spans = [[(span.start, span.end) for span in split(passage.text)] for passage in usable]
    leads = [_lead(passage, spans[position]) for position, passage in enumerate(usable)]
    heads = [f"{passage.heading or passage.title}\n{passage.text[: leads[i][-1][1]] if leads[i] else passage.text[:300]}"
             for i, passage in enumerate(usable)]
    sentences = [(i, j, start, end) for i in range(len(usable)) for j, (start, end) in enumerate(spans[i])
                 if _quotable(usable[i].text[start:end])]
    texts = heads + [usable[i].text[start:end] for i, _, start, end in sentences]
    vectors = embedder.embed_documents(texts)
    words = _words(question)
    shared = [len(words & _words(f"{p.title} {p.heading}")) / max(1, len(words)) for p in usable]
    asked = _numbers(question)
    others = [bool(asked and (told := _numbers(p.heading)) and not asked & told) for p in usable]
    head_scores = (vectors[: len(heads)] @ question_vector + SHARED_WORDS_WEIGHT * np.array(shared)
                   - OTHER_NUMBER_PENALTY * np.array(others))
    best = int(np.argmax(head_scores + np.array([RANK_BONUS / (1 + position) for position in range(len(usable))])))
    sentence_vectors = vectors[len(heads):]
    scores = sentence_vectors @ question_vector

    if compared > 1:
        return _compare(usable[:compared], sentences, scores)
    chosen: list[tuple[int, Quote]] = []
    for row, (i, _, start, end) in enumerate(sentences):
        if i == best and (start, end) in leads[best]:
            chosen.append((row, Quote(usable[i], start, end, 0)))
    if not chosen:
        rows = [row for row, (i, *_) in enumerate(sentences) if i == best] or list(range(len(sentences)))
        if not rows:
            return []
        row = max(rows, key=lambda r: scores[r])
        i, _, start, end = sentences[row]
        chosen.append((row, Quote(usable[i], start, end, 0)))

    bar = NEAR_BEST * float(scores.max())
    lead_sets = [set(lead) for lead in leads]
    # A passage of one sentence is completed from its own document rather than left alone.
    single = sum(i == best for i, *_ in sentences) < LEAST_SENTENCES

    def worth(row: int) -> float:
        i, _, start, end = sentences[row]
        first = 0.05 if (start, end) in lead_sets[i] else 0.0
        return float(scores[row]) + 0.35 * float(head_scores[i]) + first

    for row in sorted(range(len(sentences)), key=worth, reverse=True):
        i, _, start, end = sentences[row]
        if len(chosen) >= MOST_SENTENCES - 1 or sum(len(q.text.split()) for _, q in chosen) >= MOST_WORDS:
            break
        if any(row == other for other, _ in chosen):
            continue
        at_home = i == best or (single and usable[i].document == usable[best].document)
        if float(scores[row]) < bar and not (len(chosen) < LEAST_SENTENCES and at_home):
            continue
        known = sentence_vectors[[other for other, _ in chosen]]
        text = usable[i].text[start:end]
        if float(np.max(known @ sentence_vectors[row])) > REDUNDANT_COSINE or repeats(text, [q.text for _, q in chosen]):
            continue
        if _reaches_back(text) and not any(q.passage is usable[i] and other == row - 1 for other, q in chosen):
            continue
        chosen.append((row, Quote(usable[i], start, end, 0 if i == best else 1)))
    return _ordered(chosen, best_passage=usable[best])


def _compare(
    things: Sequence[Passage], sentences: Sequence[tuple[int, int, int, int]], scores: Vectors
) -> list[Quote]:
    """The same number of sentences from each thing, the most relevant ones, in their own order."""
    share = max(2, MOST_SENTENCES // len(things))
    quotes = []
    for position, passage in enumerate(things):
        rows = [row for row, (i, *_) in enumerate(sentences) if i == position]
        for row in sorted(sorted(rows, key=lambda r: -scores[r])[:share]):
            quotes.append(Quote(passage, sentences[row][2], sentences[row][3], position))
    return quotes


def _ordered(chosen: Sequence[tuple[int, Quote]], best_passage: Passage) -> list[Quote]:
    """The best passage's sentences in their own order, then the others grouped by passage."""
    first = sorted((q for _, q in chosen if q.passage is best_passage), key=lambda q: q.start)
    rest = [q for _, q in chosen if q.passage is not best_passage]
    order = list(dict.fromkeys(q.passage.id for q in rest))  # the order in which relevance chose them
    rest.sort(key=lambda q: (order.index(q.passage.id), q.start))
    return first + rest


def _lead(passage: Passage, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The sentences of the answer-first paragraph, at most three."""
    end = passage.text.find("\n\n")
    end = len(passage.text) if end < 0 else end
    lead = [span for span in spans if span[1] <= end and _quotable(passage.text[span[0]:span[1]])]
    return lead[:3]


def _quotable(text: str) -> bool:
    """Whether a text is a whole sentence rather than a fragment, a heading, a table row or code."""
    words = text.split()
    return (4 <= len(words) <= 60 and text.rstrip()[-1:] in ".!?" and not text.lstrip().startswith(("|", "#", "```", ">"))
            and not text.rstrip().endswith("?") and not re.match(r"(Example|Note)\s*:", text))


def repeats(text: str, others: Sequence[str]) -> bool:
    """Whether most words of a sentence were said already."""
    words = _words(text)
    said = set().union(*(_words(other) for other in others))
    return len(words & said) / max(1, len(words)) > REPEATED_WORDS


def _reaches_back(text: str) -> bool:
    """Whether a sentence leans on the one before it."""
    body = re.sub(r"^\s*(?:[-*]|\d+\.)\s+", "", text)
    return bool(re.match(
        r"(This|That|These|Those|It|They|He|She|Such|Both|Either|Then|Also|But|So|However|Therefore|Thus|Instead|"
        r"Otherwise|And|Or|Yet|Here|There(?! (?:is|are))|The same|The (?:latter|former|first|second|third))\b", body))


def _numbers(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w.])\d+(?:[.,]\d+)*(?![\w.]*\w)", text))


def _words(text: str) -> set[str]:
    """Content words in lower case, plural s removed, and numbers."""
    words = re.findall(r"[a-z0-9][\w.+#-]*[\w+#]|\d", text.lower())
    return {word.rstrip("s") if len(word) > 3 else word for word in words} - _STOP


_STOP = set("a an the is are do doe i you my me to of in for and or what which how why who when where can should with it "
            "be on at by from need need does did will would there have has am best good".split())


def clean_quote(text: str) -> str:
    """A quoted list item without its bullet or number."""
    return re.sub(r"\s+", " ", re.sub(r"^\s*(?:[-*+]|\d+[.)])\s+", "", text)).strip()
