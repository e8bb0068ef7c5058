"""A deterministic engine that needs no weights: for tests, demos and evals in CI."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from coach.domain import Completion, Delta, Finished, GenerationOptions, Message, Usage
from coach.engines.base import check_fits, collect, split_thinking

Script = Callable[[Sequence[Message]], str]


def quote_evidence(messages: Sequence[Message]) -> str:
    """The default script: repeat the first sentence of each passage in the prompt, with its marker."""
    blocks = re.findall(r"<passage (\d+)>\n(.*?)\n</passage>", messages[-1].content, re.DOTALL)
    lines = []
    for number, block in blocks[:3]:
        body = block.split("\n", 1)[-1]
        sentence = re.split(r"(?<=[.!?])\s", body.strip(), maxsplit=1)[0]
        lines.append(f"{sentence} [{number}]")
    return " ".join(lines) or "The documents do not say."


class ScriptedEngine:
    """Answers by a function of the messages, one word at a time.

    `seconds_per_token` slows it down, `fail_after` raises `error` after that many tokens: for tests of the callers.
    Tokens are words, so counts are exact and easy to predict.
    """

    name = "scripted"
    revision = ""
    accepts_images = True
    at_once = 1

    def __init__(
        self,
        script: Script | str = quote_evidence,
        *,
        model: str = "scripted",
        context_tokens: int = 8192,
        seconds_per_token: float = 0.0,
        fail_after: int | None = None,
        error: Exception | None = None,
    ) -> None:
        self.script: Script = script if callable(script) else (lambda _: script)
        self.model = model
        self.context_tokens = context_tokens
        self.seconds_per_token = seconds_per_token
        self.fail_after = fail_after
        self.error = error
        self.calls: list[tuple[Message, ...]] = []

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """One token a word and one a message."""
        return sum(len(message.content.split()) + 1 for message in messages)

    def stream(
        self, messages: Sequence[Message], options: GenerationOptions, cancel: threading.Event | None = None
    ) -> Iterator[Delta | Finished]:
        """Yield the scripted reply word by word."""
        prompt_tokens = self.count_tokens(messages)
        check_fits(prompt_tokens, options.max_tokens, self.context_tokens)
        self.calls.append(tuple(messages))
        produced = 0
        reason: str = "stop"

        def words() -> Iterator[str]:
            nonlocal produced, reason
            for word in re.findall(r"\s*\S+", self.script(messages)):
                if cancel is not None and cancel.is_set():
                    reason = "cancelled"
                    return
                if produced >= options.max_tokens:
                    reason = "length"
                    return
                if self.error is not None and produced == (self.fail_after or 0):
                    raise self.error
                if self.seconds_per_token:
                    time.sleep(self.seconds_per_token)
                produced += 1
                yield word

        yield from split_thinking(words())
        yield Finished(reason, Usage(prompt_tokens, produced))  # type: ignore[arg-type]  # one of the three literals

    def generate_batch(self, prompts: Sequence[Sequence[Message]], options: GenerationOptions) -> list[Completion]:
        """One by one."""
        return [collect(self.stream(messages, options)) for messages in prompts]

    def close(self) -> None:
        """Nothing to free."""
