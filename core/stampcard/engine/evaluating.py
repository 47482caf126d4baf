"""What rewards mean for one member's cart: what each would take off it, and which of them together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from stampcard.domain.orders import OrderSnapshot
from stampcard.domain.rewards import Redemption, Voucher
from stampcard.domain.value import Value, replace
from stampcard.engine.combining import Budgets, Combination, best, together
from stampcard.engine.describing import rate_of
from stampcard.engine.discounting import TAKING, Candidate, Discounting, Key, lines_for
from stampcard.engine.rewarding import Refusal, Standing

_NOT_FOR_CARTS = Refusal(code="not_for_a_cart", detail="it takes nothing off a cart")


class Weighed(Value, frozen=True):
    """A reward for a member and a cart; `has`: it is issued already, so that it costs nothing more.

    `alone` and `lines`: what it takes off if it comes alone, and the references of the lines that it is for; None for
    what takes nothing off any cart.
    """

    standing: Standing
    has: bool
    refusals: tuple[Refusal, ...]
    candidate: Candidate | None = None
    alone: Decimal | None = None
    lines: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        """What it is known by."""
        return self.standing.live.name, self.standing.of.name


class Evaluation(Value, frozen=True):
    """Every reward for a cart, the best combination, and what becomes of those that were asked for."""

    rewards: tuple[Weighed, ...]
    best: Combination
    given: Combination | None = None


def evaluate(
    cart: OrderSnapshot,
    standings: Iterable[Standing],
    redemptions: Iterable[Redemption],
    budgets: Budgets,
    given: Sequence[Key],
    now: datetime,
) -> Evaluation:
    """Judge a cart; `redemptions` are the member's issued ones, `budgets` the points that can be spent."""
    vouchers = _vouchers(redemptions, now)
    weighed = {(one.live.name, one.of.name): _weighed(cart, one, vouchers, now) for one in standings}
    usable = [one.candidate for one in weighed.values() if one.candidate is not None and not one.refusals]
    return Evaluation(
        rewards=tuple(weighed.values()),
        best=best(cart, usable, budgets),
        given=_given(cart, [weighed[key] for key in dict.fromkeys(given)], budgets) if given else None,
    )


def _vouchers(redemptions: Iterable[Redemption], now: datetime) -> Mapping[Key, Voucher]:
    """Of each reward that was issued and can be used, the voucher that ends first."""
    found: dict[Key, Voucher] = {}
    for one in sorted(redemptions, key=lambda one: (one.valid_until is None, one.valid_until or now, one.id)):
        over = one.withdrawn or (one.valid_until is not None and one.valid_until < now)
        if one.status == "issued" and one.voucher is not None and not over:
            found.setdefault((one.program, one.reward), one.voucher)
    return found


def _weighed(cart: OrderSnapshot, standing: Standing, vouchers: Mapping[Key, Voucher], now: datetime) -> Weighed:
    voucher = vouchers.get((standing.live.name, standing.of.name))
    own = () if voucher is not None else standing.refusals
    plain = Weighed(standing=standing, has=voucher is not None, refusals=own)
    if standing.gift.kind not in TAKING:
        return plain
    rate = rate_of(standing.live.program, cart.currency, now)
    if rate is None:
        detail = f"program {standing.live.name!r} has no rate for {cart.currency}"
        return replace(plain, refusals=(*own, Refusal(code="currency_unknown", detail=detail)))
    candidate = _candidate(standing, voucher, rate)
    counted = Discounting(cart, [candidate])
    return replace(
        plain,
        refusals=(*own, *counted.faults(0)),
        candidate=candidate,
        alone=counted.money(counted.alone[0]),
        lines=tuple(line.reference for line in lines_for(cart, candidate)),
    )


def _candidate(standing: Standing, voucher: Voucher | None, rate: Decimal) -> Candidate:
    """A reward as it would count in a cart; as it was issued, where it was."""
    reward, gift, stacking = standing.of.reward, standing.gift, standing.live.program.stacking
    stack, capped = reward.stack if voucher is None else voucher.stack, gift.percent is not None
    minimum = None if reward.minimum is None else reward.minimum.amount
    amount, at_most = (None, gift.money) if capped else (gift.money, None)
    one = Candidate(
        program=standing.live.name,
        name=standing.of.name,
        kind=gift.kind,
        amount=amount,
        percent=gift.percent,
        at_most=at_most,
        minimum=minimum,
        products=reward.only.product if reward.only is not None else (),
        collections=reward.only.collection if reward.only is not None else (),
        stack=stack,
        on=reward.on,
        priority=reward.priority,
        percent_of=stacking.percent_of,
        many={"always": stacking.always, "common": stacking.common, "never": stacking.never}[stack],
        wallet=reward.wallet,
        price=standing.price or 0,
    )
    return _exchanged(_capped(one if voucher is None else _issued(one, voucher), standing.base_left), rate)


def _capped(one: Candidate, left: Decimal | None) -> Candidate:
    """The same where its percentage counts only for goods of what is left of its cap."""
    if left is None or one.percent is None:
        return one
    most = left * one.percent / 100
    return replace(one, at_most=most if one.at_most is None else min(most, one.at_most))


def _issued(one: Candidate, voucher: Voucher) -> Candidate:
    return replace(
        one,
        amount=voucher.amount,
        percent=voucher.percent,
        at_most=voucher.at_most,
        minimum=voucher.minimum,
        products=voucher.products,
        collections=voucher.collections,
        price=0,
    )


def _exchanged(one: Candidate, rate: Decimal) -> Candidate:
    """The same in the cart's money, of which one unit is worth `rate` of the program's."""

    def money(amount: Decimal | None) -> Decimal | None:
        return None if amount is None else amount / rate

    return replace(one, amount=money(one.amount), at_most=money(one.at_most), minimum=money(one.minimum))


def _given(cart: OrderSnapshot, given: Sequence[Weighed], budgets: Budgets) -> Combination:
    """Whether those that were asked for go together; where not, the best that can be made of them."""
    own = {one.key: one.refusals or (() if one.candidate else (_NOT_FOR_CARTS,)) for one in given}
    usable = [one.candidate for one in given if one.candidate is not None and not one.refusals]
    agreed = together(cart, usable, budgets)
    refused = {**{key: refusals for key, refusals in own.items() if refusals}, **agreed.refused}
    return Combination(taken=agreed.taken, refused=refused)
