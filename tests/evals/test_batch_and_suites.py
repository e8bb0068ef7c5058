"""Batches lose and repeat nothing; cases are sound in form; a real drop fails the gate and noise does not."""

from __future__ import annotations

import dataclasses
import json
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coach.errors import ConfigError
from coach.pipeline import Coach
from evals.batch import read_rows, run_batch
from evals.calibrate import Observation as Evidence
from evals.calibrate import fit_in_field, fit_weights, outcome_table
from evals.cases import TOPICS, cases_from_feedback, load_cases, load_claims, load_conversations, load_coverage, load_refusals
from evals.compare import check_gate, compare_paired, interval, refuse_other_judge, save_baseline
from evals.harness import CaseResult, SuiteResult, load_results, run_suite, save_results
from evals.report import render_html, render_markdown
from evals.suites import SUITES, add_typos, change_number, reading_ease, run_answer
from evals.trial import Observation, Suite, Trial, spread

MakeCoach = Callable[..., Coach]
QUESTION = "How long does the way to machine learning engineer take?"


@pytest.fixture
def coach(make_coach: MakeCoach) -> Coach:
    return make_coach(requests_per_minute=1_000_000, evidence_threshold=0.0)


def test_a_batch_answers_every_row_and_bad_ones_become_error_rows(coach: Coach, tmp_path: Path) -> None:
    questions = tmp_path / "in.jsonl"
    questions.write_text(f'{{"id": "a", "question": "{QUESTION}"}}\n{{broken\n{{"id": "c"}}\n'
                         f'{{"id": "d", "question": "{QUESTION}"}}\n{{"id": "a", "question": "What is SQL?"}}\n', "utf-8")
    summary = run_batch(coach, questions, tmp_path / "out.jsonl")
    rows = _read(tmp_path / "out.jsonl")
    assert summary.rows == 5 == len(rows)
    assert summary.answered_once == 1
    assert sorted(row["id"] for row in rows) == ["a", "a@5", "c", "d", "line-2"]
    by_id = {row["id"]: row for row in rows}
    assert by_id["line-2"]["outcome"] == by_id["c"]["outcome"] == "error"
    assert by_id["a"]["text"] == by_id["d"]["text"] != ""
    assert by_id["a"]["sentences"][0]["citations"]


