"""The chat tab: sentences as they pass, sources beside the answer, votes, and conversations kept on the server."""

from __future__ import annotations

import dataclasses
import re
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from bots import render
from bots.api import LARGEST_IMAGE_BYTES, history_of
from bots.web_forms import empty_field, file_field, read_field
from bots.web_service import Service
from coach.admission import Cancelled
from coach.domain import Answer, Attachment, Passage, Queued, Request, Retrieved, Sentence, SentenceReady
from coach.engines.base import media_type
from coach.errors import CoachError
from coach.pipeline import LONGEST_QUESTION, STARTERS
from coach.store.sessions import Conversation, Turn, new_conversation_id

# A trigger of the page's script reaches Python through this hidden component.
_BUS_SCRIPT = "window.coachBus = (kind, data) => trigger(kind, data);"
_PANEL = (
    '<aside id="source-panel" aria-label="Source"><header><h3>Source</h3><button type="button" class="small '
    'panel-close" data-act="close-panel" aria-label="Close the source">Close</button></header><div class="panel-body" '
    'aria-live="polite"><p class="hint">Every sentence carries a number. Press one and the words it rests on are '
    "shown here, with their date and a link.</p></div></aside>"
)


_TO_FILES = (
    '<button type="button" class="small primary" data-act="tab" data-tab="Resume">Choose the file on the Resume tab</button>'
)
_PICTURE = ("Add a picture", "image/png,image/jpeg,image/webp", "PNG, JPEG or WebP; it is not kept")
_ASKED_WITH_A_PICTURE = "Asked with a picture, which is not kept"


def user_of(request: gr.Request | None) -> str:
    """Who asks, as the server found out; never from the page."""
    name = getattr(request, "username", None)
    if not name:
        raise gr.Error("Log in first.")
    return str(name)


def data_of(event: gr.EventData) -> dict[str, Any]:
    """What a script of the page sent with its event."""
    return event._data if isinstance(event._data, dict) else {}


class Running:
    """The answers being made, by user and browser tab, so that a stop or a closed tab reaches the engine."""

    def __init__(self) -> None:
        self._flags: dict[tuple[str, str], set[threading.Event]] = defaultdict(set)

    def start(self, user: str, tab: str) -> threading.Event:
        """A flag for a new answer of this tab; the answer before it is stopped."""
        self.stop(user, tab)
        flag = threading.Event()
        self._flags[user, tab].add(flag)
        return flag

    def stop(self, user: str, tab: str) -> None:
        """Stop what this user's tab is waiting for."""
        for flag in self._flags.pop((user, tab), ()):
            flag.set()


@dataclass(frozen=True, slots=True)
class ChatParts:
    """Components that other tabs need: what to load when the page opens, and what to clear."""

    refresh: Any
    inputs: list[Any]
    outputs: list[Any]


