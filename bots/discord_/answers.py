"""How an answer looks on Discord: text with markers, an embed with sources, within every limit, pinging nobody."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import discord

from bots.discord_.splitter import MESSAGE_LIMIT, split_markdown, utf16_length
from coach.domain import Answer, Passage
from coach.skills.base import to_json

EMBED_TOTAL = 6000
EMBED_FIELDS = 10
# Up to so many sources: so many of them are shown, each with so many of its characters.
_LAYOUTS = ((3, 3, 300), (6, 6, 160), (EMBED_FIELDS, EMBED_FIELDS, 0), (1_000_000, 6, 0))
_SUGGESTIONS = {"answered": "Ask next", "out_of_scope": "I can help with"}
_OPEN_QUESTION = re.compile(r"Question \d+ of \d+: ")
_WORTH_KEEPING = frozenset({"skill_gap", "resume"})  # besides a plan: what one comes back to
FIELD_NAME, FIELD_VALUE = 256, 1024
_LINK = re.compile(r"(\[[^\[\]\n]*\]\()\s*(https?://[^()\s<>]+)(\))")
_BARE = re.compile(r"(?<![(<\w])https?://[^\s<>()]+")
_OTHER_SCHEME = re.compile(r"\[([^\[\]\n]*)\]\(\s*(?!<?https?://)(?:[^()\n]|\([^()\n]*\))*\)")
MODES = {
    "write": "worded by {model} and checked against the documents",
    "quote": "quoted from the documents",
    "computed": "computed from the catalogue",
    "courtesy": "",
}


@dataclass(frozen=True, slots=True)
class Rendered:
    """An answer ready to send: the first message, the messages that follow it, the sources and files."""

    first: str
    rest: tuple[str, ...] = ()
    embed: discord.Embed | None = None
    files: tuple[tuple[str, bytes], ...] = ()

    def discord_files(self) -> list[discord.File]:
        """The files, freshly opened: discord.py reads a file once."""
        return [discord.File(io.BytesIO(content), filename=name) for name, content in self.files]


def render_answer(answer: Answer, *, answer_id: str = "", hint: str = "") -> Rendered:
    """The messages of a finished answer. `hint` says in small print how to go on."""
    text = safe_text(answer.text) or "I have nothing to say to that."
    if answer.about_images:
        text += f"\n\n**What the model sees in the picture, which no document can support:** {safe_text(answer.about_images)}"
    if hint:
        text += f"\n\n-# {hint}"
    if answer.suggestions:
        label = _SUGGESTIONS.get(answer.outcome, "Nearest topics")
        text += f"\n\n**{label}:** " + " · ".join(safe_text(suggestion) for suggestion in answer.suggestions)
    parts = [part.text for part in split_markdown(text) if part.text.strip()]
    files = _result_files(answer)
    return Rendered(parts[0], tuple(parts[1:]), sources_embed(answer, answer_id), files)


def render_progress(text: str, *, limit: int = MESSAGE_LIMIT) -> str:
    """The text so far as one message that shows that more is to come."""
    parts = split_markdown(safe_text(text), limit=limit - 2)
    return (parts[0].text if parts else "") + ("\n…" if len(parts) > 1 else " …")


def sources_embed(answer: Answer, answer_id: str = "") -> discord.Embed | None:
    """Title, date, link and the supporting words of each source, and how the answer was made; None where nothing rests on one.

    Words that the answer itself quotes are not repeated, and the more sources, the fewer words of each:
    "Show evidence" has them all.
    """
    if not answer.citations and answer.mode in ("courtesy", "computed") and answer.outcome != "no_evidence":
        return None
    embed = discord.Embed(title="Sources" if answer.citations else None)
    if not answer.citations:
        embed.description = "Not in my documents." if answer.outcome == "no_evidence" else "No source."
    embed.set_footer(text=_clip(_footer(answer, answer_id), 400))
    shown, room = next((shown, room) for most, shown, room in _LAYOUTS if len(answer.citations) <= most)
    for number, passage in enumerate(answer.citations[:shown], start=1):
        name = _clip(f"[{number}] {safe_text(_where(passage))}", FIELD_NAME)
        value = _source_value(answer, passage, room)
        if utf16_length(_embed_text(embed)) + utf16_length(name + value) > EMBED_TOTAL - 50:
            break
        embed.add_field(name=name, value=value, inline=False)
    hidden = len(answer.citations) - len(embed.fields)
    if hidden > 0:
        embed.description = f"The first {len(embed.fields)} of {len(answer.citations)} sources."
    return embed


def evidence_parts(answer: Answer) -> list[str]:
    """The whole passages an answer rests on, the supporting words in bold, as messages."""
    blocks = []
    for number, passage in enumerate(answer.citations, start=1):
        spans = sorted({(c.start, c.end) for s in answer.sentences for c in s.citations if c.passage == passage.id})
        quoted = safe_text(_emphasise(passage.text, spans)).replace("\n", "\n> ")
        blocks.append(
            f"**[{number}] {safe_text(_where(passage))}**{_date(passage)}\n> {quoted}\n{_links(passage)}".strip()
        )
    return [part.text for part in split_markdown("\n\n".join(blocks)) if part.text.strip()]


def safe_text(text: str) -> str:
    """Text that pings nobody, unfurls nothing and links only to http(s).

    AllowedMentions already stops pings; a zero-width space keeps clients from even showing one.
    """
    text = discord.utils.escape_mentions(text)
    text = _OTHER_SCHEME.sub(r"\1", text)
    text = _LINK.sub(r"\1<\2>\3", text)
    return _BARE.sub(lambda match: f"<{match[0]}>", text)


def is_interview_open(answer: Answer) -> bool:
    """Whether a question of an interview waits for its answer."""
    return answer.skill == "interview" and any(_OPEN_QUESTION.match(sentence.text) for sentence in answer.sentences)


def _where(passage: Passage) -> str:
    if not passage.heading or passage.heading.startswith(passage.title):
        return passage.heading or passage.title
    return f"{passage.title} — {passage.heading}"


def _date(passage: Passage) -> str:
    return f" ({passage.as_of})" if passage.as_of else ""


def _source_value(answer: Answer, passage: Passage, room: int) -> str:
    spans = [
        (c.start, c.end) for s in answer.sentences if s.verdict != "quoted" for c in s.citations if c.passage == passage.id
    ]
    words = " … ".join(dict.fromkeys(passage.text[start:end].strip() for start, end in spans))
    tail = " · ".join(part for part in (passage.as_of, _links(passage)) if part)
    quote = _clip(safe_text(" ".join(words.split())), room) if room else ""
    value = (f"“{quote}”\n" if quote else "") + _clip(tail, FIELD_VALUE - 440)
    return value.strip() or "from my documents"


def _links(passage: Passage) -> str:
    """Links of a passage, http(s) only; the name of the document when it has none."""
    links = [
        f"[{_link_text(source.title or source.publisher)}](<{source.url}>)"
        for source in passage.references
        if is_web_address(source.url)
    ]
    if is_web_address(passage.source) and passage.source not in {source.url for source in passage.references}:
        links.insert(0, f"<{passage.source}>")
    return " · ".join(dict.fromkeys(links[:3])) or safe_text(passage.source)


def is_web_address(url: str) -> bool:
    """Whether this is an http(s) link that can stand in a message."""
    return re.fullmatch(r"https?://[^\s<>()]{1,400}", url) is not None


def _link_text(text: str) -> str:
    return _clip(re.sub(r"[\[\]()<>@]", " ", text).strip() or "source", 100)


def _emphasise(text: str, spans: Sequence[tuple[int, int]]) -> str:
    for start, end in sorted(spans, reverse=True):
        inner = text[start:end].strip()
        if inner and "\n" not in inner and "*" not in inner:
            text = text[:start] + text[start:end].replace(inner, f"**{inner}**", 1) + text[end:]
    return text


def _footer(answer: Answer, answer_id: str) -> str:
    parts = [MODES[answer.mode].format(model=answer.model or "the model")]
    if answer.dropped:
        parts.append(f"{answer.dropped} unsupported sentence{'s' if answer.dropped > 1 else ''} withheld")
    parts += [answer.notice, f"answer {answer_id}" if answer_id else ""]
    return "; ".join(part for part in parts if part) or "ML career coach"


def _embed_text(embed: discord.Embed) -> str:
    """Everything of an embed that counts towards Discord's 6000."""
    texts = [embed.title or "", embed.description or "", embed.footer.text or ""]
    return "".join(texts + [f"{field.name}{field.value}" for field in embed.fields])


