"""An engine on an OpenAI-compatible server: vLLM, llama.cpp, transformers serve, or a hosted one."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from coach.catalogue.tables import ModelCard
from coach.domain import Completion, Delta, Finished, GenerationOptions, Message, Usage
from coach.engines.base import (
    ThinkingSplitter,
    alternate,
    check_fits,
    choose_sampling,
    collect,
    media_type,
    neutralise,
)
from coach.engines.event_stream import Connection, Event
from coach.errors import EngineError, EngineUnavailable

BATCH_CONCURRENCY = 8
IMAGE_TOKENS = 280
"""A cautious guess of what an image costs, where the server cannot count: Gemma 3 takes 256 and a few around them."""


class RemoteEngine:
    """Asks /chat/completions and streams the reply.

    `model` empty takes the first that the server lists. `find_card` gives the catalogue's card for a served name, which
    tells whether the model thinks and takes images, and how it is sampled. `context_tokens` is lowered to what the
    server says it takes. Nothing is sent before the first call.
    """

    def __init__(
        self,
        base_url: str,
        model: str = "",
        *,
        api_key: str = "",
        timeout_seconds: float = 120.0,
        context_tokens: int = 4096,
        find_card: Callable[[str], ModelCard | None] = lambda _: None,
        name: str = "remote",
        revision: str = "",
    ) -> None:
        self.name = name
        self.revision = revision
        self._connection = Connection(base_url, api_key=api_key, timeout_seconds=timeout_seconds)
        self._served = model
        self._find_card = find_card
        self._card = find_card(model) if model else None
        self._context_tokens = context_tokens
        self._described = False
        self._counting: Callable[[Sequence[Message]], int] | None = None
        self._lock = threading.Lock()

    @property
    def model(self) -> str:
        """The catalogue id, or the server's name for it; empty until the server was reached when none is set."""
        return self._card.id if self._card else self._served

    @property
    def context_tokens(self) -> int:
        """The setting, or the server's own limit when that is lower and known."""
        return self._context_tokens

    @property
    def accepts_images(self) -> bool:
        """What the catalogue says; true for a model that it does not know, whose server will tell."""
        return self._card is None or "image" in self._card.modalities

    @property
    def at_once(self) -> int:
        """Several for vLLM, which batches them; one for servers that may let a second request wait without a sign."""
        try:
            self._describe()
        except EngineError:
            return 1
        return BATCH_CONCURRENCY if self._counting == self._count_vllm else 1

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Exact where the server can count (vLLM, llama.cpp); otherwise an estimate that errs on the high side."""
        self._describe()
        turns = alternate(messages)
        exact = self._count_exactly(turns)
        return _estimate(turns) if exact is None else exact

    def stream(
        self, messages: Sequence[Message], options: GenerationOptions, cancel: threading.Event | None = None
    ) -> Iterator[Delta | Finished]:
        """Yield the reply as it arrives. Closing the generator or setting `cancel` closes the connection."""
        self._describe()
        turns = alternate(messages)
        count = self._count_exactly(turns)
        if count is not None:
            check_fits(count, options.max_tokens, self._context_tokens)
        splitter = ThinkingSplitter()
        reason, usage, pieces = "", None, 0
        with self._connection.post_events("/chat/completions", self._body(turns, options), cancel) as events:
            for event in events:
                usage = _usage(event) or usage
                choice = _choice(event)
                reason = choice.get("finish_reason") or reason
                delta = choice.get("delta") or {}
                thought = delta.get("reasoning_content") or delta.get("reasoning") or ""
                text = delta.get("content") or ""
                pieces += bool(thought or text)
                if thought:
                    yield Delta(thought, thinking=True)
                if text:
                    yield from splitter.feed(text)
        yield from splitter.finish()
        if not reason and not (cancel is not None and cancel.is_set()):
            raise EngineUnavailable(f"{self._connection.url} broke off in the middle of an answer. Ask again.")
        usage = usage or Usage(count if count is not None else _estimate(turns), pieces)
        yield Finished("length" if reason == "length" else "stop" if reason else "cancelled", usage)

    def generate_batch(self, prompts: Sequence[Sequence[Message]], options: GenerationOptions) -> list[Completion]:
        """Eight at a time; the server batches them."""
        with ThreadPoolExecutor(BATCH_CONCURRENCY, thread_name_prefix="remote-batch") as pool:
            return list(pool.map(lambda messages: collect(self.stream(messages, options)), prompts))

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def _describe(self) -> None:
        """Learn the model's name and limit from GET /models, once. A server without that route needs a name."""
        with self._lock:
            if self._described:
                return
            status, body = self._connection.get("/models")
            listed = body.get("data") if isinstance(body, dict) else None
            rows = [row for row in listed or [] if isinstance(row, dict) and row.get("id")]
            if not self._served:
                if not rows:
                    raise EngineUnavailable(
                        f"{self._connection.url}/models lists no model (HTTP {status}). Set remote_model to its name."
                    )
                self._served = str(rows[0]["id"])
            self._card = self._card or self._find_card(self._served)
            row = next((row for row in rows if row["id"] == self._served), {})
            limit = row.get("max_model_len") or (row.get("meta") or {}).get("n_ctx")
            if isinstance(limit, int) and limit > 0:
                self._context_tokens = min(self._context_tokens, limit)
            self._counting = self._find_counter()
            self._described = True

    # -- what is sent ------------------------------------------------------------------------------------------------

    def _body(self, turns: Sequence[Message], options: GenerationOptions) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._served,
            "messages": _wire(turns),
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": options.max_tokens,
            **self._template_options(options.think),
        }
        sampling = choose_sampling(options, self._card)
        if sampling is None:
            return body
        body |= {"temperature": sampling.temperature}
        # Greedy needs nothing more, and a hosted server may refuse fields that OpenAI does not know (top_k, min_p).
        if sampling.temperature > 0:
            body |= {"top_p": sampling.top_p, "seed": sampling.seed}
            body |= {name: value for name, value in (("top_k", sampling.top_k), ("min_p", sampling.min_p)) if value}
        if sampling.presence_penalty:
            body["presence_penalty"] = sampling.presence_penalty
        return body

    def _template_options(self, think: bool) -> dict[str, Any]:
        if self._card is None or self._card.thinking != "switch":
            return {}
        return {"chat_template_kwargs": {"enable_thinking": think}}

    # -- counting ----------------------------------------------------------------------------------------------------

    def _count_exactly(self, turns: Sequence[Message]) -> int | None:
        if self._counting is None or any(turn.images for turn in turns):
            return None
        return self._counting(turns)

    def _find_counter(self) -> Callable[[Sequence[Message]], int] | None:
        """Which of the two known ways to count the server offers; None when neither works."""
        probe = [Message("user", "one")]
        for counter in (self._count_llama_cpp, self._count_vllm):
            try:
                if counter(probe) > 1:
                    return counter
            except (EngineError, KeyError, TypeError, ValueError):
                continue
        return None

    def _count_llama_cpp(self, turns: Sequence[Message]) -> int:
        body = {"messages": _wire(turns), **self._template_options(False)}
        prompt = self._connection.post_root("/apply-template", body)["prompt"]
        body = {"content": prompt, "add_special": True, "parse_special": True}
        return len(self._connection.post_root("/tokenize", body)["tokens"])

    def _count_vllm(self, turns: Sequence[Message]) -> int:
        body = {"model": self._served, "messages": _wire(turns), **self._template_options(False)}
        return int(self._connection.post_root("/tokenize", body)["count"])


def _wire(turns: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages as JSON; control tokens in their text are broken up, because servers parse them in user text too."""
    return [{"role": turn.role, "content": _content(turn)} for turn in turns]


def _content(turn: Message) -> str | list[dict[str, Any]]:
    text = neutralise(turn.content)
    if not turn.images:
        return text
    urls = [f"data:{media_type(image)};base64,{base64.b64encode(image).decode()}" for image in turn.images]
    return [*({"type": "image_url", "image_url": {"url": url}} for url in urls), {"type": "text", "text": text}]


def _choice(event: Event) -> dict[str, Any]:
    choices = event.get("choices") or [{}]
    return choices[0] if isinstance(choices[0], dict) else {}


def _usage(event: Event) -> Usage | None:
    counts = event.get("usage")
    if not isinstance(counts, dict):
        return None
    return Usage(int(counts.get("prompt_tokens") or 0), int(counts.get("completion_tokens") or 0))


def _estimate(turns: Sequence[Message]) -> int:
    """Three bytes a token and eight a turn: above what the tokenizers of the catalogue make of running text."""
    return sum(len(t.content.encode()) // 3 + 8 + IMAGE_TOKENS * len(t.images) for t in turns) + 8
