import json
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import SecretStr
from tests.core.pockets import Pockets
from typer.testing import CliRunner, Result

from stampcard.cli.main import app
from stampcard.host import discovering
from stampcard.plugin import Capabilities, ConnectionContext, Health, PluginManifest, PluginSettings, hookimpl

SECRET = "hush-hush-hush"
DISCOVER = discovering.discover
MESSAGES = """
messages:
  hello: {on: sign_up, use: welcome, channels: [email, sms]}
  bye: {on: membership_ended, texts: {en: {subject: Bye, text: Bye}}}
  later: {on: sign_up, use: welcome, channels: post, enabled: false}
"""
SHOP = f'[connections.shop]\nplugin = "fake"\nsecrets = ["{SECRET}"]\n'


class Inner(PluginSettings):
    token: SecretStr = SecretStr(SECRET)


class FakeSettings(PluginSettings):
    secrets: tuple[SecretStr, ...]
    inner: Inner = Inner()
    api_url: str = "https://api.example.com"
    health: str = ""
    dials: int = 0


def fake_plugin() -> ModuleType:
    module = ModuleType("fake")

    def plugin_manifest() -> PluginManifest:
        return PluginManifest(name="fake", summary="a fake", settings=FakeSettings)

    async def connect(context: ConnectionContext[FakeSettings]) -> Capabilities:
        await context.store.set("token", b"t")

        async def check_health() -> Health:
            if context.settings.health == "raise":
                raise RuntimeError(SECRET)
            assert await context.store.get("token") == b"t"
            if context.settings.dials:
                (await context.dial("127.0.0.1", context.settings.dials)).close()
            _, soon, problem = context.settings.health.rpartition("soon: ")
            return Health(ok=bool(soon) or not problem, problem=problem)

        return Capabilities(check_health=check_health)

    module.plugin_manifest = hookimpl(plugin_manifest)  # type: ignore[attr-defined]
    module.connect = hookimpl(connect)  # type: ignore[attr-defined]
    return module


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    table = discovering.discover({"fake": fake_plugin()}, entries=())
    assert not table.failed
    monkeypatch.setattr(discovering, "discover", lambda: table)
    assert CliRunner().invoke(app, ["init"]).exit_code == 0
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["check", *arguments])


def looked_at(*arguments: str) -> Mapping[str, Sequence[str]]:
    """What was found, by level."""
    found: dict[str, list[str]] = {}
    for one in json.loads(run(*arguments, "--json").stdout)["findings"]:
        found.setdefault(one["level"], []).append(f"{one['about']}: {one['text']}")
    return found


def settings() -> Mapping[str, tuple[Any, str]]:
    listed = json.loads(run("--json").stdout)["settings"]
    return {one["setting"]: (one["value"], one["origin"]) for one in listed}


def configure(folder: Path, text: str) -> None:
    (folder / "stampcard.toml").write_text(text)


def test_what_init_wrote_is_right(folder: Path) -> None:
    result = run()
    assert result.exit_code == 0
    assert result.stderr == ""
    assert "ok: key_file: " in result.stdout
    assert "program 'main' is right" in result.stdout


