"""The Interview tab: a practice room that asks, listens and scores against a rubric, and what was practised so far."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import date
from typing import Any

import gradio as gr

from bots import render
from bots.web_chat import data_of, user_of
from bots.web_forms import PRIVATE, ask_skill, bring_up, level_choices, render_answer, role_choices
from bots.web_service import Service
from coach.catalogue.tables import Catalogue
from coach.domain import Answer
from coach.skills.base import PracticeRecord
from coach.skills.interview import DayScore, TopicProgress, track_progress

# The buttons in the table of progress start practice of their topic.
_PRACTISE_SCRIPT = """
element.addEventListener('click', (e) => {
  const button = e.target.closest('[data-topic]');
  if (button) trigger('submit', { topic: button.dataset.topic });
});
"""


_LABEL = "Your answer"


def build_interview(service: Service, tabs: gr.Tabs) -> None:
    """The components of the tab with their events."""
    catalogue = service.coach.catalogue
    name = next((skill.name for skill in service.coach.skills if "interview" in skill.name), "")
    if not name:
        return
    topics = sorted({question.topic for question in catalogue.questions.values()})
    labels = [(catalogue.skills[topic].name if topic in catalogue.skills else topic, topic) for topic in topics]
    with gr.Tab("Interview", id="interview") as tab, gr.Row():
        # Inside the tab: a component of gr.Tabs that is no tab shifts the labels of those after it.
        history = gr.State([])
        with gr.Column(scale=2, min_width=260):
            gr.HTML(
                apply_default_css=False,
                value='<div class="sheet"><h3>Practice room</h3><p class="hint">One question at a time. Your answer is '
                "compared with a rubric point by point, and each point names the guide that explains it.</p></div>",
            )
            role = gr.Dropdown(role_choices(catalogue), label="Role", value=next(iter(catalogue.roles), None))
            level = gr.Dropdown(level_choices(), value="junior", label="Level")
            topic = gr.Dropdown([("Any topic", ""), *labels], value="", label="Topic", elem_id="interview-topic")
            begin = gr.Button("Ask me a question", variant="primary", elem_id="interview-begin")
        with gr.Column(scale=6, min_width=300):
            room = gr.HTML(
                apply_default_css=False,
                value='<div class="sheet"><p class="hint">The question will be put here.</p></div>',
                elem_id="room",
            )
            said = gr.Textbox(
                label=_LABEL,
                lines=6,
                max_length=6000,
                visible=False,
                elem_id="interview-answer",
                placeholder="Answer as you would say it aloud.",
            )
            send = gr.Button("Score my answer", variant="primary", visible=False, elem_id="interview-send")
            before = gr.HTML(apply_default_css=False, value="", elem_id="interview-before")
            progress = gr.HTML(apply_default_css=False, value="", js_on_load=_PRACTISE_SCRIPT, elem_id="interview-progress")

    async def put_question(
        role_id: str | None, level_name: str, topic_id: str, past: list[str], request: gr.Request
    ) -> dict[Any, Any]:
        # Without it the words "Ask me …" would be graded as the answer to a question that is still open.
        options = {"role": role_id, "level": level_name, "topic": topic_id, "restart": "yes", "seed": secrets.randbelow(1000)}
        answer = await ask_skill(
            service, user_of(request), name, "Ask me an interview question.", options, session=_room(request)
        )
        is_question = isinstance(answer, Answer)
        return {
            room: render_answer(answer),
            said: gr.update(visible=is_question, value="", label=_LABEL),
            send: gr.update(visible=is_question),
            before: _before_html(past),
            history: past,
        }

    async def score(text: str, past: list[str], shown: str, request: gr.Request) -> dict[Any, Any]:
        if not text.strip():
            return {said: gr.update(label='Your answer: write one first; "I don\'t know" is one too')}
        answer = await ask_skill(service, user_of(request), name, text, {}, session=_room(request))
        mine = f'<div class="question"><div class="asked">{render.escape(text)}</div></div>'
        past = [*past, f"{shown}{mine}"][-10:]
        return {
            room: render_answer(answer),
            said: gr.update(value="", label=_LABEL),
            before: _before_html(past),
            history: past,
            progress: look_back(request),
        }

    async def practise(
        role_id: str | None, level_name: str, past: list[str], request: gr.Request, event: gr.EventData
    ) -> dict[Any, Any]:
        wanted = str(data_of(event).get("topic", ""))
        chosen = wanted if wanted in topics else ""
        return {**await put_question(role_id, level_name, chosen, past, request), topic: chosen}

    def look_back(request: gr.Request) -> str:
        kept = service.progress.practice(user_of(request))
        practice = [PracticeRecord(item.question, item.score, item.answered_at, item.card) for item in kept]
        return render_progress(track_progress(catalogue, practice), catalogue, date.today())

    fields = [role, level, topic, history]
    shown = [room, said, send, before, history, progress]
    up = bring_up("room")
    begin.click(put_question, fields, shown, **PRIVATE, show_progress="minimal").then(js=up)
    send.click(score, [said, history, room], shown, **PRIVATE, show_progress="minimal").then(js=up)
    progress.submit(practise, [role, level, history], [*shown, topic], **PRIVATE, show_progress="minimal").then(js=up)
    tab.select(look_back, None, progress, **PRIVATE, show_progress="hidden")


def _room(request: gr.Request) -> str:
    return f"interview-{user_of(request)}-{request.session_hash}"


def render_progress(topics: Sequence[TopicProgress], catalogue: Catalogue, today: date) -> str:
    """What was practised, how it went day by day, and what to repeat next."""
    if not topics:
        return ""
    rows = "".join(_topic_html(item, catalogue, today) for item in topics)
    return (
        '<div class="sheet scroll-x"><h3>Your practice so far</h3><table class="facts-table stack"><thead><tr><th>Topic</th>'
        "<th>Latest score</th><th>Over time</th><th>Repeat next</th><th></th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _topic_html(item: TopicProgress, catalogue: Catalogue, today: date) -> str:
    last = item.days[-1]
    name, topic = render.escape(item.name), render.escape(item.topic)
    count = f"{item.answers} answer{'s' * (item.answers != 1)}"
    again = "" if item.repeat is None else (
        f"{render.escape(catalogue.questions[item.repeat.question].question)}<br>"
        f"<small>{_when(date.fromisoformat(item.repeat.due), today)}</small>"
    )
    return (
        f"<tr><td><strong>{name}</strong><br><small>{count}</small></td><td>{last.score:.0%}<br>"
        f'<small class="day">on {last.day}</small></td><td>{draw_scores(item.days)}</td><td>{again}</td><td><button '
        f'type="button" class="small" data-topic="{topic}" aria-label="Practise {name}">Practise</button></td></tr>'
    )


def draw_scores(days: Sequence[DayScore]) -> str:
    """The last twelve days of practice as bars from 0 to 100 per cent, as SVG."""
    shown = days[-12:]
    said = ", ".join(f"{day.day}: {day.score:.0%}" for day in shown)
    bars = "".join(
        f'<g><title>{day.day}: {day.score:.0%}, {day.answers} answered</title><rect class="track" x="{n * 12}" y="0" '
        f'width="8" height="36" rx="2"/><rect class="bar" x="{n * 12}" y="{36 - 36 * day.score:.1f}" width="8" '
        f'height="{36 * day.score:.1f}" rx="2"/></g>'
        for n, day in enumerate(shown)
    )
    return f'<svg class="figure scores" viewBox="0 0 144 36" role="img" aria-label="{said}">{bars}</svg>'


def _when(due: date, today: date) -> str:
    days = (due - today).days
    return "today" if days <= 0 else "tomorrow" if days == 1 else f"in {days} days, on {due.isoformat()}"


def _before_html(past: list[str]) -> str:
    if not past:
        return ""
    return (
        f'<details class="thinking"><summary>Earlier in this session ({len(past)})</summary>{"".join(past)}</details>'
    )
