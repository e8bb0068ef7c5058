"""The HTTP API: OpenAI-compatible chat under /v1 and the coach's own operations under /api. Status codes live here."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints
from starlette.exceptions import HTTPException

from bots import render
from bots.web_service import Service
from coach import domain
from coach.domain import Answer, Attachment, Message, Passage, Profile, Queued, Retrieved, SentenceReady, SkillLevel
from coach.errors import (
    CoachError,
    ContextOverflow,
    EngineError,
    EngineTimeout,
    KnowledgeError,
    LicenceRequired,
    QueueFull,
    RequestError,
    StoreError,
    UnreadableFile,
)
from coach.store.sessions import Conversation, Turn

MOST_MESSAGES = 64
LONGEST_TEXT = 8000
LONGEST_HISTORY_TEXT = 32_000
LARGEST_IMAGE_BYTES = 4_000_000
LARGEST_FILE_BYTES = 10_000_000
KEEP_ALIVE_SECONDS = 10.0

STATUS: tuple[tuple[type[CoachError], int], ...] = (
    (QueueFull, 429), (ContextOverflow, 413), (UnreadableFile, 422), (RequestError, 400), (EngineTimeout, 504),
    (LicenceRequired, 503), (EngineError, 503), (KnowledgeError, 503), (StoreError, 503), (CoachError, 500))
TITLES = {400: "The request cannot be served", 401: "Log in first", 403: "Not allowed", 404: "Not found",
          405: "Method not allowed", 413: "Too long", 415: "Unsupported media type", 422: "Invalid request",
          429: "Too many requests", 500: "Internal error", 503: "Not available", 504: "Too slow"}

Short = Annotated[str, StringConstraints(max_length=200)]
_BASE64 = "([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
ConversationId = Annotated[str, Path(pattern=r"^[0-9a-f]{24}$", description="Id of one of your conversations.")]


class _Body(BaseModel):
    """A request body; fields that are not ours are dropped, never forwarded."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class TextPart(_Body):
    """A piece of text in a message."""

    type: Literal["text"]
    text: Annotated[str, StringConstraints(max_length=LONGEST_HISTORY_TEXT)]


class ImageAddress(_Body):
    """An image as a data: URL; other addresses are refused, because the server fetches nothing for a caller."""

    url: Annotated[str, StringConstraints(max_length=LARGEST_IMAGE_BYTES * 4 // 3 + 100), Field(
        json_schema_extra={"pattern": f"^data:image/(png|jpeg|webp);base64,{_BASE64}$"})]


class ImagePart(_Body):
    """A picture in a message."""

    type: Literal["image_url"]
    image_url: ImageAddress


class ChatMessage(_Body):
    """One message. System and developer messages are wishes for language, style and length; they cannot loosen grounding."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, StringConstraints(max_length=LONGEST_HISTORY_TEXT)] | Annotated[
        list[TextPart | ImagePart], Field(max_length=16)]


class StreamOptions(_Body):
    """Whether the last chunk carries the token counts."""

    include_usage: StrictBool = False


class ChatBody(_Body):
    """POST /v1/chat/completions."""

    model: Annotated[str, StringConstraints(max_length=100)] = "coach"
    messages: Annotated[list[ChatMessage], Field(
        min_length=1, max_length=MOST_MESSAGES, description="The last message of the user is answered.",
        json_schema_extra={"contains": {"properties": {"role": {"const": "user"}}, "required": ["role"]}})]
    stream: StrictBool = False
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=1, description="One answer a request.")] = 1

    model_config = ConfigDict(extra="ignore", frozen=True, json_schema_extra={"examples": [
        {"model": "coach", "messages": [{"role": "user", "content": "How do I become a machine learning engineer?"}]}]})


class SkillLevelBody(_Body):
    """A skill by catalogue id, with a level."""

    skill: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    level: Literal["none", "basic", "working", "strong", "expert"] = "working"


class ProfileBody(_Body):
    """What you tell about yourself. Nothing is inferred into it."""

    skills: Annotated[list[SkillLevelBody], Field(max_length=200)] = []
    target_role: Short = ""
    target_level: Literal["", "junior", "mid", "senior", "staff"] = ""
    hours_per_week: Annotated[float | None, Field(ge=0.5, le=80)] = None
    memory_gb: Annotated[float | None, Field(ge=0.5, le=4096)] = None
    has_gpu: StrictBool | None = None
    locale: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35)] = "en"

    def to_profile(self) -> Profile:
        """As the core's value."""
        return Profile(tuple(SkillLevel(s.skill, s.level) for s in self.skills), self.target_role, self.target_level,
                       self.hours_per_week, self.memory_gb, self.has_gpu, self.locale)


