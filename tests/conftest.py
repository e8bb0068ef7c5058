"""Shared fixtures: a small library, its index with hashed-word vectors, and a coach whose model is a script."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coach.admission import Admission
from coach.app import build, index_dir, open_catalogue
from coach.catalogue.tables import Catalogue, Grade
from coach.domain import Engine
from coach.engines.scripted import ScriptedEngine, quote_evidence
from coach.pipeline import Coach, Parts
from coach.retrieval.embedder import HashingEmbedder
from coach.retrieval.snapshot import Snapshot, SnapshotReader
from coach.settings import Settings, load_settings
from coach.verify import Verifier

FRONT_MATTER = """\
---
title: "{title}"
topics: [{topics}]
audience: [{audience}]
as_of: 2026-11-01
sources:
  - id: own
    title: "The tiny library"
    publisher: "Tests"
    url: https://example.org/{slug}
    accessed: 2026-11-01
---
"""

# path: (title, topics, audience, body)
GUIDES: dict[str, tuple[str, str, str, str]] = {
    "path/engineer": (
        "How to become a machine learning engineer",
        "python",
        "starting",
        """\
You become a machine learning engineer by learning Python, statistics and engineering, and by shipping one model.
A first job as a data analyst or backend developer is the usual way in.

## How long does the way to machine learning engineer take?

The way to a first machine learning engineer job takes about 18 months at 10 hours a week.
People who already program need about 9 months.

## What should the first project of a machine learning engineer show?

The first project should show a deployed model with a test, a monitor and a short report.

- Choose a data set that you understand.
- Deploy the model behind an endpoint.
""",
    ),
    "path/analyst": (
        "How to become a data analyst",
        "sql",
        "starting, switching",
        """\
You become a data analyst by learning SQL, spreadsheets and one charting tool, and by explaining three findings.

## How long does the way to data analyst take?

The way to a first data analyst job takes about 6 months at 10 hours a week.
""",
    ),
    "skills/sql": (
        "Learning SQL",
        "sql",
        "starting",
        """\
SQL is learned fastest by answering real questions on a small database, one query at a time.

## Which SQL topics come first?

Joins, grouping and window functions come first, because interviews ask about them.
Window functions compute a value over neighbouring rows without collapsing them.
""",
    ),
    "skills/statistics": (
        "Learning statistics",
        "statistics",
        "starting, junior",
        """\
Statistics for machine learning starts with distributions, sampling and the difference between correlation and cause.

## What is a p-value?

A p-value is the probability of data at least as extreme as the observed data when the null hypothesis is true.
It is not the probability that the null hypothesis is true.
""",
    ),
    "mlops/monitoring": (
        "Monitoring a deployed model",
        "monitoring",
        "junior, mid",
        """\
A deployed model is monitored by watching its inputs, its predictions and its business result.

## What is data drift?

Data drift is a change of the input distribution after deployment.
Drift is found by comparing a window of recent inputs with the training data.
""",
    ),
    "interviews/transformers": (
        "Transformers in interviews",
        "transformers",
        "mid",
        """\
Interviewers ask how attention works, why it is scaled, and what a key-value cache saves.

## Why is attention divided by the square root of the head size?

Attention scores are divided by the square root of the head size so that the softmax does not saturate.
Without the division, gradients vanish for large heads.
""",
    ),
    "getting-hired/cv": (
        "Writing a CV for machine learning",
        "cv",
        "starting, switching",
        """\
A good CV for machine learning fits on one page and names a result with a number for each project.

## What should be left out of a CV?

Leave out photographs, self-rated skill bars and courses without a project.
""",
    ),
    "small-language-models/memory": (
        "Memory of small language models",
        "inference",
        "junior",
        """\
The memory of a small language model is its weights, its key-value cache and about 0.6 GiB of overhead.

## How much memory does a model with 3 billion parameters need?

