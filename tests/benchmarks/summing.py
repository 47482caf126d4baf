"""The reports over a year of very many entries, each beside counting and adding up the bare table once."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
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
messages:
  spend: {on: points_spent, texts: {en: {subject: Spent, text: Thank you}}}
  expire: {on: points_expired, texts: {en: {subject: Expired, text: Come again}}}
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
_WHO, _BEGAN = "printf('m_%024d', i * 2654435761 % 4294967291)", to_micros(BEGIN)
_RISEN = (
    """'{"type":"tier_moved","program":"main","way":"up","tier":"gold","before":"green","""
    """"occurred_at":"2025-06-01T00:00:00Z"}'"""
)
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
    numbers = f"WITH RECURSIVE m(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM m WHERE i < {members - 1}) "  # noqa: S608 - our own
    with closing(database.engine.raw_connection()) as connection:
        run = connection.cursor().execute
        run("PRAGMA synchronous=OFF")
        for table, values in (*_people(), *(row for number, kind in enumerate(KINDS) for row in _moved(number, kind))):
            run("BEGIN")
            columns = ", ".join(values)
            run(f"{numbers}INSERT INTO {table} ({columns}) SELECT {', '.join(map(str, values.values()))} FROM m")  # noqa: S608 - our own
            run("COMMIT")
        run("PRAGMA wal_checkpoint(TRUNCATE)")


def _people() -> Iterator[tuple[str, dict[str, object]]]:
    """Tables and their columns, as SQL, of what each member has."""
    mine = {"merchant": "'main'", "member": _WHO}
    yield "member", {"merchant": "'main'", "id": _WHO, "joined_at": _BEGAN}
    yield "membership", {**mine, "program": "'main'", "joined_at": f"{_BEGAN} + i % 300 * {_DAY}"}
    yield "tier", {**mine, "program": "'main'", "name": "'gold'", "since": 0, "state": "'{}'"}
    sums = {str(account): sum(MOVES[kind].get(account, 0) for kind in KINDS) for account in ACCOUNTS} | {"pending": 0}
    sums["active"] = -sum(amount for account, amount in sums.items() if account != "active")
    yield "balance", {**mine, "wallet": "'points'", **sums, "entries": len(KINDS), "opened": 6, "booked_to": _BEGAN}


def _moved(number: int, kind: str) -> Iterator[tuple[str, dict[str, object]]]:
    """The same of one entry of each, and of what led to it."""
    at = f"({_BEGAN} + {number} * 36 * {_DAY} + i * 7919 % 36 * {_DAY} + i * 104729 % 86400 * 1000000)"
    mine, points = {"merchant": "'main'", "member": _WHO}, {"wallet": "'points'"}
    subject, many = f"'order:shop:' || (i * 10 + {number})", "'" + "x" * 900 + "'"
    rule = "CASE WHEN i % 3 THEN 'buy' ELSE 'more' END" if "issued" in MOVES[kind] else "''"
    moments = {"occurred_at": at, "posted_at": at}
    moves: dict[str, object] = {str(account): MOVES[kind].get(account, 0) for account in ACCOUNTS}
    about = {"moves": "'[[1,\"active\",100]]'", "subject": subject, "rule": rule, "revision": 1}
    yield "entry", {**mine, **points, "number": number + 1, "kind": f"'{kind}'", **moments, **moves, **about}
    moved = kind == "expire"
    event = {"kind": "'tier_moved'" if moved else "'order_seen'", "body": _RISEN if moved else many}
    id_ = f"({at} / 1000 << 22) + i % 4194304"
    yield "event", {**mine, **event, "id": id_, "subject": subject, "occurred_at": at, "applied_at": at}
    if kind == "earn":
        placed = {"source": "'shop'", "reference": f"i * 10 + {number}", "occurred_at": at, "state": many}
        seen = {"first_seen_at": 0, "updated_at": 0, "spend": 1_000_000, "currency": "'EUR'"}
        yield "order_state", {**mine, **placed, **seen}
        dates = {"available_from": at, "occurred_at": at, "subject": subject}
        yield "lot", {**mine, **points, "number": number + 1, "amount": 100, "remaining": 60, "active": 1, **dates}
        award = {"subject": subject, "program": "'main'", "rule": rule, "granted": 100, "written_off": "i % 50 = 0"}
        yield "award", {**mine, **points, **award}
    if kind in {"spend", "expire"}:
        yield from _written(mine, kind, id_, at, subject)
    if kind == "spend":
        reward = {"program": "'main'", "version": 1, "reward": "'off'", "kind": "'amount_off'", "gives": "''"}
        times = {"created_at": at, "issued_at": at, "ended_at": f"{at} + {_DAY}"}
        used = {"by": "'own'", "status": "'used'", "price": 50, "worth": 50_000, **times}
        yield "redemption", {**mine, **points, "id": "'r_' || i", **reward, **{f'"{k}"': v for k, v in used.items()}}
        yield (
            "debit",
            {**mine, **points, "key": "'redemption:r_' || i", "amount": 50, "draws": "'[]'", "created_at": at},
        )


def _written(
    mine: Mapping[str, object], kind: str, id_: str, at: str, subject: str
) -> Iterator[tuple[str, dict[str, object]]]:
    """A message about it that arrived, of which a third were answered; with what was told of it."""
    way = {"channel": "'email'", "connection": "'mail'", "purpose": "'marketing'", "language": "'en'"}
    named = {"program": "'main'", "name": f"'{kind}'", "occasion": subject, "state": "'delivered'", **way}
    replied = {
        "answered_at": f"CASE WHEN i % 3 = 0 THEN {at} + {_DAY} END",
        "score": "CASE WHEN i % 3 = 0 THEN i % 11 END",
    }
    yield (
        "message",
        {**mine, "id": id_, **named, **replied, "created_at": at, "due_at": at, "attempted_at": at, "parts": 1},
    )
    for state in ("sent", "delivered"):
        yield "message_step", {"merchant": "'main'", "message": id_, "state": f"'{state}'", "at": at}
