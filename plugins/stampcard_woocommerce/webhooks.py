from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from stampcard.plugin import (
    CustomerErased,
    CustomersMerged,
    Delivery,
    Event,
    InvalidSignature,
    MalformedPayload,
    OrderSeen,
    Refetch,
    Reply,
    UnverifiedRequest,
    VerifiedRequest,
    WebhookSource,
    check_hmac_sha256_base64,
)
from stampcard_woocommerce import payloads
from stampcard_woocommerce.decoding import customer_of, emptied, gmt, guest_of, read, refund_of, snapshot_of
from stampcard_woocommerce.fetching import FETCHED, VANISHED
from stampcard_woocommerce.guests import reference_of
from stampcard_woocommerce.signing import keys_of

if TYPE_CHECKING:
    from stampcard_woocommerce.plugin import WooCommerceSettings

Found = Iterable[Event | Refetch]
#: An order that nobody has placed yet.
DRAFTS = frozenset({"checkout-draft", "auto-draft", "draft", "new"})
#: Some changes (of lines, a deleted refund) leave the time of change as it was, so that a body which is older than this
#: when it comes may tell of one: what is fetched wins over what was told before
#: (https://github.com/woocommerce/woocommerce/issues/34798).
FRESH = timedelta(minutes=2)
LONGEST = 200
_PING = re.compile(rb"webhook_id=[0-9]{1,19}")


class WooCommerceWebhooks(WebhookSource):
    """WooCommerce's webhooks. Only the body is signed: headers select a parser and prove nothing."""

    def __init__(self, settings: WooCommerceSettings) -> None:
        self._settings = settings
        self._keys = keys_of(secret.get_secret_value() for secret in settings.webhook_secrets)

    def verify(self, request: UnverifiedRequest) -> VerifiedRequest | Reply:
        signature = request.header("x-wc-webhook-signature")
        if not signature and _is_ping(request):
            return Reply(body=b"pong")
        if not request.body:
            raise InvalidSignature("the body is empty")
        check_hmac_sha256_base64(self._keys, request.body, signature, setting="webhook_secrets")
        return self.unchecked(request)

    def unchecked(self, request: UnverifiedRequest) -> VerifiedRequest:
        topic = request.header("x-wc-webhook-topic")
        is_plain = topic.isascii() and topic.isprintable() and len(topic) <= LONGEST
        return VerifiedRequest(topic=topic if is_plain else "", body=request.body)

    def delivery_key(self, request: VerifiedRequest) -> str:
        """WooCommerce's own delivery ids are the same for all that a webhook sends within a second: the content decides."""
        return hashlib.sha256(request.topic.encode() + b"\n" + request.body).hexdigest()

    def events(self, delivery: Delivery) -> Found:
        topic = TOPICS.get(delivery.topic)
        return () if topic is None else tuple(topic(delivery, self._settings))

    def subject(self, delivery: Delivery) -> str | None:
        try:
            body = read(delivery.body, payloads.Anything)
        except MalformedPayload:
            return None
        if delivery.topic.startswith("customer."):
            return _numeral(body.id)
        owner, order = body.owner, body.order if isinstance(body.order, dict) else {}
        told = _numeral(owner) or _numeral(order.get("customer_id", body.customer_id))
        billing = order.get("billing", body.billing)
        email = billing.get("email") if isinstance(billing, dict) else None
        guest = reference_of(delivery.connection, email) if isinstance(email, str) else None
        return told or (None if self._settings.guests == "ignore" else guest)


def _is_ping(request: UnverifiedRequest) -> bool:
    """WooCommerce asks once, unsigned, whether anybody is there; nothing is stored of it."""
    headed = any(name.startswith("x-wc-") for name in request.headers)
    return not headed and _PING.fullmatch(request.body) is not None


def _numeral(told: Any) -> str | None:
    text = str(told) if isinstance(told, int | str) and not isinstance(told, bool) else ""
    return text if re.fullmatch(r"[1-9][0-9]{0,18}", text) else None


