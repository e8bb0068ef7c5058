"""`coach eval`, `coach batch` and `coach bench`: thin doors; nothing heavy is imported before it is needed."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

eval_app = typer.Typer(help="Measure retrieval, answers, refusals, grounding and speed.", no_args_is_help=True)
cases_app = typer.Typer(help="Our own cases.", no_args_is_help=True)
eval_app.add_typer(cases_app, name="cases")

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Model = Annotated[str | None, typer.Option("--model", help="Model to answer with instead of the one in the settings.")]
Engine = Annotated[str | None, typer.Option("--engine", help="Engine to answer with; scripted needs no weights.")]
Mode = Annotated[str | None, typer.Option("--mode", help="write or quote.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="At most this many cases, spread over all.")]
ReportDir = Annotated[Path, typer.Option("--report-dir", help="Where report.html, report.md and run.json go.")]
Compare = Annotated[Path | None, typer.Option("--compare", help="run.json of an earlier run to compare with.")]
Judge = Annotated[
    str | None, typer.Option("--judge", help="Model that judges answers: URL#MODEL of a server, or a local model.")
]
Mlflow = Annotated[str | None, typer.Option("--mlflow", help="Tracking URI to record the run at.")]
Inspect = Annotated[Path | None, typer.Option("--inspect", help="Write inspect-ai logs here (see them: inspect view).")]

@eval_app.command("retrieval")
def retrieval(
    folder: Annotated[Path | None, typer.Argument(help="A BEIR folder; without it our own cases are used.")] = None,
    as_json: Json = False,
    run_dir: Annotated[Path, typer.Option("--run-dir", help="Where the TREC run file of each arm goes.")] = Path(
        "runs"
    ),
    limit: Limit = None,
) -> None:
    """nDCG@10, recall@100 and MRR@10 of dense, bm25 and hybrid search on a BEIR folder, or our own cases."""
    if folder is None:
        _run_suites(
            ("retrieval",), limit, {"mode": "quote", "engine": "scripted"}, as_json, Path("eval-report"), None, None
        )
        return
    from coach.settings import load_settings
    from evals.coach_under_test import eval_embedder
    from evals.retrieval import evaluate

    report = _guarded(
        lambda: evaluate(
            folder,
            eval_embedder(),
            run_dir=run_dir,
            chunk_tokens=load_settings().chunk_tokens,
            progress=_progress("embedding"),
        )
    )
    _print_arms(report, as_json)
    if not as_json:
        print(f"Run files: {', '.join(str(run_dir / f'{arm}.trec') for arm in report)}")


@eval_app.command("chunking")
def chunking(
    folder: Annotated[Path, typer.Argument(help="Folder with corpora/*.md and questions.jsonl.")],
    as_json: Json = False,
    chunk_tokens: Annotated[int | None, typer.Option(help="Instead of the chunk_tokens of the settings.")] = None,
) -> None:
    """Recall, precision and IoU of the top five chunks over characters, in percent."""
    from coach.settings import load_settings
    from evals.chunking import evaluate
    from evals.coach_under_test import eval_embedder

    tokens = chunk_tokens or load_settings().chunk_tokens
    _print_arms(
        _guarded(lambda: evaluate(folder, eval_embedder(), chunk_tokens=tokens, progress=_progress("embedding"))),
        as_json,
    )


@eval_app.command("grounding")
def grounding(
    pairs: Annotated[
        Path | None, typer.Argument(help='Rows {"id","claim","references":[…]}; without it our own.')
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help='Where the rows {"id","score"} go.')] = None,
    as_json: Json = False,
    limit: Limit = None,
) -> None:
    """Score how well references support claims."""
    if pairs is None:
        _run_suites(
            ("grounding",), limit, {"mode": "quote", "engine": "scripted"}, as_json, Path("eval-report"), None, None
        )
        return
    from evals.coach_under_test import eval_embedder
    from evals.grounding import score_pairs

    target = out or pairs.with_suffix(".scores.jsonl")
    count = _guarded(lambda: score_pairs(pairs, target, eval_embedder()))
    print(json.dumps({"pairs": count, "out": str(target)}) if as_json else f"{count} pairs scored: {target}")


@eval_app.command("extraction")
def extraction(
    as_json: Json = False,
    errors: Annotated[bool, typer.Option("--errors", help="Errors of the half that is not held out.")] = False,
) -> None:
    """Precision and recall of reading skills out of resumes and job advertisements."""
    from coach.app import open_catalogue
    from coach.settings import load_settings
    from evals.coach_under_test import eval_embedder
    from evals.extraction import Half, compare_extraction, load_extraction, score_extraction

    catalogue, embedder = open_catalogue(load_settings()), eval_embedder()
    compared = {case: compare_extraction(case, catalogue, embedder) for case in load_extraction()}
    report = {}
    for half in get_args(Half):
        for kind in ("resume", "job_ad", "all"):
            found = [e for case, e in compared.items() if case.half == half and kind in ("all", case.kind)]
            report[f"{half}, {kind}"] = _rounded(score_extraction(found))
    _print_arms(report, as_json)
    for case, wrong in compared.items():
        if errors and not as_json and case.half == "tuned on" and (wrong.wrong or wrong.missed):
            print(f"{case.id}: wrong {', '.join(wrong.wrong) or 'none'}; missed {', '.join(wrong.missed) or 'none'}")


@eval_app.command("grading")
def grading(as_json: Json = False) -> None:
    """Agreement of graded interview answers with reference grades: quadratic weighted kappa, and the points one by one."""
    from coach.app import open_catalogue
    from coach.settings import load_settings
    from evals.coach_under_test import eval_embedder
    from evals.grading import SETS, grade_cases, measure_agreement

    catalogue, embedder = open_catalogue(load_settings()), eval_embedder()
    report = {name: _rounded(measure_agreement(grade_cases(name, catalogue, embedder))) for name in SETS}
    _print_arms(report, as_json)


SECONDS_BETWEEN_LINES = 30
MODEL_FREE = frozenset({"retrieval", "grounding", "claims", "skills"})


def _add_suite(name: str, text: str) -> None:
    def command(
        limit: Limit = None,
        model: Model = None,
        engine: Engine = None,
        mode: Mode = None,
        as_json: Json = False,
        report_dir: ReportDir = Path("eval-report"),
        compare: Compare = None,
        inspect: Inspect = None,
        judge: Judge = None,
        mlflow: Mlflow = None,
    ) -> None:
        _run_suites(
            (name,), limit, _settings(model, engine, mode), as_json, report_dir, compare, inspect, judge, mlflow
        )

    command.__doc__ = text
    eval_app.command(name)(command)


for _name, _text in (
    ("answers", "Facts, wrong statements, citations, support, relevance, length and readability."),
    ("refusal", "Answerable, unanswerable, near-miss, false-premise, out-of-scope and unsafe questions."),
    ("claims", "Hard claims about one passage: true ones in other words, false ones in its own; no model is asked."),
    ("conversation", "Follow-ups, topic switches and corrections."),
    ("robustness", "Typos, other wordings, other languages, injected instructions."),
    ("skills", "Routing, interview grades, and the promises of plans, gaps and model advice."),
    ("prompt", "Whether evidence and question reach the engine whole; scripted engine only."),
    ("latency", "Seconds to the first sentence and in all."),
):
    _add_suite(_name, _text)


@eval_app.command("all")
def run_all(
    limit: Limit = None,
    model: Model = None,
    engine: Engine = None,
    mode: Mode = None,
    as_json: Json = False,
    report_dir: ReportDir = Path("eval-report"),
    compare: Compare = None,
    inspect: Inspect = None,
    judge: Judge = None,
    mlflow: Mlflow = None,
) -> None:
    """Every suite, with a report."""
    from evals.suites import SUITES

    _run_suites(
        tuple(SUITES), limit, _settings(model, engine, mode), as_json, report_dir, compare, inspect, judge, mlflow
    )


@eval_app.command("gate")
def gate(
    accept: Annotated[bool, typer.Option("--accept", help="Make this run the baseline.")] = False,
    because: Annotated[
        str, typer.Option("--because", help="Why a baseline is lowered; goes into evals/LOG.md.")
    ] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="Cases per suite.")] = 40,
    only: Annotated[list[str] | None, typer.Option("--only", help="A gate, or gate.suite; may be repeated.")] = None,
    as_json: Json = False,
) -> None:
    """Fail (exit code 1) when a watched figure fell beyond noise, and say which."""
    from evals.gate import run_gate

    changes = _guarded(lambda: run_gate(accept=accept, because=because, limit=limit, only=tuple(only or ())))
    worse = [change for change in changes if change.worse]
    if as_json:
        print(json.dumps([dataclasses.asdict(change) for change in changes], indent=1))
    else:
        print("\n".join(_change_line(change) for change in changes))
        print(f"{len(worse)} of {len(changes)} figures fell beyond noise." if worse else "Nothing fell.")
    if worse:
        raise typer.Exit(1)


@eval_app.command("breakages")
def breakages(
    limit: Annotated[int, typer.Option("--limit", min=1, help="Cases per suite.")] = 20,
    name: Annotated[str | None, typer.Option("--only", help="One of them.")] = None,
) -> None:
    """Break the coach on purpose, one way at a time; fail (exit code 1) unless the gate sees each."""
    from evals.breakages import BREAKAGES, run_breakage

    missed = []
    for breakage in BREAKAGES:
        if name and breakage.name != name:
            continue
        fell = [change for change in _guarded(partial(run_breakage, breakage, limit=limit)) if change.worse]
        print(f"{breakage.name}: {'the gate fails' if fell else 'NOT SEEN'}")
        print("\n".join(f"  {_change_line(change)}" for change in fell), flush=True)
        missed += [] if fell else [breakage.name]
    if missed:
        raise typer.Exit(1)


@cases_app.command("check")
def check() -> None:
    """Validate evals/cases against the knowledge; exit code 4 when something is wrong."""
    from evals.cases import check_cases, load_cases, load_coverage, load_refusals
    from evals.coach_under_test import coach_under_test, snapshot_of

    def problems() -> list[str]:
        with coach_under_test(mode="quote") as coach:
            return check_cases(snapshot_of(coach).passages)

    found = _guarded(problems)
    for line in found:
        print(line)
    cases = load_cases()
    print(
        f"{len(cases)} answer cases ({sum(case.held_out for case in cases)} held out), "
        f"{len(load_coverage())} coverage, "
        f"{len(load_refusals())} refusal: {len(found)} problems"
    )
    if found:
        raise typer.Exit(4)


@cases_app.command("from-feedback")
def from_feedback(
    feedback: Annotated[Path, typer.Argument(help='JSONL rows {"question","rating","remark","consent":true}.')],
) -> None:
    """Turn feedback that people agreed to share into pending cases, without names."""
    from evals.cases import cases_from_feedback
    from evals.retrieval import read_jsonl

    rows = _guarded(lambda: read_jsonl(feedback))
    agreed = [
        (str(r.get("question", "")), str(r.get("rating", "")), str(r.get("remark", "")))
        for r in rows
        if r.get("consent") is True and r.get("question")
    ]
    print(f"{cases_from_feedback(agreed)} new pending cases from {len(agreed)} rows with consent (of {len(rows)})")


def batch(
    questions: Annotated[Path, typer.Argument(help="JSONL, CSV or Parquet: question, and id, skill, profile, model.")],
    out: Annotated[Path, typer.Option("--out", help="JSONL or Parquet with the whole answers.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue after a stop; no row is lost or repeated.")
    ] = False,
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Rows at a time; 0: as many as the engine answers together.")
    ] = 0,
    as_json: Json = False,
    model: Model = None,
    engine: Engine = None,
    mode: Mode = None,
) -> None:
    """Answer a file of questions; a bad row becomes an error row and never stops the run."""
    from evals.batch import run_batch
    from evals.coach_under_test import coach_under_test

    def work() -> Any:
        with coach_under_test(**_settings(model, engine, mode)) as coach:
            return run_batch(coach, questions, out, resume=resume, workers=workers, progress=_progress("answering"))

    summary = dataclasses.asdict(_guarded(work))
    print(json.dumps(summary) if as_json else "\n".join(f"{name}: {value}" for name, value in summary.items()))


def bench(
    sections: Annotated[
        list[str] | None, typer.Argument(help="engines embedding retrieval index import memory")
    ] = None,
    as_json: Json = False,
    model: Annotated[str, typer.Option("--model", help="Folder of weights for huggingface and plain generate.")] = "",
    gguf: Annotated[str, typer.Option("--gguf", help="The same model for llama.cpp.")] = "",
    vllm: Annotated[str, typer.Option("--vllm", help="URL of a vLLM that serves the same weights.")] = "",
    runs: Annotated[int, typer.Option(min=1)] = 3,
    passages: Annotated[int, typer.Option(min=10, help="Chunks in the retrieval part.")] = 10_000,
) -> None:
    """Measure speed: engines, embedding, retrieval by step, index builds, import time, memory."""
    from evals.bench import SECTIONS, run_bench

    unknown = set(sections or ()) - set(SECTIONS)
    if unknown:
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: sections are {', '.join(SECTIONS)}")
    report = _guarded(
        lambda: run_bench(
            sections=tuple(sections or SECTIONS), model=model, gguf=gguf, vllm_url=vllm, runs=runs, passages=passages
        )
    )
    plain = json.loads(json.dumps(report, default=dataclasses.asdict))
    if as_json:
        print(json.dumps(plain, indent=1))
        return
    for section, figures in plain.items():
        print(section)
        for name, value in figures.items():
            print(f"  {name:<28} {value}")


# -- how results are shown -------------------------------------------------------------------------------------------


def _run_suites(
    names: tuple[str, ...],
    limit: int | None,
    settings: dict[str, Any],
    as_json: bool,
    report_dir: Path,
    compare: Path | None,
    inspect: Path | None,
    judge: str | None = None,
    mlflow: str | None = None,
) -> None:
    from evals.coach_under_test import coach_under_test
    from evals.harness import load_results, run_suite, save_results
    from evals.report import render_html, render_markdown
    from evals.suites import SUITES

    def work() -> tuple[list[Any], list[Any], str]:
        earlier = load_results(compare) if compare else []
        threads = _threads(names, settings)
        with coach_under_test(current_index=True, **settings, threads=threads) as coach:
            results = [
                run_suite(SUITES[name], coach, limit=limit, log_dir=inspect, progress=_progress(name)) for name in names
            ]
        results = _judged([result for result in results if result.cases], judge)
        return results, earlier, render_markdown(results, earlier)

    results, earlier, markdown = _guarded(work)
    save_results(results, report_dir / "run.json")
    (report_dir / "report.md").write_text(markdown, "utf-8")
    (report_dir / "report.html").write_text(render_html(results, earlier), "utf-8")
    if mlflow:
        from evals.tracking import track

        _guarded(lambda: track(results, mlflow, report_dir))
    if as_json:
        print(
            json.dumps(
                {result.suite: {k: round(v, 4) for k, v in result.means().items()} for result in results}, indent=1
            )
        )
    else:
        print(markdown)
        print(f"Report: {report_dir / 'report.html'}")


def _threads(names: tuple[str, ...], settings: dict[str, Any]) -> int:
    """What is set, else one thread where no model writes: texts are embedded one by one, and threads would only wait for
    each other (the skills took six times the CPU time with two on a busy machine)."""
    from coach.settings import load_settings

    asks_no_model = set(names) <= MODEL_FREE or settings["mode"] == "quote" or settings["engine"] == "scripted"
    return load_settings().threads or int(asks_no_model)


def _judged(results: list[Any], judge: str | None) -> list[Any]:
    if not judge:
        return results
    from evals.judge import judge_answers, open_judge

    engine = open_judge(judge)
    try:
        return [judge_answers(result, engine) for result in results]
    finally:
        engine.close()


def _change_line(change: Any) -> str:
    return (
        f"{'FELL' if change.worse else 'ok  '} {change.gate}.{change.suite} {change.metric}: {change.before:.3f} → "
        f"{change.after:.3f} ({change.low:+.3f} to {change.high:+.3f})"
    )


def _settings(model: str | None, engine: str | None, mode: str | None) -> dict[str, Any]:
    return {"model": model, "engine": engine, "mode": mode}


def _rounded(figures: Any) -> dict[str, float]:
    return {name: round(value, 4) for name, value in dataclasses.asdict(figures).items()}


def _print_arms(report: dict[str, dict[str, float]], as_json: bool) -> None:
    if as_json:
        print(json.dumps(report, indent=1))
        return
    names, width = list(next(iter(report.values()))), max(10, *(len(arm) + 1 for arm in report))
    print(f"{'arm':<{width}}" + "".join(f"{name:>18}" for name in names))
    for arm, values in report.items():
        print(f"{arm:<{width}}" + "".join(f"{values[name]:>18}" for name in names))


def _progress(what: str) -> Callable[[int, int], None]:
    """A line with rate and time left: kept current on a terminal, a new one every half minute elsewhere."""
    import time

    started = shown = time.monotonic()
    terminal = sys.stderr.isatty()

    def show(done: int, total: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if not terminal and now - shown < SECONDS_BETWEEN_LINES:
            return
        shown = now
        rate = done / max(now - started, 1e-9)
        left = (total - done) / rate if rate else 0.0
        line = f"{what} {done}/{total}, {rate:.1f} a second, {left:.0f} s left "
        sys.stderr.write(f"\r{line}" if terminal else f"{line}\n")
        sys.stderr.write("\n" if terminal and done == total else "")
        sys.stderr.flush()

    return show


def _guarded(work: Callable[[], Any]) -> Any:
    """Run, and turn a known error into one paragraph and its exit code."""
    from coach.errors import ConfigError, EngineError, KnowledgeError, RequestError

    try:
        return work()
    except (ConfigError, EngineError, KnowledgeError, RequestError) as error:
        print(error, file=sys.stderr)
        code = (
            5
            if isinstance(error, EngineError)
            else 4
            if isinstance(error, KnowledgeError)
            else 3
            if isinstance(error, ConfigError)
            else 2
        )
        raise typer.Exit(code) from error
