from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.databases import on_sqlite
from typer.testing import Result

from stampcard.storage.database import Database
from stampcard.storage.tables import member
from stampcard.testing.applying import rows

Run = Callable[..., Result]
ORDER = {"order": {"connection": "shop", "customer": "7", "lines": [{"price": "60"}]}}


def test_a_file_that_tells_of_an_order_says_what_it_would_earn(
    run: Run, data: Callable[..., Any], installed: Path, database: Database
) -> None:
    (installed / "order.json").write_text(json.dumps(ORDER))
    said = run("dry-run", "order.json")
    assert said.exit_code == 0, said.output
    assert said.stdout.splitlines() == [
        "60.00 points.",
        "Rule 'buy' pays 60.00 points (base 60, kept 60).",
        "'points', by buy: 60.00 points never expire.",
    ]
    assert data("dry-run", "order.json")["wallets"]["points"]["points"] == 6000
    assert rows(database, member.select()) == []


@on_sqlite
def test_another_program_file_can_be_asked(run: Run, data: Callable[..., Any], installed: Path) -> None:
    (installed / "order.json").write_text(json.dumps(ORDER))
    text = "program: main\ncurrency: EUR\ntimezone: Europe/Berlin\nwallets: {points: {scale: 2}}\nrules:\n"
    (installed / "other.yaml").write_text(text + "  - {id: buy, on: purchase, award: 2 per 1 EUR}\n")
    told = data("dry-run", "order.json", "--program", "other.yaml")
    assert told["wallets"]["points"]["points"] == 12000
    (installed / "wrong.yaml").write_text(text + "  - {id: buy, on: nothing, award: 2}\n")
    assert run("dry-run", "order.json", "--program", "wrong.yaml").exit_code == 3


def test_a_file_that_cannot_be_understood_says_why(run: Run, installed: Path) -> None:
    (installed / "order.json").write_text('{"order": {"lines": []}}')
    wrong = run("dry-run", "order.json")
    assert wrong.exit_code == 2
    assert "error: order.json: order.connection: Field required" in wrong.stderr
    assert run("dry-run", "nothing.json").exit_code == 3
