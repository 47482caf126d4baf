"""API keys: shown once, kept as the digest of their secret, looked up at every request so that revoking works at once."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select, update

from stampcard.clock import from_micros, to_micros
from stampcard.domain.scopes import SCOPES
from stampcard.domain.value import Value
from stampcard.errors import RequestRefused
from stampcard.storage import saving
from stampcard.storage.rows import micros, moment, to_json
from stampcard.storage.tables import api_key

#: How exactly the last use of a key is known: writing it down at every request would make every read a write.
USED = timedelta(hours=1)

_FORM = re.compile(r"sc_([0-9a-f]{12})_([0-9a-f]{64})")
_NOBODY = hashlib.sha256(b"").hexdigest()
_SCOPES = msgspec.json.Decoder(tuple[str, ...])


class ApiKey(Value, frozen=True):
    """Who may do what for which merchant; the secret itself is nowhere."""

    merchant: str
    id: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    def is_live(self, now: datetime) -> bool:
        """Whether it may be used."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def create_key(
    connection: Connection,
    merchant: str,
    name: str,
    scopes: Collection[str],
    expires_at: datetime | None,
    now: datetime,
) -> tuple[ApiKey, str]:
    """A new key, and its text, which nobody can tell again. Raises RequestRefused for a scope that does not exist."""
    unknown = sorted(set(scopes) - SCOPES.keys())
    if unknown or not scopes:
        wrong = f"there is no scope {unknown[0]!r}" if unknown else "a key without a scope can do nothing"
        raise RequestRefused("unknown_scope", f"{wrong}; there is: {', '.join(SCOPES)}")
    id_, secret = secrets.token_hex(6), secrets.token_hex(32)
    row = {
        "merchant": merchant,
        "id": id_,
        "name": name,
        "secret_hash": _digest(secret),
        "scopes": to_json([scope for scope in SCOPES if scope in scopes]),
        "created_at": to_micros(now),
        "expires_at": micros(expires_at),
    }
    saving.insert(connection, "api_key", [row])
    found = connection.execute(select(api_key).where(api_key.c.id == id_)).one()
    return _key_of(found), f"sc_{id_}_{secret}"


def find_key(connection: Connection, text: str, now: datetime) -> ApiKey | None:
    """The key of this text, unless it is wrong, expired or revoked; secrets are compared in constant time."""
    form = _FORM.fullmatch(text)
    if form is None:
        return None
    id_, secret = form.groups()
    row = connection.execute(select(api_key).where(api_key.c.id == id_)).one_or_none()
    same = hmac.compare_digest(_digest(secret), row.secret_hash if row else _NOBODY)
    if row is None or not same:
        return None
    key = _key_of(row)
    return key if key.is_live(now) else None


def list_keys(connection: Connection, merchant: str) -> Sequence[ApiKey]:
    """Every key of a merchant, also those that are not live any more, oldest first."""
    statement = select(api_key).where(api_key.c.merchant == merchant).order_by(api_key.c.created_at, api_key.c.id)
    return [_key_of(row) for row in connection.execute(statement)]


def revoke_key(connection: Connection, merchant: str, id_: str, now: datetime) -> bool:
    """Make a key useless from now on; False if the merchant has no such key. Revoking again changes nothing."""
    mine = (api_key.c.merchant == merchant, api_key.c.id == id_)
    connection.execute(update(api_key).where(*mine, api_key.c.revoked_at.is_(None)).values(revoked_at=to_micros(now)))
    return connection.execute(select(api_key.c.id).where(*mine)).first() is not None


def note_use(connection: Connection, key: ApiKey, now: datetime) -> None:
    """Write down that a key was used."""
    mine = (api_key.c.merchant == key.merchant, api_key.c.id == key.id)
    connection.execute(update(api_key).where(*mine).values(last_used_at=to_micros(now)))


def _digest(secret: str) -> str:
    # The secret has 256 random bits, so nothing slower than a plain digest is needed.
    return hashlib.sha256(secret.encode()).hexdigest()


def _key_of(row: Row[Any]) -> ApiKey:
    return ApiKey(
        merchant=row.merchant,
        id=row.id,
        name=row.name,
        scopes=_SCOPES.decode(row.scopes),
        created_at=from_micros(row.created_at),
        expires_at=moment(row.expires_at),
        revoked_at=moment(row.revoked_at),
        last_used_at=moment(row.last_used_at),
    )
