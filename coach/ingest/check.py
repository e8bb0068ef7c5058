"""`coach knowledge check`: is every guide complete, sourced, linked, readable, and said only once?"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import mean
from typing import Any

from coach.catalogue.tables import Catalogue
from coach.errors import KnowledgeError
from coach.ingest.chunk import section_id, split_sections
from coach.ingest.read import split_front_matter

REQUIRED = ("title", "summary", "topics", "audience", "as_of", "review_by", "licence", "sources")
SOURCE_KEYS = ("id", "title", "publisher", "url", "accessed")
AUDIENCES = ("starting", "switching", "junior", "mid", "senior")
LEAST_WORDS, MOST_WORDS = 400, 1500
ANSWER_WORDS = 60
# Automated readability index (Senter and Smith 1967): a US school grade; 16 is the end of a first degree.
HARDEST_GRADE = 17.0
DUPLICATE_SHARE = 0.6
FIGURE = re.compile(r"\b(?:19|20)\d\d\b|\d\s?%|\d+ per ?cent\b|[$€£]\s?\d|\b\d[\d.,]* (?:million|billion|trillion)\b")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to mend: an error fails the check, a warning does not."""

    path: str
    line: int
    message: str
    severity: str = "error"


@dataclass(frozen=True, slots=True)
class Guide:
    """A guide as it is written: front matter, body, and the line at which the body starts."""

    id: str
    path: Path
    metadata: dict[str, Any]
    body: str
    first_line: int

    @property
    def folder(self) -> str:
        """The folder below guides/."""
        return self.id.split("/", 1)[0]

    @property
    def words(self) -> int:
        """Words of the body."""
        return len(re.findall(r"\b\w[\w'-]*", self.body))


