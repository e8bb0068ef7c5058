"""Starting and ending the bot: token, supervisor, command sync, interrupted answers, signals, exit codes."""

from __future__ import annotations

import asyncio
import base64
import binascii
import dataclasses
import hashlib
import json
import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import aiohttp
import discord
from discord.utils import oauth_url

from bots.bridge import carry
from bots.discord_.health import Health, serve_metrics
from coach.errors import ConfigError

if TYPE_CHECKING:
    from bots.discord_.desk import OpenStream
    from bots.discord_bot import CoachBot
    from coach.domain import Event, Request
    from coach.pipeline import Coach
    from coach.settings import Settings

log = logging.getLogger(__name__)

EXIT_CONFIGURATION = 78  # sysexits EX_CONFIG: a supervisor must not start us again before somebody mended it
GRACE_SECONDS = 30 * 86400.0
DRAIN_SECONDS = 15.0
_LONGEST_WAIT_SECONDS = 60.0
_INTERRUPTED = "*I was interrupted by a restart. Please ask again.*"
_BAD_TOKEN = (
    "Discord refused the bot token. Copy it anew from https://discord.com/developers/applications (Bot, Reset "
    "Token) into COACH_DISCORD_TOKEN or the file that COACH_DISCORD_TOKEN_FILE names."
)
_NO_TOKEN = (
    "There is no bot token. Put it into COACH_DISCORD_TOKEN, or into a file and its path into COACH_DISCORD_TOKEN_FILE."
)
_NO_INTENT = (
    "The message-content intent is asked for (COACH_DISCORD_MESSAGE_CONTENT) but not granted. Switch it on at "
    "https://discord.com/developers/applications (Bot, Privileged Gateway Intents), or ask without it."
)

MakeBot = Callable[[], "CoachBot"]


def run_discord(settings: Settings, *, server_url: str | None = None) -> int:
    """Run the bot until it is told to stop; the exit code. With `server_url` a coach server answers.

    0 stopped on request, 78 the token or the intents must be mended first. Raises the errors of open_coach.
    """
    token = find_token(settings)
    if not token:
        log.error(_NO_TOKEN)
        return EXIT_CONFIGURATION
    health = Health()
    with serve_metrics(health, settings.discord_metrics_port):
        if server_url:
            return asyncio.run(run_until_signal(remote_bot_maker(settings, server_url, health), token))
        from coach.app import open_coach

        coach = open_coach(settings)
        try:
            return asyncio.run(run_until_signal(local_bot_maker(settings, coach, health), token))
        finally:
            coach.close()


async def serve_discord(coach: Coach, settings: Settings, stop: asyncio.Event, health: Health) -> int:
    """Run the bot inside another program (`coach serve --discord`) until `stop` is set; the exit code."""
    token = find_token(settings)
    if not token:
        log.error(_NO_TOKEN)
        return EXIT_CONFIGURATION
    return await supervise(local_bot_maker(settings, coach, health), token, stop)


def find_token(settings: Settings) -> str:
    """The token from the settings or its file; "" when there is none."""
    token = settings.discord_token.get_secret_value().strip()
    if token or settings.discord_token_file is None:
        return token
    try:
        return settings.discord_token_file.read_text("utf-8").strip()
    except OSError as error:
        raise ConfigError(f"The token file {settings.discord_token_file} cannot be read ({error.strerror}).") from error


def invite_url(settings: Settings) -> str:
    """The link that adds the bot to a server with the least permissions. The id is the first part of the token.

    Raises ConfigError when there is no token or it is not one.
    """
    token = find_token(settings)
    if not token:
        raise ConfigError(_NO_TOKEN)
    head = token.split(".")[0]
    try:
        application = int(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)).decode())
    except (ValueError, binascii.Error) as error:
        raise ConfigError(
            "The bot token does not have the form of one (three parts with dots). Copy it anew."
        ) from error
    return oauth_url(application, permissions=least_permissions(), scopes=("bot", "applications.commands"))


def least_permissions() -> discord.Permissions:
    """What the bot needs in a server: see, speak, embed, attach, threads. Nothing that moderates."""
    return discord.Permissions(
        view_channel=True,
        send_messages=True,
        send_messages_in_threads=True,
        embed_links=True,
        attach_files=True,
        read_message_history=True,
        create_public_threads=True,
    )


# -- running ----------------------------------------------------------------------------------------------------------


async def supervise(make_bot: MakeBot, token: str, stop: asyncio.Event) -> int:
    """Keep a bot running until `stop`: waits ever longer while Discord is down, gives up on a bad token."""
    wait = 1.0
    while not stop.is_set():
        bot = make_bot()
        start = asyncio.create_task(bot.start(token))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({start, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if stop.is_set():
                await _shut_down(bot)
                return 0
            start.result()
            return 0
        except discord.LoginFailure:
            log.error(_BAD_TOKEN)
            return EXIT_CONFIGURATION
        except discord.PrivilegedIntentsRequired:
            log.error(_NO_INTENT)
            return EXIT_CONFIGURATION
        except (
            discord.HTTPException,
            discord.GatewayNotFound,
            discord.ConnectionClosed,
            aiohttp.ClientError,
            OSError,
        ) as error:
            log.warning("Discord cannot be reached (%s); trying again in %.0f s", type(error).__name__, wait)
        finally:
            stopping.cancel()
            await _close(bot, start)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), wait)
        wait = min(wait * 2, _LONGEST_WAIT_SECONDS)
    return 0


