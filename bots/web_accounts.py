"""Who is asking: nobody to log in on loopback, a file of accounts, or the header of a reverse proxy."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import os
import secrets
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from coach.errors import ConfigError

if TYPE_CHECKING:
    from coach.settings import Settings

LOCAL_USER = "local"
COOKIE = "coach_session"
SESSION_SECONDS = 7 * 24 * 3600
_SCRYPT = (2**14, 8, 1)


@dataclass(frozen=True, slots=True)
class Accounts:
    """Decides from headers and cookies who the user is. `passwords` and `keys` hold hashes only."""

    header: str = ""
    passwords: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    secret: bytes = b""

    @property
    def open(self) -> bool:
        """Whether everybody who reaches the server is the one local user."""
        return not self.header and not self.passwords and not self.keys

    @property
    def has_login(self) -> bool:
        """Whether there is a login page."""
        return bool(self.passwords)

    def identify(self, headers: Mapping[str, str], cookies: Mapping[str, str]) -> str | None:
        """The user, or None when they must log in first. Never reads a body or a query."""
        if self.open:
            return LOCAL_USER
        if self.header:
            return headers.get(self.header, "").strip()[:200] or None
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and key:
            return self._key_owner(key.strip())
        return self._session_user(cookies.get(COOKIE, ""))

    def log_in(self, name: str, password: str) -> str | None:
        """A session cookie's value, or None when name or password are wrong (both take the same time)."""
        stored = self.passwords.get(name, _NOBODY)
        if not check_password(password, stored) or name not in self.passwords:
            return None
        body = base64.urlsafe_b64encode(f"{int(time.time()) + SESSION_SECONDS}:{name}".encode()).decode()
        return f"{body}.{self._sign(body, name)}"

    def _session_user(self, cookie: str) -> str | None:
        body, _, signature = cookie.partition(".")
        try:
            expires, _, name = base64.urlsafe_b64decode(body).decode().partition(":")
        except ValueError:
            return None
        if name not in self.passwords or not hmac.compare_digest(signature.encode(), self._sign(body, name).encode()):
            return None
        return name if int(expires) > time.time() else None

    def _key_owner(self, key: str) -> str | None:
        digest = hashlib.sha256(key.encode()).hexdigest()
        owners = [name for name, stored in self.keys.items() if hmac.compare_digest(stored.encode(), digest.encode())]
        return f"key:{owners[0]}" if owners and owners[0] not in self.passwords else owners[0] if owners else None

    def _sign(self, body: str, name: str) -> str:
        # The stored password takes part, so that a changed one ends the sessions that the old one opened.
        return hmac.new(self.secret, f"{body}\0{self.passwords[name]}".encode(), hashlib.sha256).hexdigest()


def load_accounts(settings: Settings) -> Accounts:
    """The accounts that `auth` names. Raises ConfigError for a public address without any."""
    auth = settings.auth.strip()
    if not auth:
        if not is_loopback(settings.host):
            raise ConfigError(
                f"host {settings.host!r} can be reached from other machines, and `auth` is empty: anyone could read "
                "your conversations. Set COACH_AUTH to an accounts file or proxy:HEADER, or listen on 127.0.0.1.")
        return Accounts()
    if auth.lower().startswith("proxy:"):
        header = auth[len("proxy:"):].strip().lower()
        if not header:
            raise ConfigError("auth 'proxy:' names no header. Write for example proxy:X-Forwarded-User.")
        return Accounts(header=header)
    return _load_file(Path(auth).expanduser(), settings.data_dir)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def hash_password(password: str) -> str:
    """A line for the accounts file: scrypt with a fresh salt."""
    n, r, p = _SCRYPT
    salt = secrets.token_bytes(16)
    return f"scrypt${n}${r}${p}${salt.hex()}${hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p).hex()}"


def check_password(password: str, stored: str) -> bool:
    """Whether the password is the one that was hashed."""
    try:
        _, n, r, p, salt, digest = stored.split("$")
        made = hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt), n=int(n), r=int(r), p=int(p))
    except ValueError:
        return False
    return hmac.compare_digest(made.hex(), digest)


def _load_file(path: Path, data_dir: Path) -> Accounts:
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"The accounts file {path} cannot be read: {error.strerror}. Check `auth`.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"The accounts file {path} is not valid TOML: {error}.") from error
    unknown = sorted(set(raw) - {"users", "keys"})
    if unknown or not any(raw.values()):
        raise ConfigError(f"The accounts file {path} needs the tables [users] and, if wanted, [keys]"
                          + (f"; {unknown[0]!r} is unknown." if unknown else "."))
    for name, stored in raw.get("users", {}).items():
        if not str(stored).startswith("scrypt$"):
            raise ConfigError(f"{path}: the password of {name!r} is not hashed. Make it with `coach accounts hash`.")
    return Accounts(passwords=raw.get("users", {}), keys=raw.get("keys", {}), secret=_load_secret(data_dir))


def _load_secret(data_dir: Path) -> bytes:
    path = data_dir / "session.key"
    data_dir.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(handle, "wb") as file:
        file.write(secrets.token_bytes(32))
    return path.read_bytes()


_NOBODY = "scrypt$16384$8$1$" + "00" * 16 + "$" + "00" * 64
