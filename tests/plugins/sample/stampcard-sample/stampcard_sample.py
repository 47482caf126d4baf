"""A till: reports each sale by a signed webhook, and shows customers their points on its display."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated
from urllib.parse import quote

import httpx
import msgspec
from pydantic import SecretStr

from stampcard import plugin


class TillSettings(plugin.PluginSettings):
    webhook_secrets: tuple[SecretStr, ...]
    token: SecretStr
    api_url: str = "https://api.till.example"


class Sale(msgspec.Struct):
    receipt: str
    customer: str
    total: Decimal
    currency: str
    at: Annotated[datetime, msgspec.Meta(tz=True)]


class TillWebhooks(plugin.WebhookSource):
    def __init__(self, settings: TillSettings) -> None:
        self._secrets = [secret.get_secret_value().encode() for secret in settings.webhook_secrets]

    def verify(self, request: plugin.UnverifiedRequest) -> plugin.VerifiedRequest:
        plugin.check_hmac_sha256_base64(self._secrets, request.body, request.header("till-signature"))
        return plugin.VerifiedRequest(topic="sale", body=request.body)

    def delivery_key(self, request: plugin.VerifiedRequest) -> str:
        return hashlib.sha256(request.body).hexdigest()

    def events(self, delivery: plugin.Delivery) -> Sequence[plugin.OrderSeen]:
        return [self._order(delivery.body)] if delivery.topic == "sale" else []

    def _order(self, body: bytes) -> plugin.OrderSeen:
        try:
            sale = msgspec.json.decode(body, type=Sale)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise plugin.MalformedPayload(f"not a sale: {error}") from None
        if not sale.total.is_finite():
            raise plugin.MalformedPayload("the total is not a number")
        snapshot = plugin.OrderSnapshot(
            stamp=plugin.Stamp(at=sale.at, digest=hashlib.sha256(body).hexdigest()),
            number=sale.receipt,
            occurred_at=sale.at,
            currency=sale.currency,
            total=sale.total,
            paid=True,
            customer=sale.customer,
            lines=(plugin.OrderLine(reference="1", quantity=1, gross=sale.total),),
        )
        return plugin.OrderSeen(reference=sale.receipt, snapshot=snapshot)


class Display(plugin.Sink[plugin.BalancePush]):
    kind, batch_size, idempotent = "balance", 5, True

    def __init__(self, context: plugin.ConnectionContext[TillSettings]) -> None:
        self._http, self._url = context.http, context.settings.api_url
        self._headers = {"authorization": f"Bearer {context.settings.token.get_secret_value()}"}

    async def deliver(self, items: Sequence[plugin.BalancePush]) -> Sequence[plugin.Outcome]:
        return [await self._show(item) for item in items]

    async def _show(self, item: plugin.BalancePush) -> plugin.Outcome:
        points = {name: balance.active for name, balance in item.balances.items()}
        url = f"{self._url}/customers/{quote(item.reference, safe='')}/points"
        try:
            answer = await self._http.put(url, json=points, headers=self._headers)
        except httpx.HTTPError as error:
            return plugin.RetryLater(reason=f"no answer from the till: {type(error).__name__}")
        if answer.status_code == httpx.codes.OK and answer.content == b"shown":
            return plugin.Delivered()
        reason = f"the till answered {answer.status_code}"
        if answer.status_code in {400, 404, 422}:
            return plugin.Rejected(reason=reason, gone=answer.status_code == httpx.codes.NOT_FOUND)
        seconds = answer.headers.get("retry-after", "")
        return plugin.RetryLater(
            reason=reason, after=int(seconds) if seconds.isdecimal() and len(seconds) < 6 else None
        )

    async def check_health(self) -> plugin.Health:
        try:
            answer = await self._http.get(f"{self._url}/health", headers=self._headers)
        except httpx.HTTPError as error:
            return plugin.Health(ok=False, problem=f"no answer from the till: {type(error).__name__}")
        return plugin.Health(ok=answer.is_success, problem=f"the till answered {answer.status_code}")


@plugin.hookimpl
def plugin_manifest() -> plugin.PluginManifest:
    return plugin.PluginManifest(name="sample", summary="A till: sales in, points out", settings=TillSettings)


@plugin.hookimpl
async def connect(context: plugin.ConnectionContext[TillSettings]) -> plugin.Capabilities:
    webhook, display = TillWebhooks(context.settings), Display(context)
    return plugin.Capabilities(webhook=webhook, sinks=(display,), check_health=display.check_health)
