"""Files to documents: Markdown, HTML, PDF, DOCX and plain text, each with a title and a source or refused."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from coach.domain import Source
from coach.errors import KnowledgeError

SUFFIXES = {".md", ".markdown", ".html", ".htm", ".pdf", ".docx", ".txt"}


@dataclass(frozen=True, slots=True)
class Document:
    """A document's readable text with its metadata. `id` is its path below the folder, without the ending.

    `asked_as` pairs a heading (`lead` for the text before the first) with other ways in which people ask for what stands
    under it.
    """

    id: str
    title: str
    text: str
    source: str
    as_of: str = ""
    audience: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    references: tuple[Source, ...] = ()
    path: str = ""
    asked_as: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def hash(self) -> str:
        """SHA-256 over everything that reaches the index."""
        references = [(r.title, r.publisher, r.url, r.accessed) for r in self.references]
        parts = (self.id, self.title, self.text, self.source, self.as_of, self.audience, self.topics, references,
                 self.asked_as)
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def find_files(places: Iterable[Path]) -> list[tuple[Path, Path]]:
    """Every readable file below the places, as (root, file), in a stable order."""
    found: list[tuple[Path, Path]] = []
    for place in places:
        if place.is_file():
            found.append((place.parent, place))
        elif place.is_dir():
            files = sorted(p for p in place.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
            found += [(place, path) for path in files if path.name not in {"README.md", "INDEX.md"}]
        else:
            raise KnowledgeError(f"{place} does not exist. Mend knowledge_dir or extra_knowledge.")
    return found


def read_documents(
    places: Iterable[Path], progress: Callable[[str, int, int], None] = lambda step, done, total: None
) -> list[Document]:
    """Read every document below the places; `progress("reading", done, total)` hears of each.

    Raises KnowledgeError with file and line for a document without title or source, or that cannot be read.
    """
    files = find_files(places)
    documents: dict[str, Document] = {}
    for position, (root, path) in enumerate(files, start=1):
        document = read_document(path, root)
        if document.id in documents:
            other = documents[document.id].path
            raise KnowledgeError(f"{document.path} and {other} have the same id {document.id!r}. Rename one.")
        documents[document.id] = document
        progress("reading", position, len(files))
    return list(documents.values())


def read_document(path: Path, root: Path) -> Document:
    """Read one file; metadata comes from front matter, a sidecar `<file>.yaml`, or the file's own properties."""
    suffix = path.suffix.lower()
    reader = {".md": _read_text, ".markdown": _read_text, ".txt": _read_text, ".html": _read_html, ".htm": _read_html,
              ".pdf": _read_pdf, ".docx": _read_docx}.get(suffix)
    if reader is None:
        raise KnowledgeError(f"{path}: files ending in {suffix!r} are not read. Known: {', '.join(sorted(SUFFIXES))}.")
    metadata, text = reader(path)
    sidecar = path.with_name(path.name + ".yaml")
    if sidecar.is_file():
        metadata = {**metadata, **_yaml(sidecar.read_text("utf-8"), sidecar, 1)}
    if suffix in {".md", ".markdown", ".html", ".htm"}:
        text = clean_markdown(text)
    if not text.strip():
        raise KnowledgeError(f"{path}, line 1: holds no readable text. Remove it, or run OCR over a scan first.")
    title = str(metadata.get("title") or "").strip()
    sources = _sources(metadata, path)
    source = str(metadata.get("source") or (sources[0].url if sources else "")).strip()
    if not title or not source:
        missing = "title" if not title else "source"
        raise KnowledgeError(
            f"{path}, line 1: the document has no {missing}. Add `{missing}:` to its front matter"
            f"{'' if suffix in {'.md', '.markdown', '.txt'} else f' in {sidecar.name}'}."
        )
    return Document(
        id=path.relative_to(root).with_suffix("").as_posix(), title=title, text=text.strip("\n"), source=source,
        as_of=str(metadata.get("as_of") or ""), audience=tuple(map(str, metadata.get("audience") or ())),
        topics=tuple(map(str, metadata.get("topics") or ())), references=sources, path=str(path),
        asked_as=_asked_as(metadata, path),
    )


def split_front_matter(text: str, path: Path) -> tuple[dict[str, Any], str, int]:
    """(metadata, body, line where the body starts) of a Markdown text."""
    match = re.match(r"\A---\s*\n(.*?\n)---\s*(?:\n|\Z)", text, re.DOTALL)
    if not match:
        return {}, text, 1
    return _yaml(match[1], path, 2), text[match.end():], text[: match.end()].count("\n") + 1


