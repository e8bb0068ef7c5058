"""The command line: whole answers as JSON, exit codes by who must act, one paragraph instead of a traceback."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from coach.app import build, index_dir
from coach.domain import Answer
from coach.retrieval.snapshot import current_version
from coach.settings import Settings

DRIFT = "What is data drift?"


@dataclass(frozen=True)
class Ran:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture(autouse=True)
def quiet_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No coach.toml, no .env, no COACH_ variable, a wide terminal."""
    for name in list(os.environ):
        if name.upper().startswith("COACH_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(tiny_settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `coach …` in this process, over the tiny library unless other options are given."""
    from bots import cli

    def run(
        *arguments: str,
        data: Path | None = None,
        knowledge: Path | None = None,
        embedder: str = "hashing",
        engine: str = "scripted",
    ) -> Ran:
        shared = [
            "--data-dir",
            str(data or tiny_settings.data_dir),
            "--knowledge-dir",
            str(knowledge or tiny_settings.knowledge_dir),
            "--embedder",
            embedder,
            "--engine",
            engine,
            "--offline",
        ]
        monkeypatch.setattr(sys, "argv", ["coach", *shared, *arguments])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(bool(end.code))
        told = capsys.readouterr()
        assert "Traceback" not in told.out + told.err
        return Ran(code, told.out, told.err)

    return run


# -- ask ---------------------------------------------------------------------------------------------------------------


def test_json_is_the_whole_answer(run: Run) -> None:
    ran = run("ask", DRIFT, "--json")
    assert ran.code == 0
    answer = ran.json
    assert set(answer) == {"text"} | {field.name for field in dataclasses.fields(Answer)}
    assert answer["outcome"] == "answered"
    assert answer["confidence"].keys() == {"evidence", "support"}
    assert answer["timings"].keys() == {"retrieve", "generate", "verify", "first_sentence", "total"}
    assert answer["usage"].keys() == {"prompt_tokens", "completion_tokens"}
    passages = {passage["id"]: passage for passage in answer["citations"]}
    assert passages
    for passage in passages.values():
        assert {"id", "title", "text", "source", "as_of", "score", "kind"} <= passage.keys()
    for sentence in answer["sentences"]:
        assert {"text", "citations", "support", "verdict"} <= sentence.keys()
        for citation in sentence["citations"]:
            assert citation.keys() == {"passage", "start", "end", "marked"}
            assert passages[citation["passage"]]["text"][citation["start"] : citation["end"]]
    assert answer["index_version"]
    assert answer["text"].startswith("Data drift is a change")


def test_a_terminal_shows_the_answer_then_its_sources(run: Run) -> None:
    ran = run("ask", DRIFT, "--mode", "quote")
    assert ran.code == 0
    answer, _, sources = ran.out.partition("Sources")
    assert "Data drift is a change of the input distribution after deployment. [1]" in answer
    assert "[1] Monitoring a deployed model, What is data drift?" in sources
    assert "The tiny library (Tests)" in sources
    assert "quoted from the documents" in sources


def test_an_honest_refusal_is_no_failure(run: Run) -> None:
    ran = run("ask", "zxqv wkjh fgbp yytr", "--json")
    assert ran.code == 0
    assert ran.json["outcome"] in ("out_of_scope", "no_evidence")
    assert ran.json["citations"] == []


def test_the_mode_is_chosen_by_option(run: Run) -> None:
    assert run("ask", DRIFT, "--mode", "quote", "--json").json["mode"] == "quote"
    assert run("ask", DRIFT, "--mode", "write", "--json").json["mode"] == "write"


def test_chat_keeps_the_subject_and_ends_at_an_empty_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = iter(
        [
            "How do I become a data analyst?",
            "",
        ]
    )
    monkeypatch.setattr("builtins.input", lambda *_: next(lines))
    ran = run("chat", "--mode", "quote")
    assert ran.code == 0
    assert "learning SQL, spreadsheets and one charting tool" in ran.out


def test_a_plan_in_a_chat_is_changed_by_the_next_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = iter(["make me a roadmap to data analyst, 5 hours a week", "8 hours a week instead", "exit"])
    monkeypatch.setattr("builtins.input", lambda *_: next(lines))
    out = " ".join(run("chat", "--mode", "quote").out.split())
    assert "at 5 hours a week" in out
    assert "at 8 hours a week" in out


def test_chat_survives_a_question_that_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = iter(["x" * 9000, "Hello", "exit"])
    monkeypatch.setattr("builtins.input", lambda *_: next(lines))
    ran = run("chat")
    assert ran.code == 0
    assert "9,000 characters" in ran.err
    assert "Hello, good to see you." in ran.out


# -- exit codes --------------------------------------------------------------------------------------------------------


def one_paragraph(text: str) -> bool:
    return bool(text.strip()) and "\n\n" not in text.strip()


@pytest.mark.parametrize("arguments", [("ask",), ("ask", DRIFT, "--no-such-option"), ("nonsense",), ("index", "burn")])
def test_wrong_usage_is_2(run: Run, arguments: tuple[str, ...]) -> None:
    assert run(*arguments).code == 2


def test_an_empty_question_is_2(run: Run) -> None:
    ran = run("ask", "  ")
    assert ran.code == 2
    assert "empty" in ran.err
    assert one_paragraph(ran.err)


def test_an_image_that_is_not_there_or_none_is_2(run: Run, tmp_path: Path) -> None:
    assert run("ask", DRIFT, "--image", str(tmp_path / "none.png")).code == 2
    assert run("ask", DRIFT, "--image", str(tmp_path / "text.txt")).code == 2


def test_a_wrong_setting_is_3(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = run("ask", DRIFT, "--mode", "shout")
    assert (ran.code, "'mode'" in ran.err, one_paragraph(ran.err)) == (3, True, True)
    monkeypatch.setenv("COACH_PASAGES", "3")
    ran = run("ask", DRIFT)
    assert (ran.code, "Did you mean 'passages'" in ran.err) == (3, True)


def test_an_index_of_another_embedder_is_3(run: Run, own_data: Path) -> None:
    folder = index_dir_of(own_data)
    path = folder / str(current_version(folder)) / "manifest.json"
    path.write_text(path.read_text("utf-8").replace("hashing-1", "hashing-0"), "utf-8")
    ran = run("ask", DRIFT, data=own_data)
    assert ran.code == 3
    assert "coach index build" in ran.err


def test_a_document_that_is_refused_is_4(run: Run, own_knowledge: Path, tmp_path: Path) -> None:
    (own_knowledge / "guides" / "bad.md").write_text("No title.\n", "utf-8")
    ran = run("index", "build", data=tmp_path / "data", knowledge=own_knowledge)
    assert ran.code == 4
    assert "bad.md, line 1" in ran.err.replace("\n", "")


def test_a_model_that_is_not_at_hand_is_5(run: Run) -> None:
    ran = run("ask", DRIFT, "--model", "qwen3-0.6b", engine="auto")
    assert ran.code == 5
    assert "coach models pull qwen3-0.6b" in ran.err
    assert one_paragraph(ran.err)


def test_a_data_folder_that_cannot_be_written_is_3(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", "utf-8")
    ran = run("ask", DRIFT, data=tmp_path / "file" / "data")
    assert ran.code == 3
    assert one_paragraph(ran.err)


def test_debug_shows_the_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from coach.errors import ConfigError

    with pytest.raises(ConfigError):
        run("--debug", "ask", DRIFT, "--mode", "shout")


def test_the_program_itself_ends_with_the_code_and_no_traceback(tiny_settings: Settings) -> None:
    command = [
        sys.executable,
        "-m",
        "bots.cli",
        "--data-dir",
        str(tiny_settings.data_dir),
        "--knowledge-dir",
        str(tiny_settings.knowledge_dir),
        "--embedder",
        "hashing",
        "--offline",
        "ask",
        DRIFT,
        "--mode",
        "shout",
    ]
    root = Path(__file__).resolve().parent.parent
    ended = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(root), "PYTHONWARNINGS": "ignore"},
    )
    assert ended.returncode == 3
    assert "Traceback" not in ended.stderr
    assert "'mode'" in ended.stderr


# -- index -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def own_data(tiny_settings: Settings, tmp_path: Path) -> Path:
    """A data folder with an index of its own."""
    settings = tiny_settings.model_copy(update={"data_dir": tmp_path / "own-data"})
    build(settings)
    return settings.data_dir


def index_dir_of(data: Path) -> Path:
    return data / "index"


def test_index_build_says_what_it_did_and_then_that_nothing_changed(run: Run, tmp_path: Path) -> None:
    first = run("index", "build", "--json", data=tmp_path / "data").json
    assert (first["changed"], first["embedded"]) == (True, first["passages"])
    ran = run("index", "build", data=tmp_path / "data")
    assert ran.code == 0
    assert f"Nothing changed: index {first['version']}" in ran.out
    assert "8 documents" in run("index", "build", "--force", data=tmp_path / "data").out


def test_index_list_marks_the_version_in_force(run: Run, own_data: Path, tmp_path: Path) -> None:
    run("index", "build", "--force", data=own_data)
    rows = run("index", "list", "--json", data=own_data).json
    assert [row["current"] for row in rows] == [False, True]
    assert rows[1]["version"] == current_version(index_dir_of(own_data))
    assert f"* {rows[1]['version']}" in run("index", "list", data=own_data).out
    assert "no index yet" in run("index", "list", data=tmp_path / "empty").out


def test_index_verify_finds_every_vector(run: Run, own_data: Path) -> None:
    ran = run("index", "verify", data=own_data)
    assert ran.code == 0
    assert "each finds itself" in ran.out
    assert run("index", "verify", "--json", data=own_data).json["misplaced"] == []


def test_index_verify_fails_on_damage_and_rollback_mends_it(run: Run, own_data: Path) -> None:
    first = current_version(index_dir_of(own_data))
    run("index", "build", "--force", data=own_data)
    second = str(current_version(index_dir_of(own_data)))
    vectors = index_dir_of(own_data) / second / "vectors.npy"
    vectors.write_bytes(vectors.read_bytes()[:-4])
    ran = run("index", "verify", data=own_data)
    assert ran.code == 4
    assert "coach index rollback" in ran.err
    assert run("ask", DRIFT, data=own_data).code == 4
    assert run("index", "rollback", data=own_data).code == 0
    assert current_version(index_dir_of(own_data)) == first
    assert run("ask", DRIFT, data=own_data).code == 0


def test_rollback_goes_back_and_never_forward(run: Run, own_data: Path) -> None:
    first = current_version(index_dir_of(own_data))
    ran = run("index", "rollback", data=own_data)
    assert ran.code == 4
    assert "no earlier version" in ran.err
    run("index", "build", "--force", data=own_data)
    assert run("index", "rollback", data=own_data).code == 0
    assert current_version(index_dir_of(own_data)) == first
    assert run("index", "rollback", data=own_data).code == 4
    assert current_version(index_dir_of(own_data)) == first


def test_rollback_works_when_the_manifest_in_force_is_damaged(run: Run, own_data: Path) -> None:
    first = current_version(index_dir_of(own_data))
    run("index", "build", "--force", data=own_data)
    (index_dir_of(own_data) / str(current_version(index_dir_of(own_data))) / "manifest.json").write_text("{", "utf-8")
    assert run("ask", DRIFT, data=own_data).code == 4
    assert run("index", "rollback", data=own_data).code == 0
    assert current_version(index_dir_of(own_data)) == first


# -- models, doctor, knowledge -----------------------------------------------------------------------------------------


def test_models_list_shows_what_is_at_hand(run: Run) -> None:
    rows = run("models", "list", "--json").json
    assert [row["id"] for row in rows][:2] == ["qwen3-0.6b", "gemma-3-4b-it"]
    assert rows[0]["licence"] == "Apache-2.0"
    assert rows[1]["modalities"] == ["text", "image"]
    assert "qwen3-0.6b" in run("models", "list").out


def test_models_show_tells_facts_with_sources(run: Run) -> None:
    ran = run("models", "show", "qwen 0.6b")
    assert "Qwen3-0.6B has a context of 32,768 tokens." in ran.out
    assert "https://example.org/qwen" in ran.out
    assert run("models", "show", "qwen3-0.6b", "--json").json["parameters"] == 596049920


def test_an_unknown_model_is_2_with_the_nearest_name(run: Run) -> None:
    ran = run("models", "show", "qwen3-06b")
    assert ran.code == 2
    assert "Did you mean 'qwen3-0.6b'" in ran.err


def test_models_fit_is_arithmetic(run: Run) -> None:
    told = run("models", "fit", "--memory-gb", "4", "--json").json
    rows = {row["id"]: row for row in told["models"]}
    assert "bf16" in rows["qwen3-0.6b"]["fits"]
    assert rows["gemma-3-4b-it"]["fits"] == ["4-bit"]
    need = rows["qwen3-0.6b"]["needs_gib"]["bf16"]
    assert need == pytest.approx(596049920 * 2 / 1024**3 + rows["qwen3-0.6b"]["kv_cache_gib"] + 0.6, abs=0.01)
    assert "4.0 GiB available" in run("models", "fit", "--memory-gb", "4").out


def test_doctor_tells_every_setting_with_its_origin_and_hides_secrets(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COACH_REMOTE_API_KEY", "sk-very-secret")
    ran = run("doctor", "--json")
    assert ran.code == 0, ran.json["problems"]
    assert "sk-very-secret" not in ran.out
    rows = {row["name"]: row for row in ran.json["settings"]}
    assert list(rows) == list(Settings.model_fields)
    assert rows["embedder"]["origin"] == "command line"
    assert rows["remote_api_key"] == {
        **rows["remote_api_key"],
        "value": "(set)",
        "origin": "environment COACH_REMOTE_API_KEY",
    }
    assert ran.json["index"]["embedder"].startswith("hashing")
    assert {"processor", "cores", "memory", "gpu"} <= ran.json["hardware"].keys()
    assert ran.json["problems"] == []
    assert "Nothing to mend." in run("doctor").out


def test_doctor_without_an_index_says_what_to_do_and_is_3(run: Run, tmp_path: Path) -> None:
    ran = run("doctor", data=tmp_path / "empty")
    assert ran.code == 3
    assert "coach index build" in ran.out


def test_knowledge_check_names_what_to_mend_and_is_4(run: Run) -> None:
    ran = run("knowledge", "check")
    assert ran.code == 4
    assert "getting-hired/cv:1: front matter has no 'summary'" in ran.err
    assert "8" in ran.out
    told = run("knowledge", "check", "--json")
    assert told.code == 4
    assert told.json["documents"] == 8


def test_knowledge_index_lists_the_guides(run: Run) -> None:
    ran = run("knowledge", "index", "--stdout")
    assert ran.code == 0
    assert "[Learning SQL](guides/skills/sql.md)" in ran.out


def test_help_names_every_group(run: Run) -> None:
    ran = run("--help")
    assert ran.code == 0
    for name in ("ask", "chat", "index", "models", "doctor", "knowledge"):
        assert name in ran.out


def test_settings_of_the_fixture_are_those_of_the_command(tiny_settings: Settings, run: Run) -> None:
    assert run("ask", DRIFT, "--json").json["index_version"] == current_version(index_dir(tiny_settings))
