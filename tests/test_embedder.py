"""The embedder as a server meets it: asked by several threads before it is loaded, and for the same texts again."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from coach.app import open_embedder
from coach.retrieval.embedder import HashingEmbedder, RecallingEmbedder
from coach.settings import load_settings


def test_it_is_loaded_once_by_many_threads_and_leaves_the_precision_of_the_process_alone() -> None:
    embedder = open_embedder(load_settings())
    together = threading.Barrier(8)

    def embed(_: int) -> np.ndarray:
        together.wait(timeout=30)
        return embedder.embed_queries(["What does a data engineer do?"])

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(embed, range(8)))
    assert all(np.array_equal(one, found[0]) for one in found)
    assert torch.get_default_dtype() is torch.float32


class Counting(HashingEmbedder):
    """Notes how many texts it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.texts = 0

    def embed_documents(self, texts):
        self.texts += len(texts)
        return super().embed_documents(texts)


def test_what_was_embedded_lately_is_recalled_in_the_order_asked_for() -> None:
    plain, texts = Counting(), ["one text", "another", "a third", "another"]
    recalling = RecallingEmbedder(plain, most=3)
    assert recalling.embed_documents([]).shape == (0, plain.dim)
    for asked in (texts, list(reversed(texts)), texts[1:2]):
        assert np.array_equal(recalling.embed_documents(asked), HashingEmbedder().embed_documents(asked))
    assert plain.texts == 3
    recalling.embed_documents(["a fourth"])  # puts out the one that was not asked for the longest
    recalling.embed_documents(["another", "a fourth"])
    assert plain.texts == 4
    recalling.embed_documents(["a third", "one text"])
    assert plain.texts > 4
