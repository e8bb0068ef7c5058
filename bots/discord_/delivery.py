"""Gets text to where it was asked for: through rate limits and outages, never twice, elsewhere when need be."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

import aiohttp
import discord

from bots.discord_.answers import Rendered

log = logging.getLogger(__name__)
T = TypeVar("T")

RETRY_DELAYS = (0.5, 1.0, 2.0, 4.0, 8.0)
ACKNOWLEDGE_DELAYS = (0.3, 0.6, 0.9)
EDIT_SECONDS = 1.2
_SLOWEST_EDIT_SECONDS = 15.0
_UNKNOWN_CHANNEL, _UNKNOWN_MESSAGE, _UNKNOWN_WEBHOOK, _UNKNOWN_INTERACTION = 10003, 10008, 10015, 10062
_INVALID_TOKEN, _ALREADY_ACKNOWLEDGED = 50027, 40060


class Gone(Exception):
    """The message or its place was deleted: whoever did that does not want the answer any more."""


class Undeliverable(Exception):
    """Neither the place nor the person can be reached."""


class Reply(Protocol):
    """One answer's messages: `show` makes the first one or changes it, `more` adds another below."""

    private: bool

    @property
    def message_id(self) -> str:
        """The id of the first message, "" while there is none."""
        ...

    async def show(self, rendered: Rendered, *, view: discord.ui.View | None = None) -> None:
        """Make or change the first message. Raises Gone, Undeliverable, or discord.HTTPException after all retries."""
        ...

    async def more(self, text: str) -> None:
        """Add a message below. Raises like `show`."""
        ...

    async def remove(self) -> None:
        """Delete the first message, if it can still be deleted."""
        ...


async def persist(call: Callable[[], Awaitable[T]], *, delays: Sequence[float] = RETRY_DELAYS) -> T:
    """Call again after 429, 5xx and broken connections; other errors and the last one are raised.

    discord.py itself gives up at once on 503, and on 429 without a Via header (it takes that for a Cloudflare ban).
    """
    for delay in delays:
        try:
            return await call()
        except discord.HTTPException as error:
            if error.status != 429 and error.status < 500:
                raise
            log.info("Discord answered %s; trying again in %.1f s", error.status, delay)
        except (aiohttp.ClientError, OSError) as error:
            log.info("no connection to Discord (%s); trying again in %.1f s", type(error).__name__, delay)
        await asyncio.sleep(delay)
    return await call()


async def acknowledge(interaction: discord.Interaction[Any], *, private: bool) -> bool:
    """Defer an interaction within Discord's three seconds; False when it is too late or not ours any more.

    "Already acknowledged" counts as done: an earlier try of ours may have got through although its reply was lost.
    Whether another delivery of the same event is being answered is for the claim to decide.
    """
    try:
        await persist(lambda: interaction.response.defer(ephemeral=private, thinking=True), delays=ACKNOWLEDGE_DELAYS)
    except discord.InteractionResponded:
        return True
    except discord.HTTPException as error:
        if error.code == _ALREADY_ACKNOWLEDGED:
            return True
        # RESUME replays interactions older than three seconds: normal, and Discord has told the person itself.
        log.info("interaction %s could not be acknowledged (%s/%s)", interaction.id, error.status, error.code)
        return False
    except (aiohttp.ClientError, OSError) as error:
        log.info("interaction %s could not be acknowledged (%s)", interaction.id, type(error).__name__)
        return False
    return True


async def whisper(interaction: discord.Interaction[Any], text: str, *, view: discord.ui.View | None = None) -> None:
    """Answer an interaction with something only its user sees; one that is too late or answered already is let go."""
    more: dict[str, Any] = {} if view is None else {"view": view}
    try:
        if interaction.response.is_done():
            await persist(lambda: interaction.followup.send(text, ephemeral=True, **more))
        else:
            await persist(
                lambda: interaction.response.send_message(text, ephemeral=True, **more), delays=ACKNOWLEDGE_DELAYS
            )
    except (discord.HTTPException, discord.InteractionResponded, aiohttp.ClientError, OSError) as error:
        log.info("interaction %s could not be answered (%s)", interaction.id, type(error).__name__)


