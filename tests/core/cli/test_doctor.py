import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update
from tests.databases import on_sqlite
from typer.testing import Result

from stampcard.applying.setting import Setting
from stampcard.cli.diagnosing import diagnose, silent_findings
from stampcard.clock import SystemClock, to_micros
from stampcard.domain.events import OrderSeen
from stampcard.storage.database import Database
from stampcard.storage.programming import load_programs
from stampcard.storage.stating import set_state
from stampcard.storage.tables import inbox, message, push
from stampcard.testing.applying import tell
from stampcard.testing.building import NOON, order

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def unserved(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows of a server, so that none that happens to run here is asked."""
    monkeypatch.setenv("STAMPCARD_HTTP__PORT", "0")


def looked_at(run: Run, code: int) -> list[str]:
    result = run("doctor", "--offline", "--json")
    assert result.exit_code == code, result.output
    return [f"{one['about']}: {one['text']}" for one in json.loads(result.stdout)["findings"] if one["level"] != "ok"]


@on_sqlite
def test_where_all_is_well_that_is_said_and_the_end_is_0(run: Run) -> None:
    assert looked_at(run, 0) == []
    result = run("doctor", "--offline")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1] == "all is well"
    assert "ok: queues: nothing is stuck, set aside or given up" in result.stdout


def test_each_thing_that_is_not_right_is_told_with_what_to_do(
    run: Run, database: Database, join: Callable[[str], str], set_aside: Callable[..., int], command: Callable[..., str]
) -> None:
    join("7")
    run("db", "backup", "--made-elsewhere")
    set_aside("malformed", "no id")
    command("unknown")
    run("connection", "pause", "shop", "--note", "moving house")
    database.write_now(lambda connection: connection.execute(update(push).values(dead=1, error="is gone")))
    paused, quarantined, dead, unknown = looked_at(run, 1)
    assert paused.startswith("connections.shop: paused since ")
    assert paused.endswith(": moving house. Mend the cause, then: stampcard connection resume shop")
    assert quarantined == (
        "quarantine: 1 of shop set aside as malformed (no id). Mend the cause, then: stampcard replay --connection shop"
    )
    assert dead == "connections.shop: 1 given up (is gone). Mend the cause, then: stampcard outbox retry --all"
    assert unknown.endswith("See: stampcard outbox list --status unknown")
    assert run("doctor", "--offline").stdout.splitlines()[-1] == "4 things to look at"


def test_messages_that_nobody_can_send_or_write_out_are_told_for_a_day(run: Run, database: Database) -> None:
    now = to_micros(SystemClock().now())
    base = {"merchant": "main", "program": "main", "member": "m_ann", "connection": "", "purpose": "marketing"}
    rows = [
        {**base, "id": number, "name": name, "channel": channel, "occasion": str(number), "state": "dropped",
         "reason": reason, "created_at": at, "due_at": at, "changed_at": at, "then": "[]"}
        for number, (name, channel, reason, at) in enumerate([
            ("hello", "sms", "no_channel", now), ("hello", "sms", "no_channel", now), ("bye", "email", "text_failed", now),
            ("hello", "email", "no_consent", now), ("hello", "email", "no_channel", now - 25 * 3_600_000_000),
        ])
    ]  # fmt: skip
    database.write_now(lambda connection: connection.execute(insert(message), rows))
    bye, hello = looked_at(run, 1)
    assert bye == (
        "message main/bye: 1 not sent by email in the last day: the text could not be written out. "
        "See: stampcard message list --state dropped"
    )
    assert hello == (
        "message main/hello: 2 not sent by sms in the last day: no connection has that channel. "
        "Add one: stampcard connection add"
    )


@on_sqlite
def test_a_command_whose_outcome_is_not_known_yet_is_no_trouble(run: Run, command: Callable[..., str]) -> None:
    now = SystemClock().now()
    command("unknown", attempted_at=to_micros(now - timedelta(minutes=1)))
    assert looked_at(run, 0) == []
    command("unknown", attempted_at=to_micros(now - timedelta(minutes=6)))
    (unknown,) = looked_at(run, 1)
    assert "of 1 commands nobody knows" in unknown


def test_what_waits_for_long_is_told(
    database: Database, join: Callable[[str], str], set_aside: Callable[..., int]
) -> None:
    join("7")
    set_aside("failed", "")
    database.write_now(lambda connection: connection.execute(update(inbox).values(status="ready")))

    def told(now: Any) -> list[str]:
        return [one.text for one in database.read_now(lambda c: diagnose(c, "main", now)) if one.level != "ok"]

    now = SystemClock().now()
    assert [text.partition(" d")[0] for text in told(now)] == ["1"]
    inbox_waits, push_waits = told(now + timedelta(hours=3, minutes=1))
    assert "wait to be applied" in inbox_waits
    assert "the oldest for 3 hours. Is stampcard serve running?" in push_waits


def test_a_connection_of_which_nothing_is_heard_any_more_is_told(
    database: Database, set_aside: Callable[..., int]
) -> None:
    set_aside("failed", "")
    most = timedelta(hours=72)

    def told(hours: int, *names: str) -> list[str]:
        at = NOON + timedelta(hours=hours)
        return [one.text for one in database.read_now(lambda c: list(silent_findings(c, "main", names, at, most)))]

    assert told(71, "shop", "till") == []
    (silent,) = told(80, "shop", "till")
    assert silent.startswith("no webhook came for 80 hours")
    database.write_now(lambda c: set_state(c, "main", "shop", "paused", "", SystemClock()))
    assert told(80, "shop") == []


def test_orders_in_money_that_no_program_knows_are_told(
    installed: Path, run: Run, database: Database, setting: Setting
) -> None:
    (installed / "program.yaml").write_text("program: main\ncurrency: EUR\ntimezone: UTC\nwallets: {points: {}}\n")
    assert run("program", "apply", str(installed / "program.yaml"), "--note", "first").exit_code == 0
    setting = replace(setting, programs=database.read_now(lambda connection: load_programs(connection, "main")))
    for currency in ("EUR", "USD"):
        tell(database, setting, OrderSeen(reference=currency, snapshot=order(10, currency=currency)), now=NOON)
    (finding,) = [text for text in looked_at(run, 1) if "its orders" in text]
    assert finding.startswith(
        "connections.shop: its orders in USD earn nothing, for no program knows what that is worth."
    )


@on_sqlite
def test_a_program_file_that_is_not_what_is_valid_is_told(installed: Path, run: Run) -> None:
    settings = installed / "stampcard.toml"
    settings.write_text(settings.read_text().replace("programs = []", 'programs = ["program.yaml"]'))
    text = "program: main\ncurrency: EUR\ntimezone: UTC\nwallets: {points: {scale: 2}}\nrules: []\n"
    (installed / "program.yaml").write_text(text)
    (finding,) = looked_at(run, 1)
    assert "differs from what is valid" in finding
    assert "stampcard program diff" in finding


@on_sqlite
def test_members_without_a_backup_are_told_with_the_command(
    run: Run, database: Database, join: Callable[[str], str]
) -> None:
    join("7")
    told = looked_at(run, 1 if database.is_sqlite else 0)
    assert [text for text in told if text.startswith("backup")] == [
        "backup: there is none. Make one each day, and take it to another machine: stampcard db backup"
    ] * database.is_sqlite
    run("db", "backup", "--made-elsewhere")
    assert looked_at(run, 0) == []


@on_sqlite
def test_the_outside_is_looked_at_unless_nobody_is_to_be_asked(
    run: Run, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (installed / "stampcard.toml").write_text("programs = []\n")
    monkeypatch.setenv("STAMPCARD_HTTP__PUBLIC_URL", "https://127.0.0.1:1")
    assert [text for text in looked_at(run, 1) if not text.startswith("server")] == []
    findings = {one["about"]: one for one in json.loads(run("doctor", "--json").stdout)["findings"]}
    assert findings["clock"]["text"].startswith("not looked at")
    assert "127.0.0.1:1 is not looked at: " in findings["http.public_url"]["text"]
    assert findings["http.public_url"]["level"] == "warning"


@on_sqlite
def test_a_server_that_does_not_answer_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAMPCARD_HTTP__PORT", "1")
    (finding,) = looked_at(run, 1)
    assert finding.startswith("server: nothing answers at http://127.0.0.1:1 (ConnectError). Start it:")


def test_wrong_settings_are_findings_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAMPCARD_LOG__LEVEL", "loud")
    (finding,) = looked_at(run, 1)
    assert finding.startswith("log.level: ")
