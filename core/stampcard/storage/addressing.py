"""Verified addresses as rows, and pairs of members who may be one person."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, Row, delete, select, tuple_, update

from stampcard.clock import from_micros, to_micros
from stampcard.domain.addresses import AddressKind
from stampcard.domain.value import Value
from stampcard.storage import loading, saving
from stampcard.storage.tables import address, duplicate, identity

#: (source, reference, kind)
AddressKey = tuple[str, str, str]
DuplicateState = Literal["doubtful", "apart"]


class Duplicate(Value, frozen=True):
    """Two members, by id, who may be one person: why that is doubtful, or that somebody said they are two."""

    first: str
    second: str
    kind: str
    state: DuplicateState
    reason: str
    found_at: datetime


class Same(NamedTuple):
    """One verified address of a member."""

    key: AddressKey
    member: str
    print: str


def save_addresses(
    connection: Connection, merchant: str, heard: Mapping[AddressKey, tuple[str | None, str]], now: datetime
) -> None:
    """Write the addresses that customers have now, each as (fingerprint, member); none where it is not verified any more.

    Whatever is new waits to be compared with those of others.
    """
    known = {(row.connection, row.reference, row.kind): row for row in _rows(connection, merchant, heard)}
    fresh, gone = [], []
    for key, (print_, member) in sorted(heard.items()):
        row = known.get(key)
        if print_ is None:
            gone += [key] if row is not None else []
        elif row is None or (row.print, row.member) != (print_, member):
            source, reference, kind = key
            fresh.append(
                {"merchant": merchant, "connection": source, "reference": reference, "kind": kind, "print": print_,
                 "member": member, "unchecked_since": to_micros(now)}
            )  # fmt: skip
    saving.upsert(connection, "address", fresh)
    if gone:
        place = tuple_(address.c.connection, address.c.reference, address.c.kind)
        connection.execute(delete(address).where(address.c.merchant == merchant, place.in_(gone)))


def _rows(connection: Connection, merchant: str, keys: Collection[AddressKey]) -> list[Row[Any]]:
    found: list[Row[Any]] = []
    sources: dict[str, set[str]] = {}
    for source, reference, _ in keys:
        sources.setdefault(source, set()).add(reference)
    for source, references in sorted(sources.items()):
        statement = select(address).where(
            address.c.merchant == merchant, address.c.connection == source, address.c.reference.in_(sorted(references))
        )
        found += connection.execute(statement)
    return found


def unchecked(connection: Connection, merchant: str, limit: int) -> list[Same]:
    """Addresses that wait to be compared, the longest first."""
    statement = (
        select(address)
        .where(address.c.merchant == merchant, address.c.unchecked_since.is_not(None))
        .order_by(address.c.unchecked_since)
        .limit(limit)
    )
    return [_same(row) for row in connection.execute(statement)]


def _same(row: Row[Any]) -> Same:
    return Same((row.connection, row.reference, row.kind), row.member, row.print)


def others(connection: Connection, merchant: str, one: Same) -> list[str]:
    """The other members who have the same address, verified."""
    statement = select(address.c.member).where(
        address.c.merchant == merchant,
        address.c.kind == one.key[2],
        address.c.print == one.print,
        address.c.member != one.member,
    )
    return sorted(set(connection.execute(statement).scalars()))


def members_at(
    connection: Connection, merchant: str, kind: AddressKind, prints: Collection[str]
) -> dict[str, set[str]]:
    """Fingerprint of a verified address → the members who have it."""
    found: dict[str, set[str]] = {}
    if prints:
        statement = select(address.c.print, address.c.member).where(
            address.c.merchant == merchant, address.c.kind == kind, address.c.print.in_(sorted(prints))
        )
        for row in connection.execute(statement):
            found.setdefault(row.print, set()).add(row.member)
    return found


def checked(connection: Connection, merchant: str, one: Same) -> None:
    """Write that an address was compared."""
    source, reference, kind = one.key
    connection.execute(
        update(address)
        .where(
            address.c.merchant == merchant,
            address.c.connection == source,
            address.c.reference == reference,
            address.c.kind == kind,
        )
        .values(unchecked_since=None)
    )


def sources_known(connection: Connection, merchant: str, member: str) -> set[str]:
    """The sources that know a member."""
    statement = select(identity.c.connection).where(identity.c.merchant == merchant, identity.c.member == member)
    return set(connection.execute(statement).scalars())


def are_apart(connection: Connection, merchant: str, one: str, other: str) -> bool:
    """Whether somebody said that two members, or who was merged into them, are two people."""
    ones, others_ = ({member, *loading.sources_of(connection, merchant, [member])} for member in (one, other))
    pairs = sorted({tuple(sorted((first, second))) for first in ones for second in others_})
    statement = select(duplicate.c.state).where(
        duplicate.c.merchant == merchant,
        duplicate.c.state == "apart",
        tuple_(duplicate.c.first, duplicate.c.second).in_(pairs),
    )
    return connection.execute(statement.limit(1)).scalar() is not None


def note_duplicate(
    connection: Connection,
    merchant: str,
    pair: tuple[str, str],
    kind: str,
    state: DuplicateState,
    reason: str,
    now: datetime,
) -> None:
    """Write that two members may be one person, or are two."""
    first, second = sorted(pair)
    row = {"merchant": merchant, "first": first, "second": second, "kind": kind, "state": state, "reason": reason}
    saving.upsert(connection, "duplicate", [{**row, "found_at": to_micros(now)}])


def forget_duplicates(
    connection: Connection, merchant: str, members: Collection[str], state: DuplicateState | None = None
) -> None:
    """Let go of every pair, or of those in a state, with one of these members."""
    for column in (duplicate.c.first, duplicate.c.second):
        statement = delete(duplicate).where(duplicate.c.merchant == merchant, column.in_(sorted(members)))
        connection.execute(statement if state is None else statement.where(duplicate.c.state == state))


def duplicates_before(
    connection: Connection, merchant: str, state: DuplicateState, before: tuple[int, str, str] | None, limit: int
) -> list[Duplicate]:
    """Pairs in a state, the newest first, behind a place."""
    statement = select(duplicate).where(duplicate.c.merchant == merchant, duplicate.c.state == state)
    if before is not None:
        statement = statement.where(
            tuple_(duplicate.c.found_at, duplicate.c.first, duplicate.c.second) < tuple_(*before)
        )
    order = (duplicate.c.found_at.desc(), duplicate.c.first.desc(), duplicate.c.second.desc())
    return [
        Duplicate(
            first=row.first,
            second=row.second,
            kind=row.kind,
            state=row.state,
            reason=row.reason,
            found_at=from_micros(row.found_at),
        )
        for row in connection.execute(statement.order_by(*order).limit(limit))
    ]
