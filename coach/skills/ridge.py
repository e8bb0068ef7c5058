"""Which class a text is of: weighted ridge regression onto one column a class, from its embedding and its words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coach.domain import Vectors


@dataclass(frozen=True, slots=True)
class Ridge:
    """The column of each word, and what turns features into one score a class."""

    words: Mapping[str, int]
    by_meaning: Vectors
    by_words: Vectors
    mean: Vectors

    def score(self, vectors: Vectors, words: Sequence[Set[str]]) -> Vectors:
        """Shape (texts, classes), from embeddings of shape (texts, dim) and each text's words."""
        scores: Vectors = vectors @ self.by_meaning + bag(words, self.words) @ self.by_words + self.mean
        return scores


def fit_ridge(
    vectors: Vectors, words: Sequence[Set[str]], labels: Sequence[int], known: Sequence[str], *,
    classes: int, strength: float, balance: float,
) -> Ridge:
    """Fit on texts with their embeddings, words and labels; `known` words get a column.

    `balance` 0 lets every text weigh the same, 1 every class. Solved over features or, where they are more, over texts,
    which comes to the same.
    """
    import numpy as np

    columns = {word: column for column, word in enumerate(known)}
    bags = bag(words, columns)
    weight = 1.0 / np.bincount(labels, minlength=classes)[labels] ** balance
    weight *= len(weight) / weight.sum()
    targets = np.eye(classes)[labels]
    mean = (targets * weight[:, None]).sum(0) / weight.sum()
    centred, (texts, size) = targets - mean, vectors.shape
    if texts < size + len(known):
        gram = vectors @ vectors.T + (bags @ bags.T).toarray()
        gram[np.diag_indices(texts)] += strength / weight
        dual = np.linalg.solve(gram, centred)
        return Ridge(columns, vectors.T @ dual, bags.T @ dual, mean)
    weighted = vectors * weight[:, None]
    across = bags.T @ weighted
    normal = np.block([[vectors.T @ weighted, across.T], [across, (bags.T @ (bags * weight[:, None])).toarray()]])
    normal[np.diag_indices(size + len(known))] += strength
    solved = np.linalg.solve(normal, np.vstack([weighted.T @ centred, bags.T @ (centred * weight[:, None])]))
    return Ridge(columns, solved[:size], solved[size:], mean)


def bag(words: Sequence[Set[str]], columns: Mapping[str, int]) -> Any:
    """A sparse array with a row of length 1 for each text, or of zeros where it holds no known word."""
    import numpy as np
    from scipy.sparse import csr_array

    found = [sorted(columns[word] for word in text if word in columns) for text in words]
    values = [1 / len(row) ** 0.5 for row in found for _ in row]
    ends = np.cumsum([0, *map(len, found)])
    return csr_array((values, [column for row in found for column in row], ends), shape=(len(words), len(columns)))
