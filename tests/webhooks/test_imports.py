"""Imports over HTTP, on both databases."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from stampcard.domain.value import replace
from stampcard.importing.files import Sheet
from stampcard.importing.options import Options, supposed
from stampcard.storage.importing import begin_intake
from stampcard.testing.building import NOON

SHEET = Sheet(path=Path("file.csv"), encoding="utf-8", delimiter=",", header=(), fingerprint="f", total=9)


async def test_imports_are_listed_page_by_page_the_newest_first(api: Any) -> None:
    first = supposed(SHEET.path, SHEET, "main", "shop", Options())
    told = replace(first, options={**first.options, "holds": "consents"})
    known = [
        replace(told if n else first, id=f"i_{n}", started_at=NOON + timedelta(days=n), applied=n) for n in range(3)
    ]

    def make(connection: Connection) -> None:
        for one in known:
            begin_intake(connection, "main", one)

    await api.application.database.write(make)

    page = (await api.call("GET", "/imports", params={"limit": "2"})).body
    rest = (await api.call("GET", "/imports", params={"limit": "2", "cursor": page["next"]})).body

    assert [one["id"] for one in (*page["items"], *rest["items"])] == ["i_2", "i_1", "i_0"]
    assert (page["items"][0]["state"], page["items"][0]["total"], page["items"][0]["applied"]) == ("reading", 9, 2)
    assert [one["holds"] for one in (*page["items"], *rest["items"])] == ["consents", "consents", "members"]
    assert rest["next"] is None
    assert "file" not in page["items"][0]
