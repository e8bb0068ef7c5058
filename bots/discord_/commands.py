"""The commands and the message menu: /ask, one for every skill of the register, /profile, /mydata, /about."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands

from bots.discord_.delivery import acknowledge, persist, settle, whisper
from bots.discord_.texts import PRIVACY, about_text
from coach.catalogue.tables import Catalogue
from coach.domain import Attachment, SkillLevel
from coach.errors import EngineError
from coach.skills.base import LEVEL_WORDS, SkillSpec, Slot
from coach.skills.slots import skills_in

if TYPE_CHECKING:
    from bots.discord_bot import CoachBot

Asked = discord.Interaction["CoachBot"]
# Skills whose command has a shorter name; the profile has a command group of its own.
COMMAND_NAMES = {"model_advisor": "advise", "skill_gap": "gap", "mock_interview": "interview"}
_OWN_COMMANDS = frozenset({"ask", "profile"})
PRIVATE_SKILLS = frozenset({"resume", "gap", "skill_gap", "interview", "mock_interview", "profile"})
LARGEST_FILE_BYTES = 8 * 1024 * 1024
_CHOICES_SHOWN = 25
_SERVER_AWAY = "I cannot reach the coach server right now, so nothing was done. Please try again later."
_NAME = re.compile(r"[a-z0-9_-]{1,32}")


def add_commands(bot: CoachBot) -> None:
    """Put every command on the bot's tree."""
    tree = bot.tree
    tree.add_command(_ask_command())
    for spec in bot.skills:
        if spec.name not in _OWN_COMMANDS and _NAME.fullmatch(command_name(spec)):
            tree.add_command(skill_command(spec, bot.catalogue))
    tree.add_command(app_commands.ContextMenu(name="Ask the coach about this", callback=_ask_about))
    tree.add_command(_profile_group(bot.catalogue))
    tree.add_command(_data_group())
    tree.add_command(
        app_commands.Command(
            name="privacy", description="What I keep about you, and how to delete it", callback=_privacy
        )
    )
    tree.add_command(
        app_commands.Command(
            name="about", description="What I am, which model answers, how I am doing", callback=_about
        )
    )


# -- asking -------------------------------------------------------------------------------------------------------


def _ask_command() -> app_commands.Command[Any, Any, Any]:
    @app_commands.describe(
        question="What you want to know about a career in machine learning",
        image="A picture to look at, where the model reads pictures",
        private="Show the answer only to you",
    )
    async def ask(
        interaction: Asked,
        question: app_commands.Range[str, 1, 4000],
        image: discord.Attachment | None = None,
        private: bool = False,
    ) -> None:
        bot = interaction.client
        await bot.answer_interaction(
            interaction, bot.question(interaction, question, private=private), files=[image] if image else []
        )

    return app_commands.Command(name="ask", description="Ask the coach a question", callback=ask)


async def _ask_about(interaction: Asked, message: discord.Message) -> None:
    """The menu of a message. Discord delivers its content here without the message-content intent."""
    bot = interaction.client
    images = [a for a in message.attachments if (a.content_type or "").startswith("image/")]
    if not message.content.strip() and not images:
        await whisper(interaction, "There is no text in that message for me to read.")
        return
    question = bot.question(interaction, message.content[:4000] or "What does this picture show?", private=True)
    await bot.answer_interaction(interaction, question, files=images)


def command_name(spec: SkillSpec) -> str:
    """The name of a skill's command."""
    return COMMAND_NAMES.get(spec.name, spec.name.replace("_", "-"))


