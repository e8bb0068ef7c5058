"""A fresh database for every scene."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def database(tmp_path: Path) -> str:
    """The URL of an empty database file."""
    return f"sqlite:///{tmp_path / 'coach.sqlite'}"
