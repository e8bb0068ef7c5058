"""The knowledge index on disk: immutable, versioned snapshots of Chroma + BM25 behind one pointer file.

    <data>/index/CURRENT                 the version in force (replaced by atomic rename)
    <data>/index/<version>/manifest.json what is inside, checksums included; written last
                          /passages.jsonl  /vectors.npy  /chroma/  /bm25/
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from coach.domain import Passage, Source
from coach.errors import ConfigError, KnowledgeError

if TYPE_CHECKING:
    from coach.domain import Vectors

log = logging.getLogger(__name__)

POINTER = "CURRENT"
COLLECTION = "passages"
BATCH = 5000
KEPT_VERSIONS = 2


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot holds. `documents` maps a document id to its hash; `checksums` a file to its SHA-256."""

    version: str
    created: str
    fingerprint: str
    chunker: str
    passages: int
    documents: dict[str, str]
    checksums: dict[str, str]


class Snapshot:
    """One open version: passages in memory, Chroma for dense search, BM25 for lexical search. Read-only."""

    def __init__(self, folder: Path, *, chroma_url: str = "") -> None:
        self.folder = folder
        self.manifest = read_manifest(folder)
        self._check_files()
        self.passages = read_passages(folder / "passages.jsonl")
        self.position = {passage.id: row for row, passage in enumerate(self.passages)}
        stored: Vectors = np.load(folder / "vectors.npy", mmap_mode="r")
        self.vectors, self.wordings = stored[: len(self.passages)], stored[len(self.passages) :]
        self._rows = {id_: row for id_, row, _ in _entries(self.passages)}
        self.wording_rows = np.array(list(self._rows.values())[len(self.passages) :], dtype=np.int64)
        self._client, self.collection = _open_collection(folder, chroma_url, self.manifest.version, self.vectors[:1])
        import bm25s

        self.bm25 = bm25s.BM25.load(str(folder / "bm25"))
        self._stemmer = _stemmer()
        self.document_frequency = np.diff(self.bm25.scores["indptr"])

    @property
    def version(self) -> str:
        """The version's name."""
        return self.manifest.version

    def search_dense(self, vector: Vectors, count: int, where: dict[str, Any] | None = None) -> list[tuple[int, float]]:
        """(row, cosine) of the nearest passages, best first; a passage is as near as the nearest of its wordings.

        A version that was pruned while it is open has lost Chroma's files: the vectors in memory then answer, exactly
        and without the filter `where` (the caller filters again).
        """
        from chromadb.errors import ChromaError

        count = min(count, len(self.passages))
        entries = count * len(self._rows) // len(self.passages)
        try:
            found = self.collection.query(query_embeddings=vector.reshape(1, -1), n_results=entries, where=where,
                                          include=["distances"])
        except ChromaError as error:
            log.warning("Chroma could not search version %s (%s); searching its vectors in memory", self.version, error)
            cosines = np.asarray(self.vectors) @ vector
            np.maximum.at(cosines, self.wording_rows, np.asarray(self.wordings) @ vector)
            rows = np.argsort(-cosines, kind="stable")[: len(cosines) if where else count]
            return [(int(row), float(cosines[row])) for row in rows]
        nearest: dict[int, float] = {}
        for id_, distance in zip(found["ids"][0], found["distances"][0], strict=True):
            nearest.setdefault(self._rows[id_], 1.0 - float(distance))  # the nearest come first
        return list(nearest.items())[:count]

    def find(self, name: str) -> Passage | None:
        """The passage `document#section` by its id, or the first one of a document."""
        row = self.position.get(name)
        if row is None:
            row = next((row for row, passage in enumerate(self.passages) if passage.document == name), None)
        return None if row is None else self.passages[row]

    def cosine(self, row: int, vector: Vectors) -> float:
        """How near a passage, or the nearest of its wordings, is."""
        wordings = self.wordings[self.wording_rows == row]
        own = float(self.vectors[row] @ vector)
        return max(own, float(np.max(wordings @ vector))) if len(wordings) else own

    def search_lexical(self, query: str, count: int, allowed: np.ndarray | None = None) -> list[tuple[int, float]]:
        """(row, BM25 score) of the passages that share words with the query, best first."""
        tokens = [t for t in tokenize(query, self._stemmer) if t in self.bm25.vocab_dict]
        if not tokens:
            return []
        scores = self.bm25.get_scores(tokens)
        if allowed is not None:
            scores = np.where(allowed, scores, 0.0)
        count = min(count, len(scores))
        best = np.argpartition(-scores, count - 1)[:count]
        best = best[np.argsort(-scores[best], kind="stable")]
        return [(int(row), float(scores[row])) for row in best if scores[row] > 0]

    def stems(self, text: str) -> list[str]:
        """The text's words as BM25 sees them: lower case, stemmed, without stop words."""
        return tokenize(text, self._stemmer)

    def idf(self, stem: str) -> float:
        """ln((N + 1) / (df + 1)) of a stem: a word in every passage has 0, an unknown word ln(N + 1)."""
        token = self.bm25.vocab_dict.get(stem)
        frequency = int(self.document_frequency[token]) if token is not None and token < len(self.document_frequency) else 0
        return float(np.log((len(self.passages) + 1) / (frequency + 1)))

    def find_misplaced(self) -> list[str]:
        """The ids of passages and wordings whose vector does not find itself; empty when the index is whole."""
        missing: list[str] = []
        vectors = np.concatenate([self.vectors, self.wordings])
        names = list(self._rows)
        for start in range(0, len(vectors), 256):
            block = vectors[start : start + 256]
            found = self.collection.query(query_embeddings=block, n_results=min(5, len(vectors)), include=["distances"])
            for offset, (ids, distances) in enumerate(zip(found["ids"], found["distances"], strict=True)):
                own = names[start + offset]
                if own not in ids and not (distances and distances[-1] < 1e-4):
                    missing.append(own)
        return missing

    def close(self) -> None:
        """Release Chroma's files."""
        close = getattr(self._client, "close", None)
        if close:
            close()

    def _check_files(self) -> None:
        for name, expected in self.manifest.checksums.items():
            path = self.folder / name
            if not path.is_file() or _sha256(path) != expected:
                raise KnowledgeError(_damaged(path))


