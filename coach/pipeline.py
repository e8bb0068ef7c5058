"""One question to one checked answer: retrieve, compose, generate, verify, answer. Every front end comes through here."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Protocol

from coach import compose, quote
from coach.catalogue.tables import named_in
from coach.domain import (
    Answer,
    AnswerMode,
    Citation,
    Confidence,
    Delta,
    Embedder,
    Engine,
    Event,
    Finished,
    GenerationOptions,
    Message,
    Outcome,
    Passage,
    Queued,
    Request,
    Retrieved,
    Sentence,
    SentenceReady,
    Timings,
    Usage,
)
from coach.engines.select import Abilities, find_abilities
from coach.errors import EngineError, RequestError
from coach.memory import give_back
from coach.retrieval.defuse import defuse
from coach.retrieval.own import OwnPassages
from coach.retrieval.search import Evidence, contextual_query, is_outside, proper_names, score_evidence, search
from coach.skills.courtesy import Courtesy, courtesy, decline
from coach.skills.screen import LIKELY_UNSAFE, SURELY_UNSAFE, Screen
from coach.verify import Verifier, split_sentences

if TYPE_CHECKING:
    from coach.admission import Admission, Ticket
    from coach.catalogue.tables import Catalogue, Grade
    from coach.engines.pool import NamedModels
    from coach.retrieval.snapshot import SnapshotReader
    from coach.settings import Settings
    from coach.skills.base import SkillSpec

log = logging.getLogger(__name__)

LONGEST_QUESTION = 8000
LONGEST_SENTENCE = 900  # characters
SURE_EVIDENCE = 0.9  # above it the model is not offered to say that the documents do not answer: small ones overuse it
SHORTEST_ANSWER_WORDS = 30  # a written answer below this is completed by quotes
THINKING_TOKENS = 1024  # added to the answer's limit when the model thinks first, at most a quarter of the context
LONGEST_ROUND = 100  # characters that are looked for four times in a row
SHORTEST_LOOP = 24
LONG_ENOUGH = 30  # characters of a sentence that nobody says three times
LEAST_CLAIM_WORDS = 4  # "Yes." shares no word with any evidence, and a support score of one word means nothing
ABBREVIATIONS = {"ml": "machine learning", "dl": "deep learning", "rl": "reinforcement learning", "ds": "data science",
                 "mle": "machine learning engineer", "swe": "software engineer"}
STARTERS = (
    "How do I become a machine learning engineer?",
    "Which small model can read images?",
    "What comes after senior engineer?",
)
_COMPARES = re.compile(r"\b(differences?|differ|different|compared?|comparison|versus|vs|or)\b", re.I)
_REFUSAL = re.compile(r"\b(documents?|passages?) (do|does) not (say|mention|answer|contain|provide)", re.I)

_WHOLE = re.compile(r"""[.!?]["')*]*(?:\s*\[\d+\])*\s*$""")