async def settle(
    interaction: discord.Interaction[Any], text: str, *, files: tuple[tuple[str, bytes], ...] = ()
) -> None:
    """Fill a response that `acknowledge` deferred; one that is gone by now is let go."""
    filled = Rendered(text, files=files)
    try:
        await persist(
            lambda: interaction.edit_original_response(content=text, attachments=filled.discord_files())
        )
    except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
        log.info("interaction %s could not be answered (%s)", interaction.id, type(error).__name__)


class MessageReply:
    """The answer to a message: a reply in its channel, or a direct message when the channel does not let us speak.

    Sends carry a nonce made of the question's id, so that a send repeated after a lost reply makes no second message.
    """

    private = False

    def __init__(self, question: discord.Message) -> None:
        self._question = question
        self._message: discord.Message | None = None
        self._count = 0

    @property
    def message_id(self) -> str:
        return str(self._message.id) if self._message else ""

    async def show(self, rendered: Rendered, *, view: discord.ui.View | None = None) -> None:
        if self._message is None:
            self._message = await self._send(rendered, view, "")
            if self._message.content.strip() == rendered.first.strip():
                return
            # An earlier send got through although its reply was lost: the nonce led back to it, with its older text.
        message = self._message
        try:
            self._message = await persist(
                lambda: message.edit(
                    content=rendered.first, embed=rendered.embed, view=view, attachments=rendered.discord_files()
                )
            )
        except discord.NotFound as error:
            raise Gone from error
        except discord.Forbidden:
            self._message = await self._send_privately(rendered, view)

    async def more(self, text: str) -> None:
        self._count += 1
        await self._send(Rendered(text), None, f"-{self._count}")

    async def remove(self) -> None:
        if self._message is not None:
            message = self._message
            try:
                await persist(message.delete)
            except discord.HTTPException as error:
                log.info("message %s could not be deleted (%s)", message.id, error.code)

    async def _send(self, rendered: Rendered, view: discord.ui.View | None, suffix: str) -> discord.Message:
        channel = self._question.channel
        if not _may_send(channel):
            return await self._send_privately(rendered, view)
        reference = self._question.to_reference(fail_if_not_exists=False)
        options: dict[str, Any] = {"embed": rendered.embed, "files": rendered.discord_files()}
        if view is not None:
            options["view"] = view
        try:
            return await persist(
                lambda: channel.send(
                    rendered.first,
                    reference=reference,
                    mention_author=False,
                    nonce=f"q{self._question.id}{suffix}",
                    **{**options, "files": rendered.discord_files()},
                )
            )
        except discord.Forbidden:
            return await self._send_privately(rendered, view)
        except discord.NotFound as error:
            raise Gone from error

    async def _send_privately(self, rendered: Rendered, view: discord.ui.View | None) -> discord.Message:
        return await send_privately(self._question.author, rendered, view)


class InteractionReply:
    """The answer to a command, menu or button: edits of the deferred response, private when that was.

    A token lives 15 minutes. After that the answer goes to the channel as a plain message, or to the person directly.
    """

    def __init__(self, interaction: discord.Interaction[Any], *, private: bool) -> None:
        self.private = private
        self._interaction = interaction
        self._message: discord.Message | None = None
        self._expired = False

    @property
    def message_id(self) -> str:
        return str(self._message.id) if self._message else ""

    async def show(self, rendered: Rendered, *, view: discord.ui.View | None = None) -> None:
        if self._expired:
            await self._show_elsewhere(rendered, view)
            return
        interaction = self._interaction
        try:
            self._message = await persist(
                lambda: interaction.edit_original_response(
                    content=rendered.first, embed=rendered.embed, view=view, attachments=rendered.discord_files()
                )
            )
        except discord.HTTPException as error:
            if not _is_expired(error):
                if isinstance(error, discord.NotFound):
                    raise Gone from error
                raise
            self._expired, self._message = True, None
            await self._show_elsewhere(rendered, view)

    async def more(self, text: str) -> None:
        if self._expired:
            await self._send_elsewhere(Rendered(text), None)
            return
        interaction = self._interaction
        try:
            await persist(lambda: interaction.followup.send(text, ephemeral=self.private))
        except discord.HTTPException as error:
            if not _is_expired(error):
                raise
            self._expired = True
            await self._send_elsewhere(Rendered(text), None)

    async def remove(self) -> None:
        try:
            await persist(self._interaction.delete_original_response)
        except discord.HTTPException as error:
            log.info("the response to %s could not be deleted (%s)", self._interaction.id, error.code)

    async def _show_elsewhere(self, rendered: Rendered, view: discord.ui.View | None) -> None:
        if self._message is None:
            self._message = await self._send_elsewhere(rendered, view)
            return
        message = self._message
        await persist(
            lambda: message.edit(
                content=rendered.first, embed=rendered.embed, view=view, attachments=rendered.discord_files()
            )
        )

    async def _send_elsewhere(self, rendered: Rendered, view: discord.ui.View | None) -> discord.Message:
        channel = self._interaction.channel
        permissions = self._interaction.app_permissions
        speakable = (
            isinstance(channel, discord.abc.Messageable) and permissions.view_channel and permissions.send_messages
        )
        if self.private or not speakable:
            return await send_privately(self._interaction.user, rendered, view)
        more = _extras(rendered, view)
        assert isinstance(channel, discord.abc.Messageable)  # speakable says so
        try:
            return await persist(
                lambda: channel.send(
                    rendered.first,
                    files=rendered.discord_files(),
                    nonce=f"i{self._interaction.id}",
                    **more,
                )
            )
        except (discord.Forbidden, discord.NotFound):
            return await send_privately(self._interaction.user, rendered, view)


