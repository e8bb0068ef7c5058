"""knowledge/ to a new index version: read, chunk, embed what is new, write, check, switch."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from coach.catalogue.passages import catalogue_passages
from coach.catalogue.tables import Catalogue
from coach.domain import Embedder, Passage
from coach.errors import KnowledgeError
from coach.ingest.chunk import chunk_document, embedding_text, lexical_text
from coach.ingest.read import read_documents
from coach.retrieval import snapshot
from coach.store.embeddings import EmbeddingCache

CHUNKER = "headings-3"
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did. `embedded` counts the chunks and wordings that were new; `changed` is False when nothing differed."""

    version: str
    changed: bool
    documents: int
    passages: int
    embedded: int
    seconds: float
    pruned: tuple[str, ...] = ()


def build_index(
    index_dir: Path,
    embedder: Embedder,
    *,
    guides: Sequence[Path],
    catalogue: Catalogue,
    chunk_tokens: int,
    chroma_url: str = "",
    force: bool = False,
    wait_seconds: float = 0.0,
    progress: Progress = lambda step, done, total: None,
) -> BuildReport:
    """Make the index of the guides and the catalogue current.

    A second build of unchanged content changes nothing. `force` writes a new version anyway. Raises KnowledgeError
    when another build runs for longer than `wait_seconds`, or when content is refused.
    """
    started = time.perf_counter()
    index_dir.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(index_dir / "build.lock", timeout=wait_seconds):
            return _build(index_dir, embedder, guides, catalogue, chunk_tokens, chroma_url, force, progress, started)
    except Timeout as error:
        raise KnowledgeError("Another `coach index build` is running here. Wait until it has finished.") from error


def _build(
    index_dir: Path, embedder: Embedder, guides: Sequence[Path], catalogue: Catalogue, chunk_tokens: int,
    chroma_url: str, force: bool, progress: Progress, started: float,
) -> BuildReport:
    documents = read_documents(guides, progress)
    rows = catalogue_passages(catalogue)
    chunker = f"{CHUNKER}:{chunk_tokens}"
    hashes = {document.id: document.hash for document in documents} | _hash_rows(rows)
    current = _current_manifest(index_dir)
    if current and not force and (current.documents, current.fingerprint, current.chunker) == (
            hashes, embedder.fingerprint, chunker):
        return BuildReport(current.version, False, len(documents), current.passages, 0, time.perf_counter() - started)
    passages = [p for d in documents for p in chunk_document(d, embedder, chunk_tokens=chunk_tokens)] + rows
    if not passages:
        raise KnowledgeError("There is nothing to index: no readable document was found. Check knowledge_dir.")
    texts = [embedding_text(passage) for passage in passages]
    texts += [wording for passage in passages for wording in passage.asked_as]
    vectors, embedded = _embed(texts, embedder, index_dir.parent / "embeddings.sqlite", progress)
    progress("writing", 0, 1)
    manifest = snapshot.write_snapshot(
        index_dir, passages, [lexical_text(passage) for passage in passages], vectors, chroma_url=chroma_url,
        fingerprint=embedder.fingerprint, chunker=chunker, documents=hashes,
    )
    snapshot.switch_to(index_dir, manifest.version)
    pruned = snapshot.prune(index_dir)
    progress("writing", 1, 1)
    return BuildReport(manifest.version, True, len(documents), len(passages), embedded,
                       time.perf_counter() - started, tuple(pruned))


def _embed(texts: Sequence[str], embedder: Embedder, cache_path: Path, progress: Progress) -> tuple[np.ndarray, int]:
    cache = EmbeddingCache(cache_path)
    try:
        from coach.store.embeddings import key

        known = cache.load(texts, embedder)
        keys = [key(text, embedder) for text in texts]
        new = [position for position, k in enumerate(keys) if k not in known]
        # longest first: batches of like length waste no padding, and the time left is never underestimated
        new.sort(key=lambda position: -len(texts[position]))
        for start in range(0, len(new), 128):
            part = new[start : start + 128]
            part_texts = [texts[position] for position in part]
            vectors = embedder.embed_documents(part_texts)
            cache.save(part_texts, vectors, embedder)
            known.update(zip((keys[position] for position in part), vectors, strict=True))
            progress("embedding", start + len(part), len(new))
        return np.stack([known[k] for k in keys]).astype(np.float32), len(new)
    finally:
        cache.close()


def _hash_rows(rows: Sequence[Passage]) -> dict[str, str]:
    from hashlib import sha256

    return {row.id: sha256(f"{row.title}\0{row.heading}\0{row.text}\0{row.as_of}".encode()).hexdigest() for row in rows}


def _current_manifest(index_dir: Path) -> snapshot.Manifest | None:
    version = snapshot.current_version(index_dir)
    if version is None:
        return None
    try:
        return snapshot.read_manifest(index_dir / version)
    except KnowledgeError:
        return None
