"""An Answer as HTML, Markdown and plain text: numbered sources, and nothing in the text that fetches or runs.

Answer text is escaped, never trusted: no image, link or tag of the text survives; links come from sources only.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from coach.domain import Answer, Citation, Passage, Sentence

# Bidirectional overrides can make a shown address differ from the true one; the others are invisible.
_INVISIBLE = re.compile("[\u0000-\u0008\u000b\u000c\u000e-\u001f\u200b\u202a-\u202e\u2060-\u2069\ufeff]")
_INLINE = re.compile(r"`([^`\n]+)`|\*\*([^*\n]+)\*\*")
_BULLET = re.compile(r"^\s*[-*•]\s+")
_NUMBERED = re.compile(r"^\s*\d{1,3}[.)]\s+")
_HEADING = re.compile(r"^\s*#{1,6}\s+")

MODES = {
    "write": "Worded by {model}; every sentence checked against its source",
    "quote": "Quoted from the documents",
    "computed": "Computed from the catalogue",
    "courtesy": "",
}
ABOUT_IMAGES = "What the model sees in the picture (not checked)"


@dataclass(frozen=True, slots=True)
class NumberedSource:
    """A passage with its marker [n] and the spans of it that support the answer."""

    number: int
    passage: Passage
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """How well an answer is grounded, in words; `bars` of 3 are filled."""

    bars: int
    words: str


def number_sources(sentences: Sequence[Sentence], passages: Sequence[Passage]) -> tuple[NumberedSource, ...]:
    """The passages in order with their supporting spans."""
    spans: dict[str, set[tuple[int, int]]] = {}
    for citation in (citation for sentence in sentences for citation in sentence.citations):
        spans.setdefault(citation.passage, set()).add((citation.start, citation.end))
    return tuple(NumberedSource(number, passage, tuple(sorted(spans.get(passage.id, ()))))
                 for number, passage in enumerate(passages, start=1))


def describe_evidence(answer: Answer) -> Evidence | None:
    """The evidence meter; None for small talk and for answers that cite nothing."""
    if not answer.citations or answer.mode == "courtesy":
        return None
    if answer.mode == "computed" or all(sentence.verdict == "computed" for sentence in answer.sentences):
        return Evidence(3, "Computed from facts you can open")
    covered = answer.confidence.evidence
    if covered >= 0.8:
        return Evidence(3, "The documents cover this well")
    if covered >= 0.6:
        return Evidence(2, "The documents cover this in part")
    return Evidence(1, "The documents say little about this")


def describe_making(answer: Answer) -> str:
    """One line about how the answer was made: mode, what was withheld, and any notice."""
    parts = [MODES[answer.mode].format(model=answer.model or "the model")]
    if answer.dropped:
        parts.append(f"{answer.dropped} unsupported sentence{'s' if answer.dropped > 1 else ''} withheld")
    parts.append(answer.notice.rstrip("."))
    return "; ".join(part for part in parts if part)


# -- HTML --------------------------------------------------------------------------------------------------------------


def escape(text: str) -> str:
    """Text as HTML that is also inert in Gradio's JavaScript and Handlebars templates."""
    safe = html.escape(_INVISIBLE.sub("", text), quote=True)
    return re.sub(r"[{}$`\\]", lambda match: f"&#{ord(match[0])};", safe)


def safe_link(address: str) -> str:
    """The address when it is plain http(s) with a host and no credentials, else empty."""
    try:
        parts = urlsplit(address.strip())
    except ValueError:
        return ""
    fine = parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc
    return address.strip() if fine and not re.search(r"[\s<>\"'`\\]", address.strip()) else ""


