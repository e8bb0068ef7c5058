"""Agreement of the graded interview answers with reference grades: quadratic weighted kappa, and the points one by one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from coach.catalogue.tables import Catalogue, Question
from coach.domain import Embedder
from coach.skills import interview
from evals.cases import FOLDER
from evals.retrieval import read_jsonl

# The grading was tuned on the first; the answers of the second were written without sight of the rubrics.
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
    for case in read_jsonl(FOLDER / f"{name}.jsonl"):
        question = catalogue.questions[case["question"]]
        ours = interview.grade(question, case["answer"], embedder)
        reference, awarded = set(case["points"]), {point.index for point in ours.awarded}
        graded.append(
            GradedAnswer(
                case["id"],
                round(STEPS * share_of_points(question, reference)),
                round(STEPS * (ours.score or 0.0)),
                len(awarded & reference),
                len(awarded - reference),
                len(reference - awarded),
            )
        )
    return tuple(graded)


def share_of_points(question: Question, points: Iterable[int]) -> float:
    """The share of the rubric's weight that these points of it earn, 0 to 1."""
    return sum(question.rubric[index].weight for index in points) / sum(point.weight for point in question.rubric)


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