class FileBody(_Body):
    """A file: a resume or an advertisement as PDF, DOCX, Markdown or text; or a PNG, JPEG or WebP image."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    media_type: Annotated[str, StringConstraints(max_length=100)] = "text/plain"
    content_base64: Annotated[str, StringConstraints(max_length=LARGEST_FILE_BYTES * 4 // 3 + 8), Field(
        json_schema_extra={"pattern": f"^{_BASE64}$"})]


class TurnBody(_Body):
    """An earlier message of the conversation."""

    role: Literal["user", "assistant"]
    content: Annotated[str, StringConstraints(max_length=LONGEST_HISTORY_TEXT)]


class PassageBody(_Body):
    """A piece of text that the answer to this question may quote and cite."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    title: Annotated[str, StringConstraints(max_length=200)]
    text: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    heading: Annotated[str, StringConstraints(max_length=300)] = ""
    source: Annotated[str, StringConstraints(max_length=400)] = ""


class AskBody(_Body):
    """POST /api/ask. `conversation` keeps question and answer in one of your conversations."""

    question: Annotated[str, StringConstraints(max_length=LONGEST_TEXT)]
    skill: Annotated[str, StringConstraints(max_length=40), Field(
        description="One of GET /api/skills, `ask`, or `auto`: the one that fits.")] = "auto"
    options: Annotated[dict[Short, Annotated[str, StringConstraints(max_length=4000)]], Field(max_length=30)] = {}
    conversation: Annotated[str | None, StringConstraints(pattern=r"^[0-9a-f]{24}$")] = None
    profile: ProfileBody | None = None
    attachments: Annotated[list[FileBody], Field(max_length=4)] = []
    think: Annotated[StrictBool | None, Field(description="Think first, where the model can; null: the setting.")] = None
    history: Annotated[list[TurnBody], Field(max_length=40, description="Earlier turns, where you keep them.")] = []
    passages: Annotated[list[PassageBody], Field(max_length=400, description="Evidence for this question only.")] = []
    model: Annotated[Short, Field(description="One of GET /api/models; empty: the default.")] = ""
    stream: StrictBool | None = None

    model_config = ConfigDict(extra="ignore", frozen=True, json_schema_extra={"examples": [
        {"question": "Which small model can read images?"},
        {"question": "Plan my way", "skill": "roadmap", "options": {"role": "data-scientist", "hours": "8"}}]})


class FeedbackBody(_Body):
    """A vote on an answer that is kept in one of your conversations."""

    answer: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    vote: Literal["up", "down", ""]
    reason: Annotated[str, StringConstraints(max_length=2000)] = ""


class TitleBody(_Body):
    """The title of a conversation."""

    title: Annotated[str, StringConstraints(max_length=200)] = ""


class RenameBody(_Body):
    """The new title of a conversation."""

    title: Annotated[str, StringConstraints(min_length=1, max_length=200)]


PROBLEM = {"description": "A problem that says what to do", "content": {"application/problem+json": {"schema": {
    "type": "object", "required": ["type", "title", "status", "detail"], "properties": {
        "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
        "detail": {"type": "string"}}}}}}
PROBLEMS: dict[int | str, dict[str, Any]] = {code: PROBLEM for code in (400, 401, 403, 413, 422, 429, 503)}
WITH_ID = {**PROBLEMS, 404: PROBLEM}


