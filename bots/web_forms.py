"""What the tabs beside the chat share: asking a skill, its answer as HTML, choices, file fields and downloads."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from typing import Any

import gradio as gr

from bots import render
from bots.api import LARGEST_FILE_BYTES
from bots.web_service import Service
from coach.catalogue.tables import ROLE_LEVELS, Catalogue
from coach.domain import Answer, Attachment, Profile, Request
from coach.errors import CoachError, UnreadableFile

# A file goes from the page's memory to ours, never through Gradio's upload folder, where it would stay on disk.
_FILE_SCRIPT = """
element.addEventListener('coach-file', (e) => {
  props.value = { ...props.value, file: e.detail };
  trigger('upload', e.detail);
});
"""
PRIVATE: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": None}


async def ask_skill(
    service: Service,
    user: str,
    skill: str,
    text: str,
    options: Mapping[str, object],
    *,
    session: str = "",
    attachments: tuple[Attachment, ...] = (),
    profile: Profile | None = None,
) -> Answer | str:
    """The skill's answer, or the sentence that says what is wrong."""
    given = tuple((name, str(value)) for name, value in options.items() if value not in (None, "", []))
    request = Request(
        text,
        skill=skill,
        options=given,
        attachments=attachments,
        session=session,
        user=user,
        profile=profile if profile is not None else service.sessions.load_profile(user),
    )
    try:
        return await service.ask(request, front_end="web")
    except CoachError as error:
        return str(error)


def bring_up(elem_id: str) -> str:
    """A script that scrolls to a result where it lies below the form, as on a phone."""
    return f"() => window.coachBringUp('{elem_id}')"


def render_answer(answer: Answer | str) -> str:
    """The sentences with their sources, or a problem."""
    if isinstance(answer, str):
        return f'<div class="answer problem" role="alert"><p>{render.escape(answer)}</p></div>'
    cards = render.render_sources_html(render.number_sources(answer.sentences, answer.citations))
    count = len(answer.citations)
    sources = (
        f'<details class="sources"><summary>{count} source{"s" if count != 1 else ""}</summary>{cards}</details>'
        if cards
        else ""
    )
    return (
        f'<div class="turn"><div class="answer"><div class="answer-body">'
        f"{render.render_sentences_html(answer.sentences, answer.citations)}</div>{sources}</div></div>"
    )


def role_choices(catalogue: Catalogue) -> list[tuple[str, str]]:
    """Roles for a dropdown."""
    return [(role.name, role.id) for role in catalogue.roles.values()]


def level_choices() -> list[tuple[str, str]]:
    """Levels of a role for a dropdown."""
    return [(level.capitalize(), level) for level in ROLE_LEVELS]


def empty_field(label: str, accept: str, hint: str, most_bytes: int = LARGEST_FILE_BYTES) -> dict[str, str]:
    """The value of a file field in which nothing is chosen; each is new, so that setting it empties the field."""
    said = render.escape(hint)
    return {"html": (
        f'<div class="field" data-new="{time.time_ns()}"><label class="drop" data-most="{most_bytes}">'
        f'<input type="file" accept="{accept}"><strong>{render.escape(label)}</strong>'
        f'<span class="drop-said" role="status" data-hint="{said}">{said}</span></label>'
        '<button type="button" class="small quiet" data-act="forget-file" hidden>Remove the file</button></div>')}


def file_field(
    label: str, accept: str, hint: str, elem_id: str, *, most_bytes: int = LARGEST_FILE_BYTES
) -> gr.HTML:
    """A labelled file field; `read_field` gives what was chosen."""
    return gr.HTML(
        apply_default_css=False,
        value=empty_field(label, accept, hint, most_bytes),
        html_template="${value.html}",
        js_on_load=_FILE_SCRIPT,
        elem_id=elem_id,
    )


def read_field(value: Any, name: str = "") -> Attachment | None:
    """The file that a field holds. Raises UnreadableFile when it is too large or broken."""
    raw = value.get("file") if isinstance(value, dict) else None
    if not isinstance(raw, dict) or not raw.get("data"):
        return None
    data = str(raw["data"])
    if len(data) > LARGEST_FILE_BYTES * 4 // 3 + 8:
        raise UnreadableFile(f"The file is larger than {LARGEST_FILE_BYTES // 1_000_000} MB. Send a shorter one.")
    try:
        content = base64.b64decode(data, validate=True)
    except ValueError as error:  # binascii.Error, and letters outside ASCII
        raise UnreadableFile("The file did not arrive whole. Choose it again.") from error
    return Attachment(name or str(raw.get("name", "file"))[:200], str(raw.get("type", ""))[:100], content)


def download_link(words: str, content: bytes, media_type: str, name: str) -> str:
    """A link that saves content that is already in the page."""
    data = base64.b64encode(content).decode()
    return f'<a class="small" download="{render.escape(name)}" href="data:{media_type};base64,{data}">{words}</a>'
