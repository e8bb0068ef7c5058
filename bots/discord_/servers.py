"""/server: what the administrators of a server choose, checked here as well as by Discord."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands

from bots.discord_.commands import read_files
from bots.discord_.delivery import acknowledge, settle, whisper
from bots.discord_.notes import MOST_CHARACTERS, MOST_NOTES, MOST_PASSAGES, note_passages
from coach.errors import CoachError, RequestError
from coach.store.servers import Note, ServerSettings, ServerStore

if TYPE_CHECKING:
    from bots.discord_bot import CoachBot  # named in the string below

Asked = discord.Interaction["CoachBot"]
LANGUAGES = ("en", "de", "es", "fr", "pt", "hi", "zh", "ja")
_CHOICES_SHOWN = 25

log = logging.getLogger(__name__)


class ServerCommands(app_commands.Group):
    """The group of commands. Discord hides it from members without Manage Server; a forged call is refused here."""

    def __init__(self) -> None:
        super().__init__(
            name="server",
            description="How the coach works in this server",
            guild_only=True,
            default_permissions=discord.Permissions(manage_guild=True),
            allowed_installs=app_commands.AppInstallationType(guild=True, user=False),
        )

    async def interaction_check(self, interaction: discord.Interaction[Any], /) -> bool:
        """Only administrators of this server; CoachTree.on_error tells the others."""
        return interaction.guild_id is not None and interaction.permissions.manage_guild

    @app_commands.command(name="show", description="Show the settings of this server")
    async def show(self, interaction: Asked) -> None:
        """The settings as they are."""
        await whisper(interaction, describe(_settings(interaction)))

    @app_commands.command(name="channel", description="Answer in this channel (add), or not any more (remove)")
    @app_commands.choices(
        change=[app_commands.Choice(name=word, value=word) for word in ("add", "remove", "everywhere")]
    )
    @app_commands.describe(
        change="add, remove, or answer everywhere again", channel="The channel or forum; empty is this one"
    )
    async def channel(
        self,
        interaction: Asked,
        change: str,
        channel: discord.TextChannel | discord.ForumChannel | discord.VoiceChannel | None = None,
    ) -> None:
        """The channels in which the coach answers; none means everywhere."""
        settings = _settings(interaction)
        name = str(channel.id if channel else interaction.channel_id)
        channels = [one for one in settings.channels if one != name]
        channels = [] if change == "everywhere" else [*channels, name] if change == "add" else channels
        await _change(interaction, dataclasses.replace(settings, channels=tuple(channels)))

    @app_commands.command(name="budget", description="Most questions a day in this server; 0 means no limit")
    async def budget(self, interaction: Asked, questions: app_commands.Range[int, 0, 100_000]) -> None:
        """The daily budget. Administrators' own questions do not count."""
        await _change(interaction, dataclasses.replace(_settings(interaction), daily_budget=questions))

    @app_commands.command(name="model", description="The model that answers in this server; empty is the default")
    async def model(self, interaction: Asked, name: app_commands.Range[str, 1, 100] | None = None) -> None:
        """The default model; only one that is at hand where the coach runs."""
        catalogue, wanted = interaction.client.catalogue, name or ""
        card = catalogue.find_model(wanted) if catalogue is not None and wanted else None
        wanted = card.id if card else wanted
        if wanted:
            at_hand = await _models_at_hand(interaction.client)
            if wanted not in at_hand:
                choice = f"At hand are: {', '.join(at_hand)}." if at_hand else "One model is set for everyone here."
                await whisper(
                    interaction, f"{discord.utils.escape_mentions(wanted)} is not at hand where I run. {choice}"
                )
                return
        await _change(interaction, dataclasses.replace(_settings(interaction), model=wanted))

    @model.autocomplete("name")
    async def complete_model(self, interaction: Asked, current: str) -> list[app_commands.Choice[str]]:
        """The models at hand."""
        ids = await _models_at_hand(interaction.client)
        return [app_commands.Choice(name=one, value=one) for one in ids if current.lower() in one][:_CHOICES_SHOWN]

    @app_commands.command(name="skill", description="Allow only chosen skills: add one, remove one, or allow all")
    @app_commands.choices(change=[app_commands.Choice(name=word, value=word) for word in ("add", "remove", "all")])
    async def skill(self, interaction: Asked, change: str, skill: app_commands.Range[str, 1, 32] | None = None) -> None:
        """The skills that members may use; none chosen means all. /ask is always there."""
        settings = _settings(interaction)
        if change != "all" and skill not in {spec.name for spec in interaction.client.skills}:
            await whisper(interaction, "Choose a skill from the list.")
            return
        skills = [one for one in settings.skills if one != skill]
        skills = [] if change == "all" else [*skills, str(skill)] if change == "add" else skills
        await _change(interaction, dataclasses.replace(settings, skills=tuple(skills)))

    @skill.autocomplete("skill")
    async def complete_skill(self, interaction: Asked, current: str) -> list[app_commands.Choice[str]]:
        """The skills of the register."""
        names = [spec.name for spec in interaction.client.skills if current.lower() in spec.name]
        return [app_commands.Choice(name=one, value=one) for one in names[:_CHOICES_SHOWN]]

    @app_commands.command(name="language", description="The language answers are wanted in, where the model knows it")
    @app_commands.choices(language=[app_commands.Choice(name=word, value=word) for word in LANGUAGES])
    async def language(self, interaction: Asked, language: str) -> None:
        """The language of the server."""
        await _change(interaction, dataclasses.replace(_settings(interaction), language=language))

    @app_commands.command(name="votes", description="Who may vote on an answer: anyone, or only who asked")
    async def votes(self, interaction: Asked, anyone: bool) -> None:
        """Who may vote."""
        await _change(interaction, dataclasses.replace(_settings(interaction), anyone_may_vote=anyone))

    @app_commands.command(
        name="note-add", description="Add knowledge that answers in this server, and only here, are made from"
    )
    @app_commands.describe(
        title="What it is called below answers; the same title replaces",
        text="The text itself",
        file="Or a file with the text: Markdown, plain text, PDF or DOCX",
    )
    async def add_note(
        self,
        interaction: Asked,
        title: app_commands.Range[str, 1, 100],
        text: app_commands.Range[str, 1, 4000] | None = None,
        file: discord.Attachment | None = None,
    ) -> None:
        """A note of this server: evidence for the answers here; no other server ever sees it."""
        if (text is None) == (file is None):
            await whisper(interaction, "Give a text or a file.")
            return
        if not await acknowledge(interaction, private=True):
            return
        try:
            note = Note(title, await _read(file) if file is not None else text or "")
        except CoachError as error:
            await settle(interaction, discord.utils.escape_mentions(str(error)))
            return
        except discord.HTTPException as error:
            log.info("a note's file could not be fetched (%s)", error.status)
            await settle(interaction, "I could not fetch that file from Discord. Please try again.")
            return
        await settle(interaction, _add(interaction.client.store, str(interaction.guild_id), note))

    @app_commands.command(name="note-remove", description="Remove a note of this server")
    async def remove_note(self, interaction: Asked, title: app_commands.Range[str, 1, 100]) -> None:
        """Delete a note."""
        removed = interaction.client.store.remove_note(str(interaction.guild_id), title)
        await whisper(interaction, "Removed." if removed else "There is no note of that title.")

    @app_commands.command(name="notes", description="List the notes of this server")
    async def notes(self, interaction: Asked) -> None:
        """The notes."""
        notes = interaction.client.store.notes(str(interaction.guild_id))
        lines = [f"**{discord.utils.escape_mentions(note.title)}** ({len(note.text)} characters)" for note in notes]
        await whisper(interaction, "\n".join(lines)[:1900] or "There are no notes.")


