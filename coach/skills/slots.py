"""Reads slot values out of a person's own words: hours, dates, levels, roles, skills with levels, models, memory."""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, Literal

from coach.catalogue.tables import LEVELS, Catalogue
from coach.domain import SkillLevel

_NUMBER_WORDS = {
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "eleven": 11,
    "twelve": 12,
    "fifteen": 15,
    "eighteen": 18,
    "twenty": 20,
    "thirty": 30,
    "forty": 40,
    "an": 1,
    "a": 1,
}
_NUMBER = r"(\d+(?:[.,]\d+)?|" + "|".join(sorted(_NUMBER_WORDS, key=len, reverse=True)) + r")"
_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_name) if name} | {
    name.lower(): number for number, name in enumerate(calendar.month_abbr) if name
}
_PER_WEEK = re.compile(
    rf"\b{_NUMBER}(?:\s*(?:-|to|–)\s*{_NUMBER})?[\s-]*(?:h|hrs?|hours?)\b\s*(?:of\s+\w+\s+)?(?:per|a|each|every|/|in a|weekly)?\s*"
    r"(?P<unit>week(?:ly)?|wk|day|daily|evening|weekend|weekday|month)?",
    re.I,
)
_SPAN = re.compile(rf"\b{_NUMBER}[\s-]*(?P<unit>days?|weeks?|wks?|months?|mo|years?|yrs?)\b", re.I)
_LEVEL_WORDS = {
    "junior": "junior",
    "entry-level": "junior",
    "entry level": "junior",
    "graduate": "junior",
    "intern": "junior",
    "mid": "mid",
    "mid-level": "mid",
    "mid level": "mid",
    "intermediate": "mid",
    "middle": "mid",
    "senior": "senior",
    "sr": "senior",
    "staff": "staff",
    "principal": "staff",
    "lead": "senior",
}
_SKILL_LEVEL_WORDS = {
    "none": "none",
    "no": "none",
    "basic": "basic",
    "basics": "basic",
    "beginner": "basic",
    "some": "basic",
    "a bit of": "basic",
    "a bit": "basic",
    "a little": "basic",
    "working": "working",
    "intermediate": "working",
    "good": "working",
    "strong": "strong",
    "advanced": "strong",
    "very good": "strong",
    "fluent": "strong",
    "expert": "expert",
}

_LEVEL = re.compile(r"\b(" + "|".join(map(re.escape, sorted(_LEVEL_WORDS, key=len, reverse=True))) + r")\b", re.I)
_SKILL_LEVEL = re.compile(r"\b(" + "|".join(map(re.escape, sorted(_SKILL_LEVEL_WORDS, key=len, reverse=True))) + r")\b", re.I)


def hours_per_week_in(text: str) -> float | None:
    """Hours a week named in the text: "8 hours a week", "1 hour a day" (times 7), "10h/week"; None when not named."""
    for match in _PER_WEEK.finditer(text):
        unit = (match["unit"] or "").lower()
        after = text[match.end() : match.end() + 12].lower()
        if not unit and not re.search(r"week|weekly", text[match.start() : match.end()].lower() + after):
            continue
        hours = _to_number(match[1])
        factor = {"day": 7.0, "daily": 7.0, "evening": 7.0, "weekday": 5.0, "month": 12 / 52}.get(unit, 1.0)
        return round(hours * factor, 1)
    return None


def deadline_in(text: str, today: date) -> date | None:
    """A deadline named in the text: an ISO date, "in 6 months", "6-month plan", "by June 2027"; None when not named."""
    iso = re.search(r"\b(20\d\d-\d\d-\d\d)\b", text)
    if iso:
        try:
            return date.fromisoformat(iso[1])
        except ValueError:
            return None
    for match in _SPAN.finditer(text):
        before, after = (
            text[max(0, match.start() - 14) : match.start()].lower(),
            text[match.end() : match.end() + 12].lower(),
        )
        if re.search(r"hours?\s*(?:a|per|each|every)?\s*$|\b(?:a|per|each|every)\s*$", before) and match[1].lower() in {
            "a",
            "an",
        }:
            continue
        if match[1].lower() in {"a", "an"} and not re.search(r"\b(?:in|within|for)\s*$", before):
            continue
        if re.match(r"\s*(?:of\s+)?(?:experience|ago|old)|\s*as a", after) or (
            re.search(r"(?:for|past|last|after)\s*$", before) and "experience" in text.lower()
        ):
            continue
        unit, count = match["unit"].lower(), _to_number(match[1])
        if unit.startswith("d"):
            return today + timedelta(days=round(count))
        if unit.startswith("w"):
            return today + timedelta(weeks=count)
        return _add_months(today, round(count * (12 if unit.startswith("y") else 1)))
    named = re.search(
        rf"\b(?:by|until|before|end of|in)\s+(?:the end of\s+)?({'|'.join(_MONTHS)})\b\.?\s*(\d{{1,2}}(?!\d))?,?\s*(20\d\d)?",
        text,
        re.I,
    )
    if named:
        month = _MONTHS[named[1].lower()]
        year = int(named[3]) if named[3] else today.year + (month <= today.month)
        last = calendar.monthrange(year, month)[1]
        return date(year, month, min(int(named[2]), last) if named[2] else last)
    return None


