"""A first-time user's walk through the web app on the real coach, photographed: `python -m tests.screenshots --to FOLDER`.

Ask, open a source, plan, compare a resume, practise a question, look at the models, delete everything; at desktop and phone
width, light and dark. `--docs` retakes docs/screenshots, which the README shows.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coach.catalogue.tables import Catalogue
from tests.web.conftest import launch_chromium

REPOSITORY = Path(__file__).parents[1]
DOCS = REPOSITORY / "docs" / "screenshots"
IN_THE_DOCS = ("chat", "plan", "gap", "interview", "models")
SIZES = {"": {"viewport": {"width": 1360, "height": 900}},
         "-phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "device_scale_factor": 2}}
QUESTION = "How do I become a machine learning engineer?"
RESUME = """# Anna Example

Data analyst, Berlin

## Experience

**Data analyst**, Example Retail, 2022 to today
- Wrote SQL reports over 40 tables that the purchasing team reads every Monday
- Built a demand forecast in Python with pandas and scikit-learn; its error fell from 31% to 22%
- Was responsible for dashboards

## Education

BSc Statistics, 2021

## Skills

Python, SQL, pandas, Git, statistics
"""


def main() -> None:
    """Take the walk once for every size and theme."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, help="Folder for a full-page picture of every step.")
    parser.add_argument("--docs", action="store_true", help="Retake docs/screenshots.")
    parser.add_argument("--only", default="", help="One size and theme, for example -phone-dark or -light.")
    options = parser.parse_args()
    with serve() as url, launch_chromium() as browser:
        for size, context in SIZES.items():
            for theme in ("light", "dark"):
                if options.only in ("", f"{size}-{theme}"):
                    page = browser.new_context(**context, color_scheme=theme).new_page()
                    walk(page, url, Camera(page, f"{size}-{theme}", options.to, docs=options.docs))
                    page.context.close()


class Camera:
    """Takes a picture of each step: the whole page into a folder, and what the window shows into the docs."""

    def __init__(self, page: Any, suffix: str, folder: Path | None, *, docs: bool) -> None:
        self._page = page
        self._suffix = suffix
        self._folder = folder
        self._docs = docs

    def take(self, name: str) -> None:
        """One picture of the step."""
        self._page.wait_for_timeout(500)  # colours and progress bars fade
        if self._folder:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._page.screenshot(path=self._folder / f"{name}{self._suffix}.png", full_page=True)
        if self._docs and name in IN_THE_DOCS:
            self._page.screenshot(path=DOCS / f"{name}{self._suffix}.png")


def walk(page: Any, url: str, camera: Camera) -> None:
    """The steps of a newcomer, each waited for as long as the real coach takes."""
    page.set_default_timeout(90_000)
    page.goto(url)
    page.wait_for_selector("#thread .starter")
    page.wait_for_function("typeof window.coachBus === 'function'")
    camera.take("start")

    page.fill("#question textarea", QUESTION)
    page.press("#question textarea", "Enter")
    _timed("ask", page, "#thread .turn .answer-body")
    camera.take("answer")
    page.click("#thread .cite >> nth=0")
    page.wait_for_selector("#source-panel mark")
    page.evaluate("window.scrollTo(0, 0)")
    camera.take("chat")
    page.keyboard.press("Escape")

    _open_tab(page, "Plan")
    page.click("#make-plan")
    _timed("plan", page, "#plan-picture svg .bar >> visible=true")
    _bring(page, "#plan-picture")
    camera.take("plan")

    _open_tab(page, "Resume")
    page.set_input_files("#gap-resume input[type=file]", {
        "name": "resume.md", "mimeType": "text/markdown", "buffer": RESUME.encode()})
    page.wait_for_selector("#gap-resume .has-file")
    page.click("#gap-compare")
    _timed("gap", page, "#gap-found .track")
    _bring(page, "#gap-found")
    camera.take("gap")
    page.click("#gap-review")
    _timed("review", page, "#gap-found .answer:has-text('words on')")
    _bring(page, "#gap-found")
    camera.take("review")

    _open_tab(page, "Interview")
    page.click("#interview-begin")
    _timed("question", page, "#interview-answer textarea")
    camera.take("question")
    page.fill("#interview-answer textarea", half_an_answer(page.inner_text("#room .answer-body")))
    page.click("#interview-send")
    _timed("score", page, "#interview-progress table")
    _bring(page, "#room")
    camera.take("interview")

    _open_tab(page, "Models")
    page.wait_for_selector("#models-chart svg .limit", state="attached")
    _bring(page, "#models-chart")
    camera.take("models")

    _open_tab(page, "Profile")
    page.wait_for_selector("#profile-delete")
    camera.take("profile")
    page.click("#profile-sure input")
    page.click("#profile-delete:not([disabled])")
    _timed("delete", page, "#toast:has-text('Nothing about you is left')")
    page.wait_for_selector("#thread .starter")
    camera.take("deleted")


def half_an_answer(shown: str) -> str:
    """What a candidate says who knows half of what the rubric of the question shown asks for."""
    catalogue = Catalogue(REPOSITORY / "knowledge" / "catalogue")
    question = next(question for question in catalogue.questions.values() if question.question in shown)
    known = question.rubric[: max(1, len(question.rubric) // 2)]
    return " ".join(point.point for point in known)


def _timed(name: str, page: Any, selector: str) -> None:
    started = time.monotonic()
    page.wait_for_selector(selector)
    print(f"{name}: {time.monotonic() - started:.1f} s", flush=True)


def _open_tab(page: Any, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()
    page.wait_for_timeout(300)


def _bring(page: Any, selector: str) -> None:
    """On a phone the result lies below the form; on a desktop the page stays at its top."""
    if page.viewport_size["width"] < 960:
        page.evaluate("s => document.querySelector(s).scrollIntoView()", selector)
    else:
        page.evaluate("window.scrollTo(0, 0)")


@contextlib.contextmanager
def serve() -> Iterator[str]:
    """`coach serve` with a database of its own; its address."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "COACH_DATABASE_URL": f"sqlite:///{folder}/walk.sqlite", "COACH_PORT": "0",
                       "COACH_REQUESTS_PER_MINUTE": "1000"}
        process = subprocess.Popen([sys.executable, "-m", "bots.cli", "serve"], cwd=REPOSITORY, env=environment,
                                   stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            yield next(line for line in process.stdout if "http://" in line).split()[-1]
        finally:
            process.terminate()
            process.wait(40)


if __name__ == "__main__":
    main()
