"""The one place where names in the settings become objects: open_coach(settings)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from coach.admission import Admission
from coach.capabilities import Capabilities, Routed
from coach.catalogue.tables import Catalogue, Grade
from coach.domain import Embedder
from coach.engines.embedded import EMBEDDED, ensure_embedded
from coach.engines.pool import NamedModels
from coach.engines.select import open_engine, plan_engine
from coach.engines.weights import find_weights
from coach.errors import ConfigError, EngineUnavailable
from coach.ingest.build import BuildReport, Progress, build_index
from coach.pipeline import Coach, Parts
from coach.retrieval.embedder import HashingEmbedder, RecallingEmbedder, SentenceTransformerEmbedder
from coach.retrieval.snapshot import SnapshotReader, current_version
from coach.settings import Settings, load_settings
from coach.skills.base import DoneStep, PracticeRecord
from coach.store.embeddings import EmbeddingCache, key
from coach.store.progress import Profiles, ProgressStore
from coach.store.sessions import Sessions
from coach.store.tables import Database
from coach.verify import Verifier

if TYPE_CHECKING:
    from coach.domain import Vectors
    from coach.pipeline import SkillRunner
    from coach.skills.base import SkillSpec

Report = Callable[[str, int, int], None]


def _silent(step: str, done: int, total: int) -> None:
    """Progress nobody watches."""


def open_coach(settings: Settings | None = None, *, progress: Report = _silent) -> Coach:
    """A coach that is ready to answer; makes the index when there is none yet.

    The embedded models are fetched on first use and `progress(step, done, total)` tells about it. Raises ConfigError,
    KnowledgeError or EngineError saying what to do.
    """
    settings = settings or load_settings()
    prepare_process(settings)
    catalogue = open_catalogue(settings)
    require_model(settings, catalogue)
    embedder = open_embedder(settings, progress=progress)
    if current_version(index_dir(settings)) is None:
        build(settings, embedder=embedder, catalogue=catalogue, progress=progress)
    skills, library = _register(), RecallingEmbedder(embedder)
    names = [name for model in catalogue.models.values() for name in (model.name, *model.aliases)]
    parts = Parts(
        settings=settings,
        catalogue=catalogue,
        reader=SnapshotReader(index_dir(settings), embedder.fingerprint, chroma_url=settings.chroma_url),
        embedder=embedder,
        library_embedder=library,
        verifier=Verifier(embedder, threshold=settings.support_threshold, names=names, library=library),
        open_engine=lambda: open_engine(settings, catalogue, progress),
        grade=lambda: model_grade(settings, catalogue),
        admission=Admission(settings.queue_size, settings.requests_per_minute),
        skills=skills,
        runner=_runner(settings, catalogue, embedder, skills, Database(settings.database)),
        models=NamedModels(settings, catalogue, progress),
        phrase_embedder=_Remembering(embedder, settings.data_dir / "embeddings.sqlite"),
    )
    return Coach(parts)


def build(
    settings: Settings, *, embedder: Embedder | None = None, catalogue: Catalogue | None = None, force: bool = False,
    progress: Progress = _silent, wait_seconds: float = 0.0,
) -> BuildReport:
    """Make the index current: `coach index build`."""
    return build_index(
        index_dir(settings), embedder or open_embedder(settings, progress=progress),
        guides=_places(settings), catalogue=catalogue or open_catalogue(settings), chunk_tokens=settings.chunk_tokens,
        chroma_url=settings.chroma_url, force=force, progress=progress, wait_seconds=wait_seconds,
    )


def open_catalogue(settings: Settings) -> Catalogue:
    """The tables of knowledge/catalogue."""
    return Catalogue(settings.knowledge_dir / "catalogue")


def open_embedder(settings: Settings, *, progress: Report = _silent) -> Embedder:
    """The embedder that the settings name; the embedded one is fetched when it is not there."""
    if settings.embedder == "hashing":
        return HashingEmbedder()
    if settings.embedder == "all-minilm-l6-v2":
        folder = ensure_embedded(settings.embedder, settings.data_dir, offline=settings.offline, progress=progress)
        return SentenceTransformerEmbedder(folder, dtype=settings.embedder_dtype)
    folder = Path(settings.embedder).expanduser()
    if not folder.is_dir():
        raise ConfigError(f"embedder {settings.embedder!r} is neither all-minilm-l6-v2, hashing, nor a folder.")
    return SentenceTransformerEmbedder(folder, dtype=settings.embedder_dtype)


def index_dir(settings: Settings) -> Path:
    """Where the versions of the index live."""
    return settings.data_dir / "index"


def model_grade(settings: Settings, catalogue: Catalogue) -> Grade:
    """The grade of the model in force, found without loading it."""
    plan = plan_engine(settings, catalogue)
    if plan.kind == "scripted":
        return Grade("write", "the scripted engine repeats the evidence")
    return plan.card.grade if plan.card else Grade("write", "a model that the catalogue does not know, not graded by us")


def require_model(settings: Settings, catalogue: Catalogue) -> None:
    """Raise EngineUnavailable when the settings name a model that is not at hand, instead of quoting silently."""
    if settings.model == "auto" or settings.mode == "quote":
        return
    plan = plan_engine(settings, catalogue)
    if plan.kind in ("huggingface", "llamacpp") and plan.weights is None and plan.model not in EMBEDDED:
        size = f" ({plan.card.weight_gib(16):.1f} GiB)" if plan.card else ""
        raise EngineUnavailable(f"{plan.model} is not at hand. Run `coach models pull {plan.model}`{size}.")


def prepare_process(settings: Settings) -> None:
    """Settings that libraries read from the environment of the process."""
    if settings.offline:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    if settings.threads:
        import torch

        torch.set_num_threads(settings.threads)


def _places(settings: Settings) -> Sequence[Path]:
    guides = settings.knowledge_dir / "guides"
    return (guides if guides.is_dir() else settings.knowledge_dir, *settings.extra_knowledge)


def _register() -> tuple[SkillSpec, ...]:
    from coach.skills import register

    return register()


def _runner(
    settings: Settings, catalogue: Catalogue, embedder: Embedder, skills: tuple[SkillSpec, ...], database: Database
) -> SkillRunner:
    from coach.skills.router import ASK, Router

    router = Router(_Remembering(embedder, settings.data_dir / "embeddings.sqlite"), skills, catalogue=catalogue)

    def route(text: str) -> Routed:
        found = router.route(text)
        # Between a skill and a plain question, answer the question: that is never wrong.
        between_skills = found.unsure and ASK not in (found.skill, found.runner_up)
        skill = ASK if found.unsure and not between_skills else found.skill
        return Routed(skill, found.slots, found.question if between_skills else "")

    return Capabilities(
        catalogue=catalogue, embedder=embedder, skills=skills, route=route, read_file=read_upload,
        runnable_models=lambda: tuple(card.id for card in catalogue.models.values() if find_weights(card, settings)),
        profiles=Profiles(Sessions(database)), progress=_Progress(ProgressStore(database)),
    )


def read_upload(content: bytes, name: str) -> str:
    """The text of a resume or an advertisement, read in a throw-away process with limits."""
    from coach.skills.resume import parse

    return parse(content, name).text


class _Progress:
    """Done steps and graded answers: the store's rows as the skills' values."""

    def __init__(self, store: ProgressStore) -> None:
        self._store = store

    def done_steps(self, user: str) -> tuple[DoneStep, ...]:
        return tuple(DoneStep(row.skill, row.level, row.on) for row in self._store.done(user))

    def practice(self, user: str) -> tuple[PracticeRecord, ...]:
        return tuple(PracticeRecord(row.question, row.score, row.answered_at, row.card)
                     for row in self._store.practice(user))

    def record(self, user: str, done: Sequence[DoneStep], practice: Sequence[PracticeRecord]) -> None:
        for step in done:
            self._store.add_done(user, step.skill, step.level, step.on)
        for answer in practice:
            self._store.add_practice(user, answer.question, answer.score, answer.answered_at, answer.card)


class _Remembering:
    """An embedder that keeps the vectors of example phrases on disk: a second start embeds none."""

    def __init__(self, embedder: Embedder, path: Path) -> None:
        self._embedder = embedder
        self._path = path
        self.fingerprint = embedder.fingerprint
        self.dim = embedder.dim
        self.max_tokens = embedder.max_tokens

    def count_tokens(self, text: str) -> int:
        return self._embedder.count_tokens(text)

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        return self._embedder.embed_documents(texts)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        if len(texts) < 20:
            return self._embedder.embed_queries(texts)
        cache = EmbeddingCache(self._path)
        known = cache.load(texts, self._embedder)
        new = [text for text in texts if key(text, self._embedder) not in known]
        if new:
            vectors = self._embedder.embed_queries(new)
            cache.save(new, vectors, self._embedder)
            known.update(zip((key(text, self._embedder) for text in new), vectors, strict=True))
        cache.close()
        return np.stack([known[key(text, self._embedder)] for text in texts])
