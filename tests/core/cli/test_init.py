import os
import re
import stat
from importlib.resources import files
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stampcard.cli import asking
from stampcard.cli.filling import templates
from stampcard.cli.main import app
from stampcard.program.costing import cost_lines, cost_of
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


def with_template(name: str, *more: str) -> tuple[int, str, str]:
    return run("--template", name, *more)


def written(folder: Path) -> str:
    return (folder / "program.yaml").read_text()


def test_the_list_shows_every_template_and_writes_nothing(folder: Path) -> None:
    code, out, _ = run("--list")
    assert code == 0
    head, *rows = out.splitlines()
    assert head.split() == ["TEMPLATE", "BEST", "FOR"]
    assert [row.split()[0] for row in rows] == list(templates())
    assert "stamps            a café, a bakery or a car wash" in out
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", templates())
def test_a_template_without_a_word_is_the_shipped_one_but_for_its_editors_line(folder: Path, name: str) -> None:
    code, out, err = with_template(name)
    assert (code, out.splitlines()) == (0, ["stampcard.toml", "program.yaml", "stampcard.key"])
    assert written(folder) == templates()[name].text.partition("\n#\n")[2]
    assert "What it costs: " in err
    assert "hint" not in err


@pytest.mark.parametrize("name", templates())
def test_every_answer_is_filled_in(folder: Path, name: str) -> None:
    answers = ("--currency", "usd", "--timezone", "America/New_York", "--back", "4 %", "--return-days", "30")
    code, _, err = with_template(name, *answers, "--language", "de", "--yes")
    assert code == 0
    text = written(folder)
    program = read_program(text, "program.yaml")
    (wallet,) = program.wallets.values()
    assert (program.currency, program.timezone, str(wallet.pending)) == ("USD", "America/New_York", "30 days")
    assert program.name == templates()[name].names["de"]
    assert not re.search(r"\bEUR\b|Europe/Berlin", text)
    cost = cost_of(program)
    assert cost is not None
    assert cost.usual == 4
    assert [f"# {line}" in text for line in cost_lines(program)] == [True] * len(cost_lines(program))
    assert "Amounts such as limits were thought in EUR" in err


def test_the_cost_is_said_in_one_line(folder: Path) -> None:
    _, _, err = with_template("points-simple", "--back", "2,5")
    assert err.splitlines()[0] == (
        "What it costs: about 2.5 % of what members buy; on 10,000 EUR of orders a month that is at most 250 EUR; "
        "beside that, each time: welcome 1 EUR, review 0.25 EUR"
    )


def test_what_may_not_be_meant_is_hinted_at_at_once(folder: Path) -> None:
    _, _, err = with_template("points-simple", "--back", "30", "--return-days", "0")
    hints = [line for line in err.splitlines() if line.startswith("hint: ")]
    assert [hint.split()[2] for hint in hints] == ["wallets.points.value:", "wallets.points.pending:"]
    assert "pending: none                 # usable at once\n" in written(folder)


def test_comments_stay_in_their_column(folder: Path) -> None:
    with_template("tiers-vip", "--back", "3.25", "--timezone", "America/Argentina/Buenos_Aires")
    shipped = templates()["tiers-vip"].text
    columns = {line.partition("  # ")[2]: line.find("  # ") for line in shipped.splitlines() if "  # " in line}
    for line in written(folder).splitlines():
        if "  # " in line:
            assert line.find("  # ") == columns[line.partition("  # ")[2]]


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("--currency", "euro", "write its three letters, such as EUR or USD"),
        ("--timezone", "Europe/Berln", "did you mean 'Europe/Berlin'?"),
        ("--back", "0", "write percent above 0 and up to 100"),
        ("--back", "lots", "write percent above 0 and up to 100"),
        ("--return-days", "400", "write 0 to 365"),
        ("--language", "xx", "is none of de, en, es"),
    ],
)
def test_a_wrong_answer_says_what_to_write_and_nothing_is_written(
    folder: Path, flag: str, value: str, said: str
) -> None:
    code, _, err = with_template("stamps", flag, value)
    assert code == 2
    assert flag in err
    assert said in " ".join(err.split())
    assert list(folder.iterdir()) == []


def test_an_unknown_template_says_which_there_are(folder: Path) -> None:
    assert "did you mean 'stamps'?" in with_template("stamp")[2]
    assert "there is: birthday-winback, " in with_template("zzz")[2]
    code, _, err = run("--return-days", "5")
    assert code == 2
    assert "--return-days: goes with --template NAME" in err


def test_a_person_is_asked_what_no_flag_says_until_the_answer_is_good(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "is_person", lambda: True)
    typed = "francs\nchf\nMars\nEurope/Zurich\n\n-3\n7\n"
    result = CliRunner().invoke(app, ["init", "--template", "tiers-vip", "--language", "fr"], input=typed)
    assert result.exit_code == 0
    assert "In percent" not in result.stdout
    assert "How much members get back, in percent of what they buy [5]" in result.stderr
    assert "'francs' is no currency" in result.stderr
    assert "unknown time zone 'Mars'" in result.stderr
    assert "'-3' is no number of days" in result.stderr
    program = read_program(written(folder), "program.yaml")
    assert (program.currency, program.timezone, program.name) == ("CHF", "Europe/Zurich", "Bronze, argent, or")
    assert str(program.wallets["points"].pending) == "7 days"


def test_nobody_is_asked_who_says_yes_or_whose_program_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "is_person", lambda: True)
    code, _, err = with_template("stamps", "--yes")
    assert (code, "currency [" in err) == (0, False)
    code, out, err = with_template("tiers-vip")
    assert (code, out) == (0, "")
    assert "program.yaml is there already and stays as it is" in err
    assert "What it costs" not in err
    assert "Stamp card" in written(folder)


@pytest.mark.parametrize("name", templates())
def test_every_template_has_its_name_in_the_same_languages(name: str) -> None:
    template = templates()[name]
    assert list(template.names) == list(templates()["stamps"].names)
    assert read_program(template.text, name).name == template.names["en"]
