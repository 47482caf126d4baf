"""What became of the redemptions that began in the days."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, get_args

from sqlalchemy import Connection, Select, and_, case, func, literal, select

from stampcard.domain.rewards import RedemptionStatus
from stampcard.engine.reporting import Asked
from stampcard.storage.reports.people import money_of
from stampcard.storage.reports.periods import within
from stampcard.storage.tables import debit, redemption

STATUSES: tuple[str, ...] = get_args(RedemptionStatus)
_DAY = 86_400_000_000


def read_rewards(connection: Connection, asked: Asked) -> Iterator[dict[str, Any]]:
    """A row for each reward, kind and wallet that its price was paid from; also for rewards that nobody took."""
    found = {(row.reward, row.kind, row.wallet): row for row in connection.execute(_redemptions(asked))}
    taken = {reward for reward, _, _ in found}
    offered = asked.live.program.rewards.items()
    idle = {
        (name, of.gives.kind, of.wallet if of.price is not None else "") for name, of in offered if name not in taken
    }
    for key in sorted(found.keys() | idle):
        row = found.get(key)
        uses = int(row.uses) if row else 0
        figures = {name: int(getattr(row, name)) if row else 0 for name in (*STATUSES, "by_rules", "price", "returned")}
        yield {
            "reward": key[0],
            "kind": key[1],
            "wallet": key[2],
            "scale": asked.scale(key[2]) if key[2] else 0,
            **figures,
            "worth": money_of(row.worth if row else 0),
            "worth_used": money_of(row.worth_used if row else 0),
            "currency": asked.live.program.currency,
            "days_to_use": days(int(row.took) if row else 0, uses),
        }


def days(micros: int, times: int) -> Decimal | None:
    """How many days it took on average."""
    return (Decimal(micros) / times / _DAY).quantize(Decimal("0.01")) if times else None


def _redemptions(asked: Asked) -> Select[Any]:
    status = redemption.c.status
    used = and_(status == "used", redemption.c.issued_at.is_not(None))
    key = (redemption.c.reward, redemption.c.kind, redemption.c.wallet)
    own = literal("redemption:").concat(redemption.c.id)

    def total(condition: Any, amount: Any) -> Any:
        return func.sum(case((condition, amount), else_=0))

    return (
        select(
            *key,
            *(total(status == name, 1).label(name) for name in STATUSES),
            total(redemption.c.rule != "", 1).label("by_rules"),
            func.sum(redemption.c.price).label("price"),
            func.sum(func.coalesce(debit.c.returned, 0)).label("returned"),
            total(status.in_(("issued", "used")), redemption.c.worth).label("worth"),
            total(status == "used", redemption.c.worth).label("worth_used"),
            total(used, 1).label("uses"),
            total(used, redemption.c.ended_at - redemption.c.issued_at).label("took"),
        )
        .outerjoin(debit, and_(debit.c.merchant == redemption.c.merchant, debit.c.key == own))
        .where(redemption.c.merchant == asked.merchant, redemption.c.program == asked.live.name)
        .where(*within(redemption.c.created_at, asked.span))
        .group_by(*key)
    )
