"""What conditions see: values by the variable names of the condition language."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from stampcard.domain.members import Member
from stampcard.domain.orders import ZERO, OrderLine, OrderSnapshot, OrderState, standing_refunds
from stampcard.domain.rewards import CHOICE, Redemption
from stampcard.domain.value import Value
from stampcard.engine.dating import midnight
from stampcard.program.history import HISTORY, OF_REWARDS, WINDOWS
from stampcard.program.model import Program

_Sight = Callable[[OrderSnapshot], Any]
_EVER = datetime.min.replace(tzinfo=UTC)

_AMOUNTS: Mapping[str, _Sight] = {
    "order.total": lambda order: order.total,
    "order.subtotal": lambda order: sum((line.gross - line.discount for line in order.lines), ZERO),
    "order.discount": lambda order: sum((line.discount for line in order.lines), ZERO),
    "order.tax": lambda order: sum((line.tax for line in order.lines), order.shipping_tax),
    "order.shipping": lambda order: order.shipping,
}
_ORDER: Mapping[str, _Sight] = {
    "order.currency": lambda order: order.currency,
    "order.channel": lambda order: order.channel,
    "order.number": lambda order: order.number,
    "order.tags": lambda order: list(order.tags),
    "order.items": lambda order: sum(line.quantity for line in order.lines),
}
_OF_LINES: Mapping[str, Callable[[OrderLine], Iterable[str]]] = {
    "order.by_sku": lambda line: (line.sku,),
    "order.by_product": lambda line: (line.product,),
    "order.by_vendor": lambda line: (line.vendor,),
    "order.by_collection": lambda line: line.collections,
    "order.by_tag": lambda line: line.tags,
}


def _line(line: OrderLine, rate: Decimal) -> dict[str, Any]:
    return {
        "product": line.product,
        "sku": line.sku,
        "vendor": line.vendor,
        "quantity": line.quantity,
        "gross": float(line.gross * rate),
        "discount": float(line.discount * rate),
        "tax": float(line.tax * rate),
        "gift_card": line.gift_card,
        "collections": list(line.collections),
        "tags": list(line.tags),
    }


def _sums(order: OrderSnapshot, names: Callable[[OrderLine], Iterable[str]], rate: Decimal) -> dict[str, float]:
    sums: dict[str, Decimal] = {}
    for line in order.lines:
        for name in filter(None, names(line)):
            sums[name] = sums.get(name, ZERO) + line.gross - line.discount
    return {name: float(amount * rate) for name, amount in sums.items()}


def order_variables(order: OrderSnapshot, reads: frozenset[str], rate: Decimal | None = None) -> dict[str, Any]:
    """The variables of an order that conditions read, as placed or edited, before refunds; `rate` to the program's money."""
    seen: dict[str, Any]
    if rate is None:
        seen = {name: float(describe(order)) for name, describe in _AMOUNTS.items() if name in reads}
    else:
        seen = {name: float(describe(order) * rate) for name, describe in _AMOUNTS.items() if name in reads}
    seen.update((name, describe(order)) for name, describe in _ORDER.items() if name in reads)
    if "order.lines" in reads:
        seen["order.lines"] = [_line(line, rate or Decimal(1)) for line in order.lines]
    for name, names in _OF_LINES.items():
        if name in reads:
            seen[name] = _sums(order, names, rate or Decimal(1))
    return seen


def member_variables(member: Member, reads: frozenset[str], at: datetime, program: str) -> dict[str, Any]:
    """The variables of a member that a program's conditions read."""
    variables: dict[str, Any] = {}
    if "member.attributes" in reads:
        variables["member.attributes"] = {k: v for k, v in member.attributes.items() if v is not None}
    if "member.joined_at" in reads:
        variables["member.joined_at"] = member.joined_at
    if "member.days" in reads:
        variables["member.days"] = max(0, (at - member.joined_at).days)
    if "member.segments" in reads:
        variables["member.segments"] = sorted(member.segments.get(program, ()))
    if "member.verified" in reads:
        proofs = member.proofs.get(program, {})
        variables["member.verified"] = sorted(name for name, one in proofs.items() if one.verified_at(at))
    if "member.plan" in reads:
        plans = member.plans.get(program, {})
        variables["member.plan"] = next((name for name, one in plans.items() if one.active_at(at)), "")
    if "member.perks" in reads:
        held = member.perks.get(program, {})
        variables["member.perks"] = sorted(name for name, one in held.items() if one.has_at(at))
    if "member.consents" in reads:
        variables["member.consents"] = sorted(member.consents)
    if "member.tier" in reads:
        tier = member.tiers.get(program)
        variables["member.tier"] = tier.name if tier is not None else ""
    return variables


