"""The exact-fact gate: numbers, dates, units, licences and names in a sentence must stand in what it cites."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_WORDS = {w: str(n) for n, w in enumerate(
    "zero one two three four five six seven eight nine ten eleven twelve".split())}
_SCALE = {"k": 1e3, "thousand": 1e3, "m": 1e6, "million": 1e6, "b": 1e9, "bn": 1e9, "billion": 1e9,
          "trillion": 1e12}
_UNITS = ("gib", "mib", "tib", "kib", "gb", "mb", "tb", "kb", "hours", "hour", "weeks", "week", "months", "month",
          "years", "year", "days", "day", "percent", "%", "tokens", "bits", "bit", "dollars", "euros", "pounds", "$", "€", "£",
          "minutes", "seconds", "layers")
_NUMBER = re.compile(
    r"(?P<currency>[$€£]\s?)?(?<![\w.])(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
    r"(?P<scale>\s?(?:thousand|million|billion|trillion|bn|[kKmMbB](?![\w]))(?!\w))?"
    r"(?P<unit>[\s-]?(?:per ?cent|%|" + "|".join(u for u in _UNITS if u.isalpha()) + r")(?!\w))?", re.I)
_LICENCES = re.compile(
    r"\b(apache(?:[- ]licen[cs]e)?[- ,]*(?:version )?2\.0|mit licen[cs]e|bsd|a?gpl(?:v?\d)?|cc[- ]by(?:[- ][\w.]+)*|"
    r"gemma terms|llama (?:\d[\d.]* )?(?:community )?licen[cs]e|openrail)\b", re.I)
_IDENTIFIER = re.compile(r"(?<![\w])(?=[\w.+#/-]*[A-Za-z])(?=[\w.+#/-]*\d|[a-z]*[A-Z]+[a-z]+[A-Z])[A-Za-z0-9][\w.+#/-]*\w")
NEGATION = re.compile(r"\b(not|never|no|none|cannot|without|neither|nor|hardly|n't)\b|n't\b", re.I)


@dataclass(frozen=True, slots=True)
class Facts:
    """What of a text must be exact, normalised."""

    numbers: frozenset[tuple[float, str]]
    licences: frozenset[str]
    names: frozenset[str]


def find_facts(text: str, names: Iterable[str] = ()) -> Facts:
    """The numbers (value, unit), licences and names of a text."""
    plain = re.sub(r"^\s*\d+[.)]\s+", "", text)
    numbers = set()
    without_names = plain
    found = set()
    for name in names:
        pattern = re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w])", re.I)
        if pattern.search(without_names):
            found.add(_fold(name))
            without_names = pattern.sub(" ", without_names)
    for match in _IDENTIFIER.finditer(without_names):
        token = match[0]
        if not re.fullmatch(r"\d[\d.,]*[kKmMbB%]?|\d+(?:st|nd|rd|th)|\d+-\w+", token):
            found.add(_fold(token))
            without_names = without_names.replace(token, " " * len(token))
    for word, digits in _WORDS.items():
        without_names = re.sub(rf"\b{word}\b(?=[\s-])", digits, without_names, flags=re.I)
    for match in _NUMBER.finditer(without_names):
        numbers.add(_number(match))
    licences = {re.sub(r"[^a-z0-9.]+", " ", m[0].lower()).replace("license", "licence").strip()
                for m in _LICENCES.finditer(plain)}
    return Facts(frozenset(numbers), frozenset(_licence(name) for name in licences), frozenset(found))


def missing_facts(sentence: Facts, evidence: Facts, evidence_text: str) -> list[str]:
    """What the sentence states exactly and the evidence does not; empty when all of it is there."""
    missing = []
    for value, unit in sentence.numbers:
        if not any(_same_number(value, unit, other, other_unit) for other, other_unit in evidence.numbers):
            missing.append(f"{value:g} {unit}".strip())
    missing += sorted(sentence.licences - evidence.licences)
    folded = _fold(evidence_text)
    missing += sorted(name for name in sentence.names if name not in evidence.names and name not in folded)
    return missing


def contradicts(sentence: str, evidence: str) -> bool:
    """Whether one denies what the other, in nearly the same words, states."""
    if bool(NEGATION.search(sentence)) == bool(NEGATION.search(evidence)):
        return False
    words = {w for w in re.findall(r"\w+", NEGATION.sub(" ", sentence).lower()) if len(w) > 3}
    other = {w for w in re.findall(r"\w+", NEGATION.sub(" ", evidence).lower()) if len(w) > 3}
    return len(words) >= 2 and len(words & other) / len(words) >= 0.8 and len(words & other) / max(1, len(other)) >= 0.6


def _number(match: re.Match[str]) -> tuple[float, str]:
    value = float(match["number"].replace(",", ""))
    scale = (match["scale"] or "").strip().lower()
    value *= _SCALE.get(scale, 1.0)
    unit = (match["unit"] or match["currency"] or "").strip(" -").lower()
    unit = {"per cent": "%", "percent": "%", "dollars": "$", "euros": "€", "pounds": "£"}.get(unit, unit)
    return value, unit.removesuffix("s")


def _same_number(value: float, unit: str, other: float, other_unit: str) -> bool:
    if unit and other_unit and unit != other_unit:
        return False
    if value == other:
        return True
    # "4 billion" may stand for 4,022,468,096: equal at the precision that is written, for scaled numbers only
    if value >= 1e5 and other >= 1e5:
        digits = len(f"{value:.6g}".replace(".", "").rstrip("0").split("e")[0]) or 1
        return float(f"{other:.{max(digits, 2)}g}") == float(f"{value:.{max(digits, 2)}g}")
    return False


def _licence(name: str) -> str:
    if name.startswith("apache"):
        return "apache 2.0"
    return name.replace(" licence", "")


def _fold(text: str) -> str:
    return re.sub(r"[\s_-]+", "-", text.lower())
