import json
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from stampcard.cli.main import app
from stampcard.storage.database import Database
from stampcard.storage.migrating import head


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "stampcard.db"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["db", *arguments])


def test_upgrading_makes_the_database_and_again_changes_nothing(file: Path) -> None:
    for _ in range(2):
        result = run("upgrade")
        assert (result.exit_code, result.stdout, result.stderr) == (0, f"the database has shape {head()}\n", "")
    assert run("check").exit_code == 0


def test_a_file_that_is_served_is_not_upgraded(file: Path) -> None:
    run("upgrade")
    database = Database(f"sqlite:///{file}")
    database.claim_file()
    try:
        result = run("upgrade")
    finally:
        database.close()
    assert result.exit_code == 3
    assert "is already served by another process" in result.stderr


def test_checking_what_is_not_there_makes_nothing(file: Path) -> None:
    assert run("check").exit_code == 3
    assert not file.exists()


def test_an_older_shape_is_told_with_the_remedy(file: Path) -> None:
    sqlite3.connect(file).close()
    file.touch()
    result = run("check")
    assert result.exit_code == 1
    assert result.stderr == (f"the database has shape none, this version needs {head()}. Run: stampcard db upgrade\n")


def test_tables_that_somebody_altered_are_listed(file: Path) -> None:
    run("upgrade")
    connection = sqlite3.connect(file)
    connection.execute("ALTER TABLE lease ADD COLUMN mine TEXT")
    connection.close()
    result = run("check", "--json")
    assert result.exit_code == 1
    (difference,) = json.loads(result.stdout)["differences"]
    assert "mine" in difference
    assert "mine" in run("check").stderr


def test_a_file_that_is_no_database_is_one_clean_line(file: Path) -> None:
    file.write_text("no database " * 1000)
    result = run("check")
    assert result.exit_code == 4
    assert result.stderr == "error: the database (file is not a database) is unavailable\n"