@dataclass(frozen=True, slots=True)
class KnowledgeReport:
    """Counts and findings of one check."""

    documents: int
    words: int
    folders: dict[str, tuple[int, int]]
    catalogue: dict[str, int]
    grade: float
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that fail the check."""
        return tuple(finding for finding in self.findings if finding.severity == "error")


def check_knowledge(folder: Path, *, today: date | None = None) -> KnowledgeReport:
    """Check knowledge/guides and knowledge/catalogue below `folder`."""
    guides_dir = folder / "guides"
    guides = list(load_guides(guides_dir))
    findings: list[Finding] = []
    for guide in guides:
        findings += _check_front_matter(guide, today or date.today())
        findings += _check_links(guide, guides_dir)
        findings += _check_answers(guide)
        findings += _check_figures(guide)
    findings += _check_wordings(guides)
    findings += _check_duplicates(guides)
    catalogue = Catalogue(folder / "catalogue")
    findings += [Finding("knowledge/catalogue", 0, problem) for problem in catalogue.problems()]
    findings += _check_guide_references(catalogue, guides)
    folders: dict[str, tuple[int, int]] = {}
    for guide in guides:
        count, words = folders.get(guide.folder, (0, 0))
        folders[guide.folder] = (count + 1, words + guide.words)
    tables = {name: len(getattr(catalogue, name)) for name in ("roles", "skills", "models", "questions", "resources")}
    grade = mean(readability(guide.body) for guide in guides) if guides else 0.0
    return KnowledgeReport(len(guides), sum(g.words for g in guides), folders, tables, round(grade, 1), tuple(findings))


def load_guides(folder: Path) -> Iterator[Guide]:
    """Every Markdown guide below the folder."""
    for path in sorted(folder.rglob("*.md")):
        metadata, body, line = split_front_matter(path.read_text("utf-8"), path)
        yield Guide(path.relative_to(folder).with_suffix("").as_posix(), path, metadata, body, line)


def readability(text: str) -> float:
    """The automated readability index of prose: 4.71 × characters per word + 0.5 × words per sentence − 21.43."""
    prose = re.sub(r"(?s:```.*?```)|(?m:^\|.*$)|(?m:^#.*$)|\[\^[^\]]+\]", " ", text)
    words = re.findall(r"[A-Za-z0-9][\w'-]*", prose)
    sentences = max(1, len(re.findall(r"[.!?](?:\s|$)", prose)))
    if not words:
        return 0.0
    return 4.71 * sum(map(len, words)) / len(words) + 0.5 * len(words) / sentences - 21.43


def render_index(folder: Path) -> str:
    """knowledge/INDEX.md: which guides there are, by folder, and for whom."""
    guides = list(load_guides(folder / "guides"))
    lines = ["# What the coach knows", "", "Made by `coach knowledge index`; do not edit.", "",
             "| folder | guides | words | " + " | ".join(AUDIENCES) + " |", "|---|---:|---:|" + "---:|" * len(AUDIENCES)]
    by_folder: dict[str, list[Guide]] = defaultdict(list)
    for guide in guides:
        by_folder[guide.folder].append(guide)
    for name, group in sorted(by_folder.items()):
        readers = Counter(reader for guide in group for reader in guide.metadata.get("audience") or ())
        lines.append(f"| {name} | {len(group)} | {sum(g.words for g in group):,} | "
                     + " | ".join(str(readers[reader]) for reader in AUDIENCES) + " |")
    lines.append(f"| **all** | **{len(guides)}** | **{sum(g.words for g in guides):,}** |" + " |" * len(AUDIENCES))
    for name, group in sorted(by_folder.items()):
        lines += ["", f"## {name}", ""]
        lines += [f"- [{guide.metadata.get('title', guide.id)}](guides/{guide.id}.md): "
                  f"{guide.metadata.get('summary', '')}" for guide in group]
    return "\n".join(lines) + "\n"


def _check_front_matter(guide: Guide, today: date) -> Iterator[Finding]:
    path = guide.id
    for key in REQUIRED:
        if not guide.metadata.get(key):
            yield Finding(path, 1, f"front matter has no {key!r}. Add it.")
    for source in guide.metadata.get("sources") or ():
        for key in SOURCE_KEYS:
            if not (isinstance(source, dict) and source.get(key)):
                yield Finding(path, 1, f"source {source!r} has no {key!r}. Add it.")
    for reader in guide.metadata.get("audience") or ():
        if reader not in AUDIENCES:
            yield Finding(path, 1, f"audience {reader!r} is none of {', '.join(AUDIENCES)}.")
    for key in ("as_of", "review_by"):
        value = guide.metadata.get(key)
        if value and not isinstance(value, date):
            yield Finding(path, 1, f"{key} {value!r} is not a date like 2026-11-24.")
    review = guide.metadata.get("review_by")
    if isinstance(review, date) and review < today:
        yield Finding(path, 1, f"was to be reviewed by {review}. Check its facts and move the date.", "warning")
    if not LEAST_WORDS <= guide.words <= MOST_WORDS:
        yield Finding(path, guide.first_line, f"has {guide.words} words; a guide has {LEAST_WORDS} to {MOST_WORDS}.")
    grade = readability(guide.body)
    if grade > HARDEST_GRADE:
        yield Finding(path, guide.first_line, f"is hard to read (grade {grade:.1f}). Shorten sentences.", "warning")


def _check_links(guide: Guide, guides_dir: Path) -> Iterator[Finding]:
    for number, line in enumerate(guide.body.splitlines(), start=guide.first_line):
        for target in re.findall(r"\]\(([^)\s]+)\)", line):
            if re.match(r"[a-z]+:", target) or target.startswith("#"):
                continue
            file = (guide.path.parent / target.split("#")[0]).resolve()
            if not file.is_file() or guides_dir.resolve() not in file.parents:
                yield Finding(guide.id, number, f"links to {target}, which does not exist.")


def _check_answers(guide: Guide) -> Iterator[Finding]:
    """Under every heading the first paragraph answers it by itself."""
    heading, line_of_heading, waiting, fenced = "the title", guide.first_line, True, False
    paragraph: list[str] = []
    for number, line in enumerate([*guide.body.splitlines(), ""], start=guide.first_line):
        fenced ^= line.startswith("```")
        if match := re.match(r"#{1,6}\s+(.+)", line) if not fenced else None:
            heading, line_of_heading, waiting, paragraph = match[1], number, True, []
        elif line.strip():
            paragraph.append(line)
        elif paragraph and waiting:
            yield from _check_first_paragraph(guide, heading, line_of_heading, " ".join(paragraph))
            waiting, paragraph = False, []
        else:
            paragraph = []


def _check_first_paragraph(guide: Guide, heading: str, line: int, text: str) -> Iterator[Finding]:
    words = len(re.findall(r"\b\w[\w'-]*", re.sub(r"\[\^[^\]]+\]", "", text)))
    if re.match(r"[-*|>]|\d+\.|```", text):
        yield Finding(guide.id, line, f"under {heading!r} there is no answering paragraph first.")
    elif words > ANSWER_WORDS:
        yield Finding(guide.id, line, f"the answer under {heading!r} has {words} words; at most {ANSWER_WORDS}.")
    if re.match(r"(This|It|They|These|Such|That|Those)\b", text):
        yield Finding(guide.id, line, f"the answer under {heading!r} begins with a word that reaches back.")


def _check_figures(guide: Guide) -> Iterator[Finding]:
    """A figure about the world carries the mark of its source."""
    known = {str(source.get("id")) for source in guide.metadata.get("sources") or () if isinstance(source, dict)}
    fenced = False
    for number, line in enumerate(guide.body.splitlines(), start=guide.first_line):
        fenced ^= line.startswith("```")
        for mark in re.findall(r"\[\^([^\]]+)\]", line):
            if mark not in known:
                yield Finding(guide.id, number, f"the mark [^{mark}] names no source of the front matter.")
        if fenced or re.match(r"\s*(?:Example\b|\||```)", line):
            continue
        for sentence in re.split(r"(?<=[.!?\]])\s+(?=[A-Z-])", line):
            if FIGURE.search(sentence) and "[^" not in sentence:
                yield Finding(guide.id, number, f"a figure without a source: {sentence.strip()[:90]!r}.")


def _check_wordings(guides: list[Guide]) -> Iterator[Finding]:
    """Every heading of `asked_as` is there, and no wording leads to two places."""
    places: dict[str, str] = {}
    for guide in guides:
        headings = {section.heading or "lead" for section in split_sections(guide.body)}
        for heading, wordings in (guide.metadata.get("asked_as") or {}).items():
            if heading not in headings:
                yield Finding(guide.id, 1, f"asked_as names {heading!r}, which is no heading of the guide.")
            for wording in wordings:
                place = f"{guide.id}#{heading}"
                if places.setdefault(wording.lower(), place) != place:
                    yield Finding(guide.id, 1, f"{wording!r} is asked of {places[wording.lower()]!r} too. Reword one.")


def _check_duplicates(guides: list[Guide]) -> Iterator[Finding]:
    """Paragraphs of different guides that share most of their runs of six words."""
    owners: dict[tuple[str, ...], set[int]] = defaultdict(set)
    paragraphs: list[tuple[Guide, str, set[tuple[str, ...]]]] = []
    for guide in guides:
        for text in re.split(r"\n\s*\n", re.sub(r"```.*?```", "", guide.body, flags=re.DOTALL)):
            words = re.findall(r"\w+", text.lower())
            if len(words) < 15:
                continue
            runs = {tuple(words[i : i + 6]) for i in range(len(words) - 5)}
            for run in runs:
                owners[run].add(len(paragraphs))
            paragraphs.append((guide, text, runs))
    reported: set[tuple[int, int]] = set()
    for position, (guide, text, runs) in enumerate(paragraphs):
        shared = Counter(other for run in runs for other in owners[run] if other > position)
        for other, count in shared.items():
            twin, _, twin_runs = paragraphs[other]
            if twin.id != guide.id and count / min(len(runs), len(twin_runs)) >= DUPLICATE_SHARE:
                reported.add((position, other))
                yield Finding(guide.id, 0, f"says the same as {twin.id}: {' '.join(text.split())[:80]!r}.")


def _check_guide_references(catalogue: Catalogue, guides: list[Guide]) -> Iterator[Finding]:
    try:
        rows = [*((s.id, s.guide) for s in catalogue.skills.values()), *((r.id, r.guide) for r in catalogue.roles.values()),
                *((m.id, m.guide) for m in catalogue.models.values() if m.guide),
                *((q.id, p.guide) for q in catalogue.questions.values() for p in q.rubric)]
    except KnowledgeError:
        return
    places = {guide.id for guide in guides} | {f"{guide.id}#{section_id(section.heading)}"
                                               for guide in guides for section in split_sections(guide.body)}
    for row, guide in sorted(set(rows)):
        if guide and guide not in places:
            yield Finding("knowledge/catalogue", 0, f"{row} refers to the guide {guide!r}, which does not exist.")
