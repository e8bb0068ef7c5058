"""What all engines share: collecting a stream, splitting thinking from text, and refusing what does not fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from coach.domain import Completion, Delta, Finished, Usage
from coach.errors import ContextOverflow

OPEN, CLOSE = "<think>", "</think>"


def collect(stream: Iterable[Delta | Finished]) -> Completion:
    """Run a stream to its end."""
    text: list[str] = []
    thinking: list[str] = []
    finished = Finished("stop", Usage())
    for item in stream:
        if isinstance(item, Finished):
            finished = item
        else:
            (thinking if item.thinking else text).append(item.text)
    return Completion("".join(text).strip(), "".join(thinking).strip(), finished)


def split_thinking(pieces: Iterable[str], *, started: bool = False) -> Iterator[Delta]:
    """Separate <think> blocks from the answer while text streams in; `started` when the prompt opened the block.

    An unfinished tag at the end of a piece is held back until the next piece decides it.
    """
    thinking, buffer, at_start = started, "", True
    for piece in pieces:
        buffer += piece
        while True:
            tag = CLOSE if thinking else OPEN
            position = buffer.find(tag)
            if position < 0:
                break
            if position:
                yield Delta(buffer[:position], thinking)
            buffer, thinking, at_start = buffer[position + len(tag):], not thinking, True
        held = _partial_tag(buffer, CLOSE if thinking else OPEN)
        ready, buffer = buffer[: len(buffer) - held], buffer[len(buffer) - held:]
        if at_start and not thinking:
            ready = ready.lstrip("\n")
        if ready:
            at_start = False
            yield Delta(ready, thinking)
    if buffer:
        yield Delta(buffer, thinking)


def check_fits(prompt_tokens: int, max_tokens: int, context_tokens: int) -> None:
    """Raise ContextOverflow unless the prompt and the answer fit the context."""
    if prompt_tokens + max_tokens > context_tokens:
        raise ContextOverflow(
            f"The prompt has {prompt_tokens} tokens and {max_tokens} are reserved for the answer, but the model takes "
            f"{context_tokens} in all. Ask a shorter question, or raise context_tokens if the model allows it."
        )


def _partial_tag(text: str, tag: str) -> int:
    return next((n for n in range(min(len(tag) - 1, len(text)), 0, -1) if tag.startswith(text[-n:])), 0)