def describe(settings: ServerSettings) -> str:
    """The settings as lines."""
    return "\n".join(
        (
            "**Channels:** " + (", ".join(f"<#{one}>" for one in settings.channels) or "everywhere"),
            "**Skills:** " + (", ".join(settings.skills) or "all"),
            f"**Model:** {settings.model or 'the default'}",
            f"**Questions a day:** {settings.daily_budget or 'no limit'}",
            f"**Language:** {settings.language}",
            f"**Votes:** {'anyone' if settings.anyone_may_vote else 'only who asked'}",
        )
    )


def _add(store: ServerStore, server: str, note: Note) -> str:
    """Keep a note if there is room; what the administrator is told."""
    others = [one for one in store.notes(server) if one.title != note.title]
    if len(others) >= MOST_NOTES:
        return f"There are {MOST_NOTES} notes already. Remove one first."
    room = MOST_CHARACTERS - sum(len(one.text) for one in others)
    if len(note.text) > room:
        return f"That has {len(note.text):,} characters, and there is room for {room:,} more. Shorten it."
    if len(note_passages((*others, note))) > MOST_PASSAGES:
        return "That is cut into too many small sections. Give it fewer headings, or remove another note."
    store.add_note(server, note)
    return f"Noted for this server ({len(note.text):,} characters). Answers here are made from it from now on."


async def _read(file: discord.Attachment) -> str:
    """The text of a file, read in a throw-away process. Raises RequestError that says what is wrong with it."""
    from coach.app import read_upload

    files = await read_files([file])
    if isinstance(files, str):
        raise RequestError(files)
    return await asyncio.to_thread(read_upload, files[0].content, files[0].name)


async def _models_at_hand(bot: CoachBot) -> tuple[str, ...]:
    try:
        return await asyncio.to_thread(bot.models)
    except CoachError as error:
        log.warning("the models at hand are not known: %s", error)
        return ()


def _settings(interaction: Asked) -> ServerSettings:
    settings: ServerSettings = interaction.client.rules.settings(str(interaction.guild_id))
    return settings


async def _change(interaction: Asked, settings: ServerSettings) -> None:
    interaction.client.rules.change(str(interaction.guild_id), settings)
    await whisper(interaction, describe(settings))
