from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from tests.databases import on_sqlite
from typer.testing import Result

from stampcard.storage import requeueing
from stampcard.storage.database import Database
from stampcard.storage.tables import push

Run = Callable[..., Result]
Data = Callable[..., Any]
Join = Callable[[str], str]


def due(database: Database) -> dict[str, bool]:
    rows = database.read_now(lambda connection: connection.execute(select(push)).all())
    return {row.member: row.wanted > row.sent and not row.dead for row in rows}


def sent(database: Database) -> None:
    """All pushes have arrived, but one that was given up."""
    database.write_now(lambda connection: connection.execute(update(push).values(sent=push.c.wanted)))


@on_sqlite
def test_everybody_is_sent_again_even_if_nothing_changed(
    monkeypatch: pytest.MonkeyPatch, run: Run, data: Data, database: Database, join: Join
) -> None:
    monkeypatch.setattr(requeueing, "CHUNK", 2)
    members = [join(str(reference)) for reference in range(5)]
    sent(database)
    assert not any(due(database).values())
    result = run("resync", "shop")
    assert (result.exit_code, result.stdout) == (0, "5 members will be sent to shop\n")
    assert due(database) == dict.fromkeys(members, True)


def test_one_member_is_sent_again(data: Data, database: Database, join: Join) -> None:
    ann, ben = join("7"), join("8")
    sent(database)
    assert data("resync", "shop", "--member", ann) == {"connection": "shop", "members": 1}
    assert due(database) == {ann: True, ben: False}


@on_sqlite
def test_a_dead_letter_lives_again(database: Database, run: Run, join: Join) -> None:
    ann = join("7")
    database.write_now(lambda connection: connection.execute(update(push).values(dead=1, error="gone")))
    assert due(database) == {ann: False}
    run("resync", "shop")
    assert due(database) == {ann: True}


@on_sqlite
def test_where_nobody_is_known_there_is_nothing_to_send(run: Run) -> None:
    assert run("resync", "shop").stderr == "shop does not know anybody yet, so there is nothing to send.\n"
    unknown = run("resync", "till")
    assert (unknown.exit_code, unknown.stderr) == (1, "error: there is no connection 'till'\n")


def test_a_connection_that_cannot_be_prepared_takes_what_it_took_before(
    installed: Path, run: Run, database: Database, join: Join
) -> None:
    ann = join("7")
    sent(database)
    settings = installed / "stampcard.toml"
    settings.write_text(settings.read_text().replace("webhook_secrets", "webhook_secret"))
    assert run("resync", "shop").exit_code == 0
    assert due(database) == {ann: True}