class SnapshotReader:
    """Opens the version the pointer names, and notices when the pointer moves. Safe to use from several threads."""

    def __init__(self, index_dir: Path, fingerprint: str, *, chroma_url: str = "") -> None:
        self.index_dir = index_dir
        self.fingerprint = fingerprint
        self.chroma_url = chroma_url
        self._lock = threading.Lock()
        self._open: Snapshot | None = None

    def current(self) -> Snapshot:
        """The snapshot in force. A question keeps the one it got until it is answered.

        Raises KnowledgeError when there is none, and ConfigError when it was built by another embedder.
        """
        with self._lock:
            while True:
                version = current_version(self.index_dir)
                if version is None:
                    raise KnowledgeError("There is no index yet. Run `coach index build`.")
                if self._open is not None and self._open.version == version:
                    return self._open
                try:
                    self._open = self._open_version(version)
                except (KnowledgeError, OSError, ValueError):
                    # Builds that followed each other closely may have pruned the version while it was being opened.
                    if current_version(self.index_dir) == version:
                        raise

    def _open_version(self, version: str) -> Snapshot:
        snapshot = Snapshot(self.index_dir / version, chroma_url=self.chroma_url)
        if snapshot.manifest.fingerprint != self.fingerprint:
            raise ConfigError(
                f"The index {version} was built with the embedder {snapshot.manifest.fingerprint!r}, the "
                f"settings name {self.fingerprint!r}. Run `coach index build`, or set the embedder back."
            )
        return snapshot


# -- writing ---------------------------------------------------------------------------------------------------------


