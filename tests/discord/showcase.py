"""A real conversation with the coach of this machine over the fake Discord, as a transcript and as pictures.

`python -m tests.discord.showcase FOLDER` writes FOLDER/transcript.md and FOLDER/NN-*.png (Chromium, one a turn). Nothing is
asserted here: it is for looking at what people read.
"""

from __future__ import annotations

import asyncio
import base64
import html
import re
import sys
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bots.discord_.lifecycle import describe_coach
from coach.app import open_catalogue, open_coach
from coach.settings import load_settings
from coach.skills import register
from tests.discord.scripted import RealCoach
from tests.discord.wire.fake_discord import CAROL, CHANNEL, FakeDiscord
from tests.discord.wire.harness import Wire, play_wire
from tests.web.conftest import launch_chromium

STYLE = """
body{background:#313338;color:#dbdee1;font:16px/1.375 "gg sans","Noto Sans","Helvetica Neue",Helvetica,Arial,sans-serif;
margin:0;padding:16px;width:%(width)spx;box-sizing:border-box}
.message{display:grid;grid-template-columns:56px 1fr;margin:0 0 17px}.avatar{width:40px;height:40px;border-radius:50%%;
background:#5865f2;display:grid;place-items:center;color:#fff;font-weight:600}.who{font-weight:500;color:#f2f3f5}
.app{background:#5865f2;color:#fff;font-size:10px;border-radius:3px;padding:1px 4px;margin-left:4px;vertical-align:2px}
.text p,.field p{margin:0 0 .5em}.text ul,.text ol{margin:.2em 0 .6em;padding-left:1.3em}a{color:#00a8fc;text-decoration:none}
pre,code{background:#2b2d31;border-radius:4px;font:14px/1.3 Consolas,monospace}code{padding:2px 4px}pre{padding:8px}
blockquote{border-left:4px solid #4e5058;margin:0;padding:0 8px 0 12px}.sub{font-size:13px;color:#949ba4}
.embed{background:#2b2d31;border-left:4px solid #1e1f22;border-radius:4px;padding:8px 16px 12px;margin-top:6px;
max-width:488px;font-size:14px}.embed h4{margin:8px 0 4px;color:#f2f3f5}.field b{color:#f2f3f5;font-weight:600}
.footer{font-size:12px;margin-top:8px;color:#b5bac1}.button{display:inline-block;background:#4e5058;color:#fff;
border-radius:3px;padding:6px 14px;margin:6px 8px 0 0;font-size:14px}.file{background:#2b2d31;border:1px solid #232428;
border-radius:4px;padding:10px;margin-top:6px;max-width:400px;color:#00a8fc}img{max-width:min(550px,100%%);border-radius:8px;
margin-top:6px;display:block}.private{color:#949ba4;font-size:12px;margin-top:4px}.used{color:#949ba4;font-size:14px}
"""


@dataclass
class Turn:
    """What somebody did, and the messages of the bot that came of it."""

    name: str
    said: str
    messages: list[dict[str, Any]]


@dataclass
class Talk:
    """The wire with a person at it."""

    wire: Wire
    turns: list[Turn] = field(default_factory=list)

    async def do(self, name: str, said: str, act: Coroutine[Any, Any, object], *, messages: int = 1) -> list[dict[str, Any]]:
        """Do something, and wait until the bot has answered with so many new messages and nothing runs."""
        fake = self.wire.fake
        before = set(fake.messages)

        def new() -> list[dict[str, Any]]:
            return [m for key, m in fake.messages.items() if key not in before and m["author"].get("bot")]

        await act
        await fake.wait(lambda: len([m for m in new() if m["content"]]) >= messages, 40)
        await self.wire.idle()
        await asyncio.sleep(0.5)
        self.turns.append(Turn(name, said, [{**m, "files": fake.files.get(m["id"], [])} for m in new()]))
        return new()


async def converse(talk: Talk) -> None:
    """Ten turns as a newcomer might take them."""
    fake = talk.wire.fake
    start = "How do I become a machine learning engineer?"
    first = (await talk.do("question", f"@coach {start}", fake.say(start, mention=True)))[0]
    await talk.do("evidence", "presses “Show evidence”", _press(fake, first, "Show evidence"))
    opened = await talk.do("thread", "presses “Go on in a thread”", _press(fake, first, "Go on in a thread"))
    thread = next(m["channel_id"] for m in opened if m["channel_id"] != CHANNEL)
    follow = "How long does that take if I already program?"
    await talk.do("follow-up", f"@coach {follow}", fake.say(follow, mention=True, channel=thread))
    plan: dict[str, Any] = {"role": "Machine learning engineer", "level": "junior", "skills": "python: working, sql", "hours_per_week": 8.0}
    await talk.do("roadmap", _slash("roadmap", plan), fake.slash("roadmap", **plan))
    need: dict[str, Any] = {"need": "a chat in German on my laptop, commercial use", "memory_gb": 8.0}
    await talk.do("advise", _slash("advise", need), fake.slash("advise", **need))
    topic: dict[str, Any] = {"topic": "Statistics", "seed": 4.0}
    await talk.do("interview", _slash("interview", topic), fake.slash("interview", **topic))
    reply: dict[str, Any] = {"answer": "You draw many samples of the same size with replacement from your data, compute the statistic on each, and read its uncertainty from their spread."}
    await talk.do("interview-answer", _slash("interview", reply), fake.slash("interview", **reply))
    pizza = "Where do I get the best pizza in Naples?"
    await talk.do("out-of-scope", f"@coach {pizza}", fake.say(pizza, mention=True))
    compare = "Compare Qwen3-0.6B and Gemma 3 4B IT for a laptop"
    await talk.do("compare", _slash("ask", {"question": compare}), fake.slash("ask", question=compare))
    note: dict[str, Any] = {"title": "Study group", "text": "Our study group meets every Monday at 18:00 in the voice channel #study."}
    await talk.do("note", _slash("server note-add", note), fake.slash("server", who=CAROL, group="note-add", **note))
    ours = "When does the study group meet?"
    await talk.do("own-knowledge", f"@coach {ours}", fake.say(ours, mention=True))
    await talk.do("about", "/about", fake.slash("about"))
    await talk.do("privacy", "/privacy", fake.slash("privacy"))


