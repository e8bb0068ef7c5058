"""Questions to evidence: dense and lexical search, fusion, near-duplicate removal, evidence score."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from coach.domain import Message, Passage

if TYPE_CHECKING:
    from coach.domain import Embedder, Vectors
    from coach.retrieval.snapshot import Snapshot

# Share of the dense arm in the fused score; see `fuse` for what was measured.
DENSE_WEIGHT = 0.55
CANDIDATES = 100
NEAR_DUPLICATE_COSINE = 0.97
# Rows of the catalogue repeat one form of words hundreds of times: a guide on the subject reads better.
ROWS = ("catalogue/roles/", "catalogue/skills/", "catalogue/questions/")
ROW_WEIGHT = 0.8
Arm = Literal["dense", "bm25", "hybrid"]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which passages may be found; an empty field allows all."""

    kinds: tuple[str, ...] = ()
    audience: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()

    def allows(self, passage: Passage) -> bool:
        """Whether the passage has one of the values asked for in every field."""
        return (
            (not self.kinds or passage.kind in self.kinds)
            and (not self.audience or not passage.audience or bool(set(self.audience) & set(passage.audience)))
            and (not self.topics or bool(set(self.topics) & set(passage.topics)))
            and (not self.documents or passage.document in self.documents)
        )


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a question found. The first `compared` passages are the things that the question names to be compared.

    `outside` and `particulars` say how much the question itself is like ones outside the field, and like ones about a
    firm, a person or a day that guides seldom hold; coach/skills/screen.py measures them.
    """

    passages: tuple[Passage, ...]
    cosine: float
    word_coverage: float
    missing_names: tuple[str, ...]
    query_vector: Vectors
    version: str
    compared: int = 0
    outside: float = 0.0
    particulars: float = 0.0


def search(
    snapshot: Snapshot,
    embedder: Embedder,
    question: str,
    *,
    count: int,
    history: Sequence[Message] = (),
    only: Filter | None = None,
    arm: Arm = "hybrid",
    synonyms: Sequence[str] = (),
    first: Sequence[str] = (),
    explained: frozenset[str] = frozenset(),
) -> Evidence:
    """Find the passages for a question, best first, at most `count`; a follow-up is searched with its context.

    `synonyms` are other names of what the question names ("ML engineer": "machine learning engineer") and are searched
    with it; `explained` are the names that they stand for, so that their absence is no gap; `first` are ids of passages
    that must come first, such as the catalogue rows of the models that the question compares.
    """
    query = contextual_query(question, history)
    vector = embedder.embed_queries([" ".join((query, *synonyms))])[0]
    ranked = rank(snapshot, " ".join((query, *synonyms)), vector, count=max(CANDIDATES, count), only=only, arm=arm)
    ranked = [(row, score * (ROW_WEIGHT if snapshot.passages[row].id.startswith(ROWS) else 1.0)) for row, score in ranked]
    ranked.sort(key=lambda item: -item[1])
    named = [(snapshot.position[id_], 1.0) for id_ in first if id_ in snapshot.position][:count]
    others = [item for item in ranked if item[0] not in {row for row, _ in named}]
    chosen = remove_near_duplicates(snapshot, others, count, kept=named)
    passages = tuple(dataclasses.replace(snapshot.passages[row], score=score) for row, score in chosen)
    cosine = max((snapshot.cosine(row, vector) for row, _ in chosen), default=0.0)
    coverage, missing = word_coverage(snapshot, query if history else question, passages, explained)
    return Evidence(passages, cosine, coverage, missing, vector, snapshot.version, len(named))


def rank(
    snapshot: Snapshot,
    query: str,
    vector: Vectors,
    *,
    count: int = CANDIDATES,
    only: Filter | None = None,
    arm: Arm = "hybrid",
) -> list[tuple[int, float]]:
    """(row, score) of one arm, best first, at most `count`; see `fuse` for the scores of the hybrid arm."""
    allowed = None
    where = None
    if only is not None:
        allowed = np.array([only.allows(passage) for passage in snapshot.passages])
        where = _where(only)
    depth = max(count, CANDIDATES)
    dense = [] if arm == "bm25" else snapshot.search_dense(vector, depth, where)
    if allowed is not None:
        dense = [(row, score) for row, score in dense if allowed[row]]
    lexical = [] if arm == "dense" else snapshot.search_lexical(query, depth, allowed)
    if arm == "dense":
        return dense[:count]
    if arm == "bm25":
        return lexical[:count]
    return fuse(dense, lexical)[:count]


def fuse(
    dense: Sequence[tuple[int, float]], lexical: Sequence[tuple[int, float]], *, dense_weight: float = DENSE_WEIGHT
) -> list[tuple[int, float]]:
    """Both arms' scores, standardised and added with weights: (row, score), best first, scores from 0 up.

    A convex combination (Bruch, Gai, Ingber, ACM TOIS 2023) instead of reciprocal rank fusion, which throws the scores'
    distances away. Measured against it (k = 60): Cranfield nDCG@10 .420 to .408, Chroma's chunking questions recall
    91.6 to 89.5 (evals/LOG.md). A row that an arm did not find counts as that arm's last.
    """
    scores: dict[int, float] = {}
    for ranking, weight in ((dense, dense_weight), (lexical, 1.0 - dense_weight)):
        for row, score in _standardise(ranking):
            scores[row] = scores.get(row, 0.0) + weight * score
    return sorted(scores.items(), key=lambda item: -item[1])


def _standardise(ranking: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Scores as distances from the last one, in standard deviations; 1 where all are equal."""
    if not ranking:
        return []
    values = np.array([score for _, score in ranking])
    spread = float(values.std())
    if spread < 1e-9:
        return [(row, 1.0) for row, _ in ranking]
    return [(row, float(value)) for (row, _), value in zip(ranking, (values - values.min()) / spread, strict=True)]


