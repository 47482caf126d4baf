"""Putting things back into their queues when a person has mended what stopped them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, tuple_, update

from stampcard.clock import from_micros, to_micros
from stampcard.domain.commands import PASS
from stampcard.domain.events import CommandSettled
from stampcard.domain.messages import MESSAGE
from stampcard.domain.rewards import ACTIONS
from stampcard.errors import Conflict, NotFound, RequestRefused
from stampcard.storage import saving
from stampcard.storage.listing import load_command, load_delivery, references_after
from stampcard.storage.looks import Look
from stampcard.storage.passes import forget_shown
from stampcard.storage.revising import bump
from stampcard.storage.tables import inbox, message, outbox, push

#: So many rows change in one transaction, so that webhooks never wait long for it.
CHUNK = 500

_AGAIN: dict[str, Any] = {
    "status": "ready",
    "attempts": 0,
    "next_at": 0,
    "claimed_by": None,
    "claimed_until": None,
    "code": None,
    "detail": None,
    "settled_at": None,
}
_REPLAYABLE = ("quarantined", "done", "dropped")


def replay_delivery(connection: Connection, merchant: str, id_: int) -> None:
    """Apply one delivery again; raises Conflict if it waits to be applied anyway or its body is gone."""
    row = load_delivery(connection, merchant, id_)
    if row is None:
        raise NotFound("delivery", str(id_))
    if row.status not in _REPLAYABLE:
        raise Conflict("delivery_waits", f"the delivery is {row.status} and will be applied by itself")
    if not row.has_body:
        raise Conflict("body_deleted", "the body of the delivery was deleted, so there is nothing to apply")
    connection.execute(update(inbox).where(inbox.c.merchant == merchant, inbox.c.id == id_).values(_AGAIN))


def replay_quarantined(
    connection: Connection, merchant: str, name: str | None, code: str | None, after: int
) -> tuple[int, int]:
    """Apply the next chunk of what is set aside again; answers how many, and behind which id to go on."""
    statement = select(inbox.c.id).where(
        inbox.c.merchant == merchant,
        inbox.c.status == "quarantined",
        inbox.c.id > after,
        inbox.c.body_sealed.is_not(None),
    )
    if name is not None:
        statement = statement.where(inbox.c.connection == name)
    if code is not None:
        statement = statement.where(inbox.c.code == code)
    ids = list(connection.execute(statement.order_by(inbox.c.id).limit(CHUNK)).scalars())
    if ids:
        connection.execute(update(inbox).where(inbox.c.merchant == merchant, inbox.c.id.in_(ids)).values(_AGAIN))
    return len(ids), ids[-1] if ids else after


PushKey = tuple[str, str, str]


def retry_pushes(
    connection: Connection,
    merchant: str,
    name: str | None,
    member: str | None,
    after: PushKey,
    now: int,
    since: int = 0,
) -> tuple[int, PushKey]:
    """Make the next chunk of pushes that were given up, or that wait for another try, due now; `since`: if due later."""
    key = (push.c.connection, push.c.kind, push.c.member)
    statement = select(*key).where(
        push.c.merchant == merchant,
        push.c.wanted > push.c.sent,
        (push.c.dead == 1) | (push.c.attempts > 0),
        push.c.due_at >= since,
        tuple_(*key) > after,
    )
    if name is not None:
        statement = statement.where(push.c.connection == name)
    if member is not None:
        statement = statement.where(push.c.member == member)
    found = [
        (row.connection, row.kind, row.member) for row in connection.execute(statement.order_by(*key).limit(CHUNK))
    ]
    if found:
        again = update(push).where(push.c.merchant == merchant, tuple_(*key).in_(found))
        connection.execute(again.values(dead=0, attempts=0, error=None, since=now, due_at=now))
    return len(found), found[-1] if found else after


def push_anew(
    connection: Connection, merchant: str, name: str, kinds: Sequence[str], member: str | None, after: str, now: int
) -> tuple[int, str]:
    """Mark the next chunk of those who are known at a connection, even if their newest state was sent.

    Cards of all in phones are looked at by and by, so that whoever buys something meanwhile does not wait behind them.
    """
    found = references_after(connection, merchant, name, member, after, CHUNK)
    versions = {row.member: row.version for row in found}
    if PASS in kinds:
        forget_shown(connection, merchant, name, versions)
    if PASS in kinds and member is None:
        kinds = [kind for kind in kinds if kind != PASS]
        if not found:
            Look(merchant, PASS, name).forget(connection, from_micros(now))
            bump(connection, merchant)
    marks = [
        {"merchant": merchant, "connection": name, "kind": kind, "member": of, "wanted": version, "sent": version - 1,
         "since": now, "due_at": now, "attempts": 0, "error": None, "dead": 0}
        for of, version in versions.items()
        for kind in kinds
    ]  # fmt: skip
    saving.upsert(connection, "push", marks)
    return len(versions), found[-1].reference if found else after


def drop_push(connection: Connection, merchant: str, key: PushKey, reason: str) -> None:
    """Want nothing more of a push that has not arrived; the member's next change is pushed again."""
    name, kind, member = key
    mine = (push.c.merchant == merchant, push.c.connection == name, push.c.kind == kind, push.c.member == member)
    dropped = update(push).where(*mine, push.c.wanted > push.c.sent)
    if not connection.execute(dropped.values(wanted=push.c.sent, dead=0, attempts=0, error=reason)).rowcount:
        raise NotFound("push", "/".join(key))


