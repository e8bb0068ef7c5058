"""The measurement of graded answers: kappa weighs far grades more, and points are counted one by one."""

from __future__ import annotations

import pytest

from evals.grading import GradedAnswer, measure_agreement


def test_the_same_grades_agree_wholly_and_opposite_ones_not_at_all() -> None:
    same = [GradedAnswer(str(grade), grade, grade, 1, 0, 0) for grade in (0, 2, 4)]
    opposite = [GradedAnswer(str(grade), grade, 4 - grade, 0, 1, 1) for grade in (0, 2, 4)]
    assert measure_agreement(same).kappa == pytest.approx(1.0)
    assert measure_agreement(opposite).kappa == pytest.approx(-1.0)


def test_a_far_grade_costs_more_than_a_near_one() -> None:
    grades = [0, 1, 2, 3, 4]

    def kappa(last: int) -> float:
        return measure_agreement([GradedAnswer("", g, last if g == 4 else g, 1, 0, 0) for g in grades]).kappa

    assert kappa(4) > kappa(3) > kappa(0)


def test_points_are_micro_averaged() -> None:
    found = measure_agreement([GradedAnswer("a", 4, 3, 3, 1, 0), GradedAnswer("b", 1, 0, 0, 0, 2)])
    assert (found.answers, found.precision, found.recall) == (2, 3 / 4, 3 / 5)
