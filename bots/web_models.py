"""The Models tab: a table to filter, models side by side, and memory against context for one's own machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from bots import render
from bots.web_chat import user_of
from bots.web_forms import PRIVATE
from bots.web_service import Service
from coach.catalogue.passages import OVERHEAD_GIB
from coach.catalogue.tables import ModelCard
from coach.engines.select import find_card

BITS = {"bfloat16": 16.0, "int8": 8.0, "4-bit": 4.5}
_CONTEXTS = (1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072)
_COLOURS = ("#2f9d92", "#d0743c", "#7b8fd4", "#b58a2a", "#c0699f", "#6fa04f")
_DASHES = ("", "9 4", "2 4", "12 4 2 4", "5 5", "1 3")


def build_models(service: Service, tabs: gr.Tabs) -> None:
    """The components of the tab with their events."""
    cards = [card for card in service.coach.catalogue.models.values() if card.kind == "chat"]
    mine = [card.id for card in cards if card.mission] or [card.id for card in cards[:3]]
    names = [(card.name, card.id) for card in cards]
    with gr.Tab("Models", id="models") as tab:
        gr.HTML(apply_default_css=False, value=_answering_html(service), elem_id="models-now")
        with gr.Row():
            with gr.Column(scale=2, min_width=260):
                memory = gr.Slider(1, 64, value=8, step=0.5, label="Memory of my machine, GB", elem_id="my-memory")
                context = gr.Dropdown([(f"{size:,} tokens", size) for size in _CONTEXTS], value=8192, label="Longest text")
                bits = gr.Radio(list(BITS), value="4-bit", label="Precision of the weights", elem_id="models-bits")
                wants = gr.CheckboxGroup(
                    [
                        "fits my machine",
                        "reads images",
                        "can think",
                        "commercial use",
                        "calls tools",
                        "the coach's five",
                    ],
                    label="Show only",
                    elem_id="models-wants",
                )
                search = gr.Textbox(label="Name or maker", max_length=60, elem_id="models-search")
            with gr.Column(scale=6, min_width=300):
                chart = gr.HTML(
                    apply_default_css=False, value=_chart_sheet(cards, mine, 8, 8192, "4-bit"), elem_id="models-chart"
                )
        picked = gr.Dropdown(
            names,
            value=mine,
            multiselect=True,
            max_choices=6,
            elem_id="models-picked",
            label="In the chart and side by side (at most six)",
        )
        side = gr.HTML(
            apply_default_css=False,
            value=render_side_by_side(_named(cards, mine), 8, 8192, "4-bit"),
            elem_id="models-side",
        )
        table = gr.HTML(apply_default_css=False, value=render_table(cards, 8, 8192, "4-bit"), elem_id="models-table")

    def show(
        memory_gb: float, tokens: int, precision: str, filters: list[str], words: str, chosen: list[str]
    ) -> tuple[str, str, str]:
        kept = [card for card in cards if _matches(card, filters, words, memory_gb, tokens, precision)]
        return (
            _chart_sheet(cards, chosen, memory_gb, tokens, precision),
            render_table(kept, memory_gb, tokens, precision),
            render_side_by_side(_named(cards, chosen), memory_gb, tokens, precision),
        )

    def start(request: gr.Request) -> Any:
        return service.sessions.load_profile(user_of(request)).memory_gb or gr.skip()

    fields = [memory, context, bits, wants, search, picked]
    events = [memory.change, context.change, bits.change, wants.change, search.change, picked.change]
    gr.on(events, show, fields, [chart, table, side], **PRIVATE, show_progress="hidden", trigger_mode="always_last")
    tab.select(start, None, memory, **PRIVATE, show_progress="hidden")


def need_gib(card: ModelCard, tokens: int, precision: str) -> float | None:
    """Weights + KV cache + overhead in GiB; None when the geometry is not published."""
    cache = card.kv_cache_gib(tokens)
    return None if cache is None else card.weight_gib(BITS.get(precision, 16.0)) + cache + OVERHEAD_GIB


def render_table(cards: Sequence[ModelCard], memory_gb: float, tokens: int, precision: str) -> str:
    """The catalogue's chat models with what each needs on that machine."""
    rows = []
    for card in sorted(cards, key=lambda item: item.parameters):
        need = need_gib(card, min(tokens, card.context_tokens or tokens), precision)
        shown = "not published" if need is None else f"{need:.1f} GiB"
        badge = "" if need is None else _fit_html(need, memory_gb)
        star = ' <span class="badge">the coach\'s</span>' if card.mission else ""
        rows.append(
            f"<tr><td><strong>{render.escape(card.name)}</strong>{star}<br><small>{render.escape(card.maker)}</small></td>"
            f"<td>{card.parameters / 1e9:.2f} B</td><td>{shown} {badge}</td><td>{_count(card.context_tokens)}</td>"
            f"<td>{render.escape(', '.join(card.modalities))}</td><td>{_thinks(card)}</td>"
            f"<td>{render.escape(card.licence.name)}<br><small>commercial: "
            f"{render.escape(card.licence.commercial or '?')}</small></td></tr>"
        )
    heads = "".join(
        f"<th>{name}</th>" for name in ("Model", "Parameters", "Needs", "Context", "Reads", "Thinks", "Licence")
    )
    body = "".join(rows) or '<tr><td colspan="7">No model fits these filters. Take one away.</td></tr>'
    return (
        f'<div class="sheet scroll-x"><h3>{len(rows)} models</h3><table class="facts-table"><thead><tr>{heads}</tr>'
        f"</thead><tbody>{body}</tbody></table></div>"
    )


