"""Loading a checkpoint into transformers: device, precision, classes, stop tokens; whole or not at all."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coach.catalogue.tables import ModelCard
from coach.domain import Message, Sampling
from coach.engines.attention import use_grouped_attention
from coach.engines.base import media_type
from coach.engines.weights import Weights
from coach.errors import EngineError, EngineUnavailable, RequestError, UnreadableFile
from coach.loading import one_at_a_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

MAX_IMAGE_PIXELS = 50_000_000


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A loaded model with what is needed to ask it. `processor` is None for a model that takes text only."""

    model: Any
    tokenizer: Any
    processor: Any
    stop_ids: tuple[int, ...]
    pad_id: int
    context_tokens: int
    sampling: Sampling | None
    device: str
    dtype: str

    def encode(self, turns: Sequence[Message], *, think: bool) -> dict[str, torch.Tensor]:
        """The chat template's prompt as model inputs; control tokens inside the messages become plain text."""
        if self.processor is None and any(turn.images for turn in turns):
            raise RequestError("This model takes no images. Choose gemma-3-4b-it, or ask without the image.")
        template = self.processor or self.tokenizer
        try:
            encoded = template.apply_chat_template(
                [_chat_turn(turn, parts=self.processor is not None) for turn in turns],
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                sanitize_control_tokens=True,
                enable_thinking=think,  # templates without the switch ignore it
            )
        except Exception as error:
            # Jinja's errors have no common base with what transformers raises around them.
            if type(error).__module__.split(".")[0] not in ("jinja2", "builtins"):
                raise
            raise EngineError(f"The model's chat template refused the conversation: {error}") from error
        return {name: value.to(self.device) for name, value in encoded.items()}


def load_checkpoint(
    weights: Weights, card: ModelCard | None, *, device: str = "auto", dtype: str = "auto"
) -> Checkpoint:
    """Load a folder with safetensors, or a GGUF file of the Llama architecture (unpacked to full precision).

    Raises EngineUnavailable when anything is missing, wrong, or too large. Runs no code of the checkpoint.
    """
    import torch
    import transformers

    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # transformers is partly typed
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # as above
    device = _device(device)
    precision = getattr(torch, _dtype(dtype, device))
    with one_at_a_time, _loading(weights):
        config = {} if weights.kind == "gguf" else json.loads((weights.path / "config.json").read_text("utf-8"))
        takes_images = "vision_config" in config
        location: dict[str, Any] = {"pretrained_model_name_or_path": weights.path, "local_files_only": True}
        extra: dict[str, Any] = {"use_safetensors": True}
        if weights.kind == "gguf":
            location |= {"pretrained_model_name_or_path": weights.path.parent, "gguf_file": weights.path.name}
            extra = {"quantization_config": transformers.GgufConfig(dequantize=True)}
        model, report = _auto_class(card, takes_images).from_pretrained(
            **location, **extra, dtype=precision, trust_remote_code=False, output_loading_info=True
        )
        _refuse_incomplete(weights, report)
        auto_processor: Any = transformers.AutoProcessor
        processor = auto_processor.from_pretrained(**location) if takes_images else None
        tokenizer = processor.tokenizer if processor else transformers.AutoTokenizer.from_pretrained(**location)
        model = model.to(device).eval().requires_grad_(False)
        if device == "cpu":
            from coach.engines.packed import pack_linear_layers

            use_grouped_attention(model)
            pack_linear_layers(model)
        model.get_output_embeddings().register_forward_pre_hook(_as_matrix)
    if not tokenizer.chat_template and not getattr(processor, "chat_template", None):
        raise EngineUnavailable(f"{weights.path} has no chat template: it is a base model. Choose an instruct model.")
    published = model.generation_config
    stop_ids = _stop_ids(published, tokenizer, card)
    pad_id = published.pad_token_id if isinstance(published.pad_token_id, int) else tokenizer.pad_token_id
    # The published defaults would leak into every call (top_k into greedy search, "hybrid" caches): see _defaults.
    model.generation_config = transformers.GenerationConfig()  # type: ignore[no-untyped-call]  # as above
    text = model.config.get_text_config()
    return Checkpoint(
        model=model,
        tokenizer=tokenizer,
        processor=processor,
        stop_ids=stop_ids,
        pad_id=pad_id if pad_id is not None else stop_ids[0],
        context_tokens=int(getattr(text, "max_position_embeddings", 0) or 1 << 30),
        sampling=_defaults(published),
        device=device,
        dtype=str(precision).removeprefix("torch."),
    )


