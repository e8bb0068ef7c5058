"""Counts what the bot does, for /about, the logs and Prometheus."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from coach.errors import ConfigError

if TYPE_CHECKING:
    from prometheus_client.core import Metric


@dataclass(frozen=True, slots=True)
class Now:
    """How the bot is at this moment."""

    ready: bool = False
    running: int = 0
    servers: int = 0


@dataclass(slots=True, eq=False)
class Health:
    """Counters since the start of the process, and a Prometheus collector. `now` tells how it is at this moment."""

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
    now: Callable[[], Now] = Now

    def line(self) -> str:
        """The counters as one line."""
        return (
            f"answered {self.answered}, declined {self.declined}, failed {self.failed}, refused {self.refused}, "
            f"stopped {self.stopped}, undelivered {self.undelivered}, identified {self.identified}, "
            f"resumed {self.resumed}"
        )

    def collect(self) -> Iterator[Metric]:
        """What a prometheus_client registry asks of a collector: `registry.register(health)`."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        events = CounterMetricFamily("coach_discord_events", "What the Discord bot did, by kind", labels=["event"])
        for field in dataclasses.fields(self):
            if field.name != "now":
                events.add_metric([field.name], getattr(self, field.name))
        yield events
        now = self.now()
        yield GaugeMetricFamily("coach_discord_ready", "1 while connected to Discord", value=now.ready)
        yield GaugeMetricFamily("coach_discord_running_answers", "Answers being made for Discord", value=now.running)
        yield GaugeMetricFamily("coach_discord_servers", "Servers the bot is in", value=now.servers)


@contextmanager
def serve_metrics(health: Health, port: int) -> Iterator[None]:
    """http://127.0.0.1:PORT/metrics while the block runs; nothing for port 0. Raises ConfigError when it is taken."""
    if not port:
        yield
        return
    from prometheus_client import CollectorRegistry, start_http_server

    registry = CollectorRegistry()
    registry.register(health)
    try:
        server, thread = start_http_server(port, addr="127.0.0.1", registry=registry)
    except OSError as error:
        raise ConfigError(
            f"Port {port} for the figures of the bot cannot be listened on: {error.strerror}. "
            "Choose another in COACH_DISCORD_METRICS_PORT."
        ) from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
