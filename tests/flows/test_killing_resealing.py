"""Encrypting everything anew goes on where it was killed, on both databases."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from stampcard.applying.setting import Setting
from stampcard.cli.keyfile import rotated
from stampcard.sealing import new_key_text, read_keys
from stampcard.storage.database import Database
from stampcard.storage.inboxing import delivery_of
from stampcard.storage.jobs import load_job
from stampcard.storage.resealing import STEP
from stampcard.storage.tables import inbox
from stampcard.testing.applying import store


@pytest.mark.parametrize(
    ("database_url", "point", "kept"),
    [("sqlite", "while-sealing-anew", STEP), ("postgresql", "after-sealing-anew", 2 * STEP)],
    indirect=["database_url"],
)
async def test_nothing_is_lost_and_nothing_is_done_twice_by_a_kill(
    database: Database,
    setting: Setting,
    tmp_path: Path,
    stampcard: Sequence[str],
    monkeypatch: pytest.MonkeyPatch,
    point: str,
    kept: int,
) -> None:
    keys = new_key_text()
    bodies = [f"{number}".encode() for number in range(2 * STEP + 100)]
    store(database, replace(setting, sealer=read_keys(keys)), *bodies)
    newer = rotated(keys)
    (tmp_path / "stampcard.key").write_text(newer)
    (tmp_path / "stampcard.toml").write_text("programs = []\n")
    monkeypatch.setenv("STAMPCARD_DATABASE", database.url)
    monkeypatch.setenv("MORTAL", f"{point}:2")

    assert (await reseal(tmp_path, stampcard))[0] == -signal.SIGKILL

    newest = read_keys(newer)
    job = database.read_now(lambda connection: load_job(connection, "main", f"reseal:{newest.newest.hex()}"))
    assert job is not None
    assert (job.done, job.ended_at) == (kept, None)
    monkeypatch.delenv("MORTAL")
    code, said = await reseal(tmp_path, stampcard)
    assert (code, said.split(" with")[0]) == (0, f"{len(bodies) - kept} values are encrypted anew")
    found = database.read_now(lambda connection: connection.execute(select(inbox)).all())
    assert {bytes(row.body_sealed)[:4] for row in found} == {newest.newest}
    told = [delivery_of(row, newest) for row in found]
    assert sorted(one.body for one in told if one is not None) == sorted(bodies)


async def reseal(folder: Path, entry: Sequence[str]) -> tuple[int, str]:
    """What the command ends with, and what it says."""
    words = ("--config", str(folder / "stampcard.toml"), "secret", "reseal")
    process = await asyncio.create_subprocess_exec(
        sys.executable, *entry, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()
