"""Precision and recall of reading skills out of resumes and job advertisements, over evals/cases/extraction.jsonl.

    python -m evals.extraction

prints both halves; only the errors of the half that is not held out may be looked at (`--errors`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from coach.catalogue.tables import Catalogue
from coach.domain import Embedder
from coach.skills.mentions import extract_requirements, extract_skills

app = typer.Typer(help="Measure the reading of skills.")
CASES = Path(__file__).parent / "cases" / "extraction.jsonl"


@dataclass(frozen=True, slots=True)
class ExtractionCase:
    """A text with the skills it names. `optional` ones are neither rewarded nor punished."""

    id: str
    kind: Literal["resume", "job_ad"]
    held_out: bool
    text: str
    skills: frozenset[str]
    optional: frozenset[str]


@dataclass(frozen=True, slots=True)
class ExtractionErrors:
    """What was claimed wrongly and what was missed in one text."""

    id: str
    kind: str
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
    rows = [json.loads(line) for line in CASES.read_text("utf-8").splitlines()]
    return tuple(
        ExtractionCase(
            row["id"], row["kind"], row["held_out"], row["text"], frozenset(row["skills"]), frozenset(row["optional"])
        )
        for row in rows
    )


def compare_extraction(case: ExtractionCase, catalogue: Catalogue, embedder: Embedder | None) -> ExtractionErrors:
    """The skills that the coach reads out of a text against its reference: a resume as a resume, an ad as an ad."""
    found = (
        {item.skill for item in extract_skills(case.text, catalogue, embedder) if not item.negated}
        if case.kind == "resume"
        else {item.skill for item in extract_requirements(case.text, catalogue, embedder)}
    )
    return ExtractionErrors(
        case.id,
        case.kind,
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


@app.command()
def main(errors: Annotated[bool, typer.Option("--errors", help="Errors of the half that is not held out.")] = False) -> None:
    """Precision and recall of both halves, by kind of text."""
    from coach.app import open_catalogue
    from coach.settings import load_settings
    from evals.coach_under_test import eval_embedder

    catalogue, embedder = open_catalogue(load_settings()), eval_embedder()
    compared = {case: compare_extraction(case, catalogue, embedder) for case in load_extraction()}
    for held_out in (False, True):
        for kind in ("resume", "job_ad", ""):
            score = score_extraction(
                [e for case, e in compared.items() if case.held_out == held_out and kind in ("", case.kind)]
            )
            half = "held out" if held_out else "tuned on"
            label = f"{half}  {kind or 'all':<7}"
            print(f"{label} precision {score.precision:.3f}  recall {score.recall:.3f}  ({score.skills} skills)")
    for case, found in compared.items():
        if errors and not case.held_out and (found.wrong or found.missed):
            print(f"{found.id}: wrong {', '.join(found.wrong) or 'none'}; missed {', '.join(found.missed) or 'none'}")


if __name__ == "__main__":
    app()