def test_each_setting_is_listed_with_its_value_and_its_origin(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAMPCARD_HTTP__PORT", "9000")
    configure(folder, '[log]\nlevel = "debug"\n' + SHOP)
    listed = settings()
    assert listed["http.port"] == (9000, "STAMPCARD_HTTP__PORT")
    assert listed["log.level"] == ("debug", str(folder / "stampcard.toml"))
    assert listed["keep.bodies_days"] == (30, "default")
    assert listed["connections.shop.plugin"] == ("fake", str(folder / "stampcard.toml"))
    assert listed["connections.shop.api_url"] == ("https://api.example.com", "default")


def test_no_secret_is_shown_wherever_it_stands(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAMPCARD_DATABASE", f"postgresql://ada:{SECRET}@127.0.0.1:1/x")
    configure(folder, SHOP)
    listed = settings()
    assert listed["database"][0] == "postgresql://ada:…@127.0.0.1:1/x"
    assert listed["connections.shop.secrets"][0] == ["…"]
    assert listed["connections.shop.inner"][0] == {"token": "…"}
    for arguments in ([], ["--json"], ["--connect"]):
        assert SECRET not in run(*arguments).output


def test_of_a_section_that_is_not_understood_no_value_is_shown(folder: Path) -> None:
    configure(folder, f'[connections.shop]\nplugin = "fake"\nsecretz = "{SECRET}"\n')
    assert settings()["connections.shop.secretz"][0] == "…"
    assert SECRET not in run().output


def test_every_mistake_in_connections_is_told_at_once(folder: Path) -> None:
    configure(folder, '[connections.a]\nplugin = "fakke"\n[connections.b]\nplugin = "fake"\nsecretz = []\n')
    result = run()
    assert result.exit_code == 3
    assert looked_at()["problem"] == [
        "connections.a.plugin: there is no plugin 'fakke'. Did you mean 'fake'?",
        "connections.b.secrets: is missing. Set it in stampcard.toml or as STAMPCARD_CONNECTIONS__B__SECRETS",
        "connections.b.secretz: there is no such setting. Did you mean 'secrets'?",
    ]
    assert "problem: connections.a.plugin: there is no plugin 'fakke'" in result.stderr


def test_wrong_settings_are_findings_for_other_programs(folder: Path) -> None:
    configure(folder, "[http]\nport = -1\nprot = 1\n")
    result = run("--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["ok"] is False
    assert [problem.split(":")[0] for problem in looked_at()["problem"]] == ["http.port", "http.prot"]


def test_a_key_that_others_can_read_is_a_warning(folder: Path) -> None:
    (folder / "stampcard.key").chmod(0o644)
    assert run().exit_code == 0
    (warning,) = looked_at()["warning"]
    assert "is open to other users (mode 0644). Run: chmod 600" in warning


def test_a_key_that_is_absent_or_broken_is_a_problem_and_never_shown(folder: Path) -> None:
    key = folder / "stampcard.key"
    key.write_text(f"seal {SECRET}!")
    assert looked_at()["problem"] == [f"key_file: {key}: line 1 is not 'seal KEY' or 'tombstone KEY'"]
    key.unlink()
    result = run()
    assert result.exit_code == 3
    assert f"{key} cannot be read (No such file or directory). Make one by: stampcard init" in result.stderr


def test_a_wrong_program_is_told_with_line_and_column(folder: Path) -> None:
    program = folder / "program.yaml"
    program.write_text(program.read_text().replace("currency: EUR ", "curency: EUR "))
    result = run()
    assert result.exit_code == 3
    assert f"problem: {program}: 6:1 curency: unknown setting, did you mean 'currency'?" in result.stderr


def test_two_files_with_one_program_or_wallet_are_a_problem(folder: Path) -> None:
    text = (folder / "program.yaml").read_text()
    (folder / "other.yaml").write_text(text.replace("program: main", "program: club"))
    configure(folder, 'programs = ["program.yaml", "other.yaml"]')
    assert looked_at()["problem"] == [f"{folder}/other.yaml: wallet 'points' is in {folder}/program.yaml already"]


def test_no_program_anywhere_is_a_problem(folder: Path) -> None:
    (folder / "program.yaml").unlink()
    assert "cannot be read (No such file or directory)" in looked_at()["problem"][0]
    configure(folder, 'programs = ["programs/*.yaml"]')
    assert looked_at()["problem"] == ["programs: no file is there. Write one by: stampcard init"]


def test_a_file_that_differs_from_what_is_valid_is_a_warning(folder: Path) -> None:
    program = folder / "program.yaml"
    assert CliRunner().invoke(app, ["program", "apply", "program.yaml"]).exit_code == 0
    assert "is valid as it stands here" in looked_at()["ok"][1]
    program.write_text(program.read_text().replace("award: 50", "award: 60"))
    assert run().exit_code == 0
    (warning,) = looked_at()["warning"]
    assert f"differs from what is valid in 2 lines. See: stampcard program diff {program}" in warning
    program.write_text(program.read_text().replace("program: main", "program: club"))
    assert f"is not in the database yet. Run: stampcard program apply {program}" in looked_at()["warning"][0]
    program.unlink()
    assert "cannot be read" in looked_at()["warning"][0]


def test_without_connect_neither_plugins_nor_servers_are_called(folder: Path) -> None:
    configure(folder, 'database = "postgresql://127.0.0.1:1/x"\n' + SHOP + 'health = "raise"\n')
    assert run().exit_code == 0


def test_a_connection_that_answers_is_told_to_be_connected(folder: Path) -> None:
    configure(folder, SHOP)
    assert run("--connect").exit_code == 0
    assert looked_at("--connect")["ok"][-1] == "connections.shop: connected"
    assert not (folder / "stampcard.db").exists()


def test_a_connection_that_dials_is_looked_at_as_the_server_would(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        configure(folder, '[security]\noutbound_allow = ["127.0.0.0/8"]\n' + SHOP + f"dials = {port}\n")
        assert looked_at("--connect")["ok"][-1] == "connections.shop: connected"
    configure(folder, SHOP + f"dials = {port}\n")
    (refused,) = looked_at("--connect")["unreachable"]
    assert refused.endswith(f'[security] outbound_allow = ["127.0.0.1:{port}"] would allow it')


def test_messages_by_a_channel_that_no_connection_has_are_told(folder: Path) -> None:
    configure(folder, SHOP)
    path = folder / "program.yaml"
    path.write_text(path.read_text().partition("\nmessages:")[0] + MESSAGES)
    assert looked_at("--connect").get("warning", []) == [
        "programs.main: no connection sends by 'email', as hello, bye would. Add one: stampcard connection add",
        "programs.main: no connection sends by 'sms', as hello would. Add one: stampcard connection add",
    ]
    assert "warning" not in looked_at()  # without asking connections nobody knows what they have
    configure(folder, SHOP + 'health = "raise"\n')
    assert run("--connect").exit_code == 4


def test_a_phones_wallet_without_its_program_or_a_logo_that_it_needs_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pockets = Pockets()
    pockets.sink.needs_logo = True
    table = DISCOVER({"pocket": pockets}, entries=())
    monkeypatch.setattr(discovering, "discover", lambda: table)
    configure(folder, '[connections.phone]\nplugin = "pocket"\n')
    warned = "programs.main: Pocket takes no card without a logo. Give the program one: card, logo"
    assert looked_at("--connect")["warning"] == [warned]
    path = folder / "program.yaml"
    path.write_text(path.read_text() + "\ncard: {logo: 'https://shop.example/logo.png'}\n")
    assert "warning" not in looked_at("--connect")
    configure(folder, '[connections.phone]\nplugin = "pocket"\nprogram = "nope"\n')
    assert looked_at("--connect")["warning"] == [
        "connections.phone.program: there is no file of a program 'nope'; there is: main"
    ]


def test_a_connection_that_works_as_yet_is_told_with_what_to_change_and_exit_code_0(folder: Path) -> None:
    configure(folder, SHOP + 'health = "soon: the key ends on 2027-06-30"\n')
    assert run("--connect").exit_code == 0
    assert looked_at("--connect")["warning"] == ["connections.shop: the key ends on 2027-06-30"]


def test_a_connection_or_database_out_of_reach_is_exit_code_4(folder: Path) -> None:
    configure(folder, 'database = "postgresql://127.0.0.1:1/x"\n' + SHOP + 'health = "the shop is closed"\n')
    assert run("--connect").exit_code == 4
    database, shop = looked_at("--connect")["unreachable"]
    assert database.startswith("database: the database (connection failed")
    assert shop == "connections.shop: the shop is closed"


def test_a_check_that_fails_shows_nothing_of_what_the_plugin_said(folder: Path) -> None:
    configure(folder, SHOP + 'health = "raise"\n')
    assert looked_at("--connect")["unreachable"] == ["connections.shop: its check failed: RuntimeError"]


def test_a_problem_weighs_more_than_what_is_out_of_reach(folder: Path) -> None:
    wrong = '[connections.b]\nplugin = "fake"\n'
    configure(folder, 'database = "postgresql://127.0.0.1:1/x"\n' + wrong)
    assert run("--connect").exit_code == 3


def test_a_database_of_another_shape_is_told_before_the_start(folder: Path) -> None:
    (folder / "stampcard.db").touch()
    assert run("--connect").exit_code == 0
    assert "has shape none, this version needs" in looked_at("--connect")["warning"][0]


def test_a_file_that_is_planned_is_no_draft(folder: Path) -> None:
    text = (folder / "program.yaml").read_text()
    apply = ["program", "apply", "program.yaml"]
    assert CliRunner().invoke(app, apply).exit_code == 0
    (folder / "program.yaml").write_text(text + "# from then on\n")
    assert CliRunner().invoke(app, [*apply, "--from", "2199-12-01"]).exit_code == 0
    assert "is planned as it stands here" in run().output
