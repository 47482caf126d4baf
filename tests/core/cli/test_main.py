import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stampcard import __version__
from stampcard.cli.invocation import exit_code
from stampcard.cli.main import app
from stampcard.errors import (
    CallRefused,
    ConfigurationError,
    InvalidSettings,
    NotFound,
    PluginError,
    ProgramError,
    StampcardError,
    Unavailable,
)

#: What Python is given to run the command as it is installed.
ALONE = ("-P", "-c", "from stampcard.cli.main import run; run()")
HEAVY = ("aiohttp", "sqlalchemy", "pydantic_settings", "httpx", "alembic", "cel_expr_python", "stampcard.settings")


def script(
    *arguments: str, cwd: Path, entry: Sequence[str] = ALONE, **environ: str
) -> subprocess.CompletedProcess[str]:
    """The command as a shell runs it."""
    command = [sys.executable, *entry, *arguments]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("STAMPCARD_")}
    return subprocess.run(  # noqa: S603 - our own interpreter and program
        command, cwd=cwd, env={**plain, **environ}, capture_output=True, text=True, check=False
    )


def test_the_version_is_told() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"stampcard {__version__}\n"


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    code = f"import sys; from stampcard.cli.main import app; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("a", "b"), 3),
        (InvalidSettings([ConfigurationError("a", "b")]), 3),
        (ProgramError("a", []), 3),
        (PluginError("a", "b"), 3),
        (Unavailable("a"), 4),
        (NotFound("a", "b"), 1),
        (CallRefused("a", "b"), 1),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error: StampcardError, code: int) -> None:
    assert exit_code(error) == code


def test_a_wrong_configuration_is_clean_lines_on_stderr_and_exit_code_3(tmp_path: Path) -> None:
    done = script("check", cwd=tmp_path, STAMPCARD_DATABSE="x", STAMPCARD_LOG__LEVEL="x")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.splitlines() == [
        "error: STAMPCARD_DATABSE: there is no such setting. Did you mean 'STAMPCARD_DATABASE'?",
        "error: log.level: input should be 'debug', 'info', 'warning', 'error' or 'critical', not 'x' (STAMPCARD_LOG__LEVEL)",
    ]


def test_debug_adds_where_in_the_program_the_error_came_from(tmp_path: Path, stampcard: Sequence[str]) -> None:
    done = script("--debug", "--config", "absent.toml", "check", cwd=tmp_path, entry=stampcard)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "ConfigurationError" in done.stderr


@pytest.mark.parametrize("arguments", [["nonsense"], ["check", "--nonsense"], ["program", "check"], []])
def test_a_wrong_call_is_exit_code_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2


def test_a_database_out_of_reach_is_exit_code_4_and_says_why_without_the_password(
    tmp_path: Path, stampcard: Sequence[str]
) -> None:
    url = "postgresql://ada:hunter2-hunter2@127.0.0.1:1/x"
    done = script("db", "check", cwd=tmp_path, entry=stampcard, STAMPCARD_DATABASE=url)
    assert done.returncode == 4
    assert done.stderr.startswith("error: the database (connection failed: ")
    assert "Connection refused" in done.stderr
    assert "hunter2" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_new_installation_goes_from_init_to_a_valid_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    steps = (["init"], ["check"], ["db", "upgrade"], ["program", "apply", "program.yaml"], ["check", "--connect"])
    done = [CliRunner().invoke(app, step) for step in steps]
    assert [one.exit_code for one in done] == [0] * len(steps), [one.stderr for one in done]
    assert "program 'main' is valid as it stands here" in done[-1].stdout
