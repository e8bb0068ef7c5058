"""The real catalogue, and the embedded embedder where it is at hand."""

from __future__ import annotations

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
    from coach.app import open_embedder
    from coach.settings import load_settings

    return open_embedder(load_settings())


@pytest.fixture
def context(catalogue: Catalogue) -> SkillContext:
    return SkillContext(catalogue, today=date(2026, 11, 24))