A model with 3 billion parameters needs about 5.6 GiB in bfloat16.
In 4-bit quantisation the same model needs about 1.6 GiB.
""",
    ),
}

SKILLS = """\
- {id: python, name: Python, area: programming, summary: Python is the language of machine learning., hours: 80,
   hours_reason: Python takes 40 hours of reading and 40 of practice., evidence: Show Python with a small package.,
   project: Write a command line tool and test it., guide: path/engineer, aliases: [py3]}
- {id: statistics, name: Statistics, area: mathematics, summary: Statistics draws conclusions from samples., hours: 60,
   hours_reason: Statistics takes 30 hours of reading and 30 hours of exercises., evidence: Show an analysis.,
   project: Analyse a survey., guide: skills/statistics, prerequisites: [python]}
- {id: sql, name: SQL, area: data, summary: SQL asks questions of tables., hours: 40,
   hours_reason: SQL takes 40 hours of queries., evidence: Show a query., project: Build a report., guide: skills/sql}
"""
ROLES = """\
- id: machine-learning-engineer
  name: Machine learning engineer
  aliases: [ML engineer, MLE]
  summary: A machine learning engineer ships and maintains models.
  guide: path/engineer
  as_of: 2026-11-01
  levels:
    - level: junior
      summary: A junior machine learning engineer adds tested features to a pipeline.
      outputs: [A junior machine learning engineer ships a tested feature.]
      skills: [{skill: python, target: working, weight: 3}, {skill: statistics, target: basic, weight: 2}]
- id: mlops-engineer
  name: MLOps engineer
  summary: An MLOps engineer keeps models running.
  guide: path/engineer
  as_of: 2026-11-01
  levels:
    - level: junior
      summary: A junior MLOps engineer watches models in production.
      outputs: [A junior MLOps engineer hands over an alert rule.]
      skills: [{skill: python, target: basic, weight: 2}]
- id: data-analyst
  name: Data analyst
  summary: A data analyst answers questions with data.
  guide: path/analyst
  as_of: 2026-11-01
  levels:
    - level: junior
      summary: A junior data analyst writes queries and charts.
      outputs: [A junior data analyst hands over a weekly report.]
      skills: [{skill: statistics, target: basic, weight: 2}]
"""
MODELS = """\
- id: qwen3-0.6b
  name: Qwen3-0.6B
  aliases: [qwen 0.6b]
  repository: Qwen/Qwen3-0.6B
  maker: Alibaba
  kind: chat
  mission: true
  parameters: 596049920
  layers: 28
  kv_heads: 8
  head_dim: 128
  context_tokens: 32768
  licence: {name: Apache-2.0, commercial: "yes"}
  modalities: [text]
  thinking: switch
  summary: Qwen3-0.6B answers in more than a hundred languages.
  sources:
    - {id: card, title: Qwen3 model card, publisher: Alibaba, url: "https://example.org/qwen", accessed: 2026-11-01}
- id: gemma-3-4b-it
  name: Gemma 3 4B IT
  aliases: [gemma 4b]
  repository: google/gemma-3-4b-it
  maker: Google DeepMind
  kind: chat
  mission: true
  parameters: 4300079472
  layers: 34
  kv_heads: 4
  head_dim: 256
  context_tokens: 131072
  licence: {name: Gemma Terms of Use, commercial: with terms, gated: true}
  modalities: [text, image]
  summary: Gemma 3 4B IT describes pictures and documents.
  sources:
    - {id: card, title: Gemma model card, publisher: Google, url: "https://example.org/gemma", accessed: 2026-11-01}
"""
QUESTIONS = """\
- {id: p-value, question: What is a p-value?, roles: [machine-learning-engineer], level: junior, topic: statistics,
   rubric: [{point: A p-value is a probability of data., weight: 2, guide: skills/statistics, keywords: [probability]}]}
"""
RESOURCES = """\
- {id: tutorial, title: The Python Tutorial, kind: documentation, url: "https://docs.python.org/3/tutorial/",
   cost: free, hours: 15, level: starting,
   skills: [python], summary: The tutorial shows the language., checked: 2026-11-01,
   not_good_for: It is no course.}
