"""Members on hold: they earn nothing and redeem nothing until somebody lets them go on."""

from __future__ import annotations

from sqlalchemy import select

from stampcard.applying.locking import lock_member, present
from stampcard.applying.redeciding import decide_again, lock_orders
from stampcard.applying.unit import Unit
from stampcard.domain.members import Held
from stampcard.errors import Conflict, RequestRefused
from stampcard.storage import loading
from stampcard.storage.tables import order_state


def hold(unit: Unit, member: str, reason: str) -> None:
    """Put a member on hold; raises Conflict for one who is, RequestRefused without a reason."""
    if not reason.strip():
        raise RequestRefused("reason_missing", "say why the member is on hold")
    lock_member(unit, member)
    person = unit.members[member]
    if person.held is not None:
        since = f"{person.held.since:%Y-%m-%d %H:%M}Z"
        raise Conflict("on_hold", f"the member is on hold already, since {since}: {person.held.reason}")
    unit.set_held(member, Held(since=unit.now, reason=reason.strip()))


def let_go(unit: Unit, member: str) -> int:
    """End a member's hold, and decide the orders again that awarded nothing because of it; answers how many.

    Raises Conflict for a member who is not on hold.
    """
    # Only the row is locked here, so that what comes in waits for us; all else is loaded once, with the orders.
    setting = unit.setting
    loading.load_members(unit.connection, setting.merchant, [member], setting.sealer, attributes=False, lock=True)
    orders = _refused(unit, member)
    lock_orders(unit, [member], orders)
    present(unit, member)
    person = unit.members[member]
    if person.held is None:
        raise Conflict("not_on_hold", "the member is not on hold")
    unit.set_held(member, None)
    decide_again(unit, orders)
    return len(orders)


def _refused(unit: Unit, member: str) -> list[tuple[str, str]]:
    """The member's orders that a hold kept from being paid."""
    found = unit.connection.execute(
        select(order_state.c.source, order_state.c.reference).where(
            order_state.c.merchant == unit.setting.merchant,
            order_state.c.member == member,
            order_state.c.pins.like('%"refused":"on_hold"%'),
        )
    )
    return [(row.source, row.reference) for row in found]
