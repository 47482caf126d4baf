"""What REST, CLI and pushes show: figures folded up to now by the engine's own function, so that late timers never show."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import Connection, select

from stampcard.domain.wallets import Balance, Wallet, balance_of
from stampcard.engine.counting import CounterKey
from stampcard.engine.settling import settle
from stampcard.engine.versions import Programs
from stampcard.storage.loading import load_wallets
from stampcard.storage.tables import counter


def folded_wallets(connection: Connection, merchant: str, members: Collection[str], now: datetime) -> list[Wallet]:
    """The members' wallets as of now, with their live lots."""
    return [settle(wallet, now)[0] for wallet in load_wallets(connection, merchant, members).values()]


def balances(
    connection: Connection, merchant: str, members: Collection[str], programs: Programs, now: datetime
) -> dict[str, dict[str, Balance]]:
    """Member → wallet → figures; a wallet without entries yet shows zeros."""
    found: dict[str, dict[str, Balance]] = {member: empty_balances(programs, now) for member in members}
    for wallet in folded_wallets(connection, merchant, members, now):
        found[wallet.member][wallet.name] = balance_of(wallet.sums, scale_of(programs, wallet.name))
    return found


def empty_balances(programs: Programs, now: datetime) -> dict[str, Balance]:
    """Every wallet that the programs have, at zero."""
    return {
        name: Balance(scale=terms.scale)
        for live in programs.current(now)
        for name, terms in live.program.wallets.items()
    }


def scale_of(programs: Programs, wallet: str) -> int:
    """Decimal places of a wallet's figures."""
    live = programs.of_wallet(wallet)
    return live.program.wallets[wallet].scale if live else 0


def counters_of(
    connection: Connection, merchant: str, programs: Programs, members: Collection[str]
) -> dict[CounterKey, int]:
    """Every counter of these members and of all together, without locking any."""
    if not programs.counts:
        return {}
    statement = select(counter).where(
        counter.c.merchant == merchant,
        counter.c.program.in_(sorted(programs.versions)),
        counter.c.member.in_(["", *sorted(members)]),
    )
    return {
        CounterKey(row.program, row.scope, row.period, row.member): row.value for row in connection.execute(statement)
    }


Figures = Mapping[str, Mapping[str, Balance]]
