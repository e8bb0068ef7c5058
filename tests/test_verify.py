"""The verifier: sentences as exact spans, the exact-fact gate, computed citations, the support score."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coach.domain import Passage
from coach.errors import KnowledgeError
from coach.retrieval.embedder import HashingEmbedder
from coach.verify import Verifier, split_sentences
from coach.verify.contrast import exaggerates, says_the_opposite
from coach.verify.facts import contradicts, find_facts, missing_facts
from coach.verify.sentences import without_lead_in
from evals.grounding import evaluate, read_pairs, score_pairs

NAMES = ("Qwen3-0.6B", "SmolLM3-3B", "SmolLM3", "Gemma-3-4B-it", "Qwen3-4B-Instruct-2507")
QWEN = Passage(
    "models/qwen#facts", "Qwen3-0.6B",
    "Qwen3-0.6B has 0.6 billion parameters and a context of 32,768 tokens. It is published under the Apache-2.0 "
    "licence. In 8 bits it needs about 1.2 GB of memory. It cannot read images.", "https://example.org/qwen",
    heading="Facts")
SMOL = Passage(
    "models/smol#facts", "SmolLM3-3B",
    "SmolLM3-3B was released on 8 July 2025 with three billion parameters. It is published under the Apache-2.0 "
    "licence and needs 1.9 GB of memory in 4 bits.", "https://example.org/smol", heading="Facts")
PATH = Passage(
    "path/engineer#first-steps", "Becoming a machine learning engineer",
    "Learn Python first, then statistics and linear algebra. You do not need a PhD to work as a machine learning "
    "engineer.\n\n- Build two projects that solve a real problem.\n- Put them on GitHub with a clear README.\n",
    "https://example.org/path", heading="First steps")
EVIDENCE = (QWEN, SMOL, PATH)


@pytest.fixture
def verifier() -> Verifier:
    return Verifier(HashingEmbedder(), threshold=0.5, names=NAMES)


def texts(text: str) -> list[str]:
    return [text[span.start : span.end] for span in split_sentences(text)]


def facts_missing(sentence: str, evidence: str) -> list[str]:
    return missing_facts(find_facts(sentence, NAMES), [find_facts(evidence, NAMES)], evidence)


# -- sentences -------------------------------------------------------------------------------------------------------


def test_abbreviations_versions_and_model_names_do_not_end_a_sentence() -> None:
    assert texts("Use Qwen3-0.6B. It runs on small machines, e.g. a laptop, with Python 3.11.2 vs. 3.12. Good.") == [
        "Use Qwen3-0.6B.", "It runs on small machines, e.g. a laptop, with Python 3.11.2 vs. 3.12.", "Good."]


def test_a_marker_stays_with_its_sentence() -> None:
    assert texts("One is true [1]. Two is true. [2][3] Three is [1, 2].") == [
        "One is true [1].", "Two is true. [2][3]", "Three is [1, 2]."]


def test_items_and_rows_are_sentences_and_headings_rules_and_code_are_none() -> None:
    text = ("# Title\n\nProse.\n- first. Still first\n  and on.\n- second\n1. step\n\n| a | b |\n|---|---|\n"
            "| 1 | 2 |\n\n```python\nx = 1. Y\n```\n~~~\ncode. more\n~~~\n\nHeading\n=======\nEnd.")
    assert texts(text) == ["Prose.", "- first. Still first\n  and on.", "- second", "1. step", "| a | b |", "| 1 | 2 |",
                           "End."]


def test_a_quotation_is_split_without_its_mark() -> None:
    assert texts("> One here. Two here.") == ["One here.", "Two here."]


@given(st.text(alphabet=st.sampled_from("aB1 .!?\n-#|>*`[]é😀。=~\t\r"), max_size=80))
@settings(max_examples=200, deadline=None)
def test_spans_are_ordered_lie_in_the_text_and_hold_text(text: str) -> None:
    end = 0
    for span in split_sentences(text):
        assert end <= span.start < span.end <= len(text)
        assert text[span.start : span.end] == text[span.start : span.end].strip()
        end = span.end


# -- exact facts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sentence", "evidence"), [
    ("It has 4B parameters.", "It has 4 billion parameters."),
    ("It has 4B parameters.", "It has 4,022,468,096 parameters."),
    ("A context of 32K tokens.", "A context of 32,768 tokens."),
    ("It costs $120,000.", "It costs 120k dollars."),
    ("It takes six to nine months.", "It takes 6-9 months."),
    ("A rise of 15 percent.", "A rise of 15%."),
    ("Released in July 2025.", "Released on 2025-07-08."),
    ("Released in 2025.", "Released on July 8, 2025."),
    ("Apache-2.0 applies.", "It is under the Apache License, Version 2.0."),
    ("The MIT licence applies.", "Licence: MIT."),
    ("Use Gemma-3-4B.", "Use gemma-3-4b-it."),
    ("Use SmolLM3.", "Use SmolLM3-3B."),
    ("Pick one of them.", "Pick any."),
    ("It needs 8GB.", "It needs 8 GB."),
    ("A Qwen3-0.6B-based coach.", "Qwen3 0.6B answers."),
])
def test_the_same_fact_written_in_another_way_is_found(sentence: str, evidence: str) -> None:
    assert facts_missing(sentence, evidence) == []


@pytest.mark.parametrize(("sentence", "evidence"), [
    ("It has 4,022,468,096 parameters.", "It has 4B parameters."),  # more exact than its source
    ("It has 4B parameters.", "It has 8B parameters."),
    ("It needs 8 GiB.", "It needs 8 GB."),
    ("It needs 8 MB.", "It needs 8 GB."),
    ("It takes 6 weeks.", "It takes 6 months."),
    ("It costs €100.", "It costs $100."),
    ("Released in June 2025.", "Released on 8 July 2025."),
    ("The MIT licence applies.", "The Apache-2.0 licence applies."),
    ("CC BY 4.0 applies.", "CC BY-NC 4.0 applies."),
    ("Use Qwen3-1.7B.", "Use Qwen3-0.6B."),
    ("Use GPT-4.", "Use GPT-4o."),
    ("Use PyTorch.", "Use TensorFlow."),
    ("Use version 5.23.1.", "Use version 5.23.2."),
    ("Use Q8_0.", "Use Q4_K_M."),
])
def test_another_fact_is_missing(sentence: str, evidence: str) -> None:
    assert facts_missing(sentence, evidence)


@pytest.mark.parametrize(("sentence", "evidence", "denied"), [
    ("You need a PhD.", "You do not need a PhD to work as an engineer.", True),
    ("You don't need a degree.", "You need a degree.", True),
    ("It needs a GPU.", "It runs on a CPU and needs no GPU.", True),
    ("Start with theory.", "Do not start with theory. Start with code.", True),
    ("Start with code.", "Do not start with theory. Start with code.", False),
    ("It is small and runs on a laptop.", "It is small, not large, and runs on a laptop.", False),
    ("You need maths and code.", "You need not only maths but also code.", False),
    ("It runs without a GPU.", "It needs no GPU to run.", False),
])
def test_what_is_denied_is_told_from_what_is_stated(sentence: str, evidence: str, denied: bool) -> None:
    assert contradicts(sentence, evidence) is denied


@pytest.mark.parametrize(("claim", "source", "too_much"), [
    ("Every engineer needs a PhD.", "Most engineers work without a PhD.", True),
    ("Neural networks always win on tables.", "Tree ensembles usually win on tables.", True),
    ("A registry and tracking are the same thing.", "Tracking records runs; a registry names versions.", True),
    ("The licence forbids commercial use.", "The licence permits commercial use.", True),
    ("All models can be wrong.", "Every model can be wrong.", False),
    ("Only the encoder is used.", "The encoder alone is used.", False),
    ("Engineers allow for errors.", "Engineers allow for errors.", False),
])
def test_an_absolute_needs_one_in_its_source(claim: str, source: str, too_much: bool) -> None:
    assert exaggerates(claim, source) is too_much


@pytest.mark.parametrize(("claim", "source", "opposite"), [
    ("Split the data after scaling.", "Split the data before scaling.", True),
    ("A larger batch is slower.", "A larger batch is faster.", True),
    ("First read, last write.", "Read first and write last.", False),
    ("Test before and after.", "Test before.", False),
    ("It is fast.", "It is quick.", False),
])
def test_the_other_word_of_a_pair_is_an_opposite(claim: str, source: str, opposite: bool) -> None:
    assert says_the_opposite(claim, source) is opposite


# -- checked sentences -----------------------------------------------------------------------------------------------


def test_a_supported_sentence_cites_the_exact_span(verifier: Verifier) -> None:
    sentence = verifier.check("Qwen3-0.6B has 0.6 billion parameters and a context of 32,768 tokens.", EVIDENCE)
    assert sentence is not None
    assert sentence.verdict == "supported"
    assert sentence.support >= 0.5
    (citation,) = sentence.citations
    assert citation.passage == QWEN.id
    assert QWEN.text[citation.start : citation.end] == (
        "Qwen3-0.6B has 0.6 billion parameters and a context of 32,768 tokens.")


def test_a_wrong_marker_is_corrected_and_not_shown(verifier: Verifier) -> None:
    sentence = verifier.check("You do not need a PhD to work as a machine learning engineer [1][2].", EVIDENCE)
    assert sentence is not None
    assert "[" not in sentence.text
    assert [citation.passage for citation in sentence.citations] == [PATH.id]


@pytest.mark.parametrize("draft", [
    "Qwen3-0.6B has 0.9 billion parameters and a context of 32,768 tokens.",
    "Qwen3-0.6B is published under the MIT licence.",
    "Qwen3-1.7B has 0.6 billion parameters and a context of 32,768 tokens.",
    "In 8 bits Qwen3-0.6B needs about 1.2 GiB of memory.",
    "SmolLM3-3B was released on 9 July 2025 with three billion parameters.",
    "You need a PhD to work as a machine learning engineer.",
    "Most employers in Oslo pay engineers by the number of cats they own.",
    "",
    "[1]",
])
def test_what_the_evidence_does_not_say_is_withheld(verifier: Verifier, draft: str) -> None:
    assert verifier.check(draft, EVIDENCE) is None


@pytest.mark.parametrize("draft", [
    "Always learn Python first, then statistics and linear algebra.",
    "Learn Python last, then statistics and linear algebra.",
    "Put them on GitHub with a README that guarantees a job.",
])
def test_what_goes_further_than_its_source_or_the_other_way_is_withheld(verifier: Verifier, draft: str) -> None:
    plain = draft.replace("Always learn", "Learn").replace("last", "first").replace(" that guarantees a job", "")
    assert verifier.check(plain, EVIDENCE) is not None
    assert verifier.check(draft, EVIDENCE) is None


@pytest.mark.parametrize("lead_in", [
    "Based on the information provided in the passages, learn", "According to passage 3, learn",
    "As stated in the context, learn", "The passage states that learn", 'The passage 3 states: "Learn',
    "Based on the passages, the correct answer is that learn",
])
def test_talk_about_passages_is_not_shown(verifier: Verifier, lead_in: str) -> None:
    draft = f"{lead_in} Python first, then statistics and linear algebra." + '"' * ('"' in lead_in)
    sentence = verifier.check(draft, EVIDENCE)
    assert sentence is not None
    assert sentence.text == "Learn Python first, then statistics and linear algebra."


@pytest.mark.parametrize("text", ["According to the US Bureau of Labor Statistics, pay rose.", "Based on size, choose one."])
def test_a_source_that_is_named_stays(text: str) -> None:
    assert without_lead_in(text) == text


def test_a_figure_of_another_model_is_withheld(verifier: Verifier) -> None:
    both = Passage("models#fit", "Memory", "Qwen3-0.6B needs about 1.2 GB of memory. SmolLM3-3B needs about 1.9 GB of "
                   "memory.", "https://example.org")
    assert verifier.check("SmolLM3-3B needs about 1.9 GB of memory.", [both]) is not None
    assert verifier.check("SmolLM3-3B needs about 1.2 GB of memory.", [both]) is None


def test_facts_of_two_passages_do_not_make_one_sentence(verifier: Verifier) -> None:
    evidence = [Passage("a#x", "Time", "The way to a first job takes 18 months at 10 hours a week.", "s"),
                Passage("b#x", "Time", "The way to a full-time job takes people 40 hours a week.", "s")]
    assert verifier.check("The way to a first job takes 18 months at 10 hours a week.", evidence) is not None
    assert verifier.check("The way to a first job takes 18 months at 40 hours a week.", evidence) is None


def test_it_means_what_the_question_asked_about(verifier: Verifier) -> None:
    draft = "It was released on 8 July 2025 with three billion parameters."
    assert verifier.check(draft, EVIDENCE, question="When was SmolLM3-3B released?") is not None
    assert verifier.check(draft, EVIDENCE, question="When was Qwen3-0.6B released?") is None


def test_a_list_item_is_cited_whole_and_shown_without_its_mark(verifier: Verifier) -> None:
    sentence = verifier.check("- Build two projects that solve a real problem", EVIDENCE)
    assert sentence is not None
    assert sentence.text == "Build two projects that solve a real problem."
    (citation,) = sentence.citations
    assert PATH.text[citation.start : citation.end] == "- Build two projects that solve a real problem."


def test_prepared_evidence_is_embedded_once_and_gives_the_same_answer() -> None:
    embedder = _CountingEmbedder()
    verifier = Verifier(embedder, names=NAMES)
    draft = "Learn Python first, then statistics and linear algebra."
    prepared = verifier.prepare(EVIDENCE)
    embedder.texts = 0
    assert verifier.check(draft, prepared) == verifier.check(draft, prepared)
    assert embedder.texts == 2
    assert verifier.check(draft, prepared) == verifier.check(draft, EVIDENCE)


def test_no_evidence_supports_nothing(verifier: Verifier) -> None:
    empty = Passage("empty#", "Empty", "# Only a heading\n", "https://example.org")
    assert verifier.check("Learn Python first.", []) is None
    assert verifier.check("Learn Python first.", [empty]) is None
    assert verifier.support("Learn Python first.", ["", "  "]) == 0.0


def test_a_quotation_cites_itself(verifier: Verifier) -> None:
    span = split_sentences(QWEN.text)[1]
    sentence = verifier.quote(QWEN, span.start, span.end)
    assert sentence.text == "It is published under the Apache-2.0 licence."
    assert (sentence.verdict, sentence.support) == ("quoted", 1.0)
    assert sentence.citations[0].start == span.start


@pytest.mark.parametrize("passage", EVIDENCE, ids=lambda passage: passage.id)
def test_every_sentence_of_a_passage_is_supported_by_it(verifier: Verifier, passage: Passage) -> None:
    for span in split_sentences(passage.text):
        assert verifier.check(passage.text[span.start : span.end], [passage]) is not None


_WORDS = st.sampled_from(
    ["Python", "statistics", "Qwen3-0.6B", "32,768", "tokens", "not", "a", "PhD", "needs", ".", "\n", "-", "|"])


@given(st.lists(_WORDS, max_size=14), st.lists(st.lists(_WORDS, max_size=20), max_size=3))
@settings(max_examples=80, deadline=None)
def test_citations_always_lie_inside_their_passage(draft: list[str], evidence: list[list[str]]) -> None:
    passages = [Passage(f"p{n}#x", "Title", " ".join(words), "s") for n, words in enumerate(evidence)]
    text_of = {passage.id: passage.text for passage in passages}
    sentence = Verifier(HashingEmbedder(), threshold=0.0, names=NAMES).check(" ".join(draft), passages)
    for citation in sentence.citations if sentence else ():
        assert 0 <= citation.start < citation.end <= len(text_of[citation.passage])


def test_support_is_higher_for_the_reference_that_states_the_claim(verifier: Verifier) -> None:
    claim = "You do not need a PhD to work as a machine learning engineer."
    assert verifier.support(claim, [PATH.text]) > 0.7 > 0.3 > verifier.support(claim, [SMOL.text])


# -- scoring pairs ---------------------------------------------------------------------------------------------------


def test_pairs_are_scored_by_id(tmp_path: Path) -> None:
    pairs, out = tmp_path / "pairs.jsonl", tmp_path / "scores.jsonl"
    rows = [{"id": "a", "claim": "Learn Python first.", "references": [PATH.text]},
            {"id": "b", "claim": "Cats sleep all day.", "references": [PATH.text, SMOL.text]},
            {"id": "c", "claim": "Nothing.", "references": []}]
    pairs.write_text("\n".join(map(json.dumps, rows)) + "\n", "utf-8")
    assert score_pairs(pairs, out, HashingEmbedder()) == 3
    scores = {row["id"]: row["score"] for row in map(json.loads, out.read_text("utf-8").splitlines())}
    assert scores["a"] > scores["b"]
    assert scores["c"] == 0.0
    assert all(0.0 <= score <= 1.0 for score in scores.values())


@pytest.mark.parametrize("row", ["{", "[]", '{"id": "x", "claim": "y"}', '{"id": "x", "claim": 3, "references": []}',
                                 '{"id": "x", "claim": "y", "references": [1]}',
                                 '{"id": "x", "claim": "y", "references": [], "label": 2}'])
def test_a_bad_row_is_named_by_its_line_and_leaves_no_scores(tmp_path: Path, row: str) -> None:
    pairs, out = tmp_path / "pairs.jsonl", tmp_path / "scores.jsonl"
    pairs.write_text('{"id": "a", "claim": "b", "references": ["c"]}\n\n' + row + "\n", "utf-8")
    with pytest.raises(KnowledgeError, match="line 3"):
        list(read_pairs(pairs))
    with pytest.raises(KnowledgeError, match="line 3"):
        score_pairs(pairs, out, HashingEmbedder())
    assert not out.exists()


def test_the_report_knows_perfect_and_random_scores() -> None:
    labels = np.array([1, 0] * 10)
    perfect = evaluate(labels, labels.astype(float))
    assert (perfect.auc, perfect.balanced_accuracy, perfect.calibration_error) == (1.0, 1.0, 0.0)
    assert evaluate(labels, np.full(20, 0.5)).auc == 0.5


class _CountingEmbedder(HashingEmbedder):
    """Counts the texts it embeds."""

    texts = 0

    def embed_documents(self, texts):  # type: ignore[no-untyped-def]  # as its base class
        self.texts += len(texts)
        return super().embed_documents(texts)
