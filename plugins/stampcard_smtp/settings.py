from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from stampcard.plugin import PluginSettings
from stampcard_smtp.addressing import ADDRESS, Unwritable, in_ascii, mailbox, parted

#: An empty one would let anybody in.
Secret = Annotated[SecretStr, Field(min_length=1)]

#: Whoever gets a mail could try out short ones on its Message-ID.
Token = Annotated[SecretStr, Field(min_length=20)]


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | SecretStr) else value


class SmtpSettings(PluginSettings):
    """One mail server that takes mails in for others, and who they come from.

    The server's certificate must be good for `host` and known to this machine; for one of your own, the environment's
    SSL_CERT_FILE names the file with what it is signed by.
    """

    host: str = Field(
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$|^[0-9A-Fa-f:]*:[0-9A-Fa-f:.]+$",
        description="the mail server that takes mails in, such as `smtp.shop.example`; one in a private network needs "
        "`[security] outbound_allow`",
    )
    port: int = Field(default=587, ge=1, le=65535, description="its port: 587 for `starttls`, mostly 465 for `tls`")
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls",
        description="how what passes is kept secret: `none` sends the password and every mail for all to read, and is for "
        "a server on this machine or in its own network",
    )
    username: str | None = Field(default=None, min_length=1, description="who logs in, if the server wants that")
    password: Secret | None = Field(default=None, description="the password of that name")
    sender: str = Field(
        pattern=ADDRESS,
        description="the address that mails come from and bounces go to, such as `loyalty@shop.example`",
    )
    sender_name: str = Field(
        default="", max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$", description="the name that is shown beside it"
    )
    reply_to: str = Field(
        default="", pattern=rf"{ADDRESS}|^$", description="where answers go, if that is not where mails come from"
    )
    domain: str = Field(
        default_factory=lambda data: parted(data.get("sender", "@invalid"))[1],
        validate_default=True,
        pattern=r"^[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f]+$",
        description="what the Message-ID of each mail ends in, and what we call ourselves at the server; by default the "
        "domain of `sender`",
    )
    connections: int = Field(default=4, ge=1, le=20, description="how many connections to the server are open at most")
    per_connection: int = Field(
        default=100, ge=1, description="after how many mails a connection is replaced by a new one"
    )
    idle: float = Field(default=30, gt=0, le=300, description="seconds after which an unused connection is closed")
    per_second: float = Field(default=10, gt=0, le=1000, description="how many mails are sent in a second at most")
    timeout: float = Field(default=15, gt=0, le=20, description="seconds that each answer of the server may take")
    bounce_tokens: Annotated[tuple[Token, ...], BeforeValidator(_as_list)] = Field(
        default=(),
        description="what your mail server shows when it hands over bounces and complaints: 20 random letters or more, as "
        "`openssl rand -hex 20` makes them; several while one is replaced, the newest first; without one nothing is taken in",
    )

    @field_validator("sender", "reply_to")
    @classmethod
    def _writable(cls, address: str) -> str:
        try:
            return address and mailbox(address) and address
        except Unwritable:
            raise ValueError("must be an address that a mail can go to") from None

    @field_validator("domain")
    @classmethod
    def _plain(cls, domain: str) -> str:
        return in_ascii(domain)

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("give both username and password, or neither")
        return self

    def outbound_hosts(self) -> tuple[str, ...]:
        return (self.where,)

    @property
    def where(self) -> str:
        """Host and port, in the way in which they are told."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
