"""The Plan tab: a roadmap as a timeline with its prerequisites, steps ticked off, planned anew on the spot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from bots import render
from bots.web_chat import user_of
from bots.web_forms import PRIVATE, ask_skill, bring_up, download_link, level_choices, render_answer, role_choices
from bots.web_service import Service
from coach.domain import Answer
from coach.skills.roadmap import Roadmap, Step, to_ics, to_markdown

_ROW, _LEFT, _WIDTH, _TOP = 34, 250, 1000, 46
_KEY = (
    '<p class="hint">Pale steps are not asked for by the role itself: others build on them.<span class="only-wide"> A line '
    "leads from a step to what builds on it; point at a step to see its own.</span></p>"
)


def build_plan(service: Service, tabs: gr.Tabs) -> None:
    """The components of the tab with their events."""
    catalogue = service.coach.catalogue
    with gr.Tab("Plan", id="plan") as tab, gr.Row():
        with gr.Column(scale=2, min_width=260):
            gr.HTML(
                apply_default_css=False,
                value='<div class="sheet"><h3>Plan my way</h3><p class="hint">From what you know and the hours '
                "you have to "
                "a role, week by week. The order follows what builds on what.</p></div>",
            )
            role = gr.Dropdown(
                role_choices(catalogue),
                value="machine-learning-engineer" if "machine-learning-engineer" in catalogue.roles else None,
                label="Role",
                elem_id="plan-role",
            )
            level = gr.Dropdown(level_choices(), value="junior", label="Level")
            hours = gr.Slider(1, 40, value=8, step=1, label="Hours a week", elem_id="plan-hours")
            skills = gr.Textbox(
                label="What you know already",
                placeholder="python: strong, sql: basic",
                lines=2,
                max_length=2000,
                elem_id="plan-skills",
            )
            deadline = gr.Textbox(label="Ready by (optional)", placeholder="2027-06-30, or: in 6 months", max_length=60)
            make = gr.Button("Make my plan", variant="primary", elem_id="make-plan")
        with gr.Column(scale=6, min_width=300):
            picture = gr.HTML(
                apply_default_css=False,
                value='<div class="sheet"><p class="hint">Your plan will be drawn here.</p></div>',
                elem_id="plan-picture",
            )
            done = gr.CheckboxGroup(
                [],
                label="Tick off what you have finished; the rest is planned anew",
                visible=False,
                elem_id="plan-done",
            )
            details = gr.HTML(apply_default_css=False, value="", elem_id="plan-details")

    async def plan(
        role_id: str | None,
        level_name: str,
        hours_a_week: float,
        known: str,
        by: str,
        ticked: list[str],
        request: gr.Request,
    ) -> dict[Any, Any]:
        user = user_of(request)
        answer = await ask_skill(
            service,
            user,
            "roadmap",
            "Plan my way.",
            {
                "role": role_id,
                "level": level_name,
                "hours_per_week": hours_a_week,
                "skills": known,
                "deadline": by,
                "done": ", ".join(ticked or ()),
            },
        )
        roadmap = answer.result if isinstance(answer, Answer) else None
        if not isinstance(roadmap, Roadmap):
            return {picture: render_answer(answer), details: "", done: gr.update(visible=False)}
        # A tick's value names the level too: a name such as programming-basics would be read as a level by itself.
        open_steps = {
            f"{step.skill}:{step.target}": f"{step.name} ({step.target}, {step.hours:.0f} h)" for step in roadmap.steps
        }
        finished = {
            f"{item.skill}:{item.level}": f"{catalogue.skills[item.skill].name} ({item.level}, done)"
            for item in roadmap.done
            if item.skill in catalogue.skills
        }
        choices = [(label, key) for key, label in {**open_steps, **finished}.items()]
        links = download_link(
            "Calendar (.ics)", to_ics(roadmap, catalogue), "text/calendar", "plan.ics"
        ) + download_link("Markdown", to_markdown(roadmap, catalogue).encode(), "text/markdown", "plan.md")
        return {
            picture: f'<div class="sheet"><h3>{_headline(roadmap, service)}</h3>{_left_out_html(roadmap)}'
            f'<div class="only-wide">{draw_timeline(roadmap)}</div>'
            f'<div class="only-narrow">{draw_short_timeline(roadmap)}</div>{_KEY}<p class="links">{links}</p></div>',
            done: gr.update(choices=choices, value=list(finished), visible=bool(choices)),
            details: _steps_html(roadmap.steps)
            + f'<details class="thinking"><summary>In words, with sources</summary>{render_answer(answer)}</details>',
        }

    def start(request: gr.Request) -> dict[Any, Any]:
        profile = service.sessions.load_profile(user_of(request))
        known = ", ".join(f"{item.skill}: {item.level}" for item in profile.skills)
        found = catalogue.find_role(profile.target_role) if profile.target_role else None
        return {
            role: found.id if found else gr.skip(),
            level: profile.target_level or gr.skip(),
            hours: profile.hours_per_week or gr.skip(),
            skills: known or gr.skip(),
        }

    fields = [role, level, hours, skills, deadline, done]
    shown = [picture, done, details]
    make.click(plan, fields, shown, **PRIVATE, show_progress="minimal").then(js=bring_up("plan-picture"))
    done.input(plan, fields, shown, **PRIVATE, show_progress="hidden", trigger_mode="always_last")
    hours.release(plan, fields, shown, **PRIVATE, show_progress="hidden", trigger_mode="always_last")
    tab.select(start, None, [role, level, hours, skills], **PRIVATE, show_progress="hidden")


def draw_timeline(roadmap: Roadmap) -> str:
    """Weeks from left to right, one bar a step, a line from each prerequisite to what builds on it, as SVG."""
    steps = roadmap.steps
    if not steps:
        return '<p class="hint">Nothing is left to learn for this role.</p>'
    weeks = max(roadmap.weeks, 1)
    scale = (_WIDTH - _LEFT - 16) / weeks
    height = _TOP + _ROW * len(steps) + 10
    row = {step.skill: position for position, step in enumerate(steps)}
    parts = [_grid_svg(weeks, scale, height)]
    direct = _direct_prerequisites(steps)
    for position, step in enumerate(steps):
        x, width = _LEFT + (step.start_week - 1) * scale, max((step.end_week - step.start_week + 1) * scale, 5)
        y = _TOP + position * _ROW
        label = f"{step.name}: {step.have} to {step.target}, {step.hours:.0f} hours, {_weeks(step)}"
        name = step.name if len(step.name) <= 31 else step.name[:30].rstrip() + "…"
        edges = "".join(
            _edge_svg(steps[row[before]], row[before], step, position, scale) for before in direct[step.skill]
        )
        parts.append(
            f'<g class="step">{edges}<title>{render.escape(label)}</title><text x="{_LEFT - 12}" y="{y + 18}" '
            f'text-anchor="end" font-size="14">'
            f'{render.escape(name)}</text><rect class="bar {"weak" if step.weight == 0 else ""}" x="{x:.1f}" '
            f'y="{y + 5}" '
            f'width="{width:.1f}" height="19" rx="6"/></g>'
        )
    said = f"Timeline of {len(steps)} steps over {weeks} weeks"
    return (
        f'<svg class="figure" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{said}">{"".join(parts)}</svg>'
    )


def draw_short_timeline(roadmap: Roadmap) -> str:
    """The same for a phone: each name above its bar, no lines of prerequisites."""
    width, row, weeks = 360, 44, max(roadmap.weeks, 1)
    bars = "".join(
        f'<text x="0" y="{row * n + 16}" font-size="15">{render.escape(step.name)}</text><text class="faint" x="{width}" '
        f'y="{row * n + 16}" font-size="13" text-anchor="end">{_weeks(step)}</text><rect class="track" x="0" '
        f'y="{row * n + 23}" width="{width}" height="9" rx="4"/><rect class="bar {"weak" if step.weight == 0 else ""}" '
        f'x="{width * (step.start_week - 1) / weeks:.1f}" y="{row * n + 23}" '
        f'width="{max(width * (step.end_week - step.start_week + 1) / weeks, 5):.1f}" height="9" rx="4"/>'
        for n, step in enumerate(roadmap.steps)
    )
    said = f"Timeline of {len(roadmap.steps)} steps over {roadmap.weeks} weeks"
    return f'<svg class="figure" viewBox="0 0 {width} {row * len(roadmap.steps)}" role="img" aria-label="{said}">{bars}</svg>'


def _direct_prerequisites(steps: Sequence[Step]) -> dict[str, tuple[str, ...]]:
    """Each step's prerequisites in the plan without those that another of its prerequisites needs anyway."""
    after = {step.skill: [name for name in step.after if any(other.skill == name for other in steps)] for step in steps}

    def above(name: str) -> set[str]:
        return {found for before in after.get(name, ()) for found in {before, *above(before)}}

    return {
        skill: tuple(name for name in names if not any(name in above(other) for other in names if other != name))
        for skill, names in after.items()
    }


