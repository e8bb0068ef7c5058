"""What every skill is made of: slots, the register row, what a skill is given, and what it hands back."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Literal, Protocol

from coach.catalogue.tables import Catalogue, RoleCard
from coach.domain import Citation, Embedder, Passage, Profile, Request, Sentence, Verdict
from coach.errors import RequestError

if TYPE_CHECKING:
    from typing import Any

SlotKind = Literal["role", "level", "skill", "skills", "hours", "date", "text", "number", "file", "model", "choice"]
LEVEL_FACTOR: Mapping[str, float] = {"none": 0.0, "basic": 0.4, "working": 1.0, "strong": 2.0, "expert": 4.0}
LEVEL_WORDS = ("junior", "mid", "senior", "staff")


@dataclass(frozen=True, slots=True)
class Slot:
    """Something a skill needs to know. Front ends build options and form fields from it; `question` asks for it."""

    name: str
    question: str
    kind: SlotKind
    required: bool = False
    choices: tuple[str, ...] = ()
    help: str = ""


@dataclass(frozen=True, slots=True)
class SlotValues:
    """The values given for a skill's slots, as text; the readers below turn them into what they mean."""

    pairs: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, values: Mapping[str, object] | Sequence[tuple[str, str]] = (), /, **named: object) -> SlotValues:
        """From a mapping, pairs or keywords; None and empty text count as not given."""
        given = {**dict(values), **named}
        return cls(tuple((name, str(value)) for name, value in given.items() if value is not None and str(value)))

    def text(self, name: str, default: str = "") -> str:
        """The value of a slot, stripped, or the default."""
        return next((value.strip() for key, value in reversed(self.pairs) if key == name and value.strip()), default)

    def number(self, name: str) -> float | None:
        """The first number in the value; None when not given. Raises RequestError when there is none in it."""
        value = self.text(name)
        if not value:
            return None
        match = re.search(r"-?\d+(?:[.,]\d+)?", value)
        if not match:
            raise RequestError(f"{name.replace('_', ' ')} {value!r} is not a number. Give a number such as 8.")
        return float(match[0].replace(",", "."))

    def day(self, name: str) -> date | None:
        """An ISO date; None when not given. Raises RequestError for anything else."""
        value = self.text(name)
        if not value:
            return None
        try:
            return date.fromisoformat(value)
        except ValueError as error:
            raise RequestError(f"{name} {value!r} is not a date. Write it as 2027-06-30.") from error

    def items(self, name: str) -> tuple[str, ...]:
        """The value split at commas and semicolons."""
        return tuple(part.strip() for part in re.split(r"[,;\n]", self.text(name)) if part.strip())

    def over(self, other: SlotValues) -> SlotValues:
        """These values, and the other's where these say nothing; one value a slot, so that no session grows by follow-ups."""
        return SlotValues(tuple({name: text for name, text in (*other.pairs, *self.pairs) if text.strip()}.items()))


@dataclass(frozen=True, slots=True)
class DoneStep:
    """A skill brought to a level while following a roadmap; never forgotten by a new plan."""

    skill: str
    level: str
    on: str = ""


@dataclass(frozen=True, slots=True)
class PracticeRecord:
    """One graded interview answer. `card` is the spaced-repetition card after it, as JSON of the fsrs library."""

    question: str
    score: float
    answered_at: str
    card: str = ""


class ProfileStore(Protocol):
    """Where a person's stated profile is kept: coach/store/progress.py, or memory in tests."""

    def load(self, user: str) -> Profile:
        """The stored profile; an empty one when nothing was stated."""
        ...

    def save(self, user: str, profile: Profile) -> None:
        """Replace the stored profile."""
        ...

    def delete(self, user: str) -> bool:
        """Forget the profile; False when there was none."""
        ...


def _no_passages(query: str, count: int) -> Sequence[Passage]:
    return ()


def _no_guide(document: str) -> Passage | None:
    return None


