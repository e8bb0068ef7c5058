"""A run as one HTML page that loads nothing from elsewhere, and as Markdown."""

from __future__ import annotations

import base64
import html
import io
import statistics
from collections.abc import Sequence

from evals.compare import Change, compare_paired, interval, refuse_other_judge
from evals.harness import CaseResult, SuiteResult
from evals.suites import SUITES

WORST = 20
STYLE = """
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:0 auto;padding:1rem}
table{border-collapse:collapse;margin:.5rem 0}.scroll{overflow-x:auto}td,th{padding:.25rem .6rem;text-align:left;
border-bottom:1px solid #8884}td.n{text-align:right;font-variant-numeric:tabular-nums}
.worse{color:#c22}.better{color:#082}
details{margin:.3rem 0;border:1px solid #8884;border-radius:.4rem;padding:.4rem .7rem}summary{cursor:pointer}
img{max-width:100%;height:auto;background:#fff}pre{white-space:pre-wrap;overflow-wrap:anywhere}h2{margin-top:2rem}
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
        f"<style>{STYLE}</style></head><body><h1>Evaluation</h1>"
    ]
    for result in results:
        parts += [_summary(result, changes), _plots(result), _groups(result), _cases(result)]
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
    suite = SUITES[result.suite]
    grouped: dict[str, list[float]] = {}
    for case in result.cases:
        if suite.worst_by in case.values:
            grouped.setdefault(case.group, []).append(case.values[suite.worst_by])
    if not grouped:
        return ""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 0.5 + 0.35 * max(4, len(grouped))), layout="constrained")
    axes = figure.subplots()
    if suite.name == "latency":
        axes.hist([case.values["total_seconds"] for case in result.cases], bins=20, label="total")
        axes.set_xlabel("seconds")
    else:
        names = sorted(grouped)
        axes.barh(names, [statistics.fmean(grouped[name]) for name in names])
        axes.set_xlim(0, 1)
        axes.set_xlabel(suite.worst_by)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return (
        f"<img alt='{_esc(suite.worst_by)} by group, the same numbers as in the table below' "
        f"src='data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}'>"
    )


def _change(change: Change | None) -> str:
    if change is None:
        return "-"
    return f"{change.after - change.before:+.3f} ({change.low:+.3f} to {change.high:+.3f})"


def _esc(text: object) -> str:
    return html.escape(str(text), quote=True)
