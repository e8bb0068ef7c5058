"""Who may ask what, where and how often: the servers' settings, cool-downs and daily budgets."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from coach.domain import Attachment
from coach.store.servers import ServerSettings, ServerStore

_MOST_REMEMBERED_PEOPLE = 10_000


@dataclass(frozen=True, slots=True)
class Question:
    """A question as it reached the bot, whatever the way. Ids are text; `event` is unique to the way it came.

    `place` is the channel and, of a thread, its parent. `message` is the message that asks, "" for commands.
    """

    event: str
    text: str
    user: str
    conversation: str
    server: str = ""
    channel: str = ""
    parent: str = ""
    message: str = ""
    skill: str = "auto"
    options: tuple[tuple[str, str], ...] = ()
    attachments: tuple[Attachment, ...] = ()
    private: bool = False
    is_admin: bool = False


class Rules:
    """Decides in memory, so that a command is refused or deferred at once; only budgets are counted in the store."""

    def __init__(
        self, store: ServerStore, clock: Callable[[], float], *, cooldown_seconds: float, per_minute: int
    ) -> None:
        self._store, self._clock = store, clock
        self._cooldown, self._per_minute = cooldown_seconds, per_minute
        self._settings: dict[str, ServerSettings] = {}
        self._asked: dict[str, deque[float]] = {}

    def settings(self, server: str) -> ServerSettings:
        """The settings of a server, read once; the defaults for direct messages."""
        if not server:
            return ServerSettings()
        if server not in self._settings:
            self._settings[server] = self._store.server(server)
        return self._settings[server]

    def change(self, server: str, settings: ServerSettings) -> None:
        """Keep new settings; they hold from the next question on."""
        self._store.save_server(server, settings)
        self._settings[server] = settings

    def forget(self, server: str) -> None:
        """Read a server's settings anew."""
        self._settings.pop(server, None)

    def refuse(self, question: Question) -> str:
        """Why a question is not taken, "" when it is. A question that is taken counts for the cool-down."""
        settings = self.settings(question.server)
        if settings.channels and not {question.channel, question.parent} & set(settings.channels):
            places = ", ".join(f"<#{channel}>" for channel in settings.channels)
            return f"In this server I answer in {places}."
        if settings.skills and question.skill not in (*settings.skills, "ask", "auto"):
            return f"/{question.skill} is switched off in this server."
        if question.is_admin:
            return ""
        return self._cool_down(question.user)

    def spend(self, question: Question) -> bool:
        """Count a question against its server's budget of the day (UTC); False when that is used up."""
        limit = self.settings(question.server).daily_budget
        if not question.server or not limit or question.is_admin:
            return True
        return self._store.spend(question.server, datetime.now(UTC).date().isoformat(), limit=limit)

    def _cool_down(self, user: str) -> str:
        now = self._clock()
        times = self._asked.setdefault(user, deque())
        while times and now - times[0] >= 60:
            times.popleft()
        wait = 0.0
        if times:
            wait = times[-1] + self._cooldown - now
            if len(times) >= self._per_minute:
                wait = max(wait, times[0] + 60 - now)
        if wait > 0:
            return f"One at a time, please: try again in {math.ceil(wait)} s."
        times.append(now)
        if len(self._asked) > _MOST_REMEMBERED_PEOPLE:
            self._asked = {person: at for person, at in self._asked.items() if at and now - at[-1] < 60}
        return ""