def write_snapshot(
    index_dir: Path,
    passages: Sequence[Passage],
    texts: Sequence[str],
    vectors: Vectors,
    *,
    fingerprint: str,
    chunker: str,
    documents: dict[str, str],
    chroma_url: str = "",
) -> Manifest:
    """Write a new version in a folder of its own and check it; the pointer is not moved.

    `texts` are what BM25 indexes; `vectors` has shape (n, dim): a row for each passage, then one for each wording of each
    passage's `asked_as`, in their order. Raises KnowledgeError when a vector does not find itself afterwards.
    """
    version = _new_version(documents, fingerprint, chunker)
    folder = index_dir / version
    folder.mkdir(parents=True)
    with (folder / "passages.jsonl").open("w", encoding="utf-8") as file:
        for passage in passages:
            file.write(json.dumps(dataclasses.asdict(passage), ensure_ascii=False) + "\n")
    np.save(folder / "vectors.npy", np.asarray(vectors, dtype=np.float32))
    _write_bm25(folder / "bm25", texts)
    _write_chroma(folder, passages, vectors, chroma_url, version)
    # Chroma's own database file changes when it is opened; its vectors are checked by finding themselves. A lone vector
    # stays in that database (sync_threshold is at least 2), so that its HNSW files change too.
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "chroma.sqlite3"
             and (len(passages) > 1 or "chroma" not in p.relative_to(folder).parts)]
    manifest = Manifest(
        version=version, created=datetime.now(UTC).isoformat(timespec="seconds"), fingerprint=fingerprint,
        chunker=chunker, passages=len(passages), documents=documents,
        checksums={p.relative_to(folder).as_posix(): _sha256(p) for p in files},
    )
    _write_atomically(folder / "manifest.json", json.dumps(dataclasses.asdict(manifest), indent=1))
    snapshot = Snapshot(folder, chroma_url=chroma_url)
    misplaced = snapshot.find_misplaced()
    snapshot.close()
    if misplaced:
        shutil.rmtree(folder)
        raise KnowledgeError(f"{len(misplaced)} of {len(passages)} vectors were not found again after writing "
                             f"(first: {misplaced[0]}). The old version stays. Run `coach index build` once more.")
    return manifest


def switch_to(index_dir: Path, version: str) -> None:
    """Move the pointer by atomic rename."""
    _write_atomically(index_dir / POINTER, version + "\n")


def prune(index_dir: Path, keep: int = KEPT_VERSIONS) -> list[str]:
    """Delete unfinished folders and all versions but the one in force and the newest others; return what went."""
    current = current_version(index_dir)
    versions = [manifest.version for manifest in list_versions(index_dir)]
    kept = {current, *[v for v in reversed(versions) if v != current][: keep - 1]}
    gone = [path for path in index_dir.iterdir() if path.is_dir() and path.name not in kept]
    for path in gone:
        shutil.rmtree(path, ignore_errors=True)
    return [path.name for path in gone]


# -- reading ---------------------------------------------------------------------------------------------------------


def current_version(index_dir: Path) -> str | None:
    """The version the pointer names, or None when nothing was built yet."""
    try:
        return (index_dir / POINTER).read_text("utf-8").strip() or None
    except FileNotFoundError:
        return None


