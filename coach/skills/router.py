"""Which skill a sentence asks for: nearest example phrases, with a margin; unsure means asking, never guessing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from coach.catalogue.tables import Catalogue
from coach.domain import Embedder
from coach.skills import slots
from coach.skills.base import SkillSpec, SlotValues

if TYPE_CHECKING:
    from coach.domain import Vectors

ASK = "ask"
NEIGHBOURS = 4
SURE_SCORE = 0.50
SURE_MARGIN = 0.045
ASKING_SCORE = 0.42

ASK_EXAMPLES: tuple[str, ...] = (
    "what is the difference between a data scientist and an ML engineer",
    "how do I become a machine learning engineer",
    "which maths do I need first",
    "what comes after senior engineer",
    "how long does it take to learn SQL",
    "what does an MLOps engineer do all day",
    "is a master's degree necessary",
    "are bootcamps worth it",
    "how much does a data scientist earn",
    "what is overfitting",
    "explain attention in transformers",
    "how does LoRA work",
    "what is retrieval-augmented generation",
    "how do I deploy a model with Docker",
    "what is model drift and how do I detect it",
    "how should I write a cover letter",
    "what should be on a resume for machine learning",
    "how do I prepare for a system design interview",
    "what questions are asked in data science interviews",
    "how do I negotiate an offer",
    "can I work remotely as an ML engineer",
    "which projects belong in a portfolio",
    "what is a small language model",
    "which small model can read images",
    "does Qwen3 have a thinking mode",
    "what licence does Gemma have",
    "how many parameters has SmolLM3",
    "what is quantisation",
    "should I learn PyTorch or TensorFlow",
    "how do I move from software engineering into ML",
    "what is the first step into machine learning",
    "how do I get promoted",
    "I was laid off, what now",
    "how do I find a mentor",
    "which skills does a data engineer need",
    "what is a feature store",
    "how do I evaluate a language model",
    "do I need a PhD for research",
    "how is precision different from recall",
    "what does a career ladder look like",
    "how do I read research papers",
    "what are the duties of a research engineer",
    "tips for the behavioural interview",
    "how do I answer tell me about yourself",
    "how long should a resume be",
    "what is gradient descent",
    "why use cross-validation",
    "what happens in the first 90 days of a new job",
    "do I need a visa to work in another country",
    "how do I contribute to open source",
    "what is the context length of Gemma 3 4B",
    "what makes small models small",
    "how much memory does a KV cache take and why",
    "what is the weather today",
    "tell me a joke",
    "who won the football match",
    "write a poem about spring",
    "how do I cook pasta",
    "are certificates worth the money",
    "how do I keep learning beside a full-time job",
    "when should I apply for jobs",
    "what is a good roadmap",
    "what is spaced repetition",
    "which courses teach statistics well",
)

_CUES: tuple[tuple[str, str], ...] = (
    ("interview", r"\b(?:grill|quiz|interrogate|drill) me\b|\bmock interview\b|\bask me (?:\w+ ){0,4}(?:questions?|something)\b"
                  r"|\btest (?:me|my knowledge)\b|\bpractise (?:an? |for (?:an? |the |my )?)?(?:\w+ )?interview"),
    ("resume", r"\b(?:review|check|critique|improve|look at|look over|rate|proofread|read|fix|polish|rewrite|score|assess|feedback on|audit|tear apart)"
               r" (?:through )?(?:my|this|the attached|our) (?:\w+ )?(?:resume|cv|curriculum vitae|résumé)\b(?! (?:against|with|to|for fit))"),
    ("profile", r"\b(?:my profile|(?:know|stored?|saved?|remember(?:ed)?|keep|hold|kept) (?:\w+ ){0,3}(?:about|on) me\b|forget (?:me\b|everything))"),
    ("roadmap", r"\b(?:make|build|create|give|draw up|plan|draft|write|set up|design|put together|generate) (?:me |us )?(?:an? |my |the )?"
                r"(?:[\w-]+ ){0,4}(?:plan|roadmap|schedule|curriculum|timetable|learning path)\b"),
)


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
    """Routes by the mean similarity of a sentence to its nearest example phrases of each skill."""

    def __init__(
        self, embedder: Embedder, specs: Sequence[SkillSpec], ask_examples: Sequence[str] = ASK_EXAMPLES, *,
        catalogue: Catalogue | None = None,
    ) -> None:
        self._embedder = embedder
        self._specs = {spec.name: spec for spec in specs}
        self._catalogue = catalogue
        self._labels = [ASK] * len(ask_examples) + [spec.name for spec in specs for _ in spec.examples]
        self._texts = [*ask_examples, *(example for spec in specs for example in spec.examples)]
        self._vectors: Vectors | None = None

    def route(self, text: str, *, today: date | None = None) -> Route:
        """The skill, how sure, and the slots that the text fills."""
        return self.route_batch([text], today=today)[0]

    def route_batch(self, texts: Sequence[str], *, today: date | None = None) -> list[Route]:
        """`route` for many texts with one call of the embedder."""
        if self._vectors is None:
            self._vectors = self._embedder.embed_queries([normalise(text) for text in self._texts])
        similarity = self._embedder.embed_queries([normalise(text) for text in texts]) @ self._vectors.T
        return [self._decide(text, [float(value) for value in row], today or date.today())
                for text, row in zip(texts, similarity, strict=True)]

    def _decide(self, text: str, similarity: Sequence[float], today: date) -> Route:
        scores = self._scores(similarity)
        cue = self._cue(text)
        if cue:
            scores[cue] = min(1.0, max(scores[cue], max(scores.values())) + 0.15)
        (best, score), (second, second_score) = sorted(scores.items(), key=lambda item: -item[1])[:2]
        values = parse_slots(text, self._catalogue, today) if self._catalogue else SlotValues()
        if best != ASK and not cue and (score < SURE_SCORE or score - second_score < SURE_MARGIN):
            if score < ASKING_SCORE:
                return Route(ASK, scores[ASK], best, score, False, values)
            return Route(best, score, second, second_score, True, values, self._question(best, second))
        if best == ASK and second_score >= SURE_SCORE and score - second_score < SURE_MARGIN / 2:
            return Route(best, score, second, second_score, True, values, self._question(best, second))
        return Route(best, score, second, second_score, False, values)

    def _scores(self, similarity: Sequence[float]) -> dict[str, float]:
        """Mean of the nearest example and the mean of the nearest few, by skill."""
        grouped: dict[str, list[float]] = {}
        for label, value in zip(self._labels, similarity, strict=True):
            grouped.setdefault(label, []).append(value)
        means = {}
        for label, values in grouped.items():
            near = sorted(values, reverse=True)[:NEIGHBOURS]
            means[label] = 0.5 * near[0] + 0.5 * sum(near) / len(near)
        return means

    def _cue(self, text: str) -> str | None:
        """The skill whose unmistakable wording the text has; none for a question about how such a thing is done."""
        if re.match(r"\s*(?:how|what|why|when|which|who|is|are|do|does|should)\b(?!.*\b(?:do|have) you\b)", text, re.I):
            return None
        return next((name for name, pattern in _CUES if name in self._specs and re.search(pattern, text, re.I)), None)

    def _question(self, best: str, second: str) -> str:
        def describe(name: str) -> str:
            return "an answer from the documents" if name == ASK else f"{self._specs[name].title.lower()}: " \
                f"{self._specs[name].summary[0].lower()}{self._specs[name].summary[1:].rstrip('.')}"

        return f"Would you like {describe(best)}, or {describe(second)}?"


def normalise(text: str) -> str:
    """One line without greeting and politeness, which say nothing about what is wanted."""
    text = " ".join(text.split()).strip()
    text = re.sub(r"^(?:hi|hello|hey|good morning|dear coach|ok|okay|so|well|coach)[,!. ]+(?:there[,!. ]+)?", "", text, flags=re.I)
    text = re.sub(r"^(?:please|can you|could you|would you|will you|i(?:'d| would) like you to|i want you to)(?: please)?\s+", "", text, flags=re.I)
    return re.sub(r"[\s,]+(?:please|thanks|thank you)[.!]*$", "", text, flags=re.I) or text


def parse_slots(text: str, catalogue: Catalogue, today: date) -> SlotValues:
    """Everything that the sentence says about any slot; each skill takes what it needs."""
    deadline = slots.deadline_in(text, today)
    models = slots.models_in(text, catalogue)
    known = re.search(r"\b(?:i (?:already )?(?:know|have|can|speak|use)|starting from|i'm good at|with|my skills are|skills?:)\s+(.+)", text, re.I)
    have = slots.skills_in(known[1], catalogue) if known else ()
    topic = _topic(text, catalogue)
    count = re.search(r"\b(\d+|one|two|three|four|five|six|seven|eight|nine|ten)\s+(?:\w+\s+){0,3}questions?\b", text, re.I)
    return SlotValues.of({
        "role": slots.role_in(text, catalogue), "level": slots.role_level_in(text),
        "hours_per_week": slots.hours_per_week_in(text), "deadline": deadline.isoformat() if deadline else None,
        "skills": ",".join(f"{item.skill}:{item.level}" for item in have), "models": ",".join(models),
        "memory_gb": slots.memory_gb_in(text), "topic": topic, "questions": slots.number_word(count[1]) if count else None})


def _topic(text: str, catalogue: Catalogue) -> str | None:
    """The skill named after "on", "about" or "in"."""
    match = re.search(r"\b(?:on|about|in|regarding|topic:?|with)\s+([\w /&+#.-]+)", text, re.I)
    return slots.first_skill_in(match[1], catalogue) if match else slots.first_skill_in(text, catalogue)
