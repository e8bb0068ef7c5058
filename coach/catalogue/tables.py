"""The catalogue: roles, skills, models, questions and resources, loaded from YAML, validated, looked up by any name."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import yaml

from coach.domain import Sampling, Source
from coach.errors import KnowledgeError

LEVELS = ("none", "basic", "working", "strong", "expert")
ROLE_LEVELS = ("junior", "mid", "senior", "staff")
GIB = 1024**3


@dataclass(frozen=True, slots=True)
class CatalogueSource(Source):
    """A source with the short id that figures refer to."""

    id: str = ""


@dataclass(frozen=True, slots=True)
class Skill:
    """A skill; `hours` lead from zero to working level once the prerequisites are there.

    `aliases` are other names of it. `wordings` are what resumes and advertisements write that shows it: `*` stands for
    any letters, ` .. ` for up to three words, and capitals count where a wording has them.
    """

    id: str
    name: str
    area: str
    summary: str
    hours: float
    hours_reason: str
    evidence: str
    project: str
    guide: str
    aliases: tuple[str, ...] = ()
    wordings: tuple[str, ...] = ()
    prerequisites: tuple[str, ...] = ()
    case_sensitive: bool = False


@dataclass(frozen=True, slots=True)
class Requirement:
    """A skill that a role asks for, with the level aimed at and its weight from 1 (useful) to 3 (required)."""

    skill: str
    target: str
    weight: int


@dataclass(frozen=True, slots=True)
class RoleLevel:
    """One level of a role."""

    level: str
    summary: str
    outputs: tuple[str, ...]
    skills: tuple[Requirement, ...]


@dataclass(frozen=True, slots=True)
class RoleCard:
    """A job, with what each of its levels needs and gives."""

    id: str
    name: str
    summary: str
    guide: str
    as_of: str
    levels: tuple[RoleLevel, ...]
    aliases: tuple[str, ...] = ()
    neighbours: tuple[str, ...] = ()
    sources: tuple[CatalogueSource, ...] = ()

    def at(self, level: str) -> RoleLevel:
        """The level asked for, or the nearest one the role has."""
        wanted = ROLE_LEVELS.index(level) if level in ROLE_LEVELS else 0
        return min(self.levels, key=lambda item: abs(ROLE_LEVELS.index(item.level) - wanted))


@dataclass(frozen=True, slots=True)
class RubricPoint:
    """Something a good answer contains, with the guide that explains it."""

    point: str
    weight: int
    guide: str
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mistake:
    """A wrong statement that candidates make, and what is right."""

    statement: str
    correction: str


@dataclass(frozen=True, slots=True)
class Question:
    """An interview question with its rubric."""

    id: str
    question: str
    roles: tuple[str, ...]
    level: str
    topic: str
    rubric: tuple[RubricPoint, ...]
    mistakes: tuple[Mistake, ...] = ()
    follow_up: str = ""


@dataclass(frozen=True, slots=True)
class Resource:
    """Something to learn from. `hours` is the time to use it well."""

    id: str
    title: str
    kind: str
    url: str
    cost: str
    hours: float
    level: str
    skills: tuple[str, ...]
    summary: str
    not_good_for: str
    checked: str
    authors: str = ""
    publisher: str = ""


@dataclass(frozen=True, slots=True)
class Licence:
    """Terms of a model; `commercial` is yes, with terms, or no."""

    name: str
    url: str = ""
    commercial: str = ""
    gated: bool = False
    accept_at: str | None = None


@dataclass(frozen=True, slots=True)
class Languages:
    """Languages a model card names: how many, and the native ones by ISO code where the list is short."""

    count: int | None = None
    native: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class SamplingSettings:
    """The decoding settings a model card recommends, plain and while thinking."""

    plain: Sampling | None = None
    thinking: Sampling | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """A published result. Settings differ between cards: never rank across models by it."""

    benchmark: str
    value: float
    source: str
    as_of: str
    setting: str = ""


@dataclass(frozen=True, slots=True)
class Grade:
    """How far a model is trusted to word answers: measured by `coach eval answers`, or assumed from its size."""

    mode: Literal["write", "quote"]
    basis: str


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model with the geometry that its memory is computed from; None means not published."""

    id: str
    name: str
    repository: str
    maker: str
    kind: Literal["chat", "embedding", "reranker"]
    parameters: int
    licence: Licence
    modalities: tuple[str, ...]
    summary: str
    sources: tuple[CatalogueSource, ...]
    aliases: tuple[str, ...] = ()
    mission: bool = False
    embedding_parameters: int | None = None
    layers: int | None = None
    hidden_size: int | None = None
    attention_heads: int | None = None
    kv_heads: int | None = None
    head_dim: int | None = None
    sliding_layers: int | None = 0
    sliding_window: int | None = None
    context_tokens: int | None = None
    released: str | None = None
    languages: Languages = field(default_factory=Languages)
    thinking: str | None = "none"
    tools: bool | None = None
    system_role: str | None = "native"
    auto_class: str | None = "AutoModelForCausalLM"
    sampling: SamplingSettings | None = None
    stop_tokens: tuple[str, ...] = ()
    strengths: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    scores: tuple[Score, ...] = ()
    guide: str | None = None
    measured: Grade | None = None

    @property
    def grade(self) -> Grade:
        """The measured grade, or an assumption: models under 400 million parameters do not write."""
        if self.measured:
            return self.measured
        mode: Literal["write", "quote"] = "write" if self.parameters >= 400_000_000 else "quote"
        return Grade(mode, "assumed from its size; not measured by us")

    def weight_gib(self, bits: float) -> float:
        """GiB of the weights alone at that many bits per weight: parameters × bits / 8."""
        return self.parameters * bits / 8 / GIB

    def kv_cache_gib(self, tokens: int, *, bytes_per_value: int = 2) -> float | None:
        """GiB of keys and values for a context: 2 × layers × KV heads × head size × tokens × bytes.

        Layers with a sliding window keep at most the window. None when the geometry is not published.
        """
        if not (self.layers and self.kv_heads and self.head_dim):
            return None
        sliding = self.sliding_layers or 0
        kept = min(tokens, self.sliding_window) if self.sliding_window else tokens
        values = 2 * self.kv_heads * self.head_dim * ((self.layers - sliding) * tokens + sliding * kept)
        return values * bytes_per_value / GIB


