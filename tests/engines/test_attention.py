"""Grouped attention against torch's own."""

from __future__ import annotations

import pytest
import torch

from coach.engines.attention import QUERIES_AT_ONCE, grouped_attention

LONG = 2 * QUERIES_AT_ONCE + 5


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize(("known", "tokens"), [(0, 1), (0, LONG), (40, LONG), (70, 1), (70, 13)])
@pytest.mark.parametrize("masked", [False, True])
def test_it_equals_the_fused_kernel(rows, known, tokens, masked):
    torch.manual_seed(known + tokens)
    query = torch.randn(rows, 6, tokens, 16)
    key, value = torch.randn(2, rows, 2, known + tokens, 16)
    mask = torch.ones(tokens, known + tokens, dtype=torch.bool).tril(known).repeat(rows, 1, 1, 1)
    if masked:
        mask[0, :, :, :known // 2] = False
    expected = torch.nn.functional.scaled_dot_product_attention(
        query, key.repeat_interleave(3, 1), value.repeat_interleave(3, 1), attn_mask=mask).transpose(1, 2)
    found, _ = grouped_attention(torch.nn.Identity(), query, key, value, mask if masked else None)
    torch.testing.assert_close(found, expected)
    if masked:
        added = torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)
        torch.testing.assert_close(grouped_attention(torch.nn.Identity(), query, key, value, added)[0], expected)


def test_a_tower_that_looks_both_ways_and_another_scale():
    query, key, value = torch.randn(3, 2, 4, LONG, 8)
    expected = torch.nn.functional.scaled_dot_product_attention(query, key, value, scale=0.3).transpose(1, 2)
    found, _ = grouped_attention(torch.nn.Identity(), query, key, value, None, scaling=0.3, is_causal=False)
    torch.testing.assert_close(found, expected)


def test_what_it_cannot_do_is_refused():
    states = torch.randn(1, 1, 2, 4)
    with pytest.raises(ValueError, match="softcap"):
        grouped_attention(torch.nn.Identity(), states, states, states, None, softcap=30.0)
