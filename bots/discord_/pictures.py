"""Draws a study plan as a picture: one bar a step over the weeks. Pillow only, no foreign fonts."""

from __future__ import annotations

import io
from typing import Any

WIDTH, ROW, LEFT, TOP, PAD = 1200, 34, 330, 70, 24
_INK, _SOFT, _PAPER = (232, 234, 240), (140, 146, 160), (30, 31, 38)
_BARS = ((88, 130, 247), (60, 179, 140), (233, 165, 64), (198, 107, 196))


def draw_plan(plan: object) -> bytes | None:
    """A PNG of a roadmap's steps; None for results that are no plan. Long plans show their first 40 steps."""
    steps: tuple[Any, ...] = tuple(getattr(plan, "steps", ()) or ())
    if not steps or not all(hasattr(step, "start_week") and hasattr(step, "end_week") for step in steps):
        return None
    from PIL import Image, ImageDraw, ImageFont

    shown = steps[:40]
    weeks = max(int(step.end_week) for step in steps)
    height = TOP + ROW * len(shown) + PAD * 3
    image = Image.new("RGB", (WIDTH, height), _PAPER)
    draw = ImageDraw.Draw(image)
    title, small = ImageFont.load_default(26), ImageFont.load_default(17)
    role = str(getattr(plan, "role", "")).replace("-", " ")
    heading = f"Roadmap: {role}, {weeks} weeks" if role else f"Roadmap, {weeks} weeks"
    draw.text((PAD, PAD), heading, fill=_INK, font=title)
    scale = (WIDTH - LEFT - PAD) / weeks
    for week in range(0, weeks + 1, max(1, weeks // 12)):
        x = LEFT + week * scale
        draw.line((x, TOP, x, height - 2 * PAD), fill=(52, 54, 64))
        draw.text((x + 2, height - 2 * PAD - 2), str(week), fill=_SOFT, font=small)
    for row, step in enumerate(shown):
        y = TOP + row * ROW
        draw.text((PAD, y + 6), str(getattr(step, "name", step))[:34], fill=_INK, font=small)
        begin, end = LEFT + (int(step.start_week) - 1) * scale, LEFT + int(step.end_week) * scale
        colour = _BARS[int(getattr(step, "weight", 0) or 0) % len(_BARS)]
        draw.rounded_rectangle((begin + 1, y + 5, max(end - 1, begin + 6), y + ROW - 5), 6, fill=colour)
    if len(steps) > len(shown):
        draw.text((PAD, height - PAD - 2), f"and {len(steps) - len(shown)} more", fill=_SOFT, font=small)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
