"""People who asked a shop for what is stored of them; somebody answers by hand, and says so."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, Row, select, tuple_, update

from stampcard.clock import from_micros, to_micros
from stampcard.domain.value import Value
from stampcard.errors import Conflict, NotFound
from stampcard.storage import saving
from stampcard.storage.rows import moment
from stampcard.storage.tables import data_request


class DataRequest(Value, frozen=True):
    """A request, by the vendor's own number of it; `member`: whose data it is about, if anybody is known."""

    connection: str
    request: str
    member: str | None
    asked_at: datetime
    answered_at: datetime | None = None
    answered_by: str = ""
    note: str = ""


def keep_request(
    connection: Connection, merchant: str, name: str, request: str, member: str | None, at: datetime
) -> None:
    """Let a request wait to be answered; one that is known already stays as it is."""
    row = {
        "merchant": merchant,
        "connection": name,
        "request": request or f"at-{to_micros(at)}",
        "member": member,
        "asked_at": to_micros(at),
    }
    saving.insert_new(connection, "data_request", [row])


def list_data_requests(
    connection: Connection, merchant: str, *, answered: bool, after: tuple[int, str, str] | None, limit: int
) -> Sequence[DataRequest]:
    """Those that wait, or with `answered` all, the longest ago first, behind a place."""
    key = (data_request.c.asked_at, data_request.c.connection, data_request.c.request)
    statement = select(data_request).where(data_request.c.merchant == merchant)
    if not answered:
        statement = statement.where(data_request.c.answered_at.is_(None))
    if after is not None:
        statement = statement.where(tuple_(*key) > after)
    return [_of(row) for row in connection.execute(statement.order_by(*key).limit(limit))]


def place_of(one: DataRequest) -> tuple[int, str, str]:
    """Where a request stands in the list."""
    return to_micros(one.asked_at), one.connection, one.request


def answer_request(
    connection: Connection, merchant: str, name: str, request: str, at: datetime, by: str, note: str
) -> DataRequest:
    """Write down that a request was answered; raises NotFound, Conflict for one that was before."""
    mine = (
        data_request.c.merchant == merchant,
        data_request.c.connection == name,
        data_request.c.request == request,
    )
    answered = update(data_request).where(*mine, data_request.c.answered_at.is_(None))
    done = connection.execute(answered.values(answered_at=to_micros(at), answered_by=by, note=note)).rowcount
    row = connection.execute(select(data_request).where(*mine)).one_or_none()
    if row is None:
        raise NotFound("request for data", f"{name} {request}")
    if not done:
        when = from_micros(row.answered_at)
        raise Conflict("answered", f"it was answered on {when:%Y-%m-%d %H:%M}Z by {row.answered_by}")
    return _of(row)


def _of(row: Row[tuple[object, ...]]) -> DataRequest:
    return DataRequest(
        connection=row.connection,
        request=row.request,
        member=row.member,
        asked_at=from_micros(row.asked_at),
        answered_at=moment(row.answered_at),
        answered_by=row.answered_by,
        note=row.note,
    )
