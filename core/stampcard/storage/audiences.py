"""Which hash of whom may be in which audience elsewhere, as rows that are there before a hash leaves."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, delete, func, select, update

from stampcard.clock import to_micros
from stampcard.domain.audiences import Place
from stampcard.domain.commands import AUDIENCE
from stampcard.sealing import Sealer
from stampcard.storage import saving
from stampcard.storage.listing import members_after
from stampcard.storage.rows import open_object, seal_object
from stampcard.storage.tables import audience_member, member, push

_MINE = and_(
    *(
        audience_member.c[name] == bindparam(f"b_{name}")
        for name in ("merchant", "connection", "member", "audience", "kind", "print")
    )
)
_DROP, _SETTLE = (
    delete(audience_member).where(_MINE),
    update(audience_member).where(_MINE).values(sure=bindparam("sure")),
)
#: Databases bound the number of parameters.
CHUNK = 500
#: Who is in which place.
Placed = tuple[str, Place]


def load_told(
    connection: Connection, merchant: str, sealer: Sealer, name: str, members: Collection[str]
) -> dict[str, dict[Place, bool]]:
    """Member → the places in which they may be at a connection, and whether that is sure."""
    found: dict[str, dict[Place, bool]] = {}
    for chunk in _chunks(members):
        mine = (audience_member.c.merchant == merchant, audience_member.c.connection == name)
        for row in connection.execute(select(audience_member).where(*mine, audience_member.c.member.in_(chunk))):
            found.setdefault(row.member, {})[_place(row, sealer)] = bool(row.sure)
    return found


def others_in(
    connection: Connection, merchant: str, sealer: Sealer, name: str, places: Collection[Place]
) -> dict[Place, set[str]]:
    """Place → everybody who may be in it."""
    by_print = {(place.audience, place.kind, _print(sealer, place)): place for place in places}
    found: dict[Place, set[str]] = {}
    for chunk in _chunks({print_ for _, _, print_ in by_print}):
        for audience in sorted({place.audience for place in places}):
            mine = (
                audience_member.c.merchant == merchant,
                audience_member.c.connection == name,
                audience_member.c.audience == audience,
                audience_member.c.kind.in_(sorted({place.kind for place in places})),
                audience_member.c.print.in_(chunk),
            )
            for row in connection.execute(select(audience_member).where(*mine)):
                place = by_print.get((row.audience, row.kind, row.print))
                if place is not None:
                    found.setdefault(place, set()).add(row.member)
    return found


def doubt(connection: Connection, merchant: str, sealer: Sealer, name: str, placed: Iterable[Placed]) -> None:
    """Note places in which members may be from now on, or may be no more."""
    rows = []
    for of, place in placed:
        print_ = _print(sealer, place)
        about = f"audience_member:{merchant}:{name}:{place.audience}:{print_}"
        rows.append(
            {"merchant": merchant, "connection": name, "member": of, "audience": place.audience, "kind": place.kind,
             "print": print_, "sure": 0, "hash_sealed": seal_object(sealer, {"sha256": place.hash}, about)}
        )  # fmt: skip
    saving.upsert(connection, "audience_member", rows)


def tell_anew(
    connection: Connection, merchant: str, name: str, of: str | None, after: str, now: datetime
) -> tuple[int, str]:
    """Let it be told anew where the next members are, or where one is; answers how many, and behind whom to go on."""
    found = members_after(connection, merchant, after, CHUNK) if of is None else []
    if of is not None and of > after:
        one = select(member.c.id).where(member.c.merchant == merchant, member.c.id == of)
        found = list(connection.execute(one).scalars())
    mine = (audience_member.c.merchant == merchant, audience_member.c.connection == name)
    told = update(audience_member).where(*mine, audience_member.c.member.in_(found))
    connection.execute(told.values(sure=0))
    owe(connection, merchant, [name], found, now)
    return len(found), found[-1] if found else after


def be_sure(connection: Connection, merchant: str, sealer: Sealer, name: str, placed: Collection[Placed]) -> None:
    """Note that members came into places; what was forgotten meanwhile stays so."""
    if placed:
        connection.execute(_SETTLE, [{**row, "sure": 1} for row in _keys(merchant, sealer, name, placed)])


def drop(connection: Connection, merchant: str, sealer: Sealer, name: str, placed: Collection[Placed]) -> None:
    """Note that members are out of places."""
    if placed:
        connection.execute(_DROP, _keys(merchant, sealer, name, placed))


def told_after(
    connection: Connection, merchant: str, sealer: Sealer, name: str, after: str, limit: int
) -> dict[str, dict[Place, bool]]:
    """The next members behind one who may be in any place of a connection, with those."""
    mine = (audience_member.c.merchant == merchant, audience_member.c.connection == name)
    found = select(audience_member.c.member).where(*mine, audience_member.c.member > after).distinct()
    members = list(connection.execute(found.order_by(audience_member.c.member).limit(limit)).scalars())
    return load_told(connection, merchant, sealer, name, members)


def owe(connection: Connection, merchant: str, names: Collection[str], members: Collection[str], now: datetime) -> None:
    """Let it be looked at once more where members belong, at these connections and wherever they may be in."""
    at, rows = to_micros(now), []
    for chunk in _chunks(members):
        mine = (audience_member.c.merchant == merchant, audience_member.c.member.in_(chunk))
        told = select(audience_member.c.connection, audience_member.c.member).where(*mine).distinct()
        owed = {(row.connection, row.member) for row in connection.execute(told)}
        owed |= {(name, of) for name in names for of in chunk}
        if not owed:
            continue
        versions = select(member.c.id, member.c.version).where(member.c.merchant == merchant, member.c.id.in_(chunk))
        known = {row.id: row.version for row in connection.execute(versions)}
        rows += [
            {"merchant": merchant, "connection": name, "kind": AUDIENCE, "member": of, "wanted": known.get(of, 1),
             "sent": known.get(of, 1) - 1, "since": at, "due_at": at, "attempts": 0, "error": None, "dead": 0}
            for name, of in owed
        ]  # fmt: skip
    saving.upsert(connection, "push", rows)


def due_members(connection: Connection, merchant: str, name: str, now: datetime, limit: int) -> list[Row[Any]]:
    """Whose places are to be looked at, longest waiting first; also those of whom nothing is left but that."""
    statement = (
        select(push, func.coalesce(member.c.version, push.c.wanted).label("version"))
        .outerjoin(member, (member.c.merchant == push.c.merchant) & (member.c.id == push.c.member))
        .where(
            push.c.merchant == merchant,
            push.c.connection == name,
            push.c.kind == AUDIENCE,
            push.c.wanted > push.c.sent,
            push.c.dead == 0,
            push.c.due_at <= to_micros(now),
        )
    )
    return list(connection.execute(statement.order_by(push.c.due_at, push.c.member).limit(limit)))


def forget_connection(connection: Connection, merchant: str, name: str) -> None:
    """Forget who may be in any audience of a connection."""
    mine = (audience_member.c.merchant == merchant, audience_member.c.connection == name)
    connection.execute(delete(audience_member).where(*mine))


def _place(row: Row[Any], sealer: Sealer) -> Place:
    about = f"audience_member:{row.merchant}:{row.connection}:{row.audience}:{row.print}"
    return Place(row.audience, row.kind, str(open_object(sealer, row.hash_sealed, about)["sha256"]))


def _print(sealer: Sealer, place: Place) -> str:
    return sealer.fingerprint(f"audience:{place.kind}:{place.hash}")


def _keys(merchant: str, sealer: Sealer, name: str, placed: Iterable[Placed]) -> list[Mapping[str, Any]]:
    return [
        {"b_merchant": merchant, "b_connection": name, "b_member": of, "b_audience": place.audience,
         "b_kind": place.kind, "b_print": _print(sealer, place)}
        for of, place in sorted(placed)
    ]  # fmt: skip


def _chunks(values: Collection[str]) -> Iterable[list[str]]:
    ordered = sorted(values)
    return (ordered[start : start + CHUNK] for start in range(0, len(ordered), CHUNK))
