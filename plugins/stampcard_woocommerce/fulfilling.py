from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from stampcard.plugin import (
    Absent,
    Clock,
    Delivered,
    Done,
    Fulfilment,
    Lookup,
    Outcome,
    Rate,
    Rejected,
    RetryLater,
    Unknown,
    Voucher,
)
from stampcard_woocommerce import batching
from stampcard_woocommerce.calling import CallFailed
from stampcard_woocommerce.client import Client
from stampcard_woocommerce.coupons import coupon_of, is_code, misfit, moment
from stampcard_woocommerce.decoding import gmt
from stampcard_woocommerce.guests import PREFIX
from stampcard_woocommerce.offering import FEATURES, KINDS
from stampcard_woocommerce.payloads import Id, Payload, is_number

Group = Sequence[Voucher]
Action = Literal["issue", "withdraw", "restore"]
_TAKEN = "woocommerce_rest_coupon_code_already_exists"
#: An end in the past, by which a coupon is over.
_EARLIER = timedelta(minutes=1)


class Coupon(Payload, frozen=True):
    """What of a coupon says what became of it."""

    id: Id
    code: str
    date_expires_gmt: datetime | None = None


class Account(Payload, frozen=True):
    id: Id
    email: str | None = None


class WooCommerceFulfilment(Fulfilment):
    """Rewards as coupons; the code makes them unique, since WooCommerce refuses to make one again.

    A coupon that is withdrawn stays, over: were it deleted, a late repeat could make it anew.
    """

    kinds = KINDS
    features = FEATURES
    batch_size = 10
    fill_size = 50
    rate = Rate(per_second=1, burst=4)
    idempotent = True
    visible_after = timedelta(minutes=1)

    def __init__(self, client: Client, clock: Clock, *, restricted: bool) -> None:
        """`restricted`: whether a coupon works with its member's address alone."""
        self._client, self._clock, self._restricted = client, clock, restricted

    def pace(self) -> float:
        return self._client.pace()

    async def issue(self, vouchers: Group) -> Sequence[Outcome]:
        outcomes = {place: why for place, one in enumerate(vouchers) if (why := self._unfit(one)) is not None}
        fit = {place: one for place, one in enumerate(vouchers) if place not in outcomes}
        try:
            emails = await self._emails([one.reference for one in fit.values()])
            made = await self._make([coupon_of(one, emails.get(one.reference, "")) for one in fit.values()])
            for (place, one), done in zip(fit.items(), made, strict=True):
                outcomes[place] = await self._issued(one, done)
        except CallFailed as failure:
            outcomes |= {place: failure.outcome for place in fit if place not in outcomes}
        return [outcomes[place] for place in range(len(vouchers))]

    async def withdraw(self, vouchers: Group) -> Sequence[Outcome]:
        over = moment(self._clock.now() - _EARLIER)
        return [await self._end(one, lambda _: over, Delivered()) for one in vouchers]

    async def restore(self, vouchers: Group) -> Sequence[Outcome]:
        missing = Rejected(reason="the coupon does not exist any more")
        return [await self._end(one, lambda voucher: moment(voucher.ends_at), missing) for one in vouchers]

    async def fill(self, voucher: Voucher, codes: Sequence[str]) -> Outcome:
        each = [msgspec.structs.replace(voucher, code=code) for code in codes]
        unfit = next((why for one in each if (why := self._misfit(one)) is not None), None)
        if unfit is not None:
            return unfit
        try:
            made = await self._make([coupon_of(one) for one in each])
        except CallFailed as failure:
            return failure.outcome
        refused = [done.error.word for done in made if done.error is not None and done.error.code != _TAKEN]
        if refused:
            return Rejected(reason=f"WooCommerce refuses a coupon ({refused[0]})")
        return Delivered() if all(done.id or done.error for done in made) else _silence()

    async def lookup(self, voucher: Voucher, action: Action) -> Lookup:
        try:
            found = await self._find(voucher.code)
        except CallFailed as failure:
            return Unknown(reason=failure.outcome.reason)
        if found is None:
            return Done() if action == "withdraw" else Absent()
        if action == "issue":
            return Done(result={"id": str(found.id), "code": voucher.code})
        ends = None if found.date_expires_gmt is None else gmt(found.date_expires_gmt)
        if action == "withdraw":
            return Done() if ends is not None and ends <= self._clock.now() else Absent()
        return Done() if moment(ends) == moment(voucher.ends_at) else Absent()

    def _unfit(self, voucher: Voucher) -> Outcome | None:
        if not is_number(voucher.reference) and not voucher.reference.startswith(PREFIX):
            return Rejected(reason="the reference is not the number of a WooCommerce customer", gone=True)
        return self._misfit(voucher)

    def _misfit(self, voucher: Voucher) -> Outcome | None:
        if voucher.kind not in KINDS:
            return Rejected(reason=f"WooCommerce makes no {voucher.kind}")
        return misfit(voucher, self._clock.now())

    async def _make(self, coupons: Sequence[dict[str, Any]]) -> list[batching.Done]:
        return (await batching.batched(self._client, "coupons", {"create": coupons}))["create"]

    async def _issued(self, voucher: Voucher, done: batching.Done) -> Outcome:
        """What became of one; a code that is there already was made by an earlier attempt."""
        if done.error is None:
            return Delivered(result={"id": str(done.id), "code": voucher.code}) if done.id else _silence()
        if done.error.code != _TAKEN:
            return Rejected(reason=f"WooCommerce refuses the coupon ({done.error.word})")
        found = await self._find(voucher.code)
        return Delivered(result={"code": voucher.code} | ({"id": str(found.id)} if found else {}))

    async def _emails(self, references: Sequence[str]) -> Mapping[str, str]:
        """The accounts' own addresses, as far as there are any."""
        asked = sorted({reference for reference in references if is_number(reference)})
        if not asked or not self._restricted:
            return {}
        query: dict[str, str | int] = {
            "include": ",".join(asked),
            "role": "all",
            "per_page": 100,
            "_fields": "id,email",
        }
        people, _ = await self._client.listed("customers", Account, query)
        return {str(person.id): person.email or "" for person in people}

    async def _find(self, code: str) -> Coupon | None:
        """The coupon of a code, which WooCommerce keeps in small letters; raises CallFailed."""
        if not is_code(code):
            return None
        found, _ = await self._client.listed("coupons", Coupon, {"code": code, "per_page": 100})
        return next((coupon for coupon in found if coupon.code.lower() == code.lower()), None)

    async def _end(self, voucher: Voucher, ends: Callable[[Voucher], str], missing: Outcome) -> Outcome:
        """Let a coupon end at another time."""
        try:
            found = await self._find(voucher.code)
            if found is None:
                return missing
            await self._client.ask("PUT", f"coupons/{found.id}", Coupon, {"date_expires": ends(voucher)})
        except CallFailed as failure:
            return failure.outcome
        return Delivered()


def _silence() -> Outcome:
    return RetryLater(reason="WooCommerce's answer says nothing of this one")
