"""The exact-fact gate: numbers, dates, units, licences and names in a sentence must stand in what it cites."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from coach.verify.words import content_words

_SMALL = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
          "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SPELLED = {word: number for number, word in enumerate(_SMALL)} | {word: 20 + 10 * n for n, word in enumerate(_TENS)}
_SCALES = {"k": 1e3, "thousand": 1e3, "m": 1e6, "mn": 1e6, "million": 1e6, "b": 1e9, "bn": 1e9, "billion": 1e9,
           "t": 1e12, "trillion": 1e12}
_UNITS = {
    "%": "%", "percent": "%", "per cent": "%", "dollars": "$", "dollar": "$", "usd": "$", "euros": "€", "euro": "€",
    "eur": "€", "pounds": "£", "gbp": "£", "x": "x", "times": "x", "hrs": "hour", "h": "hour", "mins": "minute",
    "min": "minute", "sec": "second", "ms": "millisecond",
} | {unit: unit for unit in ("kib", "mib", "gib", "tib", "kb", "mb", "gb", "tb")} | {
    word + plural: word for plural in ("", "s") for word in (
        "second", "minute", "hour", "day", "week", "month", "year", "token", "bit", "byte", "layer", "page", "step",
        "question", "project", "watt", "mile", "kilometre")}
_MONTHS = {name: number for number, name in enumerate(
    ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
     "december"], start=1)}
_MONTHS |= {name[:3]: number for name, number in _MONTHS.items()} | {"sept": 9}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))

_DATE = re.compile(
    rf"\b(?P<iso_year>\d{{4}})-(?P<iso_month>\d\d)(?:-(?P<iso_day>\d\d))?\b|"
    rf"\b(?:(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s+)?(?P<month>{_MONTH})\.?\s+(?:(?P<us_day>\d{{1,2}})(?:st|nd|rd|th)?,?\s+)?"
    r"(?P<year>(?:19|20)\d\d)\b", re.I)
_UNIT = "|".join(re.escape(unit) for unit in sorted(_UNITS, key=len, reverse=True))
_NUMBER = re.compile(
    r"(?P<currency>[$€£]\s?)?(?<![\w.,])(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
    r"(?:\s?(?P<scale>thousand|million|billion|trillion|bn|mn|[kKmMbBT])(?![\w]))?"
    rf"(?:[\s-]?(?P<unit>{_UNIT})(?![\w]))?(?:st|nd|rd|th)?(?!\w|\.\d)", re.I)
_SPELLED_NUMBER = re.compile(
    rf"\b(?:(?P<tens>{'|'.join(_TENS)})-)?(?P<word>{'|'.join(sorted(_SPELLED, key=len, reverse=True))})\b"
    r"(?!-hot|-off|\sanother\b)", re.I)
_ONE_COUNTS = re.compile(rf"[\s-](?:{_UNIT}|hundred|thousand|million|billion)\b", re.I)
_RANGE = re.compile(r"\s?(?:-|–|—|to|or|and)\s?", re.I)

_LICENCES: tuple[tuple[str, re.Pattern[str]], ...] = tuple((name, re.compile(pattern, re.I)) for name, pattern in (
    ("apache-2.0", r"\bapache(?:[\s-]+(?:software\s+)?licen[cs]e)?[\s,-]*(?:version\s*|v)?2(?:\.0)?\b"),
    ("mit", r"\bmit[\s-]+licen[cs]ed?\b"),
    ("bsd", r"\bbsd(?:[\s-]*[234])?(?:[\s-]*clause)?\b"),
    ("agpl", r"\bagpl(?:[\s-]*v?3(?:\.0)?)?\b"),
    ("lgpl", r"\blgpl(?:[\s-]*v?[23](?:\.\d)?)?\b"),
    ("gpl", r"\bgpl(?:[\s-]*v?[23](?:\.0)?)?\b"),
    ("mpl", r"\bmpl(?:[\s-]*2(?:\.0)?)\b|\bmozilla public licen[cs]e\b"),
    ("gemma", r"\bgemma(?:'s)?\s+(?:terms(?:\s+of\s+use)?|licen[cs]e)\b"),
    ("llama", r"\bllama\s+(?:\d(?:\.\d)?\s+)?(?:community\s+)?licen[cs]e\b"),
    ("openrail", r"\bopenrail(?:\+\+)?(?:-?m)?\b"),
    ("creative commons", r"\bcc[\s-]by(?:[\s-](?:sa|nc|nd))*(?:[\s-]\d\.\d)?\b|\bcc0\b"),
    ("research", r"\b(?:qwen|mistral)\s+research\s+licen[cs]e\b"),
))
_BARE_MIT = re.compile(r"\bMIT\b(?:-0)?")
_IDENTIFIER = re.compile(r"(?<![\w@])[A-Za-z0-9](?:[\w.+/#-]*[\w+#])?")
_NEGATION = re.compile(r"\b(?:not(?!\s+(?:only|just|least))|never|no(?!\.\s?\d)|none|cannot|without|neither|nor)\b|"
                       r"n['’]t\b", re.I)
_CLAUSE_END = re.compile(r"[.,;:!?()–—]|\b(?:but|because|so|although|while|unless|until|if|and|which|that)\b", re.I)
_SIZE = re.compile(r"(?<![\w.])\d+(?:\.\d+)?[bm](?![a-z0-9])", re.I)
_VARIANT = r"[\s_-](?:it|instruct|chat|gguf|hf)\b(?:[_-]\d{4})?"
_SUFFIX = r"(?:based|like|style|powered|class|sized)\b"
NEGATED_WORDS = 4  # how many words a "not" reaches


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was written: its value, the place value of its last digit if it has a scale word, and its unit."""

    value: float
    unit: str = ""
    step: float = 0.0

    def stands_for(self, other: Number) -> bool:
        """Whether this may be written of `other`: equal, or `other` rounded to the digits written before K, M or B.

        32K also stands for 32 x 1,024. A unit must agree where both have one; GB, GiB and MB differ.
        """
        if self.unit and other.unit and self.unit != other.unit:
            return False
        if self.value == other.value:
            return True
        if not self.step:
            return False
        binary = other.value == self.value * 1.024 and self.value < 1e6
        return binary or (other.value >= self.step and round(other.value / self.step) == round(self.value / self.step))


