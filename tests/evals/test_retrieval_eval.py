"""The retrieval and chunking measures: known rankings give known figures, whole folders go through the product's code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coach.domain import Passage
from coach.errors import ConfigError
from coach.retrieval.embedder import HashingEmbedder
from evals import chunking, retrieval
from evals.chunking import SpanQuestion, covered, score_overlap
from evals.retrieval import Run, load_collection, score_each, score_run, write_trec_run

DOCUMENTS = {
    "a#1": ("Wings", "Lift of a wing in a propeller slipstream, measured at several angles of attack."),
    "b": ("Heat", "Heat transfer in a laminar boundary layer at high speed over a flat plate."),
    "c": ("Shells", "Buckling of thin cylindrical shells under axial compression and bending."),
}


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    """A BEIR folder of three documents, one of them far longer than a chunk, and three queries, two of them judged."""
    folder = tmp_path / "tiny"
    (folder / "qrels").mkdir(parents=True)
    rows = [{"_id": id_, "title": title, "text": text + (" Filler about nothing." * 300 if id_ == "c" else "")}
            for id_, (title, text) in DOCUMENTS.items()]
    _write_jsonl(folder / "corpus.jsonl", rows)
    _write_jsonl(folder / "queries.jsonl", [{"_id": "1", "text": "lift of a wing in a slipstream"},
                                            {"_id": "2", "text": "buckling of cylindrical shells"},
                                            {"_id": "3", "text": "not judged"}])
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n1\ta#1\t2\n2\tc\t1\n", "utf-8")
    return folder


def test_a_beir_folder_gives_every_arm_every_metric_and_a_run_file(beir: Path, tmp_path: Path) -> None:
    report = retrieval.evaluate(beir, HashingEmbedder(), run_dir=tmp_path / "runs")
    assert {arm: set(values) for arm, values in report.items()} == {
        arm: {"ndcg@10", "recall@100", "mrr@10"} for arm in ("dense", "bm25", "hybrid")}
    assert report["bm25"]["ndcg@10"] == 1.0
    assert report["hybrid"]["recall@100"] == 1.0
    lines = (tmp_path / "runs" / "hybrid.trec").read_text("utf-8").splitlines()
    assert lines[0].split()[:4] == ["1", "Q0", "a#1", "1"]
    ranked = [line.split()[2] for line in lines if line.startswith("2 ")]
    assert len(ranked) == len(set(ranked)), "a document of many chunks stands once"


def test_metrics_of_a_known_ranking() -> None:
    run = Run("bm25", {"q": (("x", 3.0), ("good", 2.0))})
    assert score_run(run, [("q", "good", 1)]) == {"ndcg@10": 0.6309, "recall@100": 1.0, "mrr@10": 0.5}
    assert score_each(run, [("q", "good", 1)])["q"]["mrr@10"] == 0.5


def test_equal_scores_keep_their_order(tmp_path: Path) -> None:
    run = Run("bm25", {"q": (("z", 1.0), ("a", 1.0))})
    assert score_run(run, [("q", "z", 1)])["mrr@10"] == 1.0
    write_trec_run(run, tmp_path / "run")
    assert (tmp_path / "run").read_text("utf-8").splitlines()[1] == "q Q0 a 2 1.000000 bm25"


def test_a_damaged_folder_is_named_with_its_line(beir: Path) -> None:
    with (beir / "corpus.jsonl").open("a", encoding="utf-8") as file:
        file.write("{broken\n")
    with pytest.raises(ConfigError, match=r"corpus\.jsonl:4 is not JSON"):
        load_collection(beir)
    with pytest.raises(ConfigError, match="does not exist"):
        load_collection(beir / "nowhere")


def test_overlap_counts_characters_as_published() -> None:
    question = SpanQuestion("?", "own", ((10, 20), (50, 60)))
    chunks = [_chunk("0", 0, 15), _chunk("0", 10, 30), _chunk("1", 50, 60)]
    scores = score_overlap(question, chunks, ("own", "other"))
    assert scores.recall == 10 / 20
    assert scores.precision == 10 / 45
    assert scores.iou == 10 / (45 + 10)
    assert covered([(0, 5), (3, 8), (10, 12)]) == 10


def test_a_chunking_folder_is_measured_in_percent(tmp_path: Path) -> None:
    (tmp_path / "corpora").mkdir()
    text = "Cats sleep most of the day. " * 30 + "The launch was on the fourth of May. " + "Dogs bark at night. " * 30
    (tmp_path / "corpora" / "pets.md").write_text(text, "utf-8")
    start = text.index("The launch")
    _write_jsonl(tmp_path / "questions.jsonl", [{
        "question": "When was the launch?", "corpus_id": "pets",
        "references": [{"content": "", "start_index": start, "end_index": start + 36}]}])
    report = chunking.evaluate(tmp_path, HashingEmbedder(), chunk_tokens=64)
    assert report["hybrid"]["recall"] == 100.0
    assert 0 < report["hybrid"]["iou"] <= report["hybrid"]["precision"] < 100


def _chunk(document: str, start: int, end: int) -> Passage:
    return Passage(f"{document}#x", "", "", "", start=start, end=end)


def _write_jsonl(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
