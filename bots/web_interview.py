"""The Interview tab: a practice room that asks, listens and scores against a rubric."""

from __future__ import annotations

from typing import Any

import gradio as gr

from bots import render
from bots.web_chat import user_of
from bots.web_forms import PRIVATE, ask_skill, level_choices, render_answer, role_choices
from bots.web_service import Service
from coach.domain import Answer


def build_interview(service: Service, tabs: gr.Tabs) -> None:
    """The components of the tab with their events."""
    catalogue = service.coach.catalogue
    name = next((skill.name for skill in service.coach.skills if "interview" in skill.name), "")
    if not name:
        return
    topics = sorted({question.topic for question in catalogue.questions.values()})
    labels = [(catalogue.skills[topic].name if topic in catalogue.skills else topic, topic) for topic in topics]
    with gr.Tab("Interview", id="interview"), gr.Row():
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
                label="Your answer",
                lines=6,
                max_length=6000,
                visible=False,
                elem_id="interview-answer",
                placeholder="Answer as you would say it aloud.",
            )
            send = gr.Button("Score my answer", variant="primary", visible=False, elem_id="interview-send")
            before = gr.HTML(apply_default_css=False, value="", elem_id="interview-before")

    async def put_question(
        role_id: str | None, level_name: str, topic_id: str, past: list[str], request: gr.Request
    ) -> dict[Any, Any]:
        options = {"role": role_id, "level": level_name, "topic": topic_id}
        answer = await ask_skill(
            service, user_of(request), name, "Ask me an interview question.", options, session=_room(request)
        )
        is_question = isinstance(answer, Answer)
        return {
            room: render_answer(answer),
            said: gr.update(visible=is_question, value=""),
            send: gr.update(visible=is_question),
            before: _before_html(past),
            history: past,
        }

    async def score(text: str, past: list[str], shown: str, request: gr.Request) -> dict[Any, Any]:
        if not text.strip():
            return {room: gr.skip()}
        answer = await ask_skill(service, user_of(request), name, text, {}, session=_room(request))
        mine = f'<div class="question"><div class="asked">{render.escape(text)}</div></div>'
        past = [*past, f"{shown}{mine}"][-10:]
        return {room: render_answer(answer), said: "", before: _before_html(past), history: past}

    fields = [role, level, topic, history]
    shown = [room, said, send, before, history]
    begin.click(put_question, fields, shown, **PRIVATE, show_progress="minimal")
    send.click(score, [said, history, room], shown, **PRIVATE, show_progress="minimal")


def _room(request: gr.Request) -> str:
    return f"interview-{user_of(request)}-{request.session_hash}"


def _before_html(past: list[str]) -> str:
    if not past:
        return ""
    return (
        f'<details class="thinking"><summary>Earlier in this session ({len(past)})</summary>{"".join(past)}</details>'
    )
