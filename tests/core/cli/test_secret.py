"""Keys are turned while a server runs, and everything is encrypted anew."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from typer.testing import Result

from stampcard.app import Application
from stampcard.cli import secret
from stampcard.domain.deliveries import Delivery
from stampcard.sealing import new_key_text, read_keys
from stampcard.settings import Settings
from stampcard.storage import resealing
from stampcard.storage.database import Database
from stampcard.storage.jobs import load_job
from stampcard.storage.tables import inbox
from stampcard.testing.building import NOON

Run = Callable[..., Result]
Data = Callable[..., Any]
#: For what the kind of database says nothing of.
FILE_ONLY = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def key_file(installed: Path) -> Path:
    return installed / "stampcard.key"


def words(path: Path) -> list[str]:
    return [line.split()[0] for line in path.read_text().splitlines() if not line.startswith("#")]


@FILE_ONLY
def test_a_new_key_comes_first_and_the_others_stay(run: Run, key_file: Path, data: Data) -> None:
    before, id_ = key_file.read_text(), read_keys(key_file.read_text()).newest
    result = run("secret", "rotate")
    assert result.exit_code == 0, result.output
    assert "running processes encrypt with it within a second" in result.stdout
    assert words(key_file) == ["tombstone", "seal", "seal"]
    assert before.splitlines()[-1] == key_file.read_text().splitlines()[-1]
    assert (key_file.stat().st_mode & 0o777, sorted(key_file.parent.glob("*.key*"))) == (0o600, [key_file])
    newest, old = data("secret", "list")
    assert (newest["state"], old) == ("encrypts", {"key": id_.hex(), "state": "decrypts", "values": 0})
    assert before.splitlines()[-1].split()[1] not in run("secret", "list").output


@FILE_ONLY
def test_a_key_is_prepared_for_other_machines_and_then_taken(run: Run, key_file: Path) -> None:
    assert run("secret", "rotate", "--prepare").exit_code == 0
    assert words(key_file) == ["tombstone", "seal", "next"]
    prepared = key_file.read_text()
    assert run("secret", "rotate", "--prepare").stdout == "a key is prepared already\n"
    assert key_file.read_text() == prepared
    assert run("secret", "rotate").exit_code == 0
    assert words(key_file) == ["tombstone", "seal", "seal"]
    assert read_keys(prepared).known == read_keys(key_file.read_text()).known[::-1]


def test_everything_is_encrypted_anew_and_only_then_a_former_key_is_let_go(
    run: Run, key_file: Path, data: Data, set_aside: Callable[..., int]
) -> None:
    for _ in range(3):
        set_aside("malformed", "no id")
    old = read_keys(key_file.read_text()).newest
    assert run("secret", "rotate").exit_code == 0
    refused = run("secret", "rotate", "--drop-old")
    assert refused.exit_code == 1
    assert refused.stderr == (
        f"error: values are encrypted with former keys: 3 with {old.hex()}. Run: stampcard secret reseal\n"
    )
    resealed = run("secret", "reseal")
    assert (resealed.exit_code, resealed.stdout.split(" with")[0]) == (0, "3 values are encrypted anew")
    assert run("secret", "reseal").stdout.startswith("0 values")
    assert [(row["state"], row["values"]) for row in data("secret", "list")] == [("encrypts", 3), ("decrypts", 0)]
    dropped = run("secret", "rotate", "--drop-old")
    assert dropped.stdout == "former keys are taken away\n"
    assert "Links for follows and shares from before lead nowhere" in dropped.stderr
    assert words(key_file) == ["tombstone", "seal"]
    assert run("secret", "rotate", "--drop-old").stdout == "there is no former key\n"
    assert [row["values"] for row in data("secret", "list")] == [3]


def test_an_interrupted_run_goes_on_where_it_stopped(
    run: Run, database: Database, settings: Settings, set_aside: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resealing, "STEP", 1)
    for _ in range(4):
        set_aside("malformed", "no id")
    assert run("secret", "rotate").exit_code == 0

    class Killed(BaseException):
        """Nothing catches it."""

    def stop(done: int) -> None:
        if done == 2:
            raise Killed

    from stampcard.app import open_sealer

    sealer = open_sealer(settings)
    with pytest.raises(Killed):
        secret._pass(database, settings, sealer, stop)
    job = database.read_now(lambda connection: load_job(connection, "main", f"reseal:{sealer.newest.hex()}"))
    assert job is not None
    assert (job.done, job.ended_at, job.place.startswith('["inbox"')) == (2, None, True)
    assert run("secret", "reseal").stdout.startswith("2 values")
    job = database.read_now(lambda connection: load_job(connection, "main", f"reseal:{sealer.newest.hex()}"))
    assert job is not None
    assert (job.place, job.ended_at is not None) == ("", True)


def test_what_no_key_decrypts_is_told_and_is_partly_done(
    run: Run, database: Database, set_aside: Callable[..., int], data: Data
) -> None:
    foreign = read_keys(new_key_text())
    for _ in range(2):
        last = set_aside("malformed", "no id")
    change = update(inbox).where(inbox.c.id == last).values(body_sealed=foreign.seal(b"x", b""))
    database.write_now(lambda connection: connection.execute(change))
    assert run("secret", "rotate", "--reseal").exit_code == 5
    assert {row["state"]: row["values"] for row in data("secret", "list")} == {
        "encrypts": 1, "decrypts": 0, "missing": 1,
    }  # fmt: skip


@FILE_ONLY
async def test_a_running_server_encrypts_with_the_new_key_without_a_restart(
    run: Run, settings: Settings, database: Database, data: Data
) -> None:
    async def received(application: Application, key: str) -> bytes:
        delivery = Delivery(connection="shop", key=key, topic="t", body=b"{}", received_at=NOON)
        await application.receive(delivery)
        found = select(inbox.c.body_sealed).where(inbox.c.key == key)
        return bytes((await database.read(lambda connection: connection.execute(found).scalar_one()))[:4])

    application = Application(settings)
    await application.open(loops=False, calls=False)
    try:
        before = await received(application, "one")
        revision = application.setting.programs.revision
        assert run("secret", "rotate").exit_code == 0
        after = await received_after(application, received)
        assert [row["key"] for row in data("secret", "list")] == [after.hex(), before.hex()]
        assert application.setting.programs.revision > revision
    finally:
        await application.close()


async def received_after(application: Application, received: Callable[..., Any]) -> bytes:
    """What the next delivery is sealed with, once the server has noticed that the revision rose."""
    await application.refresh()
    return bytes(await received(application, "two"))


@FILE_ONLY
@pytest.mark.parametrize(
    ("prepare", "code", "said"),
    [
        (lambda file: file.with_name("stampcard.key.new").touch(), 3, "stampcard.key.new is there already"),
        (lambda file: file.write_text("seal non-sense"), 3, "line 1 is not 'seal KEY'"),
        (lambda file: file.unlink(), 3, "cannot be read (No such file or directory)"),
    ],
)
def test_what_cannot_be_turned_changes_nothing(
    run: Run, key_file: Path, prepare: Callable[[Path], None], code: int, said: str
) -> None:
    prepare(key_file)
    before = key_file.read_text() if key_file.exists() else None
    result = run("secret", "rotate")
    assert (result.exit_code, said in result.stderr) == (code, True), result.output
    assert (key_file.read_text() if key_file.exists() else None) == before


@FILE_ONLY
def test_keys_of_the_environment_are_counted_and_not_written(
    run: Run, key_file: Path, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [line for line in key_file.read_text().splitlines() if not line.startswith("#")]
    monkeypatch.setenv("STAMPCARD_KEYS", ";".join(lines))
    result = run("secret", "rotate")
    assert (result.exit_code, "come from the environment" in result.stderr) == (3, True)
    assert len(data("secret", "list")) == 1
    assert run("secret", "reseal").exit_code == 0


@FILE_ONLY
def test_three_steps_are_not_one(run: Run) -> None:
    assert run("secret", "rotate", "--prepare", "--drop-old").exit_code == 2
    assert re.search("key +state", run("secret", "list").stdout, re.IGNORECASE)
    assert json.loads(run("secret", "list", "--json").stdout)[0]["state"] == "encrypts"