def _no_reader(content: bytes, name: str) -> str:
    raise RequestError(f"{name}: reading files is not set up here. Paste the text instead.")


@dataclass(frozen=True, slots=True)
class SkillContext:
    """What a skill may use. Everything but the catalogue has a default that does nothing.

    `find_passages(query, count)` searches the guides; `guide(name)` is the passage of that id, or the opening one
    of a document;
    `read_file(content, name)` is the text of a PDF, DOCX, Markdown or text file, read in a throw-away process;
    `state` is what the same skill handed back in `SkillResult.state` earlier in this session.
    """

    catalogue: Catalogue
    embedder: Embedder | None = None
    find_passages: Callable[[str, int], Sequence[Passage]] = _no_passages
    guide: Callable[[str], Passage | None] = _no_guide
    read_file: Callable[[bytes, str], str] = _no_reader
    today: date = field(default_factory=date.today)
    done: tuple[DoneStep, ...] = ()
    practice: tuple[PracticeRecord, ...] = ()
    runnable_models: tuple[str, ...] = ()
    profiles: ProfileStore | None = None
    state: str = ""


@dataclass(frozen=True, slots=True)
class SkillResult:
    """What a skill hands back. Every sentence is computed or quoted and cites `passages`.

    `result` is a frozen dataclass with the full outcome (`to_json`); `follow_up` is the one thing to ask next.
    `state` is kept for this skill in this session ("" ends the exchange, None leaves it as it was); `done` and
    `practice` are new records to store. `keep` is what a follow-up of the session may build on in
    place of a file, which is not kept.
    """

    sentences: tuple[Sentence, ...] = ()
    passages: tuple[Passage, ...] = ()
    result: object | None = None
    follow_up: str | None = None
    suggestions: tuple[str, ...] = ()
    state: str | None = None
    done: tuple[DoneStep, ...] = ()
    practice: tuple[PracticeRecord, ...] = ()
    keep: SlotValues = SlotValues()

    @property
    def text(self) -> str:
        """The sentences as plain text, one a line."""
        return "\n".join(sentence.text for sentence in self.sentences)


RunSkill = Callable[[Request, SlotValues, SkillContext], SkillResult]


@dataclass(frozen=True, slots=True)
class SkillSpec:
    """A row of the register: what front ends show, what the router learns from, and the function that does it.

    `understands` names what the skill reads from a text besides its slots, such as the wish for a calendar file.
    """

    name: str
    title: str
    summary: str
    examples: tuple[str, ...]
    slots: tuple[Slot, ...]
    run: RunSkill
    understands: tuple[str, ...] = ()

    def slot(self, name: str) -> Slot:
        """The slot of that name."""
        return next(slot for slot in self.slots if slot.name == name)


class Report:
    """Collects sentences with the spans they rest on."""

    def __init__(self) -> None:
        self._sentences: list[Sentence] = []
        self._passages: dict[str, Passage] = {}
        self._paragraph = 0

    def say(
        self,
        text: str,
        *evidence: Passage | tuple[Passage, str] | None,
        unmarked: Sequence[tuple[Passage, str]] = (),
        verdict: Verdict = "computed",
    ) -> None:
        """Add a sentence. Evidence is a passage, or a passage with the words of it that are meant; `unmarked` evidence is
        cited without a marker in the text."""
        citations = []
        for item, marked in (*((item, True) for item in evidence), *((item, False) for item in unmarked)):
            if item is None:
                continue
            passage, words = item if isinstance(item, tuple) else (item, "")
            self._passages.setdefault(passage.id, passage)
            citations.append(replace(cite(self._passages[passage.id], words), marked=marked))
        self._sentences.append(Sentence(text, tuple(citations), 1.0, verdict, self._paragraph))

    def paragraph(self) -> None:
        """Begin a new paragraph."""
        if self._sentences:
            self._paragraph += 1

    def result(self, result: object | None = None, **more: Any) -> SkillResult:
        """What was collected, with the computed outcome."""
        # In the order in which the text marks them, so that a reader meets 1, 2, 3.
        marked = dict.fromkeys(c.passage for sentence in self._sentences for c in sentence.citations if c.marked)
        passages = tuple(self._passages[name] for name in dict.fromkeys((*marked, *self._passages)))
        return SkillResult(tuple(self._sentences), passages, result, **more)


