"""Fits the evidence threshold on the cases that are not held out, and reports on those that are.

    python -m evals.calibrate evidence
    python -m evals.calibrate screen

prints the constants for coach/retrieval/search.py; it changes no file.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import typer

from coach.domain import Embedder
from coach.pipeline import Coach
from coach.retrieval.search import (
    EVIDENCE_WEIGHTS,
    IN_FIELD_COSINE,
    OUTSIDE_LIKENESS,
    count_missing,
    score_evidence,
)
from coach.skills.courtesy import courtesy
from coach.skills.router import normalise
from coach.skills.screen import (
    FIELD,
    LIKELY_UNSAFE,
    OUTSIDE,
    PARTICULARS,
    SURELY_UNSAFE,
    UNSAFE,
    Screened,
    fit,
    judge,
    load_examples,
)
from evals.cases import load_cases, load_coverage, load_refusals
from evals.coach_under_test import coach_under_test, eval_embedder

FEATURES = ("cosine", "coverage", "missing", "outside", "particulars")
FOLDS = 5
THRESHOLD = 0.5
INVERSE_REGULARISATION = 10.0
# A wrong refusal costs more than a doubtful answer, whose sources are shown: the fitted threshold of one half is moved.
ANSWER_FROM = 0.17

app = typer.Typer(help="Fit constants to the cases that are not held out.", no_args_is_help=True)


@dataclass(frozen=True, slots=True)
class Observation:
    """One question as the evidence score sees it, and what should have come of it."""

    id: str
    question: str
    outcome: str
    accepted: tuple[str, ...]
    held_out: bool
    cosine: float
    coverage: float
    missing: int
    score: float
    outside: float = 0.0
    particulars: float = 0.0


@app.callback()
def _group() -> None:
    """A group, so that `evidence` stays a sub-command."""


@app.command()
def evidence(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Fit EVIDENCE_WEIGHTS and IN_FIELD_COSINE; report precision and recall of each outcome on the held-out part."""
    with coach_under_test(mode="quote") as coach:
        observed = observe(coach)
    report = calibrate_evidence(observed)
    if as_json:
        print(json.dumps(report, indent=1))
        return
    for name, value in report.items():
        print(f"{name}: {json.dumps(value)}")


@app.command()
def screen() -> None:
    """Of the screen's examples, each judged by one fitted without it: unsafe ones found, ones of the field taken for it."""
    judged = screen_held_out(eval_embedder())
    unsafe = [screened.unsafe for _, kind, screened in judged if kind in UNSAFE]
    field = [screened.unsafe for _, kind, screened in judged if kind == FIELD]
    print(f"{len(unsafe)} unsafe examples, {len(field)} of the field")
    for threshold in sorted({LIKELY_UNSAFE, 0.55, 0.65, 0.75, SURELY_UNSAFE, 0.85, 0.95}):
        print(f"from {threshold:.2f}: {np.mean(np.array(unsafe) >= threshold):.3f} of the unsafe, "
              f"{np.mean(np.array(field) >= threshold):.4f} of the field")


def observe(coach: Coach) -> list[Observation]:
    """The evidence of every case, and of the screen's examples of what no guide answers, each screened by one fitted
    without it. Requests that are blocked before any search are left out."""
    rows: list[tuple[str, str, str, tuple[str, ...], bool]] = [
        (c.id, c.question, "answered", ("answered",), c.held_out) for c in load_cases()
    ]
    rows += [
        (c.id, c.question, "answered", ("answered",), position % 3 == 0) for position, c in enumerate(load_coverage())
    ]
    rows += [(c.id, c.question, _searched_outcome(c.outcome), c.accepted, c.held_out) for c in load_refusals()]
    observed = []
    for id_, question, outcome, accepted, held_out in rows:
        if courtesy(question) is not None:
            continue
        found = coach.search(question)
        observed.append(
            Observation(
                id_,
                question,
                outcome,
                accepted,
                held_out,
                found.cosine,
                found.word_coverage,
                count_missing(found.missing_names),
                score_evidence(found),
                found.outside,
                found.particulars,
            )
        )
    return observed + observe_examples(coach)


def observe_examples(coach: Coach) -> list[Observation]:
    """The screen's examples of questions outside the field, or about particulars."""
    observed = []
    for position, (text, kind, screened) in enumerate(screen_held_out(coach.embedder)):
        if kind not in (OUTSIDE, PARTICULARS):
            continue
        found = coach.search(text)
        found = dataclasses.replace(found, outside=screened.outside, particulars=screened.particulars)
        outcome = "out_of_scope" if kind == OUTSIDE else "no_evidence"
        observed.append(
            Observation(
                f"example-{position}",
                text,
                outcome,
                (outcome,) if kind == OUTSIDE else ("no_evidence", "out_of_scope"),
                False,
                found.cosine,
                found.word_coverage,
                count_missing(found.missing_names),
                score_evidence(found),
                found.outside,
                found.particulars,
            )
        )
    return observed


