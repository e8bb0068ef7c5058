"""The errors a caller can meet, sorted by who must act.

CoachError
├── ConfigError          the operator: a setting, a missing extra, a model that is not at hand
├── KnowledgeError       the author of content: a document or catalogue row, with file and line
├── StoreError           the operator: the database
├── EngineError          the operator: the model
│   ├── EngineUnavailable    cannot be reached or loaded
│   ├── EngineTimeout        took too long
│   └── LicenceRequired      the model's licence must be accepted first
└── RequestError         the asker: the question or file as it was sent
    ├── ContextOverflow      too long for the model
    ├── QueueFull            too many people ask at once; retry_after_seconds says when to try again
    └── UnreadableFile       a resume or advertisement that holds no readable text

The message says what was wrong, with the value, and what to do next. Status codes live in bots/api.py, exit codes in
bots/cli.py, sentences for people in bots/render.py.
"""

from __future__ import annotations


class CoachError(Exception):
    """Base of all errors that this package raises on purpose."""


class ConfigError(CoachError):
    """A setting is wrong or something that it names is not installed."""


class KnowledgeError(CoachError):
    """A document or a catalogue row cannot be used."""


class StoreError(CoachError):
    """The database cannot be read or written."""


class EngineError(CoachError):
    """The language model failed."""


class EngineUnavailable(EngineError):
    """The model cannot be loaded or reached."""


class EngineTimeout(EngineError):
    """The model did not answer in time."""


class LicenceRequired(EngineError):
    """The weights are gated: a licence must be accepted before they can be fetched."""


class RequestError(CoachError):
    """The request cannot be served as it was sent."""


class ContextOverflow(RequestError):
    """The prompt does not fit the model's context."""


class QueueFull(RequestError):
    """Too many requests wait already."""

    def __init__(self, message: str, retry_after_seconds: float = 10.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class UnreadableFile(RequestError):
    """A file holds no text that can be read safely."""
