from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from stampcard.plugin import (
    ConnectionEnded,
    ConsentSeen,
    CustomerErased,
    CustomersMerged,
    CustomEvent,
    DataRequested,
    Delivery,
    Event,
    InvalidSignature,
    MalformedPayload,
    OrderSeen,
    Refetch,
    RefundSeen,
    SourceErased,
    UnverifiedRequest,
    VerifiedRequest,
    WebhookSource,
    check_hmac_sha256_base64,
)
from stampcard_shopify import payloads
from stampcard_shopify.decoding import customer_of, is_foreign, read, refund_of, snapshot_of
from stampcard_shopify.fetching import FETCHED, read_node

if TYPE_CHECKING:
    from stampcard_shopify.plugin import ShopifySettings

Found = Iterable[Event | Refetch]
KEPT = ("webhook-id", "triggered-at", "api-version")
LONGEST = 200
CUSTOMER = re.compile(r"(?:gid://shopify/Customer/)?([1-9][0-9]{0,18})")
#: How the shop writes that it asked a customer back before it took their yes
#: (https://shopify.dev/docs/api/admin-graphql/2026-10/enums/CustomerMarketingOptInLevel).
CONFIRMED = "confirmed_opt_in"
#: What a customer can have said (https://shopify.dev/docs/api/admin-graphql/2026-10/enums/CustomerEmailMarketingState);
#: who never said anything is not subscribed, and is not heard of here.
STATES: Mapping[str, Literal["given", "pending", "withdrawn"]] = {
    "subscribed": "given",
    "pending": "pending",
    "unsubscribed": "withdrawn",
}
MERGED = frozenset({"completed", "succeeded", "success"})


class ShopifyWebhooks(WebhookSource):
    """Shopify's webhooks. Only the body is signed: headers select a parser and prove nothing."""

    def __init__(self, settings: ShopifySettings) -> None:
        self._settings = settings
        self._secrets = [secret.get_secret_value().encode() for secret in settings.webhook_secrets]

    def verify(self, request: UnverifiedRequest) -> VerifiedRequest:
        if not request.body:
            raise InvalidSignature("the body is empty")
        signature = _header(request, "hmac-sha256")
        if _disagree(request, "hmac-sha256") or _disagree(request, "shop-domain"):
            raise InvalidSignature("both families of headers are there, and say different things")
        check_hmac_sha256_base64(self._secrets, request.body, signature, setting="webhook_secrets")
        domain = _header(request, "shop-domain")
        if domain and domain.lower() != self._settings.shop.lower():
            raise InvalidSignature("the webhook is of another shop", "shop")
        return self.unchecked(request)

    def unchecked(self, request: UnverifiedRequest) -> VerifiedRequest:
        headers = {name: text for name in KEPT if (text := _plain(request, name))}
        return VerifiedRequest(topic=_plain(request, "topic"), body=request.body, headers=headers)

    def delivery_key(self, request: VerifiedRequest) -> str:
        content = request.topic.encode() + b"\n" + request.body
        return request.headers.get("webhook-id") or hashlib.sha256(content).hexdigest()

    def events(self, delivery: Delivery) -> Found:
        topic = TOPICS.get(delivery.topic)
        return () if topic is None else tuple(topic(delivery, self._settings))

    def subject(self, delivery: Delivery) -> str | None:
        try:
            body = read(delivery.body, payloads.Anything)
        except MalformedPayload:
            return None
        told = body.customer.get("id") if isinstance(body.customer, dict) else None
        if told is None and delivery.topic.startswith(("customers/", "customers_")):
            told = body.id if body.customer_id is None else body.customer_id
        number = CUSTOMER.fullmatch(str(told)) if isinstance(told, int | str) else None
        return number[1] if number else None


def _header(request: UnverifiedRequest, name: str) -> str:
    """A header of Shopify's, in the old or in the new family (which lacks the x-)."""
    headers = request.headers
    return headers.get("x-shopify-" + name) or headers.get("shopify-" + name, "")


def _disagree(request: UnverifiedRequest, name: str) -> bool:
    old, new = request.headers.get("x-shopify-" + name), request.headers.get("shopify-" + name)
    return old is not None and new is not None and old != new


def _plain(request: UnverifiedRequest, name: str) -> str:
    """A header that is fit to be stored; nobody vouches for it."""
    text = _header(request, name)
    return text if text.isascii() and text.isprintable() and len(text) <= LONGEST else ""


def _order(delivery: Delivery, settings: ShopifySettings) -> Found:
    return _seen(read(delivery.body, payloads.OrderBody), delivery, settings)


def _fetched(delivery: Delivery, settings: ShopifySettings) -> Found:
    # A webhook may claim any topic; only what we fetched ourselves has a time of reading.
    return _seen(read_node(delivery.body), delivery, settings) if delivery.read_at else ()


def _seen(order: payloads.OrderBody, delivery: Delivery, settings: ShopifySettings) -> Found:
    if order.test and settings.test_orders == "ignore":
        return
    reference = str(order.id)
    if any(is_foreign(refund, order.currency) for refund in order.refunds):
        yield Refetch(kind="order", reference=reference)
        return
    snapshot = snapshot_of(order, delivery.read_at)
    yield OrderSeen(reference=reference, snapshot=snapshot, refunds=tuple(map(refund_of, order.refunds)))