def render_sentences_html(sentences: Sequence[Sentence], passages: Sequence[Passage]) -> str:
    """The body of an answer: paragraphs, lists, headings, code, tables; markers are buttons."""
    numbers = {passage.id: (number, passage) for number, passage in enumerate(passages, start=1)}
    paragraphs: dict[int, list[str]] = {}
    for sentence in sentences:
        marks = _markers_html(sentence.citations, numbers)
        lines = sentence.text.strip("\n").split("\n")
        paragraphs.setdefault(sentence.paragraph, []).extend(
            _mark_line(line, marks if position == len(lines) - 1 else "", sentence.verdict)
            for position, line in enumerate(lines))
    return "".join(_block_html(lines) for lines in paragraphs.values())


def render_sources_html(sources: Sequence[NumberedSource]) -> str:
    """The source cards; the page's script shows one of them beside the answer when its marker is pressed."""
    return "".join(_source_html(source) for source in sources)


def _markers_html(citations: Sequence[Citation], numbers: dict[str, tuple[int, Passage]]) -> str:
    known = dict.fromkeys(citation.passage for citation in citations if citation.marked and citation.passage in numbers)
    return "".join(
        f'<button type="button" class="cite" data-n="{numbers[name][0]}" '
        f'aria-label="Open source {numbers[name][0]}: {escape(numbers[name][1].title)}">{numbers[name][0]}</button>'
        for name in known)


def _mark_line(line: str, marks: str, verdict: str) -> str:
    """A line as "kind<TAB>html"; the kind is one of li, oli, h, tr, p."""
    if line.lstrip().startswith("|"):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if all(re.fullmatch(r":?-{2,}:?", cell) for cell in cells):
            return "skip\t"
        return "tr\t" + "".join(f"<td>{_inline_html(cell)}</td>" for cell in cells) + f"<td>{marks}</td>" * bool(marks)
    for kind, pattern in (("li", _BULLET), ("oli", _NUMBERED), ("h", _HEADING)):
        if pattern.match(line):
            return f"{kind}\t{_inline_html(pattern.sub('', line))}{marks}"
    return f'p\t<span class="said {verdict}">{_inline_html(line)}</span>{marks}'


def _block_html(lines: Sequence[str]) -> str:
    blocks: list[str] = []
    open_tag = ""
    for line in lines:
        kind, content = line.split("\t", 1)
        if kind == "skip":
            continue
        tag = {"li": "ul", "oli": "ol", "tr": "table", "h": "h4", "p": "p"}[kind]
        if tag != open_tag or tag == "h4":
            if open_tag:
                blocks.append(f"</{open_tag}>")
            blocks.append(f"<{tag}>")
            open_tag = tag
        elif tag == "p":
            blocks.append(" ")
        item = {"li": "li", "oli": "li", "tr": "tr"}.get(kind)
        blocks.append(f"<{item}>{content}</{item}>" if item else content)
    return "".join(blocks) + (f"</{open_tag}>" if open_tag else "")


def _inline_html(text: str) -> str:
    pieces, last = [], 0
    for match in _INLINE.finditer(text):
        pieces.append(escape(text[last : match.start()]))
        pieces.append(f"<code>{escape(match[1])}</code>" if match[1] else f"<strong>{escape(match[2])}</strong>")
        last = match.end()
    return "".join(pieces) + escape(text[last:])


def _source_html(source: NumberedSource) -> str:
    passage = source.passage
    facts = [escape(passage.heading)] if passage.heading and passage.heading != passage.title else []
    if passage.as_of:
        facts.append(f"as of {escape(passage.as_of)}")
    link = safe_link(passage.source)
    where = f'<span class="kept">{escape(passage.source)}</span>'
    if passage.kind == "resume":
        where = '<span class="kept">Your own document</span>'
    elif link:
        where = _link_html(link, "Open the source")
    references = "".join(
        f"<li>{_link_html(safe_link(r.url), r.title or r.url)} <small>{escape(r.publisher)}</small></li>"
        for r in passage.references if safe_link(r.url) and safe_link(r.url) != link)
    rests_on = f'<p class="rests">It rests on</p><ul class="references">{references}</ul>' if references else ""
    return (
        f'<article class="source" data-n="{source.number}"><header><span class="number">{source.number}</span>'
        f'<h4>{escape(passage.title)}</h4></header><p class="facts">{" · ".join(facts)}</p>'
        f'<blockquote>{highlight_html(passage.text, source.spans)}</blockquote><p class="where">{where}</p>'
        f"{rests_on}</article>")


