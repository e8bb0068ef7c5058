"""The models that a request may name instead of the default one: which are at hand, and one of them loaded at a time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from coach.engines.select import Plan, open_engine, plan_engine
from coach.engines.weights import available_gib, needed_gib
from coach.errors import CoachError, EngineUnavailable

if TYPE_CHECKING:
    from coach.catalogue.tables import Catalogue
    from coach.domain import AnswerMode, Engine
    from coach.engines.embedded import Progress
    from coach.settings import Settings


class NamedModels:
    """Opens models by name beside the default one. The last one stays loaded until another is asked for.

    Ask for an engine only while nobody else does or uses one (Coach sees to it), so that none is closed while it generates.
    """

    def __init__(self, settings: Settings, catalogue: Catalogue, progress: Progress | None = None) -> None:
        self._settings, self._catalogue, self._progress = settings, catalogue, progress
        self._lock = threading.Lock()
        self._name, self._engine = "", None

    _engine: Engine | None

    def at_hand(self) -> tuple[str, ...]:
        """The ids of the chat models that can answer here; none where one engine is fixed by the settings."""
        return tuple(
            card.id for card in self._catalogue.models.values() if card.kind == "chat" and not self.refuse(card.id)
        )

    def refuse(self, name: str) -> str:
        """Why a model cannot answer here, "" when it can. Loads nothing. Only ids of the catalogue are names: no path is."""
        if name not in self._catalogue.models:
            return f"{name!r} is not a model of the catalogue."
        try:
            plan = self._plan(name)
        except CoachError as error:
            return str(error)
        if plan.kind in ("scripted", "remote"):
            return f"The {plan.kind} engine is set here, and it answers with {plan.model or 'its own model'} only."
        if plan.weights is None:
            return f"{name} is not at hand here."
        return ""

    def default(self) -> str:
        """The model that the settings choose."""
        return plan_engine(self._settings, self._catalogue).model

    def mode(self, name: str) -> AnswerMode:
        """How a model that is at hand answers: by the setting, else by its grade."""
        if self._settings.mode != "auto":
            return self._settings.mode
        card = self._plan(name).card
        return card.grade.mode if card else "write"

    def engine(self, name: str) -> Engine:
        """The model, loaded; the one that was named before it is closed. Raises EngineError when it cannot be had."""
        with self._lock:
            if self._engine is not None and self._name == name:
                return self._engine
            self._drop()
            self._check_memory(self._plan(name))
            self._engine = open_engine(self._settings_for(name), self._catalogue, self._progress)
            self._name = name
            return self._engine

    def close(self) -> None:
        """Free what is loaded."""
        with self._lock:
            self._drop()

    def _plan(self, name: str) -> Plan:
        return plan_engine(self._settings_for(name), self._catalogue)

    def _settings_for(self, name: str) -> Settings:
        return self._settings.model_copy(update={"model": name})

    def _check_memory(self, plan: Plan) -> None:
        if plan.card is None or plan.weights is None:
            return
        needed = needed_gib(plan.card, self._settings.context_tokens, weights_gib=plan.weights.gib)
        free = available_gib()
        if needed > free:
            raise EngineUnavailable(f"{plan.model} needs {needed:.1f} GiB of memory and {free:.1f} GiB are free.")

    def _drop(self) -> None:
        if self._engine is not None:
            self._engine.close()
        self._name, self._engine = "", None
