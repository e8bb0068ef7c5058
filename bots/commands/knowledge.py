"""coach knowledge: check the library, write its index page."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from bots.commands.console import Json, console, errors, print_json, read_settings
from coach.errors import KnowledgeError

app = typer.Typer(no_args_is_help=True, help="The library: check it, write its index page.")


@app.command("check")
def check(context: typer.Context, as_json: Json = False) -> None:
    """Check every guide and catalogue row: sources, dates, links, duplicates, figures, references."""
    from coach.ingest.check import check_knowledge

    report = check_knowledge(read_settings(context).knowledge_dir)
    if as_json:
        print_json(report)
    else:
        table = Table("folder", "guides", "words", box=None)
        for name, (count, words) in sorted(report.folders.items()):
            table.add_row(name, str(count), f"{words:,}")
        table.add_row("all", str(report.documents), f"{report.words:,}", style="bold")
        console.print(table)
        console.print("catalogue: " + ", ".join(f"{count} {name}" for name, count in report.catalogue.items())
                      + f"; reading grade {report.grade}", highlight=False)
        for finding in report.findings:
            style = "red" if finding.severity == "error" else "yellow"
            errors.print(f"[{style}]{finding.severity}[/] {escape(finding.path)}:{finding.line}: {escape(finding.message)}",
                         highlight=False)
        console.print(f"{len(report.errors)} errors, {len(report.findings) - len(report.errors)} warnings.")
    if report.errors:
        raise KnowledgeError(f"{len(report.errors)} errors in the knowledge. Mend the places named above.")


@app.command("index")
def write_index(context: typer.Context,
                stdout: Annotated[bool, typer.Option("--stdout", help="Print it instead of writing it.")] = False) -> None:
    """Write knowledge/INDEX.md: the guides by folder and reader."""
    from coach.ingest.check import render_index

    folder = read_settings(context).knowledge_dir
    text = render_index(folder)
    if stdout:
        console.print(text, markup=False, highlight=False, end="")
    else:
        (folder / "INDEX.md").write_text(text, "utf-8")
        console.print(f"Written: {folder / 'INDEX.md'}")