Named = TypeVar("Named", bound=Skill | RoleCard | ModelCard)
Row = TypeVar("Row", Skill, RoleCard, ModelCard, Question, Resource)


class Catalogue:
    """The five tables, each loaded when first asked for.

    Raises KnowledgeError with file and row when a value is missing, of the wrong type, or refers to nothing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def skills(self) -> Mapping[str, Skill]:
        """Skills by id, in a prerequisite graph without cycles."""
        return self._load("skills.yaml", Skill)

    @cached_property
    def roles(self) -> Mapping[str, RoleCard]:
        """Roles by id."""
        return self._load("roles.yaml", RoleCard)

    @cached_property
    def models(self) -> Mapping[str, ModelCard]:
        """Models by id; the five of the product come first."""
        return self._load("models.yaml", ModelCard)

    @cached_property
    def questions(self) -> Mapping[str, Question]:
        """Interview questions by id."""
        return self._load("questions.yaml", Question)

    @cached_property
    def resources(self) -> Mapping[str, Resource]:
        """Learning resources by id."""
        return self._load("resources.yaml", Resource)

    def find_model(self, name: str) -> ModelCard | None:
        """The model with that id, name, alias or repository, in any case."""
        return find_named(self.models.values(), name)

    def find_skill(self, name: str) -> Skill | None:
        """The skill with that id, name or alias."""
        return find_named(self.skills.values(), name)

    def find_role(self, name: str) -> RoleCard | None:
        """The role with that id, name or alias."""
        return find_named(self.roles.values(), name)

    @cached_property
    def skill_order(self) -> Mapping[str, int]:
        """Each skill's position in one prerequisite order: a skill never stands before what it builds on."""
        graph = {skill.id: skill.prerequisites for skill in self.skills.values()}
        return {name: position for position, name in enumerate(TopologicalSorter(graph).static_order())}

    def problems(self) -> list[str]:
        """Everything that is inconsistent between the tables, one sentence each; empty when all is well."""
        found: list[str] = []
        for load in ("skills", "roles", "models", "questions", "resources"):
            try:
                getattr(self, load)
            except KnowledgeError as error:
                found.append(str(error))
        return found or [*self._skill_problems(), *self._reference_problems()]

    def _load(self, name: str, row_type: type[Row]) -> Mapping[str, Row]:
        path = self.folder / name
        if not path.is_file():
            return {}
        try:
            rows = yaml.load(path.read_text("utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except yaml.YAMLError as error:
            raise KnowledgeError(f"{path} is not valid YAML: {error}") from error
        table: dict[str, Row] = {}
        for position, raw in enumerate(rows or []):
            where = f"{name}, row {position + 1} ({raw.get('id', 'no id') if isinstance(raw, dict) else raw!r})"
            row: Row = cast(Row, _build(row_type, raw, where))
            if row.id in table:
                raise KnowledgeError(f"{where}: the id {row.id!r} is used twice. Rename one of the rows.")
            table[row.id] = row
        return table

    def _skill_problems(self) -> Iterable[str]:
        try:
            _ = self.skill_order
        except CycleError as error:
            yield f"skills.yaml: prerequisites go in a circle: {' -> '.join(error.args[1])}."
        owner: dict[str, str] = {}
        for skill in self.skills.values():
            for name in {_fold(n) for n in (skill.id, skill.name, *skill.aliases)}:
                if name in owner:
                    yield f"skills.yaml: {name!r} names both {owner[name]} and {skill.id}."
                owner[name] = skill.id

    def _reference_problems(self) -> Iterable[str]:
        def missing(table: str, row: str, kind: str, names: Iterable[str], known: Iterable[str]) -> Iterable[str]:
            for name in sorted(set(names) - set(known)):
                yield f"{table}: {row} refers to {kind} {name!r}, which does not exist."

        for skill in self.skills.values():
            yield from missing("skills.yaml", skill.id, "skill", skill.prerequisites, self.skills)
        for role in self.roles.values():
            yield from missing("roles.yaml", role.id, "role", role.neighbours, self.roles)
            wanted = [need for level in role.levels for need in level.skills]
            yield from missing("roles.yaml", role.id, "skill", (need.skill for need in wanted), self.skills)
            yield from missing("roles.yaml", role.id, "level", (need.target for need in wanted), LEVELS[1:])
            yield from missing("roles.yaml", role.id, "role level", (lv.level for lv in role.levels), ROLE_LEVELS)
        for question in self.questions.values():
            yield from missing("questions.yaml", question.id, "skill", [question.topic], self.skills)
            yield from missing("questions.yaml", question.id, "role", question.roles, self.roles)
        for resource in self.resources.values():
            yield from missing("resources.yaml", resource.id, "skill", resource.skills, self.skills)
        for model in self.models.values():
            known = [source.id for source in model.sources]
            yield from missing("models.yaml", model.id, "source", (score.source for score in model.scores), known)


def find_named(rows: Iterable[Named], name: str) -> Named | None:
    """The row whose id, name, alias or hub repository equals `name`, ignoring case, spaces and hyphens."""
    wanted = _fold(name)
    for row in rows:
        names: list[str] = [row.id, row.name, *row.aliases]
        repository = row.repository if isinstance(row, ModelCard) else ""
        if repository:
            names += [repository, repository.rsplit("/", 1)[-1]]
        if any(_fold(candidate) == wanted for candidate in names):
            return row
    return None


def named_in(text: str, rows: Iterable[Any], *, min_length: int = 3) -> list[Any]:
    """The rows whose name, id or alias occurs in the text as whole words, longest match first, without overlaps."""
    folded = f" {_fold(text)} "
    spans: list[tuple[int, int, Any]] = []
    for row in rows:
        for name in {_fold(candidate) for candidate in (row.id, row.name, *row.aliases)}:
            if len(name) < min_length or f" {name} " not in folded:
                continue
            for match in re.finditer(rf"(?<= ){re.escape(name)}(?= )", folded):
                spans.append((match.start(), match.end(), row))
    spans.sort(key=lambda item: (item[0] - item[1], item[0]))
    taken: list[tuple[int, int, Any]] = []
    for start, end, row in spans:
        if all(end <= other_start or start >= other_end for other_start, other_end, _ in taken):
            taken.append((start, end, row))
    taken.sort(key=lambda item: item[0])
    return list({row.id: row for _, _, row in taken}.values())


@lru_cache(maxsize=16384)
def _fold(name: str) -> str:
    return " ".join(re.sub(r"[^\w+#.]+|_", " ", name.lower()).replace(". ", " ").rstrip(".").split())


# -- YAML to dataclass -----------------------------------------------------------------------------------------------


def _build(kind: Any, raw: Any, where: str) -> Any:
    """A dataclass from a mapping, checked field by field."""
    if not isinstance(raw, dict):
        raise KnowledgeError(f"{where}: expected a mapping, found {raw!r}.")
    hints = typing.get_type_hints(kind)
    fields = {item.name: item for item in dataclasses.fields(kind)}
    unknown = sorted(set(raw) - set(fields))
    if unknown:
        raise KnowledgeError(f"{where}: unknown key {unknown[0]!r}. Known keys: {', '.join(fields)}.")
    values: dict[str, Any] = {}
    for name, item in fields.items():
        if name in raw:
            values[name] = _convert(hints[name], raw[name], f"{where}, {name}")
        elif item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
            raise KnowledgeError(f"{where}: {name!r} is missing. Add it.")
    return kind(**values)


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _convert(next(a for a in arguments if a is not type(None)), value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise KnowledgeError(f"{where}: expected a list, found {value!r}.")
        return tuple(_convert(arguments[0], entry, where) for entry in value)
    if origin is Literal:
        if value not in arguments:
            raise KnowledgeError(f"{where}: {value!r} is none of {', '.join(map(str, arguments))}.")
        return value
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, where)
    convert: dict[Any, Callable[[Any], Any]] = {str: _text, int: int, float: float, bool: bool}
    try:
        return convert[hint](value) if hint in convert else value
    except (TypeError, ValueError) as error:
        raise KnowledgeError(f"{where}: {value!r} is not a {hint.__name__}.") from error


def _text(value: Any) -> str:
    if value is None or isinstance(value, (dict, list)):
        raise ValueError("not text")
    return str(value)
