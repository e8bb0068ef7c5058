"""What a role or a job advertisement asks for against what a person can show: met, partly met or missing, with quotes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from coach.catalogue.passages import skill_passage
from coach.catalogue.tables import LEVELS, Catalogue
from coach.domain import Attachment, Passage, Profile, Request, SkillLevel
from coach.errors import RequestError
from coach.skills import base, slots
from coach.skills.base import Report, SkillContext, SkillResult, SkillSpec, Slot, SlotValues
from coach.skills.mentions import AdvertRequirement, FoundSkill, Quote, extract_requirements, extract_skills

Verdict = Literal["met", "partly", "missing"]
IMPORTANCE: Mapping[int, str] = {3: "Essential", 2: "Important", 1: "Useful"}
LONGEST_KEPT_WORDS = 4000  # characters of a session's messages that follow-ups still quote
CREDIT: Mapping[str, float] = {"met": 1.0, "partly": 0.5, "missing": 0.0}


@dataclass(frozen=True, slots=True)
class GapRow:
    """One requirement against what the person shows. `have` is None when nothing was found."""

    skill: str
    name: str
    target: str
    weight: int
    verdict: Verdict
    have_level: str
    have: Quote | None
    have_source: str
    need: str
    need_quote: Quote | None
    why: str
    hours: float
    guide: str


@dataclass(frozen=True, slots=True)
class Gap:
    """The whole comparison; readiness is between 0 and 1."""

    role: str
    level: str
    against: Literal["role", "advertisement"]
    rows: tuple[GapRow, ...]
    readiness: float
    arithmetic: str
    not_counted: tuple[FoundSkill, ...]


def assess(
    catalogue: Catalogue,
    found: Sequence[FoundSkill],
    *,
    role: str = "",
    level: str = "",
    stated: Profile | None = None,
    advert: Sequence[AdvertRequirement] = (),
) -> Gap:
    """Each requirement of the role level, or of the advertisement when one is given, as met, partly met or missing.

    "Partly" means shown at a lower level than asked, or implied by a skill that builds on it. No quote, no claim.
    """
    needs = _needs(catalogue, role, level, advert)
    shown = {item.skill: item for item in found if not item.negated}
    profile = {item.skill: item.level for item in (stated.skills if stated else ()) if item.level != "none"}
    denied = {item.skill for item in found if item.negated}
    rows = tuple(_row(catalogue, need, shown, profile, denied) for need in needs)
    if not rows:
        raise RequestError("The advertisement names no skill that the catalogue knows. Paste its list of requirements.")
    readiness, arithmetic = _readiness(rows)
    card = catalogue.find_role(role) if role else None
    return Gap(
        card.id if card else "",
        card.at(level or "junior").level if card else "",
        "advertisement" if advert else "role",
        rows,
        readiness,
        arithmetic,
        tuple(item for item in found if item.negated),
    )


# -- the skill ----------------------------------------------------------------------------------------------------


def run(request: Request, values: SlotValues, context: SkillContext) -> SkillResult:
    """Compare a resume, pasted text or the profile with a role, or with an advertisement given as file or text."""
    advert_text = _attached(request, values, context, "job_ad")
    resume_text = _attached(request, values, context, "resume")
    role = values.text("role", "" if advert_text else request.profile.target_role)
    if not advert_text and not role:
        return base.ask_for(
            SPEC.slot("role"), suggestions=("Machine learning engineer", "Data scientist", "Data analyst")
        )
    words = f"{values.text('words')}\n{request.text}".strip()[-LONGEST_KEPT_WORDS:]
    about = resume_text or _own_words(words, values, context.catalogue)
    profile = _with_shown(request.profile, values)
    if not about and not profile.skills:
        return base.ask_for(SPEC.slot("resume"))
    catalogue = context.catalogue
    found = extract_skills(about, catalogue, context.embedder) if about else ()
    if about and not resume_text:
        # "missing for MLOps engineer" names a role, no skill that the person has.
        stated = {item.skill for item in slots.skills_in(values.text("skills"), catalogue)}
        found = tuple(item for item in found if item.negated or item.skill in stated)
        found = _with_listed_levels(found, about, catalogue)
    advert = extract_requirements(advert_text, catalogue, context.embedder) if advert_text else ()
    if advert_text and not advert:
        raise RequestError("The advertisement names no skill that the catalogue knows. Paste its list of requirements.")
    level = values.text("level", profile.target_level) or "junior"
    if role:
        role = base.find_role(catalogue, role).id
    gap = assess(catalogue, found, role=role, level=level, stated=profile, advert=advert)
    shown = ",".join(f"{item.skill}:{item.level}" for item in found if not item.negated) if resume_text else ""
    keep = SlotValues.of(words="" if resume_text else words, shown=shown)
    return replace(_report(gap, context, about, advert_text, profile), keep=keep)


def _report(gap: Gap, context: SkillContext, about: str, advert: str, profile: Profile) -> SkillResult:
    catalogue = context.catalogue
    report = Report()
    mine = Passage("resume/own-words", "Your own words", about, "what you sent", kind="resume", end=len(about))
    stated_text = " ".join(
        f"{catalogue.skills[i.skill].name}: {i.level}." for i in profile.skills if i.skill in catalogue.skills
    )
    stated = Passage(
        "resume/profile", "Your profile", stated_text, "what you stated", kind="resume", end=len(stated_text)
    )
    if gap.against == "advertisement":
        needs = Passage(
            "resume/advertisement", "The job advertisement", advert, "what you sent", kind="resume", end=len(advert)
        )
        target = "the advertisement"
    else:
        needs = base.requirements_passage(catalogue, catalogue.roles[gap.role], gap.level)
        target = f"{gap.level} {base.lower_first(catalogue.roles[gap.role].name)}"
    met, partly, missing = (tuple(r for r in gap.rows if r.verdict == v) for v in ("met", "partly", "missing"))
    report.say(
        f"Against {target} you show {len(met)} of {len(gap.rows)} requirements, {len(partly)} partly, and "
        f"{len(missing)} are missing.",
        needs,
    )
    report.say(gap.arithmetic, needs)
    for title, rows in (("Met:", met), ("Partly met:", partly)):
        if not rows:
            continue
        report.paragraph()
        report.say(title)
        for row in rows:
            have = (
                (mine, row.have.words)
                if row.have
                else (stated, f"{row.name}: {row.have_level}.")
                if row.have_source == "profile"
                else None
            )
            if row.have and have:
                report.say(
                    f'- {row.name}: you write "{_short(row.have.whole_line)}" (line {row.have.line}); {row.why}.',
                    (mine, row.have.whole_line),
                    (needs, row.need),
                )
            else:
                report.say(f"- {row.name}: {row.why}.", have, (needs, row.need))
    if missing:
        _say_missing(report, missing, needs)
    first = sorted(
        (r for r in gap.rows if r.verdict != "met"), key=lambda r: (-r.weight * (1 - CREDIT[r.verdict]), r.hours)
    )[:3]
    if first:
        report.paragraph()
        hours = [f"{row.name} (about {row.hours:g} hours)" for row in first]
        report.say(
            f"Most readiness for the next hours: {base.join_words(hours)}.",
            *(skill_passage(catalogue, catalogue.skills[row.skill]) for row in first),
        )
    if gap.not_counted:
        report.say(
            "Not counted, because you write that you do not have it yet: "
            f"{base.join_words([item.name for item in gap.not_counted])}.",
            *((mine, item.quote.whole_line) for item in gap.not_counted),
        )
    return report.result(gap, suggestions=("Make me a roadmap for what is missing",))


def _say_missing(report: Report, missing: Sequence[GapRow], needs: Passage) -> None:
    """One line for each importance, the most important first."""
    report.paragraph()
    report.say("Missing, because nothing you sent shows it:")
    for weight, title in IMPORTANCE.items():
        rows = [row for row in missing if row.weight == weight]
        if rows:
            names = base.join_words([f"{row.name} ({row.target})" for row in rows])
            report.say(f"- {title}: {names}.", *((needs, row.need) for row in rows))


def _attached(request: Request, values: SlotValues, context: SkillContext, name: str) -> str:
    """The text of a slot or of the attachment meant for it; a sole attachment is the resume unless named as the advert."""
    given = values.text(name)
    if given:
        return given

    def is_advert(item: Attachment) -> bool:
        return bool(
            re.search(r"\b(?:ad|advert\w*|job|posting|vacancy|jd)\b", re.sub(r"[_\W]+", " ", item.name.lower()))
        )

    for item in request.attachments:
        if is_advert(item) == (name == "job_ad"):
            return context.read_file(item.content, item.name)
    return ""


def _own_words(text: str, values: SlotValues, catalogue: Catalogue) -> str:
    """The message itself where it names the skills that were read from it, so that quotes are the person's words."""
    listed = values.text("skills")
    stated = {item.skill for item in slots.skills_in(listed, catalogue)}
    named = {item.skill for item in extract_skills(text, catalogue) if not item.negated}
    return text if stated and stated <= named else listed


