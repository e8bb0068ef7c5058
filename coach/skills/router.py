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
SURE_MARGIN = 0.08
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
    "how do I write a good resume",
    "what belongs on a CV and what does not",
    "should I put a photo on my CV",
    "what makes a learning plan work",
    "how are interview answers scored",
)

_DOCUMENT = r"(?:cv|resume|résumé|curriculum vitae)"
_OPENING = r"(?:job (?:ad|advert\w*|description|posting|opening|offer)|vacancy|posting|advert\w*|this (?:ad|job|position|role|opening)|the ad\b)"
# Wording that speaks for a skill beside the nearest examples, with what it adds to the skill's score.
_CUES: tuple[tuple[str, str, float], ...] = (
    (
        "interview",
        r"\b(?:grill|quiz|interrogate|drill|interview|examine|exam|challenge) (?:me|my)\b|\bmock\b|\bquiz\b|\b(?:interviewer|rehears\w+)\b"
        r"|\b(?:ask|give|pose|throw|test|train|challenge|prepare)\b.{0,40}\b(?:me|my|us)\b.{0,40}\bquestions?\b|\bquestions? at me\b|\bquestions? .{0,30}(?:to|at) me\b"
        r"|\b(?:ask|test) me\b|\btest (?:me\b|my knowledge)|\b(?:my|examine) knowledge\b|\b(?:another|next|practi[sc]e) (?:interview )?questions?\b"
        r"|\bpracti[sc]e (?:an? |the |my |for )?(?:\w+ ){0,2}interview|\binterview (?:practi[sc]e|training)\b|\b(?:simulate|start|begin|run|do) (?:an? |the )?(?:\w+ ){0,2}interview"
        r"|\b(?:grade|check) my answers?\b|\bto be questioned\b|\bplay(?: the)? interviewer\b|\brepeat\b.{0,30}\bpracti[sc]e",
        0.30,
    ),
    (
        "resume",
        rf"\b(?:my|this|the attached|attached|our) (?:\w+ )?{_DOCUMENT}\b(?!.*\b{_OPENING}\b)(?!.*\b(?:match|fit|compare|against|next to|role of)\b)",
        0.20,
    ),
    (
        "skill_gap",
        rf"\b(?:compare|match|hold|check|does|do|score|fit)\b.*\b(?:my|me|i)\b.*\b{_OPENING}"
        rf"|\b{_OPENING}.*\b(?:qualify|match|meet|my|i (?:cover|fulfil))\b|\b(?:do|would|can|should) i (?:qualify|meet|match|fit|pass|apply)\b"
        r"|\b(?:am i|i'?m|i am) (?:\w+ )?(?:missing|lacking|ready|qualified|short)\b|\bhow (?:close|far|ready|near) (?:am i|i am|is)\b|\bmy (?:skill )?gaps?\b|\bskill gap\b|\bgap (?:check|analysis|between)\b"
        r"|\b(?:do|does) i? ?(?:not|still)? ?(?:lack|miss)\b|\bi (?:still )?(?:lack|miss)\b|\bdo i (?:not have|still)\b|\b(?:i|do) not have yet\b|\bwhat(?:'s| is| else is) missing\b"
        r"|\bmy (?:\w+ ){0,2}(?:readiness|fit)\b|\bfall short\b|\bwhat i (?:know|have)\b.*\b(?:enough|with|needs?|and what)\b|\bwhat it takes\b"
        r"|\b(?:match|compare|hold)\b.*\bmy\b.*\b(?:resume|cv|profile|skills|experience)\b|\bmy (?:\w+ )?(?:skills?|background|experience|skill set)\b.*\b(?:enough|cover|match|fit|demand\w*|against|for)\b"
        r"|\brequirements\b.*\b(?:i|my)\b",
        0.16,
    ),
    (
        "profile",
        r"\bmy (?:stored |saved )?profile\b(?!.*\b(?:role|job|against|match|between)\b)"
        r"|\b(?:know|stored?|saved?|remember(?:ed)?|keep|hold|kept|have)\b.{0,30}\b(?:about|on) me\b|\b(?:forget|about) (?:me\b|everything)"
        r"|\b(?:delete|erase|wipe|export|download|clear|remove)\b.*\b(?:my|me)\b.*\b(?:data|details|information|profile)\b|\b(?:delete|erase|wipe|export|download|clear) (?:all )?my (?:\w+ )?(?:data|details|information)\b"
        r"|^(?:please )?(?:remember|note|store|save)\b(?!.*\bcalendar)|^(?:please )?(?:set|change|update|add|put|edit|correct)\b.*\b(?:my (?:stored|saved|target|hours|level|goal|locale|language|skills)|to my (?:skills|profile))\b"
        r"|\bstored under my name\b|\bmy personal data\b|\bdid i tell you\b",
        0.30,
    ),
    (
        "model_advisor",
        r"\b(?:which|what|a|pick|choose|recommend|suggest|advise|best|find|small|vision|local|larg\w+|chat|language) (?:\w+ ){0,2}?(?:model|llm|slm)s?\b.*"
        r"(?:\b\d+ ?(?:gb|gib|k tokens)\b|\b(?:run|runs|fit|fits|laptop|phone|notebook|offline|commercial\w*|licen[cs]ed?|memory|ram|gpu|vram|raspberry|images?|german|french|spanish|tool)\b)"
        r"|\b(?:recommend|suggest|choose|pick|advise|find) (?:me )?(?:an? |the )?(?:\w+ ){0,3}(?:model|llm)\b|\bmodel advice\b"
        r"|\b(?:fit|fits|run|runs|memory|ram)\b.*\b\d+ ?gb\b|\b\d+ ?gb\b.*\b(?:fit|fits|run|runs|laptop|model|ram|memory|vram|card)\b",
        0.18,
    ),
    (
        "roadmap",
        r"\b(?:make|build|create|give|draw up|plan|draft|write|set|design|put|generate|produce|lay|map|prepare|organise|schedule|replan|re-plan|reschedule|update|refresh|adjust|change|shift|cut|turn|split|work)\b"
        r".{0,60}\b(?:(?<!data )plan|roadmap|schedule|curriculum|timetable|learning path|calendar|deadline|milestones|week(?:ly|s| by week)?)\b"
        r"|^(?:please )?(?:re-?plan|re-?schedule|schedule|plan|map)\b|\bmy (?:study |learning )?(?:plan|roadmap|schedule|deadline|curriculum)\b|\b(?:plan|schedule) it\b"
        r"|\b(?:tick off|mark)\b|\bi (?:have )?(?:finished|completed)\b|\b\d+ ?h(?:ours?|rs?)? (?:a|per|each|every|/) ?week\b.*\b(?:plan|roadmap|to|get me)\b|\bweek by week\b"
        r"|^(?:need |a |personal |learning |study )*(?:roadmap|plan)\b",
        0.18,
    ),
)
_GENERAL = re.compile(
    r"^(?:how|what|what's|why|when|which|who|where|is|are|do|does|should|can|could|explain|tell me (?:about|a)|describe|in which)\b",
    re.I,
)
GENERAL_BONUS = 0.25


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
        self,
        embedder: Embedder,
        specs: Sequence[SkillSpec],
        ask_examples: Sequence[str] = ASK_EXAMPLES,
        *,
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
        return [
            self._decide(text, [float(value) for value in row], today or date.today())
            for text, row in zip(texts, similarity, strict=True)
        ]

    def _decide(self, text: str, similarity: Sequence[float], today: date) -> Route:
        scores = self._scores(similarity)
        values = parse_slots(text, self._catalogue, today) if self._catalogue else SlotValues()
        bonus = self._bonus(normalise(text), values)
        for name, more in bonus.items():
            scores[name] += more
        (best, score), (second, second_score) = sorted(scores.items(), key=lambda item: -item[1])[:2]
        sure = score >= SURE_SCORE and score - second_score >= SURE_MARGIN
        if best == ASK:
            doubtful = score - second_score < SURE_MARGIN / 2 and second in bonus
        elif score < ASKING_SCORE or (second == ASK and not sure and best not in bonus):
            return Route(ASK, scores[ASK], best, score, False, values)
        else:
            doubtful = not sure
        question = self._question(best, second) if doubtful else ""
        return Route(best, score, second, second_score, doubtful, values, question)

    def _bonus(self, text: str, values: SlotValues) -> dict[str, float]:
        """What the wording adds to each score; the form of a general question speaks for answering from documents."""
        found = {name: more for name, pattern, more in _CUES if name in self._specs and re.search(pattern, text, re.I)}
        models = values.items("models")
        if len(models) >= 2 or (models and values.text("memory_gb")):
            found["model_advisor"] = max(found.get("model_advisor", 0.0), 0.2)
        if _GENERAL.match(text) and not found:
            found[ASK] = GENERAL_BONUS
        return {name: more for name, more in found.items() if name == ASK or name in self._specs}

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

    def _question(self, best: str, second: str) -> str:
        def describe(name: str) -> str:
            return (
                "an answer from the documents"
                if name == ASK
                else f"{self._specs[name].title.lower()}: "
                f"{self._specs[name].summary[0].lower()}{self._specs[name].summary[1:].rstrip('.')}"
            )

        return f"Would you like {describe(best)}, or {describe(second)}?"


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
            "topic": topic,
            "questions": slots.number_word(count[1]) if count else None,
        }
    )


def _topic(text: str, catalogue: Catalogue) -> str | None:
    """The skill named after "on", "about" or "in"."""
    match = re.search(r"\b(?:on|about|in|regarding|topic:?|with)\s+([\w /&+#.-]+)", text, re.I)
    return slots.first_skill_in(match[1], catalogue) if match else slots.first_skill_in(text, catalogue)
