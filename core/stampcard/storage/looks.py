"""How far a look at all members is that follows a change of the terms by which something is delivered."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from stampcard.clock import to_micros
from stampcard.storage import saving
from stampcard.storage.tables import job


class Look:
    """The look that is for one kind of delivery of one connection; a row among the jobs."""

    def __init__(self, merchant: str, kind: str, name: str) -> None:
        self._key = {"merchant": merchant, "name": f"{kind}:{name}"}

    def behind(self, connection: Connection, of: str) -> str | None:
        """Behind whom it goes on that is for these terms; None where there is nobody left."""
        mine = (job.c.merchant == self._key["merchant"], job.c.name == self._key["name"])
        last = connection.execute(select(job).where(*mine)).one_or_none()
        if last is None or last.data != of:
            return ""
        return None if last.ended_at is not None else str(last.place)

    def hold(self, connection: Connection, now: datetime) -> None:
        """Let nobody else let all be looked at anew before it is written how far this one came."""
        saving.insert_new(connection, "job", [{**self._key, "data": "", "started_at": to_micros(now)}])
        mine = (job.c.merchant == self._key["merchant"], job.c.name == self._key["name"])
        connection.execute(select(job.c.name).where(*mine).with_for_update()).all()

    def forget(self, connection: Connection, now: datetime) -> None:
        """Let everybody be looked at anew, whatever the terms."""
        self.save(connection, "", "", now, ended=False)

    def save(self, connection: Connection, of: str, place: str, now: datetime, *, ended: bool) -> None:
        """Note for which terms it is, behind whom to go on, and whether there is nobody left."""
        at = to_micros(now)
        row = {**self._key, "data": of, "place": place, "started_at": at, "ended_at": at if ended else None}
        saving.upsert(connection, "job", [row])