def test_a_row_that_fails_in_an_unforeseen_way_is_an_error_row(
    coach: Coach, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    search = coach.search

    def fails_once(question: str, **how: Any) -> Any:
        if "broken" in question:
            raise ZeroDivisionError("nobody thought of this")
        return search(question, **how)

    monkeypatch.setattr(coach, "search", fails_once)
    (tmp_path / "in.csv").write_text(f"id,question\na,A broken one?\nb,{QUESTION}\n", "utf-8")
    run_batch(coach, tmp_path / "in.csv", tmp_path / "out.jsonl")
    outcomes = {row["id"]: row["outcome"] for row in _read(tmp_path / "out.jsonl")}
    assert outcomes == {"a": "error", "b": "answered"}
    assert "ZeroDivisionError" in caplog.text


def test_a_killed_batch_resumes_without_losing_or_repeating_a_row(coach: Coach, tmp_path: Path) -> None:
    questions = tmp_path / "in.csv"
    questions.write_text("id,question\n" + "".join(f"{n},What about topic {n}?\n" for n in range(12)), "utf-8")
    out = tmp_path / "out.jsonl"
    run_batch(coach, questions, out)
    whole = out.read_bytes()
    generator = random.Random(3)
    for _ in range(5):  # a kill may leave any prefix of the file
        out.write_bytes(whole[: generator.randrange(len(whole))])
        summary = run_batch(coach, questions, out, resume=True, workers=3)
        assert summary.rows == 12
        assert sorted(int(row["id"]) for row in _read(out)) == list(range(12))
    with pytest.raises(ConfigError, match="--resume"):
        run_batch(coach, questions, out)


def test_parquet_in_and_out(coach: Coach, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pyarrow.Table.from_pylist([{"id": "x", "question": QUESTION, "profile": None}, {"id": "y", "question": ""}])
    parquet.write_table(table, tmp_path / "in.parquet")
    run_batch(coach, tmp_path / "in.parquet", tmp_path / "out.parquet")
    rows = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert [(row["id"], row["outcome"] == "error") for row in rows] == [("x", False), ("y", True)]
    assert json.loads(rows[0]["answer"])["mode"]
    assert not list(tmp_path.glob("*partial*"))


def test_a_profile_is_read_and_a_wrong_one_is_an_error_row(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"question": "Q?", "profile": {"skills": ["python"], "hours_per_week": 5}}\n'
                    '{"question": "Q?", "profile": {"height": 180}}\n', "utf-8")
    good, bad = read_rows(path)
    assert good.request is not None
    assert good.request.profile.hours_per_week == 5
    assert bad.request is None
    assert "height" in bad.problem


def test_our_cases_are_enough_and_each_is_asked_once() -> None:
    cases = load_cases()
    assert len(cases) >= 400
    assert {case.topic for case in cases} == set(TOPICS)
    assert 0.25 < sum(case.held_out for case in cases) / len(cases) < 0.45
    assert len({case.id for case in cases}) == len({case.question for case in cases}) == len(cases)
    assert all(case.must_state and case.provenance for case in cases)
    assert len(load_coverage()) == 60
    assert len(load_refusals()) >= 150
    assert len({case.kind for case in load_refusals()}) == 6
    claims = load_claims()
    assert len(claims) == len({claim.id for claim in claims}) == 630
    assert sum(claim.held_out for claim in claims) == sum(claim.supported for claim in claims) == 210
    assert {c.kind for c in load_conversations()} == {"follow-up", "topic-switch", "correction"}


def test_feedback_becomes_a_pending_case_once(tmp_path: Path) -> None:
    path = tmp_path / "pending.jsonl"
    assert cases_from_feedback([("Why?", "bad", "wrong"), ("why", "good", "")], path) == 1
    assert cases_from_feedback([("WHY?", "bad", "")], path) == 0
    assert _read(path)[0]["status"] == "pending"


def test_the_gate_fails_on_a_real_drop_and_not_on_noise(tmp_path: Path) -> None:
    good = _result([1.0] * 50)
    save_baseline(good, "tiny", tmp_path)
    assert not any(change.worse for change in check_gate([_result([1.0] * 49 + [0.0])], "tiny", tmp_path))
    fallen = [change for change in check_gate([_result([1.0] * 35 + [0.0] * 15)], "tiny", tmp_path) if change.worse]
    assert [change.metric for change in fallen] == ["accepted"]
    with pytest.raises(ConfigError, match="no baseline"):
        check_gate([good], "other", tmp_path)


def test_runs_of_other_judges_are_not_compared() -> None:
    with pytest.raises(ConfigError, match="judged"):
        refuse_other_judge({"judge": "one"}, {"judge": "other"})


def test_intervals_and_pairs() -> None:
    assert interval([0.5]).low == 0.5
    found = interval([0.0, 1.0] * 50)
    assert found.low < 0.5 < found.high
    assert compare_paired("s", "m", {"a": 1.0}, {"b": 1.0}) is None


def test_a_suite_runs_over_a_coach_and_its_report_is_one_file(coach: Coach, tmp_path: Path) -> None:
    suite = Suite("answers", lambda _: [Trial("one", QUESTION, "path", document="path/engineer")], run_answer,
                  ("answered",), "fact_recall")
    result = run_suite(suite, coach)
    assert result.cases[0].values["answered"] == 1.0
    assert result.cases[0].values["citation_precision"] == 1.0
    asked = Suite("refusal", lambda _: [Trial("one", QUESTION, "path")], SUITES["refusal"].run, ("accepted",), "accepted")
    assert run_suite(asked, coach).cases[0].labels == {"wanted": "answered", "outcome": "answered"}
    save_results([result], tmp_path / "run.json")
    assert load_results(tmp_path / "run.json") == [result]
    refused = _result([1.0, 0.0])
    page = render_html([result, refused], [result])
    assert "data:image/png;base64," in page
    assert "http://" not in page
    assert "https://" not in page
    assert "| answered | 1.000" in render_markdown([result])


def test_trials_run_together_where_the_engine_can_and_alone_where_time_is_measured(
    coach: Coach, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evals.harness.rows_together", lambda _: 2)
    both = threading.Barrier(2)

    def meet(_: Coach, trial: Trial) -> Observation:
        both.wait(timeout=10)
        return Observation({"met": 1.0}, trial.id)

    suite = Suite("answers", lambda _: [Trial(str(n), "?", "g") for n in range(4)], meet, (), "met")
    assert [case.answer for case in run_suite(suite, coach).cases] == ["0", "1", "2", "3"]

    def alone(_: Coach, trial: Trial) -> Observation:
        with pytest.raises(threading.BrokenBarrierError):
            both.wait(timeout=0.05)
        both.reset()
        return Observation({"alone": 1.0}, trial.id)

    run_suite(dataclasses.replace(suite, name="latency", run=alone), coach)


def test_the_inspect_harness_gives_the_same_values(coach: Coach, tmp_path: Path) -> None:
    pytest.importorskip("inspect_ai")
    suite = Suite("refusal", lambda _: [Trial("one", QUESTION, "path"), Trial("two", "hello", "path")],
                  SUITES["refusal"].run, ("accepted",), "accepted")
    plain, logged = run_suite(suite, coach), run_suite(suite, coach, log_dir=tmp_path)
    assert [case.values for case in plain.cases] == [case.values for case in logged.cases]
    assert list(tmp_path.glob("*.eval"))


def test_calibration_finds_the_line_between_outcomes() -> None:
    observed = [_evidence("answered", 0.6 + n / 1000) for n in range(30)]
    observed += [_evidence("no_evidence", 0.4 + n / 1000, 1) for n in range(30)]
    observed += [_evidence("out_of_scope", 0.1 + n / 1000) for n in range(30)]
    weights = fit_weights(observed)
    in_field = fit_in_field(observed, weights)
    assert 0.13 < in_field < 0.4
    assert outcome_table(observed, weights, in_field)["accepted"] == 1.0


def test_small_parts() -> None:
    assert change_number("It needs 4 GB.") == "It needs 19 GB."
    assert change_number("It needs none.") == "It needs none."
    assert reading_ease("The cat sat.") > reading_ease("Organisational interdependencies necessitate consideration.")
    assert add_typos("machine learning", random.Random(1), rate=1.0) != "machine learning"
    assert [trial.id for trial in spread([Trial(str(n), "", "") for n in range(10)], 5)] == ["0", "2", "4", "6", "8"]


def _result(values: list[float]) -> SuiteResult:
    cases = tuple(CaseResult(f"c{n}", "?", "g", {"accepted": value}) for n, value in enumerate(values))
    return SuiteResult("refusal", cases, {"judge": "none"})


def _evidence(outcome: str, cosine: float, missing: int = 0) -> Evidence:
    return Evidence("", "", outcome, (outcome,), False, cosine, cosine, missing, 0.0)


def _read(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