def role_level_in(text: str) -> str | None:
    """junior, mid, senior or staff, where the text names one."""
    found = _LEVEL.search(text)
    return _LEVEL_WORDS[found[1].lower()] if found else None


def is_role(text: str, catalogue: Catalogue) -> bool:
    """Whether the text is a role or a level, or both, and nothing else: "MLOps engineer", "as a senior", "mid level"."""
    name = re.sub(r"^(?:and |for |as |an? )+", "", text.strip(" .!?"), flags=re.I)
    name = re.sub(r"\blevel\b", "", _LEVEL.sub("", name), flags=re.I).strip(" ,")
    return not name or catalogue.find_role(name) is not None


def role_in(text: str, catalogue: Catalogue) -> str | None:
    """The id of the role that the text aims at: the last one after "become", "as a", "to"; else the first named."""
    aim = re.search(
        r"\b(?:become|becoming|into|towards?|to be|to|for|as)\s+(?:an?\s+|the\s+)?(.{3,60})$", text, re.I | re.S
    )
    for part in ([aim[1]] if aim else []) + [text]:
        plural = re.sub(
            r"\b(engineer|scientist|analyst|architect|manager|developer|researcher)s\b", r"\1", part, flags=re.I
        )
        roles = _named(plural, catalogue, "roles")
        if roles:
            return roles[0]
    return None


def models_in(text: str, catalogue: Catalogue) -> tuple[str, ...]:
    """Ids of the models that the text names."""
    found = [catalogue.models[name] for name in _named(text, catalogue, "models")]
    loose = re.sub(r"[\s_-]+", " ", text.lower())
    for model in catalogue.models.values():
        size = re.search(r"(\d+(?:\.\d+)?[bm])\b", model.name.lower())
        family = re.match(r"[a-z]+", model.name.lower())
        if not size or not family or not model.mission:
            continue
        if any(other.name.lower().startswith(family[0]) and size[1] in other.name.lower() for other in found):
            continue
        if re.search(rf"\b{family[0]}[ \d.]*(?:\w+ )?{re.escape(size[1])}\b", loose):
            found.append(model)
    return tuple(dict.fromkeys(model.id for model in found))


def memory_gb_in(text: str) -> float | None:
    """Gigabytes of memory named in the text; the smallest when several are."""
    found = [
        float(m[1].replace(",", "."))
        for m in re.finditer(r"\b(\d+(?:[.,]\d+)?)\s*-?\s*(?:gb|gib|gigs?|gigabytes?)\b", text, re.I)
    ]
    return min(found) if found else None


def skills_in(text: str, catalogue: Catalogue) -> tuple[SkillLevel, ...]:
    """Skills with levels from a list such as "python, sql:strong, statistics (basic)"; unknown names are left out."""
    found: dict[str, SkillLevel] = {}
    for part in re.split(r"[,;\n]|\band\b", text):
        words = re.sub(r"[()]", " ", part).strip(" .")
        level_match = re.search(r"[:=]\s*(\w+)\s*$", words)
        if not level_match and not catalogue.find_skill(words):  # "programming basics" is a name, not a level
            level_match = _SKILL_LEVEL.search(words)
        level = "working"
        name = words
        if level_match:
            word = level_match[1].lower()
            if word in LEVELS or word in _SKILL_LEVEL_WORDS:
                level = word if word in LEVELS else _SKILL_LEVEL_WORDS[word]
                name = (words[: level_match.start()] + " " + words[level_match.end() :]).strip(" :=")
        skill = catalogue.find_skill(name) if name else None
        if skill is None:
            near = _named(name, catalogue, "skills")
            skill = catalogue.skills[near[0]] if near else None
        if skill:
            found[skill.id] = SkillLevel(skill.id, level)
    return tuple(found.values())


