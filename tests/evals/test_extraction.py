"""The measurement of skill reading counts what is right, wrong and missed, and today's figures do not fall."""

from __future__ import annotations

from pathlib import Path

from coach.catalogue.tables import Catalogue
from evals.extraction import ExtractionCase, ExtractionErrors, compare_extraction, load_extraction, score_extraction

CATALOGUE = Catalogue(Path(__file__).parents[2] / "knowledge" / "catalogue")


def test_optional_skills_are_neither_rewarded_nor_punished() -> None:
    case = ExtractionCase("x", "resume", "tuned on", "Wrote SQL, Python and Scala.", frozenset({"sql", "java"}), frozenset({"scala"}))
    assert compare_extraction(case, CATALOGUE, None) == ExtractionErrors("x", 1, ("python",), ("java",))


def test_scores_are_micro_averaged() -> None:
    score = score_extraction([ExtractionErrors("a", 8, ("x",), ()), ExtractionErrors("b", 1, (), ("y", "z"))])
    assert (score.skills, score.precision, score.recall) == (11, 9 / 10, 9 / 11)


def test_precision_and_recall_do_not_fall() -> None:
    cases = load_extraction()
    assert len(cases) == 90
    for half, precision, recall in (("tuned on", 0.95, 0.97), ("held out", 0.91, 0.89), ("fresh", 0.89, 0.7)):
        score = score_extraction([compare_extraction(case, CATALOGUE, None) for case in cases if case.half == half])
        assert score.precision >= precision
        assert score.recall >= recall
