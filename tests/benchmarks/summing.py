"""The reports over a year of very many entries, each beside counting and adding up the bare table once."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import samples
from measuring import Scale
from reporting import Figure
from sqlalchemy import Connection, text

from stampcard.clock import to_micros
from stampcard.domain.ledger import ACCOUNTS
from stampcard.engine.reports import REPORTS
from stampcard.engine.versions import Programs, assembled, compiled
from stampcard.program.reading import read_program
from stampcard.storage.database import Database
from stampcard.storage.reporting import Question, tell

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {value: 1 EUR per 100}}
tiers: {by: spend, levels: {green: 0, gold: 500}}
campaigns: {spring: {}}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
  - {id: more, on: purchase, award: 1 per 1 EUR, campaign: spring}
rewards: {off: {gives: 5 EUR off, price: 50, by: own}}
"""
BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
NOW = BEGIN + timedelta(days=365)
_DAY = 86_400_000_000
#: What each member's entries are, one after the other, over the year, and what they move.
KINDS = ("earn", "earn", "spend", "earn", "claw_back", "earn", "expire", "earn", "activate", "earn")
MOVES = {
    "earn": {"active": 100, "issued": -100},
    "spend": {"active": -50, "redeemed": 50},
    "claw_back": {"active": -20, "issued": 20},
    "expire": {"active": -30, "expired": 30},
    "activate": {"pending": -10, "active": 10},
}
_BARE = text("SELECT count(*), sum(issued), sum(redeemed), sum(expired) FROM entry WHERE merchant || '' = 'main'")


def measure(scale: Scale) -> Iterator[Figure]:
    """Each report by day, or as fine as it goes, over all of the year; then the last month of it."""
    programs = assembled([compiled(read_program(PROGRAM, "bench"), 1, datetime(2020, 1, 1, tzinfo=UTC))], 0)
    with samples.database() as database:
        _fill(database, scale.members)
        os.sync()
        took: dict[str, list[tuple[float, float]]] = {}
        for _ in range(scale.rounds):
            bare = _seconds(database, lambda connection: connection.execute(_BARE).all())
            for name, question in _questions().items():
                took.setdefault(name, []).append((_seconds(database, _asking(programs, question)), bare))
    for name, rounds in took.items():
        also = f"{scale.members * len(KINDS):,} entries of {scale.members:,} members in a year; SQLite"
        yield Figure(name=f"report-{name}", rounds=tuple(rounds), also=also if name == "points" else "")


def _questions() -> dict[str, Question]:
    first, last = str(BEGIN.date()), str(NOW.date() - timedelta(days=1))
    year = {
        name: Question(report=name, first=first, last=last, by="day" if report.splits else "")
        for name, report in REPORTS.items()
    }
    return {**year, "month": Question(report="points", first=f"{last[:7]}-01", last=last, by="day")}


def _asking(programs: Programs, question: Question) -> object:
    return lambda connection: tell(connection, "main", programs, question, NOW)


def _seconds(database: Database, work: object) -> float:
    def timed(connection: Connection) -> float:
        started = time.perf_counter()
        work(connection)  # type: ignore[operator]
        return time.perf_counter() - started

    return database.read_now(timed)


def _fill(database: Database, members: int) -> None:
    """Members in a scattered order, as ids are, and what happened to them in the order in which it did."""
    who, began = "printf('m_%024d', i * 2654435761 % 4294967291)", to_micros(BEGIN)
    numbers = f"WITH RECURSIVE m(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM m WHERE i < {members - 1}) "  # noqa: S608 - our own
    state, moved = "x" * 900, '{"type":"tier_moved","program":"main","way":"up","tier":"gold","before":"green",'
    moved += '"occurred_at":"2025-06-01T00:00:00Z"}'
    with closing(database.engine.raw_connection()) as connection:
        run = connection.cursor().execute
        run("PRAGMA synchronous=OFF")

        def put(table: str, values: str) -> None:
            run("BEGIN")
            run(f"{numbers}INSERT INTO {table} SELECT 'main', {values} FROM m")  # noqa: S608 - our own
            run("COMMIT")

        put("member (merchant, id, joined_at)", f"{who}, {began}")
        put("membership (merchant, member, program, joined_at)", f"{who}, 'main', {began} + i % 300 * {_DAY}")
        put("tier (merchant, member, program, name, since, state)", f"{who}, 'main', 'gold', 0, '{{}}'")
        columns = f"merchant, member, wallet, {', '.join(ACCOUNTS)}, entries, opened, booked_to"
        held = {account: sum(MOVES[kind].get(account, 0) for kind in KINDS) for account in ACCOUNTS} | {"pending": 0}
        held["active"] = -sum(amount for account, amount in held.items() if account != "active")
        amounts = ", ".join(str(held[account]) for account in ACCOUNTS)
        put(f"balance ({columns})", f"{who}, 'points', {amounts}, {len(KINDS)}, 6, {began}")
        for number, kind in enumerate(KINDS):
            at = f"{began} + {number} * 36 * {_DAY} + i * 7919 % 36 * {_DAY} + i * 104729 % 86400 * 1000000"
            subject = f"'order:shop:' || (i * 10 + {number})"
            amounts = ", ".join(str(MOVES[kind].get(account, 0)) for account in ACCOUNTS)
            rule = "CASE WHEN i % 3 THEN 'buy' ELSE 'more' END" if "issued" in MOVES[kind] else "''"
            put(
                f"entry (merchant, member, wallet, number, kind, occurred_at, posted_at, {', '.join(ACCOUNTS)}, moves, "
                "subject, rule, revision)",
                f"{who}, 'points', {number} + 1, '{kind}', {at}, {at}, {amounts}, '[[1,\"active\",100]]', {subject}, {rule}, 1",
            )
            if kind == "earn":
                put(
                    "order_state (merchant, source, reference, member, first_seen_at, updated_at, state, occurred_at, spend, "
                    "currency)",
                    f"'shop', i * 10 + {number}, {who}, 0, 0, '{state}', {at}, 1000000, 'EUR'",
                )
                put(
                    "lot (merchant, member, wallet, number, amount, remaining, active, available_from, occurred_at, subject)",
                    f"{who}, 'points', {number} + 1, 100, 60, 1, {at}, {at}, {subject}",
                )
                put(
                    "award (merchant, subject, member, program, rule, wallet, granted, written_off)",
                    f"{subject}, {who}, 'main', {rule}, 'points', 100, i % 50 = 0",
                )
            if kind == "spend":
                put(
                    "redemption (merchant, id, member, program, version, reward, kind, gives, by, status, wallet, price, "
                    "worth, created_at, issued_at, ended_at)",
                    f"'r_' || i, {who}, 'main', 1, 'off', 'amount_off', '', 'own', 'used', 'points', 50, 50000, {at}, {at}, "
                    f"{at} + {_DAY}",
                )
                put(
                    "debit (merchant, key, member, wallet, amount, draws, created_at)",
                    f"'redemption:r_' || i, {who}, 'points', 50, '[]', {at}",
                )
            if kind == "expire":
                put(
                    "event (merchant, id, kind, subject, member, occurred_at, applied_at, body)",
                    f"(({at}) / 1000 << 22) + i % 4194304, 'tier_moved', 'member:' || {who}, {who}, {at}, {at}, '{moved}'",
                )
            else:
                put(
                    "event (merchant, id, kind, subject, member, occurred_at, applied_at, body)",
                    f"(({at}) / 1000 << 22) + i % 4194304 + 1, 'order_seen', {subject}, {who}, {at}, {at}, '{state}'",
                )
        run("PRAGMA wal_checkpoint(TRUNCATE)")