def build_chat(service: Service) -> ChatParts:
    """The components of the tab with their events; called inside gr.Blocks."""
    running = Running()
    sessions = service.sessions
    conversation = gr.State("")
    remembered = gr.BrowserState("", storage_key="coach-conversation")
    bus = gr.HTML(apply_default_css=False, value="", visible="hidden", js_on_load=_BUS_SCRIPT, elem_id="bus")

    with gr.Row(elem_id="chat-row"):
        with gr.Column(scale=2, min_width=210, elem_id="talks"):
            fresh = gr.Button("New conversation", variant="secondary", size="sm", elem_id="new-talk")
            search = gr.Textbox(
                label="Search conversations",
                placeholder="Search conversations",
                show_label=False,
                container=False,
                elem_id="search",
            )
            talks = gr.HTML(apply_default_css=False, value=render_talks((), ""), elem_id="talk-list")
            with gr.Accordion("This conversation", open=False, visible=False, elem_id="talk-tools") as about_talk:
                title = gr.Textbox(label="Title", max_length=80, submit_btn="Rename", elem_id="talk-title")
                tools = gr.HTML(apply_default_css=False, value="", elem_id="talk-links")
        with gr.Column(scale=6, min_width=300, elem_id="talk"):
            thread = gr.HTML(apply_default_css=False, value=render_empty(_starters(service)), elem_id="thread")
            live = gr.HTML(apply_default_css=False, value="", elem_id="live")
            with gr.Row(elem_id="composer"):
                box = gr.Textbox(
                    label="Your question",
                    placeholder="Ask about roles, skills, models, interviews…",
                    show_label=False,
                    container=False,
                    lines=1,
                    max_lines=6,
                    autofocus=True,
                    scale=8,
                    max_length=LONGEST_QUESTION,
                    elem_id="question",
                )
                ask = gr.Button("Ask", variant="primary", scale=1, min_width=84, elem_id="ask")
                stop = gr.Button("Stop", variant="stop", scale=1, min_width=84, visible=False, elem_id="stop")
            with gr.Row(elem_id="extras", visible=False) as extras:
                picture = file_field(*_PICTURE, "picture", most_bytes=LARGEST_IMAGE_BYTES)
                think = gr.Checkbox(label="Think first (slower)", value=False, container=False, elem_id="think")
        with gr.Column(scale=3, min_width=260, elem_id="beside"):
            gr.HTML(apply_default_css=False, value=_PANEL)

    shown = [box, thread, live, conversation, remembered, talks, title, tools, ask, stop, picture, about_talk]

    async def run(
        user: str, tab: str, text: str, talk: str, thinks: bool, *, position: int | None = None, picture_value: Any = None
    ) -> AsyncIterator[dict[Any, Any]]:
        """Stream one answer; `position` replaces the turns from there on."""
        try:
            images = _images_in(picture_value)
        except CoachError as error:
            yield {live: render_problem(text, str(error))}
            return
        question = text.strip() or ("What does this picture show?" if images else "")
        if not question:
            yield {live: ""}
            return
        flag = running.start(user, tab)
        found = sessions.find_conversation(user, talk)
        turns = sessions.load_turns(user, talk) if found else ()
        # It is kept with its first answer; what a skill asks back then is remembered under its id.
        talk = found.id if found else new_conversation_id()
        if position is not None:
            turns = turns[:position]
        yield {
            box: "",
            picture: empty_field(*_PICTURE, LARGEST_IMAGE_BYTES) if images else gr.skip(),
            thread: render_thread(turns),
            live: render_live(question, (), (), "Looking for evidence…"),
            ask: gr.update(visible=False),
            stop: gr.update(visible=True),
        }
        request = Request(
            question,
            skill="auto",
            profile=sessions.load_profile(user),
            history=tuple(history_of(turns)),
            attachments=images,
            session=talk,
            user=user,
            think=thinks if service.coach.abilities.thinking else None,
        )
        reading = "Thinking…" if request.think else "Reading…"
        sentences: list[Sentence] = []
        passages: dict[str, Passage] = {}
        answer: Answer | None = None
        problem = ""
        try:
            async for event in service.stream(request, front_end="web", cancel=flag):
                if isinstance(event, Queued):
                    yield {live: render_live(question, (), (), f"Waiting: you are number {event.position} in line.")}
                elif isinstance(event, Retrieved):
                    yield {live: render_live(question, (), (), f"Found {len(event.passages)} passages. {reading}")}
                elif isinstance(event, SentenceReady):
                    sentences.append(event.sentence)
                    passages.update((passage.id, passage) for passage in event.passages)
                    yield {live: render_live(question, sentences, tuple(passages.values()), "Checking the next one…")}
                else:
                    answer = event
        except Cancelled:
            problem = "Stopped before it began."
        except CoachError as error:
            problem = str(error)
        idle = {ask: gr.update(visible=True), stop: gr.update(visible=False)}
        if answer is None:
            yield {live: render_problem(question, problem or "The answer ended early. Ask again."), **idle}
            return
        if found is None:
            found = sessions.start_conversation(user, conversation=talk)
        elif position is not None:
            sessions.drop_turns_from(user, found.id, position)
        if images:
            noted = "; ".join(part for part in (answer.notice.rstrip("."), _ASKED_WITH_A_PICTURE) if part)
            answer = dataclasses.replace(answer, notice=noted)
        sessions.record_turn(user, found.id, question, answer)
        yield {live: "", **idle, **show(user, found.id)}

    def show(user: str, talk: str, wanted: str = "") -> dict[Any, Any]:
        """A conversation, or the empty page when the user has none of that id."""
        found = sessions.find_conversation(user, talk) if talk else None
        turns = sessions.load_turns(user, found.id) if found else ()
        known = found.id if found else ""
        return {
            thread: render_thread(turns) if turns else render_empty(_starters(service)),
            conversation: known,
            remembered: known,
            talks: render_talks(sessions.list_conversations(user, search=wanted), known),
            about_talk: gr.update(visible=found is not None),
            title: found.title if found else "",
            tools: render_tools(found),
        }

    async def ask_from_box(
        text: str, talk: str, thinks: bool, picture_value: Any, request: gr.Request
    ) -> AsyncIterator[dict[Any, Any]]:
        tab = str(request.session_hash)
        async for update in run(user_of(request), tab, text, talk, thinks, picture_value=picture_value):
            yield update

    async def ask_from_page(
        talk: str, thinks: bool, request: gr.Request, event: gr.EventData
    ) -> AsyncIterator[dict[Any, Any]]:
        user, data = user_of(request), data_of(event)
        position = data.get("position")
        text = str(data.get("text", ""))[:LONGEST_QUESTION]
        if data.get("act") == "retry" and isinstance(position, int):
            turns = sessions.load_turns(user, talk)
            text = turns[position].question if 0 <= position < len(turns) else ""
        async for update in run(
            user,
            str(request.session_hash),
            text,
            talk,
            thinks,
            position=position if isinstance(position, int) and position >= 0 else None,
        ):
            yield update

    def act(talk: str, wanted: str, request: gr.Request, event: gr.EventData) -> dict[Any, Any]:
        user, data = user_of(request), data_of(event)
        if data.get("act") == "vote" and data.get("vote") in {"up", "down", ""}:
            service.vote(user, str(data.get("answer", "")), data["vote"], str(data.get("reason", "")))
            return {box: gr.skip()}
        if data.get("act") == "open":
            running.stop(user, str(request.session_hash))
            return {**show(user, str(data.get("conversation", "")), wanted), live: ""}
        if data.get("act") == "delete":
            gone = str(data.get("conversation", ""))
            sessions.delete_conversation(user, gone)
            return {**show(user, "" if gone == talk else talk, wanted), live: ""}
        return {box: gr.skip()}

    def stop_answer(request: gr.Request) -> None:
        running.stop(user_of(request), str(request.session_hash))

    def leave(request: gr.Request) -> None:
        if getattr(request, "username", None):
            running.stop(str(request.username), str(request.session_hash))

    def begin(wanted: str, request: gr.Request) -> dict[Any, Any]:
        running.stop(user_of(request), str(request.session_hash))
        return {**show(user_of(request), "", wanted), live: "", box: ""}

    def rename(name: str, talk: str, wanted: str, request: gr.Request) -> dict[Any, Any]:
        if name.strip() and talk:
            sessions.rename_conversation(user_of(request), talk, name)
        return show(user_of(request), talk, wanted)

    def look(wanted: str, talk: str, request: gr.Request) -> str:
        return render_talks(sessions.list_conversations(user_of(request), search=wanted), talk, searched=bool(wanted))

    def load(kept: str, request: gr.Request) -> dict[Any, Any]:
        can, user = service.coach.abilities, user_of(request)
        shown_again = show(user, kept if isinstance(kept, str) else "")
        # The page begins empty: to say so again would wipe a question that was faster than this.
        return {
            **(shown_again if shown_again[conversation] else {talks: shown_again[talks]}),
            extras: gr.update(visible=can.images or can.thinking),
            picture: gr.update(visible=can.images),
            think: gr.update(visible=can.thinking, value=service.settings.think),
        }

    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    many: dict[str, Any] = {**private, "concurrency_limit": None}
    gr.on([box.submit, ask.click], ask_from_box, [box, conversation, think, picture], shown, **many, trigger_mode="once")
    bus.submit(ask_from_page, [conversation, think], shown, **many, trigger_mode="once")
    bus.click(act, [conversation, search], [*shown], **many)
    stop.click(stop_answer, **private, queue=False)
    fresh.click(begin, [search], shown, **many)
    title.submit(rename, [title, conversation, search], shown, **many)
    search.change(look, [search, conversation], [talks], **many, trigger_mode="always_last")
    _page().unload(leave)
    return ChatParts(load, [remembered], [*shown, extras, think])


