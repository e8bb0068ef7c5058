"""The gate: the suites that CI runs, against the accepted baselines; it fails when a watched figure fell beyond noise."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from coach.errors import ConfigError
from evals.coach_under_test import coach_under_test
from evals.compare import BASELINES, SMALLEST_DROP, Change, check_gate, save_baseline
from evals.harness import SuiteResult, run_suite
from evals.suites import SUITES

LIMIT = 40
# One thread: the same figures everywhere, and no threads that wait for each other on a busy machine.
THREADS = 1
LOG = Path(__file__).parent / "LOG.md"


@dataclass(frozen=True, slots=True)
class Gate:
    """Which suites are run with which settings. The baseline of a suite is <gate>.<suite>.json."""

    name: str
    settings: dict[str, Any]
    suites: tuple[str, ...]


GATES = (
    Gate(
        "quote",
        {"engine": "scripted", "mode": "quote"},
        ("retrieval", "answers", "refusal", "grounding", "conversation", "robustness", "skills"),
    ),
    Gate("scripted", {"engine": "scripted", "mode": "write"}, ("answers", "prompt", "robustness")),
)


def run_gate(
    *,
    accept: bool = False,
    because: str = "",
    limit: int = LIMIT,
    only: Sequence[str] = (),
    folder: Path = BASELINES,
    log: Path = LOG,
) -> list[Change]:
    """The changes of every watched figure against its baseline; `only` names gates or gate.suite pairs.

    With `accept` the run becomes the baseline. Raises ConfigError when that would lower a figure and `because` does not
    say why; the reason goes into `log`.
    """
    ran = [(gate.name, result) for gate in GATES for result in _results(gate, limit, only)]
    if accept:
        _accept(ran, because, folder, log)
    return [change for name, result in ran for change in check_gate([result], name, folder)]


def lowered(before: Mapping[str, Any], after: Mapping[str, Any], name: str) -> list[str]:
    """The figures of a baseline that a newer version of it sets lower, as they must stand in the log."""
    found = []
    for metric, old in before["metrics"].items():
        new = after["metrics"].get(metric, {})
        was, now = _mean(old), _mean(new)
        if was - now >= SMALLEST_DROP:
            found.append(f"`{name}.{before['suite']} {metric}` {was:.3f} → {now:.3f}")
    return found


def _results(gate: Gate, limit: int, only: Sequence[str]) -> list[SuiteResult]:
    suites = [s for s in gate.suites if not only or gate.name in only or f"{gate.name}.{s}" in only]
    if not suites:
        return []
    with coach_under_test(current_index=True, threads=THREADS, **gate.settings) as coach:
        return [run_suite(SUITES[suite], coach, limit=limit) for suite in suites]


def _accept(ran: Sequence[tuple[str, SuiteResult]], because: str, folder: Path, log: Path) -> None:
    lines = []
    for name, result in ran:
        path = folder / f"{name}.{result.suite}.json"
        if path.is_file():
            after = {"metrics": {metric: result.values(metric) for metric in SUITES[result.suite].gated}}
            lines += lowered(json.loads(path.read_text("utf-8")), after, name)
    if lines and not because.strip():
        raise ConfigError("This run would lower the baseline: " + "; ".join(lines) + ". Say why with --because.")
    for name, result in ran:
        save_baseline(result, name, folder)
    if lines:
        _write_log(f"- **Baseline lowered**: {'; '.join(lines)}. {because.strip()}\n", log)


def _write_log(entry: str, log: Path) -> None:
    """Put an entry first under the heading of today."""
    text, heading = log.read_text("utf-8"), f"## {date.today().isoformat()}\n\n"
    if heading in text:
        log.write_text(text.replace(heading, heading + entry, 1), "utf-8")
        return
    head, mark, rest = text.partition("\n## ")
    log.write_text(f"{head.rstrip()}\n\n{heading}{entry}{mark}{rest}", "utf-8")


def _mean(values: Mapping[str, float]) -> float:
    return statistics.fmean(values.values()) if values else 0.0
