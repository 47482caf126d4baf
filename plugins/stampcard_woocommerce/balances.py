"""What a customer's account at the shop shows of their points: in fields of the user, which themes and plugins read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from stampcard.plugin import BalancePush, Cleaner, Delivered, Outcome, Rate, Rejected, RetryLater, Sink
from stampcard_woocommerce.batching import Done, batched
from stampcard_woocommerce.calling import CallFailed
from stampcard_woocommerce.client import Client
from stampcard_woocommerce.guests import PREFIX
from stampcard_woocommerce.payloads import Id, Payload, is_number

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


class Field(Payload, frozen=True):
    key: str


class Shown(Payload, frozen=True):
    id: Id
    meta_data: tuple[Field, ...] = ()


class BalanceCleaner(Cleaner):
    """Takes the fields away again, of whichever wallets they are."""

    batch_size = 50

    def __init__(self, client: Client, settings: WooCommerceSettings) -> None:
        self._client = client
        self._key, self._perks = settings.balance_key, settings.perks_key
        self.what = f"the customers' fields {self._key}, {self._key}_… and {self._perks}"

    def pace(self) -> float:
        return self._client.pace()

    async def clean(self, references: Sequence[str]) -> Sequence[Outcome]:
        asked = sorted({reference for reference in references if is_number(reference)})
        try:
            shown = await self._shown(asked) if asked else {}
        except CallFailed as failure:
            return [failure.outcome if is_number(one) else Delivered() for one in references]
        updates = {
            place: {"id": int(one), "meta_data": [{"key": key, "value": None} for key in shown[one]]}
            for place, one in enumerate(references)
            if shown.get(one)
        }
        done = await sent(self._client, updates)
        return [_over(done.get(place, Delivered())) for place in range(len(references))]

    async def _shown(self, references: Sequence[str]) -> Mapping[str, list[str]]:
        query: dict[str, str | int] = {"include": ",".join(references), "role": "all", "per_page": 100}
        people, _ = await self._client.listed("customers", Shown, query)
        return {str(one.id): [field.key for field in one.meta_data if self._is_ours(field.key)] for one in people}

    def _is_ours(self, key: str) -> bool:
        return key in {self._key, self._perks} or key.startswith(f"{self._key}_")


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


def _over(outcome: Outcome) -> Outcome:
    """Somebody who is no more shows nothing any more."""
    return Delivered() if isinstance(outcome, Rejected) and outcome.gone else outcome
