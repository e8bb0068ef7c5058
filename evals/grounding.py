"""The verifier on labelled pairs: score claims, report AUC, balanced accuracy and calibration error, refit the weights.

    coach eval grounding PAIRS.jsonl --out SCORES.jsonl      rows {"id", "claim", "references"} in, {"id", "score"} out
    python -m evals.grounding PAIRS.jsonl                    rows with "label" too: cross-validate and write the weights
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from coach.errors import KnowledgeError
from coach.verify import Verifier
from coach.verify.support import WEIGHTS, Features

if TYPE_CHECKING:
    from coach.domain import Embedder, Vectors

FOLDS = 5
BATCH = 64
TREES = 300
# More of a feature may only raise the score (1, the default), only lower it (-1), or either (0).
DIRECTION = {"mean_cosine": 0, "longest_gap": -1, "negation_differs": -1, "contradicted": -1, "length_ratio": 0,
             "claim_length": 0, "reference_length": 0}


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
            yield _pair(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            raise KnowledgeError(f"{path}, line {number}: {error}. A row is "
                                 '{"id": …, "claim": "…", "references": ["…"]}.') from error


def _pair(row: Any) -> Pair:
    if not isinstance(row, dict):
        raise TypeError(f"{row!r} is no JSON object")
    absent = [name for name in ("id", "claim", "references") if name not in row]
    if absent:
        raise KeyError(f"{', '.join(absent)} missing")
    references = [row["references"]] if isinstance(row["references"], str) else row["references"]
    if not isinstance(row["claim"], str):
        raise TypeError(f"claim {row['claim']!r} is no text")
    if not isinstance(references, list) or not all(isinstance(text, str) for text in references):
        raise TypeError(f"references {references!r:.80} are no list of texts")
    if row.get("label") not in (None, 0, 1):
        raise ValueError(f"label {row['label']!r} is neither 0 nor 1")
    return Pair(str(row["id"]), row["claim"], tuple(references), row.get("label"))


def score_pairs(pairs_path: Path, out_path: Path, embedder: Embedder) -> int:
    """Write {"id", "score"} for every pair in its order; return how many. Nothing is written when a row is bad."""
    pairs = list(read_pairs(pairs_path))
    verifier, scores = Verifier(embedder), []
    for start in range(0, len(pairs), BATCH):
        scores += verifier.support_batch([(pair.claim, pair.references) for pair in pairs[start : start + BATCH]])
    rows = (json.dumps({"id": pair.id, "score": round(score, 6)}) for pair, score in zip(pairs, scores, strict=True))
    out_path.write_text("".join(f"{row}\n" for row in rows), "utf-8")
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
    return fit(pairs, measure_pairs(pairs, embedder), weights=weights)


def fit(pairs: list[Pair], features: Vectors, *, weights: Path) -> GroundingReport:
    """As calibrate, from features that were measured before."""
    from sklearn.model_selection import GroupKFold, cross_val_predict

    labels = np.array([pair.label for pair in pairs])
    number = {references: position for position, references in enumerate(sorted({pair.references for pair in pairs}))}
    groups = np.array([number[pair.references] for pair in pairs])
    model = _model()
    scores = cross_val_predict(
        model, features, labels, groups=groups, cv=GroupKFold(FOLDS), method="predict_proba")[:, 1]
    model.fit(features, labels)
    weights.write_text(_export(model), "utf-8")
    return evaluate(labels, scores)


def _model() -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=TREES, learning_rate=0.03, max_depth=3, min_samples_leaf=25, l2_regularization=5.0, max_features=0.3,
        monotonic_cst=[DIRECTION.get(field.name, 1) for field in fields(Features)], random_state=0)


def _export(model: Any) -> str:
    """The trees as JSON: [feature, threshold, left, right, value] a node, feature -1 in a leaf."""
    trees = []
    for (predictor,) in model._predictors:  # scikit-learn has no public view of these trees
        trees.append([[-1, 0.0, 0, 0, round(float(node["value"]), 6)] if node["is_leaf"] else
                      [int(node["feature_idx"]), float(node["num_threshold"]), int(node["left"]),
                       int(node["right"]), 0.0]
                      for node in predictor.nodes])
    return json.dumps({"features": [field.name for field in fields(Features)],
                       "bias": round(float(model._baseline_prediction.ravel()[0]), 6), "trees": trees}) + "\n"


if __name__ == "__main__":
    from coach.app import open_embedder
    from coach.settings import load_settings

    print(calibrate(list(read_pairs(Path(sys.argv[1]))), open_embedder(load_settings())))
