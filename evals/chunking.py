"""Chunking quality in the style of Chroma's chunking_evaluation: recall, precision and IoU over characters.

Source of the measure: Smith and Troynikov, "Evaluating Chunking Strategies for Retrieval", Chroma, 2024, and its code
(`chunking_evaluation/evaluation_framework/base_evaluation.py`). All corpora share one index; five chunks a question.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from coach.domain import Embedder, Passage
from coach.errors import ConfigError
from coach.ingest.read import Document
from coach.retrieval.search import Arm, rank
from evals.retrieval import Index, index_documents, read_jsonl

ARMS: tuple[Arm, ...] = ("dense", "hybrid")
RETRIEVED = 5
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class SpanQuestion:
    """A question and the character spans of its corpus that answer it."""

    text: str
    corpus: str
    references: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Overlap:
    """One question's scores, each 0 to 1."""

    recall: float
    precision: float
    iou: float


def evaluate(
    folder: Path, embedder: Embedder, *, chunk_tokens: int = 200, retrieved: int = RETRIEVED,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, dict[str, float]]:
    """arm → recall, precision and iou with their standard deviations, in percent as published, and counts."""
    documents = load_corpora(folder)
    questions = load_questions(folder / "questions.jsonl", {document.id for document in documents})
    with tempfile.TemporaryDirectory(prefix="coach-eval-") as temporary:
        index = index_documents(Path(temporary), documents, embedder, chunk_tokens=chunk_tokens, progress=progress)
        found = {arm: score_questions(index, questions, embedder, arm=arm, retrieved=retrieved) for arm in ARMS}
        sizes = [len(passage.text) for passage in index.snapshot.passages]
        index.snapshot.close()
    return {arm: {**summarise(scores), "questions": len(questions), "chunks": len(sizes),
                  "chunk_characters": round(statistics.fmean(sizes), 1)} for arm, scores in found.items()}


def load_corpora(folder: Path) -> list[Document]:
    """corpora/*.md as documents whose spans are those of the file; they carry no title, as in the published runs."""
    paths = sorted((folder / "corpora").glob("*.md"))
    if not paths:
        raise ConfigError(f"{folder / 'corpora'} holds no *.md.")
    return [Document(path.stem, "", path.read_bytes().decode("utf-8"), "chunking") for path in paths]


def load_questions(path: Path, corpora: set[str]) -> list[SpanQuestion]:
    """The questions whose corpus is there."""
    rows = read_jsonl(path)
    questions = [SpanQuestion(row["question"], row["corpus_id"],
                              tuple((int(r["start_index"]), int(r["end_index"])) for r in row["references"]))
                 for row in rows if row["corpus_id"] in corpora]
    if not questions:
        raise ConfigError(f"{path} asks nothing about the corpora {', '.join(sorted(corpora))}.")
    return questions


def score_questions(
    index: Index, questions: Sequence[SpanQuestion], embedder: Embedder, *, arm: Arm, retrieved: int = RETRIEVED
) -> list[Overlap]:
    """The overlap of each question's best chunks with its references."""
    vectors = embedder.embed_queries([question.text for question in questions])
    scores = []
    for question, vector in zip(questions, vectors, strict=True):
        ranked = rank(index.snapshot, question.text, vector, arm=arm)[:retrieved]
        scores.append(score_overlap(question, [index.snapshot.passages[row] for row, _ in ranked], index.ids))
    return scores


def score_overlap(question: SpanQuestion, chunks: Sequence[Passage], ids: Sequence[str]) -> Overlap:
    """Recall, precision and IoU over characters; a chunk of another corpus counts as retrieved and not relevant."""
    own = [(chunk.start, chunk.end) for chunk in chunks if ids[int(chunk.document)] == question.corpus]
    hits = [(max(start, left), min(end, right)) for left, right in question.references for start, end in own
            if max(start, left) < min(end, right)]
    hit = covered(hits)
    wanted = sum(right - left for left, right in question.references)
    shown = sum(chunk.end - chunk.start for chunk in chunks)
    missed = covered(list(question.references)) - hit
    return Overlap(hit / wanted if wanted else 0.0, hit / shown if shown else 0.0,
                   hit / (shown + missed) if shown + missed else 0.0)


def covered(spans: Sequence[Span]) -> int:
    """Characters in the union of spans."""
    total, reach = 0, -1
    for start, end in sorted(spans):
        total += max(0, end - max(start, reach))
        reach = max(reach, end)
    return total


def summarise(scores: Sequence[Overlap]) -> dict[str, float]:
    """Means and standard deviations in percent."""
    summary: dict[str, float] = {}
    for name in ("recall", "precision", "iou"):
        values = [100 * float(getattr(score, name)) for score in scores]
        summary[name] = round(statistics.fmean(values), 2)
        summary[f"{name}_std"] = round(statistics.pstdev(values), 2)
    return summary
