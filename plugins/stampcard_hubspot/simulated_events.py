"""What webhooks of the simulated HubSpot say, and how they are signed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stampcard.testing.simulator import SignedRequest
from stampcard_hubspot.simulated_book import SYSTEM, Happening, Writer

KINDS = (
    "contact.creation",
    "contact.propertyChange",
    "contact.deletion",
    "contact.privacyDeletion",
    "contact.merge",
    "contact.restore",
)
V1, VERSION, V3, STAMP = (
    "X-HubSpot-Signature",
    "X-HubSpot-Signature-Version",
    "X-HubSpot-Signature-v3",
    "X-HubSpot-Request-Timestamp",
)
_AGENT = "HubSpot Connect 2.0 (http://dev.hubspot.com/) (namespace: webhooks-nio-http-client)"
#: What is written plainly in the address before it is signed; nothing else is decoded.
_PLAIN = {f"%{ord(letter):02X}": letter for letter in ":/?@!$'()*,;"}
_ESCAPED = re.compile("|".join(map(re.escape, _PLAIN)), re.IGNORECASE)
_FLAGS = {"contact.creation": "CREATED", "contact.deletion": "DELETED"}
Event = dict[str, Any]


class Events:
    """Makes events of what happens, one for each property that changes; some share the number of the one before."""

    def __init__(
        self, portal: int, app: int, chance: random.Random, *, shared_ids: float, watched: frozenset[str] | None
    ) -> None:
        self._portal, self._app, self._chance = portal, app, chance
        self._shared, self._watched = shared_ids, watched
        self._last = chance.randrange(10**6, 10**8)
        self._subscriptions: dict[str, int] = {}

    def of(self, happened: Happening) -> Iterator[Event]:
        if happened.kind != "contact.propertyChange":
            yield self._event(happened.kind, happened) | _merged(happened)
        for name, text in happened.changed.items():
            if name not in SYSTEM and (self._watched is None or name in self._watched):
                yield self._event("contact.propertyChange", happened) | {"propertyName": name, "propertyValue": text}

    def _event(self, kind: str, happened: Happening) -> Event:
        if self._chance.random() >= self._shared:
            self._last += self._chance.randrange(1, 50)
        flag = {"changeFlag": _FLAGS[kind]} if kind in _FLAGS else {}
        return {
            "eventId": self._last,
            "subscriptionId": self._subscriptions.setdefault(kind, 2_500_000 + len(self._subscriptions)),
            "portalId": self._portal,
            "appId": self._app,
            "occurredAt": happened.at,
            "subscriptionType": kind,
            "attemptNumber": 0,
            "objectId": happened.contact,
            "changeSource": happened.writer.source,
            "sourceId": happened.writer.source_id,
            **flag,
        }


def _merged(happened: Happening) -> Event:
    if happened.kind != "contact.merge":
        return {}
    return {
        "primaryObjectId": happened.primary,
        "mergedObjectIds": [happened.merged],
        "newObjectId": happened.contact,
        "numberOfPropertiesMoved": len(happened.changed),
    }


def written(events: Sequence[Event]) -> bytes:
    return json.dumps(events, separators=(",", ":"), ensure_ascii=False).encode()


def signed(body: bytes, secret: str, target: str, now: int) -> SignedRequest:
    """The request to that address as it goes over the wire at that moment, with the old signature beside the new."""
    headers = {
        "Content-Type": "application/json",
        "Accept": "*/*",
        "User-Agent": _AGENT,
        V1: v1(secret, body),
        VERSION: "v1",
        V3: v3(secret, "POST", target, body, now),
        STAMP: str(now),
    }
    return SignedRequest(headers=headers, body=body)


def v1(secret: str, body: bytes) -> str:
    return hashlib.sha256(secret.encode() + body).hexdigest()


def v3(secret: str, method: str, target: str, body: bytes, now: int) -> str:
    plain = _ESCAPED.sub(lambda match: _PLAIN[match[0].upper()], target)
    raw = method.encode() + plain.encode() + body + str(now).encode()
    return base64.b64encode(hmac.digest(secret.encode(), raw, "sha256")).decode()


def by_person(user: int) -> Writer:
    return Writer("CRM_UI", f"userId:{user}")


def by_app(app: int) -> Writer:
    return Writer("INTEGRATION", str(app))


def resigned(request: SignedRequest, changes: Mapping[str, str | None]) -> SignedRequest:
    """The same with other headers; None takes one away."""
    headers = {**request.headers, **changes}
    return SignedRequest(headers={name: text for name, text in headers.items() if text is not None}, body=request.body)
