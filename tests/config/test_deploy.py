"""The files for running Stampcard agree with what Stampcard is; what a tool can check, it checks where it is installed."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.main import get_command

from stampcard.cli.main import app
from stampcard.cli.reaching import PATH
from stampcard.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "config" / "deploy"
UNITS = sorted(DEPLOY.glob("*.service")) + sorted(DEPLOY.glob("*.timer"))
INSIDE = ("livez", "readyz", "metrics")


def tool(name: str) -> str:
    """The program, or a skip that says what is missing."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed, so only what needs no tool is checked")
    return found


def passes(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a linter of this machine
    assert done.returncode == 0, done.stdout + done.stderr


@cache
def commands() -> Any:
    return get_command(app)


def is_command(words: list[str]) -> bool:
    command = commands()
    for word in words:
        command = command.commands.get(word) if hasattr(command, "commands") else None
        if command is None:
            return False
    return True


def check_settings(environment: Mapping[str, str]) -> None:
    """Every STAMPCARD_ variable is a setting and has a value that fits."""
    ours = {name: value for name, value in environment.items() if name.startswith("STAMPCARD_")}
    load_settings(environ={**ours, "STAMPCARD_SECRETS_DIR": ""})


def instructions() -> list[tuple[str, str]]:
    """The Containerfile, one instruction each: its word and the rest."""
    text = re.sub(r"^\s*#.*\n", "", (DEPLOY / "Containerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines if line)]


def test_the_image_is_built_of_what_the_wheel_is_built_of() -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"][
        "packages"
    ]
    copied = [
        word for kind, rest in instructions() if kind == "COPY" and "--from" not in rest for word in rest.split()[:-1]
    ]
    assert all((ROOT / source).exists() for source in copied)
    assert {package.split("/")[0] for package in packages} <= set(copied)
    taken = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert sorted(taken) == sorted(copied)
    installs = [rest for kind, rest in instructions() if kind == "RUN" and "run.txt" in rest]
    assert all("--require-hashes" in rest and "--only-binary=:all:" in rest for rest in installs)
    assert installs


def test_the_image_runs_for_a_user_without_rights_and_says_how_it_is() -> None:
    of = dict(instructions())
    bases = [rest.split()[0] for kind, rest in instructions() if kind == "FROM"]
    assert len(set(bases)) == 1
    assert re.fullmatch(r"docker\.io/library/python:3\.\d+-slim-\w+", bases[0])
    assert of["USER"] == "10001:10001"
    assert "http://127.0.0.1:8080/livez" in of["HEALTHCHECK"]
    assert (of["ENTRYPOINT"], of["CMD"]) == ('["stampcard"]', '["serve"]')
    check_settings(dict(word.split("=", 1) for word in of["ENV"].split()))


def services() -> Iterator[tuple[str, Any, Any]]:
    compose = YAML(typ="safe").load((DEPLOY / "compose.yaml").read_text())
    for name, service in compose["services"].items():
        yield name, service, compose


def test_every_service_is_locked_in_and_nothing_but_this_machine_reaches_it() -> None:
    for name, service, compose in services():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["healthcheck"], name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        assert set(service["networks"]) <= compose["networks"].keys(), name
        assert {volume.partition(":")[0] for volume in service["volumes"]} <= compose["volumes"].keys(), name
        known = {one if isinstance(one, str) else one["source"] for one in service["secrets"]}
        assert known <= compose["secrets"].keys(), name
        assert is_command(service.get("command", [])) or name == "database", name
        written = {key: str(value).split(":?")[0] for key, value in service["environment"].items()}
        assert not [key for key in written if "PASSWORD" in key and not key.endswith("_FILE")], name
        check_settings({**written, "STAMPCARD_HTTP__PUBLIC_URL": "https://loyalty.example.com"})
    targets = [one["target"] for _, service, _ in services() for one in service["secrets"] if not isinstance(one, str)]
    assert {target.removeprefix("STAMPCARD_").lower() for target in targets} <= Settings.model_fields.keys()


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_units_start_what_there_is_with_no_more_rights_than_it_needs(unit: Path, tmp_path: Path) -> None:
    parser = ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(unit)
    if unit.suffix == ".service":
        service = parser["Service"]
        program, *words = shlex.split(service["ExecStart"])
        assert (program, is_command(words)) == ("/opt/stampcard/bin/stampcard", True)
        assert (service["User"], service["StateDirectory"], service["CapabilityBoundingSet"]) == (
            "stampcard",
            "stampcard",
            "",
        )
        assert (service["NoNewPrivileges"], service["ProtectSystem"], service["UMask"]) == ("yes", "strict", "0077")
    else:
        assert (DEPLOY / f"{unit.stem}.service").exists()
    verify = tool("systemd-analyze")
    for source in UNITS:
        text = source.read_text().replace("/opt/stampcard/bin/stampcard", sys.executable)
        (tmp_path / source.name).write_text(text)
    passes(verify, "verify", str(tmp_path / unit.name))


@pytest.mark.parametrize("name", ["nginx.conf", "Caddyfile"])
def test_a_proxy_lets_everything_through_but_what_is_for_machines(name: str) -> None:
    text = (DEPLOY / name).read_text()
    (size,) = re.findall(r"(?:client_max_body_size|max_size) (\d+)", text)
    assert int(size) * 1_000_000 > Settings().http.max_body
    blocked = re.search(r"\^/\(([\w|]+)\)\$|@inside path ([/\w ]+)$", text, re.MULTILINE)
    assert blocked is not None
    assert tuple(re.split(r"\W+", (blocked[1] or blocked[2]).strip("/"))) == INSIDE
    assert PATH.startswith("/webhooks/")
    assert "127.0.0.1:8080" in text


def test_nginx_reads_its_example(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    nginx = tool("nginx")
    openssl = tool("openssl")
    key, made = tmp_path / "key.pem", tmp_path / "certificate.pem"
    passes(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
           "-keyout", str(key), "-out", str(made), "-subj", "/CN=localhost")  # fmt: skip
    site = (DEPLOY / "nginx.conf").read_text()
    site = re.sub(r"(ssl_certificate) \S+;", rf"\1 {made};", site)
    site = re.sub(r"(ssl_certificate_key) \S+;", rf"\1 {key};", site)
    # A test binds no port of the system.
    site = re.sub(r"listen (\[::\]:)?(80|443)", lambda found: f"listen 127.0.0.{2 + bool(found[1])}:18{found[2]}", site)
    (tmp_path / "site.conf").write_text(site)
    outer = tmp_path / "nginx.conf"
    outer.write_text(
        f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ access_log off; include {tmp_path}/site.conf; }}"
    )
    passes(nginx, "-t", "-q", "-c", str(outer))


def test_caddy_reads_its_example() -> None:
    passes(tool("caddy"), "validate", "--adapter", "caddyfile", "--config", str(DEPLOY / "Caddyfile"))


def test_hadolint_is_content_with_the_containerfile() -> None:
    passes(tool("hadolint"), str(DEPLOY / "Containerfile"))
