"""Freed memory goes back to the system, on systems where it can."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from coach.memory import give_back


@pytest.mark.skipif(not Path("/proc/self/statm").is_file() or sys.platform != "linux", reason="reads /proc")
def test_what_was_freed_between_small_things_that_stay_goes_back() -> None:
    kept, freed = [], []
    for _ in range(2000):  # small enough for the heap, with something that stays after each
        freed.append(bytearray(100_000))
        kept.append(bytearray(600))
    freed.clear()
    before = _resident()
    give_back()
    assert before - _resident() > 100_000_000
    assert len(kept) == 2000


def _resident() -> int:
    """Bytes."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * 4096
