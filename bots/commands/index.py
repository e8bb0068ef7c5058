"""coach index: build, list, verify, rollback."""

from __future__ import annotations

from typing import Annotated

import typer

from bots.commands.console import Json, ProgressBar, console, print_json, read_settings
from coach.errors import KnowledgeError

app = typer.Typer(no_args_is_help=True, help="The knowledge index: build, list, verify, rollback.")


@app.command("build")
def index_build(
    context: typer.Context,
    force: Annotated[bool, typer.Option("--force", help="Write a new version even when nothing changed.")] = False,
    wait: Annotated[float, typer.Option(help="Seconds to wait for another build to end.")] = 0.0,
    as_json: Json = False,
) -> None:
    """Read the knowledge, embed what is new, write a new version and switch to it."""
    from coach import app as coach_app

    settings = read_settings(context)
    coach_app.prepare_process(settings)
    with ProgressBar(quiet=as_json) as progress:
        report = coach_app.build(settings, force=force, progress=progress, wait_seconds=wait)
    if as_json:
        print_json(report)
    elif report.changed:
        console.print(f"Index [bold]{report.version}[/]: {report.documents} documents, {report.passages} passages, "
                      f"{report.embedded} newly embedded, {report.seconds:.1f} s.")
    else:
        console.print(f"Nothing changed: index [bold]{report.version}[/] stays ({report.passages} passages, "
                      f"{report.seconds:.1f} s).")


@app.command("list")
def index_list(context: typer.Context, as_json: Json = False) -> None:
    """List the versions on disk; the one in force is marked."""
    from coach.app import index_dir
    from coach.retrieval.snapshot import current_version, list_versions

    folder = index_dir(read_settings(context))
    current = current_version(folder)
    versions = list_versions(folder)
    if as_json:
        print_json([{"version": m.version, "created": m.created, "passages": m.passages, "documents": len(m.documents),
                      "embedder": m.fingerprint, "current": m.version == current} for m in versions])
        return
    for manifest in versions:
        mark = "*" if manifest.version == current else " "
        console.print(f"{mark} {manifest.version}  {manifest.created}  {manifest.passages} passages", highlight=False)
    if not versions:
        console.print("There is no index yet. Run `coach index build`.")


@app.command("verify")
def index_verify(context: typer.Context, as_json: Json = False) -> None:
    """Check the version in force: files whole, and every vector finds itself."""
    from coach.app import index_dir, open_embedder
    from coach.retrieval.snapshot import SnapshotReader

    settings = read_settings(context)
    snapshot = SnapshotReader(index_dir(settings), open_embedder(settings).fingerprint,
                              chroma_url=settings.chroma_url).current()
    misplaced = snapshot.find_misplaced()
    if as_json:
        print_json({"version": snapshot.version, "passages": len(snapshot.passages), "misplaced": misplaced})
    elif not misplaced:
        console.print(f"Index {snapshot.version}: {len(snapshot.passages)} vectors, each finds itself; files are whole.")
    if misplaced:
        raise KnowledgeError(f"{len(misplaced)} vectors do not find themselves (first: {misplaced[0]}). "
                             "Run `coach index build --force`.")


@app.command("rollback")
def index_rollback(context: typer.Context) -> None:
    """Go back to the version before the one in force."""
    from coach.app import index_dir
    from coach.retrieval.snapshot import current_version, list_versions, switch_to

    folder = index_dir(read_settings(context))
    current = current_version(folder)
    versions = [m.version for m in list_versions(folder)]
    # A version that is damaged beyond reading is not in the list: then the newest whole one is the one to go back to.
    earlier = versions[: versions.index(current)] if current in versions else versions
    if not earlier:
        raise KnowledgeError("There is no earlier version to go back to. `coach index list` shows what is there.")
    switch_to(folder, earlier[-1])
    console.print(f"The index is now {earlier[-1]} (was {current}).")
