"""Every setting, in one frozen class. Read once by `get_settings()`, then passed along."""

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "BOZZETTO_"
Item = TypeVar("Item", str, SecretStr)


def read_list(value: Any) -> Any:
    """The items of a text: a JSON list, or names with commas between. Anything else as it is.

    Raises ValueError for an empty one: a secret that failed to arrive must not open the gateway.
    """
    items = value
    if isinstance(value, str):
        items = _from_json(value) if value.lstrip().startswith("[") else value.split(",")
        items = [item.strip() if isinstance(item, str) else item for item in items]
    if isinstance(items, list) and "" in items:
        raise ValueError("an item is empty; a list of none is []")
    return items


def _from_json(text: str) -> list[Any]:
    """Of a text that starts as a list does. Raises ValueError."""
    try:
        items: list[Any] = json.loads(text)
    except ValueError as error:
        raise ValueError(f"no JSON list: {error}") from None
    return items


# Of the environment, without pydantic-settings' own decoder, which takes JSON alone.
Listed = Annotated[tuple[Item, ...], NoDecode, BeforeValidator(read_list)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RedisSettings(Section):
    url: SecretStr | None = Field(
        None, description="redis://, rediss:// or unix:// URL. Unset: an embedded server is run."
    )
    prefix: str = Field("bozzetto", description="First part of every key.")


class UploadSettings(Section):
    max_bytes: int = Field(
        20_000_000, ge=1_000, le=1_000_000_000, description="Cap on one request's body, in bytes."
    )
    max_pixels: int = Field(
        25_000_000, ge=1_000, le=200_000_000, description="Cap on one picture, in pixels."
    )
    max_images: int = Field(8, ge=1, le=64, description="Pictures per job.")


class QueueSettings(Section):
    max_waiting: int = Field(
        1_000, ge=1, description="Waiting jobs of one model before its submits answer 503."
    )
    max_attempts: int = Field(3, ge=1, le=10, description="Runs of one job before it fails.")
    lease_s: float = Field(
        30.0, ge=0.2, le=3_600, description="Seconds without renewal until a job is taken over."
    )
    retention_s: float = Field(
        86_400.0, ge=1, description="Seconds that a final job and its files are kept."
    )
    idempotency_s: float = Field(
        86_400.0, ge=1, description="Seconds that an Idempotency-Key is remembered."
    )


class WorkerSettings(Section):
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where the networks run.")
    threads: int = Field(0, ge=0, le=256, description="Compute threads; 0 leaves it to torch.")
    max_batch: int = Field(
        8,
        ge=1,
        le=256,
        description="Jobs in one network evaluation; as many of each model are held at once.",
    )
    models: Listed[str] = Field(
        (),
        description="Models that this worker serves, all loaded at its start. Empty: all whose "
        "weights are here, the default and `draft` loaded at the start, others by their first job.",
    )
    preview_every_s: float = Field(
        0.4,
        ge=0,
        le=3_600,
        description="Least seconds between two previews of a running job; 0 makes none.",
    )
    drain_s: float = Field(25.0, ge=0, description="Seconds to finish running jobs after SIGTERM.")


class ModelSettings(Section):
    accepted_licences: Listed[str] = Field(
        (),
        description="Licences of restricted weights that you have read and accept, by the names "
        "that `bozzetto models list` shows.",
    )


class GatewaySettings(Section):
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65_535, description="Port to listen on; 0 takes a free one.")
    api_keys: Listed[SecretStr] = Field(
        (), description="Accepted bearer tokens. None: no key is asked for."
    )
    cors_origins: Listed[str] = Field((), description="Origins whose pages may call the API.")
    rate_per_minute: int = Field(
        0, ge=0, description="Submits per minute and caller; 0 is unlimited."
    )


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    data_dir: Path = Field(
        Path("data"), description="Where pictures, results and the embedded server's files live."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe message that is logged."
    )
    redis: RedisSettings = RedisSettings()
    uploads: UploadSettings = UploadSettings()
    queue: QueueSettings = QueueSettings()
    models: ModelSettings = ModelSettings()
    worker: WorkerSettings = WorkerSettings()
    gateway: GatewaySettings = GatewaySettings()


class UnknownSettingError(ValueError):
    """A variable has our prefix but names no setting: most likely a misspelling."""


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process.

    Raises:
        UnknownSettingError: pydantic-settings ignores a misspelt top-level name, we do not.
        pydantic.ValidationError: a value is out of bounds or a nested name is unknown.
        pydantic_settings.SettingsError: a whole section is given, and is no JSON.
    """
    known = {name.upper() for name in Settings.model_fields}
    for variable in os.environ:
        if not variable.upper().startswith(PREFIX):
            continue
        top = variable.upper().removeprefix(PREFIX).split("__")[0]
        if top not in known:
            raise UnknownSettingError(
                f"{variable} names no setting; known: "
                + ", ".join(PREFIX + name for name in sorted(known))
            )
    return Settings()