@dataclass(frozen=True, slots=True)
class Facts:
    """What of a text must be exact, normalised. Dates are (year, month, day), 0 where not written.

    `names` are known names and what looks like one; `known` are those of them that were asked for by name.
    """

    numbers: frozenset[Number] = field(default_factory=frozenset)
    dates: frozenset[tuple[int, int, int]] = field(default_factory=frozenset)
    licences: frozenset[str] = field(default_factory=frozenset)
    names: frozenset[str] = field(default_factory=frozenset)
    known: frozenset[str] = field(default_factory=frozenset)

    @property
    def count(self) -> int:
        """How many facts there are."""
        return len(self.numbers) + len(self.dates) + len(self.licences) + len(self.names)


def find_facts(text: str, names: tuple[str, ...] = ()) -> Facts:
    """The numbers, dates, licences and names of a text. `names` are known names; the longest that fits is taken."""
    rest = re.sub(r"(?m)^\s*\d{1,2}[.)]\s+", "", text)
    licences, rest = _take_licences(rest)
    known, rest = _take_known_names(rest, names)
    dates, rest = _take_dates(rest)
    identifiers, rest = _take_identifiers(rest)
    return Facts(frozenset(_numbers(_spelled_as_digits(rest))), frozenset(dates), frozenset(licences),
                 frozenset(known | identifiers), frozenset(known))


