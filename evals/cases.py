"""The cases: questions with what an answer must and must not state, read from evals/cases/*.jsonl and validated."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coach.domain import Outcome, Passage
from evals.retrieval import read_jsonl

FOLDER = Path(__file__).parent / "cases"
# The files of answer cases, one per folder of knowledge/guides; the other files hold other shapes of case.
TOPICS = ("roles", "skills", "path", "mlops", "getting-hired", "interviews", "small-language-models")
LEAST_CASES = 400
OUTCOMES = ("answered", "no_evidence", "out_of_scope", "blocked")
# A fact is taken from its passage: nearly all of its content words must stand there.
LEAST_FACT_WORDS = 0.8


@dataclass(frozen=True, slots=True)
class Fact:
    """An atomic statement and the passage that supports it."""

    text: str
    passage: str


@dataclass(frozen=True, slots=True)
class Case:
    """One question of our own. `document` is the one that must answer it, empty when none can."""

    id: str
    question: str
    topic: str
    outcome: Outcome
    document: str
    must_state: tuple[Fact, ...]
    must_not_state: tuple[str, ...]
    held_out: bool
    provenance: str


@dataclass(frozen=True, slots=True)
class RefusalCase:
    """A question and the outcomes that are right for it; `outcome` is the best one."""

    id: str
    question: str
    kind: str
    outcome: Outcome
    accepted: tuple[str, ...]
    held_out: bool


@dataclass(frozen=True, slots=True)
class CoverageCase:
    """A question and the document that must be among the first five."""

    id: str
    question: str
    document: str


@dataclass(frozen=True, slots=True)
class ClaimCase:
    """A claim about one passage that shares its words but not always its sense; `kind` is how it was changed."""

    id: str
    passage: str
    claim: str
    supported: bool
    kind: str
    held_out: bool


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation and the document that must be found for it."""

    question: str
    document: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns that build on each other."""

    id: str
    kind: str
    turns: tuple[Turn, ...]


def load_cases(folder: Path = FOLDER) -> list[Case]:
    """Every answer case, in the order of files and lines."""
    return [_case(row) for path in _answer_files(folder) for row in read_jsonl(path)]


def load_refusals(folder: Path = FOLDER) -> list[RefusalCase]:
    """refusal.jsonl."""
    return [
        RefusalCase(
            row["id"], row["question"], row["kind"], row["outcome"], tuple(row["accepted"]), bool(row["held_out"])
        )
        for row in read_jsonl(folder / "refusal.jsonl")
    ]


def load_coverage(folder: Path = FOLDER) -> list[CoverageCase]:
    """coverage.jsonl."""
    return [CoverageCase(row["id"], row["question"], row["document"]) for row in read_jsonl(folder / "coverage.jsonl")]


def load_claims(folder: Path = FOLDER) -> list[ClaimCase]:
    """claims.jsonl."""
    return [
        ClaimCase(row["id"], row["passage"], row["claim"], bool(row["supported"]), row["kind"], bool(row["held_out"]))
        for row in read_jsonl(folder / "claims.jsonl")
    ]


def load_conversations(folder: Path = FOLDER) -> list[Conversation]:
    """conversation.jsonl."""
    return [
        Conversation(row["id"], row["kind"], tuple(Turn(turn["question"], turn["document"]) for turn in row["turns"]))
        for row in read_jsonl(folder / "conversation.jsonl")
    ]


def check_cases(passages: Iterable[Passage], folder: Path = FOLDER) -> list[str]:
    """What is wrong with the cases, one line each; empty when all is well. `passages` are those of the index."""
    by_id = {passage.id: passage for passage in passages}
    documents = {passage.document for passage in by_id.values()}
    problems: list[str] = []
    seen: dict[str, str] = {}
    asked: dict[str, str] = {}
    count = held_out = 0
    for path in _answer_files(folder):
        for number, row in enumerate(read_jsonl(path), 1):
            where = f"{path.name}:{number}"
            try:
                case = _case(row)
            except (KeyError, TypeError) as error:
                problems.append(f"{where} lacks or garbles {error}")
                continue
            count += 1
            held_out += case.held_out
            problems += [f"{where} {text}" for text in _check_case(case, by_id, documents)]
            for value, known, what in ((case.id, seen, "id"), (_plain(case.question), asked, "question")):
                if value in known:
                    problems.append(f"{where} repeats the {what} of {known[value]}: {value!r}")
                known[value] = where
    if count < LEAST_CASES:
        problems.append(f"{count} cases; at least {LEAST_CASES} are wanted")
    if not 0.25 <= held_out / max(1, count) <= 0.45:
        problems.append(f"{held_out} of {count} cases are held out; about a third should be")
    for coverage in load_coverage(folder):
        if coverage.document not in documents:
            problems.append(
                f"coverage.jsonl {coverage.id} names the document {coverage.document!r}, which is not there"
            )
    problems += [
        f"claims.jsonl {claim.id} names the passage {claim.passage!r}, which is not there"
        for claim in load_claims(folder)
        if claim.passage not in by_id
    ]
    for refusal in load_refusals(folder):
        if refusal.outcome not in OUTCOMES or not set(refusal.accepted) <= set(OUTCOMES):
            problems.append(f"refusal.jsonl {refusal.id} names an outcome that does not exist")
    for conversation in load_conversations(folder):
        problems += [
            f"conversation.jsonl {conversation.id} names the document {turn.document!r}, which is not there"
            for turn in conversation.turns
            if turn.document not in documents
        ]
    return problems


def cases_from_feedback(rows: Sequence[tuple[str, str, str]], path: Path = FOLDER / "pending.jsonl") -> int:
    """Append (question, rating, remark) rows that people agreed to share as pending cases; return how many are new.

    Nothing but these three fields is kept: no user, no session, no time. A person accepts or deletes each line.
    """
    known = {_plain(row["question"]) for row in read_jsonl(path)} if path.is_file() else set()
    added = 0
    with path.open("a", encoding="utf-8") as file:
        for question, rating, remark in rows:
            if _plain(question) in known:
                continue
            known.add(_plain(question))
            row = {
                "question": question,
                "rating": rating,
                "remark": remark,
                "status": "pending",
                "provenance": "feedback, with consent",
            }
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            added += 1
    return added


def _answer_files(folder: Path) -> list[Path]:
    return [path for path in (folder / f"{topic}.jsonl" for topic in TOPICS) if path.is_file()]


def _case(row: dict[str, Any]) -> Case:
    facts = tuple(Fact(fact["fact"], fact["passage"]) for fact in row["must_state"])
    return Case(
        row["id"],
        row["question"],
        row["topic"],
        row["outcome"],
        row["document"],
        facts,
        tuple(row["must_not_state"]),
        bool(row["held_out"]),
        row["provenance"],
    )


def _check_case(case: Case, by_id: dict[str, Passage], documents: set[str]) -> list[str]:
    problems = []
    if case.outcome not in OUTCOMES:
        problems.append(f"names the outcome {case.outcome!r}")
    if case.outcome == "answered" and not case.must_state:
        problems.append("states nothing that an answer must state")
    if case.document not in documents:
        problems.append(f"names the document {case.document!r}, which is not there")
    if not case.provenance:
        problems.append("has no provenance")
    for fact in case.must_state:
        passage = by_id.get(fact.passage)
        if passage is None:
            problems.append(f"names the passage {fact.passage!r}, which is not there")
        elif _shared(fact.text, passage.text) < LEAST_FACT_WORDS:
            problems.append(f"has a fact that {fact.passage} does not support: {fact.text!r}")
    return problems


def _shared(fact: str, text: str) -> float:
    words = set(re.findall(r"\w+", fact.lower()))
    return len(words & set(re.findall(r"\w+", text.lower()))) / max(1, len(words))


def _plain(text: str) -> str:
    return re.sub(r"\W+", " ", text.lower()).strip()