def _link_html(address: str, words: str) -> str:
    return f'<a href="{escape(address)}" target="_blank" rel="noopener noreferrer nofollow">{escape(words)}</a>'


def highlight_html(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """The text with the spans marked; overlapping spans are joined, spans beyond the text are cut."""
    joined: list[list[int]] = []
    for start, end in sorted((max(0, start), min(len(text), end)) for start, end in spans):
        if start >= end:
            continue
        if joined and start <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([start, end])
    pieces, last = [], 0
    for start, end in joined:
        pieces.append(f"{_lines_html(text[last:start])}<mark>{_lines_html(text[start:end])}</mark>")
        last = end
    return "".join(pieces) + _lines_html(text[last:])


def _lines_html(text: str) -> str:
    return escape(text).replace("\n", "<br>")


# -- Markdown and plain text -------------------------------------------------------------------------------------------


def escape_markdown(text: str) -> str:
    """Text whose images, links, reference definitions and tags are inert in Markdown."""
    return re.sub(r"([\[\]<])", r"\\\1", _INVISIBLE.sub("", text))


def render_sentence_markdown(sentence: Sentence, numbers: dict[str, int]) -> str:
    """One sentence with its markers [n]."""
    marks = dict.fromkeys(numbers[c.passage] for c in sentence.citations if c.marked and c.passage in numbers)
    return f"{escape_markdown(sentence.text)} {''.join(f'[{mark}]' for mark in marks)}".strip()


def render_markdown(answer: Answer) -> str:
    """The answer with markers, the list of sources, and how it was made."""
    numbers = {passage.id: number for number, passage in enumerate(answer.citations, start=1)}
    body = ""
    last: Sentence | None = None
    for sentence in answer.sentences:
        body += sentence_separator(last, sentence) + render_sentence_markdown(sentence, numbers)
        last = sentence
    return body + render_sources_markdown(answer)


def sentence_separator(last: Sentence | None, sentence: Sentence) -> str:
    """What stands between two sentences: a space, a line break in lists, a blank line between paragraphs."""
    if last is None:
        return ""
    if sentence.paragraph != last.paragraph:
        return "\n\n"
    listed = any(pattern.match(sentence.text) for pattern in (_BULLET, _NUMBERED, _HEADING)) or sentence.text[:1] == "|"
    return "\n" if listed else " "


def render_sources_markdown(answer: Answer) -> str:
    """The numbered sources, with nearest topics when declined; empty when there are none."""
    parts = []
    if answer.about_images:
        parts.append(f"_{ABOUT_IMAGES}:_ {escape_markdown(answer.about_images)}")
    if answer.citations:
        parts.append("**Sources**\n" + "\n".join(
            f"{number}. {_source_markdown(passage)}" for number, passage in enumerate(answer.citations, start=1)))
    if answer.outcome != "answered" and answer.suggestions:
        parts.append("Nearest topics: " + "; ".join(escape_markdown(item) for item in answer.suggestions))
    making = describe_making(answer)
    if making:
        parts.append(f"_{escape_markdown(making)}_")
    return "".join(f"\n\n{part}" for part in parts)


def _source_markdown(passage: Passage) -> str:
    name = escape_markdown(passage.title)
    if passage.heading and passage.heading != passage.title:
        name += f", {escape_markdown(passage.heading)}"
    link = safe_link(passage.source)
    shown = f"{name} <{link}>" if link else f"{name} ({escape_markdown(passage.source)})" if passage.source else name
    return shown + (f" (as of {passage.as_of})" if passage.as_of else "")