def render_side_by_side(cards: Sequence[ModelCard], memory_gb: float, tokens: int, precision: str) -> str:
    """The chosen models as columns."""
    if not cards:
        return ""
    lines: list[tuple[str, list[str]]] = [
        ("Parameters", [f"{card.parameters / 1e9:.2f} B" for card in cards]),
        (
            f"Needs at {tokens:,} tokens, {precision}",
            [_need_html(card, tokens, precision, memory_gb) for card in cards],
        ),
        ("Context", [_count(card.context_tokens) for card in cards]),
        ("Reads", [render.escape(", ".join(card.modalities)) for card in cards]),
        ("Thinking", [_thinks(card) for card in cards]),
        ("Languages", [render.escape(str(card.languages.count or "not stated")) for card in cards]),
        ("Licence", [render.escape(card.licence.name) for card in cards]),
        ("Answers with it", [_answers_html(card) for card in cards]),
        ("Good at", [render.escape(" ".join(card.strengths[:2])) for card in cards]),
        ("Mind", [render.escape(" ".join(card.limits[:2])) for card in cards]),
    ]
    heads = "".join(f"<th>{render.escape(card.name)}</th>" for card in cards)
    body = "".join(f"<tr><th>{name}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>" for name, cells in lines)
    return (
        f'<div class="sheet scroll-x"><h3>Side by side</h3><table class="facts-table"><thead><tr><th></th>{heads}</tr>'
        f"</thead><tbody>{body}</tbody></table></div>"
    )


def draw_memory(cards: Sequence[ModelCard], memory_gb: float, tokens: int, precision: str) -> str:
    """Memory needed against context length, one line a model, with the machine's memory as a limit, as SVG."""
    lines = [
        (
            card,
            [
                (size, need)
                for size in _CONTEXTS
                if size <= (card.context_tokens or 0) and (need := need_gib(card, size, precision)) is not None
            ],
        )
        for card in cards
    ]
    lines = [(card, points) for card, points in lines if points]
    if not lines:
        return '<p class="hint">Choose a model whose geometry is published.</p>'
    top = max(memory_gb * 1.1, *(need for _, points in lines for _, need in points)) * 1.05
    left, right, bottom, height = 56, 700, 318, 350

    def x(size: float) -> float:
        return left + _CONTEXTS.index(int(size)) * (right - left) / (len(_CONTEXTS) - 1)

    def y(gib: float) -> float:
        return bottom - gib / top * (bottom - 16)

    parts = []
    step = next(size for size in (0.5, 1, 2, 4, 8, 16, 32, 64) if top / size <= 7)
    for number in range(int(top / step) + 1):
        gib = number * step
        parts.append(
            f'<line class="grid" x1="{left}" x2="{right}" y1="{y(gib):.1f}" y2="{y(gib):.1f}"/><text class="faint" '
            f'x="{left - 8}" y="{y(gib) + 5:.1f}" text-anchor="end" font-size="13">{gib:g}</text>'
        )
    for size in _CONTEXTS:
        parts.append(
            f'<text class="faint" x="{x(size):.1f}" y="{bottom + 22}" text-anchor="middle" font-size="13">'
            f"{size // 1024}k</text>"
        )
    parts.append(
        f'<line class="limit" x1="{left}" x2="{right}" y1="{y(memory_gb):.1f}" y2="{y(memory_gb):.1f}"/>'
        f'<text x="{left + 6}" y="{y(memory_gb) - 7:.1f}" font-size="13">my machine: {memory_gb:g} GB</text>'
    )
    if tokens in _CONTEXTS:
        parts.append(
            f'<line class="grid" x1="{x(tokens):.1f}" x2="{x(tokens):.1f}" y1="16" y2="{bottom}" '
            'stroke-width="6" opacity=".6"/>'
        )
    ends: list[float] = []
    legend = ""
    for position, (card, points) in enumerate(sorted(lines, key=lambda line: line[1][-1][1])):
        colour, dash = _COLOURS[position % 6], _DASHES[position % 6]
        path = " ".join(f"{x(size):.1f},{y(need):.1f}" for size, need in points)
        legend += f'<span><i style="background:{colour}"></i>{render.escape(card.name)}</span> '
        last_x, last_y = x(points[-1][0]), y(points[-1][1])
        label_y = min([last_y + 5, *(end - 17 for end in ends[-1:])])
        ends.append(label_y)
        parts.append(
            f"<g><title>{render.escape(card.name)}: {points[-1][1]:.1f} GiB at {points[-1][0]:,} tokens</title>"
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="3" stroke-dasharray="{dash}"/>'
            f'<circle cx="{last_x:.1f}" cy="{last_y:.1f}" r="4" fill="{colour}"/>'
            f'<line x1="{last_x:.1f}" y1="{last_y:.1f}" x2="{right + 10}" y2="{label_y - 5:.1f}" stroke="{colour}" '
            f'stroke-width="1" opacity=".5"/>'
            f'<text x="{right + 14}" y="{label_y:.1f}" font-size="13">{render.escape(card.name)}</text></g>'
        )
    return (
        f'<div class="scroll-x"><svg class="figure" style="min-width:620px" viewBox="0 0 930 {height}" role="img" '
        f'aria-label="Memory in GiB against context in tokens">{"".join(parts)}</svg></div>'
        f'<p class="legend only-narrow" aria-hidden="true">{legend}</p>'
    )