def _with_shown(profile: Profile, values: SlotValues) -> Profile:
    """The profile with the skills that a resume showed earlier in this session; what was stated counts before them."""
    stated = {item.skill for item in profile.skills}
    pairs = (entry.split(":") for entry in values.items("shown"))
    shown = tuple(SkillLevel(skill, level) for skill, level in pairs if skill not in stated)
    return replace(profile, skills=(*profile.skills, *shown))


def _with_listed_levels(found: Sequence[FoundSkill], about: str, catalogue: Catalogue) -> tuple[FoundSkill, ...]:
    """In a plain list such as "python:strong, sql (basic)" the stated level counts."""
    levels = {item.skill: item.level for item in slots.skills_in(about, catalogue)} if about.count("\n") < 3 else {}
    return tuple(
        FoundSkill(f.skill, f.name, f.quote, f.how, levels.get(f.skill, f.level), f.negated, f.mentions) for f in found
    )


def _short(line: str, limit: int = 140) -> str:
    line = " ".join(line.split()).strip("-•* ")
    return line if len(line) <= limit else line[: limit - 1].rsplit(" ", 1)[0] + "\u2026"


# -- assessment -----------------------------------------------------------------------------------------------------


def _needs(catalogue: Catalogue, role: str, level: str, advert: Sequence[AdvertRequirement]) -> list[GapRow]:
    if advert:
        return [
            _open_row(catalogue, item.skill, item.target, item.weight, item.quote.whole_line, item.quote)
            for item in advert
        ]
    card = base.find_role(catalogue, role)
    at = card.at(level or "junior")
    return [
        _open_row(
            catalogue,
            need.skill,
            need.target,
            need.weight,
            base.requirement_sentence(catalogue, card, at.level, need.skill),
            None,
        )
        for need in at.skills
    ]