async def run_until_signal(make_bot: MakeBot, token: str) -> int:
    """SIGTERM and SIGINT end the bot politely; a second one at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    running = asyncio.create_task(supervise(make_bot, token, stop))

    def on_signal() -> None:
        if stop.is_set():
            running.cancel()
        log.warning("stopping: running answers get up to %.0f s; once more stops at once", DRAIN_SECONDS)
        stop.set()

    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, on_signal)
    try:
        return await running
    except asyncio.CancelledError:
        return 0


async def _shut_down(bot: CoachBot) -> None:
    await bot.desk.drain(DRAIN_SECONDS)
    log.info("stopped: %s", bot.health.line())


async def _close(bot: CoachBot, start: asyncio.Task[None]) -> None:
    # Closing while a shard identifies itself raises inside discord.py; there is nothing left to save then.
    with suppress(Exception):
        await asyncio.wait_for(bot.close(), 3.0)
    start.cancel()
    await asyncio.gather(start, return_exceptions=True)


# -- what happens around a start ------------------------------------------------------------------------------------


async def sync_when_changed(bot: CoachBot) -> bool:
    """Tell Discord the commands, but only when they are not what it was told last. A failure does not stop the bot."""
    fingerprint = tree_hash(bot)
    name = f"commands-{bot.application_id}"
    if bot.store.fact(name) == fingerprint:
        return False
    try:
        await bot.tree.sync()
    except (discord.HTTPException, discord.app_commands.CommandSyncFailure, aiohttp.ClientError, OSError) as error:
        log.warning("the commands could not be synced (%s); the old ones stay", error)
        return False
    bot.store.save_fact(name, fingerprint)
    bot.health.synced += 1
    return True


def tree_hash(bot: CoachBot) -> str:
    """A hash of all that Discord is told about the commands."""
    payload = [command.to_dict(bot.tree) for command in bot.tree.walk_commands() if command.parent is None]
    menus = [menu.to_dict(bot.tree) for menu in bot.tree.get_commands(type=discord.AppCommandType.message)]
    text = json.dumps([payload, menus], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


async def mark_interrupted(bot: CoachBot) -> None:
    """Tell people whose answers were running when the last process was killed; private ones are out of reach."""
    running = {one.answer for one in bot.desk.running}
    for row in bot.store.unfinished():
        if row.id in running:
            continue
        bot.store.record(dataclasses.replace(row, state="interrupted"))
        if not row.message or row.private:
            continue
        channel = bot.get_partial_messageable(int(row.channel))
        with suppress(discord.HTTPException):
            from bots.discord_.buttons import AnswerButtons

            await channel.get_partial_message(int(row.message)).edit(
                content=f"{row.text}\n\n{_INTERRUPTED}".strip()[-1900:], view=AnswerButtons().failed(row.id)
            )


# -- putting the bot together ---------------------------------------------------------------------------------------


def local_stream(coach: Coach, pool: ThreadPoolExecutor) -> OpenStream:
    """The coach of this process as an asynchronous stream; each answer runs in a thread of the pool."""

    def stream(request: Request, cancel: threading.Event) -> AsyncIterator[Event]:
        return carry(lambda flag: coach.stream(request, cancel=flag), cancel=cancel, executor=pool)

    return stream


def local_bot_maker(settings: Settings, coach: Coach, health: Health) -> MakeBot:
    """Makes bots that ask the coach of this process."""
    # One thread for each answer that may run or wait, and a few for those that end.
    pool = ThreadPoolExecutor(settings.queue_size + 8, thread_name_prefix="discord-answer")
    return _bot_maker(
        settings,
        local_stream(coach, pool),
        describe_coach=lambda: describe_coach(coach),
        models=lambda: coach.models.at_hand() if coach.models else (),
        forget_elsewhere=coach.forget,
        health=health,
    )


def remote_bot_maker(settings: Settings, server_url: str, health: Health) -> MakeBot:
    """Makes bots that ask a coach server."""
    from bots.discord_.remote import RemoteCoach

    remote = RemoteCoach(server_url, api_key=settings.discord_server_key.get_secret_value())
    return _bot_maker(
        settings,
        remote.stream,
        describe_coach=remote.describe,
        models=remote.models,
        forget_elsewhere=remote.forget,
        export_elsewhere=remote.export,
        health=health,
    )


def describe_coach(coach: Coach) -> str:
    """How the coach answers, in a line."""
    how = "quotes its documents" if coach.mode == "quote" else f"words its answers with {coach.settings.model}"
    return f"Knowledge {coach.index_version}; {how}."


def _bot_maker(settings: Settings, stream: OpenStream, **options: Any) -> MakeBot:
    """Makes bots over one set of stores: a bot that could not connect is thrown away, what it knows is not."""
    from bots.discord_bot import CoachBot
    from coach.app import open_catalogue
    from coach.skills import register
    from coach.store.servers import ServerStore
    from coach.store.sessions import Sessions
    from coach.store.tables import Database

    sessions, store = Sessions(Database(settings.database)), ServerStore(settings.database)
    return lambda: CoachBot(
        stream,
        store,
        sessions,
        skills=register(),
        catalogue=open_catalogue(settings),
        message_content=settings.discord_message_content,
        per_minute=settings.requests_per_minute,
        **options,
    )
