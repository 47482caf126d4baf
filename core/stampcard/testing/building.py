"""Short ways to make domain values in tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from stampcard.domain.members import Member
from stampcard.domain.orders import OrderLine, OrderSnapshot, Refund, RefundLine, Stamp
from stampcard.domain.value import replace
from stampcard.engine.versions import Programs, assembled, compiled
from stampcard.engine.world import Decision, World
from stampcard.program.reading import read_program

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {refunds: {policy: within_balance}}}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 EUR}
"""


def programs(text: str = PROGRAM, *, valid_from: datetime = LONG_AGO, revision: int = 0) -> Programs:
    """Programs with one version of one program."""
    return assembled([compiled(read_program(text, "test program"), 1, valid_from)], revision)


def world(text: str = PROGRAM, *, now: datetime = NOON, members: Sequence[str] = ("ann",)) -> World:
    """A world that knows these members and nothing else."""
    live = programs(text)
    taking_part = frozenset(live.versions)
    return World(
        now=now,
        programs=live,
        members={name: Member(id=name, joined_at=LONG_AGO, programs=taking_part) for name in members},
    )


def lines(*amounts: Any) -> tuple[OrderLine, ...]:
    """Lines L1, L2 … of these amounts."""
    return tuple(
        OrderLine(reference=f"L{index}", quantity=1, gross=Decimal(str(amount)))
        for index, amount in enumerate(amounts, start=1)
    )


def order(*amounts: Any, at: datetime = NOON, age: int = 0, **more: Any) -> OrderSnapshot:
    """A paid order by customer 1; `age` counts its states, in seconds after it was placed."""
    of = more.pop("lines", lines(*amounts))
    fields: dict[str, Any] = {
        "number": "#1",
        "occurred_at": at,
        "currency": "EUR",
        "total": sum((line.gross - line.discount for line in of), Decimal(0)),
        "paid": True,
        "customer": "1",
        "lines": of,
        "stamp": Stamp(at=at + timedelta(seconds=age), digest=str(age)),
    }
    return OrderSnapshot(**{**fields, **more})


def refund(
    reference: str, returned: Iterable[tuple[str, Any]] = (), *, money: Any = None, at: datetime = NOON, **more: Any
) -> Refund:
    """A refund of (line, subtotal) pairs, or of money alone."""
    given = tuple(RefundLine(line=line, quantity=1, subtotal=Decimal(str(amount))) for line, amount in returned)
    paid = Decimal(str(money)) if money is not None else sum((line.subtotal for line in given), Decimal(0))
    stamp = Stamp(at=at + timedelta(hours=1), digest=reference)
    return Refund(
        **{"reference": reference, "stamp": stamp, "occurred_at": stamp.at, "lines": given, "money": paid, **more}
    )


def absorbed(world: World, decision: Decision) -> World:
    """The world after a decision, for the next one."""
    awards = {subject: dict(of) for subject, of in world.awards.items()}
    for award in decision.awards:
        awards.setdefault(award.subject, {})[award.member, award.program, award.rule] = award
    order, member = decision.order, decision.member
    return replace(
        world,
        awards=awards,
        orders={**world.orders, (order.source, order.reference): order} if order else world.orders,
        members={**world.members, member.id: member} if member else world.members,
        wallets={**world.wallets, **{(w.member, w.name): w for w in decision.wallets}},
        counters={**world.counters, **decision.counters},
    )
