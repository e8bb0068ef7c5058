"""Fits the evidence threshold on the cases that are not held out, and reports on those that are.

    python -m evals.calibrate evidence

prints the constants for coach/retrieval/search.py; it changes no file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import typer

from coach.pipeline import Coach
from coach.retrieval.search import EVIDENCE_WEIGHTS, IN_FIELD_COSINE, score_evidence
from coach.skills.courtesy import courtesy
from evals.cases import load_cases, load_coverage, load_refusals
from evals.coach_under_test import coach_under_test

FEATURES = ("cosine", "coverage", "missing")
THRESHOLD = 0.5
# A wrong refusal and a wrong answer cost the same; there are far more answerable questions, so classes are balanced.
INVERSE_REGULARISATION = 10.0

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


def observe(coach: Coach) -> list[Observation]:
    """The evidence of every case. Requests that are blocked before any search are left out."""
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
                min(len(found.missing_names), 2),
                score_evidence(found),
            )
        )
    return observed


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
    """Logistic regression of "can be answered" on cosine, word coverage and missing names."""
    from sklearn.linear_model import LogisticRegression

    rows = np.array([[o.cosine, o.coverage, o.missing] for o in observed])
    labels = np.array([o.outcome == "answered" for o in observed])
    model = LogisticRegression(C=INVERSE_REGULARISATION, class_weight="balanced", max_iter=2000).fit(rows, labels)
    return {
        "bias": round(float(model.intercept_[0]), 2),
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
    z = (
        weights["bias"]
        + weights["cosine"] * observation.cosine
        + weights["coverage"] * observation.coverage
        + weights["missing"] * observation.missing
    )
    return float(1 / (1 + np.exp(-z)))


def predict(observation: Observation, weights: dict[str, float], in_field: float) -> str:
    """The outcome that the pipeline would give."""
    if probability(observation, weights) >= THRESHOLD:
        return "answered"
    return "out_of_scope" if observation.cosine < in_field else "no_evidence"


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