def _press(fake: FakeDiscord, message: dict[str, Any], label: str) -> Coroutine[Any, Any, object]:
    button = next(c for row in message["components"] for c in row["components"] if c["label"] == label)
    return fake.click(message, button["custom_id"])


def _slash(name: str, options: dict[str, Any]) -> str:
    return f"/{name} " + " ".join(f"{key}: {value:g}" if isinstance(value, float) else f"{key}: {value}" for key, value in options.items())


# -- as text and as a page ---------------------------------------------------------------------------------------------


def transcript(turns: list[Turn]) -> str:
    """The conversation as Markdown."""
    lines = ["# A conversation on the wire", ""]
    for turn in turns:
        lines += [f"## {turn.name}", "", f"**alice:** {turn.said}", ""]
        for message in turn.messages:
            private = " (only alice sees this)" if message["flags"] & 64 else ""
            lines += [f"**coach**{private}:", "", message["content"], ""]
            lines += [f"- file: {name}" for name, _ in message.get("files", ())]
            for embed in message["embeds"]:
                lines += [f"> **{embed.get('title', '')}** {embed.get('description', '')}"]
                lines += [f"> {f['name']}: {f['value']}".replace("\n", " / ") for f in embed.get("fields", [])]
                lines += [f"> {embed.get('footer', {}).get('text', '')}", ""]
            labels = [c["label"] for row in message["components"] for c in row["components"]]
            lines += [f"[{'] ['.join(labels)}]", ""] if labels else []
    return "\n".join(lines)


def page(turn: Turn, *, width: int) -> str:
    """A turn as HTML that looks like Discord."""
    body = _message("alice", html.escape(turn.said), "")
    for message in turn.messages:
        body += _message("coach", markdown(message["content"]), _below(message), app=True)
    return f"<!doctype html><meta charset=utf-8><style>{STYLE % {'width': width}}</style>{body}"


def markdown(text: str) -> str:
    """Discord's Markdown, near enough: CommonMark with every line break kept and `-#` as small print."""
    from markdown_it import MarkdownIt

    text = re.sub(r"<@!?\d+>", "@somebody", re.sub(r"<#\d+>", "#channel", text))
    text = re.sub(r"(?m)^(> .*\n)(?!>)", r"\1\n", text)  # Discord ends a quote with its line, CommonMark does not
    made: str = MarkdownIt("commonmark", {"breaks": True, "html": False}).render(text)
    return re.sub(r"(?m)(^|<p>|<br />\n)-# (.*?)(?=<br|</p>)", r'\1<span class="sub">\2</span>', made)


def _message(who: str, text: str, below: str, *, app: bool = False) -> str:
    badge = '<span class="app">APP</span>' if app else ""
    return (f'<div class="message"><div class="avatar">{who[0].upper()}</div><div><span class="who">{who}</span>{badge}'
            f'<div class="text">{text}</div>{below}</div></div>')


def _below(message: dict[str, Any]) -> str:
    parts = []
    for name, content in message.get("files", ()):
        if name.endswith(".png"):
            parts.append(f'<img src="data:image/png;base64,{base64.b64encode(content).decode()}">')
        else:
            parts.append(f'<div class="file">📄 {html.escape(name)} ({len(content) / 1024:.1f} KB)</div>')
    for embed in message["embeds"]:
        fields = "".join(f'<div class="field"><b>{markdown(f["name"])}</b>{markdown(f["value"])}</div>'
                         for f in embed.get("fields", []))
        footer = html.escape(embed.get("footer", {}).get("text", ""))
        parts.append(f'<div class="embed"><h4>{html.escape(embed.get("title") or "")}</h4>'
                     f'{markdown(embed.get("description") or "")}{fields}<div class="footer">{footer}</div></div>')
    for row in message["components"]:
        parts += [f'<span class="button">{c["emoji"]["name"]} {html.escape(c["label"])}</span>' for c in row["components"]]
    if message["flags"] & 64:
        parts.append('<div class="private">👁 Only you can see this</div>')
    return "".join(parts)


def take_pictures(turns: list[Turn], folder: Path, *, width: int = 760) -> None:
    """One picture a turn."""
    with launch_chromium() as browser:
        tab = browser.new_page(viewport={"width": width, "height": 400})
        for number, turn in enumerate(turns, start=1):
            tab.set_content(page(turn, width=width))
            tab.screenshot(path=str(folder / f"{number:02}-{turn.name}.png"), full_page=True)


def main(folder: Path, scene: Callable[[Talk], Coroutine[Any, Any, None]] = converse) -> None:
    """Hold the conversation with the coach that the settings describe."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = load_settings()
    coach = open_coach(settings)
    turns: list[Turn] = []

    async def play(wire: Wire) -> None:
        talk = Talk(wire, turns)
        await scene(talk)

    with tempfile.TemporaryDirectory() as data:
        play_wire(play, f"sqlite:///{data}/bot.sqlite", coach=RealCoach(coach), skills=register(), speed=1.0,
                  catalogue=open_catalogue(settings), describe_coach=lambda: describe_coach(coach), fake={"deadline": 3.0})
    coach.close()
    (folder / "transcript.md").write_text(transcript(turns), "utf-8")
    take_pictures(turns, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
