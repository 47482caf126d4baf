"""A scene to play programs on: orders and events of a few members, and what they come to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from stampcard.domain.decisions import Reason
from stampcard.domain.events import CustomEvent, OrderSeen, RefundSeen
from stampcard.domain.members import Member
from stampcard.domain.orders import Refund
from stampcard.domain.value import replace
from stampcard.domain.wallets import balance_of
from stampcard.engine.deciding import decide_custom, decide_order
from stampcard.engine.describing import Past, purchase_of
from stampcard.engine.requesting import decide_spend
from stampcard.engine.settling import settle
from stampcard.engine.world import NO_FACTS, Decision, Facts, World
from stampcard.testing.building import LONG_AGO, NOON, absorbed, order, world

HEAD = "program: main\ncurrency: EUR\ntimezone: Europe/Berlin\n"
LATER = NOON + timedelta(days=1)


class Scene:
    """Plays one program; `points` and `codes` tell what the last event came to, by rule."""

    def __init__(self, text: str, *, now: datetime = LATER, members: tuple[str, ...] = ("ann", "ben")) -> None:
        self.world: World = world(HEAD + text, now=now, members=members)
        self.reasons: tuple[Reason, ...] = ()
        self.last: Decision | None = None
        self._number = 0

    def knows(self, member: str, **attributes: Any) -> None:
        person = replace(self.world.members[member], attributes=attributes)
        self.world = replace(self.world, members={**self.world.members, member: person})

    def named(self, member: str, *names: str) -> None:
        person = replace(self.world.members[member], names=frozenset(names))
        self.world = replace(self.world, members={**self.world.members, member: person})

    def stops(self, *targets: str) -> None:
        self.world = replace(self.world, programs=replace(self.world.programs, stopped=frozenset(targets)))

    def buys(self, *amounts: Any, by: str = "ann", reference: str = "", facts: Facts = NO_FACTS, **more: Any) -> Scene:
        self._number += 1
        reference = reference or f"O{self._number}"
        event = OrderSeen(reference=reference, snapshot=order(*amounts, customer=by, **more))
        return self._take(decide_order(self.world, event, "shop", by, self.world.now, facts))

    def refunds(self, reference: str, refund: Refund) -> Scene:
        return self._take(
            decide_order(self.world, RefundSeen(order=reference, refund=refund), "shop", None, self.world.now)
        )

    def does(
        self, name: str, by: str = "ann", at: datetime | None = None, data: Mapping[str, Any] | None = None
    ) -> Scene:
        self._number += 1
        event = CustomEvent(
            name=name, customer=by, key=f"k{self._number}", occurred_at=at or self.world.now, data=data or {}
        )
        return self._take(decide_custom(self.world, event, self.world.members[by], "shop"))

    def spends(self, points: int, by: str = "ann", key: str = "s1", on: str = "") -> Scene:
        subject = f"order:shop:{on}" if on else ""
        return self._take(decide_spend(self.world, by, "points", points, key, "", subject))

    def _take(self, decision: Decision) -> Scene:
        self.last, self.reasons = decision, decision.reasons
        self.world = absorbed(self.world, decision)
        if decision.debits:
            debits = dict(self.world.debits)
            for debit in decision.debits:
                others = (one for one in debits.get(debit.subject, ()) if one.key != debit.key)
                debits[debit.subject] = (*others, debit)
            self.world = replace(self.world, debits=debits)
        if decision.order is not None and decision.order.member is not None:
            purchase, past = purchase_of(decision.order.state), self.world.pasts.get(decision.order.member, Past())
            if purchase is not None:
                past = replace(past, purchases={**past.purchases, decision.order.key: purchase})
                self.world = replace(self.world, pasts={**self.world.pasts, decision.order.member: past})
        return self

    def wait(self, **span: float) -> Scene:
        self.world = replace(self.world, now=self.world.now + timedelta(**span))
        return self

    @property
    def points(self) -> dict[str, int]:
        """Rule → what it is due after the last event."""
        return {reason.rule: reason.due for reason in self.reasons if reason.outcome in {"paid", "limited"}}

    @property
    def codes(self) -> dict[str, str]:
        """Rule → why it stands where it stands."""
        return {reason.rule: reason.code for reason in self.reasons}

    def balance(self, by: str = "ann", wallet: str = "points", at: datetime | None = None) -> Any:
        known = self.world.wallets.get((by, wallet))
        return balance_of(settle(known, at or self.world.now)[0].sums if known else {}, 0)

    def active(self, by: str = "ann", wallet: str = "points", at: datetime | None = None) -> int:
        active: int = self.balance(by, wallet, at).active
        return active


def stranger(name: str) -> Member:
    """Somebody who takes part in nothing yet."""
    return Member(id=name, joined_at=LONG_AGO)