def list_versions(index_dir: Path) -> list[Manifest]:
    """The whole versions on disk, oldest first."""
    if not index_dir.is_dir():
        return []
    manifests = []
    for path in index_dir.iterdir():
        with contextlib.suppress(KnowledgeError):  # unfinished or damaged: no version that could be gone back to
            manifests.append(read_manifest(path))
    return sorted(manifests, key=lambda m: (m.created, m.version))


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a version. Raises KnowledgeError when it is missing or damaged."""
    try:
        return Manifest(**json.loads((folder / "manifest.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise KnowledgeError(f"{folder} is not a whole index version ({error}). Run `coach index build`.") from error


def read_passages(path: Path) -> list[Passage]:
    """The passages of a version in row order."""
    passages = []
    with path.open(encoding="utf-8") as file:
        for line in file:
            raw = json.loads(line)
            raw["references"] = tuple(Source(**reference) for reference in raw["references"])
            raw |= {name: tuple(raw.get(name, ())) for name in ("audience", "topics", "asked_as")}
            passages.append(Passage(**raw))
    return passages


def tokenize(text: str, stemmer: Any = None) -> list[str]:
    """Lower-case stems without English stop words; names such as `c++`, `scikit-learn` and `qwen3-0.6b` are kept whole
    and in parts."""
    import bm25s

    stemmer = stemmer or _stemmer()
    found = bm25s.tokenize([text], stopwords="en", stemmer=stemmer, return_ids=False, show_progress=False,
                           token_pattern=TOKEN)
    return list(found[0])


TOKEN = r"(?u)\b\w+(?:[.+#]+\w*)*[+#]*"


def _stemmer() -> Any:
    import Stemmer

    return Stemmer.Stemmer("english")


def _write_bm25(folder: Path, texts: Sequence[str]) -> None:
    import bm25s

    logging.getLogger("bm25s").setLevel(logging.WARNING)  # it switches its own debug messages on
    tokens = bm25s.tokenize(list(texts), stopwords="en", stemmer=_stemmer(), show_progress=False, token_pattern=TOKEN)
    index = bm25s.BM25(k1=1.2, b=0.75)
    index.index(tokens, show_progress=False)
    index.save(str(folder))


def _write_chroma(folder: Path, passages: Sequence[Passage], vectors: Vectors, chroma_url: str, version: str) -> None:
    client = _client(folder, chroma_url)
    entries = _entries(passages)
    rows = max(len(entries), 2)
    collection = client.create_collection(
        _collection_name(chroma_url, version), embedding_function=None,
        configuration={"hnsw": {"space": "cosine", "ef_construction": 200, "ef_search": 200, "max_neighbors": 32,
                                "sync_threshold": rows, "batch_size": min(rows, 1000)}},
    )
    for start in range(0, len(entries), BATCH):
        part = entries[start : start + BATCH]
        collection.add(
            ids=[id_ for id_, _, _ in part], embeddings=np.asarray(vectors[start : start + BATCH], dtype=np.float32),
            documents=[text for _, _, text in part], metadatas=[_metadata(passages[row]) for _, row, _ in part],
        )
    close = getattr(client, "close", None)
    if close:
        close()


def _entries(passages: Sequence[Passage]) -> list[tuple[str, int, str]]:
    """(Chroma's id, row of the passage, text) of each passage, then of each of their wordings: the vectors' order."""
    rows = list(enumerate(passages))
    return [(passage.id, row, passage.text) for row, passage in rows] + [
        (f"{passage.id}?{number}", row, wording)
        for row, passage in rows for number, wording in enumerate(passage.asked_as)]


def _metadata(passage: Passage) -> dict[str, Any]:
    row: dict[str, Any] = {"document": passage.document, "title": passage.title, "heading": passage.heading,
                           "kind": passage.kind, "as_of": passage.as_of}
    if passage.audience:
        row["audience"] = list(passage.audience)
    if passage.topics:
        row["topics"] = list(passage.topics)
    return row


def _open_collection(folder: Path, chroma_url: str, version: str, vectors: Vectors) -> tuple[Any, Any]:
    """The client and the collection, with its files open: a later prune does not stop who still asks this version."""
    from chromadb.errors import ChromaError

    try:
        client = _client(folder, chroma_url)
        collection = client.get_collection(_collection_name(chroma_url, version), embedding_function=None)
        collection.query(query_embeddings=np.asarray(vectors), n_results=1, include=["distances"])
        return client, collection
    except (ChromaError, ValueError) as error:
        raise KnowledgeError(_damaged(folder / "chroma" / "chroma.sqlite3", f" ({error})")) from error


def _client(folder: Path, chroma_url: str) -> Any:
    import chromadb
    from chromadb.config import Settings as ChromaSettings

    settings = ChromaSettings(anonymized_telemetry=False, allow_reset=False)
    if chroma_url:
        from urllib.parse import urlsplit

        url = urlsplit(chroma_url)
        return chromadb.HttpClient(host=url.hostname or "127.0.0.1", port=url.port or 8000, ssl=url.scheme == "https",
                                   settings=settings)
    return chromadb.PersistentClient(path=str(folder / "chroma"), settings=settings)


def _damaged(path: Path, why: str = "") -> str:
    return (f"The index file {path} is missing or damaged{why}. Run `coach index rollback` to use the version before, "
            "or `coach index build --force` to make a new one.")


def _collection_name(chroma_url: str, version: str) -> str:
    return f"{COLLECTION}-{version}" if chroma_url else COLLECTION


def _new_version(documents: dict[str, str], fingerprint: str, chunker: str) -> str:
    content = json.dumps([sorted(documents.items()), fingerprint, chunker]).encode()
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{hashlib.sha256(content).hexdigest()[:8]}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_atomically(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
