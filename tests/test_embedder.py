"""The embedder as a server meets it: asked by several threads before it is loaded."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from coach.app import open_embedder
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
