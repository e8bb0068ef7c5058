"""Greedy decoding in one running batch: rows join and leave between two steps, and no beginning of a prompt is read twice."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from coach.engines.decoding import ForwardStop, StopFlag, Stopped, TokenQueue, typed

if TYPE_CHECKING:
    import torch

    from coach.engines.checkpoint import Checkpoint
    from coach.engines.last_token import LastTokenOnly

MOST_ROWS = 6
LOOKUP_TOKENS = 8
LOOKUP_NGRAM = 3
"""Of 4, 6, 8 and 12 tokens, 12 needed the fewest passes and 4 to 8 the least time, over 16 answers that quote their evidence."""
PASS_TOKENS = 16
"""Tokens that a pass over several rows may hold, guesses included; 8, 24, 32 and 48 took longer over 16 answers."""


@dataclass(slots=True)
class Row:
    """One prompt, as ids, and the answer that grows from it. Ids go to `tokens` as they are decided."""

    prompt: list[int]
    max_tokens: int
    flag: StopFlag
    presence_penalty: float = 0.0
    tokens: TokenQueue = field(default_factory=TokenQueue)
    produced: list[int] = field(default_factory=list)
    ended: bool = False
    rejected: int = 0
    """Tokens at the end of the cache that the last pass tried in vain."""

    @property
    def cached(self) -> int:
        """Tokens whose keys and values are known: all but the newest."""
        return len(self.prompt) + len(self.produced) - 1


class GreedyDecoder:
    """The running batch of one checkpoint. `add` from any thread, `run` in the one that owns the weights.

    Rows share each forward pass, which also checks for each a guess copied from its own prompt (prompt lookup). Every
    prompt is read by itself, without padding, from where it differs from the one before it: prompts of one kind begin
    with the same instructions. In float32 the answers are those of plain greedy search; in bfloat16 a near tie can fall
    the other way, as with any other number of rows in a product.
    """

    def __init__(self, checkpoint: Checkpoint, stop: ForwardStop, last_token: LastTokenOnly,
                 before_pass: Callable[[], None] = lambda: None) -> None:
        self._model, self._stop_ids = checkpoint.model, frozenset(checkpoint.stop_ids)
        self._device = checkpoint.device
        self._stop, self._last_token, self._before_pass = stop, last_token, before_pass
        self._joining = 0
        self._waiting: deque[Row] = deque()
        self._rows: list[Row] = []
        self._cache: Any = None
        self._last_prompt: Sequence[int] = ()
        self._last_states: list[tuple[torch.Tensor, torch.Tensor]] = []

    @property
    def load(self) -> int:
        """Rows that wait, are read or are answered."""
        return len(self._waiting) + self._joining + len(self._rows)

    def add(self, row: Row) -> None:
        """Put a row in line; call `run` once for each row, after it was added."""
        self._waiting.append(row)

    def run(self, step_aside: Callable[[], bool] = lambda: False) -> None:
        """Serve the rows in line to their ends; while `step_aside` says so, at most the first of them."""
        import torch

        with torch.inference_mode():
            admitted = False
            while True:
                while self._waiting and len(self._rows) < MOST_ROWS and not (admitted and step_aside()):
                    admitted, self._joining = True, 1
                    self._join(self._waiting.popleft())
                    self._joining = 0
                if not self._rows:
                    return
                try:
                    self._step()
                    self._tidy()
                except BaseException as error:  # handed to the consumers, who would otherwise wait for ever
                    self._end_all(typed(error))

    def close(self, error: BaseException) -> None:
        """Tell everybody in line."""
        while self._waiting:
            self._waiting.popleft().tokens.finish(error)

    def _join(self, row: Row) -> None:
        """Read the prompt, decide the first token and put the row into the batch."""
        try:
            if row.flag():
                raise Stopped
            with self._stop.on(row.flag):
                cache, logits = self._read(row.prompt)
            self._take(row, [int(logits.argmax())])
            if row.ended:
                raise Stopped
            self._cache = cache if self._cache is None else _stacked(self._cache, cache)
            self._rows.append(row)
        except Stopped:
            row.tokens.finish()
        except BaseException as error:  # as above
            row.tokens.finish(typed(error))

    def _read(self, prompt: list[int]) -> tuple[Any, torch.Tensor]:
        """The keys and values of a prompt, and the scores of what follows it."""
        import torch
        from transformers import DynamicCache

        known = _shared(self._last_prompt, prompt[:-1])
        cache = DynamicCache([(keys[..., :known, :], values[..., :known, :]) for keys, values in self._last_states]
                             if known else None)
        with self._last_token.on():
            logits = self._forward([prompt[known:]], cache, torch.arange(known, len(prompt))[None], logits_to_keep=1)
        self._last_prompt = prompt
        layers: Any = cache.layers
        self._last_states = [(layer.keys, layer.values) for layer in layers]
        return cache, logits[0, -1]

    def _step(self) -> None:
        """One pass for all rows: each checks its guess, and at least one token comes of it."""
        import torch

        guesses = [self._guess(row) for row in self._rows]
        length = max(map(len, guesses))
        ids = [[row.produced[-1], *guess, *[0] * (length - len(guess))]
               for row, guess in zip(self._rows, guesses, strict=True)]
        before = torch.tensor([[row.cached] for row in self._rows])
        # Shorter rows are padded on the left; what stands after a guess is seen by nothing before it.
        columns = torch.arange(self._cache.get_seq_length(), 0, -1)
        mask = torch.cat([columns <= before, torch.ones(len(ids), length + 1, dtype=torch.bool)], 1).long()
        scores = self._forward(ids, self._cache, before + torch.arange(length + 1), mask if len(ids) > 1 else None)
        chosen = scores.argmax(-1).tolist()
        for place, (row, guess) in enumerate(zip(self._rows, guesses, strict=True)):
            if row.presence_penalty:
                scores[place, 0, list(set(row.produced))] -= row.presence_penalty
                chosen[place][0] = int(scores[place, 0].argmax())
            right = _shared(guess, chosen[place])
            self._take(row, chosen[place][:right + 1])
            row.rejected = length - right

    def _forward(self, ids: Sequence[Sequence[int]], cache: Any, positions: torch.Tensor,
                 mask: torch.Tensor | None = None, **more: Any) -> torch.Tensor:
        import torch

        self._before_pass()
        logits: torch.Tensor = self._model(
            input_ids=torch.tensor(ids, device=self._device), position_ids=positions.to(self._device),
            attention_mask=None if mask is None else mask.to(self._device), past_key_values=cache, use_cache=True, **more,
        ).logits
        return logits

    def _guess(self, row: Row) -> list[int]:
        """What followed the newest tokens where they stood before."""
        import torch
        from transformers.generation.candidate_generator import PromptLookupCandidateGenerator

        room = min(LOOKUP_TOKENS, PASS_TOKENS // len(self._rows) - 1, row.max_tokens - len(row.produced) - 1)
        if room < 1 or row.presence_penalty:
            return []
        text: Any = torch.tensor([[*row.prompt, *row.produced]])
        generator = PromptLookupCandidateGenerator(
            eos_token_id=torch.tensor(sorted(self._stop_ids)), num_output_tokens=room,
            max_matching_ngram_size=LOOKUP_NGRAM, max_length=text.shape[1] + room + 1,
        )
        return list(generator.get_candidates(text)[0][0, text.shape[1]:].tolist())

    def _take(self, row: Row, ids: Sequence[int]) -> None:
        """Hand new ids on, up to a stop token or the row's limit."""
        ids = ids[:row.max_tokens - len(row.produced)]
        stop = next((place + 1 for place, id in enumerate(ids) if id in self._stop_ids), 0)
        ids = ids[:stop or None]
        row.produced += ids
        row.tokens.add(list(ids))
        row.ended = bool(stop) or len(row.produced) >= row.max_tokens

    def _tidy(self) -> None:
        """Take ended rows and rejected tokens out of the cache: what a row tried in vain rolls round to its padding."""
        import torch

        kept = [place for place, row in enumerate(self._rows) if not (row.ended or row.flag())]
        for place in sorted(set(range(len(self._rows))).difference(kept)):
            self._rows[place].tokens.finish()
        if not kept:
            self._rows, self._cache = [], None
            return
        if len(kept) < len(self._rows):
            self._rows = [self._rows[place] for place in kept]
            self._cache.batch_select_indices(torch.tensor(kept, device=self._device))
        least = min(row.rejected for row in self._rows)
        self._cache.crop(-least)
        width = max(row.cached for row in self._rows)
        for layer in self._cache.layers:
            for place, row in enumerate(self._rows):
                if row.rejected > least:
                    for states in (layer.keys, layer.values):
                        states[place] = states[place].roll(row.rejected - least, -2)
            layer.keys, layer.values = layer.keys[..., -width:, :], layer.values[..., -width:, :]

    def _end_all(self, error: BaseException) -> None:
        rows, self._rows, self._cache = self._rows, [], None
        self._last_prompt, self._last_states = (), []
        for row in rows:
            row.tokens.finish(error)


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """Length of the common beginning."""
    return next((place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _stacked(rows: Any, row: Any) -> Any:
    """A cache of several rows and one more; the shorter side is padded on the left."""
    import torch
    from transformers import DynamicCache

    width = max(rows.get_seq_length(), row.get_seq_length())

    def join(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        padded = [torch.nn.functional.pad(states, (0, 0, width - states.shape[-2], 0)) for states in (one, other)]
        return torch.cat(padded)

    return DynamicCache([(join(layer.keys, new.keys), join(layer.values, new.values))
                         for layer, new in zip(rows.layers, row.layers, strict=True)])
