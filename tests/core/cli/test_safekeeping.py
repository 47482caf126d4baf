from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from stampcard.cli.safekeeping import backup_finding, disk_findings
from stampcard.storage.copying import remember_backup
from stampcard.storage.database import Database
from stampcard.testing.building import NOON


def judged(database: Database, *, days: float = 0) -> tuple[str, str]:
    finding = database.read_now(
        lambda c: backup_finding(c, "main", NOON + timedelta(days=days), is_file=database.is_sqlite)
    )
    return finding.level, finding.text


def test_an_installation_with_members_wants_a_backup_each_two_days(
    database: Database, join: Callable[[str], str]
) -> None:
    nothing = "there is nothing to lose yet" if database.is_sqlite else "not looked at: PostgreSQL is backed up"
    assert judged(database)[1].startswith(nothing)
    join("7")
    assert judged(database)[0] == ("warning" if database.is_sqlite else "ok")
    database.write_now(lambda c: remember_backup(c, "main", "/b.db", 1, NOON))
    assert judged(database, days=1.9) == ("ok", "made 2026-03-10 12:00Z: /b.db")
    level, text = judged(database, days=2.1)
    assert (level, text.startswith("the last is of 2026-03-10 12:00Z. Make one each day")) == ("warning", True)
    assert text.endswith("stampcard db backup")


@pytest.mark.parametrize(
    ("total", "free", "level", "said"),
    [
        (100, 50, "ok", "51200 MiB are free below"),
        (100, 4, "warning", "only 4096 MiB are free below"),
        (1, 0.4, "warning", "only 409 MiB are free below"),
        (40, 3, "warning", "too little for a copy before an upgrade"),
    ],
)
def test_room_on_the_disk_is_judged_by_what_must_fit(
    tmp_path: Path, total: float, free: float, level: str, said: str
) -> None:
    file, giga = tmp_path / "stampcard.db", 1 << 30
    with file.open("wb") as opened:
        opened.truncate(5 * giga)  # no block of it is written
    (finding,) = disk_findings(file, lambda _: (int(total * giga), 0, int(free * giga)))
    assert (finding.level, said in finding.text) == (level, True), finding.text
    assert list(disk_findings(None)) == list(disk_findings(tmp_path / "none.db")) == []
