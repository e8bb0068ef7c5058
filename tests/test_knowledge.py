"""The knowledge check finds what it is there to find, and the library that we ship passes it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from coach.ingest.check import KnowledgeReport, check_knowledge, load_guides, readability, render_index

ROOT = Path(__file__).resolve().parent.parent
TODAY = date(2026, 11, 24)
SEED_TOPICS = ("roles", "skills", "path", "mlops", "getting-hired", "interviews", "small-language-models")
HEAD = """\
---
title: "A whole guide"
summary: "What a guide must have."
topics: [python]
audience: [starting, junior]
as_of: 2026-11-01
review_by: 2027-11-01
licence: CC BY 4.0
sources:
  - id: own
    title: "A source"
    publisher: "A publisher"
    url: https://example.org/
    accessed: 2026-11-01
---
"""
FIRST = "A whole guide answers its title in the first paragraph, in plain words and without reaching back.\n\n"
FILLER = "\n".join(
    f"- Point {number} of the guide tells a reader one plain thing that helps at work on a normal day."
    for number in range(1, 25)
)
SECTION = "## Why is it so?\n\nThe guide is so because people read the first lines only.\n\n"
BODY = FIRST + SECTION + FILLER + "\n"

Check = Callable[..., KnowledgeReport]


@pytest.fixture
def check(own_knowledge: Path) -> Check:
    """Checks a library that holds just the guides given as name=text."""

    def check(**guides: str) -> KnowledgeReport:
        for path in (own_knowledge / "guides").rglob("*.md"):
            path.unlink()
        for name, text in guides.items():
            path = own_knowledge / "guides" / "skills" / f"{name}.md"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        return check_knowledge(own_knowledge, today=TODAY)

    return check


def about(report: KnowledgeReport, guide: str = "skills/a") -> list[str]:
    return [f"{finding.line}: {finding.message}" for finding in report.findings if finding.path == guide]


def test_a_whole_guide_has_no_finding(check: Check) -> None:
    report = check(a=HEAD + BODY)
    assert about(report) == []
    assert report.documents == 1
    assert report.words > 400
    assert report.folders == {"skills": (1, report.words)}


@pytest.mark.parametrize("key", ["title", "summary", "topics", "audience", "as_of", "review_by", "licence", "sources"])
def test_each_key_of_the_front_matter_is_asked_for(check: Check, key: str) -> None:
    lines = HEAD.splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(f"{key}:")]
    if key == "sources":
        kept = [line for line in kept if not line.startswith("  ")]
    assert any(f"no {key!r}" in finding for finding in about(check(a="".join(kept) + BODY)))


@pytest.mark.parametrize("key", ["title", "publisher", "url", "accessed"])
def test_each_key_of_a_source_is_asked_for(check: Check, key: str) -> None:
    head = "".join(line for line in HEAD.splitlines(keepends=True) if not line.startswith(f"    {key}:"))
    assert any(f"has no {key!r}" in finding for finding in about(check(a=head + BODY)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD.replace("junior]", "wizards]") + BODY, "1: audience 'wizards' is none of"),
        (HEAD.replace("as_of: 2026-11-01", "as_of: lately") + BODY, "1: as_of 'lately' is not a date"),
        (HEAD.replace("review_by: 2027-11-01", "review_by: 2026-01-01") + BODY, "1: was to be reviewed by 2026-01-01"),
        (HEAD + FIRST, "words; a guide has 400 to 1500"),
        (HEAD + BODY + FILLER * 4, "words; a guide has 400 to 1500"),
        (HEAD + BODY + "\nSee [more](nowhere.md).\n", "links to nowhere.md, which does not exist"),
        (HEAD + BODY + "\nSee [more](../../../etc/passwd).\n", "which does not exist"),
        (
            HEAD + FIRST + "## Why?\n\n- A list comes first.\n\n" + FILLER,
            "under 'Why?' there is no answering paragraph",
        ),
        (HEAD + FIRST + "## Why?\n\nThis is so.\n\n" + FILLER, "under 'Why?' begins with a word that reaches back"),
        (HEAD + FIRST + f"## Why?\n\n{'many words here ' * 25}.\n\n" + FILLER, "under 'Why?' has 75 words; at most 60"),
        (HEAD.replace("as_of:", 'asked_as: {"Whence?": [x]}\nas_of:') + BODY, "'Whence?', which is no heading"),
        (HEAD.replace("as_of:", 'asked_as: {lead: [x], "Why?": [x]}\nas_of:') + BODY, "'x' is asked of 'skills/a#lead' too"),
        (HEAD + BODY + "\nIn Oslo 40% of engineers earn $90,000 a year.\n", "a figure without a source: 'In Oslo 40%"),
        (HEAD + BODY + "\nIn Oslo 40% of engineers cycle.[^other]\n", "the mark [^other] names no source"),
    ],
)
def test_what_is_wrong_is_found(check: Check, text: str, message: str) -> None:
    assert any(message in finding for finding in about(check(a=text))), about(check(a=text))


def test_a_finding_has_the_line_of_the_file(check: Check) -> None:
    text = HEAD + BODY + "\nIn Oslo 40% of engineers cycle.\n"
    line = text.splitlines().index("In Oslo 40% of engineers cycle.") + 1
    assert any(finding.startswith(f"{line}: a figure") for finding in about(check(a=text)))


def test_a_figure_with_its_mark_or_in_an_example_is_fine(check: Check) -> None:
    text = HEAD + BODY + "\nIn Oslo 40% of engineers cycle.[^own]\n\nExample: 40% of 10 are 4.\n"
    assert about(check(a=text)) == []


def test_the_same_paragraph_in_two_guides_is_found(check: Check) -> None:
    report = check(a=HEAD + BODY, b=HEAD + BODY.replace("A whole guide", "Another guide"))
    assert any("says the same as skills/b" in finding for finding in about(report))


def test_a_catalogue_row_that_refers_to_no_guide_is_found(check: Check) -> None:
    report = check(a=HEAD + BODY)
    found = [finding.message for finding in report.errors if finding.path == "knowledge/catalogue"]
    assert any("refers to the guide 'skills/sql'" in message for message in found)


def test_warnings_do_not_fail_the_check(check: Check) -> None:
    report = check(a=HEAD.replace("review_by: 2027-11-01", "review_by: 2026-01-01") + BODY)
    assert "skills/a" in {finding.path for finding in report.findings}
    assert "skills/a" not in {finding.path for finding in report.errors}


def test_long_words_in_long_sentences_read_harder() -> None:
    easy = "We read. We test. We ship it. You can too."
    hard = (
        "Organisational interdependencies necessitate comprehensive reconsideration of methodological presuppositions."
    )
    assert readability(hard) > readability(easy)
    assert readability("```\ncode\n```") == 0.0


# -- the library that we ship ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped() -> KnowledgeReport:
    return check_knowledge(ROOT / "knowledge")


def test_the_shipped_library_passes_its_check(shipped: KnowledgeReport) -> None:
    assert [f"{f.path}:{f.line}: {f.message}" for f in shipped.errors] == []


def test_the_shipped_library_covers_every_seed_topic(shipped: KnowledgeReport) -> None:
    assert set(SEED_TOPICS) <= set(shipped.folders)
    assert shipped.documents >= 25
    assert all(count > 0 for count in shipped.catalogue.values())


def test_each_of_the_five_models_has_a_guide() -> None:
    from coach.catalogue.tables import Catalogue

    guides = {guide.id for guide in load_guides(ROOT / "knowledge" / "guides")}
    mission = [model for model in Catalogue(ROOT / "knowledge" / "catalogue").models.values() if model.mission]
    assert len(mission) == 5
    assert [model.id for model in mission if (model.guide or "") not in guides] == []


def test_every_figure_of_a_model_has_a_dated_source() -> None:
    from coach.catalogue.tables import Catalogue

    for model in Catalogue(ROOT / "knowledge" / "catalogue").models.values():
        assert model.sources, model.id
        for source in model.sources:
            assert source.url.startswith("https://"), model.id
            assert date.fromisoformat(source.accessed), model.id
        for score in model.scores:
            assert score.as_of, model.id


def test_the_index_page_lists_every_guide() -> None:
    page = render_index(ROOT / "knowledge")
    for guide in load_guides(ROOT / "knowledge" / "guides"):
        assert f"(guides/{guide.id}.md)" in page


def test_a_skill_is_in_a_role_or_a_prerequisite_or_the_readme_says_why_not() -> None:
    from coach.catalogue.tables import Catalogue

    catalogue = Catalogue(ROOT / "knowledge" / "catalogue")
    asked = {need.skill for role in catalogue.roles.values() for at in role.levels for need in at.skills}
    before = {name for skill in catalogue.skills.values() for name in skill.prerequisites}
    explained = " ".join((ROOT / "knowledge" / "README.md").read_text("utf-8").split("## Add a catalogue row")[1].split())
    rest = [skill.name for skill in catalogue.skills.values() if skill.id not in asked | before]
    assert [name for name in rest if name not in explained] == []
