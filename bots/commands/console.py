"""What all commands share: settings from the options, the opened coach, JSON, progress bars, an answer on the screen."""

from __future__ import annotations

import dataclasses
import json
import sys
import threading
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

if TYPE_CHECKING:
    from coach.domain import Answer, Request
    from coach.pipeline import Coach
    from coach.settings import Settings

Model = Annotated[str | None, typer.Option("--model", "-m", help="Catalogue id, repository, folder or .gguf file.")]
Mode = Annotated[str | None, typer.Option("--mode", help="auto, write or quote.")]
Think = Annotated[bool | None, typer.Option("--think/--no-think", help="Let the model think first, where it can.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
console = Console()
errors = Console(stderr=True)


def read_settings(context: typer.Context, **given: Any) -> Settings:
    """The settings with the options of the command line on top."""
    import logging

    from coach.settings import load_settings

    settings = load_settings(**(context.obj or {}), **given)
    logging.basicConfig(level=settings.log_level, format="%(levelname)s %(name)s: %(message)s")
    return settings


def open_coach(settings: Settings) -> Coach:
    """The coach, with a progress bar for what is fetched or built on first use."""
    from coach import app

    with ProgressBar() as progress:
        return app.open_coach(settings, progress=progress)


def show(coach: Coach, request: Request) -> Answer | None:
    """Print an answer as its sentences pass, then the sources. Ctrl-C stops the answer, not the program."""
    from bots.terminal import TerminalAnswer
    from coach.domain import Answer

    cancel = threading.Event()
    view = TerminalAnswer(console)
    events: Any = coach.stream(request, cancel=cancel)
    answer = None
    try:
        for event in events:
            view.show(event)
            if isinstance(event, Answer):
                answer = event
    except KeyboardInterrupt:
        cancel.set()
        events.close()
        console.print("\n[dim]Stopped.[/]")
    return answer


def print_json(value: Any) -> None:
    """One JSON value on standard output; dataclasses become objects."""
    sys.stdout.write(json.dumps(value, default=to_plain, ensure_ascii=False, indent=2) + "\n")


def to_plain(value: Any) -> Any:
    """What the json module cannot write, as something it can."""
    from coach.domain import Answer

    if isinstance(value, Answer):
        return {"text": value.text, **{f.name: getattr(value, f.name) for f in dataclasses.fields(value)}}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Path) else repr(value)


class ProgressBar:
    """A Rich progress bar on standard error, shown only when something takes a while."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bar: Any = None
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> ProgressBar:
        return self

    def __call__(self, step: str, done: int, total: int) -> None:
        if self._quiet or total <= 0:
            return
        if self._bar is None:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                                 TimeRemainingColumn(), console=errors, transient=True)
            self._bar.start()
        if step not in self._tasks:
            self._tasks[step] = self._bar.add_task(step, total=total)
        self._bar.update(self._tasks[step], completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
