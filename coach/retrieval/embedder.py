"""Texts to unit vectors: a sentence-transformers model, or hashed words where no weights are wanted."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from coach.errors import ConfigError
from coach.loading import one_at_a_time

if TYPE_CHECKING:
    from coach.domain import Embedder, Vectors


class SentenceTransformerEmbedder:
    """A sentence-transformers folder on disk (safetensors only), in bfloat16 where the CPU multiplies it natively.

    bfloat16 halves the time of an encode on such a CPU at a cosine of .996 to float32 (evals/bench measures both).
    """

    def __init__(self, folder: Path, *, dtype: str = "auto", device: str = "cpu", batch_size: int = 32) -> None:
        if not (folder / "modules.json").is_file():
            raise ConfigError(f"{folder} holds no sentence-transformers model (no modules.json). Set embedder anew.")
        self.folder = folder
        self.device = device
        self.dtype = _native_dtype() if dtype == "auto" else dtype
        self.batch_size = batch_size
        pooling = folder / "1_Pooling" / "config.json"
        self._pooling_hash = hashlib.sha256(pooling.read_bytes()).hexdigest()[:8] if pooling.is_file() else "default"
        self._weights_hash = _hash_weights(folder)
        config = json.loads((folder / "config.json").read_text("utf-8"))
        self.dim = int(config["hidden_size"])
        limits = folder / "sentence_bert_config.json"
        self.max_tokens = int(json.loads(limits.read_text("utf-8"))["max_seq_length"]) if limits.is_file() else 256
        self._loaded: Any = None
        self._tokenizer: Any = None

    @property
    def fingerprint(self) -> str:
        """Weights hash, dimension, pooling, normalisation, precision and input limit."""
        return f"{self._weights_hash}:dim{self.dim}:pool-{self._pooling_hash}:unit:{self.dtype}:max{self.max_tokens}"

    @property
    def tokenizer(self) -> Any:
        """The model's `tokenizers.Tokenizer`, without truncation or padding."""
        if self._tokenizer is None:
            from tokenizers import Tokenizer

            self._tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
            self._tokenizer.no_truncation()
            self._tokenizer.no_padding()
        return self._tokenizer

    def count_tokens(self, text: str) -> int:
        """Tokens of the text, special tokens included."""
        return len(self.tokenizer.encode(text).ids)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), dim)."""
        return self._encode(texts, query=True)

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), dim)."""
        return self._encode(texts, query=False)

    def _encode(self, texts: Sequence[str], *, query: bool) -> Vectors:
        if not texts:
            return np.zeros((0, self.dim), dtype=np.float32)
        model = self._model()
        encode = model.encode_query if query else model.encode_document
        vectors = encode(list(texts), batch_size=self.batch_size, convert_to_tensor=True, show_progress_bar=False)
        array: Vectors = vectors.float().cpu().numpy()
        norms = np.linalg.norm(array, axis=1, keepdims=True)
        unit: Vectors = (array / np.maximum(norms, 1e-12)).astype(np.float32)
        return unit

    def _model(self) -> Any:
        if self._loaded is None:
            with one_at_a_time:
                if self._loaded is None:
                    self._loaded = self._load()
        return self._loaded

    def _load(self) -> Any:
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # the library has no annotations
        return SentenceTransformer(
            str(self.folder),
            device=self.device,
            local_files_only=True,
            model_kwargs={"dtype": getattr(torch, self.dtype), "use_safetensors": True},
        )


class RecallingEmbedder:
    """An embedder that keeps the vectors of the last `most` documents in memory (1.5 KB each), for texts that come again."""

    def __init__(self, embedder: Embedder, most: int = 25_000) -> None:
        self._embedder = embedder
        self._most = most
        self._known: OrderedDict[str, Vectors] = OrderedDict()
        self._lock = threading.Lock()
        self.dim = embedder.dim
        self.max_tokens = embedder.max_tokens
        self.fingerprint = embedder.fingerprint
        self.count_tokens = embedder.count_tokens
        self.embed_queries = embedder.embed_queries

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), dim)."""
        if not texts:
            return self._embedder.embed_documents(texts)
        with self._lock:
            known = {text: self._known[text] for text in texts if text in self._known}
        new = [text for text in dict.fromkeys(texts) if text not in known]
        known.update(zip(new, self._embedder.embed_documents(new), strict=True))
        with self._lock:
            for text in known:
                self._known[text] = known[text].copy()  # a row would keep the whole batch alive
                self._known.move_to_end(text)
            while len(self._known) > self._most:
                self._known.popitem(last=False)
        return np.stack([known[text] for text in texts])


class HashingEmbedder:
    """Hashed words and character trigrams as unit vectors: deterministic, instant, lexical; for tests and CI."""

    def __init__(self, dim: int = 256, max_tokens: int = 256) -> None:
        self.dim = dim
        self.max_tokens = max_tokens

    @property
    def fingerprint(self) -> str:
        """Changes with the dimension only."""
        return f"hashing-1:dim{self.dim}:unit"

    def count_tokens(self, text: str) -> int:
        """Words and punctuation marks, and two for the ends."""
        return len(re.findall(r"\w+|[^\w\s]", text)) + 2

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), dim)."""
        return self.embed_documents(texts)

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), dim)."""
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()):
                padded = f"#{word}#"
                grams = [padded[i : i + 3] for i in range(len(padded) - 2)]
                for feature, weight in [(word, 1.0), *((gram, 0.3) for gram in grams)]:
                    digest = hashlib.blake2b(feature.encode(), digest_size=8).digest()
                    sign = 1.0 if digest[7] & 1 else -1.0
                    vectors[row, int.from_bytes(digest[:4], "little") % self.dim] += sign * weight
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: Vectors = vectors / np.maximum(norms, 1e-12)
        return unit


def _native_dtype() -> str:
    """bfloat16 where the CPU has bf16 dot products or matrix tiles, float32 elsewhere."""
    import torch

    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)() or getattr(
        torch.cpu, "_is_amx_tile_supported", lambda: False
    )()
    return "bfloat16" if supported else "float32"


def _hash_weights(folder: Path) -> str:
    path = folder / "model.safetensors"
    if not path.is_file():
        raise ConfigError(f"{folder} has no model.safetensors; other weight formats are not loaded.")
    digest = hashlib.sha256()
    size = path.stat().st_size
    digest.update(str(size).encode())
    with path.open("rb") as file:  # the header names every tensor; head and tail tell revisions apart without 90 MB
        digest.update(file.read(1 << 20))
        file.seek(max(0, size - (1 << 20)))
        digest.update(file.read())
    return f"{folder.name}@{digest.hexdigest()[:12]}"
