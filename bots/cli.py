"""The command line: coach ask, chat, index, models, doctor and the rest. Exit codes live here.

0 answered or honestly declined, 2 usage, 3 configuration, 4 knowledge, 5 engine.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from coach.errors import CoachError, ConfigError, EngineError, KnowledgeError, RequestError, StoreError

if TYPE_CHECKING:
    from coach.domain import Answer, Event, Request
    from coach.pipeline import Coach
    from coach.settings import Settings

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False,
                  help="A career coach for machine learning that answers from documents it can show.")
index_app = typer.Typer(no_args_is_help=True, help="The knowledge index: build, list, verify, rollback.")
models_app = typer.Typer(no_args_is_help=True, help="The models: list, show, pull, fit.")
app.add_typer(index_app, name="index")
app.add_typer(models_app, name="models")

EXIT_CODES: tuple[tuple[type[CoachError], int], ...] = (
    (ConfigError, 3), (KnowledgeError, 4), (EngineError, 5), (StoreError, 3), (RequestError, 2))

Model = Annotated[str | None, typer.Option("--model", "-m", help="Catalogue id, repository, folder or .gguf file.")]
Mode = Annotated[str | None, typer.Option("--mode", help="auto, write or quote.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
console = Console()
errors = Console(stderr=True)
_debug = False


@app.callback()
def options(
    context: typer.Context,
    data_dir: Annotated[Path | None, typer.Option(help="Where models, indexes and the database live.")] = None,
    knowledge_dir: Annotated[Path | None, typer.Option(help="Guides and catalogue to answer from.")] = None,
    embedder: Annotated[str | None, typer.Option(help="all-minilm-l6-v2, hashing, or a folder.")] = None,
    engine: Annotated[str | None, typer.Option(help="auto, huggingface, llamacpp, remote or scripted.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Never touch the network.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Settings that every command shares."""
    global _debug
    _debug = debug
    context.obj = {"data_dir": data_dir, "knowledge_dir": knowledge_dir, "embedder": embedder, "engine": engine,
                   "offline": offline or None}


@app.command()
def ask(
    context: typer.Context,
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    image: Annotated[list[Path] | None, typer.Option(help="An image to send along (gemma-3-4b-it reads images).")] = None,
    model: Model = None,
    mode: Mode = None,
    think: Annotated[bool | None, typer.Option("--think/--no-think", help="Let the model think first, where it can.")] = None,
    as_json: Json = False,
) -> None:
    """Answer one question, with its sources."""
    from coach.domain import Request

    settings = _settings(context, model=model, mode=mode, think=think)
    coach = _open(settings)
    request = Request(question, skill="auto", attachments=_images(image or []))
    if as_json:
        _print_json(coach.ask(request))
    else:
        _show(coach, request)
    coach.close()


@app.command()
def chat(context: typer.Context, model: Model = None, mode: Mode = None,
         think: Annotated[bool | None, typer.Option("--think/--no-think")] = None) -> None:
    """Talk with the coach. Ctrl-C stops an answer; an empty line, `exit` or Ctrl-D leaves."""
    from coach.domain import Message, Request

    coach = _open(_settings(context, model=model, mode=mode, think=think))
    console.print("[bold]ML career coach.[/] Ask a question; an empty line leaves. Ctrl-C stops an answer.\n")
    history: list[Message] = []
    while True:
        try:
            question = console.input("[bold cyan]You:[/] ").strip()
        except (EOFError, KeyboardInterrupt):
            console.print()
            break
        if question.lower() in {"", "exit", "quit", ":q"}:
            break
        try:
            answer = _show(coach, Request(question, skill="auto", history=tuple(history)))
        except CoachError as error:
            errors.print(f"[red]{escape(str(error))}[/]")
            continue
        if answer is not None:
            history += [Message("user", question), Message("assistant", " ".join(s.text for s in answer.sentences))]
        console.print()
    coach.close()


