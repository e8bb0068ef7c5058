"""The buttons below answers. Their ids carry all they need, so they work after a restart and use no memory."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import discord

from bots.discord_.answers import evidence_parts
from bots.discord_.delivery import acknowledge, persist, settle, whisper
from bots.discord_.rules import Question
from coach.store.sessions import answer_from_json

if TYPE_CHECKING:
    from bots.discord_bot import CoachBot

Press = discord.Interaction[Any]  # the library asks for its own type variable; the client is a CoachBot
_ID = r"(?P<answer>[0-9a-f]{8,32})"
_GONE = "That answer is not kept any more."


class VoteButton(discord.ui.DynamicItem[discord.ui.Button[Any]], template=rf"fb:(?P<vote>up|down):{_ID}"):
    """Helpful or not; the last vote of a person counts."""

    def __init__(self, vote: Literal["up", "down"], answer: str) -> None:
        emoji, label = ("👍", "Helpful") if vote == "up" else ("👎", "Not helpful")
        super().__init__(_button(label, f"fb:{vote}:{answer}", emoji=emoji))
        self.vote, self.answer = vote, answer

    @classmethod
    async def from_custom_id(cls, interaction: Press, item: discord.ui.Item[Any], match: re.Match[str], /) -> Self:
        return cls(cast('Literal["up", "down"]', match["vote"]), match["answer"])

    async def callback(self, interaction: Press) -> None:
        bot: CoachBot = interaction.client
        user = str(interaction.user.id)
        row = bot.store.answer(self.answer)
        if row is None:
            await whisper(interaction, _GONE)
        elif row.user != user and not bot.rules.settings(row.server).anyone_may_vote:
            await whisper(interaction, "In this server only the person who asked votes on an answer.")
        else:
            bot.store.vote(user, self.answer, self.vote)
            await whisper(interaction, "Thank you. That helps to make the answers better.")


class EvidenceButton(discord.ui.DynamicItem[discord.ui.Button[Any]], template=rf"ev:{_ID}"):
    """Shows the whole passages to whoever presses."""

    def __init__(self, answer: str) -> None:
        super().__init__(_button("Show evidence", f"ev:{answer}", emoji="🔎"))
        self.answer = answer

    @classmethod
    async def from_custom_id(cls, interaction: Press, item: discord.ui.Item[Any], match: re.Match[str], /) -> Self:
        return cls(match["answer"])

    async def callback(self, interaction: Press) -> None:
        row = interaction.client.store.answer(self.answer)
        parts = evidence_parts(answer_from_json(row.answer)) if row is not None and row.answer else []
        if row is not None and row.private and row.user != str(interaction.user.id):
            parts = []
        await whisper(interaction, parts[0] if parts else _GONE)
        for part in parts[1:5]:
            await whisper(interaction, part)


class StopButton(discord.ui.DynamicItem[discord.ui.Button[Any]], template=rf"stop:{_ID}"):
    """Ends a running answer; for its asker only."""

    def __init__(self, answer: str) -> None:
        super().__init__(_button("Stop", f"stop:{answer}", emoji="⏹️"))
        self.answer = answer

    @classmethod
    async def from_custom_id(cls, interaction: Press, item: discord.ui.Item[Any], match: re.Match[str], /) -> Self:
        return cls(match["answer"])

    async def callback(self, interaction: Press) -> None:
        stopped = interaction.client.desk.stop(self.answer, str(interaction.user.id))
        await whisper(interaction, "Stopped." if stopped else "Only the person who asked can stop a running answer.")


class AgainButton(discord.ui.DynamicItem[discord.ui.Button[Any]], template=rf"again:{_ID}"):
    """Asks the same question once more; for its asker only."""

    def __init__(self, answer: str) -> None:
        super().__init__(_button("Try again", f"again:{answer}", emoji="🔁"))
        self.answer = answer

    @classmethod
    async def from_custom_id(cls, interaction: Press, item: discord.ui.Item[Any], match: re.Match[str], /) -> Self:
        return cls(match["answer"])

    async def callback(self, interaction: Press) -> None:
        bot: CoachBot = interaction.client
        user = str(interaction.user.id)
        row = bot.store.answer(self.answer)
        if row is None or row.user != user:
            await whisper(interaction, _GONE if row is None else "Only the person who asked can try again.")
            return
        question = Question(
            event=f"interaction-{interaction.id}",
            text=row.question,
            user=user,
            conversation=row.conversation,
            server=row.server,
            channel=row.channel,
            parent=bot.parent_of(interaction.channel),
            skill=row.skill,
            options=row.options,
            private=row.private,
            is_admin=bot.is_admin(interaction),
        )
        await bot.answer_interaction(interaction, question)


class ThreadButton(discord.ui.DynamicItem[discord.ui.Button[Any]], template=rf"thread:{_ID}"):
    """Goes on in a thread below the answer."""

    def __init__(self, answer: str) -> None:
        super().__init__(_button("Go on in a thread", f"thread:{answer}", emoji="🧵"))
        self.answer = answer

    @classmethod
    async def from_custom_id(cls, interaction: Press, item: discord.ui.Item[Any], match: re.Match[str], /) -> Self:
        return cls(match["answer"])

    async def callback(self, interaction: Press) -> None:
        row = interaction.client.store.answer(self.answer)
        if row is None or interaction.message is None:
            await whisper(interaction, _GONE)
            return
        if not await acknowledge(interaction, private=True):
            return
        try:
            message = interaction.message
            name = " ".join(row.question.split())[:90] or "Coach"
            thread = await persist(lambda: message.create_thread(name=name, auto_archive_duration=1440))
        except (discord.HTTPException, ValueError) as error:
            text = (
                "I may not open a thread here."
                if isinstance(error, discord.Forbidden)
                else "There is a thread already."
            )
            await settle(interaction, text)
            return
        bot: CoachBot = interaction.client
        bot.store.open_thread(str(thread.id), server=row.server, user=row.user, conversation=row.conversation)
        how = "Just write, no mention needed." if bot.intents.message_content else "Mention me in each question."
        await persist(lambda: thread.send(f"Let us go on here. {how}", nonce=f"t{thread.id}"))
        await settle(interaction, f"We go on in {thread.mention}.")


BUTTONS = (VoteButton, EvidenceButton, StopButton, AgainButton, ThreadButton)


class AnswerButtons:
    """Makes the rows of buttons."""

    def running(self, answer: str) -> discord.ui.View:
        """While it runs: stop."""
        return _view(StopButton(answer))

    def finished(self, answer: str, *, has_sources: bool, can_thread: bool) -> discord.ui.View:
        """Below an answer: votes, evidence, go on in a thread."""
        items: list[discord.ui.Item[Any]] = [VoteButton("up", answer), VoteButton("down", answer)]
        if has_sources:
            items.append(EvidenceButton(answer))
        if can_thread:
            items.append(ThreadButton(answer))
        return _view(*items)

    def failed(self, answer: str) -> discord.ui.View:
        """Below an apology: try again."""
        return _view(AgainButton(answer))


class QuietView(discord.ui.View):
    """A view that never expires; its buttons are DynamicItems, so discord.py keeps nothing of it."""

    def __init__(self) -> None:
        super().__init__(timeout=None)

    async def on_error(
        self, interaction: discord.Interaction[Any], error: Exception, item: discord.ui.Item[Any]
    ) -> None:
        """Hand over to the one place that answers errors."""
        await interaction.client.tree.on_error(interaction, error)


def _view(*items: discord.ui.Item[Any]) -> discord.ui.View:
    view = QuietView()
    for item in items:
        view.add_item(item)
    return view


def _button(label: str, custom_id: str, *, emoji: str) -> discord.ui.Button[Any]:
    return discord.ui.Button(label=label, custom_id=custom_id, emoji=emoji, style=discord.ButtonStyle.secondary)
