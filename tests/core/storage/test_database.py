"""Either kind of database, as everything else sees it."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from stampcard.storage.database import Database


def test_an_error_quotes_nothing_of_what_was_to_be_written(database: Database) -> None:
    asked = text("SELECT nothing WHERE :who = 'somebody'")
    for run in (database.read_now, database.write_now):
        with pytest.raises(DBAPIError) as raised:
            run(lambda connection: connection.execute(asked, {"who": "ada@shop.example"}))
        assert "ada@shop.example" not in str(raised.value)
