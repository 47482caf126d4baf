import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from stampcard.cli.main import app
from stampcard.program.schema import program_schema

TEXT = """\
program: main
currency: EUR
timezone: Europe/Berlin
wallets:
  points: {}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "program.yaml").write_text(TEXT)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["program", *arguments])


def data(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


def change(folder: Path, old: str, new: str) -> None:
    (folder / "program.yaml").write_text(TEXT.replace(old, new))


def test_a_right_file_is_told_to_be_right() -> None:
    result = run("check", "program.yaml")
    assert (result.exit_code, result.stdout) == (0, "program.yaml: program 'main' is right: 1 rule\n")


def test_every_problem_of_a_file_has_its_place_and_the_exit_code_is_3(folder: Path) -> None:
    change(folder, "EUR}", "USD, wen: 1}")
    result = run("check", "program.yaml")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.splitlines() == [
        "error: program.yaml:7:36 rules[0].award: the program's currency is EUR, not USD",
        "error: program.yaml:7:49 rules[0].wen: unknown setting, did you mean 'when'?",
    ]


def test_problems_are_data_for_other_programs(folder: Path) -> None:
    change(folder, "currency: EUR\n", "")
    result = run("check", "program.yaml", "--json")
    assert result.exit_code == 3
    (problem,) = json.loads(result.stdout)["problems"]
    assert (problem["path"], problem["message"]) == ("currency", "is missing")
    assert data("check", "program.yaml")["ok"] is False


def test_a_file_that_is_not_there_is_one_clean_line() -> None:
    result = run("check", "absent.yaml")
    assert (result.exit_code, result.stderr) == (
        3,
        "error: programs: absent.yaml cannot be read (No such file or directory)\n",
    )


def test_applying_makes_a_version_and_a_database_where_there_is_none(folder: Path) -> None:
    result = run("apply", "program.yaml", "--note", "begin", "--author", "Ada")
    assert (result.exit_code, result.stdout) == (0, "program 'main': version 1 is valid now\n")
    (version,) = data("list")
    assert (version["program"], version["number"], version["author"], version["note"]) == ("main", 1, "Ada", "begin")
    assert (folder / "stampcard.db").is_file()


def test_applying_the_same_text_again_changes_nothing_and_says_so(folder: Path) -> None:
    run("apply", "program.yaml")
    again = run("apply", "program.yaml")
    assert (again.exit_code, again.stdout) == (
        0,
        "program 'main': version 1 has this text already, so nothing changed\n",
    )
    change(folder, "1 per", "2 per")
    changed = data("apply", "program.yaml")
    assert (changed["program"], changed["version"], changed["changed"]) == ("main", 2, True)


def test_a_wallet_of_another_program_is_refused(folder: Path) -> None:
    run("apply", "program.yaml")
    change(folder, "program: main", "program: club")
    result = run("apply", "program.yaml")
    assert result.exit_code == 3
    assert result.stderr == "error: club:wallets.points: the program 'main' has a wallet of this name already\n"


def test_a_wrong_file_reaches_no_database(folder: Path) -> None:
    change(folder, "EUR}", "USD}")
    assert run("apply", "program.yaml").exit_code == 3
    assert not (folder / "stampcard.db").exists()


def test_a_database_without_the_needed_shape_says_how_to_get_it(folder: Path) -> None:
    (folder / "stampcard.db").touch()
    result = run("apply", "program.yaml")
    assert result.exit_code == 3
    assert result.stderr.startswith("error: database: the database has shape none, this version needs ")
    assert result.stderr.endswith("Run: stampcard db upgrade\n")


def test_the_versions_are_listed_in_order(folder: Path) -> None:
    run("apply", "program.yaml", "--author", "Ada")
    change(folder, "1 per", "2 per")
    run("apply", "program.yaml", "--author", "Ben", "--note", "twice as much")
    lines = run("list").stdout.splitlines()
    assert lines[0].split() == ["PROGRAM", "VERSION", "STATE", "VALID", "FROM", "AUTHOR", "NOTE"]
    assert [line.split()[:3] for line in lines[1:]] == [["main", "1", "past"], ["main", "2", "valid"]]
    assert lines[2].endswith("Ben     twice as much")


def test_a_diff_shows_what_applying_would_change(folder: Path) -> None:
    run("apply", "program.yaml")
    assert run("diff", "program.yaml").stdout == ""
    change(folder, "1 per", "2 per")
    assert run("diff", "program.yaml").stdout.splitlines() == [
        "rule buy: award 1 per 1 EUR → 2 per 1 EUR",
        "",
        "--- main, version 1",
        "+++ program.yaml",
        "@@ -4,4 +4,4 @@",
        " wallets:",
        "   points: {}",
        " rules:",
        "-  - {id: buy, on: purchase, award: 1 per 1 EUR}",
        "+  - {id: buy, on: purchase, award: 2 per 1 EUR}",
    ]


def test_listing_without_a_database_names_the_file_and_the_way(folder: Path) -> None:
    result = run("list")
    assert result.exit_code == 3
    assert result.stderr == (
        f"error: database: there is no file {folder}/stampcard.db. Make it: stampcard db upgrade\n"
    )
    assert not (folder / "stampcard.db").exists()


def test_the_schema_is_printed_for_editors() -> None:
    assert json.loads(run("schema").stdout) == program_schema()