def _chart_sheet(
    cards: Sequence[ModelCard], chosen: Sequence[str], memory_gb: float, tokens: int, precision: str
) -> str:
    return (
        f'<div class="sheet"><h3>Memory against context, GiB, {precision} weights</h3>'
        f"{draw_memory(_named(cards, chosen), memory_gb, tokens, precision)}"
        '<p class="hint">Weights + keys and values '
        f"in bfloat16 + {OVERHEAD_GIB} GiB for the runtime, computed from each model's published geometry.</p></div>"
    )


def _answering_html(service: Service) -> str:
    settings, coach = service.settings, service.coach
    card = find_card(settings, coach.catalogue)
    name = f"<strong>{render.escape(card.name if card else settings.remote_model or settings.model)}</strong>"
    if coach.mode == "write":
        words = f"{name} words the answers, and every sentence is checked against its source."
    elif settings.mode == "quote":
        words = "Answers are quoted from the documents, word for word, because the coach is set to quote."
    else:
        words = (
            f"Answers are quoted from the documents, word for word: {name} is here, but it is too small to be trusted with "
            "wording them. A larger one, for example Qwen3-0.6B, writes its own sentences, each checked against its source. "
            "To get it: <code>coach models pull qwen3-0.6b</code>"
        )
    images = "reads pictures" if coach.abilities.images else "reads text only; Gemma 3 4B IT reads pictures too"
    return f'<div class="sheet"><p>{words}</p><p class="hint">{name} {images}.</p></div>'


def _matches(
    card: ModelCard, filters: Sequence[str], words: str, memory_gb: float, tokens: int, precision: str
) -> bool:
    need = need_gib(card, tokens, precision)
    tests = {
        "fits my machine": need is not None and need <= memory_gb and tokens <= (card.context_tokens or 0),
        "reads images": "image" in card.modalities,
        "can think": card.thinking in {"switch", "always"},
        "commercial use": card.licence.commercial in {"yes", "with terms"},
        "calls tools": bool(card.tools),
        "the coach's five": card.mission,
    }
    named = words.strip().lower() in f"{card.name} {card.maker} {card.id}".lower()
    return named and all(tests.get(name, True) for name in filters)


def _named(cards: Sequence[ModelCard], chosen: Sequence[str] | None) -> list[ModelCard]:
    return [card for card in cards if card.id in (chosen or ())][:6]


def _need_html(card: ModelCard, tokens: int, precision: str, memory_gb: float) -> str:
    need = need_gib(card, min(tokens, card.context_tokens or tokens), precision)
    return "not published" if need is None else f"{need:.2f} GiB {_fit_html(need, memory_gb)}"


def _fit_html(need: float, memory_gb: float) -> str:
    return '<span class="badge">fits</span>' if need <= memory_gb else '<span class="badge miss">too large</span>'


def _answers_html(card: ModelCard) -> str:
    how = "are worded by it" if card.grade.mode == "write" else "are quoted, it is too small"
    return f"{how}<br><small>{render.escape(card.grade.basis)}</small>"


def _thinks(card: ModelCard) -> str:
    return {"switch": "on and off", "always": "always"}.get(card.thinking or "", "no")


def _count(number: int | None) -> str:
    return f"{number:,}" if number else "not published"