def _grid_svg(weeks: int, scale: float, height: int) -> str:
    step = next((size for size in (1, 2, 4, 8, 13, 26, 52) if size * scale >= 46), 104)
    lines = []
    for week in range(0, weeks + 1, step):
        x = _LEFT + week * scale
        lines.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 10}" y2="{height}"/>')
        if week < weeks:
            lines.append(f'<text class="faint" x="{x + 3:.1f}" y="{_TOP - 18}" font-size="13">week {week + 1}</text>')
    return "".join(lines)


def _edge_svg(before: Step, before_row: int, after: Step, after_row: int, scale: float) -> str:
    x1, y1 = _LEFT + before.end_week * scale - 4, _TOP + before_row * _ROW + 24
    x2, y2 = _LEFT + (after.start_week - 1) * scale + 6, _TOP + after_row * _ROW + 5
    middle = (y1 + y2) / 2
    return f'<path class="edge" d="M{x1:.1f},{y1} C{x1:.1f},{middle:.1f} {x2:.1f},{middle:.1f} {x2:.1f},{y2}"/>'


def _headline(roadmap: Roadmap, service: Service) -> str:
    role = service.coach.catalogue.roles[roadmap.role].name
    return render.escape(
        f"{role}, {roadmap.level}: {len(roadmap.steps)} steps, {sum(step.hours for step in roadmap.steps):.0f} hours, "
        f"{roadmap.weeks} weeks at {roadmap.hours_per_week:g} hours a week"
    )


