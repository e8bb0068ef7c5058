"""Five ways to break the coach on purpose. A gate that does not fail on each of them watches nothing."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from coach import compose
from coach.domain import Answer, Citation, Passage, Prompt, Sentence
from coach.pipeline import Coach
from coach.retrieval.search import Evidence
from coach.verify import PreparedEvidence, Verifier
from evals.compare import BASELINES, Change
from evals.gate import run_gate
from evals.trial import SEED


@dataclass(frozen=True, slots=True)
class Breakage:
    """What is broken while the context is open, and a part of the gate that must see it."""

    name: str
    broken: Callable[[], AbstractContextManager[Any]]
    seen_by: str


def run_breakage(breakage: Breakage, *, limit: int, only: Sequence[str] = (), folder: Path = BASELINES) -> list[Change]:
    """What the gate finds while the coach is broken."""
    with breakage.broken():
        return run_gate(limit=limit, only=only, folder=folder)


def random_passages() -> AbstractContextManager[Any]:
    """The retriever returns any passages of the index."""
    search, generator = Coach.search, random.Random(SEED)

    def anything(coach: Coach, question: str, **how: Any) -> Evidence:
        found = search(coach, question, **how)
        passages = coach._parts.reader.current().passages
        return dataclasses.replace(found, passages=tuple(generator.sample(passages, len(found.passages))))

    return patch.object(Coach, "search", anything)


def blind_verifier() -> AbstractContextManager[Any]:
    """The coach's verifier lets everything through; the one that the suites measure with still sees."""
    return patch("coach.app.Verifier", BlindVerifier)


class BlindVerifier(Verifier):
    """Every sentence is supported by the first passage."""

    def check(
        self, draft: str, evidence: PreparedEvidence | Sequence[Passage], *, question: str = ""
    ) -> Sentence | None:
        """The sentence, whatever it says."""
        prepared = evidence if isinstance(evidence, PreparedEvidence) else self.prepare(evidence)
        first = prepared.passages[0].passage
        return Sentence(draft, (Citation(first.id, 0, len(first.text)),), 1.0)


def shifted_citations() -> AbstractContextManager[Any]:
    """Every sentence cites the passage after the right one."""
    finish = Coach._finish

    def shifted(coach: Coach, draft: Any, *how: Any) -> Answer:
        passages: Sequence[Passage] = draft.evidence.passages
        following = {one.id: other for one, other in zip(passages, (*passages[1:], passages[0]), strict=True)}
        draft.cited.clear()
        for number, sentence in enumerate(draft.sentences):
            wrong = [following[citation.passage] for citation in sentence.citations]
            cites = tuple(Citation(passage.id, 0, len(passage.text)) for passage in wrong)
            draft.sentences[number] = dataclasses.replace(sentence, citations=cites)
            draft.cite(draft.sentences[number])
        return finish(coach, draft, *how)

    return patch.object(Coach, "_finish", shifted)


def refusal_off() -> AbstractContextManager[Any]:
    """Whatever was found counts as evidence."""
    return patch("coach.pipeline.score_evidence", lambda evidence: 1.0)


def truncated_prompt() -> AbstractContextManager[Any]:
    """The second half of the last message does not reach the engine."""
    whole = compose.compose

    def half(*of: Any, **how: Any) -> Prompt:
        prompt = whole(*of, **how)
        *others, last = prompt.messages
        last = dataclasses.replace(last, content=last.content[: len(last.content) // 2])
        return dataclasses.replace(prompt, messages=(*others, last))

    return patch("coach.compose.compose", half)


BREAKAGES = (
    Breakage("the retriever returns random passages", random_passages, "quote.retrieval"),
    Breakage("the verifier passes everything", blind_verifier, "quote.grounding"),
    Breakage("citations are shifted by one", shifted_citations, "quote.answers"),
    Breakage("refusal is off", refusal_off, "quote.refusal"),
    Breakage("the prompt is truncated", truncated_prompt, "scripted.prompt"),
)
