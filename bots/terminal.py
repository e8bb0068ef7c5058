"""An answer on a terminal: sentences as they pass, then the sources with dates."""

from __future__ import annotations

import re

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from bots.render import ABOUT_IMAGES
from coach.domain import Answer, Event, Queued, Retrieved, SentenceReady

_ITEM = re.compile(r"(?:[-*]|\d+[.)])\s")
MODES = {
    "write": "worded by {model}, every sentence checked against its source",
    "quote": "quoted from the documents",
    "computed": "computed from the catalogue",
    "courtesy": "",
}


class TerminalAnswer:
    """Prints the events of one answer."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._numbers: dict[str, int] = {}
        self._paragraph: int | None = None
        self._column = 0

    def show(self, event: Event) -> None:
        """Print what an event adds."""
        if isinstance(event, Queued):
            self.console.print(f"[dim]Waiting: {event.position} before you.[/]")
        elif isinstance(event, SentenceReady):
            self._sentence(event)
        elif isinstance(event, Answer):
            self._end(event)
        else:
            assert isinstance(event, Retrieved)

    def _sentence(self, event: SentenceReady) -> None:
        known = {passage.id for passage in event.passages}
        marked = dict.fromkeys(c.passage for c in event.sentence.citations if c.marked and c.passage in known)
        for passage in marked:
            self._numbers.setdefault(passage, len(self._numbers) + 1)
        marks = "".join(f"[{self._numbers[passage]}]" for passage in marked)
        if self._paragraph is not None and event.sentence.paragraph != self._paragraph:
            self.console.print("\n")
            self._column = 0
        elif self._column and _ITEM.match(event.sentence.text):
            self.console.print()
            self._column = 0
        self._paragraph = event.sentence.paragraph
        text = event.sentence.text + (" " + marks if marks else "")
        for word in text.split():
            if self._column and self._column + len(word) + 1 > min(self.console.width, 100):
                self.console.print()
                self._column = 0
            style = "cyan" if word.startswith("[") and word.endswith("]") else None
            self.console.print((" " if self._column else "") + word, end="", style=style, markup=False, highlight=False)
            self._column += len(word) + (1 if self._column else 0)

    def _end(self, answer: Answer) -> None:
        self.console.print()
        if answer.about_images:
            self.console.print(f"\n[bold]{ABOUT_IMAGES}[/]\n{escape(answer.about_images)}", highlight=False)
        if answer.citations:
            self.console.print("\n[bold]Sources[/]")
        for passage in answer.citations:
            number = self._numbers.setdefault(passage.id, len(self._numbers) + 1)
            where = f"{passage.title}{', ' + passage.heading if passage.heading else ''}"
            date = f" ({passage.as_of})" if passage.as_of else ""
            basis = f", after {passage.references[0].title} ({passage.references[0].publisher})" if passage.references else ""
            line = f"[cyan]\\[{number}][/] {escape(where)}{date}\n    [dim]{escape(passage.document + basis)}[/]"
            self.console.print(Padding(line, (0, 0, 0, 2)), highlight=False, soft_wrap=False)
        if answer.suggestions:
            label = "Ask next" if answer.outcome == "answered" else "Nearest topics"
            self.console.print(f"\n[bold]{label}[/]")
            for suggestion in answer.suggestions:
                self.console.print(f"  - {escape(suggestion)}", highlight=False)
        parts = [MODES[answer.mode].format(model=answer.model or "the model")]
        if answer.dropped:
            parts.append(f"{answer.dropped} unsupported sentence{'s' if answer.dropped > 1 else ''} withheld")
        if answer.notice:
            parts.append(answer.notice)
        parts.append(f"{answer.timings.total:.1f} s")
        self.console.print(f"\n[dim]{escape('; '.join(part for part in parts if part))}[/]", highlight=False)
