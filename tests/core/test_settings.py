import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from stampcard.errors import ConfigurationError, InvalidSettings
from stampcard.host.connecting import ConnectionSpec
from stampcard.settings import HttpSettings, Settings, load_settings, load_with_origins

PASSWORD = "hunter2-hunter2"
SHOP = """
[connections.shop]
plugin = "shopify"
shop = "x.myshopify.com"
"""


def toml(folder: Path, text: str) -> Path:
    path = folder / "stampcard.toml"
    path.write_text(text, encoding="utf-8")
    return path


def secrets(folder: Path, **files: str) -> dict[str, str]:
    for name, text in files.items():
        (folder / name).write_text(text)
    return {"STAMPCARD_SECRETS_DIR": str(folder)}


def refused(path: Path | None = None, environ: Mapping[str, str] = {}, **variables: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(path, environ={**environ, **variables})
    return str(caught.value)


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with nothing in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_file_the_defaults_hold_and_paths_begin_at_the_working_directory(empty: Path) -> None:
    settings = load_settings(environ={})
    assert settings.http == HttpSettings(host="127.0.0.1", port=8080, public_url=None, max_body=4 * 1024 * 1024)
    assert settings.database == f"sqlite:///{empty}/stampcard.db"
    assert settings.key_file == empty / "stampcard.key"
    assert settings.program_files() == (empty / "program.yaml",)


def test_environment_wins_over_secret_files_over_toml_over_defaults(empty: Path) -> None:
    folder = empty / "run"
    folder.mkdir()
    path = toml(empty, 'merchant = "toml"\n[http]\nport = 1\nhost = "::1"\n[keep]\nbodies_days = 1\n')
    files = secrets(folder, STAMPCARD_HTTP__PORT="2", STAMPCARD_HTTP__MAX_BODY="22\n", stampcard_merchant="file")
    settings, origin = load_with_origins(path, environ={"STAMPCARD_HTTP__PORT": "3", **files})
    assert settings.http == HttpSettings(host="::1", port=3, max_body=22)
    assert (settings.merchant, settings.keep.bodies_days, settings.keep.quarantine_days) == ("file", 1, 14)
    assert [origin(name) for name in ("http.port", "http.max_body", "http.host", "log.level")] == [
        "STAMPCARD_HTTP__PORT",
        str(folder / "STAMPCARD_HTTP__MAX_BODY"),
        str(path),
        "default",
    ]


def test_a_file_in_the_working_directory_is_found_and_another_can_be_named(empty: Path) -> None:
    toml(empty, 'merchant = "here"')
    other = empty / "other"
    other.mkdir()
    named = toml(other, 'merchant = "there"')
    assert load_settings(environ={}).merchant == "here"
    assert load_settings(environ={"STAMPCARD_CONFIG": str(named)}).merchant == "there"
    assert (
        load_settings(toml(empty, 'merchant = "given"'), environ={"STAMPCARD_CONFIG": str(named)}).merchant == "given"
    )


def test_relative_paths_begin_at_the_folder_of_the_file(empty: Path) -> None:
    folder = empty / "etc"
    folder.mkdir()
    (folder / "a.yaml").touch()
    (folder / "b.yaml").touch()
    path = toml(folder, 'database = "sqlite:///var/x.db?timeout=3"\nprograms = ["*.yaml", "a.yaml"]\nkey_file = "../k"')
    settings = load_settings(path, environ={})
    assert settings.database == f"sqlite:///{folder}/var/x.db?timeout=3"
    assert settings.key_file == folder / "../k"
    assert settings.program_files() == (folder / "a.yaml", folder / "b.yaml")


@pytest.mark.parametrize("url", ["sqlite:////var/x.db", "postgresql://u@h/d", "sqlite:///:memory:"])
def test_a_database_that_is_not_a_relative_file_stays_as_it_is_written(empty: Path, url: str) -> None:
    assert load_settings(environ={"STAMPCARD_DATABASE": url}).database == url


@pytest.mark.parametrize("text", ['programs = "x.yaml"', 'programs = ["x.yaml"]'])
def test_one_program_needs_no_list(empty: Path, text: str) -> None:
    assert load_settings(toml(empty, text), environ={}).program_files() == (empty / "x.yaml",)


@pytest.mark.parametrize("text", ["127.0.0.1:1, shop.example", '["127.0.0.1:1", "shop.example"]'])
def test_a_list_in_a_variable_is_json_or_parted_by_commas(empty: Path, text: str) -> None:
    settings = load_settings(environ={"STAMPCARD_SECURITY__OUTBOUND_ALLOW": text})
    assert settings.security.outbound_allow == ("127.0.0.1:1", "shop.example")


def test_connections_gather_their_settings_from_every_place(empty: Path) -> None:
    files = secrets(empty, STAMPCARD_CONNECTIONS__SHOP__ACCESS_TOKEN="12345\n")
    variables = {"STAMPCARD_CONNECTIONS__SHOP__WEBHOOK_SECRETS": '["one", "two"]'}
    settings = load_settings(toml(empty, SHOP), environ={**variables, **files})
    expected = {"shop": "x.myshopify.com", "access_token": "12345", "webhook_secrets": ["one", "two"]}
    assert settings.specs() == (ConnectionSpec(name="shop", plugin="shopify", settings=expected),)


def test_a_connection_can_be_made_of_variables_alone(empty: Path) -> None:
    variables = {"STAMPCARD_CONNECTIONS__SHOP__PLUGIN": "shopify", "STAMPCARD_CONNECTIONS__SHOP__NESTED__KEY": "x"}
    (spec,) = load_settings(environ=variables).specs()
    assert spec == ConnectionSpec(name="shop", plugin="shopify", settings={"nested": {"key": "x"}})


def test_a_variable_reaches_a_connection_whose_name_no_variable_can_spell(empty: Path) -> None:
    path = toml(empty, SHOP.replace("connections.shop", "connections.My-Shop"))
    settings, origin = load_with_origins(path, environ={"STAMPCARD_CONNECTIONS__MY_SHOP__ACCESS_TOKEN": "t"})
    assert settings.connections["My-Shop"]["access_token"] == "t"
    assert origin("connections.My-Shop.access_token") == "STAMPCARD_CONNECTIONS__MY_SHOP__ACCESS_TOKEN"


@pytest.mark.parametrize("token", ["[half", "{half", "1e5", "true", "null", " padded "])
def test_a_secret_that_looks_like_something_else_stays_text(empty: Path, token: str) -> None:
    variables = {"STAMPCARD_CONNECTIONS__SHOP__ACCESS_TOKEN": token}
    settings = load_settings(toml(empty, SHOP), environ=variables)
    assert settings.connections["shop"]["access_token"] == token


def test_order_references_belong_to_the_connection_that_orders_of_names(empty: Path) -> None:
    path = toml(empty, SHOP + '[connections.till]\nplugin = "shopify"\norders_of = "shop"\n')
    settings = load_settings(path, environ={})
    assert settings.sources() == {"shop": "shop", "till": "shop"}
    assert settings.specs()[1].settings == {}


def test_an_empty_variable_is_none_at_all(empty: Path) -> None:
    assert load_settings(environ={"STAMPCARD_HTTP__PORT": ""}).http.port == 8080


def test_what_kubernetes_says_of_a_service_called_stampcard_is_not_taken_for_settings(empty: Path) -> None:
    service = {
        "STAMPCARD_SERVICE_HOST": "10.0.0.1",
        "STAMPCARD_SERVICE_PORT": "8080",
        "STAMPCARD_PORT": "tcp://10.0.0.1:8080",
        "STAMPCARD_PORT_8080_TCP_ADDR": "10.0.0.1",
    }
    assert load_settings(environ=service) == load_settings(environ={})


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("STAMPCARD_DATABSE", "STAMPCARD_DATABASE"),
        ("STAMPCARD_PORT", "STAMPCARD_HTTP__PORT"),
        ("STAMPCARD_CONFG", "STAMPCARD_CONFIG"),
    ],
)
def test_a_misspelt_variable_is_refused_with_the_one_that_was_meant(empty: Path, variable: str, meant: str) -> None:
    assert refused(environ={variable: "x"}) == f"{variable}: there is no such setting. Did you mean {meant!r}?"


