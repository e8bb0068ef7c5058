"""The gate sees each way of breaking the coach, and no baseline is lowered in silence."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from coach.errors import ConfigError
from evals.breakages import BREAKAGES, Breakage, run_breakage
from evals.compare import BASELINES, save_baseline
from evals.gate import GATES, LOG, lowered, run_gate
from evals.harness import CaseResult, SuiteResult
from evals.suites import SUITES

LIMIT = 16
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Baselines of the coach as it is."""
    folder = tmp_path_factory.mktemp("baselines")
    changes = run_gate(accept=True, limit=LIMIT, only=tuple(b.seen_by for b in BREAKAGES), folder=folder)
    assert changes
    assert not [change for change in changes if change.worse]
    return folder


@pytest.mark.models
@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: breakage.seen_by)
def test_the_gate_fails_when_something_is_broken_and_says_where(breakage: Breakage, healthy: Path) -> None:
    fell = [c for c in run_breakage(breakage, limit=LIMIT, only=(breakage.seen_by,), folder=healthy) if c.worse]
    assert fell
    assert {f"{change.gate}.{change.suite}" for change in fell} == {breakage.seen_by}
    assert all(change.after < change.before for change in fell)


def test_every_gated_suite_has_a_baseline() -> None:
    wanted = {f"{gate.name}.{suite}.json" for gate in GATES for suite in gate.suites}
    assert wanted == {path.name for path in BASELINES.glob("*.json")}
    for gate in GATES:
        for suite in gate.suites:
            content = json.loads((BASELINES / f"{gate.name}.{suite}.json").read_text("utf-8"))
            assert set(content["metrics"]) == set(SUITES[suite].gated)


def test_a_baseline_is_lowered_with_a_reason_in_the_log_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "LOG.md"
    log.write_text("# Log\n\n## 2020-01-01\n\n- Old.\n", "utf-8")
    save_baseline(_result([1.0, 1.0]), "quote", tmp_path)
    before = (tmp_path / "quote.refusal.json").read_text("utf-8")
    monkeypatch.setattr("evals.gate._results", lambda gate, *_: [_result([1.0, 0.0])] if gate.name == "quote" else [])
    with pytest.raises(ConfigError, match=r"quote\.refusal accepted` 1\.000 → 0\.500"):
        run_gate(accept=True, folder=tmp_path, log=log)
    assert (tmp_path / "quote.refusal.json").read_text("utf-8") == before
    run_gate(accept=True, because="Two questions were wrong.", folder=tmp_path, log=log)
    assert "`quote.refusal accepted` 1.000 → 0.500. Two questions were wrong." in log.read_text("utf-8")
    assert log.read_text("utf-8").endswith("- Old.\n")
    assert json.loads((tmp_path / "quote.refusal.json").read_text("utf-8"))["metrics"]["accepted"]["c1"] == 0.0


def test_a_better_run_needs_no_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_baseline(_result([1.0, 0.0]), "quote", tmp_path)
    monkeypatch.setattr("evals.gate._results", lambda gate, *_: [_result([1.0, 1.0])] if gate.name == "quote" else [])
    assert not [c for c in run_gate(accept=True, folder=tmp_path, log=tmp_path / "none") if c.worse]


def test_what_was_lowered_in_the_files_stands_in_the_log() -> None:
    """Also when a baseline was edited by hand: against the last commit."""
    log = LOG.read_text("utf-8")
    for path in sorted(BASELINES.glob("*.json")):
        committed = subprocess.run(
            ["git", "show", f"HEAD:{path.relative_to(ROOT).as_posix()}"],
            cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False,
        )
        if committed.returncode:
            continue  # new, or not a checkout
        name = path.name.split(".", 1)[0]
        for line in lowered(json.loads(committed.stdout), json.loads(path.read_text("utf-8")), name):
            assert line in log, f"{line} needs a line in evals/LOG.md"


def _result(values: list[float]) -> SuiteResult:
    cases = tuple(CaseResult(f"c{n}", "?", "g", {"accepted": value}) for n, value in enumerate(values))
    return SuiteResult("refusal", cases, {"judge": "none"})
