"""A career coach for machine learning that answers from documents it can show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from coach.app import open_coach
    from coach.domain import (
        Answer,
        Attachment,
        Citation,
        Event,
        Message,
        Passage,
        Profile,
        Request,
        Sentence,
        SkillLevel,
    )
    from coach.errors import CoachError
    from coach.pipeline import Coach
    from coach.settings import Settings, load_settings

_HOMES = {
    "open_coach": "coach.app",
    "Coach": "coach.pipeline",
    "Settings": "coach.settings",
    "load_settings": "coach.settings",
    "CoachError": "coach.errors",
    **dict.fromkeys(("Answer", "Attachment", "Citation", "Event", "Message", "Passage", "Profile", "Request", "Sentence",
                     "SkillLevel"), "coach.domain"),
}

__all__ = [
    "Answer", "Attachment", "Citation", "Coach", "CoachError", "Event", "Message", "Passage", "Profile", "Request",
    "Sentence", "Settings", "SkillLevel", "load_settings", "open_coach",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import coach` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'coach' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
