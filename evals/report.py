"""A run as one HTML page that loads nothing from elsewhere, and as Markdown."""

from __future__ import annotations

import html
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evals.compare import Change, compare_paired, interval, refuse_other_judge
from evals.grounding import GroundingReport, evaluate
from evals.harness import CaseResult, SuiteResult
from evals.judge import figures as judge_figures
from evals.plots import plots_of
from evals.suites import SUITES

WORST = 20
STYLE = """
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:0 auto;padding:1rem}
table{border-collapse:collapse;margin:.5rem 0}.scroll{overflow-x:auto}td,th{padding:.25rem .6rem;text-align:left;
border-bottom:1px solid #8884}td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.worse{color:#c22}.better{color:#082}
details{margin:.3rem 0;border:1px solid #8884;border-radius:.4rem;padding:.4rem .7rem}summary{cursor:pointer}
img{max-width:100%;min-width:36rem;height:auto;background:#fff}pre{white-space:pre-wrap;overflow-wrap:anywhere}h2{margin-top:2rem}
"""


def compare_runs(results: Sequence[SuiteResult], earlier: Sequence[SuiteResult]) -> dict[tuple[str, str], Change]:
    """(suite, metric) → change against an earlier run. Raises ConfigError when the judges differ."""
    before = {result.suite: result for result in earlier}
    changes = {}
    for result in results:
        old = before.get(result.suite)
        if old is None:
            continue
        refuse_other_judge(old.conditions, result.conditions)
        for metric in result.metrics():
            change = compare_paired(result.suite, metric, old.values(metric), result.values(metric))
            if change is not None:
                changes[result.suite, metric] = change
    return changes


def render_markdown(results: Sequence[SuiteResult], earlier: Sequence[SuiteResult] = ()) -> str:
    """Summary tables and the worst cases."""
    changes = compare_runs(results, earlier)
    lines = ["# Evaluation", ""]
    if judged := judge_figures(results):
        lines += [judged, ""]
    for result in results:
        lines += [
            f"## {result.suite} ({len(result.cases)} cases)",
            "",
            "| metric | mean | 95 % | change |",
            "|---|---|---|---|",
        ]
        for metric in result.metrics():
            found = interval(list(result.values(metric).values()))
            lines.append(
                f"| {metric} | {found.mean:.3f} | {found.low:.3f} to {found.high:.3f} | "
                f"{_change(changes.get((result.suite, metric)))} |"
            )
        if rows := outcome_rows(result):
            lines += ["", "| outcome | precision | recall | cases |", "|---|---|---|---|"]
            lines += [f"| {row.outcome} | {row.precision:.3f} | {row.recall:.3f} | {row.wanted} |" for row in rows]
        if verifier := verifier_figures(result):
            lines += [
                "",
                f"AUC {verifier.auc:.3f}, best balanced accuracy {verifier.balanced_accuracy:.3f}, calibration error "
                f"{verifier.calibration_error:.3f}.",
            ]
        lines += ["", "Worst cases:", ""]
        lines += [f"- `{case.id}` {case.question} ({'; '.join(case.notes)})" for case in worst_cases(result)[:5]]
        lines.append("")
    lines += [
        "## Conditions",
        "",
        *(f"- {key}: {value}" for key, value in (results[0].conditions if results else {}).items()),
    ]
    return "\n".join(lines) + "\n"


def render_html(results: Sequence[SuiteResult], earlier: Sequence[SuiteResult] = ()) -> str:
    """The whole report; every number links to the cases behind it."""
    changes = compare_runs(results, earlier)
    parts = [
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width,initial-scale=1'><title>Evaluation</title>"
        f"<style>{STYLE}</style></head><body><h1>Evaluation</h1>",
        f"<p>{_esc(judge_figures(results))}</p>",
        "<nav>" + " · ".join(f"<a href='#{r.suite}'>{_esc(r.suite)}</a>" for r in results) + "</nav>",
    ]
    for result in results:
        parts += [_summary(result, changes), _verifier(result), _plots(result), _outcomes(result), _groups(result)]
        parts.append(_cases(result))
    rows = "".join(f"<tr><td>{_esc(k)}<td>{_esc(v)}" for k, v in (results[0].conditions if results else {}).items())
    parts.append(f"<h2>Conditions</h2><div class=scroll><table>{rows}</table></div></body></html>")
    return "\n".join(parts)


def worst_cases(result: SuiteResult) -> list[CaseResult]:
    """The cases with the lowest value of the suite's main metric (the highest, for seconds)."""
    suite = SUITES[result.suite]
    sign = -1.0 if suite.worst_by in suite.lower_is_better else 1.0
    missing = -1.0 if sign > 0 else 0.0
    return sorted(result.cases, key=lambda case: sign * case.values.get(suite.worst_by, missing))[:WORST]


