"""The plots of a report as data URIs: means by group, risk against coverage, seconds."""

from __future__ import annotations

import base64
import io
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evals.harness import SuiteResult
from evals.suites import SUITES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_INCHES = 7.5


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture with what it shows in words."""

    alt: str
    uri: str


def plots_of(result: SuiteResult) -> list[Plot]:
    """The plots that a suite's figures allow."""
    found = []
    if result.suite == "latency":
        found.append(_latency(result))
    else:
        found += _by_group(result, SUITES[result.suite].worst_by)
    if any("risk" in case.values for case in result.cases):
        found.append(_risk_coverage(result))
    return found


def risk_coverage(scores: Sequence[float], risks: Sequence[float]) -> tuple[list[float], list[float]]:
    """(coverage, risk) when the best-scored share passes: risk is the mean of the bad ones among what passed."""
    order = np.argsort(-np.asarray(scores), kind="stable")
    bad = np.asarray(risks, dtype=float)[order]
    passed = np.arange(1, len(bad) + 1)
    return list(passed / len(bad)), list(np.cumsum(bad) / passed)


def _by_group(result: SuiteResult, metric: str) -> list[Plot]:
    grouped: dict[str, list[float]] = {}
    for case in result.cases:
        if metric in case.values:
            grouped.setdefault(case.group, []).append(case.values[metric])
    if not grouped:
        return []
    names = sorted(grouped, reverse=True)
    figure, axes = _figure(0.6 + 0.32 * max(3, len(names)))
    means = [statistics.fmean(grouped[name]) for name in names]
    bars = axes.barh([f"{name} ({len(grouped[name])})" for name in names], means, color="#4472a8")
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.set_xlim(0, 1.08)
    axes.set_xlabel(f"mean {metric}")
    return [Plot(f"{metric} by group, the numbers of the table below", _uri(figure))]


def _risk_coverage(result: SuiteResult) -> Plot:
    cases = [case for case in result.cases if "risk" in case.values]
    scores = [case.values["score"] for case in cases]
    coverage, risk = risk_coverage(scores, [case.values["risk"] for case in cases])
    figure, axes = _figure(3.2)
    axes.plot(coverage, risk, color="#4472a8")
    threshold = float(result.conditions["support_threshold" if result.suite == "grounding" else "evidence_threshold"])
    at = sum(score >= threshold for score in scores) / len(scores)
    axes.axvline(at, color="#b05020", linestyle="--", label=f"threshold {threshold:g}: passes {at:.0%}")
    axes.set_xlabel("coverage: share that passes, best score first")
    axes.set_ylabel("risk: share of these that\nshould not have passed")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, max(0.1, *risk) * 1.05)
    axes.legend(frameon=False)
    return Plot(f"risk against coverage of {len(cases)} cases", _uri(figure))


def _latency(result: SuiteResult) -> Plot:
    figure, axes = _figure(3.0)
    for metric, name in (("first_sentence_seconds", "first sentence"), ("total_seconds", "whole answer")):
        values = sorted(result.values(metric).values())
        p50, p95 = np.percentile(values, [50, 95])
        share = np.arange(1, len(values) + 1) / len(values)
        axes.step(values, share, where="post", label=f"{name}: p50 {p50:.2f} s, p95 {p95:.2f} s")
    axes.set_xlabel("seconds")
    axes.set_ylabel("share of answers")
    axes.set_xlim(left=0)
    axes.set_ylim(0, 1.02)
    axes.legend(frameon=False, loc="lower right")
    return Plot("share of answers that are there after so many seconds", _uri(figure))


def _figure(height_inches: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_INCHES, height_inches), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _uri(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
