"""An optional judge: a model that says which of two answers is better, asked in both orders and more than once."""

from __future__ import annotations

import dataclasses
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from coach.app import open_catalogue
from coach.domain import Engine, GenerationOptions, Message, Sampling
from coach.engines.base import collect
from coach.engines.select import open_engine
from evals.cases import load_cases
from evals.coach_under_test import eval_settings
from evals.harness import SuiteResult

REPEATS = 2
TEMPERATURE = 0.7  # repeats of a greedy judge would agree with themselves whatever they say
LONGEST_VERDICT = 8  # tokens
INSTRUCTIONS = (
    "You compare two answers to a question about careers in machine learning. The better one answers the question "
    "directly, completely and without anything that is beside the point. Reply with one letter: A, B, or T for a tie."
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the judge thinks of an answer beside the reference, each 0 to 1.

    `score` is 1 for better, 0.5 for a tie, 0 for worse, over both orders and all repeats; `order_agrees` tells in how
    many repeats both orders gave the same verdict; `spread` is the standard deviation of the score over repeats.
    """

    score: float
    order_agrees: float
    spread: float


def open_judge(name: str) -> Engine:
    """A judge from URL#MODEL of an OpenAI-compatible server, or from the name or folder of a local model."""
    if "://" in name:
        url, _, model = name.partition("#")
        settings = eval_settings(engine="remote", remote_url=url, remote_model=model)
    elif name == "scripted":
        settings = eval_settings(engine="scripted")
    else:
        settings = eval_settings(model=name)
    return open_engine(settings, open_catalogue(settings))


def judge_answers(result: SuiteResult, judge: Engine, *, repeats: int = REPEATS) -> SuiteResult:
    """The same result with the judge's figures beside the others, and with its name in the conditions."""
    facts = {case.id: " ".join(fact.text for fact in case.must_state) for case in load_cases()}
    judged = []
    for case in result.cases:
        if not facts.get(case.id) or not case.answer:
            judged.append(case)
            continue
        found = judge_pair(judge, case.question, _without_markers(case.answer), facts[case.id], repeats=repeats)
        values = {"judge": found.score, "judge_order_agrees": found.order_agrees, "judge_spread": found.spread}
        judged.append(dataclasses.replace(case, values=case.values | values))
    name = f"{judge.model} ({judge.name}), {repeats} repeats, both orders, against the facts of the case"
    return dataclasses.replace(result, cases=tuple(judged), conditions=result.conditions | {"judge": name})


def judge_pair(
    judge: Engine, question: str, answer: str, reference: str, *, repeats: int = REPEATS
) -> Verdict:
    """Ask which is better, the answer or the reference, in both orders, `repeats` times."""
    scores, agreements = [], []
    for seed in range(repeats):
        first = _score(_ask(judge, question, answer, reference, seed), better="A")
        second = _score(_ask(judge, question, reference, answer, seed), better="B")
        scores.append((first + second) / 2)
        agreements.append(float(first == second))
    return Verdict(statistics.fmean(scores), statistics.fmean(agreements), statistics.pstdev(scores))


def _ask(judge: Engine, question: str, one: str, other: str, seed: int) -> str:
    text = f"Question: {question}\n\nAnswer A:\n{one}\n\nAnswer B:\n{other}\n\nWhich is better, A, B or T?"
    options = GenerationOptions(LONGEST_VERDICT, Sampling(temperature=TEMPERATURE, seed=seed))
    return collect(judge.stream((Message("system", INSTRUCTIONS), Message("user", text)), options)).text


def _score(reply: str, *, better: str) -> float:
    """1 when the judge names `better`, 0 when the other one; a tie, and a reply that names neither, is one half."""
    found = re.search(r"\b([ABT])\b", reply)
    if found is None or found[1] == "T":
        return 0.5
    return float(found[1] == better)


def _without_markers(text: str) -> str:
    """The judge must not tell the answers apart by their citations."""
    return re.sub(r"\s*\[\d+\]", "", text)


def figures(results: Sequence[SuiteResult]) -> str:
    """One sentence about the judge for the report, empty when there was none."""
    for result in results:
        if "judge" not in result.metrics():
            continue
        means = result.means()
        return (
            f"Judged by {result.conditions['judge']}: the two orders agreed in "
            f"{means['judge_order_agrees']:.0%} of the comparisons, and a case's score varies by "
            f"{means['judge_spread']:.2f} (standard deviation) when the judge is asked again."
        )
    return ""
