"""Rows of the outbox: commands that are done once, and what is known of each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, bindparam, delete, select, update

from stampcard.clock import to_micros
from stampcard.domain.commands import OWN, Command
from stampcard.domain.deliveries import Delivery
from stampcard.domain.events import CommandSettled
from stampcard.domain.rewards import ACTIONS, ISSUE
from stampcard.domain.value import Value
from stampcard.errors import ConfigurationError
from stampcard.sealing import Sealer
from stampcard.storage.inboxing import take_in
from stampcard.storage.numbering import Numbering, number_at
from stampcard.storage.rows import open_object, seal_object
from stampcard.storage.tables import outbox

#: Commands that one transaction deletes.
FORGOTTEN = 2_000
#: After how long a row that says `attempting` cannot belong to a running call any more.
ABANDONED = timedelta(seconds=60)
#: After how long a command that had to let another go first is looked at again.
TURN = timedelta(seconds=1)

_SETTLED = ("status", "attempts", "due_at", "error", "result_sealed")
_SETTLE = (
    update(outbox)
    .where(
        outbox.c.merchant == bindparam("b_merchant"),
        outbox.c.id == bindparam("b_id"),
        # Whoever dropped it, erased its member or found out about it meanwhile has the last word.
        outbox.c.status == bindparam("b_status"),
        outbox.c.attempts == bindparam("b_attempts"),
    )
    .values({name: bindparam(name) for name in _SETTLED})
)


class DueCommand(Value, frozen=True):
    """A command to send, or, when `unknown`, one whose outcome must be found out first."""

    id: int
    command: Command
    attempts: int
    unknown: bool


class CommandResult(Value, frozen=True):
    """What becomes of a command that was `was` after `attempts` tries; `tried` counts them now."""

    id: int
    key: str
    status: str
    attempts: int
    tried: int
    due_at: datetime
    was: str
    error: str | None = None
    result: dict[str, Any] | None = None


def _about(merchant: str, name: str, key: str) -> str:
    return f"outbox:{merchant}:{name}:{key}"


def due_commands(
    connection: Connection,
    merchant: str,
    name: str,
    kind: str,
    sealer: Sealer,
    now: datetime,
    limit: int,
    flying: Collection[int],
    visible_after: timedelta,
) -> list[DueCommand]:
    """Due commands of one connection.

    What was being attempted when its process died becomes unknown, and is looked for once its effect would surely be
    visible.
    """
    at = to_micros(now)
    patience = visible_after // timedelta(microseconds=1)
    connection.execute(
        update(outbox)
        .where(
            outbox.c.merchant == merchant,
            outbox.c.connection == name,
            outbox.c.kind == kind,
            outbox.c.status == "attempting",
            outbox.c.attempted_at < at - int(ABANDONED.total_seconds() * 1_000_000),
        )
        .values(
            status="unknown",
            error="the process stopped during the call",
            due_at=outbox.c.attempted_at + patience,
        )
    )
    statement = (
        select(outbox)
        .where(
            outbox.c.merchant == merchant,
            outbox.c.connection == name,
            outbox.c.kind == kind,
            outbox.c.status.in_(("ready", "unknown")),
            outbox.c.due_at <= at,
        )
        .order_by(outbox.c.rank, outbox.c.due_at, outbox.c.id)
        .limit(limit + len(flying))
    )
    rows = [row for row in connection.execute(statement) if row.id not in flying][:limit]
    early = _early(connection, merchant, rows)
    if early:
        later = to_micros(now + TURN)
        connection.execute(
            update(outbox).where(outbox.c.merchant == merchant, outbox.c.id.in_(early)).values(due_at=later)
        )
    rows = [row for row in rows if row.id not in early]
    return [command for row in rows if (command := _command(connection, merchant, row, sealer)) is not None]


def _early(connection: Connection, merchant: str, rows: Sequence[Row[Any]]) -> list[int]:
    """Which of these would overtake another command about the same reward: each kind has a queue of its own."""
    rows = [row for row in rows if row.kind in ACTIONS and row.kind != ISSUE]
    if not rows:
        return []
    of = select(outbox.c.id, outbox.c.connection, outbox.c.key).where(
        outbox.c.merchant == merchant,
        outbox.c.member.in_({row.member for row in rows}),
        outbox.c.kind.in_(ACTIONS),
        outbox.c.status.in_(("ready", "attempting", "unknown")),
    )
    first: dict[tuple[str, str], int] = {}
    for open_ in connection.execute(of.order_by(outbox.c.id.desc())):
        first[open_.connection, open_.key.partition(":")[0]] = open_.id
    return [row.id for row in rows if first.get((row.connection, row.key.partition(":")[0]), row.id) < row.id]


def _command(connection: Connection, merchant: str, row: Row[Any], sealer: Sealer) -> DueCommand | None:
    """The command of a row; one that cannot be opened any more is given up, visibly."""
    try:
        data = open_object(sealer, row.data_sealed, _about(merchant, row.connection, row.key))
    except ConfigurationError as error:
        connection.execute(
            update(outbox)
            .where(outbox.c.merchant == merchant, outbox.c.id == row.id)
            .values(status="dead", error=str(error))
        )
        return None
    command = Command(kind=row.kind, key=row.key, member=row.member, reference=row.reference, data=data)
    return DueCommand(id=row.id, command=command, attempts=row.attempts, unknown=row.status == "unknown")


def mark_attempting(connection: Connection, merchant: str, ids: Sequence[int], now: datetime) -> set[int]:
    """Commit that a call is about to leave: whatever happens now, nobody sends these again unasked.

    Answers those that may leave; one that was dropped meanwhile stays.
    """
    marked = (
        update(outbox)
        .where(outbox.c.merchant == merchant, outbox.c.id.in_(ids), outbox.c.status == "ready")
        .values(status="attempting", attempted_at=to_micros(now))
        .returning(outbox.c.id)
    )
    return set(connection.execute(marked).scalars())


def settle_commands(
    connection: Connection, merchant: str, name: str, sealer: Sealer, results: Sequence[CommandResult]
) -> list[CommandResult]:
    """Write down what became of commands; answers those of which nobody knew better meanwhile."""
    rows = [
        {
            "b_merchant": merchant,
            "b_id": result.id,
            "status": result.status,
            "attempts": result.tried,
            "b_status": result.was,
            "b_attempts": result.attempts,
            "due_at": to_micros(result.due_at),
            "error": result.error,
            "result_sealed": seal_object(sealer, result.result, _about(merchant, name, result.key))
            if result.result
            else None,
        }
        for result in results
    ]
    return [result for row, result in zip(rows, results, strict=True) if connection.execute(_SETTLE, row).rowcount]


def forget_commands(connection: Connection, merchant: str, before: datetime) -> int:
    """Delete commands that are over and older than that; a few thousand at a time."""
    over = (
        select(outbox.c.id)
        .where(
            outbox.c.merchant == merchant,
            outbox.c.id < number_at(before),
            outbox.c.status.in_(("done", "dropped")),
        )
        .order_by(outbox.c.id)
        .limit(FORGOTTEN)
    )
    gone = delete(outbox).where(outbox.c.merchant == merchant, outbox.c.id.in_(over))
    return connection.execute(gone).rowcount


def told_of(kind: str, result: CommandResult, now: datetime) -> CommandSettled | None:
    """What we tell ourselves of a command that is over; nothing of one that is not."""
    if result.status not in {"done", "dead", "dropped"}:
        return None
    done = result.status == "done"
    return CommandSettled(
        kind=kind, key=result.key, done=done, occurred_at=now, result=result.result or {}, why=result.error or ""
    )


def tell(
    connection: Connection, merchant: str, sealer: Sealer, numbering: Numbering, told: Sequence[CommandSettled]
) -> None:
    """Put what became of commands into the inbox, in the transaction that settles them: the engine goes on from there."""
    deliveries = [
        Delivery(
            connection=OWN,
            key=f"{one.key}:{one.occurred_at.timestamp():.6f}",
            topic=one.kind,
            body=msgspec.json.encode(one),
            received_at=one.occurred_at,
        )
        for one in told
    ]
    if deliveries:
        take_in(connection, merchant, deliveries, sealer, numbering)
