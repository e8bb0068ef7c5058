"""What all engines share: collecting a stream, splitting thinking from text, and refusing what does not fit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from coach.domain import Completion, Delta, Finished, GenerationOptions, Message, Sampling, Usage
from coach.errors import ContextOverflow, UnreadableFile

if TYPE_CHECKING:
    from coach.catalogue.tables import ModelCard

OPEN, CLOSE = "<think>", "</think>"
_CONTROL = re.compile(
    r"<\|[^<>|\s]{1,40}\|>"  # ChatML, Llama 3, Phi
    r"|</?(?:think|tool_call|tool_response|tools|s|bos|eos|pad|unk|mask|image|start_of_turn|end_of_turn"
    r"|start_of_image|end_of_image|image_soft_token|end_of_utterance|unused\d+)>"
    r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|IMG)\]",
    re.IGNORECASE,
)


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
    """Separate <think> blocks from the answer while text streams in; `started` when the prompt opened the block."""
    splitter = ThinkingSplitter(started=started)
    for piece in pieces:
        yield from splitter.feed(piece)
    yield from splitter.finish()


class ThinkingSplitter:
    """The state of `split_thinking`, for callers that meet other events between the pieces.

    An unfinished tag at the end of a piece is held back until the next piece decides it.
    """

    def __init__(self, *, started: bool = False) -> None:
        self.thinking = started
        self._buffer = ""
        self._at_start = True

    def feed(self, piece: str) -> Iterator[Delta]:
        """The deltas that this piece completes."""
        self._buffer += piece
        while True:
            tag = CLOSE if self.thinking else OPEN
            position = self._buffer.find(tag)
            if position < 0:
                break
            if position:
                yield Delta(self._buffer[:position], self.thinking)
            self._buffer = self._buffer[position + len(tag):]
            self.thinking, self._at_start = not self.thinking, True
        held = _partial_tag(self._buffer, CLOSE if self.thinking else OPEN)
        keep = len(self._buffer) - held
        ready, self._buffer = self._buffer[:keep], self._buffer[keep:]
        if self._at_start and not self.thinking:
            ready = ready.lstrip("\n")
        if ready:
            self._at_start = False
            yield Delta(ready, self.thinking)

    def finish(self) -> Iterator[Delta]:
        """What was held back, once no more text comes."""
        if self._buffer:
            yield Delta(self._buffer, self.thinking)
        self._buffer = ""


def choose_sampling(options: GenerationOptions, card: ModelCard | None) -> Sampling | None:
    """The sampling in force: the one asked for, else the model card's; None when neither names one."""
    if options.sampling is not None:
        return options.sampling
    if card is None or card.sampling is None:
        return None
    thinks = card.thinking == "always" or (card.thinking == "switch" and options.think)
    return (card.sampling.thinking if thinks else None) or card.sampling.plain


def alternate(messages: Sequence[Message]) -> list[Message]:
    """The same conversation with strictly alternating turns, which Gemma's template demands.

    Neighbours of one role are joined by a blank line; an assistant turn that opens the conversation (its question was
    trimmed away) is left out, because a template has no place for it.
    """
    turns: list[Message] = []
    for message in messages:
        if message.role == "assistant" and all(turn.role == "system" for turn in turns):
            continue
        if turns and turns[-1].role == message.role:
            last = turns.pop()
            joined = "\n\n".join(text for text in (last.content, message.content) if text)
            message = Message(message.role, joined, last.images + message.images)
        turns.append(message)
    return turns


def neutralise(text: str) -> str:
    """Break up control tokens in text that a server will tokenize, so that no user or document can end a turn.

    A space after the opening bracket keeps them readable and makes them ordinary text for every tokenizer we serve.
    """
    return _CONTROL.sub(lambda match: match[0][0] + " " + match[0][1:], text)


def media_type(image: bytes) -> str:
    """The media type of an encoded image, from its first bytes. Raises UnreadableFile for anything else."""
    if image.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if image.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if image[:4] == b"RIFF" and image[8:12] == b"WEBP":
        return "image/webp"
    raise UnreadableFile("The image is not a PNG, JPEG or WebP file. Save it as one of these and send it again.")


def check_fits(prompt_tokens: int, max_tokens: int, context_tokens: int) -> None:
    """Raise ContextOverflow unless the prompt and the answer fit the context."""
    if prompt_tokens + max_tokens > context_tokens:
        raise ContextOverflow(
            f"The prompt has {prompt_tokens} tokens and {max_tokens} are reserved for the answer, but the model takes "
            f"{context_tokens} in all. Ask a shorter question, or raise context_tokens if the model allows it."
        )


def _partial_tag(text: str, tag: str) -> int:
    return next((n for n in range(min(len(tag) - 1, len(text)), 0, -1) if tag.startswith(text[-n:])), 0)