def test_a_misspelt_secret_file_is_refused_and_a_stranger_beside_it_is_not(empty: Path) -> None:
    files = secrets(empty, STAMPCARD_HTP__PORT="1", other_service="x")
    message = refused(environ=files)
    assert message == f"{empty}/STAMPCARD_HTP__PORT: there is no such setting. Did you mean 'STAMPCARD_HTTP__PORT'?"


def test_a_misspelt_setting_inside_a_table_is_refused_wherever_it_stands(empty: Path) -> None:
    path = toml(empty, "[http]\nprot = 3\n")
    assert refused(path) == f"http.prot: there is no such setting ({path}). Did you mean 'port'?"
    assert "http.prot: there is no such setting (STAMPCARD_HTTP__PROT)" in refused(STAMPCARD_HTTP__PROT="3")


def test_an_unknown_setting_without_a_near_one_is_told_the_known_ones(empty: Path) -> None:
    path = toml(empty, "[deliver]\nzzz = 1\n")
    assert refused(path) == f"deliver.zzz: there is no such setting ({path}). Known: coalesce, longest"


def test_every_problem_is_told_at_once_each_with_its_place(empty: Path) -> None:
    text = '[http]\nport = 99999\n[log]\nlevel = "loud"\n[connections.till]\norders_of = "shop"\n'
    with pytest.raises(InvalidSettings) as caught:
        load_settings(toml(empty, text), environ={"STAMPCARD_DELIVER__COALESCE": "-1", "STAMPCARD_KEEEP": "1"})
    where = f"({empty}/stampcard.toml)"
    assert str(caught.value).splitlines() == [
        "STAMPCARD_KEEEP: there is no such setting. Did you mean 'STAMPCARD_KEEP'?",
        f"http.port: input should be less than or equal to 65535, not 99999 {where}",
        "deliver.coalesce: input should be greater than or equal to 0, not '-1' (STAMPCARD_DELIVER__COALESCE)",
        f"log.level: input should be 'debug', 'info', 'warning', 'error' or 'critical', not 'loud' {where}",
        'connections.till.plugin: is missing. Write plugin = "shopify", say',
        "connections.till.orders_of: there is no connection 'shop'. There is: none",
    ]


