"""The web app in a real browser: no console error, no request to a foreign host and no dialog in any of these."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from coach.domain import Answer, Queued, Request
from coach.engines.select import Abilities

from .conftest import PIXEL, Server, Visit, make_answer, open_page, slow_script

QUESTION = "Which projects should a beginner build?"
RESUME = b"# Anna Example\n\nExperience\n- Wrote Python services for 5 years\n- Used SQL daily and pandas for reports\n"


def test_ask_stream_and_open_a_citation_with_the_words_it_rests_on(visit: Visit) -> None:
    visit.ask(QUESTION)
    visit.wait_for_answers(1)
    assert "movie recommender" in visit.page.inner_text("#thread .answer-body")
    visit.page.click("#thread .cite >> nth=0")
    marked = visit.page.inner_text("#source-panel mark")
    assert "movie recommender" in marked
    assert "2026-11-24" in visit.page.inner_text("#source-panel .facts")
    assert visit.page.get_attribute("#source-panel .where a", "href") == "https://example.org/handbook"
    visit.page.keyboard.press("Escape")
    assert visit.page.evaluate("document.activeElement.classList.contains('cite')")
    assert "Every sentence carries a number" in visit.page.inner_text("#source-panel")
    visit.page.click("#thread .cite >> nth=0")
    visit.page.click("#new-talk")
    visit.page.wait_for_selector("#source-panel:has-text('Every sentence carries a number')")  # not another talk's source


def test_a_picture_reaches_a_model_that_reads_images_and_is_not_kept(
    browser: Any, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Request] = []

    def script(request: Request, cancel: threading.Event) -> Iterator[Any]:
        asked.append(request)
        yield dataclasses.replace(make_answer("Done."), about_images="A <b>falling</b> loss curve.")

    monkeypatch.setattr(server.coach, "abilities", Abilities(images=True), raising=False)
    server.coach.script = script
    visit = open_page(browser, server.url)
    visit.page.wait_for_selector("#picture .drop")
    assert not visit.page.is_visible("#think")
    visit.page.set_input_files("#picture input[type=file]", {"name": "a.png", "mimeType": "image/png", "buffer": PIXEL})
    visit.page.wait_for_selector("#picture .has-file img")
    visit.ask("What is this?")
    visit.wait_for_answers(1)
    assert [(item.media_type, item.content) for item in asked[0].attachments] == [("image/png", PIXEL)]
    assert "A <b>falling</b> loss curve." in visit.page.inner_text("#thread .about-images")
    assert "not kept" in visit.page.inner_text("#thread .made")
    visit.page.wait_for_selector("#picture .drop:not(.has-file)")
    visit.ask("And without it?")
    visit.wait_for_answers(2)
    assert asked[1].attachments == ()
    visit.page.set_input_files("#picture input[type=file]", {"name": "b.png", "mimeType": "image/png", "buffer": b"no picture"})
    visit.page.wait_for_selector("#picture .has-file")
    visit.ask("And this?")
    visit.page.wait_for_selector("#live .problem:has-text('not a PNG, JPEG or WebP')")
    visit.page.click('#picture [data-act="forget-file"]')
    visit.ask("And now?")
    visit.wait_for_answers(3)
    visit.page.context.close()
    assert visit.complaints == visit.foreign == visit.dialogs == []


def test_thinking_is_a_choice_where_the_model_has_the_switch_and_is_shown_folded(
    browser: Any, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool | None] = []

    def script(request: Request, cancel: threading.Event) -> Iterator[Any]:
        asked.append(request.think)
        yield dataclasses.replace(make_answer("Done."), thinking="Let me see.")

    monkeypatch.setattr(server.coach, "abilities", Abilities(thinking=True), raising=False)
    server.coach.script = script
    visit = open_page(browser, server.url)
    visit.page.wait_for_selector("#think input")
    assert not visit.page.is_visible("#picture")
    visit.ask("One")
    visit.wait_for_answers(1)
    visit.page.check("#think input")
    visit.ask("Two")
    visit.wait_for_answers(2)
    assert asked == [False, True]
    assert "Let me see." not in visit.page.inner_text("#thread .answer-body >> nth=1")
    assert not visit.page.is_visible("#thread details.thinking p")
    visit.page.click("#thread details.thinking summary >> nth=1")
    assert "Let me see." in visit.page.inner_text("#thread details.thinking[open] p")
    visit.page.context.close()
    assert visit.complaints == visit.foreign == visit.dialogs == []


def test_a_model_that_reads_text_only_is_offered_no_picture(
    browser: Any, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.coach, "abilities", Abilities(), raising=False)
    visit = open_page(browser, server.url)
    visit.page.wait_for_timeout(500)  # the page is filled in by its first request
    assert not visit.page.is_visible("#extras")
    visit.page.context.close()


def test_sentences_appear_one_by_one(visit: Visit, server: Server) -> None:
    gate = threading.Event()

    def script(request: Request, cancel: threading.Event) -> Iterator[Any]:
        for number, event in enumerate(slow_script(0.0, 2)(request, cancel)):
            if number == 2:
                gate.wait(10)
            yield event

    server.coach.script = script
    visit.ask("Tell me")
    visit.page.wait_for_selector("#live .answer-body:has-text('Sentence number 0.')")
    assert "Sentence number 1." not in visit.page.inner_text("#live")
    gate.set()
    visit.wait_for_answers(1)
    assert "Sentence number 1." in visit.page.inner_text("#thread")


def test_the_composer_and_the_source_stay_in_view_beside_a_long_answer(visit: Visit, server: Server) -> None:
    server.coach.script = slow_script(0.0, 80)
    visit.ask("Tell me everything")
    visit.wait_for_answers(1)
    for share in (0, 0.5, 1):
        visit.page.evaluate("s => window.scrollTo(0, s * (document.documentElement.scrollHeight - innerHeight))", share)
        visit.page.wait_for_timeout(100)
        for part in ("#question", "#source-panel h3"):
            box = visit.page.locator(part).bounding_box()
            assert box["y"] >= 0
            assert box["y"] + box["height"] <= 900


def test_stop_stops_the_engine_and_keeps_what_was_said(visit: Visit, server: Server) -> None:
    server.coach.script = slow_script()
    visit.ask("Tell me everything")
    visit.page.wait_for_selector("#live .answer-body:has-text('Sentence number 2.')")
    visit.page.click("#stop")
    server.wait_until_idle(2.0)
    visit.wait_for_answers(1)
    assert "Sentence number 2." in visit.page.inner_text("#thread")
    assert visit.page.is_visible("#ask")


def test_a_closed_tab_stops_the_engine(browser: Any, server: Server) -> None:
    server.coach.script = slow_script()
    visit = open_page(browser, server.url)
    visit.ask("Tell me everything")
    visit.page.wait_for_selector("#live .answer-body:has-text('Sentence number 2.')")
    visit.page.context.close()
    server.wait_until_idle(2.0)


def test_the_place_in_the_queue_is_shown(visit: Visit, server: Server) -> None:
    gate = threading.Event()

    def script(request: Request, cancel: threading.Event) -> Iterator[Any]:
        yield Queued(3)
        gate.wait(10)
        yield make_answer("Done.")

    server.coach.script = script
    visit.ask("Me too")
    visit.page.wait_for_selector("#live .status:has-text('number 3 in line')")
    gate.set()
    visit.wait_for_answers(1)


def test_a_vote_is_kept_and_found_again_after_a_reload(visit: Visit, server: Server) -> None:
    visit.ask(QUESTION)
    visit.wait_for_answers(1)
    visit.page.click('[data-vote="down"]')
    visit.page.fill(".why input", "too short")
    visit.page.click('[data-act="send-reason"]')
    sessions = server.app.state.service.sessions
    visit.page.wait_for_timeout(500)
    visit.page.reload()
    visit.page.wait_for_selector("#thread .turn")
    assert visit.page.get_attribute('[data-vote="down"]', "aria-pressed") == "true"
    assert '"reason": "too short"' in sessions.export_user("local")
    assert QUESTION in visit.page.inner_text("#talk-list")


def test_a_question_asked_before_the_page_is_filled_in_keeps_its_answer(visit: Visit) -> None:
    held: list[Any] = []
    visit.page.route("**/queue/join*", lambda route: route.continue_() if held else held.append(route))
    visit.page.reload()
    visit.page.wait_for_selector("#thread .starter")
    visit.page.wait_for_function("typeof window.coachBus === 'function'")
    visit.ask(QUESTION)
    visit.wait_for_answers(1)
    held[0].continue_()
    visit.page.wait_for_timeout(1500)  # what fills the page in arrives late
    assert visit.page.query_selector("#thread .cite")


def test_edit_and_ask_again_replaces_the_turn(visit: Visit) -> None:
    visit.ask("What does a machine learning engineer earn?")
    visit.wait_for_answers(1)
    visit.page.click('[data-act="edit"]')
    visit.page.fill(".edit-box", QUESTION)
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_selector("#thread .answer-body:has-text('movie recommender')")
    visit.wait_for_answers(1)
    visit.page.click('[data-act="retry"]')
    visit.page.wait_for_selector("#live .turn, #thread .turn")
    visit.wait_for_answers(1)


def test_conversations_are_searched_renamed_and_deleted(visit: Visit) -> None:
    visit.ask(QUESTION)
    visit.wait_for_answers(1)
    visit.page.click("#talk-tools button:has-text('This conversation')")
    visit.page.fill("#talk-title textarea, #talk-title input", "My first talk")
    visit.page.click("#talk-title button")
    visit.page.wait_for_selector("#talk-list .talk:has-text('My first talk')")
    visit.page.fill("#search textarea, #search input", "zebra")
    visit.page.wait_for_selector("#talk-list:has-text('Nothing found')")
    visit.page.fill("#search textarea, #search input", "")
    visit.page.wait_for_selector("#talk-list .talk:has-text('My first talk')")
    visit.page.click('[data-act="remove"]')
    visit.page.click('[data-act="remove"]:has-text("Really delete?")')
    visit.page.wait_for_selector("#thread .starter")
    assert not visit.page.query_selector("#talk-list .talk")


def test_a_declined_question_offers_the_nearest_as_buttons(visit: Visit, server: Server) -> None:
    declined = Answer("no_evidence", make_answer("My documents do not answer that.").sentences, mode="courtesy",
                      suggestions=(QUESTION,), id="declined-1")
    server.coach.script = lambda request, cancel: iter([declined])
    visit.ask("What is the airspeed of a swallow?")
    visit.wait_for_answers(1)
    server.coach.script = None
    visit.page.click(f"#thread .chip:has-text('{QUESTION}')")
    visit.wait_for_answers(2)


def test_a_failure_says_what_to_do(visit: Visit, server: Server) -> None:
    def crash(request: Request, cancel: threading.Event) -> Iterator[Any]:
        raise MemoryError
        yield

    server.coach.script = crash
    visit.ask("Break")
    visit.page.wait_for_selector("#live .problem:has-text('Ask again')")
    assert visit.page.is_visible("#ask")


def test_a_starter_that_asks_back_is_answered_by_a_button(visit: Visit) -> None:
    visit.page.click("#thread .starter:has-text('plan')")
    visit.wait_for_answers(1)
    visit.page.click("#thread .chip:has-text('Data analyst')")
    visit.wait_for_answers(2)
    assert "to junior data analyst" in visit.page.inner_text("#thread .answer-body >> nth=1")


def test_a_review_without_a_resume_leads_to_where_files_are_taken(visit: Visit) -> None:
    visit.ask("Review my resume")
    visit.wait_for_answers(1)
    visit.page.click("#thread .tools button:has-text('Choose the file')")
    visit.page.wait_for_selector("#gap-resume .drop >> visible=true")


def test_a_plan_is_drawn_ticked_off_and_planned_anew(visit: Visit) -> None:
    visit.open_tab("Plan")
    visit.page.click("#make-plan")
    visit.page.wait_for_selector("#plan-picture svg .bar")
    before = visit.page.inner_text("#plan-picture h3")
    bars = visit.page.locator("#plan-picture svg .bar").count()
    visit.page.click("#plan-done label:has-text('Python') >> nth=0")
    visit.page.wait_for_function("n => document.querySelectorAll('#plan-picture svg .bar').length < n", arg=bars)
    assert visit.page.inner_text("#plan-picture h3") != before
    visit.page.get_by_label("Ready by (optional)").fill("in 3 months")
    visit.page.click("#make-plan")
    visit.page.wait_for_selector("#plan-picture .warning:has-text('do not fit')")
    with visit.page.expect_download() as saved:
        visit.page.click("#plan-picture a:has-text('.ics')")
    assert saved.value.suggested_filename == "plan.ics"


def test_a_resume_is_compared_and_leaves_nothing_on_disk(visit: Visit) -> None:
    visit.open_tab("Resume")
    visit.page.click("#gap-compare")  # too early: nothing is there to compare yet
    visit.page.wait_for_selector("#gap-found:has-text('attach your resume')")
    visit.page.set_input_files("#gap-resume input[type=file]", {
        "name": "resume.md", "mimeType": "text/markdown", "buffer": RESUME})
    visit.page.wait_for_selector("#gap-resume .has-file")
    visit.page.click("#gap-compare")
    visit.page.wait_for_selector("#gap-found .track", timeout=30_000)
    assert "Python" in visit.page.inner_text("#gap-found .quote >> nth=0") or visit.page.query_selector(
        "#gap-found .quote:has-text('Wrote Python services')")


def test_an_interview_question_is_answered_and_scored(visit: Visit) -> None:
    visit.open_tab("Interview")
    visit.page.click("#interview-begin")
    visit.page.wait_for_selector("#interview-answer textarea", timeout=20_000)
    assert not visit.page.query_selector("#room .cite, #room .source")  # its passage tells what a good answer says
    visit.page.click("#interview-send")
    visit.page.wait_for_selector("#interview-answer:has-text('write one first')")
    visit.page.fill("#interview-answer textarea", "Overfitting means that a model learns the noise of its training data.")
    visit.page.click("#interview-send")
    visit.page.wait_for_function(
        "/\\d of \\d+ points|is not graded/.test(document.querySelector('#room').innerText)", timeout=20_000)
    assert not visit.page.query_selector("#room .problem")


def test_practice_is_found_again_in_the_next_session_and_goes_on_by_topic(visit: Visit, server: Server) -> None:
    visit.open_tab("Interview")
    visit.page.click("#interview-begin")
    visit.page.wait_for_selector("#interview-answer textarea", timeout=20_000)
    put = {visit.page.inner_text("#room .answer-body")}
    for _ in range(3):  # another question is put, and the words of the button are not graded
        visit.page.click("#interview-begin")
        visit.page.wait_for_timeout(700)
        put.add(visit.page.inner_text("#room .answer-body"))
    assert all(text.startswith("5 questions.") for text in put)
    assert len(put) > 1
    assert server.app.state.service.progress.practice("local") == ()
    visit.page.fill("#interview-answer textarea", "I don't know")
    visit.page.click("#interview-send")
    visit.page.wait_for_selector("#interview-progress:has-text('1 answer')")
    visit.page.reload()
    visit.page.wait_for_selector("#thread .starter")
    visit.open_tab("Interview")
    visit.page.wait_for_selector("#interview-progress td:has-text('0%')")
    assert visit.page.inner_text("#interview-progress td:nth-child(4)").strip()
    visit.page.click("#interview-progress [data-topic]")
    visit.page.wait_for_selector("#room:has-text('Question 1 of')")


def test_models_are_filtered_and_the_machines_memory_moves_the_limit(visit: Visit) -> None:
    visit.open_tab("Models")
    visit.page.wait_for_selector("#models-chart svg .limit", state="attached")
    rows = visit.page.locator("#models-table tbody tr").count()
    visit.page.click("#models-wants label:has-text('reads images')")
    visit.page.wait_for_function("n => document.querySelectorAll('#models-table tbody tr').length < n", arg=rows)
    visit.page.fill("#my-memory input[type=number]", "4")
    visit.page.keyboard.press("Tab")
    visit.page.wait_for_selector("#models-chart svg text:has-text('my machine: 4 GB')")


def test_the_profile_is_saved_and_everything_deleted(visit: Visit, server: Server) -> None:
    visit.ask(QUESTION)
    visit.wait_for_answers(1)
    visit.open_tab("Resume")
    visit.page.set_input_files("#gap-resume input[type=file]", {
        "name": "resume.md", "mimeType": "text/markdown", "buffer": RESUME})
    visit.page.wait_for_selector("#gap-resume .has-file")
    visit.open_tab("Profile")
    visit.page.wait_for_timeout(800)  # the stored profile is filled in first
    visit.page.fill("#profile-skills textarea", "python: strong, sql: basic")
    visit.page.click("#profile-save")
    visit.page.wait_for_selector("#profile-said:has-text('Saved')")
    sessions = server.app.state.service.sessions
    assert [item.level for item in sessions.load_profile("local").skills] == ["strong", "basic"]
    visit.page.click("#profile-sure input")
    visit.page.click("#profile-delete:not([disabled])")
    visit.page.wait_for_selector("#toast:has-text('Nothing about you is left')")
    assert sessions.list_conversations("local") == ()
    visit.page.wait_for_selector("#thread .starter")
    visit.open_tab("Resume")
    assert not visit.page.query_selector("#gap-resume .has-file")
    visit.page.click("#toast button")
    assert not visit.page.query_selector("#toast")


def test_dark_mode_is_kept_and_readable(visit: Visit) -> None:
    visit.ask(QUESTION)
    visit.wait_for_answers(1)
    for _ in range(2):
        visit.page.click(".theme-toggle")
        visit.page.click("#thread .cite >> nth=0")
        visit.page.wait_for_timeout(400)  # colours fade from one theme into the other
        poor = visit.page.evaluate(CONTRAST)
        assert poor == []
    visit.page.click(".theme-toggle")
    dark = visit.page.evaluate("document.body.classList.contains('dark')")
    visit.page.reload()
    visit.page.wait_for_selector("#thread .turn")
    assert visit.page.evaluate("document.body.classList.contains('dark')") == dark


def test_phone_width_has_no_sideways_scroll_and_opens_sources_as_a_sheet(browser: Any, server: Server) -> None:
    visit = open_page(browser, server.url, viewport={"width": 390, "height": 800}, has_touch=True)
    visit.ask(QUESTION)
    visit.wait_for_answers(1)
    assert visit.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    visit.page.click("#thread .cite >> nth=0")
    assert visit.page.is_visible("#source-panel mark")
    visit.page.click(".panel-close")
    assert not visit.page.is_visible("#source-panel mark")
    visit.page.context.close()
    assert visit.complaints == visit.foreign == visit.dialogs == []


def test_a_phone_reaches_every_tab_at_once_and_nothing_in_them_scrolls_sideways(browser: Any, server: Server) -> None:
    visit = open_page(browser, server.url, viewport={"width": 390, "height": 800}, has_touch=True)
    tabs = visit.page.get_by_role("tab")
    assert tabs.all_inner_texts() == ["Chat", "Plan", "Resume", "Interview", "Models", "Profile"]
    for tab in tabs.all():
        tab.click()
        visit.page.wait_for_timeout(300)  # the tab's own request fills it in
        assert len({other.bounding_box()["y"] for other in tabs.all()}) == 1
        assert visit.page.evaluate(SIDEWAYS) == []
    visit.page.context.close()
    assert visit.complaints == visit.foreign == visit.dialogs == []


# What is wider than its place, whether it can be scrolled or is cut off at the window's edge.
SIDEWAYS = """() => [...document.querySelectorAll('.gradio-container *')].filter((e) => e.offsetParent !== null)
  .filter((e) => e.getBoundingClientRect().right > innerWidth + 1
    || (['auto', 'scroll'].includes(getComputedStyle(e).overflowX) && e.scrollWidth > e.clientWidth + 1))
  .map((e) => e.outerHTML.slice(0, 120))"""


def test_the_keyboard_alone_asks_and_opens_a_source(visit: Visit) -> None:
    visit.page.focus("#question textarea")
    visit.page.keyboard.type(QUESTION)
    visit.page.keyboard.press("Enter")
    visit.wait_for_answers(1)
    for _ in range(60):
        visit.page.keyboard.press("Shift+Tab")
        if visit.page.evaluate("document.activeElement.classList.contains('cite')"):
            break
    visit.page.keyboard.press("Enter")
    assert visit.page.is_visible("#source-panel mark")


def test_every_control_has_a_name(visit: Visit) -> None:
    nameless = visit.page.evaluate("""() => [...document.querySelectorAll('button, input, textarea, a, [role=tab]')]
      .filter((e) => e.offsetParent !== null && e.type !== 'hidden')
      .filter((e) => !(e.textContent.trim() || e.getAttribute('aria-label') || e.title || e.placeholder
        || e.closest('label')?.textContent.trim() || e.labels?.[0]?.textContent.trim()))
      .map((e) => e.outerHTML.slice(0, 120))""")
    assert nameless == []


# Texts whose contrast with what is behind them is below 4.5 (3 for large ones), by WCAG 2.1's formula.
CONTRAST = """() => {
  const parse = (c) => { const m = c.match(/[\\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; };
  const light = ([r, g, b]) => { const f = (v) => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; };
    return .2126 * f(r) + .7152 * f(g) + .0722 * f(b); };
  const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c[3] > .9) return c; } return [255, 255, 255, 1]; };
  const out = [];
  for (const e of document.querySelectorAll('#top *, #talks *, #talk *, #beside *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || e.offsetParent === null) continue;
    const s = getComputedStyle(e), a = light(parse(s.color)), b = light(behind(e));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    const large = parseFloat(s.fontSize) >= 24 || (parseFloat(s.fontSize) >= 18.6 && s.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) out.push([e.className, e.textContent.trim().slice(0, 40), ratio.toFixed(2)]);
  }
  return out;
}"""


@pytest.mark.parametrize("width", [1360, 390])
def test_the_first_paint_needs_nobody_else(browser: Any, server: Server, width: int) -> None:
    visit = open_page(browser, server.url, viewport={"width": width, "height": 800})
    assert visit.page.inner_text(".masthead h1") == "Career coach"
    visit.page.context.close()
    assert visit.foreign == []