def missing_facts(sentence: Facts, evidence: Sequence[Facts], evidence_text: str) -> list[str]:
    """What the sentence states exactly and the evidence does not; empty when all of it is there.

    `evidence_text` is the text that `evidence` was found in: a name may stand in it inside a longer phrase.
    """
    numbers = {number for facts in evidence for number in facts.numbers}
    dates = {date for facts in evidence for date in facts.dates}
    numbers |= {Number(float(year)) for year, _, _ in dates}
    missing = [f"{n.value:g} {n.unit}".strip() for n in sentence.numbers if not any(n.stands_for(o) for o in numbers)]
    missing += ["-".join(f"{part:02d}" for part in date if part) for date in sentence.dates
                if not any(_same_date(date, other) for other in dates)]
    missing += sorted(sentence.licences - {licence for facts in evidence for licence in facts.licences})
    missing += sorted(name for name in sentence.names if not names_it(name, evidence_text))
    return missing


def contradicts(sentence: str, evidence: str) -> bool:
    """Whether one denies what the other, in nearly the same words, states.

    A word counts as denied when every time it occurs it stands within reach of a "not", "no", "never" or "without".
    """
    stated, denied = _stated_and_denied(sentence)
    other_stated, other_denied = _stated_and_denied(evidence)
    words, other = stated | denied, other_stated | other_denied
    if denied & other_denied or len(words) < 2 or len(words & other) < 0.7 * len(words):
        return False
    return bool(stated & (other_denied - other_stated)) or bool((denied - stated) & other_stated)


def _take_licences(text: str) -> tuple[set[str], str]:
    found: set[str] = set()
    about_licences = re.search(r"licen[cs]", text, re.I)
    for name, pattern in _LICENCES:
        if pattern.search(text):
            found.add(_creative_commons(pattern, text) if name == "creative commons" else name)
            text = pattern.sub(" ; ", text)
    if about_licences and _BARE_MIT.search(text):
        found.add("mit")
        text = _BARE_MIT.sub(" ; ", text)
    return found, text