def test_a_connection_that_reports_orders_of_another_cannot_own_them(empty: Path) -> None:
    chain = '[connections.b]\nplugin = "p"\norders_of = "shop"\n[connections.c]\nplugin = "p"\norders_of = "b"\n'
    message = "connections.c.orders_of: 'b' itself reports orders of another connection"
    assert refused(toml(empty, SHOP + chain)) == message
    assert "there is no connection ['b']" in refused(toml(empty, SHOP + '[connections.c]\nplugin="p"\norders_of=["b"]'))


@pytest.mark.parametrize("name", ["a b", "-a", "a/b", "ä", "a" * 65, ".."])
def test_a_connection_name_that_no_address_can_carry_is_refused(empty: Path, name: str) -> None:
    path = toml(empty, f'[connections."{name}"]\nplugin = "shopify"\n')
    assert refused(path) == f"connections.{name}: a name has letters, digits, _ and -, at most 64"


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("[http\n", "line 1, column 6", "expected ']'"),
        ("[http]\nport = \n", "line 2, column 8", "invalid value"),
        ("[http]\nport = 1\nport = 2", "end of document", "cannot overwrite a value"),
    ],
)
def test_a_toml_mistake_names_file_and_line(empty: Path, text: str, place: str, problem: str) -> None:
    path = toml(empty, text)
    assert refused(path).startswith(f"{path}, {place}: {problem}")


def test_a_file_that_is_not_text_is_named(empty: Path) -> None:
    path = empty / "stampcard.toml"
    path.write_bytes(b"\xff\xfe")
    assert refused(path) == f"{path}: is not text in UTF-8"


def test_a_file_that_was_named_or_is_required_must_be_there(empty: Path) -> None:
    absent = f"{empty}/absent.toml: there is no such file. Make one by: stampcard init"
    assert refused(Path("absent.toml")) == absent
    assert refused(STAMPCARD_CONFIG="absent.toml") == absent
    with pytest.raises(ConfigurationError, match=r"stampcard\.toml: there is no such file"):
        load_settings(environ={}, require_file=True)


def test_a_folder_of_secrets_that_is_not_there_and_a_secret_that_is_none_are_named(empty: Path) -> None:
    assert refused(STAMPCARD_SECRETS_DIR="absent") == (
        "STAMPCARD_SECRETS_DIR: absent cannot be read (No such file or directory)"
    )
    assert "is larger than 64 KB" in refused(environ=secrets(empty, STAMPCARD_MERCHANT="x" * 70_000))
    (empty / "STAMPCARD_MERCHANT").write_bytes(b"\xff")
    assert "is not text in UTF-8" in refused(STAMPCARD_SECRETS_DIR=str(empty))


