"""Messages as rows: what is to leave, what left, and what became of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import BindParameter, Connection, Row, bindparam, select, update

from stampcard.clock import from_micros, to_micros
from stampcard.domain.messages import MESSAGE, RANKS
from stampcard.domain.value import Value
from stampcard.engine.announcing import Planned
from stampcard.engine.permitting import Sent
from stampcard.engine.rendering import heard, told
from stampcard.sealing import Sealer
from stampcard.storage import saving
from stampcard.storage.numbering import Numbering
from stampcard.storage.rows import moment, open_object, seal_object
from stampcard.storage.tables import message, message_step, outbox, suppression

_M: BindParameter[str] = bindparam("merchant")
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_OF = select(message).where(message.c.merchant == _M, message.c.id.in_(_IDS)).order_by(message.c.id)
_KNOWN = select(message.c.program, message.c.name, message.c.channel, message.c.occasion).where(
    message.c.merchant == _M,
    message.c.program == bindparam("program"),
    message.c.name == bindparam("name"),
    message.c.occasion.in_(_IDS),
)
_GATHERING = (
    select(message)
    .where(
        message.c.merchant == _M,
        message.c.member.in_(_IDS),
        message.c.state == "waiting",
        message.c.gathers == 1,
    )
    .order_by(message.c.id)
)
_SENT = select(message.c.member, message.c.attempted_at, message.c.channel, message.c.purpose).where(
    message.c.merchant == _M,
    message.c.member.in_(_IDS),
    message.c.attempted_at > bindparam("since"),
    message.c.test == 0,
)
_SUPPRESSED = select(suppression.c.channel, suppression.c.print, suppression.c.reason).where(
    suppression.c.merchant == _M, suppression.c.print.in_(_IDS)
)
_MARK = (
    update(message)
    .where(message.c.merchant == bindparam("b_merchant"), message.c.id == bindparam("b_id"))
    .values(state=bindparam("state"), changed_at=bindparam("changed_at"), reason=bindparam("reason"))
)

#: program, name, channel, occasion
Key = tuple[str, str, str, str]
#: program, name, channel, member, wallet
Place = tuple[str, str, str, str, str]


class StoredMessage(Value, frozen=True):
    """One message of the past or the future; `says`: what its texts may name besides, `asks`: what its condition does."""

    id: int
    program: str
    name: str
    member: str
    channel: str
    connection: str
    purpose: str
    occasion: str
    state: str
    created_at: datetime
    due_at: datetime
    until: datetime | None = None
    attempted_at: datetime | None = None
    then: tuple[str, ...] = ()
    says: Mapping[str, Any] = {}
    asks: Mapping[str, Any] = {}
    content: Mapping[str, Any] = {}
    language: str = ""
    reference: str = ""
    is_test: bool = False
    keep_until: datetime | None = None


def about_of(merchant: str, id_: int) -> str:
    """What is sealed of a message is bound to."""
    return f"message:{merchant}:{id_}"


def command_key(id_: int) -> str:
    """What the command is called by which a message leaves."""
    return f"{MESSAGE}{id_}"


def known_occasions(connection: Connection, merchant: str, wanted: Iterable[Planned]) -> set[Key]:
    """Which of these messages are there already."""
    asked: dict[tuple[str, str], set[str]] = {}
    for one in wanted:
        asked.setdefault((one.program, one.name), set()).add(one.occasion)
    return {
        (row.program, row.name, row.channel, row.occasion)
        for (program, name), occasions in asked.items()
        for row in connection.execute(
            _KNOWN, {"merchant": merchant, "program": program, "name": name, "ids": sorted(occasions)}
        )
    }


def add_messages(
    connection: Connection,
    merchant: str,
    sealer: Sealer,
    numbering: Numbering,
    wanted: Sequence[Planned],
    now: datetime,
    *,
    test: bool = False,
    dropped: Mapping[Key, str] | None = None,
) -> list[int]:
    """Add messages that are new, with the commands by which they leave; `dropped`: those that never will, and why."""
    at, why = to_micros(now), dropped or {}
    rows: list[dict[str, Any]] = []
    commands: list[dict[str, Any]] = []
    for one in wanted:
        number = numbering.next(now)
        reason = why.get(key_of(one), "" if one.connection else "no_channel")
        rows.append(_row(merchant, sealer, number, one, at, reason, test=test))
        if not reason:
            commands.append(_command(merchant, sealer, number, one, at))
    saving.insert(connection, "message", rows)
    steps = [
        {"merchant": merchant, "message": row["id"], "state": "dropped", "at": at, "code": row["reason"], "detail": ""}
        for row in rows
        if row["reason"]
    ]
    saving.insert(connection, "message_step", steps)
    saving.insert(connection, "outbox", commands)
    return [row["id"] for row in rows]


def key_of(one: Planned) -> Key:
    """What a message is known by."""
    return one.program, one.name, one.channel, one.occasion


def _row(
    merchant: str, sealer: Sealer, number: int, one: Planned, at: int, reason: str, *, test: bool
) -> dict[str, Any]:
    return {
        "merchant": merchant,
        "id": number,
        "program": one.program,
        "name": one.name,
        "member": one.member,
        "channel": one.channel,
        "connection": one.connection,
        "purpose": one.purpose,
        "occasion": one.occasion,
        "state": "dropped" if reason else "waiting",
        "reason": reason,
        "created_at": at,
        "due_at": to_micros(one.due_at),
        "until": None if one.until is None else to_micros(one.until),
        "changed_at": at if reason else None,
        "then": msgspec.json.encode(one.then).decode(),
        "gathers": int(one.gathers),
        "test": int(test),
        "data_sealed": _sealed(merchant, sealer, number, one.says, one.asks),
        "keep_until": None if one.keep_until is None else to_micros(one.keep_until),
    }


def _sealed(merchant: str, sealer: Sealer, id_: int, says: Mapping[str, Any], asks: Mapping[str, Any]) -> bytes:
    return seal_object(sealer, {"says": told(says), "asks": told(asks)}, about_of(merchant, id_))


def _command(merchant: str, sealer: Sealer, number: int, one: Planned, at: int) -> dict[str, Any]:
    key = command_key(number)
    return {
        "merchant": merchant,
        "id": number,
        "connection": one.connection,
        "kind": f"{MESSAGE}{one.channel}",
        "key": key,
        "member": one.member,
        "reference": "",
        "data_sealed": seal_object(sealer, {}, f"outbox:{merchant}:{one.connection}:{key}"),
        "due_at": to_micros(one.due_at),
        "created_at": at,
        "rank": one.rank,
    }


def load_messages(
    connection: Connection, merchant: str, ids: Collection[int], sealer: Sealer, *, lock: bool
) -> dict[int, StoredMessage]:
    """Messages by their ids."""
    if not ids:
        return {}
    statement = _OF.with_for_update() if lock else _OF
    found = connection.execute(statement, {"merchant": merchant, "ids": sorted(ids)})
    return {row.id: message_of(merchant, row, sealer) for row in found}


def message_of(merchant: str, row: Row[Any], sealer: Sealer) -> StoredMessage:
    """A row of the table, what it says opened."""
    about = about_of(merchant, row.id)
    data = heard(open_object(sealer, row.data_sealed, about))
    return StoredMessage(
        id=row.id,
        program=row.program,
        name=row.name,
        member=row.member,
        channel=row.channel,
        connection=row.connection,
        purpose=row.purpose,
        occasion=row.occasion,
        state=row.state,
        created_at=from_micros(row.created_at),
        due_at=from_micros(row.due_at),
        until=moment(row.until),
        attempted_at=moment(row.attempted_at),
        then=tuple(msgspec.json.decode(row.then)),
        says=data.get("says", {}),
        asks=data.get("asks", {}),
        content=open_object(sealer, row.content_sealed, about),
        language=row.language,
        reference=row.reference,
        is_test=bool(row.test),
        keep_until=moment(row.keep_until),
    )


def load_gathering(
    connection: Connection, merchant: str, members: Collection[str], sealer: Sealer
) -> dict[Place, StoredMessage]:
    """The messages that wait and take in further changes."""
    if not members:
        return {}
    found = connection.execute(_GATHERING, {"merchant": merchant, "ids": sorted(members)})
    known = (message_of(merchant, row, sealer) for row in found)
    return {place_of(one): one for one in known}


def place_of(one: Planned | StoredMessage) -> Place:
    """Where changes are gathered: points of different wallets make no sum."""
    return one.program, one.name, one.channel, one.member, str(one.says.get("wallet", ""))


def gather(connection: Connection, merchant: str, sealer: Sealer, one: StoredMessage, says: Mapping[str, Any]) -> None:
    """Let a message that waits say more."""
    change(connection, merchant, one.id, data_sealed=_sealed(merchant, sealer, one.id, says, one.asks))


def load_sent(
    connection: Connection, merchant: str, members: Collection[str], since: datetime
) -> dict[str, list[Sent]]:
    """Member → what was attempted for them since a moment."""
    found: dict[str, list[Sent]] = {}
    if not members:
        return found
    asked = {"merchant": merchant, "ids": sorted(members), "since": to_micros(since)}
    for row in connection.execute(_SENT, asked):
        sent = Sent(at=from_micros(row.attempted_at), channel=row.channel, purpose=row.purpose)
        found.setdefault(row.member, []).append(sent)
    return found


def load_suppressed(connection: Connection, merchant: str, prints: Collection[str]) -> dict[tuple[str, str], str]:
    """(channel, print of an address) → why it gets nothing."""
    if not prints:
        return {}
    found = connection.execute(_SUPPRESSED, {"merchant": merchant, "ids": sorted(prints)})
    return {(row.channel, row.print): row.reason for row in found}


def mark(
    connection: Connection,
    merchant: str,
    one: StoredMessage,
    state: str,
    at: datetime,
    code: str = "",
    detail: str = "",
) -> bool:
    """Note what became of a message, whatever was noted before; answers whether it is in that state now.

    The caller holds its row, or is alone.
    """
    step = {
        "merchant": merchant,
        "message": one.id,
        "state": state,
        "at": to_micros(at),
        "code": code[:100],
        "detail": detail[:500],
    }
    saving.insert_new(connection, "message_step", [step])
    if RANKS[state] <= RANKS[one.state]:
        return False
    values = {"b_merchant": merchant, "b_id": one.id, "state": state, "changed_at": to_micros(at), "reason": code}
    connection.execute(_MARK, values)
    return True


def change(connection: Connection, merchant: str, id_: int, **values: Any) -> None:
    """Change columns of one message."""
    connection.execute(update(message).where(message.c.merchant == merchant, message.c.id == id_).values(**values))


def postpone(connection: Connection, merchant: str, one: StoredMessage, until: datetime, reason: str) -> None:
    """Let a message wait on."""
    at = to_micros(until)
    connection.execute(
        update(outbox)
        .where(
            outbox.c.merchant == merchant,
            outbox.c.connection == one.connection,
            outbox.c.key == command_key(one.id),
            outbox.c.status == "ready",
        )
        .values(due_at=at)
    )
    change(connection, merchant, one.id, due_at=at, reason=reason)


def let_go(connection: Connection, merchant: str, one: StoredMessage, at: datetime, reason: str) -> None:
    """A message never leaves, because of that."""
    connection.execute(
        update(outbox)
        .where(
            outbox.c.merchant == merchant,
            outbox.c.connection == one.connection,
            outbox.c.key == command_key(one.id),
            outbox.c.status.in_(("ready", "unknown")),
        )
        .values(status="dropped", error=reason)
    )
    mark(connection, merchant, one, "dropped", at, reason)


def settle_command(connection: Connection, merchant: str, one: StoredMessage, status: str) -> None:
    """The command of a message is over: it left, whatever we thought of it, or never will."""
    connection.execute(
        update(outbox)
        .where(
            outbox.c.merchant == merchant,
            outbox.c.connection == one.connection,
            outbox.c.key == command_key(one.id),
            outbox.c.status.in_(("ready", "unknown", "attempting")),
        )
        .values(status=status, error=None)
    )


def drop_doubles(connection: Connection, merchant: str, source: str, target: str, at: datetime) -> None:
    """What waits for one member and is there for the other, too, is told once when both become one."""
    columns = (message.c.id, message.c.program, message.c.name, message.c.channel, message.c.occasion)
    theirs = select(*columns).where(
        message.c.merchant == merchant, message.c.member == source, message.c.state == "waiting"
    )
    waiting = {
        (row.program, row.name, row.channel, row.occasion.replace(source, target)): row.id
        for row in connection.execute(theirs)
    }
    if not waiting:
        return
    mine = select(*columns).where(
        message.c.merchant == merchant,
        message.c.member == target,
        message.c.occasion.in_(sorted({key[-1] for key in waiting})),
    )
    known = {(row.program, row.name, row.channel, row.occasion) for row in connection.execute(mine)}
    ids = [waiting[key] for key in sorted(waiting.keys() & known)]
    if ids:
        doubled = update(message).where(message.c.merchant == merchant, message.c.id.in_(ids))
        connection.execute(doubled.values(state="dropped", reason="merged", changed_at=to_micros(at)))
        commands = update(outbox).where(outbox.c.merchant == merchant, outbox.c.id.in_(ids))
        connection.execute(commands.values(status="dropped", error="merged"))


def drop_lost(connection: Connection, merchant: str, ids: Collection[int]) -> None:
    """Commands without a message have nothing to say."""
    if ids:
        lost = update(outbox).where(outbox.c.merchant == merchant, outbox.c.id.in_(sorted(ids)))
        connection.execute(lost.where(outbox.c.kind.startswith(MESSAGE)).values(status="dropped", error="lost"))


def find_reference(
    connection: Connection, merchant: str, name: str, reference: str, sealer: Sealer
) -> StoredMessage | None:
    """The message that a vendor calls so; its row is held."""
    statement = select(message).where(
        message.c.merchant == merchant, message.c.connection == name, message.c.reference == reference
    )
    row = connection.execute(statement.with_for_update()).first()
    return None if row is None else message_of(merchant, row, sealer)


def steps_of(connection: Connection, merchant: str, ids: Collection[int]) -> dict[int, list[Row[Any]]]:
    """Message → everything that was told of it, in the order of time."""
    found: dict[int, list[Row[Any]]] = {}
    statement = select(message_step).where(message_step.c.merchant == merchant, message_step.c.message.in_(sorted(ids)))
    for row in connection.execute(statement.order_by(message_step.c.at)) if ids else ():
        found.setdefault(row.message, []).append(row)
    return found