def skill_command(spec: SkillSpec, catalogue: Catalogue | None) -> app_commands.Command[Any, Any, Any]:
    """The command of a skill, with an option for each of its slots, typed and completed from the catalogue."""
    private = spec.name in PRIVATE_SKILLS

    async def run(interaction: Asked, **given: Any) -> None:
        bot = interaction.client
        files = [value for value in given.values() if isinstance(value, discord.Attachment)]
        values = tuple(
            (name, _as_text(value))
            for name, value in given.items()
            if value is not None and not isinstance(value, discord.Attachment)
        )
        text = ", ".join(value for _, value in values) or spec.title
        question = bot.question(interaction, text[:4000], skill=spec.name, options=values, private=private)
        await bot.answer_interaction(interaction, question, files=files)

    # A skill that takes answers goes on without what began it; what is missing at the beginning it asks for itself.
    goes_on = any(slot.name == "answer" for slot in spec.slots)
    required = () if goes_on else tuple(slot for slot in spec.slots if slot.required)
    slots = sorted(spec.slots, key=lambda slot: slot not in required)[:_CHOICES_SHOWN]
    parameters = [
        inspect.Parameter("interaction", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=discord.Interaction)
    ]
    for slot in slots:
        parameters.append(
            inspect.Parameter(
                slot.name,
                inspect.Parameter.POSITIONAL_OR_KEYWORD,
                annotation=_annotation(slot, required=slot in required),
                default=inspect.Parameter.empty if slot in required else None,
            )
        )
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what inspect.signature reads first
    run = app_commands.describe(**{slot.name: _short(slot.help or slot.question) for slot in slots})(run)
    choices = {
        slot.name: [app_commands.Choice(name=c, value=c) for c in _fixed_choices(slot)]
        for slot in slots
        if _fixed_choices(slot)
    }
    run = app_commands.choices(**choices)(run)
    completers = {slot.name: _completer(names) for slot in slots if (names := _names(slot, catalogue))}
    run = app_commands.autocomplete(**completers)(run)
    callback: Any = run  # the library types callbacks without **options; the signature above is the true one
    return app_commands.Command(name=command_name(spec), description=_short(spec.summary), callback=callback)


def _annotation(slot: Slot, *, required: bool) -> Any:
    if slot.kind == "file":
        return discord.Attachment if required else discord.Attachment | None
    kind: Any = (
        app_commands.Range[float, 0.0, 1_000_000.0]
        if slot.kind in ("hours", "number")
        else app_commands.Range[str, 1, 4000]
    )
    return kind if required else kind | None


def _fixed_choices(slot: Slot) -> Sequence[str]:
    if slot.kind == "level":
        return slot.choices or LEVEL_WORDS
    return slot.choices if slot.kind == "choice" and len(slot.choices) <= _CHOICES_SHOWN else ()


def _names(slot: Slot, catalogue: Catalogue | None) -> tuple[str, ...]:
    """The names that an option completes to."""
    if catalogue is None:
        return ()
    tables: dict[str, Any] = {
        "role": catalogue.roles,
        "skill": catalogue.skills,
        "skills": catalogue.skills,
        "model": catalogue.models,
    }
    table = tables.get(slot.kind)
    return tuple(row.name for row in table.values()) if table is not None else ()


def _completer(names: tuple[str, ...]) -> Any:
    async def complete(interaction: Asked, current: str) -> list[app_commands.Choice[str]]:
        return complete_from(names, current)

    return complete


def complete_from(names: Sequence[str], current: str) -> list[app_commands.Choice[str]]:
    """At most 25 names for what was typed; of a list, the last entry is completed."""
    before, _, last = current.rpartition(",")
    head = f"{before.strip()}, " if before.strip() else ""
    wanted = last.strip().lower()
    found = sorted(
        (name for name in names if wanted in name.lower()),
        key=lambda name: (not name.lower().startswith(wanted), name.lower()),
    )
    full = [f"{head}{name}" for name in found if len(head) + len(name) <= 100]
    return [app_commands.Choice(name=name, value=name) for name in full[:_CHOICES_SHOWN]]


# -- the person ---------------------------------------------------------------------------------------------------


def _profile_group(catalogue: Catalogue | None) -> app_commands.Group:
    group = app_commands.Group(name="profile", description="What I take into account about you; only you see it")
    roles = tuple(role.name for role in catalogue.roles.values()) if catalogue else ()
    skills = tuple(skill.name for skill in catalogue.skills.values()) if catalogue else ()

    @group.command(name="show", description="Show what you told me about yourself")
    async def show(interaction: Asked) -> None:
        profile = interaction.client.profile_of(str(interaction.user.id))
        lines = [f"**{name}:** {value}" for name, value in _profile_lines(profile)]
        await whisper(interaction, "\n".join(lines) or "You have not told me anything yet. `/profile set` does.")

    @group.command(name="set", description="Tell me about yourself; what you leave out stays as it was")
    @app_commands.describe(
        role="The role you aim at",
        level="The level you aim at",
        hours="Hours a week you can study",
        memory_gb="Memory of your machine in GB",
        gpu="Whether it has a GPU",
        skills="What you can do, e.g. python: strong, sql, statistics: basic",
    )
    @app_commands.choices(level=[app_commands.Choice(name=word, value=word) for word in LEVEL_WORDS])
    async def set_profile(
        interaction: Asked,
        role: app_commands.Range[str, 1, 100] | None = None,
        level: str | None = None,
        hours: app_commands.Range[float, 0.5, 80.0] | None = None,
        memory_gb: app_commands.Range[float, 0.5, 4096.0] | None = None,
        gpu: bool | None = None,
        skills: app_commands.Range[str, 1, 2000] | None = None,
    ) -> None:
        bot, user = interaction.client, str(interaction.user.id)
        stated: dict[str, Any] = {
            "target_role": role,
            "target_level": level,
            "hours_per_week": hours,
            "memory_gb": memory_gb,
            "has_gpu": gpu,
        }
        if skills is not None:
            found = skills_in(skills, catalogue) if catalogue else ()
            stated["skills"] = found or tuple(SkillLevel(part.strip()) for part in skills.split(",") if part.strip())
        changes = {name: value for name, value in stated.items() if value is not None}
        profile = dataclasses.replace(bot.profile_of(user), **changes)
        bot.sessions.save_profile(person(user), profile)
        await whisper(interaction, "Noted.\n" + "\n".join(f"**{n}:** {v}" for n, v in _profile_lines(profile)))

    if roles:
        set_profile.autocomplete("role")(_completer(roles))
        set_profile.autocomplete("skills")(_completer(skills))
    return group


