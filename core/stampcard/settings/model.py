"""The settings and what each may be; built from arguments alone, `loading` looks at files and the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from glob import glob, has_magic
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_serializer,
    field_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from stampcard.domain.addresses import AddressKind
from stampcard.errors import ConfigurationError
from stampcard.host.addresses import outbound_rules
from stampcard.host.connecting import ConnectionSpec

PREFIX = "STAMPCARD_"
HIDDEN = "…"

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,62}[A-Za-z0-9])?")
_PASSWORD = re.compile(r"(?<=password=)[^&]*")
_RELATIVE_FILE = re.compile(r"sqlite:///(?![/?]|:memory:)([^?]+)(.*)", re.DOTALL)
#: What a connection's section says to Stampcard and not to its plugin.
_OURS = frozenset({"plugin", "orders_of"})


def _several(written: Any) -> Any:
    if isinstance(written, str):
        return [part.strip() for part in written.split(",") if part.strip()]
    return written


def _database(url: str) -> str:
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite" and rest.startswith("/"):
        return url
    if scheme not in {"postgresql", "postgres"} or not rest:
        raise ValueError("write sqlite:///FILE or postgresql://USER@HOST/NAME")
    try:
        urlsplit(url).port  # noqa: B018 - raises when it is no port
    except ValueError:
        raise ValueError("its port is not a number; in a password write / as %2F, @ as %40, : as %3A") from None
    return url


def _public_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise ValueError("write https://HOST, as the outside reaches this installation")
    if parts.query or parts.fragment:
        raise ValueError("leave out what begins with ? or #")
    return url.rstrip("/")


def _outbound(entries: tuple[str, ...]) -> tuple[str, ...]:
    try:
        outbound_rules(entries, ())
    except ConfigurationError as error:
        raise ValueError(f"{error.problem}. {error.remedy}") from None
    return entries


Several = Annotated[tuple[str, ...], BeforeValidator(_several)]


class Section(BaseModel):
    """A table of stampcard.toml; refuses what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class HttpSettings(Section):
    """Where Stampcard listens."""

    host: str = Field(default="127.0.0.1", min_length=1, description="the address to listen on")
    port: int = Field(default=8080, ge=0, le=65535, description="the port to listen on; 0 takes any free one")
    public_url: Annotated[str, AfterValidator(_public_url)] | None = Field(
        default=None, description="how the outside reaches this installation; webhook addresses begin with it"
    )
    max_body: int = Field(default=4 * 1024 * 1024, gt=0, description="the largest webhook body, in bytes")
    proxies: int = Field(
        default=0,
        ge=0,
        le=10,
        description="how many reverse proxies stand in front, one behind the other: so the address of a visitor, whose haste "
        "is limited, is read from X-Forwarded-For; 0: visitors come here themselves",
    )
    silent_hours: int = Field(
        default=72,
        ge=0,
        le=8760,
        description="hours without a webhook after which a connection that used to send some is not well; 0: never",
    )

    @property
    def base_url(self) -> str:
        """What addresses here begin with: as the outside reaches it, or else where it listens."""
        return self.public_url or f"http://{self.host}:{self.port}"


class SecuritySettings(Section):
    """Where calls may go beside the public https hosts that connections name."""

    outbound_allow: Annotated[Several, AfterValidator(_outbound)] = Field(
        default=(),
        description="hosts, host:port and networks that may be called although they are private, or named by no connection",
    )


class KeepSettings(Section):
    """How long raw deliveries stay."""

    bodies_days: int = Field(
        default=30, ge=0, le=36500, description="days that the bodies of applied deliveries are kept, for replay"
    )
    quarantine_days: int = Field(
        default=14, ge=0, le=36500, description="days that the bodies of quarantined deliveries are kept"
    )


class MembersSettings(Section):
    """How members of several shops are found to be one person."""

    match: Annotated[tuple[AddressKind, ...], BeforeValidator(_several)] = Field(
        default=("email", "phone"),
        description="addresses that shops verified by which two members become one; empty: they stay as their shops have them",
    )


class DeliverSettings(Section):
    """How changed balances leave."""

    coalesce: float = Field(
        default=0.2,
        ge=0,
        le=60,
        allow_inf_nan=False,
        description="seconds without a further change after which a changed balance is pushed",
    )
    longest: float = Field(
        default=1.0,
        ge=0,
        le=600,
        allow_inf_nan=False,
        description="seconds after its first change when a balance is pushed although it goes on changing",
    )


class LogSettings(Section):
    """How Stampcard tells what it does, on stderr."""

    format: Literal["auto", "json", "console"] = Field(
        default="auto", description="lines for people, JSON for machines; auto: lines where stderr is a terminal"
    )
    level: Annotated[
        Literal["debug", "info", "warning", "error", "critical"],
        BeforeValidator(lambda written: written.lower() if isinstance(written, str) else written),
    ] = Field(default="info", description="the least important thing that is still told")


