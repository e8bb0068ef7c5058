"""Is a difference real? Bootstrap intervals of one run, and the paired bootstrap of two."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from coach.errors import ConfigError
from evals.harness import SuiteResult
from evals.suites import SUITES
from evals.trial import SEED

RESAMPLES = 2000
CONFIDENCE = 0.95
BASELINES = Path(__file__).parent / "baselines"
# With few cases, or with none that changed, chance cannot be told from a fall: smaller falls pass.
SMALLEST_DROP = 0.01


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its bootstrap interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Change:
    """One metric against its baseline. `worse` means a drop beyond noise: the whole interval lies below zero."""

    suite: str
    metric: str
    before: float
    after: float
    low: float
    high: float
    worse: bool
    gate: str = ""


def interval(values: Sequence[float]) -> Interval:
    """Mean and percentile bootstrap interval (95 %)."""
    sample = np.asarray(values, dtype=float)
    if len(sample) < 2 or np.ptp(sample) == 0:
        return Interval(float(sample.mean()), float(sample.mean()), float(sample.mean()))
    from scipy.stats import bootstrap

    found = bootstrap(
        (sample,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return Interval(float(sample.mean()), float(found.low), float(found.high))


def compare_paired(suite: str, metric: str, before: Mapping[str, float], after: Mapping[str, float]) -> Change | None:
    """The change over the cases that both runs have; None when there are none."""
    shared = [id_ for id_ in before if id_ in after]
    if not shared:
        return None
    old, new = np.array([before[i] for i in shared]), np.array([after[i] for i in shared])
    difference = interval(list(new - old))
    worse = difference.high < 0 and -difference.mean >= SMALLEST_DROP
    return Change(suite, metric, float(old.mean()), float(new.mean()), difference.low, difference.high, worse)


def save_baseline(result: SuiteResult, name: str, folder: Path = BASELINES) -> Path:
    """Write the gated metrics of a run, case by case, as the baseline `name`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.{result.suite}.json"
    gated = {metric: result.values(metric) for metric in SUITES[result.suite].gated}
    content = {"suite": result.suite, "conditions": result.conditions, "metrics": gated}
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", "utf-8")
    return path


def check_gate(results: Sequence[SuiteResult], name: str, folder: Path = BASELINES) -> list[Change]:
    """The gated metrics of each suite against the baseline `name`.

    Raises ConfigError when a suite has no baseline, when too few cases can be paired, or when the judges differ.
    """
    changes = []
    for result in results:
        if not SUITES[result.suite].gated:
            continue
        path = folder / f"{name}.{result.suite}.json"
        if not path.is_file():
            raise ConfigError(f"There is no baseline {path}. Make one with `coach eval gate --accept`.")
        baseline = json.loads(path.read_text("utf-8"))
        refuse_other_judge(baseline["conditions"], result.conditions)
        for metric, before in baseline["metrics"].items():
            change = compare_paired(result.suite, metric, before, result.values(metric))
            if change is None and before:
                # a metric that no case has any more (nothing was answered) is the worst drop of all
                change = Change(result.suite, metric, float(np.mean(list(before.values()))), 0.0, -1.0, -1.0, True)
            if change is not None:
                changes.append(dataclasses.replace(change, gate=name))
    return changes


def refuse_other_judge(before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Raise ConfigError when two runs were judged by different models: such numbers do not compare."""
    if before.get("judge", "none") != after.get("judge", "none"):
        raise ConfigError(
            f"One run was judged by {before.get('judge')}, the other by {after.get('judge')}: they are not "
            "compared. Judge both with the same model."
        )