def _clip(text: str, limit: int) -> str:
    """At most `limit` UTF-16 units, never half a character."""
    if utf16_length(text) <= limit:
        return text
    while utf16_length(text) > limit - 1:
        text = text[: min(len(text) - 1, limit - 1)]
    return text.rstrip() + "…"


def _result_files(answer: Answer) -> tuple[tuple[str, bytes], ...]:
    """A computed result as files to keep: as Markdown and JSON, a plan as a picture too, and its calendar if asked for."""
    if answer.result is None:
        return ()
    from bots.discord_.pictures import draw_plan

    text = to_json(answer.result)
    values = json.loads(text, object_hook=lambda found: SimpleNamespace(**found))  # as a coach server would send them
    picture = draw_plan(values)
    if picture is None and answer.skill not in _WORTH_KEEPING:
        return ()
    files = [(f"{answer.skill}.png", picture)] if picture is not None else []
    markdown = f"# {answer.skill.capitalize()}\n\n{answer.text}\n"
    files.append((f"{answer.skill}.md", markdown.encode()))
    if calendar := getattr(values, "calendar", ""):
        files.append((f"{answer.skill}.ics", calendar.encode()))
    if not isinstance(answer.result, str):
        files.append((f"{answer.skill}.json", text.encode()))
    return tuple(files)
