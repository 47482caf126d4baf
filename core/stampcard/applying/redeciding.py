"""Orders that are decided again although nothing new is told of them: something beside them changed."""

from __future__ import annotations

from collections.abc import Collection

from stampcard.applying.concerning import sign_up_keys
from stampcard.applying.unit import Sourced, Unit
from stampcard.domain.events import OrderSeen
from stampcard.engine.counting import keys_for
from stampcard.engine.deciding import decide_order
from stampcard.engine.world import Facts
from stampcard.program.events import PURCHASE, REFUND
from stampcard.storage import loading


def lock_orders(unit: Unit, members: Collection[str], orders: Collection[tuple[str, str]]) -> None:
    """Lock members, and orders with everybody who has awards for them."""
    owners = loading.load_owners(unit.connection, unit.setting.merchant, orders)
    unit.lock(sorted({*members, *owners}), sorted(orders), attributes=bool(orders))
    subjects = [f"order:{source}:{reference}" for source, reference in orders]
    prints = {print_ for order in unit.orders.values() for print_ in order.state.codes}
    if unit.setting.programs.gives or prints:
        unit.know_rewards(subjects=subjects, prints=prints)
    keys = set()
    for order in unit.orders.values():
        snapshot = order.state.snapshot
        if order.member is None or snapshot is None:
            continue
        keys |= set(sign_up_keys(unit, [order.member], snapshot.occurred_at))
        for versions in unit.setting.programs.versions.values():
            for live in versions:
                for on in (PURCHASE, REFUND):
                    keys |= set(keys_for(live, on, snapshot.occurred_at, order.member))
    unit.count(keys)


def decide_again(unit: Unit, orders: Collection[tuple[str, str]], customer: str | None = None) -> None:
    """Bring the awards of orders that are locked to what their state justifies now; what is pinned stays pinned.

    `customer`: the member whose they turned out to be.
    """
    for key in orders:
        order = unit.orders.get(key)
        owner = unit.members.get(order.member or "") if order is not None else None
        if order is None or order.state.snapshot is None or owner is None or not owner.is_there:
            continue
        event = OrderSeen(
            reference=order.reference, snapshot=order.state.snapshot, refunds=tuple(order.state.refunds.values())
        )
        facts = Facts(known=next((pin.member["facts"] for pin in order.pins.values() if "facts" in pin.member), {}))
        decision = decide_order(unit.world, event, order.source, customer or order.member, unit.now, facts, again=True)
        sourced = Sourced(event=event, connection=order.source, source=order.source, received_at=unit.now)
        unit.absorb(decision, sourced, customer or order.member)
