"""Members and what they buy: who joined, who bought again, orders beside those of others, months since joining."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Subquery, and_, case, func, select

from stampcard.clock import to_micros
from stampcard.domain.value import replace
from stampcard.engine.counting import FINE
from stampcard.engine.reporting import Asked
from stampcard.engine.spanning import whole_months
from stampcard.storage.reports.owners import owner
from stampcard.storage.reports.periods import may_concern, period_of, within
from stampcard.storage.tables import entry, membership, order_state


def read_members(connection: Connection, asked: Asked) -> Iterator[dict[str, Any]]:
    """A row for each period."""
    joined = _joined(connection, asked)
    active: dict[int, tuple[int, int]] = {}
    for period, count, repeating in connection.execute(_active(asked)):
        active[period] = int(count), int(repeating)
    members = joined[0]
    for period, (first, last) in enumerate(asked.span.periods, 1):
        members += joined[period]
        count, repeating = active.get(period, (0, 0))
        row = {"from": first, "to": last, "joined": joined[period], "members": members}
        yield {**row, "active": count, "repeating": repeating}


def _joined(connection: Connection, asked: Asked) -> Counter[int]:
    period = period_of(membership.c.joined_at, asked.span).label("period")
    inner = select(period).where(*_of_program(asked)).subquery()
    return Counter(dict(_pairs(connection, select(inner.c.period, func.count()).group_by(inner.c.period))))


def _pairs(connection: Connection, statement: Select[Any]) -> Iterator[tuple[int, int]]:
    return ((int(key), int(count)) for key, count in connection.execute(statement))


def _of_program(asked: Asked) -> tuple[ColumnElement[bool], ...]:
    return membership.c.merchant == asked.merchant, membership.c.program == asked.live.name


def _purchases(asked: Asked) -> Subquery:
    """Orders of which something was kept, up to the end: whose, in which period, and whose how-manieth it is."""
    at, end = order_state.c.occurred_at, to_micros(asked.span.moments[-1])
    nth = func.row_number().over(partition_by=order_state.c.member, order_by=at)
    columns = (order_state.c.member, order_state.c.spend, order_state.c.currency)
    return (
        select(*columns, nth.label("nth"), period_of(at, asked.span).label("period"))
        .where(order_state.c.merchant == asked.merchant, at > 0, at < end, order_state.c.spend > 0)
        .subquery()
    )


def _is_member(asked: Asked, member: ColumnElement[Any]) -> ColumnElement[bool]:
    return and_(*_of_program(asked), membership.c.member == member)


def _active(asked: Asked) -> Select[Any]:
    """Period → members who bought in it, and those of them who had bought before."""
    bought = _purchases(asked)
    each = (
        select(bought.c.period, bought.c.member, func.max(bought.c.nth).label("nth"))
        .where(bought.c.period > 0, bought.c.member.is_not(None))
        .group_by(bought.c.period, bought.c.member)
        .subquery()
    )
    again = func.sum(case((each.c.nth > 1, 1), else_=0))
    return (
        select(each.c.period, func.count(), again)
        .join(membership, _is_member(asked, each.c.member))
        .group_by(each.c.period)
    )


def read_orders(connection: Connection, asked: Asked) -> Iterator[dict[str, Any]]:
    """A row for each period, currency, and members or others."""
    found = {(row.period, row.currency, row.who): row for row in connection.execute(_by_currency(asked))}
    currencies = sorted({currency for _, currency, _ in found} | {asked.live.program.currency})
    for period, (first, last) in enumerate(asked.span.periods, 1):
        for currency in currencies:
            for who in ("members", "others"):
                row = found.get((period, currency, who))
                yield {
                    "from": first,
                    "to": last,
                    "currency": currency,
                    "who": who,
                    "orders": int(row.orders) if row else 0,
                    "spend": money_of(row.spend if row else 0),
                    "repeats": (int(row.repeats) if row else 0) if who == "members" else None,
                }


def _by_currency(asked: Asked) -> Select[Any]:
    bought = _purchases(asked)
    who = case((membership.c.member.is_not(None), "members"), else_="others")
    each = (
        select(bought.c.period, bought.c.currency, who.label("who"), bought.c.spend, bought.c.nth)
        .outerjoin(membership, _is_member(asked, bought.c.member))
        .where(bought.c.period > 0)
        .subquery()
    )
    key = (each.c.period, each.c.currency, each.c.who)
    repeats = func.sum(case((each.c.nth > 1, 1), else_=0)).label("repeats")
    return select(*key, func.count().label("orders"), func.sum(each.c.spend).label("spend"), repeats).group_by(*key)


def money_of(fine: Any) -> Decimal:
    """Money out of its ten-thousandths."""
    return (Decimal(int(fine or 0)) / FINE).quantize(Decimal("0.01"))


def read_cohorts(connection: Connection, asked: Asked) -> Iterator[dict[str, Any]]:
    """A row for each month of joining, each month since, and each wallet."""
    asked = replace(asked, span=whole_months(asked.span))
    joined = _joined(connection, asked)
    bought = {(row.joined, row.period): row for row in connection.execute(_bought_since(asked))}
    points = {(row.joined, row.period, row.wallet): row.points for row in connection.execute(_points_since(asked))}
    months = asked.span.starts
    for cohort, first in enumerate(months, 1):
        for month in range(len(months) - cohort + 1 if joined[cohort] else 0):
            row = bought.get((cohort, cohort + month))
            for wallet in asked.wallets:
                yield {
                    "joined": first,
                    "month": month,
                    "members": joined[cohort],
                    "buyers": int(row.buyers) if row else 0,
                    "orders": int(row.orders) if row else 0,
                    "spend": money_of(row.spend if row else 0),
                    "currency": asked.live.program.currency,
                    "wallet": wallet,
                    "scale": asked.scale(wallet),
                    "points": int(points.get((cohort, cohort + month, wallet), 0)),
                }


def _bought_since(asked: Asked) -> Select[Any]:
    """Month of joining, month → how many members bought, how many orders, their spend in the program's currency."""
    at, own = order_state.c.occurred_at, order_state.c.currency == asked.live.program.currency
    inner = (
        select(
            order_state.c.member,
            period_of(at, asked.span).label("period"),
            case((own, order_state.c.spend), else_=0).label("spend"),
        )
        .where(order_state.c.merchant == asked.merchant, order_state.c.spend > 0, *within(at, asked.span))
        .where(order_state.c.member.is_not(None))
        .subquery()
    )
    each = (
        select(
            inner.c.member,
            inner.c.period,
            func.count().label("orders"),
            func.sum(inner.c.spend).label("spend"),
        )
        .group_by(inner.c.member, inner.c.period)
        .subquery()
    )
    found = _by_cohort(asked, each)
    key = (found.c.joined, found.c.period)
    figures = (func.sum(found.c.orders).label("orders"), func.sum(found.c.spend).label("spend"))
    return select(*key, func.count().label("buyers"), *figures).group_by(*key)


