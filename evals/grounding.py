"""The verifier on labelled pairs: score claims, report AUC, balanced accuracy and calibration error, refit the weights.

    coach eval grounding PAIRS.jsonl --out SCORES.jsonl      rows {"id", "claim", "references"} in, {"id", "score"} out
    python -m evals.grounding PAIRS.jsonl                    rows with "label" too: cross-validate and write the weights
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from coach.errors import KnowledgeError
from coach.verify import Verifier
from coach.verify.support import WEIGHTS, probability

if TYPE_CHECKING:
    from coach.domain import Embedder, Vectors

FOLDS = 5
BATCH = 64
REGULARISATION = 0.01  # inverse strength; the quadratic terms overfit above it


@dataclass(frozen=True, slots=True)
class Pair:
    """A claim with the texts that may support it; label 1 when they do, None when unknown."""

    id: str
    claim: str
    references: tuple[str, ...]
    label: int | None = None


@dataclass(frozen=True, slots=True)
class GroundingReport:
    """How well scores separate supported from unsupported claims."""

    pairs: int
    auc: float
    balanced_accuracy: float
    threshold: float
    calibration_error: float


def read_pairs(path: Path) -> Iterator[Pair]:
    """The pairs of a JSONL file. Raises KnowledgeError with the line of a row that is not a pair."""
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row: Any = json.loads(line)
            references = row["references"]
            if isinstance(references, str):
                references = [references]
            label = row.get("label")
            yield Pair(str(row["id"]), str(row["claim"]), tuple(map(str, references)), None if label is None else int(label))
        except (ValueError, KeyError, TypeError) as error:
            raise KnowledgeError(f"{path}, line {number}: needs id, claim and references ({error!r}).") from error


def score_pairs(pairs_path: Path, out_path: Path, embedder: Embedder) -> int:
    """Write {"id", "score"} for every pair; return how many."""
    verifier = Verifier(embedder)
    pairs = list(read_pairs(pairs_path))
    with out_path.open("w", encoding="utf-8") as out:
        for start in range(0, len(pairs), BATCH):
            part = pairs[start : start + BATCH]
            for pair, found in zip(part, verifier.measure_pairs([(p.claim, p.references) for p in part]), strict=True):
                score = probability(found) if any(text.strip() for text in pair.references) else 0.0
                out.write(json.dumps({"id": pair.id, "score": round(score, 6)}) + "\n")
    return len(pairs)


def evaluate(labels: Vectors, scores: Vectors) -> GroundingReport:
    """AUC, the best balanced accuracy with its threshold, and the expected calibration error in ten bins."""
    order = np.argsort(scores)
    ranks = np.empty(len(scores))
    ranks[order] = np.arange(1, len(scores) + 1)
    for value in np.unique(scores):  # ties share their mean rank
        same = scores == value
        ranks[same] = ranks[same].mean()
    positive, negative = labels == 1, labels == 0
    auc = (ranks[positive].sum() - positive.sum() * (positive.sum() + 1) / 2) / (positive.sum() * negative.sum())
    best = max(((float((scores[positive] >= t).mean() + (scores[negative] < t).mean()) / 2, float(t))
                for t in np.unique(scores)), default=(0.0, 0.5))
    bins = np.minimum((scores * 10).astype(int), 9)
    error = sum(abs(scores[bins == b].mean() - labels[bins == b].mean()) * (bins == b).mean()
                for b in range(10) if (bins == b).any())
    return GroundingReport(len(labels), float(auc), best[0], best[1], float(error))


def measure_pairs(pairs: list[Pair], embedder: Embedder) -> Vectors:
    """Features, shape (pairs, features)."""
    verifier = Verifier(embedder)
    rows = []
    for start in range(0, len(pairs), BATCH):
        rows += verifier.measure_pairs([(pair.claim, pair.references) for pair in pairs[start : start + BATCH]])
    return np.array([astuple(row) for row in rows])


def calibrate(pairs: list[Pair], embedder: Embedder, *, weights: Path = WEIGHTS) -> GroundingReport:
    """Cross-validate (grouped by reference), then fit on everything and write the weights; needs scikit-learn."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    features = measure_pairs(pairs, embedder)
    labels = np.array([pair.label for pair in pairs])
    names = sorted({pair.references for pair in pairs})
    position = {name: number for number, name in enumerate(names)}
    groups = np.array([position[pair.references] for pair in pairs])
    model = make_pipeline(StandardScaler(), FunctionTransformer(_with_products), StandardScaler(),
                          LogisticRegression(C=REGULARISATION, max_iter=3000))
    scores = cross_val_predict(model, features, labels, groups=groups, cv=GroupKFold(FOLDS), method="predict_proba")[:, 1]
    model.fit(features, labels)
    first, _, second, logistic = (step for _, step in model.steps)
    coefficients = logistic.coef_[0] / second.scale_
    bias = float(logistic.intercept_[0] - (coefficients * second.mean_).sum())
    count = features.shape[1]
    weights.write_text(json.dumps({
        "mean": _round(first.mean_), "scale": _round(first.scale_), "bias": round(bias, 6),
        "linear": _round(coefficients[:count]), "quadratic": _round(coefficients[count:])}) + "\n", "utf-8")
    return evaluate(labels, scores)


def _with_products(x: Vectors) -> Vectors:
    rows, columns = np.triu_indices(x.shape[1])
    return np.hstack([x, x[:, rows] * x[:, columns]])


def _round(values: Vectors) -> list[float]:
    return [round(float(value), 6) for value in values]


if __name__ == "__main__":
    from coach.app import open_embedder
    from coach.settings import load_settings

    print(calibrate(list(read_pairs(Path(sys.argv[1]))), open_embedder(load_settings())))
