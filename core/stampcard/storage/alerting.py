"""Alerts among the events: what budgets reached, and what a look at the day finds; each told once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, exists, select

from stampcard.clock import from_micros, to_micros
from stampcard.domain.decisions import Alert
from stampcard.domain.value import Value
from stampcard.engine.alarming import LOOK_BACK, day_alert, dead_alert, silence_alert
from stampcard.storage import rows, saving
from stampcard.storage.depths import load_depths
from stampcard.storage.numbering import Numbering, number_at
from stampcard.storage.packing import unpack_reasons
from stampcard.storage.tables import event, inbox, job

#: The subject of every alert: they are found by it.
SUBJECT = "alerts"
CHUNK = 5_000
_DAY = timedelta(days=1)

_ALERT = msgspec.json.Decoder(Alert)


class Told(Value, frozen=True):
    """An alert, its number, and when it was told."""

    number: int
    at: datetime
    alert: Alert


def alert_row(merchant: str, number: int, alert: Alert, now: datetime) -> dict[str, Any]:
    """An alert as it stands among the events."""
    return {
        "merchant": merchant,
        "id": number,
        "kind": "alert",
        "subject": SUBJECT,
        "member": None,
        "connection": None,
        "delivery": None,
        "occurred_at": to_micros(now),
        "applied_at": to_micros(now),
        "body": rows.to_json(alert),
        "reasons": "[]",
    }


def list_alerts(
    connection: Connection, merchant: str, *, before: int | None = None, since: datetime | None = None, limit: int = 50
) -> list[Told]:
    """The newest first: those with a number below `before`, told from `since` on."""
    statement = select(event.c.id, event.c.applied_at, event.c.body).where(
        event.c.merchant == merchant, event.c.subject == SUBJECT
    )
    if before is not None:
        statement = statement.where(event.c.id < before)
    if since is not None:
        statement = statement.where(event.c.id >= number_at(since))
    found = connection.execute(statement.order_by(event.c.id.desc()).limit(limit))
    return [Told(number=row.id, at=from_micros(row.applied_at), alert=_ALERT.decode(row.body)) for row in found]


class Seen(Value, frozen=True):
    """What a look at the day found: alerts that were not told yet, and counts to compare later days with, by name."""

    alerts: tuple[Alert, ...]
    counts: Mapping[str, int]


def look(connection: Connection, merchant: str, connections: Collection[str], now: datetime) -> Seen:
    """Look at the day and the one before; writes nothing, since a day may be long. Days are those of UTC here."""
    today = now.astimezone(UTC).date()
    told = {one.alert for one in list_alerts(connection, merchant, since=_start(today), limit=1000)}
    known = {(one.kind, one.scope, one.period) for one in told}
    counts, unusual = _yesterday(connection, merchant, today - _DAY)
    new = [
        alert
        for alert in (*unusual, *_today(connection, merchant, connections, today, now))
        if (alert.kind, alert.scope, alert.period) not in known
    ]
    return Seen(alerts=tuple(new), counts=counts)


def tell(connection: Connection, merchant: str, numbering: Numbering, seen: Seen, now: datetime) -> None:
    """Write down what a look found."""
    alerts = [alert_row(merchant, numbering.next(now), alert, now) for alert in seen.alerts]
    saving.insert(connection, "event", alerts)
    at = to_micros(now)
    counted = [
        {"merchant": merchant, "name": name, "done": count, "total": count, "started_at": at, "ended_at": at}
        for name, count in seen.counts.items()
    ]
    saving.insert_new(connection, "job", counted)


def _today(
    connection: Connection, merchant: str, connections: Collection[str], today: date, now: datetime
) -> Iterator[Alert]:
    dead = load_depths(connection, merchant).dead
    for name in connections:
        heard = [_heard(connection, merchant, name, now - _DAY * (ago + 1), now - _DAY * ago) for ago in range(8)]
        yield from filter(None, (silence_alert(name, today, heard), dead_alert(name, today, dead.get(name, 0))))


def _heard(connection: Connection, merchant: str, name: str, since: datetime, until: datetime) -> bool:
    mine = (inbox.c.merchant == merchant, inbox.c.connection == name, inbox.c.past == 0)
    between = (inbox.c.id >= number_at(since), inbox.c.id < number_at(until))
    return bool(connection.execute(select(exists().where(*mine, *between))).scalar())


def _yesterday(connection: Connection, merchant: str, yesterday: date) -> tuple[dict[str, int], list[Alert]]:
    """Count the day once, and compare it with the days before."""
    marker = _job_name(yesterday)
    if _amounts(connection, merchant, [marker]):
        return {}, []
    points = _paid(connection, merchant, yesterday)
    before = [yesterday - _DAY * ago for ago in range(1, LOOK_BACK + 1)]
    looked = _amounts(connection, merchant, [_job_name(day) for day in before])
    alerts = []
    for program in sorted(points.keys() | _programs(connection, merchant, yesterday - _DAY)):
        paid = _amounts(connection, merchant, [_job_name(day, program) for day in before])
        days = [paid.get(_job_name(day, program), 0) if _job_name(day) in looked else None for day in before]
        alert = day_alert(program, yesterday, points.get(program, 0), days)
        if alert is not None:
            alerts.append(alert)
    return {marker: 0, **{_job_name(yesterday, program): paid for program, paid in points.items()}}, alerts


def _programs(connection: Connection, merchant: str, day: date) -> set[str]:
    """The programs that paid on a day."""
    prefix = _job_name(day, "")
    statement = select(job.c.name).where(job.c.merchant == merchant, job.c.name.startswith(prefix, autoescape=True))
    return {name.removeprefix(prefix) for name in connection.execute(statement).scalars()}


def _amounts(connection: Connection, merchant: str, names: Collection[str]) -> Mapping[str, int]:
    statement = select(job.c.name, job.c.done).where(job.c.merchant == merchant, job.c.name.in_(list(names)))
    return {row.name: row.done for row in connection.execute(statement)}


def _job_name(day: date, program: str | None = None) -> str:
    return f"day:{day.isoformat()}" if program is None else f"day:{day.isoformat()}:{program}"


def _paid(connection: Connection, merchant: str, day: date) -> dict[str, int]:
    """Points that each program granted on a day, in the smallest units of its wallets."""
    found: dict[str, int] = {}
    place, end = number_at(_start(day)) - 1, number_at(_start(day + _DAY))
    # What a backfill brought was not paid for that day's doings.
    past = select(inbox.c.id).where(inbox.c.merchant == merchant, inbox.c.id == event.c.delivery, inbox.c.past == 1)
    statement = select(event.c.id, event.c.reasons).where(event.c.merchant == merchant, event.c.id < end, ~exists(past))
    while chunk := connection.execute(statement.where(event.c.id > place).order_by(event.c.id).limit(CHUNK)).all():
        place = chunk[-1].id
        for row in chunk:
            for reason in unpack_reasons(row.reasons):
                if reason.granted:
                    found[reason.program] = found.get(reason.program, 0) + reason.granted
    return found


def _start(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
