"""The Profile tab: what is kept, and how to change, take along or delete it."""

from __future__ import annotations

from typing import Any

import gradio as gr

from bots.web_chat import user_of
from bots.web_forms import PRIVATE, level_choices, role_choices
from bots.web_service import Service
from coach.domain import Profile
from coach.skills.slots import skills_in, unknown_skills

_KEPT = """<div class="sheet"><h3>What is kept about you</h3>
<p>Your conversations with their answers and votes, what you save on this page, and the progress of your plans and
practice. All of it lies in one database on the computer that runs this coach, under your name, and no other user can
read it.</p>
<p>Resumes and advertisements are read in memory for one answer and not kept. Nothing is inferred about you, nothing is
sent to anyone else, and this page loads nothing from other hosts.</p>
<p class="links"><a class="small" href="/api/profile/export" download>Download everything (JSON)</a></p></div>"""


def build_profile(service: Service, tabs: gr.Tabs) -> None:
    """The components of the tab with their events."""
    catalogue = service.coach.catalogue
    with gr.Tab("Profile", id="profile") as tab, gr.Row():
        with gr.Column(scale=4, min_width=300):
            role = gr.Dropdown(
                [("Not decided", ""), *role_choices(catalogue)], value="", label="Role I aim at", elem_id="profile-role"
            )
            level = gr.Dropdown([("Not decided", ""), *level_choices()], value="", label="Level")
            hours = gr.Number(label="Hours a week for learning", minimum=0, maximum=80, elem_id="profile-hours")
            skills = gr.Textbox(
                label="Skills I have",
                placeholder="python: strong, sql: basic",
                lines=3,
                max_length=4000,
                elem_id="profile-skills",
            )
            memory = gr.Number(label="Memory of my machine, GB", minimum=0, maximum=4096)
            gpu = gr.Radio([("Not stated", ""), ("Yes", "yes"), ("No", "no")], value="", label="Does it have a GPU?")
            save = gr.Button("Save", variant="primary", elem_id="profile-save")
            said = gr.HTML(apply_default_css=False, value="", elem_id="profile-said")
        with gr.Column(scale=4, min_width=300):
            gr.HTML(apply_default_css=False, value=_KEPT)
            sure = gr.Checkbox(
                label="I want everything about me deleted: conversations, votes, profile, plans and practice",
                elem_id="profile-sure",
            )
            delete = gr.Button("Delete everything", variant="stop", interactive=False, elem_id="profile-delete")
            gone = gr.HTML(apply_default_css=False, value="", elem_id="profile-gone")

    fields = [role, level, hours, skills, memory, gpu]

    def load(request: gr.Request) -> tuple[Any, ...]:
        return _values(service.sessions.load_profile(user_of(request)))

    def keep(
        role_id: str,
        level_name: str,
        hours_a_week: float | None,
        known: str,
        memory_gb: float | None,
        has_gpu: str,
        request: gr.Request,
    ) -> str:
        names = tuple(part.strip() for part in known.replace(";", ",").split(",") if part.strip())
        service.sessions.save_profile(
            user_of(request),
            Profile(
                skills_in(known, catalogue),
                role_id or "",
                level_name or "",
                hours_a_week or None,
                memory_gb or None,
                {"yes": True, "no": False}.get(has_gpu),
            ),
        )
        missed = unknown_skills(names, catalogue)
        more = f" Not in the catalogue, so left out: {', '.join(missed)}." if missed else ""
        return _said(f"Saved.{more}")

    def erase(request: gr.Request) -> str:
        return _said(f"Deleted: {service.forget(user_of(request))} records. Nothing about you is left.")

    tab.select(load, None, fields, **PRIVATE, show_progress="hidden")
    save.click(keep, fields, said, **PRIVATE, show_progress="hidden")
    sure.change(
        lambda confirmed: gr.update(interactive=bool(confirmed)), sure, delete, **PRIVATE, show_progress="hidden"
    )
    # What the other tabs still show, a chosen resume say, goes with the page.
    delete.click(erase, None, gone, **PRIVATE, show_progress="hidden").then(
        None, None, None, js="() => window.coachStartAnew(document.querySelector('#profile-gone').innerText)"
    )


def _values(profile: Profile) -> tuple[Any, ...]:
    known = ", ".join(f"{item.skill}: {item.level}" for item in profile.skills)
    gpu = {True: "yes", False: "no"}.get(profile.has_gpu, "") if profile.has_gpu is not None else ""
    return (profile.target_role, profile.target_level, profile.hours_per_week, known, profile.memory_gb, gpu)


def _said(text: str) -> str:
    from bots import render

    return f'<p role="status">{render.escape(text)}</p>'
