"""coach models: list, show, pull, fit."""

from __future__ import annotations

from typing import Any

import typer
from rich.markup import escape

from bots.commands.console import Json, ProgressBar, console, print_json, read_settings
from coach.errors import RequestError

app = typer.Typer(no_args_is_help=True, help="The models: list, show, pull, fit.")


@app.command("list")
def models_list(context: typer.Context, kind: str = "chat", as_json: Json = False) -> None:
    """List the models of the catalogue and whether they are at hand."""
    from rich.table import Column, Table

    from coach.app import open_catalogue
    from coach.engines.weights import find_weights

    settings = read_settings(context)
    cards = [card for card in open_catalogue(settings).models.values() if card.kind == kind]
    rows = [{"id": card.id, "name": card.name, "parameters": card.parameters, "context_tokens": card.context_tokens,
             "licence": card.licence.name, "modalities": list(card.modalities), "thinking": card.thinking,
             "grade": card.grade.mode, "mission": card.mission, "at_hand": find_weights(card, settings) is not None}
            for card in cards]
    if as_json:
        print_json(rows)
        return
    table = Table(Column("model", no_wrap=True), "size", "context", "licence", "reads", "here", box=None)
    for card, row in zip(cards, rows, strict=True):
        table.add_row(card.id, f"{card.parameters / 1e9:.2f} B", f"{card.context_tokens or 0:,}", card.licence.name,
                      ", ".join(card.modalities), "yes" if row["at_hand"] else "", style="bold" if card.mission else "")
    console.print(table)


@app.command("show")
def models_show(context: typer.Context, name: str, as_json: Json = False) -> None:
    """Show everything the catalogue knows about a model, with sources."""
    from coach.app import open_catalogue
    from coach.catalogue.passages import model_sentences

    card = _card(open_catalogue(read_settings(context)), name)
    if as_json:
        print_json(card)
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


@app.command("pull")
def models_pull(context: typer.Context, name: str) -> None:
    """Fetch the weights of a model (safetensors only)."""
    from coach.app import open_catalogue
    from coach.engines.weights import pull

    settings = read_settings(context)
    with ProgressBar() as progress:
        weights = pull(_card(open_catalogue(settings), name), settings, progress)
    console.print(f"{name} is at hand: {weights.path} ({weights.gib:.2f} GiB)", soft_wrap=True)


@app.command("fit")
def models_fit(context: typer.Context, memory_gb: float | None = None, context_tokens: int = 4096, as_json: Json = False) -> None:
    """Which models fit in this machine's memory, with the arithmetic."""
    import psutil
    from rich.table import Table

    from coach.app import open_catalogue
    from coach.catalogue.passages import OVERHEAD_GIB

    available = memory_gb if memory_gb is not None else psutil.virtual_memory().available / 1024**3
    rows = []
    for card in open_catalogue(read_settings(context)).models.values():
        if card.kind != "chat":
            continue
        cache = card.kv_cache_gib(context_tokens) or 0.0
        need = {label: round(card.weight_gib(bits) + cache + OVERHEAD_GIB, 2)
                for label, bits in (("bf16", 16), ("int8", 8), ("4-bit", 4.5))}
        rows.append({"id": card.id, "kv_cache_gib": round(cache, 3), "overhead_gib": OVERHEAD_GIB, "needs_gib": need,
                     "fits": [label for label, gib in need.items() if gib <= available]})
    if as_json:
        print_json({"memory_gb": round(available, 2), "context_tokens": context_tokens, "models": rows})
        return
    console.print(f"{available:.1f} GiB available; weights + KV cache at {context_tokens:,} tokens + {OVERHEAD_GIB} GiB:")
    table = Table("model", "bf16", "int8", "4-bit", "fits as", box=None)
    for row in rows:
        needs: Any = row["needs_gib"]
        table.add_row(str(row["id"]), *(f"{value:.2f}" for value in needs.values()), ", ".join(row["fits"]) or "-")  # type: ignore[arg-type]  # list of labels
    console.print(table)


def _card(catalogue: Any, name: str) -> Any:
    import difflib

    card = catalogue.find_model(name)
    if card is None:
        close = difflib.get_close_matches(name.lower(), catalogue.models, n=1, cutoff=0.3)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise RequestError(f"The catalogue has no model {name!r}.{hint} `coach models list` shows all.")
    return card
