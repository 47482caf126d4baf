"""Points and what they are worth, from the entries since the first day and the balances of now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Connection, Select, case, func, select

from stampcard.clock import from_micros, to_micros
from stampcard.domain.ledger import ACCOUNTS, MEMBER_ACCOUNTS, Account
from stampcard.engine.reporting import Asked
from stampcard.storage.reports.folding import BY_TIME, due_wallets
from stampcard.storage.reports.periods import period_of
from stampcard.storage.tables import balance, entry

#: What an entry is to the report: its kind, or for adjustments which way they went and whether a reward paid them.
UP, DOWN, EXCHANGE = "adjust up", "adjust down", "exchange"
_REDEMPTION = "redemption:"
#: Column of the report → the account that it sums, with its sign, over these entries.
FLOWS: dict[str, tuple[Account, int, frozenset[str]]] = {
    "earned": ("issued", -1, frozenset({"earn"})),
    "restored": ("issued", -1, frozenset({"restore"})),
    "adjusted_up": ("adjusted", -1, frozenset({UP})),
    "exchanged": ("adjusted", -1, frozenset({EXCHANGE})),
    "imported": ("imported", -1, frozenset({"import"})),
    "adjusted_down": ("adjusted", 1, frozenset({DOWN})),
    "taken_back": ("issued", 1, frozenset({"claw_back"})),
    "spent": ("redeemed", 1, frozenset({"spend", "redeem"})),
    "returned": ("redeemed", -1, frozenset({"cancel_spend"})),
    "expired": ("expired", 1, frozenset({"expire", "lapse", "cancel_spend", "release"})),
    "expired_taken": ("expired", -1, frozenset({"claw_back"})),
}
#: (wallet, period, what an entry is, account) → amount
Sums: TypeAlias = Counter[tuple[str, int, str, Account]]


def read_points(connection: Connection, asked: Asked) -> Iterator[dict[str, Any]]:
    """A row for each wallet and period."""
    sums, unbooked = _moved(connection, asked)
    booked = _booked(connection, asked)
    moved: Counter[tuple[str, int, Account]] = Counter()
    for (wallet, period, _, account), amount in sums.items():
        moved[wallet, period, account] += amount
    for wallet in asked.wallets:
        stand = {account: booked[wallet, account] + unbooked[wallet, account] for account in MEMBER_ACCOUNTS}
        for period in range(1, len(asked.span.starts) + 2):
            stand = {account: amount - moved[wallet, period, account] for account, amount in stand.items()}
        for period, (first, last) in enumerate(asked.span.periods, 1):
            before = sum(stand.values())
            stand = {account: amount + moved[wallet, period, account] for account, amount in stand.items()}
            ends: dict[str, int] = {str(account): amount for account, amount in stand.items()} | {
                "debt": -stand["debt"]
            }
            row = {"from": first, "to": last, "wallet": wallet, "scale": asked.scale(wallet), "before": before}
            yield {**row, **_flows(sums, wallet, period), **ends}


def _flows(sums: Sums, wallet: str, period: int) -> dict[str, int]:
    return {
        name: sign * sum(sums[wallet, period, what, account] for what in whats)
        for name, (account, sign, whats) in FLOWS.items()
    }


def read_liability(connection: Connection, asked: Asked) -> Iterator[dict[str, Any]]:
    """The same at the end of each period, in money."""
    currency = asked.live.program.currency
    ends = dict(zip(asked.span.periods, asked.span.moments[1:], strict=True))
    for row in read_points(connection, asked):
        end = min(ends[row["from"], row["to"]], asked.now)
        value = asked.value(row["wallet"], end)
        yield {**row, "day": row["to"], "value": value, "currency": currency if value is not None else ""}


def _moved(connection: Connection, asked: Asked) -> tuple[Sums, Counter[tuple[str, Account]]]:
    """What moved in which period, and how much of it no balance knows yet."""
    sums: Sums = Counter()
    unbooked: Counter[tuple[str, Account]] = Counter()
    for wallet, what, period, *amounts in connection.execute(_entries(asked)):
        for account, amount in zip(ACCOUNTS, amounts, strict=True):
            sums[wallet, period, what, account] += int(amount)
    for wallet, what, period, due_at, posted_before, *amounts in connection.execute(_late(asked)):
        right = asked.span.period_at(from_micros(max(due_at, posted_before or 0)))
        for account, amount in zip(ACCOUNTS, amounts, strict=True):
            sums[wallet, period, what, account] -= amount
            sums[wallet, right, what, account] += amount
    for due in due_wallets(connection, asked):
        for at, one in due.entries:
            for account, amount in one.postings.items():
                sums[due.wallet, asked.span.period_at(at), one.kind, account] += amount
                unbooked[due.wallet, account] += amount
    return sums, unbooked


def _of_span(asked: Asked) -> tuple[ColumnElement[bool], ...]:
    since = to_micros(asked.span.moments[0])
    return entry.c.merchant == asked.merchant, entry.c.posted_at >= since, entry.c.wallet.in_(asked.wallets)


def _entries(asked: Asked) -> Select[Any]:
    """All of them, by when they were booked."""
    what = case(
        (entry.c.kind != "adjust", entry.c.kind),
        (entry.c.subject.startswith(_REDEMPTION), EXCHANGE),
        (entry.c.adjusted < 0, UP),
        else_=DOWN,
    )
    period = period_of(entry.c.posted_at, asked.span).label("period")
    accounts = [entry.c[account] for account in ACCOUNTS]
    rows = select(entry.c.wallet, what.label("what"), period, *accounts).where(*_of_span(asked)).subquery()
    key = (rows.c.wallet, rows.c.what, rows.c.period)
    return select(*key, *(func.sum(rows.c[account]) for account in ACCOUNTS)).group_by(*key)


def _late(asked: Asked) -> Select[Any]:
    """What time did in one period and was booked in a later one; it cannot have been done before what it was done to."""
    earlier = entry.alias()
    before = (
        select(func.max(earlier.c.posted_at))
        .where(
            earlier.c.merchant == entry.c.merchant,
            earlier.c.member == entry.c.member,
            earlier.c.wallet == entry.c.wallet,
            earlier.c.number < entry.c.number,
            earlier.c.kind.not_in(BY_TIME),
        )
        .scalar_subquery()
    )
    booked = period_of(entry.c.posted_at, asked.span)
    return select(
        entry.c.wallet,
        entry.c.kind,
        booked.label("period"),
        entry.c.occurred_at,
        before,
        *(entry.c[account] for account in ACCOUNTS),
    ).where(*_of_span(asked), entry.c.kind.in_(BY_TIME), period_of(entry.c.occurred_at, asked.span) < booked)


def _booked(connection: Connection, asked: Asked) -> Counter[tuple[str, Account]]:
    sums = [func.sum(balance.c[account]) for account in MEMBER_ACCOUNTS]
    statement = select(balance.c.wallet, *sums).where(
        balance.c.merchant == asked.merchant, balance.c.wallet.in_(asked.wallets)
    )
    found: Counter[tuple[str, Account]] = Counter()
    for wallet, *amounts in connection.execute(statement.group_by(balance.c.wallet)):
        found.update({(wallet, account): int(n) for account, n in zip(MEMBER_ACCOUNTS, amounts, strict=True)})
    return found
