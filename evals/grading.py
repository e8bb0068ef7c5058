"""Agreement of the graded interview answers with reference grades: quadratic weighted kappa, and the points one by one.

    python -m evals.grading

measures both sets: `interview_answers`, which the grading was tuned on, and `interview_answers_fresh`, whose answers were
written without sight of the rubrics.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import typer

from coach.catalogue.tables import Catalogue
from coach.domain import Embedder
from coach.skills import interview
from evals.cases import FOLDER

app = typer.Typer(help="Measure the grading of interview answers.")
SETS = ("interview_answers", "interview_answers_fresh")
STEPS = 4  # a grade is a quarter of the points: 0, 1, 2, 3 or 4


@dataclass(frozen=True, slots=True)
class GradedAnswer:
    """The reference grade and ours, and how the awarded points of the rubric compare."""

    id: str
    reference: int
    given: int
    right: int
    wrong: int
    missed: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """Quadratic weighted kappa of the grades; precision and recall of the awarded points over all answers."""

    answers: int
    kappa: float
    precision: float
    recall: float


def grade_cases(name: str, catalogue: Catalogue, embedder: Embedder) -> tuple[GradedAnswer, ...]:
    """Every answer of a set of cases, graded as in a mock interview."""
    graded = []
    for line in (FOLDER / f"{name}.jsonl").read_text("utf-8").splitlines():
        case = json.loads(line)
        question = catalogue.questions[case["question"]]
        ours = interview.grade(question, case["answer"], embedder)
        reference, awarded = set(case["points"]), {point.index for point in ours.awarded}
        share = sum(question.rubric[index].weight for index in reference) / sum(p.weight for p in question.rubric)
        graded.append(
            GradedAnswer(
                case["id"],
                round(STEPS * share),
                round(STEPS * (ours.score or 0.0)),
                len(awarded & reference),
                len(awarded - reference),
                len(reference - awarded),
            )
        )
    return tuple(graded)


def measure_agreement(graded: Sequence[GradedAnswer]) -> Agreement:
    """The agreement over all answers together."""
    from sklearn.metrics import cohen_kappa_score

    right, wrong, missed = (sum(getattr(item, name) for item in graded) for name in ("right", "wrong", "missed"))
    kappa = cohen_kappa_score(
        [item.reference for item in graded], [item.given for item in graded], weights="quadratic",
        labels=list(range(STEPS + 1)),
    )
    return Agreement(
        len(graded), float(kappa), right / max(right + wrong, 1), right / max(right + missed, 1)
    )


@app.command()
def main() -> None:
    """Kappa, and precision and recall of the points, of both sets."""
    from coach.app import open_catalogue
    from coach.settings import load_settings
    from evals.coach_under_test import eval_embedder

    catalogue, embedder = open_catalogue(load_settings()), eval_embedder()
    for name in SETS:
        found = measure_agreement(grade_cases(name, catalogue, embedder))
        print(
            f"{name:<24} kappa {found.kappa:.3f}  points: precision {found.precision:.3f}  recall {found.recall:.3f}  "
            f"({found.answers} answers)"
        )


if __name__ == "__main__":
    app()
