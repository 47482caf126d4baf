import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from stampcard.cli.main import app

TEXT = """\
program: main
currency: EUR
timezone: Europe/Berlin
wallets:
  points: {}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}   # for everybody
"""
DOUBLE = TEXT.replace("1 per", "2 per")
AHEAD = "2199-12-01T08:00"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file, which the database has as version 1."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "program.yaml").write_text(TEXT)
    assert run("apply", "program.yaml", "--author", "Ada").exit_code == 0
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["program", *arguments])


def said(*arguments: str) -> list[str]:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def refused(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code == 1, result.output
    return result.stderr


def listed() -> Any:
    return [(row["number"], row["state"], row["valid_from"]) for row in json.loads(run("list", "--json").stdout)]


def plan(folder: Path, text: str = DOUBLE) -> None:
    (folder / "program.yaml").write_text(text)
    assert said("apply", "program.yaml", "--from", AHEAD, "--author", "Ben") == [
        "program 'main': version 2 is planned: it is valid from 2199-12-01 08:00 Europe/Berlin on",
        "Take it back: stampcard program cancel main 2",
    ]


def test_a_planned_version_waits_for_its_time_in_the_programs_zone(folder: Path) -> None:
    plan(folder)
    first, second = listed()
    assert first[:2] == (1, "valid")
    assert second == (2, "planned", "2199-12-01T07:00:00+00:00")
    line = said("list")[2]
    assert line.split()[:5] == ["main", "2", "planned", "2199-12-01", "07:00:00Z"]


def test_what_is_said_of_a_moment_must_be_one_and_ahead(folder: Path) -> None:
    (folder / "program.yaml").write_text(DOUBLE)
    assert refused("apply", "program.yaml", "--from", "tomorrow").startswith("error: 'tomorrow' is no moment: write ")
    assert refused("apply", "program.yaml", "--from", "2020-01-01").startswith("error: 2019-12-31 23:00Z is past: ")
    assert [row[0] for row in listed()] == [1]


def test_nothing_begins_before_what_is_planned(folder: Path) -> None:
    plan(folder)
    (folder / "program.yaml").write_text(TEXT.replace("1 per", "3 per"))
    for more in ((), ("--from", "2199-11-01")):
        error = refused("apply", "program.yaml", *more)
        assert error.startswith("error: version 2 by Ben of 20")
        assert "is planned from 2199-12-01 07:00Z on: let this one begin then or later, or withdraw" in error
    assert "reverted" not in refused("revert", "main", "1")
    assert said("apply", "program.yaml", "--from", "2199-12-24")[0].startswith("program 'main': version 3 is planned")


def test_a_planned_version_is_taken_back_and_its_number_is_never_given_again(folder: Path) -> None:
    plan(folder)
    assert said("cancel", "main", "2", "--author", "Eve") == [
        "program 'main': version 2 is withdrawn; it was planned from 2199-12-01 07:00Z on"
    ]
    assert listed()[1] == (2, "withdrawn", None)
    assert "withdrawn by Eve on 20" in said("list")[2]
    assert refused("cancel", "main", "2") == "error: version 2 was withdrawn already\n"
    assert said("apply", "program.yaml") == ["program 'main': version 3 is valid now"]


def test_what_was_valid_stays() -> None:
    assert refused("cancel", "main", "1").startswith("error: version 1 is or was valid, from 20")
    assert refused("cancel", "main", "4").startswith("error: there is no version of 'main' '4'")
    assert refused("cancel", "mian", "1") == "error: there is no program 'mian'. Did you mean 'main'?\n"


def test_an_old_text_is_made_valid_again(folder: Path) -> None:
    (folder / "program.yaml").write_text(DOUBLE)
    run("apply", "program.yaml")
    assert said("revert", "main", "1") == ["program 'main': version 3 has the text of version 1 and is valid now"]
    assert said("revert", "main", "1") == ["program 'main': version 3 has the text of version 1 already"]
    assert said("list")[3].endswith("back to version 1")
    assert said("pull", "main") == TEXT.splitlines()


def test_the_databases_text_is_written_over_what_some_version_holds_only(folder: Path) -> None:
    file = folder / "program.yaml"
    file.write_text(DOUBLE)
    run("apply", "program.yaml")
    assert said("pull", "main", "--version", "1", "--output", "program.yaml") == []
    assert file.read_text() == TEXT
    file.write_text("a draft")
    assert "holds what no version does" in refused("pull", "main", "--output", "program.yaml")
    assert file.read_text() == "a draft"
    result = run("pull", "main", "--output", "program.yaml", "--force")
    assert (file.read_text(), result.stderr) == (DOUBLE, "program.yaml is now main, version 2\n")
    assert run("pull", "main", "--output", "absent/program.yaml").exit_code == 3
    assert refused("pull", "mian") == "error: there is no program 'mian'. Did you mean 'main'?\n"


def test_a_diff_is_against_what_is_valid_or_what_is_named(folder: Path) -> None:
    plan(folder)
    result = run("diff", "program.yaml")
    assert result.stderr == "version 2 is planned from 2199-12-01 07:00Z on\n"
    assert result.stdout.splitlines()[0] == "rule buy: award 1 per 1 EUR → 2 per 1 EUR"
    assert said("diff", "program.yaml", "--against", "2") == []


def test_a_diff_of_comments_says_that_nothing_else_changed(folder: Path) -> None:
    (folder / "program.yaml").write_text(TEXT.replace("everybody", "all"))
    lines = said("diff", "program.yaml")
    assert lines[0] == "nothing but comments and layout"
    assert lines[-1].endswith("# for all")
    (folder / "program.yaml").write_text(TEXT.replace("main", "club").replace("points", "coins"))
    assert said("diff", "program.yaml")[0] == "program club is new"
