"""Fills the README's tree, settings and commands between their marks: `python -m tests.readme --write`."""

from __future__ import annotations

import ast
import importlib
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
FOLDERS = ("coach", "knowledge", "bots", "evals", "tests")
WIDTH = 30
# Defaults that depend on the machine, as words.
COMPUTED = {"data_dir": "`~/.local/share/ml-career-coach`", "knowledge_dir": "the library that is installed"}


def render_tree(root: Path = ROOT) -> str:
    """The five folders two levels deep, with the first line of each module's docstring."""
    lines = [line for folder in FOLDERS for line in _folder(root / folder, 0)]
    return "```text\n" + "\n".join(lines) + "\n```"


def render_settings() -> str:
    """Every setting with its default and meaning."""
    from pydantic import SecretStr

    from coach.settings import Settings

    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        if field.default_factory is not None:
            shown = COMPUTED[name]
        elif field.default is None or isinstance(field.default, SecretStr) or field.default in ("", ()):
            shown = "none"
        else:
            shown = f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"
        rows.append(f"| `{name}` | {shown} | {field.description} |")
    return "\n".join(rows)


def render_commands() -> str:
    """Every command with the first line of its help."""
    rows = ["| command | what it does |", "|---|---|"]
    rows += [f"| `coach {name}` | {help_line} |" for name, help_line in commands()]
    return "\n".join(rows)


def commands() -> Iterator[tuple[str, str]]:
    """(name with its group, first line of the help) of every command, those of the entry points included."""
    import typer

    from bots.cli import app

    yield from _commands(typer.main.get_command(app), "")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for name, target in project.get("entry-points", {}).get("coach.commands", {}).items():
        module, _, attribute = target.partition(":")
        if not (ROOT / Path(*module.split("."))).with_suffix(".py").is_file():
            continue
        found: Any = getattr(importlib.import_module(module), attribute)
        if isinstance(found, typer.Typer):
            yield from _commands(typer.main.get_group(found), name)
        else:
            yield name, _first_line(found.__doc__)


PARTS = {"tree": render_tree, "settings": render_settings, "commands": render_commands}


def fill(text: str) -> str:
    """The README with its parts made anew; a part whose marks are missing is left out."""
    for name, render in PARTS.items():
        pattern = re.compile(rf"<!-- {name} -->\n.*?<!-- /{name} -->", re.DOTALL)
        text = pattern.sub(lambda _, name=name, render=render: f"<!-- {name} -->\n{render()}\n<!-- /{name} -->", text)  # type: ignore[misc]  # mypy sees no defaults of a lambda
    return text


def _folder(folder: Path, depth: int) -> Iterator[str]:
    package = folder / "__init__.py"
    yield _line(depth, folder.name + "/", _docstring(package) if package.is_file() else "")
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith((".", "__")) and path.name != "logs")
    files = [path for path in entries if path.is_file()]
    for path in files:
        if path.suffix == ".py":
            yield _line(depth + 1, path.name, _docstring(path))
    others = [path.name for path in files if path.suffix != ".py"]
    if others and len(others) <= 6:
        yield _line(depth + 1, " · ".join(others), "")
    elif others:
        yield _line(depth + 1, f"*{Path(others[0]).suffix}", "")
    for path in entries:
        if path.is_dir() and depth == 0:
            yield from _folder(path, depth + 1)
        elif path.is_dir() and any(path.iterdir()):
            yield _line(depth + 1, path.name + "/", "")


def _line(depth: int, name: str, words: str) -> str:
    left = "  " * depth + name
    return f"{left:<{WIDTH}} {words}".rstrip()


def _docstring(path: Path) -> str:
    return _first_line(ast.get_docstring(ast.parse(path.read_text("utf-8"))))


def _first_line(text: str | None) -> str:
    return (text or "").strip().split("\n")[0]


def _commands(command: Any, name: str) -> Iterator[tuple[str, str]]:
    if hasattr(command, "commands"):
        for part, inner in command.commands.items():
            yield from _commands(inner, f"{name} {part}".strip())
    else:
        yield name, _first_line(command.help)


if __name__ == "__main__":
    made = fill(README.read_text("utf-8"))
    if "--write" in sys.argv:
        README.write_text(made, "utf-8")
    else:
        sys.stdout.write(made)
