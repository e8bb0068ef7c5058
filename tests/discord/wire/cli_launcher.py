"""Runs the true command line against the fake Discord: `python -m tests.discord.wire.cli_launcher PORT discord …`.

Only this launcher and launcher.py point discord.py elsewhere, and only at loopback.
"""

from __future__ import annotations

import sys

from bots.cli import main
from tests.discord.wire.fake_discord import point_discord_at

if __name__ == "__main__":
    point_discord_at(int(sys.argv[1]))
    sys.argv = ["coach", *sys.argv[2:]]
    main()
