"""Attention on a CPU: a few queries at a time against only the keys they may see, query heads grouped by their keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

NAME = "grouped_cpu"
QUERIES_AT_ONCE = 64


def use_grouped_attention(model: Any) -> None:
    """Let a loaded model compute its attention here.

    In bfloat16 with 930 tokens, 14 heads on 2 pairs of keys and values and one thread: 11 ms a layer where torch's fused
    kernel takes 27, and 12 where it takes 33 after a known beginning, because that kernel then reads the whole mask and
    copies the keys for every head. The scores are rounded to the model's precision, as in transformers' eager attention.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, grouped_attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)


def grouped_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """Shapes (rows, heads, tokens, size); fewer heads in `key` and `value` than in `query` are shared by neighbours.

    `attention_mask` is true, or 0, where a query (third axis) may see a key (last axis). Returns (rows, tokens, heads,
    size). Raises ValueError for what inference with the catalogue's models does not need: dropout, softcap, biases.
    """
    import torch

    if dropout or more.get("softcap") is not None or more.get("position_bias") is not None:
        raise ValueError("This attention has no dropout, softcap or position bias.")
    rows, heads, tokens, size = query.shape
    groups, seen = key.shape[1], key.shape[2]
    causal = attention_mask is None and tokens > 1 and (is_causal if is_causal is not None
                                                       else getattr(module, "is_causal", True))
    if causal:
        attention_mask = torch.ones(tokens, seen, dtype=torch.bool).tril(seen - tokens)[None, None]
    keys = key.transpose(-1, -2)
    scale = size**-0.5 if scaling is None else scaling
    parts = []
    for start in range(0, tokens, QUERIES_AT_ONCE):
        part = query[:, :, start:start + QUERIES_AT_ONCE] * scale
        count = part.shape[2]
        mask = None if attention_mask is None else attention_mask[:, :, start:start + count]
        first, last = _visible(mask) if mask is not None and tokens > QUERIES_AT_ONCE else (0, seen)
        scores = part.reshape(rows, groups, -1, size) @ keys[..., first:last]
        if mask is not None:
            scores = _masked(scores.view(rows, heads, count, last - first), mask[..., first:last])
        weights = scores.softmax(-1, dtype=torch.float32).to(query.dtype)
        mixed = weights.view(rows, groups, -1, last - first) @ value[:, :, first:last]
        parts.append(mixed.view(rows, heads, count, size))
    return torch.cat(parts, 2).transpose(1, 2), None


def _visible(mask: torch.Tensor) -> tuple[int, int]:
    """The span of keys that any of the queries may see."""
    if not mask.is_floating_point():
        places = mask.flatten(0, 2).any(0).nonzero()
        if len(places):
            return int(places[0]), int(places[-1]) + 1
    return 0, mask.shape[-1]


def _masked(scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    import torch

    return scores + mask if mask.is_floating_point() else scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