def clean_markdown(text: str) -> str:
    """Text as a reader sees it: no footnote marks, links as their words, no emphasis marks outside code."""
    parts = re.split(r"(```.*?```|`[^`\n]+`)", text, flags=re.DOTALL)
    return "".join(part if part.startswith("`") else _clean_prose(part) for part in parts)


def _clean_prose(text: str) -> str:
    text = re.sub(r"\[\^[^\]]+\](?!:)", "", text)
    text = re.sub(r"^\[\^[^\]]+\]:.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"(?<!\w)(\*\*|__)(?=\S)(.+?)(?<=\S)\1(?!\w)", r"\2", text)
    return re.sub(r"(?<![\w*])\*(?=[^\s*])([^*\n]+?)(?<=[^\s*])\*(?![\w*])", r"\1", text)


def _read_text(path: Path) -> tuple[dict[str, Any], str]:
    try:
        raw = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise KnowledgeError(f"{path}: is not UTF-8 text (byte {error.start}). Save it as UTF-8.") from error
    metadata, body, _ = split_front_matter(raw.replace("\r\n", "\n"), path)
    if "title" not in metadata and (heading := re.match(r"\s*# (.+)\n", body)):
        metadata["title"] = heading[1].strip()
    return metadata, body


def _read_html(path: Path) -> tuple[dict[str, Any], str]:
    from bs4 import BeautifulSoup
    from markdownify import MarkdownConverter

    soup = BeautifulSoup(path.read_bytes(), "html.parser")
    metadata: dict[str, Any] = {}
    if soup.title and soup.title.string:
        metadata["title"] = soup.title.string.strip()
    canonical = soup.find("link", rel="canonical")
    if canonical and canonical.get("href"):
        metadata["source"] = str(canonical["href"])
    for tag in soup(["script", "style", "nav", "footer", "header", "aside", "form", "noscript", "template"]):
        tag.decompose()
    main = soup.find("main") or soup.find("article") or soup.body or soup
    return metadata, str(MarkdownConverter(heading_style="ATX", strip=["img"]).convert_soup(main))


def _read_pdf(path: Path) -> tuple[dict[str, Any], str]:
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        reader = PdfReader(path)
        metadata: dict[str, Any] = {"title": reader.metadata.title} if reader.metadata and reader.metadata.title else {}
        pages = [page.extract_text() for page in reader.pages]
    except (PyPdfError, ValueError, OSError) as error:
        raise KnowledgeError(f"{path}: is not a readable PDF ({error}). Save it again or remove it.") from error
    return metadata, "\n\n".join(pages)


def _read_docx(path: Path) -> tuple[dict[str, Any], str]:
    import docx
    from docx.opc.exceptions import OpcError

    try:
        document = docx.Document(str(path))
    except (OpcError, ValueError, KeyError, OSError) as error:
        raise KnowledgeError(f"{path}: is not a readable DOCX ({error}). Save it again or remove it.") from error
    lines = []
    for paragraph in document.paragraphs:
        style = paragraph.style.name if paragraph.style is not None else ""
        level = re.match(r"Heading (\d)", style or "")
        lines.append(f"{'#' * max(2, int(level[1]))} {paragraph.text}" if level else paragraph.text)
    title = document.core_properties.title
    return ({"title": title} if title else {}), "\n\n".join(lines)


def _yaml(text: str, path: Path, first_line: int) -> dict[str, Any]:
    try:
        value = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = first_line + (mark.line if mark else 0)
        raise KnowledgeError(f"{path}, line {line}: the front matter is not valid YAML. Mend it.") from error
    if not isinstance(value, dict):
        raise KnowledgeError(f"{path}, line {first_line}: the front matter must be `key: value` lines.")
    return value


def _asked_as(metadata: dict[str, Any], path: Path) -> tuple[tuple[str, tuple[str, ...]], ...]:
    rows = metadata.get("asked_as") or {}
    if not isinstance(rows, dict) or not all(isinstance(wordings, list) for wordings in rows.values()):
        raise KnowledgeError(f"{path}, line 1: `asked_as` must hold, for each heading, a list of questions.")
    return tuple((str(heading), tuple(map(str, wordings))) for heading, wordings in rows.items())


def _sources(metadata: dict[str, Any], path: Path) -> tuple[Source, ...]:
    rows = metadata.get("sources") or ()
    if not isinstance(rows, (list, tuple)):
        raise KnowledgeError(f"{path}, line 1: `sources` must be a list of title, publisher, url, accessed.")
    return tuple(
        Source(str(row.get("title", "")), str(row.get("publisher", "")), str(row.get("url", "")),
               str(row.get("accessed", "")))
        if isinstance(row, dict) else Source(str(row), "", str(row))
        for row in rows
    )
