"""The report: plots from known figures, a judge that names itself, outcomes counted, MLflow given what the page shows."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from coach.domain import Message
from coach.engines.scripted import ScriptedEngine
from coach.errors import ConfigError
from evals.cases import load_cases
from evals.harness import CaseResult, SuiteResult, load_results, save_results
from evals.judge import Verdict, judge_answers, judge_pair
from evals.plots import plots_of, risk_coverage
from evals.report import compare_runs, outcome_rows, render_html, render_markdown, verifier_figures
from evals.tracking import track

CONDITIONS = {"judge": "none", "support_threshold": "0.5", "evidence_threshold": "0.5"}


def test_risk_falls_where_good_scores_stand_first() -> None:
    coverage, risk = risk_coverage([0.9, 0.1, 0.8, 0.2], [0.0, 1.0, 0.0, 1.0])
    assert coverage == [0.25, 0.5, 0.75, 1.0]
    assert risk == pytest.approx([0.0, 0.0, 1 / 3, 0.5])


def test_each_suite_has_the_plots_that_its_figures_allow() -> None:
    latency = _result("latency", [{"first_sentence_seconds": 0.1 * n, "total_seconds": 0.2 * n} for n in range(1, 9)])
    retrieval = _result("retrieval", [{"mrr": 1.0, "ndcg@10": 0.5}])
    assert [plot.alt.split(" by ")[0] for plot in plots_of(retrieval)] == ["ndcg@10"]
    assert len(plots_of(_grounding())) == 2
    assert "so many seconds" in plots_of(latency)[0].alt
    page = render_html([latency, retrieval, _grounding()])
    assert page.count("data:image/png;base64,") == 4
    assert "http://" not in page


def test_the_verifier_is_measured_on_both_kinds_of_claims() -> None:
    found = verifier_figures(_grounding())
    assert found is not None
    assert found.auc == 1.0
    assert found.balanced_accuracy == 1.0
    assert "AUC 1.000" in render_markdown([_grounding()])
    assert verifier_figures(_result("grounding", [{"right": 1.0, "score": 0.9, "risk": 0.0}])) is None


def test_precision_and_recall_of_each_outcome() -> None:
    pairs = [("answered", "answered"), ("answered", "no_evidence"), ("no_evidence", "no_evidence")]
    cases = tuple(
        CaseResult(str(n), "?", "g", {"accepted": float(a == b)}, labels={"wanted": a, "outcome": b})
        for n, (a, b) in enumerate(pairs)
    )
    rows = {row.outcome: row for row in outcome_rows(SuiteResult("refusal", cases, CONDITIONS))}
    assert (rows["answered"].precision, rows["answered"].recall) == (1.0, 0.5)
    assert (rows["no_evidence"].precision, rows["no_evidence"].recall) == (0.5, 1.0)


def test_labels_survive_the_file(tmp_path: Path) -> None:
    result = SuiteResult("refusal", (CaseResult("a", "?", "g", {"accepted": 1.0}, labels={"wanted": "answered"}),), {})
    save_results([result], tmp_path / "run.json")
    assert load_results(tmp_path / "run.json") == [result]


def test_a_judge_that_always_says_a_is_seen_to_go_by_the_order() -> None:
    assert judge_pair(ScriptedEngine("A"), "?", "one", "other") == Verdict(0.5, 0.0, 0.0)


def test_a_judge_that_reads_the_answers_agrees_with_itself() -> None:
    def longer(messages: Sequence[Message]) -> str:
        first, second = messages[-1].content.split("Answer A:")[1].split("Which")[0].split("Answer B:")
        return "A" if len(first) > len(second) else "B"

    assert judge_pair(ScriptedEngine(longer), "?", "a long answer", "short") == Verdict(1.0, 1.0, 0.0)
    assert judge_pair(ScriptedEngine(longer), "?", "short", "a long answer") == Verdict(0.0, 1.0, 0.0)


def test_a_judge_that_changes_its_mind_shows_its_spread() -> None:
    replies = iter("ABBA")  # better in both orders, then worse in both
    found = judge_pair(ScriptedEngine(lambda _: next(replies)), "?", "one", "other", repeats=2)
    assert found == Verdict(0.5, 1.0, 0.5)


def test_a_judged_run_names_its_judge_and_is_compared_with_the_same_only() -> None:
    case = load_cases()[0]
    plain = SuiteResult("answers", (CaseResult(case.id, case.question, "g", {"answered": 1.0}, "Text. [1]"),), CONDITIONS)
    seen: list[str] = []

    def script(messages: Sequence[Message]) -> str:
        seen.append(messages[-1].content)
        return "T"

    one = judge_answers(plain, ScriptedEngine(script, model="judge-one"))
    other = judge_answers(plain, ScriptedEngine("T", model="judge-two"))
    assert one.cases[0].values["judge"] == 0.5
    assert "[1]" not in seen[0]
    assert case.must_state[0].text in seen[0]
    assert "Judged by judge-one" in render_markdown([one])
    assert "Judged by judge-one" in render_html([one])
    assert compare_runs([one], [one])
    for earlier in (other, plain):
        with pytest.raises(ConfigError, match="judged by"):
            compare_runs([one], [earlier])


def test_mlflow_gets_conditions_means_and_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.html").write_text("page", "utf-8")
    uri = (tmp_path / "store").as_uri()
    run = track([_grounding(), _result("retrieval", [{"hit@5": 0.5}])], uri, tmp_path / "report")
    found = mlflow.get_run(run)
    assert found.data.params["judge"] == "none"
    assert found.data.metrics["retrieval.hit_at_5"] == 0.5
    assert [item.path for item in mlflow.MlflowClient(uri).list_artifacts(run)] == ["report.html"]


def test_without_mlflow_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ConfigError, match=r"ml-career-coach\[mlflow\]"):
        track([], "file:///nowhere", tmp_path)


def _result(suite: str, values: Sequence[dict[str, float]]) -> SuiteResult:
    return SuiteResult(suite, tuple(CaseResult(f"c{n}", "?", "g", v) for n, v in enumerate(values)), CONDITIONS)


def _grounding() -> SuiteResult:
    return _result("grounding", [{"right": 1.0, "score": s, "risk": float(s < 0.5)} for s in (0.9, 0.8, 0.3, 0.1)])
