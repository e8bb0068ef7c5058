"""coach doctor: settings with their origin, hardware, models at hand, the index, and what to do about what is wrong."""

from __future__ import annotations

import importlib.util
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from coach.settings import Origin, Settings

EXTRAS = {"llamacpp": "xllamacpp", "web": "gradio", "discord": "discord", "eval": "inspect_ai", "postgres": "psycopg"}


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """What was found; `problems` are sentences that say what to do."""

    settings: tuple[Origin, ...]
    hardware: dict[str, str]
    extras: dict[str, bool]
    models: dict[str, str]
    choice: tuple[str, ...]
    index: dict[str, str]
    problems: tuple[str, ...]


def examine(settings: Settings, overrides: dict[str, Any]) -> DoctorReport:
    """Look at everything without changing or fetching anything."""
    from coach.app import index_dir, open_catalogue
    from coach.engines.select import explain_choice
    from coach.engines.weights import find_weights
    from coach.errors import CoachError
    from coach.retrieval.snapshot import current_version, read_manifest
    from coach.settings import describe_settings

    problems: list[str] = []
    catalogue = open_catalogue(settings)
    models: dict[str, str] = {}
    choice: tuple[str, ...] = ()
    try:
        for card in catalogue.models.values():
            weights = find_weights(card, settings) if card.kind != "reranker" else None
            if weights:
                models[card.id] = str(weights.path)
        choice = tuple(explain_choice(settings, catalogue))
    except CoachError as error:
        problems.append(str(error))
    index: dict[str, str] = {}
    version = current_version(index_dir(settings))
    if version is None:
        problems.append("There is no index yet. Run `coach index build`.")
    else:
        try:
            manifest = read_manifest(index_dir(settings) / version)
            index = {"version": version, "created": manifest.created, "passages": str(manifest.passages),
                     "embedder": manifest.fingerprint}
        except CoachError as error:
            problems.append(str(error))
    extras = {name: importlib.util.find_spec(module) is not None for name, module in EXTRAS.items()}
    return DoctorReport(tuple(describe_settings(settings, **overrides)), _hardware(), extras, models, choice, index,
                        tuple(problems))


def print_report(report: DoctorReport, console: Console) -> None:
    """The report on a terminal."""
    table = Table("setting", "value", "origin", box=None, title="Settings", title_justify="left")
    for row in report.settings:
        style = "" if row.origin != "default" else "dim"
        table.add_row(row.name, escape(row.value), row.origin, style=style)
    console.print(table)
    for title, rows in (("Hardware", report.hardware), ("Models at hand", report.models), ("Index", report.index),
                        ("Extras", {k: "installed" if v else f'missing: pip install "ml-career-coach[{k}]"'
                                    for k, v in report.extras.items()})):
        console.print(f"\n[bold]{title}[/]")
        for name, value in rows.items():
            console.print(f"  {name}: {escape(value)}", highlight=False)
        if not rows:
            console.print("  none")
    console.print("\n[bold]Which model answers[/]")
    for line in report.choice:
        console.print(f"  {escape(line)}", highlight=False)
    console.print()
    for problem in report.problems:
        console.print(f"[red]- {escape(problem)}[/]", highlight=False)
    if not report.problems:
        console.print("[green]Nothing to mend.[/]")


def _hardware() -> dict[str, str]:
    import os

    import psutil

    memory = psutil.virtual_memory()
    found = {"processor": platform.processor() or platform.machine(), "cores": str(os.cpu_count()),
             "memory": f"{memory.total / 1024**3:.1f} GiB, {memory.available / 1024**3:.1f} GiB free"}
    import torch

    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name(0)
    elif getattr(torch.backends, "mps", None) and torch.backends.mps.is_available():
        found["gpu"] = "Apple MPS"
    else:
        found["gpu"] = "none"
    return found
