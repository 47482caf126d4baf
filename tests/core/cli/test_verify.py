from collections.abc import Callable
from typing import Any

from sqlalchemy import select, update
from tests.databases import on_sqlite
from typer.testing import Result

from stampcard.storage.database import Database
from stampcard.storage.tables import lot

Run = Callable[..., Result]


@on_sqlite
def test_an_untouched_ledger_is_said_to_be_right(
    run: Run, data: Callable[..., Any], join: Callable[[str], str]
) -> None:
    for reference in ("7", "8"):
        run("member", "adjust", join(reference), "points", "100", "--reason", "a gift")
    result = run("verify")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "2 members, 2 entries that sum to 0, 0 differences\n"
    assert data("verify") == {"ok": True, "members": 2, "entries": 2, "total": 0, "findings": []}


def test_an_empty_ledger_is_right_too(run: Run) -> None:
    assert run("verify").stdout == "0 members, 0 entries that sum to 0, 0 differences\n"


def test_every_difference_is_named_and_ends_with_1(run: Run, database: Database, join: Callable[[str], str]) -> None:
    ann = join("7")
    run("member", "adjust", ann, "points", "100", "--reason", "a gift")
    database.write_now(lambda connection: connection.execute(update(lot).values(remaining=70)))
    assert database.read_now(lambda connection: connection.execute(select(lot.c.remaining)).scalar()) == 70
    result = run("verify")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        f"differs: member {ann}, wallet 'points', lot 1, remaining: the entries say 100, stored is 70",
        f"differs: member {ann}, wallet 'points', the lots of account active: the entries say 70, stored is 100",
    ]
    assert result.stdout == "1 members, 1 entries that sum to 0, 2 differences\n"
