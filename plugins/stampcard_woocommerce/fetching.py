"""Orders read by ourselves, with what a webhook lacks: the lines of refunds, and whether a guest has an account."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from stampcard.plugin import ConnectionContext, Delivery, Refetch
from stampcard_woocommerce.calling import CallFailed, later
from stampcard_woocommerce.client import Client
from stampcard_woocommerce.decoding import gmt
from stampcard_woocommerce.guests import normal
from stampcard_woocommerce.payloads import Address, Id, Nullable, Payload, Person, RefundTotal

if TYPE_CHECKING:
    from stampcard_woocommerce.plugin import WooCommerceSettings

FETCHED = "fetched/order"
VANISHED = "fetched/nothing"
#: What WooCommerce says of an order that is not even in the bin; any other 404 is no word of WooCommerce's.
_GONE = "woocommerce_rest_shop_order_invalid_id"
#: The most that a page may have (https://woocommerce.github.io/woocommerce-rest-api-docs/#pagination).
PAGE = 100


class Head(Payload, frozen=True):
    """What of an order decides what else has to be read."""

    id: Id
    customer_id: Nullable
    date_created_gmt: datetime
    refunds: tuple[RefundTotal, ...] = ()
    billing: Address = Address()


class Currency(Payload, frozen=True):
    code: str


class OrderFetch:
    """Reads orders as they are now. Raises CallFailed."""

    def __init__(self, client: Client, context: ConnectionContext[WooCommerceSettings]) -> None:
        self._client = client
        self._context = context

    async def __call__(self, refs: Sequence[Refetch]) -> Sequence[Delivery]:
        references = dict.fromkeys(ref.reference for ref in refs if ref.kind == "order" and ref.reference.isdecimal())
        return [await self._delivery(reference) for reference in references]

    async def completed(
        self, order: msgspec.Raw, now: datetime, known: dict[str, Person | None], *, kind: str = "fetch"
    ) -> Delivery:
        """An order that is read from now on, with what else belongs to it; `known`: addresses that were looked up before.

        Of the kind `past` it has the same key whenever it is read.
        """
        try:
            head = msgspec.json.decode(order, type=Head)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            reason = f"WooCommerce's answer does not have the published shape: {error}"
            raise later(reason[:300]) from None
        body = {
            "order": order,
            "refunds": await self._refunds(head) if head.refunds else [],
            "owner": await self._owner(head, known),
        }
        return self._brought(str(head.id), FETCHED, body, now, kind)

    async def _delivery(self, reference: str) -> Delivery:
        await self._context.clock.sleep(self._client.pace())
        now = self._context.clock.now()
        try:
            order = await self._client.get(f"orders/{reference}", msgspec.Raw)
        except CallFailed as failure:
            if failure.code != _GONE:
                raise
            currency = await self._client.get("data/currencies/current", Currency)
            return self._brought(reference, VANISHED, {"vanished": int(reference), "currency": currency.code}, now)
        return await self.completed(order, now, {})

    def _brought(self, reference: str, topic: str, body: Any, now: datetime, kind: str = "fetch") -> Delivery:
        read_at = int(now.timestamp() * 1_000_000)
        return Delivery(
            connection=self._context.name,
            key=f"{kind}:order:{reference}" + (f":{read_at}" if kind == "fetch" else ""),
            topic=topic,
            body=msgspec.json.encode(body),
            received_at=now,
            read_at=read_at,
        )

    async def _refunds(self, head: Head) -> list[msgspec.Raw]:
        """All refunds of an order: by number, so that one that is added meanwhile moves none."""
        found: list[msgspec.Raw] = []
        while True:
            query: dict[str, str | int] = {"per_page": PAGE, "offset": len(found), "orderby": "id", "order": "asc"}
            page, total = await self._client.listed(f"orders/{head.id}/refunds", msgspec.Raw, query)
            found += page
            if not page or len(found) >= total:
                return found

    async def _owner(self, head: Head, known: dict[str, Person | None]) -> int:
        """The account that had a guest's address when the order was placed, or 0."""
        settings, address = self._context.settings, normal(head.billing.email or "")
        if head.customer_id or settings.guests != "match" or not address:
            return 0
        if address not in known:
            known[address] = await self._account(address)
        person = known[address]
        if person is None:
            return 0
        since = person.date_created_gmt
        is_theirs = settings.guests_join or since is None or gmt(since) <= gmt(head.date_created_gmt)
        return person.id if is_theirs else 0

    async def _account(self, address: str) -> Person | None:
        query: dict[str, str | int] = {"email": address, "role": "all", "per_page": PAGE}
        people, _ = await self._client.listed("customers", Person, query)
        return next((person for person in people if normal(person.email or "") == address), None)
