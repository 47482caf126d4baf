"""The keys of the simulated Google, made in this process: the service account's, and those that sign callbacks."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

PROTOCOL = "ECv2SigningOnly"
_SENDER = "GooglePayPasses"
_ROOTS_LIVE, _KEYS_LIVE, _MESSAGES_LIVE = timedelta(days=365), timedelta(days=7), timedelta(minutes=30)


@cache
def _service_key() -> rsa.RSAPrivateKey:
    """One for all accounts of a process: to find its primes takes long."""
    return rsa.generate_private_key(65537, 2048)


class Account:
    """A service account, which signs what it asks for."""

    def __init__(self, chance: random.Random) -> None:
        self.email = f"stampcard@simulated-{chance.randrange(10_000)}.iam.gserviceaccount.com"
        self.key_id = f"{chance.getrandbits(160):040x}"

    def key_file(self) -> str:
        """What the Google Cloud console lets people download."""
        pem = _service_key().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        told = {"type": "service_account", "project_id": "simulated", "private_key_id": self.key_id}
        return json.dumps({**told, "private_key": pem.decode(), "client_email": self.email}, indent=2)

    def claims(self, token: str) -> dict[str, Any] | None:
        """What a token says that the account's key signed; None for any other."""
        signed, _, signature = token.rpartition(".")
        try:
            head, claims = (json.loads(_bytes(part)) for part in signed.split("."))
            public = _service_key().public_key()
            public.verify(_bytes(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        except (ValueError, InvalidSignature):
            return None
        is_ours = head.get("alg") == "RS256" and head.get("kid") == self.key_id and claims.get("iss") == self.email
        return claims if is_ours else None


class Notary:
    """Google's root key, and the key of some days that it vouches for."""

    def __init__(self) -> None:
        self.root = ec.generate_private_key(ec.SECP256R1())
        self.between = ec.generate_private_key(ec.SECP256R1())

    def published(self, now: datetime) -> dict[str, Any]:
        """The root keys as Google publishes them, one of another protocol among them."""
        other = ec.generate_private_key(ec.SECP256R1())
        until = _millis(now + _ROOTS_LIVE)
        return {
            "keys": [
                {"keyValue": _public(other), "protocolVersion": "ECv1", "keyExpiration": until},
                {"keyValue": _public(self.root), "protocolVersion": PROTOCOL, "keyExpiration": until},
            ]
        }

    def envelope(self, message: Mapping[str, Any], issuer: str, now: datetime) -> dict[str, Any]:
        """A signed callback for an issuer."""
        key = json.dumps({"keyValue": _public(self.between), "keyExpiration": _millis(now + _KEYS_LIVE)})
        told = json.dumps({"expTimeMillis": int(_millis(now + _MESSAGES_LIVE)), **message}, ensure_ascii=False)
        return {
            "signature": sign(self.between, _SENDER, issuer, PROTOCOL, told),
            "intermediateSigningKey": {"signedKey": key, "signatures": [sign(self.root, _SENDER, PROTOCOL, key)]},
            "protocolVersion": PROTOCOL,
            "signedMessage": told,
        }


def sign(key: ec.EllipticCurvePrivateKey, *parts: str) -> str:
    """The signature of parts, each behind its length."""
    content = b"".join(len(text).to_bytes(4, "little") + text for text in (part.encode() for part in parts))
    return base64.b64encode(key.sign(content, ec.ECDSA(hashes.SHA256()))).decode()


def _public(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return base64.b64encode(key.public_key().public_bytes(serialization.Encoding.DER, form)).decode()


def _millis(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1000))


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
