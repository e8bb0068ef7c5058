"""What a suite is made of: trials, what is observed of them, and which figures a gate watches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from coach.domain import Message
from coach.pipeline import Coach
from evals.cases import Case

SEED = 7


@dataclass(frozen=True, slots=True)
class Trial:
    """One thing to try. `group` is what tables are broken down by, `payload` what the suite itself needs to know."""

    id: str
    question: str
    group: str
    history: tuple[Message, ...] = ()
    document: str = ""
    accepted: tuple[str, ...] = ("answered",)
    case: Case | None = None
    claim: str = ""
    supported: bool = True
    passage: str = ""
    payload: object = None


@dataclass(frozen=True, slots=True)
class Observation:
    """What came of a trial: metric → value, and what a reader of the report wants to see.

    `labels` may hold "wanted" and "outcome", from which the report counts precision and recall of each outcome.
    """

    values: dict[str, float]
    answer: str = ""
    passages: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)


Run = Callable[[Coach, Trial], Observation]


@dataclass(frozen=True, slots=True)
class Suite:
    """A named set of trials. `gated` are the metrics that a gate watches, higher being better."""

    name: str
    trials: Callable[[Coach], list[Trial]]
    run: Run
    gated: tuple[str, ...]
    worst_by: str
    lower_is_better: tuple[str, ...] = field(default=())


def spread(trials: Sequence[Trial], limit: int | None) -> list[Trial]:
    """At most `limit` trials, spread evenly over the list so that every group keeps its share."""
    if limit is None or limit >= len(trials):
        return list(trials)
    return [trials[int(position * len(trials) / limit)] for position in range(limit)]