_DONE = re.compile(
    r"\b(?:i(?:'ve|’ve| have| am|'m)?(?: just| now| already| finally)* (?:finished|completed|done(?: with)?|through with)"
    r"|(?:^|just |now |i am |i'm )(?:done with|finished(?: with)?|completed))\s+(?P<after>[^,;.!?\n]+)"
    r"|^(?P<before>[^,;.!?\n]{2,40}?) (?:is|are) (?:now |already )?(?:done|finished|completed)\b"
    r"|\b(?:mark|tick|check)(?: off)? (?P<marked>[^,;.!?\n]+?)(?: as (?:done|finished|completed)| off|$)",
    re.I,
)
# What follows is an education, not a step of a plan.
_STUDIES = re.compile(r"\b(?:ph\.?d|doctorate|degree|master\W?s?|bachelor\W?s?|[mb]\.?sc|studies|thesis|school|university)\b", re.I)


def done_in(text: str, catalogue: Catalogue) -> tuple[str, ...]:
    """Ids of the skills that the text says are finished: "I finished calculus", "done with SQL", "mark Git as done"."""
    match = _DONE.search(text.strip())
    what = next((part for part in match.groups() if part), "") if match else ""
    return () if _STUDIES.search(what) else tuple(_named(what, catalogue, "skills"))


def wants_calendar(text: str) -> bool:
    """Whether the text asks for a plan as a calendar file."""
    return bool(re.search(r"\b(?:export|download|save|give|send|put|get|add|turn)\b.*\b(?:calendar|ics|ical\w*)\b", text, re.I | re.S))


_CONNECTIVE = re.compile(r"^(?:(?:and|but|or|so|then|now|ok(?:ay)?|also|well|hm+|sorry)\b[,\s]*)+", re.I)
_ELLIPTIC = re.compile(r"^(?:what|how) (?:about|if)\b", re.I)
_QUESTION = re.compile(
    r"^(?:what|which|who|whom|whose|when|where|why|how|is|are|was|were|do|does|did|can|could|should|would|will|may|has|"
    r"have|explain|tell|describe|define)(?:'s|’s)?\b",
    re.I,
)


def is_own_question(text: str) -> bool:
    """Whether the text asks something by itself; "and for data analyst?" and "what about 5 hours?" do not."""
    rest = _CONNECTIVE.sub("", text.strip())
    return bool(_QUESTION.search(rest)) and not _ELLIPTIC.search(rest)


def unknown_skills(names: tuple[str, ...], catalogue: Catalogue) -> tuple[str, ...]:
    """The entries of a list that name no skill of the catalogue."""
    return tuple(name for name in names if not skills_in(name, catalogue))


def _to_number(word: str) -> float:
    lowered = word.lower()
    return float(_NUMBER_WORDS[lowered]) if lowered in _NUMBER_WORDS else float(lowered.replace(",", "."))


def _add_months(day: date, months: int) -> date:
    month = day.month - 1 + months
    year, month = day.year + month // 12, month % 12 + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def number_word(word: str) -> int:
    """ "five" or "5" -> 5."""
    return int(_to_number(word))


def first_skill_in(text: str, catalogue: Catalogue) -> str | None:
    """The id of the first skill that the text names."""
    found = _named(text, catalogue, "skills")
    return found[0] if found else None


_Table = Literal["roles", "skills", "models"]
_LONGEST_NAME_WORDS = 6


def _named(text: str, catalogue: Catalogue, table: _Table) -> list[str]:
    """Ids of the rows whose name stands in the text as whole words, longest first at each place, without overlaps."""
    names = _names(catalogue, table)
    words = _fold(text).split()
    found: list[str] = []
    position = 0
    while position < len(words):
        for length in range(min(_LONGEST_NAME_WORDS, len(words) - position), 0, -1):
            row = names.get(" ".join(words[position : position + length]))
            if row:
                found.append(row)
                position += length
                break
        else:
            position += 1
    return list(dict.fromkeys(found))


@lru_cache(maxsize=8)
def _names(catalogue: Catalogue, table: _Table) -> Mapping[str, str]:
    """Row id by every folded name. A dictionary and not patterns: a thousand patterns take a fifth of a second."""
    rows: Mapping[str, Any] = getattr(catalogue, table)
    least = 2 if table == "skills" else 3
    found: dict[str, str] = {}
    for row in rows.values():
        repository = getattr(row, "repository", "").rsplit("/", 1)[-1]
        for name in (row.id, row.name, *row.aliases, repository):
            if len(_fold(name)) >= least:
                found.setdefault(_fold(name), row.id)
    return found


def _fold(name: str) -> str:
    """Lower case, single spaces instead of hyphens, underscores and other marks; + # and inner dots stay."""
    return " ".join(re.sub(r"[^\w+#.]+|_", " ", name.lower()).replace(". ", " ").rstrip(".").split())
