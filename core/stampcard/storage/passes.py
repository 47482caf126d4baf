"""Passes in phones: whose they are, what people did with them, and what was shown on them last."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, and_, bindparam, select, update

from stampcard.clock import from_micros, to_micros
from stampcard.domain.commands import PASS
from stampcard.domain.value import Value
from stampcard.storage import saving
from stampcard.storage.jobs import begin_job
from stampcard.storage.pushing import owe
from stampcard.storage.rows import moment, to_json
from stampcard.storage.tables import job, pass_, push

#: Since when a vendor tells who saves passes: a row among the jobs, begun at the first.
SAVES = "saves"
_NOTE = (
    update(pass_)
    .where(
        pass_.c.merchant == bindparam("b_merchant"),
        pass_.c.connection == bindparam("b_connection"),
        pass_.c.serial == bindparam("b_serial"),
    )
    .values({name: bindparam(name) for name in ("content", "first", "noticed")})
)


class Pass(Value, frozen=True):
    """One member's card at one phone wallet.

    `saved_at`: since when somebody has it in a phone; `removed_at`: since when nobody has it any more. `content`: a digest of
    what was delivered last, `first` its first figure, `noticed` when its holder was notified lately.
    """

    connection: str
    serial: str
    member: str
    made_at: datetime
    saved_at: datetime | None = None
    removed_at: datetime | None = None
    content: str = ""
    first: str = ""
    noticed: tuple[datetime, ...] = ()

    @property
    def is_kept(self) -> bool:
        """Whether it is worth telling: whoever made it may save it yet, whoever took it off does not look."""
        return self.removed_at is None


def _pass_of(row: Row[Any]) -> Pass:
    return Pass(
        connection=row.connection,
        serial=row.serial,
        member=row.member,
        made_at=from_micros(row.made_at),
        saved_at=moment(row.saved_at),
        removed_at=moment(row.removed_at),
        content=row.content,
        first=row.first,
        noticed=tuple(from_micros(at) for at in msgspec.json.decode(row.noticed, type=list[int])),
    )


def passes_of(connection: Connection, merchant: str, members: Collection[str], name: str | None = None) -> list[Pass]:
    """All passes of these members, at one connection or at all, the oldest first."""
    statement = select(pass_).where(pass_.c.merchant == merchant, pass_.c.member.in_(sorted(members)))
    if name is not None:
        statement = statement.where(pass_.c.connection == name)
    ordered = statement.order_by(pass_.c.connection, pass_.c.made_at, pass_.c.serial)
    return [_pass_of(row) for row in connection.execute(ordered)]


def reachable(connection: Connection, merchant: str, name: str, members: Collection[str]) -> dict[str, str]:
    """Member → the serial of the pass at one connection on which a message is seen; none for those who have none in a phone.

    A vendor that has told of nobody who saves one may not be able to: a pass of before it first did counts as saved until it
    is taken off.
    """
    known = (job.c.merchant == merchant, job.c.name == f"{SAVES}:{name}")
    first = connection.execute(select(job.c.started_at).where(*known)).scalar()
    kept = [one for one in passes_of(connection, merchant, members, name) if one.is_kept]
    return {
        one.member: one.serial
        for one in sorted(kept, key=lambda one: one.saved_at or one.made_at)
        if one.saved_at is not None or first is None or to_micros(one.made_at) < first
    }


def find_pass(connection: Connection, merchant: str, name: str, serial: str) -> Pass | None:
    """One by its serial."""
    mine = (pass_.c.merchant == merchant, pass_.c.connection == name, pass_.c.serial == serial)
    row = connection.execute(select(pass_).where(*mine)).one_or_none()
    return None if row is None else _pass_of(row)


def add_pass(connection: Connection, merchant: str, one: Pass) -> None:
    """Write down a new pass; from now on its serial is its member's identity at the connection."""
    row = {"merchant": merchant, "connection": one.connection, "member": one.member}
    saving.insert(connection, "pass", [{**row, "serial": one.serial, "made_at": to_micros(one.made_at)}])
    saving.insert_new(connection, "identity", [{**row, "reference": one.serial}])


def note_saved(connection: Connection, merchant: str, one: Pass, at: datetime, *, saved: bool) -> None:
    """Write down that a pass was saved, or that it was removed."""
    values = {"saved_at": to_micros(at), "removed_at": None} if saved else {"removed_at": to_micros(at)}
    mine = (pass_.c.merchant == merchant, pass_.c.connection == one.connection, pass_.c.serial == one.serial)
    connection.execute(update(pass_).where(*mine).values(values))
    if saved:
        begin_job(connection, merchant, f"{SAVES}:{one.connection}", 0, at)


def note_shown(connection: Connection, merchant: str, passes: Sequence[Pass]) -> None:
    """Write down what is shown on passes now."""
    rows = [
        {
            "b_merchant": merchant,
            "b_connection": one.connection,
            "b_serial": one.serial,
            "content": one.content,
            "first": one.first,
            "noticed": to_json([to_micros(at) for at in one.noticed]),
        }
        for one in sorted(passes, key=lambda one: one.serial)
    ]
    if rows:
        connection.execute(_NOTE, rows)


def forget_shown(connection: Connection, merchant: str, name: str, members: Collection[str] | None = None) -> None:
    """Forget what the passes of these members show, or of all, so that all of it is delivered anew."""
    mine = [pass_.c.merchant == merchant, pass_.c.connection == name]
    mine += [pass_.c.member.in_(sorted(members))] if members is not None else []
    connection.execute(update(pass_).where(*mine).values(content="forgotten"))


def owe_next(connection: Connection, merchant: str, name: str, behind: str, limit: int, now: datetime) -> list[str]:
    """Let the passes of the next members, by id, be looked at anew, because what cards look like changed; answers whose.

    Also those that were given up: what was wrong with them may be mended; and those that are under way with what it was.
    """
    mine = (pass_.c.merchant == merchant, pass_.c.connection == name)
    statement = select(pass_.c.member).where(*mine, pass_.c.member > behind).distinct()
    members = list(connection.execute(statement.order_by(pass_.c.member).limit(limit)).scalars())
    at = to_micros(now)
    soon = and_(push.c.wanted > push.c.sent, push.c.dead == 0, push.c.due_at > at)
    fresh = {"since": at, "due_at": at, "attempts": 0, "error": None, "dead": 0}
    marked = (push.c.merchant == merchant, push.c.connection == name, push.c.kind == PASS, push.c.member.in_(members))
    connection.execute(update(push).where(*marked, ~soon).values(sent=push.c.wanted - 1, **fresh))
    # Of a connection that was removed and is there again nothing is marked.
    known = set(connection.execute(select(push.c.member).where(*marked)).scalars())
    owe(connection, merchant, name, PASS, set(members) - known, now)
    return members
