"""The parts of the Discord bot; bots/discord_bot.py puts them together."""