def _open_row(catalogue: Catalogue, skill: str, target: str, weight: int, need: str, quote: Quote | None) -> GapRow:
    row = catalogue.skills[skill]
    return GapRow(skill, row.name, target, weight, "missing", "none", None, "", need, quote, "", row.hours, row.guide)


def _row(
    catalogue: Catalogue, need: GapRow, shown: Mapping[str, FoundSkill], profile: Mapping[str, str], denied: set[str]
) -> GapRow:
    found, stated = shown.get(need.skill), profile.get(need.skill)
    have_level = max((found.level if found else "none", stated or "none"), key=LEVELS.index)
    have, source = (found.quote, "text") if found else (None, "profile" if stated else "")
    if have_level != "none":
        if LEVELS.index(have_level) >= LEVELS.index(need.target):
            return _close(need, "met", have_level, have, source, f"{need.target} level is asked for")
        return _close(
            need, "partly", have_level, have, source, f"that shows {have_level} level, {need.target} level is asked for"
        )
    implied = (
        None
        if need.skill in denied
        else next((item for item in shown.values() if need.skill in _closure(catalogue, item.skill)), None)
    )
    if implied:
        return _close(
            need,
            "partly",
            "basic",
            implied.quote,
            "text",
            f"{implied.name} builds on it, but {need.target} level is asked for and not shown",
        )
    return _close(need, "missing", "none", None, "", f"{need.target} level is asked for, and nothing you sent shows it")


