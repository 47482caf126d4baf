import os
import re
import stat
from importlib.resources import files
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stampcard.cli.main import app
from stampcard.program.reading import read_program
from stampcard.sealing import Sealer, read_keys
from stampcard.settings import Settings, load_settings

WRITTEN = ("program.yaml", "stampcard.key", "stampcard.toml")
EXAMPLE = Path(__file__).parents[3] / "config" / "stampcard.example.toml"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["init", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_a_new_folder_gets_settings_program_and_key_and_the_next_steps(folder: Path) -> None:
    code, out, err = run("--dir", "shop")
    assert code == 0
    assert sorted(path.name for path in (folder / "shop").iterdir()) == list(WRITTEN)
    assert sorted(out.splitlines()) == [f"shop/{name}" for name in WRITTEN]
    assert "stampcard --config shop/stampcard.toml check --connect" in err
    assert "Keep a copy of shop/stampcard.key" in err


def test_the_next_steps_name_no_file_that_is_found_anyway(folder: Path) -> None:
    assert "    stampcard check --connect" in run()[2]


def test_the_settings_say_what_holds_by_default(folder: Path) -> None:
    run()
    assert load_settings(folder / "stampcard.toml", environ={}) == Settings().below(folder)


def test_every_line_that_is_commented_out_holds_when_it_is_not(folder: Path) -> None:
    settings, _, _ = EXAMPLE.read_text().partition("# A connection")
    (folder / "all.toml").write_text(re.sub(r"^# (\w+ = )", r"\1", settings, flags=re.MULTILINE))
    loaded = load_settings(folder / "all.toml", environ={})
    expected = Settings().below(folder)
    assert loaded.http.public_url == "https://loyalty.example.com"
    assert loaded.model_copy(update={"http": expected.http, "keys": None}) == expected


def test_every_setting_is_in_the_example() -> None:
    text = EXAMPLE.read_text()
    for name, field in Settings.model_fields.items():
        inner = getattr(field.annotation, "model_fields", None)
        assert f"[{name}" in text if inner or name == "connections" else f"# {name} = " in text
        assert all(f"# {key} = " in text for key in inner or ())


def test_the_program_is_right_and_the_key_seals(folder: Path) -> None:
    run()
    assert read_program((folder / "program.yaml").read_text(), "program.yaml").program == "main"
    assert isinstance(read_keys((folder / "stampcard.key").read_text()), Sealer)


def test_the_key_is_readable_by_its_owner_only_whatever_the_umask(folder: Path) -> None:
    before = os.umask(0)
    try:
        run()
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "stampcard.key").stat().st_mode) == 0o600


def test_what_is_there_stays_and_force_overwrites_all_but_the_key(folder: Path) -> None:
    for name in WRITTEN:
        (folder / name).write_text("mine")
    code, out, err = run()
    assert (code, out) == (0, "")
    assert err.count("is there already and stays as it is") == 3
    assert run("--force")[1].splitlines() == ["stampcard.toml", "program.yaml"]
    assert (folder / "stampcard.key").read_text() == "mine"
    assert (folder / "program.yaml").read_text() != "mine"


def test_a_folder_that_cannot_be_made_is_one_clean_line(folder: Path) -> None:
    (folder / "file").touch()
    code, _, err = run("--dir", "file/inside")
    assert code == 1
    assert err == "error: file/inside: cannot be written (Not a directory)\n"


def test_the_example_in_the_repository_is_the_one_that_is_written() -> None:
    assert files("stampcard.cli").joinpath("templates/stampcard.toml").read_text() == EXAMPLE.read_text()
