"""The architecture is a test: who imports whom, what is public, what importing costs, and that the README is true."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import coach
from coach.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
HEAVY = (
    "torch",
    "transformers",
    "sentence_transformers",
    "chromadb",
    "gradio",
    "discord",
    "fastapi",
    "numpy",
    "sqlalchemy",
)
PUBLIC = [
    "Answer",
    "Attachment",
    "Citation",
    "Coach",
    "CoachError",
    "Event",
    "Message",
    "Passage",
    "Profile",
    "Request",
    "Sentence",
    "Settings",
    "SkillLevel",
    "load_settings",
    "open_coach",
]
# security.md: what failed elsewhere was fixed in these.
FLOORS = {
    "gradio": "6.22",
    "transformers": "5.10",
    "torch": "2.10",
    "starlette": "1.3.1",
    "python-multipart": "0.0.31",
    "pypdf": "6.16.1",
}


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)


def readme_part(name: str) -> str:
    text = (ROOT / "README.md").read_text("utf-8")
    found = re.search(rf"<!-- {name} -->\n(.*?)\n?<!-- /{name} -->", text, re.DOTALL)
    assert found, f"the README has no <!-- {name} --> … <!-- /{name} -->"
    return found[1]


# -- imports -----------------------------------------------------------------------------------------------------------


def test_layers_and_forbidden_imports_hold() -> None:
    ended = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-1000:]


def test_the_core_does_not_import_itself_through_its_front_door() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in (ROOT / "coach").rglob("*.py")
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if re.match(r"\s*(from coach import (?!compose|quote|app\b)|import coach\b(?!\.))", line)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "code",
    [
        "import coach",
        "from coach import Request, CoachError, Answer",
        "import coach.settings, coach.domain",
    ],
)
def test_importing_the_library_loads_nothing_heavy(code: str) -> None:
    ended = python(f"{code}\nimport sys\nprint([m for m in {HEAVY!r} if m in sys.modules])")
    assert ended.stdout.strip() == "[]", ended.stdout + ended.stderr


def test_help_loads_nothing_heavy() -> None:
    ended = python(f"""
import sys
sys.argv = ["coach", "--help"]
from bots.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code
print([m for m in {HEAVY!r} if m in sys.modules])
""")
    assert ended.stdout.strip().endswith("[]"), ended.stdout[-500:] + ended.stderr


@pytest.mark.parametrize(
    "module",
    sorted(
        str(path.relative_to(ROOT).with_suffix("")).replace("/", ".")
        for path in (ROOT / "coach").rglob("*.py")
        if path.name not in ("__init__.py", "llamacpp_server.py", "resume_parser.py")
    ),
)
def test_every_module_says_its_subject_in_one_sentence(module: str) -> None:
    import ast

    text = (ROOT / module.replace(".", "/")).with_suffix(".py").read_text("utf-8")
    first = (ast.get_docstring(ast.parse(text)) or "").split("\n")[0]
    assert first.endswith((".", "?", ":", ")")), first


# -- public names ------------------------------------------------------------------------------------------------------


def test_the_public_names_are_these() -> None:
    assert sorted(coach.__all__) == PUBLIC
    for name in PUBLIC:
        assert getattr(coach, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'magic'"):
        coach.magic  # noqa: B018  # the access is the test


def test_the_version_is_the_one_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert coach.__version__ == project["version"]


def test_no_file_is_named_after_nothing() -> None:
    vague = {"utils.py", "helpers.py", "common.py", "manager.py", "service.py", "misc.py"}
    found = [
        path for folder in ("coach", "bots", "evals") for path in (ROOT / folder).rglob("*.py") if path.name in vague
    ]
    assert found == []


def test_only_the_settings_read_the_environment() -> None:
    readers = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "coach").rglob("*.py")
        if re.search(r"os\.environ\.get|os\.getenv|os\.environ\[[^\]]+\](?! =)", path.read_text("utf-8"))
    }
    # llamacpp.py hands PYTHONPATH on to its child process
    assert readers <= {"coach/settings.py", "coach/engines/llamacpp.py"}


def test_sql_stays_in_the_store() -> None:
    users = {
        path.relative_to(ROOT).parts[1]
        for path in (ROOT / "coach").rglob("*.py")
        if re.search(r"^\s*(import sqlalchemy|from sqlalchemy|import sqlite3)", path.read_text("utf-8"), re.M)
    }
    assert users <= {"store"}


# -- the README tells the truth ----------------------------------------------------------------------------------------


def test_the_tree_in_the_readme_is_the_tree_on_disk() -> None:
    from tests.readme import render_tree

    assert readme_part("tree") == render_tree(), "run: python -m tests.readme --write"


def test_the_tree_names_modules_by_their_first_line() -> None:
    from tests.readme import render_tree

    tree = render_tree()
    assert re.search(r"^  quote\.py +Quote mode: whole source sentences", tree, re.M)
    assert re.search(r"^    snapshot\.py +The knowledge index on disk", tree, re.M)
    assert "__pycache__" not in tree


def test_the_settings_table_lists_every_setting_with_its_default() -> None:
    from tests.readme import render_settings

    assert readme_part("settings") == render_settings(), "run: python -m tests.readme --write"
    for name in Settings.model_fields:
        assert f"| `{name}` |" in readme_part("settings")


def test_every_command_is_documented() -> None:
    from tests.readme import commands

    text = (ROOT / "README.md").read_text("utf-8")
    assert [name for name, _ in commands() if f"coach {name}" not in text] == [], "run: python -m tests.readme --write"
    assert all(help_line.endswith(".") for _, help_line in commands())


def test_every_make_target_has_a_help_line() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    for target in ("run", "test", "setup", "lint", "format", "bench", "clean"):
        assert re.search(rf"^{target}:.*## \S", text, re.M), target


# -- versions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(FLOORS))
def test_version_floors_hold_in_the_requirements_and_in_what_is_installed(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [
        Requirement(line)
        for line in (
            *project["dependencies"],
            *(r for group in project["optional-dependencies"].values() for r in group),
        )
    ]
    named = [requirement for requirement in wanted if requirement.name == name]
    assert named, f"{name} is not required anywhere"
    for requirement in named:
        lowest = [Version(spec.version) for spec in requirement.specifier if spec.operator == ">="]
        assert lowest, requirement
        assert max(lowest) >= Version(FLOORS[name])
    assert Version(version(name)) >= Version(FLOORS[name])
