"""Runs a suite over a coach, through inspect-ai where a log is wanted, and keeps what is needed to compare runs."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import statistics
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from coach.errors import ConfigError
from coach.pipeline import Coach
from evals.batch import rows_together
from evals.trial import SEED, Observation, Suite, Trial, spread

# Values of a case from which the risk-coverage curve is drawn; their means are properties of the sample.
CURVE = ("score", "risk")


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One trial with what came of it."""

    id: str
    question: str
    group: str
    values: dict[str, float]
    answer: str = ""
    passages: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """All trials of a suite and where, when and on what they were run."""

    suite: str
    cases: tuple[CaseResult, ...]
    conditions: dict[str, str]

    def values(self, metric: str) -> dict[str, float]:
        """case id → value, for the cases that have the metric."""
        return {case.id: case.values[metric] for case in self.cases if metric in case.values}

    def metrics(self) -> list[str]:
        """The names of all metrics whose mean says something, in order of first use."""
        return list(dict.fromkeys(name for case in self.cases for name in case.values if name not in CURVE))

    def means(self) -> dict[str, float]:
        """metric → mean."""
        return {name: statistics.fmean(self.values(name).values()) for name in self.metrics()}


def run_suite(
    suite: Suite,
    coach: Coach,
    *,
    limit: int | None = None,
    log_dir: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> SuiteResult:
    """Run as many trials at a time as the engine answers together, one where time is measured.

    With `log_dir` through inspect-ai, so that `inspect view` shows them.
    """
    trials = spread(suite.trials(coach), limit)
    at_once = 1 if suite.name == "latency" else rows_together(coach)
    coach.admission.widen(at_once)
    observed = _run_inspect(suite, coach, trials, log_dir, at_once) if log_dir else []
    with ThreadPoolExecutor(at_once) as pool:
        for observation in pool.map(lambda trial: suite.run(coach, trial), trials[len(observed) :]):
            observed.append(observation)
            progress(len(observed), len(trials))
    cases = tuple(
        CaseResult(t.id, t.question, t.group, o.values, o.answer, o.passages, o.notes, o.labels)
        for t, o in zip(trials, observed, strict=True)
    )
    return SuiteResult(suite.name, cases, conditions(coach))


def conditions(coach: Coach) -> dict[str, str]:
    """Commit, model, index, settings, seed and hardware of a run."""
    settings = coach.settings
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "mode": coach.mode,
        "engine": settings.engine,
        "model": settings.model,
        "index": coach.index_version,
        "embedder": coach.embedder.fingerprint,
        "passages": str(settings.passages),
        "evidence_threshold": str(settings.evidence_threshold),
        "support_threshold": str(settings.support_threshold),
        "chunk_tokens": str(settings.chunk_tokens),
        "seed": str(SEED),
        "hardware": f"{platform.machine()}, {os.cpu_count()} CPUs, {platform.system()}",
        "judge": "none",
    }


def save_results(results: Sequence[SuiteResult], path: Path) -> None:
    """Write a run as one JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps([dataclasses.asdict(result) for result in results], ensure_ascii=False, indent=1), "utf-8"
    )


def load_results(path: Path) -> list[SuiteResult]:
    """Read a run. Raises ConfigError when the file is none."""
    try:
        rows = json.loads(path.read_text("utf-8"))
        return [
            SuiteResult(row["suite"], tuple(_case(case) for case in row["cases"]), row["conditions"]) for row in rows
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is not a saved run ({error}). Make one with `coach eval all`.") from error


def _case(row: dict[str, Any]) -> CaseResult:
    return CaseResult(
        row["id"],
        row["question"],
        row["group"],
        row["values"],
        row["answer"],
        tuple(row["passages"]),
        tuple(row["notes"]),
        row.get("labels", {}),
    )


def _run_inspect(
    suite: Suite, coach: Coach, trials: Sequence[Trial], log_dir: Path, at_once: int
) -> list[Observation]:
    """The same trials as an inspect-ai task: our coach is the solver, our scores the scorer."""
    try:
        import anyio
        from inspect_ai import Task
        from inspect_ai import eval as inspect_eval
        from inspect_ai.dataset import MemoryDataset, Sample
        from inspect_ai.model import ModelOutput
        from inspect_ai.scorer import Score, mean, scorer
        from inspect_ai.solver import solver
    except ImportError as error:
        raise ConfigError("Logs for `inspect view` need the extra: pip install 'ml-career-coach[eval]'.") from error

    by_id = {trial.id: trial for trial in trials}
    observed: dict[str, Observation] = {}

    @solver
    def ask_coach() -> Any:
        async def solve(state: Any, generate: Any) -> Any:
            trial = by_id[str(state.sample_id)]
            observed[trial.id] = await anyio.to_thread.run_sync(suite.run, coach, trial)
            state.output = ModelOutput.from_content("coach", observed[trial.id].answer)
            return state

        return solve

    @scorer(metrics={"*": [mean()]})
    def coach_scores() -> Any:
        async def score(state: Any, target: Any) -> Any:
            found = observed[str(state.sample_id)]
            return Score(
                value=dict(found.values),
                answer=found.answer,
                explanation="\n".join(found.notes),
                metadata={"passages": list(found.passages)},
            )

        return score

    samples = [
        Sample(input=trial.question, target=trial.document, id=trial.id, metadata={"group": trial.group})
        for trial in trials
    ]
    task = Task(dataset=MemoryDataset(samples), solver=ask_coach(), scorer=coach_scores(), name=suite.name)
    logs = inspect_eval(
        task, model="mockllm/model", display="none", log_dir=str(log_dir), max_samples=at_once, metadata=conditions(coach)
    )
    if logs[0].status != "success":
        raise RuntimeError(f"inspect-ai ended with {logs[0].status}: {logs[0].error}")
    return [observed[trial.id] for trial in trials]


def _commit() -> str:
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            capture_output=True,
            text=True,
            timeout=10,
            cwd=Path(__file__).parent,
            check=False,
        )
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"
