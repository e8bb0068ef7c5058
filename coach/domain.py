"""The values that cross a seam: frozen dataclasses, standard library only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import threading

    import numpy
    from numpy.typing import NDArray

    Vectors = NDArray[numpy.float32]

PassageKind = Literal["document", "catalogue", "resume", "own"]
Outcome = Literal["answered", "no_evidence", "out_of_scope", "blocked"]
Verdict = Literal["supported", "computed", "quoted"]
AnswerMode = Literal["write", "quote", "computed", "courtesy"]
Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a document's facts come from."""

    title: str
    publisher: str
    url: str
    accessed: str = ""


@dataclass(frozen=True, slots=True)
class Passage:
    """One piece of evidence: a chunk of a document, a row of the catalogue, a section of a resume.

    `start` and `end` are character offsets of `text` in the document it was cut from, so that
    `document_text[start:end] == text`. `score` is the fused retrieval score of the search that found it, 0 otherwise.
    `asked_as` are other ways in which people ask for what it says: searched with it, never shown or cited.
    """

    id: str
    title: str
    text: str
    source: str
    as_of: str = ""
    score: float = 0.0
    kind: PassageKind = "document"
    heading: str = ""
    start: int = 0
    end: int = 0
    audience: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    references: tuple[Source, ...] = ()
    asked_as: tuple[str, ...] = ()

    @property
    def document(self) -> str:
        """The id of the document: the part of the passage id before `#`."""
        return self.id.split("#", 1)[0]

    @property
    def is_public(self) -> bool:
        """Whether it is of the library: what people hand in is not remembered for the next question."""
        return self.kind in ("document", "catalogue")


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation. `images` are encoded image files (PNG, JPEG or WebP)."""

    role: Role
    content: str
    images: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class SkillLevel:
    """A skill a person states to have; level is one of none, basic, working, strong, expert."""

    skill: str
    level: str = "working"


@dataclass(frozen=True, slots=True)
class Profile:
    """What a person has told about themselves on purpose; nothing is inferred into it."""

    skills: tuple[SkillLevel, ...] = ()
    target_role: str = ""
    target_level: str = ""
    hours_per_week: float | None = None
    memory_gb: float | None = None
    has_gpu: bool | None = None
    locale: str = "en"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a request. `name` is display text only and never becomes a path."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """What a front end hands to the coach. `skill` is "auto" to let the router choose, or the name of a skill.

    `options` are the skill's typed slots as (name, value) pairs, e.g. (("role", "data-scientist"),). `think` None means
    the setting. `preferences` are the caller's wishes for language, style and length of a written answer; they reach the
    prompt as such and cannot loosen grounding. `model` names a model to use instead of the default one, where it is at
    hand. `passages` are evidence for this request only, such as the notes of the Discord server it comes from.
    """

    text: str
    skill: str = "ask"
    profile: Profile = field(default_factory=Profile)
    history: tuple[Message, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    session: str = ""
    user: str = ""
    think: bool | None = None
    model: str = ""
    preferences: str = ""
    passages: tuple[Passage, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """Messages for an engine and the passages they show: the marker [n] stands for passages[n - 1]."""

    messages: tuple[Message, ...]
    passages: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class Citation:
    """The span of a passage that supports a sentence: passage.text[start:end].

    One that is not `marked` is evidence without a number of its own in the text, where too many would hinder reading.
    """

    passage: str
    start: int
    end: int
    marked: bool = True


@dataclass(frozen=True, slots=True)
class Sentence:
    """One checked sentence of an answer; `support` is the verifier's probability that the citations support it."""

    text: str
    citations: tuple[Citation, ...] = ()
    support: float = 1.0
    verdict: Verdict = "supported"
    paragraph: int = 0


