"""What rules and campaigns paid, for which orders, from the entries by the day of what was paid for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, func, literal, select

from stampcard.engine.reporting import Asked
from stampcard.storage.reports.owners import is_of, owner
from stampcard.storage.reports.people import money_of
from stampcard.storage.reports.periods import everything, may_concern, within
from stampcard.storage.tables import award, entry, order_state

#: (rule or campaign, wallet)
Key = tuple[str, str]


def read_rules(connection: Connection, asked: Asked) -> Iterator[dict[str, Any]]:
    """A row for each rule that the program has, or that paid anything, and its wallet."""
    campaigns = campaigns_of(asked)
    now = {(rule.id, rule.wallet) for rule in asked.live.program.rules if rule.wallet}
    for key, row in _rows(connection, asked, entry.c.rule, now):
        yield {"rule": key[0], "campaign": campaigns.get(key[0], ""), **row}


def read_campaigns(connection: Connection, asked: Asked) -> Iterator[dict[str, Any]]:
    """A row for each campaign with rules, and each wallet that they pay into."""
    campaigns = campaigns_of(asked)
    if not campaigns:
        return
    now = {(rule.campaign, rule.wallet) for rule in asked.live.program.rules if rule.wallet and rule.campaign}
    names = sorted(set(campaigns.values()))
    of = case(
        *((entry.c.rule.in_([rule for rule, one in campaigns.items() if one == name]), name) for name in names),
        else_="",
    )
    for key, row in _rows(connection, asked, of, now):
        if key[0]:
            yield {"campaign": key[0], **row}


def campaigns_of(asked: Asked) -> dict[str, str]:
    """Rule → its campaign, by the newest version that has begun and has the rule."""
    begun = [live for live in asked.programs.versions[asked.live.name] if live.valid_from <= asked.now]
    every = {rule.id: rule.campaign for live in begun for rule in live.program.rules}
    return {rule: campaign for rule, campaign in every.items() if campaign}


def _rows(
    connection: Connection, asked: Asked, of: ColumnElement[Any], now: set[Key]
) -> Iterator[tuple[Key, dict[str, Any]]]:
    paid = _by_key(connection, _paid(asked, of))
    orders = _by_key(connection, _orders(asked, of))
    written_off = _by_key(connection, _written_off(asked, of))
    end = min(asked.span.moments[-1], asked.now)
    for key in sorted(paid.keys() | {one for one in now if one[1] in asked.wallets}):
        sums, bought, lost = paid.get(key), orders.get(key), written_off.get(key)
        yield (
            key,
            {
                "wallet": key[1],
                "scale": asked.scale(key[1]),
                "orders": int(bought.orders) if bought else 0,
                "members": int(sums.members) if sums else 0,
                "granted": int(sums.granted) if sums else 0,
                "taken_back": int(sums.taken_back) if sums else 0,
                "written_off": int(lost.written_off) if lost else 0,
                "spend": money_of(bought.spend if bought else 0),
                "value": asked.value(key[1], end),
                "currency": asked.live.program.currency,
            },
        )


def _by_key(connection: Connection, statement: Select[Any]) -> Mapping[Key, Row[Any]]:
    return {(row.of, row.wallet): row for row in connection.execute(statement)}


def _paid_in_span(asked: Asked) -> tuple[ColumnElement[bool], ...]:
    """Entries of awards for what happened in the days, with whatever was taken back of them since."""
    return (
        entry.c.merchant == asked.merchant,
        may_concern(asked.span),
        entry.c.rule != "",
        entry.c.issued != 0,
        entry.c.wallet.in_(asked.wallets),
        *within(entry.c.occurred_at, asked.span),
    )


def _paid(asked: Asked, of: ColumnElement[Any]) -> Select[Any]:
    inner = (
        select(of.label("of"), entry.c.wallet, owner(asked).label("member"), entry.c.issued)
        .where(*_paid_in_span(asked))
        .subquery()
    )
    granted = func.sum(case((inner.c.issued < 0, -inner.c.issued), else_=0)).label("granted")
    taken_back = func.sum(case((inner.c.issued > 0, inner.c.issued), else_=0)).label("taken_back")
    members = func.count(inner.c.member.distinct()).label("members")
    key = (inner.c.of, inner.c.wallet)
    return select(*key, granted, taken_back, members).group_by(*key)


def _orders(asked: Asked, of: ColumnElement[Any]) -> Select[Any]:
    """Each order that was paid for, once, with what is left of it; both sides are read in indexes alone.

    The outer join lets databases begin with the orders of the days; those that nothing was paid for stand under no wallet.
    """
    subject = literal("order:").concat(order_state.c.source).concat(":").concat(order_state.c.reference)
    own = order_state.c.currency == asked.live.program.currency
    spend = case((own, order_state.c.spend), else_=0).label("spend")
    found = (
        select(of.label("of"), entry.c.wallet, order_state.c.source, order_state.c.reference, spend)
        .select_from(order_state)
        .outerjoin(
            entry,
            and_(
                entry.c.merchant == order_state.c.merchant,
                is_of(asked, order_state),
                entry.c.wallet.in_(asked.wallets),
                entry.c.subject == subject,
                # An award's first entry stands for it.
                entry.c.revision == 1,
            ),
        )
        .where(order_state.c.merchant == asked.merchant, order_state.c.spend > 0)
        .where(*within(order_state.c.occurred_at, asked.span))
    )
    # A rule pays for an order once, but several rules of a campaign may, and both of two who are one.
    once = of is entry.c.rule and not asked.merged
    inner = (found if once else found.distinct()).subquery()
    key = (inner.c.of, inner.c.wallet)
    return select(*key, func.count().label("orders"), func.sum(inner.c.spend).label("spend")).group_by(*key)


def _written_off(asked: Asked, of: ColumnElement[Any]) -> Select[Any]:
    """Of awards for what happened in the days; an outer join lets databases begin with the few that lost anything."""
    first = and_(
        entry.c.merchant == award.c.merchant,
        is_of(asked, award),
        entry.c.wallet == award.c.wallet,
        entry.c.subject == award.c.subject,
        entry.c.rule == award.c.rule,
        entry.c.revision == 1,
        *within(entry.c.occurred_at, asked.span),
    )
    inner = (
        select(of.label("of"), award.c.wallet, award.c.written_off, entry.c.number, award.c.subject, award.c.rule)
        .select_from(award)
        .outerjoin(entry, first)
        .where(everything(award, asked.merchant), award.c.written_off > 0, award.c.wallet.in_(asked.wallets))
        .subquery()
    )
    key = (inner.c.of, inner.c.wallet)
    lost = func.sum(case((inner.c.number.is_not(None), inner.c.written_off), else_=0)).label("written_off")
    return select(*key, lost).group_by(*key)