@pytest.mark.parametrize(
    ("setting", "value", "problem"),
    [
        ("HTTP__PORT", "-1", "greater than or equal to 0"),
        ("HTTP__MAX_BODY", "0", "greater than 0"),
        ("HTTP__PUBLIC_URL", "loyalty.example.com", "write https://HOST"),
        ("HTTP__PUBLIC_URL", "https://h/?a=1", "leave out what begins with"),
        ("DELIVER__COALESCE", "61", "less than or equal to 60"),
        ("DELIVER__COALESCE", "nan", "finite"),
        ("SECURITY__OUTBOUND_ALLOW", "https://h", "is not a host, host:port or network. Write it without https://"),
        ("MERCHANT", "Main Street", "write lower-case letters, digits, _ and - here"),
        ("DATABASE", "mysql://h/d", "write sqlite:///FILE or postgresql://USER@HOST/NAME"),
        ("DATABASE", "stampcard.db", "write sqlite:///FILE or postgresql://USER@HOST/NAME"),
        ("HTTP", "yes", "is a table: write its settings below [http]"),
    ],
)
def test_a_value_that_cannot_be_says_why_and_where_it_stands(
    empty: Path, setting: str, value: str, problem: str
) -> None:
    message = refused(environ={f"STAMPCARD_{setting}": value})
    assert problem in message
    assert f"(STAMPCARD_{setting})" in message


def test_the_public_address_may_have_a_path_and_loses_its_last_slash(empty: Path) -> None:
    settings = load_settings(environ={"STAMPCARD_HTTP__PUBLIC_URL": "https://h.example/loyalty/"})
    assert settings.http.public_url == "https://h.example/loyalty"


@pytest.mark.parametrize(
    "database",
    [
        f"postgresql://ada:{PASSWORD}@h/d",
        f"postgresql://ada:1/b@c:{PASSWORD}@h/d",
        f"postgresql://:{PASSWORD}@h/d",
        f"postgresql://h/d?user=ada&password={PASSWORD}&sslmode=require",
    ],
)
def test_no_password_and_no_secret_is_in_a_text_or_dump_of_the_settings(database: str) -> None:
    section = {"plugin": "shopify", "webhook_secrets": [PASSWORD], "inner": {"token": PASSWORD}}
    settings = Settings(database=database, connections={"shop": section})
    assert settings.database == database
    shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert PASSWORD not in shown
    assert "@h/d" in shown or "sslmode" in shown


@pytest.mark.parametrize("database", [f"mysql://u:{PASSWORD}@h/d", f"postgresql://u:{PASSWORD}@h:port/d"])
def test_no_password_and_no_secret_is_in_an_error(empty: Path, database: str) -> None:
    section: Any = f"""
    [http]
    public_url = "https://u:{PASSWORD}@h"
    [connections.shop]
    webhook_secrets = "{PASSWORD}"
    [connections]
    other = "{PASSWORD}"
    """
    with pytest.raises(InvalidSettings) as caught:
        load_settings(toml(empty, section), environ={"STAMPCARD_DATABASE": database})
    assert PASSWORD not in f"{caught.value} {caught.value!r}"


def test_settings_that_are_built_by_hand_ignore_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAMPCARD_MERCHANT", "elsewhere")
    assert Settings().merchant == "main"


def test_importing_reads_nothing(tmp_path: Path) -> None:
    toml(tmp_path, "not toml")
    environ = {**os.environ, "STAMPCARD_NONSENSE": "1", "STAMPCARD_CONFIG": "absent"}
    done = subprocess.run([sys.executable, "-c", "import stampcard.settings"], cwd=tmp_path, env=environ, check=False)
    assert done.returncode == 0


def test_keys_may_come_from_the_environment_and_never_show(tmp_path: Path) -> None:
    from stampcard.app import open_sealer
    from stampcard.sealing import new_key_text

    text = ";".join(line for line in new_key_text().splitlines() if not line.startswith("#"))
    settings = load_settings(None, environ={"STAMPCARD_KEYS": text})

    sealed = open_sealer(settings).seal(b"gold", b"about")

    assert open_sealer(settings).open(sealed, b"about") == b"gold"
    assert text not in repr(settings) + settings.model_dump_json()