def screen_held_out(embedder: Embedder) -> list[tuple[str, str, Screened]]:
    """(text, kind, what a screen fitted on the other folds says) of every example."""
    from sklearn.model_selection import StratifiedKFold

    texts, kinds = load_examples()
    vectors = embedder.embed_queries([normalise(text) for text in texts])
    found: dict[int, Screened] = {}
    for known, tried in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(vectors, kinds):
        fitted = fit(vectors[known], [texts[i] for i in known], [kinds[i] for i in known])
        found.update(zip(map(int, tried), judge(fitted, vectors[tried], [texts[i] for i in tried]), strict=True))
    return [(text, kind, found[row]) for row, (text, kind) in enumerate(zip(texts, kinds, strict=True))]


def calibrate_evidence(observed: Sequence[Observation]) -> dict[str, object]:
    """The fitted constants, and precision and recall before and after on the held-out part."""
    fitted = [o for o in observed if not o.held_out]
    held = [o for o in observed if o.held_out]
    weights = fit_weights(fitted)
    cosine = fit_in_field(fitted, weights)
    return {
        "EVIDENCE_WEIGHTS": weights,
        "IN_FIELD_COSINE": cosine,
        "fitted_on": len(fitted),
        "held_out": len(held),
        "before": outcome_table(held, EVIDENCE_WEIGHTS, IN_FIELD_COSINE),
        "after": outcome_table(held, weights, cosine),
        "after_on_fitted": outcome_table(fitted, weights, cosine),
    }


def fit_weights(observed: Sequence[Observation]) -> dict[str, float]:
    """Logistic regression of "can be answered" on the features, its bias moved to ANSWER_FROM."""
    from sklearn.linear_model import LogisticRegression

    rows = np.array([[getattr(o, name) for name in FEATURES] for o in observed])
    labels = np.array([o.outcome == "answered" for o in observed])
    model = LogisticRegression(C=INVERSE_REGULARISATION, max_iter=5000).fit(rows, labels)
    return {
        "bias": round(float(model.intercept_[0] + np.log((1 - ANSWER_FROM) / ANSWER_FROM)), 2),
        **{name: round(float(value), 2) for name, value in zip(FEATURES, model.coef_[0], strict=True)},
    }


def fit_in_field(observed: Sequence[Observation], weights: dict[str, float]) -> float:
    """The cosine that tells best what is outside the field from what is merely not documented."""
    declined = [o for o in observed if o.outcome != "answered" and probability(o, weights) < THRESHOLD]
    inside = [o.cosine for o in declined if o.outcome == "no_evidence"]
    outside = [o.cosine for o in declined if o.outcome == "out_of_scope"]
    candidates = np.arange(0.1, 0.6, 0.005)
    if not inside or not outside:
        return IN_FIELD_COSINE
    right = [np.mean(np.array(inside) >= c) + np.mean(np.array(outside) < c) for c in candidates]
    best = np.flatnonzero(np.isclose(right, max(right)))
    return round(float(candidates[best[len(best) // 2]]), 3)


def probability(observation: Observation, weights: dict[str, float]) -> float:
    """The evidence score of an observation under the weights."""
    z = weights["bias"] + sum(weights[name] * getattr(observation, name) for name in FEATURES)
    return float(1 / (1 + np.exp(-z)))


def predict(observation: Observation, weights: dict[str, float], in_field: float) -> str:
    """The outcome that the pipeline would give."""
    if probability(observation, weights) >= THRESHOLD:
        return "answered"
    outside = observation.cosine < in_field or observation.outside > OUTSIDE_LIKENESS
    return "out_of_scope" if outside else "no_evidence"


def outcome_table(observed: Sequence[Observation], weights: dict[str, float], in_field: float) -> dict[str, object]:
    """outcome → precision, recall, count; and the share whose outcome is one of those accepted."""
    pairs = [(o, predict(o, weights, in_field)) for o in observed]
    table: dict[str, object] = {}
    for outcome in ("answered", "no_evidence", "out_of_scope"):
        said = [o for o, given in pairs if given == outcome]
        wanted = [given for o, given in pairs if o.outcome == outcome]
        table[outcome] = {
            "precision": round(sum(outcome in o.accepted for o in said) / len(said), 3) if said else None,
            "recall": round(sum(given == outcome for given in wanted) / len(wanted), 3) if wanted else None,
            "cases": len(wanted),
        }
    table["accepted"] = round(sum(given in o.accepted for o, given in pairs) / max(1, len(pairs)), 3)
    return table


def _searched_outcome(outcome: str) -> str:
    """What search should say of a request that ought to be blocked and was not: it is outside the field."""
    return "out_of_scope" if outcome == "blocked" else outcome


if __name__ == "__main__":
    app()