def _left_out_html(roadmap: Roadmap) -> str:
    """What a deadline leaves no time for, and how many hours a week would."""
    if not roadmap.left_out:
        return ""
    names = render.escape(", ".join(item.name for item in roadmap.left_out))
    needed = f"; with {roadmap.needed_hours_per_week:g} hours a week all would" if roadmap.needed_hours_per_week else ""
    hours = sum(item.hours for item in roadmap.left_out)
    said = f"{len(roadmap.left_out)} more steps, {hours:.0f} hours, do not fit before {roadmap.deadline}{needed}"
    return f'<p class="warning" role="status">{said}: {names}.</p>'


def _weeks(step: Step) -> str:
    return f"week {step.start_week}" if step.start_week == step.end_week else f"weeks {step.start_week}–{step.end_week}"


def _steps_html(steps: tuple[Step, ...]) -> str:
    rows = []
    for number, step in enumerate(steps, start=1):
        links = ", ".join(
            f'<a href="{render.escape(link)}" target="_blank" rel="noopener noreferrer nofollow">'
            f"{render.escape(item.title)}</a>"
            for item in step.resources
            if (link := render.safe_link(item.url))
        )
        rows.append(
            f"<tr><td>{number}</td><td><strong>{render.escape(step.name)}</strong><br><small>{step.have} to "
            f"{step.target}"
            f"</small></td><td>{step.hours:.0f} h<br><small>{_weeks(step)}</small></td>"
            f"<td>{render.escape(step.milestone)}</td><td>{links}</td></tr>"
        )
    if not rows:
        return ""
    return (
        '<div class="sheet scroll-x"><h3>Step by step</h3><table class="facts-table steps stack"><thead><tr><th></th>'
        "<th>Skill</th><th>Time</th><th>You are done when</th><th>Learn from</th></tr></thead><tbody>"
        f"{''.join(rows)}</tbody></table></div>"
    )