@app.command()
def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Show settings with their origin, the hardware, the models at hand, the index, and what to mend."""
    from bots.doctor import examine, print_report

    report = examine(_settings(context), {k: v for k, v in context.obj.items() if v is not None})
    if as_json:
        _print_json(report)
    else:
        print_report(report, console)
    if report.problems:
        raise typer.Exit(3)


# -- index ------------------------------------------------------------------------------------------------------------


@index_app.command("build")
def index_build(
    context: typer.Context,
    force: Annotated[bool, typer.Option("--force", help="Write a new version even when nothing changed.")] = False,
    wait: Annotated[float, typer.Option(help="Seconds to wait for another build to end.")] = 0.0,
    as_json: Json = False,
) -> None:
    """Read the knowledge, embed what is new, write a new version and switch to it."""
    from coach import app as coach_app

    settings = _settings(context)
    coach_app.prepare_process(settings)
    with _Progress(quiet=as_json) as progress:
        report = coach_app.build(settings, force=force, progress=progress, wait_seconds=wait)
    if as_json:
        _print_json(report)
    elif report.changed:
        console.print(f"Index [bold]{report.version}[/]: {report.documents} documents, {report.passages} passages, "
                      f"{report.embedded} newly embedded, {report.seconds:.1f} s.")
    else:
        console.print(f"Nothing changed: index [bold]{report.version}[/] stays ({report.passages} passages, "
                      f"{report.seconds:.1f} s).")


@index_app.command("list")
def index_list(context: typer.Context, as_json: Json = False) -> None:
    """List the versions on disk; the one in force is marked."""
    from coach.app import index_dir
    from coach.retrieval.snapshot import current_version, list_versions

    folder = index_dir(_settings(context))
    current = current_version(folder)
    versions = list_versions(folder)
    if as_json:
        _print_json([{"version": m.version, "created": m.created, "passages": m.passages, "documents": len(m.documents),
                      "embedder": m.fingerprint, "current": m.version == current} for m in versions])
        return
    for manifest in versions:
        mark = "*" if manifest.version == current else " "
        console.print(f"{mark} {manifest.version}  {manifest.created}  {manifest.passages} passages", highlight=False)
    if not versions:
        console.print("There is no index yet. Run `coach index build`.")


@index_app.command("verify")
def index_verify(context: typer.Context, as_json: Json = False) -> None:
    """Check the version in force: files whole, and every vector finds itself."""
    from coach.app import index_dir, open_embedder
    from coach.retrieval.snapshot import SnapshotReader

    settings = _settings(context)
    snapshot = SnapshotReader(index_dir(settings), open_embedder(settings).fingerprint,
                              chroma_url=settings.chroma_url).current()
    misplaced = snapshot.find_misplaced()
    if as_json:
        _print_json({"version": snapshot.version, "passages": len(snapshot.passages), "misplaced": misplaced})
    elif not misplaced:
        console.print(f"Index {snapshot.version}: {len(snapshot.passages)} vectors, each finds itself; files are whole.")
    if misplaced:
        raise KnowledgeError(f"{len(misplaced)} vectors do not find themselves (first: {misplaced[0]}). "
                             "Run `coach index build --force`.")


@index_app.command("rollback")
def index_rollback(context: typer.Context) -> None:
    """Go back to the version before the one in force."""
    from coach.app import index_dir
    from coach.retrieval.snapshot import current_version, list_versions, switch_to

    folder = index_dir(_settings(context))
    current = current_version(folder)
    earlier = [m.version for m in list_versions(folder) if m.version != current]
    if not earlier:
        raise KnowledgeError("There is no earlier version to go back to. `coach index list` shows what is there.")
    switch_to(folder, earlier[-1])
    console.print(f"The index is now {earlier[-1]} (was {current}).")


# -- models -----------------------------------------------------------------------------------------------------------


@models_app.command("list")
def models_list(context: typer.Context, kind: str = "chat", as_json: Json = False) -> None:
    """List the models of the catalogue and whether they are at hand."""
    from rich.table import Table

    from coach.app import open_catalogue
    from coach.engines.weights import find_weights

    settings = _settings(context)
    cards = [card for card in open_catalogue(settings).models.values() if card.kind == kind]
    rows = [{"id": card.id, "name": card.name, "parameters": card.parameters, "context_tokens": card.context_tokens,
             "licence": card.licence.name, "modalities": list(card.modalities), "thinking": card.thinking,
             "grade": card.grade.mode, "mission": card.mission, "at_hand": find_weights(card, settings) is not None}
            for card in cards]
    if as_json:
        _print_json(rows)
        return
    table = Table("model", "parameters", "bf16 GiB", "context", "licence", "reads", "at hand", box=None)
    for card, row in zip(cards, rows, strict=True):
        table.add_row(card.id, f"{card.parameters / 1e9:.2f} B", f"{card.weight_gib(16):.2f}",
                      f"{card.context_tokens or 0:,}", card.licence.name, ", ".join(card.modalities),
                      "yes" if row["at_hand"] else "", style="bold" if card.mission else "")
    console.print(table)


@models_app.command("show")
def models_show(context: typer.Context, name: str, as_json: Json = False) -> None:
    """Show everything the catalogue knows about a model, with sources."""
    from coach.app import open_catalogue
    from coach.catalogue.passages import model_sentences

    card = _card(open_catalogue(_settings(context)), name)
    if as_json:
        _print_json(card)
        return
    console.print(f"[bold]{card.name}[/]  ({card.repository})")
    for sentence in model_sentences(card):
        console.print(f"- {escape(sentence)}")
    for score in card.scores:
        console.print(f"  {score.benchmark} {score.value:g} ({score.setting or 'as published'}; {score.source}, {score.as_of})",
                      highlight=False)
    if card.scores:
        console.print("  Published under different settings: do not rank models by these.", style="italic")
    for source in card.sources:
        console.print(f"  {source.title}: {source.url}", style="dim", highlight=False)


@models_app.command("pull")
def models_pull(context: typer.Context, name: str) -> None:
    """Fetch the weights of a model (safetensors only)."""
    from coach.app import open_catalogue
    from coach.engines.weights import pull

    settings = _settings(context)
    with _Progress() as progress:
        path = pull(_card(open_catalogue(settings), name), settings, progress)
    console.print(f"{name} is at hand: {path}")


@models_app.command("fit")
def models_fit(context: typer.Context, memory_gb: float | None = None, context_tokens: int = 4096, as_json: Json = False) -> None:
    """Which models fit in this machine's memory, with the arithmetic."""
    import psutil
    from rich.table import Table

    from coach.app import open_catalogue
    from coach.catalogue.passages import OVERHEAD_GIB

    available = memory_gb if memory_gb is not None else psutil.virtual_memory().available / 1024**3
    rows = []
    for card in open_catalogue(_settings(context)).models.values():
        if card.kind != "chat":
            continue
        cache = card.kv_cache_gib(context_tokens) or 0.0
        need = {label: round(card.weight_gib(bits) + cache + OVERHEAD_GIB, 2)
                for label, bits in (("bf16", 16), ("int8", 8), ("4-bit", 4.5))}
        rows.append({"id": card.id, "kv_cache_gib": round(cache, 3), "overhead_gib": OVERHEAD_GIB, "needs_gib": need,
                     "fits": [label for label, gib in need.items() if gib <= available]})
    if as_json:
        _print_json({"memory_gb": round(available, 2), "context_tokens": context_tokens, "models": rows})
        return
    console.print(f"{available:.1f} GiB available; weights + KV cache at {context_tokens:,} tokens + {OVERHEAD_GIB} GiB:")
    table = Table("model", "bf16", "int8", "4-bit", "fits as", box=None)
    for row in rows:
        needs: Any = row["needs_gib"]
        table.add_row(str(row["id"]), *(f"{value:.2f}" for value in needs.values()), ", ".join(row["fits"]) or "-")  # type: ignore[arg-type]  # list of labels
    console.print(table)