@dataclass(frozen=True, slots=True)
class Confidence:
    """How well the question is covered by evidence and how well the sentences are supported, each 0 to 1."""

    evidence: float
    support: float


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds spent per step; first_sentence counts from the start of the request."""

    retrieve: float = 0.0
    generate: float = 0.0
    verify: float = 0.0
    first_sentence: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Usage:
    """Exact token counts of the engine call; zero when no model was asked."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of every capability, through every front end.

    `about_images` is what the model said of attached pictures. No document can support it, so it is shown apart, as such.
    """

    outcome: Outcome
    sentences: tuple[Sentence, ...] = ()
    citations: tuple[Passage, ...] = ()
    dropped: int = 0
    mode: AnswerMode = "quote"
    confidence: Confidence = field(default_factory=lambda: Confidence(0.0, 0.0))
    engine: str = ""
    model: str = ""
    index_version: str = ""
    timings: Timings = field(default_factory=Timings)
    usage: Usage = field(default_factory=Usage)
    skill: str = "ask"
    suggestions: tuple[str, ...] = ()
    thinking: str = ""
    notice: str = ""
    result: object | None = None
    id: str = ""
    about_images: str = ""

    @property
    def text(self) -> str:
        """The sentences as paragraphs, with the marker [n] of each citation after its sentence; n counts `citations`."""
        number = {passage.id: position + 1 for position, passage in enumerate(self.citations)}
        paragraphs: dict[int, list[str]] = {}
        for sentence in self.sentences:
            marks = dict.fromkeys(number[c.passage] for c in sentence.citations if c.marked and c.passage in number)
            tail = "".join(f"[{mark}]" for mark in marks)
            paragraphs.setdefault(sentence.paragraph, []).append(f"{sentence.text} {tail}".strip())
        return "\n\n".join(("\n" if _is_list(lines) else " ").join(lines) for lines in paragraphs.values())


def _is_list(lines: Sequence[str]) -> bool:
    return any(line.startswith(("- ", "* ", "|", "#")) or (line[:3].rstrip(" ").endswith(".") and line[0].isdigit())
               for line in lines if line)


# -- events of a running answer ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Queued:
    """The request waits; position 1 is next."""

    position: int


@dataclass(frozen=True, slots=True)
class Retrieved:
    """The evidence was found."""

    passages: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class SentenceReady:
    """A sentence passed verification; `passages` are the ones it cites."""

    sentence: Sentence
    passages: tuple[Passage, ...]


Event = Queued | Retrieved | SentenceReady | Answer


# -- the two protocols ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sampling:
    """Decoding settings; temperature 0 is greedy."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    presence_penalty: float = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class GenerationOptions:
    """How an engine is to answer one prompt. `sampling` None means the model's own published defaults.

    `think` switches thinking on where the model has the switch. `max_tokens` bounds the answer, thinking included.
    """

    max_tokens: int = 400
    sampling: Sampling | None = field(default_factory=Sampling)
    think: bool = False


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of generated text; `thinking` text is never part of the answer."""

    text: str
    thinking: bool = False


@dataclass(frozen=True, slots=True)
class Finished:
    """The last value of a stream: why it ended and the exact token counts."""

    reason: Literal["stop", "length", "cancelled"]
    usage: Usage


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole generated reply."""

    text: str
    thinking: str
    finished: Finished


class Engine(Protocol):
    """A language model that can be asked. Implemented by huggingface, llamacpp, remote and scripted."""

    @property
    def name(self) -> str:
        """The kind of engine, e.g. "huggingface"."""
        ...

    @property
    def model(self) -> str:
        """The id of the model in the catalogue, or the name the server gives it."""
        ...

    @property
    def revision(self) -> str:
        """The commit or file hash of the weights that were loaded; empty when unknown."""
        ...

    @property
    def context_tokens(self) -> int:
        """The longest prompt plus answer, in tokens."""
        ...

    @property
    def accepts_images(self) -> bool:
        """Whether messages may carry images."""
        ...

    @property
    def at_once(self) -> int:
        """How many people are best answered side by side; with more of them all wait longer."""
        ...

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """The exact number of prompt tokens of these messages under the model's chat template."""
        ...

    def stream(
        self, messages: Sequence[Message], options: GenerationOptions, cancel: threading.Event | None = None
    ) -> Iterator[Delta | Finished]:
        """Yield text as it is generated, then one Finished. Setting `cancel` stops within a few tokens.

        Raises EngineError (EngineUnavailable, EngineTimeout) and ContextOverflow when prompt + answer do not fit.
        """
        ...

    def generate_batch(
        self, prompts: Sequence[Sequence[Message]], options: GenerationOptions
    ) -> list[Completion]:
        """Answer several prompts; greedy answers equal those of one-by-one `stream`."""
        ...

    def close(self) -> None:
        """Free the weights or the connection; the engine is not used afterwards."""
        ...


class Embedder(Protocol):
    """Turns texts into unit vectors. Implemented by SentenceTransformerEmbedder and HashingEmbedder."""

    @property
    def fingerprint(self) -> str:
        """Everything that changes the vectors: model, revision, dimension, pooling, normalisation, precision."""
        ...

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    @property
    def max_tokens(self) -> int:
        """Longest text in tokens that is embedded without being cut."""
        ...

    def count_tokens(self, text: str) -> int:
        """Number of tokens of the text, special tokens included."""
        ...

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors of questions, shape (len(texts), dim), float32."""
        ...

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors of passages, shape (len(texts), dim), float32."""
        ...


def today() -> str:
    """Today's date, ISO 8601."""
    return date.today().isoformat()
