"""The web app: the tabs put together, the theme, and what the page's head carries."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

# Gradio asks its makers' server for news of itself unless told not to, before it is imported.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr

from bots import render
from bots.web_chat import build_chat
from bots.web_gap import build_gap
from bots.web_interview import build_interview
from bots.web_models import build_models
from bots.web_plan import build_plan
from bots.web_profile import build_profile
from bots.web_service import Service

TABS: tuple[Callable[[Service, gr.Tabs], None], ...] = (
    build_plan, build_gap, build_interview, build_models, build_profile)

_SYSTEM = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")
_PAPER = gr.themes.Color(
    c50="#fffdf9", c100="#f7f3ec", c200="#efe8dd", c300="#e2d8c8", c400="#b8ab98", c500="#8a7d6c", c600="#6b6053",
    c700="#4a433a", c800="#272320", c900="#1d1a17", c950="#141210", name="paper")
_TEAL = gr.themes.Color(
    c50="#eef6f4", c100="#d8ebe7", c200="#b4d8d1", c300="#7cc4b8", c400="#4aa094", c500="#2b7c75", c600="#1f5f5b",
    c700="#194d4a", c800="#143d3b", c900="#10302f", c950="#0b2120", name="teal-ink")


def build_theme() -> gr.themes.Base:
    """Warm paper and dark teal ink; system fonts, so nothing is fetched."""
    theme = gr.themes.Base(primary_hue=_TEAL, secondary_hue=_TEAL, neutral_hue=_PAPER,
                           radius_size=gr.themes.sizes.radius_lg,
                           font=[gr.themes.Font(name) for name in _SYSTEM],
                           font_mono=[gr.themes.Font(name) for name in _MONO])
    return theme.set(
        body_background_fill="#f7f3ec", body_background_fill_dark="#1d1a17", body_text_color="#2b2622",
        body_text_color_dark="#efe8dd", body_text_color_subdued="#635848", body_text_color_subdued_dark="#b8ab98",
        background_fill_primary="#fffdf9", background_fill_primary_dark="#272320", background_fill_secondary="#f2ece2",
        background_fill_secondary_dark="#221f1b", border_color_primary="#e2d8c8", border_color_primary_dark="#443d35",
        block_background_fill="#fffdf9", block_background_fill_dark="#272320", block_border_width="0px",
        block_shadow="none", block_label_background_fill="transparent", block_label_background_fill_dark="transparent",
        block_label_text_color="#635848", block_label_text_color_dark="#b8ab98", input_background_fill="#ffffff",
        input_background_fill_dark="#1d1a17", input_border_color="#8a7d6c", input_border_color_dark="#7a6e60",
        input_border_width="1px", input_placeholder_color="#6b6053", input_placeholder_color_dark="#a2957f",
        button_primary_background_fill="#1f5f5b", button_primary_background_fill_hover="#194d4a",
        button_primary_background_fill_dark="#7cc4b8", button_primary_background_fill_hover_dark="#94d3c8",
        button_primary_text_color="#ffffff", button_primary_text_color_dark="#10211f",
        button_primary_text_color_hover_dark="#10211f", button_secondary_background_fill="#efe8dd",
        button_secondary_background_fill_dark="#3a342e", button_secondary_text_color="#2b2622",
        button_secondary_text_color_dark="#efe8dd", button_cancel_background_fill="#9c2f1c",
        button_cancel_background_fill_dark="#f2a08f", button_cancel_text_color="#ffffff",
        button_cancel_text_color_dark="#2a0f09", link_text_color="#1f5f5b", link_text_color_dark="#7cc4b8",
        block_title_text_color="#4a433a", block_title_text_color_dark="#d9cfc0",
        checkbox_label_background_fill="#efe8dd",
        checkbox_label_background_fill_dark="#3a342e", checkbox_background_color_selected="#1f5f5b",
        checkbox_background_color_selected_dark="#4aa094", checkbox_border_color="#8a7d6c",
        checkbox_border_color_dark="#a2957f", block_radius="14px", input_radius="10px", button_large_radius="12px")


def page_head() -> str:
    """What goes into the page's head: its description and its script."""
    script = (Path(__file__).parent / "web_page.js").read_text("utf-8")
    return ('<meta name="color-scheme" content="light dark"><meta name="description" content="A career coach for '
            f'machine learning that shows its sources"><script>{script}</script>')


def build_blocks(service: Service) -> gr.Blocks:
    """The page with all its tabs."""
    with gr.Blocks(title="Career coach", analytics_enabled=False, fill_width=True) as page:
        gr.HTML(apply_default_css=False, value=_header(service), elem_id="top")
        with gr.Tabs(elem_id="tabs", overflow_behavior="wrap") as tabs:
            with gr.Tab("Chat", id="chat"):
                chat = build_chat(service)
            for build in TABS:
                build(service, tabs)
        page.load(chat.refresh, chat.inputs, chat.outputs, show_progress="hidden", api_visibility="private",
                  concurrency_limit=None)
        _add_api(service)
    page.queue(max_size=256, default_concurrency_limit=16)
    built: gr.Blocks = page
    return built


def _header(service: Service) -> str:
    mode = "answers are quoted from documents" if service.coach.mode == "quote" else "every sentence is checked"
    return ('<header class="masthead"><div><h1>Career coach</h1><p>Machine learning careers, with sources; '
            f'{render.escape(mode)}</p></div><button type="button" class="small theme-toggle" data-act="theme" '
            'aria-label="Switch between light and dark">Light / dark</button></header>')


def _add_api(service: Service) -> None:
    """A plain function for gradio_client: the question in, the text with its sources out."""
    from bots.web_chat import user_of
    from coach.domain import Request

    async def ask(question: str, request: gr.Request) -> str:
        """Ask the coach; the answer is Markdown with numbered sources."""
        user = user_of(request)
        answer = await service.ask(Request(question, skill="auto", user=user), front_end="gradio")
        return render.render_markdown(answer)

    gr.api(  # type: ignore[attr-defined]  # exported, but not by name
        ask, api_name="ask", concurrency_limit=None)