class Purchase(Value, frozen=True):
    """What the past keeps of an order: `spend` is what the customer kept of a paid order's total."""

    occurred_at: datetime
    spend: Decimal
    currency: str


class Taken(Value, frozen=True):
    """What the past keeps of a reward that was taken or given: the points, in the smallest unit, that it still costs."""

    at: datetime
    program: str
    wallet: str = ""
    points: int = 0


class Past(Value, frozen=True):
    """A member's past: orders by (source, reference), (occurred_at, wallet, points in the smallest unit) earned, and
    rewards by the ids of their redemptions.
    """

    purchases: Mapping[tuple[str, str], Purchase] = {}
    points: tuple[tuple[datetime, str, int], ...] = ()
    taken: Mapping[str, Taken] = {}


def purchase_of(state: OrderState) -> Purchase | None:
    """What the past keeps of an order; nothing of one that is not paid."""
    snapshot = state.snapshot
    if snapshot is None or not snapshot.paid:
        return None
    back = sum((refund.money for refund in standing_refunds(state)), ZERO)
    spend = ZERO if snapshot.cancelled else max(ZERO, snapshot.total - back)
    return Purchase(occurred_at=snapshot.occurred_at, spend=spend, currency=snapshot.currency)


def taken_of(one: Redemption, returned: int = 0) -> Taken | None:
    """What the past keeps of a redemption of whose points so many went back.

    Nothing of one that was given up or taken back, of one whose points went back unused, and of what was picked from a
    choice: that was taken once already.
    """
    unused = one.status == "expired" and one.returns and not one.orders
    if one.status in {"released", "revoked"} or unused or one.subject.startswith(CHOICE):
        return None
    return Taken(at=one.created_at, program=one.program, wallet=one.wallet, points=one.price - returned)


def history_variables(
    past: Past, program: Program, reads: frozenset[str], at: datetime, leaving_out: tuple[str, str] | None = None
) -> dict[str, Any]:
    """The figures of a member's past that conditions read, up to the day of `at`, without the order at hand."""
    zone = program.zone
    found: dict[str, Any] = {}
    for name in reads & HISTORY.keys():
        asked = HISTORY[name]
        first, end = span(asked.window, at.astimezone(zone).date(), zone)
        if asked.of in OF_REWARDS:
            rewards = [
                one
                for one in past.taken.values()
                if one.program == program.program and first <= one.at < end and one.at <= at
            ]
            found[name] = len(rewards) if asked.of == "redemptions" else _points_of(rewards, program)
            continue
        if asked.of == "points":
            found[name] = sum(
                points / 10 ** program.wallets[wallet].scale
                for when, wallet, points in past.points
                if first <= when < end and when <= at and wallet in program.wallets
            )
            continue
        orders = [
            purchase
            for key, purchase in past.purchases.items()
            if first <= purchase.occurred_at < end and purchase.occurred_at <= at and key != leaving_out
        ]
        if asked.of == "orders":
            found[name] = len(orders)
        else:
            found[name] = float(sum((_converted(one, program) for one in orders), ZERO))
    return found


def _points_of(rewards: Iterable[Taken], program: Program) -> float:
    """What rewards cost, in whole points."""
    wallets = program.wallets
    return float(sum(one.points / 10 ** wallets[one.wallet].scale for one in rewards if one.wallet in wallets))


@lru_cache(maxsize=1024)
def span(window: str, day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The first moment of a window, and the moment behind its last."""
    first, end = WINDOWS[window](day)
    return (_EVER if first == date.min else midnight(first, zone)), midnight(end, zone)


def _converted(purchase: Purchase, program: Program) -> Decimal:
    """Spend in the program's money; nothing where it names no rate."""
    rate = rate_of(program, purchase.currency, purchase.occurred_at)
    return ZERO if rate is None else purchase.spend * rate


def rate_of(program: Program, currency: str, at: datetime) -> Decimal | None:
    """How much of the program's money one unit was worth on that day; None where the program names no rate."""
    if currency == program.currency:
        return Decimal(1)
    rates = program.rates.get(currency)
    if not rates:
        return None
    day = at.astimezone(program.zone).date()
    return next((rate for first, rate in reversed(list(rates.items())) if first <= day), next(iter(rates.values())))
