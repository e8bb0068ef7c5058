"""The Resume tab: readiness by area, every requirement with its two quotes, and the resume's review."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from typing import Any

import gradio as gr

from bots import render
from bots.web_chat import user_of
from bots.web_forms import (
    PRIVATE,
    ask_skill,
    bring_up,
    file_field,
    level_choices,
    read_field,
    render_answer,
    role_choices,
)
from bots.web_service import Service
from coach.domain import Answer
from coach.errors import CoachError
from coach.skills.mentions import Quote
from coach.skills.resume import Review
from coach.skills.skill_gap import Gap, GapRow

_ACCEPT = ".pdf,.docx,.md,.txt,application/pdf,text/plain,text/markdown"


def build_gap(service: Service, tabs: gr.Tabs) -> None:
    """The components of the tab with their events."""
    catalogue = service.coach.catalogue
    reviews = next((skill.name for skill in service.coach.skills if skill.name.startswith("resume")), "")
    with gr.Tab("Resume", id="gap"), gr.Row():
        with gr.Column(scale=2, min_width=260):
            gr.HTML(
                apply_default_css=False,
                value='<div class="sheet"><h3>Where do I stand?</h3><p class="hint">Your file is read in a '
                      'separate process '
                "on this computer's server, kept in memory for this one answer, and never written to disk or shown to "
                "anyone else. When the answer is there, it is gone.</p></div>",
            )
            resume = file_field("Your resume", _ACCEPT, "PDF, DOCX, Markdown or text, at most 10 MB", "gap-resume")
            advert = file_field("A job advertisement (optional)", _ACCEPT, "Or compare with a role below", "gap-advert")
            role = gr.Dropdown(
                role_choices(catalogue), label="Role", elem_id="gap-role", value=next(iter(catalogue.roles), None)
            )
            level = gr.Dropdown(level_choices(), value="junior", label="Level")
            skills = gr.Textbox(
                label="Or list your skills",
                placeholder="python: strong, sql: basic",
                lines=2,
                max_length=2000,
                elem_id="gap-skills",
            )
            compare = gr.Button("Compare", variant="primary", elem_id="gap-compare")
            review = gr.Button("Review my resume", visible=bool(reviews), elem_id="gap-review")
        with gr.Column(scale=6, min_width=300):
            found = gr.HTML(
                apply_default_css=False,
                value='<div class="sheet"><p class="hint">What you have and what is missing will be shown here, each '
                "with the words it rests on.</p></div>",
                elem_id="gap-found",
            )

    async def run(
        skill: str,
        text: str,
        resume_value: Any,
        advert_value: Any,
        role_id: str | None,
        level_name: str,
        known: str,
        request: gr.Request,
    ) -> Answer | str:
        try:
            files = [read_field(resume_value), read_field(advert_value, "job-advert.txt")]
        except CoachError as error:
            return str(error)
        named = [
            dataclasses.replace(f, name=_advert_name(f.name)) if f and index else f for index, f in enumerate(files)
        ]
        options = {"role": "" if files[1] else role_id, "level": level_name, "skills": known}
        return await ask_skill(
            service, user_of(request), skill, text, options, attachments=tuple(file for file in named if file)
        )

    async def show_gap(*values: Any, request: gr.Request) -> str:
        answer = await run("skill_gap", "Where do I stand?", *values, request=request)  # type: ignore[misc]  # values are the five fields
        if isinstance(answer, Answer) and isinstance(answer.result, Gap):
            words = f'<details class="thinking"><summary>In words, with sources</summary>{render_answer(answer)}</details>'
            return _gap_html(answer.result, service) + words
        return render_answer(answer)

    async def compare_now(
        resume_value: Any, advert_value: Any, role_id: str | None, level_name: str, known: str, request: gr.Request
    ) -> str:
        return await show_gap(resume_value, advert_value, role_id, level_name, known, request=request)

    async def review_now(
        resume_value: Any, advert_value: Any, role_id: str | None, level_name: str, known: str, request: gr.Request
    ) -> str:
        answer = await run(
            reviews, "Review my resume.", resume_value, advert_value, role_id, level_name, known, request
        )
        pairs = _rewrites_html(answer.result) if isinstance(answer, Answer) else ""
        return pairs + render_answer(answer)

    fields = [resume, advert, role, level, skills]
    for button, act in ((compare, compare_now), (review, review_now)):
        button.click(act, fields, found, **PRIVATE, show_progress="minimal").then(js=bring_up("gap-found"))


def _advert_name(name: str) -> str:
    ending = name.rsplit(".", 1)[-1].lower() if "." in name else "txt"
    return f"job-advert.{ending}"


def _gap_html(gap: Gap, service: Service) -> str:
    rows = "".join(_row_html(row) for row in sorted(gap.rows, key=lambda item: -item.weight))
    return (
        f'<div class="sheet"><h3>Readiness by skill area: {gap.readiness:.0%} overall</h3>{draw_areas(gap, service)}'
        f'<p class="hint">{render.escape(gap.arithmetic)}</p></div><div class="sheet scroll-x"><h3>Each requirement'
        '</h3><table class="facts-table stack"><thead><tr><th>Skill</th><th></th><th>What is asked</th><th>What you show</th>'
        f"</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def draw_areas(gap: Gap, service: Service) -> str:
    """One bar an area: the weight that you show out of the weight that is asked."""
    asked: dict[str, float] = defaultdict(float)
    shown: dict[str, float] = defaultdict(float)
    for row in gap.rows:
        skill = service.coach.catalogue.skills.get(row.skill)
        area = skill.area if skill else "other"
        asked[area] += row.weight
        shown[area] += row.weight * _SHARE.get(str(row.verdict), 0.0)
    shares = {area: shown[area] / asked[area] if asked[area] else 0.0 for area in sorted(asked, key=lambda name: -asked[name])}
    rows = "".join(
        f'<li><span>{render.escape(_AREAS.get(area, area.replace("-", " ").capitalize()))}</span><span class="track">'
        f'<span class="bar" style="width:{share:.1%}"></span></span><span>{share:.0%}</span></li>'
        for area, share in shares.items()
    )
    return f'<ul class="areas" aria-label="Readiness by skill area">{rows}</ul>'


_AREAS = {"classical-ml": "Classical ML", "mlops": "MLOps", "soft": "Working with people"}
_SHARE = {"met": 1.0, "partly": 0.5, "missing": 0.0}


_BADGES = {"met": "", "partly": "part"}


def _row_html(row: GapRow) -> str:
    verdict = str(row.verdict)
    badge = f'<span class="badge {_BADGES.get(verdict, "miss")}">{render.escape(verdict)}</span>'
    asked = _quote_html(row.need_quote) or render.escape(row.need)
    have = _quote_html(row.have) or f'<span class="hint">{render.escape(row.why)}</span>'
    # A role's own sentence names level and importance; the words of an advertisement do not.
    facts = f"<br><small>{render.escape(row.target)} level, importance {row.weight} of 3</small>" if row.need_quote else ""
    name = f"<strong>{render.escape(row.name)}</strong>{facts}"
    return f"<tr><td>{name}</td><td>{badge}</td><td>{asked}</td><td>{have}</td></tr>"


def _quote_html(quote: Quote | None) -> str:
    if quote is None:
        return ""
    line = quote.whole_line.strip().removeprefix("- ")
    start = line.find(quote.words)
    marked = render.highlight_html(line[:400], ((start, start + len(quote.words)),) if start >= 0 else ())
    return f'<div class="quote source"><small>line {quote.line}</small>{marked}</div>'


def _rewrites_html(result: object) -> str:
    """Before and after side by side, for each remark of a review that offers a rewrite."""
    if not isinstance(result, Review):
        return ""
    pairs = "".join(
        f'<p class="hint">{render.escape(remark.message)}</p><div class="pair"><div>'
        f"<small>Line {remark.line} now</small>{render.escape(remark.quote)}</div>"
        f"<div><small>Rewritten</small>{render.escape(remark.rewrite)}</div></div>"
        for remark in result.remarks if remark.rewrite)
    return f'<div class="sheet"><h3>Side by side</h3>{pairs}</div>' if pairs else ""