def cite(passage: Passage, words: str = "") -> Citation:
    """The span of `words` in the passage; the whole passage when it does not contain them."""
    start = passage.text.find(words) if words else -1
    return Citation(passage.id, start, start + len(words)) if start >= 0 else Citation(passage.id, 0, len(passage.text))


def ask_for(slot: Slot, **more: Any) -> SkillResult:
    """A result that only asks for a missing slot."""
    return SkillResult(follow_up=slot.question, **more)


def to_json(result: object) -> str:
    """A result dataclass as JSON text, dates in ISO 8601."""

    def plain(value: object) -> object:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
        if isinstance(value, Mapping):
            return {str(key): plain(entry) for key, entry in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(entry) for entry in value]
        return value.isoformat() if isinstance(value, (date, datetime)) else value

    return json.dumps(plain(result), ensure_ascii=False, indent=2)


def find_role(catalogue: Catalogue, name: str) -> RoleCard:
    """The role by id, name or alias. Raises RequestError with the nearest names."""
    role = catalogue.find_role(name) or catalogue.find_role(
        re.sub(r"^(junior|mid|senior|staff)[\s-]+", "", name, flags=re.I)
    )
    if role:
        return role
    raise RequestError(f"There is no role {name!r} in the catalogue. Choose one of: {', '.join(catalogue.roles)}.")


def requirements_passage(catalogue: Catalogue, role: RoleCard, level: str) -> Passage:
    """The skills that a level of a role asks for as a passage with one sentence a requirement."""
    at = role.at(level)
    lines = [requirement_sentence(catalogue, role, at.level, need.skill) for need in at.skills]
    text = " ".join(lines)
    return Passage(
        f"catalogue/roles/{role.id}-{at.level}-requirements",
        f"{at.level.capitalize()} {lower_first(role.name)}",
        text,
        role.sources[0].url if role.sources else "the role catalogue",
        role.as_of,
        kind="catalogue",
        heading="Skills that the role asks for",
        end=len(text),
        references=tuple(role.sources),
    )


def requirement_sentence(catalogue: Catalogue, role: RoleCard, level: str, skill: str) -> str:
    """The one sentence of `requirements_passage` about a skill."""
    need = next(need for need in role.at(level).skills if need.skill == skill)
    return (
        f"A {level} {lower_first(role.name)} needs {catalogue.skills[skill].name} at {need.target} level, "
        f"importance {need.weight} of 3."
    )


def hours_between(hours: float, have: str, target: str) -> float:
    """Hours from one level to another, when `hours` lead from nothing to working level; 0 when already there."""
    return round(max(0.0, hours * (LEVEL_FACTOR[target] - LEVEL_FACTOR[have])), 1)


def lower_first(name: str) -> str:
    """ "Data scientist" -> "data scientist"; "AI engineer", "NLP engineer" and "MLOps engineer" keep their capitals."""
    first = name.split(" ", 1)[0]
    return name if sum(letter.isupper() for letter in first) > 1 else name[0].lower() + name[1:]


def join_words(words: Sequence[str]) -> str:
    """a, b and c."""
    if not words:
        return "none"
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def count_of(number: float, one: str, many: str = "") -> str:
    """1 -> "1 week", 3 -> "3 weeks"; halves keep their decimals."""
    shown = f"{number:.1f}".rstrip("0").rstrip(".")
    return f"{shown} {one if shown == '1' else many or one + 's'}"
