"""What comes in: proven, named, and said in our words, by our own schema or by a table of the settings."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from stampcard.plugin import (
    Delivery,
    Event,
    InvalidSignature,
    MalformedPayload,
    UnverifiedRequest,
    VerifiedRequest,
    WebhookSource,
)
from stampcard_standard_webhooks.converting import shown
from stampcard_standard_webhooks.decoding import events_of, moment_of, read_json, shaped
from stampcard_standard_webhooks.messages import TYPES
from stampcard_standard_webhooks.verifying import proof_of

if TYPE_CHECKING:
    from stampcard_standard_webhooks.settings import StandardWebhooksSettings

#: The topic of deliveries that tell in their body what they are about.
MESSAGE = "message"
ID = "webhook-id"
_LONGEST = 200


class GenericWebhooks(WebhookSource):
    """The webhooks of any system; only what its signature covers is believed, a header alone selects a topic at most."""

    def __init__(self, settings: StandardWebhooksSettings) -> None:
        secrets = [secret.get_secret_value() for secret in settings.webhook_secrets]
        self._proof = proof_of(settings.signature, secrets, settings.signature_header.lower(), settings.leeway)
        self._is_standard = settings.signature == "standard"
        self._mapping = settings.mapping
        self._takes_refunds = settings.refunds == "count"

    def verify(self, request: UnverifiedRequest) -> VerifiedRequest:
        if not request.body:
            raise InvalidSignature("the body is empty")
        self._proof.check(request)
        return self.unchecked(request)

    def unchecked(self, request: UnverifiedRequest) -> VerifiedRequest:
        header = self._mapping.topic_header if self._mapping is not None else ""
        topic = _plain(request, header) if header else MESSAGE
        id_ = _plain(request, ID) if self._is_standard else ""
        return VerifiedRequest(topic=topic, body=request.body, headers={ID: id_} if id_ else {})

    def delivery_key(self, request: VerifiedRequest) -> str:
        content = request.topic.encode() + b"\n" + request.body
        return request.headers.get(ID) or hashlib.sha256(content).hexdigest()

    def events(self, delivery: Delivery) -> Iterable[Event]:
        if delivery.topic != MESSAGE and not (self._mapping is not None and self._mapping.topic_header):
            return ()
        body = read_json(delivery.body)
        return tuple(self._own(body) if self._mapping is None else self._foreign(body, delivery))

    def subject(self, delivery: Delivery) -> str | None:
        try:
            body = read_json(delivery.body)
        except MalformedPayload:
            return None
        return _named(body) if self._mapping is None else self._mapping.named(body)

    def _own(self, body: Any) -> Iterator[Event]:
        if not isinstance(body, dict) or not isinstance(body.get("type"), str):
            raise MalformedPayload("type: must be text such as order.updated, in a body {type, timestamp, data}")
        shape = TYPES.get(body["type"])
        if shape is None:
            return
        for name in ("timestamp", "data"):
            if name not in body:
                raise MalformedPayload(f"{name}: is missing")
        at = moment_of(body["timestamp"], "timestamp")
        yield from events_of(shaped(shape, body["data"], "data"), at, "data", refunds=self._takes_refunds)

    def _foreign(self, body: Any, delivery: Delivery) -> Iterator[Event]:
        assert self._mapping is not None
        if not isinstance(body, dict | list):
            raise MalformedPayload(f"the body is {shown(body)}, not a table")
        for shape, data in self._mapping.read(body, delivery.topic):
            place = shape.__name__.lower()
            told = shaped(shape, data, place)
            yield from events_of(told, delivery.received_at, place, refunds=self._takes_refunds)


def _named(body: Any) -> str | None:
    """The customer whom a body of our own schema names, whatever else is wrong with it."""
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, dict):
        return None
    named = data.get("customer")
    if isinstance(named, dict):
        named = named.get("reference")
    if named is None and str(body.get("type")).startswith("customer."):
        named = data.get("reference")
    return named if isinstance(named, str) and named else None


def _plain(request: UnverifiedRequest, name: str) -> str:
    """A header that is fit to be stored."""
    text = request.header(name)
    return text if text.isascii() and text.isprintable() and len(text) <= _LONGEST else ""
