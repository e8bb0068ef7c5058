"""coach accounts: make what an accounts file holds."""

from __future__ import annotations

import sys

import typer

app = typer.Typer(no_args_is_help=True, help="Accounts of the web app.")


@app.callback()
def accounts() -> None:
    """Keep `hash` a command of its own."""


@app.command("hash")
def hash_one(
    password: str = typer.Option(..., prompt=True, hide_input=True, confirmation_prompt=True, help="Asked for when not given."),
) -> None:
    """Turn a password into the line that the accounts file keeps."""
    from bots.web_accounts import hash_password

    sys.stdout.write(hash_password(password) + "\n")