def _order(delivery: Delivery, settings: WooCommerceSettings) -> Found:
    body = _built(delivery, payloads.OrderBody)
    if body is None:
        return ()
    has_account_perhaps = settings.guests == "match" and _guest(delivery, body, settings) is not None
    if body.status not in DRAFTS and (has_account_perhaps or body.refunds or _is_stale(delivery, body)):
        return (Refetch(kind="order", reference=str(body.id)),)
    return _seen(delivery, settings, payloads.Fetched(order=body, refunds=()))


def _is_stale(delivery: Delivery, order: payloads.OrderBody) -> bool:
    return delivery.topic == "order.updated" and delivery.received_at - gmt(order.date_modified_gmt) > FRESH


def _built(delivery: Delivery, shape: Any) -> Any:
    """The body; None where the record was gone before WooCommerce came to build it, which it does when it sends."""
    reason = read(delivery.body, payloads.Anything).code
    if not isinstance(reason, str):
        return read(delivery.body, shape)
    if reason.endswith("_invalid_id"):
        return None
    raise MalformedPayload("WooCommerce sent an error for a body: may the webhook's user see orders and customers?")


def _changed(delivery: Delivery, _: WooCommerceSettings) -> Found:
    """An order in the bin, or out of it: the body of a deletion has nothing but its number."""
    yield Refetch(kind="order", reference=str(read(delivery.body, payloads.Named).id))


def _fetched(delivery: Delivery, settings: WooCommerceSettings) -> Found:
    # A webhook may claim any topic; only what we fetched ourselves has a time of reading.
    return _seen(delivery, settings, read(delivery.body, payloads.Fetched)) if delivery.read_at else ()


def _vanished(delivery: Delivery, _: WooCommerceSettings) -> Found:
    if delivery.read_at:
        gone = read(delivery.body, payloads.Vanished)
        snapshot = emptied(gone, delivery.read_at, delivery.received_at)
        yield OrderSeen(reference=str(gone.vanished), snapshot=snapshot)


def _seen(delivery: Delivery, settings: WooCommerceSettings, found: payloads.Fetched) -> Found:
    order = found.order
    if order.status in DRAFTS:
        return
    guest = _guest(delivery, order, settings)
    account = order.customer_id or found.owner
    if guest is not None and not account:
        yield guest_of(order, guest)
    customer = str(account) if account else guest
    snapshot = snapshot_of(order, customer, settings.paid_statuses, delivery.read_at)
    yield OrderSeen(reference=str(order.id), snapshot=snapshot, refunds=tuple(map(refund_of, found.refunds)))


def _guest(delivery: Delivery, order: payloads.OrderBody, settings: WooCommerceSettings) -> str | None:
    """What the guest is called who placed an order; None if it was none, or nobody is to know."""
    if order.customer_id or settings.guests == "ignore":
        return None
    return reference_of(delivery.connection, order.billing.email or "")


def _customer(delivery: Delivery, settings: WooCommerceSettings) -> Found:
    person = _built(delivery, payloads.Person)
    if person is None or (person.role and person.role not in settings.roles):
        return
    seen = customer_of(person, delivery, verified=settings.verified_addresses)
    yield seen
    guest = reference_of(delivery.connection, person.email or "")
    if settings.guests == "match" and settings.guests_join and guest is not None:
        yield CustomersMerged(kept=seen.reference, gone=guest, occurred_at=seen.occurred_at)


def _deleted(delivery: Delivery, settings: WooCommerceSettings) -> Found:
    if settings.deleted_customers == "keep":
        read(delivery.body, payloads.Named)
        return
    yield CustomerErased(reference=str(read(delivery.body, payloads.Gone).id), occurred_at=delivery.received_at)


TOPICS: Mapping[str, Callable[[Delivery, Any], Found]] = {
    "order.created": _order,
    "order.updated": _order,
    "order.deleted": _changed,
    "order.restored": _changed,
    FETCHED: _fetched,
    VANISHED: _vanished,
    "customer.created": _customer,
    "customer.updated": _customer,
    "customer.deleted": _deleted,
}