# -- shared -----------------------------------------------------------------------------------------------------------


def main() -> None:
    """Run the command line; errors become one paragraph and an exit code."""
    try:
        app()
    except CoachError as error:
        if _debug:
            raise
        errors.print(f"[red]{escape(str(error))}[/]")
        sys.exit(next(code for kind, code in EXIT_CODES if isinstance(error, kind)))
    except KeyboardInterrupt:
        sys.exit(130)


def _settings(context: typer.Context, **given: Any) -> Settings:
    from coach.settings import load_settings

    settings = load_settings(**(context.obj or {}), **given)
    import logging

    logging.basicConfig(level=settings.log_level, format="%(levelname)s %(name)s: %(message)s")
    return settings


def _open(settings: Settings) -> Coach:
    from coach.app import open_coach

    with _Progress() as progress:
        return open_coach(settings, progress=progress)


def _show(coach: Coach, request: Request) -> Answer | None:
    """Print an answer as its sentences pass, then the sources. Ctrl-C stops the answer, not the program."""
    import threading

    from bots.terminal import TerminalAnswer

    cancel = threading.Event()
    view = TerminalAnswer(console)
    events: Any = coach.stream(request, cancel=cancel)
    answer = None
    try:
        for event in events:
            answer = _handle(event, view) or answer
    except KeyboardInterrupt:
        cancel.set()
        events.close()
        console.print("\n[dim]Stopped.[/]")
    return answer


def _handle(event: Event, view: Any) -> Answer | None:
    from coach.domain import Answer

    view.show(event)
    return event if isinstance(event, Answer) else None


def _card(catalogue: Any, name: str) -> Any:
    import difflib

    card = catalogue.find_model(name)
    if card is None:
        close = difflib.get_close_matches(name.lower(), catalogue.models, n=1, cutoff=0.3)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise RequestError(f"The catalogue has no model {name!r}.{hint} `coach models list` shows all.")
    return card


def _images(paths: list[Path]) -> Any:
    from coach.domain import Attachment

    kinds = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}
    attachments = []
    for path in paths:
        if path.suffix.lower() not in kinds:
            raise RequestError(f"{path} is not a PNG, JPEG or WebP image.")
        try:
            attachments.append(Attachment(path.name, kinds[path.suffix.lower()], path.read_bytes()))
        except OSError as error:
            raise RequestError(f"{path} cannot be read: {error.strerror}.") from error
    return tuple(attachments)


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, default=_plain, ensure_ascii=False, indent=2) + "\n")


def _plain(value: Any) -> Any:
    from coach.domain import Answer

    if isinstance(value, Answer):
        return {"text": value.text, **{f.name: getattr(value, f.name) for f in dataclasses.fields(value)}}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    return str(value)


class _Progress:
    """A Rich progress bar on standard error, shown only when something takes a while."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bar: Any = None
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> _Progress:
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


if __name__ == "__main__":
    main()