def _close(need: GapRow, verdict: Verdict, level: str, have: Quote | None, source: str, why: str) -> GapRow:
    return GapRow(
        need.skill,
        need.name,
        need.target,
        need.weight,
        verdict,
        level,
        have,
        source,
        need.need,
        need.need_quote,
        why,
        base.hours_between(need.hours, level, need.target),
        need.guide,
    )


def _closure(catalogue: Catalogue, skill: str) -> set[str]:
    found: set[str] = set()
    stack = [skill]
    while stack:
        for before in catalogue.skills[stack.pop()].prerequisites:
            if before not in found:
                found.add(before)
                stack.append(before)
    return found


def _readiness(rows: Sequence[GapRow]) -> tuple[float, str]:
    total = sum(row.weight for row in rows)
    met = sum(row.weight for row in rows if row.verdict == "met")
    partly = sum(row.weight for row in rows if row.verdict == "partly")
    readiness = (met + 0.5 * partly) / total
    return readiness, (
        f"Readiness is {readiness:.0%}: each requirement counts 1 to 3 points by its importance, and you have "
        f"{met + 0.5 * partly:g} of {total} points, where what is partly met counts half."
    )


SPEC = SkillSpec(
    name="skill_gap",
    title="Skill gap",
    summary="What a role or a job advertisement asks for and you do not show yet, each with quotes.",
    examples=(
        "what skills am I missing for data scientist",
        "compare my resume with this job ad",
        "how far am I from being an MLOps engineer",
        "do I match this job posting",
        "which requirements of this advertisement do I meet",
        "skill gap analysis for machine learning engineer",
        "am I ready to apply for a senior data engineer job",
        "check me against the requirements of an AI engineer",
        "what do I still lack to become a research scientist",
        "I know Python, SQL and pandas, what is missing for data analyst",
        "how well does my CV fit this vacancy",
        "where are my gaps for a computer vision role",
        "is my background enough for an NLP engineer position",
        "analyse my skills against the role",
        "match my profile with this job description",
        "gap between me and a mid-level ML engineer",
        "what would I need to add to qualify for this role",
        "rate my readiness for data science",
        "which of my skills count for analytics engineer",
        "should I apply, here is the advert and my CV",
        "tell me what I have and what I miss for this position",
        "how many of these requirements do I fulfil",
        "my skills are Java and Spark, how close am I to data engineer",
        "evaluate my skill set for an ML platform job",
        "what stands between me and an applied scientist job",
        "readiness score for the role I want",
        "find the holes in my skills for machine learning",
        "does my experience cover what this employer wants",
    ),
    slots=(
        Slot("role", "Which role should I compare you with?", "role", help="Role to compare with."),
        Slot("level", "At which level?", "level", choices=base.LEVEL_WORDS, help="Level of the role."),
        Slot("job_ad", "Paste the job advertisement or attach it.", "file", help="Advertisement as a file or text."),
        Slot(
            "resume",
            "Tell me your skills with levels, or attach your resume.",
            "file",
            help="Resume as a file or text.",
        ),
        Slot("skills", "Which skills do you have?", "skills", help="e.g. python:strong,sql:basic."),
    ),
    run=run,
)