async def send_privately(
    person: discord.abc.User, rendered: Rendered, view: discord.ui.View | None = None
) -> discord.Message:
    """A direct message. Raises Undeliverable when the person accepts none."""
    more: dict[str, Any] = {} if view is None else {"view": view}
    try:
        return await persist(
            lambda: person.send(  # type: ignore[attr-defined]  # User and Member are Messageable
                rendered.first, embed=rendered.embed, files=rendered.discord_files(), **more
            )
        )
    except (discord.Forbidden, discord.NotFound) as error:
        raise Undeliverable from error


class LiveText:
    """A message that grows: at most one edit every 1.2 s, fewer when Discord is slow, never one after `close`."""

    def __init__(self, reply: Reply, view: discord.ui.View, clock: Callable[[], float]) -> None:
        self._reply, self._view, self._clock = reply, view, clock
        self._next = clock() + EDIT_SECONDS
        self._text = ""
        self._closed = False
        self._pending: asyncio.Task[None] | None = None
        self._editing = asyncio.Lock()

    def put(self, text: str) -> None:
        """Show this text soon."""
        self._text = text
        if not self._closed and (self._pending is None or self._pending.done()):
            self._pending = asyncio.create_task(self._flush())

    async def close(self) -> None:
        """Stop editing; an edit on its way is waited for, so that it cannot land on top of the final text."""
        self._closed = True
        async with self._editing:
            if self._pending is not None:
                self._pending.cancel()

    async def _flush(self) -> None:
        shown = ""
        while shown != self._text and not self._closed:
            await asyncio.sleep(max(0.0, self._next - self._clock()))
            async with self._editing:
                if self._closed:
                    return
                shown, started = self._text, self._clock()
                try:
                    await self._reply.show(Rendered(shown), view=self._view)
                except (discord.HTTPException, aiohttp.ClientError, OSError, Gone, Undeliverable) as error:
                    log.info("a progress edit failed (%s)", type(error).__name__)
                took = self._clock() - started
                self._next = self._clock() + min(max(EDIT_SECONDS, 2 * took), _SLOWEST_EDIT_SECONDS)


def _extras(rendered: Rendered, view: discord.ui.View | None) -> dict[str, Any]:
    """Embed and buttons, where there are any: discord.py tells "none" from "not given"."""
    extras = {"embed": rendered.embed, "view": view}
    return {name: value for name, value in extras.items() if value is not None}


def _may_send(channel: object) -> bool:
    """Whether our permissions let us speak there, as far as is known; a direct message always does."""
    guild = getattr(channel, "guild", None)
    if guild is None or guild.me is None:
        return True
    permissions = channel.permissions_for(guild.me)  # type: ignore[attr-defined]  # every guild channel has it
    speak = permissions.send_messages_in_threads if isinstance(channel, discord.Thread) else permissions.send_messages
    return bool(permissions.view_channel and speak)


def _is_expired(error: discord.HTTPException) -> bool:
    return error.code in (_UNKNOWN_WEBHOOK, _UNKNOWN_INTERACTION, _INVALID_TOKEN)
