"""The index: incremental, verified, switched in one step, and whole after any kill, damage or race."""

from __future__ import annotations

import json
import multiprocessing
import random
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from filelock import FileLock

from coach.catalogue.tables import Catalogue
from coach.errors import ConfigError, KnowledgeError
from coach.ingest.build import BuildReport, build_index
from coach.retrieval.embedder import HashingEmbedder
from coach.retrieval.search import Filter, search
from coach.retrieval.snapshot import (
    POINTER,
    Snapshot,
    SnapshotReader,
    current_version,
    list_versions,
    prune,
    read_manifest,
    switch_to,
    write_snapshot,
)

if TYPE_CHECKING:
    from coach.domain import Vectors

AddGuide = Callable[..., Path]


class CountingEmbedder(HashingEmbedder):
    """Remembers what it was asked to embed."""

    def __init__(self) -> None:
        super().__init__()
        self.embedded: list[str] = []

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        self.embedded += texts
        return super().embed_documents(texts)


class Library:
    """A tiny library with an index folder of its own."""

    def __init__(self, knowledge: Path, data: Path, add_guide: AddGuide) -> None:
        self.add_guide = add_guide
        self.knowledge = knowledge
        self.index = data / "index"
        self.embedder = CountingEmbedder()

    def arguments(self) -> dict[str, Any]:
        return {
            "guides": [self.knowledge / "guides"],
            "catalogue": Catalogue(self.knowledge / "catalogue"),
            "chunk_tokens": 200,
        }

    def build(self, **changes: Any) -> BuildReport:
        self.embedder.embedded.clear()
        return build_index(self.index, self.embedder, **{**self.arguments(), **changes})

    def guide(self, name: str, body: str) -> None:
        self.add_guide(self.knowledge, name, body, title=f"About {name}")

    def open(self) -> Snapshot:
        return SnapshotReader(self.index, self.embedder.fingerprint).current()

    def finds(self, question: str) -> str:
        return search(self.open(), self.embedder, question, count=3).passages[0].text


@pytest.fixture
def library(own_knowledge: Path, tmp_path: Path, add_guide: AddGuide) -> Library:
    return Library(own_knowledge, tmp_path / "data", add_guide)


# -- incremental -------------------------------------------------------------------------------------------------------


def test_a_second_build_embeds_nothing_and_keeps_the_version(library: Library) -> None:
    first = library.build()
    assert first.changed
    assert first.embedded == len(library.embedder.embedded) == first.passages > 20
    second = library.build()
    assert (second.version, second.changed, second.embedded) == (first.version, False, 0)
    assert library.embedder.embedded == []


def test_a_forced_build_writes_a_new_version_from_known_vectors(library: Library) -> None:
    first = library.build()
    forced = library.build(force=True)
    assert forced.version != first.version
    assert forced.embedded == 0
    assert library.embedder.embedded == []
    assert library.open().find_misplaced() == []


def test_one_changed_document_embeds_only_its_chunks(library: Library) -> None:
    library.build()
    path = library.knowledge / "guides" / "skills" / "sql.md"
    path.write_text(path.read_text("utf-8").replace("because interviews ask", "since interviewers ask"), "utf-8")
    report = library.build()
    assert report.changed
    assert report.embedded == 1
    assert [text.split("\n")[0] for text in library.embedder.embedded] == ["Learning SQL"]
    assert "since interviewers ask" in library.finds("Which SQL topics come first?")


def test_a_removed_document_is_gone_and_nothing_is_embedded(library: Library) -> None:
    library.build()
    (library.knowledge / "guides" / "skills" / "sql.md").unlink()
    report = library.build()
    assert report.embedded == 0
    assert not any(p.document == "skills/sql" for p in library.open().passages)


def test_a_changed_catalogue_row_is_indexed_anew(library: Library) -> None:
    library.build()
    path = library.knowledge / "catalogue" / "skills.yaml"
    path.write_text(path.read_text("utf-8").replace("hours: 40,", "hours: 44,"), "utf-8")
    report = library.build()
    assert report.changed
    assert report.embedded == 1
    assert "44 hours" in library.embedder.embedded[0]


def test_another_chunk_size_is_a_new_version(library: Library) -> None:
    first = library.build()
    assert library.build(chunk_tokens=40).version != first.version


def test_content_that_is_refused_leaves_the_old_version(library: Library) -> None:
    first = library.build()
    (library.knowledge / "guides" / "bad.md").write_text("No title, no source.\n", "utf-8")
    with pytest.raises(KnowledgeError, match=r"bad\.md, line 1"):
        library.build()
    assert current_version(library.index) == first.version


