"""What a person states about themselves on purpose: shown, set, exported, deleted by command."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass

from coach.catalogue.tables import LEVELS, Catalogue
from coach.domain import Passage, Profile, Request, SkillLevel
from coach.errors import RequestError
from coach.skills import base, slots
from coach.skills.base import Report, SkillContext, SkillResult, SkillSpec, Slot, SlotValues

ACTIONS = ("show", "set", "export", "delete")


@dataclass(frozen=True, slots=True)
class ProfileOutcome:
    """What was done, and the profile after it."""

    action: str
    profile: Profile
    changed: tuple[str, ...] = ()


def describe(profile: Profile, catalogue: Catalogue) -> tuple[str, ...]:
    """The profile in sentences, one fact each; empty when nothing was stated."""
    lines = []
    if profile.target_role:
        role = catalogue.roles.get(profile.target_role)
        lines.append(
            f"Your goal is {profile.target_level or 'junior'} "
            f"{base.lower_first(role.name) if role else profile.target_role}."
        )
    if profile.skills:
        lines.append(
            "You stated these skills: "
            + base.join_words(
                [
                    f"{catalogue.skills[item.skill].name if item.skill in catalogue.skills else item.skill} ({item.level})"
                    for item in profile.skills
                ]
            )
            + "."
        )
    if profile.hours_per_week is not None:
        lines.append(f"You can study {base.count_of(profile.hours_per_week, 'hour')} a week.")
    if profile.memory_gb is not None:
        gpu = {True: " and a GPU", False: " and no GPU"}.get(profile.has_gpu, "") if profile.has_gpu is not None else ""
        lines.append(f"Your computer has {profile.memory_gb:g} GB of memory{gpu}.")
    if profile.locale not in {"", "en"}:
        lines.append(f"Your language is {profile.locale}.")
    return tuple(lines)


def change(profile: Profile, values: SlotValues, catalogue: Catalogue) -> tuple[Profile, tuple[str, ...]]:
    """The profile with the given slots set, and the names of the fields that changed. Raises RequestError."""
    new = profile
    if values.text("role"):
        new = dataclasses.replace(new, target_role=base.find_role(catalogue, values.text("role")).id)
    if values.text("level"):
        level = slots.role_level_in(values.text("level"))
        if level is None:
            raise RequestError(f"The level {values.text('level')!r} is none of {', '.join(base.LEVEL_WORDS)}.")
        new = dataclasses.replace(new, target_level=level)
    if values.text("skills"):
        unknown = slots.unknown_skills(values.items("skills"), catalogue)
        if unknown:
            raise RequestError(
                f"The catalogue does not know the skill {unknown[0]!r}. Write e.g. python:working, sql:basic."
            )
        stated = {item.skill: item for item in new.skills}
        stated |= {item.skill: item for item in slots.skills_in(values.text("skills"), catalogue)}
        new = dataclasses.replace(new, skills=tuple(item for item in stated.values() if item.level != LEVELS[0]))
    hours = values.number("hours_per_week")
    if hours is not None:
        if not 0 < hours <= 80:
            raise RequestError(f"{hours:g} hours a week is not possible here. Give between 0.5 and 80.")
        new = dataclasses.replace(new, hours_per_week=hours)
    memory = values.number("memory_gb")
    if memory is not None:
        if not 0 < memory <= 4096:
            raise RequestError(f"{memory:g} GB of memory is not possible here. Give between 0.25 and 4096.")
        new = dataclasses.replace(new, memory_gb=memory)
    names = [
        item.name for item in dataclasses.fields(Profile) if getattr(new, item.name) != getattr(profile, item.name)
    ]
    return new, tuple(names)


def to_json(profile: Profile) -> str:
    """The profile as JSON text."""
    return base.to_json(profile)


def from_json(text: str) -> Profile:
    """The profile that `to_json` wrote. Raises RequestError for anything else."""
    import json

    try:
        raw = json.loads(text)
        skills = tuple(SkillLevel(item["skill"], item["level"]) for item in raw.pop("skills", []))
        return Profile(skills=skills, **raw)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RequestError(f"That is not an exported profile: {error}.") from error


def action_in(text: str) -> str:
    """show, set, export or delete, as the text asks; show when it asks for none."""
    low = text.lower()
    if re.search(r"\b(delete|forget|erase|wipe|remove|clear)\b", low):
        return "delete"
    if re.search(r"\b(export|download|save .* file|copy of)\b", low):
        return "export"
    if re.search(r"\b(set|change|update|edit|add|remember|store|note|correct|put)\b", low):
        return "set"
    return "show"


def run(request: Request, values: SlotValues, context: SkillContext) -> SkillResult:
    """Show, set, export or delete. Nothing is kept that was not given in a slot or said with "remember" or "set"."""
    if context.profiles is None:
        raise RequestError("Profiles are not kept in this installation.")
    action = values.text("action") or action_in(request.text)
    if action not in ACTIONS:
        raise RequestError(f"The action {action!r} is none of {', '.join(ACTIONS)}.")
    current = context.profiles.load(request.user)
    report = Report()
    if action == "delete":
        had = context.profiles.delete(request.user)
        report.say("Your profile is deleted." if had else "There was no profile to delete.")
        return report.result(ProfileOutcome("delete", Profile()))
    if action == "set":
        new, changed = change(current, values, context.catalogue)
        if not changed:
            return report.result(
                ProfileOutcome("set", current),
                follow_up="What should I note: your goal, skills, hours a week or computer?",
            )
        context.profiles.save(request.user, new)
        report.say(f"Noted: {base.join_words([name.replace('_', ' ') for name in changed])}.")
        current = new
    lines = describe(current, context.catalogue)
    passage = _passage(lines)
    if not lines:
        report.say("Nothing is kept about you. I only keep what you tell me to.")
    for line in lines:
        report.say(line, (passage, line))
    return report.result(ProfileOutcome(action, current, changed if action == "set" else ()))


def _passage(lines: tuple[str, ...]) -> Passage:
    text = " ".join(lines)
    return Passage("resume/profile", "Your profile", text, "what you stated", kind="resume", end=len(text))


SPEC = SkillSpec(
    name="profile",
    title="Profile",
    summary="What you told me about yourself: see it, change it, export it, delete it.",
    examples=(
        "show my profile",
        "what do you know about me",
        "delete my profile",
        "forget everything about me",
        "export my profile",
        "set my target role to data scientist",
        "remember that I can study 6 hours a week",
        "update my profile: I know Python and SQL",
        "change my hours in the profile to 10",
        "add Docker to my skills",
        "what have you stored about me",
        "note that my laptop has 8 GB of memory",
        "my goal changed, set it to MLOps engineer",
        "erase my data",
        "give me a copy of the data you keep on me",
        "which skills did I tell you I have",
        "edit my profile",
        "save in my profile that I have no GPU",
        "remove my personal information",
        "what is in my profile",
        "store that I am aiming for senior level",
        "download my profile as a file",
        "correct my profile, I am a beginner in statistics",
        "wipe my stored details",
        "display the information you saved about me",
        "put PyTorch into my profile as basic",
        "clear what you remember about me",
        "which personal data do you hold on me",
    ),
    slots=(
        Slot("action", "Show, set, export or delete?", "choice", choices=ACTIONS, help="show, set, export or delete."),
        Slot("role", "Which role are you aiming at?", "role", help="Target role."),
        Slot("level", "At which level?", "level", choices=base.LEVEL_WORDS, help="Target level."),
        Slot("skills", "Which skills do you have?", "skills", help="e.g. python:working,sql:basic."),
        Slot("hours_per_week", "How many hours a week can you study?", "hours", help="Hours a week."),
        Slot("memory_gb", "How much memory has your computer?", "number", help="Memory in GB."),
    ),
    run=run,
)
