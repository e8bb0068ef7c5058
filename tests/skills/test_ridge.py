"""Ridge regression over texts and over features is the same, and the same as plain least squares says."""

from __future__ import annotations

import numpy as np
import pytest

from coach.skills.ridge import bag, fit_ridge

WORDS = [{"plan", "week"}, {"quiz"}, {"plan"}, {"quiz", "hard"}, set(), {"week", "unknown"}]
LABELS = [0, 1, 0, 1, 1, 0]
KNOWN = ["hard", "plan", "quiz", "week"]


@pytest.mark.parametrize("size", [1, 40])  # fewer features than texts, and more
@pytest.mark.parametrize("balance", [0.0, 1.0])
def test_it_solves_the_weighted_normal_equations(size: int, balance: float) -> None:
    vectors = np.random.default_rng(0).normal(size=(len(WORDS), size))
    fitted = fit_ridge(vectors, WORDS, LABELS, KNOWN, classes=2, strength=0.5, balance=balance)
    features = np.hstack([vectors, bag(WORDS, fitted.words).toarray()])
    weight = 1.0 / np.bincount(LABELS)[LABELS] ** balance
    weight *= len(weight) / weight.sum()
    targets = np.eye(2)[LABELS]
    mean = np.average(targets, axis=0, weights=weight)
    normal = features.T @ (features * weight[:, None]) + 0.5 * np.eye(features.shape[1])
    expected = features @ np.linalg.solve(normal, features.T @ ((targets - mean) * weight[:, None])) + mean
    np.testing.assert_allclose(fitted.score(vectors, WORDS), expected, atol=1e-9)


def test_rows_of_words_have_length_one_or_none() -> None:
    rows = bag(WORDS, {word: column for column, word in enumerate(KNOWN)}).toarray()
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), [1, 1, 1, 1, 0, 1])
