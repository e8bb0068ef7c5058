"""/server: what the administrators of a server choose, checked here as well as by Discord."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands

from bots.discord_.delivery import whisper
from coach.store.servers import Note, ServerSettings

if TYPE_CHECKING:
    from bots.discord_bot import CoachBot  # noqa: F401  # named in the string below

Asked = discord.Interaction["CoachBot"]
LANGUAGES = ("en", "de", "es", "fr", "pt", "hi", "zh", "ja")
_MOST_NOTES, _CHOICES_SHOWN = 50, 25


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
        """The default model."""
        catalogue = interaction.client.catalogue
        card = catalogue.find_model(name) if catalogue is not None and name else None
        if name and catalogue is not None and card is None:
            await whisper(interaction, f"I do not know a model {discord.utils.escape_mentions(name)!r}.")
            return
        await _change(interaction, dataclasses.replace(_settings(interaction), model=card.id if card else name or ""))

    @model.autocomplete("name")
    async def complete_model(self, interaction: Asked, current: str) -> list[app_commands.Choice[str]]:
        """The models of the catalogue."""
        catalogue = interaction.client.catalogue
        ids = [card.id for card in catalogue.models.values() if card.kind == "chat"] if catalogue else []
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
        name="note-add", description="Add a note that is quoted below fitting answers in this server only"
    )
    async def add_note(
        self, interaction: Asked, title: app_commands.Range[str, 1, 100], text: app_commands.Range[str, 1, 4000]
    ) -> None:
        """A note of this server; no other server ever sees it."""
        store, server = interaction.client.store, str(interaction.guild_id)
        if len(store.notes(server)) >= _MOST_NOTES:
            await whisper(interaction, f"There are {_MOST_NOTES} notes already. Remove one first.")
            return
        store.add_note(server, Note(title, text))
        await whisper(interaction, "Noted for this server.")

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


def _settings(interaction: Asked) -> ServerSettings:
    settings: ServerSettings = interaction.client.rules.settings(str(interaction.guild_id))
    return settings


async def _change(interaction: Asked, settings: ServerSettings) -> None:
    interaction.client.rules.change(str(interaction.guild_id), settings)
    await whisper(interaction, describe(settings))