def test_an_empty_library_is_refused(tmp_path: Path, add_guide: AddGuide) -> None:
    (tmp_path / "guides").mkdir()
    with pytest.raises(KnowledgeError, match="nothing to index"):
        Library(tmp_path, tmp_path / "data", add_guide).build()


def test_progress_is_told_to_the_end(library: Library) -> None:
    seen: list[tuple[str, int, int]] = []
    library.build(progress=lambda step, done, total: seen.append((step, done, total)))
    for step in ("reading", "embedding", "writing"):
        done = [(d, t) for s, d, t in seen if s == step]
        assert done[-1][0] == done[-1][1]


# -- versions ----------------------------------------------------------------------------------------------------------


def test_every_vector_finds_itself_and_the_manifest_tells_what_is_inside(library: Library) -> None:
    report = library.build()
    snapshot = library.open()
    assert snapshot.find_misplaced() == []
    manifest = snapshot.manifest
    assert manifest.version == report.version
    assert manifest.passages == len(snapshot.passages) == len(snapshot.vectors) == snapshot.collection.count()
    assert manifest.fingerprint == library.embedder.fingerprint
    assert "skills/sql" in manifest.documents
    assert {"passages.jsonl", "vectors.npy"} <= set(manifest.checksums)


def test_a_passage_is_found_by_what_people_ask_for_it(library: Library) -> None:
    front = ("title: Naming\nsource: https://example.org\n"
             "asked_as: {lead: [zebra crossing at midnight], 'Which one?': [purple umbrella in rain]}")
    (library.knowledge / "guides" / "what?.md").write_text(f"---\n{front}\n---\nLead text.\n\n## Which one?\n\nThe other text.\n")
    report = library.build()
    snapshot = library.open()
    assert report.passages == len(snapshot.passages) == len(snapshot.vectors) == snapshot.collection.count() - 2
    assert snapshot.find_misplaced() == []
    for wording, id_ in (("zebra crossing at midnight", "what?#lead"), ("purple umbrella in rain", "what?#which-one")):
        row = snapshot.position[id_]
        vector = library.embedder.embed_queries([wording])[0]
        assert snapshot.search_dense(vector, 3)[0] == (row, pytest.approx(1.0, abs=1e-4))
        assert snapshot.search_lexical(wording, 3)[0][0] == row
        assert snapshot.cosine(row, vector) == pytest.approx(1.0, abs=1e-4)
        rows = [row for row, _ in snapshot.search_dense(vector, len(snapshot.passages))]
        assert sorted(rows) == list(range(len(snapshot.passages)))


def test_passages_come_back_as_they_went_in(library: Library) -> None:
    library.build()
    passage = next(p for p in library.open().passages if p.id == "skills/sql#which-sql-topics-come-first")
    assert passage.title == "Learning SQL"
    assert passage.heading == "Which SQL topics come first?"
    assert passage.topics == ("sql",)
    assert passage.references[0].publisher == "Tests"
    assert passage.as_of == "2026-11-01"


def test_passages_are_had_by_id_and_documents_by_their_opening(library: Library) -> None:
    library.build()
    snapshot = library.open()
    section = snapshot.find("skills/sql#which-sql-topics-come-first")
    opening = snapshot.find("skills/sql")
    assert section is not None
    assert section.heading == "Which SQL topics come first?"
    assert opening is not None
    assert (opening.document, opening.start) == ("skills/sql", min(
        passage.start for passage in snapshot.passages if passage.document == "skills/sql"))
    assert snapshot.find("skills/cobol") is None


def test_a_reader_notices_the_move_of_the_pointer_and_a_rollback(library: Library) -> None:
    library.guide("edition", "The edition of the library is first.\n")
    first = library.build().version
    reader = SnapshotReader(library.index, library.embedder.fingerprint)
    held = reader.current()
    assert held is reader.current()
    library.guide("edition", "The edition of the library is second.\n")
    second = library.build().version
    assert reader.current().version == second
    switch_to(library.index, first)
    assert reader.current().version == first
    assert any("first" in passage.text for passage in reader.current().passages)
    # a question that began on the old version ends on it
    assert held.version == first
    assert held.search_dense(np.asarray(held.vectors[0]), 1)[0][0] == 0


def test_the_last_two_versions_are_kept(library: Library) -> None:
    versions = [library.build(force=True).version for _ in range(4)]
    assert [manifest.version for manifest in list_versions(library.index)] == versions[-2:]


def test_the_version_in_force_is_kept_though_it_is_old(library: Library) -> None:
    versions = [library.build(force=True).version for _ in range(2)]
    switch_to(library.index, versions[0])
    newest = library.build(force=True).version
    assert {m.version for m in list_versions(library.index)} == {newest, versions[1]} or {
        m.version for m in list_versions(library.index)
    } == {newest, versions[0]}
    switch_to(library.index, list_versions(library.index)[0].version)
    prune(library.index, keep=1)
    assert [m.version for m in list_versions(library.index)] == [current_version(library.index)]


