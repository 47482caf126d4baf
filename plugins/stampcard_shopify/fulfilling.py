from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from stampcard.plugin import (
    Clock,
    Delivered,
    Done,
    Fulfilment,
    Lookup,
    Outcome,
    Rate,
    Rejected,
    RewardKind,
    Unknown,
    Voucher,
)
from stampcard_shopify.asking import Made, Step, refusal, written
from stampcard_shopify.bulk import MOST, BulkCodes
from stampcard_shopify.client import Client
from stampcard_shopify.discounts import DiscountCodes
from stampcard_shopify.gift_cards import GiftCards
from stampcard_shopify.offering import FEATURES, KINDS
from stampcard_shopify.posting import CallFailed, unsure
from stampcard_shopify.shared_codes import SharedDiscountCodes
from stampcard_shopify.store_credits import StoreCredits
from stampcard_shopify.ways import Action, Way, begins_later

WAYS: Mapping[RewardKind, Way[Any]] = {
    **dict.fromkeys(("amount_off", "percent_off", "free_shipping", "free_product"), DiscountCodes()),
    "gift_card": GiftCards(),
    "store_credit": StoreCredits(),
}
SHARED = SharedDiscountCodes()
Group = Sequence[Voucher]
Act = Callable[[Way[Any], Group], Awaitable[Sequence[Outcome]]]


class ShopifyFulfilment(Fulfilment):
    """Discount codes, gift cards and store credit; all vouchers of one family go in one call.

    Withdrawing and restoring codes goes by id, one mutation each: Shopify's mutations for many ids are jobs whose end
    and errors would have to be asked for, and cost a call more than they save.
    """

    kinds = KINDS
    features = FEATURES
    batch_size = 25
    fill_size = MOST
    # A mutation costs 10 points, so a full batch 250; the smallest plan restores 100 a second and holds at least 1000.
    rate = Rate(per_second=4, burst=8)
    idempotent = False
    visible_after = timedelta(minutes=1)

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._bulk = BulkCodes(client, clock)

    def pace(self) -> float:
        return self._client.pace()

    async def issue(self, vouchers: Group) -> Sequence[Outcome]:
        return await _by_way(vouchers, self._issue)

    async def withdraw(self, vouchers: Group) -> Sequence[Outcome]:
        return await _by_way(vouchers, lambda way, group: self._change(way, group, way.withdrawing))

    async def restore(self, vouchers: Group) -> Sequence[Outcome]:
        return await _by_way(vouchers, lambda way, group: self._change(way, group, way.restoring))

    async def fill(self, voucher: Voucher, codes: Sequence[str]) -> Outcome:
        try:
            return await self._bulk.fill(voucher, codes)
        except CallFailed as failure:
            return failure.outcome

    async def lookup(self, voucher: Voucher, action: Action) -> Lookup:
        way = way_of(voucher)
        if way is None:
            return Unknown(reason=f"Shopify makes no {voucher.kind}")
        try:
            (found,) = await self._find(way, [voucher])
        except CallFailed as failure:
            return Unknown(reason=failure.outcome.reason)
        return way.verdict(voucher, action, found)

    async def _issue(self, way: Way[Any], vouchers: Group) -> Sequence[Outcome]:
        outcomes = await self._send(way, vouchers, [self._issuing(way, voucher) for voucher in vouchers])
        nameless = [i for i, outcome in enumerate(outcomes) if _is_nameless(outcome)]
        if nameless:
            for place, lookup in zip(nameless, await self._named(way, [vouchers[i] for i in nameless]), strict=True):
                outcomes[place] = Delivered(result=lookup.result) if isinstance(lookup, Done) else outcomes[place]
        return outcomes

    def _issuing(self, way: Way[Any], voucher: Voucher) -> Step | Outcome:
        if way.at_once and begins_later(voucher, self._clock.now()):
            return Rejected(reason=f"Shopify has no starts_at for a {voucher.kind}")
        return way.issuing(voucher)

    async def _named(self, way: Way[Any], vouchers: Group) -> Sequence[Lookup]:
        """What is found of codes that Shopify says it has: an earlier attempt made them."""
        try:
            found = await self._find(way, vouchers)
        except CallFailed as failure:
            return [Unknown(reason=failure.outcome.reason)] * len(vouchers)
        return [way.verdict(voucher, "issue", one) for voucher, one in zip(vouchers, found, strict=True)]

    async def _change(
        self, way: Way[Any], vouchers: Group, step: Callable[[Voucher, Any], Step | Outcome]
    ) -> Sequence[Outcome]:
        try:
            found = await self._find(way, vouchers) if way.by_id else [None] * len(vouchers)
        except CallFailed as failure:
            return [failure.outcome] * len(vouchers)
        return await self._send(way, vouchers, list(map(step, vouchers, found)))

    async def _find(self, way: Way[Any], vouchers: Group) -> list[Any]:
        """What Shopify has of each; raises CallFailed."""
        steps = {f"c{place}": way.finding(voucher) for place, voucher in enumerate(vouchers)}
        found = await self._client.ask(*written(steps), dict[str, way.shape | None])  # type: ignore[name-defined]
        if not steps.keys() <= found.keys():
            raise unsure("Shopify's answer does not say what was asked", "state")
        return [found[alias] for alias in steps]

    async def _send(self, way: Way[Any], vouchers: Group, steps: Sequence[Step | Outcome]) -> list[Outcome]:
        """Send the steps there are in one call; an outcome for each voucher."""
        calls = {f"c{place}": step for place, step in enumerate(steps) if isinstance(step, Step)}
        silence: Outcome = Unknown(reason="Shopify's answer says nothing of this one")
        answers: Mapping[str, Made | None] = {}
        if calls:
            try:
                answers = await self._client.ask(*written(calls), dict[str, Made | None], way.sending)
            except CallFailed as failure:
                silence = failure.outcome
        return [
            _outcome(way, voucher, answers.get(f"c{place}"), silence) if isinstance(step, Step) else step
            for place, (voucher, step) in enumerate(zip(vouchers, steps, strict=True))
        ]


def way_of(voucher: Voucher) -> Way[Any] | None:
    """How it is made real, if it can be."""
    return SHARED if voucher.batch else WAYS.get(voucher.kind)


async def _by_way(vouchers: Group, act: Act) -> Sequence[Outcome]:
    """The vouchers of each family at once, the outcomes in the order of all."""
    outcomes: list[Outcome] = [Rejected(reason=f"Shopify makes no {voucher.kind}") for voucher in vouchers]
    for way in dict.fromkeys((*WAYS.values(), SHARED)):
        places = [place for place, voucher in enumerate(vouchers) if way_of(voucher) is way]
        if places:
            done = await act(way, [vouchers[place] for place in places])
            for place, outcome in zip(places, done, strict=True):
                outcomes[place] = outcome
    return outcomes


def _outcome(way: Way[Any], voucher: Voucher, made: Made | None, silence: Outcome) -> Outcome:
    if made is None:
        return silence
    if made.user_errors and not all(error.is_taken for error in made.user_errors):
        return refusal(made.user_errors)
    if way.by_job:
        return Unknown(reason="Shopify does it in its own time")
    return Delivered(result=way.result(voucher, made))


def _is_nameless(outcome: Outcome) -> bool:
    return isinstance(outcome, Delivered) and "id" not in outcome.result
