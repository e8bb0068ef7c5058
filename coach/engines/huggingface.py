"""An engine on transformers: bfloat16 where the hardware has it, prompt lookup for answers that quote the prompt."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, TypeVar

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
    stop_inside_forward,
)
from coach.engines.weights import Weights
from coach.errors import EngineError, EngineUnavailable

if TYPE_CHECKING:
    import torch

    Inputs = dict[str, torch.Tensor]

LOOKUP_TOKENS = 12
LOOKUP_NGRAM = 3
"""Of 8 to 12 tokens and n-grams of 2 to 3 the pair with the fewest forward passes on answers that quote their evidence."""
BATCH_SIZE = 8
Result = TypeVar("Result")


class HuggingFaceEngine:
    """One checkpoint in this process; requests wait for each other.

    Greedy decoding of a single prompt uses prompt lookup: the same answer in float32; in bfloat16 a near tie can fall the
    other way, as with any other number of rows in a product. It is never combined with a prefix cache: transformers 5.23
    then feeds the prompt twice and answers differ.
    """

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
        # One worker: the weights are shared, and torch's own threads stay with the thread that started them.
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="huggingface")

    @property
    def accepts_images(self) -> bool:
        """Whether the checkpoint has a vision tower."""
        return self._checkpoint.processor is not None

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
        inputs = self._checkpoint.encode(alternate(messages), think=options.think)
        prompt_tokens = _length(inputs)
        check_fits(prompt_tokens, options.max_tokens, self.context_tokens)
        tokens, flag = TokenQueue(), StopFlag(cancel)
        text, splitter = self._detokenizer(), ThinkingSplitter(started=self._opens_thinking(inputs))
        produced: list[int] = []
        self._submit(lambda: self._generate(inputs, options, flag, tokens), tokens)
        try:
            for ids in tokens:
                produced += ids
                yield from splitter.feed(text.add(ids))
        finally:
            flag.set()
        yield from splitter.feed(text.finish())
        yield from splitter.finish()
        yield Finished(self._reason(produced, options), Usage(prompt_tokens, len(produced)))

    def generate_batch(self, prompts: Sequence[Sequence[Message]], options: GenerationOptions) -> list[Completion]:
        """Greedy prompts of like length share each forward pass; sampled ones and those with images go one by one."""
        sampling = self._sampling(options)
        if sampling.temperature > 0 or any(message.images for messages in prompts for message in messages):
            return [collect(self.stream(messages, options)) for messages in prompts]
        encoded = [self._checkpoint.encode(alternate(messages), think=options.think) for messages in prompts]
        for inputs in encoded:
            check_fits(_length(inputs), options.max_tokens, self.context_tokens)
        order = sorted(range(len(encoded)), key=lambda index: _length(encoded[index]), reverse=True)
        done: dict[int, Completion] = {}
        for start in range(0, len(order), BATCH_SIZE):
            group = order[start:start + BATCH_SIZE]
            rows = [encoded[index] for index in group]
            answers = self._worker.submit(_typed, lambda rows=rows: self._generate_rows(rows, options)).result()
            done.update({index: self._completion(encoded[index], ids, options)
                         for index, ids in zip(group, answers, strict=True)})
        return [done[index] for index in range(len(encoded))]

    def close(self) -> None:
        """Free the weights."""
        self._worker.shutdown(wait=True, cancel_futures=True)
        self._loaded = None

    @property
    def _checkpoint(self) -> Checkpoint:
        if self._loaded is None:
            raise EngineUnavailable(f"The engine of {self.model} was closed.")
        return self._loaded

    def _submit(self, work: Callable[[], None], tokens: TokenQueue) -> None:
        def run() -> None:
            try:
                _typed(work)
            except BaseException as error:  # handed to the consumer, who would otherwise wait for ever
                tokens.finish(error)
            else:
                tokens.finish()

        try:
            self._worker.submit(run)
        except RuntimeError as error:
            raise EngineUnavailable(f"The engine of {self.model} was closed.") from error

    def _generate(self, inputs: Inputs, options: GenerationOptions, flag: StopFlag, tokens: TokenQueue) -> None:
        """Runs in the worker."""
        import torch

        model, sampling = self._checkpoint.model, self._sampling(options)
        handles = stop_inside_forward(model, flag)
        try:
            torch.manual_seed(sampling.seed)
            with torch.inference_mode():
                model.generate(
                    **inputs,
                    generation_config=self._generation(options, lookup="pixel_values" not in inputs),
                    streamer=tokens,
                    stopping_criteria=stop_criteria(flag),
                    logits_processor=presence_penalty(sampling.presence_penalty, _length(inputs)),
                )
        except Stopped:
            return
        finally:
            for handle in handles:
                handle.remove()

    def _generate_rows(self, rows: Sequence[Inputs], options: GenerationOptions) -> list[list[int]]:
        """Runs in the worker: the new ids of each row, from prompts padded on the left."""
        import torch

        width = max(_length(row) for row in rows)
        inputs = {name: torch.cat([self._padded(row[name], width, name) for row in rows]) for name in rows[0]}
        with torch.inference_mode():
            ids = self._checkpoint.model.generate(
                **inputs,
                generation_config=self._generation(options, lookup=False),
                logits_processor=presence_penalty(self._sampling(options).presence_penalty, width),
            )
        return [self._until_stop(row) for row in ids[:, width:].tolist()]

    def _padded(self, values: torch.Tensor, width: int, name: str) -> torch.Tensor:
        import torch

        padding = self._checkpoint.pad_id if name == "input_ids" else 0
        return torch.nn.functional.pad(values, (width - values.shape[1], 0), value=padding)

    def _generation(self, options: GenerationOptions, *, lookup: bool) -> Any:
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
        elif lookup:
            settings |= {"prompt_lookup_num_tokens": LOOKUP_TOKENS, "max_matching_ngram_size": LOOKUP_NGRAM}
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

    def _until_stop(self, ids: Sequence[int]) -> list[int]:
        end = next((place + 1 for place, id in enumerate(ids) if id in self._checkpoint.stop_ids), len(ids))
        return list(ids[:end])

    def _completion(self, inputs: Inputs, ids: list[int], options: GenerationOptions) -> Completion:
        text, splitter = self._detokenizer(), ThinkingSplitter(started=self._opens_thinking(inputs))
        deltas = [*splitter.feed(text.add(ids)), *splitter.feed(text.finish()), *splitter.finish()]
        usage = Usage(_length(inputs), len(ids))
        return collect([*deltas, Finished(self._reason(ids, options), usage)])


def _length(inputs: Inputs) -> int:
    return int(inputs["input_ids"].shape[1])


def _typed(work: Callable[[], Result]) -> Result:
    """Run it with torch's errors translated."""
    import torch

    try:
        return work()
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise EngineUnavailable(
            "The memory ran out while the model was answering. Lower context_tokens, or choose a smaller model."
        ) from error
    except (RuntimeError, ValueError, IndexError) as error:
        if "not enough memory" in str(error):  # the CPU allocator has no error class of its own
            raise EngineUnavailable("The memory ran out. Choose a smaller model.") from error
        raise EngineError(f"The model failed: {type(error).__name__}: {str(error)[:300]}") from error
