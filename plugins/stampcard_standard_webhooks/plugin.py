from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Annotated, Any

import httpx
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from stampcard.plugin import Capabilities, Change, Command, ConnectionContext, PluginManifest, PluginSettings, hookimpl
from stampcard_standard_webhooks.notices import EVENTS, command, notices
from stampcard_standard_webhooks.sending import WebhookSink
from stampcard_standard_webhooks.signing import key_of

_PORTS = range(1, 65536)


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | SecretStr) else value


def _sound_url(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL()
    sound = parsed.scheme in {"http", "https"} and parsed.host and (parsed.port is None or parsed.port in _PORTS)
    if not sound or parsed.userinfo or any(letter.isspace() or letter == "\\" for letter in url):
        raise ValueError("is no address such as https://example.com/webhooks, without a user name")
    return url


def _sound_secret(secret: SecretStr) -> SecretStr:
    key_of(secret.get_secret_value())
    return secret


def _known(pattern: str) -> str:
    if not any(fnmatchcase(event, pattern) for event in EVENTS):
        raise ValueError(f"{pattern!r} fits no event; there are {', '.join(EVENTS)}")
    return pattern


Secret = Annotated[SecretStr, AfterValidator(_sound_secret)]
Pattern = Annotated[str, AfterValidator(_known)]


class StandardWebhooksSettings(PluginSettings):
    """One receiver. It is the merchant's own system, so its address stands in `url` and there is no `api_url`."""

    url: Annotated[str, AfterValidator(_sound_url)] = Field(
        description="where webhooks are posted; by https, unless security.outbound_allow names the host"
    )
    secrets: Annotated[tuple[Secret, ...], BeforeValidator(_as_list)] = Field(
        min_length=1,
        description="what webhooks are signed with, whsec_ and base64; several, the newest first, while one is rotated",
    )
    events: Annotated[tuple[Pattern, ...], BeforeValidator(_as_list)] = Field(
        default=("*",), min_length=1, description="names of events, or patterns such as points.*; by default all"
    )

    def outbound_hosts(self) -> tuple[str, ...]:
        """The receiver's alone."""
        return (httpx.URL(self.url).netloc.decode(),)


@hookimpl
def plugin_manifest() -> PluginManifest:
    return PluginManifest(
        name="standard_webhooks",
        summary="Standard Webhooks: tells your own systems what changes",
        settings=StandardWebhooksSettings,
    )


@hookimpl
async def connect(context: ConnectionContext[StandardWebhooksSettings]) -> Capabilities:
    return Capabilities(sinks=(WebhookSink(context),))


@hookimpl
def outbound_commands(change: Change) -> Iterable[Command]:
    """A webhook for each thing that a change is told as; each connection's sink leaves out what its settings do."""
    return [command(change, notice) for notice in notices(change)]
