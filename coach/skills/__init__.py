"""What the coach can do besides answering questions: one file and one prompt a skill, listed in one register."""

from __future__ import annotations

from coach.skills.base import SkillSpec


def register() -> tuple[SkillSpec, ...]:
    """Every skill, in the order that menus show them."""
    from coach.skills import interview, model_advisor, profile, resume, roadmap, skill_gap

    return (roadmap.SPEC, skill_gap.SPEC, resume.SPEC, interview.SPEC, model_advisor.SPEC, profile.SPEC)


def find_skill(name: str) -> SkillSpec | None:
    """The skill of that name, hyphens and case aside."""
    wanted = name.strip().lower().replace("-", "_")
    return next((spec for spec in register() if spec.name == wanted), None)
