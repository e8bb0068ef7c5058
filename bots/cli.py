"""The command line. Exit codes live here.

0 answered or honestly declined, 2 usage, 3 configuration, 4 knowledge, 5 engine.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from bots.commands import accounts, index, knowledge, models, serve, skills
from bots.commands.console import (
    Json,
    Mode,
    Model,
    Think,
    console,
    errors,
    open_coach,
    print_json,
    read_settings,
    show,
)
from coach.errors import CoachError, ConfigError, EngineError, KnowledgeError, RequestError, StoreError

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False,
                  help="A career coach for machine learning that answers from documents it can show.")
app.add_typer(index.app, name="index")
app.add_typer(models.app, name="models")
app.add_typer(knowledge.app, name="knowledge")
for command in (skills.roadmap, skills.gap, skills.resume, skills.interview, skills.advise, serve.serve, serve.discord):
    app.command()(command)
app.add_typer(skills.profile_app, name="profile")
app.add_typer(accounts.app, name="accounts")

EXIT_CODES: tuple[tuple[type[CoachError], int], ...] = (
    (ConfigError, 3), (KnowledgeError, 4), (EngineError, 5), (StoreError, 3), (RequestError, 2))
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
    think: Think = None,
    as_json: Json = False,
) -> None:
    """Answer one question, with its sources."""
    from coach.domain import Request

    settings = read_settings(context, model=model, mode=mode, think=think)
    coach = open_coach(settings)
    request = Request(question, skill="auto", attachments=_images(image or []))
    if as_json:
        print_json(coach.ask(request))
    else:
        show(coach, request)
    coach.close()


@app.command()
def chat(context: typer.Context, model: Model = None, mode: Mode = None,
         think: Think = None) -> None:
    """Talk with the coach. Ctrl-C stops an answer; an empty line, `exit` or Ctrl-D leaves."""
    from coach.domain import Message, Request

    coach = open_coach(read_settings(context, model=model, mode=mode, think=think))
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
            request = Request(question, "auto", history=tuple(history), session="cli-chat", user=skills.USER)
            answer = show(coach, request)
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

    report = examine(read_settings(context), {k: v for k, v in context.obj.items() if v is not None})
    if as_json:
        print_json(report)
    else:
        print_report(report, console)
    if report.problems:
        raise typer.Exit(3)


def main() -> None:
    """Run the command line; errors become one paragraph and an exit code."""
    try:
        _add_entry_points()
        app()
    except CoachError as error:
        if _debug:
            raise
        errors.print(f"[red]{escape(str(error))}[/]")
        sys.exit(next(code for kind, code in EXIT_CODES if isinstance(error, kind)))
    except OSError as error:
        if _debug:
            raise
        errors.print(f"[red]{escape(str(error))}. Check data_dir and the permissions: `coach doctor` shows the folders.[/]")
        sys.exit(3)
    except KeyboardInterrupt:
        sys.exit(130)


def _add_entry_points() -> None:
    """Commands of packages above or beside the front ends (evals): bots/ does not import them."""
    from importlib.metadata import entry_points

    for entry in entry_points(group="coach.commands"):
        try:
            command = entry.load()
        except ImportError:
            continue  # the extra that it belongs to is not installed; `coach doctor` says so
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=entry.name)
        else:
            app.command(entry.name)(command)


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


if __name__ == "__main__":
    main()
