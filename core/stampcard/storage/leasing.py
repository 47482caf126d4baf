"""One owner at a time for a named job, over all processes; the token rises with every new owner."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, or_, select, update

from stampcard.clock import to_micros
from stampcard.storage import saving
from stampcard.storage.tables import lease


def take(connection: Connection, merchant: str, name: str, owner: str, now: datetime, span: timedelta) -> int | None:
    """The token if the lease is ours now, new or renewed; None while another holds it."""
    at, until = to_micros(now), to_micros(now + span)
    fresh = {"merchant": merchant, "name": name, "owner": "", "token": 0, "until": 0}
    known = connection.execute(select(lease.c.owner).where(lease.c.merchant == merchant, lease.c.name == name)).scalar()
    if known is None:
        saving.insert_new(connection, "lease", [fresh])
    token = lease.c.token if known == owner else lease.c.token + 1
    ours = (
        update(lease)
        .where(
            lease.c.merchant == merchant,
            lease.c.name == name,
            or_(lease.c.owner == owner, lease.c.until < at) if known == owner else lease.c.until < at,
        )
        .values(owner=owner, token=token, until=until)
        .returning(lease.c.token)
    )
    return connection.execute(ours).scalar()


def holds(connection: Connection, merchant: str, name: str, token: int) -> bool:
    """Whether the token is still the newest: nobody took over meanwhile."""
    statement = select(lease.c.token).where(lease.c.merchant == merchant, lease.c.name == name)
    return connection.execute(statement).scalar() == token


def is_held(connection: Connection, merchant: str, name: str, now: datetime) -> bool:
    """Whether anybody has it."""
    until = select(lease.c.until).where(lease.c.merchant == merchant, lease.c.name == name)
    return (connection.execute(until).scalar() or 0) > to_micros(now)


def give_back(connection: Connection, merchant: str, name: str, token: int) -> None:
    """Let the next owner start at once."""
    connection.execute(
        update(lease)
        .where(lease.c.merchant == merchant, lease.c.name == name, lease.c.token == token)
        .values(until=0, owner="")
    )


def end_all(connection: Connection, merchant: str) -> None:
    """End every lease: for whoever knows that all owners are dead."""
    connection.execute(update(lease).where(lease.c.merchant == merchant).values(until=0, owner=""))
