"""Freed memory goes back to the system, on systems where it can."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
from coach.memory import give_back

def resident():
    return int(open("/proc/self/statm").read().split()[1])

kept, freed = [], []
for _ in range(2000):  # small enough for the heap, with something that stays after each
    freed.append(bytearray(100_000))
    kept.append(bytearray(600))
held = resident()
freed.clear()
give_back()
print(held, resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other C libraries give memory back by themselves")
def test_what_was_freed_between_small_things_that_stay_goes_back() -> None:
    """In a process of its own: where the heap was used before, the small things find other places."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    held, after = map(int, done.stdout.split())
    assert after < 0.5 * held
