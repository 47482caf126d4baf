"""Verifications at the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.databases import on_sqlite
from typer.testing import Result

Run = Callable[..., Result]
Data = Callable[..., Any]
Join = Callable[[str], str]

PROGRAM = """\
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
proofs:
  coach: {evidence: {licence: The number of your licence}, valid: 12 months}
  nurse: {}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
"""


@pytest.fixture(autouse=True)
def _proofs(installed: Path, run: Run) -> None:
    """The program verifies."""
    file = installed / "proofs.yaml"
    file.write_text(PROGRAM, encoding="utf8")
    assert run("program", "apply", str(file)).exit_code == 0


@on_sqlite
def test_requests_are_asked_for_and_decided(run: Run, data: Data, join: Join) -> None:
    member = join("7")
    assert "Nobody waits." in run("proof", "queue").stderr
    asked = run("proof", "ask", "shop:7", "coach", "--evidence", "licence=A-1=2")
    assert "coach: asked; request v_" in asked.stdout
    (waiting,) = data("proof", "queue")
    assert (waiting["member"], waiting["evidence"]) == (member, {"licence": "A-1=2"})
    assert "  licence: A-1=2" in run("proof", "queue").stdout
    refused = run("proof", "refuse", waiting["id"])
    assert (refused.exit_code, "say why" in refused.stderr) == (1, True)
    assert run("proof", "approve", waiting["id"], "--until", "2030-12-31").stdout.startswith(
        "coach: approved until 2030"
    )
    assert [(row["proof"], row["members"]) for row in data("proof", "list")] == [("coach", 1), ("nurse", 0)]
    assert "approved" in run("proof", "show", "shop:7").stdout
    assert "revoked: gone" in run("proof", "revoke", "shop:7", "coach", "--reason", "gone").stdout


def test_people_verify_and_what_cannot_be_is_refused(run: Run, join: Join) -> None:
    join("7")
    assert run("proof", "verify", "shop:7", "nurse").stdout == "nurse: approved\n"
    for arguments, code, said in (
        (("ask", "shop:7", "coach"), 1, "'licence' is missing"),
        (("ask", "shop:7", "coach", "--evidence", "A-1"), 2, "FIELD=TEXT"),
        (("verify", "shop:7", "nurze"), 1, "Did you mean 'nurse'?"),
        (("approve", "v_none"), 1, "no request"),
    ):
        refused = run("proof", *arguments)
        assert (refused.exit_code, said in refused.stderr) == (code, True), refused.stderr
