"""Long work that goes on where it stopped: a row for each job, moved in the transaction that does a step."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from stampcard.clock import from_micros, to_micros
from stampcard.domain.value import Value
from stampcard.storage import saving
from stampcard.storage.tables import job


class Job(Value, frozen=True):
    """A job: behind which row to go on, how much of how much is done, and when it ended."""

    name: str
    place: str = ""
    done: int = 0
    total: int = 0
    ended_at: datetime | None = None


def load_job(connection: Connection, merchant: str, name: str) -> Job | None:
    """A job by its name."""
    row = connection.execute(select(job).where(job.c.merchant == merchant, job.c.name == name)).one_or_none()
    if row is None:
        return None
    ended_at = None if row.ended_at is None else from_micros(row.ended_at)
    return Job(name=row.name, place=row.place, done=row.done, total=row.total, ended_at=ended_at)


def begin_job(connection: Connection, merchant: str, name: str, total: int, now: datetime, place: str = "") -> Job:
    """A job that stands in the table from now on; one that stood there already goes on."""
    row = {"merchant": merchant, "name": name, "place": place, "total": total, "started_at": to_micros(now)}
    saving.insert_new(connection, "job", [row])
    return load_job(connection, merchant, name) or Job(name=name, place=place, total=total)


def forget_jobs_below(connection: Connection, merchant: str, prefix: str, name: str) -> None:
    """Delete jobs that ended whose names begin so, and come before another."""
    mine = (job.c.merchant == merchant, job.c.name.startswith(prefix, autoescape=True), job.c.name < name)
    connection.execute(delete(job).where(*mine, job.c.ended_at.is_not(None)))


def open_jobs(connection: Connection, merchant: str, prefix: str) -> list[str]:
    """The names of jobs that have not ended, the oldest first."""
    statement = select(job.c.name).where(
        job.c.merchant == merchant, job.c.ended_at.is_(None), job.c.name.startswith(prefix, autoescape=True)
    )
    return list(connection.execute(statement.order_by(job.c.started_at)).scalars())


def move_job(
    connection: Connection, merchant: str, name: str, place: str, done: int, ended_at: datetime | None = None
) -> None:
    """Write down how far a job is; `done` counts in all."""
    mine = (job.c.merchant == merchant, job.c.name == name)
    ended = None if ended_at is None else to_micros(ended_at)
    connection.execute(update(job).where(*mine).values(place=place, done=done, ended_at=ended))


def forget_jobs(connection: Connection, merchant: str, prefix: str, but: str) -> None:
    """Delete jobs that ended whose names begin so, but one."""
    mine = (job.c.merchant == merchant, job.c.name.startswith(prefix, autoescape=True), job.c.name != but)
    connection.execute(delete(job).where(*mine, job.c.ended_at.is_not(None)))