def test_unfinished_folders_are_pruned(library: Library) -> None:
    (library.index / "20200101T000000-unfinished").mkdir(parents=True)
    report = library.build()
    assert report.pruned == ("20200101T000000-unfinished",)


def test_another_embedder_is_refused_with_the_command_to_run(library: Library) -> None:
    library.build()
    for other in (HashingEmbedder(dim=128).fingerprint, "same-dimension:dim256:unit"):
        with pytest.raises(ConfigError, match=r"built with the embedder 'hashing-1:dim256:unit'.*coach index build"):
            SnapshotReader(library.index, other).current()


def test_a_build_with_another_embedder_is_a_new_version_never_a_mix(library: Library) -> None:
    first = library.build()
    other = HashingEmbedder(dim=128)
    second = build_index(library.index, other, **library.arguments())
    assert second.version != first.version
    assert second.embedded == second.passages
    assert SnapshotReader(library.index, other.fingerprint).current().vectors.shape[1] == 128


def test_no_index_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match=r"no index yet.*coach index build"):
        SnapshotReader(tmp_path, "x").current()


def test_a_vector_that_is_not_found_again_stops_the_switch(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    first = library.build()
    monkeypatch.setattr(Snapshot, "find_misplaced", lambda self: ["skills/sql#lead"])
    with pytest.raises(KnowledgeError, match=r"1 of \d+ vectors were not found.*old version stays"):
        library.build(force=True)
    assert current_version(library.index) == first.version
    assert [m.version for m in list_versions(library.index)] == [first.version]


# -- damage ------------------------------------------------------------------------------------------------------------


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("damage", [flip, cut, Path.unlink])
def test_every_damaged_file_is_detected_at_open(library: Library, damage: Callable[[Path], None]) -> None:
    folder = library.index / library.build().version
    names = list(read_manifest(folder).checksums)
    assert any(name.startswith("chroma/") and name.endswith("data_level0.bin") for name in names)
    for name in names:
        content = (folder / name).read_bytes()
        if not content:
            continue
        damage(folder / name)
        with pytest.raises(KnowledgeError, match=r"missing or damaged.*rollback.*--force"):
            library.open()
        (folder / name).write_bytes(content)
    library.open()


@pytest.mark.parametrize("damage", [cut, Path.unlink])
def test_a_damaged_database_of_chroma_is_detected_at_open(library: Library, damage: Callable[[Path], None]) -> None:
    folder = library.index / library.build().version
    damage(folder / "chroma" / "chroma.sqlite3")
    with pytest.raises(KnowledgeError, match=r"chroma\.sqlite3 is missing or damaged.*rollback"):
        library.open()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": "x"}'])
def test_a_damaged_manifest_is_no_version_and_the_next_build_mends_it(library: Library, text: str) -> None:
    first = library.build().version
    second = library.build(force=True).version
    (library.index / second / "manifest.json").write_text(text, "utf-8")
    with pytest.raises(KnowledgeError, match="not a whole index version"):
        library.open()
    assert [m.version for m in list_versions(library.index)] == [first]
    third = library.build()
    assert third.changed
    assert third.embedded == 0
    assert library.open().version == third.version


def test_a_pointer_to_nothing_is_mended_by_the_next_build(library: Library) -> None:
    library.build()
    (library.index / POINTER).write_text("nowhere\n", "utf-8")
    with pytest.raises(KnowledgeError):
        library.open()
    assert library.build().changed
    assert library.open().find_misplaced() == []


def test_one_passage_is_an_index_too(tmp_path: Path, add_guide: AddGuide) -> None:
    add_guide(tmp_path, "one", "The only sentence is here.\n", title="One")
    library = Library(tmp_path, tmp_path / "data", add_guide)
    assert library.build().passages == 1
    assert library.open().find_misplaced() == []
    assert library.finds("What is the only sentence?") == "The only sentence is here."


def test_equal_passages_still_find_themselves(tmp_path: Path, add_guide: AddGuide) -> None:
    for number in range(12):
        add_guide(tmp_path, f"twin{number}", "The same words everywhere.\n", title="Twins")
    library = Library(tmp_path, tmp_path / "data", add_guide)
    assert library.build().embedded <= 12
    assert library.open().find_misplaced() == []


def test_a_write_without_switch_changes_nothing_for_readers(library: Library, hashing: HashingEmbedder) -> None:
    version = library.build().version
    snapshot = library.open()
    texts = [passage.text for passage in snapshot.passages]
    write_snapshot(
        library.index,
        snapshot.passages,
        texts,
        np.asarray(snapshot.vectors),
        fingerprint=hashing.fingerprint,
        chunker="other",
        documents={},
    )
    assert library.open().version == version


# -- several processes -------------------------------------------------------------------------------------------------


def test_two_builds_at_once_are_refused_and_a_patient_one_waits(library: Library) -> None:
    library.index.mkdir(parents=True)
    with FileLock(library.index / "build.lock"):
        with pytest.raises(KnowledgeError, match="Another `coach index build` is running"):
            library.build()
        with pytest.raises(KnowledgeError, match="Another"):
            library.build(wait_seconds=0.05)
    assert library.build(wait_seconds=5).changed


def test_a_kill_at_any_moment_of_a_build_leaves_the_old_version_whole(library: Library) -> None:
    rounds = 6
    chance = random.Random(20261124)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["coach.ingest.build", "chromadb", "bm25s", "Stemmer", "coach.store.embeddings"])
    library.guide("edition", "The edition of the library is number 0.\n")
    library.build()

    def child(**changes: Any) -> Any:
        process = context.Process(
            target=build_index, args=(library.index, HashingEmbedder()), kwargs={**library.arguments(), **changes}
        )
        process.start()
        return process

    child(force=True).join()  # starts the server that the others are forked from
    started = time.perf_counter()
    child(force=True).join()
    seconds = time.perf_counter() - started
    edition = 0
    killed = 0
    for round_number in range(1, rounds + 1):
        library.guide("edition", f"The edition of the library is number {round_number}.\n")
        before = current_version(library.index)
        process = child()
        process.join(chance.uniform(0.1, 1.1) * seconds)
        process.kill()
        process.join()
        killed += process.exitcode == -9
        after = current_version(library.index)
        if after != before:
            edition = round_number
        assert f"number {edition}." in library.finds("Which edition of the library is this?")
        assert library.open().find_misplaced() == []
        report = library.build()
        edition = round_number
        assert report.version == current_version(library.index)
        assert f"number {edition}." in library.finds("Which edition of the library is this?")
        # a kill between the switch and the pruning leaves one more, until the next build that changes something
        assert len(list_versions(library.index)) <= 3
    assert killed >= 1


