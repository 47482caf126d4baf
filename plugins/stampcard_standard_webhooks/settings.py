from __future__ import annotations

from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, Self

import httpx
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo, field_validator, model_validator

from stampcard.plugin import PluginSettings
from stampcard_standard_webhooks.mapping import Mapped
from stampcard_standard_webhooks.notices import EVENTS
from stampcard_standard_webhooks.signing import key_of
from stampcard_standard_webhooks.verifying import Way, check_secret

_PORTS = range(1, 65536)
#: A shared secret that is shorter is guessed.
_SHORTEST = 16


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


Address = Annotated[str, AfterValidator(_sound_url)]
Secret = Annotated[SecretStr, AfterValidator(_sound_secret)]
Pattern = Annotated[str, AfterValidator(_known)]


class StandardWebhooksSettings(PluginSettings):
    """One system of the merchant's own, or one that has no plugin: it is told, or it tells, or both.

    Its addresses stand in `url` and `state_url`, and there is no `api_url`, because it is no vendor's.
    """

    url: Address | None = Field(
        default=None, description="where notices are posted; by https, unless security.outbound_allow names the host"
    )
    secrets: Annotated[tuple[Secret, ...], BeforeValidator(_as_list)] = Field(
        default=(),
        min_length=1,
        description="what webhooks are signed with, whsec_ and base64; several, the newest first, while one is rotated",
    )
    events: Annotated[tuple[Pattern, ...], BeforeValidator(_as_list)] = Field(
        default=("*",), min_length=1, description="names of events, or patterns such as points.*; by default all"
    )
    state_url: Address | None = Field(
        default=None,
        description="where each member's newest figures are posted, as member.balance; may be the same as url",
    )
    signature: Way = Field(
        default="standard", description="how webhooks that come in are signed; standard: by Standard Webhooks"
    )
    signature_header: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9-]{1,60})?$",
        description="the header with the signature or token, where it is not Standard Webhooks",
    )
    webhook_secrets: Annotated[tuple[SecretStr, ...], BeforeValidator(_as_list)] = Field(
        default=(),
        description="what webhooks that come in are signed with: whsec_ secrets or whpk_ keys; else shared secrets or tokens",
    )
    tolerance: float = Field(
        default=300,
        gt=0,
        le=86400,
        description="seconds that the time of a Standard Webhook may lie before or after our own",
    )
    refunds: Literal["count", "ignore"] = Field(
        default="count", description="ignore: it tells orders alone, where another connection tells the same refunds"
    )
    mapping: Mapped | None = Field(
        default=None, description="what other JSON means in our words; without it webhooks are in our own schema"
    )

    @field_validator("webhook_secrets")
    @classmethod
    def _sound(cls, secrets: tuple[SecretStr, ...], info: ValidationInfo) -> tuple[SecretStr, ...]:
        for number, secret in enumerate(secrets):
            text = secret.get_secret_value()
            try:
                if info.data.get("signature") == "standard":
                    check_secret(text)
                elif len(text) < _SHORTEST:
                    raise ValueError(f"must have at least {_SHORTEST} letters")  # noqa: TRY301 - told like the others
            except ValueError as error:
                raise ValueError(f"the secret with number {number}, from 0, {error}") from None
        return secrets

    @model_validator(mode="after")
    def _some_direction(self) -> Self:
        sends = self.url is not None or self.state_url is not None
        if not sends and not self.webhook_secrets:
            raise ValueError(
                "set url and secrets to be told of changes, or webhook_secrets to take webhooks in, or all"
            )
        if sends and not self.secrets:
            raise ValueError("give secrets: what webhooks to url and state_url are signed with")
        if self.secrets and not sends:
            raise ValueError(
                "secrets sign what is sent: set url or state_url; what comes in is proven by webhook_secrets"
            )
        self._check_receiving()
        return self

    def _check_receiving(self) -> None:
        if not self.webhook_secrets and self.mapping is not None:
            raise ValueError("give webhook_secrets: without one nobody can tell who sent a webhook")
        if bool(self.signature_header) is (self.signature == "standard"):
            raise ValueError("set signature_header to the name of a header, unless signature is standard")
        drastic = self.mapping.drastic if self.mapping is not None and self.mapping.topic_header else []
        if drastic and self.signature != "token":
            raise ValueError(
                f"mapping.topics.{drastic[0]} erases or merges, and nobody signs topic_header: let topic be in the body"
            )

    @property
    def leeway(self) -> timedelta:
        """The tolerance as a time."""
        return timedelta(seconds=self.tolerance)

    def outbound_hosts(self) -> tuple[str, ...]:
        """The receiver's alone."""
        addresses = filter(None, (self.url, self.state_url))
        return tuple(dict.fromkeys(httpx.URL(address).netloc.decode() for address in addresses))
