"""Which skill a sentence asks for: a ridge classifier over example phrases; unsure means asking, never guessing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from coach.catalogue.tables import Catalogue
from coach.domain import Embedder
from coach.skills import slots
from coach.skills.base import SkillSpec, SlotValues
from coach.skills.model_advisor import Need, parse_need
from coach.skills.ridge import Ridge, fit_ridge

if TYPE_CHECKING:
    from coach.domain import Vectors

ASK = "ask"
PHRASES = Path(__file__).with_name("phrases.yaml")
# Chosen on evals/cases/routing.jsonl and phrases.yaml, one fitted and the other tried: see evals/LOG.md.
RIDGE = 0.6
BALANCE = 0.75  # 0: every phrase weighs the same; 1: every skill does
LEAST_SCORE = 0.4
SURE_MARGIN = 0.08
# Between a skill and a plain question, answering is never wrong.
ASK_MARGIN = 0.15
LEAST_PHRASES_WITH_WORD = 2


@dataclass(frozen=True, slots=True)
class Route:
    """Where a sentence goes. When `unsure`, ask the person to choose between `skill` and `runner_up`."""

    skill: str
    score: float
    runner_up: str
    runner_up_score: float
    unsure: bool
    slots: SlotValues
    question: str = ""


class Router:
    """Ridge regression onto one column a skill, from the meaning of a sentence (its embedding) and its words and pairs."""

    def __init__(
        self,
        embedder: Embedder,
        specs: Sequence[SkillSpec],
        *,
        catalogue: Catalogue | None = None,
    ) -> None:
        self._embedder = embedder
        self._specs = {spec.name: spec for spec in specs}
        self._catalogue = catalogue
        phrases = load_phrases()
        self._names = (ASK, *self._specs)
        self._texts = [(text, ASK) for text in phrases[ASK]]
        self._texts += [(text, spec.name) for spec in specs for text in (*spec.examples, *phrases[spec.name])]
        self._fitted: Ridge | None = None

    def route(self, text: str, *, today: date | None = None) -> Route:
        """The skill, how sure, and the slots that the text fills."""
        return self.route_batch([text], today=today)[0]

    def route_batch(self, texts: Sequence[str], *, today: date | None = None) -> list[Route]:
        """`route` for many texts with one call of the embedder."""
        if self._fitted is None:
            self._fitted = self._fit()
        scores = self._fitted.score(self._embed(texts), [_words(text) for text in texts])
        return [self._decide(text, row, today or date.today()) for text, row in zip(texts, scores, strict=True)]

    def _fit(self) -> Ridge:
        texts = [text for text, _ in self._texts]
        words = [_words(text) for text in texts]
        counts = Counter(word for text in words for word in text)
        known = sorted(word for word, count in counts.items() if count >= LEAST_PHRASES_WITH_WORD)
        labels = [self._names.index(name) for _, name in self._texts]
        return fit_ridge(
            self._embed(texts), words, labels, known, classes=len(self._names), strength=RIDGE, balance=BALANCE)

    def _embed(self, texts: Sequence[str]) -> Vectors:
        return self._embedder.embed_queries([normalise(text) for text in texts])

    def _decide(self, text: str, scores: Sequence[float], today: date) -> Route:
        values = parse_slots(text, self._catalogue, today) if self._catalogue else SlotValues()
        ranked = sorted(zip(map(float, scores), self._names, strict=True), reverse=True)
        (score, best), (second_score, second) = ranked[:2]
        doubtful = score - second_score < (ASK_MARGIN if ASK in (best, second) else SURE_MARGIN)
        # What is like no phrase is a question too.
        if (doubtful and ASK in (best, second)) or score < LEAST_SCORE:
            other = second if best == ASK else best
            return Route(ASK, score, other, second_score, False, values)
        return Route(
            best, score, second, second_score, doubtful, values, self._question(best, second) if doubtful else ""
        )

    def _question(self, best: str, second: str) -> str:
        def describe(name: str) -> str:
            return (
                "an answer from the documents"
                if name == ASK
                else f"{self._specs[name].title.lower()}: "
                f"{self._specs[name].summary[0].lower()}{self._specs[name].summary[1:].rstrip('.')}"
            )

        return f"Would you like {describe(best)}, or {describe(second)}?"


def load_phrases() -> Mapping[str, Sequence[str]]:
    """Skill name → phrases that ask for it, from phrases.yaml."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # at every start: 5 ms instead of 90
    found: Mapping[str, Sequence[str]] = yaml.load(PHRASES.read_text("utf-8"), Loader=loader)
    return found


def _words(text: str) -> set[str]:
    """Words, pairs of neighbours and the first word; digits become 0, so that 8 GB and 4 GB are the same words."""
    words = re.findall(r"[a-z0']+", re.sub(r"\d+", "0", normalise(text).lower()))
    return {*words, *(f"{one} {other}" for one, other in pairwise(words)), f"^{words[0] if words else ''}"}


def normalise(text: str) -> str:
    """One line without greeting and politeness, which say nothing about what is wanted."""
    text = " ".join(text.split()).strip()
    text = re.sub(
        r"^(?:hi|hello|hey|good morning|dear coach|ok|okay|so|well|coach)[,!. ]+(?:there[,!. ]+)?", "", text, flags=re.I
    )
    text = re.sub(
        r"^(?:please|can you|could you|would you|will you|i(?:'d| would) like you to|i want you to)(?: please)?\s+",
        "",
        text,
        flags=re.I,
    )
    return re.sub(r"[\s,]+(?:please|thanks|thank you)[.!]*$", "", text, flags=re.I) or text


def parse_slots(text: str, catalogue: Catalogue, today: date) -> SlotValues:
    """Everything that the sentence says about any slot; each skill takes what it needs."""
    deadline = slots.deadline_in(text, today)
    models = slots.models_in(text, catalogue)
    known = re.search(
        r"\b(?:i (?:already )?(?:know|have|can|speak|use)|starting from|i'm good at|with|my skills are|skills?:)\s+(.+)",
        text,
        re.I,
    )
    have = slots.skills_in(known[1], catalogue) if known else ()
    topic = _topic(text, catalogue)
    count = re.search(
        r"\b(\d+|one|two|three|four|five|six|seven|eight|nine|ten)\s+(?:\w+\s+){0,3}questions?\b", text, re.I
    )
    return SlotValues.of(
        {
            "role": slots.role_in(text, catalogue),
            "level": slots.role_level_in(text),
            "hours_per_week": slots.hours_per_week_in(text),
            "deadline": deadline.isoformat() if deadline else None,
            "skills": ",".join(f"{item.skill}:{item.level}" for item in have),
            "models": ",".join(models),
            "memory_gb": slots.memory_gb_in(text),
            "need": text if parse_need(text) != Need() else None,
            "done": ",".join(slots.done_in(text, catalogue)),
            "export": "calendar" if slots.wants_calendar(text) else None,
            "topic": topic,
            "questions": slots.number_word(count[1]) if count else None,
        }
    )


def _topic(text: str, catalogue: Catalogue) -> str | None:
    """The skill named after "on", "about" or "in"."""
    match = re.search(r"\b(?:on|about|in|regarding|topic:?|with)\s+([\w /&+#.-]+)", text, re.I)
    return slots.first_skill_in(match[1], catalogue) if match else slots.first_skill_in(text, catalogue)