"""
TABLES = {"skills": SKILLS, "roles": ROLES, "models": MODELS, "questions": QUESTIONS, "resources": RESOURCES}


def write_guide(folder: Path, name: str, body: str, *, title: str, topics: str = "", audience: str = "") -> Path:
    """One guide below `folder`/guides; `name` is its id."""
    path = folder / "guides" / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    head = FRONT_MATTER.format(title=title, topics=topics, audience=audience, slug=name)
    path.write_text(head + body, "utf-8")
    return path


def write_knowledge(folder: Path) -> Path:
    """The tiny library: eight guides and a catalogue with two models."""
    for name, (title, topics, audience, body) in GUIDES.items():
        write_guide(folder, name, body, title=title, topics=topics, audience=audience)
    (folder / "catalogue").mkdir(parents=True)
    for name, text in TABLES.items():
        (folder / "catalogue" / f"{name}.yaml").write_text(text, "utf-8")
    return folder


@pytest.fixture(scope="session")
def tiny_knowledge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny library, shared: read it, do not change it."""
    return write_knowledge(tmp_path_factory.mktemp("library") / "knowledge")


@pytest.fixture
def own_knowledge(tiny_knowledge: Path, tmp_path: Path) -> Path:
    """A copy of the tiny library that a test may change."""
    return Path(shutil.copytree(tiny_knowledge, tmp_path / "own-knowledge"))


@pytest.fixture(scope="session")
def add_guide() -> Callable[..., Path]:
    """`write_guide`, for tests that grow a library."""
    return write_guide


@pytest.fixture(scope="session")
def hashing() -> HashingEmbedder:
    """The embedder of these tests: no weights, deterministic."""
    return HashingEmbedder()


@pytest.fixture(scope="session")
def tiny_settings(tiny_knowledge: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a coach over the tiny library, in a data folder with a built index."""
    settings = load_settings(
        data_dir=tmp_path_factory.mktemp("data"),
        knowledge_dir=tiny_knowledge,
        embedder="hashing",
        engine="scripted",
        offline=True,
        evidence_threshold=0.0,
        requests_per_minute=1000,
    )
    build(settings)
    return settings


@pytest.fixture(scope="session")
def tiny_catalogue(tiny_settings: Settings) -> Catalogue:
    """The tables of the tiny library."""
    return open_catalogue(tiny_settings)


@pytest.fixture(scope="session")
def tiny_snapshot(tiny_settings: Settings, hashing: HashingEmbedder) -> Snapshot:
    """The open index of the tiny library."""
    return SnapshotReader(index_dir(tiny_settings), hashing.fingerprint).current()


MakeCoach = Callable[..., Coach]


@pytest.fixture
def make_coach(tiny_settings: Settings, tiny_catalogue: Catalogue, hashing: HashingEmbedder) -> Iterator[MakeCoach]:
    """Makes a coach over the tiny library: `make_coach(script, **settings)`; a script is text, function or engine."""
    opened: list[Coach] = []

    def make(script: object = quote_evidence, **changes: object) -> Coach:
        settings = tiny_settings.model_copy(update={"mode": "write", **changes})
        engine: Engine = script if isinstance(script, ScriptedEngine) else ScriptedEngine(script)  # type: ignore[arg-type]  # str or function
        names = [name for model in tiny_catalogue.models.values() for name in (model.name, *model.aliases)]
        coach = Coach(
            Parts(
                settings=settings,
                catalogue=tiny_catalogue,
                embedder=hashing,
                reader=SnapshotReader(index_dir(settings), hashing.fingerprint),
                verifier=Verifier(hashing, threshold=settings.support_threshold, names=names),
                open_engine=lambda: engine,
                grade=lambda: Grade("write", "test"),
                admission=Admission(settings.queue_size, settings.requests_per_minute),
            )
        )
        opened.append(coach)
        return coach

    yield make
    for coach in opened:
        coach.close()
