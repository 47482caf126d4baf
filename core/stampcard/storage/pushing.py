"""Marked pushes: which are due, with the newest figures, and what became of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Row, ScalarSelect, Select, bindparam, func, select, update

from stampcard.clock import to_micros
from stampcard.domain.commands import TAGS, BalancePush, TagPush
from stampcard.domain.value import Value
from stampcard.engine.versions import Programs
from stampcard.storage import saving
from stampcard.storage.entitling import load_tags
from stampcard.storage.reading import balances
from stampcard.storage.tables import identity, member, push

_SETTLE = (
    update(push)
    .where(
        push.c.merchant == bindparam("b_merchant"),
        push.c.connection == bindparam("b_connection"),
        push.c.kind == bindparam("b_kind"),
        push.c.member == bindparam("b_member"),
        push.c.due_at == func.coalesce(bindparam("b_was_due", type_=push.c.due_at.type), push.c.due_at),
    )
    .values(
        {name: bindparam(name) for name in ("sent", "due_at", "attempts", "error", "dead")}
        | {"since": func.coalesce(bindparam("b_since", type_=push.c.since.type), push.c.since)}
    )
)


def _next(column: Column[Any], *conditions: ColumnElement[bool]) -> ScalarSelect[Any]:
    return select(func.min(column)).where(push.c.merchant == bindparam("merchant"), *conditions).scalar_subquery()


def _pushed() -> Select[str, str]:
    """The pairs of connection and kind, from each to the next in the primary key: DISTINCT would read every row."""
    names = select(_next(push.c.connection).label("name")).cte("names", recursive=True)
    names = names.union_all(
        select(_next(push.c.connection, push.c.connection > names.c.name)).where(names.c.name.is_not(None))
    )
    first = _next(push.c.kind, push.c.connection == names.c.name).label("kind")
    kinds = select(names.c.name, first).where(names.c.name.is_not(None)).cte("kinds", recursive=True)
    further = _next(push.c.kind, push.c.connection == kinds.c.name, push.c.kind > kinds.c.kind)
    kinds = kinds.union_all(select(kinds.c.name, further).where(kinds.c.kind.is_not(None)))
    return select(kinds.c.name, kinds.c.kind).where(kinds.c.kind.is_not(None)).order_by(kinds.c.name, kinds.c.kind)


_PUSHED = _pushed()


class DuePush(Value, frozen=True):
    """One push to send: the figures as loaded now, and how often it was tried."""

    item: BalancePush | TagPush
    attempts: int
    sent: int


class PushResult(Value, frozen=True):
    """What becomes of a push: the version that the vendor has now, or when to try again.

    `since`: from when on whatever changed during the call waits; None where the wait goes on. `was_due`: when it was due
    (microseconds): one that is due at another time by now was asked for anew, and stays so.
    """

    member: str
    sent: int
    due_at: datetime
    since: datetime | None = None
    attempts: int = 0
    error: str | None = None
    dead: bool = False
    was_due: int | None = None


def due_rows(
    connection: Connection, merchant: str, name: str, kind: str, now: datetime, limit: int, flying: Collection[str]
) -> list[Row[Any]]:
    """Due pushes of a kind to a connection, whether or not it knows their members, with these members' versions."""
    statement = (
        select(push, member.c.version)
        .join(member, (member.c.merchant == push.c.merchant) & (member.c.id == push.c.member))
        .where(*_due_now(merchant, name, kind, now))
        .order_by(push.c.due_at, push.c.member)
        .limit(limit + len(flying))
    )
    return [row for row in connection.execute(statement) if row.member not in flying][:limit]


def _due_now(merchant: str, name: str, kind: str, now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        push.c.merchant == merchant,
        push.c.connection == name,
        push.c.kind == kind,
        push.c.wanted > push.c.sent,
        push.c.dead == 0,
        push.c.due_at <= to_micros(now),
    )