def build_router(service: Service, find_user: Callable[[Request], str]) -> APIRouter:
    """All operations; `find_user` raises 401 for strangers, and is the only source of who asks."""
    router = APIRouter(responses=PROBLEMS)
    _add_openai(router, service, find_user)
    _add_ask(router, service, find_user)
    _add_records(router, service, find_user)
    return router


# -- OpenAI-compatible -------------------------------------------------------------------------------------------------


def _add_openai(router: APIRouter, service: Service, find_user: Callable[[Request], str]) -> None:
    who = Depends(find_user)

    @router.get("/v1/models", tags=["openai"])
    async def list_models(user: str = who) -> dict[str, Any]:
        """`coach` routes a question to the skill that fits; `coach/<skill>` picks one."""
        names = ["coach", "coach/ask", *(f"coach/{skill.name}" for skill in service.coach.skills)]
        return {"object": "list", "data": [{"id": name, "object": "model", "created": 0, "owned_by": "coach"}
                                           for name in dict.fromkeys(names)]}

    @router.post("/v1/chat/completions", tags=["openai"], responses={**WITH_ID, 200: {
        "description": "The completion; with `stream`, its chunks as events",
        "content": {"application/json": {}, "text/event-stream": {}}}})
    async def complete_chat(body: ChatBody, http: Request, user: str = who) -> Response:
        """Answer the last user message. Sources come as `annotations` and as a list at the end of the text."""
        request = _chat_request(body, service, user)
        cancel = threading.Event()
        made = {"id": f"chatcmpl-{time.time_ns():x}", "created": int(time.time()), "model": body.model}
        if body.stream:
            usage = bool(body.stream_options and body.stream_options.include_usage)
            events = service.stream(request, front_end="v1", cancel=cancel)
            first = await anext(events)  # so that a refusal is a status code and not a broken stream
            return _event_stream(_chat_chunks(_put_back(first, events), made, usage), http, cancel)
        answer = await _ask_while_connected(service, request, "v1", http, cancel)
        text = render.render_markdown(answer)
        message = {"role": "assistant", "content": text, "refusal": None, "annotations": _annotations(answer, text)}
        return JSONResponse({
            **made, "object": "chat.completion", "usage": _usage(answer), "coach": _summary(answer),
            "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}]})


def _chat_request(body: ChatBody, service: Service, user: str) -> domain.Request:
    name, _, skill = body.model.partition("/")
    known = {"", "ask", "auto", *(spec.name for spec in service.coach.skills)}
    if name != "coach" or skill not in known:
        raise HTTPException(404, f"There is no model {body.model!r}. GET /v1/models lists them.")
    talk = [message for message in body.messages if message.role in {"user", "assistant"}]
    while talk and talk[-1].role != "user":
        talk.pop()
    if not talk:
        raise RequestError("There is no message of the user. Send one with the role `user`; the last such is answered.")
    texts = [_text_of(message) for message in talk]
    if len(texts[-1]) > LONGEST_TEXT:
        raise ContextOverflow(f"The question has {len(texts[-1]):,} characters; at most {LONGEST_TEXT:,} are read.")
    history = tuple(Message("user" if m.role == "user" else "assistant", text)
                    for m, text in zip(talk[:-1], texts[:-1], strict=True))
    last = talk[-1].content
    images = [part.image_url.url for part in last if isinstance(part, ImagePart)] if isinstance(last, list) else []
    return domain.Request(texts[-1], skill=skill or "auto", history=history, user=user,
                          profile=service.sessions.load_profile(user), preferences=_preferences(body.messages),
                          attachments=tuple(_image(address, n) for n, address in enumerate(images)))


def _preferences(messages: Sequence[ChatMessage]) -> str:
    return "\n".join(_text_of(message) for message in messages if message.role in {"system", "developer"})


def _text_of(message: ChatMessage) -> str:
    if isinstance(message.content, str):
        return message.content
    return "\n".join(part.text for part in message.content if isinstance(part, TextPart))


def _image(address: str, number: int) -> Attachment:
    head, _, data = address.partition(",")
    kind = head.removeprefix("data:").removesuffix(";base64")
    if not head.startswith("data:") or not head.endswith(";base64") or kind not in _IMAGES:
        raise RequestError("Images are taken as data: URLs of PNG, JPEG or WebP only.")
    return Attachment(f"image-{number + 1}", kind, _decode(data))


_IMAGES = ("image/png", "image/jpeg", "image/webp")


def _decode(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except ValueError as error:  # binascii.Error, and letters outside ASCII
        raise RequestError("The base64 of a file is broken.") from error


async def _chat_chunks(events: AsyncIterator[domain.Event], made: dict[str, Any], usage: bool) -> AsyncIterator[str]:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> str:
        choices = [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}]
        return _data({**made, "object": "chat.completion.chunk", "choices": choices})

    yield chunk({"role": "assistant", "content": ""})
    numbers: dict[str, int] = {}
    last: domain.Sentence | None = None
    said = ""
    async for event in events:
        if isinstance(event, SentenceReady):
            for passage in event.passages:
                numbers.setdefault(passage.id, len(numbers) + 1)
            piece = (render.sentence_separator(last, event.sentence)
                     + render.render_sentence_markdown(event.sentence, numbers))
            last, said = event.sentence, said + piece
            yield chunk({"content": piece})
        elif isinstance(event, Answer):
            rest = render.render_sources_markdown(event) if said else render.render_markdown(event)
            yield chunk({"content": rest})
            yield chunk({"annotations": _annotations(event, said + rest)}, "stop")
            if usage:
                yield _data({**made, "object": "chat.completion.chunk", "choices": [], "usage": _usage(event)})
    yield "data: [DONE]\n\n"


def _annotations(answer: Answer, text: str) -> list[dict[str, Any]]:
    """One url_citation a marker, at the marker's place in the text."""
    found = []
    for number, passage in enumerate(answer.citations, start=1):
        marker, start = f"[{number}]", -1
        while (start := text.find(marker, start + 1)) >= 0:
            found.append({"type": "url_citation", "url_citation": {
                "url": passage.source, "title": passage.title, "start_index": start, "end_index": start + len(marker)}})
    return sorted(found, key=lambda item: item["url_citation"]["start_index"])


def _usage(answer: Answer) -> dict[str, int]:
    prompt, completion = answer.usage.prompt_tokens, answer.usage.completion_tokens
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _summary(answer: Answer) -> dict[str, Any]:
    return {"outcome": answer.outcome, "mode": answer.mode, "skill": answer.skill, "dropped": answer.dropped,
            "index_version": answer.index_version, "suggestions": list(answer.suggestions), "notice": answer.notice}


# -- the coach's own ---------------------------------------------------------------------------------------------------


def _add_ask(router: APIRouter, service: Service, find_user: Callable[[Request], str]) -> None:
    who = Depends(find_user)

    @router.post("/api/ask", tags=["coach"], responses={**WITH_ID, 200: {
        "description": "The answer; or, with `Accept: text/event-stream` or `stream`, the events queued, retrieved, "
                       "sentence, answer and error as they happen",
        "content": {"application/json": {}, "text/event-stream": {}}}})
    async def ask(body: AskBody, http: Request, user: str = who) -> Response:
        """Ask the coach."""
        request = _ask_request(body, service, user)
        cancel = threading.Event()
        wants_stream = body.stream if body.stream is not None else "text/event-stream" in http.headers.get("accept", "")
        if wants_stream:
            events = service.stream(request, front_end="api", cancel=cancel)
            first = await anext(events)
            return _event_stream(_ask_events(_put_back(first, events), body, service, user), http, cancel)
        answer = await _ask_while_connected(service, request, "api", http, cancel)
        _record(service, user, body, answer)
        return _json(answer_values(answer))

    @router.get("/api/models", tags=["coach"])
    async def list_models_at_hand(user: str = who) -> dict[str, list[str]]:
        """The models that /api/ask can be told to use instead of the default one."""
        models = service.coach.models
        return {"at_hand": list(await asyncio.to_thread(models.at_hand)) if models else []}

    @router.get("/api/skills", tags=["coach"])
    async def list_skills(user: str = who) -> list[dict[str, Any]]:
        """What the coach can do besides answering questions, with the options of each skill."""
        return [{"name": skill.name, "title": skill.title, "summary": skill.summary, "examples": list(skill.examples),
                 "slots": [plain(slot) for slot in skill.slots]} for skill in service.coach.skills]


def _ask_request(body: AskBody, service: Service, user: str) -> domain.Request:
    known = {"ask", "auto", *(spec.name for spec in service.coach.skills)}
    if body.skill not in known:
        raise HTTPException(404, f"There is no skill {body.skill!r}. Choose one of: {', '.join(sorted(known))}.")
    history = [Message(turn.role, turn.content) for turn in body.history]
    if body.conversation:
        if service.sessions.find_conversation(user, body.conversation) is None:
            raise HTTPException(404, "You have no such conversation. GET /api/conversations lists yours.")
        history = history_of(service.sessions.load_turns(user, body.conversation))
    profile = body.profile.to_profile() if body.profile else service.sessions.load_profile(user)
    files = tuple(Attachment(item.name, item.media_type, _decode(item.content_base64)) for item in body.attachments)
    return domain.Request(body.question, skill=body.skill, profile=profile, history=tuple(history), attachments=files,
                          options=tuple(body.options.items()), session=body.conversation or "", user=user,
                          think=body.think, model=body.model,
                          passages=tuple(Passage(p.id, p.title, p.text, p.source, heading=p.heading) for p in body.passages))


def history_of(turns: tuple[Turn, ...], *, last: int = 3) -> list[Message]:
    """The last turns as messages for the next question."""
    messages = []
    for turn in turns[-last:]:
        said = " ".join(sentence.text for sentence in turn.answer.sentences)
        messages += [Message("user", turn.question), Message("assistant", said)]
    return messages


async def _ask_events(
    events: AsyncIterator[domain.Event], body: AskBody, service: Service, user: str
) -> AsyncIterator[str]:
    async for event in events:
        if isinstance(event, Queued):
            yield _event("queued", {"position": event.position})
        elif isinstance(event, Retrieved):
            yield _event("retrieved", {"passages": plain(event.passages)})
        elif isinstance(event, SentenceReady):
            yield _event("sentence", plain(event))
        else:
            _record(service, user, body, event)
            yield _event("answer", answer_values(event))


def _record(service: Service, user: str, body: AskBody, answer: Answer) -> None:
    if body.conversation:
        service.sessions.record_turn(user, body.conversation, body.question, answer)


def answer_values(answer: Answer) -> dict[str, Any]:
    """An answer as plain JSON values, with its text."""
    values: dict[str, Any] = plain(answer)
    return {"text": answer.text, **values}


def plain(value: Any) -> Any:
    """Dataclasses, dates and tuples as JSON values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(entry) for entry in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value


# -- what is kept ------------------------------------------------------------------------------------------------------


def _add_records(router: APIRouter, service: Service, find_user: Callable[[Request], str]) -> None:
    who = Depends(find_user)
    sessions = service.sessions
    unknown = HTTPException(404, "You have no such conversation. GET /api/conversations lists yours.")

    @router.get("/api/conversations", tags=["conversations"])
    def list_conversations(
        search: Annotated[str, Query(max_length=200, description="Words to look for.")] = "", user: str = who
    ) -> list[dict[str, Any]]:
        """Your conversations, latest first."""
        return [_conversation(item) for item in sessions.list_conversations(user, search=search)]

    @router.post("/api/conversations", tags=["conversations"], status_code=201)
    def start_conversation(body: TitleBody, user: str = who) -> dict[str, Any]:
        """A new, empty conversation; pass its id to /api/ask."""
        return _conversation(sessions.start_conversation(user, body.title))

    @router.get("/api/conversations/{conversation}", tags=["conversations"], responses=WITH_ID)
    def read_conversation(conversation: ConversationId, user: str = who) -> Response:
        """A conversation with its questions, answers and your votes."""
        found = sessions.find_conversation(user, conversation)
        if found is None:
            raise unknown
        turns = [{"position": turn.position, "question": turn.question, "answer": answer_values(turn.answer),
                  "created": turn.created, "vote": turn.vote} for turn in sessions.load_turns(user, conversation)]
        return _json({**_conversation(found), "turns": turns})

    @router.get("/api/conversations/{conversation}/export", tags=["conversations"], responses=WITH_ID)
    def export_conversation(
        conversation: ConversationId, form: Literal["markdown", "json"] = "markdown", user: str = who
    ) -> Response:
        """A conversation as a file."""
        found = sessions.find_conversation(user, conversation)
        if found is None:
            raise unknown
        if form == "json":
            made, kind, ending = read_conversation(conversation, user).body, "application/json", "json"
        else:
            talk = "\n\n".join(f"## {render.escape_markdown(turn.question)}\n\n{render.render_markdown(turn.answer)}"
                               for turn in sessions.load_turns(user, conversation))
            title = render.escape_markdown(found.title or "Conversation")
            made, kind, ending = f"# {title}\n\n{talk}\n".encode(), "text/markdown; charset=utf-8", "md"
        return Response(bytes(made), media_type=kind, headers={
            "content-disposition": f'attachment; filename="conversation-{conversation[:8]}.{ending}"'})

    @router.patch("/api/conversations/{conversation}", tags=["conversations"], responses=WITH_ID)
    def rename_conversation(conversation: ConversationId, body: RenameBody, user: str = who) -> dict[str, Any]:
        """Give it another title."""
        if not sessions.rename_conversation(user, conversation, body.title):
            raise unknown
        found = sessions.find_conversation(user, conversation)
        if found is None:
            raise unknown
        return _conversation(found)

    @router.delete("/api/conversations/{conversation}", tags=["conversations"], responses=WITH_ID, status_code=204)
    def delete_conversation(conversation: ConversationId, user: str = who) -> Response:
        """Delete it with its answers and votes."""
        if not sessions.delete_conversation(user, conversation):
            raise unknown
        return Response(status_code=204)

    @router.post("/api/feedback", tags=["coach"], responses=WITH_ID, status_code=204)
    def give_feedback(body: FeedbackBody, user: str = who) -> Response:
        """Vote on an answer; an empty vote takes it back."""
        if not service.vote(user, body.answer, body.vote, body.reason):
            raise HTTPException(404, "You have no such answer in your conversations.")
        return Response(status_code=204)

    @router.get("/api/profile", tags=["profile"])
    def read_profile(user: str = who) -> dict[str, Any]:
        """What you told about yourself."""
        values: dict[str, Any] = plain(sessions.load_profile(user))
        return values

    @router.put("/api/profile", tags=["profile"])
    def write_profile(body: ProfileBody, user: str = who) -> dict[str, Any]:
        """Replace it."""
        sessions.save_profile(user, body.to_profile())
        return read_profile(user)

    @router.get("/api/profile/export", tags=["profile"])
    def export_everything(user: str = who) -> Response:
        """All that is kept about you."""
        return Response(sessions.export_user(user), media_type="application/json",
                        headers={"content-disposition": 'attachment; filename="coach-export.json"'})

    @router.delete("/api/profile", tags=["profile"])
    def delete_everything(user: str = who) -> dict[str, int]:
        """Delete all that is kept about you: conversations, votes and profile."""
        return {"deleted": service.forget(user)}


def _conversation(item: Conversation) -> dict[str, Any]:
    values: dict[str, Any] = plain(item)
    return values


# -- streams, disconnects, problems ------------------------------------------------------------------------------------


async def _put_back(first: domain.Event, rest: AsyncIterator[domain.Event]) -> AsyncIterator[domain.Event]:
    try:
        yield first
        async for event in rest:
            yield event
    finally:
        await rest.aclose()  # type: ignore[attr-defined]  # an async generator of Service.stream


def _event_stream(chunks: AsyncIterator[str], http: Request, cancel: threading.Event) -> StreamingResponse:
    return StreamingResponse(_kept_alive(chunks, http, cancel), media_type="text/event-stream",
                             headers={"cache-control": "no-store", "x-accel-buffering": "no"})


async def _kept_alive(chunks: AsyncIterator[str], http: Request, cancel: threading.Event) -> AsyncIterator[str]:
    """The chunks, comments while nothing comes, an error as an event, and a set flag as soon as the client is gone."""
    waiting: asyncio.Future[str] | None = None
    silent = 0.0
    try:
        while True:
            waiting = waiting or asyncio.ensure_future(_next(chunks))
            done, _ = await asyncio.wait({waiting}, timeout=0.25)
            if await http.is_disconnected():
                return
            if done:
                finished, waiting, silent = waiting, None, 0.0
                yield finished.result()
            elif (silent := silent + 0.25) >= KEEP_ALIVE_SECONDS:
                silent = 0.0
                yield ": waiting\n\n"
    except StopAsyncIteration:
        return
    except _Ended:
        return
    except CoachError as error:
        yield _event("error", problem_of(error))
    finally:
        cancel.set()
        if waiting is not None:
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError, CoachError, _Ended):
                await waiting
        await chunks.aclose()  # type: ignore[attr-defined]  # an async generator


class _Ended(Exception):
    """The chunks are at their end (StopAsyncIteration cannot be the result of a future)."""


async def _next(chunks: AsyncIterator[str]) -> str:
    try:
        return await anext(chunks)
    except StopAsyncIteration:
        raise _Ended from None


async def _ask_while_connected(
    service: Service, request: domain.Request, front_end: str, http: Request, cancel: threading.Event
) -> Answer:
    """The answer; a client that leaves meanwhile stops its generation."""
    task = asyncio.ensure_future(service.ask(request, front_end=front_end, cancel=cancel))
    try:
        while not (await asyncio.wait({task}, timeout=0.25))[0]:
            if await http.is_disconnected():
                cancel.set()
        return await task
    finally:
        cancel.set()


def _event(name: str, values: Any) -> str:
    return f"event: {name}\n{_data(values)}"


def _data(values: Any) -> str:
    return f"data: {json.dumps(values, ensure_ascii=False, default=str)}\n\n"


def _json(values: Any) -> Response:
    return Response(json.dumps(values, ensure_ascii=False, default=str), media_type="application/json")


def status_of(error: CoachError) -> int:
    """The HTTP status of an error of the core."""
    return next(status for kind, status in STATUS if isinstance(error, kind))


def problem_of(error: CoachError) -> dict[str, Any]:
    """Problem details (RFC 9457) of an error of the core, with OpenAI's `error` object beside them."""
    return problem(status_of(error), str(error))


def problem(status: int, detail: str) -> dict[str, Any]:
    """Problem details; OpenAI clients read the `error` object."""
    title = TITLES.get(status, "Error")
    return {"type": "about:blank", "title": title, "status": status, "detail": detail,
            "error": {"message": detail, "type": title.lower().replace(" ", "_"), "param": None, "code": status}}


def problem_response(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Problem details as a response."""
    return JSONResponse(problem(status, detail), status, headers, "application/problem+json")


async def on_coach_error(_: Request, error: Exception) -> Response:
    """An error of the core as problem details; 429 says when to come back."""
    assert isinstance(error, CoachError)  # registered for CoachError only
    headers = {"retry-after": str(max(1, round(error.retry_after_seconds)))} if isinstance(error, QueueFull) else None
    return problem_response(status_of(error), str(error), headers)


async def on_invalid(_: Request, error: Exception) -> Response:
    """A body or parameter that does not fit, field by field; values are not echoed."""
    assert isinstance(error, RequestValidationError)  # registered for it only
    said = "; ".join(f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()[:5])
    return problem_response(422, said)


async def on_http_error(_: Request, error: Exception) -> Response:
    """An HTTP error raised by a route or by the router."""
    assert isinstance(error, HTTPException)  # registered for it only
    return problem_response(error.status_code, str(error.detail), dict(error.headers or {}) or None)
