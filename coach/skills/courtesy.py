"""Greetings, thanks, "what can you do", and the few requests a coach declines: answered without any search."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from coach.skills.screen import Unsafe

CAPABILITIES = (
    "I coach people who work, or want to work, in machine learning.",
    "Ask me about roles, skills, the way in, projects, deployment, getting hired, interviews and small language models.",
    "I answer from documents and show which sentence comes from where; what they do not say, I do not claim.",
    "I can also make a roadmap, find your skill gap, review a resume, practise an interview and advise on a model.",
)


@dataclass(frozen=True, slots=True)
class Courtesy:
    """A reply that needs no evidence."""

    outcome: Literal["answered", "blocked"]
    sentences: tuple[str, ...]


_REPLIES: tuple[tuple[str, Courtesy], ...] = (
    (r"(hi|hello|hey|hiya|howdy|greetings|good (morning|afternoon|evening|day))( there| coach| everyone| all)?",
     Courtesy("answered", ("Hello, good to see you.", CAPABILITIES[0], CAPABILITIES[1], "What would you like to know?"))),
    (r"(how are you|how's it going|how do you do|what's up|sup)( today| doing)?",
     Courtesy("answered", ("I am ready to help, thank you for asking.", CAPABILITIES[1]))),
    (r"(ok |okay |great |perfect |cool |nice )?(thanks|thank you|thx|ty|cheers|much appreciated)"
     r"( a lot| so much| very much| for your help| for the help| coach| that helps| that helped)*",
     Courtesy("answered", ("You are welcome.", "Come back with the next question whenever you like."))),
    (r"(bye|goodbye|good night|see you|see ya|later|cya)( later| coach| soon)?",
     Courtesy("answered", ("Goodbye, and good luck with the next step.",))),
    (r"(what (can|do) you do( for me)?|how can you help( me)?|what can i ask( you)?|who are you|what are you|help|"
     r"what is this( bot)?|are you (a )?(bot|human|ai|real)( person)?|tell me about yourself|how do(es)? (you|this) work)",
     Courtesy("answered", CAPABILITIES)),
    (r"(ok|okay|cool|great|nice|perfect|got it|i see|understood|alright|sounds good|good)",
     Courtesy("answered", ("Good.", "Ask on whenever you are ready."))),
)

_CRISIS = re.compile(r"\b(kill myself|suicid\w*|end my life|want to die|self[- ]harm|hurt myself)\b", re.I)
_DECEPTION = re.compile(
    r"\b(fake|forge|forged|fabricate|invent|lie about|make up)\b.{0,40}\b(degree|diploma|certificate|reference|references|"
    r"experience|cv|resume|employment|transcript|job history)\b", re.I)
_CHEATING = re.compile(
    r"\b(cheat|cheating)\b.{0,40}\b(interview|test|exam|assessment|take-home)\b|\b(interview|assessment)\b.{0,30}"
    r"\bwithout (them|anyone) (noticing|knowing)\b", re.I)
_HARM = re.compile(
    r"\b(make|build|write|create|develop)\b.{0,30}\b(bomb|malware|ransomware|keylogger|virus|phishing)\b", re.I)
_LEAK = re.compile(
    r"\b(ignore|disregard|forget)\b.{0,30}\b(previous|prior|above|all|your)\b.{0,20}\b(instructions?|rules|prompt)\b|"
    r"\b(print|show|reveal|repeat|output)\b.{0,25}\b(system prompt|your (instructions|prompt)|hidden prompt)\b", re.I)
_QUESTION_ABOUT = re.compile(r"\b(what is|explain|defen[cs]e|prevent|protect|detect|how (do|does|can) .* (defend|attack work))\b", re.I)


_DECLINED: dict[Unsafe, tuple[str, ...]] = {
    "crisis": (
        "I am sorry that things are so hard right now.",
        "I am a career coach and not the right help for this, but people are: please talk to someone you trust, or "
        "to the emergency or crisis line of your country, today.",
        "The question about work can wait until you are safe."),
    "deception": (
        "I do not help with deceiving an employer, because it costs people their jobs when it comes out.",
        "I can help you to show honestly what you have, and to close the gap that worries you."),
    "harm": ("I do not help with things that harm people.", CAPABILITIES[1]),
    "leak": ("I keep to my task: answering questions about careers in machine learning from documents.", CAPABILITIES[1]),
}


def courtesy(text: str) -> Courtesy | None:
    """The reply to small talk or to a request whose very words are declined; None for everything else."""
    if kind := _unsafe_words(text):
        return decline(kind)
    plain = re.sub(r"[^\w' ]+", " ", text.lower())
    plain = re.sub(r"\s+", " ", plain).strip()
    for pattern, reply in _REPLIES:
        if re.fullmatch(rf"(?:{pattern})", plain):
            return reply
    return None


def decline(kind: Unsafe) -> Courtesy:
    """The reply to what a coach does not help with."""
    return Courtesy("blocked", _DECLINED[kind])


def _unsafe_words(text: str) -> Unsafe | None:
    if _CRISIS.search(text):
        return "crisis"
    if _DECEPTION.search(text) or _CHEATING.search(text):
        return "deception"
    if _QUESTION_ABOUT.search(text):
        return None
    if _HARM.search(text):
        return "harm"
    return "leak" if _LEAK.search(text) else None
