"""Retrieval quality on any BEIR folder, through the product's own chunker, snapshot and ranking."""

from __future__ import annotations

import csv
import dataclasses
import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from coach.domain import Embedder, Passage
from coach.errors import ConfigError
from coach.ingest.chunk import chunk_document, embedding_text
from coach.ingest.read import Document
from coach.retrieval.search import Arm, rank
from coach.retrieval.snapshot import Snapshot, write_snapshot

if TYPE_CHECKING:
    from coach.domain import Vectors

ARMS: tuple[Arm, ...] = ("dense", "bm25", "hybrid")
METRICS = ("ndcg@10", "recall@100", "mrr@10")
RUN_DEPTH = 100
# Several chunks of one document may stand among the best: look deeper than the run is long.
CHUNK_DEPTH = 300
EMBED_BATCH = 256
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Collection:
    """A BEIR folder: documents, the queries that have judgements, and the judgements (query, document, grade)."""

    name: str
    documents: tuple[Document, ...]
    queries: dict[str, str]
    judgements: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True, slots=True)
class Run:
    """One arm's ranking: query → ((document, score), …), best first."""

    arm: Arm
    rankings: dict[str, tuple[tuple[str, float], ...]]


@dataclass(frozen=True, slots=True)
class Index:
    """A snapshot in which passage.document is the position of the document in `ids`."""

    snapshot: Snapshot
    ids: tuple[str, ...]


def evaluate(
    folder: Path,
    embedder: Embedder,
    *,
    run_dir: Path | None = None,
    chunk_tokens: int = 200,
    progress: Progress = lambda done, total: None,
) -> dict[str, dict[str, float]]:
    """arm → metric → value; writes `<arm>.trec` per arm into `run_dir` when it is given."""
    collection = load_collection(folder)
    with tempfile.TemporaryDirectory(prefix="coach-eval-") as temporary:
        index = index_documents(
            Path(temporary), collection.documents, embedder, chunk_tokens=chunk_tokens, progress=progress
        )
        runs = rank_queries(index, collection.queries, embedder)
        index.snapshot.close()
    if run_dir is not None:
        run_dir.mkdir(parents=True, exist_ok=True)
        for run in runs:
            write_trec_run(run, run_dir / f"{run.arm}.trec")
    return {run.arm: score_run(run, collection.judgements) for run in runs}


def load_collection(folder: Path) -> Collection:
    """Read corpus.jsonl, queries.jsonl and qrels/*.tsv (test.tsv alone when there is one).

    Raises ConfigError naming the file, and the line, that is missing or cannot be read.
    """
    documents = tuple(_document(row) for row in read_jsonl(folder / "corpus.jsonl"))
    judgements = tuple(_read_judgements(folder / "qrels"))
    judged = {query for query, _, _ in judgements}
    queries = {
        str(row["_id"]): str(row["text"]) for row in read_jsonl(folder / "queries.jsonl") if str(row["_id"]) in judged
    }
    if not documents or not queries:
        raise ConfigError(
            f"{folder} has {len(documents)} documents and {len(queries)} judged queries: nothing to measure."
        )
    return Collection(folder.name, documents, queries, judgements)


def index_documents(
    folder: Path,
    documents: Sequence[Document],
    embedder: Embedder,
    *,
    chunk_tokens: int,
    progress: Progress = lambda done, total: None,
) -> Index:
    """Documents chunked, embedded and written as `coach index build` does it."""
    passages: list[Passage] = []
    for position, document in enumerate(documents):
        numbered = dataclasses.replace(document, id=str(position))
        passages += chunk_document(numbered, embedder, chunk_tokens=chunk_tokens)
    texts = [embedding_text(passage) for passage in passages]
    manifest = write_snapshot(
        folder,
        passages,
        texts,
        embed_all(texts, embedder, progress),
        fingerprint=embedder.fingerprint,
        chunker=f"eval:{chunk_tokens}",
        documents={},
    )
    return Index(Snapshot(folder / manifest.version), tuple(document.id for document in documents))


def embed_all(texts: Sequence[str], embedder: Embedder, progress: Progress = lambda done, total: None) -> Vectors:
    """Vectors of texts in their order, embedded longest first so that a batch wastes little padding."""
    order = sorted(range(len(texts)), key=lambda row: -len(texts[row]))
    vectors = np.zeros((len(texts), embedder.dim), dtype=np.float32)
    for start in range(0, len(order), EMBED_BATCH):
        rows = order[start : start + EMBED_BATCH]
        vectors[rows] = embedder.embed_documents([texts[row] for row in rows])
        progress(start + len(rows), len(order))
    return vectors


