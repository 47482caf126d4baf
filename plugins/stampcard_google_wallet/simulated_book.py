"""What the simulated Google keeps: classes and objects, who has them in a phone, and how often those were notified."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from stampcard_google_wallet.simulated_fields import misfits

Body = dict[str, Any]
SCHEMAS: Mapping[str, str] = {
    "loyaltyClass": "LoyaltyClass",
    "loyaltyObject": "LoyaltyObject",
    "offerClass": "OfferClass",
    "offerObject": "OfferObject",
}
_CLASSES: Mapping[str, str] = {"loyaltyObject": "loyaltyClass", "offerObject": "offerClass"}
_NOTICES, _WINDOW, _MESSAGES = 3, timedelta(hours=24), 10


class Refusal(Exception):
    """An error as Google words it."""

    def __init__(self, status: int, reason: str, message: str, retry_after: int = 0) -> None:
        self.status, self.reason, self.message, self.retry_after = status, reason, message, retry_after
        super().__init__(status, reason, message)

    def body(self) -> Body:
        told = {"message": self.message, "domain": "walletobjects", "reason": self.reason}
        return {"error": {"code": self.status, "message": self.message, "errors": [told]}}


@dataclass(slots=True)
class Book:
    """All of one issuer, by kind and name."""

    issuer: str
    now: Callable[[], datetime]
    kept: dict[str, dict[str, Body]] = field(default_factory=lambda: {kind: {} for kind in SCHEMAS})
    #: Names of cards that somebody has in a phone.
    saved: set[str] = field(default_factory=set)
    #: Of a card, when its holder was notified, and of what.
    notices: dict[str, list[tuple[datetime, str]]] = field(default_factory=dict)

    def get(self, kind: str, name: str) -> Body:
        """One as Google shows it."""
        found = self.kept[kind].get(name)
        if found is None:
            is_class = kind in _CLASSES.values()
            raise Refusal(404, "classNotFound" if is_class else "resourceNotFound", f"{kind} {name} not found.")
        return {**found, "kind": f"walletobjects#{kind}"} | (
            {"hasUsers": name in self.saved} if kind in _CLASSES else {}
        )

    def insert(self, kind: str, body: Body) -> Body:
        self._check(SCHEMAS[kind], body)
        name = body["id"]
        if not re.fullmatch(rf"{self.issuer}\.[A-Za-z0-9._-]+", name):
            raise Refusal(400, "invalid", f"Invalid resource ID: {name}")
        if name in self.kept[kind]:
            raise Refusal(409, "existingResource", f"{kind} {name} already exists.")
        if kind in _CLASSES:
            self.get(_CLASSES[kind], body["classId"])
            self._check_links(body.get("linkedOfferIds", ()))
        self.kept[kind][name] = {key: part for key, part in body.items() if key != "notifyPreference"}
        return self.get(kind, name)

    def patch(self, kind: str, name: str, body: Body) -> Body:
        """Change what is named, also inside; null takes away, a list is another list."""
        self.get(kind, name)
        self._check(SCHEMAS[kind], body, is_patch=True)
        told = {key: part for key, part in body.items() if key != "notifyPreference"}
        changed: Body = _merged(self.kept[kind][name], told)
        self._check(SCHEMAS[kind], changed)
        if kind in _CLASSES and "classId" in body:
            self.get(_CLASSES[kind], body["classId"])
        if kind in _CLASSES.values() and "reviewStatus" not in body:
            raise Refusal(400, "invalidResource", "Review status must be set when a class is changed.")
        if body.get("notifyPreference") == "NOTIFY_ON_UPDATE":
            self._notify(name, "update")
        self.kept[kind][name] = changed
        return self.get(kind, name)

    def add_message(self, name: str, body: Body) -> Body:
        self.get("loyaltyObject", name)
        self._check("AddMessageRequest", body)
        message = body["message"]
        if not message.get("body"):
            raise Refusal(400, "invalidResource", "Message body must be set.")
        if message.get("messageType") == "TEXT_AND_NOTIFY":
            self._notify(name, message["id"])
        card = self.kept["loyaltyObject"][name]
        card["messages"] = [*card.get("messages", ()), message][-_MESSAGES:]
        return {"resource": self.get("loyaltyObject", name)}

    def relink(self, name: str, body: Body) -> Body:
        """Link offers to a card, and unlink others."""
        self.get("loyaltyObject", name)
        self._check("ModifyLinkedOfferObjectsRequest", body)
        told = body["linkedOfferObjectIds"]
        added, removed = told.get("addLinkedOfferObjectIds", []), told.get("removeLinkedOfferObjectIds", [])
        self._check_links(added)
        card = self.kept["loyaltyObject"][name]
        kept = [one for one in card.get("linkedOfferIds", ()) if one not in removed]
        card["linkedOfferIds"] = list(dict.fromkeys([*kept, *added]))
        return self.get("loyaltyObject", name)

    def _check_links(self, offers: list[str]) -> None:
        for offer in offers:
            if offer not in self.kept["offerObject"]:
                raise Refusal(400, "invalidResource", f"Linked offer {offer} does not exist.")

    def _check(self, schema: str, body: Any, *, is_patch: bool = False) -> None:
        wrong = next(misfits(schema, body, is_patch=is_patch), "")
        if wrong:
            raise Refusal(400, "invalidResource", wrong)

    def _notify(self, name: str, what: str) -> None:
        recent = [(at, of) for at, of in self.notices.get(name, ()) if self.now() - at < _WINDOW]
        if len(recent) >= _NOTICES:
            message = f"Quota exceeded for issuer {self.issuer} when notifying holders of {name}."
            raise Refusal(403, "quotaExceeded", message)
        self.notices[name] = [*recent, (self.now(), what)]


def _merged(kept: Any, change: Any) -> Any:
    """What a patch makes of a value (RFC 7396)."""
    if not isinstance(change, dict):
        return change
    before = kept if isinstance(kept, dict) else {}
    named = {key: _merged(before.get(key), part) for key, part in change.items() if part is not None}
    return {key: part for key, part in before.items() if key not in change} | named
