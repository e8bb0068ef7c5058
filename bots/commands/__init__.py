"""One file a group of commands; bots/cli.py puts them together."""