def _page() -> gr.Blocks:
    page = gr.context.Context.root_block
    assert page is not None  # build_chat is called inside gr.Blocks
    return page


def _images_in(value: Any) -> tuple[Attachment, ...]:
    """The picture that the field holds, named by what its bytes are. Raises UnreadableFile."""
    found = read_field(value)
    return (dataclasses.replace(found, media_type=media_type(found.content)),) if found else ()


def _starters(service: Service) -> tuple[str, ...]:
    """The range of what can be asked; what needs a file is offered where files are taken."""
    examples = [skill.examples[0] for skill in service.coach.skills
                if skill.examples and all(slot.kind != "file" for slot in skill.slots)]
    said = [text[:1].upper() + text[1:] + "?" * text.lower().startswith(("what ", "which ", "how ")) for text in examples]
    return tuple(dict.fromkeys((*STARTERS, *said)))[:5]


# -- HTML --------------------------------------------------------------------------------------------------------------


def render_empty(starters: Sequence[str]) -> str:
    """What a newcomer sees."""
    cards = "".join(
        f'<button type="button" class="starter" data-act="ask" data-text="{render.escape(text)}">'
        f"{render.escape(text)}</button>"
        for text in starters
    )
    return (
        '<section class="welcome"><h2>What would you like to know?</h2><p>I coach people who work, or want to work, in '
        "machine learning. I answer from documents and show where each sentence comes from. What they do not say, "
        f'I do not claim.</p><div class="starters">{cards}<button type="button" class="starter" data-act="tab" '
        'data-tab="Resume">Look at my resume</button></div></section>'
    )


