"""Precision and recall of reading skills out of resumes and job advertisements, over the cases of evals/cases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from coach.catalogue.tables import Catalogue
from coach.domain import Embedder
from coach.skills.mentions import extract_requirements, extract_skills
from evals.cases import FOLDER
from evals.retrieval import read_jsonl

Half = Literal["tuned on", "held out", "fresh"]


@dataclass(frozen=True, slots=True)
class ExtractionCase:
    """A text with the skills it names. `optional` ones are neither rewarded nor punished.

    `half` tells what may be done with it: "tuned on", "held out" from tuning but measured more than once, or "fresh", which
    another writer wrote later.
    """

    id: str
    kind: Literal["resume", "job_ad"]
    half: Half
    text: str
    skills: frozenset[str]
    optional: frozenset[str]


@dataclass(frozen=True, slots=True)
class ExtractionErrors:
    """What was claimed wrongly and what was missed in one text."""

    id: str
    right: int
    wrong: tuple[str, ...]
    missed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExtractionScore:
    """Micro-averaged over texts: every mention of a skill counts once a text."""

    texts: int
    skills: int
    precision: float
    recall: float


def load_extraction() -> tuple[ExtractionCase, ...]:
    """All cases."""
    return (*_read("extraction.jsonl"), *_read("extraction_fresh.jsonl", "fresh"))


def compare_extraction(case: ExtractionCase, catalogue: Catalogue, embedder: Embedder | None) -> ExtractionErrors:
    """The skills that the coach reads out of a text against its reference: a resume as a resume, an ad as an ad."""
    found = (
        {item.skill for item in extract_skills(case.text, catalogue, embedder) if not item.negated}
        if case.kind == "resume"
        else {item.skill for item in extract_requirements(case.text, catalogue, embedder)}
    )
    return ExtractionErrors(
        case.id,
        len(found & case.skills),
        tuple(sorted(found - case.skills - case.optional)),
        tuple(sorted(case.skills - found)),
    )


def score_extraction(errors: Sequence[ExtractionErrors]) -> ExtractionScore:
    """Precision and recall over all texts together."""
    right = sum(item.right for item in errors)
    wrong = sum(len(item.wrong) for item in errors)
    missed = sum(len(item.missed) for item in errors)
    return ExtractionScore(
        len(errors), right + missed, right / max(right + wrong, 1), right / max(right + missed, 1)
    )


def _read(name: str, half: Half | None = None) -> Iterator[ExtractionCase]:
    for row in read_jsonl(FOLDER / name):
        own: Half = "held out" if row["held_out"] else "tuned on"
        yield ExtractionCase(
            row["id"], row["kind"], half or own, row["text"], frozenset(row["skills"]), frozenset(row["optional"])
        )
