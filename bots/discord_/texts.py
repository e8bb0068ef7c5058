"""The longer texts that people read: the privacy notice and what the bot says about itself."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import discord

if TYPE_CHECKING:
    from bots.discord_bot import CoachBot

DESCRIPTION = "A career coach for machine learning: answers with their sources. /privacy says what is kept."
PRIVACY = """**What I keep**
· your question, my answer and its sources, so that follow-up questions, votes and "show evidence" work
· your votes on answers, what you put into `/profile`, what you practised and which steps you marked as done
· for each server: its settings, its notes and how many questions it asked today

**What I do not do**
· I read only messages that mention me, reply to me, are sent to me directly, are in a conversation thread of mine, or \
that somebody hands me with the message menu
· Nothing you write trains a model. Log files hold ids and lengths, no words of yours
· Files and pictures are used for the one answer and not kept

**What you can do**
`/mydata show` · `/mydata export` · `/mydata forget` deletes everything at once, in direct messages too. When I am \
removed from a server, what belongs to it is deleted after 30 days. The people who run this bot answer for it; ask \
them for their privacy policy."""


def about_text(bot: CoachBot) -> str:
    """Version, model, servers and counters."""
    try:
        release = version("ml-career-coach")
    except PackageNotFoundError:
        release = "from source"
    shards = bot.shard_count or 1
    return (
        f"**ML career coach** {release}. I answer from documents I can show, and say so when they do not answer.\n"
        f"{bot.describe_coach()}\n"
        f"{len(bot.guilds)} server{'s' if len(bot.guilds) != 1 else ''}, {shards} shard{'s' if shards != 1 else ''}, "
        f"{len(bot.desk.running)} answers running. Since the start: {bot.health.line()}.\n"
        f"-# discord.py {discord.__version__} · `/privacy` says what I keep"
    )