def retry_dead_commands(
    connection: Connection, merchant: str, name: str | None, after: int, now: int, since: int = 0
) -> tuple[int, int]:
    """Send the next chunk of commands again that were given up; `since`: only those that were tried later.

    Those whose outcome is unknown are not among them: sending one twice is a person's decision. Nor are messages to members,
    which go on by another channel where one gave up.
    """
    statement = select(outbox.c.id).where(
        outbox.c.merchant == merchant,
        outbox.c.status == "dead",
        ~outbox.c.kind.startswith(MESSAGE),
        outbox.c.id > after,
        outbox.c.data_sealed.is_not(None),
        func.coalesce(outbox.c.attempted_at, outbox.c.created_at) >= since,
    )
    if name is not None:
        statement = statement.where(outbox.c.connection == name)
    ids = list(connection.execute(statement.order_by(outbox.c.id).limit(CHUNK)).scalars())
    if ids:
        again = update(outbox).where(outbox.c.merchant == merchant, outbox.c.id.in_(ids))
        connection.execute(again.values(status="ready", attempts=0, due_at=now, error=None))
    return len(ids), ids[-1] if ids else after


def replay_commands(
    connection: Connection, merchant: str, name: str, kind: str, since: int, after: int, now: int
) -> tuple[int, int]:
    """Send the next chunk of commands again that were done since a moment; answers how many, and behind which to go on.

    For those who lost what they were told. Raises RequestRefused for a kind whose effect counts more than once.
    """
    if kind in ACTIONS:
        raise RequestRefused("not_replayable", f"{kind} is done once: what was made real stays real")
    statement = select(outbox.c.id).where(
        outbox.c.merchant == merchant,
        outbox.c.connection == name,
        outbox.c.kind == kind,
        outbox.c.status == "done",
        outbox.c.created_at >= since,
        outbox.c.id > after,
        outbox.c.data_sealed.is_not(None),
    )
    ids = list(connection.execute(statement.order_by(outbox.c.id).limit(CHUNK)).scalars())
    if ids:
        again = update(outbox).where(outbox.c.merchant == merchant, outbox.c.id.in_(ids))
        connection.execute(again.values(status="ready", attempts=0, due_at=now, error=None))
    return len(ids), ids[-1] if ids else after


def retry_command(connection: Connection, merchant: str, id_: int, now: int) -> None:
    """Send a command again that was given up or whose outcome is unknown; raises Conflict for any other."""
    row = _stopped(connection, merchant, id_, ("ready", "dead", "unknown"), "retried")
    if row.data_sealed is None:
        raise Conflict("data_deleted", "what the command says was deleted with its member")
    if row.kind.startswith(MESSAGE) and row.status != "ready":
        raise Conflict("message_over", f"a message is never sent twice; see `stampcard message show {id_}`")
    _set(connection, merchant, row, status="ready", attempts=0, due_at=now, error=None)


def drop_command(connection: Connection, merchant: str, id_: int, reason: str, now: datetime) -> CommandSettled | None:
    """Never send a command; raises Conflict if it was sent or is being sent.

    Answers what we must tell ourselves where something waits for its outcome: one whose outcome was unknown is dropped
    because it was done.
    """
    row = _stopped(connection, merchant, id_, ("ready", "dead", "unknown"), "dropped")
    if row.kind.startswith(MESSAGE):
        _drop_message(connection, merchant, row, reason, now)
    _set(connection, merchant, row, status="dropped", error=reason)
    if row.kind not in ACTIONS:
        return None
    return CommandSettled(kind=row.kind, key=row.key, done=row.status == "unknown", occurred_at=now, why=reason)


def _drop_message(connection: Connection, merchant: str, row: Row[Any], reason: str, now: datetime) -> None:
    """A message that waits never leaves; raises Conflict where it is not known whether it did."""
    if row.status == "unknown":
        raise Conflict("message_unknown", f"say whether it left: stampcard message settle {row.id}")
    at = to_micros(now)
    waiting = update(message).where(
        message.c.merchant == merchant, message.c.id == row.id, message.c.state == "waiting"
    )
    if connection.execute(waiting.values(state="dropped", reason="by_hand", changed_at=at)).rowcount:
        step = {"merchant": merchant, "message": row.id, "state": "dropped", "at": at, "code": "by_hand"}
        saving.insert_new(connection, "message_step", [{**step, "detail": reason[:500]}])


def _stopped(connection: Connection, merchant: str, id_: int, allowed: Sequence[str], what: str) -> Row[Any]:
    row = load_command(connection, merchant, id_)
    if row is None:
        raise NotFound("command", str(id_))
    if row.status not in allowed:
        raise Conflict("command_state", f"the command is {row.status}, so it cannot be {what}")
    return row


def _set(connection: Connection, merchant: str, row: Row[Any], **values: Any) -> None:
    """Change a command that is still as it was seen; raises Conflict where somebody was quicker."""
    seen = (outbox.c.merchant == merchant, outbox.c.id == row.id, outbox.c.status == row.status)
    if not connection.execute(update(outbox).where(*seen).values(**values)).rowcount:
        raise Conflict("command_state", "the command has just changed: look again")