def _creative_commons(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    assert match is not None
    return re.sub(r"[\s-]+", "-", re.sub(r"[\s-]\d\.\d$", "", match[0].lower()))


def _take_known_names(text: str, names: tuple[str, ...]) -> tuple[set[str], str]:
    if not names:
        return set(), text
    pattern = _pattern_of(names)
    return {_fold(match[0]) for match in pattern.finditer(text)}, pattern.sub(" ; ", text)


@lru_cache(maxsize=16)
def _pattern_of(names: tuple[str, ...]) -> re.Pattern[str]:
    """Any of the names, the longest first, with spaces, hyphens and underscores taken as the same."""
    loose = (_loose(name) for name in sorted(names, key=len, reverse=True))
    return re.compile(rf"(?<![\w-])(?:{'|'.join(loose)})(?!\w|-(?!{_SUFFIX})\w)", re.I)


def _take_dates(text: str) -> tuple[set[tuple[int, int, int]], str]:
    dates = set()
    for match in _DATE.finditer(text):
        if match["iso_year"]:
            dates.add((int(match["iso_year"]), int(match["iso_month"]), int(match["iso_day"] or 0)))
        else:
            day = int(match["day"] or match["us_day"] or 0)
            dates.add((int(match["year"]), _MONTHS[match["month"].lower()], day))
    return dates, _DATE.sub(" ; ", text)


def _take_identifiers(text: str) -> tuple[set[str], str]:
    """Names by their shape: letters with digits (Q4_K_M, GPT-4), capitals inside (PyTorch), versions (3.11.2)."""
    found: set[str] = set()

    def blank(match: re.Match[str]) -> str:
        token = re.sub(rf"-{_SUFFIX}$", "", match[0])
        if not _is_identifier(token):
            return match[0]
        found.add(_fold(token[:-1] if re.fullmatch(r"[A-Z]+\d*s", token) else token))
        return " ; "

    return found, _IDENTIFIER.sub(blank, text)


def _is_identifier(token: str) -> bool:
    if token.lower() in _UNITS:
        return False
    if re.fullmatch(r"\d+(?:\.\d+){2,}", token):
        return True
    if _NUMBER.fullmatch(token) or re.fullmatch(r"\d[\d.,]*(?:[-/]\d[\d.,]*)+\w*", token):
        return False
    if re.fullmatch(r"\d[\d.]*(?:[kmbt]|bn)?-[a-z]+(?:-[a-z]+)*", token, re.I):  # "4-bit", "10-week", "3-year-old"
        return False
    letters_and_digits = re.search(r"[A-Za-z]", token) and re.search(r"\d", token)
    return bool(letters_and_digits or re.search(r"[a-z][A-Z]|^[A-Z]{2,}[a-z]{2,}", token))


def _spelled_as_digits(text: str) -> str:
    def digits(match: re.Match[str]) -> str:
        word = match["word"].lower()
        if word in ("one", "zero") and not match["tens"] and not _ONE_COUNTS.match(text, match.end()):
            return match[0]  # "one of them", "no one": a pronoun, not a count
        return str(_SPELLED[word] + (_SPELLED[match["tens"].lower()] if match["tens"] else 0))

    return _SPELLED_NUMBER.sub(digits, text)


def _numbers(text: str) -> Iterator[Number]:
    matches = list(_NUMBER.finditer(text))
    for position, match in enumerate(matches):
        unit = _unit(match)
        scale = (match["scale"] or "").lower()
        if position + 1 < len(matches):  # "6 to 9 months" and "3-5B": the first one has the unit of the second
            following = matches[position + 1]
            if _RANGE.fullmatch(text, match.end(), following.start()):
                unit = unit or _unit(following)
                scale = scale or ((following["scale"] or "").lower() if not match["unit"] else "")
        digits = match["number"].replace(",", "")
        factor = _SCALES.get(scale, 1.0)
        decimals = len(digits.partition(".")[2])
        yield Number(round(float(digits) * factor, 6), unit, factor / 10**decimals if scale else 0.0)


def _unit(match: re.Match[str]) -> str:
    if match["unit"]:
        return _UNITS[match["unit"].lower()]
    return (match["currency"] or "").strip()


def _same_date(date: tuple[int, int, int], other: tuple[int, int, int]) -> bool:
    """A date without a day agrees with every day of its month."""
    return all(mine in (0, theirs) for mine, theirs in zip(date, other, strict=True))


def names_it(name: str, text: str) -> bool:
    """Whether the text names it: Gemma-3-4B stands in gemma-3-4b-it and SmolLM3 in SmolLM3-3B, GPT-4 not in GPT-4o."""
    size = "" if _SIZE.search(name) else r"|[\s_-]?\d+(?:\.\d+)?[bm]\b"
    more = rf"(?:{_VARIANT}{size})?"
    return re.search(rf"(?<!\w){_loose(name)}(?:s\b)?{more}(?!\w|\.\d|[_-](?!{_SUFFIX})\w)", text, re.I) is not None


def _loose(name: str) -> str:
    """A pattern of the name in which spaces, hyphens and underscores are the same."""
    return r"[\s_-]+".join(re.escape(part) for part in re.split(r"[\s_-]+", name.strip()))


def _fold(text: str) -> str:
    return re.sub(r"[\s_-]+", "-", text.lower())


def has_negation(text: str) -> bool:
    """Whether the text says no, not, never, without or the like."""
    return _NEGATION.search(text) is not None


def _stated_and_denied(text: str) -> tuple[set[str], set[str]]:
    denied: set[str] = set()
    stated: set[str] = set()
    position = 0
    for match in _NEGATION.finditer(text):
        if match.start() < position:
            continue
        stated |= set(content_words(text[position : match.start()]))
        end = _CLAUSE_END.search(text, match.end())
        reach = content_words(text[match.end() : end.start() if end else len(text)])
        denied |= set(reach[:NEGATED_WORDS])
        stated |= set(reach[NEGATED_WORDS:])
        position = end.start() if end else len(text)
    stated |= set(content_words(text[position:]))
    return stated, denied
