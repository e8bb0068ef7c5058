"""A fake Discord on loopback: real HTTP and websockets, rate limits, RESUME, shards, deadlines and scripted faults.

Unknown routes answer 501 and are remembered in `unexpected`; a test that leaves one there fails. Everything runs on the
event loop of the test, so a fast loop makes both sides fast.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import discord
import yarl
from aiohttp import WSMsgType, web

APP = "1000000000000000001"
GUILD = "2000000000000000001"
OTHER_GUILD = str((1 << 22) * 476837158204 + 1)  # an odd number above bit 22: with two shards it lives on the other one
CHANNEL, OTHER_CHANNEL, DM = "3000000000000000001", "3000000000000000002", "5000000000000000001"
FORUM = "3000000000000000003"
ALICE, BOB = "4000000000000000001", "4000000000000000002"
CAROL = "4000000000000000003"  # may manage the server
TOKEN = "fake.token.value"
NOW = "2026-01-01T00:00:00.000000+00:00"
EVERYTHING = "2147483647"
Responder = Callable[[], web.Response]


def user(user_id: str, name: str, *, bot: bool = False) -> dict[str, Any]:
    """A user object."""
    return {
        "id": user_id,
        "username": name,
        "discriminator": "0",
        "global_name": name,
        "avatar": None,
        "bot": bot,
        "public_flags": 0,
    }


USERS = {ALICE: user(ALICE, "alice"), BOB: user(BOB, "bob"), CAROL: user(CAROL, "carol")}
BOT_USER = user(APP, "coachbot", bot=True)


def member(user_id: str, permissions: str = EVERYTHING) -> dict[str, Any]:
    """A member object without its user."""
    return {"roles": [], "joined_at": NOW, "deaf": False, "mute": False, "flags": 0, "permissions": permissions}


def reply(body: Any, status: int = 200, **headers: str) -> web.Response:
    """JSON with exactly the content type that discord.py compares with ==."""
    return web.Response(
        body=json.dumps(body).encode(), status=status, headers={"Content-Type": "application/json", **headers}
    )


def refusal(status: int, code: int, message: str) -> web.Response:
    """An error as Discord words it."""
    return reply({"code": code, "message": message}, status)


def rate_limited(after: float = 0.3, *, via: bool = True) -> web.Response:
    """429; without Via discord.py takes it for a Cloudflare ban."""
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": str(after), "Retry-After": str(after)}
    return reply(
        {"message": "You are being rate limited.", "retry_after": after, "global": False},
        429,
        **headers,
        **({"Via": "1.1 google"} if via else {}),
    )


class FakeDiscord:
    """One application with a bot in one or two servers."""

    def __init__(self, *, shards: int = 1, disallowed_intents: int = 0, deadline: float = 120.0) -> None:
        self.shards, self.disallowed, self.deadline = shards, disallowed_intents, deadline
        self._ids = itertools.count(9_000_000_000_000_000_000)
        self.calls: list[dict[str, Any]] = []
        self.unexpected: list[str] = []
        self.faults: list[list[Any]] = []
        self.messages: dict[str, dict[str, Any]] = {}
        self.deleted: set[str] = set()
        self.files: dict[str, list[tuple[str, bytes]]] = {}
        self.commands: dict[str | None, list[dict[str, Any]]] = {}
        self.interactions: dict[str, dict[str, Any]] = {}
        self.sessions: dict[str, dict[str, Any]] = {}
        self.identified: list[dict[str, Any]] = []
        self.resumed: list[dict[str, Any]] = []
        self.close_codes: list[int | None] = []
        self.mute = False  # the bot may not send in CHANNEL
        self.refuse_gateway = False
        self.replayed_twice = 0  # so many events before the missed ones are sent again on RESUME
        self.changed = asyncio.Condition()
        self.nonces: dict[tuple[str, str], str] = {}
        self.channels: dict[str, dict[str, Any]] = {
            CHANNEL: self._channel(CHANNEL, GUILD),
            OTHER_CHANNEL: self._channel(OTHER_CHANNEL, OTHER_GUILD),
            FORUM: {**self._channel(FORUM, GUILD), "type": 15, "name": "questions", "available_tags": []},
        }

    # -- life ----------------------------------------------------------------------------------------------------

    async def start(self) -> FakeDiscord:
        """Listen, and point discord.py here."""
        app = web.Application()
        app.router.add_get("/gateway", self._gateway)
        app.router.add_route("*", "/api/v10{tail:.*}", self._rest)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        point_discord_at(self.port)
        return self

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def wait(self, condition: Callable[[], Any], timeout: float = 600.0) -> Any:
        """Until the condition holds; looked at after every request and event."""
        async with self.changed:
            return await asyncio.wait_for(self.changed.wait_for(condition), timeout)

    async def notify(self) -> None:
        """Wake those who wait for something."""
        async with self.changed:
            self.changed.notify_all()

    def find(self, method: str, pattern: str) -> list[dict[str, Any]]:
        """The requests of a method whose path matches."""
        return [call for call in self.calls if call["method"] == method and re.search(pattern, call["path"])]

    def fault(self, method: str, pattern: str, responder: Responder, *, times: int = 1, after: bool = False) -> None:
        """Answer the next matching requests like this. `after` does the work first: only the reply is lost."""
        self.faults.append([method, pattern, responder, times, after])

    def bot_messages(self, channel: str = CHANNEL) -> list[dict[str, Any]]:
        """What stands in a channel from the bot, oldest first."""
        return [m for m in self.messages.values() if m["author"]["id"] == APP and m["channel_id"] == channel]

    # -- REST ----------------------------------------------------------------------------------------------------

    async def _rest(self, request: web.Request) -> web.Response:
        path, method = request.match_info["tail"], request.method
        body = await _body(request)
        call = {"method": method, "path": path, "body": body, "at": asyncio.get_running_loop().time()}
        self.calls.append(call)
        response = None
        for fault in self.faults:
            if fault[3] > 0 and fault[0] == method and re.search(fault[1], path):
                fault[3] -= 1
                call["fault"] = True
                if fault[4]:
                    await self._route(method, path, body, request)
                response = fault[2]()
                break
        if response is None:
            response = await self._route(method, path, body, request)
        if response.status == 501:
            self.unexpected.append(f"{method} {path}")
        call["status"] = response.status
        await self.notify()
        return response

    async def _route(self, method: str, path: str, body: Any, request: web.Request) -> web.Response:
        token_in_path = "/interactions/" in path or "/webhooks/" in path
        if not token_in_path and request.headers.get("Authorization") != f"Bot {TOKEN}":
            return refusal(401, 0, "401: Unauthorized")
        if (method, path) == ("GET", "/users/@me"):
            return reply(BOT_USER)
        if (method, path) == ("GET", "/oauth2/applications/@me"):
            return reply(
                {
                    "id": APP,
                    "name": "coach",
                    "description": "",
                    "icon": None,
                    "bot_public": True,
                    "flags": 0,
                    "bot_require_code_grant": False,
                    "owner": USERS[ALICE],
                    "verify_key": "",
                }
            )
        if (method, path) == ("GET", "/gateway/bot"):
            return reply(
                {
                    "url": f"ws://127.0.0.1:{self.port}/gateway",
                    "shards": self.shards,
                    "session_start_limit": {"total": 1000, "remaining": 999, "reset_after": 1, "max_concurrency": 1},
                }
            )
        if (method, path) == ("POST", "/users/@me/channels"):
            return reply({"id": DM, "type": 1, "recipients": [USERS[ALICE]], "last_message_id": None})
        if match := re.fullmatch(r"/applications/\d+(?:/guilds/(\d+))?/commands", path):
            if method == "PUT":
                self.commands[match[1]] = [
                    {
                        **command,
                        "id": self._id(),
                        "application_id": APP,
                        "version": "1",
                        "description": command.get("description", ""),
                    }
                    for command in body
                ]
            return reply(self.commands.get(match[1], []))
        if match := re.fullmatch(r"/channels/(\d+)/messages(?:/(\d+))?", path):
            return self._channel_messages(method, match[1], match[2], body)
        if match := re.fullmatch(r"/channels/(\d+)/(?:messages/(\d+)/)?threads", path):
            return await self._open_thread(match[1], match[2], body)
        if match := re.fullmatch(r"/interactions/(\d+)/([^/]+)/callback", path):
            return self._callback(match[1], match[2], body)
        if match := re.fullmatch(r"/webhooks/\d+/([^/]+)(?:/messages/(@original|\d+))?", path):
            return self._webhook(method, match[1], match[2], body)
        return refusal(501, 0, f"FAKE: route not implemented {method} {path}")

    def _channel_messages(self, method: str, channel: str, message: str | None, body: Any) -> web.Response:
        if channel not in self.channels and channel != DM:
            return refusal(404, 10003, "Unknown Channel")
        if method == "GET" and message:
            return reply(self.messages[message]) if message in self.messages else refusal(404, 10008, "Unknown Message")
        if method == "DELETE" and message:
            if self.messages.pop(message, None) is None:
                return refusal(404, 10008, "Unknown Message")
            return web.Response(status=204)
        if method in ("POST", "PATCH"):
            if method == "POST" and self.mute and channel == CHANNEL:
                return refusal(403, 50013, "Missing Permissions")
            if message and message not in self.messages:
                return refusal(404, 10008, "Unknown Message")
            return self._save(channel, body or {}, message)
        return refusal(501, 0, f"FAKE: {method} messages")

    def _save(self, channel: str, body: dict[str, Any], message: str | None = None, **more: Any) -> web.Response:
        problem = _limits(body)
        if problem:
            return refusal(400, 50035, problem)
        nonce = body.get("nonce")
        if not message and nonce and body.get("enforce_nonce") and (channel, nonce) in self.nonces:
            return reply(self.messages[self.nonces[channel, nonce]])
        saved = self.messages.get(message or "") or {
            "id": self._id(),
            "channel_id": channel,
            "author": BOT_USER,
            "content": "",
            "timestamp": NOW,
            "edited_timestamp": None,
            "tts": False,
            "mention_everyone": False,
            "mentions": [],
            "mention_roles": [],
            "attachments": [],
            "embeds": [],
            "components": [],
            "pinned": False,
            "type": 0,
            "flags": 0,
            "edits": 0,
        }
        keys = ("content", "embeds", "components", "flags", "message_reference")
        saved = {**saved, **{key: body[key] for key in keys if body.get(key) is not None}, **more}
        if "_files" in body:
            self.files[saved["id"]] = body["_files"]
        if message:
            saved["edited_timestamp"] = NOW
            saved["edits"] += 1
        self.messages[saved["id"]] = saved
        if nonce and not message:
            self.nonces[channel, nonce] = saved["id"]
        return reply(saved)

    async def _open_thread(self, parent: str, message: str | None, body: Any) -> web.Response:
        thread = self._thread(message or self._id(), parent, APP, body["name"])
        if thread["id"] in self.channels:
            return refusal(400, 160004, "A thread has already been created for this message")
        self.channels[thread["id"]] = thread
        await self.emit("THREAD_CREATE", {**thread, "newly_created": True})
        return reply(thread, 201)

    def _callback(self, interaction: str, token: str, body: Any) -> web.Response:
        known = self.interactions.get(token)
        if known and known.get("acknowledged"):
            return refusal(400, 40060, "Interaction has already been acknowledged.")
        if not known or known.get("expired") or asyncio.get_running_loop().time() - known["at"] > self.deadline:
            return refusal(404, 10062, "Unknown interaction")
        data, message = body.get("data") or {}, None
        known["acknowledged"] = body["type"]
        if body["type"] in (4, 5):
            flags = data.get("flags", 0) | (128 if body["type"] == 5 else 0)
            response = self._save(known["channel"], data, type=20, flags=flags)
            if response.status != 200:
                known.pop("acknowledged")
                return response
            message = json.loads(response.body)  # type: ignore[arg-type]
            known["original"] = message["id"]
        elif body["type"] in (6, 7):
            known["original"] = known["source"]
        return reply(
            {
                "interaction": {
                    "id": interaction,
                    "type": known["type"],
                    "response_message_id": known.get("original"),
                    "response_message_loading": body["type"] == 5,
                    "response_message_ephemeral": bool(data.get("flags", 0) & 64),
                },
                "resource": {"type": body["type"], **({"message": message} if message else {})},
            }
        )

    def _webhook(self, method: str, token: str, message: str | None, body: Any) -> web.Response:
        known = self.interactions.get(token)
        if not known or not known.get("acknowledged") or known.get("token_expired"):
            return refusal(404, 10015, "Unknown Webhook")
        message = known.get("original") if message == "@original" else message
        if message and message not in self.messages:
            return refusal(404, 10008, "Unknown Message")
        if method == "GET" and message:
            return reply(self.messages[message])
        if method == "DELETE" and message:
            del self.messages[message]
            return web.Response(status=204)
        return self._save(known["channel"], body or {}, message, webhook_id=APP)

    # -- gateway -------------------------------------------------------------------------------------------------

    async def _gateway(self, request: web.Request) -> web.StreamResponse:
        if self.refuse_gateway:
            return web.Response(status=503)
        ws = web.WebSocketResponse(autoping=True)
        await ws.prepare(request)
        session: dict[str, Any] | None = None
        await ws.send_json({"op": 10, "d": {"heartbeat_interval": 41250}, "s": None, "t": None})
        async for message in ws:
            if message.type != WSMsgType.TEXT:
                continue
            packet = json.loads(message.data)
            if packet["op"] == 1:
                await ws.send_json({"op": 11, "d": None})
            elif packet["op"] == 2:
                session = await self._identify(ws, packet["d"])
            elif packet["op"] == 6:
                session = await self._resume(ws, packet["d"])
            await self.notify()
        if session is not None and session["ws"] is ws:
            session["ws"] = None
        self.close_codes.append(ws.close_code)
        await self.notify()
        return ws

    async def _identify(self, ws: web.WebSocketResponse, data: dict[str, Any]) -> dict[str, Any] | None:
        self.identified.append(data)
        if data["token"] != TOKEN:
            await ws.close(code=4004)
            return None
        if data["intents"] & self.disallowed:
            await ws.close(code=4014)
            return None
        shard = data.get("shard", [0, 1])
        name = f"session{len(self.sessions)}"
        for old in self.sessions.values():
            if old["shard"] == shard:
                old["dead"] = True
        session = self.sessions[name] = {"ws": ws, "seq": 0, "log": [], "intents": data["intents"], "shard": shard}
        servers = [
            (guild, channel)
            for guild, channel in ((GUILD, CHANNEL), (OTHER_GUILD, OTHER_CHANNEL))
            if (int(guild) >> 22) % shard[1] == shard[0]
        ]
        await self._send(
            session,
            "READY",
            {
                "v": 10,
                "user": BOT_USER,
                "guilds": [{"id": guild, "unavailable": True} for guild, _ in servers],
                "session_id": name,
                "resume_gateway_url": f"ws://127.0.0.1:{self.port}/gateway",
                "application": {"id": APP, "flags": 0},
                "shard": shard,
            },
        )
        for guild, _ in servers:
            await self._send(session, "GUILD_CREATE", self._guild(guild))
        return session

    async def _resume(self, ws: web.WebSocketResponse, data: dict[str, Any]) -> dict[str, Any] | None:
        self.resumed.append(data)
        session = self.sessions.get(data["session_id"])
        if session is None or session.get("dead"):
            await ws.send_json({"op": 9, "d": False})
            return None
        position = data["seq"] - self.replayed_twice
        with suppress(ConnectionError):
            while missed := [one for one in session["log"] if one["s"] > position]:
                for packet in missed:
                    position = packet["s"]
                    if position > data["seq"] or packet["t"] in ("MESSAGE_CREATE", "INTERACTION_CREATE"):
                        await ws.send_json(packet)
        session["ws"] = ws  # only now may new events follow: an event that overtakes a missed one would hide it
        await self._send(session, "RESUMED", {})  # an object: discord.py writes into it
        return session

    async def _send(self, session: dict[str, Any], kind: str, data: dict[str, Any]) -> None:
        session["seq"] += 1
        packet = {"op": 0, "t": kind, "s": session["seq"], "d": data}
        session["log"].append(packet)
        if session["ws"] is not None and not session["ws"].closed:
            with suppress(ConnectionError):
                await session["ws"].send_json(packet)

    async def emit(self, kind: str, data: dict[str, Any], *, times: int = 1) -> None:
        """An event, to the shard of its server; direct messages go to shard 0."""
        for session in list(self.sessions.values()):
            number, count = session["shard"]
            mine = (int(data["guild_id"]) >> 22) % count if "guild_id" in data else 0
            if not session.get("dead") and number == mine:
                for _ in range(times):
                    await self._send(session, kind, data)

    def live(self, shard: int = 0) -> dict[str, Any]:
        """The session of a shard that is in force."""
        return next(s for s in reversed(list(self.sessions.values())) if s["shard"][0] == shard and not s.get("dead"))

    async def drop(self, code: int = 4000, shard: int = 0) -> None:
        """Cut the connection of a shard."""
        ws = self.live(shard)["ws"]
        if ws is not None:
            self.live(shard)["ws"] = None
            await ws.close(code=code)

    async def op(self, number: int, data: Any = None, shard: int = 0) -> None:
        """Send a bare operation: 7 asks to reconnect, 9 says that the session is invalid."""
        session = self.live(shard)
        if number == 9 and data is False:
            session["dead"] = True
        if session["ws"] is not None and not session["ws"].closed:
            await session["ws"].send_json({"op": number, "d": data})

    # -- people --------------------------------------------------------------------------------------------------

    async def say(
        self, text: str, *, who: str = ALICE, channel: str = CHANNEL, mention: bool = False, times: int = 1, **more: Any
    ) -> dict[str, Any]:
        """Somebody writes a message. Without the intent its content is blank unless it is a mention or direct."""
        data = {
            "id": self._id(),
            "channel_id": channel,
            "author": USERS[who],
            "content": text,
            "timestamp": NOW,
            "edited_timestamp": None,
            "tts": False,
            "mention_everyone": False,
            "mentions": [BOT_USER] if mention else [],
            "mention_roles": [],
            "attachments": [],
            "embeds": [],
            "components": [],
            "pinned": False,
            "type": 0,
            "flags": 0,
            **more,
        }
        if channel != DM:
            data.update(guild_id=self.channels[channel]["guild_id"], member=member(who))
            if not mention and not any(s["intents"] & 1 << 15 for s in self.sessions.values()):
                data["content"] = ""
        self.messages[data["id"]] = data
        await self.emit("MESSAGE_CREATE", data, times=times)
        return data

    async def post(self, forum: str, text: str, *, who: str = ALICE) -> str:
        """Somebody opens a post in a forum: a thread whose first message has its id."""
        thread = self._thread(self._id(), forum, who, "A post")
        self.channels[thread["id"]] = thread
        await self.emit("THREAD_CREATE", {**thread, "newly_created": True})
        await self.say(text, who=who, channel=thread["id"], id=thread["id"])
        return str(thread["id"])

    async def delete(self, message: str, channel: str = CHANNEL) -> None:
        """Somebody deletes a message."""
        self.messages.pop(message, None)
        self.deleted.add(message)
        await self.emit(
            "MESSAGE_DELETE", {"id": message, "channel_id": channel, "guild_id": self.channels[channel]["guild_id"]}
        )

    async def slash(
        self, name: str, *, who: str = ALICE, times: int = 1, channel: str = CHANNEL, group: str = "", **options: Any
    ) -> str:
        """Somebody uses a command (`group` names one of a group); the token of the interaction."""
        given: list[dict[str, Any]] = [
            {"type": _option_type(value), "name": key, "value": value} for key, value in options.items()
        ]
        return await self._interact(
            2,
            {
                "id": "1",
                "name": name,
                "type": 1,
                "options": [{"type": 1, "name": group, "options": given}] if group else given,
            },
            who,
            times=times,
            channel=channel,
        )

    async def click(self, message: dict[str, Any], custom_id: str, *, who: str = ALICE) -> str:
        """Somebody presses a button."""
        return await self._interact(3, {"component_type": 2, "custom_id": custom_id}, who, message)

    async def _interact(
        self,
        kind: int,
        data: dict[str, Any],
        who: str,
        message: dict[str, Any] | None = None,
        *,
        times: int = 1,
        channel: str = CHANNEL,
    ) -> str:
        token, number = f"tok{self._id()}", self._id()
        self.interactions[token] = {
            "at": asyncio.get_running_loop().time(),
            "channel": channel,
            "type": kind,
            "source": message and message["id"],
            "id": number,
        }
        payload = {
            "id": number,
            "application_id": APP,
            "type": kind,
            "token": token,
            "version": 1,
            "data": data,
            "channel_id": channel,
            "channel": self.channels.get(channel, {"id": DM, "type": 1}),
            "locale": "en-US",
            "app_permissions": EVERYTHING,
            "entitlements": [],
            "context": 0,
            "attachment_size_limit": 10485760,
            "authorizing_integration_owners": {"0": GUILD},
        }
        if channel == DM:
            payload.update(user=USERS[who], context=1)
        else:
            guild = self.channels[channel]["guild_id"]
            permissions = {BOB: "104324673", CAROL: str(1 << 5 | 1 << 10 | 1 << 11)}.get(who, str(1 << 10 | 1 << 11))
            payload.update(
                guild_id=guild, guild_locale="en-US", member={**member(who, permissions), "user": USERS[who]}
            )
        if message is not None:
            payload["message"] = message
        await self.emit("INTERACTION_CREATE", payload, times=times)
        return token

    # -- small things --------------------------------------------------------------------------------------------

    def _id(self) -> str:
        return str(next(self._ids))

    def _channel(self, channel: str, guild: str) -> dict[str, Any]:
        return {
            "id": channel,
            "type": 0,
            "guild_id": guild,
            "name": "general",
            "position": 0,
            "nsfw": False,
            "permission_overwrites": [],
            "parent_id": None,
        }

    def _thread(self, thread: str, parent: str, owner: str, name: str) -> dict[str, Any]:
        return {
            "id": thread,
            "type": 11,
            "guild_id": GUILD,
            "parent_id": parent,
            "owner_id": owner,
            "name": name,
            "message_count": 0,
            "member_count": 1,
            "rate_limit_per_user": 0,
            "thread_metadata": {
                "archived": False,
                "auto_archive_duration": 1440,
                "archive_timestamp": NOW,
                "locked": False,
            },
        }

    def _guild(self, guild: str) -> dict[str, Any]:
        channels = [c for c in self.channels.values() if c["guild_id"] == guild]
        return {
            "id": guild,
            "name": "Lab",
            "owner_id": BOB,
            "unavailable": False,
            "member_count": 2,
            "large": False,
            "roles": [{"id": guild, "name": "@everyone", "permissions": EVERYTHING, "position": 0}],
            "channels": [c for c in channels if c["type"] != 11],
            "threads": [c for c in channels if c["type"] == 11],
            "members": [{**member(APP), "user": BOT_USER}],
            "emojis": [],
            "stickers": [],
            "features": [],
            "voice_states": [],
            "presences": [],
            "stage_instances": [],
            "guild_scheduled_events": [],
        }


def point_discord_at(port: int) -> None:
    """Make discord.py talk to loopback. Only tests do this: a setting for it would be a way to steal tokens."""
    discord.http.Route.BASE = f"http://127.0.0.1:{port}/api/v10"
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(f"ws://127.0.0.1:{port}/gateway")


async def _body(request: web.Request) -> Any:
    if request.content_type.startswith("multipart/"):
        body: dict[str, Any] = {}
        async for part in await request.multipart():
            if part.name == "payload_json":
                body = json.loads(await part.text())
            else:
                body.setdefault("_files", []).append((part.filename, bytes(await part.read())))
        return body
    raw = await request.read()
    return json.loads(raw) if raw else None


def _limits(body: dict[str, Any]) -> str:
    def units(text: str | None) -> int:
        return len((text or "").encode("utf-16-le")) // 2

    if units(body.get("content")) > 2000:
        return "content: Must be 2000 or fewer in length."
    embeds = body.get("embeds") or []
    total = 0
    for embed in embeds:
        fields = embed.get("fields", [])
        if len(fields) > 25 or any(
            units(f["name"]) > 256 or units(f["value"]) > 1024 or not f["value"] for f in fields
        ):
            return "embeds: field too long"
        total += units(embed.get("title")) + units(embed.get("description"))
        total += units((embed.get("footer") or {}).get("text")) + sum(
            units(f["name"]) + units(f["value"]) for f in fields
        )
    return "embeds: over 6000" if total > 6000 or len(embeds) > 10 else ""


def _option_type(value: Any) -> int:
    return 5 if isinstance(value, bool) else 4 if isinstance(value, int) else 10 if isinstance(value, float) else 3
