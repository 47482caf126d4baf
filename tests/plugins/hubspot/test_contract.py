"""It keeps the contract; only that HubSpot cannot be asked about its webhooks, which people alone set."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

import stampcard_hubspot.plugin
from stampcard.plugin import (
    BalancePush,
    Command,
    ContactGone,
    ContactSeen,
    CustomerErased,
    CustomersMerged,
    Person,
    Refetch,
    Rejected,
    RetryLater,
    TagPush,
)
from stampcard.testing.clock import NOON
from stampcard.testing.contract import PluginContract
from stampcard_hubspot.webhooks import TOPICS

SECRETS = ("newer secret", "older secret")
TOKEN = "pat-of-the-contract"
SETTINGS = {
    "portal_id": 4711,
    "app_id": 991,
    "access_token": TOKEN,
    "webhook_secrets": SECRETS,
    "timeline_template": "1001298",
}
EXPECTED: dict[str, list[type]] = {
    "contact__bare": [ContactSeen],
    "contact__full": [ContactSeen],
    "contact_creation__plain": [Refetch],
    "contact_deletion__plain": [ContactGone],
    "contact_gone__plain": [ContactGone],
    "contact_merge__anew": [CustomersMerged, CustomersMerged, Refetch],
    "contact_merge__into_primary": [CustomersMerged, CustomersMerged, Refetch],
    "contact_privacyDeletion__plain": [CustomerErased],
    "contact_propertyChange__elsewhere": [],
    "contact_propertyChange__email": [Refetch],
    "contact_propertyChange__of_no_use": [],
    "contact_propertyChange__our_own": [],
    "contact_propertyChange__twice": [Refetch, Refetch],
    "contact_restore__plain": [Refetch],
    "events__empty": [],
    "events__mixed": [ContactGone, Refetch, Refetch],
    "events__of_others": [],
    "object_creation__company": [],
    "object_creation__plain": [Refetch],
    "object_deletion__plain": [ContactGone],
    "object_merge__anew": [CustomersMerged, CustomersMerged, Refetch],
    "object_privacyDeletion__plain": [CustomerErased],
    "object_propertyChange__phone": [Refetch],
    "object_restore__plain": [Refetch],
}

FIXTURES = Path(__file__).parent / "fixtures"
#: All contacts of the account, as the API gives them.
CONTACTS = [msgspec.json.decode((FIXTURES / f"contact__{name}.json").read_bytes()) for name in ("full", "bare")]
#: HubSpot's own properties that the map has.
OWN = dict.fromkeys(("address", "city", "country", "date_of_birth", "email", "firstname", "lastname", "zip"), "string")
OWN |= {"hs_email_optout": "bool", "hs_language": "enumeration", "hubspot_owner_id": "enumeration", "phone": "string"}


class TestHubSpot(PluginContract):
    plugin = stampcard_hubspot.plugin
    settings = SETTINGS
    secrets = SECRETS
    credentials = (TOKEN,)
    fixtures = FIXTURES
    topics = TOPICS
    fetched = ("contact", "contact.gone")
    expected = EXPECTED
    unknown_topic = "deal.creation"
    signature_header = "x-hubspot-signature-v3"
    sinks = ("timeline",)
    unfit_reference = "nobody"
    gone_reference = "404"
    people = (
        Person(member="m-1", emails=("a.l@example.com",)),
        Person(member="m-2", emails=("ada@old.example",), phones=("+4930123",)),
    )
    remembers = True
    refusals = (400, 404, 409, 422)

    def sign(self, _: str, body: bytes, secret: str, /) -> Mapping[str, str]:
        stamp = str(int(NOON.timestamp() * 1000))
        text = b"POSThttps://loyalty.example/webhooks/contract" + body + stamp.encode()
        digest = hmac.digest(secret.encode(), text, hashlib.sha256)
        return {
            "X-HubSpot-Signature": hashlib.sha256(secret.encode() + body).hexdigest(),
            "X-HubSpot-Signature-Version": "v1",
            "X-HubSpot-Signature-v3": base64.b64encode(digest).decode(),
            "X-HubSpot-Request-Timestamp": stamp,
        }

    def vendor(self, request: httpx.Request) -> httpx.Response:
        if request.headers["authorization"] != f"Bearer {TOKEN}":
            return httpx.Response(401, json={"status": "error", "category": "INVALID_AUTHENTICATION"})
        path = request.url.path
        if path.endswith("/details"):
            return httpx.Response(200, json={"portalId": 4711})
        if "/crm/v3/properties/" in path:
            return self.schema(request)
        if request.method == "GET":
            return listed(request)
        asked = msgspec.json.decode(request.content)
        if "/integrators/timeline/" in path:
            return on_the_timeline(asked)
        return ANSWERS[path.rpartition("/contacts/")[2]](asked)

    @pytest.fixture(autouse=True)
    def _without_ours(self) -> None:
        """An account in which nothing was made for us yet."""
        self.properties = dict(OWN)

    def schema(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            there = [{"name": name, "type": type_, "hasUniqueValue": True} for name, type_ in self.properties.items()]
            return httpx.Response(200, json={"results": there})
        asked = msgspec.json.decode(request.content)
        if not request.url.path.endswith("/groups"):
            self.properties[asked["name"]] = asked["type"]
        return httpx.Response(201, json=asked)

    def item(self, kind: str, number: int) -> BalancePush | TagPush | Command:
        data: dict[str, Any] = {"tokens": {"reward": "five_off", "moment": "2026-03-10T12:00:00Z"}}
        key, reference = f"redemption-{number}:used", str(7001 + number)
        return Command(kind=kind, key=key, member=f"m{number}", reference=reference, data=data)

    @pytest.mark.parametrize("status", [200, 404])
    def test_a_page_in_between_forgets_nobody(self, status: int) -> None:
        """A page of a proxy's is no word of HubSpot's that somebody was forgotten, or is not there."""
        (outcome,) = self._change("erase", ["51"], lambda _: httpx.Response(status, html="<p>Nothing here</p>"))
        assert isinstance(outcome, RetryLater if status == 200 else Rejected)

    def test_a_redelivery_has_the_same_key(self) -> None:
        """Its signature tells when it was sent, so that it is signed anew: test_webhooks has that case."""

    def test_a_vendor_in_trouble_is_no_audit(self) -> None:
        """Nothing is asked, so that no trouble is met: what is to be done by hand is said in any case."""

        async def asked() -> tuple[int, int]:
            async with self.visiting() as visit:
                subscriptions = visit.capabilities.subscriptions
                assert subscriptions is not None
                audit = await subscriptions.look("https://loyalty.example/webhooks/contract")
                assert audit == await subscriptions.mend("https://loyalty.example/webhooks/contract")
                assert "https://loyalty.example/webhooks/contract" in audit.by_hand[1]
                return await subscriptions.end("https://loyalty.example/webhooks/contract"), len(visit.requests)

        assert self.run(asked()) == (0, 0)


def listed(request: httpx.Request) -> httpx.Response:
    """The contacts in pages of one; all of them are in every list."""
    place = int(request.url.params.get("after", "0"))
    more = {"paging": {"next": {"after": str(place + 1)}}} if place + 1 < len(CONTACTS) else {}
    one = CONTACTS[place]
    shown = {"recordId": one["id"]} if request.url.path.endswith("/memberships") else one
    return httpx.Response(200, json={"results": [shown], **more})


def found(asked: Any) -> httpx.Response:
    """The contacts behind a number, or those with a phone number."""
    filters = {one["propertyName"]: one for group in asked["filterGroups"] for one in group["filters"]}
    behind = int(filters["hs_object_id"]["value"]) if "hs_object_id" in filters else 0
    results = [one for one in CONTACTS if int(one["id"]) > behind]
    if "phone" in filters:
        results = [one for one in results if one["properties"].get("phone") in filters["phone"]["values"]]
    limit = 1 if "hs_object_id" in filters else asked["limit"]
    return httpx.Response(200, json={"total": len(results), "results": results[:limit]})


def read(asked: Any) -> httpx.Response:
    """The contacts with one of the e-mail addresses."""
    ids = {one["id"] for one in asked["inputs"]}
    results = [one for one in CONTACTS if ids & addresses(one["properties"])]
    return httpx.Response(200, json={"status": "COMPLETE", "results": results})


def addresses(properties: Mapping[str, str | None]) -> set[str]:
    text = f"{properties.get('email') or ''};{properties.get('hs_additional_emails') or ''}"
    return {address.lower() for address in text.split(";")}


def written(asked: Any) -> httpx.Response:
    """The contacts, of which one without a number is made; nobody is refused."""
    results, errors = [], []
    for one in asked["inputs"]:
        trace = one["objectWriteTraceId"]
        if one["id"] == "nobody":
            errors.append({"category": "VALIDATION_ERROR", "context": {"objectWriteTraceId": [trace]}})
        else:
            id_ = one["id"] if "idProperty" not in one else f"9{one['id'].removeprefix('m')}"
            results.append({"id": id_, "properties": one["properties"], "objectWriteTraceId": trace})
    return httpx.Response(207 if errors else 200, json={"results": results, "errors": errors})


def forgotten(asked: Any) -> httpx.Response:
    if asked["objectId"] == "404":
        return httpx.Response(404, json={"status": "error", "message": "resource not found"})
    return httpx.Response(204)


def on_the_timeline(asked: Any) -> httpx.Response:
    results, errors = [], []
    for one in asked["inputs"]:
        if one["objectId"] == "nobody":
            errors.append({"category": "VALIDATION_ERROR", "context": {"id": [one["id"]]}})
        else:
            results.append({"id": one["id"], "objectId": one["objectId"]})
    return httpx.Response(207 if errors else 201, json={"results": results, "errors": errors})


ANSWERS: Mapping[str, Callable[[Any], httpx.Response]] = {
    "batch/update": written,
    "batch/upsert": written,
    "batch/read": read,
    "batch/archive": lambda _: httpx.Response(204),
    "gdpr-delete": forgotten,
    "search": found,
}