def _summary(result: SuiteResult, changes: dict[tuple[str, str], Change]) -> str:
    rows = []
    for metric in result.metrics():
        values = list(result.values(metric).values())
        found, change = interval(values), changes.get((result.suite, metric))
        style = "worse" if change and change.worse else "better" if change and change.low > 0 else ""
        rows.append(
            f"<tr><td><a href='#{result.suite}-cases'>{_esc(metric)}</a><td class=n>{found.mean:.3f}"
            f"<td class=n>{found.low:.3f} to {found.high:.3f}<td class=n>{len(values)}"
            f"<td class='n {style}'>{_esc(_change(change))}"
        )
    return (
        f"<h2 id='{result.suite}'>{_esc(result.suite)}</h2><div class=scroll><table><tr><th>metric<th>mean<th>95 %"
        f"<th>cases<th>change{''.join(rows)}</table></div>"
    )


def _groups(result: SuiteResult) -> str:
    metric = SUITES[result.suite].worst_by
    found: dict[str, list[float]] = {}
    for case in result.cases:
        if metric in case.values:
            found.setdefault(case.group, []).append(case.values[metric])
    rows = "".join(
        f"<tr><td>{_esc(group)}<td class=n>{statistics.fmean(values):.3f}<td class=n>{len(values)}"
        for group, values in sorted(found.items())
    )
    return (
        f"<h3>{_esc(metric)} by group</h3><div class=scroll><table><tr><th>group<th>mean<th>cases{rows}</table></div>"
    )


def _cases(result: SuiteResult) -> str:
    worst = {case.id for case in worst_cases(result)}
    blocks = []
    for case in sorted(result.cases, key=lambda case: case.id not in worst):
        values = ", ".join(f"{name} {value:.3g}" for name, value in case.values.items())
        blocks.append(
            f"<details id='{_esc(result.suite)}-{_esc(case.id)}'><summary>{_esc(case.id)}: {_esc(case.question)}"
            f"</summary><p>{_esc(values)}</p><pre>{_esc(case.answer)}</pre><p>{_esc('; '.join(case.notes))}</p>"
            f"<p>Passages: {_esc(', '.join(case.passages))}</p></details>"
        )
        if len(blocks) == WORST:
            blocks.append("<details><summary>All other cases</summary>")
    if len(blocks) > WORST:
        blocks.append("</details>")
    return f"<h3 id='{result.suite}-cases'>The worst {WORST} cases, then the others</h3>{''.join(blocks)}"


def _plots(result: SuiteResult) -> str:
    return "".join(
        f"<div class=scroll><img alt='{_esc(plot.alt)}' src='{plot.uri}'></div>" for plot in plots_of(result)
    )


def _outcomes(result: SuiteResult) -> str:
    """Precision and recall of each outcome, where the cases say which one was wanted."""
    rows = outcome_rows(result)
    if not rows:
        return ""
    cells = "".join(
        f"<tr><td>{_esc(row.outcome)}<td class=n>{row.precision:.3f}<td class=n>{row.recall:.3f}<td class=n>{row.wanted}"
        for row in rows
    )
    return (
        "<h3>Outcomes</h3><div class=scroll><table><tr><th>outcome<th>precision<th>recall<th>cases"
        f"{cells}</table></div>"
    )


def _verifier(result: SuiteResult) -> str:
    """AUC, balanced accuracy and calibration error of the support score on the labelled claims."""
    found = verifier_figures(result)
    if found is None:
        return ""
    return (
        f"<p>Support score on {found.pairs} labelled claims: AUC {found.auc:.3f}, best balanced accuracy "
        f"{found.balanced_accuracy:.3f} at {found.threshold:.2f}, calibration error {found.calibration_error:.3f}.</p>"
    )


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """How often an outcome was right when it was given, and given when it was right."""

    outcome: str
    precision: float
    recall: float
    wanted: int


def outcome_rows(result: SuiteResult) -> list[OutcomeRow]:
    """One row an outcome, for the cases that have both labels."""
    pairs = [(c.labels["wanted"], c.labels["outcome"]) for c in result.cases if {"wanted", "outcome"} <= set(c.labels)]
    rows = []
    for outcome in sorted({wanted for wanted, _ in pairs}):
        right = sum(pair == (outcome, outcome) for pair in pairs)
        given, wanted = (sum(pair[i] == outcome for pair in pairs) for i in (1, 0))
        rows.append(OutcomeRow(outcome, right / given if given else 0.0, right / wanted, wanted))
    return rows


def verifier_figures(result: SuiteResult) -> GroundingReport | None:
    """How well the score separates the claims of the grounding suite; None for other suites or one-sided samples."""
    cases = [case for case in result.cases if "risk" in case.values]
    labels = np.array([1.0 - case.values["risk"] for case in cases])
    if result.suite != "grounding" or len(set(labels)) < 2:
        return None
    return evaluate(labels, np.array([case.values["score"] for case in cases]))


def _change(change: Change | None) -> str:
    if change is None:
        return "-"
    return f"{change.after - change.before:+.3f} ({change.low:+.3f} to {change.high:+.3f})"


def _esc(text: object) -> str:
    return html.escape(str(text), quote=True)