def _edited(delivery: Delivery, _: ShopifySettings) -> Found:
    yield Refetch(kind="order", reference=str(read(delivery.body, payloads.Edited).order_edit.order_id))


def _refund(delivery: Delivery, settings: ShopifySettings) -> Found:
    refund = read(delivery.body, payloads.NewRefund)
    if settings.test_orders == "ignore" and any(transaction.test for transaction in refund.transactions):
        return
    order = str(refund.order_id)
    if is_foreign(refund):
        yield Refetch(kind="order", reference=order)
    else:
        yield RefundSeen(order=order, refund=refund_of(refund))


def _customer(delivery: Delivery, _: ShopifySettings) -> Found:
    yield customer_of(read(delivery.body, payloads.Person), delivery)


def _emailed(delivery: Delivery, _: ShopifySettings) -> Found:
    told = read(delivery.body, payloads.EmailConsent)
    yield from _said(str(told.customer_id), "email", told.email_marketing_consent, delivery)


def _texted(delivery: Delivery, _: ShopifySettings) -> Found:
    told = read(delivery.body, payloads.SmsConsent)
    yield from _said(str(told.id), "sms", told.sms_marketing_consent, delivery)


def _said(customer: str, channel: str, said: payloads.Saying | None, delivery: Delivery) -> Found:
    """What a customer said; whoever agrees to e-mail subscribes to the newsletter, which counts once."""
    state = STATES.get((said.state or "").lower()) if said else None
    if said is None or state is None:
        return
    at = said.consent_updated_at or delivery.received_at
    confirmed = (said.opt_in_level or "").lower() == CONFIRMED
    yield ConsentSeen(
        customer=customer, channel=channel, purpose="marketing", state=state, occurred_at=at, confirmed=confirmed
    )
    if channel == "email" and state == "given":
        yield CustomEvent(name="newsletter", customer=customer, key="", occurred_at=at)


def _merged(delivery: Delivery, _: ShopifySettings) -> Found:
    merge = read(delivery.body, payloads.Merge)
    if merge.status.lower() in MERGED:
        yield CustomersMerged(
            kept=_customer_id(merge.admin_graphql_api_customer_kept_id),
            gone=_customer_id(merge.admin_graphql_api_customer_deleted_id),
            occurred_at=delivery.received_at,
        )


def _customer_id(text: str) -> str:
    known = CUSTOMER.fullmatch(text)
    if known is None:
        raise MalformedPayload(f"{text!r} is no customer")
    return known[1]


def _erased(delivery: Delivery, settings: ShopifySettings) -> Found:
    body = read(delivery.body, payloads.Redaction)
    _check_shop(body.shop_domain, settings)
    person = body.customer
    yield CustomerErased(
        reference=str(person.id or ""),
        occurred_at=delivery.received_at,
        emails=(person.email,) if person.email else (),
        phones=(person.phone,) if person.phone else (),
    )


def _requested(delivery: Delivery, settings: ShopifySettings) -> Found:
    body = read(delivery.body, payloads.DataRequest)
    _check_shop(body.shop_domain, settings)
    reference, request = str(body.customer.id or ""), str(body.data_request.id or "")
    yield DataRequested(reference=reference, occurred_at=delivery.received_at, request=request)


def _shop_erased(delivery: Delivery, settings: ShopifySettings) -> Found:
    _check_shop(read(delivery.body, payloads.ShopRedaction).shop_domain, settings)
    yield SourceErased(occurred_at=delivery.received_at)


def _uninstalled(delivery: Delivery, settings: ShopifySettings) -> Found:
    shop = read(delivery.body, payloads.Shop)
    _check_shop(shop.myshopify_domain or shop.domain or "", settings)
    yield ConnectionEnded(reason=f"the app was uninstalled from {settings.shop}", occurred_at=_triggered_at(delivery))


def _triggered_at(delivery: Delivery) -> datetime:
    """When the shop says that it happened, which is told anew by each of hours of tries; nobody vouches for it."""
    try:
        told = datetime.fromisoformat(delivery.headers.get("triggered-at", ""))
    except ValueError:
        return delivery.received_at
    return min(told, delivery.received_at) if told.tzinfo is not None else delivery.received_at


def _check_shop(domain: str, settings: ShopifySettings) -> None:
    if domain.lower() != settings.shop.lower():
        raise MalformedPayload(f"the body is not about {settings.shop} (check shop)")


TOPICS: Mapping[str, Callable[[Delivery, Any], Found]] = {
    "orders/create": _order,
    "orders/paid": _order,
    "orders/updated": _order,
    "orders/cancelled": _order,
    "orders/edited": _edited,
    FETCHED: _fetched,
    "refunds/create": _refund,
    "customers/create": _customer,
    "customers/update": _customer,
    "customers/merge": _merged,
    "customers_email_marketing_consent/update": _emailed,
    "customers_marketing_consent/update": _texted,
    "customers/redact": _erased,
    "customers/data_request": _requested,
    "shop/redact": _shop_erased,
    "app/uninstalled": _uninstalled,
}