def remove_near_duplicates(
    snapshot: Snapshot, ranked: Sequence[tuple[int, float]], count: int, *, kept: Sequence[tuple[int, float]] = ()
) -> list[tuple[int, float]]:
    """`kept`, then the best of `ranked` up to `count`, leaving out those whose vector nearly equals an earlier one's."""
    chosen = list(kept)
    for row, score in ranked:
        if len(chosen) == count:
            break
        if chosen:
            others = np.asarray(snapshot.vectors[[other for other, _ in chosen]])
            if float(np.max(others @ snapshot.vectors[row])) > NEAR_DUPLICATE_COSINE:
                continue
        chosen.append((row, score))
    return chosen


# -- follow-up questions ---------------------------------------------------------------------------------------------

_REACHES_BACK = re.compile(
    r"\b(it|its|that|this|these|those|they|them|their|he|she|one|ones|there|same|instead|else|more|why|and|also|former|"
    r"latter|second|first|other|both|which (?:one|ones|is|are|of))\b", re.I)


def contextual_query(question: str, history: Sequence[Message]) -> str:
    """The question, preceded by the last question of the person when it cannot be understood alone.

    A question reaches back when it is short or begins by referring to something said before.
    """
    earlier = [message.content for message in history if message.role == "user"]
    if not earlier:
        return question
    words = re.findall(r"\w+", question)
    start = " ".join(words[:5])
    content = [word for word in words if len(word) > 3]
    if len(content) <= 2 or (len(words) <= 12 and _REACHES_BACK.search(start)):
        previous = contextual_query(earlier[-1], [Message("user", text) for text in earlier[:-1]][-1:])
        return f"{previous[-400:]} {question}"
    return question


# -- is there evidence? ----------------------------------------------------------------------------------------------


