"""An installation over each kind of database, and ways to fill it and to ask it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert
from typer.testing import CliRunner, Result

from stampcard.applying.requests import Answer, create_member
from stampcard.applying.unit import Unit
from stampcard.cli.acting import act
from stampcard.cli.main import app
from stampcard.domain.deliveries import Delivery
from stampcard.sealing import Sealer, new_key_text, read_keys
from stampcard.settings import Settings, load_settings
from stampcard.storage.database import Database
from stampcard.storage.inboxing import take_in
from stampcard.storage.numbering import Numbering
from stampcard.storage.tables import inbox, outbox
from stampcard.testing.building import NOON
from stampcard.testing.demonstration import prepare_database

PROGRAM = """\
program: main
currency: EUR
timezone: Europe/Berlin
wallets:
  points: {scale: 2}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
"""
SETTINGS = """\
programs = []
[connections.shop]
plugin = "shopify"
shop = "example.myshopify.com"
access_token = "a-token"
webhook_secrets = ["a-secret"]
"""

Run = Callable[..., Result]
_numbers = itertools.count(1)


@pytest.fixture
def installed(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with settings, key, program and a database of each kind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STAMPCARD_DATABASE", database_url)
    (tmp_path / "stampcard.toml").write_text(SETTINGS)
    key = tmp_path / "stampcard.key"
    key.touch(mode=0o600)
    key.write_text(new_key_text())
    prepare_database(database_url, "main", PROGRAM, NOON)
    return tmp_path


@pytest.fixture
def run(installed: Path) -> Run:
    """Runs a command as typed: ``run("outbox", "list")``."""

    def call(*arguments: str, **more: Any) -> Result:
        return CliRunner().invoke(app, arguments, **more)

    return call


@pytest.fixture
def data(run: Run) -> Callable[..., Any]:
    """The data that a command prints for programs."""

    def call(*arguments: str) -> Any:
        result = run(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return call


@pytest.fixture
def settings(installed: Path) -> Settings:
    return load_settings(None)


@pytest.fixture
def join(settings: Settings) -> Callable[[str], str]:
    """Makes a member known at the shop by this reference, and gives the id."""

    def make(reference: str) -> str:
        def work(unit: Unit) -> Answer:
            return Answer(status=201, body={"id": create_member(unit, ("shop", reference), {})})

        return str(act(settings, work).body["id"])

    return make


@pytest.fixture
def set_aside(installed: Path, database: Database) -> Callable[..., int]:
    """Puts a delivery into quarantine and gives its id: ``set_aside("malformed", "no id", body=b"{}")``."""
    sealer: Sealer = read_keys((installed / "stampcard.key").read_text())
    numbering = Numbering()

    def make(code: str, detail: str, *, connection: str = "shop", has_body: bool = True) -> int:
        key = f"delivery-{next(_numbers)}"
        delivery = Delivery(connection=connection, key=key, topic="orders/paid", body=b"{}", received_at=NOON)

        def work(opened: Any) -> int:
            take_in(opened, "main", [delivery], sealer, numbering)
            values: dict[str, Any] = {"status": "quarantined", "code": code, "detail": detail}
            if not has_body:
                values["body_sealed"] = None
            opened.execute(inbox.update().where(inbox.c.key == key).values(**values))
            return int(opened.execute(inbox.select().where(inbox.c.key == key)).one().id)

        return database.write_now(work)

    return make


@pytest.fixture
def command(installed: Path, database: Database) -> Callable[..., str]:
    """Puts a command into the outbox and gives its id: ``command("dead", "gone", attempted_at=…)``."""

    def make(status: str, error: str = "", **more: Any) -> str:
        number = next(_numbers)
        row = {
            "merchant": "main",
            "id": number,
            "connection": "shop",
            "kind": "message",
            "key": f"command-{number}",
            "member": "m_ann",
            "reference": "1",
            "data_sealed": b"something",
            "status": status,
            "attempts": 3,
            "due_at": 0,
            "error": error,
            "created_at": 0,
            **more,
        }
        database.write_now(lambda opened: opened.execute(insert(outbox), [row]))
        return str(number)

    return make