def _as_matrix(_: Any, arguments: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """Give the head's input the strides of a plain matrix.

    After the prompt generate keeps the last position, a slice whose strides make ATen's matmul (should_fold) choose bmm
    and copy the whole head first: measured 0.45 of 1.5 s for 730 tokens with a 136M-parameter head.
    """
    (hidden,) = arguments
    return (hidden.flatten(0, -2).view(hidden.shape),)


def has_fast_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware; elsewhere float32 is faster."""
    try:
        flags = set(Path("/proc/cpuinfo").read_text("utf-8").split())
    except OSError:
        return platform.system() == "Darwin" and platform.machine() == "arm64"
    return bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})


def _device(wanted: str) -> str:
    import torch

    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if wanted == "auto":
        return "cuda" if cuda else "mps" if mps else "cpu"
    if (wanted == "cuda" and not cuda) or (wanted == "mps" and not mps):
        raise EngineUnavailable(f"device is {wanted}, but torch {torch.__version__} finds none. Set device to auto.")
    return wanted


def _dtype(wanted: str, device: str) -> str:
    # Never float16: Gemma 3 overflows in it.
    if wanted != "auto":
        return wanted
    return "bfloat16" if device != "cpu" or has_fast_bfloat16() else "float32"


def _auto_class(card: ModelCard | None, takes_images: bool) -> Any:
    """The card's class. Never a text-only class for a checkpoint with vision: its keys would not match, silently."""
    import transformers

    if takes_images or (card is not None and card.auto_class == "AutoModelForImageTextToText"):
        return transformers.AutoModelForImageTextToText
    return transformers.AutoModelForCausalLM


def _refuse_incomplete(weights: Weights, report: dict[str, Any]) -> None:
    missing = sorted(report.get("missing_keys") or ())
    if missing:
        raise EngineUnavailable(
            f"{weights.path} lacks {len(missing)} tensors of its architecture, {missing[0]} first; they would be "
            "random numbers. Fetch the model again."
        )


@contextmanager
def _loading(weights: Weights) -> Iterator[None]:
    import torch
    from safetensors import SafetensorError

    try:
        yield
    except EngineUnavailable:
        raise
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise EngineUnavailable(f"{weights.path} does not fit the memory. Choose a smaller model.") from error
    except (OSError, LookupError, ValueError, TypeError, AttributeError, RuntimeError, ImportError,
            SafetensorError) as error:
        raise EngineUnavailable(
            f"{weights.path} cannot be loaded ({type(error).__name__}: {str(error)[:300]}). Fetch the model again, or "
            "choose another."
        ) from error


def _stop_ids(published: Any, tokenizer: Any, card: ModelCard | None) -> tuple[int, ...]:
    """The ids that end a turn: the generation config's, the tokenizer's, and those of the card that exist."""
    ids = published.eos_token_id
    found = set(ids if isinstance(ids, list) else [] if ids is None else [ids])
    vocabulary = tokenizer.get_vocab()
    found |= {vocabulary[token] for token in (card.stop_tokens if card else ()) if token in vocabulary}
    if tokenizer.eos_token_id is not None:
        found.add(tokenizer.eos_token_id)
    if not found:
        raise EngineUnavailable("The tokenizer names no token that ends an answer. Choose an instruct model.")
    return tuple(sorted(found))


def _defaults(published: Any) -> Sampling | None:
    """The sampling of generation_config.json, for a model that the catalogue does not know."""
    if not published.do_sample:
        return None
    given = {name: getattr(published, name, None) for name in ("temperature", "top_p", "top_k", "min_p")}
    return Sampling(**{"temperature": 1.0, **{name: value for name, value in given.items() if value is not None}})


def _chat_turn(turn: Message, *, parts: bool) -> dict[str, Any]:
    if not parts:
        return {"role": turn.role, "content": turn.content}
    images = [{"type": "image", "image": _picture(image)} for image in turn.images]
    return {"role": turn.role, "content": [*images, {"type": "text", "text": turn.content}]}


def _picture(image: bytes) -> Any:
    from PIL import Image, UnidentifiedImageError

    kind = media_type(image).removeprefix("image/").upper()
    try:
        with Image.open(BytesIO(image), formats=[kind]) as opened:
            if opened.width * opened.height > MAX_IMAGE_PIXELS:
                raise UnreadableFile(
                    f"The image has {opened.width} x {opened.height} pixels; send one of at most 50 million."
                )
            return opened.convert("RGB")
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError) as error:
        raise UnreadableFile(f"The image cannot be read ({error}). Save it again as PNG or JPEG.") from error
