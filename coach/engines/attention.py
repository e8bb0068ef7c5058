"""Attention on a CPU: a few queries at a time against only the keys they may see, query heads grouped by their keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

NAME = "grouped_cpu"
QUERIES_AT_ONCE = 64


def use_grouped_attention(model: Any) -> None:
    """Let a loaded model compute its attention here.

    In bfloat16 with 930 tokens, 14 heads on 2 pairs of keys and values and one thread: 9 ms a layer where torch's fused
    kernel takes 26, and 10 where it takes 33 after a known beginning, because that kernel then reads the whole mask and
    copies the keys for every head. The scores are rounded to the model's precision, as in transformers' eager attention.
    """
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(NAME, grouped_attention)
    AttentionMaskInterface.register(NAME, no_causal_mask)
    model.set_attn_implementation(NAME)


def no_causal_mask(batch_size: int, q_length: int, kv_length: int, q_offset: int = 0, **more: Any) -> torch.Tensor | None:
    """The mask of transformers for its fused kernel; none where each token sees all before it, a known beginning too."""
    from transformers.masking_utils import causal_mask_function, sdpa_mask

    plain = more.get("mask_function", causal_mask_function) is causal_mask_function and more.get("attention_mask") is None
    if plain and kv_length == q_offset + q_length:
        return None
    mask: torch.Tensor | None = sdpa_mask(batch_size, q_length, kv_length, q_offset, **more)
    return mask


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
    keys = key.transpose(-1, -2)
    scale = size**-0.5 if scaling is None else scaling
    parts = []
    for start in range(0, tokens, QUERIES_AT_ONCE):
        part = query[:, :, start:start + QUERIES_AT_ONCE] * scale
        count = part.shape[2]
        mask = None if attention_mask is None else attention_mask[:, :, start:start + count]
        first, last = _visible(mask) if mask is not None and tokens > QUERIES_AT_ONCE else (0, seen)
        if causal:
            last = seen - tokens + start + count
        scores = (part.reshape(rows, groups, -1, size) @ keys[..., first:last]).view(rows, heads, count, last - first)
        if causal:
            scores[..., -count:].masked_fill_(_later(count), torch.finfo(scores.dtype).min)
        elif mask is not None:
            scores = _masked(scores, mask[..., first:last])
        weights = scores.softmax(-1)
        mixed = weights.view(rows, groups, -1, last - first) @ value[:, :, first:last]
        parts.append(mixed.view(rows, heads, count, size))
    return torch.cat(parts, 2).transpose(1, 2), None


def _later(count: int) -> torch.Tensor:
    """True where a token stands after the one that looks; (count, count)."""
    import torch

    return torch.ones(count, count, dtype=torch.bool).triu(1)


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
