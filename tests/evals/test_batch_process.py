"""`coach batch` as a process: killed at random and resumed, and several rows at a time where the engine takes them.

`python -m tests.evals.test_batch_process 500 10` kills a batch of 500 rows ten times.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from coach.app import build
from coach.domain import Message
from coach.engines.scripted import ScriptedEngine, quote_evidence
from coach.settings import Settings, load_settings
from evals.batch import run_batch
from evals.coach_under_test import coach_under_test
from tests.conftest import write_knowledge

SUBJECTS = ("Which SQL topics come first", "What is data drift", "What should a CV leave out", "What is a p-value")


def kill_and_resume(folder: Path, knowledge: Path, *, rows: int, kills: int, seed: int = 0) -> list[dict[str, object]]:
    """The rows of a batch that was killed `kills` times, each time after some of the rows left, and then let finish."""
    questions, out = folder / "in.jsonl", folder / "out.jsonl"
    asked = [{"id": f"q{n}", "question": f"{SUBJECTS[n % len(SUBJECTS)]}, case {n}?"} for n in range(rows)]
    questions.write_text("".join(json.dumps(row) + "\n" for row in asked), "utf-8")
    environment = os.environ | {
        "COACH_DATA_DIR": str(folder / "data"), "COACH_KNOWLEDGE_DIR": str(knowledge), "COACH_EMBEDDER": "hashing",
        "COACH_EVIDENCE_THRESHOLD": "0", "COACH_OFFLINE": "true",
    }
    command = [str(Path(sys.executable).with_name("coach")), "batch", str(questions), "--out", str(out),
               "--resume", "--engine", "scripted", "--mode", "quote"]
    generator = random.Random(seed)
    for kill in range(kills):
        running = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        done = len(_lines(out))
        stop_at = min(done + generator.randint(1, max(1, (rows - done) // (kills - kill + 1))), rows - 1)
        while len(_lines(out)) < stop_at and running.poll() is None:
            time.sleep(0.002)
        running.kill()
        assert running.wait() < 0, "the batch ended before it was killed"
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return [json.loads(line) for line in _lines(out)]


def test_killed_at_random_and_resumed_every_row_is_there_once(tmp_path: Path, tiny_knowledge: Path) -> None:
    rows = kill_and_resume(tmp_path, tiny_knowledge, rows=60, kills=3)
    assert Counter(row["id"] for row in rows) == Counter(f"q{n}" for n in range(60))
    assert all(row["outcome"] != "error" for row in rows)


def test_rows_are_written_at_the_same_time_where_workers_are_asked_for(
    tmp_path: Path, tiny_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(4, timeout=20)  # nobody passes alone

    def script(messages: Sequence[Message]) -> str:
        together.wait()
        return quote_evidence(messages)

    monkeypatch.setattr("coach.app.open_engine", lambda *_: ScriptedEngine(script))
    for name in ("data_dir", "knowledge_dir", "embedder"):
        monkeypatch.setenv(f"COACH_{name.upper()}", str(getattr(tiny_settings, name)))
    questions = tmp_path / "in.csv"
    questions.write_text("question\n" + "".join(f"\"{text}?\"\n" for text in SUBJECTS), "utf-8")
    with coach_under_test(engine="scripted", mode="write", evidence_threshold=0.0) as coach:
        summary = run_batch(coach, questions, tmp_path / "out.jsonl", workers=4)
    assert summary.outcomes == {"answered": 4}
    rows = [json.loads(line) for line in _lines(tmp_path / "out.jsonl")]
    assert {row["mode"] for row in rows} == {"write"}


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text("utf-8").split("\n") if line] if path.is_file() else []


def main(rows: int, kills: int) -> None:
    """Kill a batch and print what was left."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        knowledge = write_knowledge(folder / "knowledge")
        build(load_settings(data_dir=folder / "data", knowledge_dir=knowledge, embedder="hashing"))
        found = kill_and_resume(folder, knowledge, rows=rows, kills=kills)
    counted = Counter(row["id"] for row in found)
    print(f"{len(found)} rows, {len(counted)} ids, {sum(n > 1 for n in counted.values())} twice, "
          f"{rows - len(counted)} lost, after {kills} kills")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
