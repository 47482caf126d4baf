"""The settings of a connection to Google Wallet: one issuer, and the service account that speaks for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date
from functools import lru_cache
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import BeforeValidator, Field, SecretStr, field_validator

from stampcard.plugin import PassSettings

GOOGLE = "https://walletobjects.googleapis.com"
ADDRESS = r"^https?://[^\s/?#@]+(/[^\s?#]*)?$"
ORIGIN = r"^https?://[^\s/?#@]+$"
_WHOLE = "give the whole key file, as the Google Cloud console made it (Service accounts, Keys, type JSON)"


class _KeyFile(msgspec.Struct):
    type: str
    client_email: str
    private_key: str
    private_key_id: str = ""


class ServiceAccount:
    """Who speaks to Google, and the key that proves it."""

    def __init__(self, email: str, key: RSAPrivateKey, key_id: str) -> None:
        self.email, self.key, self.key_id = email, key, key_id


def read_account(secret: SecretStr) -> ServiceAccount:
    """The service account of a key file; raises ValueError, which shows nothing of it."""
    try:
        told = msgspec.json.decode(secret.get_secret_value(), type=_KeyFile)
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        raise ValueError(f"is no key file of a service account: {_WHOLE}") from None
    if told.type != "service_account" or "@" not in told.client_email:
        raise ValueError(f"is another kind of key: {_WHOLE} for a service account")
    key = _rsa_key(told.private_key)
    if key is None:
        raise ValueError(f"holds a private_key that is no RSA key in PEM: {_WHOLE}, with every \\n in it")
    return ServiceAccount(told.client_email, key, told.private_key_id)


@lru_cache(maxsize=16)
def _rsa_key(text: str) -> RSAPrivateKey | None:
    """The key, if it is one; to check it takes a tenth of a second."""
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, RSAPrivateKey) else None


def _as_text(value: Any) -> Any:
    """Variables that hold JSON come as what stands in it."""
    return json.dumps(value) if isinstance(value, Mapping) else value


def _beside(theirs: str, path: str) -> Callable[[dict[str, Any]], str]:
    """Google's own address, unless `api_url` leads elsewhere: what stands in for Google has it there."""
    return lambda told: theirs if told["api_url"] == GOOGLE else told["api_url"].rstrip("/") + path


class GoogleWalletSettings(PassSettings):
    """One issuer account, one program, one service account."""

    issuer_id: str = Field(
        pattern=r"^[0-9]{1,20}$", description="the issuer ID, as the Google Pay & Wallet console shows it: digits"
    )
    service_account: Annotated[SecretStr, BeforeValidator(_as_text)] = Field(
        description="the whole JSON key file of a service account that is a user of the issuer account"
    )
    key_expires: date | None = Field(
        default=None, description="the day on which that key ends, if it does: you are warned 30 days before"
    )
    class_suffix: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9._-]{0,100}$",
        description="what follows the issuer ID in the name of the card's class; without it CONNECTION_PROGRAM",
    )
    origins: tuple[Annotated[str, Field(pattern=ORIGIN)], ...] = Field(
        default=(),
        description="the web sites with a button that saves the card, such as `https://shop.example`; without it that of "
        "http.public_url",
    )
    api_url: str = Field(default=GOOGLE, pattern=ADDRESS, description="where the API is")
    token_url: str = Field(
        default_factory=_beside("https://oauth2.googleapis.com/token", "/token"),
        pattern=ADDRESS,
        description="where tokens are had: Google's address, unless api_url leads elsewhere",
    )
    keys_url: str = Field(
        default_factory=_beside("https://pay.google.com/gp/m/issuer/keys", "/gp/m/issuer/keys"),
        pattern=ADDRESS,
        description="where the keys are that callbacks are signed with: Google's address, unless api_url leads elsewhere",
    )
    save_url: str = Field(
        default_factory=_beside("https://pay.google.com/gp/v/save", "/gp/v/save"),
        pattern=ADDRESS,
        description="what the address that saves a card begins with: Google's, unless api_url leads elsewhere",
    )

    @field_validator("service_account")
    @classmethod
    def _whole(cls, secret: SecretStr) -> SecretStr:
        read_account(secret)
        return secret

    def outbound_hosts(self) -> tuple[str, ...]:
        """The API, where tokens are had, and where Google's keys are."""
        return tuple(dict.fromkeys(urlsplit(url).netloc for url in (self.api_url, self.token_url, self.keys_url)))