def _profile_lines(profile: Any) -> list[tuple[str, str]]:
    skills = ", ".join(f"{skill.skill} ({skill.level})" for skill in profile.skills)
    rows = (
        ("Role", profile.target_role),
        ("Level", profile.target_level),
        ("Hours a week", profile.hours_per_week),
        ("Memory (GB)", profile.memory_gb),
        ("GPU", profile.has_gpu),
        ("Skills", skills),
    )
    return [(name, str(value)) for name, value in rows if value not in (None, "")]


def _data_group() -> app_commands.Group:
    group = app_commands.Group(name="mydata", description="See, take away or delete what I keep about you")

    @group.command(name="show", description="Show what I keep about you, in short")
    async def show(interaction: Asked) -> None:
        data = interaction.client.store.export(str(interaction.user.id))
        has_profile = bool(_profile_lines(interaction.client.profile_of(str(interaction.user.id))))
        await whisper(
            interaction,
            f"I keep {len(data['answers'])} of your questions with their answers, "
            f"{len(data['votes'])} votes, {len(data['threads'])} threads and "
            f"{'your profile' if has_profile else 'no profile'}. "
            "`/mydata export` gives you all of it, `/mydata forget` deletes it.",
        )

    @group.command(name="export", description="Get everything I keep about you as a file")
    async def export(interaction: Asked) -> None:
        if not await acknowledge(interaction, private=True):
            return
        try:
            data = await asyncio.to_thread(interaction.client.export, str(interaction.user.id))
        except EngineError:
            await settle(interaction, _SERVER_AWAY)
            return
        content = json.dumps(data, ensure_ascii=False, indent=2, default=str).encode()
        await settle(interaction, "Everything I keep about you.", files=(("my-data.json", content),))

    @group.command(name="forget", description="Delete everything I keep about you, for good")
    async def forget(interaction: Asked) -> None:
        bot, user = interaction.client, str(interaction.user.id)
        for running in bot.desk.running:
            if running.question.user == user:
                running.stop("deleted")
        if not await acknowledge(interaction, private=True):
            return
        try:
            counts = await asyncio.to_thread(bot.forget, user)
        except EngineError:
            await settle(interaction, _SERVER_AWAY)
            return
        await settle(
            interaction,
            f"Deleted: {counts['answers']} questions with their answers, {counts['threads']} "
            f"threads and your profile. {counts['votes']} votes stay as numbers without a name. "
            "Messages on Discord itself are yours to delete.",
        )

    return group


def person(user: str) -> str:
    """The name under which the core keeps a Discord user's things."""
    return f"discord:{user}"


async def _privacy(interaction: Asked) -> None:
    await whisper(interaction, PRIVACY)


async def _about(interaction: Asked) -> None:
    await whisper(interaction, about_text(interaction.client))


# -- files --------------------------------------------------------------------------------------------------------


async def read_files(files: Sequence[discord.Attachment]) -> tuple[Attachment, ...] | str:
    """The files of a question, or why they are not taken."""
    read = []
    for file in files[:4]:
        if file.size > LARGEST_FILE_BYTES:
            return f"{discord.utils.escape_mentions(file.filename)} is larger than {LARGEST_FILE_BYTES // 2**20} MB."
        content = await persist(file.read, delays=(0.5, 1.0))
        read.append(Attachment(file.filename, (file.content_type or "application/octet-stream").split(";")[0], content))
    return tuple(read)


def _as_text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _short(text: str) -> str:
    """A description within Discord's 100 characters."""
    first = " ".join(text.split())
    return first if len(first) <= 100 else first[:99].rstrip() + "…"
