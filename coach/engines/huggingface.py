"""An engine on transformers: bfloat16 where the hardware has it, running batches for all who ask greedily."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from coach.catalogue.tables import ModelCard
from coach.domain import Completion, Delta, Finished, GenerationOptions, Message, Sampling, Usage
from coach.engines.base import CLOSE, OPEN, ThinkingSplitter, alternate, check_fits, choose_sampling, collect
from coach.engines.checkpoint import Checkpoint, load_checkpoint
from coach.engines.decoding import (
    Detokenizer,
    StopFlag,
    Stopped,
    TokenQueue,
    presence_penalty,
    stop_criteria,
)
from coach.engines.greedy import MOST_ROWS, Row
from coach.engines.lanes import Lanes, closed, default_threads
from coach.engines.weights import Weights

if TYPE_CHECKING:
    import torch

    Inputs = dict[str, torch.Tensor]


class HuggingFaceEngine:
    """One checkpoint in this process. Greedy text requests share forward passes, sampled ones and images wait their turn."""

    name = "huggingface"

    def __init__(
        self,
        weights: Weights,
        card: ModelCard | None = None,
        *,
        device: str = "auto",
        dtype: str = "auto",
        threads: int = 0,
        context_tokens: int = 4096,
    ) -> None:
        import torch

        if threads:
            torch.set_num_threads(threads)
        self.card = card
        self.revision = weights.revision
        self.model = card.id if card else weights.path.stem if weights.kind == "gguf" else weights.path.name
        self._loaded: Checkpoint | None = load_checkpoint(weights, card, device=device, dtype=dtype)
        published = (card.context_tokens if card else None) or context_tokens
        self.context_tokens = min(context_tokens, published, self._checkpoint.context_tokens)
        self._lanes = Lanes(self._checkpoint, threads or default_threads())

    @property
    def accepts_images(self) -> bool:
        """Whether the checkpoint has a vision tower."""
        return self._checkpoint.processor is not None

    @property
    def at_once(self) -> int:
        """One a lane: whoever joins a batch halts it while his prompt is read."""
        return len(self._lanes)

    @property
    def most_rows(self) -> int:
        """Greedy requests that can be under way, for those who want many answers soon and not one."""
        return MOST_ROWS * len(self._lanes)

    @property
    def dtype(self) -> str:
        """Precision of the loaded weights."""
        return self._checkpoint.dtype

    @property
    def device(self) -> str:
        """Where it computes."""
        return self._checkpoint.device

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Exact, images included, with thinking off (which is the longer prompt)."""
        return _length(self._checkpoint.encode(alternate(messages), think=False))

    def stream(
        self, messages: Sequence[Message], options: GenerationOptions, cancel: threading.Event | None = None
    ) -> Iterator[Delta | Finished]:
        """Yield text while a worker generates. Closing the generator stops the worker."""
        inputs, tokens, flag = self._encode(messages, options), TokenQueue(), StopFlag(cancel)
        text, splitter = self._detokenizer(), ThinkingSplitter(started=self._opens_thinking(inputs))
        produced: list[int] = []
        if self._is_greedy(messages, options):
            self._lanes.add(self._row(inputs, options, flag, tokens))
        else:
            self._lanes.add_alone(lambda: self._generate(inputs, options, flag, tokens), tokens)
        try:
            for ids in tokens:
                produced += ids
                yield from splitter.feed(text.add(ids))
        finally:
            flag.set()
        yield from splitter.feed(text.finish())
        yield from splitter.finish()
        yield Finished(self._reason(produced, options), Usage(_length(inputs), len(produced)))

    def generate_batch(self, prompts: Sequence[Sequence[Message]], options: GenerationOptions) -> list[Completion]:
        """Greedy prompts share each forward pass; sampled ones and those with images go one by one."""
        if not all(self._is_greedy(messages, options) for messages in prompts):
            return [collect(self.stream(messages, options)) for messages in prompts]
        encoded = [self._encode(messages, options) for messages in prompts]
        rows = [self._row(inputs, options, StopFlag(), TokenQueue()) for inputs in encoded]
        for row in sorted(rows, key=lambda row: row.prompt):  # like beginnings side by side
            self._lanes.add(row)
        return [self._completion(inputs, [id for ids in row.tokens for id in ids], options)
                for inputs, row in zip(encoded, rows, strict=True)]

    def close(self) -> None:
        """Free the weights. Requests under way are finished, those in line are told."""
        self._lanes.close()
        self._loaded = None

    @property
    def _checkpoint(self) -> Checkpoint:
        if self._loaded is None:
            raise closed()
        return self._loaded

    def _encode(self, messages: Sequence[Message], options: GenerationOptions) -> Inputs:
        """The prompt as model inputs. Raises ContextOverflow when it leaves no room for the answer."""
        inputs = self._checkpoint.encode(alternate(messages), think=options.think)
        check_fits(_length(inputs), options.max_tokens, self.context_tokens)
        return inputs

    def _is_greedy(self, messages: Sequence[Message], options: GenerationOptions) -> bool:
        return self._sampling(options).temperature == 0 and not any(message.images for message in messages)

    def _row(self, inputs: Inputs, options: GenerationOptions, flag: StopFlag, tokens: TokenQueue) -> Row:
        penalty = self._sampling(options).presence_penalty
        return Row(inputs["input_ids"][0].tolist(), options.max_tokens, flag, penalty, tokens)

    def _generate(self, inputs: Inputs, options: GenerationOptions, flag: StopFlag, tokens: TokenQueue) -> None:
        """Runs in the worker."""
        import torch

        model, sampling = self._checkpoint.model, self._sampling(options)
        torch.manual_seed(sampling.seed)
        with suppress(Stopped), torch.inference_mode(), self._lanes.stop.on(flag), self._lanes.last_token.on():
            model.generate(
                **inputs,
                generation_config=self._generation(options),
                streamer=tokens,
                stopping_criteria=stop_criteria(flag),
                logits_processor=presence_penalty(sampling.presence_penalty, _length(inputs)),
            )

    def _generation(self, options: GenerationOptions) -> Any:
        from transformers import GenerationConfig

        sampling, checkpoint = self._sampling(options), self._checkpoint
        settings: dict[str, Any] = {
            "max_new_tokens": options.max_tokens,
            "eos_token_id": list(checkpoint.stop_ids),
            "pad_token_id": checkpoint.pad_id,
            "do_sample": sampling.temperature > 0,
        }
        if sampling.temperature > 0:
            settings |= {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k,
                         "min_p": sampling.min_p or None}
        return GenerationConfig(**settings)  # type: ignore[no-untyped-call]  # transformers is partly typed

    def _sampling(self, options: GenerationOptions) -> Sampling:
        return choose_sampling(options, self.card) or self._checkpoint.sampling or Sampling()

    def _detokenizer(self) -> Detokenizer:
        return Detokenizer(self._checkpoint.tokenizer, self._checkpoint.stop_ids)

    def _opens_thinking(self, inputs: Inputs) -> bool:
        """Whether the template itself wrote <think> at the end of the prompt."""
        tail = self._checkpoint.tokenizer.decode(inputs["input_ids"][0, -8:], skip_special_tokens=False)
        return bool(tail.rfind(OPEN) > tail.rfind(CLOSE))

    def _reason(self, ids: Sequence[int], options: GenerationOptions) -> Literal["stop", "length", "cancelled"]:
        if ids and ids[-1] in self._checkpoint.stop_ids:
            return "stop"
        return "length" if len(ids) >= options.max_tokens else "cancelled"

    def _completion(self, inputs: Inputs, ids: list[int], options: GenerationOptions) -> Completion:
        text, splitter = self._detokenizer(), ThinkingSplitter(started=self._opens_thinking(inputs))
        deltas = [*splitter.feed(text.add(ids)), *splitter.feed(text.finish()), *splitter.finish()]
        usage = Usage(_length(inputs), len(ids))
        return collect([*deltas, Finished(self._reason(ids, options), usage)])


def _length(inputs: Inputs) -> int:
    return int(inputs["input_ids"].shape[1])
