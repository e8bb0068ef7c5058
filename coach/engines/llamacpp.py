"""An engine on llama.cpp: xllamacpp's server in a child process, asked through the remote engine."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import IO

from coach.catalogue.tables import ModelCard
from coach.domain import Completion, Delta, Finished, GenerationOptions, Message
from coach.engines.base import collect
from coach.engines.embedded import file_sha256
from coach.engines.remote import RemoteEngine
from coach.errors import EngineUnavailable

PROMPT_CACHE_MIB = 256
"""Host memory for prompts seen before; llama.cpp's own default of 8 GiB is more than a laptop has to spare."""


class LlamaCppEngine:
    """Runs one GGUF file. A crash of llama.cpp ends the child and one answer; the next call restarts it.

    Raises EngineUnavailable at construction when xllamacpp is missing or the file cannot be loaded.
    """

    name = "llamacpp"

    def __init__(
        self,
        path: Path,
        card: ModelCard | None = None,
        *,
        context_tokens: int = 4096,
        threads: int = 0,
        gpu_layers: int = 0,
        parallel: int = 1,
        timeout_seconds: float = 120.0,
        revision: str = "",
    ) -> None:
        self.path = path
        self.card = card
        self.context_tokens = min(context_tokens, (card.context_tokens if card else None) or context_tokens)
        self._threads = threads
        self._gpu_layers = gpu_layers
        self._parallel = parallel
        self._timeout_seconds = timeout_seconds
        self._revision = revision
        self._lock = threading.Lock()
        self._child: _Child | None = None
        self._remote: RemoteEngine | None = None
        self._closed = False
        self._running()

    @property
    def model(self) -> str:
        """The catalogue id, or the file's name."""
        return self.card.id if self.card else self.path.stem

    @cached_property
    def revision(self) -> str:
        """What the file was fetched as, or its SHA-256."""
        return self._revision or f"sha256:{file_sha256(self.path)}"

    @property
    def accepts_images(self) -> bool:
        """Never: a GGUF file holds the language model only, its vision tower is a second file."""
        return False

    @property
    def at_once(self) -> int:
        """One: its threads share every product."""
        return 1

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Exact: llama.cpp applies the template and tokenizes."""
        return self._running().count_tokens(messages)

    def stream(
        self, messages: Sequence[Message], options: GenerationOptions, cancel: threading.Event | None = None
    ) -> Iterator[Delta | Finished]:
        """Yield the reply as it is generated."""
        remote, child = self._running(), self._child
        try:
            yield from remote.stream(messages, options, cancel)
        except EngineUnavailable as error:
            if child is None or not child.ended(within_seconds=0.5):
                raise
            raise EngineUnavailable("llama.cpp ended while it was answering. Ask again: it is started anew.") from error

    def generate_batch(self, prompts: Sequence[Sequence[Message]], options: GenerationOptions) -> list[Completion]:
        """Answer several prompts; at once only when `parallel` slots were asked for."""
        if self._parallel > 1:
            with ThreadPoolExecutor(self._parallel, thread_name_prefix="llamacpp-batch") as pool:
                return list(pool.map(lambda messages: collect(self.stream(messages, options)), prompts))
        return [collect(self.stream(messages, options)) for messages in prompts]

    def close(self) -> None:
        """End the child process."""
        with self._lock:
            self._closed = True
            self._end()

    def __enter__(self) -> LlamaCppEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _running(self) -> RemoteEngine:
        """The client of a living child, started when there is none."""
        with self._lock:
            if self._closed:
                raise EngineUnavailable(f"The engine of {self.model} was closed.")
            if self._remote is None or self._child is None or not self._child.alive:
                self._end()
                self._child = _Child(self._wanted())
                self._remote = RemoteEngine(
                    self._child.address + "/v1",
                    self.model,
                    api_key=self._child.api_key,
                    timeout_seconds=self._timeout_seconds,
                    context_tokens=self.context_tokens,
                    find_card=lambda _: self.card,
                    name=self.name,
                )
            return self._remote

    def _wanted(self) -> dict[str, object]:
        return {
            "model": str(self.path),
            "context_tokens": self.context_tokens * self._parallel,  # llama.cpp divides it between the slots
            "threads": self._threads,
            "gpu_layers": self._gpu_layers,
            "parallel": self._parallel,
            "cache_mib": PROMPT_CACHE_MIB,
        }

    def _end(self) -> None:
        if self._remote is not None:
            self._remote.close()
        if self._child is not None:
            self._child.end()
        self._remote = self._child = None


class _Child:
    """The server process. Its key travels by pipe, so that neither `ps` nor the environment shows it."""

    def __init__(self, wanted: dict[str, object]) -> None:
        self.api_key = secrets.token_urlsafe(24)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the process
        # -P and the path of this very package: a folder named coach in the working directory must not be taken instead.
        package = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH", "")]))
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "coach.engines.llamacpp_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,  # or Ctrl-C, which stops an answer of ours, would end the server as well
            env={**os.environ, "PYTHONPATH": path},
        )
        try:
            self._stdin.write(json.dumps({**wanted, "api_key": self.api_key}).encode() + b"\n")
            self._stdin.flush()
            self.address = self._read_address()
        except (OSError, EngineUnavailable) as error:
            self._process.kill()
            self._process.wait()
            raise EngineUnavailable(
                f"llama.cpp could not load {wanted['model']}: {self._last_words()} Check that the file is a whole GGUF "
                'of a supported model and that the extra is installed (pip install "ml-career-coach[llamacpp]").'
            ) from error
        # Nothing reads stdout from here on, and a full pipe would stop the server.
        threading.Thread(target=self._drain, name="llamacpp-stdout", daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def ended(self, *, within_seconds: float) -> bool:
        """Whether it has ended, or does within that time."""
        try:
            self._process.wait(timeout=within_seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def end(self) -> None:
        """Close its stdin, which ends it; kill it when that does not help."""
        with contextlib.suppress(OSError):  # a broken pipe: it has ended already
            self._stdin.close()
        try:
            self._process.wait(timeout=3)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    @property
    def _stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    def _read_address(self) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(b"COACH "):
                return str(json.loads(line[6:])["address"])
        raise EngineUnavailable("the child ended")

    def _drain(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stdout:
            for _ in stdout:
                pass

    def _last_words(self) -> str:
        self._log.seek(0)
        lines = [line.strip() for line in self._log.read().decode("utf-8", "replace").splitlines() if line.strip()]
        telling = [line for line in lines if "rror" in line or "fail" in line]
        return " ".join((telling or lines)[-2:])[:500] or "it ended without a word."
