"""Whether what must not be lost is kept: backups, the keys, and room on the disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, select

from stampcard.cli.findings import Finding
from stampcard.settings import Settings
from stampcard.storage.copying import last_backup
from stampcard.storage.tables import event, member

#: A backup that is older leaves too much to be told once more.
FRESH = timedelta(days=2)
#: Bytes, and the share of a disk, below which room is short.
LITTLE, SHARE = 512 * 1024 * 1024, 0.05
MEBI = 1024 * 1024


def backup_finding(connection: Connection, merchant: str, now: datetime, *, is_file: bool) -> Finding:
    """How old the last backup is that somebody made or told of."""
    last = last_backup(connection, merchant)
    if last is not None and last.ended_at is not None and now - last.ended_at <= FRESH:
        where = f": {last.place}" if last.place else ""
        return Finding(level="ok", about="backup", text=f"made {last.ended_at:%Y-%m-%d %H:%M}Z{where}")
    if last is None and not is_file:
        text = "not looked at: PostgreSQL is backed up by means of its own. Tell of it: stampcard db backup --made-elsewhere"
        return Finding(level="ok", about="backup", text=text)
    if not _has_anything(connection, merchant):
        return Finding(level="ok", about="backup", text="there is nothing to lose yet")
    since = f"the last is of {last.ended_at:%Y-%m-%d %H:%M}Z" if last is not None and last.ended_at else "there is none"
    text = f"{since}. Make one each day, and take it to another machine: stampcard db backup"
    return Finding(level="warning", about="backup", text=text)


def copy_finding(settings: Settings) -> Finding:
    """Nobody can see from here whether the keys are kept elsewhere, too."""
    where = "the keys of the environment" if settings.keys is not None else str(settings.key_file)
    text = f"keep a copy of {where} on another machine, apart from the backups: without it they cannot be read"
    return Finding(level="ok", about="keys", text=text)


def disk_findings(
    path: Path | None, usage: Callable[[Path], tuple[int, int, int]] = shutil.disk_usage
) -> Iterator[Finding]:
    """Whether the disk of an SQLite file has room for it to grow and to be copied."""
    if path is None or not path.exists():
        return
    (total, _, free), size = usage(path.parent), path.stat().st_size
    text = f"{free // MEBI} MiB are free below {path.parent}"
    if free < LITTLE or free < total * SHARE:
        yield Finding(level="warning", about="disk", text=f"only {text}. Make room: a full disk takes nothing in")
    elif free < size:
        yield Finding(level="warning", about="disk", text=f"{text}, too little for a copy before an upgrade. Make room")
    else:
        yield Finding(level="ok", about="disk", text=text)


def _has_anything(connection: Connection, merchant: str) -> bool:
    return any(
        connection.execute(select(table.c.merchant).where(table.c.merchant == merchant).limit(1)).first() is not None
        for table in (member, event)
    )
