"""The Discord bot: which events become questions, and how each gets its answer. `run_discord` starts it."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands
from discord.ext import commands, tasks

from bots.discord_.answers import Rendered
from bots.discord_.buttons import BUTTONS, AnswerButtons
from bots.discord_.commands import add_commands, person, read_files
from bots.discord_.delivery import InteractionReply, MessageReply, Undeliverable, acknowledge, whisper
from bots.discord_.desk import Desk, OpenStream, apology
from bots.discord_.health import Health, Now
from bots.discord_.lifecycle import (
    EXIT_CONFIGURATION,
    GRACE_SECONDS,
    invite_url,
    mark_interrupted,
    run_discord,
    serve_discord,
    sync_when_changed,
)
from bots.discord_.rules import Question, Rules
from bots.discord_.servers import ServerCommands
from bots.discord_.texts import DESCRIPTION
from coach.domain import Profile
from coach.store.servers import ServerStore
from coach.store.sessions import Sessions

if TYPE_CHECKING:
    from coach.catalogue.tables import Catalogue
    from coach.skills.base import SkillSpec

__all__ = ["EXIT_CONFIGURATION", "CoachBot", "invite_url", "run_discord", "serve_discord"]

log = logging.getLogger(__name__)

HINT = "I cannot read messages that do not mention me here, so please mention me in each question."
GREETING = "Hello. Ask me about roles, skills, interviews or models in machine learning, or use `/ask`."
_REPLAY_SECONDS = 7 * 86400.0


class CoachTree(app_commands.CommandTree["CoachBot"]):
    """The commands; the one place where an error of a command, a button or a menu is answered."""

    async def on_error(self, interaction: discord.Interaction[Any], error: Exception, /) -> None:
        """Tell the person in a sentence; log what happened without their words."""
        original = getattr(error, "original", error)
        if isinstance(original, discord.NotFound):
            log.info("interaction %s came too late (%s)", interaction.id, original.code)
            return
        if isinstance(error, app_commands.CheckFailure):
            await whisper(interaction, "Only people who may manage this server can change that.")
            return
        log.error("interaction %s failed", interaction.id, exc_info=original)
        await whisper(interaction, apology(original))


class CoachBot(commands.AutoShardedBot):
    """A coach on Discord. AutoSharded with one shard too: only that survives a failing first connect (discord.py #10520).

    `stream` answers requests. `models` tells the ids of those that a server may choose. `clock` counts seconds and never
    goes back. A bot that follows another one in the same process goes on counting in its `health`.
    """

    def __init__(
        self,
        stream: OpenStream,
        store: ServerStore,
        sessions: Sessions,
        *,
        skills: Sequence[SkillSpec] = (),
        catalogue: Catalogue | None = None,
        message_content: bool = False,
        describe_coach: Callable[[], str] = lambda: "",
        models: Callable[[], tuple[str, ...]] = lambda: (),
        health: Health | None = None,
        clock: Callable[[], float] = time.monotonic,
        cooldown_seconds: float = 5.0,
        per_minute: int = 20,
        forget_elsewhere: Callable[[str], object] = lambda user: None,
        export_elsewhere: Callable[[str], object] = lambda user: None,
        **options: Any,
    ) -> None:
        super().__init__(
            command_prefix=commands.when_mentioned,
            intents=intents(message_content=message_content),
            help_command=None,
            allowed_mentions=discord.AllowedMentions.none(),
            tree_cls=CoachTree,
            description=DESCRIPTION,
            chunk_guilds_at_startup=False,
            max_messages=None,
            allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=True),
            allowed_installs=app_commands.AppInstallationType(guild=True, user=True),
            **options,
        )
        self.store, self.sessions, self.skills, self.catalogue = store, sessions, tuple(skills), catalogue
        self.describe_coach, self.models = describe_coach, models
        self.health = health or Health()
        self.health.now = self._now
        self.rules = Rules(store, clock, cooldown_seconds=cooldown_seconds, per_minute=per_minute)
        self.desk = Desk(
            stream, store, self.rules, AnswerButtons(), self.health, clock=clock, profile_of=self.profile_of
        )
        self._forget_elsewhere, self._export_elsewhere = forget_elsewhere, export_elsewhere

    async def setup_hook(self) -> None:
        """Before the gateway: buttons, commands, and what the last process left unfinished."""
        self.add_dynamic_items(*BUTTONS)
        add_commands(self)
        self.tree.add_command(ServerCommands())
        await sync_when_changed(self)
        self.keep_house.start()

    # -- events --------------------------------------------------------------------------------------------------

    async def on_ready(self) -> None:
        """Connected: finish what a killed process could not."""
        log.info("ready: %d servers, %d shards", len(self.guilds), self.shard_count or 1)
        await mark_interrupted(self)

    async def on_shard_connect(self, shard: int) -> None:
        """A shard identified itself; Discord allows 1,000 a day."""
        self.health.identified += 1

    async def on_shard_resumed(self, shard: int) -> None:
        """A shard went on where it was."""
        self.health.resumed += 1

    async def on_guild_join(self, guild: discord.Guild) -> None:
        """Back in a server: nothing of it is purged."""
        self.store.mark_joined(str(guild.id))

    async def on_guild_remove(self, guild: discord.Guild) -> None:
        """Removed from a server: its data goes after the grace period."""
        self.store.mark_left(str(guild.id))
        self.rules.forget(str(guild.id))

    async def on_raw_message_delete(self, event: discord.RawMessageDeleteEvent) -> None:
        """A deleted question is not answered any more."""
        self.desk.question_deleted(str(event.message_id))

    async def on_raw_bulk_message_delete(self, event: discord.RawBulkMessageDeleteEvent) -> None:
        """Many at once, by a moderator."""
        for message in event.message_ids:
            self.desk.question_deleted(str(message))

    async def on_raw_thread_delete(self, event: discord.RawThreadDeleteEvent) -> None:
        """A deleted thread takes its running answers along."""
        self.desk.place_deleted(str(event.thread_id))

    async def on_guild_channel_delete(self, channel: discord.abc.GuildChannel) -> None:
        """A deleted channel too."""
        self.desk.place_deleted(str(channel.id))

    async def on_error(self, event_method: str, /, *args: Any, **kwargs: Any) -> None:
        """An event handler failed: a log line with the traceback, nothing of the event."""
        log.exception("handling %s failed", event_method)

    async def on_message(self, message: discord.Message, /) -> None:
        """A mention, a reply to an answer, a direct message, a message in a thread of ours, or a new forum post."""
        if (
            message.author.bot
            or message.webhook_id is not None
            or message.type
            not in (discord.MessageType.default, discord.MessageType.reply, discord.MessageType.thread_starter_message)
        ):
            return
        conversation = self._conversation(message)
        if not conversation:
            return
        text = self._without_mention(message.content).strip()
        files = [a for a in message.attachments if (a.content_type or "").startswith("image/")]
        if not text and not files:
            await self._hint(message)
            return
        await self._answer_message(message, text or "What does this picture show?", conversation, files)

    # -- asking --------------------------------------------------------------------------------------------------

    def question(
        self,
        interaction: discord.Interaction[Any],
        text: str,
        *,
        skill: str = "auto",
        options: tuple[tuple[str, str], ...] = (),
        private: bool = False,
    ) -> Question:
        """The question of a command. Of a skill a person has one conversation; threads and direct messages go on."""
        channel, user = interaction.channel, str(interaction.user.id)
        conversation = f"i-{interaction.id}" if skill == "auto" else f"s-{user}-{skill}"[:32]
        if isinstance(channel, discord.Thread):
            conversation = self.store.thread(str(channel.id)) or conversation
        elif interaction.guild_id is None and interaction.context.dm_channel:
            conversation = f"d-{interaction.channel_id}"
        return Question(
            event=f"interaction-{interaction.id}",
            text=text,
            user=user,
            conversation=conversation,
            server=str(interaction.guild_id or ""),
            channel=str(interaction.channel_id or ""),
            parent=self.parent_of(channel),
            skill=skill,
            options=options,
            private=private,
            is_admin=self.is_admin(interaction),
        )

    async def answer_interaction(
        self, interaction: discord.Interaction[Any], question: Question, *, files: Sequence[discord.Attachment] = ()
    ) -> None:
        """Acknowledge first, answer then. A refusal is decided in memory, so that it can be private."""
        running = self.desk.accept(question)
        if isinstance(running, str):
            if running and self.store.claim_event(question.event):
                await whisper(interaction, running)
            return
        if not await acknowledge(interaction, private=question.private):
            self.desk.let_go(running)
            return
        reply = InteractionReply(interaction, private=question.private)
        try:
            if files:
                attachments = await read_files(files)
                if isinstance(attachments, str):
                    await reply.show(Rendered(attachments))
                    return
                running.attach(attachments)
            await self.desk.answer(running, reply)
        except discord.HTTPException as error:
            log.info("a file of interaction %s could not be read (%s)", interaction.id, error.status)
            await reply.show(Rendered("I could not fetch that file from Discord. Please try again."))
        finally:
            self.desk.release(running)

    async def _answer_message(
        self, message: discord.Message, text: str, conversation: str, files: Sequence[discord.Attachment]
    ) -> None:
        question = Question(
            event=f"message-{message.id}",
            text=text[:4000],
            user=str(message.author.id),
            conversation=conversation,
            server=str(message.guild.id) if message.guild else "",
            channel=str(message.channel.id),
            parent=self.parent_of(message.channel),
            message=str(message.id),
            is_admin=_manages(message.author),
        )
        running = self.desk.accept(question)
        reply = MessageReply(message)
        if isinstance(running, str):
            if running and self.store.claim_event(question.event):
                await self._say(reply, running)
            return
        try:
            if files:
                attachments = await read_files(files)
                if isinstance(attachments, str):
                    await self._say(reply, attachments)
                    return
                running.attach(attachments)
            await self.desk.answer(running, reply)
        except discord.HTTPException as error:
            log.info("a file of message %s could not be read (%s)", message.id, error.status)
            await self._say(reply, "I could not fetch that file from Discord. Please try again.")
        finally:
            self.desk.release(running)

    async def _say(self, reply: MessageReply, text: str) -> None:
        try:
            await reply.show(Rendered(text))
        except (discord.HTTPException, Undeliverable) as error:
            self.health.undelivered += 1
            log.info("a notice could not be delivered (%s)", type(error).__name__)

    async def _hint(self, message: discord.Message) -> None:
        """An empty message that is for us: greet, or say once in a thread that a mention is needed."""
        mentioned = self.user in message.mentions or message.guild is None
        event = f"message-{message.id}" if mentioned else f"hint-{message.channel.id}"
        if self.store.claim_event(event):
            await self._say(MessageReply(message), GREETING if mentioned else HINT)

    def _conversation(self, message: discord.Message) -> str:
        """The conversation that a message belongs to; "" when it is not for us."""
        if message.guild is None:
            return f"d-{message.channel.id}"
        channel = message.channel
        ours = self.store.thread(str(channel.id)) if isinstance(channel, discord.Thread) else ""
        if ours:
            return ours
        reference = message.reference
        earlier = None
        if reference is not None and reference.message_id is not None:
            earlier = self.store.answer_of_message(str(reference.message_id))
        if earlier is not None and not earlier.private and earlier.server == str(message.guild.id):
            return earlier.conversation
        if self.user in message.mentions or self._is_asked_forum_post(message):
            if isinstance(channel, discord.Thread) and isinstance(channel.parent, discord.ForumChannel):
                conversation = f"t-{channel.id}"
                self.store.open_thread(
                    str(channel.id),
                    server=str(message.guild.id),
                    user=str(message.author.id),
                    conversation=conversation,
                )
                return conversation
            return f"m-{message.id}"
        return ""

    def _is_asked_forum_post(self, message: discord.Message) -> bool:
        """The first message of a post in a forum that the administrators chose as a place for the coach."""
        channel = message.channel
        if not isinstance(channel, discord.Thread) or channel.id != message.id or message.guild is None:
            return False
        is_forum = isinstance(channel.parent, discord.ForumChannel)
        return is_forum and str(channel.parent_id) in self.rules.settings(str(message.guild.id)).channels

    def _without_mention(self, text: str) -> str:
        return re.sub(rf"<@!?{self.user.id}>", "", text) if self.user else text

    # -- people and places ---------------------------------------------------------------------------------------

    def profile_of(self, user: str) -> Profile:
        """What a person told about themselves."""
        return self.sessions.load_profile(person(user))

    def export(self, user: str) -> dict[str, Any]:
        """Everything that is kept about a person, here, in the core and on a coach server. Raises EngineError."""
        return {
            **self.store.export(user),
            "profile": dataclasses.asdict(self.profile_of(user)),
            "coach": json.loads(self.sessions.export_user(person(user))),
            "coach_server": self._export_elsewhere(person(user)),
        }

    def forget(self, user: str) -> dict[str, int]:
        """Delete all that. Raises EngineError, and deletes nothing, when a coach server cannot be reached."""
        self._forget_elsewhere(person(user))
        self.sessions.delete_user(person(user))
        return self.store.forget(user)

    def _now(self) -> Now:
        return Now(self.is_ready() and not self.is_closed(), len(self.desk.running), len(self.guilds))

    @staticmethod
    def parent_of(channel: object) -> str:
        """The channel that a thread hangs on, "" for other places."""
        return str(channel.parent_id) if isinstance(channel, discord.Thread) else ""

    @staticmethod
    def is_admin(interaction: discord.Interaction[Any]) -> bool:
        """Whether the person may manage the server they are in."""
        return interaction.guild_id is not None and interaction.permissions.manage_guild

    @tasks.loop(hours=6)
    async def keep_house(self) -> None:
        """Delete what is over its time: data of servers left long ago, claims that can no longer be replayed."""
        for server in self.store.purge_left(grace_seconds=GRACE_SECONDS):
            self.rules.forget(server)
            log.info("server %s: purged after the grace period", server)
        self.store.forget_events(older_than_seconds=_REPLAY_SECONDS)

    async def close(self) -> None:
        """Leave the gateway."""
        self.keep_house.cancel()
        await super().close()


def intents(*, message_content: bool) -> discord.Intents:
    """Servers and messages, nothing privileged; message content only when the operator asked for it."""
    wanted = discord.Intents.none()
    wanted.guilds = wanted.guild_messages = wanted.dm_messages = True
    wanted.message_content = message_content
    return wanted


def _manages(author: discord.User | discord.Member) -> bool:
    return isinstance(author, discord.Member) and author.guild_permissions.manage_guild