def word_coverage(
    snapshot: Snapshot, question: str, passages: Sequence[Passage], explained: frozenset[str] = frozenset()
) -> tuple[float, tuple[str, ...]]:
    """(IDF-weighted share of the question's words that one passage holds, names in the question found in none).

    Only passages that hold the question's rarest name count: what DeepMind pays is not answered by one passage that says
    DeepMind and another one that says pay.
    """
    known = {stem for name in explained for stem in snapshot.stems(name)}
    stems = [known.union(snapshot.stems(" ".join((p.title, p.heading, p.text, *p.topics, *p.asked_as)))) for p in passages]
    texts = [f"{p.title} {p.heading} {p.text}".lower() for p in passages]
    holders = {name: {row for row, text in enumerate(texts)
                      if name.lower() in text or set(snapshot.stems(name)) <= stems[row]}
               for name in proper_names(question)}
    missing = tuple(name for name, rows in holders.items() if not rows and not _is_known_term(snapshot, name))
    named = [name for name, rows in holders.items() if rows and name not in explained]
    subject = max(named, key=lambda name: max(map(snapshot.idf, snapshot.stems(name)), default=0.0), default="")
    rows = holders[subject] if subject else range(len(passages))
    wanted = {stem: snapshot.idf(stem) for stem in snapshot.stems(question)}
    total = sum(wanted.values())
    covered = max((sum(weight for stem, weight in wanted.items() if stem in stems[row]) for row in rows), default=0.0)
    return (covered / total if total else 0.0), missing


def _is_known_term(snapshot: Snapshot, name: str) -> bool:
    """Capitals such as HTTP that stand somewhere in the library are a term, not the name of somebody."""
    unknown = math.log(len(snapshot.passages) + 1)
    return name.isupper() and name.isalpha() and all(snapshot.idf(stem) < unknown - 1e-9 for stem in snapshot.stems(name))


NO_NAMES = frozenset({"I", "I'm", "I've", "I'd", "I'll", "Hi", "Hello", "Hey", "Please", "Thanks", "Thank", "Cheers"})


def proper_names(question: str) -> list[str]:
    """Words that look like names: capitalised within a sentence, or mixing letters with digits."""
    names = []
    shouted = question.isupper()  # where everything is capital, capitals mark no name
    for sentence in re.split(r"[.!?]\s+", question):
        words = re.findall(r"[\w'+#.-]*\w[+#]*", sentence)
        for position, word in enumerate(words):
            letters = re.sub(r"[^A-Za-z]", "", word)
            capitalised = position > 0 and word[:1].isupper() and not shouted and word not in NO_NAMES
            mixed = bool(letters) and any(c.isdigit() for c in word) and not re.fullmatch(r"\d+\w{1,2}", word)
            if (capitalised or mixed) and len(word) > 1:
                names.append(word.removesuffix("'s"))
    return names


def score_evidence(evidence: Evidence) -> float:
    """How likely the passages can answer the question: cosine, word coverage, missing names, and what is asked for.

    A logistic model fitted by `python -m evals.calibrate evidence`; its bias is set so that answers are seldom refused.
    """
    z = (EVIDENCE_WEIGHTS["bias"] + EVIDENCE_WEIGHTS["cosine"] * evidence.cosine
         + EVIDENCE_WEIGHTS["coverage"] * evidence.word_coverage
         + EVIDENCE_WEIGHTS["missing"] * count_missing(evidence.missing_names)
         + EVIDENCE_WEIGHTS["outside"] * evidence.outside + EVIDENCE_WEIGHTS["particulars"] * evidence.particulars)
    return 1.0 / (1.0 + math.exp(-z))


def count_missing(names: Sequence[str]) -> int:
    """Missing names, at most 2; one with a digit, a version, counts twice, as nothing else is meant by it."""
    return min(sum(2 if any(map(str.isdigit, name)) else 1 for name in names), 2)


def is_outside(evidence: Evidence) -> bool:
    """Whether a question that is not answered lies outside the field, not merely outside the documents."""
    return evidence.cosine < IN_FIELD_COSINE or evidence.outside > OUTSIDE_LIKENESS


EVIDENCE_WEIGHTS = {"bias": -4.95, "cosine": 12.21, "coverage": 4.31, "missing": -4.42, "outside": -5.45,
                    "particulars": -6.81}
IN_FIELD_COSINE = 0.405
OUTSIDE_LIKENESS = 0.5


def _where(only: Filter) -> dict[str, object] | None:
    clauses: list[dict[str, object]] = []
    if only.kinds:
        clauses.append({"kind": {"$in": list(only.kinds)}})
    if only.documents:
        clauses.append({"document": {"$in": list(only.documents)}})
    if len(clauses) > 1:
        return {"$and": clauses}
    return clauses[0] if clauses else None
