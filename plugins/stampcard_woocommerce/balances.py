"""What a customer's account at the shop shows of their points: in fields of the user, which themes and plugins read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from stampcard.plugin import BalancePush, Delivered, Outcome, Rate, Rejected, RetryLater, Sink
from stampcard_woocommerce.batching import Done, batched
from stampcard_woocommerce.calling import CallFailed
from stampcard_woocommerce.client import Client
from stampcard_woocommerce.guests import PREFIX
from stampcard_woocommerce.payloads import is_number

if TYPE_CHECKING:
    from stampcard_woocommerce.plugin import WooCommerceSettings

_UNFIT = Rejected(reason="the reference is not the number of a WooCommerce customer", gone=True)


class BalanceSink(Sink[BalancePush]):
    """Writes each customer's figures: all of them as JSON, and the active points of each wallet as a plain number.

    A guest has no account that could show anything, so that there is nothing to do. WooCommerce takes up to 100 customers
    at once, and saves them one by one while we wait.
    """

    kind = "balance"
    batch_size = 50
    rate = Rate(per_second=1, burst=4)
    idempotent = True

    def __init__(self, client: Client, settings: WooCommerceSettings) -> None:
        self._client = client
        self._key = settings.balance_key

    def pace(self) -> float:
        return self._client.pace()

    async def deliver(self, items: Sequence[BalancePush]) -> Sequence[Outcome]:
        updates = {
            place: {"id": int(item.reference), "meta_data": list(self._fields(item))}
            for place, item in enumerate(items)
            if is_number(item.reference)
        }
        done = await sent(self._client, updates)
        return [done.get(place) or without_a_call(item.reference) for place, item in enumerate(items)]

    def _fields(self, item: BalancePush) -> Iterator[dict[str, str]]:
        value = {"version": item.version, "wallets": dict(sorted(item.balances.items()))}
        yield {"key": self._key, "value": msgspec.json.encode(value).decode()}
        for name, balance in sorted(item.balances.items()):
            yield {"key": f"{self._key}_{name}", "value": plain(balance.active, balance.scale)}


def without_a_call(reference: str) -> Outcome:
    """Guests have nothing to show it in."""
    return Delivered() if reference.startswith(PREFIX) else _UNFIT


def plain(figure: int, scale: int) -> str:
    """A figure with its decimal places: ``1.50`` for 150 of scale 2."""
    if not scale:
        return str(figure)
    text = f"{abs(figure):0{scale + 1}}"
    return f"{'-' if figure < 0 else ''}{text[:-scale]}.{text[-scale:]}"


async def sent(client: Client, updates: Mapping[int, dict[str, Any]]) -> dict[int, Outcome]:
    """Change customers, and what became of each."""
    if not updates:
        return {}
    try:
        made = await batched(client, "customers", {"update": list(updates.values())})
    except CallFailed as failure:
        return dict.fromkeys(updates, failure.outcome)
    return dict(zip(updates, map(_outcome, made["update"]), strict=True))


def _outcome(done: Done) -> Outcome:
    if done.error is None:
        return Delivered() if done.id else RetryLater(reason="WooCommerce did not answer for every customer")
    gone = done.error.code.endswith("_id")
    return Rejected(reason=f"WooCommerce refuses the customer ({done.error.word})", gone=gone)
