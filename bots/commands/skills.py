"""coach roadmap, gap, resume, interview, advise, profile: each skill of the register as a command."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bots.commands.console import Json, console, open_coach, print_json, read_settings, show
from coach.errors import RequestError

if TYPE_CHECKING:
    from coach.domain import Answer, Attachment
    from coach.pipeline import Coach

USER = "cli"
Role = Annotated[str, typer.Option("--role", help="Role id or name, e.g. machine-learning-engineer.")]
Level = Annotated[str, typer.Option("--level", help="junior, mid, senior or staff.")]


def roadmap(
    context: typer.Context,
    role: Role = "",
    level: Level = "",
    skills: Annotated[str, typer.Option(help="What you have, e.g. python:working,sql.")] = "",
    hours_per_week: Annotated[float | None, typer.Option(help="Hours you can study a week.")] = None,
    deadline: Annotated[str, typer.Option(help="Date by which you want to be there, e.g. 2027-06-30.")] = "",
    done: Annotated[str, typer.Option(help="Skills to mark as done.")] = "",
    ics: Annotated[Path | None, typer.Option(help="Write the plan as a calendar file.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the plan as Markdown.")] = None,
    as_json: Json = False,
) -> None:
    """Plan the way to a role: steps in prerequisite order, packed into weeks."""
    with _coach(context) as coach:
        answer = _run(coach, "roadmap", "Make me a roadmap.", as_json, role=role, level=level, skills=skills,
                      hours_per_week=hours_per_week, deadline=deadline, done=done)
        if answer is not None and answer.result is not None and (ics or markdown):
            from coach.skills import roadmap as exports

            plan: Any = answer.result
            if ics:
                ics.write_bytes(exports.to_ics(plan, coach.catalogue))
            if markdown:
                markdown.write_text(exports.to_markdown(plan, coach.catalogue), "utf-8")


def gap(
    context: typer.Context,
    role: Role = "",
    level: Level = "",
    job_ad: Annotated[Path | None, typer.Option(help="A job advertisement as a file, instead of a role.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Your resume as PDF, DOCX, Markdown or text.")] = None,
    skills: Annotated[str, typer.Option(help="What you have, instead of a resume.")] = "",
    as_json: Json = False,
) -> None:
    """Compare what you have with a role or a job advertisement."""
    files = [*_attach(resume, "resume"), *_attach(job_ad, "job_ad")]
    with _coach(context) as coach:
        _run(coach, "skill_gap", "What am I missing?", as_json, files, role=role, level=level, skills=skills)


def resume(context: typer.Context, file: Path, role: Role = "", level: Level = "", as_json: Json = False) -> None:
    """Check a resume: every remark quotes the line it is about."""
    with _coach(context) as coach:
        _run(coach, "resume", "Review my resume.", as_json, _attach(file, "resume"), role=role, level=level)


def interview(
    context: typer.Context,
    role: Role = "",
    level: Level = "",
    topic: Annotated[str, typer.Option(help="A skill, e.g. transformers.")] = "",
    questions: Annotated[int, typer.Option(min=1, max=50, help="How many questions.")] = 3,
    as_json: Json = False,
) -> None:
    """Practise: answer questions and see which points of the rubric your words earn. An empty line ends."""
    from coach.domain import Request

    with _coach(context) as coach:
        options = _options(role=role, level=level, topic=topic, questions=questions)
        first = Request("Let us practise.", "interview", options=options, session="cli-interview", user=USER)
        if as_json:
            print_json(coach.ask(first))
            return
        answer = show(coach, first)
        while answer is not None and _goes_on(answer):
            reply = console.input("[bold cyan]You:[/] ").strip()
            if not reply:
                reply = "stop"
            answer = show(coach, Request(reply, "interview", session="cli-interview", user=USER))
            if reply == "stop":
                break


def advise(
    context: typer.Context,
    need: Annotated[str, typer.Argument(help='What you need, e.g. "German, commercial use, images".')],
    memory_gb: Annotated[float | None, typer.Option(help="Memory of the computer in GB.")] = None,
    as_json: Json = False,
) -> None:
    """Which model fits a need and a computer, with the arithmetic."""
    with _coach(context) as coach:
        _run(coach, "model_advisor", need, as_json, memory_gb=memory_gb)


profile_app = typer.Typer(no_args_is_help=True, help="What is kept about you: show, set, export, delete.")


@profile_app.command("show")
def profile_show(context: typer.Context, as_json: Json = False) -> None:
    """Show what you have stated."""
    with _coach(context) as coach:
        _run(coach, "profile", "Show my profile.", as_json, action="show")


@profile_app.command("set")
def profile_set(
    context: typer.Context,
    role: Role = "",
    level: Level = "",
    skills: Annotated[str, typer.Option(help="e.g. python:strong,sql.")] = "",
    hours_per_week: Annotated[float | None, typer.Option()] = None,
    memory_gb: Annotated[float | None, typer.Option()] = None,
    as_json: Json = False,
) -> None:
    """State something about yourself; what you leave out stays as it was."""
    with _coach(context) as coach:
        _run(coach, "profile", "Change my profile.", as_json, action="set", role=role, level=level,
             skills=skills, hours_per_week=hours_per_week, memory_gb=memory_gb)


@profile_app.command("export")
def profile_export(context: typer.Context) -> None:
    """Print what is kept as JSON."""
    with _coach(context) as coach:
        _run(coach, "profile", "Export my profile.", True, action="export")


@profile_app.command("delete")
def profile_delete(context: typer.Context, as_json: Json = False) -> None:
    """Forget everything you have stated."""
    with _coach(context) as coach:
        _run(coach, "profile", "Delete my profile.", as_json, action="delete")


class _coach:  # used like a function
    """The coach of a command, closed at its end."""

    def __init__(self, context: typer.Context) -> None:
        self._coach = open_coach(read_settings(context))

    def __enter__(self) -> Coach:
        return self._coach

    def __exit__(self, *_: object) -> None:
        self._coach.close()


def _run(coach: Coach, skill: str, text: str, as_json: bool, files: list[Attachment] | None = None,
         **options: object) -> Answer | None:
    from coach.domain import Request

    request = Request(text, skill, attachments=tuple(files or ()), options=_options(**options), user=USER)
    if not as_json:
        return show(coach, request)
    answer = coach.ask(request)
    if answer.result is not None:
        print_json(answer.result)
    else:
        print_json(answer)
    return answer


def _options(**options: object) -> tuple[tuple[str, str], ...]:
    return tuple((name, f"{value:g}" if isinstance(value, float) else str(value))
                 for name, value in options.items() if value not in (None, ""))


def _attach(path: Path | None, kind: str) -> list[Attachment]:
    from coach.domain import Attachment

    if path is None:
        return []
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}.") from error
    media_type = mimetypes.guess_type(path.name)[0] or "text/plain"
    return [Attachment(f"{kind}/{path.name}", media_type, content)]


def _goes_on(answer: Answer) -> bool:
    return answer.skill == "interview" and bool(answer.sentences) and answer.sentences[-1].text.rstrip().endswith("?")
