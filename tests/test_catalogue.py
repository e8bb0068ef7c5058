"""The catalogue refuses a wrong row by file and row, is found by any name, and turns into cited sentences."""

from __future__ import annotations

from pathlib import Path

import pytest

from coach.catalogue.passages import catalogue_passages, count_words
from coach.catalogue.tables import Catalogue, named_in
from coach.errors import KnowledgeError


def replace_in(folder: Path, table: str, old: str, new: str) -> Catalogue:
    path = folder / "catalogue" / f"{table}.yaml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    return Catalogue(folder / "catalogue")


@pytest.mark.parametrize(
    ("table", "old", "new", "message"),
    [
        ("skills", "hours: 60", "hours: many", r"skills.yaml, row 2 \('statistics'\), hours: 'many' is not a float"),
        ("skills", "id: sql, ", "id: sql, colour: red, ", r"skills.yaml, row 3 \('sql'\): unknown key 'colour'"),
        ("skills", "area: data, ", "", r"skills.yaml, row 3 \('sql'\): 'area' is missing"),
        ("skills", "id: sql", "id: python", r"skills.yaml, row 3 \('python'\): the id 'python' is used twice"),
        ("skills", "aliases: [py3]", "aliases: py3", r"skills.yaml, row 1 \('python'\), aliases: expected a list"),
        (
            "models",
            "kind: chat",
            "kind: oracle",
            r"models.yaml, row 1 \('qwen3-0.6b'\), kind: 'oracle' is none of chat",
        ),
        (
            "models",
            '{name: Apache-2.0, commercial: "yes"}',
            '{commercial: "yes"}',
            r"models.yaml, row 1 \('qwen3-0.6b'\), licence: 'name' is missing",
        ),
        ("roles", "name: Machine learning engineer", "name: [a]", r"roles.yaml, row 1 .*name: \['a'\] is not a str"),
        ("questions", "- {id", "- nothing\n- {id", r"questions.yaml, row 1 \('nothing'\): expected a mapping"),
    ],
)
def test_a_wrong_row_is_named_by_file_and_row(
    own_knowledge: Path, table: str, old: str, new: str, message: str
) -> None:
    catalogue = replace_in(own_knowledge, table, old, new)
    with pytest.raises(KnowledgeError, match=message):
        getattr(catalogue, table)
    assert any(table in problem for problem in catalogue.problems())


def test_a_file_that_is_no_yaml_is_named(own_knowledge: Path) -> None:
    catalogue = replace_in(own_knowledge, "roles", "- id:", "- [id:")
    with pytest.raises(KnowledgeError, match=r"(?s)roles.yaml is not valid YAML.*line"):
        _ = catalogue.roles


@pytest.mark.parametrize(
    ("table", "old", "new", "message"),
    [
        ("skills", "prerequisites: [python]", "prerequisites: [pyhton]", "statistics refers to skill 'pyhton'"),
        ("skills", "aliases: [py3]", "prerequisites: [statistics]", "in a circle"),
        ("skills", "aliases: [py3]", "aliases: [sql]", "'sql' names both python and sql"),
        ("roles", "skill: python", "skill: cobol", "machine-learning-engineer refers to skill 'cobol'"),
        ("roles", "target: basic", "target: godlike", "level 'godlike'"),
        ("questions", "topic: statistics", "topic: magic", "p-value refers to skill 'magic'"),
        ("resources", "skills: [python]", "skills: [rust]", "tutorial refers to skill 'rust'"),
    ],
)
def test_a_reference_to_nothing_is_a_problem(own_knowledge: Path, table: str, old: str, new: str, message: str) -> None:
    problems = replace_in(own_knowledge, table, old, new).problems()
    assert [p for p in problems if message in p and f"{table}.yaml" in p], problems


def test_the_tiny_catalogue_has_no_problem(tiny_catalogue: Catalogue) -> None:
    assert tiny_catalogue.problems() == []


@pytest.mark.parametrize("name", ["qwen3-0.6b", "Qwen3-0.6B", "QWEN 0.6B", "Qwen/Qwen3-0.6B"])
def test_a_model_is_found_by_any_of_its_names(tiny_catalogue: Catalogue, name: str) -> None:
    model = tiny_catalogue.find_model(name)
    assert model is not None
    assert model.id == "qwen3-0.6b"


def test_a_name_that_nobody_has_finds_nothing(tiny_catalogue: Catalogue) -> None:
    assert tiny_catalogue.find_model("gpt-17") is None
    assert tiny_catalogue.find_role("astronaut") is None
    assert tiny_catalogue.find_skill("juggling") is None


def test_names_are_found_in_a_text_as_whole_words(tiny_catalogue: Catalogue) -> None:
    found = named_in("Should an ML engineer run qwen3-0.6b, or gemma 4b?", tiny_catalogue.models.values())
    assert [model.id for model in found] == ["qwen3-0.6b", "gemma-3-4b-it"]
    assert named_in("A pythonic way", tiny_catalogue.skills.values()) == []


def test_a_skill_never_comes_before_what_it_builds_on(tiny_catalogue: Catalogue) -> None:
    assert tiny_catalogue.skill_order["python"] < tiny_catalogue.skill_order["statistics"]


def test_memory_follows_from_the_geometry(tiny_catalogue: Catalogue) -> None:
    model = tiny_catalogue.models["qwen3-0.6b"]
    assert model.weight_gib(16) == pytest.approx(596049920 * 2 / 1024**3)
    # keys and values of 28 layers, 8 heads of 128, two bytes each
    assert model.kv_cache_gib(1000) == pytest.approx(2 * 28 * 8 * 128 * 1000 * 2 / 1024**3)


def test_rows_become_passages_of_whole_sentences(tiny_catalogue: Catalogue) -> None:
    passages = {passage.id: passage for passage in catalogue_passages(tiny_catalogue)}
    assert "Qwen3-0.6B has a context of 32,768 tokens." in passages["catalogue/models/qwen3-0.6b"].text
    assert "are gated" in passages["catalogue/models/gemma-3-4b-it"].text
    assert "Statistics builds on Python." in passages["catalogue/skills/statistics"].text
    assert "catalogue/roles/machine-learning-engineer-junior" in passages
    for passage in passages.values():
        assert passage.kind == "catalogue"
        assert (passage.start, passage.end) == (0, len(passage.text))
        assert passage.text.endswith((".", "!", "?"))
        assert passage.source


def test_what_fits_is_computed(tiny_catalogue: Catalogue) -> None:
    passages = {passage.id: passage.text for passage in catalogue_passages(tiny_catalogue)}
    assert (
        "With 4 GB of memory free, Qwen3-0.6B and Gemma 3 4B IT fit in 4-bit"
        in passages["catalogue/models/compare-memory-4-gb"]
    )
    assert "In bfloat16, Qwen3-0.6B fits into 4 GB" in passages["catalogue/models/compare-memory-4-gb"]
    assert (
        "In bfloat16, Qwen3-0.6B and Gemma 3 4B IT fit into 16 GB" in passages["catalogue/models/compare-memory-16-gb"]
    )


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        (268098176, "268 million"),
        (3075098624, "3.08 billion"),
        (4_000_000_000, "4 billion"),
        (1_500_000_000, "1.5 billion"),
    ],
)
def test_parameters_are_said_in_words(parameters: int, words: str) -> None:
    assert count_words(parameters) == words
