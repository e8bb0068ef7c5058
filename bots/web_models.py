"""The Models tab: a table to filter, models side by side, and memory against context for one's own machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
_FACTS = ("Parameters", "Needs", "Context", "Reads", "Thinks", "Licence")
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
                memory = gr.Slider(1, 64, value=8, step=0.5, label="Memory I have, GB", elem_id="my-memory")
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
            + _cells_html(_FACTS, (
                f"{card.parameters / 1e9:.2f} B", f"{shown} {badge}", _count(card.context_tokens),
                render.escape(", ".join(card.modalities)), _thinks(card),
                f"{render.escape(card.licence.name)}<br><small>commercial: "
                f"{render.escape(card.licence.commercial or '?')}</small>"))
            + "</tr>"
        )
    heads = "".join(f"<th>{name}</th>" for name in ("Model", *_FACTS))
    body = "".join(rows) or '<tr><td colspan="7">No model fits these filters. Take one away.</td></tr>'
    return _table_html(f"{len(rows)} models", heads, body, kind="cards")


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
    names = [render.escape(card.name) for card in cards]
    heads = "".join(f"<th>{name}</th>" for name in ("", *names))
    body = "".join(f"<tr><th>{name}</th>{_cells_html(names, cells)}</tr>" for name, cells in lines)
    return _table_html("Side by side", heads, body)


def _cells_html(labels: Sequence[str], cells: Sequence[str]) -> str:
    """Table cells that carry the head of their column, which a phone shows beside each."""
    return "".join(f'<td data-label="{label}"><div>{cell}</div></td>' for label, cell in zip(labels, cells, strict=True))


def _table_html(title: str, heads: str, body: str, *, kind: str = "") -> str:
    return (
        f'<div class="sheet scroll-x"><h3>{title}</h3><table class="facts-table stack {kind}"><thead><tr>{heads}</tr>'
        f"</thead><tbody>{body}</tbody></table></div>"
    )


def draw_memory(cards: Sequence[ModelCard], memory_gb: float, tokens: int, precision: str) -> str:
    """Memory needed against context length, one line a model, with the machine's memory as a limit, as SVG.

    It is drawn twice: with the names at the lines' ends, and for a phone with a legend below.
    """
    curves = sorted(_curves(cards, precision), key=lambda curve: curve.points[-1][1])
    if not curves:
        return '<p class="hint">Choose a model whose geometry is published.</p>'
    top = max(memory_gb * 1.1, *(need for curve in curves for _, need in curve.points)) * 1.05
    legend = "".join(
        f'<span><i style="background:{_COLOURS[number % 6]}"></i>{curve.name}</span> ' for number, curve in enumerate(curves)
    )
    wide, narrow = _Axes(top, right=700.0), _Axes(top, right=324.0)
    return (
        f'<div class="only-wide">{_memory_svg(curves, memory_gb, tokens, wide, width=930)}</div>'
        f'<div class="only-narrow">{_memory_svg(curves, memory_gb, tokens, narrow, width=344)}'
        f'<p class="legend" aria-hidden="true">{legend}</p></div>'
    )


@dataclass(frozen=True, slots=True)
class _Curve:
    """A model's escaped name, and (context in tokens, GiB) from its shortest to its longest context."""

    name: str
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class _Axes:
    """Where a context and a size in GiB lie on the picture; `top` is the largest size."""

    top: float
    right: float
    left: float = 34.0
    bottom: float = 318.0

    def x(self, tokens: int) -> float:
        return self.left + _CONTEXTS.index(tokens) * (self.right - self.left) / (len(_CONTEXTS) - 1)

    def y(self, gib: float) -> float:
        return self.bottom - gib / self.top * (self.bottom - 16)


def _curves(cards: Sequence[ModelCard], precision: str) -> list[_Curve]:
    curves = [
        _Curve(
            render.escape(card.name),
            tuple(
                (size, need)
                for size in _CONTEXTS
                if size <= (card.context_tokens or 0) and (need := need_gib(card, size, precision)) is not None
            ),
        )
        for card in cards
    ]
    return [curve for curve in curves if curve.points]


def _memory_svg(curves: Sequence[_Curve], memory_gb: float, tokens: int, axes: _Axes, *, width: int) -> str:
    named = width - axes.right > 100  # there is room for the names at the lines' ends
    parts = [_grid_svg(memory_gb, tokens, axes)]
    label_y = axes.bottom + 22.0
    for number, curve in enumerate(curves):
        colour, dash = _COLOURS[number % 6], _DASHES[number % 6]
        path = " ".join(f"{axes.x(size):.1f},{axes.y(need):.1f}" for size, need in curve.points)
        longest, most = curve.points[-1]
        x, y = axes.x(longest), axes.y(most)
        parts.append(
            f"<g><title>{curve.name}: {most:.1f} GiB at {longest:,} tokens</title>"
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="3" stroke-dasharray="{dash}"/>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>'
        )
        if named:
            label_y = min(y + 5, label_y - 17)
            parts.append(
                f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{axes.right + 10}" y2="{label_y - 5:.1f}" stroke="{colour}" '
                f'stroke-width="1" opacity=".5"/>'
                f'<text x="{axes.right + 14}" y="{label_y:.1f}" font-size="13">{curve.name}</text>'
            )
        parts.append("</g>")
    return (
        f'<svg class="figure" viewBox="0 0 {width} {axes.bottom + 32}" role="img" '
        f'aria-label="Memory in GiB against context in tokens">{"".join(parts)}</svg>'
    )


def _grid_svg(memory_gb: float, tokens: int, axes: _Axes) -> str:
    """The scales, the machine's memory, and a band at the chosen context."""
    step = next(size for size in (0.5, 1, 2, 4, 8, 16, 32, 64) if axes.top / size <= 7)
    parts = [
        f'<line class="grid" x1="{axes.left}" x2="{axes.right}" y1="{axes.y(gib):.1f}" y2="{axes.y(gib):.1f}"/>'
        f'<text class="faint" x="{axes.left - 8}" y="{axes.y(gib) + 5:.1f}" text-anchor="end" font-size="13">{gib:g}</text>'
        for gib in (number * step for number in range(int(axes.top / step) + 1))
    ]
    parts += [
        f'<text class="faint" x="{axes.x(size):.1f}" y="{axes.bottom + 22}" text-anchor="middle" font-size="13">'
        f"{size // 1024}k</text>"
        for size in _CONTEXTS
    ]
    if tokens in _CONTEXTS:
        parts.append(
            f'<line class="grid" x1="{axes.x(tokens):.1f}" x2="{axes.x(tokens):.1f}" y1="16" y2="{axes.bottom}" '
            'stroke-width="6" opacity=".6"/>'
        )
    limit = axes.y(memory_gb)
    parts.append(
        f'<line class="limit" x1="{axes.left}" x2="{axes.right}" y1="{limit:.1f}" y2="{limit:.1f}"/>'
        f'<text x="{axes.left + 6}" y="{limit - 7:.1f}" font-size="13">my machine: {memory_gb:g} GB</text>'
    )
    return "".join(parts)


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