class SkillRunner(Protocol):
    """Runs a skill other than `ask`; built in coach/app.py from the register of skills."""

    def route(self, request: Request) -> str:
        """The name of the skill that the text asks for, "ask" when none or unsure."""
        ...

    def run(
        self, request: Request, passages: Callable[[str, int], Sequence[Passage]], guide: Callable[[str], Passage | None]
    ) -> Answer:
        """The skill's answer, without timings."""
        ...

    def forget(self, user: str) -> None:
        """Drop what a skill would go on with for this user."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Parts:
    """What a Coach is made of; put together in coach/app.py."""

    settings: Settings
    catalogue: Catalogue
    reader: SnapshotReader
    embedder: Embedder
    verifier: Verifier
    open_engine: Callable[[], Engine]
    grade: Callable[[], Grade]
    admission: Admission
    skills: tuple[SkillSpec, ...] = ()
    runner: SkillRunner | None = None
    models: NamedModels | None = None
    phrase_embedder: Embedder | None = None  # the same one, remembering the vectors of example phrases on disk
    library_embedder: Embedder | None = None  # the same one, remembering the sentences of documents in memory


class Coach:
    """Answers questions. Safe to share between threads: as many are answered at a time as the engine can, the others wait."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._engine: Engine | None = None
        self._engine_lock = threading.Lock()
        self._named_turn = threading.Lock()
        self._own = OwnPassages(parts.embedder)
        self._screen = Screen(parts.phrase_embedder or parts.embedder)

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._parts.settings

    @property
    def catalogue(self) -> Catalogue:
        """Roles, skills, models, questions and resources."""
        return self._parts.catalogue

    @property
    def skills(self) -> tuple[SkillSpec, ...]:
        """What the coach can do besides answering questions."""
        return self._parts.skills

    @property
    def index_version(self) -> str:
        """The version of the knowledge index in force."""
        return self._parts.reader.current().version

    @property
    def mode(self) -> AnswerMode:
        """How questions are answered: the model words them, or source sentences are quoted."""
        if self.settings.mode != "auto":
            return self.settings.mode
        return self._parts.grade().mode

    @property
    def admission(self) -> Admission:
        """The queue in front of the engine, shared by every front end."""
        return self._parts.admission

    @property
    def embedder(self) -> Embedder:
        """The embedder that the index was built with."""
        return self._parts.embedder

    @property
    def abilities(self) -> Abilities:
        """Whether the model that answers reads images and has a thinking switch; nothing is loaded to find out."""
        engine = self._engine
        return find_abilities(self.settings, self.catalogue) if engine is None else self._abilities_of(engine)

    def _abilities_of(self, engine: Engine) -> Abilities:
        card = self.catalogue.find_model(engine.model)
        return Abilities(engine.accepts_images, card is not None and card.thinking == "switch")

    @property
    def models(self) -> NamedModels | None:
        """The models that a request may name; None when it may name none."""
        return self._parts.models

    def engine(self) -> Engine:
        """The language model, loaded on first use. Raises EngineError when it cannot be had."""
        with self._engine_lock:
            if self._engine is None:
                self._engine = self._parts.open_engine()
                self._parts.admission.widen(self._engine.at_once)
            return self._engine

    def search(
        self, question: str, *, count: int | None = None, history: Sequence[Message] = (), own: Sequence[Passage] = ()
    ) -> Evidence:
        """The evidence for a question, without an answer. `own` are passages that only this question may use."""
        synonyms, first = self._names(question)
        catalogue = self._parts.catalogue
        explained = frozenset(name for name in proper_names(question)
                              if catalogue.find_skill(name) or catalogue.find_role(name) or catalogue.find_model(name))
        snapshot, count = self._parts.reader.current(), count or self.settings.passages
        look = partial(search, snapshot, self._parts.embedder, question, history=history, count=count, synonyms=synonyms,
                       explained=explained)
        found = look(first=first)
        if roles := self._compared_roles(question, found):
            found = look(first=roles)
        kind = self._screen.screen(contextual_query(question, history))
        found = dataclasses.replace(found, outside=kind.outside, particulars=kind.particulars)
        return self._own.add_to(found, own, question, snapshot, count=count)

    def ask(self, request: Request | str, *, cancel: threading.Event | None = None) -> Answer:
        """The whole answer. See `stream` for the errors."""
        asked = Request(request) if isinstance(request, str) else request
        answer: Answer | None = None
        for event in self.stream(asked, cancel=cancel):
            if isinstance(event, Answer):
                answer = event
        assert answer is not None  # every stream ends with an Answer
        return answer

    def stream(self, request: Request, *, cancel: threading.Event | None = None) -> Iterator[Event]:
        """The events of one request; the Answer is last. Sentences are yielded as they pass verification.

        Raises RequestError (too long, queue full), KnowledgeError (no index). A failing engine is no error: the answer
        is then quoted, and its notice says so. Setting `cancel`, or closing the iterator, stops the generation.
        """
        started = time.perf_counter()
        question = request.text.strip()
        if not question and not request.attachments:
            raise RequestError("The question is empty. Ask something.")
        if len(question) > LONGEST_QUESTION:
            raise RequestError(f"The question has {len(question):,} characters; at most {LONGEST_QUESTION:,} are read. "
                               "Shorten it, or attach a long text as a file.")
        first_sentence = 0.0
        for event in self._events(request, cancel or threading.Event()):
            now = time.perf_counter() - started
            if isinstance(event, SentenceReady) and not first_sentence:
                first_sentence = now
            if isinstance(event, Answer):
                timings = dataclasses.replace(event.timings, total=now, first_sentence=first_sentence or now)
                event = dataclasses.replace(event, timings=timings, id=event.id or _answer_id(request, started))
            yield event
        give_back()

    def forget(self, user: str) -> None:
        """Drop what is held in memory about the user; what is stored is deleted by the store."""
        if self._parts.runner is not None:
            self._parts.runner.forget(user)

    def close(self) -> None:
        """Free the model."""
        with self._engine_lock:
            if self._engine is not None:
                self._engine.close()
                self._engine = None
        if self._parts.models is not None:
            self._parts.models.close()

    def _names(self, question: str) -> tuple[list[str], list[str]]:
        """(full names of what the question calls by another name, catalogue rows of the models it compares)."""
        catalogue = self._parts.catalogue
        models = named_in(question, catalogue.models.values())
        rows = [*named_in(question, catalogue.roles.values()), *named_in(question, catalogue.skills.values())]
        synonyms = [row.name for row in rows if row.name.lower() not in question.lower()]
        synonyms += [full for short, full in ABBREVIATIONS.items() if re.search(rf"\b{short}\b", question, re.I)]
        return synonyms, [f"catalogue/models/{model.id}" for model in models] if len(models) > 1 else []

    def _compared_roles(self, question: str, found: Evidence) -> list[str]:
        """The passages that say what each of the roles does which a question compares, unless the best one found compares
        them itself."""
        roles = named_in(question, self._parts.catalogue.roles.values()) if _COMPARES.search(question) else []
        known = named_in(found.passages[0].heading, roles) if roles and found.passages else []
        leads = list(dict.fromkeys(f"{role.guide}#lead" for role in roles))
        return leads if len(leads) > 1 and len(known) < len(roles) else []

    def _of_named_role(self, question: str, evidence: Evidence) -> Sequence[Passage]:
        """The passages without guides of other roles, where the question names one role: a manager's day is no engineer's."""
        roles = self._parts.catalogue.roles.values()
        named = {role.guide for role in named_in(question, roles)}
        if len(named) != 1 or evidence.compared:
            return evidence.passages
        others = {role.guide for role in roles} - named
        return [p for p in evidence.passages if p.document not in others] or evidence.passages

    # -- the steps ---------------------------------------------------------------------------------------------------

    def _events(self, request: Request, cancel: threading.Event) -> Iterator[Event]:
        reply = courtesy(request.text) if request.skill in ("ask", "auto") and not request.attachments else None
        if reply is not None:
            yield from _reply(reply)
            return
        runner = self._parts.runner
        skill = request.skill
        if skill == "auto":
            skill = runner.route(request) if runner else "ask"
        # An answer to an interview question is graded, whatever it says.
        if request.skill in ("ask", "auto") and skill != "interview" and not request.attachments:
            screened = self._screen.screen(request.text)
            if screened.unsafe >= SURELY_UNSAFE:
                yield from _reply(decline(screened.kind))
                return
        if skill != "ask" and runner is not None:
            yield from self._run_skill(dataclasses.replace(request, skill=skill), runner)
            return
        writes = self.mode == "write" or _has_images(request) or bool(request.model)
        # The place in line is taken before anything is said, so that a full queue is a refusal and not a broken answer.
        with self._parts.admission.join(request.user or request.session) if writes else nullcontext() as ticket:
            yield from self._answer(request, cancel, ticket)

    def _run_skill(self, request: Request, runner: SkillRunner) -> Iterator[Event]:
        def find(question: str, count: int) -> Sequence[Passage]:
            return self.search(question, count=count).passages

        answer = runner.run(request, find, self._parts.reader.current().find)
        by_id = {passage.id: passage for passage in answer.citations}
        for sentence in answer.sentences:
            cited = tuple(by_id[c.passage] for c in sentence.citations if c.passage in by_id)
            yield SentenceReady(sentence, cited)
        yield dataclasses.replace(answer, index_version=self.index_version)

    def _answer(self, request: Request, cancel: threading.Event, ticket: Ticket | None) -> Iterator[Event]:
        clock = time.perf_counter()
        own = tuple(dataclasses.replace(passage, kind="own") for passage in request.passages)
        found = self.search(request.text, history=request.history, own=own)
        evidence = dataclasses.replace(found, passages=tuple(map(defuse, found.passages)))
        confidence = score_evidence(evidence)
        retrieve = time.perf_counter() - clock
        yield Retrieved(evidence.passages)
        has_images = _has_images(request)
        covered = confidence >= self.settings.evidence_threshold
        if not covered and not has_images:
            yield from self._decline(request.text, evidence, confidence, retrieve)
            return
        draft = _Draft(evidence, confidence, retrieve)
        model, notice = self._named_model(request)
        mode: AnswerMode = self._parts.models.mode(model) if model and self._parts.models else self.mode
        if ticket is not None and (mode == "write" or has_images):
            try:
                for position in ticket.wait(cancel):
                    yield Queued(position)
                with self._turn_with(model, cancel) as mine:
                    if mine:
                        yield from self._write(request, draft, cancel, model)
            except EngineError as error:
                log.warning("the engine failed: %s", error)
                notice = (f"The language model stopped before its end. ({error})" if draft.sentences else
                          f"The language model did not answer, so this is quoted from the documents. ({error})")
        if draft.sentences:
            if cancel.is_set():
                notice = "Stopped."
            elif _is_short(draft) or _is_one_sided(draft):
                yield from self._quote(request, draft)
            yield self._finish(draft, "write", notice)
            return
        if cancel.is_set():
            yield self._finish(draft, mode, "Stopped.")
            return
        if not covered:  # the model was asked about an image only, and nothing came of it
            yield from self._decline(request.text, evidence, confidence, retrieve, notice, draft)
            return
        yield from self._quote(request, draft)
        yield self._finish(draft, "quote", notice)

    @contextmanager
    def _turn_with(self, model: str, cancel: threading.Event) -> Iterator[bool]:
        """Hold a model that was named, False when the asker left: one is loaded, and it may not be closed while it answers."""
        held = False
        while model and not held and not cancel.is_set():
            held = self._named_turn.acquire(timeout=0.05)
        try:
            yield held or not model
        finally:
            if held:
                self._named_turn.release()

    def _named_model(self, request: Request) -> tuple[str, str]:
        """(the model that the request names, "" for the default one; why a named one does not answer)."""
        models = self._parts.models
        if not request.model or models is None:
            return "", ""
        engine = self._engine
        if request.model == (engine.model if engine else models.default()):
            return "", ""
        if models.refuse(request.model):
            return "", f"{request.model[:60]} is not at hand here, so the default model was asked."
        return request.model, ""

    def _write(self, request: Request, draft: _Draft, cancel: threading.Event, model: str = "") -> Iterator[Event]:
        """Generate, and let each sentence through that the evidence supports."""
        engine = self._parts.models.engine(model) if model and self._parts.models else self.engine()
        if _has_images(request) and not engine.accepts_images:
            raise RequestError(f"{engine.model} does not read images. Choose a model that does, such as gemma-3-4b-it, or "
                               "ask without the image.")
        draft.engine, draft.model = engine.name, engine.model
        clock = time.perf_counter()
        think = self.settings.think if request.think is None else request.think
        context_tokens = min(engine.context_tokens, self.settings.context_tokens)
        # Thoughts count against the limit: without room of their own nothing would be left for the answer.
        room = min(THINKING_TOKENS, context_tokens // 4) if think and self._abilities_of(engine).thinking else 0
        options = GenerationOptions(max_tokens=self.settings.answer_tokens + room, think=think,
                                    sampling=None if think else GenerationOptions().sampling)
        prompt = compose.compose(
            request, draft.evidence.passages, count_tokens=engine.count_tokens,
            context_tokens=context_tokens, answer_tokens=options.max_tokens,
            instructions=compose.load_prompt("ask" if draft.confidence < SURE_EVIDENCE else "ask_sure"),
        )
        prepared = self._parts.verifier.prepare(prompt.passages)
        text, done, reason = "", 0, "stop"
        enough = _Enough(cancel)
        stream = engine.stream(prompt.messages, options, enough)
        try:
            for item in stream:
                if isinstance(item, Finished):
                    draft.usage, reason = item.usage, item.reason
                elif item.thinking:
                    draft.thinking += item.text
                elif not enough.is_set():
                    text += item.text
                    ready, done = _complete_sentences(text, done)
                    for sentence in ready:
                        yield from self._check(sentence, prepared, request, draft)
                    if len(text) - done > LONGEST_SENTENCE or goes_round(text):
                        enough.set()  # a small model that no longer finds an end will not find it later
        finally:
            close = getattr(stream, "close", None)
            if close:
                close()
        for span in split_sentences(text[done:]):
            sentence = text[done:][span.start : span.end]
            if (reason == "stop" and not enough.is_set()) or _WHOLE.search(sentence):  # not what a limit or a stop cut off
                yield from self._check(sentence, prepared, request, draft)
        draft.generate = time.perf_counter() - clock - draft.verify

    def _check(self, text: str, prepared: object, request: Request, draft: _Draft) -> Iterator[Event]:
        clock = time.perf_counter()
        if _REFUSAL.search(text) or not re.search(r"\w{2,}", text) or text.rstrip().endswith(":"):
            return  # a refusal, a fragment or an announcement of a list says nothing
        if len(re.findall(r"[^\W\d]\w*", text)) < LEAST_CLAIM_WORDS:
            draft.dropped += 1
            return
        sentence = self._parts.verifier.check(text, prepared, question=request.text)  # type: ignore[arg-type]  # opaque value of prepare()
        draft.verify += time.perf_counter() - clock
        if sentence is None and _has_images(request):
            draft.about_images.append(re.sub(r"\s*\[\d+\]", "", text).strip())
            return
        if sentence is None:
            draft.dropped += 1
            return
        if any(_same(sentence.text, other.text) for other in draft.sentences):
            return
        draft.sentences.append(sentence)
        yield SentenceReady(sentence, draft.cite(sentence))

    def _quote(self, request: Request, draft: _Draft) -> Iterator[Event]:
        passages = self._of_named_role(request.text, draft.evidence)
        library = self._parts.library_embedder if all(passage.is_public for passage in passages) else None
        quotes = quote.choose_quotes(request.text, draft.evidence.query_vector, passages,
                                     library or self._parts.embedder, split_sentences, compared=draft.evidence.compared)
        written = [sentence.text for sentence in draft.sentences]
        for item in quotes:
            if written and quote.repeats(item.text, written):
                continue
            sentence = Sentence(quote.clean_quote(item.text), (Citation(item.passage.id, item.start, item.end),),
                                1.0, "quoted", item.paragraph)
            draft.sentences.append(sentence)
            yield SentenceReady(sentence, draft.cite(sentence))

    def _finish(self, draft: _Draft, mode: AnswerMode, notice: str) -> Answer:
        supports = [sentence.support for sentence in draft.sentences]
        outcome: Outcome = "answered" if draft.sentences else "no_evidence"
        cited = {c.passage for s in draft.sentences for c in s.citations}
        followups = [p.heading for p in draft.evidence.passages
                     if p.heading.endswith("?") and p.id not in cited]
        return Answer(
            outcome, tuple(draft.sentences), tuple(draft.cited.values()), draft.dropped, mode,
            Confidence(round(draft.confidence, 3), round(sum(supports) / len(supports), 3) if supports else 0.0),
            draft.engine if mode == "write" else "none", draft.model if mode == "write" else "", draft.evidence.version,
            Timings(retrieve=draft.retrieve, generate=draft.generate, verify=draft.verify), draft.usage,
            suggestions=tuple(dict.fromkeys(followups))[:3], thinking=draft.thinking.strip(), notice=notice,
            about_images=" ".join(draft.about_images),
        )

    def _decline(
        self, question: str, evidence: Evidence, confidence: float, retrieve: float, notice: str = "",
        draft: _Draft | None = None,
    ) -> Iterator[Event]:
        """Nothing that answers the question: say so and name what is near. What looks unsafe then is not helped with."""
        screened = self._screen.screen(question)
        if screened.unsafe >= LIKELY_UNSAFE:
            yield from _reply(decline(screened.kind))
            return
        outside = is_outside(evidence)
        near = list(dict.fromkeys(p.heading if p.heading.endswith("?") else p.title for p in evidence.passages))[:3]
        if outside:
            outcome: Outcome = "out_of_scope"
            texts = ["That is outside what I know: I coach people in machine learning careers."]
        else:
            outcome = "no_evidence"
            missing = f" (nothing about {', '.join(evidence.missing_names)})" if evidence.missing_names else ""
            texts = [f"My documents do not answer that{missing}, so I would rather not guess."]
        sentences = tuple(Sentence(text, verdict="computed") for text in texts)
        for sentence in sentences:
            yield SentenceReady(sentence, ())
        yield Answer(outcome, sentences, mode="courtesy", confidence=Confidence(round(confidence, 3), 0.0),
                     engine="none", index_version=evidence.version, timings=Timings(retrieve=retrieve),
                     suggestions=tuple(near) if not outside else STARTERS, notice=notice,
                     about_images=" ".join(draft.about_images) if draft else "",
                     thinking=draft.thinking.strip() if draft else "", model=draft.model if draft else "")


@dataclasses.dataclass(slots=True)
class _Draft:
    """An answer in the making."""

    evidence: Evidence
    confidence: float
    retrieve: float
    sentences: list[Sentence] = dataclasses.field(default_factory=list)
    cited: dict[str, Passage] = dataclasses.field(default_factory=dict)
    dropped: int = 0
    thinking: str = ""
    about_images: list[str] = dataclasses.field(default_factory=list)
    usage: Usage = dataclasses.field(default_factory=Usage)
    engine: str = ""
    model: str = ""
    generate: float = 0.0
    verify: float = 0.0

    def cite(self, sentence: Sentence) -> tuple[Passage, ...]:
        """The passages of a sentence, remembered in order of first citation."""
        by_id = {passage.id: passage for passage in self.evidence.passages}
        passages = tuple(by_id[c.passage] for c in sentence.citations if c.passage in by_id)
        for passage in passages:
            self.cited.setdefault(passage.id, passage)
        return passages


def _reply(reply: Courtesy) -> Iterator[Event]:
    """The events of a reply that needs no evidence."""
    sentences = tuple(Sentence(text, verdict="computed") for text in reply.sentences)
    for sentence in sentences:
        yield SentenceReady(sentence, ())
    yield Answer(reply.outcome, sentences, mode="courtesy", suggestions=STARTERS, confidence=Confidence(1.0, 1.0))


def _is_short(draft: _Draft) -> bool:
    return sum(len(sentence.text.split()) for sentence in draft.sentences) < SHORTEST_ANSWER_WORDS


def _is_one_sided(draft: _Draft) -> bool:
    """Whether something that the question compares is not spoken of."""
    cited = {citation.passage for sentence in draft.sentences for citation in sentence.citations}
    return any(passage.id not in cited for passage in draft.evidence.passages[:draft.evidence.compared])


def _complete_sentences(text: str, done: int) -> tuple[list[str], int]:
    """The sentences of text[done:] that are surely finished, and how far they reach."""
    rest = text[done:]
    spans = split_sentences(rest)
    # A sentence is finished when another one follows it: its marker [n] may still be on its way.
    finished = [span for span in spans[:-1]]
    return [rest[span.start : span.end] for span in finished], done + (finished[-1].end if finished else 0)


def _has_images(request: Request) -> bool:
    return any(attachment.media_type.startswith("image/") for attachment in request.attachments)


class _Enough(threading.Event):
    """Set when the answer needs no more, or by the asker."""

    def __init__(self, cancel: threading.Event) -> None:
        super().__init__()
        self._cancel = cancel

    def is_set(self) -> bool:
        return super().is_set() or self._cancel.is_set()


def goes_round(text: str) -> bool:
    """Whether the text ends in the same words over and over, as small models do that have lost the thread.

    Four times the same at the end, or a third time the same sentence of some length.
    """
    end = text[-4 * LONGEST_ROUND:]
    for length in range(3, len(end) // 4 + 1):
        if end.endswith(end[-length:] * 4) and 4 * length >= SHORTEST_LOOP and re.search(r"\w", end[-length:]):
            return True
    sentences = [sentence.strip() for sentence in re.split(r"(?<=[.!?])\s", text)]
    return len(sentences) > 2 and len(sentences[-2]) > LONG_ENOUGH and sentences[:-1].count(sentences[-2]) > 2


def _same(one: str, other: str) -> bool:
    return re.sub(r"\W+", " ", one.lower()).strip() == re.sub(r"\W+", " ", other.lower()).strip()


def _answer_id(request: Request, started: float) -> str:
    seed = f"{request.session}\0{request.user}\0{request.text}\0{time.time_ns()}\0{started}"
    return hashlib.sha256(seed.encode()).hexdigest()[:16]


__all__ = ["STARTERS", "Coach", "Delta", "Parts", "SkillRunner"]