def due_pushes(
    connection: Connection,
    merchant: str,
    name: str,
    kind: str,
    programs: Programs,
    now: datetime,
    limit: int,
    flying: Collection[str],
) -> list[DuePush]:
    """Due pushes of one connection, longest waiting first; `flying` are the members being sent right now."""
    statement = (
        select(push, identity.c.reference, member.c.version)
        .join(member, (member.c.merchant == push.c.merchant) & (member.c.id == push.c.member))
        .join(
            identity,
            (identity.c.merchant == push.c.merchant)
            & (identity.c.member == push.c.member)
            & (identity.c.connection == push.c.connection),
        )
        .where(*_due_now(merchant, name, kind, now))
        .order_by(push.c.due_at, push.c.member)
        .limit(limit + len(flying))
    )
    # A member with two references at one connection is pushed under each, in the same call.
    rows = [row for row in connection.execute(statement) if row.member not in flying][:limit]
    item = (_tags if kind == TAGS else _figures)(connection, merchant, {row.member for row in rows}, programs, now)
    return [DuePush(item=item(row), attempts=row.attempts, sent=row.sent) for row in rows]


def _figures(
    connection: Connection, merchant: str, members: Collection[str], programs: Programs, now: datetime
) -> Callable[[Row[Any]], BalancePush]:
    figures = balances(connection, merchant, members, programs, now)
    return lambda row: BalancePush(
        member=row.member, reference=row.reference, version=row.version, balances=figures[row.member]
    )


def _tags(
    connection: Connection, merchant: str, members: Collection[str], programs: Programs, now: datetime
) -> Callable[[Row[Any]], TagPush]:
    tags = load_tags(connection, merchant, members, now)
    return lambda row: TagPush(
        member=row.member,
        reference=row.reference,
        version=row.version,
        tags=tuple(sorted(tags[row.member])),
        stale=tuple(sorted(programs.tags - tags[row.member])),
    )


def owe(
    connection: Connection,
    merchant: str,
    name: str,
    kind: str,
    members: Collection[str],
    now: datetime,
    wait: timedelta = timedelta(0),
) -> None:
    """Let members' pushes to a connection be due after a wait, though nothing of theirs changed here."""
    if not members:
        return
    versions = connection.execute(
        select(member.c.id, member.c.version).where(member.c.merchant == merchant, member.c.id.in_(sorted(members)))
    )
    since, due = to_micros(now), to_micros(now + wait)
    rows = [
        {"merchant": merchant, "connection": name, "kind": kind, "member": row.id, "wanted": row.version,
         "sent": row.version - 1, "since": since, "due_at": due, "attempts": 0, "error": None, "dead": 0}
        for row in versions
    ]  # fmt: skip
    saving.upsert(connection, "push", rows)


def pushed_kinds(connection: Connection, merchant: str, name: str) -> tuple[str, ...]:
    """The kinds of state that were ever marked for a connection."""
    statement = select(push.c.kind).where(push.c.merchant == merchant, push.c.connection == name).distinct()
    return tuple(sorted(connection.execute(statement).scalars()))


def pushed_targets(connection: Connection, merchant: str) -> dict[str, tuple[str, ...]]:
    """Every connection for which state was ever marked, with the kinds of it; a seek for each, however many members."""
    targets: dict[str, tuple[str, ...]] = {}
    for row in connection.execute(_PUSHED, {"merchant": merchant}):
        targets[row.name] = (*targets.get(row.name, ()), row.kind)
    return targets


def settle_pushes(connection: Connection, merchant: str, name: str, kind: str, results: Sequence[PushResult]) -> None:
    """Write down what became of pushes; what changed during the call leaves the row due."""
    rows: list[dict[str, Any]] = [
        {
            "b_merchant": merchant,
            "b_connection": name,
            "b_kind": kind,
            "b_member": result.member,
            "sent": result.sent,
            "b_since": None if result.since is None else to_micros(result.since),
            "due_at": to_micros(result.due_at),
            "b_was_due": result.was_due,
            "attempts": result.attempts,
            "error": result.error,
            "dead": int(result.dead),
        }
        for result in sorted(results, key=lambda result: result.member)
    ]
    if rows:
        connection.execute(_SETTLE, rows)
