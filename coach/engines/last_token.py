"""Reading a prompt without what nobody looks at: after the last layer only the last token goes on to the head."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


class LastTokenOnly:
    """Spares the last layer's feed-forward part all tokens but the last, in the thread that asks for it and in no other.

    Keys and values of that layer are computed before, for every token. Of the multiplications of a prompt it saves 3.7 %
    with 24 layers and 2.5 % with 36. A model whose last layer has no plain `mlp` is left as it is.
    """

    def __init__(self, model: Any) -> None:
        self._local = threading.local()
        layers = getattr(model.get_decoder(), "layers", None)
        part = getattr(layers[-1], "mlp", None) if layers else None
        if part is not None and hasattr(part, "down_proj"):  # not one that returns more than states, as mixtures of experts do
            part.register_forward_pre_hook(self._before)
            part.register_forward_hook(self._after)

    @contextmanager
    def on(self) -> Iterator[None]:
        """Passes of this thread over several tokens are of prompts: scores are wanted after their last token alone."""
        self._local.on = True
        try:
            yield
        finally:
            self._local.on = False

    def _before(self, _: Any, arguments: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...] | None:
        (states,) = arguments
        self._local.tokens = states.shape[1] if getattr(self._local, "on", False) and states.dim() == 3 else 1
        return (states[:, -1:],) if self._local.tokens > 1 else None

    def _after(self, _: Any, arguments: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor | None:
        if self._local.tokens == 1:
            return None
        rows, _one, size = output.shape
        whole = output.new_zeros(rows, self._local.tokens, size)
        whole[:, -1:] = output
        return whole
