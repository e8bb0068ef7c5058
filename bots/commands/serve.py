"""coach serve and coach discord: the web app with its API, and the Discord bot."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bots.commands.console import Mode, Model, ProgressBar, console, read_settings
from coach.errors import ConfigError

if TYPE_CHECKING:
    from bots.server import Companion
    from coach.pipeline import Coach
    from coach.settings import Settings


def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    model: Model = None,
    mode: Mode = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page where there is a desktop.")] = False,
    discord: Annotated[bool, typer.Option("--discord", help="Run the Discord bot in the same process.")] = False,
) -> None:
    """Start the web app and the API in one process."""
    settings = read_settings(context, host=host, port=port, model=model, mode=mode)
    try:
        from bots.server import serve as run
    except ImportError as error:
        raise ConfigError(f'The web app needs more packages ({error.name}). Run: pip install "ml-career-coach[web]"') from error
    from coach.app import open_coach

    with ProgressBar() as progress:
        coach = open_coach(settings, progress=progress)
    beside = _start_discord(coach, settings) if discord else None
    try:
        code = run(settings, coach=coach, open_browser=open_browser, companion=beside)
    finally:
        if beside is not None:
            beside.stop()
            beside.join()
    raise typer.Exit(code)


def discord(
    context: typer.Context,
    server: Annotated[str | None, typer.Option(help="Answer through this coach server instead of a local coach.")] = None,
    invite: Annotated[bool, typer.Option("--invite", help="Print the invite link and end.")] = False,
    token_file: Annotated[Path | None, typer.Option(help="File that holds the bot token.")] = None,
) -> None:
    """Run the Discord bot."""
    settings = read_settings(context, discord_token_file=token_file)
    try:
        from bots import discord_bot
    except ImportError as error:
        raise ConfigError(
            f'The Discord bot needs more packages ({error.name}). Run: pip install "ml-career-coach[discord]"') from error
    if invite:
        console.print(discord_bot.invite_url(settings), soft_wrap=True, highlight=False)
        return
    raise typer.Exit(discord_bot.run_discord(settings, server_url=server))


def _start_discord(coach: Coach, settings: Settings) -> Companion:
    """Run the Discord bot in a thread of its own over the same coach."""
    from bots.discord_.health import Health
    from bots.discord_bot import serve_discord
    from bots.server import Companion

    health, loop, stop = Health(), asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(
        target=lambda: loop.run_until_complete(serve_discord(coach, settings, stop, health)), name="discord")
    thread.start()
    return Companion(health, lambda: loop.call_soon_threadsafe(stop.set), lambda: thread.join(timeout=20))
