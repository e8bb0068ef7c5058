"""Every setting with its default, read from coach.toml, COACH_* variables, .env and the command line, in rising order."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from coach.errors import ConfigError

PREFIX = "COACH_"


def _packaged_knowledge() -> Path:
    """The knowledge that came with the installation: inside the wheel, or beside coach/ in a checkout."""
    package = Path(__file__).parent
    inside = package / "knowledge"
    return inside if inside.is_dir() else package.parent / "knowledge"


def _data_directory() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "ml-career-coach"


class Settings(BaseSettings):
    """The settings of one coach. Field descriptions are the reference that `coach doctor` and the README print."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", toml_file="coach.toml", extra="forbid", frozen=True, protected_namespaces=()
    )

    data_dir: Path = Field(default_factory=_data_directory, description="Where models, indexes and the database live.")
    knowledge_dir: Path = Field(default_factory=_packaged_knowledge, description="Guides and catalogue.")
    extra_knowledge: tuple[Path, ...] = Field((), description="More folders or files to index (JSON list).")

    model: str = Field("auto", description="Catalogue id, hub repository, model folder, .gguf file, or auto.")
    model_revision: str = Field("main", description="Branch, tag or commit of the hub repository.")
    engine: Literal["auto", "huggingface", "llamacpp", "remote", "scripted"] = Field(
        "auto", description="What runs the model."
    )
    mode: Literal["auto", "write", "quote"] = Field(
        "auto", description="write: the model words the answer; quote: source sentences; auto: by the model's grade."
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where the huggingface engine computes.")
    dtype: Literal["auto", "bfloat16", "float32"] = Field("auto", description="Precision of weights.")
    threads: int = Field(0, ge=0, le=512, description="CPU threads; 0 lets the libraries choose.")
    gpu_layers: int = Field(0, ge=-1, description="Layers that llama.cpp puts on a GPU; -1 means all.")
    think: bool = Field(False, description="Let models with a thinking switch think first.")
    context_tokens: int = Field(4096, ge=512, description="Most tokens of prompt plus answer.")
    answer_tokens: int = Field(320, ge=16, le=8192, description="Most tokens of an answer.")
    offline: bool = Field(False, description="Never touch the network.")

    remote_url: str = Field("", description="Base URL of an OpenAI-compatible server, e.g. http://127.0.0.1:8000/v1.")
    remote_model: str = Field("", description="Model name on that server; empty takes its first.")
    remote_api_key: SecretStr = Field(SecretStr(""), description="Bearer token for that server.")
    remote_timeout_seconds: float = Field(120.0, gt=0, description="Longest wait for the next piece of an answer.")

    embedder: str = Field(
        "all-minilm-l6-v2", description="all-minilm-l6-v2, hashing (no weights), or a sentence-transformers folder."
    )
    embedder_dtype: Literal["auto", "bfloat16", "float32"] = Field("auto", description="Precision of the embedder.")
    chunk_tokens: int = Field(200, ge=32, le=512, description="Largest chunk in embedder tokens, heading included.")
    passages: int = Field(6, ge=1, le=30, description="Passages shown to the model.")
    evidence_threshold: float = Field(0.5, ge=0, le=1, description="Least evidence score to answer at all.")
    support_threshold: float = Field(0.5, ge=0, le=1, description="Least support for a written sentence to be shown.")
    chroma_url: str = Field(
        "", description="A Chroma server on a private network instead of local files (see the README's security note)."
    )

    database_url: str = Field("", description="SQLAlchemy URL; empty means SQLite in data_dir.")
    queue_size: int = Field(32, ge=1, description="Requests that may wait for the engine.")
    requests_per_minute: int = Field(20, ge=1, description="Requests a user may make per minute.")

    host: str = Field("127.0.0.1", description="Address that coach serve listens on.")
    port: int = Field(7860, ge=0, le=65535, description="Port of coach serve.")
    auth: str = Field("", description="Path of an accounts file, or proxy:HEADER; empty is for loopback only.")
    discord_token: SecretStr = Field(SecretStr(""), description="Bot token.")
    discord_token_file: Path | None = Field(None, description="File that holds the bot token.")
    discord_message_content: bool = Field(False, description="Ask Discord for the message-content intent.")
    discord_metrics_port: int = Field(
        0, ge=0, le=65535, description="Port on 127.0.0.1 for the figures of coach discord; 0 means none."
    )
    discord_server_key: SecretStr = Field(SecretStr(""), description="API key for coach discord --server.")

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("WARNING", description="Least level logged.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Highest first: command line, .env, environment, coach.toml."""
        return init_settings, dotenv_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def database(self) -> str:
        """The SQLAlchemy URL in force."""
        return self.database_url or f"sqlite:///{self.data_dir / 'coach.sqlite'}"


@dataclass(frozen=True, slots=True)
class Origin:
    """One setting as `coach doctor` shows it; secrets are redacted."""

    name: str
    value: str
    origin: str
    description: str


def load_settings(**overrides: Any) -> Settings:
    """Read the settings; `overrides` are command-line values, None meaning "not given".

    Raises ConfigError naming the unknown key with its nearest known name, or the wrong value.
    """
    _refuse_unknown_names()
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise ConfigError(_explain(error)) from error
    except SettingsError as error:  # a list in a variable that is not JSON
        raise ConfigError(f"{error}: write a list as JSON, for example [\"/one\", \"/two\"].") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"coach.toml is not valid TOML: {error}. Mend that line or delete the file.") from error


def describe_settings(settings: Settings, **overrides: Any) -> list[Origin]:
    """Each setting with its value and where it came from, in the order of the class."""
    toml = _toml_values()
    dotenv = _dotenv_names()
    rows = []
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if overrides.get(name) is not None:
            origin = "command line"
        elif name in dotenv:
            origin = ".env"
        elif (PREFIX + name.upper()) in {key.upper() for key in os.environ}:
            origin = f"environment {PREFIX}{name.upper()}"
        elif name in toml:
            origin = "coach.toml"
        else:
            origin = "default"
        rows.append(Origin(name, _shown(value), origin, field.description or ""))
    return rows


def _shown(value: object) -> str:
    """The value as text, without secrets and without the password of an address."""
    if isinstance(value, SecretStr):
        return "(set)" if value.get_secret_value() else "(empty)"
    return re.sub(r"(?<=://)([^/@:]*):[^/]*@", r"\1:(set)@", str(value))


def _toml_values() -> dict[str, Any]:
    path = Path("coach.toml")
    return tomllib.loads(path.read_text("utf-8")) if path.is_file() else {}


def _dotenv_names() -> set[str]:
    values = DotEnvSettingsSource(Settings, env_file=".env")._read_env_files()
    return {key.lower().removeprefix(PREFIX.lower()) for key in values if key.lower().startswith(PREFIX.lower())}


def _refuse_unknown_names() -> None:
    known = set(Settings.model_fields)
    try:
        toml = _toml_values()
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"coach.toml is not valid TOML: {error}. Mend that line or delete the file.") from error
    environment = {k[len(PREFIX):].lower() for k in os.environ if k.upper().startswith(PREFIX)}
    places = (("coach.toml", set(toml)), ("environment variable", environment), (".env", _dotenv_names()))
    for place, names in places:
        for name in sorted(names - known):
            shown = name if place == "coach.toml" else PREFIX + name.upper()
            raise ConfigError(f"Unknown setting {shown!r} in {place}.{_nearest(name, known)}")


def _nearest(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else " `coach doctor` lists all settings."


def _explain(error: ValidationError) -> str:
    problems = []
    for item in error.errors():
        name = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            problems.append(f"Unknown setting {name!r}.{_nearest(name, set(Settings.model_fields))}")
        else:
            field = Settings.model_fields.get(name)
            secret = field is not None and field.annotation is SecretStr
            shown = "" if secret else f" (was {item.get('input')!r})"
            problems.append(f"Setting {name!r}: {item['msg']}{shown}.")
    return " ".join(problems) + " `coach doctor` lists every setting with its origin."