class Settings(BaseSettings):
    """Everything that an installation can be told."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,
    )

    database: Annotated[str, AfterValidator(_database)] = Field(
        default="sqlite:///stampcard.db",
        repr=False,
        description="sqlite:///FILE, or postgresql://USER@HOST/NAME to run several processes",
    )
    programs: Several = Field(
        default=("program.yaml",),
        description="drafts of the programs, paths or patterns; an empty database takes them at the first start",
    )
    key_file: Path = Field(default=Path("stampcard.key"), description="the keys that encrypt personal data")
    keys: SecretStr | None = Field(
        default=None,
        description="the text of a key file, lines parted by ';', where the environment brings the keys instead of a file",
    )
    merchant: str = Field(
        default="main",
        pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$",
        description="whose members these are, if several merchants share a database",
    )
    http: HttpSettings = HttpSettings()
    security: SecuritySettings = SecuritySettings()
    keep: KeepSettings = KeepSettings()
    members: MembersSettings = MembersSettings()
    deliver: DeliverSettings = DeliverSettings()
    log: LogSettings = LogSettings()
    connections: dict[str, dict[str, Any]] = Field(
        default={}, repr=False, description="a table for each shop or service; see below"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings calls it by these names
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments only: settings that a test builds must not depend on the machine's environment."""
        return (init_settings,)

    @field_serializer("database")
    def _without_password(self, url: str) -> str:
        # Up to the last @: a password that was not encoded may hold every sign.
        account, at, place = _PASSWORD.sub(HIDDEN, url.partition("://")[2]).rpartition("@")
        user, colon, _ = account.partition(":")
        return f"{url.partition('://')[0]}://{user}{colon}{HIDDEN * bool(colon)}{at}{place}"

    @field_serializer("connections")
    def _without_secrets(self, connections: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        # Only a plugin knows which of its settings are secret.
        return {
            name: {key: value if key in _OURS else HIDDEN for key, value in section.items()}
            for name, section in connections.items()
        }

    @field_validator("connections")
    @classmethod
    def _agree(cls, connections: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        if faults := [fault for name in connections for fault in _faults(name, connections)]:
            raise ValueError("\n".join(faults))
        return connections

    def with_plugged(self, sections: Mapping[str, Mapping[str, Any]]) -> Self:
        """The same with connections of the database; those of the file win, and what does not fit beside them is left out."""
        both = {**{name: dict(section) for name, section in sections.items()}, **self.connections}
        while unfit := [
            name for name in sections if name not in self.connections and name in both and _faults(name, both)
        ]:
            for name in unfit:
                del both[name]
        return self.model_copy(update={"connections": both})

    def specs(self) -> tuple[ConnectionSpec, ...]:
        """The connections with their plugins' own settings."""
        return tuple(
            ConnectionSpec(
                name=name,
                plugin=section["plugin"],
                settings={key: value for key, value in section.items() if key not in _OURS},
            )
            for name, section in self.connections.items()
        )

    def sources(self) -> dict[str, str]:
        """Each connection with the one that owns the order references it reports: by default itself."""
        return {name: section.get("orders_of", name) for name, section in self.connections.items()}

    def program_files(self) -> tuple[Path, ...]:
        """The files that `programs` names; a pattern stands for those that are there, and maybe for none."""
        found: dict[Path, None] = {}
        for pattern in self.programs:
            files = sorted(glob(pattern)) if has_magic(pattern) else [pattern]  # noqa: PTH207 - it may be absolute
            found |= dict.fromkeys(map(Path, files))
        return tuple(found)

    def below(self, folder: Path) -> Self:
        """The same settings with relative paths taken from `folder`."""
        relative = _RELATIVE_FILE.fullmatch(self.database)
        return self.model_copy(
            update={
                "database": f"sqlite:///{folder / relative[1]}{relative[2]}" if relative else self.database,
                "key_file": folder / self.key_file.expanduser(),
                "programs": tuple(str(folder / Path(pattern).expanduser()) for pattern in self.programs),
            }
        )


def _faults(name: str, connections: Mapping[str, Mapping[str, Any]]) -> list[str]:
    section = connections[name]
    if not _NAME.fullmatch(name):
        return [f"connections.{name}: a name has letters, digits, _ and -, at most 64"]
    faults = []
    plugin, owner = section.get("plugin"), section.get("orders_of", name)
    if not isinstance(plugin, str) or not plugin:
        faults.append(f'connections.{name}.plugin: is missing. Write plugin = "shopify", say')
    if owner == name:
        return faults
    known = ", ".join(other for other in connections if other != name) or "none"
    if not isinstance(owner, str) or owner not in connections:
        faults.append(f"connections.{name}.orders_of: there is no connection {owner!r}. There is: {known}")
    elif "orders_of" in connections[owner]:
        faults.append(f"connections.{name}.orders_of: {owner!r} itself reports orders of another connection")
    return faults
