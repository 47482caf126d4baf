"""How far a look at all contacts of a CRM is: a row among the jobs, moved in the transaction that takes a page in."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, Row, delete, select, update

from stampcard.clock import from_micros, to_micros
from stampcard.domain.value import Value, replace
from stampcard.storage import saving
from stampcard.storage.revising import bump
from stampcard.storage.tables import job

#: `sync`: people asked for it, and members are shown there in the end. `compare`: what was missed is found by it each night.
Why = Literal["sync", "compare"]
#: making the fields that are missing there, reading all contacts, waiting until they are applied, showing all members there, waiting until they are shown.
Phase = Literal["preparing", "reading", "applying", "showing", "sending", "ended", "undone"]
#: What is kept among the jobs of each connection to a CRM.
JOBS = ("sync", "compare", "poll", "lists")


class Progress(Value, frozen=True, omit_defaults=True):
    """What a sweep is beside its place. `different`: contacts that were not known so; `missing`: known ones that were not found.

    `shown`: members of whom something was to be shown, `all_shown_at`: since when that is all of them. `trouble`: why the last try brought nothing, `tries`: how many did not.
    """

    phase: Phase = "preparing"
    counted: bool = False
    stopped: bool = False
    different: int = 0
    missing: int = 0
    shown: int = 0
    removed_there: int = 0
    removed_here: int = 0
    all_shown_at: datetime | None = None
    next_at: datetime | None = None
    trouble: str = ""
    tries: int = 0


class Sweep(Value, frozen=True):
    """One look at everybody: behind which place to go on, and how many contacts of about how many were read."""

    connection: str
    why: Why
    started_at: datetime
    place: str = ""
    done: int = 0
    total: int = 0
    ended_at: datetime | None = None
    progress: Progress = Progress()

    @property
    def goes_on(self) -> bool:
        """Whether there is something left to do."""
        return self.ended_at is None and not self.progress.stopped

    @property
    def is_halted(self) -> bool:
        """Whether people stopped it before its end."""
        return self.ended_at is None and self.progress.stopped

    @property
    def mark(self) -> str:
        """What contacts are marked with that it found."""
        return f"{self.why}:{to_micros(self.started_at)}"


_PROGRESS = msgspec.json.Decoder(Progress)


def load_sweep(connection: Connection, merchant: str, name: str, why: Why) -> Sweep | None:
    """The newest of a connection."""
    found = connection.execute(select(job).where(*_mine(merchant, name, why))).one_or_none()
    return None if found is None else _of(found)


def _of(found: Row[Any]) -> Sweep:
    why, _, name = found.name.partition(":")
    return Sweep(
        connection=name,
        why=why,
        started_at=from_micros(found.started_at),
        place=found.place,
        done=found.done,
        total=found.total,
        ended_at=None if found.ended_at is None else from_micros(found.ended_at),
        progress=_PROGRESS.decode(found.data),
    )


def begun_sweeps(connection: Connection, merchant: str) -> dict[str, Sweep]:
    """Connection → the look at its contacts that people had, or are having, and did not have taken back.

    What is to be shown there has its fields by then.
    """
    mine = (job.c.merchant == merchant, job.c.name.startswith("sync:", autoescape=True))
    found = (_of(row) for row in connection.execute(select(job).where(*mine)))
    return {one.connection: one for one in found if one.progress.phase not in {"preparing", "undone"}}


def begin_sweep(connection: Connection, merchant: str, name: str, why: Why, now: datetime) -> Sweep:
    """Let all contacts be looked at: on from where it stopped; one that has ended begins anew."""
    known = load_sweep(connection, merchant, name, why)
    if known is not None and known.ended_at is None:
        going = replace(known, progress=replace(known.progress, stopped=False, next_at=None))
        connection.execute(update(job).where(*_mine(merchant, name, why)).values(data=_written(going.progress)))
        bump(connection, merchant)
        return going
    connection.execute(delete(job).where(*_mine(merchant, name, why)))
    sweep = Sweep(connection=name, why=why, started_at=now)
    row = {
        "merchant": merchant,
        "name": f"{why}:{name}",
        "data": _written(sweep.progress),
        "started_at": to_micros(now),
    }
    saving.insert(connection, "job", [row])
    return sweep


def stop_sweep(connection: Connection, merchant: str, name: str, why: Why) -> Sweep | None:
    """Let nothing more be read or shown until it is begun again, from there."""
    known = load_sweep(connection, merchant, name, why)
    if known is None or not known.goes_on:
        return known
    stopped = replace(known, progress=replace(known.progress, stopped=True))
    connection.execute(update(job).where(*_mine(merchant, name, why)).values(data=_written(stopped.progress)))
    bump(connection, merchant)
    return stopped


def take_sweep_back(connection: Connection, merchant: str, known: Sweep, there: int, here: int, now: datetime) -> None:
    """Write that what a sweep made was taken back: nothing is read or written until it is begun anew."""
    undone = replace(known.progress, phase="undone", removed_there=there, removed_here=here)
    move_sweep(connection, merchant, known, replace(known, progress=undone, ended_at=known.ended_at or now))
    bump(connection, merchant)


def move_sweep(connection: Connection, merchant: str, before: Sweep, after: Sweep) -> bool:
    """Write down how far it is, if it still is where it was; False where somebody else moved or stopped it."""
    moved = (
        update(job)
        .where(
            *_mine(merchant, before.connection, before.why),
            job.c.place == before.place,
            job.c.data == _written(before.progress),
            job.c.started_at == to_micros(before.started_at),
        )
        .values(
            place=after.place,
            done=after.done,
            total=after.total,
            data=_written(after.progress),
            ended_at=None if after.ended_at is None else to_micros(after.ended_at),
        )
    )
    return connection.execute(moved).rowcount == 1


def _mine(merchant: str, name: str, why: Why) -> tuple[Any, ...]:
    return job.c.merchant == merchant, job.c.name == f"{why}:{name}"


def _written(progress: Progress) -> str:
    return msgspec.json.encode(progress).decode()
