"""Counts what the bot does, for /about, the logs and a health check."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Health:
    """Counters since the start of the process."""

    answered: int = 0
    declined: int = 0
    failed: int = 0
    refused: int = 0
    stopped: int = 0
    duplicates: int = 0
    undelivered: int = 0
    identified: int = 0
    resumed: int = 0
    synced: int = 0

    def line(self) -> str:
        """The counters as one line."""
        return (
            f"answered {self.answered}, declined {self.declined}, failed {self.failed}, refused {self.refused}, "
            f"stopped {self.stopped}, undelivered {self.undelivered}, identified {self.identified}, "
            f"resumed {self.resumed}"
        )