def _points_since(asked: Asked) -> Select[Any]:
    """Month of joining, month, wallet → points that rules granted and nobody took back."""
    inner = (
        select(
            owner(asked).label("member"),
            entry.c.wallet,
            period_of(entry.c.occurred_at, asked.span).label("period"),
            entry.c.issued,
        )
        .where(entry.c.merchant == asked.merchant, may_concern(asked.span), entry.c.issued != 0, entry.c.rule != "")
        .where(entry.c.wallet.in_(asked.wallets), *within(entry.c.occurred_at, asked.span))
        .subquery()
    )
    key = (inner.c.member, inner.c.wallet, inner.c.period)
    each = select(*key, func.sum(-inner.c.issued).label("points")).group_by(*key).subquery()
    found = _by_cohort(asked, each)
    by = (found.c.joined, found.c.period, found.c.wallet)
    return select(*by, func.sum(found.c.points).label("points")).group_by(*by)


def _by_cohort(asked: Asked, each: Subquery) -> Subquery:
    """Rows of members with the month in which they joined."""
    joined = period_of(membership.c.joined_at, asked.span).label("joined")
    return (
        select(joined, *each.c)
        .join(membership, _is_member(asked, each.c.member))
        .where(*within(membership.c.joined_at, asked.span))
        .subquery()
    )