def rank_queries(index: Index, queries: dict[str, str], embedder: Embedder, *, arms: Sequence[Arm] = ARMS) -> list[Run]:
    """The ranking of each arm over all queries; a document stands where its best chunk stands."""
    names = list(queries)
    vectors = embedder.embed_queries([queries[name] for name in names])
    runs = []
    for arm in arms:
        rankings = {}
        for name, vector in zip(names, vectors, strict=True):
            ranked = rank(index.snapshot, queries[name], vector, count=CHUNK_DEPTH, arm=arm)
            rankings[name] = best_chunks(index, ranked)
        runs.append(Run(arm, rankings))
    return runs


def best_chunks(index: Index, ranked: Iterable[tuple[int, float]]) -> tuple[tuple[str, float], ...]:
    """Ranked chunk rows to (document, score of its best chunk), at most RUN_DEPTH."""
    best: dict[str, float] = {}
    for row, score in ranked:
        best.setdefault(index.ids[int(index.snapshot.passages[row].document)], score)
        if len(best) == RUN_DEPTH:
            break
    return tuple(best.items())


def score_run(run: Run, judgements: Sequence[tuple[str, str, int]]) -> dict[str, float]:
    """metric → mean over the judged queries (ir-measures; linear gain as in trec_eval)."""
    import ir_measures

    measures = _measures()
    found = ir_measures.calc_aggregate(list(measures.values()), _qrels(judgements), _scored(run))
    return {name: round(float(found[measure]), 4) for name, measure in measures.items()}


def score_each(run: Run, judgements: Sequence[tuple[str, str, int]]) -> dict[str, dict[str, float]]:
    """query → metric → value, for paired tests."""
    import ir_measures

    measures = _measures()
    names = {measure: name for name, measure in measures.items()}
    values: dict[str, dict[str, float]] = {}
    for item in ir_measures.iter_calc(list(measures.values()), _qrels(judgements), _scored(run)):
        values.setdefault(item.query_id, {})[names[item.measure]] = float(item.value)
    return values


def write_trec_run(run: Run, path: Path) -> None:
    """`query Q0 document rank score arm` per line: what trec_eval reads."""
    with path.open("w", encoding="utf-8") as file:
        for query, ranking in run.rankings.items():
            for position, (document, score) in enumerate(ranking):
                file.write(f"{query} Q0 {document} {position + 1} {score:.6f} {run.arm}\n")


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file. Raises ConfigError naming file and line."""
    if not path.is_file():
        raise ConfigError(f"{path} does not exist. Name the right folder or file.")
    rows = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    rows.append(json.loads(line))
                except ValueError as error:
                    raise ConfigError(f"{path}:{number} is not JSON ({error}).") from error
    return rows


def _document(row: dict[str, Any]) -> Document:
    title, text = str(row.get("title") or "").strip(), str(row.get("text") or "").strip()
    if title and text.startswith(title) and len(text) > len(title):
        text = text[len(title) :].lstrip(" .\n")  # some collections repeat the title in the text
    return Document(str(row["_id"]), title, text or title, "beir")


def _read_judgements(folder: Path) -> list[tuple[str, str, int]]:
    files = sorted(folder.glob("*.tsv"))
    files = [path for path in files if path.name == "test.tsv"] or files
    if not files:
        raise ConfigError(f"{folder} holds no *.tsv. A BEIR folder has qrels/test.tsv.")
    rows = []
    for path in files:
        with path.open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.reader(file, delimiter="\t"), 1):
                if len(row) >= 3 and not (number == 1 and not _is_number(row[-1])):
                    rows.append((row[0], row[-2], int(float(row[-1]))))
    return rows


def _is_number(text: str) -> bool:
    return text.strip().lstrip("+-").replace(".", "", 1).isdigit()


def _measures() -> dict[str, Any]:
    from ir_measures import RR, R, nDCG

    return {"ndcg@10": nDCG @ 10, "recall@100": R @ 100, "mrr@10": RR @ 10}


def _qrels(judgements: Sequence[tuple[str, str, int]]) -> list[Any]:
    import ir_measures

    return [ir_measures.Qrel(query, document, grade) for query, document, grade in judgements]


def _scored(run: Run) -> list[Any]:
    import ir_measures

    # equal scores are reordered by trec_eval: the rank is what counts
    return [
        ir_measures.ScoredDoc(query, document, float(RUN_DEPTH - position))
        for query, ranking in run.rankings.items()
        for position, (document, _) in enumerate(ranking)
    ]
