"""Requests for data, on both databases."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest

from stampcard.errors import Conflict, NotFound
from stampcard.storage.data_requests import answer_request, keep_request, list_data_requests, place_of
from stampcard.storage.database import Database
from stampcard.testing.clock import NOON


def test_requests_wait_in_order_and_are_answered_once(database: Database) -> None:
    for days, request in ((0, "2"), (-3, "1"), (0, "2"), (-9, "")):
        at = NOON + timedelta(days=days)
        database.write_now(partial(keep_request, merchant="main", name="shop", request=request, member="m", at=at))
    every = partial(list_data_requests, merchant="main", after=None, limit=10)
    found = database.read_now(partial(every, answered=False))
    assert [one.request for one in found][1:] == ["1", "2"]
    assert found[0].request.startswith("at-")
    page = database.read_now(
        partial(list_data_requests, merchant="main", answered=False, after=place_of(found[0]), limit=1)
    )
    assert [one.request for one in page] == ["1"]
    answer = partial(answer_request, merchant="main", name="shop", at=NOON, by="ann", note="by post")
    assert database.write_now(partial(answer, request="1")).answered_by == "ann"
    with pytest.raises(Conflict, match="by ann"):
        database.write_now(partial(answer, request="1"))
    with pytest.raises(NotFound):
        database.write_now(partial(answer, request="7"))
    assert len(database.read_now(partial(every, answered=False))) == 2
    assert len(database.read_now(partial(every, answered=True))) == 3
