"""What a running `generate` is wired to: tokens out through a queue, text from tokens, and a stop that always works."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from coach.engines.base import CLOSE, OPEN
from coach.errors import EngineError, EngineUnavailable

if TYPE_CHECKING:
    import torch

POLL_SECONDS = 0.05


def typed(error: BaseException) -> BaseException:
    """What torch and transformers raise, as an error that says what to do; anything else as it is."""
    import torch

    memory = isinstance(error, torch.OutOfMemoryError | MemoryError)
    if memory or "not enough memory" in str(error):  # the CPU allocator has no error class of its own
        typed_error: BaseException = EngineUnavailable(
            "The memory ran out while the model was answering. Lower context_tokens, or choose a smaller model."
        )
    elif isinstance(error, RuntimeError | ValueError | IndexError):
        typed_error = EngineError(f"The model failed: {type(error).__name__}: {str(error)[:300]}")
    else:
        return error
    typed_error.__cause__ = error
    return typed_error


class Stopped(Exception):
    """Raised inside a forward pass to leave it at once."""


class StopFlag:
    """Set when the consumer left or its `cancel` event was set."""

    def __init__(self, cancel: threading.Event | None = None) -> None:
        self._cancel = cancel
        self._left = threading.Event()

    def set(self) -> None:
        """Stop: nobody listens any more."""
        self._left.set()

    def __call__(self) -> bool:
        return self._left.is_set() or (self._cancel is not None and self._cancel.is_set())


class TokenQueue:
    """Ids on their way to another thread; as a streamer in transformers' sense it skips the prompt, which comes first."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[list[int] | BaseException | None] = queue.SimpleQueue()
        self._seen_prompt = False

    def add(self, ids: list[int]) -> None:
        """New ids."""
        self._queue.put(ids)

    def put(self, value: torch.Tensor) -> None:
        """Called by generate with the prompt, then with each batch of new ids."""
        if self._seen_prompt:
            self.add(value.reshape(-1).tolist())
        self._seen_prompt = True

    def end(self) -> None:
        """Called by generate; the end is told by `finish`, which also runs after an error."""

    def finish(self, error: BaseException | None = None) -> None:
        """No more tokens come."""
        self._queue.put(error)

    def __iter__(self) -> Iterator[list[int]]:
        while True:
            item = self._queue.get()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item


class Detokenizer:
    """Text from ids as they come, such that the pieces joined are the text of all ids.

    Decodes a window, not single ids: an id may be part of a character, and a tokenizer may drop a leading space.
    Control tokens are dropped, except the thinking tags, which the caller splits at.
    """

    def __init__(self, tokenizer: Any, stop_ids: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        # all_special_ids holds the named ones (eos, pad, ...) only, not e.g. Gemma's <end_of_turn>.
        special = {id for id, token in tokenizer.added_tokens_decoder.items() if token.special}
        tags = {id for id, token in tokenizer.added_tokens_decoder.items() if token.content in (OPEN, CLOSE)}
        self._dropped = frozenset(special.union(tokenizer.all_special_ids, stop_ids) - tags)
        self._ids: list[int] = []
        self._start = 0
        self._read = 0

    def add(self, ids: Sequence[int]) -> str:
        """The text that these ids complete."""
        self._ids += [id for id in ids if id not in self._dropped]
        before = self._decode(self._ids[self._start:self._read])
        text = self._decode(self._ids[self._start:])
        if len(text) <= len(before) or text.endswith("\ufffd"):
            return ""
        self._start, self._read = self._read, len(self._ids)
        return text[len(before):]

    def finish(self) -> str:
        """What was held back as an unfinished character."""
        before = self._decode(self._ids[self._start:self._read])
        return self._decode(self._ids[self._start:])[len(before):]

    def _decode(self, ids: Sequence[int]) -> str:
        decoded: str = self._tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return decoded


def stop_criteria(flag: StopFlag) -> Any:
    """A StoppingCriteriaList that ends generation after the current token once the flag is set."""
    from transformers import StoppingCriteriaList

    return StoppingCriteriaList([_criterion_class()(flag)])


def presence_penalty(penalty: float, prompt_tokens: int) -> Any:
    """A LogitsProcessorList that lowers every token the answer holds already; empty for 0. transformers has none."""
    from transformers import LogitsProcessorList

    return LogitsProcessorList([_penalty_class()(penalty, prompt_tokens)] if penalty else [])


class ForwardStop:
    """Lets a flag end even a long prefill of a model, layer by layer, in the thread that asked for it and in no other."""

    def __init__(self, model: Any) -> None:
        import torch

        self._flags = threading.local()
        layers = [child for module in model.modules() if isinstance(module, torch.nn.ModuleList) for child in module]
        for layer in layers:
            layer.register_forward_pre_hook(self._check)

    @contextmanager
    def on(self, flag: StopFlag) -> Iterator[None]:
        """Raise Stopped inside forward passes of this thread once the flag is set."""
        self._flags.flag = flag
        try:
            yield
        finally:
            self._flags.flag = None

    def _check(self, *_: Any) -> None:
        flag = getattr(self._flags, "flag", None)
        if flag is not None and flag():
            raise Stopped


@cache
def _criterion_class() -> Any:
    """Made at first use: the base class lives in transformers, which takes seconds to import."""
    import torch
    from transformers import StoppingCriteria

    class StopWhenSet(StoppingCriteria):
        def __init__(self, flag: StopFlag) -> None:
            self.flag = flag

        def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
            return torch.full((input_ids.shape[0],), self.flag(), dtype=torch.bool, device=input_ids.device)

    return StopWhenSet


@cache
def _penalty_class() -> Any:
    import torch
    from transformers import LogitsProcessor

    class PresencePenalty(LogitsProcessor):
        def __init__(self, penalty: float, prompt_tokens: int) -> None:
            self.penalty, self.prompt_tokens = penalty, prompt_tokens

        def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
            seen = torch.zeros_like(scores, dtype=torch.bool).scatter_(1, input_ids[:, self.prompt_tokens:], True)
            return scores - self.penalty * seen

    return PresencePenalty
