"""Consents and addresses that get no messages, in and out at the command line."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.databases import on_sqlite
from typer.testing import Result

from stampcard.cli import exporting

Run = Callable[..., Result]
Data = Callable[..., Any]
CONSENTS = (
    "email,channel,purpose,state,at,source\n"
    "ann@example.com,email,marketing,given,2025-02-01T10:00:00Z,checkout\n"
    "ann@example.com,email,marketing,withdrawn,2025-03-01,a call\n"
    "zoe@example.com,email,marketing,given,2025-02-01,checkout\n"
)


@pytest.fixture
def folder(installed: Path, run: Run) -> Path:
    (installed / "members.csv").write_text("reference,email\n1,ann@example.com\n2,bob@example.com\n")
    (installed / "consents.csv").write_text(CONSENTS)
    (installed / "stopped.csv").write_text("Email Address\nann@example.com\nbob@example.com\nnobody\n")
    assert run("import", "members", "members.csv", "--connection", "shop").exit_code == 0
    return installed


def test_consents_are_tried_imported_listed_and_exported(folder: Path, run: Run, data: Data) -> None:
    tried = run("import", "consents", "consents.csv", "--dry-run")
    assert "dry run: 2 rows would be imported, 0 are known from earlier, 1 would be refused\n" in tried.stdout
    assert run("export", "consents").stdout.splitlines() == [
        "member,connection,reference,email,phone,channel,purpose,state,at,source,text,ip"
    ]

    done = run("import", "consents", "consents.csv")
    assert done.exit_code == 5
    assert "2 rows imported, 0 known from earlier, 1 refused\n" in done.stdout
    assert "reconcile" not in done.stderr
    assert "'zoe@example.com' is no member" in (folder / "consents-errors.csv").read_text()
    assert "was imported before" in run("import", "consents", "consents.csv").stderr
    last = data("import", "list")[0]
    assert (last["holds"], last["state"], last["applied"]) == ("consents", "ended", 2)
    assert "1 rows changed nothing: unknown_member" in run("import", "show", last["id"]).stdout
    refused = run("import", "reconcile", last["id"])
    assert (refused.exit_code, "has no points to compare" in refused.stderr) == (1, True)

    out = run("export", "consents").stdout
    found = list(csv.DictReader(io.StringIO(out)))
    assert [(one["reference"], one["state"], one["at"]) for one in found] == [
        ("1", "given", "2025-02-01T10:00:00+00:00"),
        ("1", "withdrawn", "2025-02-28T23:00:00+00:00"),
    ]
    (folder / "again.csv").write_text(out)
    assert "0 rows imported, 2 known from earlier, 0 refused" in run("import", "consents", "again.csv").stdout


def test_a_column_and_the_channel_of_addresses_can_be_said(folder: Path, run: Run, monkeypatch: Any) -> None:
    monkeypatch.setattr(exporting, "PAGE", 1)
    done = run("import", "suppressions", "stopped.csv", "--map", "Email Address=address")
    assert "2 rows imported, 0 known from earlier, 1 refused\n" in done.stdout
    out = run("export", "suppressions").stdout
    found = list(csv.DictReader(io.StringIO(out)))
    assert {(one["channel"], one["address"], one["reason"]) for one in found} == {
        ("email", "ann@example.com", "imported"),
        ("email", "bob@example.com", "imported"),
    }
    (folder / "again.csv").write_text(out)
    assert "0 rows imported, 2 known from earlier" in run("import", "suppressions", "again.csv").stdout
    assert "ann@example.com" in run("message", "suppression", "list").stdout


@on_sqlite
@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--connection", "shops"], 1, "there is no connection 'shops'; there is: shop"),
        (["--map", "source=where"], 1, "unknown field 'where'"),
        (["--dates", "ymd"], 2, "is none of"),
        (["--program", "other"], 1, "other"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_cannot_be_is_told_before_anything_is_done(run: Run, arguments: list[str], code: int, told: str) -> None:
    result = run("import", "consents", "consents.csv", *arguments)
    assert (result.exit_code, told in result.stderr) == (code, True)