def render_thread(turns: Sequence[Turn]) -> str:
    """The finished turns of a conversation."""
    return f'<div role="log" aria-label="Conversation">{"".join(render_turn(turn) for turn in turns)}</div>'


def render_turn(turn: Turn) -> str:
    """A question with its answer, sources and buttons."""
    answer = turn.answer
    sources = render.number_sources(answer.sentences, answer.citations)
    pressed = {name: str(turn.vote == name).lower() for name in ("up", "down")}
    return (
        f'<div class="turn" data-position="{turn.position}" data-answer="{render.escape(answer.id)}">'
        f"{_question_html(turn.question, editable=True)}"
        f'<div class="answer {answer.outcome}">{_thinking_html(answer.thinking)}<div class="answer-body">'
        f"{render.render_sentences_html(answer.sentences, answer.citations)}</div>{_about_images_html(answer)}"
        f'{_meter_html(answer)}{_suggestions_html(answer)}<div class="tools">{_files_html(answer)}'
        '<button type="button" class="small" data-act="copy">Copy</button>'
        '<button type="button" class="small" data-act="retry">Ask again</button>'
        f'<button type="button" class="small" data-vote="up" aria-pressed="{pressed["up"]}">Helpful</button>'
        f'<button type="button" class="small" data-vote="down" aria-pressed="{pressed["down"]}">Not helpful</button>'
        '</div><div class="why" hidden><input type="text" maxlength="500" aria-label="What was wrong?" '
        'placeholder="What was wrong? (optional)"><button type="button" class="small" data-act="send-reason">Send'
        f"</button></div>{_sources_html(sources)}</div></div>"
    )


def render_live(question: str, sentences: Sequence[Sentence], passages: Sequence[Passage], status: str) -> str:
    """The answer in the making."""
    sources = render.number_sources(sentences, passages)
    return (
        f'<div class="turn running">{_question_html(question, editable=False)}<div class="answer">'
        f'<div class="answer-body" aria-live="polite">{render.render_sentences_html(sentences, passages)}</div>'
        f'<p class="status" role="status"><span class="dots" aria-hidden="true"></span>{render.escape(status)}</p>'
        f"{_sources_html(sources)}</div></div>"
    )