READER = textwrap.dedent("""
    import json, re, sys
    from pathlib import Path
    from coach.retrieval.embedder import HashingEmbedder
    from coach.retrieval.search import search
    from coach.retrieval.snapshot import SnapshotReader

    index, stop = Path(sys.argv[1]), Path(sys.argv[2])
    embedder = HashingEmbedder()
    reader = SnapshotReader(index, embedder.fingerprint)
    questions, versions, editions = 0, set(), {}
    print("ready", flush=True)
    while not stop.exists():
        found = search(reader.current(), embedder, "Which edition of the library is this?", count=4)
        seen = {re.search(r"number (\\d+)", p.text)[1] for p in found.passages if p.document.startswith("edition")}
        assert len(seen) == 1, (found.version, seen)
        assert editions.setdefault(found.version, seen) == seen, "one version, two editions"
        questions += 1
        if found.version not in versions:
            versions.add(found.version)
            print(found.version, flush=True)
    print(json.dumps({"questions": questions, "versions": sorted(editions)}), flush=True)
""")


def test_three_readers_see_no_error_and_no_mix_while_builds_switch(library: Library, tmp_path: Path) -> None:
    def edition(number: int) -> None:
        for twin in ("edition-a", "edition-b"):
            library.guide(twin, f"The edition of the library is number {number}. Guide {twin} says so.\n")

    edition(0)
    library.build()
    stop = tmp_path / "stop"
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READER, str(library.index), str(stop)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for reader in readers:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
    built = [str(current_version(library.index))]
    for number in range(1, 6):
        edition(number)
        built.append(library.build().version)
        if number % 2:  # every other switch is seen by all; those between race with the readers' opening
            for reader in readers:
                assert reader.stdout is not None
                assert any(line.strip() == built[-1] for line in iter(reader.stdout.readline, "")), "a reader ended"
    stop.touch()
    for reader in readers:
        out, err = reader.communicate(timeout=60)
        assert reader.returncode == 0, err
        told = json.loads(out.splitlines()[-1])
        assert told["questions"] >= 3
        assert {built[1], built[3], built[5]} <= set(told["versions"]) <= set(built)


def test_an_open_version_answers_after_its_folder_was_pruned(library: Library) -> None:
    library.build()
    reader = SnapshotReader(library.index, library.embedder.fingerprint)
    held = reader.current()
    shutil.rmtree(held.folder)
    assert search(held, library.embedder, "Which SQL topics come first?", count=2).passages[0].document == "skills/sql"
    catalogue = search(held, library.embedder, "Which SQL topics?", count=2, only=Filter(kinds=("catalogue",)))
    assert {passage.kind for passage in catalogue.passages} == {"catalogue"}
