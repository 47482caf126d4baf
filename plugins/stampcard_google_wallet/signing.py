"""What we sign with the service account's key: JSON Web Tokens, by RS256 (RFC 7515, 7518)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from stampcard_google_wallet.settings import ServiceAccount


def signed(account: ServiceAccount, claims: Mapping[str, Any]) -> str:
    """A token that says these claims."""
    head = {"alg": "RS256", "typ": "JWT", **({"kid": account.key_id} if account.key_id else {})}
    text = f"{_written(head)}.{_written(claims)}"
    return f"{text}.{_encoded(account.key.sign(text.encode(), PKCS1v15(), SHA256()))}"


def _written(part: Mapping[str, Any]) -> str:
    return _encoded(msgspec.json.encode(part))


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