def render_problem(question: str, problem: str) -> str:
    """A question that got no answer, with what to do."""
    return (
        f'<div class="turn">{_question_html(question, editable=False)}<div class="answer problem" role="alert"><p>'
        f'{render.escape(problem)}</p><div class="tools"><button type="button" class="small" data-act="ask" '
        f'data-text="{render.escape(question)}">Try again</button></div></div></div>'
    )


def render_talks(conversations: Sequence[Conversation], current: str, *, searched: bool = False) -> str:
    """The list of conversations; the open one is marked."""
    if not conversations:
        return f'<p class="hint">{"Nothing found." if searched else "Your conversations will be kept here."}</p>'
    rows = "".join(
        f'<li><button type="button" class="talk" data-act="open" data-id="{render.escape(item.id)}"'
        f"{' aria-current=true' if item.id == current else ''}><span>{render.escape(item.title or 'New conversation')}"
        f"</span><small>{item.updated[:10]} · {item.turns} question{'s' * (item.turns != 1)}</small></button></li>"
        for item in conversations
    )
    return f'<ul class="talks" aria-label="Conversations">{rows}</ul>'


def render_tools(conversation: Conversation | None) -> str:
    """Export and delete of the open conversation."""
    if conversation is None:
        return '<p class="hint">Ask something first.</p>'
    address = f"/api/conversations/{conversation.id}/export"
    return (
        f'<p class="links"><a href="{address}?form=markdown" download>Markdown</a>'
        f'<a href="{address}?form=json" download>JSON</a>'
        f'<button type="button" class="small danger" data-act="remove" data-id="{conversation.id}">Delete</button>'
        "</p>"
    )


def _question_html(question: str, *, editable: bool) -> str:
    edit = '<button type="button" class="small quiet" data-act="edit">Edit</button>' if editable else ""
    asked = render.escape(question).replace("\n", "<br>")
    return f'<div class="question"><div class="asked">{asked}</div>{edit}</div>'


def _meter_html(answer: Answer) -> str:
    evidence = render.describe_evidence(answer)
    making = render.describe_making(answer)
    if evidence is None:
        return f'<p class="made">{render.escape(making)}</p>' if making else ""
    bars = "".join(f'<i class="{"on" if number < evidence.bars else ""}"></i>' for number in range(3))
    return (
        f'<p class="meter"><span class="bars" aria-hidden="true">{bars}</span>'
        f'<strong>{render.escape(evidence.words)}</strong> <span class="made">{render.escape(making)}</span></p>'
    )


def _suggestions_html(answer: Answer) -> str:
    if not answer.suggestions:
        return ""
    asks_back = answer.mode == "computed" and answer.text.rstrip().endswith("?")
    answered = "Choose one, or answer in your own words" if asks_back else "Ask next"
    label = answered if answer.outcome == "answered" else "The nearest I can answer"
    # A heading path "X? > Step 6: Y?" is asked by its last part without its number.
    asked = dict.fromkeys(re.sub(r"^Steps? \d[^:]*: ", "", text.split(" > ")[-1]) for text in answer.suggestions)
    chips = "".join(
        f'<button type="button" class="chip" data-act="ask" data-text="{render.escape(text)}">'
        f"{render.escape(text)}</button>"
        for text in asked
    )
    return f'<div class="suggestions"><span>{label}</span>{chips}</div>'


def _files_html(answer: Answer) -> str:
    """Files are taken on another tab: where a review cites nothing, it has seen no resume."""
    return _TO_FILES if answer.skill == "resume" and not answer.citations else ""


def _thinking_html(thinking: str) -> str:
    if not thinking:
        return ""
    return (
        f'<details class="thinking"><summary>What the model thought first (not checked)</summary><p>'
        f"{render.escape(thinking).replace(chr(10), '<br>')}</p></details>"
    )


def _about_images_html(answer: Answer) -> str:
    if not answer.about_images:
        return ""
    return (
        f'<div class="about-images"><small>{render.escape(render.ABOUT_IMAGES)}</small>'
        f"<p>{render.escape(answer.about_images)}</p></div>"
    )


def _sources_html(sources: Sequence[render.NumberedSource]) -> str:
    if not sources:
        return ""
    count = f"{len(sources)} source{'s' if len(sources) != 1 else ''}"
    return f'<details class="sources"><summary>{count}</summary>{render.render_sources_html(sources)}</details>'
